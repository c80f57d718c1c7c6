"""labs.explain on a real cluster: each fault is made, explained, and mended by every change that the explanation names.

Each command is run by a shell as a learner pastes it, from a folder beside labs/; afterwards the Service must answer plain
curl, and the explanation must find nothing more. What takes a changed Pod is carried out here as it is described.
"""

import copy
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import labs
from labs.deploy import Lesson, Manifest
from labs.errors import BadInput, LabError, Refused
from labs.explain import Explanation, Mend, State, explain
from labs.seats import ROLE
from tests.contract.asking import From
from tests.contract.faults_explained import FAULTS, POD2, PRODUCTPAGE, Fault, at_node, changed, policy, service

HERE = Path(labs.__file__).parent  # the commands name ../labs/manifests, as seen from the learner's folder


@pytest.fixture
def state(lesson: Lesson) -> Iterator[Callable[[Fault], None]]:
    """Brings the lesson into a fault's state, from whatever the test before has left there."""
    yield lambda fault: restore(lesson, fault)
    restore(lesson, Fault("", "", ()))


def restore(lesson: Lesson, fault: Fault) -> None:
    """Makes the fault's objects the lesson's only ones, and returns when all has taken effect."""
    objects = fault.objects
    keep = {(one["kind"], one["metadata"]["name"]) for one in objects}
    policies = ",networkpolicies" if has_policies(lesson) else ""
    listing = lesson.kubectl("get", f"pods,services{policies}", "-l", f"!{ROLE}", "-o", "yaml")
    assert listing.code == 0, listing.err
    for one in yaml.safe_load(listing.out)["items"]:
        kind, name = one["kind"], one["metadata"]["name"]
        if (kind, name) not in keep:
            delete(lesson, kind, name)
    for one in objects:
        if one["kind"] == "NetworkPolicy":
            done = lesson.kubectl("replace", "--force", "-f", "-", stdin=yaml.safe_dump(one))
            assert done.code == 0, done.err
        else:
            put(lesson, one)
    pods = [one["metadata"]["name"] for one in objects if one["kind"] == "Pod"]
    lesson.wait([name for name in pods if name not in fault.unready])
    for name in fault.unready:
        until_it_fails(lesson, name, fault.by_probe)
    lesson.cluster.settled()


def has_policies(lesson: Lesson) -> bool:
    """Whether this cluster knows NetworkPolicies at all."""
    return "networkpolicies" in lesson.kubectl("api-resources", "--api-group=networking.k8s.io", "-o", "name").out


def put(lesson: Lesson, manifest: Manifest) -> None:
    """Applies it; a Pod or Service that cannot become what the manifest says is made anew."""
    try:
        lesson.apply(manifest, wait=False)
    except Refused:
        delete(lesson, manifest["kind"], manifest["metadata"]["name"])
        lesson.apply(manifest, wait=False)


def delete(lesson: Lesson, kind: str, name: str) -> None:
    forced: list[str] = []
    if kind.lower() == "pod" and not (lesson.read("Pod", name) or POD2)["spec"].get("hostNetwork"):
        forced = ["--grace-period=0", "--force"]  # no test waits for a Pod's end, but where the next one needs its node's port
    done = lesson.kubectl("delete", kind, name, *forced, "--ignore-not-found")
    assert done.code == 0, done.err


def until_it_fails(lesson: Lesson, name: str, by_probe: bool) -> None:
    """Returns when a failure shows that lasts: a probe fails; or the Pod ended, a container is held back or has no image.

    Only one of the two is waited for: of a process that has ended, probes fail too, while kubelet still calls it running.
    """
    end = time.monotonic() + 90
    while time.monotonic() < end:
        pod = lesson.read("Pod", name)
        assert pod is not None
        if probe_fails(lesson, pod) if by_probe else fails_for_good(pod):
            return
        time.sleep(0.2)
    pytest.fail(f"{name} did not fail: {pod['status']}")


def probe_fails(lesson: Lesson, pod: Manifest) -> bool:
    """Whether kubelet has told three times and more that a probe failed."""
    # By its uid: the events of a Pod of the same name that was here before are still there.
    unhealthy = f"involvedObject.uid={pod['metadata']['uid']},reason=Unhealthy"
    counts = lesson.kubectl("get", "events", "--field-selector", unhealthy, "-o", "jsonpath={.items[*].count}").out
    return any(int(count) >= 3 for count in counts.split())


