"""labs.doctor: what is said of machines that are not here; and that looking at this one changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from labs import doctor, tools
from labs.doctor import GB, Clusters, Facts, Finding, Trouble, judge, report, stops
from labs.embedded.limits import Limits
from labs.providers import Available
from labs.providers.engine import Engine

DOCKER = Engine("docker", "29.1.0", "unix:///var/run/docker.sock", 16 * GB, "2", "/var/lib/docker")
FOUND = tools.Found(Path("/usr/bin/kind"), "PATH", "v0.33.0")
EMBEDDED = Available(True, "namespaces are allowed")
NOT_EMBEDDED = Available(False, "namespaces are forbidden", "Allow them")
GOOD = Facts(
    "Linux",
    engine=DOCKER,
    kind=FOUND,
    kubectl=tools.Found(Path("/home/me/.cache/kubectl"), "would be downloaded", "v1.37.0"),
    home="/home/me/.local/state/course",
    images={"kindest/node:v1.37.0@sha256:a1ed": True},
    inotify=(524288, 512),
    ports={30066: "free"},
    disk=50 * GB,
    embedded=EMBEDDED,
    limits=Limits(20000, 5000, 300),
    borrowed=Available(True, "your kubeconfig has prod"),
)
NO_ENGINE = Trouble("Neither `docker` nor `podman` was found on the PATH.", "")


def finding(facts: Facts, name: str) -> Finding:
    return next(one for one in judge(facts) if one.name.startswith(name))


def test_a_machine_with_all() -> None:
    findings = judge(GOOD)
    assert {one.state for one in findings} == {"ok"}
    assert not stops(findings)
    text = report(findings)
    assert len(text.splitlines()) == len(findings) + 1
    assert text.endswith("`make lab` opens the course.")
    assert "→" not in text


@pytest.mark.parametrize(
    ("system", "wsl", "words"),
    [
        ("Darwin", False, ["Docker Desktop, OrbStack or Colima"]),
        ("Linux", False, ["docs.docker.com/engine/install", "Podman"]),
        ("Linux", True, ["Docker Desktop on Windows", "WSL integration"]),
        ("FreeBSD", False, ["docs.docker.com/engine/install"]),
    ],
)
def test_without_an_engine_one_sentence_says_what_to_do(system: str, wsl: bool, words: list[str]) -> None:
    nothing = replace(GOOD, embedded=NOT_EMBEDDED, engine=NO_ENGINE, inotify=None, disk=None, images={})
    findings = judge(replace(nothing, system=system, wsl=wsl))
    assert stops(findings)
    last = report(findings).splitlines()[-1]
    assert last.startswith("What to do first: ")
    assert all(word in last for word in words)


def test_native_windows_is_told_to_use_wsl2() -> None:
    findings = judge(Facts("Windows"))
    assert stops(findings)
    assert len(findings) == 1
    assert "wsl --install" in report(findings).splitlines()[-1]


def test_without_an_engine_the_embedded_cluster_will_do() -> None:
    facts = replace(GOOD, engine=NO_ENGINE, kind=Trouble("a", "b"), inotify=None, disk=None, images={})
    assert not stops(judge(facts))
    assert "the course runs on it" in finding(facts, "the embedded cluster").saw
    assert {finding(facts, name).state for name in ("container engine", "kind")} == {"mind"}
    cannot = finding(replace(facts, embedded=NOT_EMBEDDED), "the embedded cluster")
    assert (cannot.state, cannot.mend) == ("mind", "Allow them")
    assert stops(judge(replace(facts, embedded=NOT_EMBEDDED)))
    assert finding(replace(GOOD, embedded=NOT_EMBEDDED), "the embedded cluster").state == "ok", "kind works here"
    assert "takes it instead of kind" in finding(GOOD, "the embedded cluster").saw


@pytest.mark.parametrize(
    ("limits", "state", "words"),
    [
        (Limits(256, 128), "ok", "256 open files a process, 128 processes of this user, who has 0 now"),
        (Limits(255, None), "mind", "255 open files a process"),
        (Limits(256, 128, 64), "ok", "128 processes of this user, who has 64 now"),
        (Limits(256, 127), "mind", "127 processes"),
        (Limits(1024, 500, 437), "mind", "500 processes of this user, who has 437 now"),
        (Limits(None, None), "ok", "any number of open files a process"),
    ],
)
def test_limits_of_files_and_processes(limits: Limits, state: str, words: str) -> None:
    """They concern the embedded cluster alone, and where it cannot run they do not matter."""
    found = finding(replace(GOOD, limits=limits), "limits")
    assert found.state == state
    assert words in found.saw
    assert "nofile" in found.mend
    assert not [one for one in judge(replace(GOOD, limits=limits, embedded=NOT_EMBEDDED)) if one.name == "limits"]


def test_an_engine_that_is_stopped_has_its_own_mend() -> None:
    stopped = Trouble("The container engine does not answer. Cannot connect", "Start it (Docker Desktop, …)")
    found = finding(replace(GOOD, engine=stopped, embedded=NOT_EMBEDDED), "container engine")
    assert (found.state, found.mend) == ("no", "Start it (Docker Desktop, …)")


def test_an_engine_of_another_machine() -> None:
    found = finding(replace(GOOD, engine=replace(DOCKER, host="tcp://10.1.2.3:2376")), "container engine")
    assert found.state == "no"
    assert "tcp://10.1.2.3:2376" in found.saw
    assert "DOCKER_HOST" in found.mend


@pytest.mark.parametrize(("size", "state"), [(0, "mind"), (1 * GB, "no"), (3 * GB, "mind"), (4 * GB, "ok")])
def test_memory(size: int, state: str) -> None:
    assert finding(replace(GOOD, engine=replace(DOCKER, memory=size)), "memory").state == state


@pytest.mark.parametrize(
    ("version", "minor", "state"), [("2", (1, 37), "ok"), ("1", (1, 34), "ok"), ("1", (1, 35), "mind"), ("1", (1, 37), "mind")]
)
def test_cgroup(version: str, minor: tuple[int, int], state: str) -> None:
    found = finding(replace(GOOD, engine=replace(DOCKER, cgroup=version), minor=minor), "cgroup")
    assert found.state == state
    assert ("KIND_NODE_IMAGE=kindest/node:v1.34" in found.mend) is (state == "mind")


def test_a_tool_that_is_wrong_and_one_that_was_passed_over() -> None:
    wrong = replace(GOOD, kind=Trouble("KIND_BIN names /x, which does not exist", "Unset KIND_BIN"))
    assert finding(wrong, "kind") == Finding("no", "kind", "KIND_BIN names /x, which does not exist", "Unset KIND_BIN")
    old = replace(GOOD, kind=replace(FOUND, where="cache", passed_over="/usr/bin/kind: kind v0.20.0 is older"))
    assert "passed over /usr/bin/kind: kind v0.20.0 is older" in finding(old, "kind").saw
    assert "would be downloaded" in finding(GOOD, "kubectl").saw


def test_an_image_that_is_not_here_can_be_prepared() -> None:
    found = finding(replace(GOOD, images={"kindest/node:v1.37.0@sha256:a1ed": False}), "image kindest/node:v1.37.0")
    assert "make prepare" in found.saw
    assert "sha256" not in found.name


@pytest.mark.parametrize(("limits", "state"), [((524288, 512), "ok"), ((8192, 512), "mind"), ((524288, 128), "mind")])
def test_inotify(limits: tuple[int, int], state: str) -> None:
    found = finding(replace(GOOD, inotify=limits), "inotify")
    assert found.state == state
    assert "sysctl fs.inotify" in found.mend


def test_whose_clusters_there_are_is_told() -> None:
    others = {"ports": "alice (user id 1001 on lab)"}
    found = finding(replace(GOOD, clusters=Clusters("ports-bob", others)), "clusters of others")
    assert found.state == "ok"
    assert "ports belongs to alice (user id 1001 on lab)" in found.saw and "yours is called ports-bob" in found.saw
    assert all(one.name != "clusters of others" for one in judge(replace(GOOD, clusters=Clusters("ports"))))
    held = Trouble("The cluster ports is not yours.", "Set LABS_NAME")
    assert finding(replace(GOOD, clusters=held), "clusters of others") == Finding(
        "no", "clusters of others", held.why, held.mend
    )


def test_who_can_reach_node_ports_is_said_of_every_provider() -> None:
    names = {"kind", "embedded", "borrowed"}
    lines = {name: finding(GOOD, f"who reaches node ports, {name}").saw for name in names}
    assert "every account of this machine, on 127.0.0.1" in lines["kind"]
    assert "at the nodes' own addresses" in lines["kind"] and "container engine" in lines["kind"]
    assert "every account of this machine, on 127.0.0.1" in lines["embedded"] and "nobody else" in lines["embedded"]
    assert "said yes" in lines["borrowed"]
    assert all("LABS_HOST_PORTS=none" in lines[name] for name in ("kind", "embedded"))
    closed = replace(GOOD, host_ports="none")
    assert "127.0.0.1" not in finding(closed, "who reaches node ports, kind").saw
    assert finding(closed, "who reaches node ports, embedded").saw == "you and root alone"
    assert "maps none" in finding(closed, "ports").saw
    without = replace(GOOD, engine=NO_ENGINE, borrowed=Available(False, "none"), embedded=NOT_EMBEDDED)
    assert not [one for one in judge(without) if one.name.startswith("who reaches")]


def test_a_wrong_word_for_the_host_ports_stops_the_course() -> None:
    facts = replace(GOOD, host_ports=Trouble("LABS_HOST_PORTS is '5'.", "Unset it"))
    assert finding(facts, "LABS_HOST_PORTS") == Finding("no", "LABS_HOST_PORTS", "LABS_HOST_PORTS is '5'.", "Unset it")


def test_the_docker_that_lets_neighbours_in_is_told() -> None:
    """Docker before 28 forwards what a directly connected machine sends to a node's own address and a mapped port."""
    for version, told in (("20.10.24", True), ("27.5.1", True), ("28.0.0", False), ("29.1.0", False), ("", False)):
        facts = replace(GOOD, engine=replace(DOCKER, version=version))
        assert ("your own network" in finding(facts, "who reaches node ports, kind").saw) is told
        closed = finding(replace(facts, host_ports="none"), "who reaches node ports, kind")
        assert "your own network" not in closed.saw


