"""Whose a kind cluster is: labs.providers.claims; kind's provider leaves those of others alone. The engine is a stub."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from labs import home, prepare, providers, tools
from labs.errors import BadInput, ClusterGone, LabError
from labs.providers import Available, claims, containers, engine, kind, kindconfig
from labs.providers.kind_cluster import KindsCluster
from tests.engine_stub import StubEngine

Become = Callable[..., None]


@pytest.fixture
def engine_stub(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    stub = StubEngine()
    monkeypatch.setattr(engine, "ask", stub.ask)
    monkeypatch.setattr(engine, "program", lambda: "docker")
    monkeypatch.setattr(kind, "available", lambda: Available(True, "an engine answers"))
    return stub


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Become:
    """Makes this process somebody: a user of a machine, with a state folder, and no LABS_NAME."""

    def somebody(user: str, number: int, machine: str = "lab", folder: str = "") -> None:
        monkeypatch.setattr(claims, "_user", lambda: user)
        monkeypatch.setattr(claims, "_account", lambda: f"{number}@{machine}")
        monkeypatch.setenv("LABS_HOME", str(tmp_path / (folder or user)))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / f"{user}.own"))

    for name in ("LABS_NAME", "LABS_CLUSTER", "LABS_HOST_PORTS"):
        monkeypatch.delenv(name, raising=False)
    somebody("alice", 1001)
    return somebody


def take() -> tuple[str, list[str]]:
    """The name that `up` takes, and what it says."""
    said: list[str] = []
    return claims.take(claims.names(), said.append), said


def ours() -> str:
    """The name that is this learner's; "" where none is."""
    name, holder = claims.mine(claims.names())
    return name if holder is not None and holder.ours else ""


# --- taking a name


def test_the_first_learner_gets_the_courses_own_name(engine_stub: StubEngine, become: Become) -> None:
    assert claims.mine(claims.names()) == ("ports", None)
    assert take() == ("ports", [])
    assert ours() == "ports"
    before = dict(engine_stub.volumes)
    assert take() == ("ports", []), "again"
    assert engine_stub.volumes == before


def test_the_second_learner_gets_a_name_of_their_own_and_is_told(engine_stub: StubEngine, become: Become) -> None:
    take()
    first = dict(engine_stub.volumes)
    become("Bob.B", 1002)
    assert ours() == ""
    name, said = take()
    assert name == ours() == "ports-bob-b"
    assert said == [
        "The cluster ports here belongs to alice (user id 1001 on lab), and stays as it is.",
        "Yours is called ports-bob-b.",
    ]
    assert engine_stub.volumes.items() >= first.items()
    assert take() == ("ports-bob-b", []), "told once"
    become("alice", 1001)
    assert take() == ("ports", [])


def test_a_name_of_ones_own_is_kept_when_the_first_becomes_free(engine_stub: StubEngine, become: Become) -> None:
    take()
    become("bob", 1002)
    take()
    become("alice", 1001)
    assert claims.release("ports") == ""
    become("bob", 1002, folder="another-home")
    assert ours() == "ports-bob", "the engine remembers, whatever becomes of the state folder"
    assert take() == ("ports-bob", [])
    claims.release("ports-bob")
    assert take() == ("ports", [])


def test_two_at_the_same_moment(engine_stub: StubEngine, become: Become) -> None:
    """Both have looked and found the name free; the other one's volume is made first."""

    def bob_is_faster() -> None:
        become("bob", 1002)
        assert take()[0] == "ports"
        become("alice", 1001)

    engine_stub.before_create = bob_is_faster
    name, said = take()
    assert name == "ports-alice"
    assert "belongs to bob (user id 1002 on lab)" in said[0]


def test_two_learners_of_one_user_name(engine_stub: StubEngine, become: Become) -> None:
    """As in two containers that share the engine's socket."""
    for machine, name in (("a", "ports"), ("b", "ports-jovyan"), ("c", "ports-jovyan-2")):
        become("jovyan", 1000, machine, folder=machine)
        assert take()[0] == name


