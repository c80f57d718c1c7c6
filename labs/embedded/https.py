"""The API by TLS, on sockets of any network namespace: who connects is given a short while to show the token.

What is asked and answered is the application's matter (api/server.py); how connections are taken is listeners.py's.
"""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from labs.embedded.api import access, status
from labs.embedded.api.server import HTTP
from labs.embedded.listeners import Waiting, accept

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Extra = Callable[[], Awaitable[object]]
PATIENCE = 10.0  # seconds for a client to show the token; a real server gives 32 for a request's headers
STRANGERS = 32  # connections of a listener, at most, whose clients have not shown it
GRACE = 1.0  # seconds that each of these has where more want to come
_TLS_RECORD = 0x16  # the first byte of a TLS handshake (RFC 8446, 5.1)
_PIECE = 65536
_TLS_BUFFER = 32768  # bytes; more than a record has (16 KiB; RFC 8446, 5.1)
# What Go's net/http says to a client that does not speak TLS (src/net/http/server.go).
_NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


@dataclass(frozen=True)
class _Stranger:
    """A connection whose client has not shown the token. known: done when it has."""

    known: asyncio.Future[None]
    patience: asyncio.Timeout


class Https:
    """An aiohttp application behind TLS. extras: paths beside Kubernetes' own: POST one with the token, and it answers what its
    function returns, or 204 where that is None."""

    def __init__(self, app: web.Application, context: ssl.SSLContext, token: str, extras: Mapping[str, Extra]) -> None:
        for path, extra in extras.items():
            app.router.add_post(path, functools.partial(self._extra, extra))
        app.middlewares.insert(0, self._met)
        self._context, self._token = context, token
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, logger=_logger(), **HTTP)
        self._tasks: list[asyncio.Task[None]] = []
        self._strangers: dict[object, _Stranger] = {}  # by aiohttp's handler of the connection

    async def start(self) -> None:
        """Before the first `listen`."""
        sslproto.SSLProtocol.max_size = _TLS_BUFFER  # of each connection, written whole when it begins: 256 KiB else
        await self._runner.setup()

    def listen(self, listening: socket.socket, kubelet: bool = False) -> None:
        """Serves who connects there. kubelet: a socket that is there, as a kubelet's, and talks to nobody."""
        listening.setblocking(False)
        take = self._refuse if kubelet else self._take
        self._tasks.append(asyncio.create_task(accept(listening, take, Waiting(STRANGERS, GRACE))))

    async def _take(self, connection: socket.socket) -> None:
        """Returns when the client has shown the token; ends the connection where it does not in time."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            if not await _speaks_tls(connection):
                connection.close()
                return
        assert self._runner.server is not None
        handler, known = self._runner.server(), loop.create_future()
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(None) as patience:
                self._strangers[handler] = _Stranger(known, patience)
                transport, _ = await loop.connect_accepted_socket(
                    lambda: handler, connection, ssl=self._context, ssl_handshake_timeout=PATIENCE
                )
                patience.reschedule(loop.time() + PATIENCE)
                await known
        finally:
            self._strangers.pop(handler, None)
            if transport is None:
                with contextlib.suppress(OSError):  # asyncio has it, and lets it go when it ends
                    connection.shutdown(socket.SHUT_RDWR)
            elif not known.done():
                transport.abort()

    async def _refuse(self, connection: socket.socket) -> None:
        with contextlib.closing(connection):
            async with asyncio.timeout(PATIENCE):
                await _speaks_tls(connection)

    async def _extra(self, extra: Extra, request: web.Request) -> web.Response:
        if not access.admits(request.headers, self._token):
            raise status.unauthorized()
        found = await extra()
        return web.Response(status=204) if found is None else web.json_response(found)

    @web.middleware
    async def _met(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Learns of each request whether its client has the token; one without may ask again within the same time."""
        stranger = self._strangers.get(request.protocol)
        if stranger is None:
            return await handler(request)
        if access.admits(request.headers, self._token):
            if not stranger.known.done():
                stranger.known.set_result(None)
            return await handler(request)
        try:
            return await handler(request)
        finally:
            if self._strangers.get(request.protocol) is stranger:
                stranger.patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)


async def _speaks_tls(connection: socket.socket) -> bool:
    """Whether a client begins as TLS does. One that speaks HTTP is told so. Raises EOFError where it says nothing."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    return False


def _logger() -> logging.Logger:
    """aiohttp's own. What any account can have it say, of requests that are no HTTP or clients that have gone, goes unsaid."""
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(_is_about_us)
    return logger


def _is_about_us(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))
