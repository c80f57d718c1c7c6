"""One turn of an exercise, without a cluster: hints, one check at a time, progress, and what a Pod is waited for."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client

from labs import progress
from labs.checks import Awaited, Outcome, Turn, Verdict, breaking
from labs.cluster import Cluster
from labs.deploy import Lesson
from labs.errors import LabError
from tests.checks_world import BEFORE, EXERCISE

# --- one turn


class Recorded(list[tuple[str, str, dict[str, Any]]]):
    def record(self, kind: str, name: str, result: dict[str, Any]) -> None:
        self.append((kind, name, result))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    kept = Recorded()
    monkeypatch.setattr(progress, "record", kept.record)
    return kept


def turn(why_not: str = "") -> Turn:
    return Turn(EXERCISE, Lesson(cast(Cluster, SimpleNamespace(namespace=None)), "exercise-some"), "mine", BEFORE, why_not)


def test_hints_come_one_by_one_and_end(recorded: Recorded) -> None:
    one = turn()
    assert [one.hint() for _ in range(4)] == [
        "Hint 1 of 2: First.",
        "Hint 2 of 2: Second.",
        *["That were all 2 hints. `solution()` shows one way to mend it."] * 2,
    ]
    assert recorded == [("exercise", "some", {"did": "hint"})] * 4


def test_a_second_check_while_one_runs_says_so(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    one, inside, go_on = turn(), threading.Event(), threading.Event()

    def slow(_: Turn) -> Verdict:
        inside.set()
        assert go_on.wait(10)
        return Verdict(Outcome.NOT_YET)

    monkeypatch.setattr(Turn, "_checked", slow)
    first: list[Verdict] = []
    running = threading.Thread(target=lambda: first.append(one.check()))
    running.start()
    assert inside.wait(10)
    assert one.check().outcome is Outcome.BUSY
    go_on.set()
    running.join(10)
    assert first[0].outcome is Outcome.NOT_YET
    assert one.check().outcome is Outcome.NOT_YET  # the lock is free again
    assert recorded == [("exercise", "some", {"did": "check", "passed": False})] * 2


def test_progress_that_cannot_be_kept_stops_no_exercise(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LabError("Your progress cannot be kept.", "No space left on device", "Make room.")

    monkeypatch.setattr(progress, "record", full)
    one = turn()
    assert one.hint() == "Hint 1 of 2: First."
    assert one.trouble == "Your progress cannot be kept. No space left on device"


def test_what_cannot_be_tried_says_why_and_is_not_green(recorded: Recorded) -> None:
    verdict = turn("it takes two nodes").check()
    assert (verdict.outcome, verdict.passed) == (Outcome.NOT_HERE, False)
    assert "It takes two nodes." in str(verdict)


# --- breaking


@pytest.mark.parametrize(
    ("status", "what", "owed"),
    [
        ({"containerStatuses": [{"state": {"running": {}}}], "podIP": "1"}, Awaited.RUNNING, True),
        ({"containerStatuses": [{"state": {"running": {}}}]}, Awaited.RUNNING, False),
        ({"containerStatuses": [{"state": {"waiting": {}}}], "podIP": "1"}, Awaited.RUNNING, False),
        ({}, Awaited.RUNNING, False),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 1}}}]}, Awaited.CRASHED, True),
        ({"containerStatuses": [{"state": {"running": {}}, "restartCount": 1}]}, Awaited.CRASHED, True),
        ({"containerStatuses": [{"state": {"running": {}}, "restartCount": 0}]}, Awaited.CRASHED, False),
        ({"conditions": [{"type": "PodScheduled", "status": "False"}]}, Awaited.PENDING, True),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, Awaited.PENDING, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, Awaited.READY, True),
    ],
)
def test_what_a_pod_has_come_to(status: dict[str, Any], what: Awaited, owed: bool) -> None:
    defaults = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{**defaults, **one} for one in status.get("containerStatuses", [])]
    body = {"metadata": {"name": "x"}, "status": {**status, "containerStatuses": statuses}}
    read = client.ApiClient()._ApiClient__deserialize(body, "V1Pod")  # type: ignore[attr-defined]
    assert breaking.come_to(read, what) is owed
    assert not breaking.come_to(None, what)
