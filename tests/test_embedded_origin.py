"""What comes into an embedded cluster by the laptop's 127.0.0.1: told from its own Pods' and nodes' requests, on every way in.

The programs on ports of loopback, without a cluster; then a cluster of this file's own, skipped with the reason where this
machine allows none. What the programs answer else is in test_embedded_agnhost.py.
"""

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

from labs.embedded import host, launch, listeners, origin
from labs.embedded.launch import Files, Running
from labs.embedded.plan import AddressPlan
from tests.test_embedded_agnhost import begin, free_port, until_it_listens

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
LIMIT = 30.0  # seconds
PORT = 9080  # where netexec listens in the Pods
OPEN = ("/", "/hostname", "/clientip", "/healthz", "/echo?msg=hello", "/redirect?location=/hostname")
# What runs, ends or sends something. A refusal that came too late would show: the program would have ended.
CLOSED = (
    "/shell?cmd=id",
    "/shell?shellCommand=id",
    "/dial?host=127.0.0.1&port=1&request=hostname",
    "/exit?code=7",
    "/shutdown",
    "//shell?cmd=id",
    "http://x/shell?cmd=id",
)
# No paths of agnhost's: as any such, they are answered as "/" is.
DISGUISED = ("/./shell?cmd=id", "/%73hell?cmd=id", "/shell/?cmd=id", "/SHELL?cmd=id", "/upload")


def ask(address: tuple[str, int], path: str, method: str = "GET", body: str = "", outside: bool = False) -> tuple[int, str]:
    """An answer's status and body. outside: with the mark of what comes in by the laptop."""
    with socket.socket() as connection:
        connection.settimeout(LIMIT)
        if outside:
            origin.mark(connection)
        connection.connect(address)
        return answer(connection, path, method, body)


def answer(connection: socket.socket, path: str, method: str = "GET", body: str = "") -> tuple[int, str]:
    """The status and the body that one request of a connection gets."""
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    connection.sendall(request.encode())
    received = b""
    while piece := connection.recv(65536):
        received += piece
    head, _, text = received.decode().partition("\r\n\r\n")
    return int(head.split()[1]), text


# --- the programs alone


@pytest.fixture(scope="module")
def netexec() -> Iterator[tuple[str, int]]:
    """Where a netexec listens."""
    port = free_port()
    process = begin("netexec", f"--http-port={port}", "--udp-port=-1")
    until_it_listens(port)
    yield "127.0.0.1", port
    assert process.poll() is None, "it was ended from outside"
    process.kill()
    process.communicate()


def test_a_marked_connection_is_known_where_it_arrives() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        address = ("127.0.0.1", listening.getsockname()[1])
        for marked in (True, False):
            with socket.socket() as connection:
                if marked:
                    origin.mark(connection)
                connection.connect(address)
                with listening.accept()[0] as accepted:
                    assert origin.is_outside(accepted) is marked
        with socket.create_connection(("::1", address[1])), listening.accept()[0] as accepted:
            assert origin.is_outside(accepted) is False


@pytest.mark.parametrize("path", CLOSED)
def test_what_acts_is_not_served_to_the_laptop(path: str, netexec: tuple[str, int]) -> None:
    for method in ("GET", "POST", "PUT", "HEAD"):
        status, text = ask(netexec, path, method, "cmd=id", outside=True)
        assert status == 403
        assert method == "HEAD" or ("Pods and nodes of this cluster" in text and "kubectl exec" in text)


@pytest.mark.parametrize("path", DISGUISED)
def test_no_other_path_leads_there(path: str, netexec: tuple[str, int]) -> None:
    status, text = ask(netexec, path, outside=True)
    assert (status, text[:5]) == (200, "NOW: ")


@pytest.mark.parametrize("path", OPEN)
def test_what_only_tells_something_is_served_to_everybody(path: str, netexec: tuple[str, int]) -> None:
    assert ask(netexec, path, outside=True)[0] == ask(netexec, path)[0] != 403


