"""Makes the manifests that the facts are tried with, and reads back what became of them. Asks nothing by curl."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from labs import workload
from labs.deploy import Lesson, Manifest
from labs.errors import Refused
from tests.contract import seen


def app(name: str, app_label: str, *, node: str | None = None, **options: Any) -> Manifest:
    """A Pod of one container with agnhost's netexec on 9080, labelled `app`; options: those of `labs.workload.pod`.

    node: the scheduler may put it there only (nodeName would go past the scheduler).
    """
    pod = workload.pod(name, {"app": app_label}, **{"containers": ("productpage",), **options})
    if node is not None:
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return pod


def service(name: str, app_label: str, *ports: Manifest, **spec: Any) -> Manifest:
    """A Service that selects by the label `app`; spec: any other field, as in type="NodePort"."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app_label}, "ports": list(ports), **spec},
    }


def port(number: int, target: int | str | None = None, **more: Any) -> Manifest:
    """One port of a Service; more: as in name="http", nodePort=30067, protocol="UDP"."""
    return {"port": number, **({} if target is None else {"targetPort": target}), **more}


def deploy(lesson: Lesson, *manifests: Manifest) -> None:
    """Applies all of them, then waits once: until their Pods are Ready and every node has acted on it."""
    for manifest in manifests:
        lesson.apply(manifest, wait=False)
    lesson.wait([one["metadata"]["name"] for one in manifests if one["kind"] == "Pod"])


def refused_words(lesson: Lesson, manifest: Manifest) -> str:
    """Applies what the API server is to refuse; its own words. Fails the test where it is taken."""
    with pytest.raises(Refused) as refused:
        lesson.apply(manifest, wait=False)
    seen.note("the API server", "refused")
    return refused.value.why


def pod(lesson: Lesson, name: str) -> Manifest:
    """A Pod as the server has it now."""
    found = lesson.read("Pod", name)
    assert found is not None, f"no Pod {name}"
    return found


def pod_ip(lesson: Lesson, name: str) -> str:
    """A Pod's address."""
    return str(pod(lesson, name)["status"]["podIP"])


def service_spec(lesson: Lesson, name: str) -> Manifest:
    """A Service's spec as the server has it now."""
    found = lesson.read("Service", name)
    assert found is not None, f"no Service {name}"
    spec: Manifest = found["spec"]
    return spec


def cluster_ip(lesson: Lesson, name: str) -> str:
    """A Service's ClusterIP."""
    return str(service_spec(lesson, name)["clusterIP"])


def node_port(lesson: Lesson, name: str) -> int:
    """The node port of a Service's first port."""
    return int(service_spec(lesson, name)["ports"][0]["nodePort"])


def endpoints(lesson: Lesson, service_name: str) -> tuple[set[str], set[str]]:
    """What the Endpoints object of a Service lists: "address:port" of those that are ready, and of those that are not."""
    subsets = lesson.cluster.core().read_namespaced_endpoints(service_name, lesson.namespace).subsets or []
    ready = {f"{a.ip}:{p.port}" for s in subsets for a in s.addresses or [] for p in s.ports or []}
    unready = {f"{a.ip}:{p.port}" for s in subsets for a in s.not_ready_addresses or [] for p in s.ports or []}
    return ready, unready


def slices(lesson: Lesson, service_name: str) -> list[tuple[str, int | None, bool]]:
    """What a Service's EndpointSlices list, sorted: address, port (None where the slice has no ports), ready."""
    found = lesson.cluster.discovery().list_namespaced_endpoint_slice(
        lesson.namespace, label_selector=f"kubernetes.io/service-name={service_name}"
    )
    return sorted(
        (address, number, bool(endpoint.conditions.ready))
        for one in found.items
        for endpoint in one.endpoints or []
        for address in endpoint.addresses
        for number in ([p.port for p in one.ports] if one.ports else [None])
    )


def until(true: Callable[[], bool], what: str, limit: float = 30.0) -> None:
    """Returns when it is true; fails the test after `limit` seconds, naming what was waited for."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, f"waited {limit:.0f} s for {what}"
        time.sleep(0.05)
