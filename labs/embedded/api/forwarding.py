"""Port-forward: connections to a Pod's ports, carried in one of a client's. Two protocols: kubectl's (SPDY, a pair of streams a
connection) and the Python client's (numbered channels of a WebSocket, a pair a port).

What carries SPDY (a WebSocket; for kubectl to 1.30 an upgrade of HTTP's own) is spdy_session.py's matter.
"""

import asyncio
import contextlib
import struct
from typing import Any

from aiohttp import WSMsgType, web

from labs.embedded.api import spdy, spdy_session, status, websockets
from labs.embedded.api.gotext import parse_uint, quote
from labs.embedded.api.spdy import Frame
from labs.embedded.api.spdy_session import Session
from labs.embedded.runtime import Runtime

Object = dict[str, Any]
IN_SPDY, SPDY, CHANNELS = "portforward.k8s.io", "SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"
MESSAGE_LIMIT = 1 << 25  # bytes of a WebSocket's message
PIECE = 32 * 1024  # bytes read at once
WAITING = 256  # pieces of a connection that may wait for a slow Pod


async def answer(request: web.Request, pod: Object, runtime: Runtime) -> web.StreamResponse:
    """Speaks the protocol that the client asks for, until the client goes. Raises Refused."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        wire = await spdy_session.upgraded(request, [IN_SPDY])
        await _talked(_Streams(Session(wire), pod, runtime), wire)
        return wire.response
    ports = [_port(text) for given in request.query.getall("ports", []) for text in given.split(",")]
    offered = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if SPDY not in offered and not ports:
        raise status.bad_request('query parameter "ports" is required')
    socket = await websockets.accepted(request, (SPDY, CHANNELS), MESSAGE_LIMIT)
    if SPDY in offered:
        await _talked(_Streams(Session(spdy_session.InWebSocket(socket)), pod, runtime), socket)
    else:
        await _talked(_Channels(socket, pod, runtime, ports), socket)
    return socket


async def _talked(talk: "_Streams | _Channels", connection: web.WebSocketResponse | spdy_session.Upgraded) -> None:
    """Runs it until the client goes."""
    try:
        await talk.run()
    except ConnectionError:
        pass
    finally:
        await talk.end()
        with contextlib.suppress(ConnectionError):
            await connection.close()


def _port(text: str) -> int:
    try:
        if 1 <= (port := parse_uint(text)) <= 65535:
            return port
        why = f"strconv.ParseUint: parsing {quote(text)}: value out of range"
    except ValueError as error:
        why = str(error)
    raise status.bad_request(f"cannot convert to []int32: {why}")


def _refused(pod: Object, port: int, error: OSError) -> str:
    """What a container runtime says when nobody listens in the Pod."""
    words = (error.strerror or str(error)).lower()
    if "connect call failed" in words or isinstance(error, ConnectionRefusedError):
        words = f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
    place = pod["metadata"]["uid"]
    return (
        f"error forwarding port {port} to pod {place}, uid : failed to execute portforward in network namespace: "
        f'failed to connect to localhost:{port} inside namespace "{place}", IPv4: {words}'
    )


class _Talk:
    """What both protocols have: tasks, one a connection."""

    def __init__(self, pod: Object, runtime: Runtime) -> None:
        self.pod, self.runtime = pod, runtime
        self._tasks: set[asyncio.Task[None]] = set()

    async def end(self) -> None:
        """Ends its connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, work: Any) -> None:
        """Runs a connection's work beside the others."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a client that has gone: nobody is left to be told

    async def carry(self, port: int, pieces: "asyncio.Queue[bytes | None]", send: Any) -> None:
        """One connection: what comes from the client to the Pod, and back by `send`. Raises OSError where nobody listens."""
        reader, writer = await self.runtime.connect(self.pod, port)
        upward = asyncio.ensure_future(_feed(pieces, writer))
        try:
            while piece := await reader.read(PIECE):
                await send(piece)
        finally:
            upward.cancel()
            writer.close()


async def _feed(pieces: "asyncio.Queue[bytes | None]", writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while (piece := await pieces.get()) is not None:
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class _Streams(_Talk):
    """kubectl's protocol: for each connection an error stream and a data stream with the same request ID."""

    def __init__(self, session: Session, pod: Object, runtime: Runtime) -> None:
        super().__init__(pod, runtime)
        self.session = session
        self.pieces: dict[int, asyncio.Queue[bytes | None]] = {}  # by data stream
        self.errors: dict[str, int] = {}  # error stream by request ID

    async def run(self) -> None:
        """Until the client goes."""
        async for frame in self.session.frames():
            await self._frame(frame)

    async def _frame(self, frame: Frame) -> None:
        if frame.kind == spdy.SYN_STREAM:
            await self._opened(frame)
        elif frame.kind == spdy.DATA and frame.stream in self.pieces:
            if frame.data:
                await self.pieces[frame.stream].put(frame.data)
            if frame.last:
                await self.pieces[frame.stream].put(None)
        elif frame.kind == spdy.RST_STREAM and frame.stream in self.pieces:
            await self.pieces[frame.stream].put(None)

    async def _opened(self, frame: Frame) -> None:
        kind, request = frame.headers.get("streamtype"), frame.headers.get("requestid", frame.headers.get("port", ""))
        port = frame.headers.get("port", "")
        try:
            number = _port(port)
        except status.Refused:
            number = 0
        if kind not in ("error", "data") or not number:
            await self.session.reset(frame.stream)
            return
        await self.session.accept(frame.stream)
        if kind == "error":
            self.errors[request] = frame.stream
            return
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self.pieces[frame.stream] = pieces
        if frame.last:
            await pieces.put(None)
        self.start(self._connection(frame.stream, self.errors.pop(request, 0), number, pieces))

    async def _connection(self, stream: int, error_stream: int, port: int, pieces: "asyncio.Queue[bytes | None]") -> None:
        async def send(piece: bytes) -> None:
            await self.session.send(stream, piece)

        try:
            await self.carry(port, pieces, send)
        except OSError as error:
            if error_stream:
                await self.session.send(error_stream, _refused(self.pod, port, error).encode())
        finally:
            self.pieces.pop(stream, None)
        await self.session.send(stream, b"", last=True)
        if error_stream:
            await self.session.send(error_stream, b"", last=True)


