"""Malformed and hostile requests to the embedded API, by TLS, as anybody may send them: each is answered as a real server does.

The requests are made up, others each time: embedded_hostile_requests.py. LABS_HOSTILE_SEED=NUMBER repeats a run that failed.
"""

import contextlib
import copy
import http.client
import itertools
import json
import logging
import os
import random
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from labs.embedded import controllers, https
from tests import embedded_hostile_http as hostile
from tests import embedded_hostile_requests
from tests.embedded_hostile_http import Hostile
from tests.embedded_hostile_objects import OBJECTS
from tests.embedded_world import World, world

NUMBER = 2000
LIMIT = 20.0  # seconds for an answer, on a busy machine
SILENCE = 0.03  # seconds in which what is no whole request may be answered; a stream is read no longer either
TOGETHER = 100  # requests after which what they took away is put back
# What a real server says with 500, of what clients ask (Kubernetes 1.37.2; recorded, or its sources: apimachinery's
# pkg/util/strategicpatch and mergepatch, apiserver's pkg/storage).
REAL_500 = re.compile(
    "resourceVersion should not be set on objects to be created|resourceVersion: Invalid value: |strconv.ParseUint: parsing |"
    "unknown patch type: |merging lists cannot yet be specified in the patch|list element types are not identical: |"
    r"no elements in any of the given slices|unable to find api field in struct |expected a (\[\]interface|map\[)|"
    "expected slice or array type, but got: |merging an object in json but data type is not struct|The order in patch list:|"
    "map: .* does not contain declared merge key: |duplicate nodePort: |cannot merge lists without merge key|"
    "Internal error occurred: (unable to upgrade connection: |failed to allocate )",
    re.DOTALL,
)
PLAIN = b"404 page not found\n"  # what a real server says of a group that it does not have


@pytest.fixture
def secure() -> Iterator[World]:
    with world("n", secure=trustme.CA()) as made:
        yield made


class Client:
    """Sends requests as they are, on a connection that is used again where the server leaves it open."""

    def __init__(self, embedded: World) -> None:
        self.place = ("127.0.0.1", int(embedded.base.rpartition(":")[2]))
        self.context = ssl.create_default_context()
        assert embedded.ca is not None
        embedded.ca.configure_trust(self.context)
        self.kept: ssl.SSLSocket | None = None

    def connection(self) -> ssl.SSLSocket:
        """A new one."""
        return self.context.wrap_socket(socket.create_connection(self.place, LIMIT), server_hostname="127.0.0.1")

    def send(self, request: Hostile) -> tuple[int, bytes]:
        """The answer's status and body; of a stream, what came at once. 0: there was none, to what is no request."""
        if not request.whole:
            with self.connection() as connection:
                connection.sendall(request.data)
                connection.settimeout(SILENCE)
                return _answer(connection, request)[:2]
        connection = self.kept or self.connection()
        self.kept = None
        connection.settimeout(LIMIT)
        connection.sendall(request.data)
        code, body, reusable = _answer(connection, request)
        if reusable:
            self.kept = connection
        else:
            connection.close()
        return code, body


