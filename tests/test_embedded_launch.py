"""The embedded cluster's process: started, found, ended; what is left of it when it dies; who may read its files.

Real clusters, each in a folder of its own, made and ended here. Skipped, with the reason, where this machine allows none.
"""

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from labs.embedded import assembly, host, launch, processes
from labs.embedded.kubelet import images
from labs.embedded.launch import Files, Running
from labs.embedded.store import Store
from tests.another_user import NOBODY, as_nobody, only_root, shared_folder

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")
MAPPED = 30066


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    found = Files(tmp_path, "launched")
    yield found
    with found.lock():
        launch.end(found)


def start(files: Files) -> Running:
    """As the provider does: under the lock, and only where none runs."""
    with files.lock():
        return launch.find(files) or launch.start(files, [MAPPED], any_port=True)


def ask(running: Running, path: str, token: str | None = None) -> int:
    """The HTTP status of a GET."""
    context = ssl.create_default_context(cadata=running.authority)
    headers = {"Authorization": f"Bearer {running.token if token is None else token}"}
    request = urllib.request.Request(f"https://127.0.0.1:{running.api}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def interfaces() -> set[str]:
    """The network interfaces of this machine; others may make some meanwhile, never these."""
    return {name for name in os.listdir("/sys/class/net") if name.startswith(("nodes", "node0", "veth0000"))}


def children(pid: int) -> list[int]:
    """All processes that a process started, and those that they started."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, encoding="ascii", check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for known in found:
        found += [child for child, parent in pairs if parent == known]
    return found[1:]


def name_of(pid: int) -> str:
    """What a process is called; "" where it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        return ""


def test_it_answers_who_has_the_token_and_nobody_else(files: Files) -> None:
    running = start(files)
    assert ask(running, "/api/v1/nodes") == 200
    assert ask(running, "/api/v1/nodes", token="another") == 401
    assert ask(running, "/api/v1/nodes", token="") == 401


def test_its_files_are_its_owners_alone(files: Files) -> None:
    start(files)
    for path in (files.facts, files.log):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(files.run.stat().st_mode) == 0o700


def test_a_second_start_at_the_same_moment_finds_the_first(files: Files) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: start(files), range(3)))
    assert len({running.pid for running in found}) == 1


