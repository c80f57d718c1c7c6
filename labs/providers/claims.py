"""Whose a kind cluster is: the volume `labs.ports-NAME` on the container engine keeps its name for one learner, by its labels.

kind lets nobody label its node containers. An engine makes a volume of one name once, so of two learners who take a name at the
same moment one gets it; it outlives stopped nodes, and the machine beside the nodes uses it, which keeps it from being pruned.
Says whose a cluster is; does not make, use or remove one.
"""

import base64
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labs import home
from labs.embedded import own_files
from labs.errors import BadInput, ClusterGone, LabError
from labs.providers import containers, engine
from labs.providers.context import kubeconfig

Say = Callable[[str], None]
CLUSTER, USER, ACCOUNT, HOME = (f"labs.ports/{name}" for name in ("cluster", "owner-user", "owner-account", "owner-home"))
MOST_NAMES = 9  # that are tried for one learner
_UNREADABLE = (OSError, ValueError, yaml.YAMLError, TypeError, LookupError, AttributeError, StopIteration, RecursionError)


@dataclass(frozen=True)
class Learner:
    """Who makes clusters.

    user: for people to read. account: user id and machine, as in "1001@laptop". home: an id that the state folder keeps, or "".
    """

    user: str
    account: str
    home: str

    def is_same(self, other: "Learner") -> bool:
        """Whether the other is this one: the same account, whatever LABS_HOME says and even if the state folder was lost; or
        the same state folder, though the machine is called differently now."""
        return self.account == other.account or bool(self.home and self.home == other.home)

    def __str__(self) -> str:
        number, _, machine = self.account.partition("@")
        return f"{self.user} (user id {number} on {machine})"


@dataclass(frozen=True)
class Holder:
    """Who has a name. learner: None where nothing says who, as of a cluster that another program made."""

    learner: Learner | None
    ours: bool

    def __str__(self) -> str:
        return str(self.learner) if self.learner else "somebody unknown"


# --- computed


def candidates(first: str, user: str = "") -> list[str]:
    """The names for a learner's cluster, the first choice first: "ports", "ports-alice", "ports-alice-2", …

    user: the learner's name; "" means whoever runs this. What is too long for a cluster's name is cut.
    """
    plain = re.sub("[^a-z0-9]+", "-", (user or _user()).lower()).strip("-") or "other"
    second = f"{first[: home.LONGEST_NAME - 12]}-{plain}"[: home.LONGEST_NAME - 2].rstrip("-")
    return [first, second, *(f"{second}-{number}" for number in range(2, MOST_NAMES))]


def volume(name: str) -> str:
    """The volume that keeps a name."""
    return f"labs.ports-{name}"


def refused(name: str, holder: Holder) -> LabError:
    """The error for somebody else's cluster, asked for by its name."""
    if holder.learner is None:
        return BadInput(
            f"There is a cluster {name} on this container engine, and nothing says that it is yours.",
            "Another program made it, or an earlier version of the course for another user. The course leaves it as it is.",
            "Set LABS_NAME to another name, or unset it. If that cluster is yours and may go: "
            f"`kind delete cluster --name {name}`.",
        )
    return BadInput(
        f"The cluster {name} on this container engine is not yours.",
        f"It belongs to {holder}. The course does not use, change or remove a cluster of somebody else.",
        "Set LABS_NAME to another name, or unset it: then you get a name of your own.",
    )


# --- who has a name


def names() -> list[str]:
    """The names that this learner's cluster may have: LABS_NAME alone where it is set, else the course's own, else with the
    learner's name behind it."""
    name = home.cluster_name()
    return [name] if os.environ.get("LABS_NAME", "").strip() else candidates(name)


def mine(wanted: Sequence[str]) -> tuple[str, Holder | None]:
    """The first of these names that is this learner's; where none is, the first of all, and who has it (None: nobody)."""
    held = _held(wanted)
    ours = [name for name in wanted if name in held and held[name].ours]
    if ours:
        return ours[0], held[ours[0]]
    first = wanted[0]
    return first, held.get(first) or _before_claims(first)


def take(wanted: Sequence[str], say: Say) -> str:
    """The learner's name, taken where it was not yet: the first of these that nobody else has; says which, where it is another.

    BadInput where others have all.
    """
    name, holder = mine(wanted)
    if holder is not None and holder.ours and _taken(name).ours:
        return name
    lost: list[tuple[str, Holder]] = []
    for name in wanted:
        holder = _taken(name)
        if holder.ours:
            for other, whose in lost:
                say(f"The cluster {other} here belongs to {whose}, and stays as it is.")
            if lost:
                say(f"Yours is called {name}.")
            return name
        lost.append((name, holder))
    raise refused(*lost[0])


def keep(name: str) -> None:
    """Sees to it that a name of this learner's is kept still. BadInput where somebody else has it now."""
    holder = _taken(name)
    if not holder.ours:
        raise refused(name, holder)


