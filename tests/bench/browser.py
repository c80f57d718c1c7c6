"""How soon the path is repainted once the answers of a turned knob are in: in JupyterLab, in a browser.

Both ends are taken by this machine's clock: the kernel notes when the answers are in, the page notes the first frame after its
path changed. Measures on whatever cluster `labs.connect()` gives. The moves on the page are those of tests/browser.
"""

import tempfile
from pathlib import Path

from tests.bench.common import Row, spread
from tests.bench.knobs import PORTS
from tests.browser.jupyter import FLAGS, Book, browser_path, serving
from tests.browser.test_explorer import typed

WHAT, AIM = "Service knob in the browser: from the answers to the repainted path", "at most 0.3 s"
NOTED = "answers-in.txt"  # in the notebook's folder: a time a turn, in seconds since 1970

CELLS = (
    f"""
import time
from pathlib import Path

import labs
from labs.views.turns import Turns

lap = Turns._lap

def noted(turns, step):
    if step == "first answers" and step not in turns.laps:
        with Path("{NOTED}").open("a") as file:
            print(time.time(), file=file)
    lap(turns, step)

Turns._lap = noted
""",
    "explorer = labs.explorer()\nexplorer",
)
WATCH = """() => {
  window.repainted = [];
  const picture = document.querySelector(".labs-path-view .labs-path").parentElement;
  const frame = () => requestAnimationFrame(() => window.repainted.push(Date.now() / 1000));
  new MutationObserver(frame).observe(picture, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def bench_repaint(turns: int) -> list[Row]:
    """Turns targetPort to and fro by keyboard; nothing is measured where there is no playwright or no chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return [(WHAT, "not measured: playwright is not installed", AIM)]
    found = browser_path()
    if found is None:
        return [(WHAT, "not measured: no chromium is on PATH", AIM)]
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made) / "notebooks"
        folder.mkdir()
        with serving("lab", folder) as server, playwright.chromium.launch(executable_path=found, args=list(FLAGS)) as browser:
            server.write("repaint.ipynb", CELLS)
            book = Book(server, "repaint.ipynb", browser.new_page(viewport={"width": 1400, "height": 2000})).open()
            book.run_all()
            assert book.failed() == [], book.failed()
            book.page.evaluate(WATCH)
            return [(WHAT, spread([_turned(book, folder / NOTED, PORTS[turn % 2]) for turn in range(turns)]), AIM)]


def _turned(book: Book, noted: Path, port: int) -> float:
    """Seconds from the answers of this turn to the first frame with another path."""
    before = len(_times(noted))
    book.page.evaluate("window.repainted = []")
    typed(book, "targetPort", str(port))
    answered = _times(noted)[before]
    return float(min(time for time in book.page.evaluate("window.repainted") if time >= answered)) - answered


def _times(noted: Path) -> list[float]:
    return [float(line) for line in noted.read_text("utf-8").splitlines()]
