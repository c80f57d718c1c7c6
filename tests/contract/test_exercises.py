"""Every exercise, on the cluster: red, its own solution green, broken again red, another mend green; and what must not pass.

One check is asked each time, with no second try: a check that waits for the answer it expects would grade itself.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

from labs import checks, exercises, progress, views
from labs.checks import Exercise, Outcome, Step, Turn, Verdict, breaking
from labs.checks.turn import typed
from labs.cluster import Cluster
from labs.deploy import Lesson, manifest_path, read_manifests
from labs.errors import LabError, Refused
from labs.exercises.pieces import kubectl, patch, target
from labs.seats import CLIENT, is_ready
from tests.contract.conftest import NO_GRACE
from tests.contract.exercise_proofs import CHEATS, PROOFS, Cheat, hand_made_slice

Begin = Callable[[Exercise], Turn]
LIMIT = 60.0  # seconds, for Pods to be Ready


@pytest.fixture(autouse=True)
def progress_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What these tests do is not the learner's progress."""
    monkeypatch.setattr(progress, "file", lambda: tmp_path / progress.FILE)


@pytest.fixture
def begin(cluster: Cluster) -> Iterator[Begin]:
    """Begins exercises; their namespaces are deleted after the test. Skips what this cluster cannot show, with its reason."""
    places: dict[str, Lesson] = {}

    def make(exercise: Exercise) -> Turn:
        why = breaking.why_not(cluster, exercise, os.environ.get("LABS_OPEN_NODE_PORT") == "yes")
        if why:
            pytest.skip(f"{exercise.name}: {why}")
        lesson = Lesson(cluster, checks.namespace_of(exercise), say=lambda _: None)
        places[lesson.namespace] = lesson
        return checks.begin(exercise, lesson)

    yield make
    for name, lesson in places.items():
        breaking.empty(lesson)
        if cluster.namespace is None:
            delete_namespace(cluster, name)


def delete_namespace(cluster: Cluster, name: str) -> None:
    try:
        cluster.core().delete_namespace(name, grace_period_seconds=NO_GRACE)
    except ApiException as error:
        if error.status != 404:
            raise


def paste(turn: Turn, steps: Iterable[Step], unready: tuple[str, ...] = ()) -> None:
    """Runs the steps by a shell as a learner pastes them, and waits until the Pods that can be Ready are."""
    run(turn, "\n".join(typed(turn.lesson, step) for step in steps), unready)


