"""A Pod's files: a file system of its own in memory, and whether it holds more than it may. Knows no containers' states.

Where a kubelet lets a Pod use the node's disk, here it is memory of the learner's machine: a Pod has LIMIT and no more. It is
evicted past that, in the kubelet's words (pkg/kubelet/eviction: eviction_manager.go, helpers.go).
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labs.embedded import kernel
from labs.embedded.api import quantities

Object = dict[str, Any]
LIMIT = 64 << 20  # bytes of a Pod's files together
PERIOD = 1.0  # seconds between two looks; a kubelet looks every 10
_SHOWN_LIMIT = "64Mi"
# What a Pod can take until somebody looks, so that it is evicted and not only told that there is no room; and its many files.
_OPTIONS = f"mode=755,size={LIMIT + (8 << 20)},nr_inodes=16k"
_COUNTING_LIMIT = 10.0  # seconds


class Storage:
    """The files of one Pod. volumes: its emptyDirs, by name, with what they say."""

    def __init__(self, folder: Path, spec: Object) -> None:
        """Makes the folder. OSError where that cannot be."""
        self.folder = folder
        self.empty_dirs: dict[str, Object] = {
            volume["name"]: volume["emptyDir"] for volume in spec.get("volumes") or [] if "emptyDir" in volume
        }
        folder.mkdir(parents=True, exist_ok=True)
        kernel.mount("tmpfs", str(folder), "tmpfs", kernel.NOSUID | kernel.NODEV, _OPTIONS)

    def volume(self, name: str) -> Path:
        """The folder of a volume, made; whoever runs in the Pod may write to it."""
        folder = self.folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        return folder

    def remove(self) -> None:
        """Takes all of it away."""
        try:
            kernel.unmount(str(self.folder))
            self.folder.rmdir()
        except OSError:  # it was taken away before
            pass

    async def excess(self, roots: Mapping[str, tuple[str, str]]) -> str:
        """What is too much, as an eviction says it; "" where nothing is.

        roots: of each container with a limit of ephemeral storage, its root as the server sees it, and the limit.
        """
        for name, (root, limit) in roots.items():
            if _used(root) > _bytes(limit):
                return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
        limits = {name: given.get("sizeLimit") or "0" for name, given in self.empty_dirs.items()}
        limits = {name: limit if 0 < _bytes(limit) < LIMIT else _SHOWN_LIMIT for name, limit in limits.items()}
        used = _used(str(self.folder))
        if not limits or used <= min(map(_bytes, limits.values())):
            return ""
        for name, limit in limits.items():
            if await _counted(self.folder / "volumes" / name) > _bytes(limit):
                return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
        whole = f"Pod ephemeral local storage usage exceeds the total limit of containers {_SHOWN_LIMIT}. "
        return whole if used > LIMIT else ""


def _bytes(quantity: str) -> int:
    return int(quantities.value(quantity) or 0)


def _used(folder: str) -> int:
    """Bytes that are taken in the file system there; 0 where there is none any more."""
    try:
        seen = os.statvfs(folder)
    except OSError:
        return 0
    return (seen.f_blocks - seen.f_bfree) * seen.f_frsize


async def _counted(folder: Path) -> int:
    """Bytes of what is in a folder, however deep: a Pod may have made it so that Python's own ways end in a RecursionError."""
    counting = await asyncio.create_subprocess_exec(
        "du", "--summarize", "--one-file-system", "--block-size=1", "--", str(folder),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_COUNTING_LIMIT):
            said, _ = await counting.communicate()
    except BaseException:
        counting.kill()
        raise
    number = said.split(b"\t")[0]
    return int(number) if number.isdigit() else 0
