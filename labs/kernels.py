"""How JupyterLab and its kernels talk: by sockets in a folder that only its owner may enter.

Jupyter's default is TCP on loopback, and what a kernel tells there (each cell, and what it prints) any account of this machine
may listen to: the key in a connection file is for those who send. Starts neither JupyterLab nor kernels.
"""

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

_NAME = "kubernetes-ports-live"


@dataclass(frozen=True)
class Channels:
    """What JupyterLab is to be started with. warning: of what stays open to others, or ""."""

    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    warning: str = ""


def channels() -> Channels:
    """The channels of this machine: Unix sockets, in the first folder that can hold them; made where it is missing."""
    if not hasattr(socket, "AF_UNIX"):
        return Channels()
    for folder in _folders():
        if _is_private(folder) and _holds_sockets(folder):
            return Channels(("--KernelManager.transport=ipc",), {"JUPYTER_RUNTIME_DIR": str(folder)})
    return Channels(
        warning="No folder here can hold the sockets of your kernels, so they use TCP: other accounts of this machine can read "
        "what your cells print. XDG_RUNTIME_DIR can name a folder with a short path that only you may enter."
    )


def _folders() -> Iterator[Path]:
    """Where the sockets may be, the best first: Jupyter's own folder; then such as have a short path."""
    places = [Path(jupyter_runtime_dir())]
    if os.environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(os.environ["XDG_RUNTIME_DIR"], _NAME))
    for place in places:
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield place
    for parent in (tempfile.gettempdir(), "/tmp"):
        with suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="jupyter-", dir=parent))  # a name that nobody could take before
            yield made
            made.rmdir()  # it was not taken


def _is_private(folder: Path) -> bool:
    """Whether it is a folder of ours that nobody else may enter."""
    found = folder.lstat()
    return folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid() and found.st_mode & 0o077 == 0


def _holds_sockets(folder: Path) -> bool:
    """Whether a socket with a kernel's name can be there: neither is the path too long (107 bytes on Linux, 103 on macOS),
    nor the file system one without sockets."""
    path = folder / f"kernel-{uuid.uuid4()}-ipc-10"  # as jupyter_client names them (connect.py)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(path))
        return True
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)
