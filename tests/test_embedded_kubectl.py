"""The embedded API as the real kubectl uses it (the one that an embedded cluster takes), against stand-ins for the nodes."""

import asyncio
import base64
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from labs import tools, versions
from labs.providers import embedded as embedded_provider
from tests.embedded_world import TOKEN, World, listener, world

KUBECTL = tools.found_where("kubectl", versions.KUBECTL_OLDEST).path if embedded_provider.has_kubectl() else None
pytestmark = pytest.mark.skipif(not KUBECTL, reason="there is no kubectl that an embedded cluster can be used with")
Kubectl = Callable[..., subprocess.CompletedProcess[str]]
Environment = dict[str, str]
LIMIT = 30.0  # seconds for anything that is waited for
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: p}, ports: [{port: 80, targetPort: 9080}]}
"""


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n", secure=trustme.CA()) as made:
        yield made


@pytest.fixture
def environment(embedded: World, tmp_path: Path) -> Environment:
    """What kubectl is to see: namespace n of that API, and no settings of the user's."""
    authority = base64.b64encode(embedded.ca.cert_pem.bytes()).decode()
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": embedded.base, "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(configuration), encoding="utf-8")
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")}


@pytest.fixture
def kubectl(environment: Environment, tmp_path: Path) -> Kubectl:
    """Runs kubectl; `input` goes to its stdin."""

    def run(*arguments: str, input: str = "", ok: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(KUBECTL), *arguments]
        found = subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=60, cwd=tmp_path, env={**environment, **more}
        )
        assert not ok or found.returncode == 0, found.stderr
        return found

    return run


