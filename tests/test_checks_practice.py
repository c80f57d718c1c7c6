"""What `labs.exercise` and `labs.surprise` print, without a cluster."""

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

import labs
from labs import checks, practice, progress, shared
from labs.checks import Exercise, Outcome, Turn, Verdict
from labs.checks.judging import Seen
from labs.cluster import Cluster, Ran
from labs.deploy import Lesson
from labs.errors import BadInput, LabError
from labs.notebook import WrongOutcome
from labs.progress import Entry


class FakeCluster(SimpleNamespace):
    """Answers kubectl as it was told."""

    namespace = None
    ran = Ran(1, "", 'error: the path "nonsense" does not exist\n')

    def kubectl(self, *_: str, **__: Any) -> Ran:
        return self.ran

    def answering(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def core(self) -> Any:
        labels = {shared.LESSON: "exercise-wrong-target-port"}
        return SimpleNamespace(read_namespace=lambda name: SimpleNamespace(metadata=SimpleNamespace(name=name, labels=labels)))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Progress in memory."""
    entries: list[Entry] = []
    monkeypatch.setattr(progress, "record", lambda kind, name, result: entries.append(Entry(kind, name, "now", result)))
    monkeypatch.setattr(progress, "read", lambda: entries)
    return entries


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, kept: list[Entry]) -> list[str]:
    """The exercises that were begun; none touches a cluster. One of two nodes cannot be tried here."""
    names: list[str] = []

    def begin(one: Exercise, lesson: Lesson) -> Turn:
        names.append(one.name)
        why = "it takes two nodes" if one.name == "only-from-its-node" else ""
        return Turn(one, lesson, "mine", Seen({}, {}), why)

    monkeypatch.setattr(practice, "connect", lambda: cast(Cluster, FakeCluster()))
    monkeypatch.setattr(checks, "begin", begin)
    return names


def test_an_exercise_tells_its_story_and_where_it_is(begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    one = labs.exercise("asked-on-another-port")
    told = capsys.readouterr().out
    assert begun == ["asked-on-another-port"]
    assert "All clients ask productpage:9999." in told and "Your task: Let productpage:9999 answer" in told
    assert "depends on kube-proxy" in told
    assert repr(one) == "<exercise asked-on-another-port in namespace exercise-asked-on-another-port>"


def test_what_cannot_be_tried_is_said_at_once(begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    one = labs.exercise("only-from-its-node")
    assert "only-from-its-node cannot be tried here: it takes two nodes." in capsys.readouterr().out
    assert one.check().outcome is Outcome.NOT_HERE


def test_the_list_says_which_were_mended(kept: list[Entry], capsys: pytest.CaptureFixture[str]) -> None:
    kept.append(Entry("exercise", "digits-swapped", "now", {"did": "check", "passed": False}))
    assert labs.exercise() is None
    assert "(mended)" not in capsys.readouterr().out
    kept.append(Entry("exercise", "digits-swapped", "now", {"did": "check", "passed": True}))
    labs.exercise()
    assert "digits-swapped (mended)" in capsys.readouterr().out


def test_nonsense_in_place_of_a_name(begun: list[str]) -> None:
    with pytest.raises(BadInput):
        labs.exercise("no-such-exercise")
    assert begun == []


def test_a_surprise_without_a_seed_is_the_first_not_mended(begun: list[str], kept: list[Entry]) -> None:
    labs.surprise()
    kept += [Entry("exercise", f"surprise-{seed}", "now", {"did": "check", "passed": True}) for seed in (0, 1, 3)]
    labs.surprise()
    labs.surprise(seed=41)
    assert begun == ["surprise-0", "surprise-2", "surprise-41"]


def test_a_learners_slip_is_answered_in_kubectls_words(begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    one = labs.exercise("wrong-target-port")
    capsys.readouterr()
    assert "does not exist" in one.kubectl("apply -f nonsense")
    assert capsys.readouterr().out.count("does not exist") == 1
    one.apply("kind: Service\napiVersion: v1\nmetadata: {name: x}\n")
    assert "does not exist" in capsys.readouterr().out
    one.cluster.ran = Ran(0, "ok\n", "")
    with pytest.raises(WrongOutcome):
        one.kubectl("get pods", fails=True)


def test_progress_that_cannot_be_kept_is_told(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise LabError("Your progress cannot be kept.", "The disk is full", "Make room.")

    one = labs.exercise("wrong-target-port")
    monkeypatch.setattr(progress, "record", full)
    one.hint()
    told = capsys.readouterr().out
    assert "Hint 1 of 3" in told and "(Your progress was not kept: Your progress cannot be kept. The disk is full)" in told


def test_a_verdict_is_printed_and_returned(
    begun: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Turn, "check", lambda _: Verdict(Outcome.MENDED, (), ("Well done.",)))
    one = labs.exercise("wrong-target-port")
    assert one.check().passed
    assert capsys.readouterr().out.endswith("Mended.\n\nWell done.\n")
