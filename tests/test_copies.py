"""labs.copies: the learner's copies are brought up to date, and work is never written over."""

import json
from pathlib import Path
from typing import Any

import pytest

from labs import copies
from labs.copies import Step, fingerprint, plan, without_outputs
from labs.errors import LabError

NAME = "02-target-port.ipynb"
NEW = "02-target-port.new.ipynb"
NEW2 = "02-target-port.new2.ipynb"


def notebook(source: str, outputs: list[Any] | None = None, **metadata: Any) -> dict[str, Any]:
    code = {"cell_type": "code", "id": "a", "metadata": {}, "source": [source], "outputs": outputs or [], "execution_count": 3}
    text = {"cell_type": "markdown", "id": "b", "metadata": {}, "source": ["# Title"]}
    return {"cells": [text, code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["answered by pod2\n"]}


class Course:
    """A course of one lesson, in folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.lessons, self.course = folder / "notebooks", folder / "course"
        self.lessons.mkdir()
        (self.lessons / copies.FACTS).write_text("the facts")
        self.said: list[str] = []

    def lesson(self, source: str) -> None:
        (self.lessons / NAME).write_text(json.dumps(notebook(source, [OUTPUT], widgets={"state": {}})))

    def update(self) -> list[str]:
        """Runs it; returns the files that are there and what was said."""
        self.said.clear()
        copies.update(self.said.append, self.lessons, self.course)
        return sorted(path.name for path in self.course.glob("[!.]*.ipynb"))

    def source(self, name: str = NAME) -> str:
        return str(json.loads((self.course / name).read_text())["cells"][1]["source"][0])

    def work(self, source: str, name: str = NAME) -> None:
        """What a learner does to a copy."""
        (self.course / name).write_text(json.dumps(notebook(source)))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path)
    made.lesson("one")
    made.update()
    return made


def test_a_copy_has_no_outputs_and_no_state_of_widgets(course: Course) -> None:
    copy = json.loads((course.course / NAME).read_text())
    assert copy["cells"][1] == {**notebook("one")["cells"][1], "execution_count": None}
    assert copy["metadata"] == {}
    assert json.loads((course.lessons / NAME).read_text())["cells"][1]["outputs"] == [OUTPUT]


def test_running_it_again_writes_nothing(course: Course) -> None:
    before = (course.course / NAME).stat()
    assert course.update() == [NAME]
    assert (course.course / NAME).stat().st_mtime_ns == before.st_mtime_ns
    assert course.said == []


def test_an_untouched_older_copy_is_replaced(course: Course) -> None:
    course.lesson("two")
    assert course.update() == [NAME]
    assert course.source() == "two"
    assert "newer" in course.said[0]


def test_work_is_kept_and_the_newer_lesson_comes_beside_once(course: Course) -> None:
    course.work("mine")
    assert course.update() == [NAME], "no newer lesson, nothing beside"
    course.lesson("two")
    assert course.update() == [NAME, NEW]
    assert (course.source(), course.source(NEW)) == ("mine", "two")
    assert NEW in course.said[0]
    assert course.update() == [NAME, NEW]
    assert course.said == []


def test_a_cell_that_was_run_is_work(course: Course) -> None:
    (course.course / NAME).write_text(json.dumps(notebook("one", [OUTPUT])))
    course.lesson("two")
    assert course.update() == [NAME, NEW]


def test_opening_a_copy_in_jupyterlab_is_no_work(course: Course) -> None:
    opened = notebook("one", kernelspec={"name": "python3"}, language_info={"version": "3.13"})
    (course.course / NAME).write_text(json.dumps(opened, indent=4))
    course.lesson("two")
    assert course.update() == [NAME]
    assert course.source() == "two"


def test_what_is_beside_is_treated_with_the_same_care(course: Course) -> None:
    course.work("mine")
    course.lesson("two")
    course.update()
    course.lesson("three")
    assert course.update() == [NAME, NEW], "the untouched one beside was replaced"
    assert course.source(NEW) == "three"
    course.work("mine too", NEW)
    course.lesson("four")
    assert course.update() == [NAME, NEW, NEW2]
    assert (course.source(), course.source(NEW), course.source(NEW2)) == ("mine", "mine too", "four")
    assert course.update() == [NAME, NEW, NEW2]


def test_what_was_put_beside_and_thrown_away_does_not_come_back(course: Course) -> None:
    course.work("mine")
    course.lesson("two")
    course.update()
    (course.course / NEW).unlink()
    assert course.update() == [NAME]


def test_a_lesson_that_was_thrown_away_comes_back(course: Course) -> None:
    (course.course / NAME).unlink()
    assert course.update() == [NAME]


@pytest.mark.parametrize("lost", ["gone", "not JSON", "[]"])
def test_without_the_record_every_file_counts_as_work(lost: str, course: Course) -> None:
    record = course.course / copies.RECORD
    record.unlink()
    if lost != "gone":
        record.write_text(lost)
    course.lesson("two")
    assert course.update() == [NAME, NEW]
    assert course.source() == "one"


def test_a_file_that_is_no_notebook_any_more_is_kept(course: Course) -> None:
    (course.course / NAME).write_text("my notes")
    course.lesson("two")
    assert course.update() == [NAME, NEW]
    assert (course.course / NAME).read_text() == "my notes"


def test_a_learners_own_file_of_the_name_beside_is_kept(course: Course) -> None:
    course.work("mine")
    course.work("my own", NEW)
    course.lesson("two")
    assert course.update() == [NAME, NEW, NEW2]
    assert course.source(NEW) == "my own"


def test_other_files_of_the_learner_are_left_alone(course: Course) -> None:
    (course.course / "notes.ipynb").write_text(json.dumps(notebook("notes")))
    assert course.update() == [NAME, "notes.ipynb"]


def test_the_table_of_facts_comes_along_and_is_always_the_newest(course: Course) -> None:
    assert (course.course / copies.FACTS).read_text() == "the facts"
    (course.course / copies.FACTS).write_text("old")
    course.update()
    assert (course.course / copies.FACTS).read_text() == "the facts"


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\0", b"[1]", b"[" * 100_000])
def test_damaged_files_of_ours_are_written_again(damage: bytes, course: Course) -> None:
    """And a lesson that cannot be known for untouched any more counts as worked in."""
    course.work("mine")
    for name in (copies.RECORD, copies.FACTS):
        (course.course / name).write_bytes(damage)
    assert course.update() == [NAME, NEW]
    assert course.source(NAME) == "mine"
    assert (course.course / copies.FACTS).read_text() == "the facts"
    assert isinstance(json.loads((course.course / copies.RECORD).read_bytes()), dict)


def test_a_damaged_notebook_is_the_learners(course: Course) -> None:
    (course.course / NAME).write_bytes(b"[" * 100_000)
    course.lesson("two")
    assert course.update() == [NAME, NEW]
    assert (course.course / NAME).read_bytes() == b"[" * 100_000


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "course").write_text("a file is in the way")
    with pytest.raises(LabError, match="cannot be kept"):
        copies.update(print, tmp_path / "notebooks", tmp_path / "course")


def test_plan() -> None:
    assert plan(NAME, "v1", {}, {}) == Step("copy", NAME)
    assert plan(NAME, "v1", {NAME: "v1"}, {}) == Step("keep", NAME)
    assert plan(NAME, "v2", {NAME: "v1"}, {NAME: "v1"}) == Step("replace", NAME)
    assert plan(NAME, "v1", {NAME: "mine"}, {NAME: "v1"}) == Step("keep", NAME)
    assert plan(NAME, "v2", {NAME: "mine"}, {NAME: "v1"}) == Step("put beside", NEW)


def test_fingerprint_is_of_cells_and_outputs_alone() -> None:
    def of(content: dict[str, Any]) -> str:
        return fingerprint(json.dumps(content).encode())

    plain = notebook("one")
    assert of(plain) == of(notebook("one", kernelspec={})) == of(without_outputs(plain))
    assert len({of(plain), of(notebook("two")), of(notebook("one", [OUTPUT]))}) == 3
    as_text = notebook("one")
    as_text["cells"][1]["source"] = "one"
    assert of(as_text) == of(plain), "a source may be a text or its lines"
