"""The article's ClusterIP and node port: of all Services of a cluster, one can have each.

Takes them back from lessons; a Service that is not the course's keeps them, and is told of. For a cluster of our own.
"""

from collections.abc import Callable
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs import namespaces
from labs.cluster import Cluster
from labs.errors import LabError

CLUSTER_IP = "10.97.239.58"
NODE_PORT = 30066

Addresses = frozenset[str]  # some of the two, in words
THE_CLUSTER_IP: Addresses = frozenset({f"ClusterIP {CLUSTER_IP}"})
THE_NODE_PORT: Addresses = frozenset({f"node port {NODE_PORT}"})
ALL = THE_CLUSTER_IP | THE_NODE_PORT
NONE: Addresses = frozenset()


def wanted(manifest: dict[str, Any]) -> Addresses:
    """Those of the article's addresses that a manifest asks for."""
    spec = manifest.get("spec") or {}
    ports = [port.get("nodePort") for port in spec.get("ports") or []]
    return _of(spec.get("clusterIP") == CLUSTER_IP, NODE_PORT in ports)


def held(service: Any) -> Addresses:
    """Those that a V1Service has. A node port for UDP is another port (kubernetes/pkg/registry/core/service/portallocator)."""
    ports = [port.node_port for port in service.spec.ports or [] if (port.protocol or "TCP") == "TCP"]
    return _of(service.spec.cluster_ip == CLUSTER_IP, NODE_PORT in ports)


def _of(cluster_ip: bool, node_port: bool) -> Addresses:
    return (THE_CLUSTER_IP if cluster_ip else NONE) | (THE_NODE_PORT if node_port else NONE)


def free(cluster: Cluster, namespace: str, say: Callable[[str], None]) -> dict[Addresses, LabError]:
    """Deletes the Services of other lessons than that of the namespace which have the addresses, and says so.

    Returns what others have: the error that tells of each, by what it has.
    """
    kept = {}
    with cluster.answering("look for who holds the article's addresses"):
        listed = cluster.core().list_service_for_all_namespaces().items
    holders = [one for one in listed if held(one) and one.metadata.namespace != namespace]
    # After the Services, and each is deleted by its identity: so a namespace that changes hands meanwhile loses nothing.
    lessons = namespaces.of_lessons(cluster, going=True) if holders else []
    for service in holders:
        if service.metadata.namespace in lessons:
            _take(cluster, service, say)
        else:
            kept[held(service)] = _kept_by(service)
    return kept


def _take(cluster: Cluster, service: Any, say: Callable[[str], None]) -> None:
    name, where = service.metadata.name, service.metadata.namespace
    with cluster.answering(f"delete Service {name} in namespace {where}"):
        try:
            cluster.core().delete_namespaced_service(name, where, body={"preconditions": {"uid": service.metadata.uid}})
        except ApiException as error:
            if error.status not in (404, 409):  # gone, or another one by now
                raise
            return
    say(
        f"The article's addresses ({CLUSTER_IP}, node port {NODE_PORT}) can be in one place only: "
        f"Service {name} in namespace {where} had them and was removed. "
        "Run that lesson from its top to bring it back."
    )


def _kept_by(service: Any) -> LabError:
    name, where = service.metadata.name, service.metadata.namespace
    return LabError(
        f"Service {name} in namespace {where} holds {' and '.join(sorted(held(service)))}.",
        "An address can be in one place only, and that namespace is not a lesson's: the course leaves your own things alone.",
        f"`kubectl -n {where} get service {name} -o yaml` shows it. Give it another address, or "
        f"`kubectl -n {where} delete service {name}`; then run this again.",
    )
