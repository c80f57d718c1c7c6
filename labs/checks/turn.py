"""One beginning of an exercise: broken, checked, helped with hints, solved. The learner's progress is told from here.

Prints nothing (labs.practice does) and grades nothing by itself (judging does).
"""

import json
import os
import threading
import uuid
from collections.abc import Iterable
from typing import Any

import yaml

from labs import explain, progress
from labs.checks import breaking, judging, looking
from labs.checks.exercise import Exercise, Step
from labs.checks.judging import Seen
from labs.checks.verdict import Finding, Outcome, Verdict
from labs.deploy import Lesson
from labs.errors import LabError
from labs.explain.diagnose import diagnose
from labs.explain.facts import Facts
from labs.versions import workload_image


class Turn:
    """An exercise on a cluster, from the moment when it is broken; made by `begin`.

    exercise: what it is. lesson: its place on the cluster. why_not: why this cluster cannot show it, and so nothing was
    broken; or "". trouble: why progress could not be kept, the last time; or "".
    """

    def __init__(self, exercise: Exercise, lesson: Lesson, begun: str, before: Seen, why_not: str = "") -> None:
        self.exercise = exercise
        self.lesson = lesson
        self.why_not = why_not
        self.trouble = ""
        self._begun = begun
        self._before = before
        self._hints = 0
        self._checking = threading.Lock()

    # --- checked

    def check(self) -> Verdict:
        """Grades what is there now, by traffic and by the rules. Changes nothing, and can be asked again and again.

        Raises the LabError of a fault that is no learner's (the cluster gone, Docker stopped).
        """
        if self.why_not:
            return Verdict(Outcome.NOT_HERE, notes=(f"{self.why_not[0].upper()}{self.why_not[1:]}.",))
        if not self._checking.acquire(blocking=False):
            return Verdict(Outcome.BUSY, notes=("Wait for its answer; nothing was checked a second time.",))
        try:
            verdict = self._checked()
        finally:
            self._checking.release()
        self.told(did="check", passed=verdict.passed)
        return verdict

    def _checked(self) -> Verdict:
        why = self._gone()
        if why:
            return self._is_gone(why)
        try:
            answers, found = looking.asked(self.lesson, self.exercise)
            now = looking.seen(self.lesson, found.values())
        except LabError:
            why = self._gone()  # deleted while it was looked at: that is the learner's doing, and an answer
            if why:
                return self._is_gone(why)
            raise
        traffic, rules = judging.judged(self.exercise, self._before, now, answers, workload_image())
        return verdict_of(self.exercise, traffic, rules, explained(self.exercise, found, traffic, self._before, now))

    def _gone(self) -> str:
        now = looking.seen(self.lesson)
        return judging.gone(self.exercise, self._before, now, self._begun, looking.phase_and_uid(self.lesson)[0])

    def _is_gone(self, why: str) -> Verdict:
        return Verdict(Outcome.GONE, notes=(f"{why} {self.again} begins it anew.",))

    @property
    def again(self) -> str:
        """What to type to begin it anew."""
        seed = self.exercise.name.removeprefix("surprise-")
        return f"`labs.surprise(seed={seed})`" if seed.isdigit() else f'`labs.exercise("{self.exercise.name}")`'

    # --- helped

    def hint(self) -> str:
        """The next hint; after the last one, that there is none."""
        hints = self.exercise.hints
        self.told(did="hint")
        if self._hints == len(hints):
            return f"That were all {len(hints)} hints. `solution()` shows one way to mend it."
        self._hints += 1
        return f"Hint {self._hints} of {len(hints)}: {hints[self._hints - 1]}"

    def solution(self) -> str:
        """One way to mend it, as commands that can be pasted into a terminal of the course."""
        self.told(did="solution")
        return "\n".join(typed(self.lesson, step) for step in self.exercise.solution)

    def told(self, **result: Any) -> None:
        """Notes in the learner's progress what was done. Where that cannot be kept, the exercise goes on without."""
        try:
            progress.record("exercise", self.exercise.name, result)
            self.trouble = ""
        except LabError as error:
            self.trouble = f"{error.what} {error.why}"


def begin(exercise: Exercise, lesson: Lesson) -> Turn:
    """Breaks the exercise in the lesson's namespace, whatever was there before; nothing, where this cluster cannot show it."""
    why = breaking.why_not(lesson.cluster, exercise, os.environ.get("LABS_OPEN_NODE_PORT") == "yes")
    if why:
        return Turn(exercise, lesson, "", Seen({}, {}), why)
    begun = uuid.uuid4().hex[:12]
    breaking.break_it(lesson, exercise, begun)
    found = looking.gathered(lesson, exercise) if exercise.kept_pods else {}
    turn = Turn(exercise, lesson, begun, looking.seen(lesson, found.values()))
    turn.told(did="break")
    return turn


def namespace_of(exercise: Exercise) -> str:
    """The name of the exercise's lesson, and so of its namespace where it has one of its own."""
    return "exercise-surprise" if exercise.name.startswith("surprise-") else f"exercise-{exercise.name}"


def verdict_of(exercise: Exercise, traffic: list[Finding], rules: list[Finding], notes: Iterable[str]) -> Verdict:
    """What the findings come to."""
    findings = (*traffic, *rules)
    if all(one.ok for one in findings):
        return Verdict(Outcome.MENDED, findings, (exercise.moral,))
    outcome = Outcome.AGAINST_THE_RULES if all(one.ok for one in traffic) else Outcome.NOT_YET
    return Verdict(outcome, findings, tuple(note for note in notes if note))


def explained(exercise: Exercise, found: dict[str, Facts], traffic: list[Finding], before: Seen, now: Seen) -> list[str]:
    """What explains a failed check: where the first goal's request stops and why, and a patch that added a port."""
    if all(one.ok for one in traffic):
        return []
    notes = []
    for goal in exercise.goals:
        told = diagnose(found[goal.service], goal.port)
        if told.stops_at is not None:
            notes.append(_where(told))
    return [*dict.fromkeys(notes), judging.joined_ports(before, now)]


def _where(told: explain.Explanation) -> str:
    assert told.stops_at is not None
    return f"A request stops at “{told.stops_at.name}”. {told.why}"


def typed(lesson: Lesson, step: Step) -> str:
    """A step of a solution as it is typed in a terminal of the course."""
    command = lesson.by_hand(*step.arguments)
    if step.manifest is None:
        return command
    fitted = breaking.placed(lesson.fitted(step.manifest), lesson)
    body = yaml.safe_dump(json.loads(json.dumps(fitted)), sort_keys=False).strip()  # by way of JSON: no anchors
    return f"{command} <<'EOF'\n{body}\nEOF"
