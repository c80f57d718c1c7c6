"""An embedded cluster of a test's own, by its API: the client, and how a test waits for a Pod and asks in it."""

import base64
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config
from kubernetes.stream import stream

from labs.embedded.launch import Running

LIMIT = 30.0  # seconds


def client_of(running: Running) -> Any:
    """Its API."""
    authority = base64.b64encode(running.authority.encode()).decode()
    settings = {
        "current-context": "x",
        "clusters": [
            {"name": "x", "cluster": {"server": f"https://127.0.0.1:{running.api}", "certificate-authority-data": authority}}
        ],
        "users": [{"name": "x", "user": {"token": running.token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    return client.CoreV1Api(config.new_client_from_config_dict(settings, persist_config=False))


def until(read: Callable[[], Any], true: Callable[[Any], bool]) -> Any:
    """The Pod, when it is so."""
    end = time.monotonic() + LIMIT
    while not true(pod := read()):
        assert time.monotonic() < end, pod.status
        time.sleep(0.02)
    return pod


def phase(*wanted: str) -> Callable[[Any], bool]:
    """Whether a Pod is in one of these phases."""
    return lambda pod: pod.status.phase in wanted


def executor(core: Any) -> Any:
    """An API whose client is used for execs alone: they swap its `request` method."""
    return client.CoreV1Api(client.ApiClient(core.api_client.configuration))


def run(core: Any, name: str, *command: str) -> str:
    """What a command says in a Pod. core: an `executor`."""
    return str(stream(core.connect_get_namespaced_pod_exec, name, "default", command=list(command), stdout=True, stderr=True))
