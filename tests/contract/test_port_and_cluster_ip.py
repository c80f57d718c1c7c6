"""Facts about port and the ClusterIP: an address that only rules know.

Sources: kubernetes.io/docs/reference/networking/virtual-ips, .../concepts/services-networking/service, and what each
test names.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from labs.cluster import Cluster
from labs.deploy import Lesson, Manifest
from labs.errors import NotInTime
from tests.contract.asking import From, side_by_side
from tests.contract.objects import (
    app,
    cluster_ip,
    deploy,
    endpoints,
    node_port,
    pod,
    pod_ip,
    port,
    refused_words,
    service,
    slices,
    until,
)

NOBODYS_PORT = 81  # no Service here has it


@pytest.fixture(scope="module", autouse=True)
def objects(lesson: Lesson) -> None:
    """One productpage and Services before it, a Pod that never becomes Ready, one that speaks UDP, and one to ping from."""
    speaks_udp = app("speaks-udp", "udp")
    speaks_udp["spec"]["containers"][0]["args"] = ["netexec", "--http-port=9080", "--udp-port=8081"]
    pings = app("pings", "pings")
    # A sysctl that is safe for every Pod: lets any user open an ICMP socket. So ping needs no capability.
    pings["spec"]["securityContext"]["sysctls"] = [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]
    never_ready = app("never-ready", "never-ready")
    never_ready["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/healthz"  # 412 without netexec's UDP server
    lesson.apply(never_ready, wait=False)
    until(lambda: pod(lesson, "never-ready")["status"]["phase"] == "Running", "Pod never-ready to run")
    deploy(
        lesson,
        app("pod2", "productpage"),
        speaks_udp,
        pings,
        service("productpage", "productpage", port(80, 9080)),
        service("two-ports", "productpage", port(80, 9080, name="http"), port(8000, 9080, name="second")),
        service("nobody", "no-such-app", port(80, 9080), type="NodePort"),
        service("unready", "never-ready", port(80, 9080)),
        service("headless", "productpage", port(80, 9080), clusterIP="None"),
        service("udp", "udp", port(80, 8081, protocol="UDP")),
    )


@pytest.fixture(scope="module")
def other_namespace(new_lesson: Callable[..., Lesson]) -> From:
    """The client Pod of another lesson, in another namespace."""
    other = new_lesson("99-test-other-namespace", say=lambda _: None)
    other.start()
    return From.pod(other.cluster, other.namespace, "client")


def test_a_cluster_ip_answers_from_pods_and_from_nodes(lesson: Lesson, pod_seat: From, node_seats: list[From]) -> None:
    """clusterIP:port, the article's second way, from everywhere in the cluster."""
    for seat in (pod_seat, *node_seats):
        assert seat.hostname(f"{cluster_ip(lesson, 'productpage')}:80") == "pod2"


def test_neither_a_cluster_ip_nor_a_pod_ip_answers_another_machine(lesson: Lesson, machine: From) -> None:
    """The article's table: these two ways end at the cluster's edge; its rules and routes are on the nodes alone."""
    assert not machine.curl(f"{cluster_ip(lesson, 'productpage')}:80", limit=1.5).answered
    assert not machine.curl(f"{pod_ip(lesson, 'pod2')}:9080", limit=1.5).answered


def test_no_interface_holds_a_cluster_ip(lesson: Lesson, pod_seat: From, node_seats: list[From]) -> None:
    """A ClusterIP has no owner (virtual-ips). A Pod's address has one, which the Pod itself shows."""
    address = cluster_ip(lesson, "productpage")
    inside = From.pod(lesson.cluster, lesson.namespace, "pod2")
    assert pod_ip(lesson, "pod2") in inside.addresses()
    for seat in (inside, pod_seat, *node_seats):
        assert address not in seat.addresses()


class TestPing:
    """What ping gets from a ClusterIP. Rules know Services by protocol and port, and ICMP has no port."""

    def test_a_pod_answers(self, lesson: Lesson) -> None:
        """So that silence from a ClusterIP means something: the same ping reaches a Pod's address."""
        pings = From.pod(lesson.cluster, lesson.namespace, "pings")
        assert pings.run(["ping", "-c", "1", "-W", "2", pod_ip(lesson, "pod2")]).code == 0

    def test_a_cluster_ip_never_does(self, lesson: Lesson, mode: str) -> None:
        """nftables: the node rejects it, by "destination unreachable" (proxier.go, cluster-ips-check). iptables: it leaves
        the node; with a time to live of two hops it ends beyond the node, which says so by "time exceeded".

        Counted by the Pod's own kernel: not every ping prints what ICMP said.
        """
        pings = From.pod(lesson.cluster, lesson.namespace, "pings")
        before = pings.icmp()
        assert pings.run(["ping", "-c", "2", "-W", "1", "-t", "2", cluster_ip(lesson, "productpage")]).code != 0
        rejected, beyond = [pings.icmp()[key] - before[key] for key in ("InDestUnreachs", "InTimeExcds")]
        assert (rejected > 0, beyond > 0) == {"nftables": (True, False), "iptables": (False, True)}[mode]


