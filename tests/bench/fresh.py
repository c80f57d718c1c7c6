"""From a fresh clone, with a home where nothing is cached, to JupyterLab and to the first curl that a notebook shows.

The clone has what is committed, and an embedded cluster of its own. Packages come from where this machine's pip has them from.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websocket

from labs import bootstrap, uv
from labs.launch import FIRST
from labs.providers import embedded
from tests.bench.common import Part, Row
from tests.browser.jupyter import free_port
from tests.run import ROOT

NAME = "ports-bench-fresh"
FIRST_CURL = "ask"  # the cell of the first lesson that makes it
LIMIT = 600.0  # seconds
_DROPPED = ("PYTHON", "UV_", "XDG_", "JUPYTER_", "LABS_", "PIP_CACHE", "VIRTUAL_ENV", "MAKE", "MFLAGS")


@dataclass(frozen=True)
class Clone:
    """A fresh clone, and the environment of its learner."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> None:
        """Runs a command there. CalledProcessError."""
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True, capture_output=True)


def lacking() -> str:
    """Why nothing can be measured here; "" where it can."""
    usable = embedded.available()
    return "" if usable.yes else f"{usable.why} {usable.mend}"


@contextmanager
def cluster(parts: Collection[str], keep: bool) -> Iterator[None]:
    """Nothing: each clone has its own cluster, which is ended with it."""
    yield


@contextmanager
def cloned() -> Iterator[Clone]:
    """A fresh clone with a new home; both are removed afterwards, and the cluster with them."""
    with tempfile.TemporaryDirectory(prefix="fresh-") as top:
        folder, home = Path(top, "clone"), Path(top, "home")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        home.mkdir()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        environment |= {"HOME": str(home), "LABS_CLUSTER": "embedded", "LABS_NAME": NAME, "LABS_HOST_PORTS": "any"}
        clone = Clone(folder, environment | _pip_settings())
        try:
            yield clone
        finally:
            if python_of(clone).exists():
                clone.run(str(python_of(clone)), "-m", "labs", "down")


def _pip_settings() -> dict[str, str]:
    """What this machine's pip is told in files, some of which are in the old home."""
    listed = subprocess.run([*bootstrap.pip_here(), "config", "list"], capture_output=True, encoding="utf-8").stdout
    return {f"PIP_{name.upper().replace('-', '_')}": value for name, value in uv.pip_settings(listed).items()}


def python_of(clone: Clone) -> Path:
    """The Python of the clone's environment, once it is made."""
    return clone.folder / ".venv" / "bin" / "python"


def bench_lab() -> list[Row]:
    """`make lab` twice: until JupyterLab answers, and until a notebook shows what its first curl got."""
    with cloned() as clone:
        first = _lab(clone)
        brought = "with uv fetched" if (clone.folder / ".venv" / "uv").exists() else "with the uv on PATH"
        second = _lab(clone)
    return [
        ("fresh clone: `make lab` until JupyterLab answers", f"{first[0]:.1f} s, {brought}", "at most 15 s"),
        ("fresh clone: until the first curl of a notebook is answered", f"{first[1]:.1f} s", "at most 20 s"),
        ("the second time: until JupyterLab answers, with the cluster up", f"{second[0]:.1f} s", "at most 4 s"),
        ("the second time: until the first curl of a notebook is answered", f"{second[1]:.1f} s", ""),
    ]


def _lab(clone: Clone) -> tuple[float, float]:
    """Seconds of one `make lab` until JupyterLab answers, and until the first curl is answered."""
    start = time.monotonic()
    command = ["make", "lab", f"ARGS=--no-browser --port={free_port()}"]
    process = subprocess.Popen(
        command,
        cwd=clone.folder,
        env=clone.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        assert process.stdout
        output = ""
        for line in process.stdout:
            output += line
            if match := re.search(r"Ready: open this URL: (\S+)/lab/\S*\?token=(\w+)", line):
                ready = time.monotonic() - start
                _first_curl(clone, match[1], match[2])
                return ready, time.monotonic() - start
        raise RuntimeError(f"`{' '.join(command)}` came to its end: {output}")
    finally:
        os.killpg(process.pid, signal.SIGINT)  # JupyterLab asks nobody, as it has no terminal
        process.wait(LIMIT)


def _first_curl(clone: Clone, server: str, token: str) -> None:
    """Runs the cells of the first lesson in a kernel of that server, up to the first curl."""
    session = {"path": FIRST, "name": FIRST, "type": "notebook", "kernel": {"name": "python3"}}
    request = urllib.request.Request(f"{server}/api/sessions?token={token}", json.dumps(session).encode(), method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=LIMIT) as answer:
        kernel = json.load(answer)["kernel"]["id"]
    channels = f"{server.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={token}"
    connection = websocket.create_connection(channels, timeout=LIMIT, http_no_proxy=["*"])
    try:
        for cell in json.loads((clone.folder / "course" / FIRST).read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                _run_cell(connection, "".join(cell["source"]))
            if cell["id"] == FIRST_CURL:
                return
        raise RuntimeError(f"{FIRST} has no cell {FIRST_CURL}")
    finally:
        connection.close()


def _run_cell(connection: Any, code: str) -> None:
    """Runs a cell; returns when the kernel has said that it ended well. RuntimeError where it did not."""
    header = {"msg_id": secrets.token_hex(8), "msg_type": "execute_request", "session": "bench", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    connection.send(json.dumps(message))
    while True:
        reply = json.loads(connection.recv())
        if reply["msg_type"] == "execute_reply" and reply["parent_header"].get("msg_id") == header["msg_id"]:
            if reply["content"]["status"] != "ok":
                raise RuntimeError(f"{code}: {reply['content']}")
            return


def bench_install() -> list[Row]:
    """Installing alone, each in a clone of its own: as `make lab` does it, and by pip."""
    python = shutil.which("python3") or "python3"
    by_pip = "from labs import bootstrap as b; b.make_environment(); assert b.installed_by_pip(b.ROOT / 'requirements.lock')"
    taken = {}
    for way, code in {"uv": "from labs import bootstrap as b; b.ready(b.ROOT / 'requirements.lock')", "pip": by_pip}.items():
        with cloned() as clone:
            start = time.monotonic()
            clone.run(python, "-c", code)
            taken[way] = time.monotonic() - start
    seconds = f"{taken['uv']:.1f} s, {taken['pip']:.1f} s ({taken['pip'] / taken['uv']:.1f} times)"
    return [("fresh clone: installing as `make lab` does, and by pip", seconds, "")]


PARTS: dict[str, Part] = {
    "fresh lab": lambda _: bench_lab(),
    "fresh install": lambda _: bench_install(),
}