def test_nothing_of_it_is_on_the_host(files: Files) -> None:
    before = interfaces()
    running = start(files)
    assert interfaces() == before
    assert os.readlink(f"/proc/{running.pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert os.readlink(f"/proc/{running.pid}/ns/user") != os.readlink("/proc/self/ns/user")
    assert not list(files.run.iterdir())  # what is mounted there is seen from within alone


def test_killed_it_leaves_nothing_and_can_be_started_again(files: Files) -> None:
    running = start(files)
    others = children(running.pid)
    assert len(others) >= 4  # the zygote, and one in each place of the network
    handles = [os.pidfd_open(running.pid)]
    for pid in others:
        with contextlib.suppress(ProcessLookupError):  # an `nft` that has done its work
            handles.append(os.pidfd_open(pid))
    os.kill(running.pid, signal.SIGKILL)
    for handle in handles:
        assert select.select([handle], [], [], 10)[0], "a process of the cluster outlived it"
        os.close(handle)
    assert launch.find(files) is None
    again = start(files)
    assert again.pid != running.pid
    assert ask(again, "/api/v1/nodes") == 200


def test_ended_it_leaves_nothing(files: Files) -> None:
    running = start(files)
    with files.lock():
        launch.end(files)
        launch.end(files)  # again
    assert not running.alive()
    assert not files.facts.exists()
    assert not files.run.exists()


def test_another_process_of_that_number_is_not_taken_for_it(files: Files) -> None:
    running = start(files)
    text = files.facts.read_text("utf-8")
    files.facts.write_text(text.replace(f'"pid": {running.pid}', f'"pid": {os.getpid()}'), "utf-8")
    assert launch.find(files) is None
    files.facts.write_text(text, "utf-8")


def test_one_whose_facts_were_lost_is_ended_with_the_rest(files: Files) -> None:
    running = start(files)
    files.facts.unlink()
    with files.lock():
        launch.end(files)
    assert not running.alive()


@contextlib.contextmanager
def imitator(files: Files, folder: Path, user: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of that user whose arguments look like this cluster's server."""
    (folder / "labs.embedded.server").write_text("exec sleep 60\n")  # a script, by that name
    (folder / "labs.embedded.server").chmod(0o755)
    command = ["sh", "-m", "labs.embedded.server", json.dumps({"run": str(files.run)})]
    with subprocess.Popen(command, cwd=folder, user=user, group=user, extra_groups=[], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@only_root
def test_another_users_process_that_looks_like_it_is_left_alone(files: Files) -> None:
    """By root, who could end it; and by a user who cannot, and for whom it is in nobody's way."""
    with shared_folder() as folder:
        with imitator(files, folder, NOBODY) as theirs:
            assert ask(start(files), "/api/v1/nodes") == 200
            assert theirs.poll() is None
        with imitator(files, folder, 0) as roots:
            assert as_nobody(lambda: launch._end_forgotten(files)) == ""
            assert roots.poll() is None


@only_root
def test_another_users_process_of_that_number_is_not_taken_for_it(files: Files) -> None:
    running = start(files)
    with subprocess.Popen(["sleep", "60"], user=NOBODY, group=NOBODY, extra_groups=[]) as theirs:
        assert not replace(running, pid=theirs.pid, begun=processes.begun(theirs.pid)).alive()
        assert replace(running, pid=os.getpid(), begun=processes.begun(os.getpid())).alive()
        theirs.kill()


def test_a_file_that_is_no_facts_is_no_cluster(files: Files) -> None:
    for text in ("", "{}", "[1]", '{"pid": 1}'):
        files.facts.write_text(text, "utf-8")
        assert launch.find(files) is None


def test_two_run_side_by_side(files: Files, tmp_path: Path) -> None:
    other = Files(tmp_path, "beside")
    try:
        first, second = start(files), start(other)
        assert (ask(first, "/api/v1/nodes"), ask(second, "/api/v1/nodes")) == (200, 200)
        assert ask(first, "/api/v1/nodes", token=second.token) == 401
    finally:
        with other.lock():
            launch.end(other)


def test_the_laptops_mapping_accepts_first_and_closes_where_nobody_is_behind(files: Files) -> None:
    running = start(files)
    with socket.create_connection(("127.0.0.1", running.mappings[MAPPED]), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass


def test_a_port_that_is_taken_is_not_asked_for(files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, files.lock():
        port = taken.getsockname()[1]
        running = launch.start(files, [port])
        assert running.mappings[port] != port


FIRST_POD = {
    "metadata": {"name": "first", "namespace": "of-its-own"},
    "spec": {"containers": [{"name": "waits", "image": "registry.k8s.io/e2e-test-images/agnhost:2.53", "args": ["pause"]}]},
}


def test_the_pods_that_it_shall_begin_with_are_ready_when_it_is(files: Files) -> None:
    with files.lock():
        running = launch.start(files, [], pods=[FIRST_POD])
    context = ssl.create_default_context(cadata=running.authority)
    url = f"https://127.0.0.1:{running.api}/api/v1/namespaces/of-its-own/pods/first"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {running.token}"})
    with urllib.request.urlopen(request, context=context, timeout=20) as answer:
        conditions = json.load(answer)["status"]["conditions"]
    assert [one["status"] for one in conditions if one["type"] == "Ready"] == ["True"]


def test_a_pods_process_shows_nothing_of_the_users_environment(files: Files) -> None:
    with files.lock():
        running = launch.start(files, [], pods=[FIRST_POD])
    [first] = [pid for pid in children(running.pid) if name_of(pid) == "agnhost"]
    assert not Path(f"/proc/{first}/environ").read_bytes().strip(b"\0")


def test_a_first_pod_that_does_not_become_ready_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_PATIENCE", 0.0)
    store = Store()
    store.create("pods", FIRST_POD)
    with pytest.raises(OSError, match="Pod first was not Ready"):
        asyncio.run(assembly._ready(store, [FIRST_POD]))


def test_the_places_of_the_network_can_be_entered(files: Files) -> None:
    running = start(files)
    for place in ("machine", "launched-control-plane", "launched-worker"):
        command = [
            "nsenter",
            "-t",
            str(running.holders[place]),
            "-U",
            "-n",
            "--preserve-credentials",
            "ip",
            "-4",
            "-o",
            "address",
        ]
        shown = subprocess.run(command, capture_output=True, encoding="utf-8", env=host.environment())
        assert "eth0" in shown.stdout, (place, shown)


def test_what_it_cannot_do_is_told(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `ip` there are no links: its last words arrive, and nothing runs."""
    usual = launch._environment()
    monkeypatch.setattr(launch, "_environment", lambda: {**usual, "PATH": "/nowhere"})
    with files.lock(), pytest.raises(launch.NotStarted) as raised:
        launch.start(files, [])
    assert "ip" in raised.value.why
    assert launch.find(files) is None


def test_curl_is_here() -> None:
    """What Pods of the course are asked with."""
    assert shutil.which("curl", path=host.SYSTEM_PATH)
    assert images.find("curl") is not None
