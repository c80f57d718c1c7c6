"""The explorer on a lesson without a cluster, the parts around it replaced by what the fakes say."""

from collections.abc import Iterator
from typing import Any

import pytest

from labs import knobs, probe, views
from labs.probe import Answer, Word
from labs.views import turns
from labs.views.widget import Explorer
from tests.views.fakes import GRACE, POD, SERVICE, Facts, Lesson, answer, explained, path


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """The lesson, with the parts around the explorer replaced: curl answers when targetPort is 9080, and is refused else."""
    one = Lesson(SERVICE, POD)
    monkeypatch.setattr(views, "Lesson", lambda _cluster, _name, say: one.telling(say))
    monkeypatch.setattr(turns.seats, "pod_or_none", lambda *_: "the client Pod")
    monkeypatch.setattr(turns.seats, "wait_ready", lambda *_: None)
    monkeypatch.setattr(turns, "gather", lambda *_: Facts(one.port().get("targetPort") != 9080))
    monkeypatch.setattr(turns, "diagnose", lambda facts: explained(facts.stops))
    monkeypatch.setattr(turns, "path_of", lambda facts, _: path(facts.stops))

    def stages(*_: Any, settle: bool, routes: Any) -> Iterator[list[Answer]]:
        assert not settle, "the explorer has waited for that itself"
        assert routes == "routes", "they are looked up while the nodes settle"
        yield [answer(Word.ANSWERED if one.port()["targetPort"] == 9080 else Word.REFUSED)]

    monkeypatch.setattr(probe, "questions", lambda *_: ["question"])
    monkeypatch.setattr(probe, "look_up_routes", lambda *_: "routes")
    monkeypatch.setattr(probe, "ask_in_stages", stages)
    return one


@pytest.fixture
def explorer(lesson: Lesson) -> Iterator[Explorer]:
    made = Explorer(lesson.telling, (SERVICE, POD), knobs.ALL)  # type: ignore[arg-type]
    assert made.wait(GRACE).trouble is None
    lesson.sent.clear()
    yield made
    made.close()
