"""Errors: three lines, in a terminal and in a notebook."""

from IPython.core.interactiveshell import InteractiveShell

from labs.errors import EngineDown


def test_an_error_says_what_why_and_what_to_try() -> None:
    assert str(EngineDown("It stopped.", "Somebody stopped it.", "Start it.")) == (
        "It stopped.\n  why: Somebody stopped it.\n  try: Start it."
    )


def test_jupyter_shows_no_traceback() -> None:
    shell = InteractiveShell()
    shown: list[list[str]] = []
    shell._showtraceback = lambda kind, value, lines: shown.append(lines)  # type: ignore[method-assign]
    shell.run_cell("from labs.errors import EngineDown\nraise EngineDown('It stopped.', 'Somebody stopped it.', 'Start it.')")
    assert shown == [["EngineDown: It stopped.\n  why: Somebody stopped it.\n  try: Start it."]]
