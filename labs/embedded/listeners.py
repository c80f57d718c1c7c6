"""What listens: the API by TLS, on several sockets; the laptop's node ports; DNS. Each takes connections and passes them on."""

import asyncio
import contextlib
import hmac
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from labs.embedded import origin
from labs.embedded.links import socket_in
from labs.embedded.plan import AddressPlan
from labs.embedded.store import Store

log = logging.getLogger(__name__)
_TLS_RECORD = 0x16  # the first byte of a TLS handshake (RFC 8446, 5.1)
_PATIENCE = 30.0  # seconds for a client to say something
_PIECE = 65536
_TLS_BUFFER = 32768  # bytes; more than a record has (16 KiB; RFC 8446, 5.1)
# What Go's net/http says to a client that does not speak TLS (src/net/http/server.go).
_NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


async def _accept(listening: socket.socket, take: Callable[[socket.socket], Awaitable[None]]) -> None:
    """Takes connections for ever, each in a task of its own."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    while True:
        try:
            connection, _ = await loop.sock_accept(listening)
        except OSError as error:  # no descriptor is free: others will end
            log.warning("accept: %s", error)
            await asyncio.sleep(0.1)
            continue
        task = asyncio.ensure_future(_taken(connection, take))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _taken(connection: socket.socket, take: Callable[[socket.socket], Awaitable[None]]) -> None:
    try:
        await take(connection)
    except (OSError, ssl.SSLError, TimeoutError, EOFError):
        connection.close()


@dataclass(frozen=True)
class Extra:
    """A path beside Kubernetes' own: POST it with the token, and it answers what `wait` returns, or 204 where that is None."""

    path: str
    token: str
    wait: Callable[[], Awaitable[object]]

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to one request."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=401)
        found = await self.wait()
        return web.Response(status=204) if found is None else web.json_response(found)


class Https:
    """An aiohttp application behind TLS, on sockets of any network namespace."""

    def __init__(self, app: web.Application, context: ssl.SSLContext, extras: Iterable[Extra]) -> None:
        for extra in extras:
            app.router.add_post(extra.path, extra.answer)
        self._context = context
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Before the first `listen`."""
        sslproto.SSLProtocol.max_size = _TLS_BUFFER  # of each connection, written whole when it begins: 256 KiB else
        await self._runner.setup()

    def listen(self, listening: socket.socket, kubelet: bool = False) -> None:
        """Serves who connects there. kubelet: a socket that is there, as a kubelet's, and talks to nobody."""
        listening.setblocking(False)
        take = self._refuse if kubelet else self._take
        self._tasks.append(asyncio.create_task(_accept(listening, take)))

    async def _speaks_tls(self, connection: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(_PATIENCE):
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(connection, lambda: None if ready.done() else ready.set_result(None))
            try:
                await ready
            finally:
                loop.remove_reader(connection)
            first = connection.recv(1, socket.MSG_PEEK)
            if not first:
                raise EOFError
            if first[0] == _TLS_RECORD:
                return True
            connection.recv(_PIECE)
            await loop.sock_sendall(connection, _NOT_TLS)
            connection.shutdown(socket.SHUT_WR)
        connection.close()
        return False

    async def _take(self, connection: socket.socket) -> None:
        if await self._speaks_tls(connection):
            assert self._runner.server is not None
            await asyncio.get_running_loop().connect_accepted_socket(
                self._runner.server, connection, ssl=self._context, ssl_handshake_timeout=_PATIENCE
            )

    async def _refuse(self, connection: socket.socket) -> None:
        await self._speaks_tls(connection)
        connection.close()


class Mapping:
    """A port of this laptop that leads to a node port. Takes a connection first, and closes it where nobody is behind.

    Any account of the laptop may connect, so what goes on from here is marked as coming from outside the cluster.
    """

    def __init__(self, listening: socket.socket, target: tuple[str, int]) -> None:
        listening.setblocking(False)
        self._target = target
        self._task = asyncio.create_task(_accept(listening, self._take))

    def close(self) -> None:
        """Takes no more."""
        self._task.cancel()

    async def _take(self, connection: socket.socket) -> None:
        here_reader, here = await asyncio.open_connection(sock=connection)
        try:
            there_reader, there = await asyncio.open_connection(sock=await self._onward())
        except OSError:
            here.close()
            return
        try:
            await asyncio.gather(_copy(here_reader, there), _copy(there_reader, here))
        finally:
            here.close()
            there.close()

    async def _onward(self) -> socket.socket:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        origin.mark(connection)
        try:
            await asyncio.get_running_loop().sock_connect(connection, self._target)
        except BaseException:
            connection.close()
            raise
        return connection


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on what comes, and its end."""
    with contextlib.suppress(OSError):
        try:
            while data := await reader.read(_PIECE):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            writer.close()
            raise


class Dns:
    """The DNS servers: one a namespace that asks for it."""

    def __init__(self, store: Store, plan: AddressPlan) -> None:
        self._store, self._plan = store, plan

    def serve(self, netns: int) -> Callable[[], None]:
        """Answers on port 53 of that namespace until the function that is returned is called."""
        from labs.embedded import dns

        udp, tcp = (socket_in(netns, kind, "0.0.0.0", 53) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
        return dns.serve(self._store, self._plan, udp, tcp)
