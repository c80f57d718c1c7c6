"""From a Service and what stands behind it, as the API has them, to the addresses that a matrix asks. Reads nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from labs.cluster import Address, Node, NotHere
from labs.marker import target_number
from labs.probe.answers import Place, Target, Way

Outside = Callable[[int], Address | NotHere]


def of_service(
    service: Any, pods: Iterable[Any], slices: Iterable[Any], nodes: Iterable[Node], outside: Outside
) -> list[Target]:
    """Every way to a V1Service, given the V1Pods and V1EndpointSlices of its namespace; in the article's order.

    A way that this Service does not have is there too, as one target that says why not.
    """
    ports = service.spec.ports or []
    known = [
        *_or_none(Way.POD, _pods(service, list(pods)), "no running Pod that the selector matches has such a port"),
        *_or_none(Way.ENDPOINT, _endpoints(service, slices), "Endpoints is empty"),
        *_or_none(Way.CLUSTER_IP, _cluster_ip(service), _no_cluster_ip(service)),
        *_or_none(Way.NAME, [Target(Way.NAME, service.metadata.name, int(p.port)) for p in ports], "the Service has no port"),
    ]
    numbers = [int(port.node_port) for port in ports if port.node_port]
    closed = f"type {service.spec.type} opens no node port" if not numbers else "we may not list the nodes here"
    at_nodes = [Target(Way.NODE, node.address, number, name=node.name) for number in numbers for node in nodes]
    own = [Target(Way.NODE_LOCALHOST, "127.0.0.1", number) for number in numbers]
    laptop = [_laptop(number, outside(number)) for number in numbers]
    return [
        *known,
        *_or_none(Way.NODE, at_nodes, closed),
        *_or_none(Way.NODE_LOCALHOST, own, closed),
        *_or_none(Way.LAPTOP_LOCALHOST, laptop, closed),
    ]


def _or_none(way: Way, found: Iterable[Target], why_not: str) -> list[Target]:
    return list(dict.fromkeys(found)) or [Target(way, "", 0, why_not)]


def _pods(service: Any, pods: list[Any]) -> Iterator[Target]:
    selector = (service.spec.selector or {}).items()
    for port in service.spec.ports or []:
        for pod in pods:
            matches = selector and selector <= (pod.metadata.labels or {}).items()
            if not matches or pod.status.phase != "Running" or not pod.status.pod_ip or pod.metadata.deletion_timestamp:
                continue
            number = target_number(port, pod)
            if number is not None:
                yield Target(Way.POD, pod.status.pod_ip, number, name=pod.metadata.name)


def _endpoints(service: Any, slices: Iterable[Any]) -> Iterator[Target]:
    """Ready ones: what `kubectl describe` lists as Endpoints."""
    for one in slices:
        if (one.metadata.labels or {}).get("kubernetes.io/service-name") != service.metadata.name:
            continue
        for port in one.ports or []:
            for endpoint in one.endpoints or []:
                if endpoint.conditions.ready is not False and port.port:
                    name = endpoint.target_ref.name if endpoint.target_ref else ""
                    yield from (Target(Way.ENDPOINT, address, int(port.port), name=name) for address in endpoint.addresses)


def _cluster_ip(service: Any) -> list[Target]:
    address = service.spec.cluster_ip
    if not address or address == "None":
        return []
    return [Target(Way.CLUSTER_IP, address, int(port.port)) for port in service.spec.ports or []]


def _no_cluster_ip(service: Any) -> str:
    if service.spec.cluster_ip == "None":
        return "the Service is headless (clusterIP: None)"
    return f"a Service of type {service.spec.type} has no ClusterIP"


def _laptop(number: int, outside: Address | NotHere) -> Target:
    if isinstance(outside, NotHere):
        return Target(Way.LAPTOP_LOCALHOST, "localhost", number, outside.why)
    if outside.host not in ("localhost", "127.0.0.1", "::1"):
        return Target(Way.LAPTOP_LOCALHOST, "localhost", number, f"nothing maps it here; this laptop reaches it as {outside}")
    return Target(Way.LAPTOP_LOCALHOST, outside.host, outside.port)


def why_not_from(place: Place, target: Target) -> str:
    """Why a matrix does not ask this target from this kind of place; "" where it does."""
    if target.why_not:
        return target.why_not
    if target.way == Way.NAME and place is not Place.POD:
        return "the cluster's DNS knows the names of Services, and only Pods ask it"
    if target.way == Way.NODE_LOCALHOST and place is not Place.NODE:
        return "a node's own localhost can be asked on that node only"
    if target.way == Way.LAPTOP_LOCALHOST and place is not Place.LAPTOP:
        return "this laptop's localhost can be asked on this laptop only"
    return ""
