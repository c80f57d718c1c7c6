"""What is on the explorer's page: fields, words beside them, HTML that nothing can get into, text where no widgets are."""

from dataclasses import replace

import pytest

from labs import probe, views
from labs.errors import LabError
from labs.probe import Target, Word
from labs.views import pieces, screen
from labs.views.widget import Explorer
from tests.views.fakes import EVIL, GRACE, Gate, Lesson, answer, turn

# --- the page


def test_a_field_that_is_set_turns_the_knob_and_goes_back_when_refused(explorer: Explorer, lesson: Lesson) -> None:
    explorer._fields["nodePort"].value = "80"  # as the browser does
    explorer.wait(GRACE)
    assert len(lesson.sent) == 1
    assert explorer._fields["nodePort"].value == "30066"
    assert "80" in explorer._notes["nodePort"].value


def test_fields_act_when_they_are_left_not_at_every_key(explorer: Explorer) -> None:
    assert all(field.continuous_update is False for field in explorer._fields.values() if hasattr(field, "continuous_update"))


def test_a_field_set_while_its_older_setting_runs_is_left_alone(explorer: Explorer, lesson: Lesson) -> None:
    lesson.settled = gate = Gate()
    explorer._fields["targetPort"].value = "9999"
    assert gate.reached.wait(GRACE)
    explorer._fields["targetPort"].value = "1234"
    explorer.turns.tell("something is painted meanwhile")
    assert explorer._fields["targetPort"].value == "1234"
    gate.go.set()
    explorer.wait(GRACE)
    assert explorer._fields["targetPort"].value == "1234"
    assert lesson.port()["targetPort"] == 1234


def test_the_small_one_has_its_knobs_alone(lesson: Lesson) -> None:
    small = views.explorer(lesson, knobs=("targetPort",))  # type: ignore[arg-type]
    try:
        assert list(small._fields) == ["targetPort"]
        assert "containerPort" not in small.text() and "nodePort 30066" not in small.text()
        small.set("targetPort", 9999)
        assert small.wait(GRACE).values["targetPort"] == "9999"
        small.start_over()
        assert small.wait(GRACE).values["targetPort"] == "9080", "as it was when the widget was made"
    finally:
        small.close()


def test_where_there_are_no_widgets_there_are_words(explorer: Explorer) -> None:
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    words = bundle["text/plain"]
    assert "targetPort 9080" in words and "answered by pod2" in words
    assert " at 0x" not in words + repr(explorer._status)


def test_the_text_has_all_that_is_on_the_screen(explorer: Explorer) -> None:
    turn(explorer, "nodePort", "80")
    words = explorer.text()
    for part in (
        "nodePort: 30066 → 80",
        "-     nodePort: 30066",
        "Invalid value: 80",
        "answered by pod2",
        "TargetPort: 9080/TCP",
    ):
        assert part in words


def test_whatever_comes_from_the_cluster_is_escaped(
    explorer: Explorer, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson.describe = lambda: EVIL
    evil = answer(Word.ANSWERED, EVIL)
    monkeypatch.setattr(probe, "ask_in_stages", lambda *_, settle, routes: iter([[replace(evil, target=Target(EVIL, "h", 1))]]))
    turn(explorer, "portName", EVIL)
    turn(explorer, "targetPort", EVIL)
    explorer.turns.tell(EVIL)
    html = page(explorer)
    assert turn(explorer, "nodePort", "80").notes
    html += page(explorer)
    lesson.fault = LabError(EVIL, EVIL, EVIL)
    turn(explorer, "port", "80")
    html += page(explorer)
    assert "alert(1)" in html
    assert "<script" not in html


def test_what_is_too_long_is_cut_short(explorer: Explorer, lesson: Lesson) -> None:
    lesson.describe = lambda: EVIL * 500_000
    turn(explorer, "portName", "x" * 1_000_000)
    turn(explorer, "targetPort", 9999)
    assert len(page(explorer)) < 200_000 and len(explorer.text()) < 200_000
    assert "cut here" in explorer._describe.value


def page(explorer: Explorer) -> str:
    parts = (
        explorer._trouble,
        explorer._steps,
        explorer._describe,
        explorer._answers,
        explorer._why,
        *explorer._notes.values(),
    )
    return "".join(part.value for part in parts)


def test_a_long_refusal_of_a_pod_is_folded(explorer: Explorer) -> None:
    html = pieces.steps(turn(explorer, "containerPort", "80"))
    before, _, folded = html.partition("<details>")
    assert "pod updates may not change" in before
    assert "core.PodSpec" in folded


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("answered by pod2", "labs-good"),
        ("answered by something else", "labs-odd"),
        ("refused", "labs-bad"),
        ("not tried", "labs-open"),
    ],
)
def test_colour_and_words_say_the_same(words: str, kind: str) -> None:
    assert kind in pieces._cell(words) and words in pieces._cell(words)


def test_the_status_line(explorer: Explorer) -> None:
    assert screen.status(explorer.wait(GRACE)) == "Done. 1 answered."
    assert "stops at" in screen.status(turn(explorer, "targetPort", 9999))
    assert screen.status(turn(explorer, "port", "abc")) == 'port: "abc" is not a port.'
    assert explorer._status.words == 'port: "abc" is not a port.' and explorer._status.busy is False
