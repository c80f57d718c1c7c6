"""A prediction on the page: chosen by fields, run by its button, scored with a link to the hop; words where no widgets are."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labs import probe, progress
from labs.errors import ClusterGone, Refused
from labs.predicting import Prediction
from labs.probe import Word
from labs.views.prediction import Predict
from tests import test_predict as without_page
from tests.test_predict import CLUSTER_IP, Lesson, answers
from tests.views.fakes import EVIL, GRACE

lesson = without_page.lesson


@pytest.fixture
def widget(lesson: Lesson) -> Iterator[Predict]:
    made = page(lesson)
    yield made
    made.close()


def page(lesson: Lesson, **more: Any) -> Predict:
    return Predict(Prediction(lesson, **more))  # type: ignore[arg-type]


def field(widget: Predict, way: str = "clusterIP:port", place: str = "a Pod") -> Any:
    return next(one for cell, one in widget._fields.items() if (cell.way, cell.place) == (way, place))


def pressed(widget: Predict) -> None:
    """Presses the button, and waits until what it began has ended."""
    widget._button.click()
    for thread in threading.enumerate():
        if thread.name == "predict":
            thread.join(GRACE)
            assert not thread.is_alive()


def test_a_field_predicts_and_the_button_scores(widget: Predict) -> None:
    field(widget).value = "answered"
    field(widget, "name:port").value = "refused"
    assert widget._status.words == "2 of 18 predicted."
    pressed(widget)
    assert widget._status.words == "1 of 2 right."
    assert 'data-goto="clusterIP"' in widget._path.html and 'data-hop="clusterIP"' in widget._path.html
    notes = {str(cell): note.value for cell, note in widget._notes.items() if note.value}
    assert list(notes) == ["clusterIP:port from a Pod", "name:port from a Pod"]
    assert "✓ answered" in notes["clusterIP:port from a Pod"] and "✕ answered" in notes["name:port from a Pod"]


def test_every_field_has_a_name_of_its_own(widget: Predict) -> None:
    names = [one.description for one in widget._fields.values()]
    assert len(set(names)) == len(names) == 18 and "clusterIP:port from a Pod" in names


def test_what_was_chosen_before_a_restart_is_chosen(lesson: Lesson, widget: Predict) -> None:
    field(widget).value = "timed out"
    again = page(lesson)
    assert field(again).value == "timed out" and again._status.words == "1 of 18 predicted."


def test_a_choice_cannot_be_taken_back_to_nothing(widget: Predict) -> None:
    field(widget).value = "refused"
    field(widget).value = ""
    assert field(widget).value == "refused"


def test_run_without_a_prediction_says_so(widget: Predict) -> None:
    pressed(widget)
    assert widget._status.words == "Nothing is predicted yet." and not widget._button.disabled


def test_after_the_score_the_fields_are_still_until_one_predicts_again(widget: Predict) -> None:
    field(widget).value = "answered"
    pressed(widget)
    assert field(widget).disabled and field(widget).value == "answered"
    assert widget._button.description == "Predict again"
    pressed(widget)
    assert not field(widget).disabled and field(widget).value == "" and widget._path.html == ""
    assert [entry.result["did"] for entry in progress.read()] == ["chose", "ran"]


def test_a_fault_is_told_and_the_choice_stays(widget: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise ClusterGone("The cluster is gone.", "It was deleted.", "`make lab`")

    field(widget).value = "answered"
    with monkeypatch.context() as patch:
        patch.setattr(probe, "ask", gone)
        pressed(widget)
    assert "The cluster is gone." in widget._path.html and "Then press “Run”." in widget._path.html
    assert not field(widget).disabled and field(widget).value == "answered"
    pressed(widget)
    assert widget._status.words == "1 of 1 right."


def test_a_bug_does_not_leave_the_page_waiting(widget: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ask", lambda *_: {}["bug"])
    field(widget).value = "answered"
    pressed(widget)
    assert "KeyError" in widget._status.words and not widget._button.disabled and not widget._status.busy


def test_without_a_page(widget: Predict) -> None:
    found = widget.choose("clusterIP:port", "a Pod", "refused").run()
    assert (found.right, found.of) == (0, 1)
    assert "you said refused" in repr(widget) and field(widget).value == "refused"


def test_nothing_gets_into_the_page(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ask", hostile)
    widget = page(lesson, change={"targetPort": EVIL})
    field(widget).value = "answered"
    pressed(widget)
    assert_escaped(widget)
    lesson.no = Refused("-", EVIL * 100_000, "-", 422)
    pressed(widget)
    field(widget).value = "answered"
    pressed(widget)
    assert_escaped(widget)


def hostile(*_: Any) -> list[Any]:
    return [replace(one, detail=EVIL * 100_000, pod=EVIL) for one in answers(CLUSTER_IP=Word.NOT_TRIED)]


def assert_escaped(widget: Predict) -> None:
    html = widget._path.html + "".join(note.value for note in widget._notes.values()) + str(widget.children)
    assert "alert(1)" in html and len(html) < 200_000
    assert "<script" not in widget._path.html + "".join(note.value for note in widget._notes.values())


def test_where_there_are_no_widgets_there_is_a_copy(widget: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []

    class Copy:
        def update(self, bundle: dict[str, str], raw: bool) -> None:
            shown.append(bundle)

    def display(bundle: dict[str, str], raw: bool, display_id: bool = False) -> Copy:
        shown.append(bundle)
        return Copy()

    for module in ("prediction", "picture"):
        monkeypatch.setattr(f"labs.views.{module}.display", display)
    widget.choose(*CLUSTER_IP, "refused")
    widget._ipython_display_()
    assert "application/vnd.jupyter.widget-view+json" in shown[0] and "kept below" in shown[0]["text/plain"]
    for words in shown[-1].values():
        assert "clusterIP:port from a Pod: refused" in words
    field(widget, "name:port").value = "answered"
    assert "name:port from a Pod: answered" in shown[-1]["text/html"]
    pressed(widget)
    for words in shown[-1].values():
        assert "1 of 2 right" in words and "you said refused; it was answered" in words


def test_progress_is_where_it_says(widget: Predict, tmp_path: Path) -> None:
    field(widget).value = "refused"
    assert str(tmp_path.resolve()) in str(progress.file().resolve())
