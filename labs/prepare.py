"""Fetches beforehand all that a class needs (packages, kind, kubectl, the images), and proves it by a start that pulls nothing.

What is here already is not fetched again. The Python packages are in .venv when this runs (labs/bootstrap.py), and are kept in
wheels/ as well. Does not touch the learner's cluster: the start is of another one, which is ended.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labs import bootstrap, home, packages, providers, tools, versions
from labs.cluster import Cluster
from labs.errors import ImageMissing, LabError
from labs.providers import claims, containers, engine

Say = Callable[[str], None]


def prepare(say: Say) -> None:
    """Returns when all is here and a cluster has started from it. ToolMissing, ImageMissing, EngineDown, …"""
    packages.complete(say)
    keep_wheels()
    choice = providers.choose()
    if choice.provider == "embedded":
        with throwaway("embedded"):
            try:
                providers.up(say)
            finally:
                providers.down(say)
        say("All is here: the embedded cluster needs no images. `make lab` needs no network now.")
        return
    if choice.provider != "kind":
        tools.find("kubectl", say)
        say(f"kubectl is here. The course will borrow a cluster ({choice}), which pulls its images by itself.")
        return
    engine.info()  # EngineDown before anything is downloaded
    tools.find("kind", say)
    tools.find("kubectl", say)
    for image in (versions.node_image(), versions.workload_image()):
        fetch_image(image, say)
    with throwaway("kind"):
        say(f"The proof: a cluster {home.cluster_name()} is made and ended; your own is not touched.")
        try:
            cluster = providers.up(say)
            pulled = pulls(cluster)
        finally:
            providers.down(say)
    if pulled:
        raise ImageMissing(
            "A start on this machine still pulls images.",
            f"The nodes pulled {', '.join(pulled)} although the engine has the course's images.",
            "Keep the machine online for its first start; or update the container engine, and run `make prepare` again.",
        )
    say("All is here: the cluster started and pulled nothing. `make lab` needs no network now.")


def keep_wheels() -> None:
    """The Python packages, for a copy of this folder on a machine without network. LabError."""
    try:
        bootstrap.keep_wheels(bootstrap.ROOT / "requirements.lock")
    except bootstrap.Stop as stop:
        what, _, mend = str(stop).partition(". ")
        raise LabError("The Python packages could not be fetched.", f"{what}.", mend) from stop


def fetch_image(image: str, say: Say) -> None:
    """Pulls an image where the engine does not have it. ImageMissing where that fails."""
    if containers.image_here(image):
        say(f"{image} is here.")
        return
    say(f"Pulling {image}")
    if not engine.pull(image):
        raise ImageMissing(
            f"{image} is not here and could not be pulled.",
            "The engine's own words are above.",
            "Is the registry reachable from here? LABS_MIRROR names a registry that mirrors it.",
        )


def pulls(cluster: Cluster) -> list[str]:
    """The images that the nodes of a cluster have pulled since it was made, by the kubelets' events."""
    with cluster.answering("read the events"):
        events = cluster.core().list_event_for_all_namespaces(field_selector="reason=Pulling").items
    # The message is: Pulling image "NAME"
    return sorted({str(event.message).split('"')[1] if '"' in str(event.message) else str(event.message) for event in events})


@contextmanager
def throwaway(provider: str) -> Iterator[None]:
    """Inside, `up` and `down` are about a cluster of that provider with another name, and with no host ports."""
    name = f"{home.cluster_name()[: home.LONGEST_NAME - len('-prepare')]}-prepare"
    if provider == "kind":
        name = claims.take(claims.candidates(name), lambda _: None)
    ours = {"LABS_NAME": name, "LABS_CLUSTER": provider, "LABS_HOST_PORTS": "none"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
