"""tests.run: how steps are counted and summed up. Runs none of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from labs.errors import ToolMissing
from labs.providers import Available
from tests import run
from tests.run import Result, counted, summary

XML = """<testsuites><testsuite>
<testcase classname="tests.contract.test_a" name="test_one"/>
<testcase classname="tests.contract.test_a" name="test_two"><failure message="no"/></testcase>
<testcase classname="tests.contract.test_a" name="test_three"><skipped message="no nodes&#10; here"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML)
    result = counted("contract", 1, tmp_path / "a.xml")
    assert (result.ok, result.counts) == (False, "1 passed, 1 failed, 1 skipped")
    assert result.skipped == (("tests.contract.test_a.test_three", "no nodes here"),)


def test_a_run_without_a_report_has_failed(tmp_path: Path) -> None:
    assert counted("contract", 0, tmp_path / "none.xml").ok is False


def test_the_summary_ends_with_what_could_not_be_run() -> None:
    skipped = (("tests.test_a.test_x", "no bash"), ("tests.test_b.test_y", "no bash"))
    text = summary(
        [
            Result("unit tests", True, "9 passed", skipped=skipped),
            Result("ruff", False),
            Result("contract on kind, nftables", True, why="no engine answers"),
        ]
    )
    run_part, _, missing = text.partition("What could not be run")
    assert "ok      unit tests (9 passed)" in run_part
    assert "FAILED  ruff" in run_part
    assert "contract" not in run_part
    assert "contract on kind, nftables: no engine answers" in missing
    assert "tests.test_a.test_x [unit tests], tests.test_b.test_y [unit tests]: no bash" in missing


def test_the_summary_says_so_when_all_was_run() -> None:
    assert summary([Result("ruff", True)]).endswith("nothing: all of it was run")


@pytest.mark.parametrize(("what", "code"), [("test", 0), ("contract", 1), ("notebooks", 1)])
def test_without_an_engine_only_the_part_asked_for_by_name_fails(
    what: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(run, "kind_usable", lambda: Available(False, "no engine answers.", "Start one."))
    monkeypatch.setattr(run, "embedded_usable", lambda: Available(False, "namespaces are forbidden.", "Allow them."))
    monkeypatch.setattr(run, "lint", lambda: [Result("ruff", True)])
    monkeypatch.setattr(run, "unit", lambda: [Result("unit tests", True)])
    assert run.main([what]) == code
    assert "no engine answers. Start one." in capsys.readouterr().out


def test_a_failed_step_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "REPORTS", tmp_path / "reports")
    seen: list[str] = []
    monkeypatch.setattr(run, "lint", lambda: [Result("ruff", False)])
    monkeypatch.setattr(run, "unit", lambda: [Result("unit tests", True)])
    monkeypatch.setattr(run, "on", lambda cluster, suites, keep: seen.append(cluster) or [Result(cluster, True)])
    monkeypatch.setattr(run, "kind_usable", lambda: Available(False, "x"))
    assert run.main(["test"]) == 1
    assert seen == ["embedded", "nftables", "iptables"]


UNREACHABLE = ToolMissing("kubectl is not here and could not be downloaded.", "https://dl.k8s.io: no answer.", "Run it again.")
STEPS = ("contract", "proofs", "notebooks", "conformance", "differential", "browser", "faults", "lint", "unit")
ROOMS = ("embedded_usable", "kind_usable")


