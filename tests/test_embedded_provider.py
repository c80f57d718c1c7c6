"""The provider embedded without a cluster: how it is chosen, what its kubeconfig says, what it answers when nothing runs."""

import base64
import errno
import os
from pathlib import Path

import pytest

from labs import doctor, providers
from labs.cluster import Address, NotHere
from labs.embedded import host, launch
from labs.errors import ClusterGone, NoProvider
from labs.providers import embedded

GONE = launch.Running(
    name="gone",
    pid=1 << 22,  # above every PID that there can be
    begun="1",
    api=4711,
    node_network="172.30.0.0/24",
    mappings={30066: 30066, 30067: 40001},
    holders={"machine": 1 << 22, "gone-control-plane": 1 << 22, "gone-worker": 1 << 22},
    token="secret",
    authority="-----BEGIN CERTIFICATE-----",
)


@pytest.fixture
def cluster() -> embedded.EmbeddedCluster:
    return embedded.EmbeddedCluster(GONE, Path("kubeconfig"), Path("kubectl"))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    monkeypatch.setenv("LABS_CLUSTER", "embedded")


def test_is_chosen_by_name() -> None:
    assert str(providers.choose()) == "embedded"


def test_nothing_runs_yet() -> None:
    with pytest.raises(ClusterGone, match="is not up"):
        embedded.connect()
    with pytest.raises(ClusterGone, match="is not up"):
        embedded.status()
    said: list[str] = []
    embedded.down("", said.append)
    assert said == []


def test_its_nodes_are_named_as_kinds(cluster: embedded.EmbeddedCluster) -> None:
    assert [(node.name, node.address) for node in cluster.nodes] == [
        ("gone-control-plane", "172.30.0.2"),
        ("gone-worker", "172.30.0.3"),
    ]


def test_outside_is_the_mapping_or_says_which_there_are(cluster: embedded.EmbeddedCluster) -> None:
    assert cluster.outside(30067) == Address("127.0.0.1", 40001)
    answer = cluster.outside(31000)
    assert isinstance(answer, NotHere)
    assert "30066 and 30067" in answer.why
    assert "31000" in answer.why


def test_doctor_knows_its_ports(cluster: embedded.EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._embedded_ports() == frozenset(), "none runs"
    monkeypatch.setattr(embedded, "connect", lambda argument: cluster)
    assert doctor._embedded_ports() == {30066, 40001}


def test_one_that_has_ended_is_told(cluster: embedded.EmbeddedCluster) -> None:
    assert isinstance(cluster.fault(), ClusterGone)
    assert "has ended" in cluster.fault().what
    for ask in (lambda: cluster.elsewhere(["true"]), lambda: cluster.rules("gone-worker")):
        with pytest.raises(ClusterGone, match="has ended"):
            ask()


def test_by_hand_one_enters_the_machines_network(cluster: embedded.EmbeddedCluster) -> None:
    assert cluster.elsewhere_by_hand() == ("nsenter", "-t", str(1 << 22), "-U", "-n", "--preserve-credentials")


def test_the_kubeconfig() -> None:
    found = embedded._kubeconfig(GONE)
    [one] = found["clusters"]
    assert one["cluster"]["server"] == "https://127.0.0.1:4711"
    assert base64.b64decode(one["cluster"]["certificate-authority-data"]).decode() == GONE.authority
    assert found["users"][0]["user"] == {"token": "secret"}
    assert found["current-context"] == "embedded-gone"


def test_what_is_in_the_way_is_told_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the start fails, the machine is looked at: why, and what to do."""

    def fails(*_: object) -> launch.Running:
        raise launch.NotStarted("unshare: Operation not permitted")

    monkeypatch.setattr(launch, "start", fails)
    monkeypatch.setattr(host, "problem", lambda: host.Problem("AppArmor forbids it.", "sudo sysctl x=0"))
    monkeypatch.setattr(embedded.tools, "find", lambda *_: Path("kubectl"))
    with pytest.raises(NoProvider) as raised:
        embedded.up("", lambda _: None)
    assert (raised.value.why, raised.value.try_this) == ("AppArmor forbids it.", "sudo sysctl x=0")
    assert embedded.available() == providers.Available(False, "AppArmor forbids it.", "sudo sysctl x=0")


def test_a_limit_that_is_reached_is_no_lack_of_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """fork(2) and pipe(2) at the limit of processes or files."""

    def fails(*_: object) -> launch.Running:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(launch, "start", fails)
    monkeypatch.setattr(embedded.tools, "find", lambda *_: Path("kubectl"))
    with pytest.raises(NoProvider, match="too many processes run") as raised:
        embedded.up("", lambda _: None)
    assert "doctor" in raised.value.try_this


def test_debians_old_kubectl_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """1.20 of Debian 12, which Kubernetes 1.37 itself does not support; one that is older yet was never tried."""
    kubectl = tmp_path / "kubectl"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECTL_BIN", raising=False)
    for version, taken in (("v1.19.16", False), ("v1.20.2", True)):
        kubectl.write_text(f"""#!/bin/sh\necho '{{"clientVersion": {{"gitVersion": "{version}"}}}}'\n""")
        kubectl.chmod(0o755)
        assert (embedded.has_kubectl(), embedded._kubectl() == kubectl) == (taken, taken)
