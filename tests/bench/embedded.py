"""The figures of the embedded cluster, on clusters of their own. Needs no container engine.

Memory is the processes' proportional set size: what they share is counted once. Many clusters: `many.py`.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labs import providers, seats
from labs.cluster import Cluster
from labs.deploy import ARTICLE_CLUSTER_IP, Lesson
from labs.providers import embedded
from tests.bench import many
from tests.bench.common import Part, Row, spread, timed
from tests.bench.knobs import FIRST_CURL, first_curl, turned
from tests.run import HOME, ROOT

NAME = "ports-bench-embedded"
NOTEBOOKS = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
REQUESTS = 300  # of one curl, each on a connection of its own


def lacking() -> str:
    """Why nothing can be measured here; "" where it can."""
    usable = embedded.available()
    return "" if usable.yes else f"{usable.why} {usable.mend}"


@contextmanager
def cluster(parts: Collection[str], keep: bool) -> Iterator[None]:
    """The cluster that these parts are measured on. keep: leave it up afterwards."""
    os.environ |= {"LABS_CLUSTER": "embedded", "LABS_NAME": NAME, "LABS_HOST_PORTS": "any", "LABS_HOME": str(HOME)}
    try:
        providers.up(lambda _: None)
        yield
    finally:
        if not keep:
            providers.down(lambda _: None)


def bench_up(times: int) -> list[Row]:
    """`python -m labs up`, from nothing."""
    taken: list[float] = []
    for _ in range(times):
        providers.down(lambda _: None)
        with timed(taken):
            subprocess.run([sys.executable, "-m", "labs", "up"], cwd=ROOT, check=True, capture_output=True)
    return [("embedded: `python -m labs up`, from nothing", f"{spread(taken)}, best {min(taken):.2f} s", "at most 1.5 s")]


def bench_first_curl(times: int) -> list[Row]:
    """From nothing to the first curl through a Service, and how much sooner that is than on kind in this run."""
    taken = []
    for _ in range(times):
        providers.down(lambda _: None)
        taken.append(first_curl()[1])
    kind = FIRST_CURL.get("kind")
    sooner = f"{kind / statistics.median(taken):.0f} times" if kind else "kind's `up` was not measured in this run"
    return [
        ("embedded: from nothing to the first curl", f"{spread(taken)}, best {min(taken):.2f} s", "at most 2.0 s"),
        ("embedded: sooner than kind's first curl", sooner, "20 times"),
    ]


def bench_knobs(turns: int) -> list[Row]:
    """A Service knob turned, and a Pod knob."""
    return turned(turns, max(6, turns // 2)).rows("p95 at most 0.3 s", "p95 at most 1 s", "embedded: ")


def bench_memory() -> list[Row]:
    """All processes of a new cluster: bare; with a client Pod for every notebook and the article's two Pods; in use."""
    providers.down(lambda _: None)
    shown = providers.up(lambda _: None)
    assert isinstance(shown, embedded.EmbeddedCluster)
    bare = proportional(shown.running.pid)
    for name in NOTEBOOKS:
        lesson = Lesson(shown, name, say=lambda _: None)
        lesson.start()
    for manifest in ("01-pod1", "02-pod2", "07-service-nodeport-30066"):
        lesson.apply(manifest)
    pods = shown.core().list_pod_for_all_namespaces().items
    full = proportional(shown.running.pid)
    turned(10, 2)
    used = proportional(shown.running.pid)
    parts = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in full.items())
    return [
        (f"embedded: memory with the course's {len(pods)} Pods", f"{_megabytes(full)} ({parts})", "at most 80 MB"),
        ("embedded: memory before any lesson, and after knobs were turned", f"{_megabytes(bare)}, {_megabytes(used)}", ""),
    ]


def _megabytes(sizes: dict[str, int]) -> str:
    return f"{sum(sizes.values()) / 1e6:.0f} MB"


def proportional(first: int) -> dict[str, int]:
    """The proportional set sizes, in bytes, of all processes in the PID namespace of `first`, added up by their name."""
    space = os.readlink(f"/proc/{first}/ns/pid_for_children")
    sizes: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not _below(process, space, first):
                continue
            name = (process / "comm").read_text("utf-8").strip()
            line = next(line for line in (process / "smaps_rollup").read_text("ascii").splitlines() if line.startswith("Pss:"))
        except OSError:  # it has ended
            continue
        sizes[name] = sizes.get(name, 0) + int(line.split()[1]) * 1024
    return sizes


