"""The workload image on its way onto a kind cluster's nodes, without an engine: when it is loaded, and what fails quietly."""

import subprocess
import threading
from pathlib import Path

import pytest

from labs.cluster import Ran
from labs.errors import EngineDown
from labs.providers import containers, loading
from labs.providers.containers import NodeContainer

IMAGE = "example/agnhost:1"
NODES = ("one", "two")
LIMIT = 10.0  # seconds for what takes none


class Engine:
    """An engine with this image, or without it; its nodes, and the images that each one's containerd tells of."""

    def __init__(self) -> None:
        self.here = True
        self.saves = Ran(0, "", "")
        self.nodes: dict[str, list[str]] = {}
        self.looked = threading.Event()  # somebody has looked how far the nodes are
        self.at_kubeadm: list[str] = []  # the nodes that it has begun to set up

    def image_here(self, image: str) -> bool:
        return self.here and image == IMAGE

    def save_image(self, image: str, path: str) -> Ran:
        Path(path).write_text(image, "utf-8")
        return self.saves

    def found(self, cluster: str) -> list[NodeContainer]:
        return [NodeContainer(name, "", True, "kind", "", {}) for name in list(self.nodes)]

    def execute(self, node: str, command: list[str]) -> Ran:
        if command[0] == "test":
            self.looked.set()
            return Ran(int(node not in self.at_kubeadm), "", "")
        return Ran(0, "\n".join(self.nodes[node]), "")

    def load(self, path: str) -> None:
        """Loads an archive, as kind does."""
        for images in self.nodes.values():
            images.append(Path(path).read_text("utf-8"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(containers, "image_here", made.image_here)
    monkeypatch.setattr(containers, "save_image", made.save_image)
    monkeypatch.setattr(containers, "nodes", made.found)
    monkeypatch.setattr(containers, "execute", made.execute)
    return made


def test_it_is_loaded_while_the_cluster_is_made_once_kind_has_set_up_containerd(engine: Engine) -> None:
    loaded = threading.Event()

    def load(path: str) -> None:
        engine.load(path)
        loaded.set()

    with loading.loaded_early("ports", IMAGE, load):
        engine.nodes = {name: [] for name in NODES}
        assert engine.looked.wait(LIMIT)
        assert not loaded.is_set(), "the nodes run; kind may restart their containerd yet"
        engine.at_kubeadm = ["one"]
        assert loaded.wait(LIMIT), "before the cluster is made"
    assert engine.nodes == {"one": [IMAGE], "two": [IMAGE]}


def test_a_cluster_that_was_not_made_is_waited_for_no_longer(engine: Engine) -> None:
    def interrupted() -> None:
        with loading.loaded_early("ports", IMAGE, engine.load):
            assert engine.looked.wait(LIMIT)
            raise KeyboardInterrupt

    engine.nodes = {name: [] for name in NODES}
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(thread.name == "load-image" for thread in threading.enumerate())


@pytest.mark.parametrize("fault", [EngineDown("", "", ""), OSError("no room"), subprocess.CalledProcessError(1, "kind")])
def test_what_fails_early_is_done_and_told_later(engine: Engine, fault: Exception) -> None:
    engine.nodes, engine.at_kubeadm = {name: [] for name in NODES}, ["one"]
    said: list[str] = []

    def fail(path: str) -> None:
        raise fault

    with loading.loaded_early("ports", IMAGE, fail):
        pass
    loading.load(NODES, IMAGE, engine.load, said.append)
    assert engine.nodes == {"one": [IMAGE], "two": [IMAGE]}
    assert said == [f"Loading the image of the course's Pods onto the nodes: {IMAGE}."]


def test_nodes_that_have_it_get_it_no_second_time(engine: Engine) -> None:
    engine.nodes = {name: [IMAGE] for name in NODES}
    said: list[str] = []
    loading.load(NODES, IMAGE, engine.load, said.append)
    assert said == [] and engine.nodes["one"] == [IMAGE]
    engine.nodes["two"] = []
    loading.load(NODES, IMAGE, engine.load, said.append)
    assert engine.nodes["two"] == [IMAGE]


def test_an_image_that_the_engine_lacks_is_for_the_nodes_to_pull(engine: Engine) -> None:
    engine.here, engine.nodes = False, {name: [] for name in NODES}
    said: list[str] = []
    with loading.loaded_early("ports", IMAGE, engine.load):
        pass
    loading.load(NODES, IMAGE, engine.load, said.append)
    assert engine.nodes == {"one": [], "two": []}
    assert said == [f"The nodes pull the image of the course's Pods, {IMAGE} (about 60 MB)."]


def test_an_archive_that_cannot_be_written_is_told(engine: Engine) -> None:
    engine.saves, engine.nodes = Ran(1, "", "no space left on device\n"), {name: [] for name in NODES}
    said: list[str] = []
    loading.load(NODES, IMAGE, engine.load, said.append)
    assert engine.nodes == {"one": [], "two": []}
    assert said[-1] == "That failed (no space left on device); the nodes will try to pull it."
