"""Commands that end soon whatever is behind them: an API server that accepts and says nothing, an engine that does not answer.

Stand-ins: a socket of 127.0.0.1 that nobody reads from, and a program `docker` that sleeps. A cluster whose own process is
stopped is in test_embedded_repair.py.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3.exceptions
from kubernetes import client as kubernetes_client

from labs import __main__ as commands
from labs import home, tools, waiting
from labs.cluster import LimitedClient
from labs.embedded import launch, processes
from labs.providers import embedded
from labs.providers.context import kubeconfig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it needs Linux' /proc")
LIMIT = 0.3  # seconds, instead of SILENCE


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    monkeypatch.setenv("LABS_NAME", "silent")
    monkeypatch.delenv("LABS_NAMESPACE", raising=False)
    monkeypatch.setattr(commands, "SILENCE", LIMIT)


@pytest.fixture
def port() -> Iterator[int]:
    """Of a listener that takes every connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield listening.getsockname()[1]


def run(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = commands.main([command])
    told = capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize("command", ["status", "reset"])
def test_the_embedded_clusters_api_is_silent(
    command: str, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABS_CLUSTER", "embedded")
    own = os.getpid()
    holders = dict.fromkeys(("machine", "silent-control-plane", "silent-worker"), own)
    running = launch.Running("silent", own, processes.begun(own), port, "172.30.0.0/24", {}, holders, "secret", "none")
    launch.keep(embedded._files(), running)
    monkeypatch.setattr(embedded, "_kubeconfig_fault", lambda _: "")  # it leads to the listener, which speaks no TLS
    home.kubeconfig().write_text(_kubeconfig(port), "utf-8")
    assert run(command, capsys) == (
        1,
        "The API server of cluster silent does not answer.\n  why: Its process runs; the machine is very busy.\n"
        "  try: Wait a little and run the cell again; then `python -m labs down` and `python -m labs up`.\n",
    )


@pytest.mark.parametrize("command", ["status", "reset", "env"])
def test_a_borrowed_clusters_api_is_silent(
    command: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """kubectl, which is asked why, gets less time than its caller gives it."""
    kubectl = _program(tmp_path / "kubectl", 'echo "Unable to connect: $*" >&2; exit 1')
    monkeypatch.setattr(tools, "find", lambda *_: kubectl)
    monkeypatch.setenv("LABS_CLUSTER", "context:silent")
    monkeypatch.setattr(commands, "SILENCE", 2.0)  # of which kubectl gets whole seconds
    kubeconfig.write_own(kubeconfig.own_path("silent"), json.loads(_kubeconfig(port)))
    code, told = run(command, capsys)
    assert (code, told.splitlines()[0]) == (1, "The API server of context silent does not answer."), told
    assert "--request-timeout=1s" in told


@pytest.mark.parametrize("command", ["status", "reset", "env", "doctor"])
def test_the_engine_is_silent(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _program(tmp_path / "docker", "exec sleep 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("LABS_CLUSTER", "kind")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    code, told = run(command, capsys)
    assert code == 1 or command == "doctor"
    assert "did not answer within 0 s." in told
    assert "The container engine is stuck or very busy." in told


def test_only_while_a_command_is_impatient() -> None:
    assert waiting.at_most(20.0) == 20.0
    with waiting.impatient(4.0):
        assert (waiting.at_most(20.0), waiting.at_most(3.0)) == (4.0, 3.0)
        with waiting.impatient(2.0):
            assert waiting.at_most(20.0) == 2.0
        assert waiting.at_most(20.0) == 4.0
    assert waiting.at_most(20.0) == 20.0


def test_every_request_has_a_limit_even_where_it_names_none(port: int) -> None:
    configuration = kubernetes_client.Configuration()
    configuration.host, configuration.retries = f"http://127.0.0.1:{port}", False
    core = kubernetes_client.CoreV1Api(LimitedClient(configuration))
    with waiting.impatient(LIMIT), pytest.raises(urllib3.exceptions.ReadTimeoutError, match=r"read timeout=0\.3"):
        core.list_node()
    with waiting.impatient(LIMIT), pytest.raises(urllib3.exceptions.ReadTimeoutError, match=r"read timeout=0\.0"):
        core.list_node(_request_timeout=0.09)


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    path.chmod(0o755)
    return path


def _kubeconfig(port: int) -> str:
    name = "silent"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": name, "user": {"token": "secret"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "lessons"}}],
            "current-context": name,
        }
    )
