"""What hostile requests have in common: how a request is written, and the parameters of its path. Draws, sends nothing."""

from dataclasses import dataclass
from random import Random
from urllib.parse import quote

from tests.embedded_hostile_objects import TEXTS

TOKEN = b"Bearer a-token-of-the-tests"
N = "/api/v1/namespaces/n"
QUERY = {  # parameters with what is right for them
    "labelSelector": ["a=b", "a in (b,c)", "!a", "a notin (x), b", "a>1"],
    "fieldSelector": ["metadata.name=x", "status.phase!=Running", "spec.nodeName="],
    "limit": ["1", "500"],
    "continue": ["1"],
    "resourceVersion": ["0", "1", "5"],
    "resourceVersionMatch": ["Exact", "NotOlderThan"],
    "watch": ["true", "1", "0"],
    "sendInitialEvents": ["true"],
    "allowWatchBookmarks": ["true"],
    "dryRun": ["All"],
    "fieldValidation": ["Strict", "Warn", "Ignore"],
    "fieldManager": ["me"],
    "force": ["true"],
    "gracePeriodSeconds": ["0", "5"],
    "propagationPolicy": ["Orphan", "Foreground"],
    "orphanDependents": ["true"],
    "includeObject": ["Object", "None"],
    "pretty": ["1"],
    "container": ["c"],
    "command": ["true"],
    "stdin": ["1"],
    "stdout": ["1"],
    "tty": ["1"],
    "ports": ["80"],
    "tailLines": ["1"],
    "limitBytes": ["1"],
    "sinceSeconds": ["1"],
    "sinceTime": ["2026-01-02T03:04:05Z"],
    "follow": ["1"],
    "previous": ["1"],
    "timestamps": ["1"],
}


@dataclass(frozen=True)
class Hostile:
    """One request. data: what is sent; then: what follows where the answer is 101. whole: it is HTTP, so it gets an answer that
    is a Status where it is refused, and keeps the connection. method: for who reads the answer."""

    kind: str
    data: bytes
    method: str = "GET"
    whole: bool = True
    then: bytes = b""


def http(method: str, path: str, body: bytes | None = None, headers: dict[str, bytes] | None = None) -> bytes:
    """A request as a client writes it. headers: instead of the usual ones."""
    given = {"Host": b"x", "Authorization": TOKEN}
    if body is not None:
        given |= {"Content-Type": b"application/json", "Content-Length": str(len(body)).encode()}
    lines = [b"%s: %s" % (name.encode(), content) for name, content in {**given, **(headers or {})}.items()]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *lines, b"", body or b""])


def parameters(rng: Random, most: int, *names: str) -> str:
    """A query, half of its values right; watches end by themselves."""
    given = []
    for _ in range(rng.choice((0, most, rng.randint(0, most)))):
        name = rng.choice(names or tuple(QUERY))
        content = rng.choice(QUERY[name]) if rng.random() < 0.7 else _letters(rng)
        given.append(f"{name}={rng.choice((quote(content, safe='', errors='replace'), content.replace(' ', '+')))}")
    asked = "&".join(given)
    return "?" + quote(asked, safe="!#$&'()*+,/:;=?@[]%") if asked else ""


def _letters(rng: Random) -> str:
    known = str(rng.choice(TEXTS)).encode("utf-8", "replace").decode()
    return (
        known if rng.random() < 0.5 else "".join(rng.choice("ab=!,()<>~%^/\\ in.-_09\t\"'") for _ in range(rng.randint(1, 12)))
    )


def changed(rng: Random, content: bytes) -> bytes:
    """A text, one time in eight with some of its bytes changed, taken away or added."""
    changed = bytearray(content)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 0, rng.randint(1, 4)))):
        at = rng.randrange(len(changed) + 1)
        action = rng.choice(("insert", "drop", "cut"))
        if action == "insert":
            changed.insert(at, rng.choice(b'\x00\xff\xc3\xe2"{}[]:,\\\n\x1f9-'))
        else:
            del changed[at : at + rng.randint(1, 5) if action == "drop" else None]
    return bytes(changed)
