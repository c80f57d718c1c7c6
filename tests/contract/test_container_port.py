"""Facts about containerPort and the process: who opens a port, and who only declares it.

Sources: kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1 ("Ports"), and what each test names.
"""

import pytest

from labs.cluster import Cluster
from labs.deploy import Lesson
from tests.contract.asking import From, as_json, port_forward
from tests.contract.objects import app, cluster_ip, deploy, pod, pod_ip, port, refused_words, service, slices, until

HOST_PORT = 28080  # outside the node ports' range, and nobody's


@pytest.fixture(scope="module", autouse=True)
def pods(lesson: Lesson) -> None:
    """The Pods that these facts share, named for what they declare or where they listen."""
    declares_two = app("declare-twice", "declare-twice", containers=("first", "second"))
    declares_two["spec"]["containers"][1]["ports"] = [{"containerPort": 9080}]
    different = app("different-ports", "different-ports", containers=("first", "second"))
    different["spec"]["containers"][1] |= {"args": ["netexec", "--http-port=9081", "--udp-port=-1"]}
    probed = app("probed-by-name", "probed-by-name", port_name="web")
    probed["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = "web"
    host_port = app("host-port", "host-port", node=lesson.cluster.nodes[-1].name)
    host_port["spec"]["containers"][0]["ports"] = [{"containerPort": 9080, "hostPort": HOST_PORT}]
    deploy(
        lesson,
        app("declares-9080", "declares", containers=("productpage", "sidecar")),
        app("declares-nothing", "declares-nothing", container_port=None),
        app("declares-9999", "declares-9999", container_port=9999),
        app("on-loopback", "on-loopback", listen_address="127.0.0.1", containers=("productpage", "sidecar")),
        service("on-loopback", "on-loopback", port(80, 9080)),
        declares_two,
        different,
        probed,
        host_port,
    )


def test_a_pod_that_declares_no_port_answers(lesson: Lesson, pod_seat: From) -> None:
    """containerPort opens nothing. "Not specifying a port here DOES NOT prevent that port from being exposed" (pod-v1)."""
    assert pod_seat.hostname(f"{pod_ip(lesson, 'declares-nothing')}:9080") == "declares-nothing"


def test_a_pod_that_declares_another_port_answers_where_its_process_listens(lesson: Lesson, pod_seat: From) -> None:
    """Declared 9999, listening on 9080: 9080 answers, 9999 refuses."""
    address = pod_ip(lesson, "declares-9999")
    assert pod_seat.hostname(f"{address}:9080") == "declares-9999"
    assert pod_seat.curl(f"{address}:9999").refused


def test_a_probe_may_name_a_declared_port(lesson: Lesson) -> None:
    """One use of containerPort: httpGet.port may be its name (pod-v1, "Probe"). The kubelet found it: the Pod is Ready."""
    container = pod(lesson, "probed-by-name")["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["port"] == "web"
    assert pod(lesson, "probed-by-name")["status"]["containerStatuses"][0]["ready"] is True


def test_a_probe_of_a_name_that_is_not_declared_fails(lesson: Lesson) -> None:
    """The other half: without the declaration there is nothing that the name could mean."""
    nameless = app("probed-by-no-name", "probed-by-no-name", container_port=None)
    nameless["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = "web"
    lesson.apply(nameless, wait=False)

    def words() -> list[str]:
        selector = "involvedObject.name=probed-by-no-name,reason=Unhealthy"
        events = lesson.cluster.core().list_namespaced_event(lesson.namespace, field_selector=selector)
        return [event.message for event in events.items]

    until(lambda: bool(words()), "an event about the probe")
    assert all("Readiness probe errored" in one and '"web"' in one for one in words()), words()
    assert pod(lesson, "probed-by-no-name")["status"]["containerStatuses"][0]["ready"] is False


def test_kubectl_expose_takes_the_declared_port(lesson: Lesson) -> None:
    """One use of containerPort: `kubectl expose` without --port (kubectl's own help: "introspection")."""
    assert lesson.kubectl("expose", "pod", "declares-9080", "--name=exposed").code == 0
    [made] = as_json(lesson.kubectl("get", "service", "exposed", "-o", "json"))["spec"]["ports"]
    assert (made["port"], made["targetPort"]) == (9080, 9080)


def test_kubectl_expose_needs_a_port_where_none_is_declared(lesson: Lesson) -> None:
    """The other half: nothing declared, nothing found, though the process listens."""
    ran = lesson.kubectl("expose", "pod", "declares-nothing", "--name=not-exposed")
    assert ran.code != 0
    assert "couldn't find port via --port flag or introspection" in ran.err


def test_a_host_port_opens_on_the_pods_node_alone(lesson: Lesson, machine: From) -> None:
    """One use of containerPort: hostPort, "number of port to expose on the host" (pod-v1); the other nodes refuse."""
    *others, at = lesson.cluster.nodes
    assert machine.hostname(f"{at.address}:{HOST_PORT}") == "host-port"
    assert others, "this fact needs a second node"
    for node in others:
        assert machine.curl(f"{node.address}:{HOST_PORT}").refused


def test_a_second_pod_with_that_host_port_on_that_node_stays_pending(lesson: Lesson) -> None:
    """The scheduler's plugin NodePorts finds no node (kubernetes.io/docs/reference/scheduling/config)."""
    second = app("host-port-2", "host-port-2", node=lesson.cluster.nodes[-1].name)
    second["spec"]["containers"][0]["ports"] = [{"containerPort": 9080, "hostPort": HOST_PORT}]
    lesson.apply(second, wait=False)

    def judged() -> list[str]:
        conditions = pod(lesson, "host-port-2")["status"].get("conditions") or []
        return [c["message"] for c in conditions if c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable"]

    until(lambda: bool(judged()), "the scheduler's word")
    assert "didn't have free ports for the requested pod ports" in judged()[0]
    assert pod(lesson, "host-port-2")["status"]["phase"] == "Pending"


def test_the_ports_of_a_pod_are_immutable(lesson: Lesson) -> None:
    """Only some fields of a Pod may change; ports are not among them (docs, "Pod update and replacement")."""
    changed = app("declares-9080", "declares", containers=("productpage", "sidecar"), container_port=9999)
    assert "pod updates may not change fields other than" in refused_words(lesson, changed)


def test_two_containers_may_declare_one_port(lesson: Lesson) -> None:
    """Where the article is wrong: declaring a port twice stops nobody. Both containers run, and were never restarted."""
    statuses = pod(lesson, "declare-twice")["status"]["containerStatuses"]
    assert [(one["ready"], one["restartCount"]) for one in statuses] == [(True, 0), (True, 0)]
    declared = [c["ports"][0]["containerPort"] for c in pod(lesson, "declare-twice")["spec"]["containers"]]
    assert declared == [9080, 9080]


def test_two_containers_cannot_bind_one_port(lesson: Lesson) -> None:
    """What the article means: one of the two, whichever is later, ends with "address already in use"."""
    lesson.apply("03-two-containers-bind-one-port", wait=False)

    def ended() -> list[str]:
        statuses = pod(lesson, "pod3")["status"].get("containerStatuses") or []
        return [one["name"] for one in statuses if "terminated" in one["state"] | one["lastState"]]

    until(lambda: bool(ended()), "one container to end")
    [loser] = ended()
    log = lesson.kubectl("logs", "pod3", "-c", loser)
    previous = lesson.kubectl("logs", "pod3", "-c", loser, "--previous")
    assert "address already in use" in log.out + previous.out
    [winner] = {"first", "second"} - {loser}
    assert From.pod(lesson.cluster, lesson.namespace, "pod3", winner).hostname("localhost:9080") == "pod3"


def test_two_containers_on_different_ports_both_run(lesson: Lesson, pod_seat: From) -> None:
    """One address, two ports, two processes."""
    address = pod_ip(lesson, "different-ports")
    assert pod_seat.hostname(f"{address}:9080") == "different-ports"
    assert pod_seat.hostname(f"{address}:9081") == "different-ports"


def test_containers_of_a_pod_share_one_address_and_localhost(lesson: Lesson) -> None:
    """All "share the network namespace, including the IP address and network ports" (docs, "Pod networking")."""
    sidecar = From.pod(lesson.cluster, lesson.namespace, "declares-9080", "sidecar")
    first = From.pod(lesson.cluster, lesson.namespace, "declares-9080", "productpage")
    address = pod_ip(lesson, "declares-9080")
    assert address in sidecar.addresses()
    assert sidecar.addresses() == first.addresses()
    assert sidecar.hostname("localhost:9080") == "declares-9080"


def test_two_pods_may_listen_on_one_port(lesson: Lesson, pod_seat: From) -> None:
    """The article's picture: each Pod has an address of its own, so 9080 twice is no clash."""
    for name in ("declares-9080", "declares-nothing"):
        assert pod_seat.hostname(f"{pod_ip(lesson, name)}:9080") == name


class TestAProcessOn127001:
    """A process on 127.0.0.1 answers its own Pod and port-forward, and nobody else."""

    def test_answers_another_container_of_its_pod(self, lesson: Lesson) -> None:
        """They share localhost."""
        assert From.pod(lesson.cluster, lesson.namespace, "on-loopback", "sidecar").hostname("localhost:9080") == "on-loopback"

    def test_answers_port_forward(self, lesson: Lesson) -> None:
        """The container runtime connects to localhost inside the Pod's network namespace."""
        with port_forward(lesson, "pod/on-loopback", 9080) as forwarded:
            assert From.laptop().hostname(forwarded.address) == "on-loopback"

    def test_refuses_other_pods_nodes_and_its_service(self, lesson: Lesson, pod_seat: From, node_seats: list[From]) -> None:
        """On the Pod's address nothing listens; that the Pod is Ready and in its Service's slice changes nothing."""
        assert slices(lesson, "on-loopback") == [(pod_ip(lesson, "on-loopback"), 9080, True)]
        for address in (f"{pod_ip(lesson, 'on-loopback')}:9080", f"{cluster_ip(lesson, 'on-loopback')}:80"):
            assert [seat.curl(address).refused for seat in (pod_seat, *node_seats)] == [True] * (1 + len(node_seats))


def test_every_node_runs_pods(cluster: Cluster) -> None:
    """What the other facts stand on: no node keeps ordinary Pods away (kindconfig.yaml removes the taint)."""
    assert all(not node.spec.taints for node in cluster.core().list_node().items)
