"""Fixtures of the contract suite: the cluster (whichever `LABS_CLUSTER` and `LABS_NAME` pick), its mode, a lesson a module.

Ask only after `lesson.wait()` or `cluster.settled()`. What fails leaves a picture of its namespace in test-dumps/.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import VersionApi
from kubernetes.client.exceptions import ApiException

import labs
from labs import seats
from labs.cluster import Cluster
from labs.deploy import Lesson
from labs.errors import LabError, NoProvider
from tests.contract import seen
from tests.contract.asking import From

DUMPS = Path(__file__).parents[2] / "test-dumps"
NO_GRACE = 0  # seconds that a deleted namespace's Pods get to end
LIVE: list[Lesson] = []  # the lessons of the module that runs, for the picture of a failure


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that `labs.connect()` gives. Skipped, with the reason, where this machine can run none."""
    try:
        return labs.connect()
    except NoProvider as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mode(cluster: Cluster) -> str:
    """How Service rules are written on the nodes: "nftables" or "iptables". Facts that depend on it assert both.

    Read from kube-proxy's configuration, where "" means iptables on Linux. Without kube-proxy, "nftables" is owed. Skipped
    where the cluster is a borrowed one that does not let us look.
    """
    try:
        stored = cluster.core().read_namespaced_config_map("kube-proxy", "kube-system")
    except ApiException as error:
        if error.status == 403 and cluster.namespace is not None:
            pytest.skip("kube-proxy's mode is unknown: this borrowed cluster lets nobody read its configuration")
        if error.status != 404:
            raise
        return "nftables"
    found = yaml.safe_load(stored.data["config.conf"])["mode"] or "iptables"
    assert found in ("nftables", "iptables"), f"kube-proxy in {found} mode is not what the course is about"
    return str(found)


@pytest.fixture(scope="session", autouse=True)
def described(cluster: Cluster, record_testsuite_property: Callable[[str, object], None]) -> None:
    """Writes into the report what the facts were seen on; tests/facts.py reads it there."""
    record_testsuite_property("provider", cluster.provider)
    record_testsuite_property("kubernetes", VersionApi(cluster.api_client()).get_code().git_version)


@pytest.fixture(autouse=True)
def seen_of_this_test() -> None:
    """Forgets what another test, or a fixture, saw."""
    seen.taken()


@pytest.fixture(scope="module")
def new_lesson(cluster: Cluster) -> Iterator[Callable[..., Lesson]]:
    """Makes lessons by name, not yet started; their namespaces are deleted after the module."""

    def make(name: str, **options: Any) -> Lesson:
        LIVE.append(Lesson(cluster, name, **options))
        return LIVE[-1]

    yield make
    while LIVE:
        lesson = LIVE.pop()
        lesson.reset()  # at once, so that the next module finds node port 30067 free
        if cluster.namespace is None:
            _delete_namespace(cluster, lesson.namespace)


@pytest.fixture(scope="module")
def lesson(request: pytest.FixtureRequest, new_lesson: Callable[..., Lesson]) -> Lesson:
    """A started lesson in a namespace named after the test module (test_node_port.py: test-node-port)."""
    name = Path(str(request.path)).stem.replace("_", "-")
    made = new_lesson(f"99-{name}", say=lambda _: None)
    made.start()
    return made


@pytest.fixture(scope="module")
def pod_seat(lesson: Lesson) -> From:
    """Where requests from a Pod come from: the lesson's client Pod."""
    return From.pod(lesson.cluster, lesson.namespace, seats.CLIENT)


@pytest.fixture(scope="session")
def node_seats(cluster: Cluster) -> list[From]:
    """Where requests from a node come from, one a node in the order of `cluster.nodes`."""
    if cluster.node_seat is not None:
        pytest.skip(f"no requests from a node: {cluster.node_seat.why}")
    seats.ensure(cluster, seats.SYSTEM_NAMESPACE, [seats.node_pod(node.name) for node in cluster.nodes])
    return [From.pod(cluster, seats.SYSTEM_NAMESPACE, seats.node_pod_name(node.name)) for node in cluster.nodes]


@pytest.fixture(scope="session")
def machine(cluster: Cluster) -> From:
    """Another machine of the nodes' network. Skipped, with the reason, where there is none."""
    return From.machine(cluster)


def _delete_namespace(cluster: Cluster, name: str) -> None:
    try:
        cluster.core().delete_namespace(name, grace_period_seconds=NO_GRACE)
    except ApiException as error:
        if error.status != 404:
            raise


# --- what a failed test leaves behind


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Writes into a test's report what it saw and, where it failed, the name of a file with the state of its lessons."""
    if call.when == "call":
        item.user_properties.append(("seen", seen.taken()))
    report = yield
    if report.failed and LIVE:
        path = DUMPS / (re.sub(r"[^\w.-]+", "-", item.nodeid) + f"-{report.when}.txt")
        try:
            _dump(LIVE[0].cluster, [lesson.namespace for lesson in LIVE], path)
        except (LabError, OSError) as error:  # the failure itself must not be hidden by this
            report.sections.append(("state", f"could not be written to {path}: {error}"))
        else:
            report.sections.append(("state", f"written to {path}"))
    return report


def _dump(cluster: Cluster, namespaces: list[str], path: Path) -> None:
    commands = [["get", "nodes", "-o", "wide"], ["-n", "kube-system", "get", "pods", "-o", "wide"]]
    commands.append(["-n", seats.SYSTEM_NAMESPACE, "get", "pods,services,endpointslices", "-o", "wide"])
    for name in namespaces:
        commands.append(["-n", name, "get", "pods,services,endpointslices", "-o", "wide"])
        commands.append(["-n", name, "get", "events", "--sort-by=.lastTimestamp"])
        commands.append(["-n", name, "get", "services,endpointslices", "-o", "yaml"])
        commands.append(["-n", name, "describe", "pods,services"])
    DUMPS.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for command in commands:
            ran = cluster.kubectl(*command, limit=20)
            file.write(f"$ kubectl {' '.join(command)}\n{ran.out}{ran.err}\n")
