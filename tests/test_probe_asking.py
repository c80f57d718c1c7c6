"""Two tries, side by side or in stages, without a cluster: when the second one is made, and which answer counts."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest

from labs.deploy import Lesson
from labs.probe import Answer, Place, Seat, Target, Way, Word, asking

SEAT = Seat(Place.POD, "Pod client", "all-four", "client")
TARGET = Target(Way.CLUSTER_IP, "10.97.239.58", 9999)
OTHER = Target(Way.POD, "10.244.1.2", 9080)
Tries = list[tuple[float, tuple[Target, ...]]]  # the limit and the targets of each


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lesson]:
    """A lesson whose Pod is pod2."""
    monkeypatch.setattr(asking, "_pod_names", lambda _: {"pod2"})
    with ThreadPoolExecutor(4) as pool:
        yield cast(Lesson, SimpleNamespace(cluster=SimpleNamespace(pool=pool)))


def answer(target: Target, word: Word, connected: bool = False) -> Answer:
    status, pod = (200, "pod2") if word is Word.SOMETHING_ELSE else (None, "")  # whose it is, is found out afterwards
    return Answer(SEAT, target, word, status, 0.0, pod, "", "", "", connected)


def heard(monkeypatch: pytest.MonkeyPatch, *tries: tuple[Word, bool]) -> Tries:
    """What TARGET brings, try by try, and whether a connection was made; OTHER is refused. The first try ends when the second
    has begun, where one is expected. Returns the tries that were made."""
    made: Tries = []
    begun = [threading.Event() for _ in range(len(tries) + 1)]

    def ask(_l: object, _s: object, targets: Sequence[Target], limit: float, _k: object) -> list[Answer]:
        number = len(made)
        made.append((limit, tuple(targets)))
        begun[number].set()
        if number == 0 and len(tries) > 1:
            assert begun[1].wait(10), "the second try waits for the first"
        return [answer(one, *tries[number]) if one is TARGET else answer(one, Word.REFUSED) for one in targets]

    monkeypatch.setattr(asking, "_ask_from", ask)
    return made


def in_turn(monkeypatch: pytest.MonkeyPatch, *tries: tuple[Word, bool]) -> Tries:
    """The same, try after try: none waits for another one."""
    made: Tries = []

    def ask(_l: object, _s: object, targets: Sequence[Target], limit: float, _k: object) -> list[Answer]:
        made.append((limit, tuple(targets)))
        return [answer(one, *tries[len(made) - 1]) if one is TARGET else answer(one, Word.REFUSED) for one in targets]

    monkeypatch.setattr(asking, "_ask_from", ask)
    return made


def words(lesson: Lesson, *targets: Target) -> list[Word]:
    return [one.word for one in asking.ask_side_by_side(lesson, [(SEAT, target) for target in targets])]


def test_what_answers_at_once_is_asked_once(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "HEAD_START", 10.0)
    made = heard(monkeypatch, (Word.SOMETHING_ELSE, True))
    assert words(lesson, TARGET, OTHER) == [Word.ANSWERED, Word.REFUSED]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("first", "second"), [(Word.NOTHING_YET, Word.SOMETHING_ELSE), (Word.SOMETHING_ELSE, Word.NOTHING_YET)], ids=["1st", "2nd"]
)
def test_one_lost_try_is_no_verdict(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, first: Word, second: Word) -> None:
    heard(monkeypatch, (first, first is Word.SOMETHING_ELSE), (second, False))
    assert words(lesson, OTHER, TARGET) == [Word.REFUSED, Word.ANSWERED]


def test_both_tries_hold_a_packet_that_is_sent_again(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP sends a lost first packet again after 1 s (RFC 6298, 2.1)."""
    made = heard(monkeypatch, (Word.NOTHING_YET, False), (Word.NOTHING_YET, False))
    assert words(lesson, TARGET) == [Word.TIMED_OUT]
    assert len(made) == 2
    assert all(limit > 1.1 for limit, _ in made)


@pytest.mark.parametrize("silent", [0, 1], ids=["the first", "the second"])
def test_a_process_that_is_slow_to_answer_is_asked_on(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    tries = [(Word.NOTHING_YET, number == silent) for number in range(2)]
    made = heard(monkeypatch, *tries, (Word.SOMETHING_ELSE, True))
    assert words(lesson, OTHER, TARGET) == [Word.REFUSED, Word.ANSWERED]
    assert made[2] == (asking.LAST_LIMIT, (TARGET,))


def stages(lesson: Lesson, *targets: Target) -> list[list[Word]]:
    questions = [(SEAT, target) for target in targets]
    return [[one.word for one in answers] for answers in asking.ask_in_stages(lesson, questions, settle=False)]


def test_in_stages_what_made_no_connection_is_asked_once_more(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not what was refused; the second try holds a first packet that is sent again after 1 s."""
    made = in_turn(monkeypatch, (Word.NOTHING_YET, False), (Word.NOTHING_YET, False))
    assert stages(lesson, OTHER, TARGET) == [[Word.REFUSED, Word.NOTHING_YET], [Word.REFUSED, Word.TIMED_OUT]]
    assert made == [(asking.FIRST_LIMIT, (OTHER, TARGET)), (asking.AGAIN_LIMIT, (TARGET,))]
    assert asking.AGAIN_LIMIT > 1.2


@pytest.mark.parametrize("silent", [0, 1], ids=["the first", "the second"])
def test_in_stages_a_slow_process_is_asked_on(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    tries = [(Word.NOTHING_YET, number == silent) for number in range(silent + 1)]
    made = in_turn(monkeypatch, *tries, (Word.SOMETHING_ELSE, True))
    assert stages(lesson, OTHER, TARGET)[-1] == [Word.REFUSED, Word.ANSWERED]
    assert made[-1] == (asking.LAST_LIMIT, (TARGET,))
    assert len(made) == silent + 2


def test_the_final_answers_alone_have_the_patience_of_the_command_by_hand(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = in_turn(monkeypatch, (Word.NOTHING_YET, False), (Word.NOTHING_YET, False))
    assert [one.word for one in asking.ask(lesson, [(SEAT, TARGET)], settle=False)] == [Word.TIMED_OUT]
    assert [limit for limit, _ in made] == [asking.FIRST_LIMIT, asking.LAST_LIMIT]