class TestAWrongPortOnAClusterIP:
    """Nobody's port on somebody's ClusterIP."""

    def test_is_refused_at_once_or_leaves_the_node(
        self, lesson: Lesson, mode: str, pod_seat: From, node_seats: list[From]
    ) -> None:
        """nftables: the node refuses (proxier.go, "Reject traffic to invalid ports of ClusterIPs"). iptables: no rule
        matches, so the packet takes the default route; who answers then, if anybody, is not this cluster's to say.
        """
        address = cluster_ip(lesson, "productpage")
        if mode == "nftables":
            for got in side_by_side(lambda seat: seat.curl(f"{address}:{NOBODYS_PORT}"), [pod_seat, *node_seats]):
                assert got.refused, got
        else:
            assert pod_seat.passes(address, NOBODYS_PORT, hops=2)
            for seat in node_seats:
                assert seat.passes(address, NOBODYS_PORT, hops=1)

    def test_so_it_is_with_an_address_of_the_wrong_protocol(self, lesson: Lesson, mode: str, pod_seat: From) -> None:
        """A UDP Service answers UDP and does not answer TCP: to TCP its port is nobody's."""
        address = cluster_ip(lesson, "udp")
        asked = pod_seat.run(["sh", "-c", f"echo hostname | nc -u -w 1 {address} 80"])
        assert asked.out.strip() == "speaks-udp"
        if mode == "nftables":
            assert pod_seat.curl(f"{address}:80").refused
        else:
            assert pod_seat.passes(address, 80, hops=2)


def test_several_ports_of_a_service_all_answer(lesson: Lesson, pod_seat: From) -> None:
    """One ClusterIP, two ports (service, "Multi-port Services")."""
    for number in (80, 8000):
        assert pod_seat.hostname(f"{cluster_ip(lesson, 'two-ports')}:{number}") == "pod2"


def test_several_ports_need_names(lesson: Lesson) -> None:
    """So that a port of a slice can be told from another (service, "Multi-port Services")."""
    words = refused_words(lesson, service("nameless", "productpage", port(80, 9080), port(8000, 9080)))
    assert "spec.ports[0].name: Required value" in words
    assert "spec.ports[1].name: Required value" in words


def test_a_selector_that_matches_nothing_is_a_refusal(
    lesson: Lesson, pod_seat: From, node_seats: list[From], machine: From
) -> None:
    """Not a timeout: both modes have a rule that rejects what is sent to a Service without endpoints (virtual-ips)."""
    assert endpoints(lesson, "nobody") == (set(), set())
    for got in side_by_side(lambda seat: seat.curl(f"{cluster_ip(lesson, 'nobody')}:80"), [pod_seat, *node_seats]):
        assert got.refused, got
    for node in lesson.cluster.nodes:
        assert machine.curl(f"{node.address}:{node_port(lesson, 'nobody')}").refused


def test_readiness_gates_endpoints(lesson: Lesson, pod_seat: From) -> None:
    """A Pod that is not Ready answers on its own address; its Service refuses; the slice keeps it with `ready: false`."""
    address = pod_ip(lesson, "never-ready")
    assert pod_seat.hostname(f"{address}:9080") == "never-ready"
    assert slices(lesson, "unready") == [(address, 9080, False)]
    assert endpoints(lesson, "unready") == (set(), {f"{address}:9080"})
    assert pod_seat.curl(f"{cluster_ip(lesson, 'unready')}:80").refused


def test_a_headless_service_ignores_port(lesson: Lesson, pod_seat: From) -> None:
    """Its name means the Pods' own addresses (service, "Headless Services"), so only name:targetPort answers."""
    assert cluster_ip(lesson, "headless") == "None"
    pod_seat.until_known("headless")
    assert pod_seat.hostname("headless:9080") == "pod2"
    assert pod_seat.curl("headless:80").refused


def test_a_short_name_works_in_its_namespace_only(lesson: Lesson, pod_seat: From, other_namespace: From) -> None:
    """The search list in a Pod's resolv.conf begins with its own namespace (docs, "DNS for Services and Pods")."""
    pod_seat.until_known("two-ports")
    assert pod_seat.hostname("two-ports:80") == "pod2"
    assert other_namespace.hostname(f"two-ports.{lesson.namespace}:80") == "pod2"
    assert other_namespace.curl("two-ports:80").name_unknown


def test_traffic_does_not_pass_through_kube_proxy(lesson: Lesson, pod_seat: From, node_seats: list[From]) -> None:
    """Where the article has aged: kube-proxy writes rules, the kernel follows them (virtual-ips). Stopped on every node, it
    is missed only by what changes: Services still answer, and `settled()` says that nobody acts on a change.
    """
    address = f"{cluster_ip(lesson, 'productpage')}:80"
    with kube_proxy_stopped(lesson.cluster):
        for seat in (pod_seat, *node_seats):
            assert seat.hostname(address) == "pod2"
        with pytest.raises(NotInTime):
            lesson.cluster.settled(limit=2)
    assert pod_seat.hostname(address) == "pod2"


@contextmanager
def kube_proxy_stopped(cluster: Cluster) -> Iterator[None]:
    """No kube-proxy on any node, by a nodeSelector that no node fits; afterwards as before, and settled."""
    kubectl = ["-n", "kube-system"]
    daemon_set = cluster.kubectl(*kubectl, "get", "daemonset", "kube-proxy", "-o", "name")
    if daemon_set.code != 0:
        pytest.skip(f"no kube-proxy to stop: {daemon_set.err}")

    def select(value: str | None) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": {"labs.ports/nowhere": value}}}}}
        ran = cluster.kubectl(*kubectl, "patch", "daemonset", "kube-proxy", "--patch", json.dumps(patch))
        assert ran.code == 0, ran.err

    def pods() -> list[Manifest]:
        found = cluster.core().list_namespaced_pod("kube-system", label_selector="k8s-app=kube-proxy").items
        return [one for one in found if one.status.phase == "Running"]

    select("true")
    try:
        until(lambda: not pods(), "kube-proxy to be gone from every node", limit=60)
        yield
    finally:
        select(None)
        until(lambda: len(pods()) == len(cluster.nodes), "kube-proxy to be back on every node", limit=60)
        cluster.settled(limit=60)
