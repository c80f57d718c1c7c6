"""The embedded API's streams by SPDY, as kubectl speaks it: after an upgrade of HTTP (to 1.30), or in a WebSocket (later)."""

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import pytest

from labs.embedded.api import channels, spdy, spdy_session
from tests.embedded_world import TOKEN, World, listener, world

PODS = "/api/v1/namespaces/n/pods"
FORWARD = f"{PODS}/p/portforward"
LIMIT = 10.0  # seconds for anything that is waited for
WAYS = ("upgrade", "WebSocket")


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n") as made:
        made.pod()
        yield made


class Client(spdy.Connection):
    """kubectl's end: opens streams, and takes frames."""

    def __init__(self, wire: "Upgrade | WebSocket") -> None:
        super().__init__()
        self.wire = wire
        self._frames: list[spdy.Frame] = []

    async def open(self, number: int, **headers: str) -> None:
        """Opens a stream, whether it is accepted or not."""
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower(), value):
                block += struct.pack(">I", len(text)) + text.encode()
        block = self._deflate.compress(block) + self._deflate.flush(2)
        await self.wire.send(spdy._control(spdy.SYN_STREAM, struct.pack(">IIH", number, 0, 0) + block))

    async def say(self, stream: int, data: bytes, last: bool = False) -> None:
        """Sends data."""
        await self.wire.send(spdy.data(stream, data, last))

    async def next(self) -> spdy.Frame | None:
        """The next frame; None where the server has ended the connection."""
        async with asyncio.timeout(LIMIT):
            while not self._frames:
                data = await self.wire.receive()
                if not data:
                    return None
                self._frames += self.received(data)
        return self._frames.pop(0)

    async def heard(self, *streams: int) -> dict[int, bytes]:
        """What comes on these streams until the server has ended all of them."""
        found, ended = dict.fromkeys(streams, b""), set[int]()
        while ended < set(streams):
            frame = await self.next()
            assert frame is not None, "the server ended the connection"
            if frame.kind == spdy.DATA:
                found[frame.stream] += frame.data
                ended |= {frame.stream} if frame.last else set()
        return found


class Wire(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class Upgrade:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> bytes:
        return await self.reader.read(65536)


class WebSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, data: bytes) -> None:
        await self.socket.send_bytes(data)

    async def receive(self) -> bytes:
        message = await self.socket.receive()
        return bytes(message.data) if message.type == aiohttp.WSMsgType.BINARY else b""


@contextlib.asynccontextmanager
async def connected(embedded: World, path: str, spoken: str, way: str = "upgrade") -> AsyncIterator[Client]:
    """A connection, its way from WAYS; its end is a client that vanishes without a word."""
    if way == "WebSocket":
        headers = {"Authorization": f"Bearer {TOKEN}"}
        session = aiohttp.ClientSession(embedded.base, headers=headers)
        async with session, session.ws_connect(path, protocols=[f"SPDY/3.1+{spoken}"], max_msg_size=0) as socket:
            assert socket.protocol == f"SPDY/3.1+{spoken}"
            yield Client(WebSocket(socket))
        return
    there = urlsplit(embedded.base)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    lines = [f"POST {path} HTTP/1.1", f"Host: {there.netloc}", f"Authorization: Bearer {TOKEN}", "Content-Length: 0"]
    lines += ["Connection: Upgrade", "Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {spoken}"]
    lines += ["X-Stream-Protocol-Version: of-old"]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        answer = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)).decode()
        assert answer.startswith("HTTP/1.1 101 ") and f"X-Stream-Protocol-Version: {spoken}\r\n" in answer
        yield Client(Upgrade(reader, writer))
    finally:
        writer.transport.abort()


def executing(embedded: World, *command: str, stdin: bool = False, tty: bool = False) -> Any:
    """A connection for exec."""
    words = "&".join(f"command={word}" for word in command)
    query = f"stdin={stdin}&stdout=true&stderr=true&tty={tty}&{words}".lower()
    return connected(embedded, f"{PODS}/p/exec?{query}", "v4.channel.k8s.io")


def ended(embedded: World, which: int = 0) -> int:
    """The exit code of a process that was started, once it has ended."""
    waiting = embedded.runtime.started[which].wait()
    return int(asyncio.run_coroutine_threadsafe(waiting, embedded.loop).result(LIMIT))


# --- port-forward


