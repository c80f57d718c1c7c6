"""The addresses that a matrix asks, made from what the API holds."""

from typing import Any

from kubernetes.client import ApiClient

from labs.cluster import Address, Node, NotHere
from labs.probe import Place, Target, Way, ways

NODES = (Node("cp", "172.18.0.2"), Node("worker", "172.18.0.3"))


def of(kind: str, data: dict[str, Any]) -> Any:
    """An object of the client's, as it makes them from the API server's JSON."""
    return ApiClient()._ApiClient__deserialize(data, kind)  # type: ignore[attr-defined]


def pod(name: str, ip: str, phase: str = "Running", number: int = 9080) -> Any:
    container = {"name": "c", "ports": [{"name": "web", "containerPort": number, "protocol": "TCP"}]}
    return of(
        "V1Pod",
        {
            "metadata": {"name": name, "labels": {"app": "productpage"}},
            "spec": {"containers": [container]},
            "status": {"phase": phase, "podIP": ip},
        },
    )


def made(spec: dict[str, Any], pods: list[Any] | None = None, slices: list[Any] | None = None) -> list[Target]:
    service = of("V1Service", {"metadata": {"name": "productpage"}, "spec": {"selector": {"app": "productpage"}, **spec}})

    def outside(number: int) -> Address | NotHere:
        return Address("127.0.0.1", 31066) if number == 30066 else NotHere("no mapping")

    return ways.of_service(service, pods or [], slices or [], NODES, outside)


def endpoint_slice(**port: Any) -> Any:
    ready = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "pod2"}},
             {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}]  # fmt: skip
    labels = {"kubernetes.io/service-name": "productpage"}
    data = {"metadata": {"name": "s", "labels": labels}, "addressType": "IPv4", "endpoints": ready, "ports": [port]}
    return of("V1EndpointSlice", data)


def test_every_way_in_the_articles_order() -> None:
    spec = {
        "type": "NodePort",
        "clusterIP": "10.97.239.58",
        "ports": [{"port": 9999, "targetPort": "web", "nodePort": 30066, "protocol": "TCP"}],
    }
    found = made(spec, [pod("pod2", "10.0.0.1"), pod("pod3", "10.0.0.3", number=8080)], [endpoint_slice(port=9080)])
    assert [(one.way, str(one), one.name) for one in found] == [
        (Way.POD, "10.0.0.1:9080", "pod2"),
        (Way.POD, "10.0.0.3:8080", "pod3"),
        (Way.ENDPOINT, "10.0.0.1:9080", "pod2"),
        (Way.CLUSTER_IP, "10.97.239.58:9999", ""),
        (Way.NAME, "productpage:9999", ""),
        (Way.NODE, "172.18.0.2:30066", "cp"),
        (Way.NODE, "172.18.0.3:30066", "worker"),
        (Way.NODE_LOCALHOST, "127.0.0.1:30066", ""),
        (Way.LAPTOP_LOCALHOST, "127.0.0.1:31066", ""),
    ]
    assert not any(one.why_not for one in found)


def test_a_way_that_is_not_there_says_why() -> None:
    headless = {"type": "ClusterIP", "clusterIP": "None", "ports": [{"port": 9999, "targetPort": "nobody", "protocol": "TCP"}]}
    found = {one.way: one.why_not for one in made(headless, [pod("pod2", "10.0.0.1")], [endpoint_slice()])}
    assert list(found) == list(Way)
    assert "such a port" in found[Way.POD]
    assert "empty" in found[Way.ENDPOINT]
    assert "headless" in found[Way.CLUSTER_IP]
    assert found[Way.NAME] == ""
    assert found[Way.NODE] == found[Way.LAPTOP_LOCALHOST] == "type ClusterIP opens no node port"


def test_a_node_port_without_a_mapping_says_why_it_is_not_the_laptops() -> None:
    spec = {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 31111, "protocol": "TCP"}]}
    assert made(spec)[-1].why_not == "no mapping"


def test_a_pod_that_has_ended_is_not_asked() -> None:
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [{"port": 9080, "protocol": "TCP"}]}
    assert made(spec, [pod("pod2", "10.0.0.1", phase="Failed")])[0].why_not


def test_only_sensible_pairs_are_asked() -> None:
    def places(way: Way) -> list[Place]:
        return [place for place in Place if not ways.why_not_from(place, Target(way, "host", 80))]

    assert places(Way.CLUSTER_IP) == list(Place)
    assert places(Way.NAME) == [Place.POD]
    assert places(Way.NODE_LOCALHOST) == [Place.NODE]
    assert places(Way.LAPTOP_LOCALHOST) == [Place.LAPTOP]
