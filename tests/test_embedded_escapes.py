"""A Pod stays in its Pod: each way out of tests/escapes.py is tried in Pods as a learner gets them, and none is open.

On a cluster of whoever runs the tests; where that is root, on an ordinary user's, too. Also what a Pod's YAML could lead to
by links, and that what a Pod does to its own files is its own. What is refused by name is in test_embedded_api.py.
"""

import ctypes
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labs.embedded import host, launch
from labs.embedded.launch import Files, Running
from labs.embedded.plan import AddressPlan
from tests.embedded_cluster import client_of, executor, phase, run, until
from tests.escapes import ATTEMPTS, CONTROLS, USER_NAMESPACE, files

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")
ROOT = Path(__file__).resolve().parents[1]
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"
CLOSED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
PODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "net-admin": {"capabilities": {"add": ["NET_ADMIN"]}},
    "closed": CLOSED,
    "nobody": {**CLOSED, "runAsUser": NOBODY, "readOnlyRootFilesystem": False},
    "seccomp": {"seccompProfile": {"type": "RuntimeDefault"}},
    "on-the-node": {},
}
numbers = itertools.count()
OTHER, OTHER_ENVIRONMENT = "labs-of-another-pod", "labs-told-another-pod"


@dataclass
class Place:
    """A cluster, the Python that runs it, and who owns it."""

    running: Running
    core: Any
    python: str
    user: int


@pytest.fixture(scope="module", autouse=True)
def key() -> str:
    """A key in the session keyring of whoever runs the tests; "" where the kernel keeps none."""
    name = b"labs-key"
    number = {"x86_64": 248, "aarch64": 217}[os.uname().machine]  # add_key(2)
    made = ctypes.CDLL(None).syscall(number, b"user", name, b"secret", 6, -3)
    return name.decode() if made >= 0 else ""


@pytest.fixture(scope="module", params=["whoever runs the tests", "an ordinary user"])
def place(request: pytest.FixtureRequest, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cluster that ends with this module."""
    folder = Path(tmp_path_factory.mktemp("escapes"))
    if request.param == "an ordinary user":
        yield from _ordinary(folder)
        return
    files = Files(folder, "escapes")
    with files.lock():
        running = launch.start(files, [])
    yield Place(running, client_of(running), os.path.realpath(sys.executable), os.getuid())
    with files.lock():
        launch.end(files)


def _ordinary(folder: Path) -> Iterator[Place]:
    """The cluster of nobody, by the machine's Python: the tests' own may be where only root can go."""
    if os.getuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not here")
    home = Path("/var/tmp", f"labs-escapes-{os.getpid()}")
    home.mkdir(mode=0o700)
    shutil.chown(home, NOBODY, NOBODY)
    packages = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("-packages"))])
    environment = {"PATH": host.SYSTEM_PATH, "HOME": str(home), "LABS_HOME": str(home), "LABS_NAME": "escapes",
                   "LABS_CLUSTER": "embedded", "LABS_HOST_PORTS": "any", "PYTHONPATH": packages}  # fmt: skip
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", SYSTEM_PYTHON]

    def labs(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*as_nobody, "-m", "labs", *words], env=environment, cwd="/", capture_output=True, encoding="utf-8", timeout=90
        )

    try:
        tried = subprocess.run([*as_nobody, "-c", "import aiohttp, kubernetes"], env=environment, capture_output=True)
        if tried.returncode != 0:
            pytest.skip(f"{SYSTEM_PYTHON} cannot use this environment's packages as an ordinary user")
        done = labs("up")
        assert done.returncode == 0, done.stderr
        given = json.loads((home / "state/escapes.cluster").read_text("utf-8"))
        running = Running(**{**given, "mappings": {int(port): there for port, there in given["mappings"].items()}})
        yield Place(running, client_of(running), SYSTEM_PYTHON, NOBODY)
        assert labs("down").returncode == 0
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make(core: Any, name: str, spec: dict[str, Any]) -> Any:
    """Makes a Pod; gives how to read it."""
    core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, **spec}})
    return lambda: core.read_namespaced_pod(name, "default")


def container(*command: str, name: str = "main", image: str = "busybox", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **({"command": list(command)} if command else {}), **more}


@pytest.fixture(scope="module")
def world(place: Place, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What attempts look for: on the machine, and in another Pod, which runs while they are tried."""
    secret = Path("/var/tmp", f"labs-secret-{os.getpid()}-{place.user}")
    secret.write_text("the secret of the machine", "utf-8")
    secret.chmod(0o600)
    os.chown(secret, place.user, -1)
    process = subprocess.Popen(["sleep", "600"], user=place.user if place.user != os.getuid() else None)
    script = (
        f"import socket, time, ctypes; open('/dev/shm/{OTHER}', 'w'); open('/tmp/{OTHER}', 'w'); "
        "ctypes.CDLL(None).shmget(4711, 4096, 0o1666); held = socket.socket(socket.AF_UNIX); "
        f"held.bind('\\0{OTHER}'); held.listen(); open('/dev/termination-log', 'w').write('x'); time.sleep(600)"
    )
    env = [{"name": "TOLD", "value": OTHER_ENVIRONMENT}]
    # Both nodes have one, started before: what the zygote remembered of it would be in the Pods that follow.
    others = [
        make(place.core, f"other-{node.name}", {
            "nodeName": node.name,
            "containers": [container(place.python, "-c", script, image=AGNHOST, env=env),
                           container(name="beside", image=AGNHOST, args=["pause"], env=env)],
        })
        for node in AddressPlan("escapes").nodes
    ]  # fmt: skip
    for other in others:
        until(other, phase("Running"))
    plan = AddressPlan("escapes", place.running.node_network)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{OTHER}-machine")
        abstract.listen()
        yield {
            "secret_file": str(secret), "secret": "the secret of the machine", "pid": process.pid, "key": key,
            "port": listener.getsockname()[1], "name": f"{OTHER}-machine", "token": place.running.token,
            "gateway": plan.gateway, "api": plan.api_service, "node": plan.nodes[0].address, "other": OTHER,
            "other_env": OTHER_ENVIRONMENT,
        }  # fmt: skip
    process.kill()
    process.wait()
    secret.unlink()


@pytest.mark.parametrize("kind", PODS)
def test_no_way_out_is_open(place: Place, world: dict[str, Any], kind: str) -> None:
    given = {"metadata": {"name": f"tries-{kind}"}, "data": files(world, {**ATTEMPTS, **CONTROLS})}
    place.core.create_namespaced_config_map("default", given)
    server = container(
        image=AGNHOST, args=["netexec", "--http-port=9080", "--udp-port=-1"], securityContext=PODS[kind],
        volumeMounts=[{"name": "tries", "mountPath": "/labs"}],
    )  # fmt: skip
    node = {"hostNetwork": True} if kind == "on-the-node" else {}
    volumes = [{"name": "tries", "configMap": {"name": f"tries-{kind}"}}]
    until(make(place.core, f"tries-{kind}", {**node, "containers": [server], "volumes": volumes}), phase("Running"))
    said = run(executor(place.core), f"tries-{kind}", place.python, "-IS", "/labs/try")
    assert "OPEN " in said, said[-2000:]
    ways = json.loads(said.rpartition("OPEN ")[2])
    possible = CONTROLS.keys() - ({USER_NAMESPACE} if kind == "seccomp" else set())
    assert possible <= set(ways), "the tries themselves do not work here"
    assert not set(ways) - set(CONTROLS)
    assert len(ATTEMPTS) >= 40


def with_link(link: str, *mains: dict[str, Any]) -> dict[str, Any]:
    """A PodSpec whose init container makes /e/r, a link, in the volume `e`."""
    mount = {"name": "e", "mountPath": "/e"}
    script = f"mkdir -p /e/real && echo here > /e/real/file && ln -s {link} /e/r"
    first = container("sh", "-c", script, name="first", volumeMounts=[mount])
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "f", "emptyDir": {}}]
    return {"volumes": volumes, "initContainers": [first], "containers": list(mains)}


