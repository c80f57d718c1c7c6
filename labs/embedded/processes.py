"""What /proc tells of processes: when one was started, whether it is stopped, whose child it is, which namespace it is in.

Only reads. Numbers are those that the reader sees.
"""

import os
from pathlib import Path


def begun(pid: int) -> str:
    """When a process was started (field 22 of /proc/PID/stat); "" where there is none, or it has ended."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] not in "ZX" else ""


def is_ours(pid: int) -> bool:
    """Whether a process is of this user: anybody may give a process any arguments, and numbers come again.

    By its real user in /proc/PID/status; the folder's owner is another one where a process may not be dumped (proc_pid(5)).
    """
    return _status(pid, "Uid")[:1] == [str(os.getuid())]


def is_stopped(pid: int) -> bool:
    """Whether somebody has stopped a process (SIGSTOP, Ctrl-Z), so that it does nothing."""
    return _stat(pid)[:1] == ["T"]


def children(pid: int) -> list[int]:
    """The processes that one has started itself, and that run."""
    return [other for other in every() if _stat(other)[1:2] == [str(pid)]]


def every() -> list[int]:
    """All processes."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def together(pid: int, other: int) -> bool:
    """Whether two processes are in one PID namespace. False where one has ended, or is another user's."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{other}/ns/pid")
    except OSError:
        return False


def seen_from_here(first: int, inner: dict[str, int]) -> dict[str, int]:
    """The numbers that processes of the PID namespace of `first` have here, by the same names. KeyError where one has ended."""
    outer: dict[int, int] = {}
    for pid in every():
        if together(first, pid):
            outer[_innermost(pid)] = pid
    return {name: outer[pid] for name, pid in inner.items()}


def _innermost(pid: int) -> int:
    """The number that a process has in its own PID namespace; 0 where it has ended."""
    return int(next(reversed(_status(pid, "NSpid")), 0))


def _status(pid: int, name: str) -> list[str]:
    """The words of a line of /proc/PID/status (proc_pid_status(5)); none where there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith(f"{name}:")), [])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc_pid_stat(5)); none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []
