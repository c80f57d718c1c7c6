"""Shells that stay open, tried with a real `sh` of this machine: what a command leaves, and what becomes of a lost one."""

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from labs import shells
from labs.errors import LabError
from labs.shells import Late, LocalSession, Lost, Shells
from labs.waiting import wait_while

LIMIT = 30.0  # seconds for what takes none


class Opener:
    """Opens local shells, and keeps them in sight."""

    def __init__(self) -> None:
        self.made: list[LocalSession] = []

    def __call__(self) -> LocalSession:
        self.made.append(LocalSession(["sh"]))
        return self.made[-1]


@pytest.fixture
def opener() -> Iterator[Opener]:
    made = Opener()
    yield made
    for session in made.made:
        session.close(timeout=0)


@pytest.fixture
def some() -> Shells:
    return Shells()


def test_a_command_leaves_its_code_and_what_it_wrote_apart(some: Shells, opener: Opener) -> None:
    assert some.run("here", opener, ["sh", "-c", "echo out; echo err >&2; exit 3"], LIMIT) == (3, "out\n", "err\n")
    assert some.run("here", opener, ["true"], LIMIT) == (0, "", ""), "nothing of the one before"
    assert some.run("here", opener, ["no-such-program"], LIMIT)[0] == 127
    assert len(opener.made) == 1, "one shell for all of them"


@pytest.mark.parametrize("word", ["two words", "it's $HOME `id`", "line\nline", "Grüße \x1b[0m", "\x1e 0\x1e", ""])
def test_words_reach_the_command_as_they_are(some: Shells, opener: Opener, word: str) -> None:
    assert some.run("here", opener, ["printf", "%s", word], LIMIT) == (0, word, "")


def test_a_command_has_nothing_to_read_and_changes_nothing_for_the_next(some: Shells, opener: Opener) -> None:
    assert some.run("here", opener, ["cat"], LIMIT) == (0, "", "")
    some.run("here", opener, ["exit", "5"], LIMIT)
    some.run("here", opener, ["cd", "/"], LIMIT)
    assert some.run("here", opener, ["pwd"], LIMIT)[1] != "/\n"
    assert len(opener.made) == 1


def test_much_on_both_ways_out_is_read_whole(some: Shells, opener: Opener) -> None:
    both = "head -c 300000 /dev/zero | tr '\\0' o; head -c 300000 /dev/zero | tr '\\0' e >&2"
    assert some.run("here", opener, ["sh", "-c", both], LIMIT) == (0, "o" * 300_000, "e" * 300_000)


class TakesInMore:
    """A session as the Python client's: to read one stream, of which nothing is there, takes in what has come for both."""

    def __init__(self) -> None:
        self._coming: dict[str, str] = {}
        self._here: dict[str, str] = {}

    def is_open(self) -> bool:
        return True

    def write_stdin(self, data: str) -> None:
        (mark,) = set(re.findall(r"[0-9a-f]{16}", data))
        self._coming = {"out": f"found\x1e{mark} 0\x1e", "err": f"\x1e{mark}\x1e"}

    def update(self, timeout: float) -> None:
        assert timeout < 1, "it would wait for what is here already"

    def read_stdout(self, timeout: float) -> str:
        return self._here.pop("out", "")

    def read_stderr(self, timeout: float) -> str:
        self._here, self._coming = self._here | self._coming, {}
        return self._here.pop("err", "")

    def read_all(self) -> str:
        return ""

    def close(self, *, timeout: float) -> None:
        pass


def test_what_comes_while_the_other_stream_is_read_is_not_waited_for(some: Shells) -> None:
    assert some.run("here", TakesInMore, ["find"], LIMIT) == (0, "found", "")


def test_a_shell_that_has_ended_is_lost_and_the_next_command_gets_another(some: Shells, opener: Opener) -> None:
    some.run("here", opener, ["true"], LIMIT)
    opener.made[0].write_stdin("exit\n")
    with pytest.raises(Lost):
        some.run("here", opener, ["true"], LIMIT)
    assert some.run("here", opener, ["echo", "again"], LIMIT) == (0, "again\n", "")
    assert len(opener.made) == 2


def test_a_shell_that_ends_under_a_command_is_lost(some: Shells, opener: Opener) -> None:
    with pytest.raises(Lost):
        some.run("here", lambda: LocalSession(["sh", "-c", "read line"]), ["sleep", "60"], LIMIT)


def test_a_place_where_no_shell_begins_is_lost(some: Shells) -> None:
    with pytest.raises(Lost):
        some.run("here", lambda: LocalSession(["false"]), ["true"], LIMIT)


def test_a_command_that_takes_too_long_is_late_and_its_shell_is_not_used_again(some: Shells, opener: Opener) -> None:
    with pytest.raises(Late):
        some.run("here", opener, ["sleep", "60"], 0.05)
    assert some.run("here", opener, ["echo", "again"], LIMIT) == (0, "again\n", "")
    assert len(opener.made) == 2


def test_what_cannot_be_opened_is_told_as_it_is(some: Shells) -> None:
    def refused() -> LocalSession:
        raise PermissionError("not you")

    with pytest.raises(PermissionError, match="not you"):
        some.run("here", refused, ["true"], LIMIT)


def test_a_shell_that_was_idle_for_long_or_ran_much_is_replaced(
    some: Shells, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shells, "MOST_RUNS", 2)
    for expected in (1, 1, 2):
        some.run("here", opener, ["true"], LIMIT)
        assert len(opener.made) == expected
    monkeypatch.setattr(shells, "IDLE_LIMIT", 0.0)
    some.run("here", opener, ["true"], LIMIT)
    assert len(opener.made) == 3


def test_two_at_a_time_and_two_places_have_a_shell_each(some: Shells, opener: Opener, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"touch {begun}; until [ -e {go} ]; do sleep 0.01; done; echo waited"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(some.run, "here", opener, ["sh", "-c", waits], LIMIT)
        wait_while(lambda: not begun.exists(), LIMIT, lambda _: LabError("The first did not begin.", "", ""))
        assert some.run("here", opener, ["touch", str(go)], LIMIT) == (0, "", "")
        assert first.result() == (0, "waited\n", "")
    some.run("there", opener, ["true"], LIMIT)
    assert len(opener.made) == 3


OPENS = """
from labs.shells import LocalSession, Shells
shells = Shells()
shells.run("here", lambda: LocalSession(["sh", "-c", "sh; touch {0}"]), ["true"], 30)
"""


def test_a_kernel_that_has_a_shell_open_ends_at_once_and_takes_it_along(tmp_path: Path) -> None:
    """Jupyter kills a kernel that has not ended 2.5 s after it was asked to; ipykernel waits 28 s for a child of its group."""
    ended = tmp_path / "ended"
    kernel, client = start_new_kernel(env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        done = client.execute_interactive(OPENS.format(ended), timeout=LIMIT)
        assert done["content"]["status"] == "ok" and not ended.exists()
        client.shutdown()
        kernel.provisioner.process.wait(20)
        wait_while(lambda: not ended.exists(), LIMIT, lambda _: LabError("The shell was left behind.", "", ""))
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
