"""How much memory a container's processes take together, and its end where that is more than its limit.

There is no cgroup that a container could be held in, so a limit is a matter of looking often.
"""

import asyncio
import os
from pathlib import Path

from labs.embedded.api import quantities
from labs.embedded.spawn import Started

PERIOD = 0.5  # seconds between two looks
_COUNTED = ("Pss_Anon:", "Pss_Shmem:")  # of /proc/PID/smaps_rollup: what no file backs; shared pages in equal parts


async def hold(process: Started, limit: str) -> None:
    """Ends a container's first process, and so all others, once they take more than the limit, a quantity; then returns."""
    most = quantities.value(limit) or 0
    while used(process.pid) <= most:
        await asyncio.sleep(PERIOD)
    process.kill()


def used(process: int) -> int:
    """Bytes that all processes in the PID namespace of that one have; 0 where it has ended."""
    try:
        space = os.readlink(f"/proc/{process}/ns/pid")
    except OSError:
        return 0
    return sum(_of_process(entry) for entry in os.listdir("/proc") if entry.isdigit() and _is_in(entry, space))


def _is_in(entry: str, space: str) -> bool:
    try:
        return os.readlink(f"/proc/{entry}/ns/pid") == space
    except OSError:  # it has just ended
        return False


def _of_process(entry: str) -> int:
    try:
        lines = Path("/proc", entry, "smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_COUNTED))
