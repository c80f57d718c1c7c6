"""labs/cells.py in a kernel's shell of its own: what a cell shows, and what it does not show twice."""

import subprocess
import sys
from types import SimpleNamespace
from typing import cast

import pytest

from labs.cluster import Ran
from labs.deploy import Lesson
from labs.notebook import Notebook, WrongOutcome

SETUP = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
from labs.cells import Cells
cells = Cells(str)
def verb(text):
    cells.command("some " + text)
    return cells.told(text + "!")
shell.user_ns["verb"] = verb
"""


def shown(*sources: str) -> str:
    """What these cells print, run with a counter that stands still, as nbval runs them."""
    run = SETUP + "".join(f"print('[{number}]'); shell.run_cell({source!r})\n" for number, source in enumerate(sources))
    return subprocess.run([sys.executable, "-c", run], check=True, capture_output=True, encoding="utf-8").stdout


def test_commands_of_a_cell_stand_apart_and_the_first_one_at_the_top() -> None:
    assert shown("x = verb('a'); x = verb('b')", "x = verb('c')") == "[0]\n$ some a\n\n$ some b\n[1]\n$ some c\n"


def test_what_a_verb_has_shown_is_not_shown_again_as_the_cells_value() -> None:
    assert "!" not in shown("verb('a')", "x = verb('b')\nx")


def test_it_is_shown_when_another_cell_asks_for_it() -> None:
    assert "'b!'" in shown("x = verb('b')", "x")


def test_other_values_are_shown_as_ever() -> None:
    assert "'other'" in shown("verb('a')\n'other'")


# --- a command's output

HOSTILE = "<script>alert(1)</script>\x1b[2J\x00\r\x08\t\u202e\n" + "x" * 10_000_000


@pytest.mark.parametrize(("out", "err"), [(HOSTILE, ""), ("", HOSTILE)], ids=["out", "err"])
def test_what_a_command_wrote_is_printed_as_text_and_cut_short(capsys: pytest.CaptureFixture[str], out: str, err: str) -> None:
    code = 1 if err else 0
    lesson = SimpleNamespace(
        cluster=None, namespace="n", by_hand=lambda *_: "kubectl", kubectl=lambda *_, **__: Ran(code, out, err)
    )
    notebook = Notebook(cast(Lesson, lesson))
    assert notebook.inside("pod2", "cat page", fails=bool(err)) == HOSTILE, "cells may ask for all of it"
    printed = capsys.readouterr().out
    assert "<script>alert(1)</script>�[2J���\t�\nxxx" in printed
    assert len(printed) < 21_000 and f"{len(HOSTILE)} characters" in printed


def test_what_a_failed_command_wrote_is_cut_short_in_the_error_too() -> None:
    lesson = SimpleNamespace(
        cluster=None, namespace="n", by_hand=lambda *_: "kubectl", kubectl=lambda *_, **__: Ran(1, "", HOSTILE)
    )
    with pytest.raises(WrongOutcome) as raised:
        Notebook(cast(Lesson, lesson)).inside("pod2", "cat page")
    assert len(str(raised.value)) < 21_000 and "\x1b" not in str(raised.value)
