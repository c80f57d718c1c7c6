"""What every part of the figures needs: a row of the table, the clock, a share of many values. Measures nothing by itself."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Row = tuple[str, str, str]  # what, measured, aim
Part = Callable[[int], list[Row]]  # given: how often a knob is to be turned, or the like


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def spread(values: Sequence[float]) -> str:
    """Median, 95th percentile and the worst, in seconds."""
    return (
        f"median {statistics.median(values):.2f} s, p95 {quantile(values, 0.95):.2f} s, max {max(values):.2f} s ({len(values)})"
    )


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    """Appends the seconds that the block took."""
    start = time.monotonic()
    yield
    into.append(time.monotonic() - start)
