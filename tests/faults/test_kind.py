"""What can go wrong with a kind cluster, made to go wrong on a real one of this module's own.

The tests stand in the order of a cluster's life and share it: each one leaves it up again.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from labs import home, providers
from labs.cluster import Address, Cluster, NotHere, Ran
from labs.deploy import Lesson
from labs.errors import BadInput, ClusterGone, EngineDown, ImageMissing, LabError
from labs.providers import claims, containers, engine, kind, kind_cluster, kindconfig
from labs.versions import workload_image
from tests.faults.relay import Relay

NAME = "ports-test-faults"
SOCKET = Path("/var/run/docker.sock")

pytestmark = pytest.mark.skipif(not kind.available().yes, reason=f"kind cannot run here: {kind.available().why}")


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A name and a home of this module's own; at the end nothing of it is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABS_NAME", NAME)
        patch.setenv("LABS_CLUSTER", "kind")
        patch.setenv("LABS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("LABS_HOST_PORTS", raising=False)
        patch.delenv("LABS_PROXY_MODE", raising=False)
        kind.down("", print)
        yield
        kind.down("", print)


class Said(list[str]):
    """What `up` and `down` said, to be searched."""

    def __contains__(self, words: object) -> bool:
        return any(str(words) in line for line in self)


def up() -> tuple[Cluster, Said]:
    said = Said()
    return providers.up(said.append), said


def ids() -> list[str]:
    """The ids of the cluster's containers: the same ones mean the same cluster."""
    listed = engine.ask("ps", "-aq", "--no-trunc", "--filter", f"label={containers.KIND_LABEL}={NAME}")
    return sorted(listed.out.split())


def states() -> str:
    """The cluster's containers: which, and since when each of them runs."""
    return engine.ask("inspect", "--format", "{{.Id}} {{.State.Status}} {{.State.StartedAt}}", *ids()).out


def answers(cluster: Cluster) -> Ran:
    """What a Pod's curl gets from a Service, in a lesson started anew."""
    lesson = Lesson(cluster, "99-faults")
    lesson.start()
    lesson.apply("02-pod2")
    lesson.apply("07-service-nodeport-30066")
    return cluster.exec(lesson.namespace, "client", ["curl", "-s", "--max-time", "5", "http://productpage:9999/hostname"])


@pytest.fixture
def as_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], AbstractContextManager[None]]:
    """In its block, this process is another learner: an account of another machine, with a state folder of its own."""

    @contextmanager
    def another() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "gethostname", lambda: "elsewhere")
            patch.setenv("LABS_HOME", str(tmp_path / "another-home"))
            patch.setenv("KUBECONFIG", str(tmp_path / "another-kubeconfig"))
            yield

    return another


# --- before there is a cluster


