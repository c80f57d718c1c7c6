"""The channels between a client of exec or attach and a process: stdin, stdout, stderr, the end's Status, the terminal's size.

Carried in one WebSocket, numbered (v5 and v4.channel.k8s.io; the Python client, kubectl from 1.31 on), or as a SPDY stream each
(v4.channel.k8s.io; older kubectl). Does not know processes. Source: k8s.io/client-go/tools/remotecommand and kubelet's
pkg/cri/streaming/remotecommand.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Protocol

from aiohttp import WSMsgType, web

from labs.embedded.api import spdy, spdy_session, websockets
from labs.embedded.api.spdy import Frame
from labs.embedded.api.spdy_session import Session, Upgraded

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
IN_WEBSOCKET = ("v5.channel.k8s.io", "v4.channel.k8s.io")
IN_SPDY = ("v4.channel.k8s.io",)
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}  # SPDY streams by `streamType`
MESSAGE_LIMIT = 4 << 20  # bytes of a WebSocket's message
OPENING = 30.0  # seconds for a client to open its streams


class Channels(Protocol):
    """What a client and a process have between them."""

    response: web.StreamResponse

    def received(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """What comes from the client, by channel; None where it has ended that one. Ends when the client goes."""

    async def send(self, channel: int, data: bytes) -> None:
        """To the client; nothing where it did not ask for that channel. ConnectionError where it has gone."""

    async def close(self, said: bool) -> None:
        """Ends the connection. said: the client was told how it ended, so it reads that and goes first."""


def wanted(stdin: bool, stdout: bool, stderr: bool, tty: bool) -> set[int]:
    """The channels of a request; a terminal has no stderr of its own."""
    asked = {STDIN: stdin, STDOUT: stdout, STDERR: stderr and not tty, ERROR: True, RESIZE: tty}
    return {channel for channel, given in asked.items() if given}


async def opened(request: web.Request, asked: Collection[int]) -> Channels:
    """Upgrades the request as it asks. Raises Refused; ConnectionError where the client does not go on."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        socket = await websockets.accepted(request, IN_WEBSOCKET, MESSAGE_LIMIT)
        await socket.send_bytes(bytes([STDOUT if STDOUT in asked else STDERR]))  # tells the client that the connection stands
        return InWebSocket(socket, asked)
    wire = await spdy_session.upgraded(request, IN_SPDY)
    streams = InSpdy(wire, asked)
    try:
        await streams.open()
    except BaseException:
        await wire.close()
        raise
    return streams


class InWebSocket:
    """Numbered: each message's first byte is its channel. Implements Channels."""

    def __init__(self, socket: web.WebSocketResponse, asked: Collection[int]) -> None:
        self.response: web.StreamResponse = socket
        self._socket = socket
        self._asked = asked

    async def received(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """What comes from the client."""
        async for message in self._socket:
            data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY) or not data:
                continue
            if data[0] == CLOSE:  # its payload is the channel that ends
                for channel in data[1:2]:
                    yield channel, None
            else:
                yield data[0], data[1:]

    async def send(self, channel: int, data: bytes) -> None:
        """To the client."""
        if channel in self._asked:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def close(self, said: bool) -> None:
        """Ends the WebSocket; its own closing waits for the client's."""
        await self._socket.close()


class InSpdy:
    """A stream a channel; the client opens them all before anything else. Implements Channels."""

    def __init__(self, wire: Upgraded, asked: Collection[int]) -> None:
        self.response = wire.response
        self._session = Session(wire)
        self._asked = asked
        self._frames = self._session.frames()
        self._early: list[Frame] = []  # data that came while other streams were not there yet
        self._streams: dict[int, int] = {}  # by channel

    async def open(self) -> None:
        """Returns when the client has opened its streams. ConnectionError where it does not, or goes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPENING):
                async for frame in self._frames:
                    if frame.kind == spdy.SYN_STREAM:
                        await self._open(frame)
                    else:
                        self._early.append(frame)
                    if len(self._streams) == len(self._asked):
                        return
        raise ConnectionResetError("the client did not open its streams")

    async def _open(self, frame: Frame) -> None:
        channel = NAMES.get(frame.headers.get("streamtype", ""))
        if channel is None or channel not in self._asked or channel in self._streams:
            await self._session.reset(frame.stream)
            return
        self._streams[channel] = frame.stream
        await self._session.accept(frame.stream)

    async def received(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """What comes from the client."""
        channels = {stream: channel for channel, stream in self._streams.items()}
        while self._early:
            for told in _told(self._early.pop(0), channels):
                yield told
        async for frame in self._frames:
            for told in _told(frame, channels):
                yield told

    async def send(self, channel: int, data: bytes) -> None:
        """To the client."""
        if channel in self._streams:
            await self._session.send(self._streams[channel], data)

    async def close(self, said: bool) -> None:
        """Ends our half of each stream, and the connection."""
        try:
            if said:
                for stream in self._streams.values():
                    await self._session.send(stream, b"", last=True)
                await self._session.leave()
        finally:
            await self._session.close()


def _told(frame: Frame, channels: dict[int, int]) -> list[tuple[int, bytes | None]]:
    """What a frame says, of those channels' streams."""
    if frame.stream not in channels:
        return []
    channel = channels[frame.stream]
    if frame.kind == spdy.RST_STREAM:
        return [(channel, None)]
    found: list[tuple[int, bytes | None]] = [(channel, frame.data)] if frame.data else []
    return [*found, (channel, None)] if frame.last else found
