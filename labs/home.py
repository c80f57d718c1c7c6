"""Where the course keeps its files on this machine: state (kubeconfigs, the chosen provider) and cache (downloads).

`LABS_HOME` puts both in one folder, `LABS_NAME` names the learner's cluster and its files. Both are judged here, before
anything is kept. Does not read or write what is in the folders.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from labs import strict_modes
from labs.errors import BadInput, LabError

_NAME = "kubernetes-ports-live"
# What kind takes (validNameRE in pkg/internal/apis/config/validate.go) and, with "-control-plane" behind it, is the name of a
# node, which is a DNS subdomain, and the value of its label kubernetes.io/hostname, which has at most 63 characters
# (apimachinery, pkg/util/validation: IsDNS1123Subdomain, IsValidLabelValue). Linux takes 64 of a host.
_CLUSTER_NAME = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9][a-z0-9-]*")
LONGEST_NAME = 63 - len("-control-plane")


def state() -> Path:
    """The folder for kubeconfigs and choices, made where it is missing, for its owner alone. LabError if it cannot be."""
    home = os.environ.get("LABS_HOME")
    return _made(Path(home) / "state" if home else platformdirs.user_state_path(_NAME, appauthor=False))


def cache() -> Path:
    """The folder for downloads that can be had again, made where it is missing. LabError if it cannot be."""
    home = os.environ.get("LABS_HOME")
    return _made(Path(home) / "cache" if home else platformdirs.user_cache_path(_NAME, appauthor=False))


def cluster_name() -> str:
    """The name of the learner's cluster: `LABS_NAME`, else "ports". BadInput where no cluster can be called that."""
    name = os.environ.get("LABS_NAME") or "ports"
    if len(name) <= LONGEST_NAME and _CLUSTER_NAME.fullmatch(name):
        return name
    shown = name if len(name) <= LONGEST_NAME else f"{name[:20]}… ({len(name)} characters)"
    raise BadInput(
        f"LABS_NAME={shown} cannot be the name of a cluster.",
        f"It may have the letters a to z, digits, `-` and `.`, begins with a letter or digit, and has at most {LONGEST_NAME} "
        "characters: its nodes are called after it.",
        "Choose another name, as in `export LABS_NAME=ports-2`; or `unset LABS_NAME`, and it is `ports`.",
    )


def kubeconfig() -> Path:
    """Where the kubeconfig of the learner's own cluster is kept, whichever provider makes it."""
    return state() / f"{cluster_name()}.kubeconfig"


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Turns what goes wrong with the course's own files into `not_kept`."""
    try:
        yield
    except OSError as error:
        raise not_kept(what, error) from error


def not_kept(what: str, error: OSError) -> LabError:
    """The error for what could not be written to the course's own files. what: as in "Your progress"."""
    return LabError(f"{what} cannot be kept.", str(error), advice(error))


def advice(error: OSError, elsewhere: str = "Set LABS_HOME to a folder that you may write to") -> str:
    """What to try where a file cannot be kept, by what the system says. elsewhere: how to have it kept in another place."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on that disk (`df -h` shows how full each is), and run this again."
    return f"{elsewhere}, and run this again."


def _made(folder: Path) -> Path:
    """The folder, without links in its path; made where it is missing, and ours alone."""
    place = Path(os.path.realpath(folder))
    try:
        weakness = strict_modes.weakness(place)
        if not weakness:
            for missing in [parent for parent in reversed(place.parents) if not parent.exists()]:
                missing.mkdir(mode=0o755, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if not os.access(place, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    except OSError as error:
        raise LabError(f"The course cannot keep its files in {folder}.", str(error), advice(error)) from error
    if weakness:
        raise LabError(
            f"The course does not keep its files in {folder}.",
            f"{weakness}: somebody else could put a program there, which the course would run as you.",
            "Set LABS_HOME to a folder of your own; or, where that one is yours, look through it, and `chmod go-w` it.",
        )
    return place
