"""The curl command of a probe, and what its trace means. Runs nothing.

`--trace-ascii` is curl's verbose output, with one thing more: each line of what the other side sent begins with its offset
("0000: "), and no control character is left in it. So a hostile page cannot pass for a line of curl's own.
"""

import ipaddress
import re
from dataclasses import dataclass

from labs.probe.answers import Word

KEPT = 3500  # bytes of one trace; with its frame below PIPE_BUF (4096), so that one write of it is never torn apart
SHOWN = 120  # characters of a stranger's page
_FRAME = "\x1e"  # before each trace; never in one

# "$1" the limit in seconds, then addresses ("host:port"). All are asked side by side, and each trace is one write.
# /hostname and /clientip in one curl: over one connection, so that the same Pod answers both.
# A name that is unknown is asked for once more, in case its Service is very new.
SCRIPT = rf"""
export LC_ALL=C
limit=$1
shift
ask() {{
  curl -q -g -sS --stderr - --trace-ascii - -o /dev/null -o /dev/null --noproxy '*' --fail-early \
    --max-filesize 8192 --max-time "$limit" -w '== Done: %{{http_code}} %{{time_total}} %{{time_connect}} %{{num_connects}}\n' \
    "http://$1/hostname" "http://$1/clientip"
  echo "== Exit: $?"
}}
number=0
for address; do
  {{
    trace=$(ask "$address" | head -c {KEPT})
    case $trace in *"== Exit: 6")
      sleep 0.1
      trace=$(ask "$address" | head -c {KEPT}) ;;
    esac
    printf '\036%s\n%s\n' "$number" "$trace"
  }} &
  number=$((number + 1))
done
wait
"""


@dataclass(frozen=True)
class Heard:
    """What one trace says. status: HTTP status, or None. seconds: of the first request. connected: whether a connection
    was made. host: the body of /hostname. client: the client address in the body of /clientip, where it came over the same
    connection. detail: curl's own line, or what the page says."""

    word: Word
    status: int | None
    seconds: float
    connected: bool
    host: str
    client: str
    detail: str


def command(limit: float, addresses: list[str]) -> list[str]:
    """The command that asks all these addresses ("10.244.1.2:9080") side by side. limit in seconds, for each request."""
    return ["sh", "-c", SCRIPT, "sh", str(limit), *addresses]


def split(out: str) -> dict[int, str]:
    """The traces in the output of `command`, by the number of their address; they come in any order."""
    found = {}
    for part in out.split(_FRAME)[1:]:
        number, _, trace = part.partition("\n")
        if number.isdigit():
            found[int(number)] = trace
    return found


def read(trace: str) -> Heard:
    """What a trace means, apart from whose Pod answered: whatever came by HTTP is "answered by something else" here."""
    first, done, rest = _first_request(trace)
    status = _status(first)
    exit_code = _exit_code(trace, status)
    body = _body(first)
    word = _word(exit_code, status, first)
    client = _client(rest) if done and _same_connection(rest) else ""
    return Heard(
        word,
        status,
        float(done.group(2)) if done else 0.0,
        bool(done and float(done.group(3)) > 0) or status is not None,
        clean(body, 253) if word is Word.SOMETHING_ELSE else "",
        client,
        _detail(word, exit_code, status, body, first),
    )


_DONE = re.compile(r"^== Done: (\d{3}) ([\d.]+) ([\d.]+) (\d+)$", re.MULTILINE)


def _first_request(trace: str) -> tuple[str, re.Match[str] | None, str]:
    """The part of the first request, its line of figures (None if it was cut off), and the rest."""
    done = _DONE.search(trace)
    return (trace[: done.start()], done, trace[done.end() :]) if done else (trace, None, "")


def _exit_code(trace: str, status: int | None) -> int:
    """The exit code that belongs to the first request: 0 where another one followed (--fail-early) or the trace was cut."""
    found = re.search(r"^== Exit: (\d+)\s*$", trace, re.MULTILINE)
    followed = len(_DONE.findall(trace)) > 1
    if followed or not found:
        return 0 if status is not None else -1
    return int(found.group(1))


