"""The server's end of the zygote: asks it to start processes, and knows when they have ended.

Does not know Pods. zygote.py is the other end, and says how messages look.
"""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a container has where nothing is dropped (opencontainers/runtime-spec as containerd fills it in, oci/spec.go).
DEFAULT_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip
MORE_CAPABILITIES = ("NET_ADMIN",)  # that a container may ask for: of its own network


@dataclass(frozen=True)
class Volume:
    """A volume, or what is at `sub_path` in it, that a container sees. source: the volume, in the folder of all Pods."""

    path: str
    source: str
    sub_path: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """How a process is to be contained.

    folder: the Pod's, in the folder of all Pods, with its etc/. log: the termination log's file in it; log_path: where the
    container sees it. user, group: the numbers that the process sees as its own; user 0 is the zygote's. agnhost: has the
    program /agnhost. seccomp: has the profile RuntimeDefault. host: not contained at all, but for the network namespace.
    """

    hostname: str = ""
    folder: str = ""
    log: str = ""
    log_path: str = ""
    volumes: tuple[Volume, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    read_only: bool = False
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    no_new_privileges: bool = False
    seccomp: bool = False
    user: int = 0
    group: int = 0
    agnhost: bool = False
    host: bool = False


class Started:
    """A process that runs. pid: as the server sees it. ended: its exit code, as a shell tells it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def signal(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if not self.ended.done():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """Ends it, and the group that it leads, at once."""
        if not self.ended.done():
            for end in (os.killpg, os.kill):
                try:
                    end(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class Spawner:
    """Starts processes by the zygote at the other end of a socket."""

    def __init__(self, zygote: socket.socket) -> None:
        self._zygote = zygote
        self._asked: dict[int, asyncio.Future[Started]] = {}
        self._running: dict[int, Started] = {}
        self._number = 0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(zygote.fileno(), self._heard)

    async def start(
        self,
        container: Container,
        command: Sequence[str],
        netns: int,
        standard: tuple[int, int, int],
        join: int = 0,
        tty: bool = False,
    ) -> Started:
        """Starts a command. standard: descriptors of its stdin, stdout and stderr (they stay the caller's, too).

        join: a running container's process; 0 makes a new container. OSError where the command cannot be run.
        """
        self._number += 1
        number = self._number
        spec: dict[str, Any] = {**asdict(container), "command": list(command), "join": join, "tty": tty}
        payload = os.memfd_create("spec", os.MFD_CLOEXEC)
        try:
            os.pwrite(payload, json.dumps(spec).encode(), 0)
            self._asked[number] = asyncio.get_running_loop().create_future()
            socket.send_fds(self._zygote, [str(number).encode()], [payload, netns, *standard])
        finally:
            os.close(payload)
        return await self._asked[number]

    def _heard(self) -> None:
        data = self._zygote.recv(65536)
        if not data:
            asyncio.get_running_loop().remove_reader(self._zygote.fileno())
            self.gone.set_result(None)
            return
        message = json.loads(data)
        number = message["id"]
        if "status" in message:
            status = message["status"]
            started = self._running.pop(number, None)  # None: it never ran the program
            if started is not None:
                started.ended.set_result(status if status >= 0 else 128 - status)
            return
        future = self._asked.pop(number)
        if message["error"]:
            errno, words = message["error"]
            error = OSError(errno, words) if errno else OSError(words)
            if not future.done():
                future.set_exception(error)
            return
        started = self._running[number] = Started(message["pid"])
        if future.done():  # nobody waits for it any more
            started.kill()
        else:
            future.set_result(started)
