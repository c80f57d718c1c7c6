"""Shells that stay open where a course asks from again and again: to begin an exec takes ten times as long as its curl.

A shell works on a session: an exec of `sh` in a Pod, as the Python client gives it (kubernetes.stream.ws_client.WSClient), or
a `LocalSession`. Knows no cluster, and not what is run.
"""

import os
import re
import secrets
import selectors
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from websocket import WebSocketException

MOST_RUNS = 200  # of one shell: then it has cost next to nothing, and whatever it has gathered is let go
IDLE_LIMIT = 60.0  # seconds unused: the laptop may have slept meanwhile, and a connection can be gone without a word
# Seconds. To read stderr lets the Python client take in what comes for stdout meanwhile, which `update` would not wake for.
LOOK_AGAIN = 0.02


class Lost(Exception):
    """The shell ended, or its connection, before the command's end was seen."""


class Late(Exception):
    """The command was still running when its time was over."""


class Session(Protocol):
    """A process with stdin, stdout and stderr. `update` waits, timeout in seconds, until there is something to read."""

    def is_open(self) -> bool: ...
    def write_stdin(self, data: str) -> None: ...
    def update(self, timeout: float) -> None: ...
    def read_stdout(self, timeout: float) -> str: ...
    def read_stderr(self, timeout: float) -> str: ...
    def read_all(self) -> str: ...
    def close(self, *, timeout: float) -> None: ...


class Shells:
    """The open shells, by the place that they are in. For any thread."""

    def __init__(self) -> None:
        self._unused: dict[Hashable, list[Shell]] = {}
        self._lock = threading.Lock()

    def run(self, place: Hashable, opened: Callable[[], Session], command: Sequence[str], limit: float) -> tuple[int, str, str]:
        """A command's exit code, and what it wrote to stdout and to stderr. limit in seconds. Raises Lost, Late.

        opened: begins a `sh` in that place, where none is open and unused; what it raises is passed on.
        """
        shell = self._kept(place) or Shell(opened())
        try:
            found = shell.run(command, limit)
        except (Lost, Late):
            shell.close()
            raise
        with self._lock:
            self._unused.setdefault(place, []).append(shell)
        return found

    def _kept(self, place: Hashable) -> "Shell | None":
        """A shell that is open there and unused; from now on the caller's alone."""
        while True:
            with self._lock:
                kept = self._unused.get(place)
                shell = kept.pop() if kept else None
            if shell is None or shell.good():
                return shell
            shell.close()


class Shell:
    """One shell: one command at a time, from one thread at a time. After Lost or Late it is of no more use."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._mark = secrets.token_hex(8)  # no answer has it, whoever writes it
        self._ended = re.compile(rf"\x1e{self._mark} (\d+)\x1e")
        self._runs = 0
        self._used = time.time()  # not the monotonic clock, which stands still while a laptop sleeps

    def good(self) -> bool:
        """Whether it may be used once more."""
        return self._session.is_open() and self._runs < MOST_RUNS and 0 <= time.time() - self._used < IDLE_LIMIT

    def run(self, command: Sequence[str], limit: float) -> tuple[int, str, str]:
        """The command's exit code, and what it wrote to stdout and to stderr. limit in seconds. Raises Lost, Late."""
        self._runs += 1
        try:
            self._session.write_stdin(self._line(command))
            return self._read(time.monotonic() + limit)
        except (WebSocketException, OSError) as error:
            raise Lost(str(error)) from error

    def close(self) -> None:
        """Ends it; does not wait for a farewell, which a broken connection has none of."""
        self._session.close(timeout=0)

    def _line(self, command: Sequence[str]) -> str:
        """What the shell is told: the command, with nothing to read, and then a mark on stdout and stderr."""
        marks = f"printf '\\036%s %d\\036' {self._mark} $?; printf '\\036%s\\036' {self._mark} >&2"
        return f"( {shlex.join(command)} ) </dev/null; {marks}\n"

    def _read(self, end: float) -> tuple[int, str, str]:
        out = err = ""
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Late
            self._session.update(timeout=min(left, LOOK_AGAIN))
            out += self._session.read_stdout(timeout=0)
            err += self._session.read_stderr(timeout=0)
            done, errors = self._ended.search(out), err.partition(f"\x1e{self._mark}\x1e")
            if done and errors[1]:
                self._session.read_all()  # lets go of its copy
                self._used = time.time()
                return int(done[1]), out[: done.start()], errors[0]
            if not self._session.is_open():
                raise Lost("the shell ended")


class LocalSession:
    """A session with a process of this machine, as of `docker exec --interactive`. OSError where it cannot be started."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        # Out of our process group: a kernel that is to end waits for all of its group, and this one ends after us, as its
        # stdin does (ipykernel/kernelbase.py, _progressively_terminate_all_children). Nor does an interrupt reach it.
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True)
        self._read: dict[str, bytes] = {"out": b"", "err": b""}
        self._selector = selectors.DefaultSelector()
        for name, stream in (("out", self._process.stdout), ("err", self._process.stderr)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, name)

    def is_open(self) -> bool:
        """Whether it still has stdout or stderr open."""
        return bool(self._selector.get_map())

    def write_stdin(self, data: str) -> None:
        """Writes to it. OSError where it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(data.encode())

    def update(self, timeout: float) -> None:
        """Waits until there is something to read, and keeps it; timeout in seconds."""
        for key, _ in self._selector.select(timeout):
            some = os.read(key.fd, 65536)
            self._read[key.data] += some
            if not some:
                self._selector.unregister(key.fileobj)

    def read_stdout(self, timeout: float) -> str:
        """What it has written to stdout, once."""
        return self._taken("out")

    def read_stderr(self, timeout: float) -> str:
        """What it has written to stderr, once."""
        return self._taken("err")

    def read_all(self) -> str:
        """Nothing: no copy is kept."""
        return ""

    def close(self, *, timeout: float) -> None:
        """Ends it."""
        self._process.kill()
        with self._process:  # closes the pipes, and waits for its end
            self._selector.close()

    def _taken(self, name: str) -> str:
        found, self._read[name] = self._read[name], b""
        return found.decode("utf-8", "replace")
