"""The course as a learner meets it: each notebook run in the browser.

These tests come last: the lessons leave three dozen Pods, whose probes are work for a small machine ever after.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labs.copies import without_outputs
from labs.deploy import Lesson
from tests.browser.conftest import Closing, Pages, progress_put_aside
from tests.browser.jupyter import ROOT, App, Book, Server

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# These make no Service with the article's addresses, which one lesson has at a time: they can run beside one that does.
BESIDE = ("00-start-here", "01-container-port", "06-break-and-mend")


@dataclass(frozen=True)
class Ran:
    """What became of a notebook. late: what was not in time. failed: its cells' errors. errors: the console's."""

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
    closing: Closing,
    request: pytest.FixtureRequest,
) -> dict[str, Ran]:
    """Runs the notebooks that are asked for, each on a page of its own, side by side where they can."""
    beside, in_turn = apart(item.callspec.params["notebook"] for item in request.session.items if "course" in item.fixturenames)
    found: dict[str, Ran] = {}

    def opened(notebook: Path) -> Book:
        servers("lab").write(notebook.name, ["".join(cell["source"]) for cell in code_cells(notebook)])
        return pages.opened("lab", notebook.name)

    def ended(book: Book) -> None:
        late = in_time(book.ran)
        ran = Ran(late, book.failed(), list(book.errors))
        found[book.name.removesuffix(".ipynb")] = ran
        closing(book, ran != WELL)

    with progress_put_aside():
        running = []
        for notebook in beside:
            running.append(opened(notebook))
            running[-1].begin_all()
            in_time(lambda book=running[-1]: book.until(lambda: book.ran_cells() > 0, "its first cell has run"))
        before = None
        for notebook in in_turn:
            book = opened(notebook)  # its kernel starts while the one before runs
            if before is not None:
                ended(before)
            book.begin_all()
            pages.prepare()
            before = book
        for book in filter(None, (before, *running)):
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