@pytest.mark.parametrize("raising", [*STEPS, *ROOMS])
@pytest.mark.parametrize("error", [UNREACHABLE, FileNotFoundError(2, "No such file or directory")], ids=["LabError", "OSError"])
def test_a_step_that_raises_has_failed_and_the_others_are_run(
    raising: str, error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []

    def raises(*_: object) -> Iterable[Result]:
        raise error

    def step(name: str) -> object:
        def work(*given: object) -> list[Result]:
            ran.append(name)
            return [Result(f"{name} ran", True)]

        work.__name__ = name
        return work

    raises.__name__ = raising
    monkeypatch.setattr(run, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(run, "module", lambda *words, extra: 0)
    monkeypatch.setattr(run.containers, "nodes", lambda name: [])
    monkeypatch.setattr(run.tools, "find", lambda *_, **__: Path("kubectl"))
    for name in STEPS:
        monkeypatch.setattr(run, name, raises if name == raising else step(name))
    for name in ROOMS:
        monkeypatch.setattr(run, name, raises if name == raising else lambda: Available(True, "usable"))
    assert run.main(["test"]) == 1
    shown = capsys.readouterr().out
    failed = [line for line in shown.splitlines() if line.startswith("  FAILED")]
    assert failed and all(run.error_words(error) in line for line in failed)
    lost = {"kind_usable": {"differential", "browser"}, "embedded_usable": set()}.get(raising, {raising})
    assert set(ran) == set(STEPS) - lost


def test_the_errors_words_are_one_line() -> None:
    assert run.error_words(UNREACHABLE) == (
        "ToolMissing: kubectl is not here and could not be downloaded. why: https://dl.k8s.io: no answer. try: Run it again."
    )
    assert run.error_words(AssertionError()) == "AssertionError"


def test_what_a_step_had_before_it_raised_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Iterator[Result]:
        yield Result("notebook 01", True)
        raise OSError("disk full")

    results = list(run.attempt("notebooks", work))
    assert results == [Result("notebook 01", True), Result("notebooks", False, "OSError: disk full")]
    assert "Traceback" in capsys.readouterr().err


def test_after_ctrl_c_comes_the_summary_of_what_was_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[tuple[str, ...]] = []

    def stopped(mode: str, extra: dict[str, str]) -> Iterator[Result]:
        yield Result("notebook 01", True, "7 passed")
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(run, "lint", lambda: [Result("ruff", True)])
    monkeypatch.setattr(run, "unit", lambda: [Result("unit tests", False, "1 failed")])
    monkeypatch.setattr(run, "embedded_usable", lambda: Available(True, "usable"))
    monkeypatch.setattr(run.tools, "find", lambda *_, **__: Path("kubectl"))
    monkeypatch.setattr(run, "module", lambda *words, extra: called.append(words) or 0)
    for name in ("contract", "proofs"):
        monkeypatch.setattr(run, name, lambda mode, extra: [])
    monkeypatch.setattr(run, "notebooks", stopped)
    assert run.main(["test"]) == 130
    shown = capsys.readouterr().out
    assert "FAILED  unit tests (1 failed)\n  ok      notebook 01 (7 passed)" in shown
    assert shown.endswith("the step that was running, and those after it: stopped by Ctrl-C\n")
    assert called[-1] == ("labs", "down")  # its cluster is ended, too


def test_a_command_may_clear_up_after_ctrl_c(tmp_path: Path) -> None:
    """As in a terminal: both get it. The command's own ending is waited for, and no command is left running."""
    handled = "import pathlib, signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler)"
    clears = f"time.sleep(0.5); pathlib.Path({str(tmp_path / 'cleared')!r}).touch()"
    inner = f"{handled}\ntry:\n print('begun', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n {clears}"
    outer = f"{handled}\nfrom tests import run\nrun.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], cwd=run.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout
        while running.stdout.readline() != "begun\n":
            assert running.poll() is None
        os.killpg(running.pid, signal.SIGINT)
        running.wait(30)
    assert (tmp_path / "cleared").exists()


def test_the_embedded_clusters_tests_use_its_own_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's 1.20 serves there, and nothing is downloaded; kind's tests are not given it."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("""#!/bin/sh\necho '{"clientVersion": {"gitVersion": "v1.20.2"}}'\n""")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECTL_BIN", raising=False)
    monkeypatch.setattr(run, "embedded_usable", lambda: Available(True, "usable"))
    monkeypatch.setattr(run, "kind_usable", lambda: Available(True, "usable"))
    monkeypatch.setattr(run, "module", lambda *words, extra: 0)
    monkeypatch.setattr(run.containers, "nodes", lambda name: [])
    monkeypatch.setattr(run.specs, "why_not", lambda kind: "")
    monkeypatch.setattr(run.specs, "load", lambda cluster, environment: None)
    used: dict[str, str | None] = {}

    def specs(environment: dict[str, str]) -> tuple[bool, str]:
        used[environment["KUBECONFIG"].partition("-test-")[2]] = environment.get("KUBECTL_BIN")
        return True, "34 passed"

    monkeypatch.setattr(run.specs, "run", specs)
    for cluster in ("embedded", "nftables"):
        (result,) = run.on(cluster, [run.conformance], keep=False)
        assert result.ok and not result.why
    assert used == {"embedded.kubeconfig": str(kubectl), "nftables.kubeconfig": None}


def test_the_tests_cluster_is_not_the_learners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABS_NAME", raising=False)
    settings = run.cluster_environment("iptables")
    assert settings["LABS_NAME"] == "ports-test-iptables"
    assert settings["LABS_HOST_PORTS"] == "any"
    assert settings["LABS_HOME"] == str(run.HOME)


@pytest.mark.parametrize(
    ("there", "keep", "up_fails", "ended"),
    [(False, False, False, True), (True, False, False, False), (False, True, False, False), (False, False, True, True)],
)
def test_a_cluster_made_for_a_run_is_ended_and_no_other(
    there: bool, keep: bool, up_fails: bool, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []

    def module(*words: str, extra: dict[str, str]) -> int:
        called.append(words)
        return int(up_fails and words == ("labs", "up"))

    monkeypatch.setattr(run, "kind_usable", lambda: Available(True, "an engine answers"))
    monkeypatch.setattr(run.containers, "nodes", lambda name: ["a node"] if there else [])
    monkeypatch.setattr(run, "module", module)

    def suite(mode: str, extra: dict[str, str]) -> list[Result]:
        return [Result(f"suite on {extra['LABS_NAME']}", True)]

    results = list(run.on("iptables", [suite], keep))
    assert (("labs", "down") in called) is ended
    assert [result.ok for result in results] == [not up_fails]


@pytest.mark.parametrize(("there", "installed"), [(None, [["chromium"]]), ("/usr/bin/chromium", [])])
def test_a_browser_is_installed_where_none_is_there(
    there: str | None, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(run.jupyter, "browser_path", lambda: there)
    monkeypatch.setattr(run.bootstrap, "may_install", lambda: True)
    monkeypatch.setattr(run.bootstrap, "install", lambda names: asked.append(list(names)) or "")
    monkeypatch.setattr(run, "pytest", lambda step, *arguments, extra: Result(step, True))
    assert run.browser("nftables", {}) == [Result("browser", True)]
    assert asked == installed


def test_facts_are_tried_in_each_mode_and_the_proofs_once_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    where: dict[str, list[run.Suite]] = {}
    monkeypatch.setattr(run, "embedded_usable", lambda: Available(True, "x"))
    monkeypatch.setattr(run, "kind_usable", lambda: Available(False, "x"))
    monkeypatch.setattr(run, "lint", list)
    monkeypatch.setattr(run, "unit", list)
    monkeypatch.setattr(run, "on", lambda cluster, suites, keep: where.setdefault(cluster, suites) and [])
    list(run.everything())
    assert all(run.contract in suites and run.notebooks in suites for suites in where.values())
    assert [cluster for cluster, suites in where.items() if run.proofs in suites] == ["embedded", "nftables"]


def test_what_the_contract_leaves_out_are_the_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: dict[str, tuple[str, ...]] = {}

    def pytest_step(step: str, *paths: str, extra: dict[str, str]) -> Result:
        ran[step] = paths
        return Result(step, True)

    monkeypatch.setattr(run, "pytest", pytest_step)
    run.contract("iptables", {})
    run.proofs("nftables", {})
    folder, *left_out = ran["contract, iptables"]
    assert folder == "tests/contract"
    assert [one.removeprefix("--ignore=") for one in left_out] == list(ran["proofs, nftables"])
    assert all((run.ROOT / one).exists() for one in ran["proofs, nftables"])
