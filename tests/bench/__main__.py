"""The figures: `make bench`. Measures each part and prints a table beside what was aimed at.

Judges nothing: a figure that misses its aim is printed as it is. Absolute seconds are this machine's, and its load's, which
stands below the table; quote the ratios.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pandas

from tests.bench import embedded, fresh, kind
from tests.bench.common import Part, Row


class Group(Protocol):
    """A module with parts that are measured on one cluster."""

    PARTS: dict[str, Part]

    def lacking(self) -> str:
        """Why nothing can be measured here; "" where it can."""

    def cluster(self, parts: Sequence[str], keep: bool) -> AbstractContextManager[None]:
        """The cluster that these parts are measured on. keep: leave it up afterwards."""


GROUPS: tuple[Group, ...] = (kind, embedded, fresh)


def chosen(group: Group, words: Sequence[str]) -> list[str]:
    """The group's parts that are asked for: by name, or by a name's first word; all of them where no word is given."""
    return [name for name in group.PARTS if not words or name in words or name.split()[0] in words]


def main() -> None:
    every = [name for group in GROUPS for name in group.PARTS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="how often a knob is turned")
    parser.add_argument("parts", nargs="*", help=f"of: {', '.join(every)} (all of them, if none is named)")
    parser.add_argument("--keep", action="store_true", help="leave the clusters up afterwards")
    options = parser.parse_args()
    unknown = set(options.parts) - {*every, *[name.split()[0] for name in every]}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    before = _load()
    for group in GROUPS:
        rows += measured(group, chosen(group, options.parts), options.turns, options.keep)
    if not rows:
        sys.exit("Nothing could be measured here.")
    print(table(rows))
    print(f"{os.cpu_count()} processors. Load average when it began: {before}, at its end: {_load()}.")


def _load() -> str:
    """How many processes wanted a processor, over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def measured(group: Group, parts: Sequence[str], turns: int, keep: bool) -> list[Row]:
    """Measures these parts of a group, and prints each row when it is known."""
    problem = group.lacking() if parts else ""
    if problem:
        print(f"{', '.join(parts)}: nothing to measure on. {problem}", file=sys.stderr)
    if problem or not parts:
        return []
    rows: list[Row] = []
    with group.cluster(parts, keep):
        for part in parts:
            for row in group.PARTS[part](turns):
                rows.append(row)
                print("  ".join(one for one in row if one), flush=True)
    return rows


def table(rows: Sequence[Row]) -> str:
    """All rows, one below the other."""
    return pandas.DataFrame(rows, columns=["what", "measured", "aim"]).to_string(index=False, justify="left")


if __name__ == "__main__":
    main()
