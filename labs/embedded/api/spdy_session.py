"""A SPDY connection with one client: instead of HTTP after an upgrade (kubectl to 1.30), or inside a WebSocket (later ones).

Answers what is the connection's own (PING), and hands the frames of streams to who serves them (channels.py, forwarding.py).
What the bytes are is spdy.py's matter. Source: k8s.io/apimachinery/pkg/util/httpstream, in Go.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import WSMsgType, web

from labs.embedded.api import spdy, status
from labs.embedded.api.spdy import Connection, Frame

UPGRADE = "SPDY/3.1"
VERSIONS = "X-Stream-Protocol-Version"  # of what is spoken in the streams, as a client offers them and we choose
PIECE = 64 * 1024  # bytes read at once
LEAVING = 10.0  # seconds for a client to go, once all is said


class Wire(Protocol):
    """What carries a session's bytes."""

    async def receive(self) -> bytes | None:
        """What came next; None where the client has gone."""

    async def send(self, data: bytes) -> None:
        """Sends all of it. ConnectionError where the client has gone."""

    async def close(self) -> None:
        """Ends the connection."""


class Session:
    """The frames of one connection. Several tasks may send."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._connection = Connection()

    async def frames(self) -> AsyncIterator[Frame]:
        """The frames that streams are made of, until the client goes. Raises BrokenFrame."""
        while (data := await self._wire.receive()) is not None:
            for frame in self._connection.received(data):
                if frame.kind in (spdy.SYN_STREAM, spdy.DATA, spdy.RST_STREAM):
                    yield frame
                elif frame.kind == spdy.PING and frame.stream % 2:  # the client's; ours would be even
                    await self._wire.send(spdy.ping(frame.stream))

    async def accept(self, stream: int) -> None:
        """Takes a stream that the client opened."""
        await self._wire.send(self._connection.reply(stream))

    async def reset(self, stream: int) -> None:
        """Refuses a stream that the client opened."""
        await self._wire.send(spdy.reset(stream))

    async def send(self, stream: int, data: bytes, last: bool = False) -> None:
        """Sends data; `last` ends our half of the stream."""
        await self._wire.send(spdy.data(stream, data, last))

    async def leave(self) -> None:
        """Waits, when all is said, until the client has gone: to close while it sends would destroy what it has not read."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LEAVING):
                while await self._wire.receive() is not None:
                    pass

    async def close(self) -> None:
        """Ends the connection."""
        await self._wire.close()


class InWebSocket:
    """SPDY's bytes as binary messages. Implements Wire."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes | None:
        """The next binary message's bytes."""
        async for message in self._socket:
            if message.type == WSMsgType.BINARY:
                return bytes(message.data)
        return None

    async def send(self, data: bytes) -> None:
        """Sends a message."""
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        """Ends the WebSocket."""
        await self._socket.close()


class Upgraded:
    """SPDY's bytes as they are, on the connection that the request came by. Implements Wire."""

    def __init__(self, response: web.StreamResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.response = response  # what a handler of aiohttp's has to return
        self._reader, self._writer = reader, writer

    async def receive(self) -> bytes | None:
        """What came next."""
        try:
            return await self._reader.read(PIECE) or None
        except OSError:  # TLS' errors, too: it went without a goodbye
            return None

    async def send(self, data: bytes) -> None:
        """Sends it, as fast as the client reads."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectionResetError(str(error)) from None

    async def close(self) -> None:
        """Ends the connection, also where the client does not answer."""
        self._writer.close()
        with contextlib.suppress(OSError):  # a TimeoutError is one
            await asyncio.wait_for(self._writer.wait_closed(), LEAVING)
        self._writer.transport.abort()


async def upgraded(request: web.Request, spoken: Sequence[str]) -> Upgraded:
    """Accepts `Upgrade: SPDY/3.1`. spoken: what may be spoken in the streams. Refused where the client offers none of it."""
    offered = [one.strip() for given in request.headers.getall(VERSIONS, []) for one in given.split(",")]
    chosen = next((one for one in offered if one in spoken), "")
    if not chosen:
        client, server = " ".join(offered), " ".join(spoken)
        why = f"unable to upgrade: unable to negotiate protocol: client supports [{client}], server accepts [{server}]"
        raise status.Refused(403, "Forbidden", why)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    reader = asyncio.StreamReader(PIECE)
    protocol = _TakenOver(reader, request.protocol)
    protocol.connection_made(transport)
    transport.set_protocol(protocol)
    headers = {"Connection": "Upgrade", "Upgrade": UPGRADE, VERSIONS: chosen}
    response = web.StreamResponse(status=101, headers=headers)
    writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
    await response.prepare(request)
    return Upgraded(response, reader, writer)


class _TakenOver(asyncio.StreamReaderProtocol):
    """Bytes instead of aiohttp's requests: it upgrades to WebSockets only. It counts its connections, so it is told the end."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.Protocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        self._before.connection_lost(exc)
