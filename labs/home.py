"""Where the course keeps its files on this machine: state (kubeconfigs, the chosen provider) and cache (downloads).

`LABS_HOME` puts both in one folder. Does not read or write what is in them.
"""

import os
from pathlib import Path

import platformdirs

from labs.errors import LabError

_NAME = "kubernetes-ports-live"


def state() -> Path:
    """The folder for kubeconfigs and choices, made where it is missing, for its owner alone. LabError if it cannot be."""
    home = os.environ.get("LABS_HOME")
    return _made(Path(home) / "state" if home else platformdirs.user_state_path(_NAME, appauthor=False))


def cache() -> Path:
    """The folder for downloads that can be had again, made where it is missing. LabError if it cannot be."""
    home = os.environ.get("LABS_HOME")
    return _made(Path(home) / "cache" if home else platformdirs.user_cache_path(_NAME, appauthor=False))


def cluster_name() -> str:
    """The name of the learner's cluster: `LABS_NAME`, else "ports"."""
    return os.environ.get("LABS_NAME", "ports")


def kubeconfig() -> Path:
    """Where the kubeconfig of the learner's own cluster is kept, whichever provider makes it."""
    return state() / f"{cluster_name()}.kubeconfig"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} is not writable")
    except OSError as error:
        raise LabError(
            f"The course cannot keep its files in {folder}.",
            str(error),
            "Set LABS_HOME to a folder that you may write to, and start again.",
        ) from error
    return folder.resolve()
