"""The course as a learner meets it: each notebook run in the browser.

These tests come last: the lessons leave three dozen Pods, whose probes are work for a small machine ever after.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

from labs.copies import without_outputs
from labs.deploy import Lesson
from tests.browser.conftest import Pages, progress_put_aside
from tests.browser.jupyter import ROOT, App, Book, Server

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXERCISES = "06-break-and-mend"
# These make no Service with the article's addresses, which one lesson has at a time: they can run beside one that does.
BESIDE = ("00-start-here", "01-container-port", EXERCISES)


@dataclass(frozen=True)
class Ran:
    """What became of a notebook. late: what was not in time. failed: its cells' errors. errors: the console's meanwhile."""

    late: str
    failed: list[str]
    errors: list[str]


WELL = Ran(late="", failed=[], errors=[])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_lesson_runs(course: dict[str, Ran], notebook: Path) -> None:
    assert course[notebook.stem] == WELL


@pytest.fixture(scope="module")
def course(
    lesson: Lesson,
    servers: Callable[[App], Server],
    pages: Pages,
    request: pytest.FixtureRequest,
) -> dict[str, Ran]:
    """Runs the notebooks that are asked for, in one JupyterLab, side by side where they can."""
    order = in_order(item.callspec.params["notebook"] for item in request.session.items if "course" in item.fixturenames)
    for notebook in order:
        servers("lab").write(notebook.name, ["".join(cell["source"]) for cell in code_cells(notebook)])
    found: dict[str, Ran] = {}
    running: list[Book] = []

    def end(book: Book) -> None:
        running.remove(book)
        book.to_front()
        late = in_time(book.ran)
        stem = book.name.removesuffix(".ipynb")
        found[stem] = ran = Ran(late, book.failed(), list(book.errors))
        if ran != WELL:
            book.picture(f"page-{stem}")

    with progress_put_aside():
        for notebook, following in zip_longest(order, order[1:]):
            if not is_beside(notebook.name):
                for book in [one for one in running if not is_beside(one.name)]:
                    end(book)
            running.append(book := pages.opened("lab", notebook.name))
            book.begin_all()
            if following is not None:
                servers("lab").begin_kernel(following.name)  # it starts while this one runs
            in_time(lambda book=book: book.until(book.has_begun, "its first cell has run"))
        for book in list(running):
            end(book)
    return found


def is_beside(name: str) -> bool:
    """Whether a notebook can run beside any other one. The others run in turn, as all of them use the article's addresses."""
    return name.removesuffix(".ipynb") in BESIDE


def in_order(notebooks: Iterable[Path]) -> list[Path]:
    """The order to start them in. A lesson takes the article's addresses from whoever has them when it starts, even where it
    does not use them: so such lessons come first. Exercises do not, and one that runs in turn need not wait for them."""
    asked = sorted(set(notebooks))
    lessons = [one for one in asked if is_beside(one.name) and one.stem != EXERCISES]
    in_turn = [one for one in asked if not is_beside(one.name)]
    return [*lessons, *in_turn[:1], *(one for one in asked if one.stem == EXERCISES), *in_turn[1:]]


def in_time(wait: Callable[[], None]) -> str:
    """What was not in time; "" where all was: one notebook that is late is no reason to ask no other one."""
    try:
        wait()
        return ""
    except AssertionError as late:
        return str(late)


def code_cells(notebook: Path) -> list[dict[str, list[str]]]:
    cells = without_outputs(json.loads(notebook.read_text("utf-8")))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]
