"""Break and mend: an exercise's broken state is made on a cluster, and what the learner did is graded by traffic and rules.

exercise: what an exercise is, as data. breaking: makes its state. looking: reads the namespace and asks. judging: grades; it
only computes. verdict: what a learner reads. turn: one beginning of an exercise. The exercises are in labs/exercises.
"""

from labs.checks.exercise import Awaited, Exercise, Goal, Needs, Step
from labs.checks.turn import Turn, begin, namespace_of
from labs.checks.verdict import Finding, Outcome, Verdict

__all__ = ["Awaited", "Exercise", "Finding", "Goal", "Needs", "Outcome", "Step", "Turn", "Verdict", "begin", "namespace_of"]
