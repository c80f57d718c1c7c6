"""The stand-in for agnhost: what its commands answer, log and end with. Run as programs, on ports of loopback."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.embedded import agnhost, sandbox
from labs.embedded.netexec import BadFlag, duration, flags

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-u", "-c", "import sys; from labs.embedded import agnhost; sys.exit(agnhost.main(sys.argv[1:]))"]


def begin(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=ROOT)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_it_listens(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)


class Netexec:
    """A netexec that runs."""

    def __init__(self, *more: str) -> None:
        self.port = free_port()
        self.process = begin("netexec", f"--http-port={self.port}", *more)
        until_it_listens(self.port)

    def get(self, path: str, **query: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def netexec() -> Iterator[Netexec]:
    found = Netexec("--udp-port=-1")
    yield found
    found.process.kill()
    found.process.communicate()


def test_says_who_it_is_and_who_asks(netexec: Netexec) -> None:
    assert netexec.get("/hostname") == (200, socket.gethostname())
    assert netexec.get("/hostName") == netexec.get("/hostname")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", netexec.get("/clientip")[1])
    assert netexec.get("/")[1].startswith("NOW: ")


def test_echo(netexec: Netexec) -> None:
    assert netexec.get("/echo", msg="a b") == (200, "a b")
    assert netexec.get("/echo", msg="no", code="503") == (503, "no")
    assert "must be an integer" in netexec.get("/echo", msg="no", code="x")[1]


def test_without_its_udp_server_it_is_not_healthy(netexec: Netexec) -> None:
    assert netexec.get("/healthz")[0] == 412


def test_shell(netexec: Netexec) -> None:
    assert json.loads(netexec.get("/shell", cmd="echo out; echo err >&2")[1]) == {"output": "out\nerr\n"}
    assert json.loads(netexec.get("/shell", shellCommand="exit 3")[1]) == {"error": "exit status 3"}


def test_dial(netexec: Netexec) -> None:
    there = {"host": "127.0.0.1", "port": str(netexec.port), "request": "hostname"}
    assert json.loads(netexec.get("/dial", **there, tries="2")[1]) == {"responses": [socket.gethostname()] * 2}
    assert "errors" in json.loads(netexec.get("/dial", host="127.0.0.1", port="1", request="hostname")[1])
    assert netexec.get("/dial", host="127.0.0.1", port="1")[0] == 400
    assert netexec.get("/dial", **there, protocol="smoke")[0] == 400


def test_two_requests_of_one_connection(netexec: Netexec) -> None:
    with socket.create_connection(("127.0.0.1", netexec.port), timeout=20) as connection:
        for _ in range(2):
            connection.sendall(b"GET /hostname HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).endswith(socket.gethostname().encode())


def test_udp() -> None:
    port = free_port(socket.SOCK_DGRAM)
    netexec = Netexec(f"--udp-port={port}")
    try:
        assert netexec.get("/healthz")[0] == 200
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(20)
            for said, answer in ((b"hostname\n", socket.gethostname()), (b"echo a b", "a b")):
                asking.sendto(said, ("127.0.0.1", port))
                assert asking.recv(2048).decode() == answer
        there = {"host": "127.0.0.1", "port": str(port), "request": "hostname", "protocol": "udp"}
        assert json.loads(netexec.get("/dial", **there)[1]) == {"responses": [socket.gethostname()]}
    finally:
        netexec.process.kill()
        netexec.process.communicate()


def test_a_port_that_is_taken(netexec: Netexec) -> None:
    """With the words that Go has, and exit code 1."""
    process = begin("netexec", f"--http-port={netexec.port}", "--udp-port=-1")
    _, words = process.communicate(timeout=20)
    assert process.returncode == 1
    assert words.splitlines()[-1].endswith(f"listen tcp :{netexec.port}: bind: address already in use")


def test_sigterm_ends_it_at_once_or_later() -> None:
    """As a Go program, with code 2; with --delay-shutdown after so many seconds, with 0, and it answers until then."""
    netexec = Netexec("--udp-port=-1")
    netexec.process.send_signal(signal.SIGTERM)
    netexec.process.communicate(timeout=20)
    assert netexec.process.returncode == 2
    late = Netexec("--udp-port=-1", "--delay-shutdown=2")
    late.process.send_signal(signal.SIGTERM)
    assert late.get("/hostname")[0] == 200
    _, words = late.process.communicate(timeout=20)
    assert late.process.returncode == 0
    assert "Sleeping 2 seconds before terminating..." in words


def test_exit(netexec: Netexec) -> None:
    own = Netexec("--udp-port=-1")
    with pytest.raises(ConnectionError):
        own.get("/exit", code="7")
    own.process.communicate(timeout=20)
    assert own.process.returncode == 7


def test_serve_hostname() -> None:
    port = free_port()
    process = begin("serve-hostname", "--port", str(port))
    try:
        until_it_listens(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            assert answer.read().decode() == socket.gethostname()
    finally:
        process.kill()
        process.communicate()


def test_connect(netexec: Netexec) -> None:
    for arguments, code, words in (
        ((f"127.0.0.1:{netexec.port}",), 0, ""),
        (("--timeout=2s", "127.0.0.1:1"), 1, "REFUSED\n"),
        (("127.0.0.1",), 1, "UNKNOWN: address 127.0.0.1: missing port in address\n"),
    ):
        process = begin("connect", *arguments)
        assert (process.communicate(timeout=20)[1], process.returncode) == (words, code)


def test_webserver_shows_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a&b.txt").write_text("words\n")
    port = free_port()
    process = begin("test-webserver", f"--port={port}")
    until_it_listens(port)
    try:
        base = f"http://127.0.0.1:{port}{tmp_path}"
        with urllib.request.urlopen(f"{base}/a%26b.txt", timeout=20) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"words\n", "text/plain; charset=utf-8")
        with urllib.request.urlopen(base, timeout=20) as answer:  # is sent on to the folder's own address
            assert answer.url == f"{base}/"
            assert '<a href="a%26b.txt">a&amp;b.txt</a>\n<a href="folder/">folder/</a>\n' in answer.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/none", timeout=20)
    finally:
        process.kill()
        process.communicate()


def test_what_resolv_conf_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 10.96.0.10\nsearch old\nnameserver 1.1.1.1\nsearch n.svc cluster.local\noptions ndots:5\n")
    monkeypatch.setattr(agnhost, "Path", lambda _: file)
    shown = {}
    for command in ("dns-server-list", "dns-suffix"):
        assert agnhost._COMMANDS[command]([]) == 0
        shown[command] = capsys.readouterr().out
    assert shown == {"dns-server-list": "10.96.0.10,1.1.1.1\n", "dns-suffix": "n.svc,cluster.local\n"}


def test_pause_waits_for_its_end() -> None:
    process = begin("pause")
    assert process.stdout is not None
    assert process.stdout.readline() == "Paused\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 2


def test_what_it_does_not_know() -> None:
    for arguments, words in (
        (("no-such",), 'unknown command "no-such"'),
        (("netexec", "--no-such"), "unknown flag: --no-such"),
    ):
        process = begin(*arguments)
        assert words in process.communicate(timeout=20)[1]
        assert process.returncode == 1
    assert begin("--help").wait(20) == 0


def test_flags() -> None:
    known = {"port": 1, "name": "", "on": False}
    assert flags(["--port", "2", "--name=a=b", "--on"], known) == {"port": 2, "name": "a=b", "on": True, "words": []}
    for wrong in (["--port=x"], ["--port"], ["--none"], ["word"]):
        with pytest.raises(BadFlag):
            flags(wrong, known)


def test_durations() -> None:
    assert [duration(text) for text in ("0", "3s", "1m30s", "500ms")] == [0, 3, 90, 0.5]
    with pytest.raises(ValueError, match="soon"):
        duration("soon")


def test_a_shell_in_a_pod_has_every_module_of_agnhosts(tmp_path: Path) -> None:
    """A container's own copy (labs/embedded/sandbox.py) can be imported where nothing else of the course is."""
    package = tmp_path / "labs" / "embedded"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    for name in sandbox._AGNHOST_MODULES:
        (package / f"{name}.py").write_bytes((ROOT / "labs" / "embedded" / f"{name}.py").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", "from labs.embedded import agnhost"], cwd=tmp_path, capture_output=True, text=True, env={}
    )
    assert done.returncode == 0, done.stderr
