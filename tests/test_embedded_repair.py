"""`up` on an embedded cluster that somebody has broken: it says what it was, and all is well again.

Each test says how it breaks the cluster. Nothing but that cluster's own processes and namespaces is touched. Where it is put
right in place, the cluster is the same one afterwards, with the learner's Pod on it, which answers.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs import home, waiting
from labs.cluster import Ran
from labs.embedded import host, launch, processes, repair
from labs.errors import ClusterGone
from labs.providers import embedded
from labs.providers.embedded import EmbeddedCluster
from labs.seats import SYSTEM_NAMESPACE, is_ready, node_pod_name

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")
NAME = "broken"
WORKER, CONTROL_PLANE = f"{NAME}-worker", f"{NAME}-control-plane"
LIMIT = 20.0  # seconds
POD = {
    "metadata": {"name": "mine", "labels": {"app": "mine"}},
    "spec": {
        "nodeName": WORKER,
        "containers": [
            {"name": "main", "image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": ["netexec", "--http-port=9080"]}
        ],
    },
}
SERVICE = {"metadata": {"name": "mine"}, "spec": {"selector": {"app": "mine"}, "ports": [{"port": 80, "targetPort": 9080}]}}


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("LABS_NAME", NAME)
        patch.setenv("LABS_CLUSTER", "embedded")
        patch.setenv("LABS_HOST_PORTS", "any")
        try:
            yield
        finally:
            embedded.down("", print)


@pytest.fixture
def cluster(own_home: None) -> EmbeddedCluster:
    """The cluster, with the learner's Pod and Service on it; the test before has left nothing to fix."""
    made, said = up()
    assert not [line for line in said if line.startswith(("Fixed", "Broken"))]
    core = made.core()
    names = [one.metadata.name for one in core.list_namespaced_pod("default").items]
    if "mine" not in names:
        core.create_namespaced_pod("default", POD)
        core.create_namespaced_service("default", SERVICE)
    until(lambda: is_ready(core.read_namespaced_pod("mine", "default")))
    made.settled()
    return made


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def up() -> tuple[EmbeddedCluster, list[str]]:
    said: list[str] = []
    found = embedded.up("", said.append)
    assert isinstance(found, EmbeddedCluster)
    return found, said


