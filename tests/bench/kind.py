"""The figures on a kind cluster of their own, and beside it plain `kind create cluster`.

What a learner waits for: the cluster, a knob, a reset, an exercise, a notebook. Needs a container engine.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import yaml

from labs import checks, deploy, exercises, home, providers, tools, versions
from labs.cluster import Cluster
from labs.deploy import Lesson
from labs.providers import kind, kindconfig
from tests.bench.browser import bench_repaint
from tests.bench.common import Part, Row, spread, timed
from tests.bench.knobs import FIRST_CURL, first_curl, turned
from tests.run import HOME, NBVAL, ROOT

PLAIN = "ports-bench-plain"
NAME = "ports-bench"


def lacking() -> str:
    """Why nothing can be measured here; "" where it can."""
    usable = kind.available()
    return "" if usable.yes else f"{usable.why} {usable.mend}"


@contextmanager
def cluster(parts: Collection[str], keep: bool) -> Iterator[None]:
    """The cluster that these parts are measured on. keep: leave it up afterwards."""
    os.environ |= {"LABS_CLUSTER": "kind", "LABS_NAME": NAME, "LABS_HOST_PORTS": "any", "LABS_HOME": str(HOME)}
    try:
        if "up" in parts:
            providers.down(lambda _: None)
        else:
            providers.up(lambda _: None)
        yield
    finally:
        if not keep:
            providers.down(lambda _: None)


def bench_up(pairs: int) -> list[Row]:
    """`up` against plain `kind create cluster` and the load of the image, in turn: one pair says little, as kind itself
    takes half as long again in one run as in another."""
    plain: list[float] = []
    ours: list[float] = []
    first: list[float] = []
    for _ in range(pairs):
        _plain(plain)
        providers.down(lambda _: None)
        up, curl = first_curl()
        ours.append(up)
        first.append(curl)
    FIRST_CURL["kind"] = statistics.median(first)
    again: list[float] = []
    with timed(again):
        providers.up(lambda _: None)
    more = statistics.median(one - other for one, other in zip(ours, plain, strict=True))
    each = "; ".join(f"{one:.1f} s, plain {other:.1f} s" for one, other in zip(ours, plain, strict=True))
    return [
        ("up, from nothing", f"{more:+.1f} s (median of {pairs} pairs: {each})", "at most +5 s"),
        ("up, again", f"{again[0]:.1f} s", ""),
        ("from nothing to the first curl through a Service", f"{FIRST_CURL['kind']:.1f} s", ""),
    ]


def _plain(taken: list[float]) -> None:
    """Times kind itself, and ends what it made."""
    binary = str(tools.find("kind"))
    folder = home.state()
    config = folder / f"{PLAIN}.yaml"
    config.write_text(yaml.safe_dump(kindconfig.fitted(kindconfig.read(), None, kindconfig.free_port)), "utf-8")
    kubeconfig = folder / f"{PLAIN}.kubeconfig"
    try:
        with timed(taken):
            _quiet(binary, "create", "cluster", "--name", PLAIN, "--image", versions.node_image(), "--config", str(config),
                   "--kubeconfig", str(kubeconfig))  # fmt: skip
            _quiet(binary, "load", "docker-image", "--name", PLAIN, versions.workload_image())
    finally:
        _quiet(binary, "delete", "cluster", "--name", PLAIN, "--kubeconfig", str(kubeconfig))


def _quiet(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def bench_knobs(turns: int) -> list[Row]:
    """A Service knob turned, and a Pod knob: until all that answers or is refused is on the screen, explained."""
    return turned(turns, max(6, turns // 5)).rows("p95 at most 0.8 s", "at most 4 s")


def bench_settled(times: int) -> list[Row]:
    """The wait until every node has acted, after nothing was changed but the marker."""
    cluster = providers.connect()
    taken: list[float] = []
    for _ in range(times):
        with timed(taken):
            cluster.settled()
    return [("settled()", spread(taken), "")]


def bench_reset() -> list[Row]:
    """From a lesson with all its Pods and a Service to a clean state."""
    cluster = providers.connect()
    taken: list[float] = []
    for _ in range(3):
        lesson = Lesson(cluster, "99-bench", say=lambda _: None)
        lesson.start()
        for manifest in ("01-pod1", "02-pod2", "05-service-with-targetport-9080"):
            lesson.apply(manifest)
        with timed(taken):
            deploy.reset_all(cluster, lambda _: None)
    return [("reset", spread(taken), "at most 5 s")]


def bench_exercises(times: int) -> list[Row]:
    """An exercise from an empty namespace and from what was left of it; its check, red and green, and red by a time-out."""
    cluster = providers.connect()
    first: list[float] = []
    again: list[float] = []
    checked: list[float] = []
    late: list[float] = []
    one = exercises.find("wrong-target-port")
    for _ in range(times):
        lesson = Lesson(cluster, checks.namespace_of(one), say=lambda _: None)
        with timed(again if first else first):
            turn = checks.begin(one, lesson)
        with timed(checked):
            assert not turn.check().passed
        subprocess.run(["bash", "-c", turn.solution()], check=True, capture_output=True, env=_with_kubectl(cluster))
        with timed(checked):
            assert turn.check().passed
    two = exercises.find("half-of-the-nodes")
    turn = checks.begin(two, Lesson(cluster, checks.namespace_of(two), say=lambda _: None))
    with timed(late):
        assert not turn.check().passed
    return [
        ("exercise, from nothing", spread(first), "at most 3 s"),
        ("exercise, begun again", spread(again), "at most 3 s"),
        ("check()", spread(checked), "at most 2 s"),
        ("check() where a request times out, and is made a second time", spread(late), "at most 2 s"),
    ]


def _with_kubectl(cluster: Cluster) -> dict[str, str]:
    path = f"{cluster.kubectl_path.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path}


def bench_notebooks() -> list[Row]:
    """Every notebook, from top to bottom, one after the other, by nbval."""
    taken: list[float] = []
    rows: list[Row] = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        command = [sys.executable, "-m", "pytest", "-q", *NBVAL, str(path)]
        with timed(taken):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        rows.append((f"notebook {path.stem}", f"{taken[-1]:.0f} s{'' if done.returncode == 0 else ' (FAILED)'}", ""))
    return [*rows, ("the notebooks together", f"{sum(taken):.0f} s", "at most 240 s")]


PARTS: dict[str, Part] = {
    "up": lambda turns: bench_up(max(3, turns // 10)),
    "settled": bench_settled,
    "knobs": bench_knobs,
    "repaint": bench_repaint,
    "reset": lambda _: bench_reset(),
    "exercises": lambda turns: bench_exercises(max(3, turns // 5)),
    "notebooks": lambda _: bench_notebooks(),
}