def test_nothing_is_left_of_an_up_that_was_interrupted() -> None:
    """Fault: Ctrl-C (SIGINT to the whole group, as a terminal sends it) while kind makes the nodes."""
    making = subprocess.Popen(
        [sys.executable, "-m", "labs", "up"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", start_new_session=True,
        # A shell that started the tests in its background has them ignore SIGINT, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads have begun here)
    )  # fmt: skip
    assert making.stdout is not None
    seen = ""
    for line in making.stdout:
        seen += line
        if "Starting control-plane" in line:
            os.killpg(making.pid, signal.SIGINT)
            break
    seen += making.stdout.read()
    left = ids()
    kind.down("", print)  # whatever was found: the next test starts from nothing
    assert making.wait(120) == 130, seen
    assert "Stopped; removing" in seen
    assert left == []
    assert not home.kubeconfig().exists()


def test_an_image_that_cannot_be_had_is_told_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: KIND_NODE_IMAGE names an image that no registry has."""
    monkeypatch.setenv("KIND_NODE_IMAGE", "localhost:1/nobody/node:v0")
    with pytest.raises(LabError) as told:
        providers.up(print)
    assert "kind could not make the cluster" in told.value.what
    assert "doctor" in told.value.try_this
    assert ids() == []


# --- a cluster's life


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """The cluster, made while something else has the host port 30066."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 30066))
            taken.listen()
        except OSError:
            pass  # somebody else, another lesson perhaps, has it already: as good
        made, said = up()
    assert "will answer on this laptop's port" in said
    return made


def test_a_host_port_that_is_taken_is_replaced_by_another(cluster: Cluster) -> None:
    """Fault: a listener on 127.0.0.1:30066 while the cluster is made."""
    at = cluster.outside(30066)
    assert isinstance(at, Address)
    assert at.port != 30066
    assert answers(cluster).out == "pod2"
    asked = subprocess.run(
        ["curl", "-s", "--noproxy", "*", "--max-time", "5", f"http://{at}/hostname"], capture_output=True, check=False
    )
    assert asked.stdout == b"pod2"


def test_containerd_has_the_settings_of_kindconfig_and_the_image_was_loaded_on_it(cluster: Cluster) -> None:
    """kind restarts containerd for them, which an image that is loaded too early would not outlive."""
    for node in cluster.nodes:
        assert "stats_collect_period = '1h'" in containers.execute(node.name, ["containerd", "config", "dump"]).out
        assert workload_image() in containers.execute(node.name, ["ctr", "-n", "k8s.io", "images", "list", "-q"]).out


def test_somebody_elses_cluster_is_neither_used_nor_changed(
    cluster: Cluster, as_another: Callable[[], AbstractContextManager[None]]
) -> None:
    """Fault: another learner of this engine asks for a cluster of the same name, or has it ended."""
    before = states()
    with as_another():
        for do in (lambda: providers.up(print), providers.connect, kind.status, lambda: providers.down(print)):
            with pytest.raises(BadInput, match="is not yours"):
                do()
        assert claims.take(claims.candidates(NAME, "other"), print) == f"{NAME}-other"
        assert claims.release(f"{NAME}-other") == ""
    assert states() == before
    assert answers(cluster).out == "pod2"


def test_a_cluster_from_before_claims_is_its_makers(
    cluster: Cluster, as_another: Callable[[], AbstractContextManager[None]]
) -> None:
    """Fault: nothing on the engine says whose it is, as of one that the version before made; `up` says it then."""
    before = ids()
    containers.remove_neighbour(NAME)
    assert claims.release(NAME) == ""
    with as_another(), pytest.raises(BadInput, match="nothing says that it is yours"):
        providers.up(print)
    assert providers.connect().name == NAME
    up()
    with as_another(), pytest.raises(BadInput, match="is not yours"):
        providers.down(print)
    assert ids() == before
    engine.ask("volume", "prune", "--force", "--filter", f"label={claims.CLUSTER}={NAME}")
    assert claims.volume(NAME) in engine.ask("volume", "ls", "--quiet").out.split(), "what is in use is not pruned"


def test_host_ports_none_is_refused_for_a_cluster_that_has_some(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids()
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    with pytest.raises(BadInput, match="labs down"):
        providers.up(print)
    assert ids() == before


def test_up_again_keeps_the_cluster(cluster: Cluster) -> None:
    before = ids()
    _, said = up()
    assert ids() == before
    assert said == []


def test_another_proxy_mode_is_refused_for_a_cluster_that_is_there(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: LABS_PROXY_MODE asks for iptables after the cluster was made with the file's nftables."""
    before = ids()
    monkeypatch.setenv("LABS_PROXY_MODE", "iptables")
    with pytest.raises(BadInput, match="labs down"):
        providers.up(print)
    assert ids() == before


def test_a_lost_kubeconfig_is_written_again(cluster: Cluster) -> None:
    """Fault: the kubeconfig is deleted."""
    before = ids()
    cluster.kubeconfig.unlink()
    with pytest.raises(ClusterGone, match="kubeconfig is gone"):
        providers.connect()
    again, said = up()
    assert ids() == before
    assert "Writing its kubeconfig again" in said
    assert again.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert answers(again).out == "pod2"


def test_service_rules_that_somebody_took_away_are_written_again(cluster: Cluster) -> None:
    """All of a node's, and one chain of another's; kube-proxy would do it within the hour."""
    first, second = (node.name for node in cluster.nodes)
    assert containers.execute(first, ["nft", "flush", "ruleset"]).code == 0
    assert containers.execute(second, ["nft", "flush", "chain", "ip", "kube-proxy", "services"]).code == 0
    again, said = up()
    assert "Service rules are gone" in said
    assert [line for line in said if first in line] and [line for line in said if second in line]
    assert answers(again).out == "pod2"
    _, said = up()
    assert "Service rules are gone" not in said


def test_lost_seats_are_made_again(cluster: Cluster) -> None:
    """Fault: the course's own namespace is deleted, and so is the machine beside the nodes."""
    before = ids()
    cluster.kubectl("delete", "namespace", "labs-system")
    containers.remove_neighbour(NAME)
    with pytest.raises(ClusterGone, match="not complete"):
        providers.connect()
    again, _ = up()
    assert ids() == before
    ran = again.elsewhere(["true"])
    assert isinstance(ran, Ran) and ran.code == 0
    assert answers(again).out == "pod2"


def test_an_image_that_no_node_can_have(cluster: Cluster) -> None:
    """Fault: a Pod whose image no registry has."""
    lesson = Lesson(cluster, "99-faults")
    lesson.start()
    [pod] = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost"},
              "spec": {"containers": [{"name": "lost", "image": "localhost:1/nobody:v0"}]}}]  # fmt: skip
    with pytest.raises(ImageMissing) as told:
        lesson.apply(pod, limit=60)
    assert "LABS_MIRROR" in told.value.try_this
    lesson.reset()


def test_the_engine_stops_in_the_middle_of_a_lesson(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fault: a relay to the engine's socket is killed and the nodes stop, as when Docker stops; then both come back."""
    if not SOCKET.exists():
        pytest.skip(f"no engine socket at {SOCKET} to relay to")
    before = ids()
    names = [one.name for one in containers.nodes(NAME)]
    lesson = Lesson(cluster, "99-faults")
    lesson.start()
    relay = Relay(tmp_path / "engine.sock", SOCKET)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{relay.at}")
            engine.ask("stop", "-t", "1", *names)
            relay.kill()
            with pytest.raises(EngineDown) as told:
                lesson.apply("02-pod2")
            assert "Start it" in told.value.try_this
            with pytest.raises(EngineDown):
                providers.connect()
            relay.revive()
            with pytest.raises(ClusterGone, match="has stopped"):
                lesson.apply("02-pod2")
    finally:
        relay.kill()
    again, said = up()
    assert ids() == before
    assert "Starting the nodes" in said
    assert answers(again).out == "pod2"


def test_nodes_that_come_back_with_each_others_addresses(cluster: Cluster) -> None:
    """Fault: the nodes are stopped, and started in the other order, so that the engine gives them other addresses."""
    old = {one.name: one.address for one in containers.nodes(NAME)}
    first, second = sorted(old, key=lambda name: old[name])
    engine.ask("stop", "-t", "1", first, second)
    containers.start([second])
    containers.start([first])
    new = {one.name: one.address for one in containers.nodes(NAME)}
    if new == old:
        pytest.skip("this engine gave the nodes their old addresses back")
    again, said = up()
    assert {node.name: node.address for node in again.nodes} == {one.name: one.address for one in containers.nodes(NAME)}
    assert said != []
    assert answers(again).out == "pod2"


def test_a_cluster_deleted_underneath_is_told_and_made_anew(cluster: Cluster) -> None:
    """Fault: the node containers are removed while a lesson is open."""
    gone = providers.connect()
    lesson = Lesson(gone, "99-faults")
    lesson.start()
    engine.ask("rm", "-fv", *ids())
    with pytest.raises(ClusterGone, match="is gone"):
        lesson.apply("02-pod2")
    with pytest.raises(ClusterGone, match="is not up"):
        providers.connect()


def test_half_a_cluster_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: one of the two nodes is removed (here of a cluster made anew after the last test, without host ports)."""
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    unmapped, said = up()
    assert unmapped.outside(30066) == NotHere(kindconfig.NONE_MAPPED)
    assert "will answer" not in said
    assert answers(unmapped).out == "pod2"
    assert {port for one in containers.nodes(NAME) for port in one.mappings} == {kind_cluster.API_PORT}
    monkeypatch.delenv("LABS_HOST_PORTS")
    worker = next(one.name for one in containers.nodes(NAME) if one.name.endswith("worker"))
    engine.ask("rm", "-fv", worker)
    again, said = up()
    assert "half made" in said
    assert "Replacing" in said
    assert isinstance(again.outside(30066), Address)
    assert answers(again).out == "pod2"


def test_down_leaves_nothing_and_can_be_run_again() -> None:
    said = Said()
    mounts = engine.ask(
        "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", containers.neighbour_name(NAME)
    ).out.split()
    assert claims.volume(NAME) in mounts
    providers.down(said.append)
    assert ids() == []
    assert engine.ask("ps", "-aq", "--filter", f"name={containers.neighbour_name(NAME)}").out == ""
    assert not list(home.state().glob("*.kubeconfig"))
    assert not set(mounts) & set(engine.ask("volume", "ls", "--quiet").out.split())
    providers.down(said.append)
