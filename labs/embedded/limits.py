"""How many files and processes the kernel allows (setrlimit(2)), and what the cluster takes of it.

Never asks for more than the hard limit, which only the machine's root could have.
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

FILES_NEEDED, PROCESSES_NEEDED = 256, 128  # with these it was tried; a lesson's Pods fit, and a few more
_PROCESSES_FREE = 64  # of them, as others of the user's count, too
PROCESSES_OF_PODS = 512  # of all Pods together; the machine itself must stay usable
_SHARE_OF_PODS = 3, 4  # of the processes that the user may have: with the rest the cluster still writes rules


@dataclass(frozen=True)
class Limits:
    """The hard limits here: open files of a process, processes of this user; None where there is none. running: how many
    processes the user has now (threads count as such)."""

    files: int | None
    processes: int | None
    running: int = 0

    @property
    def enough(self) -> bool:
        """Whether a cluster fits."""
        files, processes = self.files or FILES_NEEDED, self.processes or PROCESSES_NEEDED
        free = _PROCESSES_FREE if self.processes is None else self.processes - self.running
        return files >= FILES_NEEDED and processes >= PROCESSES_NEEDED and free >= _PROCESSES_FREE


def here() -> Limits:
    """Those of this process. The number of processes is not limited for root (kernel/fork.c, copy_process)."""
    processes = _hard(resource.RLIMIT_NPROC) if os.getuid() else None
    return Limits(_hard(resource.RLIMIT_NOFILE), processes, _running() if processes is not None else 0)


def processes_of_pods() -> int:
    """How many processes all Pods may have together."""
    most = _hard(resource.RLIMIT_NPROC)
    part, whole = _SHARE_OF_PODS
    return PROCESSES_OF_PODS if most is None else min(PROCESSES_OF_PODS, most * part // whole)


def lower(kind: int, most: int) -> None:
    """This process, and what it starts, has at most so many of that kind; fewer where its hard limit is lower already."""
    hard = _hard(kind)
    allowed = most if hard is None else min(most, hard)
    resource.setrlimit(kind, (allowed, allowed))


def take_all(kind: int) -> None:
    """This process has as many of that kind as its hard limit allows."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (hard, hard))


def _hard(kind: int) -> int | None:
    _, hard = resource.getrlimit(kind)
    return None if hard == resource.RLIM_INFINITY else hard


def _running() -> int:
    """The threads of this user's processes."""
    count = 0
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            lines = Path(f"/proc/{entry}/status").read_text("ascii", "replace").splitlines()
        except OSError:  # it has ended
            continue
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        if int(status["Uid"].split()[0]) == os.getuid():
            count += int(status["Threads"])
    return count