def run(turn: Turn, commands: str, unready: tuple[str, ...] = ()) -> None:
    cluster = turn.lesson.cluster
    path = f"{cluster.kubectl_path.parent}:{os.environ['PATH']}"
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    done = subprocess.run(["bash", "-ec", commands], env=env, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    end = time.monotonic() + LIMIT
    while waiting := not_ready(turn.lesson, unready):
        assert time.monotonic() < end, f"not Ready: {waiting}"
        time.sleep(0.1)


def not_ready(lesson: Lesson, unready: tuple[str, ...]) -> list[str]:
    pods = lesson.cluster.core().list_namespaced_pod(lesson.namespace).items
    return [pod.metadata.name for pod in pods if not is_ready(pod) and pod.metadata.name not in (*unready, CLIENT)]


def red(turn: Turn) -> Verdict:
    verdict = turn.check()
    assert not verdict.passed, str(verdict)
    return verdict


def green(turn: Turn) -> None:
    verdict = turn.check()
    assert verdict.passed, str(verdict)


def stuck(exercise: Exercise) -> tuple[str, ...]:
    """The Pods of an exercise that are not to become Ready."""
    return tuple(exercise.awaited)


def test_every_exercise_has_a_proof() -> None:
    assert list(PROOFS) == list(exercises.ALL)
    assert {cheat.exercise for cheat in CHEATS.values()} <= set(exercises.ALL)


@pytest.mark.parametrize("name", exercises.ALL)
def test_is_red_and_two_mends_make_it_green(begin: Begin, name: str) -> None:
    exercise, proof = exercises.ALL[name], PROOFS[name]
    turn = begin(exercise)
    assert red(turn).outcome is Outcome.NOT_YET
    run(turn, turn.solution())
    green(turn)
    paste(turn, proof.mutation, proof.after_mutation)
    assert red(turn).outcome is Outcome.NOT_YET
    paste(turn, proof.mend, proof.unready)
    green(turn)


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_what_only_looks_like_a_mend_does_not_pass(begin: Begin, cheat: Cheat) -> None:
    exercise = exercises.find(cheat.exercise)
    turn = begin(exercise)
    paste(turn, cheat.steps, (*stuck(exercise), *cheat.unready))
    assert cheat.says in flat(red(turn))


def flat(verdict: Verdict) -> str:
    """Its text on one line."""
    return " ".join(str(verdict).split())


@pytest.mark.parametrize("selector", [None, {"app": "nobody"}], ids=["no selector", "a selector that matches nobody"])
def test_endpoints_written_by_hand_do_not_pass(begin: Begin, selector: dict[str, str] | None) -> None:
    turn = begin(exercises.find("nobody-behind"))
    pod2 = turn.lesson.read("Pod", "pod2")
    assert pod2 is not None
    change = [] if selector is None else [patch({"op": "add", "path": "/spec/selector", "value": selector})]
    slices = hand_made_slice(pod2["status"]["podIP"])
    run(turn, "\n".join(typed(turn.lesson, step) for step in change))
    made = turn.lesson.kubectl("apply", "-f", "-", stdin=json.dumps(slices))
    assert made.code == 0, made.err
    owed = "was written by hand" if selector else "has no selector"
    assert owed in flat(red(turn))


# --- by any tool


def with_an_editor(turn: Turn) -> None:
    run(
        turn,
        f"KUBE_EDITOR='sed -i s/targetPort:.*/targetPort:\\ 9080/' {turn.lesson.by_hand('edit', 'service', 'productpage')}",
    )


def with_python(turn: Turn) -> None:
    core, namespace = turn.lesson.cluster.core(), turn.lesson.namespace
    service = core.read_namespaced_service("productpage", namespace)
    service.spec.ports[0].target_port = 9080
    core.replace_namespaced_service("productpage", namespace, service)


def with_the_explorer(turn: Turn) -> None:
    shown = views.explorer(turn.lesson, knobs=("targetPort",))
    try:
        shown.set("targetPort", "9080")
        assert shown.wait(LIMIT).trouble is None
    finally:
        shown.close()


def with_a_file(turn: Turn) -> None:
    done = turn.lesson.kubectl("apply", "-f", str(manifest_path("05-service-with-targetport-9080")))
    # Its clusterIP is the article's, and a Service keeps the address that it has: the API server's answer to the whole file.
    assert done.code != 0 and "spec.clusterIP" in done.err
    kept = {**read_manifests("05-service-with-targetport-9080")[0]["spec"]}
    del kept["clusterIP"]
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "productpage"}, "spec": kept}
    done = turn.lesson.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert done.code == 0, done.err


def test_mended_with_an_editor_python_the_explorer_or_a_file(begin: Begin) -> None:
    turn = begin(exercises.find("wrong-target-port"))
    for mend in (with_an_editor, with_python, with_the_explorer, with_a_file):
        red(turn)
        mend(turn)
        green(turn)
        paste(turn, (patch(target(9090)),))


# --- what else a learner does


def test_a_mend_made_twice_and_a_check_asked_twice(begin: Begin) -> None:
    turn = begin(exercises.find("wrong-target-port"))
    for _ in range(2):
        run(turn, turn.solution())
        green(turn)
    green(turn)


