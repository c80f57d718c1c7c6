"""The command line: usage, exit codes, and errors without a traceback. Providers are stood in for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labs import deploy, launch, providers
from labs.__main__ import COMMANDS, main
from labs.errors import ClusterGone, EngineDown

GONE = ClusterGone("The cluster is not up.", "It was deleted.", "`python -m labs up` makes it.")


class StandIn:
    """A cluster that only has a name."""

    name = "ports"
    namespace: str | None = None
    kubeconfig = Path("/state/ports.kubeconfig")
    kubectl_path = Path("/usr/bin/kubectl")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Providers whose cluster is up."""
    cluster = StandIn()
    monkeypatch.setattr(providers, "choose", lambda: providers.Choice("kind", "", "an engine answers"))
    monkeypatch.setattr(providers, "up", lambda say: cluster)
    monkeypatch.setattr(providers, "connect", lambda: cluster)
    monkeypatch.setattr(providers, "status", lambda: "Cluster ports is up.")
    return cluster


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["up", "now"], ["--wrong"]])
def test_what_is_no_command_gets_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: python -m labs COMMAND" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in COMMANDS)


def test_up_says_which_cluster_and_why(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up"]) == 0
    assert "The cluster: kind (an engine answers)." in capsys.readouterr().out


def test_an_error_is_its_text_on_stderr(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(providers, "up", raising(EngineDown("It does not answer.", "It is stopped.", "Start it.")))
    assert main(["up"]) == 1
    told = capsys.readouterr()
    assert told.err == "It does not answer.\n  why: It is stopped.\n  try: Start it.\n"
    assert "Traceback" not in told.out


def test_ctrl_c_is_130_and_a_word(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(providers, "up", raising(KeyboardInterrupt()))
    assert main(["up"]) == 130
    assert "Stopped." in capsys.readouterr().err


def test_status_tells_by_its_exit_code_too(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["status"]) == 0
    monkeypatch.setattr(providers, "status", raising(GONE))
    assert main(["status"]) == 1


def test_env_is_read_by_a_shell(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(launch, "programs_folder", lambda kubectl: Path("/state/bin"))
    assert main(["env"]) == 0
    told = capsys.readouterr().out
    script = 'eval "$1"; printf "%s %s" "$KUBECONFIG" "${PATH%%:*}"'
    done = subprocess.run(["/bin/sh", "-c", script, "sh", told], capture_output=True, encoding="utf-8")
    assert done.stdout == "/state/ports.kubeconfig /state/bin"
    assert "kubectl -n target-port" in told


def test_env_names_the_one_namespace_of_a_borrowed_cluster(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "programs_folder", lambda kubectl: Path("/state/bin"))
    stand_in.namespace = "team-a"
    main(["env"])
    assert "kubectl -n team-a" in capsys.readouterr().out


def test_env_without_a_cluster_prints_nothing_that_a_shell_would_take(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(providers, "connect", raising(GONE))
    assert main(["env"]) == 1
    assert capsys.readouterr().out == ""


def test_reset_is_of_the_cluster_that_is_up(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(deploy, "reset_all", lambda cluster, say: seen.append(cluster))
    assert main(["reset"]) == 0
    assert seen == [stand_in]


def test_down_says_how_to_get_a_new_one(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(providers, "down", lambda say: say("Deleting the cluster ports."))
    assert main(["down"]) == 0
    assert "labs up" in capsys.readouterr().out


def test_lab_passes_on_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(launch, "lab", lambda arguments, say: seen.append(list(arguments)))
    assert main(["lab", "--no-browser", "--port", "8899", "--help"]) == 0
    assert main(["lab"]) == 0
    assert seen == [["--no-browser", "--port", "8899", "--help"], []]


def program(tmp_path: Path, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs `python -m labs` in a process of its own, on a terminal that knows ASCII alone, where nothing is there yet."""
    environment = {"PATH": os.defpath, "LABS_HOME": str(tmp_path / "für"), "LABS_CLUSTER": "embedded"}
    environment["PYTHONIOENCODING"] = "ascii"
    root = Path(__file__).resolve().parents[1]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "labs", *words]
    return subprocess.run(command, env=environment, cwd=root, encoding="utf-8", timeout=60, **streams)


@pytest.fixture
def unread() -> Iterator[int]:
    """The end of a pipe whose other end is closed: what `| head -1` leaves when it has its line."""
    there, here = os.pipe()
    os.close(there)
    yield here
    os.close(here)


@pytest.mark.parametrize(("command", "code"), [("progress", 0), ("down", 0), ("status", 1), ("--help", 0)])
def test_a_reader_who_has_gone_is_no_fault(command: str, code: int, unread: int, tmp_path: Path) -> None:
    """What was asked for is done all the same."""
    done = program(tmp_path, command, stdout=unread)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_reader_of_errors_who_has_gone_is_no_fault(unread: int, tmp_path: Path) -> None:
    assert program(tmp_path, "env", stdout=unread, stderr=unread).returncode == 1
    assert program(tmp_path, "frobnicate", stderr=unread).returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_the_output_is_told(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = program(tmp_path, "progress", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith("The output cannot be written.") and "Make room" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_terminal_cannot_show_is_spelt(tmp_path: Path) -> None:
    done = program(tmp_path, "progress")
    assert done.returncode == 0, done.stderr
    assert "f\\xfcr/state/progress.json" in done.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("lab", "prepare", "doctor", "progress")])
@pytest.mark.parametrize("name", ["../../evil", "x" * 300])
def test_a_name_that_no_cluster_can_have_is_refused_first(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {"LABS_HOME": str(tmp_path / "home"), "LABS_NAME": name, "LABS_CLUSTER": "embedded"}.items():
        monkeypatch.setenv(variable, value)
    code = main([command])
    told = capsys.readouterr()
    assert code == 1
    assert "cannot be the name of a cluster" in told.out + told.err
    assert [path.name for path in tmp_path.rglob("*") if "evil" in str(path) or "xx" in path.name] == []


def test_as_a_program_it_has_no_traceback(tmp_path: Path) -> None:
    """The whole way, in a process of its own."""
    environment = {"PATH": str(tmp_path), "LABS_HOME": str(tmp_path), "LABS_CLUSTER": "nonsense"}
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "labs", "up"]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith("LABS_CLUSTER=nonsense names no provider.")
    assert "Traceback" not in done.stderr
