"""What the cell that runs has shown so far: so that commands stand apart, and no answer is shown twice.

Knows Jupyter, and nothing of lessons; outside of Jupyter everything counts as one cell. Also: what of a command's output can
be printed, whoever wrote it.
"""

from typing import Any, TypeVar

from IPython.core.getipython import get_ipython

Value = TypeVar("Value")
LONGEST = 20_000  # characters of a command's output; the rest is cut


class Cells:
    """The cells of this kernel, one after the other. kinds: the types of the values that verbs show and return."""

    def __init__(self, *kinds: type) -> None:
        self._has_part = False  # a command with its output, or something else that stands apart
        self._told: object = None
        shell: Any = get_ipython()
        if shell is None:
            return
        shell.events.register("pre_run_cell", self._begin)  # and not by execution_count, which nbval keeps still
        for kind in kinds:
            shell.display_formatter.ipython_display_formatter.for_type(kind, self._display)

    def command(self, typed: str) -> None:
        """Prints a command as it is typed, with an empty line before it where it is not the cell's first."""
        self.part(f"$ {typed}")

    def part(self, text: str) -> None:
        """Prints what stands apart from what the cell has shown before."""
        print(f"\n{text}" if self._has_part else text)
        self._has_part = True

    def told(self, value: Value) -> Value:
        """The value, noted as shown: Jupyter leaves it out where it is the last thing in this very cell."""
        self._told = value
        return value

    def _begin(self, *_: object) -> None:
        self._has_part, self._told = False, None

    def _display(self, value: object) -> None:
        if value is not self._told:
            raise NotImplementedError  # to IPython: display it as usual


def printable(output: str) -> str:
    """A command's output as it is printed: a page from a Pod may be 10 MB long, or hold what moves a terminal's cursor."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in output[:LONGEST])
    return kept if len(output) <= LONGEST else f"{kept}\n… ({len(output)} characters, cut here)"