@pytest.mark.parametrize("way", WAYS)
def test_port_forward_many_at_a_time(way: str, embedded: World) -> None:
    async def forward(port: int) -> dict[int, bytes]:
        async with connected(embedded, FORWARD, "portforward.k8s.io", way) as client:
            for index, there in enumerate([port, port, 1]):
                number = 4 * index + 1
                for stream, kind in ((number, "error"), (number + 2, "data")):
                    await client.open(stream, streamType=kind, port=str(there), requestID=str(index))
                await client.say(number, b"", last=True)
                request = spdy.data(number + 2, f"GET /{index} HTTP/1.0\r\n\r\n".encode())
                await client.wire.send(request[:5])  # in pieces, as a network may
                await client.wire.send(request[5:])
            return await client.heard(1, 3, 5, 7, 9, 11)

    with listener() as port:
        found = asyncio.run(forward(port))
    assert found[3].endswith(b"/0" * 100_000) and found[7].endswith(b"/1" * 100_000)
    assert b"connect: connection refused" in found[9]
    assert found[1] == found[5] == found[11] == b""


@pytest.mark.parametrize("way", WAYS)
def test_pings_are_answered_and_unknown_streams_refused(way: str, embedded: World) -> None:
    async def ask() -> list[tuple[int, int]]:
        async with connected(embedded, FORWARD, "portforward.k8s.io", way) as client:
            await client.wire.send(spdy.ping(7) + spdy.ping(8))  # 8: an answer, to nothing
            await client.wire.send(spdy._control(spdy.WINDOW_UPDATE, struct.pack(">II", 1, 1 << 20)))
            await client.open(1, streamType="data", port="65536", requestID="1")
            await client.open(3, streamType="error", port="80", requestID="2")
            frames = [await client.next() for _ in range(3)]
            return [(frame.kind, frame.stream) for frame in frames if frame]

    assert asyncio.run(ask()) == [(spdy.PING, 7), (spdy.RST_STREAM, 1), (spdy.SYN_REPLY, 3)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x09" + b"\x00" * 6,
        spdy._control(spdy.SYN_STREAM, b"\x00" * 10 + b"nonsense"),
        b"\x80\x03\x00\x06" + b"\x00" * 4,
    ],
    ids=["another version", "headers that are none", "a ping of no length"],
)
def test_broken_frames_end_the_connection_and_nothing_else(way: str, data: bytes, embedded: World) -> None:
    async def send() -> None:
        async with connected(embedded, FORWARD, "portforward.k8s.io", way) as client:
            await client.wire.send(data)
            assert await client.next() is None

    asyncio.run(send())
    assert embedded.ask("GET", PODS + "/p").status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_connections_into_the_pod_end_with_their_client(way: str, embedded: World) -> None:
    async def leave() -> None:
        come, gone = asyncio.Event(), asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(len(b"half a request"))
            come.set()
            if not await reader.read():
                gone.set()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connected(embedded, FORWARD, "portforward.k8s.io", way) as client:
                for stream, kind in ((1, "error"), (3, "data")):
                    await client.open(stream, streamType=kind, port=str(port), requestID="1")
                    assert await client.next() == spdy.Frame(spdy.SYN_REPLY, stream)
                await client.say(3, b"half a request")
                await asyncio.wait_for(come.wait(), LIMIT)
            await asyncio.wait_for(gone.wait(), LIMIT)

    asyncio.run(leave())
    nothing_is_left(embedded)


# --- exec


async def all_opened(client: Client, *names: str) -> None:
    """Opens streams 1, 3, 5, … and waits until they are accepted."""
    for index, name in enumerate(names):
        await client.open(2 * index + 1, streamType=name)
        assert await client.next() == spdy.Frame(spdy.SYN_REPLY, 2 * index + 1)


def test_each_stream_carries_its_own(embedded: World) -> None:
    async def run() -> dict[int, bytes]:
        async with executing(embedded, "sh", "-c", "cat%3Becho+bad+%3E%262%3Bexit+4", stdin=True) as client:
            await all_opened(client, "error", "stdin", "stdout", "stderr")
            await client.say(3, b"wo")
            await client.say(3, b"rds", last=True)
            return dict(await client.heard(1, 3, 5, 7))

    found = asyncio.run(run())
    assert (found[3], found[5], found[7]) == (b"", b"words", b"bad\n")
    assert json.loads(found[1])["details"]["causes"] == [{"reason": "ExitCode", "message": "4"}]