def test_the_cluster_itself_is_served_all(netexec: tuple[str, int]) -> None:
    assert json.loads(ask(netexec, "/shell?cmd=echo%20out")[1]) == {"output": "out\n"}
    assert ask(netexec, "/dial?host=127.0.0.1&port=1&request=hostname")[0] == 200


def test_a_second_request_of_a_connection_is_refused_as_the_first(netexec: tuple[str, int]) -> None:
    with socket.socket() as connection:
        connection.settimeout(LIMIT)
        origin.mark(connection)
        connection.connect(netexec)
        connection.sendall(b"GET /hostname HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert answer(connection, "/shell?cmd=id")[0] == 403


def test_an_override_does_not_open_it() -> None:
    """--http-override: whatever is asked for, that path is meant."""
    port = free_port()
    process = begin("netexec", f"--http-port={port}", "--udp-port=-1", "--http-override=/shell?cmd=id")
    until_it_listens(port)
    try:
        assert ask(("127.0.0.1", port), "/hostname", outside=True)[0] == 403
        assert "uid" in ask(("127.0.0.1", port), "/hostname")[1]
    finally:
        process.kill()
        process.communicate()


def test_a_containers_files_are_not_shown_to_the_laptop(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("words")
    port = free_port()
    process = begin("test-webserver", f"--port={port}")
    until_it_listens(port)
    try:
        assert ask(("127.0.0.1", port), f"{tmp_path}/secret") == (200, "words")
        for path in (f"{tmp_path}/secret", f"{tmp_path}/", "/", "/none"):
            assert ask(("127.0.0.1", port), path, outside=True)[0] == 403
    finally:
        process.kill()
        process.communicate()


def test_idle_strangers_do_not_take_a_mapped_port_for_long(monkeypatch: pytest.MonkeyPatch, netexec: tuple[str, int]) -> None:
    """No more connections at a time than so many; the oldest makes room for who comes then."""
    monkeypatch.setattr(listeners, "MAPPED", 4)
    monkeypatch.setattr(listeners, "MAPPED_GRACE", 0.5)

    async def asked() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            mapping = listeners.Mapping(listening, netexec)
            address = listening.getsockname()
            idle = [socket.create_connection(address) for _ in range(12)]
            before = len(asyncio.all_tasks())
            answered = await asyncio.to_thread(ask, address, "/hostname")
            assert answered == (200, socket.gethostname())
            assert len(asyncio.all_tasks()) - before <= 4 * 3, "three tasks a connection"
            for connection in idle:
                connection.close()
            assert await asyncio.to_thread(ask, address, "/shell?cmd=id") == (403, ANY)
            mapping.close()

    asyncio.run(asked())


def test_a_mapped_port_with_nobody_behind_is_closed() -> None:
    async def asked() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            mapping = listeners.Mapping(listening, ("127.0.0.1", free_port()))
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
            writer.close()
            mapping.close()

    asyncio.run(asked())


# --- a cluster

PROBLEM = host.problem()
with_cluster = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A cluster that ends with this module; Pods web-control-plane, web-worker, and on each node's own network node-…"""
    files = Files(Path(tmp_path_factory.mktemp("origin")), "origin")
    pods = [pod(f"{name}-{node}", node, name == "node") for node in ("control-plane", "worker") for name in ("web", "node")]
    with files.lock():
        made = launch.start(files, [30066], any_port=True, pods=pods)
    yield made
    with files.lock():
        launch.end(files)


def pod(name: str, node: str, on_node: bool) -> dict[str, Any]:
    """A Pod with netexec; on the node's own network at node port 30066, where no Service needs to lead."""
    container = {
        "name": "netexec",
        "image": IMAGE,
        "args": ["netexec", f"--http-port={30066 if on_node else PORT}", "--udp-port=-1"],
        "readinessProbe": {"tcpSocket": {"port": 30066 if on_node else PORT}, "periodSeconds": 1},
    }
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"name": name}},
        "spec": {"nodeName": f"origin-{node}", "hostNetwork": on_node, "containers": [container]},
    }


