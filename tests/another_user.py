"""Somebody else on this machine, whom only root can become: stands for other people's accounts in tests."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to try this")


def as_nobody(do: Callable[[], object]) -> str:
    """What became of `do` in a forked process that has become nobody: "" or the exception, by its type and words."""

    def become_and_do() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            do()
            there.send("")
        except BaseException as error:
            there.send(f"{type(error).__name__}: {error}")

    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=become_and_do)
    child.start()
    assert here.poll(30), "no answer"
    told = str(here.recv())
    child.join(10)
    return told


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder of ours that everybody may look into; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
