"""The embedded API's streams as the Python client speaks them: exec, logs and port-forward. SPDY is test_embedded_spdy.py's."""

import asyncio
import json
from collections.abc import Iterator

import aiohttp
import pytest
from kubernetes import client
from kubernetes.stream import portforward, stream

from tests.embedded_world import TOKEN, World, listener, world

PODS = "/api/v1/namespaces/n/pods"


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n") as made:
        yield made


@pytest.fixture
def core(embedded: World) -> client.CoreV1Api:
    configuration = client.Configuration(host=embedded.base, api_key={"authorization": f"Bearer {TOKEN}"})
    return client.CoreV1Api(client.ApiClient(configuration))


# --- processes


def test_exec_carries_output_input_and_the_exit_code(embedded: World, core: client.CoreV1Api) -> None:
    embedded.pod()
    command = ["sh", "-c", "read a; echo got $a; echo bad >&2; exit 4"]
    options = {"stdin": True, "stdout": True, "stderr": True, "_preload_content": False}
    found = stream(core.connect_get_namespaced_pod_exec, "p", "n", command=command, **options)
    found.write_stdin("words\n")
    found.run_forever(timeout=10)
    assert (found.read_stdout(), found.read_stderr(), found.returncode) == ("got words\n", "bad\n", 4)


def test_the_command_of_an_exec_may_be_long(embedded: World, core: client.CoreV1Api) -> None:
    """It is in the address of the request, which Go reads up to 1 MB."""
    embedded.pod()
    said = stream(core.connect_get_namespaced_pod_exec, "p", "n", command=["echo", "x" * 50_000], stdout=True)
    assert said == "x" * 50_000 + "\n"


def test_exec_of_what_is_not_there(embedded: World, core: client.CoreV1Api) -> None:
    embedded.pod()
    options = {"stdout": True, "stderr": True, "_preload_content": False}
    found = stream(core.connect_get_namespaced_pod_exec, "p", "n", command=["/nowhere"], **options)
    found.run_forever(timeout=10)
    assert "executable file not found" in found.read_channel(3)
    for query, words in (("container=x&command=a", "container x is not valid for pod p"), ("", "command: Required value")):
        assert words in embedded.ask("GET", f"{PODS}/p/exec?{query}").json()["message"]


@pytest.mark.parametrize(
    ("headers", "code", "words"),
    [
        ({}, 400, "Upgrade request required"),
        ({"Upgrade": "h2c"}, 400, "speaks websocket and SPDY/3.1, not h2c"),
        ({"Upgrade": "SPDY/3.1"}, 403, "client supports [], server accepts"),
        ({"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v1, v2"}, 403, "client supports [v1 v2], server accepts"),
    ],
)
def test_an_upgrade_that_is_not_served_is_refused_in_words(
    headers: dict[str, str], code: int, words: str, embedded: World
) -> None:
    embedded.pod()
    for path in (PODS + "/p/exec?command=true", PODS + "/p/portforward"):
        refused = embedded.ask("POST", path, headers={"Connection": "Upgrade", **headers})
        assert (refused.status_code, refused.json()["code"]) == (code, code) and words in refused.json()["message"]


def test_a_process_ends_with_its_client(embedded: World) -> None:
    embedded.pod()

    async def leave() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(embedded.base, headers=headers) as session:
            path = PODS + "/p/exec?stdout=true&command=sleep&command=600"
            async with session.ws_connect(path, protocols=["v5.channel.k8s.io"]) as socket:
                assert (await socket.receive()).data == b"\x01"

    asyncio.run(leave())
    (started,) = embedded.runtime.started
    waiting = asyncio.run_coroutine_threadsafe(started.wait(), embedded.loop)
    assert waiting.result(10) == 128 + 9


def test_stdin_ends_where_the_client_says_so(embedded: World) -> None:
    embedded.pod()

    async def count() -> list[bytes]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(embedded.base, headers=headers) as session:
            path = PODS + "/p/exec?stdin=true&stdout=true&tty=false&command=wc&command=-c"
            async with session.ws_connect(path, protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"]) as socket:
                assert socket.protocol == "v5.channel.k8s.io"
                await socket.send_bytes(b"\x04" + json.dumps({"Width": 80, "Height": 24}).encode())
                await socket.send_bytes(b"\x00words")
                await socket.send_bytes(b"\xff\x00")
                return [message.data async for message in socket]

    pieces = asyncio.run(count())
    assert pieces[1] == b"\x015\n" and json.loads(pieces[-1][1:])["status"] == "Success"
    assert embedded.runtime.started[0].sizes == [(24, 80)]


def test_logs(embedded: World) -> None:
    embedded.pod()
    assert embedded.ask("GET", PODS + "/p/log?tailLines=5&follow=true").text == "one\n5 True\n"
    assert embedded.ask("GET", PODS + "/p/log?previous=true").json()["message"].startswith("previous terminated container")
    assert embedded.ask("GET", PODS + "/p/log?tailLines=-1").status_code == 422
    embedded.pod("two", containers=[{"name": "a", "image": "i"}, {"name": "b", "image": "i"}])
    assert "choose one of: [a b]" in embedded.ask("GET", PODS + "/two/log").json()["message"]


# --- port-forward


def test_the_python_clients_port_forward(embedded: World, core: client.CoreV1Api) -> None:
    embedded.pod()
    with listener() as port:
        forward = portforward(core.connect_get_namespaced_pod_portforward, "p", "n", ports=f"{port},1")
        socket = forward.socket(port)
        socket.setblocking(True)
        socket.settimeout(10)
        socket.sendall(b"GET /word HTTP/1.0\r\n\r\n")
        received = b""
        while piece := socket.recv(65536):
            received += piece
    assert received.endswith(b"/word" * 100_000)
    assert "connection refused" in forward.error(1)
