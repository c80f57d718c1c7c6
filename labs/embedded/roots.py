"""A container's root while it is put together: each path in it is resolved inside it, whatever links a volume holds.

Resolves, makes and mounts; what belongs in a root is sandbox.py's to say. Descriptors are O_PATH, and the caller's to close.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from labs.embedded import kernel

_FOLDER = os.O_PATH | os.O_DIRECTORY


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """A descriptor, closed after the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def below(folder: int, path: str, make: bool = False) -> int:
    """What is at `path` below a folder; links in it lead on as long as they stay below it.

    make: a folder, where nothing is there. OSError: EXDEV or ELOOP where a step would lead out of the folder.
    As kubelet does it for subPath (pkg/volume/util/subpath/subpath_linux.go, doSafeOpen and doSafeMakeDir).
    """
    try:
        return kernel.open_below(folder, path or ".", kernel.BENEATH)
    except FileNotFoundError:
        if not make:
            raise
    above, _, name = path.rstrip("/").rpartition("/")
    with opened(below(folder, above, make)) as parent:
        os.mkdir(name, 0o755, dir_fd=parent)
        return kernel.open_below(parent, name, kernel.BENEATH | kernel.NO_SYMLINKS, _FOLDER)


class Root:
    """A folder that becomes somebody's root. Links and ".." in it lead to places inside it, and never into its /proc."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, _FOLDER | os.O_CLOEXEC)

    def open(self, path: str, flags: int = os.O_PATH) -> int:
        """What is at that path."""
        return kernel.open_below(self.descriptor, path, kernel.IN_ROOT, flags)

    def folder(self, path: str) -> int:
        """The folder at that path, made with those above it where they are missing."""
        reached = "."
        for part in path.split("/"):
            if part in ("", "."):
                continue
            step = f"{reached}/{part}"
            try:
                os.close(self.open(step, _FOLDER))
            except FileNotFoundError:
                with opened(self.open(reached, _FOLDER)) as parent:
                    os.mkdir(part, 0o755, dir_fd=parent)
            reached = step
        return self.open(reached, _FOLDER)

    def file(self, path: str) -> int:
        """The file at that path, made empty where nothing is there, with the folders above it."""
        above, _, name = path.rstrip("/").rpartition("/")
        with opened(self.folder(above)) as parent:
            try:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
            except FileExistsError:
                pass
        return self.open(path)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A new file with that text."""
        above, _, name = path.rpartition("/")
        with opened(self.folder(above)) as parent:
            made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=parent)
        with open(made, "w", encoding="utf-8") as file:
            file.write(text)

    def show(self, source: int, path: str, read_only: bool = False) -> None:
        """Mounts a file or folder at that path. OSError where that is in /proc: runc's words (libcontainer/rootfs_linux.go)."""
        is_folder = stat.S_ISDIR(os.fstat(source).st_mode)
        with opened(self.folder(path) if is_folder else self.file(path)) as target:
            if os.path.samestat(os.fstat(target), os.fstat(self.descriptor)):
                raise OSError(f'"{path}" cannot be mounted over the root')
            if self._in_proc(target):
                raise OSError(f'"{path}" cannot be mounted because it is inside /proc')
            kernel.show(source, target, read_only)

    def _in_proc(self, target: int) -> bool:
        try:
            with opened(self.open("proc")) as proc:
                return os.fstat(proc).st_dev == os.fstat(target).st_dev != os.fstat(self.descriptor).st_dev
        except FileNotFoundError:
            return False
