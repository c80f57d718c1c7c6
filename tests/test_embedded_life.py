"""The life of Pods on an embedded cluster of this file's own: crashes, messages, images, ends, limits. By the API, as a client.

Skipped, with the reason, where this machine allows no such cluster. What lessons need of Pods is in tests/contract.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from labs.cluster import Ran
from labs.embedded import host, launch
from labs.embedded.launch import Files, Running
from labs.providers.embedded import EmbeddedCluster
from labs.seats import is_ready
from tests.embedded_cluster import LIMIT, client_of, executor, phase, run, until

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A cluster that ends with this module."""
    files = Files(Path(tmp_path_factory.mktemp("life")), "life")
    with files.lock():
        made = launch.start(files, [])
    yield made
    with files.lock():
        launch.end(files)


@pytest.fixture(scope="module")
def core(running: Running) -> Any:
    """Its API."""
    return client_of(running)


def make(core: Any, name: str, *command: str, image: str = "busybox", policy: str = "Never", **more: Any) -> Callable[[], Any]:
    """Makes a Pod of one container; gives how to read it."""
    container = {"name": "main", "image": image, **({"command": list(command)} if command else {}), **more}
    spec = {"restartPolicy": policy, "terminationGracePeriodSeconds": 1, "containers": [container]}
    core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    return lambda: core.read_namespaced_pod(name, "default")


def main_of(pod: Any) -> Any:
    """The status of its container."""
    return pod.status.container_statuses[0]


def test_a_pod_that_ends(core: Any) -> None:
    script = "echo out; echo err >&2; echo told > /dev/termination-log; exit 3"
    pod = until(make(core, "ends", "sh", "-c", script), phase("Failed"))
    ended = main_of(pod).state.terminated
    assert (ended.exit_code, ended.reason, ended.message) == (3, "Error", "told\n")
    assert sorted(core.read_namespaced_pod_log("ends", "default").splitlines()) == ["err", "out"]


def test_the_log_stands_in_for_a_message(core: Any) -> None:
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    pod = until(make(core, "logs", "sh", "-c", "echo why; exit 1", **fallback), phase("Failed"))
    assert main_of(pod).state.terminated.message == "why\n"


def test_a_container_that_crashes_is_held_back_after_its_second_end(core: Any) -> None:
    """At once the first time, then after 10 s; its log before the crash is kept."""
    read = make(core, "crashes", "sh", "-c", "echo once; exit 1", policy="Always")
    pod = until(read, lambda one: main_of(one).state.waiting and main_of(one).state.waiting.reason == "CrashLoopBackOff")
    assert main_of(pod).restart_count == 1
    assert main_of(pod).state.waiting.message.startswith("back-off 10s restarting failed container=main pod=crashes_default(")
    assert main_of(pod).last_state.terminated.exit_code == 1
    assert core.read_namespaced_pod_log("crashes", "default", previous=True) == "once\n"
    assert pod.status.phase == "Running"


def test_a_program_that_is_not_there(core: Any) -> None:
    pod = until(make(core, "nothing", "no-such-program"), phase("Failed"))
    ended = main_of(pod).state.terminated
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in ended.message


def test_an_image_that_nobody_has(core: Any) -> None:
    read = make(core, "no-image", image="registry.invalid/x:1")
    waiting = until(read, lambda one: main_of(one).state.waiting.reason in ("ErrImagePull", "ImagePullBackOff"))
    assert "no registry" in main_of(waiting).state.waiting.message
    assert waiting.status.phase == "Pending"