def release(name: str) -> str:
    """Gives a name of this learner's up, once its cluster is gone. What the engine said where it could not; else ""."""
    done = engine.ask("volume", "rm", volume(name))
    return "" if done.code == 0 or "no such volume" in done.err.lower() else done.err.strip()


def check(name: str) -> None:
    """ClusterGone where the name has become somebody else's while this learner's notebook was open."""
    _, holder = mine([name])
    if holder is not None and not holder.ours:
        raise ClusterGone(
            f"Your cluster {name} is gone.",
            f"The cluster that has its name now belongs to {holder}.",
            "`python -m labs up` makes one of your own; then run the notebook from its top.",
        )


def others_without_nodes(name: str) -> bool:
    """Whether another name than this is kept for a cluster that has no nodes: it may be about to be made."""
    return any(not containers.nodes(other) for other in _all() if other != name)


def of_others() -> dict[str, Holder]:
    """The clusters of other learners on this engine."""
    return {name: holder for name, holder in sorted(_held(_all()).items()) if not holder.ours}


# --- pieces


def _all() -> list[str]:
    """The names that are kept on this engine."""
    listed = engine.ask("volume", "ls", "--quiet", "--filter", f"name={volume('')}").out.split()
    return [name.removeprefix(volume("")) for name in listed if name.startswith(volume(""))]


def _held(wanted: Sequence[str]) -> dict[str, Holder]:
    """Who has those of the names that a volume keeps."""
    kept = [name for name in _all() if name in wanted]
    if not kept:
        return {}
    shown = engine.ask("volume", "inspect", *map(volume, kept))
    me = _me()
    held = {}
    for one in json.loads(shown.out or "[]"):
        learner = _read(one.get("Labels") or {})
        held[one["Name"].removeprefix(volume(""))] = Holder(learner, learner is not None and learner.is_same(me))
    return held


def _read(labels: dict[str, str]) -> Learner | None:
    if ACCOUNT not in labels:
        return None
    return Learner(labels.get(USER, ""), labels[ACCOUNT], labels.get(HOME, ""))


def _taken(name: str) -> Holder:
    """Who has the name, after it was asked for."""
    held = _held([name]).get(name)
    if held is not None:
        return held
    stranger = _before_claims(name)
    if stranger is not None and not stranger.ours:
        return stranger
    me = _me(keep=True)
    labels = {CLUSTER: name, USER: me.user, ACCOUNT: me.account, HOME: me.home}
    options = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    # Where somebody was faster, Docker says nothing and Podman that there is one: what it holds then tells who.
    made = engine.ask("volume", "create", *options, volume(name))
    held = _held([name]).get(name)
    if held is None:
        raise LabError(
            f"The container engine could not keep the name {name} for your cluster.",
            made.err.strip() or "It made no volume, and gave no reason.",
            "Look at `docker volume ls` and the engine's disk; then run this again.",
        )
    return held


def _me(keep: bool = False) -> Learner:
    """This learner. keep: makes the state folder's id where there is none."""
    return Learner(_user(), _account(), _home_id(keep))


def _account() -> str:
    return f"{os.geteuid()}@{socket.gethostname()}"


def _user() -> str:
    import pwd  # Windows has none, and doctor, which uses this module, says there what to do

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container
        return str(os.geteuid())


def _home_id(make: bool) -> str:
    """The state folder's id. "" where it has none, or none can be kept: then the account alone tells."""
    path = home.state() / "owner"
    try:
        kept = own_files.read(path).decode("ascii").strip()
        if re.fullmatch("[0-9a-f]{32}", kept):
            return kept
    except (OSError, ValueError):
        pass
    if not make:
        return ""
    made = secrets.token_hex(16)
    try:
        own_files.write(path, f"{made}\n")
    except OSError:
        return ""
    return made


# --- clusters made before there were claims


def _before_claims(name: str) -> Holder | None:
    """Who has a name that no volume keeps, by its cluster; None where there is no cluster."""
    found = containers.nodes(name)
    return Holder(None, _made_here(name, found)) if found else None


def _made_here(name: str, nodes: Sequence[containers.NodeContainer]) -> bool:
    """Whether a cluster without a claim is this learner's: the version of the course before claims made it from this state
    folder, which has its configuration and no other cluster's kubeconfig; or plain kind wrote it into the learner's kubeconfig.

    A kubeconfig in the state folder alone does not tell: that version gave one to whoever used the cluster.
    """
    authority = containers.certificate_authority(nodes)
    if authority and any(_authority(path, name) == authority for path in kubeconfig.paths()):
        return True
    made = (home.state() / f"{name}.kindconfig.yaml").exists()
    return made and _authority(home.state() / f"{name}.kubeconfig", name) in (authority, b"")


def _authority(path: Path, name: str) -> bytes:
    """The certificate authority that a kubeconfig has for kind's cluster of that name; b"" where it has none."""
    try:
        config: Any = yaml.safe_load(own_files.read(path))
        data = next(one["cluster"]["certificate-authority-data"] for one in config["clusters"] if one["name"] == f"kind-{name}")
        return base64.b64decode(data).strip()
    except _UNREADABLE:
        return b""