def test_nonsense_is_refused_by_the_api_and_changes_no_verdict(begin: Begin) -> None:
    turn = begin(exercises.find("wrong-target-port"))
    before = [(one.ok, one.saw) for one in red(turn).findings]
    for nonsense in ("nonsense", "65536", '"9080"'):
        done = turn.lesson.kubectl("apply", "-f", "-", stdin=f"apiVersion: v1\nkind: Service\nmetadata: {{name: productpage}}\n"
                                   f"spec: {{ports: [{{port: {nonsense}}}]}}\n")  # fmt: skip
        assert done.code != 0
    assert [(one.ok, one.saw) for one in red(turn).findings] == before
    with pytest.raises(Refused):
        turn.lesson.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 0}]}})


def test_begun_anew_in_another_tab(begin: Begin) -> None:
    first = begin(exercises.find("wrong-target-port"))
    second = begin(exercises.find("wrong-target-port"))
    told = red(first)
    assert told.outcome is Outcome.GONE
    assert "begun anew by another notebook" in flat(told)
    assert red(second).outcome is Outcome.NOT_YET
    run(second, second.solution())
    green(second)
    assert red(first).outcome is Outcome.GONE


def test_a_namespace_deleted_in_the_middle(begin: Begin) -> None:
    exercise = exercises.find("wrong-target-port")
    turn = begin(exercise)
    if turn.lesson.cluster.namespace is not None:
        pytest.skip("the namespace of a borrowed cluster is not ours to delete")
    stop = threading.Event()
    trouble: list[BaseException] = []
    seen: list[Verdict] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.append(turn.check())
            except LabError as error:
                trouble.append(error)
                return

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        delete_namespace(turn.lesson.cluster, turn.lesson.namespace)
        end = time.monotonic() + LIMIT
        while (not seen or seen[-1].outcome is not Outcome.GONE) and not trouble:
            assert time.monotonic() < end, [str(one) for one in seen[-1:]]
            time.sleep(0.05)
    finally:
        stop.set()
        asking.join(timeout=LIMIT)
    assert not trouble, trouble
    assert not any(one.passed for one in seen)
    assert red(turn).outcome is Outcome.GONE
    again = begin(exercise)
    assert red(again).outcome is Outcome.NOT_YET
    assert red(turn).outcome is Outcome.GONE


def test_what_a_learner_left_is_gone_when_it_is_begun_again(begin: Begin) -> None:
    exercise = exercises.find("wrong-target-port")
    turn = begin(exercise)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "left"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "productpage"}},
            "template": {
                "metadata": {"labels": {"app": "productpage"}},
                "spec": exercise.of_kind("Pod")[0]["spec"],
            },
        },
    }
    made = turn.lesson.kubectl("apply", "-f", "-", stdin=json.dumps(deployment))
    assert made.code == 0, made.err
    paste(turn, (kubectl("rollout", "status", "deployment/left", "--timeout=60s"),))
    turn = begin(exercise)
    assert red(turn).outcome is Outcome.NOT_YET
    assert turn.lesson.kubectl("get", "deployments,replicasets", "-o", "name").out == ""
    run(turn, turn.solution())
    green(turn)


@pytest.mark.parametrize("seed", [3, 14, 25])
def test_a_surprise_is_red_and_its_solution_makes_it_green(begin: Begin, seed: int) -> None:
    exercise = exercises.surprise(seed)
    turn = begin(exercise)
    assert red(turn).outcome is Outcome.NOT_YET
    run(turn, turn.solution())
    green(turn)
    paste(turn, (patch(target(9998)),))
    red(turn)


def test_what_was_recorded(begin: Begin) -> None:
    turn = begin(exercises.find("wrong-target-port"))
    red(turn)
    turn.hint()
    run(turn, turn.solution())
    green(turn)
    told = [(one.name, one.result.get("did"), one.result.get("passed")) for one in progress.read()]
    name = "wrong-target-port"
    assert told == [
        (name, "break", None),
        (name, "check", False),
        (name, "hint", None),
        (name, "solution", None),
        (name, "check", True),
    ]