@pytest.mark.parametrize("link", ["/", "../../../..", "/proc/self/root", "real/../../.."])
def test_a_sub_path_leads_nowhere_but_into_its_volume(place: Place, link: str) -> None:
    """A volume's own files may be links; what is shown of it stays in it, as kubelet has it."""
    name = f"leads-{len(link)}"
    main = container("sleep", "600", volumeMounts=[{"name": "e", "mountPath": "/h", "subPath": "r"}])
    read = make(place.core, name, with_link(link, main))
    pod = until(read, lambda pod: "CreateContainerConfigError" in str(pod.status.container_statuses))
    assert pod.status.container_statuses[0].state.waiting.message == (
        'failed to prepare subPath for volumeMount "e" of container "main"'
    )
    place.core.delete_namespaced_pod(name, "default")


def test_a_link_that_stays_in_its_volume_is_followed(place: Place) -> None:
    mounts = [{"name": "e", "mountPath": "/h", "subPath": "r"}, {"name": "e", "mountPath": "/made", "subPath": "new/below"}]
    main = container("sh", "-c", "cat /h/file; touch /made/x; cat /e/real/file; sleep 600", volumeMounts=mounts)
    until(make(place.core, "stays", with_link("real", main)), phase("Running"))
    assert run(executor(place.core), "stays", "cat", "/h/file") == "here\n"
    assert run(executor(place.core), "stays", "ls", "/made").split() == ["x"]


