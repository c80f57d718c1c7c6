"""Makes malformed and hostile requests, the same for the same seed: bodies, patches, selectors, watches, upgrades, raw HTTP.

Sends nothing. Each is the bytes that a client writes, with what may be expected of the answer.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any
from urllib.parse import quote

from labs.embedded.api import protobuf
from tests.embedded_hostile_objects import DELETE_OPTIONS, METADATA, NAMES, OBJECTS, TEXTS, text, turned, value

TOKEN = b"Bearer a-token-of-the-tests"
N = "/api/v1/namespaces/n"
JSON, MERGE, STRATEGIC = (f"application/{kind}+json" for kind in ("json-patch", "merge-patch", "strategic-merge-patch"))
PARTS = ("", "/status", "/scale", "/finalize", "/token", "/proxy", "/log", "/exec", "/ephemeralcontainers", "/nowhere")
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
ACCEPTS = [
    *("application/json", "*/*", "text/html", "", ",", ";", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml"),
    *(
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList",
        "a/b;q=x",
    ),
    *("application/json;as=Table;v=v9", "application/vnd.kubernetes.protobuf", "application/json;;=;as", "*/*;q=0", "\x80\xff"),
]


@dataclass(frozen=True)
class Hostile:
    """One request. data: what is sent; then: what follows where the answer is 101. whole: it is HTTP, so it gets an answer that
    is a Status where it is refused, and keeps the connection. method: for who reads the answer."""

    kind: str
    data: bytes
    method: str = "GET"
    whole: bool = True
    then: bytes = b""


def requests(seed: int) -> Iterator[Hostile]:
    """Without end."""
    rng = Random(seed)
    makers: list[Callable[[Random], Hostile]] = [created, patched, deleted, read, reviewed, encoded, upgraded, headed, raw]
    while True:
        yield rng.choices(makers, (7, 7, 2, 4, 1, 2, 3, 3, 4))[0](rng)


# --- HTTP that is right


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


def _bytes(rng: Random, content: bytes) -> bytes:
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


def _object(rng: Random, path: str) -> tuple[str, Any]:
    """A name and an object of a collection, with some of it wrong."""
    obj = OBJECTS[path]
    name = rng.choice(("x", "x", "x", "x", "x", "y"))
    metadata = {"name": name}
    if rng.random() < 0.3:
        metadata = {**METADATA, "name": name}
        if rng.random() < 0.7:
            del metadata["resourceVersion"]
    return name, turned(rng, {**obj, "metadata": metadata}, rng.choice((0, 1, 1, 1, 2, 3)))


def created(rng: Random) -> Hostile:
    """A create, or an update."""
    path = rng.choice(tuple(OBJECTS))
    name, obj = _object(rng, path)
    method = rng.choice(("POST", "PUT") * 7 + ("PATCH", "DELETE", "OPTIONS", "HEAD"))
    place = path if method == "POST" else f"{path}/{name}{rng.choice(('',) * 9 + PARTS)}"
    asked = parameters(rng, 1, "dryRun", "fieldValidation", "fieldManager", "pretty")
    return Hostile("object", http(method, place + asked, _bytes(rng, text(obj).encode())), method)


def reviewed(rng: Random) -> Hostile:
    """Anything as a body, sent anywhere."""
    path = rng.choice((*OBJECTS, "/api", "/apis/apps", "/version", "/openapi/v2", "/readyz", "/labs/settled", "/", "/nowhere"))
    method = rng.choice(("POST", "PUT", "PATCH", "DELETE", "GET"))
    return Hostile("anywhere", http(method, path, _bytes(rng, text(value(rng)).encode())), method)


def patched(rng: Random) -> Hostile:
    """A patch of one of the three kinds, or of none."""
    path = rng.choice([path for path in OBJECTS if "auth" not in path and not path.endswith("token")])
    name, obj = _object(rng, path)
    media = rng.choice(
        (JSON, JSON, MERGE, MERGE, STRATEGIC, STRATEGIC, STRATEGIC, "application/apply-patch+yaml", "text/plain")
    )
    if media == JSON:
        body: Any = [_operation(rng, obj) for _ in range(rng.choice((1, 1, 2, 5)))] if rng.random() < 0.95 else value(rng)
    else:
        body = rng.choice((obj, _some(rng, obj), _some(rng, obj), _directed(rng, obj), _directed(rng, obj), value(rng)))
    part = rng.choice(("", "", "", "", "/status", "/scale"))
    place = f"{path}/{name}{part}" + parameters(rng, 1, "dryRun", "fieldValidation")
    return Hostile("patch", http("PATCH", place, _bytes(rng, text(body).encode()), {"Content-Type": media.encode()}), "PATCH")


def _some(rng: Random, obj: Any) -> Any:
    """A part of an object."""
    return {key: value for key, value in obj.items() if rng.random() < 0.6} if isinstance(obj, dict) else obj


def _directed(rng: Random, obj: Any) -> Any:
    """With what strategic merge patches have of their own, somewhere."""
    if not isinstance(obj, dict):
        return obj
    made = _some(rng, obj)
    holder = made
    while (inner := [one for one in holder.values() if isinstance(one, dict)]) and rng.random() < 0.6:
        holder = rng.choice(inner)
    name = rng.choice([*holder, "ports", "finalizers", "labels"])
    word = rng.choice(("$patch", "$retainKeys", f"$setElementOrder/{name}", f"$deleteFromPrimitiveList/{name}"))
    right = {"$patch": ["replace", "delete", "merge"], "$retainKeys": [[name], [*holder]]}.get(word, [["a/b"], [{"port": 80}]])
    holder[word] = rng.choice(right) if rng.random() < 0.5 else value(rng)
    for items in [one for one in holder.values() if isinstance(one, list) and one and rng.random() < 0.5]:
        items.append({"$patch": rng.choice(("delete", "replace", "x", value(rng))), "name": value(rng), "port": 80})
    return made


def _operation(rng: Random, obj: Any) -> Any:
    """One operation of a JSON patch."""
    made = {
        "op": rng.choice(("add", "remove", "replace", "move", "copy", "test")),
        "path": _pointer(rng, obj),
        "value": value(rng),
        "from": _pointer(rng, obj),
    }
    return turned(rng, made, 1) if rng.random() < 0.2 else made


def _pointer(rng: Random, obj: Any) -> str:
    path = ""
    while isinstance(obj, dict | list) and obj and rng.random() < 0.8:
        key = rng.choice(list(obj) if isinstance(obj, dict) else range(len(obj)))
        path, obj = f"{path}/{key}", obj[key]
    return path + rng.choice(("", "", "", "/", "/-", "/0", "/-1", "/99", "/01", "/a", "/~", "/~2", "/é", "//", "a"))


def deleted(rng: Random) -> Hostile:
    """A deletion of one or of many."""
    path = rng.choice(tuple(OBJECTS))
    name = rng.choice(("", "/x", "/y", "/z", "/none"))
    asked = parameters(rng, 2, "gracePeriodSeconds", "propagationPolicy", "dryRun", "labelSelector", "orphanDependents")
    body = _bytes(rng, text(turned(rng, DELETE_OPTIONS, rng.choice((1, 1, 2, 4)))).encode()) if rng.random() < 0.7 else None
    return Hostile("deletion", http("DELETE", path + name + asked, body), "DELETE")


def read(rng: Random) -> Hostile:
    """A get, a list or a watch."""
    path = rng.choice(tuple(OBJECTS))
    if rng.random() < 0.2:
        path = path.replace("/v1/", "/v1/watch/")
    if rng.random() < 0.3:
        path += quote("/" + str(rng.choice((*NAMES, *TEXTS))), errors="replace") + rng.choice(("", "", *PARTS))
    asked = parameters(rng, 4)
    if "watch" in path + asked:  # ends by itself
        asked += ("&" if asked else "?") + "timeoutSeconds=1"
    accept = rng.choice(ACCEPTS).encode("latin-1")
    method = rng.choice(("GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "TRACE"))
    return Hostile("reading", http(method, path + asked, None, {"Accept": accept}), method)


# --- protobuf


def encoded(rng: Random) -> Hostile:
    """A body in protobuf."""
    path = rng.choice(tuple(OBJECTS))
    message = rng.choice([name for name in _messages() if name.count(".") == 2 and "metadata" in _labels(name)])
    package, _, kind = message.rpartition(".")
    version = {given: name for name, given in protobuf._PACKAGES.items()}.get(package, "v1")
    about = _field(1, version.encode()) + _field(2, kind.encode())
    body = b"k8s\x00" + _field(1, about) + _field(2, _message(rng, message, 3))
    method = rng.choice(("POST", "PUT", "DELETE"))
    headers = {"Content-Type": protobuf.MEDIA_TYPE.encode()}
    return Hostile("protobuf", http(method, path + ("" if method == "POST" else "/x"), _bytes(rng, body), headers), method)


@cache
def _messages() -> dict[str, dict[int, tuple[str, str, str]]]:
    return protobuf._messages()


def _labels(message: str) -> set[str]:
    return {label for label, _, _ in _messages()[message].values()}


def _message(rng: Random, name: str, depth: int) -> bytes:
    made = b""
    for number, (label, shape, type) in _messages()[name].items():
        if label != "metadata" and rng.random() > 0.3:
            continue
        for _ in range(rng.randint(1, 2) if shape == "list" else 1):
            if rng.random() < 0.05:
                made += rng.choice((_varint(number << 3) + _varint(rng.getrandbits(64)), _field(number, rng.randbytes(3))))
            elif shape == "map":
                made += _field(number, _field(1, b"a") + _scalar(rng, 2, type, depth))
            else:
                made += _scalar(rng, number, type, depth)
    return made


def _scalar(rng: Random, number: int, type: str, depth: int) -> bytes:
    if type in _messages():
        return _field(number, _message(rng, type, depth - 1) if depth else b"")
    if type in ("int32", "int64", "bool"):
        return _varint(number << 3) + _varint(rng.choice((0, 1, 5, 80, 30066, 2**31, 2**64 - 1, 2**63)))
    if type in ("string", "bytes"):
        known = str(rng.choice(("x", "n", "a", "v1", *TEXTS))).encode("utf-8", "replace")
        return _field(number, rng.choice((known, known, known, b"\xff\xfe")))
    return _field(number, _varint(1 << 3) + _varint(rng.getrandbits(rng.choice((1, 8, 40, 64)))))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


# --- upgrades


def upgraded(rng: Random) -> Hostile:
    """A subresource that is spoken with, and what is said after the upgrade."""
    part = rng.choice(("exec", "attach", "portforward", "log", "proxy", "proxy/a"))
    path = f"{N}/pods/{rng.choice(('p', 'p', 'p', 'p:80', 'http:p:x', 'x', 'none'))}/{part}"
    asked = parameters(
        rng, 3, "container", "command", "stdin", "stdout", "tty", "ports", "tailLines", "limitBytes", "sinceSeconds"
    )
    known = rng.choice(("command=true&stdout=1&stdin=1", "ports=80", "ports=80&ports=81,82", ""))
    asked = f"{asked or '?a=b'}&{known}"
    socket = {
        "Connection": rng.choice((b"Upgrade", b"keep-alive, Upgrade", b"close")),
        "Upgrade": rng.choice((b"websocket", b"WebSocket", b"h2c", b"", b"SPDY/3.1", b"\xff")),
        "Sec-WebSocket-Version": rng.choice((b"13", b"13", b"13", b"8", b"x", b"")),
        "Sec-WebSocket-Key": rng.choice((b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ==", b"x", b"", b"\xe9" * 16)),
        "Sec-WebSocket-Protocol": rng.choice(
            (b"v4.channel.k8s.io", b"v5.channel.k8s.io", b"SPDY/3.1+portforward.k8s.io", b"x", b",")
        ),
        "Sec-WebSocket-Extensions": rng.choice(
            (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=99", b"x;;=", b"")
        ),
    }
    spdy = {
        "Connection": b"Upgrade",
        "Upgrade": b"SPDY/3.1",
        "X-Stream-Protocol-Version": rng.choice((b"v4.channel.k8s.io", b"portforward.k8s.io", b"v9", b"")),
    }
    headers, then = rng.choice(((socket, _frames(rng)), (spdy, _spdy(rng))))
    method = rng.choice(("GET", "GET", "POST", "PUT"))
    return Hostile("upgrade", http(method, path + asked, None, headers), method, then=then)


def _frames(rng: Random) -> bytes:
    """WebSocket frames, most of which are none."""
    made = b""
    for _ in range(rng.randint(0, 4)):
        content = rng.choice(
            (b"", b"\x00a", b"\x04{}", b'\x04{"Width":"a","Height":1e999}', b"\xff\x00", b"\x07x", rng.randbytes(9))
        )
        length = rng.choice((len(content), len(content), len(content), 126, 127, 5))
        made += bytes([rng.choice((0x81, 0x82, 0x82, 0x01, 0x88, 0x89, 0xF2, 0x8F)), 0x80 | length]) + bytes(4) + content
    return made


def _spdy(rng: Random) -> bytes:
    """SPDY frames, likewise."""
    made = b""
    for stream in range(1, rng.randint(2, 6)):
        headers = {
            b"streamtype": rng.choice((b"error", b"data", b"stdin", b"x", b"\xff")),
            b"port": rng.choice((b"80", b"0", b"x")),
        }
        block = struct.pack(">I", len(headers)) + b"".join(_field_of_spdy(part) for pair in headers.items() for part in pair)
        payload = struct.pack(">IIH", stream, 0, 0) + rng.choice((zlib.compress(block), rng.randbytes(9)))
        made += rng.choice(
            (
                struct.pack(">HHI", 0x8003, rng.choice((1, 1, 1, 3, 4, 6, 7, 9, 99)), len(payload)) + payload,
                struct.pack(">II", stream, rng.choice((0, 3, 1 << 24, 0xFFFFFF))) + b"abc",
                rng.randbytes(rng.randint(1, 20)),
            )
        )
    return made


def _field_of_spdy(part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + part


# --- headers, and what is no HTTP


def headed(rng: Random) -> Hostile:
    """A right request, but for one header."""
    body = json.dumps({"metadata": {"name": "x"}}).encode()
    odd = rng.choice(
        (b"", b"gzip", b"deflate", b"br", b"zstd", b"identity", b"x", b"\xe9", b"a" * 3000, b"text/plain; charset=x")
    )
    name = rng.choice(
        (
            *(
                "Content-Encoding",
                "Content-Type",
                "Accept",
                "Authorization",
                "Accept-Encoding",
                "User-Agent",
                "Cookie",
                "Range",
            ),
            *(
                "If-None-Match",
                "X-Forwarded-For",
                "Origin",
                "Referer",
                "Impersonate-User",
                "X-Remote-User",
                "Accept-Charset",
                "Via",
            ),
            *("X-HTTP-Method-Override", "Traceparent", "X-A" * 300),
        )
    )
    if name == "Authorization":
        odd = rng.choice(
            (
                b"Bearer",
                b"Bearer ",
                b"Bearer \xe9",
                b"\xff",
                b"Basic YTpi",
                TOKEN + b"x",
                TOKEN.lower(),
                b"Bearer " + b"x" * 5000,
                b"",
            )
        )
    method, path = rng.choice(
        (("POST", N + "/configmaps?dryRun=All"), ("GET", N + "/configmaps"), ("DELETE", N + "/configmaps/none"))
    )
    return Hostile("header", http(method, path, None if method == "GET" else body, {name: odd}), method)


def raw(rng: Random) -> Hostile:
    """Bytes that are no HTTP, or only nearly."""
    line = rng.choice(
        (
            *(
                b"",
                b"GET",
                b"GET ",
                b"GET /api",
                b"GET /api HTTP/9.9",
                b"GET /api HTTP/1.1 x",
                b"get /api HTTP/1.1",
                b"BREW /api HTTP/1.1",
                b"\x00\x01\x02",
                b"\xff",
            ),
            *(
                b"GET  /api  HTTP/1.1",
                b"GET /api HTTP/1.0",
                b"GET\t/api\tHTTP/1.1",
                b"G\xe9T /api HTTP/1.1",
                b"GET /\xff HTTP/1.1",
            ),
            *(
                b"GET /a b HTTP/1.1",
                b"GET http://x/api HTTP/1.1",
                b"GET http://[/api HTTP/1.1",
                b"CONNECT x:80 HTTP/1.1",
                b"GET * HTTP/1.1",
            ),
            *(
                b"OPTIONS * HTTP/1.1",
                b"PRI * HTTP/2.0",
                b"GET //api/v1//pods HTTP/1.1",
                b"GET /api/../etc HTTP/1.1",
                b"GET ?a HTTP/1.1",
            ),
            *(
                b"GET /%00%ff%zz HTTP/1.1",
                b"GET /api/v1/namespaces/%2e%2e/pods HTTP/1.1",
                b"GET /" + b"a" * 9000 + b" HTTP/1.1",
            ),
            *(b"POST " + N.encode() + b"/configmaps HTTP/1.1",) * 9,
        )
    )
    header = rng.choice(
        (
            *(
                b"",
                b"Host: x",
                b"Host: x\r\nHost: y",
                b"Host: \xff",
                b"Host:",
                b": x",
                b"a",
                b"a b: c",
                b" a: b",
                b"a:\x00",
                b"a: b\r\n c",
            ),
            *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: x", b"Content-Length: 5\r\nContent-Length: 6"),
            *(b"Content-Length: 99999999999999999999", b"Content-Length: +5", b"Content-Length: 0x5", b"Content-Length: 5, 5"),
            *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
            *(
                b"Transfer-Encoding: chunked, chunked",
                b"Transfer-Encoding: gzip, chunked",
                b"Expect: 100-continue",
                b"Expect: x",
            ),
            *(
                b"A: " + b"a" * 9000,
                b"\r\n".join(b"A%d: b" % number for number in range(300)),
                b"Connection: close",
                b"Upgrade: h2c",
            ),
        )
    )
    rest = rng.choice(
        (
            *(
                b"",
                b"{}",
                b"12345",
                b"5\r\n12345\r\n0\r\n\r\n",
                b"x\r\n",
                b"-1\r\n",
                b"fffffffffffffffff\r\n",
                b"5;a=b\r\n12345\r\n0\r\n\r\n",
            ),
            *(
                b"5\r\n123",
                b"0\r\nA: b\r\n\r\n",
                b"5\r\n12345x\r\n",
                b"GET /api HTTP/1.1\r\n\r\n",
                b"\x00" * 100,
                rng.randbytes(30),
            ),
        )
    )
    end = rng.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b""))
    token = rng.choice((b"", b"Authorization: " + TOKEN + end))
    data = line + end + token + header + end + end + rest
    return Hostile(
        "raw", rng.choice((data, data, data, data[: rng.randrange(len(data) + 1)], rng.randbytes(50))), "GET", whole=False
    )