class _Channels(_Talk):
    """The Python client's protocol: channel 2n carries the n-th port's data, 2n + 1 its error; first the port's number."""

    def __init__(self, socket: web.WebSocketResponse, pod: Object, runtime: Runtime, ports: list[int]) -> None:
        super().__init__(pod, runtime)
        self.socket, self.ports = socket, ports
        self.pieces: list[asyncio.Queue[bytes | None]] = [asyncio.Queue(WAITING) for _ in ports]

    async def run(self) -> None:
        """Until the client goes."""
        for index, port in enumerate(self.ports):
            for channel in (2 * index, 2 * index + 1):
                await self.socket.send_bytes(bytes([channel]) + struct.pack("<H", port))
            self.start(self._connection(index, port))
        async for message in self.socket:
            data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            if (
                message.type in (WSMsgType.TEXT, WSMsgType.BINARY)
                and data
                and not data[0] % 2
                and data[0] // 2 < len(self.ports)
            ):
                await self.pieces[data[0] // 2].put(data[1:])

    async def _connection(self, index: int, port: int) -> None:
        async def send(piece: bytes) -> None:
            await self.socket.send_bytes(bytes([2 * index]) + piece)

        try:
            await self.carry(port, self.pieces[index], send)
        except OSError as error:
            await self.socket.send_bytes(bytes([2 * index + 1]) + _refused(self.pod, port, error).encode())
        if not [task for task in self._tasks if task is not asyncio.current_task()]:
            await self.socket.close()
