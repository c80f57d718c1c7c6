"""What a turned knob sends, and what comes of it: one at a time, the newest last, whatever goes wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from labs import knobs, probe, views
from labs.errors import BadInput, EngineDown, LabError
from labs.probe import Answer, Word
from labs.views import screen, turns
from labs.views.widget import Explorer
from tests.views.fakes import GRACE, POD, SERVICE, Gate, Lesson, answer, turn

# --- one knob


def test_it_starts_with_what_is_there_and_sends_nothing(explorer: Explorer, lesson: Lesson) -> None:
    shown = explorer.wait(GRACE)
    assert lesson.sent == []
    assert shown.values == {**knobs.values(SERVICE), **knobs.values(POD)}
    assert [one.word for one in shown.answers] == [Word.ANSWERED]
    assert shown.explanation is not None and shown.describe == "TargetPort: 9080/TCP"


def test_a_pod_that_was_there_need_not_be_ready(explorer: Explorer, lesson: Lesson) -> None:
    """It may never be: in some exercises that is what is to be seen."""
    assert lesson.waited_for == [[]]
    del lesson.objects["Pod"]
    Explorer(lesson.telling, (SERVICE, POD), knobs.ALL).wait(GRACE)  # type: ignore[arg-type]
    assert lesson.waited_for == [[], ["pod2"]]


def test_a_knob_is_sent_and_everything_follows(explorer: Explorer, lesson: Lesson) -> None:
    shown = turn(explorer, "targetPort", 9999)
    assert [one["spec"]["ports"][0]["targetPort"] for one in lesson.sent] == [9999]
    (step,) = shown.steps
    assert ("-", "    targetPort: 9080") in step.diff and ("+", "    targetPort: 9999") in step.diff
    assert step.said == (screen.Said("service/productpage changed"),)
    assert shown.values["targetPort"] == "9999"
    assert [one.word for one in shown.answers] == [Word.REFUSED]
    assert shown.describe == "TargetPort: 9999/TCP"
    assert shown.explanation is not None and shown.explanation.stops_at is not None
    assert not shown.stale and not shown.busy and not shown.notes


def test_the_same_value_again_sends_nothing(explorer: Explorer, lesson: Lesson) -> None:
    turn(explorer, "targetPort", 9080)
    assert lesson.sent == []


@pytest.mark.parametrize(("name", "text"), [("port", "abc"), ("port", ""), ("targetPort", "65536"), ("nodePort", "9080 ")])
def test_what_is_no_port_is_told_in_place_and_not_sent(explorer: Explorer, lesson: Lesson, name: str, text: str) -> None:
    before = turn(explorer, "targetPort", 9999)
    lesson.sent.clear()
    shown = turn(explorer, name, text)
    assert lesson.sent == []
    assert (text or "needs a port") in str(shown.notes[name])
    assert "Nothing was sent" in str(shown.notes[name])
    assert shown.values == before.values
    assert (shown.answers, shown.steps) == (before.answers, before.steps), "what is still true stays on the screen"


def test_the_api_servers_refusal_is_shown_in_its_own_words(explorer: Explorer, lesson: Lesson) -> None:
    shown = turn(explorer, "nodePort", "80")
    assert len(lesson.sent) == 1
    (said,) = shown.steps[-1].said
    assert said.refused and said.words.startswith("spec.ports[0].nodePort: Invalid value: 80")
    note = str(shown.notes["nodePort"])
    assert "“80”" in note and "Back to 30066" in note
    assert shown.values["nodePort"] == "30066"
    turn(explorer, "targetPort", 9999)
    assert explorer.wait(GRACE).notes == {}, "the next turn takes the old word away"


def test_a_pod_that_is_somebody_elses_is_not_changed_in_place_either(explorer: Explorer, lesson: Lesson) -> None:
    lesson.others = ["Pod pod2"]
    shown = turn(explorer, "containerPort", "9999")
    assert shown.trouble is not None and shown.trouble.what == "Pod pod2 here is not the course's."
    assert lesson.patched == [] and lesson.sent == []


def test_what_the_api_server_filled_in_is_told(explorer: Explorer, lesson: Lesson) -> None:
    shown = turn(explorer, "targetPort", "")
    assert "it filled in targetPort: 9999" in [said.words for said in shown.steps[-1].said]
    assert shown.values["targetPort"] == "", "in the YAML it is left out"
    shown = turn(explorer, "port", "9080")
    assert "targetPort" not in lesson.sent[-1]["spec"]["ports"][0], "left out stays left out"
    assert [one.word for one in shown.answers] == [Word.ANSWERED]


def test_headless_is_refused_in_place_and_made_anew(explorer: Explorer, lesson: Lesson) -> None:
    shown = turn(explorer, "type", "headless")
    assert [said.refused for said in shown.steps[-1].said][:2] == [True, False]
    assert shown.values["type"] == "headless"
    shown = turn(explorer, "type", "ClusterIP")  # accepted, but the clusterIP stays None
    assert shown.values["type"] == "ClusterIP"
    assert lesson.objects["Service"]["spec"]["clusterIP"] != "None"


def test_a_pod_knob_shows_the_refusal_and_then_makes_a_new_pod(explorer: Explorer, lesson: Lesson) -> None:
    shown = turn(explorer, "listenPort", "9999")
    assert [step["path"] for step in lesson.patched[0]] == ["/spec/containers/0/args", "/spec/containers/0/readinessProbe"]
    no, yes = shown.steps[-1].said
    assert no.refused and "Forbidden: pod updates" in no.words
    assert not yes.refused and "made anew" in yes.words
    assert knobs.values(lesson.objects["Pod"])["listenPort"] == shown.values["listenPort"] == "9999"


def test_an_unknown_knob(explorer: Explorer) -> None:
    with pytest.raises(BadInput, match="targetPort"):
        explorer.set("hostPort", 80)


def test_start_over(explorer: Explorer, lesson: Lesson) -> None:
    turn(explorer, "type", "headless")
    turn(explorer, "containerPort", "")
    explorer.start_over()
    shown = explorer.wait(GRACE)
    assert shown.trouble is None
    assert shown.values == {**knobs.values(SERVICE), **knobs.values(POD)}
    assert knobs.values(lesson.objects["Service"]) == knobs.values(SERVICE)
    assert lesson.objects["Service"]["spec"]["clusterIP"] == "10.97.239.58"


# --- two notebooks


def test_what_was_changed_elsewhere_is_told_and_kept(explorer: Explorer, lesson: Lesson) -> None:
    lesson.objects["Service"]["spec"]["ports"][0]["port"] = 8888
    shown = turn(explorer, "targetPort", 9999)
    assert "changed elsewhere" in shown.news[0]
    assert lesson.sent[-1]["spec"]["ports"][0]["port"] == 8888
    assert shown.values["port"] == "8888"


def test_what_was_removed_elsewhere_is_made_again(explorer: Explorer, lesson: Lesson) -> None:
    del lesson.objects["Service"]
    shown = turn(explorer, "targetPort", 9999)
    assert "was not there any more" in shown.news[0] and "Another lesson" in shown.news[1]
    assert "Another lesson" in explorer._trouble.value, "told on the page, not printed"
    assert lesson.port()["targetPort"] == 9999


def test_ask_again_adopts_what_is_there(explorer: Explorer, lesson: Lesson) -> None:
    lesson.objects["Service"]["spec"]["ports"][0]["targetPort"] = 9999
    explorer.again()
    shown = explorer.wait(GRACE)
    assert lesson.sent == []
    assert shown.values["targetPort"] == "9999"
    assert [one.word for one in shown.answers] == [Word.REFUSED]


# --- a second knob while one runs


def test_a_second_knob_waits_for_its_turn_and_both_are_in_force(explorer: Explorer, lesson: Lesson) -> None:
    lesson.settled = gate = Gate()
    explorer.set("targetPort", 9999)
    assert gate.reached.wait(GRACE)
    explorer.set("port", 80)
    gate.go.set()
    shown = explorer.wait(GRACE)
    assert (lesson.port()["targetPort"], lesson.port()["port"]) == (9999, 80)
    assert [step.title for step in shown.steps] == ["targetPort: 9080 → 9999", "port: 9999 → 80"]
    assert [one.word for one in shown.answers] == [Word.REFUSED]


def test_of_two_settings_of_one_knob_the_newer_counts(explorer: Explorer, lesson: Lesson) -> None:
    lesson.settled = gate = Gate()
    explorer.set("port", 80)
    assert gate.reached.wait(GRACE)
    for value in (9999, 7777, 9080):
        explorer.set("targetPort", value)
    explorer.set("targetPort", 1234)
    gate.go.set()
    explorer.wait(GRACE)
    assert [one["spec"]["ports"][0]["targetPort"] for one in lesson.sent] == [9080, 1234]


def test_a_refused_second_knob_does_not_leave_the_first_unasked(explorer: Explorer, lesson: Lesson) -> None:
    lesson.settled = gate = Gate()
    explorer.set("targetPort", 9999)
    assert gate.reached.wait(GRACE)
    explorer.set("nodePort", 80)
    gate.go.set()
    shown = explorer.wait(GRACE)
    assert shown.values["nodePort"] == "30066" and "nodePort" in shown.notes
    assert [one.word for one in shown.answers] == [Word.REFUSED], "of targetPort 9999"
    assert not shown.stale


def test_what_an_older_turn_still_brings_is_not_painted(explorer: Explorer, lesson: Lesson) -> None:
    old = Gate()

    def slow() -> str:
        old()
        return "OLD"

    lesson.describe = slow
    explorer.set("targetPort", 9999)
    assert old.reached.wait(GRACE)
    lesson.describe = lambda: "NEW"
    painted: list[str] = []
    explorer._describe.observe(lambda change: painted.append(change["new"]), "value")
    assert turn(explorer, "targetPort", 1234).describe == "NEW"
    old.go.set()
    explorer.turns._pool.shutdown(wait=True)
    assert explorer.wait(GRACE).describe == "NEW"
    assert not any("OLD" in one for one in painted)


def test_first_nothing_yet_then_the_final_word(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    def stages(*_: Any, settle: bool, routes: Any) -> Iterator[list[Answer]]:
        yield [answer(Word.NOTHING_YET)]
        gate()
        yield [answer(Word.TIMED_OUT)]

    monkeypatch.setattr(probe, "ask_in_stages", stages)
    explorer.set("port", 80)
    assert gate.reached.wait(GRACE)
    first = explorer.turns.screen
    assert first.stage is screen.Stage.WAITING and [one.word for one in first.answers] == [Word.NOTHING_YET]
    assert "answers" not in first.stale
    gate.go.set()
    assert [one.word for one in explorer.wait(GRACE).answers] == [Word.TIMED_OUT]


# --- faults


def test_a_fault_is_told_in_place_and_the_explorer_lives(explorer: Explorer, lesson: Lesson) -> None:
    lesson.fault = EngineDown("Docker has stopped.", "Its socket does not answer.", "Start Docker.")
    shown = turn(explorer, "targetPort", 9999)
    assert shown.trouble is lesson.fault
    assert shown.answers == () and shown.explanation is None and shown.describe == "", "nobody can vouch for them now"
    for words in ("Docker has stopped.", "Its socket does not answer.", "Start Docker."):
        assert words in explorer.text() and words in explorer._trouble.value
    lesson.fault = None
    shown = turn(explorer, "targetPort", 9999)
    assert shown.trouble is None and [one.word for one in shown.answers] == [Word.REFUSED]


def test_a_fault_beside_the_asking_is_told_too(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise LabError("The cluster is gone.", "It was deleted.", "make lab")

    monkeypatch.setattr(turns, "gather", gone)
    trouble = turn(explorer, "targetPort", 9999).trouble
    assert trouble is not None and trouble.what == "The cluster is gone."


def test_a_bug_does_not_end_the_worker(explorer: Explorer, lesson: Lesson) -> None:
    lesson.fault = KeyError("spec")
    trouble = turn(explorer, "targetPort", 9999).trouble
    assert trouble is not None and "KeyError" in trouble.why
    lesson.fault = None
    assert turn(explorer, "targetPort", 9999).trouble is None


def test_explorer_raises_where_it_cannot_start(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = EngineDown("Docker has stopped.", "-", "-")
    lesson.settled = lambda: (_ for _ in ()).throw(fault)
    with pytest.raises(EngineDown):
        views.explorer(lesson)  # type: ignore[arg-type]