def _word(exit_code: int, status: int | None, trace: str) -> Word:
    match exit_code:
        case 6:
            return Word.NAME_UNKNOWN
        case 7:
            return _connect_word(trace)
        case 28:
            return Word.NOTHING_YET
        case 52 | 55 | 56:
            return Word.CLOSED
        case 126 | 127:
            return Word.NOT_TRIED
    if status is not None or exit_code in (0, 1, 8):  # 1: "Received HTTP/0.9 when not allowed"; 8: "Weird server reply"
        return Word.SOMETHING_ELSE
    return Word.NOT_TRIED


# The kernel's reason as the C library words it. glibc and macOS: "No route to host", "Network is unreachable"; musl: "Host is
# unreachable", "Network unreachable". A firewall of the sender's own: "Operation not permitted", "Permission denied".
_REASONS = (
    (Word.REFUSED, re.compile(r"Connection refused", re.IGNORECASE)),
    (Word.NO_ROUTE, re.compile(r"No route to host|Host is unreachable|Host is down", re.IGNORECASE)),
    (Word.UNREACHABLE, re.compile(r"Network (is )?unreachable|Network is down|Can't assign requested address"
                                  r"|Cannot assign requested address|Address not available", re.IGNORECASE)),
)  # fmt: skip
# curl 7.6x to 8.x: "connect to 10.0.0.1 port 80 failed: …", "connect to 10.0.0.1 port 80 from 10.0.0.2 port 41234 failed: …",
# "Immediate connect fail for 10.0.0.1: …". A name with several addresses has several such lines.
_CONNECT = re.compile(r"^== Info: +(?:connect to .+? failed: .+|Immediate connect fail for .+)$", re.MULTILINE)


def _connect_word(trace: str) -> Word:
    """The word for exit code 7. A refusal from one of several addresses says more than that another has no route."""
    lines = "\n".join(_CONNECT.findall(trace)) or trace
    return next((word for word, reason in _REASONS if reason.search(lines)), Word.UNREACHABLE)


def _detail(word: Word, exit_code: int, status: int | None, body: str, trace: str) -> str:
    if word is Word.SOMETHING_ELSE:
        says = clean(body, SHOWN)
        named = f"HTTP {status}" if status is not None else "no HTTP"
        return f"{named}: {says}" if says else named
    if exit_code in (126, 127):
        return "there is no curl in this place"
    lines = _CONNECT.findall(trace)
    said = re.findall(r"^curl: \(\d+\) (.*)$", trace, re.MULTILINE)
    of_word = [line for w, reason in _REASONS if w is word for line in lines if reason.search(line)]
    own = (of_word or lines or said or [""])[0]
    if word is Word.NOTHING_YET and not own:
        own = "curl's time was over"
    if word is Word.NOT_TRIED:
        return f"curl could not ask (exit code {exit_code}) {clean(own, SHOWN)}".strip()
    return clean(own.removeprefix("== Info:"), 2 * SHOWN)


def _status(trace: str) -> int | None:
    """The last HTTP status in the trace that is not a 1xx."""
    found = [int(code) for code in re.findall(r"^0000: HTTP/[\d.]+ (\d{3})\b", _received(trace, "header"), re.MULTILINE)]
    final = [code for code in found if code >= 200]
    return final[-1] if final else None


def _received(trace: str, kind: str) -> str:
    """The lines of what was received ("header" or "data"), offsets included."""
    blocks = re.findall(rf"^<= Recv {kind}, .*\n((?:[0-9a-f]{{4,}}: .*(?:\n|$))*)", trace, re.MULTILINE)
    return "".join(blocks)


def _body(trace: str) -> str:
    """The text of what was received as data, as the trace has it: each line at most 64 characters, an offset before it, and
    a new one for CRLF; offsets that go on where the last line ended tell that nothing stood between."""
    text, expected = "", 0
    for offset, line in re.findall(r"^([0-9a-f]{4,}): (.*)$", _received(trace, "data"), re.MULTILINE):
        at = int(offset, 16)
        text += line if at in (0, expected) else f"\n{line}"
        expected = at + len(line)
    return text


def _same_connection(rest: str) -> bool:
    done = _DONE.search(rest)
    return bool(done and done.group(4) == "0" and _status(rest) == 200)


def _client(rest: str) -> str:
    """The address in the body of /clientip ("10.244.0.5:40144", "[::ffff:10.244.0.5]:40144"), or "" where it is none."""
    text = _body(rest).strip().rpartition(":")[0].strip("[]").removeprefix("::ffff:")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def clean(text: str, most: int) -> str:
    """Text from the other side, to be shown: one line, no control or format characters, cut short."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
