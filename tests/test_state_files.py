"""Every file that the course keeps, damaged in each of nine ways: `up` fixes it, no command ends in a traceback, and what a
link leads to stays as it was.

On one embedded cluster, which most of the damage leaves running. Skipped, with the reason, where this machine allows none.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import launch as course
from labs import providers
from labs.__main__ import main
from labs.embedded import host, launch, own_files
from labs.errors import ClusterGone, EngineDown
from labs.providers import engine
from tests.another_user import NOBODY, only_root

PROBLEM = host.problem()
needs_cluster = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")

NAME = "damaged"
MINE = "something of the learner's own\n"
FILES = {
    "provider": f"{NAME}.provider",
    "kubeconfig": f"{NAME}.kubeconfig",
    "facts": f"{NAME}.cluster",
    "log": f"{NAME}.log",
    "run": f"{NAME}.run",
    "lock": f"{NAME}.lock",
    "bashrc": f"{NAME}.bashrc",
    "bin": "bin",
    "bin/kubectl": "bin/kubectl",
    "progress": "progress.json",
    "progress lock": "progress.json.lock",
}
OF_UP = ("provider", "kubeconfig", "facts", "run", "lock")  # the others are fixed by the command that needs them
REPLACED = ("facts", "run")  # without which there is no cluster any more
DAMAGES = ("gone", "empty", "truncated", "binary", "a folder", "a pipe", "a loop", "a link to the learner's file", "not ours")


def damage(path: Path, how: str, mine: Path) -> None:
    """Does that to a file, or to what stands in its place."""
    if how == "not ours":
        if path.is_symlink() or not path.exists():
            remove(path)
            path.write_text("")
        os.chown(path, NOBODY, NOBODY) if os.geteuid() == 0 else path.chmod(0)
        return
    content = path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else b"{}"
    remove(path)
    if how in ("empty", "truncated", "binary"):
        path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "binary": bytes(range(256)) * 8}[how])
    elif how == "a folder":
        (path / "with").mkdir(parents=True)
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a loop":
        path.symlink_to(path)
    elif how == "a link to the learner's file":
        path.symlink_to(mine)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def no_engine() -> str:
    raise EngineDown("There is no container engine.", "It is not to be used here.", "Nothing.")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a cluster that is up, chosen by name once; with all files that there can be."""
    home = tmp_path_factory.mktemp("home")
    kubectl = home / "kubectl"
    kubectl.write_text("""#!/bin/sh\necho '{"clientVersion": {"gitVersion": "v1.37.0"}}'\n""")
    kubectl.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABS_NAME", NAME)
        patch.setenv("LABS_HOST_PORTS", "any")
        patch.setenv("KUBECTL_BIN", str(kubectl))
        for name in ("HOME", "LABS_HOME"):
            patch.setenv(name, str(home))
        for name in ("KUBECONFIG", "KIND_BIN", "LABS_CLUSTER"):
            patch.delenv(name, raising=False)
        patch.setattr(engine, "program", no_engine)  # where there is one, it would be chosen anew
        providers.remember(providers.Choice("embedded", "", "for the tests"))
        try:
            yield home / "state"
        finally:
            launch.end(launch.Files(home / "state", NAME))


@pytest.fixture
def mine(state: Path) -> Iterator[Path]:
    """A file of the learner's own, which must stay as it is: his kubeconfig."""
    path = state.parent / ".kube" / "config"
    path.parent.mkdir(exist_ok=True)
    path.write_text(MINE)
    yield path
    assert path.read_text() == MINE


