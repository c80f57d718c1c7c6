"""Facts about nodePort, and the ways into a cluster beside it.

Sources: kubernetes.io/docs/concepts/services-networking/service ("type: NodePort"), .../tutorials/services/source-ip,
.../reference/networking/virtual-ips, and what each test names.
"""

import sys

import pytest

from labs.cluster import Address, Cluster, NotHere
from labs.deploy import Lesson
from tests.contract.asking import From, as_json, port_forward
from tests.contract.objects import app, cluster_ip, deploy, endpoints, node_port, pod_ip, port, refused_words, service

MAPPED = 30067  # kindconfig.yaml maps it, and the article does not use it
KUBELET_PORT = 10250  # a socket that does listen on every node


@pytest.fixture(scope="module", autouse=True)
def objects(lesson: Lesson) -> None:
    """pod2 on the last node alone, a Pod to ask from on the first node, and the Services before pod2."""
    first, last = lesson.cluster.nodes[0].name, lesson.cluster.nodes[-1].name
    assert first != last, "these facts need a second node"
    deploy(
        lesson,
        app("pod2", "productpage", node=last),
        app("on-first-node", "asks", node=first),
        service("cluster-policy", "productpage", port(9999, 9080), type="NodePort"),
        service("local-policy", "productpage", port(9999, 9080), type="NodePort", externalTrafficPolicy="Local"),
        service("mapped", "productpage", port(9999, 9080, nodePort=MAPPED), type="NodePort"),
        service("broken", "productpage", port(9999), type="NodePort"),
        service("no-such-name", "productpage", port(9999, "web")),
        service("balanced", "productpage", port(9999, 9080), type="LoadBalancer"),
    )


def at(lesson: Lesson, node: int, name: str) -> str:
    """nodeIP:nodePort of a Service, on the node of that index."""
    return f"{lesson.cluster.nodes[node].address}:{node_port(lesson, name)}"


def test_a_node_port_opens_on_every_node(lesson: Lesson, machine: From) -> None:
    """Also on the first node, where pod2 does not run: "each node proxies that port" (service)."""
    for node in range(len(lesson.cluster.nodes)):
        assert machine.hostname(at(lesson, node, "cluster-policy")) == "pod2"


def test_no_socket_listens_on_a_node_port(lesson: Lesson, node_seats: list[From]) -> None:
    """It is a rule too, as a ClusterIP is. What does listen on each node can be seen in the same way: the kubelet."""
    for seat in node_seats:
        listening = seat.listening()
        assert KUBELET_PORT in listening
        assert node_port(lesson, "cluster-policy") not in listening


def test_a_node_port_service_has_a_cluster_ip_as_well(lesson: Lesson, pod_seat: From) -> None:
    """The types build on each other (service, "Publishing Services")."""
    assert pod_seat.hostname(f"{cluster_ip(lesson, 'cluster-policy')}:9999") == "pod2"


def test_a_nodes_own_localhost_answers_by_mode(lesson: Lesson, mode: str, node_seats: list[From]) -> None:
    """iptables: route_localnet and a rule for 127.0.0.1 (--iptables-localhost-nodeports). nftables: it never does
    (virtual-ips, "NodePort services on 127.0.0.1").
    """
    for seat in node_seats:
        got = seat.curl(f"localhost:{node_port(lesson, 'cluster-policy')}")
        if mode == "iptables":
            assert got.body == "pod2", got
        else:
            assert got.refused, got


@pytest.mark.parametrize("number", [80, 29999, 32768])
def test_a_node_port_outside_its_range_is_refused(lesson: Lesson, number: int) -> None:
    """The API server's own words, which the lessons show (--service-node-port-range)."""
    words = refused_words(lesson, service("outside", "productpage", port(9999, 9080, nodePort=number), type="NodePort"))
    assert f"spec.ports[0].nodePort: Invalid value: {number}: provided port is not in the valid range" in words
    assert "The range of valid ports is 30000-32767" in words