def _answer(connection: ssl.SSLSocket, request: Hostile) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection can be used again. 0: silence, where that is an answer."""
    response = http.client.HTTPResponse(connection, method=request.method)
    try:
        response.begin()
    except TimeoutError:
        if request.whole:
            raise
        return 0, b"", False
    if response.status == 101:
        connection.sendall(request.then)
    if response.status == 101 or response.chunked:
        connection.settimeout(SILENCE)
        body = b""
        try:
            while piece := response.read1() if response.chunked else connection.recv(1 << 16):
                body += piece
        except (OSError, http.client.HTTPException):
            pass
        return response.status, body, False
    return response.status, response.read(), not response.will_close


def _wrong(request: Hostile, answer: tuple[int, bytes]) -> str:
    """What is wrong with an answer; "" where nothing is."""
    code, body = answer
    if code == 500 and not REAL_500.match(json.loads(body).get("message", "")):
        return "an internal error"
    if code < 400 or not request.whole or request.method == "HEAD" or (code == 404 and body == PLAIN):
        return ""
    try:
        status = json.loads(body)
    except ValueError:
        return "a refusal that is no Status"
    return "" if status["kind"] == "Status" and status["code"] == code and status["message"] else "another Status"


def _put_back(embedded: World) -> None:
    """What requests may have taken away: a namespace, its account, one object of each kind, a Pod that runs."""
    store = embedded.store

    def namespace() -> None:
        found = store.get("namespaces", "", "n")
        if found is None or found["metadata"].get("deletionTimestamp"):
            store.remove("namespaces", "", "n")
            made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}}
            store.create("namespaces", {**made, "status": {"phase": "Active"}})
        if store.get("serviceaccounts", "n", "default") is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "n"}}
            store.create("serviceaccounts", account)

    embedded.call(namespace)
    for path, obj in OBJECTS.items():
        resource = path.rpartition("/")[2]
        place = "n" if "/namespaces/" in path else ""
        if "auth" in path or resource == "token" or store.get(resource, place, "x") is not None:
            continue
        body = {**copy.deepcopy(obj), "metadata": {"name": "x"}}
        if resource == "services":
            body["spec"] = {"type": "NodePort", "ports": [{"port": 80, "name": "a"}]}
        if resource == "pods":
            body["spec"] = {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}
        made = embedded.ask("POST", path, body)
        assert made.status_code == 201, made.text
    if store.get("pods", "n", "p") is None:
        embedded.pod("p")


async def _nothing(*_: Any, **__: Any) -> Any:
    raise FileNotFoundError(2, "No such file or directory")


def test_malformed_and_hostile_requests(
    secure: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("LABS_HOSTILE_SEED") or random.SystemRandom().randrange(1 << 32))
    with capsys.disabled():
        print(f" LABS_HOSTILE_SEED={seed} ", end="", file=sys.stderr)
    monkeypatch.setattr(secure.runtime, "exec", _nothing)  # its commands are these requests'
    monkeypatch.setattr(secure.runtime, "connect", _nothing)
    secure.call(lambda: controllers.start(secure.store, "CA"))
    client = Client(secure)
    alive = Hostile("alive", hostile.http("GET", "/api/v1/namespaces/default"))
    for number, request in enumerate(itertools.islice(embedded_hostile_requests.requests(seed), NUMBER)):
        if number % TOGETHER == 0:
            _put_back(secure)
        caplog.clear()
        before = secure.call(lambda: secure.store.revision)
        told = f"LABS_HOSTILE_SEED={seed}, number {number} ({request.kind}): {request.data!r:.3000}"
        try:
            answer = client.send(request)
        except (OSError, http.client.HTTPException) as error:
            pytest.fail(f"no answer ({error!r}) to {told}")
        wrong = _wrong(request, answer)
        assert not wrong, f"{wrong}, {answer[0]} {answer[1]!r:.500}, to {told}"
        if answer[0] == 0 or answer[0] >= 400:
            assert secure.call(lambda: secure.store.revision) == before, f"something was written by {told}"
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert not errors, f"{errors[0].getMessage()} {errors[0].exc_text}, logged at {told}"
        code, body = client.send(alive)
        assert (code, json.loads(body)["kind"]) == (200, "Namespace"), f"the server does not serve after {told}"


def test_the_seed_makes_the_requests() -> None:
    first, again, other = (list(itertools.islice(embedded_hostile_requests.requests(seed), 50)) for seed in (7, 7, 8))
    assert first == again != other
    assert {one.kind for one in itertools.islice(embedded_hostile_requests.requests(7), 300)} == {
        *("anywhere", "object", "patch", "deletion", "reading", "protobuf", "upgrade", "header", "raw")
    }


# --- without a token


def test_a_token_that_is_no_text_is_no_token(secure: World) -> None:
    client = Client(secure)
    for method, path, wanted in (("GET", "/api/v1/pods", 401), ("POST", "/labs/settled", 401), ("GET", "/readyz", 200)):
        code, body = client.send(Hostile("", hostile.http(method, path, None, {"Authorization": b"Bearer \xe9"})))
        assert code == wanted, body


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An API that waits a second for a token."""
    assert (https.PATIENCE, https.STRANGERS) == (10.0, 32)
    monkeypatch.setattr(https, "PATIENCE", 1.0)
    with world("n", secure=trustme.CA()) as made:
        yield made


def test_a_connection_without_the_token_ends_soon(impatient: World) -> None:
    client = Client(impatient)
    silent = socket.create_connection(client.place, LIMIT)
    half = socket.create_connection(client.place, LIMIT)
    half.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # of a TLS handshake
    unfinished, refused = client.connection(), client.connection()
    unfinished.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: " + hostile.TOKEN + b"\r\n")
    refused.sendall(hostile.http("GET", "/api", None, {"Authorization": b"Bearer x"}))
    for connection in (silent, half, unfinished, refused):
        connection.settimeout(LIMIT)
        with connection, contextlib.suppress(ConnectionError, ssl.SSLError):
            while connection.recv(1 << 16):
                pass


def test_a_connection_with_the_token_stays(impatient: World) -> None:
    client = Client(impatient)
    alive = Hostile("", hostile.http("GET", "/api"))
    assert client.send(alive)[0] == 200
    kept = client.kept
    stranger = socket.create_connection(client.place, LIMIT)
    assert stranger.recv(1) == b""  # it came later, and its time is over
    assert client.send(alive)[0] == 200 and client.kept is kept


def test_those_without_the_token_leave_room_for_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "PATIENCE", 600.0)
    monkeypatch.setattr(https, "GRACE", 0.1)
    with world("n", secure=trustme.CA()) as embedded, contextlib.ExitStack() as stack:
        client = Client(embedded)
        strangers = [stack.enter_context(socket.create_connection(client.place, LIMIT)) for _ in range(60)]
        assert client.send(Hostile("", hostile.http("GET", "/api")))[0] == 200
        for stranger in strangers[: 60 - https.STRANGERS]:
            stranger.settimeout(LIMIT)
            with contextlib.suppress(ConnectionError):
                assert stranger.recv(1) == b""
