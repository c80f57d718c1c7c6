"""pods/NAME/proxy of the embedded API: what is passed on, what comes back, and what is said where nobody answers.

The words of the refusals were those of a real API server (1.37.2) asked the same.
"""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from labs.embedded.api import proxying
from labs.embedded.api.proxying import Wanted
from labs.embedded.api.status import Refused
from tests.embedded_world import World, world

PODS = "/api/v1/namespaces/n/pods"


class Echo(BaseHTTPRequestHandler):
    """Tells what it was asked; at /half it promises more than it says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        said = f"{self.command} {self.path} {body.decode()} {self.headers.get('Authorization')} {self.headers.get('X-Mine')}"
        self.send_response(418)
        self.send_header("X-Theirs", "yes")
        self.send_header("Content-Length", str(len(said) + (100 if self.path == "/half" else 0)))
        self.end_headers()
        self.wfile.write(said.encode())
        self.close_connection = self.path == "/half"

    do_GET = do_DELETE = do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def embedded(port: int) -> Iterator[World]:
    """A Pod that declares the port, at the address 127.0.0.1."""
    with world("n") as made:
        made.pod(containers=[{"name": "c", "image": "i:1", "ports": [{"containerPort": port}]}])
        made.call(lambda: made.store.modify("pods", "n", "p", has_address))
        yield made


def has_address(pod: dict[str, Any]) -> dict[str, Any]:
    pod["status"]["podIP"] = "127.0.0.1"
    return pod


def test_a_request_goes_through_with_all_but_the_token(embedded: World, port: int) -> None:
    for asked in ("p", f"p:{port}", f"http:p:{port}", "http:p:"):
        got = embedded.ask("GET", f"{PODS}/{asked}/proxy/a%2Fb/c?x=%20y&z", headers={"X-Mine": "1"})
        assert (got.status_code, got.text, got.headers["X-Theirs"]) == (418, "GET /a%2Fb/c?x=%20y&z  None 1", "yes")
    for method in ("POST", "PUT", "DELETE"):
        got = embedded.ask(method, f"{PODS}/p/proxy/", data="body")
        assert got.text == f"{method} / body None None"


def test_without_the_last_slash_the_client_is_sent_there(embedded: World) -> None:
    got = embedded.ask("GET", f"{PODS}/p/proxy", allow_redirects=False)
    assert (got.status_code, got.headers["Location"]) == (301, f"{PODS}/p/proxy/")


def test_half_an_answer_does_not_look_whole(embedded: World) -> None:
    with pytest.raises(Exception, match=r"(?i)connection|incomplete|chunk"):
        embedded.ask("GET", f"{PODS}/p/proxy/half")


def test_where_nobody_answers(embedded: World) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # bound, and nobody listens
        closed = one.getsockname()[1]
        got = embedded.ask("GET", f"{PODS}/p:{closed}/proxy/")
    assert (got.status_code, got.json()["reason"]) == (503, "ServiceUnavailable")
    said = f"error trying to reach service: dial tcp 127.0.0.1:{closed}: connect: connection refused"
    assert got.json()["message"] == said
    said = "error trying to reach service: tls: first record does not look like a TLS handshake"
    assert embedded.ask("GET", f"{PODS}/https:p:/proxy/").json()["message"] == said
    said = "error trying to reach service: dial tcp: address 99999: invalid port"
    assert embedded.ask("GET", f"{PODS}/p:99999/proxy/").json()["message"] == said


def test_what_is_refused(embedded: World) -> None:
    assert embedded.ask("GET", f"{PODS}/ftp:p:1/proxy/").json()["message"] == 'invalid pod request "ftp:p:1"'
    assert embedded.ask("GET", f"{PODS}/none/proxy/").json()["message"] == 'pods "none" not found'
    got = embedded.ask("GET", f"{PODS}/p/proxy/", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert got.status_code == 400 and "upgrade" in got.json()["message"]


def test_a_pod_without_an_address() -> None:
    with world("n") as made:
        made.pod()
        got = made.ask("GET", f"{PODS}/p/proxy/")
    assert (got.status_code, got.json()["message"]) == (400, "address not allowed")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("p", Wanted("p")),
        ("p:80", Wanted("p", port="80")),
        ("p:", Wanted("p")),
        ("https:p", Wanted("p", "https")),
        (":p:80", Wanted("p", port="80")),
        ("https:p:web", Wanted("p", "https", "web")),
    ],
)
def test_scheme_name_and_port(given: str, found: Wanted) -> None:
    assert proxying.wanted(given) == found


@pytest.mark.parametrize("given", ["a:b:c:d", "ftp:p:1", "http:", ":80", "http::80"])
def test_no_pods_name(given: str) -> None:
    with pytest.raises(Refused, match="invalid pod request"):
        proxying.wanted(given)
