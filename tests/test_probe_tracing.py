"""What curl's trace means, in every wording: curl 7.6x to 8.x, glibc, musl and macOS.

ANSWERED was recorded from curl 7.88.1 and agnhost netexec. The connect lines of others are put together from curl's source
(lib/connect.c, lib/cf-socket.c) and the strerror texts of each C library.
"""

import pytest

from labs.probe import tracing
from labs.probe.answers import Word

ANSWERED = """\
== Info:   Trying 10.244.1.4:9080...
== Info: Connected to 10.244.1.4 (10.244.1.4) port 9080 (#0)
=> Send header, 87 bytes (0x57)
0000: GET /hostname HTTP/1.1
0018: Host: 10.244.1.4:9080
002f: User-Agent: curl/7.88.1
0048: Accept: */*
0055: 
<= Recv header, 17 bytes (0x11)
0000: HTTP/1.1 200 OK
<= Recv header, 37 bytes (0x25)
0000: Date: Mon, 23 Nov 2026 13:26:54 GMT
<= Recv header, 19 bytes (0x13)
0000: Content-Length: 4
<= Recv header, 2 bytes (0x2)
0000: 
<= Recv data, 4 bytes (0x4)
0000: pod2
== Info: Connection #0 to host 10.244.1.4 left intact
== Done: 200 0.010571 0.000217 1
== Info: Re-using existing connection #0 with host 10.244.1.4
=> Send header, 87 bytes (0x57)
0000: GET /clientip HTTP/1.1
<= Recv header, 17 bytes (0x11)
0000: HTTP/1.1 200 OK
<= Recv data, 16 bytes (0x10)
0000: 10.244.1.3:56998
== Info: Connection #0 to host 10.244.1.4 left intact
== Done: 200 0.003422 0.000000 0
== Exit: 0
"""  # noqa: W291


def failed(code: int, *lines: str, connected: float = 0.0) -> str:
    info = "".join(f"== Info: {line}\n" for line in lines)
    end = f"curl: ({code}) some words\n== Done: 000 0.1 {connected:.6f} 0\n== Exit: {code}\n"
    return f"== Info:   Trying 10.0.0.1:80...\n{info}{end}"


def test_an_answer() -> None:
    found = tracing.read(ANSWERED)
    assert found == tracing.Heard(Word.SOMETHING_ELSE, 200, 0.010571, True, "pod2", "10.244.1.3", "HTTP 200: pod2")


def test_a_failed_second_request_does_not_spoil_the_first() -> None:
    assert tracing.read(ANSWERED.replace("Exit: 0", "Exit: 28")).host == "pod2"


@pytest.mark.parametrize("address", ["10.244.0.5:40144", "[::ffff:10.244.0.5]:40144", "::ffff:10.244.0.5:40144"])
def test_the_client_without_its_port(address: str) -> None:
    assert tracing.read(ANSWERED.replace("10.244.1.3:56998", address)).client == "10.244.0.5"


@pytest.mark.parametrize("text", ["", "404 page not found", "pod2", "<script>:80"])
def test_what_is_no_client_address_is_left_out(text: str) -> None:
    assert tracing.read(ANSWERED.replace("10.244.1.3:56998", text)).client == ""


CONNECT = (
    "connect to 10.0.0.1 port 80 failed: {}",  # 7.6x to 8.8
    "connect to 10.0.0.1 port 80 from 10.0.0.2 port 41234 failed: {}",  # since 8.9
    "Immediate connect fail for 10.0.0.1: {}",
)
REASONS = (
    (Word.REFUSED, "Connection refused"),
    (Word.NO_ROUTE, "No route to host"),  # glibc, macOS
    (Word.NO_ROUTE, "Host is unreachable"),  # musl
    (Word.UNREACHABLE, "Network is unreachable"),  # glibc, macOS
    (Word.UNREACHABLE, "Network unreachable"),  # musl
)


@pytest.mark.parametrize("line", CONNECT)
@pytest.mark.parametrize(("word", "reason"), REASONS)
def test_why_a_connection_failed(line: str, word: Word, reason: str) -> None:
    said = line.format(reason)
    found = tracing.read(failed(7, said, "Failed to connect to 10.0.0.1 port 80 after 0 ms: Couldn't connect to server"))
    assert (found.word, found.detail, found.connected) == (word, said, False)


def test_a_refusal_of_one_address_counts_more_than_no_way_to_another() -> None:
    lines = "Immediate connect fail for ::1: Network is unreachable", "connect to 127.0.0.1 port 80 failed: Connection refused"
    for both in (lines, lines[::-1]):
        found = tracing.read(failed(7, *both))
        assert (found.word, found.detail) == (Word.REFUSED, lines[1])


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (6, Word.NAME_UNKNOWN),
        (28, Word.NOTHING_YET),
        (52, Word.CLOSED),
        (56, Word.CLOSED),
        (127, Word.NOT_TRIED),
        (3, Word.NOT_TRIED),
    ],
)
def test_exit_codes(code: int, word: Word) -> None:
    assert tracing.read(failed(code)).word is word


def test_a_connection_that_was_made_is_told_from_one_that_was_not() -> None:
    assert tracing.read(failed(28, connected=0.01)).connected
    assert not tracing.read(failed(28)).connected


def test_no_curl() -> None:
    found = tracing.read("sh: 10: curl: not found\n== Exit: 127\n")
    assert found.word is Word.NOT_TRIED
    assert "no curl" in found.detail


def test_a_long_page_is_read_across_the_lines_of_the_trace() -> None:
    page = "a" * 64, "b" * 10
    lines = f"<= Recv data, 76 bytes\n0000: {page[0]}\n0040: {page[1]}\n004c: c\n"
    trace = f"<= Recv header, 9 bytes\n0000: HTTP/1.1 404 Not Found\n{lines}== Done: 404 0.1 0.1 1\n== Exit: 0\n"
    assert tracing.read(trace).detail == f"HTTP 404: {''.join(page)} c"


def test_a_trace_that_was_cut_before_its_end() -> None:
    assert tracing.read(ANSWERED[: ANSWERED.index("== Done")]).word is Word.SOMETHING_ELSE
    assert tracing.read("== Info:   Trying").word is Word.NOT_TRIED


def test_traces_come_in_any_order() -> None:
    assert tracing.split("\n\x1e1\nsecond\n\x1e0\nfirst\n\x1eno number\n") == {0: "first\n", 1: "second\n"}


def test_addresses_never_become_part_of_the_script() -> None:
    assert tracing.command(1, ["$(reboot)"])[-1] == "$(reboot)"
    assert tracing.command(1, ["a:1"])[2] == tracing.command(3, ["b:2"])[2]