def test_what_comes_before_all_streams_are_open_is_kept(embedded: World) -> None:
    async def run() -> dict[int, bytes]:
        async with executing(embedded, "cat", stdin=True, tty=True) as client:
            await all_opened(client, "stdin")
            await client.say(1, b"early", last=True)
            await client.open(3, streamType="stderr")  # a terminal has none
            assert await client.next() == spdy.Frame(spdy.RST_STREAM, 3, data=struct.pack(">I", 5))
            for stream, name in ((5, "resize"), (7, "stdout"), (9, "error")):
                await client.open(stream, streamType=name)
            await client.say(5, b'{"Width": 80, "Height": 24}')
            return dict(await client.heard(1, 5, 7, 9))

    found = asyncio.run(run())
    assert found[7] == b"early" and json.loads(found[9])["status"] == "Success"


def test_the_terminals_size(embedded: World) -> None:
    async def run() -> None:
        async with executing(embedded, "cat", stdin=True, tty=True) as client:
            await all_opened(client, "error", "stdin", "stdout", "resize")
            await client.say(7, b'{"Width": 80, "Height": 24}')
            await client.say(7, b"nonsense")
            await client.say(7, b'{"Width": 132, "Height": 50}')
            await client.say(3, b"", last=True)
            await client.heard(1, 3, 5, 7)

    asyncio.run(run())
    assert embedded.runtime.started[0].sizes == [(24, 80), (50, 132)]


def test_what_cannot_be_run_is_told_on_the_error_stream(embedded: World) -> None:
    async def run() -> dict[int, bytes]:
        async with executing(embedded, "/nowhere") as client:
            await all_opened(client, "error", "stdout", "stderr")
            return dict(await client.heard(1, 3, 5))

    assert 'exec: \\"/nowhere\\": executable file not found' in asyncio.run(run())[1].decode()


@pytest.mark.parametrize("unread", [0, 4_000_000])
def test_a_process_ends_with_its_client_read_or_unread(unread: int, embedded: World) -> None:
    """Also where it does not read its stdin, which then waits in front of the news."""

    async def leave() -> None:
        async with executing(embedded, "sleep", "600", stdin=True) as client:
            await all_opened(client, "error", "stdin", "stdout", "stderr")
            for _ in range(unread // 32_000):
                await client.say(3, bytes(32_000))
            await client.wire.send(spdy.ping(1))
            assert await client.next() == spdy.Frame(spdy.PING, 1)  # all of it has arrived

    asyncio.run(leave())
    assert ended(embedded) == 128 + 9
    nothing_is_left(embedded)


@pytest.mark.parametrize("names", [(), ("error", "stdout")])
def test_a_client_that_does_not_open_its_streams(
    names: Sequence[str], embedded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "OPENING", 0.3)

    async def wait() -> None:
        async with executing(embedded, "sleep", "600") as client:
            await all_opened(client, *names)
            assert await client.next() is None

    asyncio.run(wait())
    assert ended(embedded) == 128 + 9


def test_a_client_that_stays_after_the_end_is_left(embedded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spdy_session, "LEAVING", 0.3)

    async def stay() -> None:
        async with executing(embedded, "true") as client:
            await all_opened(client, "error", "stdout", "stderr")
            await client.heard(1, 3, 5)
            assert await client.next() is None

    asyncio.run(stay())


def test_what_a_client_still_sends_does_not_hide_the_end(embedded: World) -> None:
    """Closed while unread bytes wait, a connection is reset, and the client loses what it has not read."""

    async def run() -> dict[int, bytes]:
        async with executing(embedded, "head", "-c", "3", stdin=True) as client:
            await all_opened(client, "error", "stdin", "stdout", "stderr")
            for _ in range(100):
                await client.say(3, b"abc" * 10_000)
            return dict(await client.heard(1, 3, 5, 7))

    found = asyncio.run(run())
    assert found[5] == b"abc" and json.loads(found[1])["status"] == "Success"


def nothing_is_left(embedded: World) -> None:
    """The server has no connection any more, so it keeps nothing of those that have gone."""
    end = time.monotonic() + LIMIT
    while left := embedded.call(lambda: connections(embedded)):
        assert time.monotonic() < end, left
        time.sleep(0.02)


def connections(embedded: World) -> list[str]:
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks(embedded.loop)]  # type: ignore[union-attr]
    return [name for name in names if name.startswith("RequestHandler.")]
