"""Waits for a condition, with a limit. Does not know what is waited for: the caller looks, and words what came too late."""

import time
from collections.abc import Callable
from typing import TypeVar

from labs.errors import LabError

Wrong = TypeVar("Wrong")


def wait_while(wrong: Callable[[], Wrong], limit: float, late: Callable[[Wrong], LabError], every: float = 0.05) -> None:
    """Returns when `wrong` finds nothing (anything false) any more. It is asked at least once.

    limit, every: in seconds. Past the limit, raises what `late` makes of the last finding.
    """
    end = time.monotonic() + limit
    while found := wrong():
        if time.monotonic() > end:
            raise late(found)
        time.sleep(every)
