"""What listens, beside the API (https.py): the laptop's node ports and DNS. Each takes connections and passes them on."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable

from labs.embedded import origin
from labs.embedded.links import socket_in
from labs.embedded.plan import AddressPlan
from labs.embedded.store import Store

log = logging.getLogger(__name__)
_PIECE = 65536
# Of a mapped port, so that no account can take all of this process' descriptors (two a connection); above what a browser or
# a load generator of a lesson has at once. A connection may last as long as it likes while there is room.
MAPPED, MAPPED_GRACE = 64, 10.0  # connections; seconds


async def accept(
    listening: socket.socket, take: Callable[[socket.socket], Awaitable[None]], waiting: "Waiting | None" = None
) -> None:
    """Takes connections for ever, each in a task of its own. waiting: what limits how many of these tasks there are."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    while True:
        if waiting is not None:
            await waiting.room()
        try:
            connection, _ = await loop.sock_accept(listening)
        except OSError as error:  # no descriptor is free: others will end
            log.warning("accept: %s", error)
            await asyncio.sleep(0.1)
            continue
        task = asyncio.ensure_future(_taken(connection, take))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if waiting is not None:
            waiting.add(task)


async def _taken(connection: socket.socket, take: Callable[[socket.socket], Awaitable[None]]) -> None:
    try:
        await take(connection)
    except (OSError, ssl.SSLError, TimeoutError, EOFError):
        connection.close()


class Waiting:
    """The connections of a listener whose clients have yet to show who they are, or need not. There are `most` at a time: one
    more waits until one of these is done, and ends the oldest that has had its time, so nobody takes all places for long."""

    def __init__(self, most: int, grace: float) -> None:
        self._most, self._grace = most, grace
        self._since: dict[asyncio.Task[None], float] = {}  # the oldest first

    def add(self, task: asyncio.Task[None]) -> None:
        """Counts a connection's task until it is done."""
        self._since[task] = asyncio.get_running_loop().time()
        task.add_done_callback(lambda done: self._since.pop(done, None))

    async def room(self) -> None:
        """Returns when there is room for one more."""
        while len(self._since) >= self._most:
            oldest, since = next(iter(self._since.items()))
            left = since + self._grace - asyncio.get_running_loop().time()
            if left <= 0:
                oldest.cancel()
            await asyncio.wait(self._since, timeout=max(left, 0.01), return_when=asyncio.FIRST_COMPLETED)


class Mapping:
    """A port of this laptop that leads to a node port. Takes a connection first, and closes it where nobody is behind.

    Any account of the laptop may connect, so what goes on from here is marked as coming from outside the cluster.
    """

    def __init__(self, listening: socket.socket, target: tuple[str, int]) -> None:
        listening.setblocking(False)
        self._target = target
        self._task = asyncio.create_task(accept(listening, self._take, Waiting(MAPPED, MAPPED_GRACE)))

    def close(self) -> None:
        """Takes no more."""
        self._task.cancel()

    async def _take(self, connection: socket.socket) -> None:
        here_reader, here = await asyncio.open_connection(sock=connection)
        with contextlib.closing(here), contextlib.suppress(OSError):
            there_reader, there = await asyncio.open_connection(sock=await self._onward())
            with contextlib.closing(there):
                await asyncio.gather(_copy(here_reader, there), _copy(there_reader, here))

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
