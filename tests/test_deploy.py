"""Manifests at the edge: what is taken, what is refused, and what is changed before it is sent."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from labs.deploy import Lesson, _has_node_ports, manifest_path, read_manifests
from labs.errors import BadInput

MANIFESTS = sorted(manifest_path("01-pod1").parent.glob("*.yaml"))


class Somewhere:
    """As much of a Cluster as a Lesson needs to fit a manifest to it."""

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace


def lesson(namespace: str | None = None) -> Lesson:
    return Lesson(Somewhere(namespace), "02-target-port")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_every_manifest_of_the_course_is_taken(path: Path) -> None:
    assert read_manifests(path) == read_manifests(path.stem) == read_manifests(path.read_text())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_stays_as_it_is_on_a_cluster_of_our_own(path: Path) -> None:
    for manifest in read_manifests(path):
        assert lesson().fitted(manifest) == manifest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\n\tname: x\n", "not YAML (line 2, column 1)"),
        ("kind: [Pod\n", "not YAML"),
        ("- just\n- a list\n", "holds no Kubernetes object"),
        ("just words\nand more\n", "holds no Kubernetes object"),
        ("\n---\n\n", "no object"),
        ("apiVersion: v1\nkind: Pod\n", "lacks something"),
        ("kind: Pod\nmetadata: {name: x}\n", "lacks something"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "A Secret cannot be applied"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput) as told:
        read_manifests(text)
    assert words in told.value.what
    assert told.value.try_this


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="04-service-without-targetport"):
        read_manifests("no-such-manifest")


def test_the_namespace_is_the_lessons_name_without_its_number() -> None:
    assert lesson().namespace == "target-port"
    assert lesson("borrowed").namespace == "borrowed"


def test_on_a_borrowed_cluster_the_articles_addresses_are_left_to_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lesson, "_neighbours", lambda _: ([], []))
    monkeypatch.setenv("LABS_OPEN_NODE_PORT", "yes")
    [service] = read_manifests("07-service-nodeport-30066")
    fitted = lesson("borrowed").fitted(service)
    assert "clusterIP" not in fitted["spec"]
    assert fitted["spec"]["ports"] == [{"port": 9999, "targetPort": 9080, "name": "http"}]
    assert fitted["metadata"]["labels"]["labs.ports/lesson"] == "02-target-port"
    assert service["spec"]["clusterIP"] == "10.97.239.58", "the manifest itself stays as it was"


def test_behind_a_mirror_the_images_are_the_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", "mirror.example/k8s")
    [pod] = read_manifests("02-pod2")
    images = {container["image"] for container in lesson().fitted(pod)["spec"]["containers"]}
    assert images == {"mirror.example/k8s/e2e-test-images/agnhost:2.53"}


def test_the_articles_variants_say_what_their_names_say() -> None:
    def port(name: str) -> dict[str, Any]:
        service: dict[str, Any] = yaml.safe_load(manifest_path(name).read_text())
        [found] = service["spec"]["ports"]
        assert service["spec"]["selector"] == {"app": "productpage"}
        assert service["spec"]["clusterIP"] == "10.97.239.58"
        return {key: value for key, value in found.items() if key != "name"}

    assert port("04-service-without-targetport") == {"port": 9999}
    assert port("05-service-with-targetport-9080") == {"port": 9999, "targetPort": 9080}
    assert port("06-service-with-port-9080") == {"port": 9080}
    assert port("07-service-nodeport-30066") == {"port": 9999, "targetPort": 9080, "nodePort": 30066}


def test_which_pods_hold_ports_of_their_node() -> None:
    """The next of that name waits for their end; it need not wait for any other's."""
    assert not _has_node_ports({"containers": [{"name": "a", "ports": [{"containerPort": 9080}]}, {"name": "b"}]})
    assert _has_node_ports({"containers": [{"name": "a", "ports": [{"containerPort": 9080, "hostPort": 80}]}]})
    assert _has_node_ports({"hostNetwork": True, "containers": [{"name": "a"}]})
