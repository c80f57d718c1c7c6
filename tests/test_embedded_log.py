"""The log of the cluster's process is kept short, and what crashes write is in it, too."""

import subprocess
import sys
from pathlib import Path

import pytest

from labs.embedded import server_log

ROOT = Path(__file__).resolve().parents[1]


def test_a_file_that_is_too_large_keeps_its_newest_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "MOST", 1000)
    monkeypatch.setattr(server_log, "KEPT", 100)
    path = tmp_path / "log"
    with path.open("ab") as file:
        file.write(b"".join(b"line %03d\n" % number for number in range(111)))
        file.flush()
        server_log.shorten(file.fileno())
        assert path.stat().st_size == 999, "it is not too large yet"
        file.write(b"line 111\n")
        file.flush()
        server_log.shorten(file.fileno())
        file.write(b"and on\n")
    lines = path.read_text("ascii").splitlines()
    assert lines[0].startswith("(What was written before this")
    assert lines[1:] == [*(f"line {number:03d}" for number in range(101, 112)), "and on"]


_WRITES = """
import logging, os, sys
from labs.embedded import server_log
server_log.MOST, server_log.KEPT = 20_000, 5_000
server_log.begin()
other = os.dup(2)  # as a process that was started before, and has no logging
for number in range(2000):
    logging.getLogger("a").warning("line %d", number)
    os.write(other, b"another's %d\\n" % number)
raise RuntimeError("the last words")
"""


def test_whoever_writes_to_stderr_is_in_it_and_it_stays_small(tmp_path: Path) -> None:
    """The file is opened for writing alone, as launch.py does, and begins with something that is not logging's."""
    path = tmp_path / "log"
    with path.open("wb") as log:
        log.write(b"before\n")
        log.flush()
        subprocess.run([sys.executable, "-c", _WRITES], stdout=log, stderr=log, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    lines = path.read_text("utf-8").splitlines()
    assert path.stat().st_size < 21_000
    assert lines[-1] == "RuntimeError: the last words"
    told = [line for line in lines if line.endswith(" a: line 1999") or line == "another's 1999"]
    assert len(told) == 2
    assert [line for line in lines if line.startswith("another's ")] == [
        f"another's {number}" for number in range(2000 - sum(line.startswith("another's ") for line in lines), 2000)
    ], "none is lost after the cut, and none is written over"