@pytest.mark.parametrize(
    "more",
    [
        {"volumeMounts": [{"name": "e", "mountPath": "/e"}, {"name": "f", "mountPath": "/e/r/labs-made"}]},
        {"volumeMounts": [{"name": "e", "mountPath": "/e"}], "terminationMessagePath": "/e/r/labs-made"},
        {"volumeMounts": [{"name": "e", "mountPath": "/e"}], "workingDir": "/e/r/labs-made"},
        {"volumeMounts": [{"name": "e", "mountPath": "/../../e"}, {"name": "f", "mountPath": "/e/../../../labs-made"}]},
    ],
    ids=["mountPath", "terminationMessagePath", "workingDir", "dots"],
)
@pytest.mark.parametrize("link", ["/", "/pods", "../../../..", "/proc/1/root", "/proc/self/fd/4"])
def test_a_volumes_link_leads_to_places_in_the_container_alone(
    place: Place, watcher: str, link: str, more: dict[str, Any]
) -> None:
    """What is made for a mount is made in the container; where that cannot be (in /proc), the container does not start."""
    name = f"links-{next(numbers)}"
    read = make(place.core, name, with_link(link, container("sleep", "600", **more)))
    pod = until(read, lambda pod: began(pod) or "StartError" in str(pod.status))
    shows = ["sh", "-c", "find / -xdev -name labs-made 2>/dev/null"]
    said = run(executor(place.core), name, *shows) if began(pod) else ""
    assert not [line for line in said.splitlines() if not line.startswith(("/labs-made", "/pods/labs-made", "/e/"))]
    assert run(executor(place.core), watcher, *shows) == ""
    place.core.delete_namespaced_pod(name, "default", grace_period_seconds=0)


@pytest.fixture(scope="module")
def watcher(place: Place) -> str:
    """A Pod beside those that try."""
    until(make(place.core, "watcher", {"containers": [container("sleep", "600")]}), phase("Running"))
    return "watcher"


def began(pod: Any) -> bool:
    """Whether its container runs."""
    return bool(pod.status.container_statuses and pod.status.container_statuses[0].state.running)


@pytest.mark.parametrize("path", ["/", "/..", "/proc", "/proc/sys", "/proc/self/fd", "/x/../proc/sys/kernel"])
def test_nothing_is_mounted_over_the_root_or_in_proc(place: Place, path: str) -> None:
    name = f"proc-{len(path)}"
    main = container("sleep", "600", volumeMounts=[{"name": "f", "mountPath": path}])
    pod = until(make(place.core, name, with_link("real", main)), lambda pod: began(pod) or "StartError" in str(pod.status))
    assert not began(pod)
    place.core.delete_namespaced_pod(name, "default")


def test_the_runtimes_seccomp_profile_is_what_it_says(place: Place) -> None:
    """Without one, as on kind, a container may have namespaces of its own; with RuntimeDefault not, its exec neither."""
    for name, profile in (("open", "Unconfined"), ("default", "RuntimeDefault")):
        main = container("sleep", "600", securityContext={"seccompProfile": {"type": profile}})
        until(make(place.core, f"profile-{name}", {"containers": [main]}), phase("Running"))
    tries = ["sh", "-c", "unshare -U true && echo yes; grep ^Seccomp: /proc/self/status; sh -c 'echo forks'"]
    assert run(executor(place.core), "profile-open", *tries).split() == ["yes", "Seccomp:", "0", "forks"]
    said = run(executor(place.core), "profile-default", *tries)
    # Two streams: their order is not told.
    assert "Operation not permitted" in said and "Seccomp:\t2\n" in said and "forks" in said and "yes" not in said


@pytest.mark.parametrize("folder", ["/e/r", "/proc/self/fd/4/../../..", "/proc/self/fd/3"])
def test_an_exec_begins_in_the_container(place: Place, world: dict[str, Any], folder: str) -> None:
    """Its folder has become a link to an open descriptor since the container was started."""
    name = f"begins-{len(folder)}"
    script = "rm -rf /e/r; ln -s /proc/self/fd/5 /e/r; sleep 600"
    main = container("sh", "-c", script, workingDir="/e/r", volumeMounts=[{"name": "e", "mountPath": "/e"}])
    if not folder.startswith("/e"):
        main["workingDir"] = folder
    pod = until(make(place.core, name, with_link("real", main)), lambda pod: began(pod) or "StartError" in str(pod.status))
    if began(pod):
        assert world["secret"] not in run(executor(place.core), name, "cat", "../" * 12 + world["secret_file"].lstrip("/"))
    place.core.delete_namespaced_pod(name, "default")


def test_what_a_pod_does_to_its_files_is_its_own(place: Place) -> None:
    """Not to those of the Pods that run, of those that come, or of its container when it is started again."""
    script = "test -e /etc/passwd || echo gone; rm /etc/passwd; echo x > /etc/labs-x; rm -f /dev/null; echo x > /dev/labs-x"
    until(make(place.core, "before", {"containers": [container("sleep", "600")]}), phase("Running"))
    read = make(place.core, "rude", {"containers": [container("sh", "-c", script)]})
    until(read, lambda pod: pod.status.container_statuses and pod.status.container_statuses[0].restart_count >= 1)
    assert "gone" not in place.core.read_namespaced_pod_log("rude", "default")
    until(make(place.core, "after", {"containers": [container("sleep", "600")]}), phase("Running"))
    shows = ["sh", "-c", "ls /etc/passwd /dev/null /etc/labs-x /dev/labs-x 2>/dev/null"]
    for name in ("before", "after"):
        assert run(executor(place.core), name, *shows).split() == ["/dev/null", "/etc/passwd"]
