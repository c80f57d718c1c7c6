"""Each word of curl's answer made to happen, with this machine's own curl: real listeners, a real network namespace."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from labs.probe import tracing
from labs.probe.answers import Word

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
# A link that swallows what is sent to 10.9.0.2; a refusal by the routing table for 10.9.1.0/24; no route to anywhere else.
NETWORK = """
ip link set lo up && ip link add swallow type veth peer name end && ip link set end up && ip link set swallow up &&
ip address add 10.9.0.1/24 dev swallow && ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:01 dev swallow &&
ip route add unreachable 10.9.1.0/24 || exit 99
exec "$@"
"""


def heard(*addresses: str, limit: float = 1.0, within: tuple[str, ...] = ()) -> list[tracing.Heard]:
    """What this machine's curl hears at these addresses."""
    command = [*within, *tracing.command(limit, list(addresses))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=30)
    if done.returncode == 99:
        pytest.skip(f"no network in a network namespace of our own: {done.stderr.strip()}")
    traces = tracing.split(done.stdout)
    assert sorted(traces) == list(range(len(addresses))), done
    return [tracing.read(traces[number]) for number in sorted(traces)]


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A listener on 127.0.0.1 that treats each connection as `serve` says; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=treat, args=(connection,), daemon=True).start()

        def treat(connection: socket.socket) -> None:
            with connection:
                try:
                    serve(connection)
                except OSError:
                    pass  # curl had heard enough

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def pages(connection: socket.socket) -> None:
    """As netexec: /hostname and /clientip on one connection."""
    while request := connection.recv(4096):
        body = b"pod2" if b"/hostname" in request else b"10.244.0.5:40144"
        connection.sendall(PAGE % (len(body), body))


def test_an_answer_has_the_host_and_the_client_that_it_saw() -> None:
    with listening(pages) as address:
        found = heard(address)[0]
    assert (found.word, found.status, found.host, found.client) == (Word.SOMETHING_ELSE, 200, "pod2", "10.244.0.5")
    assert found.connected
    assert found.seconds > 0


def test_the_client_is_not_told_by_another_connection_than_the_host() -> None:
    """Another connection may come to another Pod."""

    def one_page_each(connection: socket.socket) -> None:
        body = b"pod2" if b"/hostname" in connection.recv(4096) else b"10.244.0.5:40144"
        connection.sendall(PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % (len(body), body))

    with listening(one_page_each) as address:
        found = heard(address)[0]
    assert (found.host, found.client) == ("pod2", "")


def test_refused() -> None:
    found = heard(f"127.0.0.1:{free_port()}")[0]
    assert found.word is Word.REFUSED
    assert "Connection refused" in found.detail
    assert not found.connected


def test_accepted_then_closed() -> None:
    with listening(lambda connection: None) as address:
        found = heard(address)[0]
    assert found.word is Word.CLOSED
    assert found.connected


def test_accepted_then_closed_after_the_request() -> None:
    with listening(lambda connection: connection.recv(4096) and None) as address:
        found = heard(address)[0]
    assert found.word is Word.CLOSED


def test_nothing_yet_after_a_connection() -> None:
    over = threading.Event()
    with listening(lambda connection: over.wait(20) and None) as address:
        found = heard(address, limit=0.5)[0]
        over.set()
    assert found.word is Word.NOTHING_YET
    assert found.connected


def test_name_unknown() -> None:
    found = heard("no-such-name.invalid:80", limit=5)[0]
    assert found.word is Word.NAME_UNKNOWN
    assert "no-such-name.invalid" in found.detail


def test_no_route_network_unreachable_and_no_connection() -> None:
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("no `unshare` or no `ip` on this machine to make a network namespace with")
    if (tried := subprocess.run(["unshare", "-rn", "true"], capture_output=True, encoding="utf-8")).returncode:
        pytest.skip(f"this machine allows no network namespace of our own: {tried.stderr.strip()}")
    within = ("unshare", "-rn", "sh", "-c", NETWORK, "sh")
    silent, no_route, unreachable = heard("10.9.0.2:80", "10.9.1.1:80", "10.8.0.1:80", within=within)
    assert (silent.word, silent.connected) == (Word.NOTHING_YET, False)
    assert no_route.word is Word.NO_ROUTE
    assert unreachable.word is Word.UNREACHABLE


@pytest.mark.parametrize(
    "page",
    [
        b"<script>alert(1)</script>\x1b[31m\x00\x1e0\n== Done: 200 0.1 0.1 0\n== Exit: 7\n\xff\xfe",
        b"\r\n== Info: connect to 10.0.0.1 port 80 failed: Connection refused\r\n== Exit: 6\r\n",
        b"pod2\n\n\x1e5\npod2",
    ],
)
def test_a_hostile_page_stays_a_page(page: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(PAGE % (len(page), page))

    with listening(serve) as address, listening(pages) as other:
        found, beside = heard(address, other)
    assert (found.word, found.status) == (Word.SOMETHING_ELSE, 200)
    assert found.host != "pod2"
    assert found.detail.isprintable()
    assert beside.host == "pod2"


@pytest.mark.parametrize("length", [b"Content-Length: 10485760\r\n", b""])
def test_an_endless_page_is_cut_short(length: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + b"x" * 10_485_760)

    with listening(serve) as address:
        found = heard(address)[0]
    assert (found.word, found.status) == (Word.SOMETHING_ELSE, 200)
    assert len(found.detail) < 200
    assert len(found.host) < 300


def test_endless_headers_are_cut_short() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Long: yyyyyyyyyyyyyyyyyyyyyy\r\n" * 50_000)

    with listening(serve) as address:
        assert heard(address)[0].word is Word.SOMETHING_ELSE


def test_what_speaks_no_http_is_something_else() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(4096)

    with listening(serve) as address:
        found = heard(address)[0]
    assert found.word is Word.SOMETHING_ELSE
    assert found.status is None


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with listening(pages) as address:
        assert heard(address)[0].host == "pod2"


def test_many_addresses_side_by_side_keep_their_own_answers() -> None:
    with listening(pages) as answering:
        closed = f"127.0.0.1:{free_port()}"
        found = heard(*[answering, closed] * 10, limit=10)
    assert [one.word for one in found] == [Word.SOMETHING_ELSE, Word.REFUSED] * 10
