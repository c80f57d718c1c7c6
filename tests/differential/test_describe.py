"""What kubectl says of the same Services and Pods on a real cluster and on the embedded one, line by line.

With the oldest and the newest kubectl that are here (on PATH, or KUBECTL_BIN). They may differ in addresses, and in times and
identities, which are no two clusters' alike; nothing else.
"""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labs.embedded import host, launch, own_files
from labs.embedded.launch import Files
from tests.differential.asking import NAMESPACE
from tests.differential.conftest import KUBECTL, REAL

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")
LIMIT = 60.0  # seconds for Pods to be as they will be
OWN = "described"  # the embedded cluster's name
Object = dict[str, Any]

# --- what there is on both

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
NETEXEC = {"image": IMAGE, "args": ["netexec", "--http-port=9080", "--udp-port=-1"]}
PORTS = [
    {"name": "http", "port": 80, "targetPort": "web", "nodePort": 31871},
    {"name": "raw", "port": 81, "targetPort": 9080, "nodePort": 31872},
]


def pod(name: str, **container: Any) -> Object:
    """A Pod of one container, on the worker: the two schedulers need not agree."""
    one = {"name": "productpage", **NETEXEC, "ports": [{"containerPort": 9080, "name": "web"}], **container}
    metadata = {"name": name, "labels": {"app": "web", "pod": name}, "annotations": {"why": "to be described"}}
    spec = {"nodeName": "WORKER", "terminationGracePeriodSeconds": 0, "containers": [one]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(name: str, **spec: Any) -> Object:
    """A Service of the Pods."""
    metadata = {"name": name, "labels": {"app": "web"}}
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 9080}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


