"""The same widgets in Notebook 7, whose page is another one: turned and read there once, on one page."""

import pytest

from labs.deploy import Lesson
from tests.browser import test_explorer, test_predict
from tests.browser.conftest import Opens

pytestmark = pytest.mark.usefixtures("ready")


def test_the_path_turns_and_predictions_are_scored_in_notebook_7(opened: Opens, lesson: Lesson) -> None:
    book = opened(*test_explorer.CELLS, *test_predict.CELLS, app="notebook")
    test_explorer.turned_path(book)
    test_explorer.clicked(book, "targetPort", "9080")  # which the prediction is about
    test_predict.predicted_and_scored(book, lesson)
    assert book.errors == []