class Runs:
    """Runs commands in this process: an exception that is not told in words is a test's failure."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self.captured = captured

    def __call__(self, *command: str) -> int:
        """The exit code, where what was said fits it."""
        code = main(command)
        told = self.captured.readouterr()
        assert "Traceback" not in told.out + told.err
        assert code == 0 or "why: " in told.out + told.err or command == ("doctor",), told
        self.told = told.out + told.err
        return code


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], state: Path) -> Runs:
    """With the cluster up, whatever a test before has left."""
    runs = Runs(capsys)
    if launch.find(launch.Files(state, NAME)) is None:
        assert runs("up") == 0
    return runs


@needs_cluster
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_each_file_is_fixed(file: str, how: str, state: Path, mine: Path, run: Runs) -> None:
    before = launch.find(launch.Files(state, NAME))
    damage(state / FILES[file], how, mine)
    for command in ("status", "env", "progress"):
        run(command)
    if file in OF_UP:
        assert run("up") == 0, run.told
    for command in ("status", "env", "progress"):
        assert run(command) == 0, run.told
    course.shell_command({"OURS": "yes"})
    assert "export OURS=yes" in (state / FILES["bashrc"]).read_text()
    if file not in REPLACED:
        assert launch.find(launch.Files(state, NAME)) == before, "it is still the same cluster"


@needs_cluster
def test_a_cluster_whose_pods_files_are_gone_is_replaced(state: Path, run: Runs) -> None:
    """A folder that looks empty, and that a mount is on inside: who removes it ends that mount."""
    (state / FILES["run"]).rmdir()
    assert run("up") == 0
    assert "was removed, and the Pods' files with it" in run.told
    assert "Replacing the cluster" in run.told
    assert run("up") == 0 and "Replacing" not in run.told


@needs_cluster
@pytest.mark.parametrize("how", DAMAGES)
def test_all_files_at_once(how: str, state: Path, mine: Path, run: Runs) -> None:
    """With `down`, which is to end the cluster although its facts are lost."""
    running = launch.find(launch.Files(state, NAME))
    assert running is not None
    run("env")  # makes bin/
    for name in reversed(FILES.values()):
        damage(state / name, how, mine)
    for command in ("doctor", "status", "env", "reset", "progress", "down"):
        run(command)
    assert not running.alive()
    assert run("up") == 0
    assert run("status") == 0, run.told


@needs_cluster
def test_a_notebook_finds_its_cluster_again(state: Path, run: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """`labs.connect()` runs `up` where it must."""
    from labs import notebook

    before = launch.find(launch.Files(state, NAME))
    (state / f"{NAME}.kubeconfig").write_bytes(b"\0\xff")
    cluster = notebook.connect()
    assert "cannot be read" in capsys.readouterr().out
    assert cluster.core().list_node().items
    assert launch.find(launch.Files(state, NAME)) == before


@needs_cluster
def test_a_kubeconfig_that_leads_elsewhere_is_not_used_and_not_lost(state: Path, run: Runs) -> None:
    """As `kind create cluster` in a terminal of the course leaves it: it adds its cluster, and makes that the current one."""
    path = state / f"{NAME}.kubeconfig"
    ours = json.loads(path.read_text())
    theirs = {"clusters": [{"name": "mine", "cluster": {"server": "https://127.0.0.1:1"}}],
              "users": [{"name": "mine", "user": {"token": "secret"}}],
              "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "mine"}}]}  # fmt: skip
    mixed = {**ours, **{kind: ours[kind] + entries for kind, entries in theirs.items()}, "current-context": "mine"}
    path.write_text(json.dumps(mixed))
    with pytest.raises(ClusterGone, match="by context mine"):
        providers.connect()
    assert run("env") == 1
    assert run("up") == 0
    assert "https://127.0.0.1:1" in run.told
    assert json.loads(path.read_text()) == ours
    assert json.dumps(mixed) in [kept.read_text() for kept in state.glob("*.damaged*.kubeconfig") if kept.is_file()]


@needs_cluster
def test_a_namespace_that_the_learner_has_set_stays(state: Path, run: Runs) -> None:
    """As by `kubectl config set-context --current --namespace target-port`."""
    path = state / f"{NAME}.kubeconfig"
    ours = json.loads(path.read_text())
    ours["contexts"][0]["context"]["namespace"] = "target-port"
    path.write_text(json.dumps(ours))
    assert run("status") == 0
    assert run("up") == 0
    assert json.loads(path.read_text()) == ours


@needs_cluster
def test_facts_that_are_json_of_another_shape_are_none(state: Path, run: Runs) -> None:
    files = launch.Files(state, NAME)
    good = json.loads(files.facts.read_text())
    wrong = [None, [], "x", {}, {**good, "pid": "1"}, {**good, "pid": -1}, {**good, "begun": ""}, {**good, "mappings": 5},
             {**good, "mappings": {"x": 1}}, {**good, "mappings": {"30066": 1 << 16}}, {**good, "holders": {}},
             {**good, "holders": [1]}, {**good, "node_network": "x"}, {**good, "node_network": "10.0.0.0/32"},
             {**good, "name": "other"}, {**good, "more": 1}, {**good, "token": None}]  # fmt: skip
    for facts in wrong:
        files.facts.write_text(json.dumps(facts))
        assert launch.find(files) is None, facts
    files.facts.write_text("[" * 100_000)
    assert launch.find(files) is None
    files.facts.write_text(json.dumps(good))
    assert launch.find(files) is not None


# --- the reader and writer of them all


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("one", "two"):
        own_files.write(path, text)
        assert own_files.read(path) == text.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UnicodeEncodeError):
        own_files.write(path, "\ud800")
    assert own_files.read(path) == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_of_ours_is_not_read(tmp_path: Path) -> None:
    for how in ("a folder", "a pipe", "a loop"):
        path = tmp_path / how
        damage(path, how, tmp_path)
        with pytest.raises(ValueError, match="it is"):
            own_files.read(path)
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 1 << 40)
    with pytest.raises(ValueError, match="bytes"):
        own_files.read(large)


@only_root
def test_what_belongs_to_somebody_else_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    os.chown(tmp_path / "file", NOBODY, NOBODY)
    with pytest.raises(ValueError, match="belongs to another user"):
        own_files.read(tmp_path / "file")


def test_what_is_in_the_way_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "ports.log"
    for number in (1, 2):
        damage(path, "a folder", tmp_path)
        own_files.write(path, "text")
        assert (tmp_path / f"ports.damaged{number}.log" / "with").is_dir()
        assert own_files.read(path) == b"text"


def test_a_lock_leaves_what_a_link_leads_to(tmp_path: Path) -> None:
    mine, lock = tmp_path / "mine", tmp_path / "lock"
    mine.write_text(MINE)
    lock.symlink_to(mine)
    with own_files.lock(lock, 0), pytest.raises(TimeoutError):
        own_files.lock(lock, 0).acquire()
    assert mine.read_text() == MINE
