"""labs.addresses without a cluster: who holds the article's addresses, what is taken back, and what is left to its owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from labs import addresses, exercises
from labs.addresses import ALL, CLUSTER_IP, NODE_PORT, NONE, THE_CLUSTER_IP, THE_NODE_PORT
from labs.checks import breaking
from labs.deploy import read_manifests


def service(namespace: str, name: str = "web", cluster_ip: str = "10.96.0.9", node_port: int | None = None, **port: Any) -> Any:
    """A V1Service."""
    body = {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{namespace}"},
        "spec": {"clusterIP": cluster_ip, "ports": [{"port": 80, "nodePort": node_port, **port}]},
    }
    return ApiClient()._ApiClient__deserialize(body, "V1Service")  # type: ignore[attr-defined]


class Server:
    """Services, and the names of the namespaces that lessons have."""

    def __init__(self, services: list[Any], lessons: list[str], status: int = 200) -> None:
        self.services, self.status = services, status
        labels = {name: {"labs.ports/lesson": f"04-{name}"} for name in lessons}
        self.lessons = [
            {"metadata": {"name": name, "labels": labels[name]}, "status": {"phase": "Terminating"}} for name in lessons
        ]
        self.did: list[Any] = []

    def core(self) -> Any:
        return self

    @contextmanager
    def answering(self, _: str) -> Iterator[None]:
        yield

    def list_service_for_all_namespaces(self) -> Any:
        self.did.append("services")
        return SimpleNamespace(items=self.services)

    def list_namespace(self, label_selector: str) -> Any:
        self.did.append("namespaces")
        return SimpleNamespace(items=[ApiClient()._ApiClient__deserialize(one, "V1Namespace") for one in self.lessons])

    def delete_namespaced_service(self, name: str, namespace: str, body: Any) -> None:
        if self.status != 200:
            raise ApiException(status=self.status)
        self.did.append((namespace, name, body))


def freed(server: Server) -> tuple[dict[addresses.Addresses, Any], list[str]]:
    said: list[str] = []
    return addresses.free(server, "here", said.append), said  # type: ignore[arg-type]


def test_what_nobody_holds_is_free_after_one_look() -> None:
    server = Server([service("shop"), service("here", cluster_ip=CLUSTER_IP, node_port=NODE_PORT)], [])
    assert freed(server) == ({}, [])
    assert server.did == ["services"]


def test_another_lessons_service_is_taken_by_its_identity_and_that_is_said() -> None:
    server = Server([service("node-port", "productpage", CLUSTER_IP)], ["node-port"])
    kept, [said] = freed(server)
    assert not kept and "Service productpage in namespace node-port had them and was removed" in said
    # A namespace that changed hands after the Services were read has lost that Service; the identity says so.
    gone = {"preconditions": {"uid": "uid-of-node-port"}}
    assert server.did == ["services", "namespaces", ("node-port", "productpage", gone)]


@pytest.mark.parametrize("status", [404, 409])
def test_one_that_is_gone_or_another_one_by_now_is_left_without_a_word(status: int) -> None:
    assert freed(Server([service("node-port", cluster_ip=CLUSTER_IP)], ["node-port"], status)) == ({}, [])


def test_a_learners_service_keeps_what_it_has_and_is_told_of() -> None:
    server = Server([service("shop", "mine", CLUSTER_IP), service("yard", "ours", node_port=NODE_PORT)], ["node-port"])
    kept, said = freed(server)
    assert list(kept) == [THE_CLUSTER_IP, THE_NODE_PORT] and said == []
    assert kept[THE_NODE_PORT].what == "Service ours in namespace yard holds node port 30066."
    assert "kubectl -n yard delete service ours" in kept[THE_NODE_PORT].try_this
    assert server.did == ["services", "namespaces"]


def test_a_udp_port_of_that_number_is_another_port() -> None:
    assert addresses.held(service("shop", node_port=NODE_PORT, protocol="UDP")) == NONE
    assert addresses.held(service("shop", node_port=NODE_PORT, protocol="TCP")) == THE_NODE_PORT


def test_what_manifests_and_exercises_ask_for() -> None:
    asked = {name: addresses.wanted(read_manifests(name)[0]) for name in ("02-pod2", "05-service-with-targetport-9080")}
    assert asked == {"02-pod2": NONE, "05-service-with-targetport-9080": THE_CLUSTER_IP}
    assert addresses.wanted(read_manifests("07-service-nodeport-30066")[0]) == ALL
    assert breaking.article_addresses(exercises.find("another-door")) == THE_NODE_PORT
    assert breaking.article_addresses(exercises.find("wrong-target-port")) == NONE
