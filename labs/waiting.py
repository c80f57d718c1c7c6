"""Waits for a condition, with a limit. Does not know what is waited for: the caller looks, and words what came too late.

Also how long a command that must end soon waits for somebody who is silent.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from labs.errors import LabError

Wrong = TypeVar("Wrong")


_limits = [math.inf]  # seconds of silence, of the blocks under way


@contextmanager
def impatient(silence: float) -> Iterator[None]:
    """For the block, in all threads, nobody who is asked is waited for longer than `silence` seconds at a time."""
    _limits.append(silence)
    try:
        yield
    finally:
        _limits.remove(silence)


def at_most(limit: float) -> float:
    """The seconds to wait for an answer: the limit, or less where a command is impatient."""
    return min(limit, *_limits)


def wait_while(
    wrong: Callable[[], Wrong],
    limit: float,
    late: Callable[[Wrong], LabError],
    every: float = 0.05,
    unchanged: float = math.inf,
) -> None:
    """Returns when `wrong` finds nothing (anything false) any more. It is asked at least once.

    limit, every: in seconds. Past the limit, or when the finding has been the same for `unchanged` seconds, raises what
    `late` makes of it.
    """
    end = time.monotonic() + limit
    last, since = None, time.monotonic()
    while found := wrong():
        now = time.monotonic()
        if found != last:
            last, since = found, now
        if now > end or now - since > unchanged:
            raise late(found)
        time.sleep(every)
