"""labs.prepare: what is here is not fetched again, and the proof is honest. The engine and the cluster are stood in for."""

import os
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from labs import bootstrap, prepare, providers, tools, versions
from labs.errors import EngineDown, ImageMissing, LabError
from labs.providers import claims, containers, engine


class Machine:
    """An engine with images, and the clusters that are made on it."""

    def __init__(self) -> None:
        self.images: set[str] = set()
        self.pulled: list[str] = []
        self.refuses: set[str] = set()
        self.nodes_pull: list[str] = []
        self.ups: list[str] = []
        self.providers: list[str] = []
        self.downs: list[str] = []
        self.said: list[str] = []

    def pull(self, image: str) -> bool:
        if image in self.refuses:
            return False
        self.pulled.append(image)
        self.images.add(image)
        return True

    def up(self, say: Any) -> Any:
        self.ups.append(os.environ["LABS_NAME"])
        self.providers.append(os.environ["LABS_CLUSTER"])
        events = [SimpleNamespace(message=f'Pulling image "{image}"') for image in self.nodes_pull]
        asked = SimpleNamespace(list_event_for_all_namespaces=lambda field_selector: SimpleNamespace(items=events))
        return SimpleNamespace(core=lambda: asked, answering=lambda doing: nullcontext())

    def prepare(self) -> None:
        prepare.prepare(self.said.append)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    for name in ("LABS_MIRROR", "KIND_NODE_IMAGE", "LABS_HOST_PORTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABS_NAME", "mine")
    monkeypatch.setenv("LABS_CLUSTER", "kind")
    monkeypatch.setattr(providers, "choose", lambda: providers.Choice("kind", "", "an engine answers"))
    monkeypatch.setattr(providers, "up", made.up)
    monkeypatch.setattr(providers, "down", lambda say: made.downs.append(os.environ["LABS_NAME"]))
    monkeypatch.setattr(engine, "info", lambda: None)
    monkeypatch.setattr(claims, "take", lambda names, say: names[0])
    monkeypatch.setattr(engine, "pull", made.pull)
    monkeypatch.setattr(containers, "image_here", lambda image: image in made.images)
    monkeypatch.setattr(tools, "find", lambda tool, say: None)
    monkeypatch.setattr(bootstrap, "keep_wheels", lambda requirements: made.said.append(f"wheels of {requirements.name}"))
    return made


def test_all_is_fetched_and_proved_on_a_cluster_of_another_name(machine: Machine) -> None:
    machine.prepare()
    assert machine.pulled == [versions.node_image(), versions.workload_image()]
    assert machine.ups == machine.downs == ["mine-prepare"]
    assert "pulled nothing" in machine.said[-1]
    assert os.environ["LABS_NAME"] == "mine"
    assert "LABS_HOST_PORTS" not in os.environ


def test_the_packages_are_kept_and_a_failure_of_it_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.prepare()
    assert "wheels of requirements.lock" in machine.said

    def fails(requirements: object) -> None:
        raise bootstrap.Stop("pip could not fetch them. Is this machine online?")

    monkeypatch.setattr(bootstrap, "keep_wheels", fails)
    with pytest.raises(LabError, match="pip could not fetch them") as told:
        machine.prepare()
    assert told.value.try_this == "Is this machine online?"


def test_the_embedded_cluster_needs_no_images_and_is_proved_itself(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "choose", lambda: providers.Choice("embedded", "", "no engine answers"))
    machine.prepare()
    assert (machine.pulled, machine.providers) == ([], ["embedded"])
    assert machine.ups == machine.downs == ["mine-prepare"]


def test_what_is_here_is_not_pulled(machine: Machine) -> None:
    machine.images = {versions.node_image(), versions.workload_image()}
    machine.prepare()
    assert machine.pulled == []


def test_a_mirror_is_pulled_from(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", "mirror.example/k8s")
    machine.prepare()
    assert len(machine.pulled) == 2
    assert all(image.startswith("mirror.example/k8s/") for image in machine.pulled)


def test_an_image_that_cannot_be_pulled_is_told_and_no_cluster_is_made(machine: Machine) -> None:
    machine.refuses = {versions.workload_image()}
    with pytest.raises(ImageMissing, match="LABS_MIRROR"):
        machine.prepare()
    assert machine.ups == []


def test_a_start_that_pulls_is_no_proof(machine: Machine) -> None:
    machine.nodes_pull = ["agnhost:2.53"]
    with pytest.raises(ImageMissing, match=r"agnhost:2\.53"):
        machine.prepare()
    assert machine.downs == ["mine-prepare"]
    assert not any("pulled nothing" in line for line in machine.said)


def test_a_start_that_fails_leaves_no_cluster(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(say: Any) -> Any:
        raise EngineDown("It stopped.", "why", "try")

    monkeypatch.setattr(providers, "up", fail)
    with pytest.raises(EngineDown):
        machine.prepare()
    assert machine.downs == ["mine-prepare"]
    assert os.environ["LABS_NAME"] == "mine"


def test_a_borrowed_cluster_needs_kubectl_alone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    monkeypatch.setattr(providers, "choose", lambda: providers.Choice("context", "prod", "LABS_CLUSTER says so"))
    monkeypatch.setattr(tools, "find", lambda tool, say: found.append(tool))
    machine.prepare()
    assert found == ["kubectl"]
    assert machine.pulled == machine.ups == []
