"""labs.shared: what to mind in a namespace that is not ours alone."""

from types import SimpleNamespace
from typing import Any

import pytest

from labs import shared
from labs.deploy import beside_article, read_manifests
from labs.errors import BadInput


def thing(name: str, labels: dict[str, str] | None = None, selector: dict[str, str] | None = None) -> Any:
    return SimpleNamespace(metadata=SimpleNamespace(name=name, labels=labels), spec=SimpleNamespace(selector=selector))


LESSON = {shared.LESSON: "02-mine"}
POD2 = read_manifests("02-pod2")[0]
SERVICE = read_manifests("05-service-with-targetport-9080")[0]
NODE_PORT = read_manifests("07-service-nodeport-30066")[0]


def test_beside_our_own_and_beside_uninvolved_strangers_all_goes_well() -> None:
    pods = [thing("pod2", LESSON), thing("client", {"labs.ports/role": "seat"}), thing("db-0", {"app": "db"})]
    services = [thing("productpage", LESSON, {"app": "productpage"}), thing("db", None, {"app": "db"}), thing("outer")]
    assert shared.conflict(POD2, "02-mine", pods, services) is None
    assert shared.conflict(SERVICE, "02-mine", pods, services) is None


@pytest.mark.parametrize(
    ("manifest", "pods", "services", "what"),
    [
        (POD2, [thing("pod2")], [], "Pod pod2 here is not the course's"),
        (SERVICE, [], [thing("productpage", {"app": "productpage"})], "Service productpage here is not the course's"),
        (POD2, [], [thing("theirs", None, {"app": "productpage"})], "Pod pod2 was not made"),
        (SERVICE, [thing("theirs", {"app": "productpage", "tier": "web"})], [], "Service productpage was not applied"),
        (POD2, [], [thing("productpage", {shared.LESSON: "03-other"})], "Lesson 03-other has the namespace now"),
    ],
)
def test_strangers_and_other_lessons_are_not_mixed_with_ours(
    manifest: shared.Manifest, pods: list[Any], services: list[Any], what: str
) -> None:
    error = shared.conflict(manifest, "02-mine", pods, services)
    assert error is not None
    assert what in error.what


def test_a_port_is_opened_to_others_only_after_a_yes_that_says_to_whom() -> None:
    assert shared.unasked(SERVICE, ["10.0.0.1"]) is None
    assert shared.unasked(POD2, ["10.0.0.1"]) is None
    for manifest in (NODE_PORT, _with(SERVICE, type="LoadBalancer"), _with(SERVICE, externalIPs=["192.0.2.7"])):
        error = shared.unasked(manifest, ["10.0.0.1"])
        assert error is not None
        assert "10.0.0.1" in error.why
        assert "LABS_OPEN_NODE_PORT=yes" in error.try_this
    on_node = _with(POD2, containers=[{"name": "x", "ports": [{"containerPort": 9080, "hostPort": 80}]}])
    assert "hostPort" in shared.opens(on_node)
    assert "may not list" in str(shared.unasked(on_node, []))


def _with(manifest: shared.Manifest, **spec: Any) -> shared.Manifest:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-x"])
def test_kubernetes_own_namespaces_are_not_borrowed(name: str) -> None:
    with pytest.raises(BadInput, match="Kubernetes' own"):
        shared.check_lent(name)


@pytest.mark.parametrize("name", ["default", "ports", "kubernetes-course"])
def test_any_other_that_was_named_is(name: str) -> None:
    shared.check_lent(name)


def test_the_addresses_are_shown_beside_the_articles() -> None:
    told = "ClusterIP 10.96.3.4 (the article's: 10.97.239.58); node port 31234 (the article's: 30066)"
    assert beside_article({"spec": {"clusterIP": "10.96.3.4", "ports": [{"port": 9999, "nodePort": 31234}]}}) == told
