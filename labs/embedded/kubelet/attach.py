"""Joins a container's own process, as `kubectl attach` and `kubectl run -it` do: its output from now on, and its stdin."""

import asyncio

from labs.embedded.kubelet import exec as execs
from labs.embedded.kubelet.container import ContainerRun
from labs.embedded.runtime import NoContainer


class Attached:
    """Implements runtime.Process. Several may be attached at once."""

    def __init__(self, run: ContainerRun) -> None:
        if run.process is None:
            raise NoContainer(f'container not found ("{run.name}")')
        self._run, self._process = run, run.process
        self._pieces: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        run.taps.add(self._pieces)

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; None when the container has ended."""
        return await self._pieces.get()

    async def write(self, data: bytes) -> None:
        """Writes to its stdin, if the container has one (`stdin: true`)."""
        if self._run.stdin >= 0:
            await execs.feed(self._run.stdin, data, self._process.ended)

    async def close_stdin(self) -> None:
        """With `stdinOnce: true` its stdin ends with the first who was attached."""
        if self._run.spec.get("stdinOnce"):
            self._run.close_stdin()

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has another size."""
        if self._run.spec.get("tty") and self._run.stdin >= 0:
            execs.resize(self._run.stdin, rows, columns)

    async def wait(self) -> int:
        """The container's exit code."""
        return await asyncio.shield(self._process.ended)

    def kill(self) -> None:
        """The client has gone; the container stays."""
        self._run.taps.discard(self._pieces)
