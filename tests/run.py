"""Runs the tests in steps, goes on after a step that failed or raised, and ends by naming what failed, what could not be run,
and why; after Ctrl-C, too.

`make test` and its parts call it: `python -m tests.run test`, or lint, contract, notebooks, record, facts, clean. Clusters are
of the tests' own: names (ports-test-CLUSTER), host ports and a home (.labs-test), so that an open lesson is not disturbed.
Does not test anything itself.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from labs import bootstrap, packages, tools, versions
from labs.embedded import host
from labs.errors import LabError
from labs.providers import Available, containers, embedded, kind, kindconfig
from tests import conformance as specs
from tests import facts
from tests.browser import jupyter

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "test-dumps" / "junit"
HOME = ROOT / ".labs-test"
CLUSTERS = (*kindconfig.MODES, "embedded")  # kind in each mode of kube-proxy, and the one that needs no engine
WITH_CLUSTER = ("browser", "contract", "differential", "faults")  # folders of tests/ that need one
PROOFS = tuple(f"tests/contract/{name}" for name in ("context", "test_explain.py", "test_exercises.py"))
NBVAL = ("--nbval", "--nbval-current-env", "--nbval-cell-timeout=120", "--nbval-sanitize-with=tests/nbval_sanitize.cfg", "-x")

STOPPING_LIMIT = 60.0  # seconds for a command to end what it started, after Ctrl-C

Environment = dict[str, str]


@dataclass(frozen=True)
class Result:
    """What became of a step. why: of a step that was not run. skipped: (test, reason).

    counts: "3 passed, 1 failed", or the words of the error that ended the step.
    """

    step: str
    ok: bool
    counts: str = ""
    why: str = ""
    skipped: tuple[tuple[str, str], ...] = ()


# --- computed


def summary(results: Sequence[Result], stopped: bool = False) -> str:
    """The last lines of a run: each step, and then all that could not be run, with the reason. stopped: by Ctrl-C."""
    lines = ["", "What was run:"]
    for result in results:
        if not result.why:
            counts = f" ({result.counts})" if result.counts else ""
            lines.append(f"  {'ok    ' if result.ok else 'FAILED'}  {result.step}{counts}")
    missing = [f"  {result.step}: {result.why}" for result in results if result.why]
    tests_of: dict[str, list[str]] = {}
    for result in results:
        for test, reason in result.skipped:
            tests_of.setdefault(reason, []).append(f"{test} [{result.step}]")
    missing += [f"  {', '.join(tests)}: {reason}" for reason, tests in tests_of.items()]
    missing += ["  the step that was running, and those after it: stopped by Ctrl-C"] if stopped else []
    return "\n".join([*lines, "What could not be run here, and why:", *(missing or ["  nothing: all of it was run"])])


def counted(step: str, code: int, report: Path) -> Result:
    """A pytest run's result from its exit code and its report in JUnit's form."""
    if not report.exists():
        return Result(step, False, f"exit code {code}, no report")
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    skipped = []
    for case in cases:
        found = case.find("skipped")
        if found is not None:
            skipped.append((f"{case.get('classname', '')}.{case.get('name', '')}", " ".join(found.get("message", "").split())))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    passed = len(cases) - failed - len(skipped)
    numbers = {"passed": passed, "failed": failed, "skipped": len(skipped)}
    counts = ", ".join(f"{number} {word}" for word, number in numbers.items() if number)
    return Result(step, code == 0, counts or f"exit code {code}", skipped=tuple(skipped))


def cluster_environment(cluster: str) -> Environment:
    """What to add to the environment for one of the tests' own CLUSTERS. LABS_NAME gives a prefix.

    PYTHONPATH is for kernels, whose folder is the notebook's, in an environment that labs/bootstrap.py has not made.
    """
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "LABS_CLUSTER": "embedded" if cluster == "embedded" else "kind",
        "LABS_NAME": f"{os.environ.get('LABS_NAME', 'ports')}-test-{cluster}",
        "LABS_PROXY_MODE": "nftables" if cluster == "embedded" else cluster,
        "LABS_HOST_PORTS": "any",
        "LABS_HOME": str(HOME),
    }


def error_words(error: Exception) -> str:
    """An error in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


# --- run


