"""What a container wrote, line by line with its time: the newest part of it is kept, and can be followed.

Holds no file. `kubectl logs` and its options are in `read`.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 1 << 20  # bytes of each container's log; a kubelet keeps 10 MiB before it rotates (containerLogMaxSize)


@dataclass(frozen=True)
class Line:
    """One write of a container, up to the end of a line. when: nanoseconds since the epoch. number: counts them."""

    number: int
    when: int
    channel: int
    data: bytes


class Log:
    """One container's log, from its start to its end."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._size = 0
        self._count = 0
        self._begun = {1: b"", 2: b""}  # of a line whose end has not come
        self._changed = asyncio.Event()
        self.ended = False

    def write(self, channel: int, data: bytes) -> None:
        """Takes what the container wrote to its stdout (1) or stderr (2)."""
        *whole, rest = (self._begun[channel] + data).split(b"\n")
        self._begun[channel] = rest
        for text in whole:
            self._add(channel, text + b"\n")
        if len(rest) > 16384:  # so does the runtime: a line that long is kept in pieces
            self._add(channel, rest)
            self._begun[channel] = b""
        self._tell()

    def end(self) -> None:
        """Nothing more will come."""
        for channel, rest in self._begun.items():
            if rest:
                self._add(channel, rest)
        self.ended = True
        self._tell()

    def _add(self, channel: int, data: bytes) -> None:
        self._count += 1
        self._lines.append(Line(self._count, time.time_ns(), channel, data))
        self._size += len(data)
        while self._size > KEPT:
            self._size -= len(self._lines.popleft().data)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def lines(self, after: int = 0) -> list[Line]:
        """The lines that are kept, after that number."""
        if after >= self._count:
            return []
        return [line for line in self._lines if line.number > after]

    async def follow(self, after: int = 0) -> AsyncIterator[Line]:
        """Each line after that number, until the container has ended."""
        while True:
            changed = self._changed
            for line in self.lines(after):
                after = line.number
                yield line
            if self.ended and not self.lines(after):
                return
            if changed is self._changed:
                await changed.wait()

    def tail(self, lines: int, most: int) -> str:
        """The last lines, and of them the last bytes, as text."""
        data = b"".join(line.data for line in list(self._lines)[-lines:])
        return data[-most:].decode("utf-8", "replace")


async def read(
    log: Log,
    *,
    follow: bool,
    tail_lines: int | None,
    since_seconds: float | None,
    timestamps: bool,
    limit_bytes: int | None,
) -> AsyncIterator[bytes]:
    """A log as `kubectl logs` asks for it."""
    kept = log.lines()
    last = kept[-1].number if kept else 0
    if since_seconds is not None:
        begin = time.time_ns() - int(since_seconds * 1e9)
        kept = [line for line in kept if line.when >= begin]
    if tail_lines is not None:
        kept = kept[len(kept) - min(tail_lines, len(kept)) :]
    left = limit_bytes if limit_bytes is not None else 1 << 62
    for data in _shown(kept, timestamps):
        yield data[:left]
        left -= len(data)
        if left <= 0:
            return
    if not follow:
        return
    async for line in log.follow(last):
        for data in _shown([line], timestamps):
            yield data[:left]
            left -= len(data)
            if left <= 0:
                return


def _shown(lines: Iterable[Line], timestamps: bool) -> Iterable[bytes]:
    for line in lines:
        if timestamps:
            moment = datetime.fromtimestamp(line.when // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            yield f"{moment}.{line.when % 10**9:09d}Z ".encode() + line.data
        else:
            yield line.data
