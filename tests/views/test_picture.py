"""The path in the explorer: painted by the answers that are in, stale with them, and kept for the saved notebook."""

import re
from typing import Any

import pytest

from labs import views
from labs.errors import EngineDown
from labs.views import picture
from labs.views.picture import PathView
from labs.views.widget import Explorer
from tests.views.fakes import GRACE, Gate, Lesson, path, turn


class Copies:
    """Stands for what IPython displays. kept: each bundle that the page got, the newest last."""

    def __init__(self) -> None:
        self.kept: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], raw: bool, display_id: bool = False) -> "Copies":
        assert raw
        self.kept.append(bundle)
        return self

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        self.display(bundle, raw)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    made = Copies()
    monkeypatch.setattr(picture, "display", made.display)
    monkeypatch.setattr("labs.views.widget.display", made.display)
    return made


def states(html: str) -> list[str]:
    """The hops' states as a screen reader reads them; each picture has them once."""
    return re.findall(r'aria-label="(?:node|ClusterIP|Endpoint|container|this laptop)[^"]*?: ([^–"]*?) – ', html)[:4]


def test_it_is_painted_with_the_answers_and_again_at_each_turn(explorer: Explorer) -> None:
    assert states(explorer._path.html) == ["none", "reached", "reached", "listens on 9080"]
    turn(explorer, "targetPort", 9999)
    assert states(explorer._path.html) == ["none", "refused", "refused", "nothing on 9999"]
    assert "stops here" in explorer._path.html


def test_it_is_stale_while_a_turn_runs(explorer: Explorer, lesson: Lesson) -> None:
    lesson.settled = gate = Gate()
    explorer.set("targetPort", 9999)
    assert gate.reached.wait(GRACE)
    assert "labs-stale" in explorer._path._dom_classes
    gate.go.set()
    explorer.wait(GRACE)
    assert "labs-stale" not in explorer._path._dom_classes


def test_after_a_fault_nothing_is_shown_that_nobody_can_vouch_for(explorer: Explorer, lesson: Lesson) -> None:
    lesson.fault = EngineDown("Docker has stopped.", "-", "-")
    assert turn(explorer, "targetPort", 9999).path is None
    assert explorer._path.html == ""


def test_its_words_are_in_the_text(explorer: Explorer) -> None:
    assert "1. node: none" in explorer.text() and "by hand:" in explorer.text()


def test_the_copy_is_what_was_last_shown_in_picture_and_words(explorer: Explorer, copies: Copies) -> None:
    explorer._ipython_display_()
    widget, copy = copies.kept
    assert "application/vnd.jupyter.widget-view+json" in widget and "kept below" in widget["text/plain"]
    assert "answered by pod2" in copy["text/html"] and "targetPort 9080" in copy["text/plain"]
    assert "<svg" in copy["text/html"] and "comes through" in copy["text/plain"]
    turn(explorer, "targetPort", 9999)
    for words in copies.kept[-1].values():
        assert "nothing on 9999" in words and "targetPort 9999" in words and "answered by pod2" not in words
    assert "<script" not in copies.kept[-1]["text/html"]


def test_without_a_display_there_is_no_copy(explorer: Explorer, copies: Copies) -> None:
    turn(explorer, "targetPort", 9999)
    assert copies.kept == []


def test_two_have_copies_of_their_own(copies: Copies) -> None:
    one, other = PathView(), PathView()
    for view in (one, other):
        view.show(path(False))
        view.keep_copy()
    names = [re.search(r"labs-path-copy-(\d+)", bundle["text/html"]) for bundle in copies.kept]
    assert all(names) and names[0] and names[1] and names[0].group() != names[1].group()


def test_nothing_is_loaded_from_elsewhere() -> None:
    for source in (PathView._esm, PathView._css):
        assert not re.search(r"https?://|import\s|@import", str(source).replace("http://www.w3.org", ""))


def test_a_small_explorer_has_the_path_too(lesson: Lesson) -> None:
    small: Any = views.explorer(lesson, knobs=("targetPort",))  # type: ignore[arg-type]
    try:
        assert "<svg" in small._path.html
    finally:
        small.close()