def fails_for_good(pod: Manifest) -> bool:
    """Whether a Pod has ended or a container of it will not run for the next seconds."""
    if pod["spec"]["restartPolicy"] == "Never":
        return pod["status"]["phase"] in ("Succeeded", "Failed")  # said a moment after its containers have ended
    return any(held_back(container) for container in pod["status"].get("containerStatuses", []))


def held_back(container: dict[str, Any]) -> bool:
    """Not at the first end of a container: it is started again at once. At the next ones kubelet waits for 10 s and more.

    Its status may stay "terminated" through that wait, and say CrashLoopBackOff late or not at all.
    """
    state = container["state"]
    waiting = state.get("waiting", {}).get("reason", "")
    return waiting in ("ErrImageNeverPull", "CrashLoopBackOff") or ("terminated" in state and container["restartCount"] > 0)


def paste(lesson: Lesson, command: str) -> None:
    """Runs a command as a terminal of the course does: its kubectl on PATH, KUBECONFIG set, in a folder beside labs/."""
    kubectl = lesson.cluster.kubectl_path
    env = {**os.environ, "KUBECONFIG": str(lesson.cluster.kubeconfig), "PATH": f"{kubectl.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=HERE, env=env, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def assert_answers(lesson: Lesson, client: From, unready: tuple[str, ...] = ()) -> None:
    """Every port of the Service answers every request from the client Pod, and the explanation agrees."""
    listing = lesson.kubectl("get", "pods", "-l", f"!{ROLE}", "-o", "jsonpath={.items[*].metadata.name}")
    for name in set(listing.out.split()) - set(unready):
        ready = lesson.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=55s")
        assert ready.code == 0, ready.err
    lesson.cluster.settled()
    found = lesson.read("Service", "productpage")
    assert found is not None
    for port in found["spec"]["ports"]:
        answered = client.answering(f"productpage:{port['port']}", 6)
        assert "" not in answered, f"productpage:{port['port']} {answered}"
    again = explain(lesson, "productpage")
    assert again.stops_at is None, str(again)


def explained(lesson: Lesson, fault: Fault) -> Explanation:
    found = explain(lesson, "productpage", port=fault.port)
    assert found.stops_at is not None and found.stops_at.name == fault.stops_at, str(found)
    assert found.stops_at.state is State.STOPS
    assert [hop for hop in found.hops if hop.state is State.STOPS] == [found.stops_at]
    assert fault.says in found.why, str(found)
    return found


def with_command(found: Explanation) -> list[Mend]:
    return [mend for mend in found.mends if mend.command]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_mend_mends(lesson: Lesson, pod_seat: From, state: Callable[[Fault], None], fault: Fault) -> None:
    state(fault)
    found = explained(lesson, fault)
    commands = with_command(found)
    assert len(commands) == fault.commands, str(found)
    for number, mend in enumerate(commands):
        if number:
            state(fault)
        paste(lesson, mend.command)
        stay = fault.unready if "publishNotReady" in mend.command else ()
        assert_answers(lesson, pod_seat, stay)
    for described in fault.by_hand:
        state(fault)
        lesson.apply(described, anew=True)
        assert_answers(lesson, pod_seat)


# --- what depends on nodes, on the laptop, and on whether the cluster enforces NetworkPolicies


def hop(found: Explanation, name: str) -> tuple[State, str]:
    return next((one.state, one.saw) for one in found.hops if one.name == name)


def two_nodes(lesson: Lesson) -> tuple[str, str]:
    """A node for the Pod and another one; skips where there are not two."""
    names = [node.name for node in lesson.cluster.nodes]
    if len(names) < 2:
        pytest.skip("it takes two nodes")
    client = lesson.read("Pod", "client")
    assert client is not None
    with_client = client["spec"]["nodeName"]
    return next(name for name in names if name != with_client), with_client


def test_a_pod_that_cannot_be_looked_into_is_said_to_be_unchecked(lesson: Lesson, state: Callable[[Fault], None]) -> None:
    on_node = copy.deepcopy(POD2)
    on_node["spec"]["hostNetwork"] = True
    if lesson.cluster.node_seat is not None:
        pytest.skip(f"no Pods on a node's network: {lesson.cluster.node_seat.why}")
    on_node = changed(on_node, lambda c: c.update(ports=[{"containerPort": 9080, "hostPort": 9080}]))
    state(Fault("", "", (on_node, service(port={"targetPort": 9081}))))
    found = explain(lesson, "productpage")
    assert found.stops_at is not None
    assert found.stops_at.name == "process listens"
    assert "pod2 refuses on 9081" in found.why
    state(Fault("", "", (on_node, service())))
    assert explain(lesson, "productpage").stops_at is None


def test_external_traffic_policy_local(lesson: Lesson, pod_seat: From, machine: From, state: Callable[[Fault], None]) -> None:
    here, there = two_nodes(lesson)
    one = service(type="NodePort", externalTrafficPolicy="Local")
    state(Fault("", "", (at_node(POD2, here), one)))
    found = explain(lesson, "productpage")
    assert found.stops_at is not None, str(found)
    assert found.stops_at.name == "node port answers"
    assert f"{there} has none; {here} has, and answers." in found.why
    state_of_laptop, why = hop(found, "laptop gets there")
    assert state_of_laptop is not State.NOT_CHECKED or "your laptop has no way there" in why
    (mend,) = with_command(found)
    paste(lesson, mend.command)
    assert_answers(lesson, pod_seat)
    number = (lesson.read("Service", "productpage") or {})["spec"]["ports"][0]["nodePort"]
    for node in lesson.cluster.nodes:
        assert machine.hostname(f"{node.address}:{number}") == "pod2"


def test_internal_traffic_policy_local(lesson: Lesson, pod_seat: From, state: Callable[[Fault], None]) -> None:
    here, there = two_nodes(lesson)
    state(Fault("", "", (at_node(POD2, here), service(internalTrafficPolicy="Local"))))
    found = explain(lesson, "productpage")
    assert found.stops_at is not None, str(found)
    assert found.stops_at.name == "ClusterIP answers"
    assert f"the client's node, {there}, has none" in found.why
    (mend,) = with_command(found)
    paste(lesson, mend.command)
    assert_answers(lesson, pod_seat)


DENY_ALL = policy("deny-all", {"podSelector": {}, "policyTypes": ["Ingress"]})
DENY_9080 = policy(
    "only-8080",
    {"podSelector": {"matchLabels": PRODUCTPAGE}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 8080}]}]},
)


