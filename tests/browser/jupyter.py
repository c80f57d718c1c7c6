"""A JupyterLab or Notebook 7 of our own, and one notebook of it in a browser, with the moves that tests make there.

Knows the page and nothing of the course. Waits for conditions with a limit; nothing is judged by time.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nbformat

from labs import kernels

ROOT = Path(__file__).parents[2]
DUMPS = ROOT / "test-dumps"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
LIMIT = 60_000.0  # milliseconds that anything on the page may take
RUN_LIMIT = 240.0  # seconds for all cells of a notebook
PROMPTS = ".jp-CodeCell .jp-InputArea-prompt"
# As JupyterLab 4.6 shows a cell's error; what a cell writes to stderr looks the same, and no lesson writes there.
ERRORS = ".jp-OutputArea-output:is([data-mime-type$='jupyter.stderr'], [data-mime-type$='jupyter.error'])"
App = Literal["lab", "notebook"]
MODULES: dict[App, str] = {"lab": "jupyterlab", "notebook": "notebook"}


def browser_path() -> str | None:
    """A chromium that is on this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass
class Server:
    """A running server. folder: its root, where its notebooks are."""

    app: App
    folder: Path
    port: int
    token: str

    def address(self, name: str) -> str:
        """Where a notebook of its folder is shown. JupyterLab: in a workspace of its own, where no other notebook is open."""
        return self._at(f"notebooks/{name}" if self.app == "notebook" else f"{self._workspace()}/tree/{name}")

    def empty(self) -> str:
        """Where a JupyterLab is shown in which nothing is open yet."""
        return self._at(self._workspace())

    def _workspace(self) -> str:
        return f"lab/workspaces/{secrets.token_hex(4)}"

    def _at(self, place: str) -> str:
        return f"http://127.0.0.1:{self.port}/{place}?token={self.token}"

    def asked(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """What its API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api{path}?token={self.token}", data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def begin_kernel(self, name: str) -> None:
        """Starts the kernel of one of its notebooks; who opens that one afterwards finds it."""
        self.asked("/sessions", "POST", {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}})

    def write(self, name: str, cells: Sequence[str]) -> Path:
        """Makes a notebook of these code cells, without outputs."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}  # or it asks
        path = self.folder / name
        nbformat.write(made, path)
        return path


@contextmanager
def serving(app: App, folder: Path, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """A server in that folder, on a free port of this machine alone, with settings of its own; ended afterwards."""
    settings = folder.parent / f"{folder.name}-settings"
    no_news = settings / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    no_news.parent.mkdir(parents=True)
    no_news.write_text('{"fetchNews": "false"}', "utf-8")
    server = Server(app, folder, free_port(), secrets.token_hex(8))
    command = [sys.executable, "-m", MODULES[app], "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={server.port}"]
    command += [f"--IdentityProvider.token={server.token}", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"]
    command += [f"--LabApp.user_settings_dir={settings}", f"--JupyterNotebookApp.user_settings_dir={settings}"]
    command += [f"--LabApp.workspaces_dir={settings}/workspaces"]
    channels = kernels.channels()  # as `labs lab` has them
    command += channels.options
    log = settings / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **channels.environment, **(environment or {})},
        )
    try:
        _wait_for(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            server.asked("")
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < end, log.read_text("utf-8")[-2000:]
            time.sleep(0.2)


@dataclass
class Book:
    """A notebook on a page; in JupyterLab, beside others that are open there. ended: whether its kernel was.

    errors: what the page's console said as errors since its cells were run: before, there is only Jupyter on the page.
    """

    server: Server
    name: str
    page: Any
    errors: list[str] = field(default_factory=list)
    ended: bool = False
    panel: Any = None  # where the page shows it, once it does

    def __post_init__(self) -> None:
        self.page.set_default_timeout(LIMIT)
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self) -> "Book":
        """Goes there by its address, and waits as `shown` does."""
        self.page.goto(self.server.address(self.name))
        return self.shown()

    def open_here(self) -> "Book":
        """Opens it in the JupyterLab that is on the page already."""
        self.choose("File", "Open from Path")
        self.page.locator(".jp-Dialog input").fill(self.name)
        self.page.keyboard.press("Enter")
        return self.shown()

    def shown(self) -> "Book":
        """Waits until it is shown and its kernel listens; before that, JupyterLab would ask for one."""
        panel = ".jp-NotebookPanel"
        if self.server.app == "lab":
            panel += f"[id='{self._tab().get_attribute('data-id')}']"
        self.panel = self.page.locator(panel)
        self.panel.locator(".jp-Cell").first.wait_for()
        self.until(lambda: any(self._listens(one) for one in self.server.asked("/sessions")), "its kernel listens")
        return self

    def _tab(self) -> Any:
        return self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=self.name)

    def to_front(self) -> None:
        """Shows it, where another page or another notebook was shown last."""
        self.page.bring_to_front()
        if self.server.app == "lab":
            self._tab().click()

    def _listens(self, session: Any) -> bool:
        kernel = session["kernel"]
        return bool(session["path"] == self.name and kernel["connections"] and kernel["execution_state"] == "idle")

    def until(self, true: Any, what: str, limit: float = LIMIT / 1000, every: float = 0.15) -> None:
        """Waits until something is true; limit in seconds. every: seconds between two looks, which cost the page time."""
        end = time.monotonic() + limit
        while not true():
            assert time.monotonic() < end, f"{self.name}: not in time: {what}"
            self.page.wait_for_timeout(every * 1000)

    def choose(self, menu: str, *items: str) -> None:
        """Chooses an item of the menu, by way of the menus in it; each by how its words begin."""
        self.page.locator("li.lm-MenuBar-item", has_text=menu).first.click()
        for item in items:
            words = re.compile(f"^{re.escape(item)}")
            self.page.locator(".lm-Menu-itemLabel:visible").filter(has_text=words).first.click()

    def theme(self, name: Literal["light", "dark"]) -> None:
        """Changes the theme by JupyterLab's menu; returns when it is on the page."""
        self.choose("Settings", "Theme", f"JupyterLab {name.capitalize()}")
        self.page.locator(f"body[data-jp-theme-light={str(name == 'light').lower()}]").wait_for(state="attached")

    def run_all(self) -> None:
        """Runs every cell; returns when all have run."""
        self.begin_all()
        self.ran()

    def begin_all(self) -> None:
        """Begins to run every cell."""
        self._forget()
        self.choose("Run", "Run All Cells")

    def restart_and_run_all(self) -> None:
        """Restarts the kernel and runs every cell; returns when all have run."""
        self._forget()
        self.choose("Kernel", "Restart Kernel and Run All Cells")
        self.page.locator(".jp-Dialog-button.jp-mod-accept").click()
        self.ran()

    def _forget(self) -> None:
        """Takes what earlier runs have left from the page, so that nobody takes it for what this one brings."""
        self.errors.clear()
        self.panel.evaluate(
            "panel => {"
            "  panel.querySelectorAll('.jp-OutputArea-output').forEach(old => old.remove());"
            f" panel.querySelectorAll('{PROMPTS}').forEach(old => {{ old.textContent = ''; }})"
            "}"
        )

    def ran(self) -> None:
        """Waits until all that will run has run."""
        self.until(self.has_run, "every cell has run", RUN_LIMIT, every=0.4)

    def has_run(self) -> bool:
        """Whether every code cell has a number, or one an error, after which no other runs: that is for tests to ask."""
        return all(self._numbered()) or bool(self.failed())

    def has_begun(self) -> bool:
        """Whether a code cell has a number."""
        return any(self._numbered())

    def _numbered(self) -> list[bool]:
        # Their text, seen or not: a cell that is scrolled away has no inner text.
        return [re.search(r"\[\d+\]", one) is not None for one in self.panel.locator(PROMPTS).all_text_contents()]

    def failed(self) -> list[str]:
        """All that the cells printed that ended with an error."""
        return list(self.panel.locator(f".jp-OutputArea:has({ERRORS})").all_inner_texts())

    def save(self) -> None:
        """Saves it; returns when the file on the disk has what the page has."""
        before = (self.server.folder / self.name).stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        self.until(lambda: (self.server.folder / self.name).stat().st_mtime_ns != before, "it is saved")

    def end_kernel(self) -> None:
        """Ends its kernel, as a shutdown of the machine would."""
        self.ended = True
        for session in self.server.asked("/sessions"):
            if session["path"] == self.name:
                self.server.asked(f"/sessions/{session['id']}", "DELETE")

    def picture(self, name: str) -> Path:
        """Keeps a picture of the whole page."""
        DUMPS.mkdir(exist_ok=True)
        path = DUMPS / f"{name}.png"
        self.page.screenshot(path=path)
        return path
