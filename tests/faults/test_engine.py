"""What can be wrong with the container engine, or a learner's right to it and to a home. No cluster is made."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import home, providers
from labs.errors import EngineDown, LabError
from labs.providers import engine, kind

pytestmark = pytest.mark.skipif(not kind.available().yes, reason=f"kind cannot run here: {kind.available().why}")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A name and a home of this module's own."""
    monkeypatch.setenv("LABS_NAME", "ports-test-engine")
    monkeypatch.setenv("LABS_CLUSTER", "kind")
    monkeypatch.setenv("LABS_HOME", str(tmp_path_factory.mktemp("home")))


def test_an_engine_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fault: DOCKER_HOST points to a socket that nobody listens on."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    for do in (lambda: providers.up(print), providers.connect, lambda: providers.down(print)):
        with pytest.raises(EngineDown) as told:
            do()
        assert "Start it" in told.value.try_this


def test_an_engine_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a DOCKER_HOST on another address (of this machine, here: a relay), where 127.0.0.1 would be another."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        address = f"tcp://127.0.0.2:{listener.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", address)
        monkeypatch.setattr(engine, "info", lambda: engine.Engine("docker", "1", address, 1, "2", "/"))
        with pytest.raises(EngineDown) as told:
            providers.up(print)
    assert "another machine" in told.value.why
    assert "DOCKER_HOST" in told.value.try_this


def _told_as_nobody(do: Callable[[], object]) -> str:
    """The error that an ordinary user gets: `do` in a forked process that has become nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user to try this")

    def become_and_do(answer: object) -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            do()
            answer.send("no error")  # type: ignore[attr-defined]
        except LabError as error:
            answer.send(f"{type(error).__name__}: {error}")  # type: ignore[attr-defined]

    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=become_and_do, args=(there,))
    child.start()
    assert here.poll(30), "no answer"
    told = str(here.recv())
    child.join(10)
    return told


def test_no_permission_for_the_engine() -> None:
    """Fault: an ordinary user who is not in the socket's group."""
    told = _told_as_nobody(engine.info)
    assert told.startswith("EngineDown: This user may not use the container engine.")
    assert "usermod" in told


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: an ordinary user, whose home belongs to somebody else."""
    told = _told_as_nobody(home.state)
    assert "cannot keep its files" in told
    assert "Set LABS_HOME" in told
