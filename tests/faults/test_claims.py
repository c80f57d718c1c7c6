"""Learners who take a name for their cluster at the same moment, on a real container engine. No cluster is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs.providers import claims, kind

NAME = "ports-test-claims"

pytestmark = pytest.mark.skipif(not kind.available().yes, reason=f"kind cannot run here: {kind.available().why}")

TAKES = """
import socket, sys
from labs.providers import claims
socket.gethostname = lambda: sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
print(claims.take(claims.candidates(sys.argv[2], "other"), lambda line: None))
"""


def test_of_learners_who_take_a_name_at_the_same_moment_one_gets_it(tmp_path: Path) -> None:
    """Processes of four accounts; each gets a name of its own."""
    name = f"{NAME}-race"
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKES, f"machine-{number}", name],
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"LABS_HOME": str(tmp_path / str(number))},
        )
        for number in range(4)
    ]
    for taker in takers:
        assert taker.stdout is not None and taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("now\n")
        taker.stdin.flush()
    try:
        taken = [taker.communicate(timeout=60)[0].strip() for taker in takers]
    finally:
        for one in claims.candidates(name, "other"):
            claims.release(one)
    assert sorted(taken) == [name, f"{name}-other", f"{name}-other-2", f"{name}-other-3"]
