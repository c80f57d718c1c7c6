"""What the API asks of the nodes: the subresources of Pods that touch processes. Shapes only; node.py has the work."""

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from socket import socket
from typing import Any, Protocol

STDOUT, STDERR = 1, 2  # channels of a process' output


class NoContainer(Exception):
    """There is no such container, or it does not run (yet, any more); its words are for the client."""


class Process(Protocol):
    """A process that was started in a container by exec."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output and its channel (with a tty all of it is STDOUT); None when both have ended."""

    async def write(self, data: bytes) -> None:
        """Writes to its stdin. What arrives after its end is dropped."""

    async def close_stdin(self) -> None:
        """Its stdin ends."""

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has another size; without a tty nothing happens."""

    async def wait(self) -> int:
        """Its exit code, as a shell tells it (128 + number for a signal)."""

    def kill(self) -> None:
        """Ends it at once: the client has gone."""


class Runtime(Protocol):
    """The nodes, as the API sees them. `pod` is always the stored object."""

    def logs(
        self,
        pod: dict[str, Any],
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> AsyncIterator[bytes]:
        """What a container wrote, as `kubectl logs` shows it. NoContainer, on the first step, where it has not started."""

    async def exec(self, pod: dict[str, Any], container: str, command: list[str], *, stdin: bool, tty: bool) -> Process:
        """Runs a command in a container. NoContainer where it does not run; OSError where the command cannot be run."""

    async def attach(self, pod: dict[str, Any], container: str, *, stdin: bool, tty: bool) -> Process:
        """Joins the container's first process: its output from now on. NoContainer where it does not run."""

    async def connect(self, pod: dict[str, Any], port: int) -> tuple[StreamReader, StreamWriter]:
        """A TCP connection to 127.0.0.1:port inside the Pod's network namespace. OSError where nobody listens."""

    def control_plane_socket(self) -> socket:
        """A TCP socket of the control plane's network, from where the API server asks Pods by itself; not connected."""

    async def stop(self, pod: dict[str, Any], grace: float) -> None:
        """Told when a deletionTimestamp appears: ends the Pod's processes, then removes it from the store. grace: seconds."""
