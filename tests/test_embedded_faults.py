"""What can go wrong with the embedded cluster, made to go wrong: clients, descriptors, the disk, other users.

Each test says how it makes its fault; nothing outside its own folder, its own cluster and 127.0.0.1 is touched. Elsewhere:
malformed bodies and content types (test_embedded_api.py, test_embedded_api_recorded.py), a client that does not read
(test_embedded_watches.py), a bomb of processes (test_embedded_life.py), the server killed, and a second start at the same
moment (test_embedded_launch.py).
"""

import contextlib
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.embedded import host, launch, limits
from labs.embedded.api import server as servers
from labs.embedded.launch import Files, Running
from tests.embedded_api_objects import MAPS, configmap, wait
from tests.embedded_world import TOKEN, World, world

PROBLEM = host.problem()
real = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")
ROOT = Path(__file__).resolve().parents[1]
WATCHES = 2000
ANOTHER = 65534  # a user who owns nothing here
_HEADER = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"

# --- clients


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n") as made:
        yield made


@contextlib.contextmanager
def connected(made: World) -> Iterator[socket.socket]:
    """A connection to the API."""
    name, _, port = made.base.rpartition("/")[2].partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        yield connection


def test_a_client_that_sends_half_a_body_and_waits_is_told_so(embedded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a connection that announces 100 bytes and sends 10. Others are served meanwhile."""
    monkeypatch.setattr(servers, "BODY_PATIENCE", 0.5)
    with connected(embedded) as slow:
        slow.sendall(f"POST {MAPS} HTTP/1.1\r\n{_HEADER}Content-Length: 100\r\n\r\n".encode() + b'{"metadata')
        assert embedded.ask("GET", MAPS).status_code == 200
        assert b"504" in slow.recv(65536).splitlines()[0]


def test_a_client_that_vanishes_in_its_body_leaves_nothing(embedded: World) -> None:
    """Fault: a connection that is reset (SO_LINGER 0) when half of the body was sent."""
    body = json.dumps(configmap("half")).encode()
    for _ in range(20):
        with connected(embedded) as gone:
            gone.sendall(f"POST {MAPS} HTTP/1.1\r\n{_HEADER}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert embedded.ask("GET", MAPS).json()["items"] == []


def test_watches_by_the_thousand_are_all_told_and_end_with_their_clients(embedded: World) -> None:
    """Fault: 2,000 watches at a time, each a connection of its own, which are reset all at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * WATCHES + 500  # client and server are one process here
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} file descriptors are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        with contextlib.ExitStack() as stack:
            watches = [stack.enter_context(connected(embedded)) for _ in range(WATCHES)]
            for one in watches:
                one.sendall(f"GET {MAPS}?watch=1 HTTP/1.1\r\n{_HEADER}\r\n".encode())
            wait(lambda: len(embedded.store._subscribers) == WATCHES + 1)  # one is the allocation of addresses
            embedded.ask("POST", MAPS, configmap("told"))
            for one in watches:
                heard = b""
                while b'"told"' not in heard:
                    piece = one.recv(65536)
                    assert piece, heard
                    heard += piece
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        embedded.ask("DELETE", MAPS + "/told")
        wait(lambda: len(embedded.store._subscribers) == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the machine


@pytest.fixture
def files() -> Iterator[Files]:
    """A cluster's files in a folder that others may enter: what protects them is their own modes."""
    folder = Path(tempfile.mkdtemp(prefix="labs-faults-"))
    folder.chmod(0o755)
    found = Files(folder, "faults")
    yield found
    with found.lock():
        launch.end(found)
    shutil.rmtree(folder)


def start(files: Files) -> Running:
    with files.lock():
        return launch.start(files, [])


def ask(running: Running, path: str, body: object = None) -> int:
    """The HTTP status of a GET, or a POST of that body."""
    context = ssl.create_default_context(cadata=running.authority)
    headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"https://127.0.0.1:{running.api}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


@real
def test_no_file_descriptors_left(files: Files) -> None:
    """Fault: the server's limit (RLIMIT_NOFILE) is set to what it has open and 10 more; 30 connections take them all.

    Nobody is answered while they last; afterwards all goes on, and a Pod can be made.
    """
    running = start(files)
    assert ask(running, "/api/v1/nodes") == 200
    usual = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    most = len(os.listdir(f"/proc/{running.pid}/fd")) + 10
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (most, usual[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.api), timeout=20))
        until(lambda: len(os.listdir(f"/proc/{running.pid}/fd")) >= most)
        assert running.alive()
    until(lambda: answers(running))
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, usual)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox", "command": ["true"]}]}}
    assert ask(running, "/api/v1/namespaces/default/pods", pod) == 201


