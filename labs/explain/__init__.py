"""Explains a Service: goes hop by hop, names the first that fails, why, and each change that would mend it.

look gathers facts from the cluster, diagnose judges them (it only computes), hops and page say it. Mends nothing by itself.
"""

from collections.abc import Iterable

from labs import probe
from labs.deploy import Lesson
from labs.explain.diagnose import diagnose
from labs.explain.hops import Explanation, Hop, Mend, State
from labs.explain.look import gather
from labs.explain.page import html

__all__ = ["Explanation", "Hop", "Mend", "State", "explain", "html"]


def explain(
    lesson: Lesson, service: str, answers: Iterable[probe.Answer] | None = None, port: int | None = None
) -> Explanation:
    """Where a request to a Service stops.

    answers: those of the matrix (`probe.ask(lesson, probe.questions(lesson, service))`) where the caller has them already;
    None: they are asked for now. port: the Service's port in question; None: the first that fails, else the first.
    Raises the LabError of a fault that is no learner's (the cluster gone, Docker stopped).
    """
    heard = _ask(lesson, service) if answers is None else answers
    return diagnose(gather(lesson, service, heard), port)


def _ask(lesson: Lesson, service: str) -> list[probe.Answer]:
    """The answers of the matrix; none where there is no such Service."""
    if lesson.read("Service", service) is None:
        return []
    return probe.ask(lesson, probe.questions(lesson, service))
