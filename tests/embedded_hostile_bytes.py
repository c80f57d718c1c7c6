"""Hostile requests whose bytes matter: protobuf, upgrades and what is said after them, headers, and what is no HTTP."""

import json
import struct
import zlib
from functools import cache
from random import Random

from labs.embedded.api import protobuf
from tests.embedded_hostile_http import TOKEN, Hostile, N, changed, http, parameters
from tests.embedded_hostile_objects import OBJECTS, TEXTS

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
    return Hostile("protobuf", http(method, path + ("" if method == "POST" else "/x"), changed(rng, body), headers), method)


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
