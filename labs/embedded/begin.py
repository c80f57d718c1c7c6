"""The cluster's process in its first moments: goes into namespaces of its own, and becomes the server there.

`python -m labs.embedded.begin SETTINGS`, started by launch.py. It imports little, since the server begins anew: by an
interpreter that is mounted read-only. A Pod's process that is a copy of the server's (zygote.py) could otherwise write to the
program file of the Python that the user runs, where that is the user's own.
"""

import os
import sys
from typing import NoReturn

from labs.embedded import kernel
from labs.embedded.settings import Settings, tell


def main(argument: str) -> NoReturn:
    """Becomes the cluster's server. What it cannot have (OSError) is told to launch.py."""
    settings = Settings.read(argument)
    try:
        _enter(settings)
        _protect(os.path.realpath(sys.executable))
        os.execv(sys.executable, [sys.executable, "-m", "labs.embedded.server", argument])
    except OSError as error:
        tell(settings.ready, {"error": str(error)})
        raise


def _enter(settings: Settings) -> None:
    """The first process in the new namespaces goes on; the one that came here tells its number and ends."""
    kernel.become(0, 0, kernel.NEWNET | kernel.NEWNS | kernel.NEWPID)
    pid = os.fork()
    if pid:
        tell(settings.ready, {"pid": pid})
        os._exit(0)
    kernel.leave_keyring()
    kernel.mount("", "/", flags=kernel.REC | kernel.PRIVATE)
    kernel.mount("proc", "/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)


def _protect(program: str) -> None:
    """That file is read-only from now on, for whoever runs it from here."""
    shown, place = (os.open(program, os.O_PATH | os.O_CLOEXEC) for _ in range(2))
    kernel.show(shown, place, read_only=True)
    os.close(shown)
    os.close(place)


if __name__ == "__main__":
    main(sys.argv[1])
