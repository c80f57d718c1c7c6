"""The cluster's process: goes into namespaces of its own, starts the zygote, and puts all parts together.

`python -m labs.embedded.server SETTINGS`, started by launch.py with the sockets that SETTINGS names. It is process 1 of its
PID namespace: when it ends, the kernel ends all that it started. What is imported late is what the zygote need not carry.
"""

import gc
import json
import os
import socket
import sys
from dataclasses import dataclass
from typing import Any, NoReturn

from labs.embedded import kernel, zygote

_ROOM_FOR_PODS = "mode=700,size=256m"  # of memory, for the Pods' small files


@dataclass(frozen=True)
class Settings:
    """What launch.py passes on. name: the cluster's. run: an empty folder. api, ready: descriptors of the API's socket and of
    the pipe on which a line is awaited; mappings: node port → descriptor of a socket."""

    name: str
    node_network: str
    run: str
    api: int
    ready: int
    mappings: dict[int, int]

    def text(self) -> str:
        """As the one argument of the server, long enough to give room to other names (zygote.ROOM)."""
        return json.dumps(self.__dict__).ljust(zygote.ROOM)

    @classmethod
    def read(cls, text: str) -> "Settings":
        """From that argument."""
        given = json.loads(text)
        return cls(**{**given, "mappings": {int(port): fd for port, fd in given["mappings"].items()}})


def main(argument: str) -> NoReturn:
    """Runs the cluster; never returns."""
    settings = Settings.read(argument)
    try:
        _enter(settings)
        asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # a collection would write to all that is shared with the zygote
        if os.fork() == 0:
            for fd in (settings.api, settings.ready, *settings.mappings.values()):
                os.close(fd)
            asking.close()
            zygote.serve(asked, settings.run)
        asked.close()
        from labs.embedded.certificates import Making
        from labs.embedded.plan import AddressPlan

        plan = AddressPlan(settings.name, settings.node_network)
        certificates = Making(plan)
        from labs.embedded import assembly

        assembly.run(settings, plan, asking, certificates)
    except OSError as error:
        tell(settings.ready, {"error": str(error)})
        raise
    sys.exit(0)


def _enter(settings: Settings) -> None:
    """Into namespaces of its own; the first process there goes on, the one that came here tells its number and ends."""
    kernel.become(0, 0, kernel.NEWNET | kernel.NEWNS | kernel.NEWPID)
    pid = os.fork()
    if pid:
        tell(settings.ready, {"pid": pid})
        os._exit(0)
    kernel.mount("", "/", flags=kernel.REC | kernel.PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    kernel.mount("tmpfs", settings.run, "tmpfs", kernel.NOSUID | kernel.NODEV, _ROOM_FOR_PODS)
    kernel.set_process_name("labs-cluster")


def tell(ready: int, words: dict[str, Any]) -> None:
    """A line for launch.py."""
    os.write(ready, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