def attempt(step: str, work: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    """The results of some work, as they come; and where it raises, one more: that this step failed, with the error's words."""
    try:
        yield from work()
    except Exception as error:
        traceback.print_exc()
        yield Result(step, False, error_words(error))


def run(command: Sequence[str], extra: Environment | None = None) -> int:
    """Runs a command at the top of the course, its output for all to see. Returns its exit code.

    Ctrl-C reaches the command, too: it may end its own clusters and servers before we go on; a second Ctrl-C ends it at once.
    """
    print(f"\n$ {' '.join(command)}", flush=True)
    running = subprocess.Popen(command, cwd=ROOT, env=os.environ | (extra or {}), stdin=subprocess.DEVNULL)
    try:
        return running.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            running.wait(STOPPING_LIMIT)
        raise
    finally:
        running.kill()
        running.wait()


def module(*arguments: str, extra: Environment | None = None) -> int:
    """Runs a module of this environment."""
    return run([sys.executable, "-m", *arguments], extra)


def pytest(step: str, *arguments: str, extra: Environment | None = None) -> Result:
    """Runs pytest as a step."""
    report = REPORTS / f"{step.replace(' ', '-').replace(',', '')}.xml"
    report.unlink(missing_ok=True)
    code = module("pytest", "-q", f"--junitxml={report.relative_to(ROOT)}", *arguments, extra=extra)
    return counted(step, code, report)


def lint() -> Iterator[Result]:
    """ruff, mypy, import layers."""
    yield Result("ruff", module("ruff", "check", ".") == 0)
    yield Result("mypy", module("mypy") == 0)
    yield Result("import layers", run([f"{Path(sys.executable).parent}/lint-imports", "--no-logo", "--no-cache"]) == 0)


def unit() -> list[Result]:
    """What needs no cluster."""
    return [pytest("unit tests", "tests", *(f"--ignore=tests/{folder}" for folder in WITH_CLUSTER))]


def contract(mode: str, extra: Environment) -> list[Result]:
    """What any cluster owes the lessons: the seam, and every fact."""
    return [pytest(f"contract, {mode}", "tests/contract", *(f"--ignore={path}" for path in PROOFS), extra=extra)]


def proofs(mode: str, extra: Environment) -> list[Result]:
    """What stands on those facts: explanations and exercises, each mended, and the course of a guest on a borrowed cluster."""
    return [pytest(f"proofs, {mode}", *PROOFS, extra=extra)]


def differential(mode: str, extra: Environment) -> list[Result]:
    """The same made-up requests to this cluster's API server and to the embedded one: verdicts, words, defaults."""
    kubeconfig = HOME / "state" / f"{extra['LABS_NAME']}.kubeconfig"
    return [pytest("differential", "tests/differential", extra=extra | {"LABS_DIFFERENTIAL": str(kubeconfig)})]


def conformance(mode: str, extra: Environment) -> list[Result]:
    """Upstream Kubernetes' own specs of SIG Network."""
    kind_here = extra["LABS_CLUSTER"] == "kind"
    step = f"conformance, {mode}"
    why = specs.why_not(kind_here)
    if why:
        return [Result(step, True, why=why)]
    kubeconfig = HOME / "state" / f"{extra['LABS_NAME']}.kubeconfig"
    environment = os.environ | extra | {"KUBECONFIG": str(kubeconfig)}
    try:
        if kind_here:
            specs.load(extra["LABS_NAME"], environment)
    except subprocess.CalledProcessError as error:
        return [Result(step, False, f"kind could not load the specs' images: {error.stderr.strip()[-200:]}")]
    return [Result(step, *specs.run(environment))]


def browser(mode: str, extra: Environment) -> list[Result]:
    """Explorer, path, predictions, an exercise and the course's notebooks in JupyterLab and Notebook 7, in a browser."""
    if jupyter.browser_path() is None:
        bring(["chromium"], "the browser tests")
    module("labs", "reset", extra=extra)  # what suites before it have left runs on, and a browser needs the processors
    return [pytest("browser", "tests/browser", extra=extra)]


def notebooks(mode: str, extra: Environment) -> Iterator[Result]:
    """Each notebook by nbval, from top to bottom, compared with its committed outputs."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        yield pytest(f"notebook {path.stem}, {mode}", *NBVAL, str(path.relative_to(ROOT)), extra=extra)


def record(mode: str, extra: Environment) -> list[Result]:
    """Runs the notebooks and keeps their outputs."""
    found = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))
    return [Result("record", module("tests.record", *found, extra=extra) == 0)]


def faults() -> list[Result]:
    """What can go wrong, made to go wrong, on a cluster that these tests make and end themselves."""
    usable = kind_usable()
    return [pytest("faults", "tests/faults") if usable.yes else Result("faults", True, why=usable.why)]


Suite = Callable[[str, Environment], Iterable[Result]]


def on(cluster: str, suites: Sequence[Suite], keep: bool) -> Iterator[Result]:
    """The suites, on one of the tests' own CLUSTERS. keep: leave a cluster that was made for this."""
    where = "the embedded cluster" if cluster == "embedded" else f"kind, {cluster}"
    step = " and ".join(suite.__name__ for suite in suites) + f" on {where}"
    return attempt(f"a cluster for {step}", lambda: _on(cluster, suites, keep, step))


def _on(cluster: str, suites: Sequence[Suite], keep: bool, step: str) -> Iterator[Result]:
    usable = embedded_usable() if cluster == "embedded" else kind_usable()
    if not usable.yes:
        yield Result(step, True, why=f"{usable.why} {usable.mend}")
        return
    extra = cluster_environment(cluster)
    if cluster == "embedded":
        # The one that the cluster itself takes, which may be older than what Kubernetes supports.
        extra["KUBECTL_BIN"] = str(tools.find("kubectl", oldest=versions.KUBECTL_OLDEST))
    with _ended(extra, keep):
        if module("labs", "up", extra=extra) != 0:
            yield Result(f"a cluster for {step}", False)
            return
        for suite in suites:
            yield from attempt(f"{suite.__name__}, {cluster}", partial(suite, cluster, extra))


@contextmanager
def _ended(extra: Environment, keep: bool) -> Iterator[None]:
    """Ends the cluster afterwards, unless it is to be kept or was there before."""
    was_there = extra["LABS_CLUSTER"] == "kind" and bool(containers.nodes(extra["LABS_NAME"]))
    try:
        yield
    finally:
        if keep or was_there:
            print(f"\nThe cluster {extra['LABS_NAME']} stays up for the next run; `make clean` ends it.")
        else:
            module("labs", "down", extra=extra)


def kind_usable() -> Available:
    """Whether kind can run here. Its programs are found once, in the learner's cache, for all of the tests' clusters."""
    found = kind.available()
    if not found.yes:
        return found
    try:
        os.environ["KIND_BIN"], os.environ["KUBECTL_BIN"] = str(tools.find("kind")), str(tools.find("kubectl"))
    except LabError as error:
        return Available(False, f"{error.what} {error.why}", error.try_this)
    return found


def embedded_usable() -> Available:
    """Whether the embedded cluster can run here. Its programs are installed where they are missing and we may."""
    lacking = host.packages()
    if lacking:
        bring(lacking, "the embedded cluster")
    if bootstrap.may_install() and not embedded.has_kubectl():
        packages.bring_kubectl(print)
    return embedded.available()


def programs() -> list[Result]:
    """Brings what the embedded cluster runs on, which the unit tests use, too."""
    embedded_usable()
    return []


def bring(names: Sequence[str], purpose: str) -> None:
    """Installs Debian packages where we may, and says so. Where they stay missing, the tests that need them say that."""
    if bootstrap.may_install():
        print(f"\nInstalling {', '.join(names)} with apt-get, for {purpose}.", flush=True)
        print(bootstrap.install(names) or "Installed.", flush=True)


def everything() -> Iterator[Result]:
    """All that this machine can run. One cluster at a time: two need twice the memory.

    The proofs are run once a provider: on kind they take 18 of the contract's 22 minutes on 2 slow cores, and what in them
    could depend on kube-proxy's mode is a fact, which is tried in both. `make contract MODE=iptables` runs them there, too.
    """
    yield from attempt("programs of the embedded cluster", programs)
    yield from attempt("lint", lint)
    yield from attempt("unit tests", unit)
    yield from on("embedded", [contract, proofs, notebooks, conformance], keep=False)
    yield from on("nftables", [contract, proofs, notebooks, conformance, differential, browser], keep=False)
    yield from on("iptables", [contract, notebooks], keep=False)
    yield from attempt("faults", faults)


def publish_facts() -> Iterator[Result]:
    """Runs the tests of the facts on each cluster, and writes the table of what was seen."""

    def seen(cluster: str, extra: Environment) -> list[Result]:
        return [pytest(f"facts, {cluster}", *facts.MODULES, extra=extra)]

    complete = True
    for cluster in CLUSTERS:
        for result in on(cluster, [seen], keep=False):
            complete = complete and result.ok and not result.why
            yield result
    if complete:
        facts.write({cluster: REPORTS / f"facts-{cluster}.xml" for cluster in CLUSTERS})


def clean() -> list[Result]:
    """Ends the tests' clusters: those on kind where an engine answers."""
    for cluster in CLUSTERS if HOME.exists() else ():
        if cluster == "embedded" or kind.available().yes:
            module("labs", "down", extra=cluster_environment(cluster))
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing that was run failed; 130 after Ctrl-C; 1 otherwise, or where a part asked for by name could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.run")
    parser.add_argument("what", choices=["test", "lint", "contract", "notebooks", "record", "facts", "clean"])
    parser.add_argument("--mode", choices=CLUSTERS, default="nftables", help="kind in that mode of kube-proxy; or embedded")
    given = parser.parse_args(arguments)
    # Started in the background of a shell, it would ignore Ctrl-C, and with it all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    ways: dict[str, Callable[[], Iterable[Result]]] = {
        "test": everything,
        "lint": lint,
        "contract": lambda: on(given.mode, [contract, proofs], keep=True),
        "notebooks": lambda: on(given.mode, [notebooks], keep=True),
        "record": lambda: on(given.mode, [record], keep=True),
        "facts": publish_facts,
        "clean": clean,
    }
    results: list[Result] = []
    stopped = False
    try:
        for result in attempt(given.what, ways[given.what]):
            results.append(result)
    except KeyboardInterrupt:
        stopped = True
    if results or stopped:
        print(summary(results, stopped), flush=True)
    if stopped:
        return 130
    asked_in_vain = given.what != "test" and any(result.why for result in results)
    return 0 if all(result.ok for result in results) and not asked_in_vain else 1


if __name__ == "__main__":
    sys.exit(main())
