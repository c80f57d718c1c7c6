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
# These make no Service with the article's addresses, which one lesson has at a time: they can run beside one that does.
BESIDE = ("00-start-here", "01-container-port", "06-break-and-mend")


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
    beside, in_turn = apart(item.callspec.params["notebook"] for item in request.session.items if "course" in item.fixturenames)
    for notebook in (*beside, *in_turn):
        servers("lab").write(notebook.name, ["".join(cell["source"]) for cell in code_cells(notebook)])
    found: dict[str, Ran] = {}

    def ended(book: Book) -> None:
        book.to_front()
        late = in_time(book.ran)
        stem = book.name.removesuffix(".ipynb")
        found[stem] = ran = Ran(late, book.failed(), list(book.errors))
        if ran != WELL:
            book.picture(f"page-{stem}")

    with progress_put_aside():
        books = []
        for notebook in beside:
            books.append(pages.opened("lab", notebook.name))
            books[-1].begin_all()
            in_time(lambda book=books[-1]: book.until(book.has_begun, "its first cell has run"))
        for notebook, following in zip_longest(in_turn, in_turn[1:]):
            books.append(pages.opened("lab", notebook.name))
            books[-1].begin_all()
            if following is not None:
                servers("lab").begin_kernel(following.name)  # it starts while this one runs
            ended(books[-1])
        for book in books[: len(beside)]:
            ended(book)
    return found


def apart(notebooks: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Those that can run beside any other one, and those that run in turn, as all of them use the article's addresses.

    A lesson takes these from whoever has them when it starts; so the first ones are to be started first.
    """
    ordered = sorted(set(notebooks))
    return [one for one in ordered if one.stem in BESIDE], [one for one in ordered if one.stem not in BESIDE]


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
