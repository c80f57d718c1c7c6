"""The embedded cluster's Service rules, proved by requests: real namespaces, the real nft, whoever runs the tests.

Nothing leaves the namespaces. What each answer is on a real cluster in nftables mode, tests/contract/ asserts there.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import NodeRules, nft, rules
from tests.embedded_wires import MACHINE, NODES, PODS, Wires, why_not

PLAN = AddressPlan("wires")
IP, NODE_PORT = "10.97.239.58", 30066
NODE0, NODE1 = (address for address, _ in NODES.values())
PORT = {"port": 9999, "targetPort": 9080, "protocol": "TCP"}


@dataclass
class Cluster:
    """The wires with rules on both nodes, that follow what is put in."""

    wires: Wires
    rules: dict[str, NodeRules] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (address, pods) in NODES.items():
            self.rules[name] = NodeRules(NodePlan(name, address, f"{pods}.0/24", False), PLAN)
            self.apply(name, self.rules[name].whole())

    def put(self, resource: str, obj: dict[str, Any], gone: bool = False) -> None:
        """As the node agents do it on a change."""
        for name, one in self.rules.items():
            one.see(resource, obj, gone)
            self.apply(name, one.change().commands)

    def apply(self, node: str, commands: list[nft.Json]) -> int:
        """How many transactions it took."""
        transactions = list(nft.transactions(commands))
        self.wires.call("apply", node, transactions)
        return len(transactions)

    def service(self, *endpoints: str, ports: list[dict[str, Any]] | None = None, **spec: Any) -> None:
        """Service s with Pods behind it, by name; "b!": ends, but serves; "b-": is not ready."""
        ports = ports or [PORT]
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            ports = [one | {"nodePort": NODE_PORT + number} for number, one in enumerate(ports)]
        made = {"clusterIP": IP, "type": "ClusterIP", "ports": ports} | spec
        self.put("services", {"metadata": {"namespace": "ns", "name": "s"}, "spec": made})
        metadata = {"namespace": "ns", "name": "s-1", "labels": {"kubernetes.io/service-name": "s"}}
        targets = [
            {"name": one.get("name", ""), "port": one["targetPort"], "protocol": one.get("protocol", "TCP")} for one in ports
        ]
        self.put(
            "endpointslices",
            {"metadata": metadata, "addressType": "IPv4", "endpoints": [_endpoint(one) for one in endpoints], "ports": targets},
        )

    def ask(self, who: str, address: str = IP, port: int = 9999, protocol: str = "tcp") -> str:
        return self.wires.ask(who, address, port, protocol)


def _endpoint(name: str) -> dict[str, Any]:
    node, address = PODS[name[0]]
    state = {"ready": len(name) == 1, "serving": not name.endswith("-"), "terminating": name.endswith("!")}
    return {"addresses": [address], "nodeName": node, "conditions": state}


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    if reason := why_not():
        pytest.skip(reason)
    made = Wires()
    yield made
    made.close()


@pytest.fixture
def cluster(wires: Wires) -> Cluster:
    return Cluster(wires)


def test_a_pod_reaches_a_service_with_its_own_address(cluster: Cluster) -> None:
    cluster.service("b")
    assert cluster.ask("a") == "b:9080 saw 10.244.0.5"
    assert cluster.ask("c") == "b:9080 saw 10.244.1.6"


def test_who_is_no_pod_gets_a_nodes_address(cluster: Cluster) -> None:
    """The answer must come back through the node that translated the request."""
    cluster.service("b")
    assert cluster.ask("node0") == f"b:9080 saw {NODE0}"
    assert cluster.ask("machine") == f"b:9080 saw {NODE0}", "by a route of its own to the Service range"
    assert cluster.ask("node1") == "b:9080 saw 10.244.1.1", "the address on that Pod's link"


def test_requests_are_spread(cluster: Cluster) -> None:
    cluster.service("a", "b", "c")
    assert {cluster.ask("node0").split(":")[0] for _ in range(60)} == {"a", "b", "c"}


def test_a_pod_reaches_itself_through_its_service(cluster: Cluster) -> None:
    cluster.service("b")
    assert cluster.ask("b") == "b:9080 saw 10.244.1.1", "not its own address: it would answer itself past the translation"


def test_udp(cluster: Cluster) -> None:
    cluster.service("b", ports=[PORT | {"protocol": "UDP"}])
    assert cluster.ask("a", protocol="udp") == "b:9080 saw 10.244.0.5"
    assert cluster.ask("a") == "refused", "a UDP Service does not answer TCP"


def test_several_ports(cluster: Cluster) -> None:
    both = [PORT | {"name": "one"}, {"name": "two", "port": 80, "targetPort": 9081, "protocol": "TCP"}]
    cluster.service("b", ports=both, type="NodePort")
    assert cluster.ask("a").startswith("b:9080") and cluster.ask("a", port=80).startswith("b:9081")
    assert cluster.ask("machine", NODE0, NODE_PORT).startswith("b:9080")
    assert cluster.ask("machine", NODE0, NODE_PORT + 1).startswith("b:9081")


def test_a_node_port_answers_on_every_node_and_masquerades(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort")
    assert cluster.ask("machine", NODE0, NODE_PORT) == f"b:9080 saw {NODE0}"
    assert cluster.ask("machine", NODE1, NODE_PORT) == "b:9080 saw 10.244.1.1"
    assert cluster.ask("host", NODE0, NODE_PORT) == f"b:9080 saw {NODE0}"
    assert cluster.ask("node0", NODE0, NODE_PORT) == f"b:9080 saw {NODE0}"
    assert cluster.ask("a", NODE1, NODE_PORT) == "b:9080 saw 10.244.1.1"


def test_a_node_port_is_not_on_localhost(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort")
    assert cluster.ask("node0", "127.0.0.1", NODE_PORT) == "refused"
    assert cluster.ask("node1", "10.244.1.1", NODE_PORT) == "refused", "nor on another address of the node"


def test_external_traffic_policy_local(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort", externalTrafficPolicy="Local")
    assert cluster.ask("machine", NODE1, NODE_PORT) == f"b:9080 saw {MACHINE}", "the client's own address"
    assert cluster.ask("machine", NODE0, NODE_PORT) == "timed out", "no Pod there: silence, not a refusal"
    assert cluster.ask("node0", NODE0, NODE_PORT) == f"b:9080 saw {NODE0}", "a node's own requests go to every Pod"
    assert cluster.ask("a", NODE0, NODE_PORT) == "b:9080 saw 10.244.0.5", "and its Pods' requests, with their address"
    assert cluster.ask("a") == "b:9080 saw 10.244.0.5", "the ClusterIP knows nothing of it"


def test_internal_traffic_policy_local(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort", internalTrafficPolicy="Local")
    assert cluster.ask("c").startswith("b:9080")
    assert cluster.ask("a") == "timed out"
    assert cluster.ask("machine", NODE0, NODE_PORT).startswith("b:9080"), "the node port knows nothing of it"


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("endpoints", [(), ("b-",)], ids=["none", "not ready"])
def test_without_endpoints_everything_is_refused(cluster: Cluster, endpoints: tuple[str, ...], policy: str) -> None:
    cluster.service(*endpoints, type="NodePort", externalTrafficPolicy=policy)
    assert cluster.ask("a") == cluster.ask("node0") == "refused"
    assert cluster.ask("machine", NODE0, NODE_PORT) == cluster.ask("node1", NODE1, NODE_PORT) == "refused"


def test_a_wrong_port_is_refused_and_a_wrong_address_is_silence(cluster: Cluster) -> None:
    cluster.service("b")
    assert cluster.ask("a", port=9998) == cluster.ask("node0", port=9998) == "refused"
    assert cluster.ask("a", "10.97.239.59") == cluster.ask("node0", "10.97.239.59") == "timed out"


def test_what_ends_answers_while_nothing_else_does(cluster: Cluster) -> None:
    cluster.service("b!")
    assert cluster.ask("a").startswith("b:")
    cluster.service("b!", "c")
    assert {cluster.ask("a").split(":")[0] for _ in range(20)} == {"c"}


def test_session_affinity(cluster: Cluster) -> None:
    cluster.service("a", "b", "c", sessionAffinity="ClientIP")
    for who in ("a", "node0", "machine"):
        assert len({cluster.ask(who) for _ in range(20)}) == 1
    cluster.service("a", "b", "c")
    assert len({cluster.ask("machine") for _ in range(60)}) == 3


def test_affinity_is_forgotten_in_time(cluster: Cluster) -> None:
    config = {"clientIP": {"timeoutSeconds": 1}}
    cluster.service("a", "b", "c", sessionAffinity="ClientIP", sessionAffinityConfig=config)
    first = cluster.ask("machine")
    assert "timeout 1s" in cluster.wires.call("listed", "node0", "kube-proxy")
    for _ in range(60):
        silence = cluster.ask("machine", "10.97.239.59")  # longer than the affinity lasts
        assert silence == "timed out"
        if cluster.ask("machine") != first:
            return
    pytest.fail("the client was never sent elsewhere")


def test_changes_take_hold_at_once(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort")
    assert cluster.ask("a").startswith("b:9080")
    cluster.service("b", ports=[PORT | {"targetPort": 9081}], type="NodePort")
    assert cluster.ask("a").startswith("b:9081")
    cluster.service("b", ports=[PORT | {"targetPort": 7777}])
    assert cluster.ask("a") == "refused", "nothing listens there"
    assert cluster.ask("machine", NODE0, NODE_PORT) == "refused", "it is no node port any more"
    cluster.service("c", ports=[PORT | {"port": 9998}], sessionAffinity="ClientIP")
    assert cluster.ask("a", port=9998).startswith("c:9080") and cluster.ask("a") == "refused"
    cluster.put("services", {"metadata": {"namespace": "ns", "name": "s"}, "spec": {}}, gone=True)
    assert cluster.ask("a", port=9998) == "timed out", "the address is nobody's"
    for name, one in cluster.rules.items():
        cluster.apply(name, one.sweep())
        left = cluster.wires.call("listed", name, "kube-proxy")
        assert "ns/s" not in left and IP not in left, "nothing is left behind"


def test_an_external_ip(cluster: Cluster) -> None:
    cluster.service("b", externalIPs=["172.30.0.77"])
    assert cluster.ask("a", "172.30.0.77").startswith("b:9080")


def test_load_balancer_pending(cluster: Cluster) -> None:
    cluster.service("b", type="LoadBalancer")
    assert cluster.ask("machine", NODE0, NODE_PORT).startswith("b:9080")


def test_host_port(cluster: Cluster) -> None:
    ports = [{"containerPort": 9080, "hostPort": 8088}, {"containerPort": 9081, "hostPort": 8089, "hostIP": NODE1}]
    pod = {
        "metadata": {"namespace": "ns", "name": "b"},
        "spec": {"nodeName": "node1", "containers": [{"ports": ports}]},
        "status": {"podIP": PODS["b"][1], "phase": "Running"},
    }
    cluster.put("pods", pod)
    assert cluster.ask("machine", NODE1, 8088) == f"b:9080 saw {MACHINE}"
    assert cluster.ask("machine", NODE1, 8089).startswith("b:9081")
    assert cluster.ask("machine", NODE0, 8088) == "refused", "on the Pod's node alone"
    assert cluster.ask("node1", "127.0.0.1", 8088).startswith("b:9080")
    assert cluster.ask("node1", "127.0.0.1", 8089) == "refused", "on the address that it names"
    assert cluster.ask("b", NODE1, 8088).startswith("b:9080"), "a Pod's own"
    assert cluster.ask("a", NODE1, 8088) == f"b:9080 saw {NODE0}", "a Pod's request to a node is outside of the Pods' network"
    cluster.put("pods", pod, gone=True)
    assert cluster.ask("machine", NODE1, 8088) == "refused"


def test_one_host_port_on_two_addresses_and_by_two_protocols(cluster: Cluster) -> None:
    for name, host, protocol in (("a", "127.0.0.1", "TCP"), ("b", NODE1, "TCP"), ("c", NODE1, "UDP")):
        port = {"containerPort": 9080, "hostPort": 8088, "hostIP": host, "protocol": protocol}
        metadata = {"namespace": "ns", "name": name}
        spec = {"nodeName": "node1", "containers": [{"ports": [port]}]}
        cluster.put("pods", {"metadata": metadata, "spec": spec, "status": {"podIP": PODS[name][1], "phase": "Running"}})
    assert cluster.ask("node1", "127.0.0.1", 8088).startswith("a:9080")
    assert cluster.ask("node1", NODE1, 8088).startswith("b:9080")
    assert cluster.ask("machine", NODE1, 8088, "udp").startswith("c:9080")


def test_pods_way_out(cluster: Cluster) -> None:
    assert cluster.ask("a", MACHINE, 9080) == f"machine:9080 saw {NODE0}"
    assert cluster.ask("a", PODS["b"][1], 9080) == "b:9080 saw 10.244.0.5", "between Pods nothing is translated"


def test_the_whole_takes_the_place_of_what_was_there(cluster: Cluster) -> None:
    cluster.service("b", type="NodePort")
    for name, one in cluster.rules.items():
        cluster.apply(name, one.whole())
        cluster.apply(name, one.whole())
    assert cluster.ask("machine", NODE0, NODE_PORT).startswith("b:9080")
    node = cluster.rules["node0"].node
    cluster.apply("node0", rules([], [], node, PLAN))
    assert cluster.ask("machine", NODE0, NODE_PORT) == "refused"


def test_a_thousand_services(cluster: Cluster) -> None:
    """They are too much for one message to the kernel; a change among them is as small as ever."""
    cluster.service("b")
    one = cluster.rules["node0"]
    for number in range(1000):
        spec = {"clusterIP": f"10.100.{number // 250}.{number % 250}", "ports": [PORT]}
        one.see("services", {"metadata": {"namespace": "many", "name": f"s{number}"}, "spec": spec})
        metadata = {"namespace": "many", "name": f"s{number}", "labels": {"kubernetes.io/service-name": f"s{number}"}}
        ports = [{"name": "", "port": 9080, "protocol": "TCP"}]
        part = {"metadata": metadata, "addressType": "IPv4", "endpoints": [_endpoint("c")], "ports": ports}
        one.see("endpointslices", part)
    assert cluster.apply("node0", one.change().commands) > 1
    assert cluster.ask("a", "10.100.3.249").startswith("c:9080")
    cluster.service("b", ports=[PORT | {"targetPort": 9081}])
    assert cluster.ask("a").startswith("b:9081")
    assert cluster.apply("node0", one.whole()) > 1
    assert cluster.ask("a").startswith("b:9081") and cluster.ask("a", "10.100.0.0").startswith("c:9080")


@pytest.mark.skipif(os.getuid() != 0, reason="the tests run as an ordinary user already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not here")
def test_an_ordinary_user_can_do_it_too() -> None:
    if reason := why_not():
        pytest.skip(reason)
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    wires = Wires(prefix, shutil.which("python3", path="/usr/bin:/bin") or "python3")
    cluster = Cluster(wires)
    cluster.service("b", type="NodePort", sessionAffinity="ClientIP")
    assert cluster.ask("machine", NODE0, NODE_PORT) == f"b:9080 saw {NODE0}"
    wires.close()