def test_a_node_port_that_is_taken_is_refused(lesson: Lesson) -> None:
    """One node port, one Service, in the whole cluster."""
    taken = node_port(lesson, "cluster-policy")
    words = refused_words(lesson, service("second", "productpage", port(9999, 9080, nodePort=taken), type="NodePort"))
    assert f"spec.ports[0].nodePort: Invalid value: {taken}: provided port is already allocated" in words


class TestThisLaptop:
    """The machine that the tests run on; on kind, the nodes are containers on it."""

    def test_localhost_answers_where_the_provider_says(self, lesson: Lesson) -> None:
        """kind: extraPortMappings, whose containerPort is a node port and whose hostPort is the laptop's."""
        outside = self.mapped(lesson.cluster)
        assert From.laptop().hostname(str(outside)) == "pod2"

    def test_localhost_does_not_answer_where_it_says_not_here(self, lesson: Lesson) -> None:
        """The same Pod, another node port, no mapping: the laptop's localhost knows nothing of it."""
        number = node_port(lesson, "cluster-policy")
        answer = lesson.cluster.outside(number)
        if isinstance(answer, Address):
            pytest.skip(f"this provider opens every node port to the laptop: {answer}")
        assert str(number) in answer.why
        assert From.laptop().curl(f"127.0.0.1:{number}").body != "pod2"

    def test_a_nodes_address_answers_where_there_is_a_route(self, lesson: Lesson) -> None:
        """An engine on Linux puts its network's bridge on this machine; one in a virtual machine (Docker Desktop) does not."""
        if sys.platform != "linux":
            pytest.skip("no route to the nodes' network here: the engine runs in a virtual machine")
        for node, found in enumerate(lesson.cluster.nodes):
            route = From.laptop().run(["ip", "route", "get", found.address])
            if route.code != 0 or " via " in route.out:
                pytest.skip(f"no route of its own to {found.address}: {route.out or route.err}")
            assert From.laptop().hostname(at(lesson, node, "cluster-policy")) == "pod2"

    @staticmethod
    def mapped(cluster: Cluster) -> Address:
        """Where the laptop reaches the mapped node port; skips, with the reason, where it does not."""
        found = cluster.outside(MAPPED)
        if isinstance(found, NotHere):
            pytest.skip(found.why)
        return found


class TestTheClientThatTheAppSees:
    """Which client address arrives depends on the way (source-ip)."""

    def test_from_a_pod_it_is_the_pod(self, lesson: Lesson, pod_seat: From) -> None:
        """Straight or by ClusterIP: the source stays."""
        client = pod_ip(lesson, "client")
        assert pod_seat.client_ip(f"{pod_ip(lesson, 'pod2')}:9080") == client
        assert pod_seat.client_ip(f"{cluster_ip(lesson, 'cluster-policy')}:9999") == client

    def test_from_a_node_it_is_an_address_of_that_node(self, lesson: Lesson, node_seats: list[From]) -> None:
        """Which one of them, the route decides."""
        for seat in node_seats:
            assert seat.client_ip(f"{cluster_ip(lesson, 'cluster-policy')}:9999") in seat.addresses()

    def test_by_a_node_port_it_is_the_node_that_was_asked(self, lesson: Lesson, machine: From, node_seats: list[From]) -> None:
        """That node puts its own address in place of the client's, so that the answer comes back through it."""
        for node, seat in enumerate(node_seats):
            seen = machine.client_ip(at(lesson, node, "cluster-policy"))
            assert seen in seat.addresses()
            assert seen not in machine.addresses()

    def test_by_the_laptops_mapping_it_is_a_node(self, lesson: Lesson, node_seats: list[From]) -> None:
        """The mapping ends at a node port."""
        outside = TestThisLaptop.mapped(lesson.cluster)
        assert From.laptop().client_ip(str(outside)) in set().union(*(seat.addresses() for seat in node_seats))

    def test_with_the_local_policy_it_is_the_client(self, lesson: Lesson, machine: From) -> None:
        """It "preserves the original source IP address" (source-ip)."""
        assert machine.client_ip(at(lesson, -1, "local-policy")) in machine.addresses()


