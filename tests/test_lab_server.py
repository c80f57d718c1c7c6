"""labs.lab_server: what the terminal says of a JupyterLab, what its log has, and how it ends. JupyterLab is real."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labs import lab_server

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120.0  # seconds
QUESTION = "Shut down this Jupyter server"  # Jupyter's own
TOKEN = "?token=secret"


# --- what is said


def server(**given: Any) -> SimpleNamespace:
    """What a ServerApp tells of itself, where it listens on loopback."""
    local = "http://127.0.0.1:8889/lab" + TOKEN
    usual = {"ip": "127.0.0.1", "port": 8889, "sock": "", "custom_display_url": "", "public_url": local, "local_url": local}
    return SimpleNamespace(**(usual | given))


@pytest.mark.parametrize(
    ("seen", "url"),
    [
        (server(), "http://127.0.0.1:8889/lab"),
        (server(ip="0.0.0.0", public_url="http://0.0.0.0:8889/lab"), "http://127.0.0.1:8889/lab"),
        (server(ip="192.0.2.7", public_url="http://192.0.2.7:8889/lab"), "http://192.0.2.7:8889/lab"),
        (server(custom_display_url="https://fun", public_url="https://fun-8889/lab"), "https://fun-8889/lab"),
        (server(ip="0.0.0.0", sock="/run/s", public_url="http+unix://s/lab"), "http+unix://s/lab"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(seen: SimpleNamespace, url: str) -> None:
    assert lab_server.address(seen).removesuffix(TOKEN) == url


def test_ready_is_one_line_and_the_advice_has_the_port_that_it_really_is() -> None:
    line = f"Ready: open this URL: http://127.0.0.1:8889/lab{TOKEN}"
    assert lab_server.ready_text(server(), "") == line
    assert lab_server.ready_text(server(), "ssh -L {port}:x") == f"ssh -L 8889:x\n{line}"


def test_the_end_of_the_log_is_told_and_no_older_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of yesterday\n" + "".join(f"line {number}\n" for number in range(30)))
    text = lab_server.failure_text(1, log, len("of yesterday\n")).splitlines()
    assert "did not start (exit code 1)" in text[0] and str(log) in text[0]
    assert text[-1] == "  line 29" and len(text) == 16
    assert "of yesterday" not in lab_server.failure_text(1, log, log.stat().st_size - len("line 29\n"))


# --- a JupyterLab


class Terminal:
    """A JupyterLab behind a terminal, as its learner has it."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.log = folder / "jupyterlab.log"
        self.shown = ""
        self._master, slave = pty.openpty()
        own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "RUNTIME", "DATA")}
        command = [sys.executable, "-m", "labs.lab_server", str(self.log), "Advice: {port}.", "--allow-root", "--no-browser"]
        self.process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1", *options],
            cwd=folder,
            env=os.environ | own | {"PYTHONPATH": str(ROOT)},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            process_group=0,
        )
        os.close(slave)

    def until(self, pattern: str) -> str:
        """Waits until the terminal shows this; returns its first group."""
        end = time.monotonic() + LIMIT
        while not (match := re.search(pattern, self.shown)):
            assert time.monotonic() < end, self.shown
            self._read()
        return match[1] if match.groups() else match[0]

    def _read(self) -> None:
        if select.select([self._master], [], [], 1)[0]:
            try:
                self.shown += os.read(self._master, 4096).decode()
            except OSError:  # nobody has the other end any more
                time.sleep(0.05)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(LIMIT)
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.shown += os.read(self._master, 4096).decode()
            except OSError:
                break
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_it_says_when_it_answers_and_ctrl_c_asks_before_it_ends(tmp_path: Path, taken: int) -> None:
    """The port that it was asked for is taken: it is on another, which the terminal says."""
    terminal = Terminal(tmp_path, [f"--ServerApp.port={taken}", "--LabApp.default_url=/lab/tree/x.ipynb"])
    try:
        url = terminal.until(r"Ready: open this URL: (\S+)\r")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
            assert answer.status == 200 and b"jupyter-config-data" in answer.read()
        port = url.split("/lab/tree/x.ipynb?token=")[0].rpartition(":")[2]
        assert port != str(taken)
        assert f"Advice: {port}." in terminal.shown
        assert len(terminal.shown.splitlines()) == 2, "Jupyter's own words are in the log"
        assert "is already in use" in terminal.log.read_text() and "Jupyter Server" in terminal.log.read_text()

        os.killpg(terminal.process.pid, signal.SIGINT)
        terminal.until(QUESTION)
        terminal.type("y\n")
        assert terminal.ended() == 0
        assert "did not start" not in terminal.shown
    finally:
        terminal.close()


def test_one_that_does_not_start_is_told_with_its_words(tmp_path: Path, taken: int) -> None:
    (tmp_path / "jupyterlab.log").write_bytes(b"x" * 1_000_001)
    terminal = Terminal(tmp_path, [f"--ServerApp.port={taken}", "--ServerApp.port_retries=0"])
    try:
        assert terminal.ended() == 1
        assert "JupyterLab did not start (exit code 1)" in terminal.shown and str(terminal.log) in terminal.shown
        assert f"port {taken} is already in use" in terminal.shown.replace("\r\n", "\n")
        assert "Ready" not in terminal.shown
        assert terminal.log.stat().st_size < 100_000, "a log that has become too long is begun anew"
    finally:
        terminal.close()


def test_an_error_of_python_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "jupyterlab.py").write_text("raise RuntimeError('this JupyterLab is broken')\n")
    done = subprocess.run(
        [sys.executable, "-m", "labs.lab_server", str(tmp_path / "log"), ""],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "this JupyterLab is broken" in done.stderr and "did not start" in done.stderr
