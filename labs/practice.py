"""What `labs.exercise` and `labs.surprise` give: a lesson's verbs, with check, hint and solution for the exercise under way.

Prints. Does not grade (checks does) or know any exercise (exercises does).
"""

from labs import checks, exercises, progress
from labs.cells import Cells
from labs.checks import Turn, Verdict
from labs.deploy import Lesson, Manifest
from labs.notebook import Notebook, WrongOutcome, connect

_cells = Cells(Verdict)


class Practice(Notebook):
    """An exercise under way, with all verbs of a lesson in its namespace (kubectl, apply, curl, matrix, explain, …)."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn.lesson)
        self.turn = turn
        self.name = turn.exercise.name

    def kubectl(self, line: str, fails: bool = False, until: str = "", limit: float = 60.0) -> str:
        """As in a lesson; but where kubectl fails, its words are the answer: a slip is the learner's, and no fault."""
        try:
            return super().kubectl(line, fails, until, limit)
        except WrongOutcome as wrong:
            if fails:
                raise
            return _cells.told(wrong.why)

    def apply(self, source: str | Manifest, refused: bool = False, wait: bool = True) -> None:
        """As in a lesson; but where the API server refuses, its words, which are printed, are the answer."""
        try:
            super().apply(source, refused, wait)
        except WrongOutcome:
            if refused:
                raise

    def check(self) -> Verdict:
        """Grades what is there now and prints what it saw. Changes nothing; ask as often as you like."""
        verdict = self.turn.check()
        _cells.part(str(verdict))
        self._trouble()
        return _cells.told(verdict)

    def hint(self) -> None:
        """Prints the next hint."""
        _cells.part(self.turn.hint())
        self._trouble()

    def solution(self) -> None:
        """Prints one way to mend it, as commands for a terminal of the course. Runs nothing."""
        _cells.part(self.turn.solution())
        self._trouble()

    def _trouble(self) -> None:
        if self.turn.trouble:
            print(f"(Your progress was not kept: {self.turn.trouble})")

    def __repr__(self) -> str:
        return f"<exercise {self.name} in namespace {self.namespace}>"


def exercise(name: str = "") -> Practice | None:
    """Breaks the exercise of that name in a namespace of its own, and tells its story.

    Without a name: prints all exercises, by lesson, and which of them you have mended, and gives None.
    """
    if name:
        return _begun(exercises.find(name))
    _cells.part(exercises.listing(_mended()))
    return None


def surprise(seed: int | None = None) -> Practice:
    """An exercise drawn at random: seeds 0–9 have one fault, 10–19 two, from 20 on three; the same seed, the same faults.

    None: the first that you have not mended yet.
    """
    return _begun(exercises.surprise(_next() if seed is None else seed))


def _next() -> int:
    mended, seed = _mended(), 0
    while f"surprise-{seed}" in mended:
        seed += 1
    return seed


def _mended() -> set[str]:
    return {one.name for one in progress.read() if one.kind == "exercise" and one.result.get("passed")}


def _begun(one: checks.Exercise) -> Practice:
    turn = checks.begin(one, Lesson(connect(), checks.namespace_of(one)))
    told = [
        *one.story,
        "",
        f"Your task: {one.task}",
        f"(Namespace {turn.lesson.namespace}; `check()`, `hint()`, `solution()`.)",
    ]
    if turn.why_not:
        told = [f"The exercise {one.name} cannot be tried here: {turn.why_not}. `labs.exercise()` lists the others."]
    elif one.mode:
        told.insert(2, one.mode)
    _cells.part("\n".join(told))
    practice = Practice(turn)
    practice._trouble()
    return practice