def test_deleted_it_is_told_to_end_and_then_made_to(core: Any) -> None:
    read = make(core, "stubborn", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    until(read, phase("Running"))
    begun = time.monotonic()
    core.delete_namespaced_pod("stubborn", "default", grace_period_seconds=2)
    assert read().metadata.deletion_timestamp is not None
    with pytest.raises(ApiException, match="404"):
        until(read, lambda one: False)
    assert time.monotonic() - begun >= 2


def test_its_files_are_its_own(core: Any) -> None:
    """The machine's programs, and nothing of whoever runs the cluster; it can change neither."""
    until(make(core, "looks", "sleep", "60", env=[{"name": "ASKED", "value": "yes"}]), phase("Running"))
    core = executor(core)
    assert run(core, "looks", "sh", "-c", "echo $ASKED; hostname; cat /etc/hostname").split() == ["yes", "looks", "looks"]
    assert run(core, "looks", "sh", "-c", "ls /home /root 2>&1").strip().endswith("/root:") or "No such" in run(
        core, "looks", "ls", "/home"
    )
    assert "Read-only file system" in run(core, "looks", "touch", "/usr/x")
    assert run(core, "looks", "sh", "-c", "echo x > /tmp/x && cat /tmp/x") == "x\n"
    assert len(run(core, "looks", "sh", "-c", "ls -d /proc/[0-9]*").split()) <= 3  # sleep, sh, ls
    assert "Operation not permitted" in run(core, "looks", "ip", "link", "set", "eth0", "down")


def test_what_agnhost_is_told_to_run_has_the_containers_environment(core: Any) -> None:
    """Its /shell; agnhost itself is forked, and keeps its environment apart."""
    server, port = ["netexec", "--udp-port=-1", "--http-port=9080"], 9080
    probe = client.V1Probe(tcp_socket=client.V1TCPSocketAction(port=port), period_seconds=1)
    env = [{"name": "ASKED", "value": "yes"}]
    image = "registry.k8s.io/e2e-test-images/agnhost:2.53"
    until(make(core, "tells", image=image, args=server, env=env, readinessProbe=probe), is_ready)
    url = f"http://127.0.0.1:{port}/shell?cmd=echo%20$ASKED%20in%20$HOSTNAME"
    assert "yes in tells" in run(executor(core), "tells", "curl", "-gsS", "--noproxy", "*", url)


def test_as_another_user(core: Any) -> None:
    closed = {"runAsUser": 65534, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    until(make(core, "nobody", "sleep", "60", securityContext={**closed, "readOnlyRootFilesystem": True}), phase("Running"))
    core = executor(core)
    assert run(core, "nobody", "id", "-u").strip() == "65534"
    assert "Read-only file system" in run(core, "nobody", "touch", "/tmp/x")


def test_a_bomb_of_processes_stays_in_its_pod(core: Any) -> None:
    """It gets no more than its number of processes, other Pods start, and its end ends all of it."""
    read = make(core, "bomb", "sh", "-c", "b() { b | b & }; b 2>/dev/null; sleep 60")
    until(read, phase("Running"))
    try:
        other = until(make(core, "beside", "true"), phase("Succeeded"))
        assert main_of(other).state.terminated.exit_code == 0
    finally:
        core.delete_namespaced_pod("bomb", "default", grace_period_seconds=0)
    with pytest.raises(ApiException, match="404"):
        until(read, lambda one: False)


def test_volumes(core: Any) -> None:
    core.create_namespaced_config_map("default", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    both = {
        "image": "busybox",
        "volumeMounts": [{"name": "told", "mountPath": "/told"}, {"name": "kept", "mountPath": "/kept"}],
    }
    spec = {
        "restartPolicy": "Never",
        "volumes": [{"name": "told", "configMap": {"name": "settings"}}, {"name": "kept", "emptyDir": {}}],
        "initContainers": [{"name": "first", "command": ["sh", "-c", "cat /told/a > /kept/b"], **both}],
        "containers": [{"name": "main", "command": ["cat", "/kept/b"], **both}],
    }
    core.create_namespaced_pod("default", {"metadata": {"name": "volumes"}, "spec": spec})
    until(lambda: core.read_namespaced_pod("volumes", "default"), phase("Succeeded"))
    assert core.read_namespaced_pod_log("volumes", "default") == "1"


def test_a_volume_that_is_made_from_nothing_is_waited_for(core: Any) -> None:
    volume = {"name": "late", "configMap": {"name": "late"}}
    spec = {
        "restartPolicy": "Never",
        "volumes": [volume],
        "containers": [{"name": "main", "image": "busybox", "command": ["true"]}],
    }
    core.create_namespaced_pod("default", {"metadata": {"name": "late"}, "spec": spec})

    def told() -> list[str]:
        events = core.list_namespaced_event("default", field_selector="involvedObject.name=late,reason=FailedMount").items
        return [one.message for one in events]

    end = time.monotonic() + LIMIT
    while not told():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert told() == ['MountVolume.SetUp failed for volume "late" : configmap "late" not found']
    core.create_namespaced_config_map("default", {"metadata": {"name": "late"}})
    until(lambda: core.read_namespaced_pod("late", "default"), phase("Succeeded"))


def test_what_leads_out_of_the_nodes_network_is_dropped(running: Running) -> None:
    """Whatever the machine that runs this forwards by itself: a ClusterIP is silent for another machine, as behind kind."""
    cluster = EmbeddedCluster(running, Path("none"), Path("none"))
    tried = cluster.elsewhere(["curl", "-sS", "-m", "1.5", "http://10.97.239.58:80/"])
    assert isinstance(tried, Ran)
    assert (tried.code, "timed out" in tried.err) == (28, True), tried.err
