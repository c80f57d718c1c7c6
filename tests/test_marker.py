"""What EndpointSlices should hold, told from Services and Pods alone; which ones settling waits for, before the marker."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client

from labs import marker
from labs.deploy import Lesson
from labs.marker import CONTROLLER, MANAGED_BY, by_controller, followed, target_number, wanted, written
from labs.providers.kind_cluster import KindsCluster


def service(*ports: dict[str, Any], **spec: Any) -> Any:
    return _typed(
        "V1Service",
        {
            "metadata": {"name": "productpage", "namespace": "n"},
            "spec": {"selector": {"app": "p"}, "ports": list(ports), **spec},
        },
    )


def pod(
    ip: str = "10.244.0.5", ready: str = "True", labels: dict[str, str] | None = None, phase: str = "Running", **port: Any
) -> Any:
    return _typed(
        "V1Pod",
        {
            "metadata": {"name": "pod2", "labels": labels or {"app": "p"}},
            "spec": {"containers": [{"name": "c", "ports": [{"protocol": "TCP", "containerPort": 9080, **port}]}]},
            "status": {"podIP": ip, "phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        },
    )


def slice_of(name: str, addresses: list[str], ready: bool | None = True, ports: list[dict[str, Any]] | None = None) -> Any:
    return _typed(
        "V1EndpointSlice",
        {
            "metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": addresses, "conditions": {"ready": ready}}],
            "ports": ports,
        },
    )


def _typed(kind: str, body: dict[str, Any]) -> Any:
    return client.ApiClient()._ApiClient__deserialize(body, kind)  # type: ignore[attr-defined]


PORT = {"port": 9999, "protocol": "TCP", "name": "http"}


def test_a_number_is_itself() -> None:
    assert wanted(service({**PORT, "targetPort": 9080}), [pod()]) == {("10.244.0.5", "http", 9080, True)}


def test_a_name_follows_each_pod() -> None:
    pods = [pod(name="web"), pod(ip="10.244.0.6", name="web", containerPort=9081)]
    assert wanted(service({**PORT, "targetPort": "web"}), pods) == {
        ("10.244.0.5", "http", 9080, True),
        ("10.244.0.6", "http", 9081, True),
    }


def test_a_name_that_no_container_has_keeps_the_address_without_a_port() -> None:
    right = wanted(service({**PORT, "targetPort": "nope"}), [pod()])
    assert right == {("10.244.0.5", "http", None, True)}
    assert written(service({**PORT, "targetPort": "nope"}), [slice_of("productpage", ["10.244.0.5"])]) == right


def test_of_several_ports_the_ones_without_a_number_are_left_out() -> None:
    two = service({**PORT, "targetPort": 9080}, {**PORT, "name": "other", "targetPort": "nope"})
    assert wanted(two, [pod()]) == {("10.244.0.5", "http", 9080, True)}


def test_a_name_of_another_protocol_does_not_count() -> None:
    port = service({**PORT, "protocol": "UDP", "targetPort": "web"}).spec.ports[0]
    assert target_number(port, pod(name="web")) is None


@pytest.mark.parametrize(
    "other",
    [pod(labels={"app": "q"}), pod(phase="Succeeded"), pod(phase="Failed"), pod(ip="")],
    ids=["label", "done", "failed", "ip"],
)
def test_pods_that_are_no_endpoints(other: Any) -> None:
    assert wanted(service({**PORT, "targetPort": 9080}), [other]) == set()


def test_a_pod_that_is_not_ready_is_there_and_not_ready() -> None:
    unready = [pod(ready="False")]
    assert wanted(service({**PORT, "targetPort": 9080}), unready) == {("10.244.0.5", "http", 9080, False)}
    assert wanted(service({**PORT, "targetPort": 9080}, publishNotReadyAddresses=True), unready) == {
        ("10.244.0.5", "http", 9080, True)
    }


def test_slices_of_another_service_do_not_count() -> None:
    ports = [{"name": "http", "port": 9080}]
    slices = [slice_of("productpage", ["10.244.0.5"], ports=ports), slice_of("other", ["10.244.0.9"], ports=ports)]
    assert written(service(PORT), slices) == {("10.244.0.5", "http", 9080, True)}


def test_an_endpoint_whose_readiness_is_unknown_counts_as_ready() -> None:
    """EndpointConditions.ready: "a nil value should be interpreted as true" (discovery.k8s.io/v1)."""
    slices = [slice_of("productpage", ["10.244.0.5"], ready=None, ports=[{"name": "http", "port": 9080}])]
    assert written(service(PORT), slices) == {("10.244.0.5", "http", 9080, True)}


def test_a_slice_that_somebody_wrote_by_hand_is_not_the_controllers() -> None:
    written_by = slice_of("productpage", ["10.244.0.9"])
    assert not by_controller(written_by)
    written_by.metadata.labels[MANAGED_BY] = "staff"
    assert not by_controller(written_by)
    written_by.metadata.labels[MANAGED_BY] = CONTROLLER
    assert by_controller(written_by)
    written_by.metadata.labels = None
    assert not by_controller(written_by)


def test_a_pod_that_ended_may_stay_in_the_slice_as_not_ready() -> None:
    one, ended = service({**PORT, "targetPort": 9080}), [pod(ready="False", phase="Succeeded")]
    ports = [{"name": "http", "port": 9080}]
    assert followed(one, ended, [])
    assert followed(one, ended, [slice_of("productpage", ["10.244.0.5"], ready=False, ports=ports)])
    assert not followed(one, ended, [slice_of("productpage", ["10.244.0.5"], ready=True, ports=ports)])
    assert not followed(one, [pod(ready="False")], [])
    assert not followed(one, [], [slice_of("productpage", ["10.244.0.5"], ready=False, ports=ports)])


@pytest.mark.parametrize("namespace", ["here", None])
def test_settling_waits_for_the_slices_of_the_namespace_that_is_named(
    namespace: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First these, then the marker: the other way round nodes would be asked about a change that is yet to come."""
    did: list[object] = []
    cluster = KindsCluster("ports", Path(), Path(), [])
    monkeypatch.setattr(marker, "_slices_wrong", lambda _, space, __: did.append(space))
    monkeypatch.setattr(marker, "_change_marker", lambda *_: did.append("marker"))
    cluster.settled(namespace=namespace)
    assert did == [namespace, "marker"]


def test_a_lesson_settles_its_own_namespace() -> None:
    asked: list[object] = []
    cluster = SimpleNamespace(namespace=None, settled=lambda *given: asked.extend(given))
    Lesson(cluster, "02-target-port").settled(5.0)  # type: ignore[arg-type]
    assert asked == [5.0, "target-port"]