PROBE = {"httpGet": {"path": "/healthz", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1}  # answered with 412
PODS = [
    pod("plain"),
    pod("limited", env=[{"name": "A", "value": "b"}], resources={"limits": {"cpu": "1", "memory": "64Mi"}}),
    pod("unready", readinessProbe=PROBE),
]
SERVICES = [
    service("cluster-ip"),
    service("by-name", ports=[{"port": 80, "targetPort": "web"}]),
    service("nobody", selector={"app": "nobody"}),
    service("node-port", type="NodePort", ports=PORTS, externalTrafficPolicy="Local", sessionAffinity="ClientIP"),
    service("balanced", type="LoadBalancer", ports=[{"port": 80, "nodePort": 31873}]),
    service("headless", clusterIP="None"),
    service("without-selector", selector=None),
    {**service("elsewhere"), "spec": {"type": "ExternalName", "externalName": "example.com"}},
]

# --- the clusters


class Side:
    """One of the two clusters, as kubectl sees it. worker: the name of its node."""

    def __init__(self, kubeconfig: str, home: Path) -> None:
        self.kubeconfig, self.home = kubeconfig, home
        names = self.run("kubectl", "get", "nodes", "-o", "name").replace("node/", "").split()
        (self.worker,) = (name for name in names if name.endswith("-worker"))

    def run(self, program: str, *arguments: str, input: str = "") -> str:
        """What kubectl says."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": self.kubeconfig}
        command = [KUBECTL if program == "kubectl" and KUBECTL else program, "-n", NAMESPACE, *arguments]
        ran = subprocess.run(command, input=input, env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def make(self) -> None:
        """Makes Pods and Services, and waits until the Pods are as they will be."""
        made = json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS + SERVICES}).replace("WORKER", self.worker)
        self.run("kubectl", "create", "-f", "-", input=made)
        end = time.monotonic() + LIMIT
        while self.states() != {"plain": (True, True), "limited": (True, True), "unready": (True, False)}:
            assert time.monotonic() < end, self.run("kubectl", "describe", "pods")
            time.sleep(0.2)

    def states(self) -> dict[str, tuple[bool, bool]]:
        """Of each Pod: whether its container runs, and is ready; the unready one counts when its probe was heard of."""
        found = {}
        for one in json.loads(self.run("kubectl", "get", "pods", "-o", "json"))["items"]:
            (status,) = one["status"].get("containerStatuses") or [{"state": {}, "ready": False}]
            running = "running" in status["state"]
            if one["metadata"]["name"] == "unready":
                running &= "statuscode: 412" in self.run("kubectl", "describe", "pod", "unready")
            found[one["metadata"]["name"]] = (running, status["ready"])
        return found


@pytest.fixture(scope="module")
def sides(real: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """The real cluster and an embedded one of this module's own, with the same things in them."""
    home = tmp_path_factory.mktemp("described")
    files = Files(home, OWN)
    with files.lock():
        running = launch.start(files, [])
    try:
        authority = base64.b64encode(running.authority.encode()).decode()
        cluster = {"server": f"https://127.0.0.1:{running.api}", "certificate-authority-data": authority}
        settings = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [{"name": "x", "cluster": cluster}],
            "users": [{"name": "x", "user": {"token": running.token}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }  # fmt: skip
        own_files.write(home / "kubeconfig", json.dumps(settings))
        theirs, ours = Side(REAL, home), Side(str(home / "kubeconfig"), home)
        ours.run("kubectl", "create", "namespace", NAMESPACE)
        theirs.make()
        ours.make()
        yield theirs, ours
        theirs.run("kubectl", "delete", "pods,services", "--all", "--wait=false")
    finally:
        with files.lock():
            launch.end(files)


# --- what is compared

DIFFERENT = (  # between any two clusters
    (re.compile(r"\b\d+\.\d+\.\d+\.\d+(/\d+)?\b"), "ADDRESS"),
    (re.compile(r"\b[\w-]+-(worker|control-plane)\b"), r"NODE-\1"),
    (re.compile(r"\b(\d+d)?(\d+h)?(\d+m)?\d+s\b( \(x\d+ over \w+\))?"), "AGE"),
    (re.compile(r"(Start Time|Started|CreationTimestamp): .*"), r"\1: TIME"),
    (re.compile(r"endpoints.kubernetes.io/last-change-trigger-time: .*"), "<none>"),  # there for a while
    (re.compile(r"(Container ID|Image ID): .*"), r"\1: ID"),
    (re.compile(r"kube-api-access-\w{5}"), "ACCESS"),
    (re.compile(r"\b([a-z-]+)-[bcdfghjklmnpqrstvwxz2456789]{5}\b(?= |$)", re.MULTILINE), r"\1-GENERATED"),
    (re.compile(r"-{3,}"), "---"),  # under a table's head
    (re.compile(r" {2,}"), "  "),  # columns are as wide as what is in them
    (re.compile(r" +$", re.MULTILINE), ""),
)


LEFT_OUT = re.compile("uid|resourceVersion|managedFields|containerID|imageID|.*(Time|Timestamp|At)")


def lines(text: str) -> list[str]:
    """Comparable: without what differs, a Pod's events in an order of their own (some come in one second)."""
    for pattern, instead in DIFFERENT:
        text = pattern.sub(instead, text)
    found, events = [], False
    for line in text.splitlines():
        if "connection refused" in line:  # of a probe that came before the process listened
            continue
        events = (events or line.startswith("Events:")) and bool(line.strip())
        found.append((line, events))
    made: list[str] = []
    block: list[str] = []
    for line, event in [*found, ("", False)]:
        if event:
            block.append(line)
            continue
        made += sorted(set(block))
        block = []
        made.append(line)
    return made


def programs() -> dict[str, str]:
    """The oldest and the newest kubectl that are here, by their version."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    paths = {os.environ.get("KUBECTL_BIN", ""), *(os.path.join(folder, "kubectl") for folder in folders)}
    found: dict[tuple[int, ...], str] = {}
    for path in sorted(path for path in paths if path and os.access(path, os.X_OK)):
        ran = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30)
        number = re.match(r"v(\d+)\.(\d+)\.(\d+)", json.loads(ran.stdout)["clientVersion"]["gitVersion"])
        if number:
            found[tuple(map(int, number.groups()))] = path
    ends = sorted(found)[:: max(1, len(found) - 1)]
    return {".".join(map(str, version)): found[version] for version in ends}


PROGRAMS = programs()
SHOWN = [
    *(["describe", "service", one["metadata"]["name"]] for one in SERVICES),
    *(["describe", "pod", one["metadata"]["name"]] for one in PODS),
    *(["get", one, "-o", "wide"] for one in ("services", "pods", "endpoints", "endpointslices")),
    ["describe", "endpoints", "by-name"],
]


@pytest.mark.parametrize("version", PROGRAMS)
@pytest.mark.parametrize("arguments", SHOWN, ids=" ".join)
def test_the_same_is_said(sides: tuple[Side, Side], version: str, arguments: list[str]) -> None:
    theirs, ours = (lines(side.run(PROGRAMS[version], *arguments)) for side in sides)
    if arguments[1] == "endpointslices":
        theirs, ours = sorted(theirs), sorted(ours)  # by names that are generated
    assert ours == theirs


@pytest.mark.parametrize("name", [one["metadata"]["name"] for one in PODS])
def test_a_pod_is_written_the_same(sides: tuple[Side, Side], name: str) -> None:
    """All of it: spec and status, as the API server and the kubelet write them."""
    theirs, ours = (set(flat(json.loads(side.run("kubectl", "get", "pod", name, "-o", "json")))) for side in sides)
    if name != "limited":  # of a Pod without limits, a real kubelet sometimes says what its node has
        theirs, ours = ({one for one in some if not one.startswith(".status.resources")} for some in (theirs, ours))
    assert (ours - theirs, theirs - ours) == (set(), set())


def flat(read: Any, path: str = "") -> Iterator[str]:
    """Each value of an object with its path, without times and identities, and without what differs in its texts."""
    if isinstance(read, dict | list) and read:
        for key, value in read.items() if isinstance(read, dict) else enumerate(read):
            if not LEFT_OUT.fullmatch(str(key)):
                yield from flat(value, f"{path}.{key}")
    else:
        yield f"{path}: {' '.join(lines(read)) if isinstance(read, str) else json.dumps(read)}"


def test_there_is_a_kubectl() -> None:
    assert PROGRAMS, "no kubectl on PATH, and no KUBECTL_BIN"
