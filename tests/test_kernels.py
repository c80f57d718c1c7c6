"""labs.kernels: where kernels' sockets are, and that nobody else hears a kernel of the JupyterLab that `labs lab` starts."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from labs import kernels, launch

LIMIT = 60.0  # seconds
LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
SECRET = "labs-secret"
NOBODY = 65534


# --- the folder


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path, for TMPDIR; Jupyter's own folder may be `own` in it, and XDG_RUNTIME_DIR names none."""
    top = Path(tempfile.mkdtemp(prefix="k-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(top))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(top / "own"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    yield top
    shutil.rmtree(top)


def folder() -> Path:
    return Path(kernels.channels().environment["JUPYTER_RUNTIME_DIR"])


def test_jupyters_own_folder_is_taken_where_it_can_be(places: Path) -> None:
    assert folder() == places / "own"
    assert (places / "own").stat().st_mode & 0o777 == 0o700
    assert kernels.channels().options == ("--KernelManager.transport=ipc",)
    assert list((places / "own").iterdir()) == []


@pytest.mark.parametrize("wrong", ["the path is too long", "others may enter", "a link", "a file", "somebody else's"])
def test_another_folder_is_taken_where_it_cannot_be(wrong: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = places / "own"
    if wrong == "the path is too long":
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(own / ("x" * 80)))
    elif wrong == "others may enter":
        own.mkdir()
        own.chmod(0o711)
    elif wrong == "a link":
        (places / "there").mkdir(mode=0o700)
        own.symlink_to(places / "there")
    elif wrong == "a file":
        own.touch()
    elif os.geteuid() != 0:
        pytest.skip("only root can make a folder that is somebody else's")
    else:
        own.mkdir(mode=0o700)
        os.chown(own, NOBODY, NOBODY)
    taken = folder()
    assert taken.parent == places and taken.name.startswith("jupyter-")
    assert taken.stat().st_mode & 0o777 == 0o700
    runtime = places / "run"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert folder() == runtime / "kubernetes-ports-live"


def test_where_no_folder_will_do_it_is_told(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_holds_sockets", lambda _: False)
    channels = kernels.channels()
    assert (channels.options, channels.environment) == ((), {})
    assert "other accounts of this machine can read what your cells print" in channels.warning
    assert [path.name for path in places.iterdir()] == ["own"], "what was made in vain is gone"


def test_without_unix_sockets_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert kernels.channels() == kernels.Channels()


# --- a JupyterLab


@dataclass
class Lab:
    """A JupyterLab that `labs lab` has started. runtime: where its kernels' files are."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    runtime: Path
    log: Path

    def asked(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """What its API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api{path}?token={self.token}", data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def begin_kernel(self) -> str:
        """Starts a kernel; its id."""
        return str(self.asked("/kernels", "POST", {"name": "python3"})["id"])

    def sockets(self, kernel: str) -> list[Path]:
        """The files of a kernel's sockets."""
        return sorted(self.runtime.glob(f"kernel-{kernel}-ipc-*"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """As `labs lab` starts it, but for the cluster behind it; for a learner whose home has a long path."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("there is no /proc that tells whose a socket is")
    top, temporary = tmp_path_factory.mktemp("a-home-with-a-long-path"), Path(tempfile.mkdtemp(prefix="k-", dir="/tmp"))
    begun: list[tuple[list[str], dict[str, str]]] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    token = secrets.token_hex(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(top))
        patch.setattr(tempfile, "tempdir", str(temporary))
        for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
            patch.delenv(name, raising=False)
        patch.setattr(launch.packages, "complete", lambda say: None)
        patch.setattr(launch.providers, "choose", lambda: launch.providers.Choice("embedded", "", "a test"))
        patch.setattr(launch.providers, "up", lambda say: None)
        patch.setattr(launch, "environment_of", lambda cluster: {"KUBECONFIG": "/none"})
        patch.setattr(launch, "shell_command", lambda values: ["sh"])
        patch.setattr(launch.copies, "update", lambda say: None)
        patch.setattr(launch.copies, "COURSE", top)
        patch.setattr(os, "execve", lambda path, command, environment: begun.append((command, environment)))
        patch.chdir(top)
        options = [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", "--no-browser"]
        launch.lab(options, lambda _: None)
    ((command, environment),) = begun
    process = subprocess.Popen(command, env=environment, cwd=top)
    log = Path(command[command.index("labs.lab_server") + 1])
    made = Lab(process, port, token, Path(environment["JUPYTER_RUNTIME_DIR"]), log)
    try:
        until(lambda: answers(made), made)
        yield made
    finally:
        process.terminate()
        process.wait(LIMIT)
        assert [path.name for path in made.runtime.iterdir() if "-ipc-" in path.name] == [], "sockets are left"
        shutil.rmtree(temporary)


def answers(lab: Lab) -> bool:
    try:
        return bool(lab.asked(""))
    except OSError:
        return False


def until(true: Callable[[], Any], lab: Lab) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert lab.process.poll() is None and time.monotonic() < end, lab.log.read_text("utf-8")[-2000:]
        time.sleep(0.05)


@pytest.fixture
def kernel(lab: Lab) -> Iterator[str]:
    """The id of a kernel of that JupyterLab, whose sockets are gone afterwards."""
    made = lab.begin_kernel()
    yield made
    lab.asked(f"/kernels/{made}", "DELETE")
    assert lab.sockets(made) == []


def printed(lab: Lab, kernel: str, code: str) -> str:
    """What a cell prints, or the name of its error."""
    client = BlockingKernelClient(connection_file=str(lab.runtime / f"kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels(hb=False)  # which would take a busy machine's kernel for a dead one
    seen: list[str] = []

    def shown(message: dict[str, Any]) -> None:
        seen.append(str(message["content"].get("text") or message["content"].get("ename") or ""))

    try:
        client.wait_for_ready(LIMIT)
        client.execute_interactive(code, timeout=LIMIT, output_hook=shown)
    finally:
        client.stop_channels()
    return "".join(seen).strip()


def process_of(lab: Lab, kernel: str) -> int:
    return int(printed(lab, kernel, "import os; print(os.getpid())"))


def listening(pid: int) -> list[int]:
    """The TCP ports that a process listens on."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    table = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text("ascii").splitlines()
    ]
    return [int(row[1].rpartition(":")[2], 16) for row in table if row[3] == LISTENING and f"socket:[{row[9]}]" in links]


def test_a_stranger_hears_nothing_of_a_cell(lab: Lab, kernel: str) -> None:
    """By TCP a kernel listens on one port, for what its own forks print (ipykernel/iostream.py); nothing comes out there."""
    code = f"print('{SECRET[:4]}' + '{SECRET[4:]}')"
    ports = listening(process_of(lab, kernel))
    assert listening(lab.process.pid) == [lab.port]
    assert len(ports) <= 1
    context = zmq.Context()
    stranger = context.socket(zmq.SUB)  # as one hears who subscribes to a kernel's iopub, without its key
    stranger.subscribe(b"")
    for port in [lab.port, *ports]:
        stranger.connect(f"tcp://127.0.0.1:{port}")
    try:
        assert stranger.poll(500) == 0
        assert printed(lab, kernel, code) == SECRET
        assert stranger.poll(500) == 0
    finally:
        context.destroy(linger=0)


def test_another_account_cannot_connect(lab: Lab, kernel: str) -> None:
    assert printed(lab, kernel, "print(1)") == "1"
    sockets = lab.sockets(kernel)
    assert len(sockets) == 5
    assert lab.runtime.stat().st_mode & 0o077 == 0 and lab.runtime.stat().st_uid == os.geteuid()
    if os.geteuid() != 0:
        pytest.skip("only root can try it as another account")
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os._exit(sum(not refused(path) for path in sockets))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def refused(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as stranger:
        try:
            stranger.connect(str(path))
        except PermissionError:
            return True
        return False


def test_two_kernels_restarts_and_interrupts(lab: Lab, kernel: str, tmp_path: Path) -> None:
    other = lab.begin_kernel()
    assert printed(lab, kernel, "a = 'mine'; print(a)") == "mine"
    assert printed(lab, other, "print(a)") == "NameError"
    lab.asked(f"/kernels/{kernel}/restart", "POST")
    assert printed(lab, kernel, "print(a)") == "NameError"
    begun = tmp_path / "begun"
    with ThreadPoolExecutor() as pool:
        stuck = pool.submit(
            printed, lab, kernel, f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
        )
        until(begun.exists, lab)
        lab.asked(f"/kernels/{kernel}/interrupt", "POST")
        assert stuck.result(LIMIT) == "KeyboardInterrupt"
    assert printed(lab, kernel, "print('still')") == "still"
    assert len(lab.sockets(kernel)) == len(lab.sockets(other)) == 5
    lab.asked(f"/kernels/{other}", "DELETE")
    assert lab.sockets(other) == []
    assert printed(lab, kernel, "print('still')") == "still"


def test_a_kernel_that_dies_is_started_again(lab: Lab, kernel: str) -> None:
    before = process_of(lab, kernel)
    os.kill(before, signal.SIGKILL)
    until(lambda: "AsyncIOLoopKernelRestarter: restarting kernel" in lab.log.read_text("utf-8"), lab)
    assert process_of(lab, kernel) != before
    assert len(lab.sockets(kernel)) == 5
