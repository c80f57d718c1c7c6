"""The choice of a provider, kind's configuration, and the words of an engine that does not answer."""

import socket
from pathlib import Path

import pytest

from labs import providers
from labs.cluster import Address, Node, NotHere, Ran
from labs.errors import BadInput, ClusterGone, EngineDown, NoProvider
from labs.providers import Available, containers, embedded, engine, kind, kindconfig
from labs.providers.kind_cluster import KindsCluster
from labs.providers.standing import standing


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    for name in ("LABS_CLUSTER", "LABS_NAME", "LABS_PROXY_MODE", "LABS_HOST_PORTS"):
        monkeypatch.delenv(name, raising=False)


# --- the choice


def test_kind_is_chosen_where_an_engine_answers_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "available", lambda: Available(True, "an engine answers"))
    monkeypatch.setattr(kind, "up", lambda argument, say: "a cluster")
    providers.up(print)
    monkeypatch.setattr(kind, "available", lambda: Available(False, "it has stopped", "Start it."))
    assert str(providers.choose()) == "kind", "an engine that stops later changes nothing"


def test_the_learners_word_is_taken_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "available", lambda: Available(True, "an engine answers"))
    monkeypatch.setenv("LABS_CLUSTER", "context:school")
    assert str(providers.choose()) == "context:school"
    monkeypatch.delenv("LABS_CLUSTER")
    assert str(providers.choose()) == "kind", "a choice that never worked is not remembered"
    monkeypatch.setenv("LABS_CLUSTER", "context:school")
    monkeypatch.setattr(providers.room("context"), "connect", lambda argument: "a cluster")
    providers.connect()
    monkeypatch.delenv("LABS_CLUSTER")
    assert str(providers.choose()) == "context:school"
    providers.forget()
    assert str(providers.choose()) == "kind"


def test_without_an_engine_the_embedded_cluster_is_chosen_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "available", lambda: Available(False, "No engine.", "Install Docker."))
    monkeypatch.setattr(embedded, "available", lambda: Available(True, "Namespaces are allowed."))
    choice = providers.choose()
    assert (choice.provider, choice.why) == ("embedded", "kind cannot run here: No engine. Namespaces are allowed.")


def test_where_nothing_can_run_each_provider_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "available", lambda: Available(False, "No engine.", "Install Docker."))
    monkeypatch.setattr(embedded, "available", lambda: Available(False, "No namespaces.", "Allow them."))
    with pytest.raises(NoProvider) as told:
        providers.choose()
    assert "kind: No engine." in told.value.why
    assert "context:" in told.value.why
    assert "embedded: No namespaces." in told.value.why
    assert "Install Docker." in told.value.try_this and "Allow them." in told.value.try_this


