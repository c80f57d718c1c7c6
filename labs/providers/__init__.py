"""Which provider is behind the course: chosen once, remembered beside the kubeconfig, changed only by the learner.

Each room (kind.py, embedded.py, context.py) has the same functions: available, up, connect, status, down. Nothing above this
package knows which room it is in.
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

from labs import home
from labs.cluster import Cluster
from labs.embedded import own_files
from labs.errors import BadInput, LabError, NoProvider

Say = Callable[[str], None]


@dataclass(frozen=True)
class Available:
    """Whether a provider can work on this machine; if not, why, and what would mend it."""

    yes: bool
    why: str
    mend: str = ""


class Room(Protocol):
    """The functions that every provider's module has. `argument` is what stands behind the colon of LABS_CLUSTER."""

    def available(self) -> Available:
        """Whether this provider can work here, found out now."""

    def up(self, argument: str, say: Say) -> Cluster:
        """Makes the cluster where it is missing, mends it where it is broken, and returns it. Can be run again."""

    def connect(self, argument: str) -> Cluster:
        """The cluster, if it is up. ClusterGone where it is not (then `up` helps), EngineDown, …"""

    def status(self, argument: str) -> str:
        """What is there now, in a few lines. The LabError of `connect` where that is no cluster that answers."""

    def down(self, argument: str, say: Say) -> None:
        """Ends what `up` made. Can be run again."""


@dataclass(frozen=True)
class Choice:
    """The provider chosen ("kind", "embedded", "context"), its argument, and why it was chosen, for the learner to read."""

    provider: str
    argument: str
    why: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.argument}" if self.argument else self.provider


def room(provider: str) -> Room:
    """The module of a provider. Imported when it is needed: one provider's libraries are no burden on another."""
    return cast(Room, importlib.import_module(f"labs.providers.{provider}"))


def choose() -> Choice:
    """LABS_CLUSTER, else what was chosen before, else kind where an engine answers, else embedded where this machine lets it
    run. NoProvider otherwise, with what each lacks; LabError where the course cannot keep its files, or `LABS_NAME` is no name.

    `up` and `connect` remember it once it has worked, so that a slip of the pen does not stick.
    """
    memory = _memory()
    wish = os.environ.get("LABS_CLUSTER", "").strip()
    if wish:
        return _parse(wish, "LABS_CLUSTER says so")
    try:
        return _parse(_remembered(memory), "chosen before; LABS_CLUSTER changes it")
    except FileNotFoundError:
        return _first_that_can()
    except (BadInput, OSError, ValueError):
        choice = _one_that_runs() or _first_that_can()
        return replace(choice, why=f"{choice.why}; what was chosen before cannot be read any more in {memory}")


def _one_that_runs() -> Choice | None:
    """The provider whose cluster is up, if there is one."""
    for provider in ("kind", "embedded"):
        try:
            room(provider).connect("")
        except LabError:
            continue
        return Choice(provider, "", "its cluster is up")
    return None


def _first_that_can() -> Choice:
    kind, embedded = room("kind").available(), room("embedded").available()
    if kind.yes:
        return Choice("kind", "", kind.why)
    if embedded.yes:
        return Choice("embedded", "", f"kind cannot run here: {kind.why.strip().rstrip('.')}. {embedded.why}")
    raise NoProvider(
        "No cluster can run here yet.",
        f"kind: {kind.why} embedded: {embedded.why} context: it borrows a cluster only where you say which.",
        f"For kind: {kind.mend} For embedded: {embedded.mend} "
        "Or borrow a cluster: LABS_CLUSTER=context:NAME (`kubectl config get-contexts` lists names).",
    )


def remember(choice: Choice) -> None:
    """Keeps the choice: from now on it is made again, whatever else this machine could run. LabError if it cannot be kept."""
    memory = _memory()
    try:
        if _remembered(memory) == str(choice):
            return
    except (OSError, ValueError):
        pass
    with home.keeping("Which provider was chosen"):
        own_files.write(memory, f"{choice}\n")


def forget() -> None:
    """Forgets the choice, so that the next one is made anew."""
    with home.keeping("Which provider was chosen"):
        own_files.remove(_memory())


def _remembered(memory: Path) -> str:
    """The choice that is kept. OSError, ValueError."""
    return own_files.read(memory).decode("utf-8", "surrogateescape").strip()


def _memory() -> Path:
    return home.state() / f"{home.cluster_name()}.provider"


def _parse(wish: str, why: str) -> Choice:
    provider, _, argument = wish.partition(":")
    if provider in ("kind", "embedded") and not argument:
        return Choice(provider, "", why)
    if provider == "context" and argument:
        return Choice(provider, argument, why)
    raise BadInput(
        f"LABS_CLUSTER={wish} names no provider.",
        "It can be `kind`, `embedded`, or `context:NAME` with a context of your kubeconfig.",
        "Set it to one of these, or unset it and let the course choose.",
    )


def up(say: Say) -> Cluster:
    """The chosen provider's cluster, made or mended where that is needed. say: takes each line of progress."""
    choice = choose()
    cluster = room(choice.provider).up(choice.argument, say)
    remember(choice)
    return cluster


def connect() -> Cluster:
    """The chosen provider's cluster, if it is up. ClusterGone where it is not."""
    choice = choose()
    cluster = room(choice.provider).connect(choice.argument)
    remember(choice)
    return cluster


def status() -> str:
    """What is there now, in a few lines. LabError where no cluster answers."""
    choice = choose()
    return room(choice.provider).status(choice.argument)


def down(say: Say) -> None:
    """Ends the chosen provider's cluster, and forgets the choice."""
    choice = choose()
    room(choice.provider).down(choice.argument, say)
    forget()
