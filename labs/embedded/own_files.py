"""The one reader and writer of the files that we keep for ourselves: state, settings, facts.

Whoever uses a machine for a while has such a file gone, cut, or with a folder or a link in its place. So a file is written
whole or not at all, what is read must be a file of ours, and what stands in a file's place is put aside, never written to.
OSError and ValueError say what is wrong; what that means to a learner is for others to say (labs/home.py).
"""

import errno
import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

_MOST = 64 << 20  # bytes; none of our files comes near


def read(path: Path) -> bytes:
    """What is in a file. OSError where it cannot be read; ValueError where it is no file, not ours, or too large to be one.

    A link is followed: what is read is judged, and `write` takes the link's place.
    """
    try:
        opened = _open(path)
    except PermissionError:
        if not _regain(path):
            raise
        opened = _open(path)
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a file")
        if not _is_ours(status):
            raise ValueError(f"it belongs to another user (number {status.st_uid})")
        if status.st_size > _MOST:
            raise ValueError(f"it has {status.st_size} bytes")
        with open(opened, "rb", closefd=False) as file:
            return file.read(_MOST)
    finally:
        os.close(opened)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for a writer
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link that leads to itself") from error
        if error.errno == errno.ENXIO:
            raise ValueError("it is a socket") from error
        raise


def parse_json(text: str | bytes) -> Any:
    """What JSON says. ValueError where it is none, or deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write(path: Path, text: str, mode: int = 0o600, durable: bool = False) -> None:
    """Writes a file whole, or leaves what was there. A link is replaced, and a folder put aside. OSError, ValueError.

    mode: for a new file, less the umask. durable: it survives a power cut that comes after the return.
    """
    part = _part(path)
    try:
        made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(made, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(made)
        _take_place(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the new name, too
        finally:
            os.close(folder)


def link(path: Path, target: Path) -> None:
    """A link to `target` is there afterwards, in place of whatever was there; as `write`. OSError."""
    part = _part(path)
    part.symlink_to(target)
    try:
        _take_place(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _part(path: Path) -> Path:
    """A name beside it that nobody else uses."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


def _take_place(part: Path, path: Path) -> None:
    try:
        part.replace(path)
    except IsADirectoryError:
        put_aside(path)
        part.replace(path)


def create(path: Path) -> int:
    """A descriptor for writing a new, empty file, which takes the place of whatever was there. OSError."""
    remove(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def remove(path: Path) -> None:
    """A file or link is gone afterwards; what is in its place (a folder, which may have something in it) is put aside."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):  # POSIX says EPERM of a folder, Linux EISDIR
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise
        put_aside(path)


def make_folder(path: Path) -> None:
    """A folder of ours is there afterwards; anything else in its place, a link to a folder too, is put aside. OSError."""
    with suppress(FileNotFoundError):
        if not (stat.S_ISDIR(path.lstat().st_mode) and _regain(path)):
            put_aside(path)
    path.mkdir(mode=0o700, exist_ok=True)


def lock(path: Path, timeout: float = -1) -> FileLock:
    """The lock of that name, not yet held; what is no file of ours is put aside. timeout: in seconds; -1: no limit. OSError."""
    with suppress(FileNotFoundError):
        # Older filelocks would empty the file that a link leads to.
        if not (stat.S_ISREG(path.lstat().st_mode) and _regain(path)):
            put_aside(path)
    return FileLock(path, timeout=timeout)


def _regain(path: Path) -> bool:
    """Whether it is ours and we may use it; a right that a slip of chmod has taken from us is given back."""
    status = path.lstat()
    if status.st_uid != os.geteuid() or stat.S_ISLNK(status.st_mode):
        return False
    wanted = stat.S_IRWXU if stat.S_ISDIR(status.st_mode) else stat.S_IRUSR | stat.S_IWUSR
    if status.st_mode & wanted != wanted:
        path.chmod(stat.S_IMODE(status.st_mode) | wanted)
    return True


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (os.geteuid(), 0)


def put_aside(path: Path) -> Path:
    """Gives what is there another name, which is returned: "ports.damaged1.log" for "ports.log"."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.damaged{number}{path.suffix}")):
        number += 1
    return path.rename(aside)
