"""What a check found: findings, one a line, and the text that a learner reads. Finds nothing out (judging does)."""

import textwrap
from dataclasses import dataclass
from enum import StrEnum

WIDTH = 110  # columns of text


class Outcome(StrEnum):
    """How a check ended."""

    MENDED = "Mended."
    NOT_YET = "Not yet."
    AGAINST_THE_RULES = "It answers, but not as the task asks."
    GONE = "This exercise is gone."
    NOT_HERE = "This exercise cannot be tried here."
    BUSY = "A check of this exercise is running already."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it holds, and what was seen."""

    ok: bool
    saw: str


@dataclass(frozen=True)
class Verdict:
    """What a check found. notes: what explains it, a paragraph each."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all that the task asks for holds."""
        return self.outcome is Outcome.MENDED

    def __str__(self) -> str:
        lines = [str(self.outcome)]
        for one in self.findings:
            lines += textwrap.wrap(one.saw, WIDTH, initial_indent="  ✓ " if one.ok else "  ✗ ", subsequent_indent="    ")
        for note in self.notes:
            lines += ["", *textwrap.wrap(note, WIDTH, break_long_words=False, break_on_hyphens=False)]
        return "\n".join(lines)