class TestExternalTrafficPolicyLocal:
    """pod2 is on the last node alone."""

    def test_for_another_machine_only_nodes_with_a_pod_answer(self, lesson: Lesson, machine: From) -> None:
        """The others drop it: a timeout, not a refusal (proxier.go of both modes, "has no local endpoints")."""
        *others, last = range(len(lesson.cluster.nodes))
        assert machine.hostname(at(lesson, last, "local-policy")) == "pod2"
        for node in others:
            assert machine.curl(at(lesson, node, "local-policy"), limit=2).timed_out

    def test_a_node_itself_and_its_pods_reach_every_pod(self, lesson: Lesson, node_seats: list[From]) -> None:
        """What begins on a node is not external to it ("short-circuit pod traffic", "short-circuit local traffic" in
        proxier.go): the first node, without pod2, answers its own request and its own Pod's.
        """
        its_pod = From.pod(lesson.cluster, lesson.namespace, "on-first-node")
        for seat in (node_seats[0], its_pod):
            assert seat.hostname(at(lesson, 0, "local-policy")) == "pod2"
            assert seat.hostname(f"{cluster_ip(lesson, 'local-policy')}:9999") == "pod2"

    def test_to_another_node_a_node_is_another_machine(self, lesson: Lesson, node_seats: list[From]) -> None:
        """The first node drops the last node's request as it drops anybody's."""
        assert node_seats[-1].curl(at(lesson, 0, "local-policy"), limit=2).timed_out


class TestPortForward:
    """kubectl port-forward goes by the API server and the kubelet to one Pod: no Service rule is on its way."""

    def test_to_a_pod_reaches_past_a_broken_service(self, lesson: Lesson, pod_seat: From) -> None:
        """Its Service refuses, and it answers."""
        assert pod_seat.curl(f"{cluster_ip(lesson, 'broken')}:9999").refused
        with port_forward(lesson, "pod/pod2", 9080) as forwarded:
            assert From.laptop().hostname(forwarded.address) == "pod2"

    def test_to_a_service_translates_port_to_target_port(self, lesson: Lesson) -> None:
        """kubectl reads the Service once and picks a Pod (kubectl/pkg/cmd/portforward, translateServicePortToTargetPort)."""
        with port_forward(lesson, "service/cluster-policy", 9999) as forwarded:
            assert forwarded.pod_port == 9080
            assert From.laptop().hostname(forwarded.address) == "pod2"

    def test_to_a_service_fails_with_its_target_port(self, lesson: Lesson) -> None:
        """kubectl accepts, finds nobody at the Pod's 9999, and closes: curl's 52 (or 56, a reset)."""
        with port_forward(lesson, "service/broken", 9999) as forwarded:
            assert forwarded.pod_port == 9999
            assert From.laptop().curl(forwarded.address).code in (52, 56)

    def test_to_a_service_with_a_name_that_no_container_has_does_not_begin(self, lesson: Lesson) -> None:
        """There is no number to translate to."""
        ran = lesson.kubectl("port-forward", "--address=127.0.0.1", "service/no-such-name", ":9999")
        assert ran.code != 0
        assert "does not have a named port 'web'" in ran.err


def test_a_load_balancer_stays_pending_and_its_node_port_answers(lesson: Lesson, machine: From) -> None:
    """Nobody here makes load balancers (service, "type: LoadBalancer": it needs the cloud's controller)."""
    assert as_json(lesson.kubectl("get", "service", "balanced", "-o", "json"))["status"] == {"loadBalancer": {}}
    assert "<pending>" in lesson.kubectl("get", "service", "balanced").out
    assert endpoints(lesson, "balanced") == ({f"{pod_ip(lesson, 'pod2')}:9080"}, set())
    for node in range(len(lesson.cluster.nodes)):
        assert machine.hostname(at(lesson, node, "balanced")) == "pod2"