@pytest.mark.parametrize("wish", ["minikube", "kind:x", "context", "context:", "KIND"])
def test_a_word_that_names_no_provider_is_refused(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv("LABS_CLUSTER", wish)
    with pytest.raises(BadInput):
        providers.choose()


@pytest.mark.parametrize("name", ["kind", "embedded", "context"])
def test_every_room_has_the_same_functions(name: str) -> None:
    room = providers.room(name)
    for function in ("available", "up", "connect", "status", "down"):
        assert callable(getattr(room, function))


@pytest.mark.parametrize("damage", [b"", b"embed", b"\xff\0", None])
def test_a_choice_that_cannot_be_read_is_that_of_the_cluster_that_is_up(
    damage: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where none is, it is made as the first time. None: a folder is in its place."""

    def gone(_: str) -> None:
        raise ClusterGone("It is not up.", "-", "-")

    monkeypatch.setattr(kind, "available", lambda: Available(True, "an engine answers"))
    monkeypatch.setattr(kind, "connect", gone)
    memory = tmp_path / "state" / "ports.provider"
    for connect, chosen in ((gone, "kind"), (lambda _: "a cluster", "embedded")):
        monkeypatch.setattr(embedded, "connect", connect)
        providers.forget()
        memory.mkdir() if damage is None else memory.write_bytes(damage)
        choice = providers.choose()
        assert choice.provider == chosen
        assert f"cannot be read any more in {memory}" in choice.why
        providers.remember(choice)
        assert memory.read_text() == f"{chosen}\n"


# --- kind's configuration


def test_the_file_says_what_the_lessons_rely_on() -> None:
    config = kindconfig.read()
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker"]
    assert config["networking"]["kubeProxyMode"] in kindconfig.MODES
    mappings = config["nodes"][0]["extraPortMappings"]
    assert {one["containerPort"] for one in mappings} >= {30066}
    assert {one["listenAddress"] for one in mappings} == {"127.0.0.1"}


def test_only_the_mode_and_the_host_ports_are_changed() -> None:
    config = kindconfig.read()
    fit = kindconfig.fitted(config, "iptables", lambda port: port + 1000)
    assert fit["networking"].pop("kubeProxyMode") == "iptables"
    assert [one.pop("hostPort") for one in fit["nodes"][0]["extraPortMappings"]] == [31066, 31067]
    config["networking"].pop("kubeProxyMode")
    for one in config["nodes"][0]["extraPortMappings"]:
        one.pop("hostPort")
    assert fit == config


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wish = taken.getsockname()[1]
        found = kindconfig.free_port(wish)
        assert found != wish
        assert kindconfig.is_free(found)
    assert kindconfig.free_port(wish) == wish


def test_a_port_that_another_cluster_has_is_not_taken_though_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """That cluster has stopped, and will need it again."""
    monkeypatch.setattr(kindconfig, "is_free", lambda port: True)
    assert kindconfig.free_port(30066) == 30066
    assert kindconfig.free_port(30066, held={30066}) != 30066


def test_host_ports_none_maps_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kindconfig.node_ports() == [30066, 30067]
    assert set(kindconfig.mapped(kindconfig.for_a_new_cluster(()))) == {30066, 30067}
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    assert kindconfig.node_ports() == []
    fit = kindconfig.for_a_new_cluster(())
    assert kindconfig.mapped(fit) == {}
    assert [node["role"] for node in fit["nodes"]] == ["control-plane", "worker"]
    unmapped = KindsCluster("x", tmp_path, tmp_path, [])
    assert unmapped.outside(30066) == NotHere(kindconfig.NONE_MAPPED)


@pytest.mark.parametrize("word", ["None", "30066", "no", "127.0.0.1"])
def test_another_word_for_the_host_ports_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str
) -> None:
    monkeypatch.setenv("LABS_HOST_PORTS", word)
    for provider in ("kind", "embedded"):
        with pytest.raises(BadInput, match="LABS_HOST_PORTS is"):
            providers.room(provider).up("", print)
    assert not list(tmp_path.iterdir())


def test_a_cluster_with_host_ports_is_not_taken_for_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    kindconfig.check_host_ports("ports", [30066])
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    kindconfig.check_host_ports("ports", [])
    with pytest.raises(BadInput, match="node port 30066 and 30067 mapped") as told:
        kindconfig.check_host_ports("ports", [30067, 30066])
    assert "labs down" in told.value.try_this


def test_a_mode_that_kube_proxy_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_PROXY_MODE", "ipvs")
    with pytest.raises(BadInput, match="ipvs"):
        kindconfig.proxy_mode()


# --- the engine


@pytest.mark.parametrize(
    ("host", "remote"),
    [
        ("", False),
        ("unix:///var/run/docker.sock", False),
        ("npipe:////./pipe/docker_engine", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://localhost:2375", False),
        ("tcp://10.1.2.3:2376", True),
        ("ssh://me@build-host", True),
    ],
)
def test_which_endpoints_are_another_machines(host: str, remote: bool) -> None:
    assert engine.is_remote(host) is remote


def test_no_permission_and_not_running_are_two_things() -> None:
    denied = engine.down("permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock")
    stopped = engine.down("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    assert "group" in denied.try_this
    assert "Start it" in stopped.try_this


def test_a_machine_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    with pytest.raises(EngineDown, match="no container engine"):
        engine.info()
    assert not kind.available().yes


def test_nodes_start_in_the_order_of_their_last_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """So each gets its own again: the engine gives the lowest free one. One that noted none goes first, by name."""
    last = {"a": "172.18.0.10", "b": "172.18.0.9", "c": ""}
    asked: list[tuple[str, ...]] = []

    def ask(*words: str, limit: float = 60.0) -> Ran:
        asked.append(words)
        node = words[1].partition(":")[0]
        return Ran(0, f"old-ipv4\0\0000000644\0{last[node]}\0\0", "") if words[0] == "cp" else Ran(0, "", "")

    monkeypatch.setattr(engine, "ask", ask)
    containers.start_nodes(["a", "b", "c"])
    assert asked[-1] == ("start", "c", "b", "a")


def test_a_cluster_that_is_up_is_told_in_the_same_words_whoever_made_it() -> None:
    mapped = {30067: Address("127.0.0.1", 40001), 30066: Address("127.0.0.1", 30066)}
    lines = ["X is up.", "  node a  10.0.0.1", "  node port 30066 answers on this laptop at 127.0.0.1:30066"]
    lines += ["  node port 30067 answers on this laptop at 127.0.0.1:40001", "  Mind this."]
    last = "It stays up when JupyterLab ends. `python -m labs down` ends it."
    assert standing("X is up.", [Node("a", "10.0.0.1")], mapped, "Mind this.").splitlines() == [*lines, last]
    assert standing("X is up.", [], {}).splitlines() == ["X is up.", f"  {kindconfig.NONE_MAPPED}", last]
