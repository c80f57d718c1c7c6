"""A process that `kubectl exec` started, or a container's own that it attached to: its output, its stdin, its terminal."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from labs.embedded.runtime import STDERR, STDOUT
from labs.embedded.spawn import Started

_PIECES = 32  # of output, held until they are read
_DRAIN = 10.0  # seconds that output is waited for after the process has ended: somebody else may hold its pipes

Start = Callable[[tuple[int, int, int]], Awaitable[Started]]


@dataclass
class Pipes:
    """The server's ends of a process' stdin, stdout and stderr; -1 where there is none."""

    stdin: int = -1
    outputs: dict[int, int] = field(default_factory=dict)  # channel → descriptor


async def feed(fd: int, data: bytes, ended: asyncio.Future[int]) -> None:
    """Writes all of it to a non-blocking descriptor; what is left when the process has ended is dropped."""
    loop = asyncio.get_running_loop()
    left = memoryview(data)
    while left and not ended.done():
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_writer(fd, lambda ready=ready: None if ready.done() else ready.set_result(None))  # type: ignore[misc]
            try:
                both: list[asyncio.Future[Any]] = [ready, ended]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                loop.remove_writer(fd)
        except OSError:
            return


def resize(terminal: int, rows: int, columns: int) -> None:
    """A terminal has another size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Running:
    """Implements runtime.Process."""

    def __init__(self, process: Started, pipes: Pipes, tty: bool) -> None:
        self._process, self._tty, self._terminal = process, tty, pipes.stdin if tty else -1
        self._pieces: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(_PIECES)
        self._pumps = [asyncio.create_task(self._pump(channel, fd)) for channel, fd in pipes.outputs.items()]
        self._end = asyncio.create_task(self._ended())
        self._stdin = pipes.stdin
        self._writing = asyncio.Lock()

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; None at the end."""
        return await self._pieces.get()

    async def write(self, data: bytes) -> None:
        """Writes to its stdin."""
        async with self._writing:
            if self._stdin >= 0:
                await feed(self._stdin, data, self._process.ended)

    async def close_stdin(self) -> None:
        """Its stdin ends; on a terminal that is Ctrl-D."""
        if self._tty:
            await self.write(b"\x04")
        elif self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has another size."""
        if self._tty and self._terminal >= 0:
            resize(self._terminal, rows, columns)

    async def wait(self) -> int:
        """Its exit code."""
        return await asyncio.shield(self._process.ended)

    def kill(self) -> None:
        """Ends it."""
        self._process.kill()
        for pump in self._pumps:
            pump.cancel()

    async def _pump(self, channel: int, fd: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                ready: asyncio.Future[None] = loop.create_future()
                loop.add_reader(fd, lambda ready=ready: None if ready.done() else ready.set_result(None))  # type: ignore[misc]
                try:
                    await ready
                finally:
                    loop.remove_reader(fd)
                try:
                    data = os.read(fd, 32768)
                except BlockingIOError:
                    continue
                except OSError:  # a terminal ends with EIO
                    return
                if not data:
                    return
                await self._pieces.put((channel, data))
        finally:
            if fd == self._stdin:
                self._stdin = -1
            if fd == self._terminal:
                self._terminal = -1
            os.close(fd)

    async def _ended(self) -> None:
        await asyncio.shield(self._process.ended)
        _, late = await asyncio.wait(self._pumps, timeout=_DRAIN)
        for pump in late:
            pump.cancel()
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1
        await self._pieces.put(None)


async def start(how: Start, stdin: bool, tty: bool) -> Running:
    """Starts a process with pipes, or with a terminal, between it and us. OSError where it cannot be started."""
    return Running(*await connected(how, stdin, tty), tty)


async def connected(how: Start, stdin: bool, tty: bool) -> tuple[Started, Pipes]:
    """Starts a process, and gives our ends of what is between it and us. OSError where it cannot be started."""
    if tty:
        ours, theirs = os.openpty()
        return await _started(how, (theirs, theirs, theirs), Pipes(ours, {STDOUT: ours}))
    out, err = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    given = os.pipe2(os.O_CLOEXEC) if stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1)
    return await _started(how, (given[0], out[1], err[1]), Pipes(given[1], {STDOUT: out[0], STDERR: err[0]}))


async def _started(how: Start, theirs: tuple[int, int, int], pipes: Pipes) -> tuple[Started, Pipes]:
    ours = {fd for fd in (pipes.stdin, *pipes.outputs.values()) if fd >= 0}
    for fd in ours:
        os.set_blocking(fd, False)
    try:
        return await how(theirs), pipes
    except BaseException:
        for fd in ours:
            os.close(fd)
        raise
    finally:
        for fd in set(theirs):
            os.close(fd)
