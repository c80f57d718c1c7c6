"""labs.waiting: it looks until nothing is wrong, and ends with the caller's words where that takes too long."""

import pytest

from labs.errors import LabError, NotInTime
from labs.waiting import wait_while


def late(left: list[str]) -> LabError:
    return NotInTime(f"{', '.join(left)} is still there.", "It does not go.", "Wait longer.")


def test_returns_when_nothing_is_wrong_any_more() -> None:
    states = [["a", "b"], ["b"], []]
    wait_while(lambda: states.pop(0), 60, late, every=0)
    assert states == []


def test_the_last_finding_is_told_when_it_is_too_late() -> None:
    states = [["a", "b"], ["b"]]
    with pytest.raises(NotInTime, match=r"^b is still there"):
        wait_while(lambda: states.pop(0) if len(states) > 1 else states[0], 0.01, late, every=0.001)


def test_what_stays_the_same_is_given_up_and_news_are_waited_for() -> None:
    states = [[str(number)] for number in range(100)]
    with pytest.raises(NotInTime, match=r"^99 is still there"):
        wait_while(lambda: states.pop(0) if len(states) > 1 else states[0], 60, late, every=0.001, unchanged=0.05)
    assert len(states) == 1


def test_looks_once_even_without_time() -> None:
    wait_while(lambda: [], 0, late)
    with pytest.raises(NotInTime):
        wait_while(lambda: ["a"], -1, late)
