"""Predictions in the browser: chosen by mouse and keyboard, found again after a restart, scored, led to the hop."""

from typing import Any

import pytest

from labs import progress
from labs.deploy import Lesson
from tests.browser.conftest import Opens
from tests.browser.jupyter import Book

pytestmark = pytest.mark.usefixtures("ready")
CELLS = (
    "import labs\nfrom labs import providers\nfrom labs.deploy import Lesson\nfrom labs import views\n"
    "lesson = Lesson(providers.connect(), '05-all-four')",
    "prediction = views.predict(lesson, cells=['clusterIP:port', 'nodeIP:nodePort'], change={'targetPort': 9999})\nprediction",
)
CLUSTER_IP = "clusterIP:port from a Pod"
NODE = "nodeIP:nodePort from another machine"


def status(book: Book) -> Any:
    return book.panel.locator(".labs-predict").get_by_role("status")


def chosen(book: Book, cell: str, outcome: str, count: str) -> None:
    """Chooses by mouse, and waits until the choice is kept."""
    book.panel.get_by_label(cell, exact=True).select_option(outcome)
    said(book, count)


def said(book: Book, words: str) -> None:
    status(book).filter(has_text=words).wait_for()


def test_predict_run_and_score(opened: Opens, lesson: Lesson) -> None:
    book = opened(*CELLS)
    predicted_and_scored(book, lesson)
    assert book.errors == []


def predicted_and_scored(book: Book, lesson: Lesson) -> None:
    """Predicts two cells, one of them wrongly, runs, reads the score, and goes from the miss to the hop that explains it."""
    chosen(book, CLUSTER_IP, "answered", "1 of 8 predicted")
    field = book.panel.get_by_label(NODE, exact=True)
    field.focus()
    book.page.keyboard.type("ref")  # by keyboard: the first that begins so
    said(book, "2 of 8 predicted")
    book.panel.get_by_role("button", name="Run", exact=True).press("Enter")
    said(book, "1 of 2 right.")
    service = lesson.read("Service", "productpage")
    assert service is not None and service["spec"]["ports"][0]["targetPort"] == 9999

    page = book.panel.locator(".labs-predict")
    assert page.locator(".labs-predict-note.labs-good").inner_text() == "✓ refused"
    assert page.locator(".labs-predict-note.labs-bad").inner_text() == "✕ refused"
    (miss,) = page.locator(".labs-score li").all_inner_texts()
    assert "you said answered; it was refused" in miss and "nothing listens on 9999" in miss
    page.get_by_role("button", name="→ container").click()  # leads to the hop that explains it
    assert book.page.evaluate("document.activeElement.dataset.hop") == "container"
    assert "/proc/net/tcp" in page.locator(".labs-path-hand code").inner_text()


def test_a_restart_between_predict_and_run(opened: Opens) -> None:
    book = opened(*CELLS)
    before = len(progress.read())
    chosen(book, CLUSTER_IP, "refused", "1 of 8 predicted")
    assert len(progress.read()) == before + 1, "it is on the disk before anything runs"
    book.restart_and_run_all()
    said(book, "1 of 8 predicted")
    assert book.panel.get_by_label(CLUSTER_IP, exact=True).input_value() == "refused"
    book.panel.get_by_role("button", name="Run", exact=True).click()
    said(book, "1 of 1 right.")
    assert progress.read()[-1].result["right"] == 1


def test_two_tabs_of_one_notebook_show_the_same(opened: Opens) -> None:
    book = opened(*CELLS)
    chosen(book, CLUSTER_IP, "refused", "1 of 8 predicted")
    book.save()
    other = Book(book.server, book.name, book.page.context.new_page()).open()
    try:
        said(other, "1 of 8 predicted")
        chosen(other, NODE, "answered", "2 of 8 predicted")
        said(book, "2 of 8 predicted")
        assert book.panel.get_by_label(NODE, exact=True).input_value() == "answered"
        other.panel.get_by_role("button", name="Run", exact=True).click()
        said(book, "1 of 2 right.")
        said(other, "1 of 2 right.")
    finally:
        other.page.close()