def test_ports() -> None:
    facts = replace(GOOD, ports={30066: "taken", 30067: "ours"})
    assert finding(facts, "port 30066").state == "mind"
    assert finding(facts, "port 30067").state == "ok"
    assert not stops(judge(facts)), "another port is taken: the course runs"


@pytest.mark.parametrize(("free", "state"), [(1 * GB, "no"), (5 * GB, "mind"), (6 * GB, "ok")])
def test_disk(free: int, state: str) -> None:
    assert finding(replace(GOOD, disk=free), "disk").state == state


def test_a_home_that_cannot_be_written() -> None:
    facts = replace(GOOD, home=Trouble("The course cannot keep its files", "Set LABS_HOME"))
    assert finding(facts, "the course's files") == Finding(
        "no", "the course's files", "The course cannot keep its files", "Set LABS_HOME"
    )


def test_no_cluster_to_borrow_is_no_fault() -> None:
    found = finding(replace(GOOD, borrowed=Available(False, "there is no context", "Get one")), "a borrowed cluster")
    assert (found.state, found.saw) == ("ok", "not here: there is no context")


def test_every_fault_has_a_mend() -> None:
    worst = Facts(
        "Linux",
        engine=replace(DOCKER, memory=GB, cgroup="1"),
        kind=Trouble("a", "b"),
        kubectl=Trouble("a", "b"),
        home=Trouble("a", "b"),
        inotify=(1, 1),
        ports={30066: "taken"},
        disk=GB,
    )
    bad = [one for one in judge(worst) if one.state != "ok"]
    assert len(bad) == 8
    assert all(one.mend for one in bad)


