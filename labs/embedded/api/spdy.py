"""The few frames of SPDY/3.1 that exec, attach and port-forward need: bytes in, frames out, and back. Only computes.

Kubernetes is the last that speaks it, and no Python library does. No flow control: kubectl's side (moby/spdystream) has none
either, so WINDOW_UPDATE means nothing here. Source: "SPDY Protocol - Draft 3.1", and kubectl.
"""

import struct
import zlib
from dataclasses import dataclass, field

DATA = 0  # not a number of SPDY's: its data frames have no type
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1  # the flag of a stream's last frame
VERSION = 3
MOST_HEADERS = 1 << 16  # bytes of a header block, unpacked
# What both sides' compression begins with: words, each after its length, and then a text (section 2.6.10.1).
_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|"
    "allow|authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|"
    "content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|"
    "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|"
    "proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritativ"
    "e Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 I"
    "nternal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"
    " 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xm"
    "l,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
_DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split("|")) + _TEXT.encode()


class BrokenFrame(ConnectionError):
    """Bytes that are no frame of SPDY/3.1: the connection is of no more use."""


@dataclass(frozen=True)
class Frame:
    """A frame. kind: one of the types above. stream: its number (a PING's own number)."""

    kind: int
    stream: int
    flags: int = 0
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def last(self) -> bool:
        """Whether the sender's half of the stream ends with it."""
        return bool(self.flags & FIN)


class Connection:
    """One side of a connection: what compression and half-read frames need to be remembered. No I/O."""

    def __init__(self) -> None:
        self._waiting = b""
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=_DICTIONARY)

    def received(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises BrokenFrame."""
        self._waiting += data
        found = []
        while len(self._waiting) >= 8:
            first, rest = struct.unpack(">II", self._waiting[:8])
            flags, length = rest >> 24, rest & 0xFFFFFF
            if len(self._waiting) < 8 + length:
                break
            payload, self._waiting = self._waiting[8 : 8 + length], self._waiting[8 + length :]
            if not first >> 31:
                found.append(Frame(DATA, first, flags, payload))
                continue
            if first >> 16 & 0x7FFF != VERSION:
                raise BrokenFrame(f"version {first >> 16 & 0x7FFF}")
            found.append(self._control(first & 0xFFFF, flags, payload))
        return found

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame:
        if kind == SETTINGS:
            return Frame(kind, 0, flags, payload)
        if len(payload) < 4:
            raise BrokenFrame("a control frame ends too soon")
        number = struct.unpack(">I", payload[:4])[0]
        if kind != PING:
            number &= 0x7FFFFFFF
        start = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}.get(kind)
        if start is None:
            return Frame(kind, number, flags, payload[4:])
        return Frame(kind, number, flags, b"", self._headers(payload[start:]))

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            data = self._inflate.decompress(block, MOST_HEADERS)
            count, at, found = struct.unpack(">I", data[:4])[0], 4, {}
            for _ in range(count):
                texts = []
                for _ in range(2):
                    size = struct.unpack(">I", data[at : at + 4])[0]
                    texts.append(data[at + 4 : at + 4 + size].decode())
                    at += 4 + size
                found[texts[0].lower()] = texts[1]
        except (zlib.error, struct.error, ValueError) as error:
            raise BrokenFrame(f"headers: {error}") from None
        return found

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY: a stream that the other side opened is taken."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, struct.pack(">I", stream) + block)


def data(stream: int, payload: bytes, last: bool = False) -> bytes:
    """A data frame."""
    return struct.pack(">II", stream, (FIN if last else 0) << 24 | len(payload)) + payload


def reset(stream: int, status: int = 5) -> bytes:
    """RST_STREAM; status 5: cancelled."""
    return _control(RST_STREAM, struct.pack(">II", stream, status))


def ping(number: int) -> bytes:
    """PING, also as the answer to one of the same number."""
    return _control(PING, struct.pack(">I", number))


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">II", 1 << 31 | VERSION << 16 | kind, len(payload)) + payload