def _below(process: Path, space: str, first: int) -> bool:
    """Whether it is in that PID namespace or in one below: containers have their own. Then `first` is among its parents."""
    if os.readlink(process / "ns/pid") == space:
        return True
    pid = int(process.name)
    while pid > 1 and pid != first:
        pid = int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    return pid == first


def bench_services(times: int) -> list[Row]:
    """From a changed Service until every node has acted, among ten Services and among a thousand."""
    lesson = Lesson(providers.connect(), "98-many-services", say=lambda _: None)
    lesson.start()
    lesson.apply("02-pod2")
    few = _changes(lesson, 10, times)
    many_services = _changes(lesson, 1000, times)
    lesson.reset()
    ratio = statistics.median(many_services) / statistics.median(few)
    return [
        ("embedded: a Service change, with 10 Services", spread(few), ""),
        ("embedded: a Service change, with 1,000 Services", spread(many_services), ""),
        ("embedded: the second by the first", f"{ratio:.2f}", "at most 2"),
    ]


def _changes(lesson: Lesson, count: int, times: int) -> list[float]:
    """Seconds of each change of one Service, with that many of them, each with an endpoint."""
    core, space = lesson.cluster.core(), lesson.namespace
    there = len(core.list_namespaced_service(space).items)
    list(lesson.cluster.pool.map(lambda n: _create(lesson.cluster, space, _service(n, 9080)), range(there, count)))
    lesson.cluster.settled()
    taken: list[float] = []
    for turn in range(times):
        with timed(taken):
            core.replace_namespaced_service("s0", space, _service(0, 9081 + turn % 2))
            lesson.cluster.settled()
    return taken


def _create(cluster: Cluster, namespace: str, service: dict[str, Any]) -> None:
    cluster.core().create_namespaced_service(namespace, service)


def _service(number: int, target: int) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": target}]
    return {"metadata": {"name": f"s{number}"}, "spec": {"selector": {"app": "productpage"}, "ports": ports}}


def bench_requests(rounds: int) -> list[Row]:
    """Requests a second from a Pod, each on a connection of its own: through a ClusterIP, and straight to the Pod, in turn."""
    lesson = Lesson(providers.connect(), "99-requests", say=lambda _: None)
    lesson.start()
    pod = next(one.name for one in lesson.apply("02-pod2") if one.kind == "Pod")
    lesson.apply("05-service-with-targetport-9080")
    straight = lesson.cluster.core().read_namespaced_pod(pod, lesson.namespace).status.pod_ip
    ways = {"clusterIP": f"{ARTICLE_CLUSTER_IP}:9999", "straight": f"{straight}:9080"}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way in sorted(ways, reverse=bool(turn % 2)):
            rate = _requests(lesson, ways[way])
            if turn:  # the first warms up
                rates[way].append(rate)
    ratios = [through / past for through, past in zip(rates["clusterIP"], rates["straight"], strict=True)]
    best = f"{max(rates['clusterIP']):.0f} and {max(rates['straight']):.0f} a second at best"
    told = f"{statistics.median(ratios):.2f} (median of {rounds} pairs; {best})"
    return [("embedded: requests through a ClusterIP by those straight to the Pod", told, "at least 0.9")]


def _requests(lesson: Lesson, address: str) -> float:
    """Requests a second of one curl in the client Pod."""
    url = f"http://{address}/hostname?[1-{REQUESTS}]"
    command = ["curl", "-sS", "--noproxy", "*", "-H", "Connection: close", "-o", "/dev/null", "-w", "%{num_connects}", url]
    start = time.monotonic()
    ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, command)
    taken = time.monotonic() - start
    assert ran.out == "1" * REQUESTS, ran.err or ran.out  # each made a connection of its own
    return REQUESTS / taken


PARTS: dict[str, Part] = {
    "embedded up": lambda turns: bench_up(max(3, turns // 3)),
    "embedded first-curl": lambda turns: bench_first_curl(max(3, turns // 3)),
    "embedded knobs": bench_knobs,
    "embedded memory": lambda _: bench_memory(),
    "embedded services": bench_services,
    "embedded requests": lambda turns: bench_requests(max(3, turns // 3)),
    "embedded many": lambda turns: many.bench(turns // 3),
}
