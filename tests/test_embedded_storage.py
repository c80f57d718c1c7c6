"""What a Pod may take of this machine, files and memory, told as kubelet tells it. On a cluster of this file's own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labs.embedded import host, launch
from labs.embedded.launch import Files
from tests.embedded_cluster import client_of, executor, phase, run, until

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The API of a cluster that ends with this module."""
    files = Files(Path(tmp_path_factory.mktemp("storage")), "storage")
    with files.lock():
        running = launch.start(files, [])
    yield client_of(running)
    with files.lock():
        launch.end(files)


def make(core: Any, name: str, command: list[str], empty: dict[str, Any] | None = None, **more: Any) -> Any:
    """Makes a Pod with an emptyDir at /e; gives how to read it."""
    container = {"name": "main", "image": "busybox", "command": command, **more}
    spec: dict[str, Any] = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    if empty is not None:
        spec["volumes"] = [{"name": "e", "emptyDir": empty}]
        container["volumeMounts"] = [{"name": "e", "mountPath": "/e"}]
    core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    return lambda: core.read_namespaced_pod(name, "default")


def fill(megabytes: int, file: str = "/e/x") -> list[str]:
    return ["sh", "-c", f"dd if=/dev/zero of={file} bs=1M count={megabytes}; sleep 600"]


def events(core: Any, name: str) -> list[str]:
    listed = core.list_namespaced_event("default", field_selector=f"involvedObject.name={name},reason=Evicted").items
    return [event.message for event in listed]


@pytest.mark.parametrize(
    ("name", "empty", "megabytes", "limit"),
    [
        ("whole", {}, 256, "64Mi"),
        ("small", {"sizeLimit": "5Mi"}, 7, "5Mi"),
        ("memory", {"medium": "Memory", "sizeLimit": "5Mi"}, 7, "5Mi"),
    ],
)
def test_a_volume_that_grows_past_its_limit_ends_its_pod_alone(
    core: Any, name: str, empty: dict[str, Any], megabytes: int, limit: str
) -> None:
    pod = until(make(core, name, fill(megabytes), empty), phase("Failed"))
    words = f'Usage of EmptyDir volume "e" exceeds the limit "{limit}". '
    assert (pod.status.reason, pod.status.message) == ("Evicted", words)
    disrupted = next(known for known in pod.status.conditions if known.type == "DisruptionTarget")
    assert (disrupted.status, disrupted.reason) == ("True", "TerminationByKubelet")
    assert events(core, name) == [words]
    until(make(core, f"{name}-next", ["sleep", "600"]), phase("Running"))


def test_a_volume_within_its_limit_stays(core: Any) -> None:
    until(make(core, "within", fill(4), {"sizeLimit": "5Mi"}), phase("Running"))
    until(make(core, "beside", ["sh", "-c", "exit 0"], {}), phase("Succeeded"))  # more than one look has come and gone, or soon
    assert run(executor(core), "within", "stat", "-c", "%s", "/e/x").strip() == str(4 << 20)
    assert core.read_namespaced_pod("within", "default").status.phase == "Running"


def test_a_pod_that_has_ended_is_not_evicted(core: Any) -> None:
    """What it left in its volume is nobody's matter any more: kubelet looks at active Pods alone."""
    script = ["sh", "-c", "dd if=/dev/zero of=/e/x bs=1M count=7"]
    until(make(core, "ended", script, {"sizeLimit": "5Mi"}), phase("Succeeded"))
    until(make(core, "looked-at", fill(7), {"sizeLimit": "5Mi"}), phase("Failed"))  # so a look has come since
    assert core.read_namespaced_pod("ended", "default").status.phase == "Succeeded"
    assert events(core, "ended") == []


def test_files_that_are_no_volumes_stop_no_other_pod(core: Any) -> None:
    """A termination message, /etc/hosts: they are the Pod's own, and have its limit."""
    read = make(core, "greedy", ["sh", "-c", "cat /dev/zero > /dev/termination-log; cat /dev/zero > /etc/hosts; exit 7"])
    pod = until(read, phase("Failed"))
    assert pod.status.container_statuses[0].state.terminated.exit_code == 7
    until(make(core, "greedy-next", ["sleep", "600"], {}), phase("Running"))


def test_folders_as_deep_as_can_be_are_counted_and_taken_away(core: Any) -> None:
    deep = "import os, time; os.chdir('/e')\nfor _ in range(3000):\n os.mkdir('d'); os.chdir('d')\n"
    command = [os.path.realpath(sys.executable), "-ISc", f"{deep}open('x', 'wb').write(bytes(7 << 20)); time.sleep(600)"]
    image = "registry.k8s.io/e2e-test-images/agnhost:2.53"
    pod = until(make(core, "deep", command, {"sizeLimit": "5Mi"}, image=image), phase("Failed"))
    assert pod.status.reason == "Evicted"
    core.delete_namespaced_pod("deep", "default")
    until(make(core, "deep-next", ["sleep", "600"], {}), phase("Running"))


def test_a_limit_of_ephemeral_storage(core: Any) -> None:
    limits = {"resources": {"limits": {"ephemeral-storage": "5Mi"}}}
    pod = until(make(core, "writes", fill(7, "/tmp/x"), **limits), phase("Failed"))
    assert pod.status.message == 'Container main exceeded its local ephemeral storage limit "5Mi". '


def test_a_limit_of_memory(core: Any) -> None:
    """Of all its processes together; one that stays within it is left alone."""
    grows = "x=$(head -c 3000000 /dev/zero | tr '\\0' x); y=$x$x$x$x$x$x$x$x; sleep 600"
    limits = {"resources": {"limits": {"memory": "20Mi"}}}
    until(make(core, "modest", ["sleep", "600"], **limits), phase("Running"))
    pod = until(make(core, "grows", ["sh", "-c", grows], **limits), phase("Failed"))
    ended = pod.status.container_statuses[0].state.terminated
    assert (ended.reason, ended.exit_code) == ("OOMKilled", 137)
    assert core.read_namespaced_pod("modest", "default").status.phase == "Running"


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root (pod: "),
        ({"runAsNonRoot": True, "runAsUser": 0}, "container's runAsUser breaks non-root policy (pod: "),
    ],
)
def test_who_must_not_be_root_is_not_started_as_root(core: Any, context: dict[str, Any], words: str) -> None:
    read = make(core, f"rootless-{len(context)}", ["sleep", "600"], securityContext=context)
    pod = until(read, lambda pod: "CreateContainerConfigError" in str(pod.status.container_statuses))
    assert pod.status.container_statuses[0].state.waiting.message.startswith(words)