# --- looking at this machine


def test_a_machine_without_programs_or_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "file"))
    for name in ("DOCKER_HOST", "KIND_EXPERIMENTAL_PROVIDER", "KUBECTL_BIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIND_BIN", str(tmp_path / "kind"))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("labs.providers.embedded.available", lambda: NOT_EMBEDDED)
    findings = judge(doctor.gather())
    wrong = {one.name for one in findings if one.state == "no"}
    assert wrong == {"container engine", "kind", "kubectl", "the course's files"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"], "looking changed nothing"


@pytest.mark.parametrize(("embedded", "where"), [(EMBEDDED, "PATH"), (NOT_EMBEDDED, "would be downloaded")])
def test_an_old_kubectl_will_do_where_the_embedded_cluster_is_used(
    embedded: Available, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("""#!/bin/sh\necho '{"clientVersion": {"gitVersion": "v1.20.2"}}'\n""")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    for name in ("DOCKER_HOST", "KIND_EXPERIMENTAL_PROVIDER", "KUBECTL_BIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("labs.providers.embedded.available", lambda: embedded)
    found = doctor.gather().kubectl
    assert isinstance(found, tools.Found) and found.where == where


def test_a_remote_engine_is_told_without_asking_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nsleep 60\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@there.example")
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    facts = doctor.gather()
    assert isinstance(facts.engine, Trouble)
    assert "ssh://me@there.example" in facts.engine.why
    assert not (tmp_path / "asked").exists()


def test_windows_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    assert doctor.gather() == Facts("Windows")


def test_ports_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.providers.kindconfig.is_free", lambda port: port == 30067)
    assert doctor._ports(set()) == {30066: "taken", 30067: "free"}
    assert doctor._ports({30066}) == {30066: "ours", 30067: "free"}