def inside(cluster: EmbeddedCluster, place: str, *command: str) -> str:
    """What a command says in a place of the cluster's network."""
    ran = subprocess.run(
        [*cluster._inside(place), *command], capture_output=True, text=True, timeout=30, env=host.environment()
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def answers(cluster: EmbeddedCluster) -> None:
    """The Service, from each node; and the machine beside them reaches both."""
    address = cluster.core().read_namespaced_service("mine", "default").spec.cluster_ip
    for node in (CONTROL_PLANE, WORKER):
        assert inside(cluster, node, "curl", "-sS", "-m", "5", f"http://{address}/hostname") == "mine"
    for node in cluster.nodes:
        there = cluster.elsewhere(
            ["curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{exitcode}", f"http://{node.address}:10250/"]
        )
        assert isinstance(there, Ran) and there.out in ("0", "52"), there


def test_nothing_is_wrong_and_nothing_is_said(cluster: EmbeddedCluster) -> None:
    """Nor where the kernel has added something of its own (a client that a Service remembers), or chains are empty now."""
    core, ports = cluster.core(), SERVICE["spec"]["ports"]
    remembers = {"selector": {"app": "mine"}, "type": "NodePort", "sessionAffinity": "ClientIP", "ports": ports}
    for name, spec in (("remembers", remembers), ("nobody", {"selector": {"app": "nobody"}, "ports": ports})):
        core.create_namespaced_service("default", {"metadata": {"name": name}, "spec": spec})
    cluster.settled()
    address = core.read_namespaced_service("remembers", "default").spec.cluster_ip
    assert inside(cluster, WORKER, "curl", "-sS", "-m", "5", f"http://{address}/hostname") == "mine"
    assert "expires" in inside(cluster, WORKER, "nft", "list", "ruleset")
    again, said = up()
    assert (said, again.running) == ([], cluster.running)
    for name in ("remembers", "nobody"):
        core.delete_namespaced_service(name, "default")
    again, said = up()
    assert (said, again.running) == ([], cluster.running)


NETWORK = [
    (WORKER, "nft flush ruleset", f"Fixed: {WORKER}: table ip kube-proxy was gone."),
    (WORKER, "nft flush chain ip kube-proxy services", f"Fixed: {WORKER}: chain services of table ip kube-proxy was gone."),
    (CONTROL_PLANE, "nft delete element ip kube-proxy cluster-ips { 10.96.0.1 }", "set cluster-ips of table ip kube-proxy was"),
    (WORKER, "nft add table inet strange; nft add chain inet strange c '{ type filter hook output priority 0; policy drop; }'",
     "table inet strange was not the cluster's"),
    (WORKER, "ip link set eth0 down", f"Fixed: {WORKER}: link eth0 was down."),
    (CONTROL_PLANE, "ip link delete eth0", "Fixed: the nodes' network: link node0 was gone."),
    ("machine", "ip address flush dev eth0", "Fixed: machine: address 172."),
    (WORKER, "ip route delete default", f"Fixed: {WORKER}: route default via 172."),
    (WORKER, "ip route flush 10.244.0.0/24", f"Fixed: {WORKER}: route 10.244.0.0/24 via 172."),
    (WORKER, "ip route flush dev POD", f"Fixed: {WORKER}: route 10.244.1."),
    (WORKER, "ip link set POD down", f"Fixed: {WORKER}: link veth"),
    (WORKER, "ip link delete POD", f"Fixed: {WORKER}: link veth"),
    (WORKER, "ip route add blackhole 172.30.0.2/32", f"Fixed: {WORKER} did not reach {CONTROL_PLANE} (172."),
    (CONTROL_PLANE, "ip rule add prohibit to 10.244.1.0/24", f"Fixed: {CONTROL_PLANE} did not reach Pod kube-system/coredns-1"),
    (CONTROL_PLANE, "ip route flush root 172.16.0.0/12", f"Fixed: {CONTROL_PLANE} did not reach {WORKER} ("),
    ("machine", "nft add table ip t; nft add chain ip t c '{ type filter hook output priority 0; policy drop; }'",
     f"Fixed: machine did not reach {WORKER} ("),
    (WORKER, "sysctl -qw net.ipv4.ip_forward=0", f"Fixed: {WORKER}: kernel setting net.ipv4.ip_forward was 0."),
]  # fmt: skip


@pytest.mark.parametrize(("place", "command", "words"), NETWORK, ids=[command for _, command, _ in NETWORK])
def test_what_is_broken_in_the_network(cluster: EmbeddedCluster, place: str, command: str, words: str) -> None:
    """Fault: a command in a node's network namespace, as its owner may run it. POD: each link to a Pod."""
    links = [line.split(":")[1].split("@")[0].strip() for line in inside(cluster, place, "ip", "-o", "link").splitlines()]
    pods = [link for link in links if link.startswith("veth")]
    for pod in pods if "POD" in command else [""]:
        inside(cluster, place, "sh", "-ec", command.replace("POD", pod))
    again, said = up()
    assert again.running == cluster.running
    assert any(words in line for line in said), said
    assert all(line.startswith("Fixed: ") for line in said), said
    answers(again)


def test_what_is_broken_in_a_pod(cluster: EmbeddedCluster) -> None:
    """Fault: the learner's Pod's own link is set down, from outside of it."""
    [process] = [pid for pid in of_pods(cluster) if "--http-port=9080" in arguments(pid)]
    enter = ["nsenter", "-t", str(process), "-U", "-n", "--preserve-credentials"]
    subprocess.run([*enter, "ip", "link", "set", "eth0", "down"], check=True, env=host.environment())
    again, said = up()
    assert again.running == cluster.running
    assert any("the Pod with address 10.244.1." in line and "link eth0 was down" in line for line in said), said
    answers(again)


def zygote_of(cluster: EmbeddedCluster) -> int:
    [pid] = [pid for pid in processes.children(cluster.running.pid) if comm(pid) == "labs-zygote"]
    return pid


def of_pods(cluster: EmbeddedCluster) -> list[int]:
    """The first process of each Pod that has one."""
    started = processes.children(zygote_of(cluster))
    return [pid for pid in started if not processes.together(cluster.running.pid, pid)]


def arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")


def comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()


def test_a_process_that_holds_a_network_is_killed(cluster: EmbeddedCluster) -> None:
    """Fault: SIGKILL for the holders of the machine and of a node. Who found the cluster before goes on with it."""
    for place in ("machine", WORKER):
        os.kill(cluster.running.holders[place], signal.SIGKILL)
        until(lambda place=place: not processes.together(cluster.running.pid, cluster.running.holders[place]))
    with pytest.raises(ClusterGone, match="The network of machine cannot be entered"):
        cluster.elsewhere(["true"])
    again, said = up()
    assert (again.running.pid, again.running.token) == (cluster.running.pid, cluster.running.token)
    assert sorted(said) == [
        f"Fixed: {WORKER}: the process by which its network is entered had ended.",
        "Fixed: machine: the process by which its network is entered had ended.",
    ]
    for known in (cluster, again):
        assert known.elsewhere(["true"]) == Ran(0, "", "")
    answers(again)


def test_stopped_processes_go_on(cluster: EmbeddedCluster) -> None:
    """Fault: SIGSTOP for the server, the zygote, a holder; and for the process of a Pod of the course's own."""
    running = cluster.running
    zygote = zygote_of(cluster)
    own = [pid for pid in of_pods(cluster) if "pause" in arguments(pid)]
    assert len(own) == 2
    for pid in (zygote, running.holders["machine"], *own, running.pid):
        os.kill(pid, signal.SIGSTOP)
        until(lambda pid=pid: processes.is_stopped(pid))
    with waiting.impatient(0.5), pytest.raises(ClusterGone, match="does not answer") as raised:
        embedded.status()
    assert "Somebody has stopped its process" in raised.value.why
    again, said = up()
    assert again.running == running
    assert sum("was stopped" in line for line in said) == 3 + len(own), said
    assert not [pid for pid in (zygote, *own, running.pid, *running.holders.values()) if processes.is_stopped(pid)]
    answers(again)


def test_pods_of_the_courses_own_that_were_deleted_or_have_ended(cluster: EmbeddedCluster) -> None:
    """Fault: a seat is deleted, with its namespace's others; the DNS servers and their Service, too."""
    core = cluster.core()
    seat = node_pod_name(WORKER)
    core.delete_namespaced_pod(seat, SYSTEM_NAMESPACE, grace_period_seconds=0)
    core.delete_namespaced_service("kube-dns", "kube-system")
    for number in (0, 1):
        core.delete_namespaced_pod(f"coredns-{number}", "kube-system", grace_period_seconds=0)
    until(lambda: not core.list_namespaced_pod("kube-system").items)
    again, said = up()
    assert again.running == cluster.running
    assert f"Pod {SYSTEM_NAMESPACE}/{seat} is not Ready: making what is missing." in said
    assert {f"Fixed: {what} was gone." for what in ("Service kube-system/kube-dns", "Pod kube-system/coredns-1")} <= set(said)
    assert is_ready(core.read_namespaced_pod(seat, SYSTEM_NAMESPACE))
    until(lambda: len([pod for pod in core.list_namespaced_pod("kube-system").items if is_ready(pod)]) == 2)
    again.settled()
    address = core.read_namespaced_service("kube-dns", "kube-system").spec.cluster_ip
    assert address == "10.96.0.10"


def test_a_killed_zygote_ends_the_cluster_and_up_says_so(cluster: EmbeddedCluster) -> None:
    """Fault: SIGKILL for the process that starts those of Pods. No other can take its place."""
    os.kill(zygote_of(cluster), signal.SIGKILL)
    until(lambda: not cluster.running.alive())
    again, said = up()
    assert again.running.pid != cluster.running.pid
    assert said[0] == f"The cluster {NAME} has ended since it was started. What was on it is gone."


def test_what_cannot_be_fixed_is_replaced(cluster: EmbeddedCluster) -> None:
    """Fault: a node's link answers no ARP request any more, which is nothing that `up` looks for; but a request fails."""
    inside(cluster, CONTROL_PLANE, "ip", "link", "set", "eth0", "arp", "off")
    again, said = up()
    assert again.running.pid != cluster.running.pid
    assert not cluster.running.alive()
    address = cluster.nodes[0].address
    assert f"Broken: {WORKER} does not reach {CONTROL_PLANE} ({address}:10250)." in said
    assert f"Replacing the cluster {NAME}: that cannot be fixed. What was on it is gone." in said


def test_one_that_does_not_answer_is_replaced(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the facts tell of a port where nobody is."""
    monkeypatch.setattr(repair, "ANSWERING", 1.0)
    text = home.state().joinpath(f"{NAME}.cluster").read_text("utf-8")
    home.state().joinpath(f"{NAME}.cluster").write_text(text.replace(f'"api": {cluster.running.api}', '"api": 9'), "utf-8")
    again, said = up()
    assert said[:2] == [
        "Broken: it does not answer.",
        f"Replacing the cluster {NAME}: that cannot be fixed. What was on it is gone.",
    ]
    assert launch.find(embedded._files()) == again.running
