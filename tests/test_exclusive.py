"""labs.providers.exclusive: the second `up` waits for the first and says so, and does not wait for ever."""

from pathlib import Path

import pytest
from filelock import FileLock

from labs import home
from labs.errors import NotInTime
from labs.providers.exclusive import alone


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))


def test_alone_it_says_nothing_and_frees_the_lock() -> None:
    said: list[str] = []
    for _ in range(2):
        with alone(said.append, 0.1):
            pass
    assert said == []


def test_the_second_says_that_it_waits_and_gives_up_in_words() -> None:
    said: list[str] = []
    held = FileLock(home.state() / f"{home.cluster_name()}.lock")
    with held, pytest.raises(NotInTime, match="still at work"), alone(said.append, 0.05):
        pytest.fail("two at once")
    assert "waiting for it" in said[0]
