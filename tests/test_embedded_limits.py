"""How many files and processes the embedded cluster takes: what it wants, or what it may have."""

import os
import resource
import subprocess
import sys

import pytest

from labs.embedded import limits


@pytest.mark.parametrize(("hard", "most"), [(128, 96), (600, 450), (4096, 512), (resource.RLIM_INFINITY, 512)])
def test_pods_leave_some_processes_to_the_cluster(hard: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (50, hard))
    assert limits.processes_of_pods() == most


@pytest.mark.parametrize(("hard", "allowed"), [(256, 256), (4096, 1024), (resource.RLIM_INFINITY, 1024)])
def test_a_limit_is_never_raised(hard: int, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit, the kernel's number for that is no small one."""
    told: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (50, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: told.append((kind, pair)))
    limits.lower(resource.RLIMIT_NOFILE, 1024)
    limits.take_all(resource.RLIMIT_NPROC)
    assert told == [(resource.RLIMIT_NOFILE, (allowed, allowed)), (resource.RLIMIT_NPROC, (hard, hard))]


def test_what_there_is_here() -> None:
    """Seen from a process with few files; a user's own processes are counted, and root's are not limited."""
    program = "from labs.embedded import limits; print(limits.here())"
    ran = subprocess.run(
        ["prlimit", "--nofile=200:200", sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("Limits(files=200, ")
    assert limits.here().processes is None or limits.here().running > 0
    assert (limits.here().processes is None) or os.getuid() != 0