def test_a_service_from_apply_to_delete(embedded: World, kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", input=SERVICE).stdout == "service/s created\n"
    assert kubectl("apply", "-f", "-", input=SERVICE).stdout == "service/s unchanged\n"
    changed = SERVICE.replace("port: 80", "port: 81")
    assert kubectl("apply", "-f", "-", input=changed).stdout == "service/s configured\n"
    assert json.loads(kubectl("get", "svc", "s", "-o", "jsonpath={.spec.ports}").stdout)[0]["port"] == 81
    kubectl("patch", "svc", "s", "-p", '{"spec":{"type":"NodePort"}}')
    kubectl("label", "svc", "s", "x=y")
    kubectl("annotate", "svc", "s", "x=y")
    row = kubectl("get", "svc", "-o", "wide", "-l", "x=y", "--no-headers").stdout.split()
    assert row[:2] == ["s", "NodePort"] and re.fullmatch(r"81:3\d{4}/TCP", row[4]) and row[6] == "app=p"
    described = kubectl("describe", "svc", "s").stdout
    assert re.search(r"^TargetPort: +9080/TCP$", described, re.MULTILINE)
    kubectl("edit", "svc", "s", EDITOR="sed -i s/9080/9081/")
    assert "9081/TCP" in kubectl("describe", "svc", "s").stdout
    assert "deleted" in kubectl("delete", "svc", "s").stdout
    assert kubectl("get", "svc", "s", ok=False).stderr == 'Error from server (NotFound): services "s" not found\n'


def test_refusals_are_shown_in_the_servers_words(kubectl: Kubectl) -> None:
    wrong = SERVICE.replace("9080", '"9080"')
    said = kubectl("apply", "-f", "-", input=wrong, ok=False).stderr
    assert said == (
        'The Service "s" is invalid: spec.ports[0].targetPort: Invalid value: "9080": must contain at least one letter (a-z)\n'
    )
    unknown = SERVICE.replace("targetPort", "targetport")
    assert "targetport" in kubectl("apply", "-f", "-", input=unknown, ok=False).stderr


def test_what_kubectl_makes_itself(embedded: World, kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "other")
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl("create", "service", "nodeport", "np", "--tcp=80:90")
    kubectl("create", "deployment", "d", "--image=i")
    kubectl("scale", "deployment", "d", "--replicas=3")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("run", "p", "--image=i:1", "--port=80")
    shown = kubectl("get", "cm,svc,deploy,pod", "-o", "name").stdout.split()
    assert shown == ["configmap/c", "service/d", "service/np", "deployment.apps/d", "pod/p"]
    assert kubectl("get", "deploy", "d", "-o", "jsonpath={.spec.replicas}").stdout == "3"
    assert kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"


def test_explain_and_api_resources(kubectl: Kubectl) -> None:
    said = kubectl("explain", "service.spec.ports.nodePort").stdout
    assert "<integer>" in said and "The port on each node" in said
    assert "endpointslices" in kubectl("api-resources", "-o", "name").stdout


def test_wait_and_delete(embedded: World, kubectl: Kubectl) -> None:
    embedded.pod()
    assert "deleted" in kubectl("delete", "pod", "p", "--timeout=20s").stdout
    assert embedded.runtime.stopped == [("p", 30.0)]
    assert "NotFound" in kubectl("get", "pod", "p", ok=False).stderr


def test_logs(embedded: World, kubectl: Kubectl) -> None:
    embedded.pod()
    assert kubectl("logs", "p").stdout.startswith("one\n")


# --- exec, attach and port-forward: by WebSocket where this kubectl can (from 1.29 on), and by SPDY, which all can

STREAMS = ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS")


@pytest.fixture(params=["true", "false"], ids=["WebSocket", "SPDY"])
def streams(request: pytest.FixtureRequest, embedded: World, kubectl: Kubectl, environment: Environment) -> Kubectl:
    """kubectl, and a Pod `p`."""
    embedded.pod()
    environment.update(dict.fromkeys(STREAMS, request.param))
    return kubectl


def test_exec_input_outputs_and_exit_code(streams: Kubectl) -> None:
    found = streams("exec", "-i", "p", "--", "sh", "-c", "read a; echo got $a; echo bad >&2; exit 3", input="words\n", ok=False)
    assert (found.stdout, found.returncode) == ("got words\n", 3)
    assert found.stderr == "bad\ncommand terminated with exit code 3\n"


def test_exec_of_a_megabyte_there_and_back(streams: Kubectl) -> None:
    given = "".join(f"{number:>15}\n" for number in range(1 << 16))
    assert streams("exec", "-i", "p", "--", "cat", input=given).stdout == given
    assert streams("exec", "-i", "p", "--", "head", "-c", "16", input=given).stdout == given[:16]


def test_exec_of_what_is_not_there(streams: Kubectl) -> None:
    missing = streams("exec", "p", "--", "/nowhere", ok=False)
    assert missing.returncode != 0 and 'exec: "/nowhere": executable file not found' in missing.stderr
    assert 'pods "nobody" not found' in streams("exec", "nobody", "--", "true", ok=False).stderr
    assert "container x is not valid for pod p" in streams("exec", "p", "-c", "x", "--", "true", ok=False).stderr


def test_attach(streams: Kubectl) -> None:
    assert streams("attach", "p").stdout == "attached\n"


def test_exec_with_a_terminal(embedded: World, streams: Kubectl, environment: Environment) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [str(KUBECTL), "exec", "-it", "p", "--", "sh", "-c", "read a; echo got $a; read b; exit 3"]
    with open(ours, "r+b", buffering=0) as terminal:
        running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        until(lambda: embedded.runtime.started and embedded.runtime.started[0].sizes == [(24, 80)])
        terminal.write(b"words\n")
        seen = b""
        while b"got words" not in seen:
            assert select.select([ours], [], [], LIMIT)[0], seen
            seen += os.read(ours, 4096)
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        running.send_signal(signal.SIGWINCH)
        until(lambda: (50, 132) in embedded.runtime.started[0].sizes)
        terminal.write(b"\n")
        assert running.wait(LIMIT) == 3


@pytest.mark.parametrize("given", [b"", bytes(1 << 20)], ids=["no stdin", "stdin that is not read"])
def test_exec_that_is_interrupted_leaves_no_process(
    given: bytes, embedded: World, streams: Kubectl, environment: Environment
) -> None:
    command = [str(KUBECTL), "exec", "-i", "p", "--", "sh", "-c", "echo begun; exec sleep 600"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdin and running.stdout and running.stdout.readline() == b"begun\n"
        running.stdin.write(given)
        running.stdin.flush()
        running.send_signal(signal.SIGINT)
        try:
            running.wait(LIMIT)
        finally:
            running.kill()  # or the end of this block would wait for it for ever
    waiting = asyncio.run_coroutine_threadsafe(embedded.runtime.started[0].wait(), embedded.loop)
    assert waiting.result(LIMIT) == 128 + 9


def test_port_forward(streams: Kubectl, environment: Environment) -> None:
    with listener() as port, forwarded(port, environment) as (here, _), ThreadPoolExecutor(20) as at_once:
        answers = list(at_once.map(lambda number: asked(f"{here}/{number:09}"), range(40)))
    assert answers == [f"/{number:09}".encode() * 100_000 for number in range(40)]


def test_port_forward_to_a_port_where_nobody_listens(streams: Kubectl, environment: Environment) -> None:
    with forwarded(1, environment) as (here, running):
        with pytest.raises(OSError, match=r"closed|reset|refused"):
            asked(here)
        assert running.stdout
        said = running.stdout.readline()
        while "error forwarding port 1 to pod" not in said:
            assert said, "kubectl ended without a word about it"
            said = running.stdout.readline()
    assert "connect: connection refused" in said


@contextmanager
def forwarded(port: int, environment: Environment) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`kubectl port-forward` to that port of the Pod: where it listens, and its process."""
    command = [str(KUBECTL), "port-forward", "--address=127.0.0.1", "pod/p", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as running:
        try:
            assert running.stdout
            begun = re.match(r"Forwarding from (127\.0\.0\.1:\d+) ->", running.stdout.readline())
            assert begun
            yield f"http://{begun.group(1)}", running
        finally:
            running.kill()


def asked(url: str) -> bytes:
    """The body that comes. OSError where the connection ends before there is an answer."""
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:
        return bytes(answer.read())


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
