"""Fifty embedded clusters up at once on this machine, and how long a knob takes in one of them. Ends all of them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench.common import Row, spread
from tests.bench.knobs import turned
from tests.run import ROOT

COUNT = 50
_AT_ONCE = 4  # `up` or `down` side by side
_NAME = "ports-bench-many"


def bench(turns: int) -> list[Row]:
    """Brings them up, turns a Service knob in the last one, and ends them."""
    names = [f"{_NAME}-{number}" for number in range(COUNT)]
    before = _available()
    start = time.monotonic()
    name = os.environ["LABS_NAME"]
    try:
        _each("up", names)
        taken = time.monotonic() - start
        room = before - _available()
        os.environ["LABS_NAME"] = names[-1]
        service = turned(turns, 0).service
    finally:
        os.environ["LABS_NAME"] = name
        _each("down", names)
    return [
        (f"embedded: {COUNT} clusters up", f"{taken:.0f} s, {_AT_ONCE} at a time; {room / 1e9:.1f} GB of memory", ""),
        (f"embedded: Service knob in one of {COUNT} clusters", spread(service), "at most 2 s"),
    ]


def _each(command: str, names: Sequence[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ended = list(pool.map(lambda name: _labs(command, name), names))
    failed = [words for words in ended if words]
    assert not failed, failed[0]


def _labs(command: str, name: str) -> str:
    """What it says where it fails."""
    environment = os.environ | {"LABS_NAME": name}
    done = subprocess.run(
        [sys.executable, "-m", "labs", command], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8"
    )
    return "" if done.returncode == 0 else f"{command} {name}: {done.stderr or done.stdout}"


def _available() -> int:
    """Bytes of memory that are free for programs (MemAvailable, proc_meminfo(5))."""
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024