@pytest.mark.parametrize("given", [DENY_ALL, DENY_9080], ids=["denies all", "lets another port in"])
def test_a_network_policy(lesson: Lesson, pod_seat: From, state: Callable[[Fault], None], given: Manifest) -> None:
    """Where the cluster enforces it, the request stops there and each mend mends; where it does not, the hop holds."""
    if not has_policies(lesson):
        pytest.skip("this cluster knows no NetworkPolicies")
    fault = Fault("", "", (POD2, service(), given))
    state(fault)
    if not becomes(pod_seat, answered=False):
        assert hop(explain(lesson, "productpage"), "NetworkPolicy lets in")[0] is State.HOLDS
        return
    found = explain(lesson, "productpage")
    assert found.stops_at is not None, str(found)
    assert found.stops_at.name == "NetworkPolicy lets in"
    for number, mend in enumerate(with_command(found)):
        if number:
            state(fault)
            assert becomes(pod_seat, answered=False)
        paste(lesson, mend.command)
        assert becomes(pod_seat, answered=True)
        assert_answers(lesson, pod_seat)


def becomes(client: From, answered: bool, tries: int = 20) -> bool:
    """Whether requests from the client Pod come to be answered (or not) as wanted: nobody says when a policy is in force."""
    return any(client.curl("productpage:9999", limit=1.0).answered is answered for _ in range(tries))


# --- faults that are not the learner's


def test_a_cluster_that_does_not_answer_is_not_the_learners_fault(lesson: Lesson, tmp_path: Path) -> None:
    settings = yaml.safe_load(lesson.cluster.kubeconfig.read_text("utf-8"))
    for one in settings["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    gone = copy.copy(lesson.cluster)
    gone.kubeconfig = tmp_path / "kubeconfig"
    gone.kubeconfig.write_text(yaml.safe_dump(settings), "utf-8")
    gone._of_thread = threading.local()
    for answers in (None, ()):
        with pytest.raises(LabError) as caught:
            explain(Lesson(gone, lesson.name), "productpage", answers)
        assert not isinstance(caught.value, (BadInput, Refused))