@pytest.fixture(scope="module")
def core(running: Running) -> Callable[[], Any]:
    """Its API; a new client each time, for an exec swaps a client's `request` method."""
    authority = base64.b64encode(running.authority.encode()).decode()
    server = {"server": f"https://127.0.0.1:{running.api}", "certificate-authority-data": authority}
    settings = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": server}],
        "users": [{"name": "x", "user": {"token": running.token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    return lambda: client.CoreV1Api(config.new_client_from_config_dict(settings, persist_config=False))


@pytest.fixture
def service(core: Callable[[], Any]) -> Iterator[Callable[[str, str], None]]:
    """Makes node port 30066 lead to a Pod, with an externalTrafficPolicy."""

    def make(name: str, policy: str) -> None:
        ports = [{"port": 80, "targetPort": PORT, "nodePort": 30066}]
        spec = {"type": "NodePort", "externalTrafficPolicy": policy, "selector": {"name": name}, "ports": ports}
        core().create_namespaced_service("default", {"metadata": {"name": "s"}, "spec": spec})

    yield make
    try:
        core().delete_namespaced_service("s", "default")
    except ApiException as error:
        assert error.status == 404


def ask_in_pod(core: Any, name: str, url: str) -> str:
    """What curl gets in a Pod."""
    command = ["curl", "-gsS", "--noproxy", "*", "-m", "10", url]
    return str(stream(core.connect_get_namespaced_pod_exec, name, "default", command=command, stdout=True, stderr=True))


def hostname_from(address: tuple[str, int]) -> str:
    try:
        return ask(address, "/hostname")[1]
    except (OSError, IndexError):  # nobody is behind the mapping yet
        return ""


@with_cluster
@pytest.mark.parametrize(
    ("policy", "place"),
    [("Cluster", "worker"), ("Cluster", "control-plane"), ("Local", "control-plane"), ("no Service", "control-plane")],
)
def test_by_the_mapped_node_port(
    policy: str, place: str, running: Running, core: Callable[[], Any], service: Callable[[str, str], None]
) -> None:
    """Masqueraded to a node's address, or as it comes; and what listens on the node itself."""
    laptop = ("127.0.0.1", running.mappings[30066])
    node_network = AddressPlan("origin", running.node_network)
    shown = f"web-{place}" if policy != "no Service" else f"origin-{place}"
    if policy != "no Service":
        service(f"web-{place}", policy)
    end = time.monotonic() + LIMIT
    while hostname_from(laptop) != shown:
        assert time.monotonic() < end
        time.sleep(0.02)
    for path in CLOSED:
        assert ask(laptop, path)[0] == 403
    assert ask(laptop, "/shell", "POST", "cmd=id")[0] == 403
    asked = f"http://{node_network.nodes[0].address}:30066/shell?cmd=echo%20done"
    assert "done" in ask_in_pod(core(), "node-worker", asked)
    assert "done" in ask_in_pod(core(), "web-worker", asked)
    assert ask(laptop, "/hostname") == (200, shown)


@with_cluster
def test_by_port_forward(core: Callable[[], Any]) -> None:
    """Its end on the laptop listens on 127.0.0.1 too, for every account."""
    for path, status in (("/hostname", 200), *[(path, 403) for path in CLOSED]):
        forwarded = portforward(core().connect_get_namespaced_pod_portforward, "web-worker", "default", ports=str(PORT))
        connection = forwarded.socket(PORT)
        connection.setblocking(True)
        assert answer(connection, path)[0] == status
        connection.close()
    assert "done" in ask_in_pod(core(), "web-worker", f"http://127.0.0.1:{PORT}/shell?cmd=echo%20done")
