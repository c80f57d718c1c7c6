"""Exercises with a guest's rights: what can be broken and mended there is graded as elsewhere; the rest says why it is not."""

from pathlib import Path

import pytest

from labs import checks, exercises, progress
from labs.checks import Outcome
from labs.deploy import Lesson
from labs.providers.context.borrowed import BorrowedCluster
from tests.contract.exercise_proofs import PROOFS
from tests.contract.test_exercises import green, paste, red, run


@pytest.fixture(autouse=True)
def progress_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(progress, "file", lambda: tmp_path / progress.FILE)


def begun(guest: BorrowedCluster, name: str) -> checks.Turn:
    exercise = exercises.find(name)
    return checks.begin(exercise, Lesson(guest, checks.namespace_of(exercise), say=lambda _: None))


@pytest.mark.parametrize("name", ["wrong-target-port", "selector-with-a-slip", "process-on-another-port", "without-an-address"])
def test_a_guest_breaks_and_mends(guest: BorrowedCluster, name: str) -> None:
    turn = begun(guest, name)
    assert red(turn).outcome is Outcome.NOT_YET
    run(turn, turn.solution())
    green(turn)
    paste(turn, PROOFS[name].mutation, PROOFS[name].after_mutation)
    red(turn)


@pytest.mark.parametrize("name", ["no-room-for-two", "no-door-outside", "another-door", "half-of-the-nodes"])
def test_a_guest_is_told_what_cannot_be_tried(guest: BorrowedCluster, name: str) -> None:
    turn = begun(guest, name)
    assert turn.why_not
    assert red(turn).outcome is Outcome.NOT_HERE


def test_one_exercise_at_a_time(guest: BorrowedCluster) -> None:
    """They share the namespace: the next one clears the one before away, whose check says so."""
    first = begun(guest, "wrong-target-port")
    second = begun(guest, "digits-swapped")
    assert red(first).outcome is Outcome.GONE
    run(second, second.solution())
    green(second)