def answers(running: Running) -> bool:
    try:
        return ask(running, "/api/v1/nodes") == 200
    except OSError:
        return False


_NO_DISK = """
set -u
mount -t tmpfs -o size=256k tmpfs "$LABS_HOME"
servers() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c "\\"ru[n]\\": \\"$LABS_HOME/"; }
full() { cat /dev/zero > "$LABS_HOME/filled" 2>/dev/null; }
full
"$@" up; echo "full: $?, servers: $(servers)"
rm "$LABS_HOME/filled"
"$@" up; echo "freed: $?"
full
"$@" status; echo "status while it is full: $?"
"$@" down; echo "down while it is full: $?, servers: $(servers)"
"""


@real
def test_no_disk_left(tmp_path: Path) -> None:
    """Fault: LABS_HOME is a file system of 256 KB (tmpfs, in a mount namespace of its own) that is filled up.

    `up` says so in words and leaves nothing that runs; when there is room again it works; a cluster that is up goes on.
    """
    environment = {**os.environ, "LABS_HOME": str(tmp_path), "LABS_CLUSTER": "embedded", "LABS_NAME": "no-disk",
                   "LABS_HOST_PORTS": "any", "PYTHONPATH": str(ROOT)}  # fmt: skip
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _NO_DISK, "sh", sys.executable, "-m", "labs"]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    said = ran.stdout + ran.stderr
    for words in ("full: 1, servers: 0", "freed: 0", "status while it is full: 0", "down while it is full: 0, servers: 0"):
        assert words in ran.stdout.splitlines(), said
    assert "No space left on device" in ran.stderr and "Make room" in ran.stderr
    assert "Traceback" not in said


@real
def test_few_files_and_processes(files: Files) -> None:
    """Fault: hard limits of 256 open files and 128 processes. The cluster starts with its first Pods, which get fewer."""
    found = limits.here()
    if found.processes is not None and found.running > 64:
        pytest.skip(f"this user has {found.running} processes already, and they count, too")
    environment = {**os.environ, "LABS_HOME": str(files.folder), "LABS_CLUSTER": "embedded", "LABS_NAME": files.name,
                   "LABS_HOST_PORTS": "any", "PYTHONPATH": str(ROOT)}  # fmt: skip
    command = ["prlimit", "--nofile=256:256", "--nproc=128:128", sys.executable, "-m", "labs", "up"]
    own = Files(files.folder / "state", files.name)
    try:
        ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        running = launch.find(own)
        assert running is not None
        holder = running.holders["machine"]
        assert resource.prlimit(running.pid, resource.RLIMIT_NOFILE) == (256, 256)
        assert resource.prlimit(holder, resource.RLIMIT_NOFILE) == (256, 256)
        assert resource.prlimit(holder, resource.RLIMIT_NPROC) == (96, 96)  # the cluster itself needs some
    finally:
        with own.lock():
            launch.end(own)


# --- another user


@real
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as another user")
def test_another_user_gets_nothing(files: Files) -> None:
    """Fault: user 65534 reads the cluster's files, looks for the token in its processes, ends it, and asks its API."""
    running = start(files)

    def tried(*command: str) -> subprocess.CompletedProcess[str]:
        other = ["setpriv", f"--reuid={ANOTHER}", f"--regid={ANOTHER}", "--clear-groups", *command]
        return subprocess.run(other, capture_output=True, text=True, timeout=30)

    assert tried("ls", str(files.folder)).returncode == 0  # what is in the way is the files, not their folder
    for path in (files.facts, files.log, files.run):
        assert "Permission denied" in tried("sh", "-c", f"cat {path}/* {path}").stderr
    for secret in ("environ", "root/etc/hostname", "ns/net"):
        assert tried("cat", f"/proc/{running.pid}/{secret}").returncode != 0
    assert running.token not in tried("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout
    assert tried("kill", str(running.pid)).returncode != 0
    entered = tried("nsenter", "-t", str(running.holders["machine"]), "-U", "-n", "--preserve-credentials", "true")
    assert entered.returncode != 0
    asked = tried("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{running.api}/api/v1/secrets")
    assert asked.stdout == "401"
    assert running.alive()
