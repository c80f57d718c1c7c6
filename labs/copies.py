"""The learner's own copies of the notebooks, in `course/`: without outputs, and never written over once they were worked in.

`course/.copied.json` holds the fingerprint of each copy as it was made. Does not start JupyterLab (launch does) or a cluster.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labs import home
from labs.embedded import own_files
from labs.errors import LabError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
COURSE = ROOT / "course"
RECORD = ".copied.json"
FACTS = "facts.md"  # the lessons link it; it is nobody's work, so it is always the newest

Say = Callable[[str], None]
Notebook = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What to do for a lesson. name: the file to write. "keep" writes nothing."""

    do: Literal["copy", "replace", "put beside", "keep"]
    name: str


# --- computed


def plan(name: str, lesson: str, here: Mapping[str, str], copied: Mapping[str, str]) -> Step:
    """What to do for the lesson `name` ("02-target-port.ipynb"), whose fingerprint is `lesson`.

    here: the fingerprints of the files in course/. copied: those of the copies as they were made, by file name.
    """
    if name not in here:
        return Step("copy", name)
    if here[name] == lesson:
        return Step("keep", name)
    if here[name] == copied.get(name):
        return Step("replace", name)
    if copied.get(name) == lesson:
        return Step("keep", name)
    return _beside(name, lesson, here, copied)


def _beside(name: str, lesson: str, here: Mapping[str, str], copied: Mapping[str, str]) -> Step:
    """For a newer lesson whose older copy was worked in: the first name beside it that is free, or holds an untouched copy."""
    stem = name.removesuffix(".ipynb")
    number = 1
    while True:
        beside = f"{stem}.new{number if number > 1 else ''}.ipynb"
        if copied.get(beside) == lesson:  # it was put there before; worked in or thrown away since, that is the learner's will
            return Step("keep", beside)
        if beside not in here or here[beside] in (lesson, copied.get(beside)):
            return Step("put beside", beside)
        number += 1


def without_outputs(notebook: Notebook) -> Notebook:
    """The notebook as a learner gets it: no outputs, no execution counts, no state of widgets."""
    bare: Notebook = {"outputs": [], "execution_count": None}
    cells = [{**cell, **bare} if cell["cell_type"] == "code" else cell for cell in notebook["cells"]]
    metadata = {key: value for key, value in notebook.get("metadata", {}).items() if key != "widgets"}
    return {**notebook, "cells": cells, "metadata": metadata}


def fingerprint(content: bytes) -> str:
    """Changes with a notebook's cells and outputs; not with what JupyterLab writes by merely opening it."""
    try:
        cells = own_files.parse_json(content)["cells"]
        told = json.dumps([[cell["cell_type"], _text(cell["source"]), cell.get("outputs") or []] for cell in cells])
    except (ValueError, TypeError, LookupError, AttributeError):  # no notebook any more: then all of it counts
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(told.encode()).hexdigest()


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


# --- files


def update(say: Say, notebooks: Path = NOTEBOOKS, course: Path = COURSE) -> None:
    """Brings `course/` up to date with the lessons. LabError where it cannot be written."""
    try:
        course.mkdir(exist_ok=True)
        copied = _read_record(course)
        here = {path.name: fingerprint(path.read_bytes()) for path in course.glob("*.ipynb")}
        for lesson in sorted(notebooks.glob("*.ipynb")):
            _update_one(lesson, course, here, copied, say)
        facts = (notebooks / FACTS).read_text("utf-8")
        if not (course / FACTS).exists() or (course / FACTS).read_bytes() != facts.encode():
            _write(course / FACTS, facts)
        _write(course / RECORD, json.dumps(copied, indent=1, sort_keys=True))
    except OSError as error:
        raise LabError(
            f"Your copies of the lessons cannot be kept in {course}.",
            str(error),
            home.advice(error, "Clone the course into a folder that you may write to"),
        ) from error


def _update_one(lesson: Path, course: Path, here: Mapping[str, str], copied: dict[str, str], say: Say) -> None:
    content = json.dumps(without_outputs(json.loads(lesson.read_text("utf-8"))), indent=1, ensure_ascii=False) + "\n"
    print_of_lesson = fingerprint(content.encode())
    step = plan(lesson.name, print_of_lesson, here, copied)
    if step.do == "keep":
        if here.get(step.name) == print_of_lesson:
            copied[step.name] = print_of_lesson
        return
    _write(course / step.name, content)
    copied[step.name] = print_of_lesson
    if step.do == "replace":
        say(f"{step.name} is newer now; you had not worked in it yet.")
    if step.do == "put beside":
        say(f"There is a newer lesson {lesson.name}. Yours stays as it is; the newer one is beside it: {step.name}")


def _read_record(course: Path) -> dict[str, str]:
    """What was copied before; nothing where that is not known: then every file counts as worked in."""
    try:
        found = own_files.parse_json((course / RECORD).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _write(path: Path, content: str) -> None:
    own_files.write(path, content, mode=0o666)