def test_a_name_that_is_asked_for_and_not_free_is_refused(
    engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    take()
    become("bob", 1002)
    monkeypatch.setenv("LABS_NAME", "ports")
    before = dict(engine_stub.volumes)
    with pytest.raises(BadInput, match=r"alice \(user id 1001 on lab\)") as told:
        take()
    assert "unset it" in told.value.try_this
    assert engine_stub.volumes == before
    monkeypatch.setenv("LABS_NAME", "mine")
    assert take() == ("mine", [])


def test_a_volume_that_somebody_else_made_for_something_else(engine_stub: StubEngine, become: Become) -> None:
    engine_stub.volumes["labs.ports-ports"] = None  # type: ignore[assignment]  # as the engine says of one without labels
    name, said = take()
    assert name == "ports-alice"
    assert "belongs to somebody unknown" in said[0]


def test_an_engine_that_keeps_no_volume(engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: str, limit: float = 60.0) -> Any:
        done = engine_stub.ask(*words)
        if words[:2] == ("volume", "create"):
            engine_stub.volumes.clear()
            return type(done)(1, "", "no space left on device")
        return done

    monkeypatch.setattr(engine, "ask", full)
    with pytest.raises(LabError, match="no space left on device"):
        take()


@pytest.mark.parametrize(
    ("user", "second"),
    [("alice", "alice"), ("DOM\\Al Ice", "dom-al-ice"), ("李雷", "other"), ("-", "other"), ("x" * 99, "x" * 41)],
)
def test_names_are_such_that_kind_takes_them(user: str, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert claims.candidates("ports", user)[:3] == ["ports", f"ports-{second}", f"ports-{second}-2"]
    longest = claims.candidates("p" * home.LONGEST_NAME, user)
    assert len(set(longest)) == claims.MOST_NAMES
    for name in (*claims.candidates("ports", user), *longest):
        monkeypatch.setenv("LABS_NAME", name)
        assert home.cluster_name() == name, "BadInput where no cluster can be called that"


# --- the same learner


@pytest.mark.parametrize(
    ("number", "machine", "folder", "same"),
    [
        (1001, "lab", "alice", True),
        (1001, "lab", "another", True),  # another LABS_HOME, or the state folder was lost
        (1001, "renamed", "alice", True),  # a laptop in another network
        (1001, "renamed", "another", False),
        (1002, "lab", "another", False),
    ],
)
def test_who_is_the_same_learner(
    engine_stub: StubEngine, become: Become, number: int, machine: str, folder: str, same: bool
) -> None:
    take()
    become("alice", number, machine, folder)
    assert (ours() == "ports") is same


@pytest.mark.parametrize("damage", ["gone", "empty", "binary", "a folder", "somebody else's"])
def test_a_damaged_id_of_the_state_folder(engine_stub: StubEngine, become: Become, damage: str) -> None:
    take()
    path = home.state() / "owner"
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes({"empty": b"", "binary": b"\xff\x00\xfe", "somebody else's": b"0" * 32}[damage])
    assert ours() == "ports"
    assert take() == ("ports", [])
    claims.release("ports")
    assert take() == ("ports", [])


# --- clusters from before there were claims


def kubeconfig_of(cluster: str, authority: str) -> str:
    data = base64.b64encode(authority.encode()).decode()
    return yaml.safe_dump({"clusters": [{"name": f"kind-{cluster}", "cluster": {"certificate-authority-data": data}}]})


def keep(made_here: bool, kubeconfig: str | bytes | None) -> None:
    """What the version before claims kept in the state folder: of whoever made the cluster, and of whoever used it."""
    if made_here:
        (home.state() / "ports.kindconfig.yaml").write_text("kind: Cluster")
    if kubeconfig is not None:
        content = kubeconfig if isinstance(kubeconfig, bytes) else kubeconfig.encode()
        (home.state() / "ports.kubeconfig").write_bytes(content)


@pytest.mark.parametrize(
    ("made_here", "kubeconfig", "is_ours"),
    [
        (True, kubeconfig_of("ports", "its CA"), True),
        (True, None, True),  # lost
        (True, b"\xff\x00: [", True),  # damaged
        (True, "clusters: 5", True),
        (True, kubeconfig_of("embedded", "another CA"), True),  # of another provider's cluster
        (True, kubeconfig_of("ports", "another CA"), False),  # of a cluster of that name that is no more
        (False, kubeconfig_of("ports", "its CA"), False),  # that version let everybody use it
        (False, None, False),
    ],
)
def test_a_cluster_without_a_claim_is_whose_who_made_it(
    engine_stub: StubEngine, become: Become, made_here: bool, kubeconfig: str | bytes | None, is_ours: bool
) -> None:
    engine_stub.add_node("ports", authority="its CA")
    keep(made_here, kubeconfig)
    assert (ours() == "ports") is is_ours
    name, said = take()
    assert name == ("ports" if is_ours else "ports-alice")
    assert bool(said) is not is_ours
    become("bob", 1002)
    keep(True, kubeconfig_of("ports", "its CA"))
    assert (ours() == "ports") is not is_ours, "a claim, once made, decides"


def test_a_cluster_half_made_without_a_claim(engine_stub: StubEngine, become: Become) -> None:
    engine_stub.add_node("ports", authority="")
    assert ours() == ""
    keep(True, b"")
    assert ours() == "ports"


def test_a_cluster_that_the_learner_made_with_plain_kind(engine_stub: StubEngine, become: Become, tmp_path: Path) -> None:
    """As kindconfig.yaml tells in its first lines."""
    engine_stub.add_node("ports", authority="its CA")
    (tmp_path / "alice.own").write_text(kubeconfig_of("ports", "its CA"))
    assert take() == ("ports", [])


# --- kind's provider


def test_a_strangers_cluster_is_neither_used_nor_removed(
    engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked for, the engine is only looked at."""
    take()
    engine_stub.add_node("ports", authority="its CA")
    become("bob", 1002)
    engine_stub.asked.clear()
    said: list[str] = []
    for look in (kind.connect, kind.status):
        with pytest.raises(ClusterGone, match="alice") as told:
            look()
        assert "beside it" in told.value.try_this
    kind.down("", said.append)
    assert said == ["You have no cluster here. The cluster ports belongs to alice (user id 1001 on lab), and stays as it is."]
    monkeypatch.setenv("LABS_NAME", "ports")
    monkeypatch.setattr(tools, "find", lambda *_: Path("/bin/false"))
    for do in (kind.connect, kind.status, lambda: kind.down("", print), lambda: kind.up("", print)):
        with pytest.raises(BadInput, match="is not yours"):
            do()
    assert engine_stub.changes() == []


def test_down_of_a_name_that_nobody_has(engine_stub: StubEngine, become: Become) -> None:
    for _ in range(2):
        kind.down("", print)
    assert engine_stub.changes() == []


def test_down_gives_the_name_up_last(engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a second learner's new cluster of that name would be deleted with it."""
    take()
    engine_stub.add_node("ports")
    engine_stub.add("ports-elsewhere", {"labs.ports/cluster": "ports"}, claims.volume("ports"))
    held: list[bool] = []
    monkeypatch.setattr(tools, "find", lambda *_: Path("/bin/true"))
    monkeypatch.setattr(kind.LabKind, "delete", lambda self: held.append(claims.volume("ports") in engine_stub.volumes))
    kind.down("", print)
    assert held == [True]
    assert "ports-elsewhere" not in engine_stub.containers
    assert engine_stub.volumes == {}


def test_a_notebook_left_open_does_not_run_in_the_next_ones_cluster(
    engine_stub: StubEngine, become: Become, tmp_path: Path
) -> None:
    take()
    engine_stub.add_node("ports")
    cluster = KindsCluster("ports", tmp_path / "kubeconfig", Path("kubectl"), containers.nodes("ports"))
    claims.release("ports")
    engine_stub.containers.clear()
    become("bob", 1002)
    take()
    engine_stub.add_node("ports")
    engine_stub.add("ports-elsewhere", {"labs.ports/cluster": "ports"}, claims.volume("ports"))
    become("alice", 1001)
    for do in (lambda: cluster.elsewhere(["true"]), lambda: cluster.rules("ports-control-plane")):
        with pytest.raises(ClusterGone, match=r"Your cluster ports is gone\.\n.*bob"):
            do()
    assert "bob" in cluster.fault().why
    assert not any(words[0] == "exec" for words in engine_stub.asked)


def test_a_strangers_container_with_the_neighbours_name_stays(engine_stub: StubEngine, become: Become) -> None:
    take()
    engine_stub.add_node("ports")
    engine_stub.add("ports-elsewhere", {"labs.ports/cluster": "another"})
    engine_stub.asked.clear()
    with pytest.raises(LabError, match="not the course's"):
        containers.ensure_neighbour("ports", containers.nodes("ports")[0], claims.volume("ports"))
    containers.remove_neighbour("ports")
    assert engine_stub.changes() == []


def test_the_neighbour_uses_the_volume_so_that_it_is_not_pruned(engine_stub: StubEngine, become: Become) -> None:
    """One that was made before claims is made again."""
    take()
    engine_stub.add_node("ports")
    engine_stub.add("ports-elsewhere", {"labs.ports/cluster": "ports"})
    for _ in range(2):
        containers.ensure_neighbour("ports", containers.nodes("ports")[0], claims.volume("ports"))
    assert engine_stub.containers["ports-elsewhere"]["Mounts"][0]["Name"] == "labs.ports-ports"
    assert [words[0] for words in engine_stub.changes()[-3:]] == ["rm", "run", "start"]


def test_host_ports_of_other_clusters_are_held_even_when_they_have_stopped(engine_stub: StubEngine) -> None:
    engine_stub.add_node("ports", port=30066)
    engine_stub.add_node("theirs", port=40001)
    engine_stub.containers["ports-control-plane"]["State"]["Running"] = False
    assert containers.host_ports_held() == {30066, 40001}


def test_a_cluster_that_is_being_made_may_take_the_files_ports(
    engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two learners at the same moment: neither has nodes yet whose ports could be seen."""
    monkeypatch.setattr(kindconfig, "is_free", lambda port: True)
    take()
    assert kindconfig.mapped(kindconfig.for_a_new_cluster(kind._ports_not_to_take("ports"))) == {30066: 30066, 30067: 30067}
    become("bob", 1002)
    take()
    chosen = kindconfig.mapped(kindconfig.for_a_new_cluster(kind._ports_not_to_take("ports-bob"))).values()
    assert not {30066, 30067} & set(chosen) and len(set(chosen)) == 2
    engine_stub.add_node("ports", port=30066)
    chosen = kindconfig.mapped(kindconfig.for_a_new_cluster(kind._ports_not_to_take("ports-bob")))
    assert chosen[30067] == 30067 and chosen[30066] != 30066


@pytest.mark.parametrize("always", [False, True])
def test_a_port_that_was_taken_just_before_kind_did(
    engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    """It is tried again once, with other ports; what kind cannot make then is told, and its name given up."""
    take()
    tried: list[set[int]] = []

    def create(made: kind.LabKind, path: Path) -> None:
        tried.append(set(kindconfig.mapped(yaml.safe_load(path.read_text())).values()))
        if always or len(tried) == 1:
            monkeypatch.setattr(kindconfig, "is_free", lambda port: port not in tried[-1])
            raise subprocess.CalledProcessError(1, "kind")

    monkeypatch.setattr(kind.LabKind, "create", create)
    monkeypatch.setattr(kind.LabKind, "delete", lambda made: None)
    monkeypatch.setattr(containers, "image_here", lambda image: False)
    said: list[str] = []
    made = kind.LabKind("ports", Path("kind"), Path("kubectl"))
    if always:
        with pytest.raises(LabError, match="kind could not make the cluster ports"):
            kind._create(made, said.append)
        assert engine_stub.volumes == {}
    else:
        kind._create(made, said.append)
        assert list(engine_stub.volumes) == ["labs.ports-ports"]
    assert len(tried) == 2 and not tried[0] & tried[1]
    assert any("Once more, with other ports" in line for line in said)


def test_the_proof_of_prepare_takes_a_name_that_is_free(
    engine_stub: StubEngine, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for user, number in (("alice", 1001), ("bob", 1002)):
        become(user, number)
        with prepare.throwaway("kind"):
            seen.append(claims.names())
    assert seen == [["ports-prepare"], ["ports-prepare-bob"]]


def test_others_are_told_by_name(engine_stub: StubEngine, become: Become) -> None:
    take()
    become("bob", 1002)
    take()
    assert {name: str(holder) for name, holder in claims.of_others().items()} == {"ports": "alice (user id 1001 on lab)"}
    assert providers.room("kind") is kind
