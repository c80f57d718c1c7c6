"""The exercises: data, one module a lesson. What they mean, and how they are graded, is in labs/checks.

Each is proved on a cluster by tests/contract/test_exercises.py: red, mended in two ways, green, broken again, red.
"""

import difflib
from collections.abc import Collection

from labs.checks.exercise import Exercise
from labs.errors import BadInput
from labs.exercises import cluster_ip, container_port, node_port, target_port
from labs.exercises.draw import surprise

__all__ = ["ALL", "find", "listing", "surprise"]

_MODULES = (container_port, target_port, cluster_ip, node_port)
ALL: dict[str, Exercise] = {one.name: one for module in _MODULES for one in module.EXERCISES}


def find(name: str) -> Exercise:
    """The exercise of that name. BadInput where there is none, with the names that are like it."""
    if not isinstance(name, str) or name not in ALL:
        close = difflib.get_close_matches(str(name), ALL, n=3)
        meant = f"Did you mean {' or '.join(close)}?" if close else f"There are {len(ALL)}, from {next(iter(ALL))} on."
        raise BadInput(f"There is no exercise called {str(name)[:60]!r}.", meant, "`labs.exercise()` lists them all.")
    return ALL[name]


def listing(mended: Collection[str] = ()) -> str:
    """All exercises, a line each, by lesson: how hard (one dot to five) and the name; which were mended."""
    lines = []
    for module in _MODULES:
        lines += ["", f"Lesson {module.LESSON}"]
        for one in sorted(module.EXERCISES, key=lambda each: each.level):
            lines.append(f"  {'●' * one.level:<5}  {one.name}{' (mended)' if one.name in mended else ''}")
    return "\n".join(lines[1:])
