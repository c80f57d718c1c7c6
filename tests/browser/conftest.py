"""A lesson on the cluster that `LABS_CLUSTER` and `LABS_NAME` pick, JupyterLab and Notebook 7, and a browser.

Skipped, with the reason, where there is no cluster, no playwright or no chromium. Pictures go to test-dumps/, one of each page
where a test failed among them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

import labs
from labs import progress
from labs.deploy import Lesson
from labs.errors import NoProvider, Refused
from tests.browser.jupyter import FLAGS, MODULES, App, Book, Server, browser_path, serving

NAME = "05-all-four"
Opens = Callable[..., Book]
Kept = dict[tuple[App, tuple[str, ...]], Book]
SIZE = {"width": 1400, "height": 2000}  # of a page, in pixels
FAILED = pytest.StashKey[bool]()  # of a test: whether it did, once it has run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Notes whether a test failed, for its fixtures, which end after it."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def lesson() -> Iterator[Lesson]:
    """The namespace that the widgets work in; emptied afterwards."""
    try:
        cluster = labs.connect()
    except NoProvider as error:
        pytest.skip(str(error))
    made = Lesson(cluster, NAME, say=lambda _: None)
    made.start()
    yield made
    made.reset()


@pytest.fixture
def ready(lesson: Lesson) -> Lesson:
    """The lesson with the article's Pod and Service as they should be, whatever a test before has left."""
    lesson.claim_article_addresses()  # a notebook that was run before may hold them
    lesson.remove("Service", "productpage")  # whose ClusterIP may be another one, which cannot be changed
    try:
        lesson.apply("02-pod2", wait=False)  # it is there already, or missing
    except Refused:  # another one is there
        lesson.apply("02-pod2", anew=True, wait=False)
    lesson.apply("07-service-nodeport-30066", wait=False)
    lesson.wait(["pod2"])
    return lesson


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[App], Server]]:
    """A server of each kind that is installed. They start together, when one is first asked for, and end together."""
    made = {app: serving(app, tmp_path_factory.mktemp(app)) for app, module in MODULES.items() if find_spec(module)}
    stacks = {app: ExitStack() for app in made}
    starting: dict[App, Future[Server]] = {}
    with ThreadPoolExecutor() as pool:

        def server(app: App) -> Server:
            if not starting:
                starting.update((one, pool.submit(stacks[one].enter_context, made[one])) for one in made)
            return starting[app].result()

        yield server
        list(pool.map(ExitStack.close, stacks.values()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-dev.txt)")
    path = browser_path()
    if path is None:
        pytest.skip("no chromium is on PATH")
    with api.sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield shown
        shown.close()


@contextmanager
def progress_put_aside() -> Iterator[None]:
    """No progress yet; what there was is put back afterwards."""
    path = progress.file()
    before = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)


@pytest.fixture
def progress_anew() -> Iterator[None]:
    """No progress yet, for one test."""
    with progress_put_aside():
        yield


class Pages:
    """Pages of one browser: each notebook is opened as a learner opens it, in a JupyterLab that shows others already."""

    def __init__(self, context: Any, servers: Callable[[App], Server]) -> None:
        self._context = context
        self._servers = servers
        self._lab: Any = None

    def opened(self, app: App, name: str) -> Book:
        """A notebook of that server."""
        if app == "notebook":
            return Book(self._servers(app), name, self._context.new_page()).open()
        if self._lab is None or self._lab.is_closed():
            self._lab = self._context.new_page()
            self._lab.goto(self._servers(app).empty(), wait_until="commit")
        return Book(self._servers(app), name, self._lab).open_here()


@pytest.fixture(scope="session")
def pages(browser: Any, servers: Callable[[App], Server]) -> Iterator[Pages]:
    """Where notebooks are opened."""
    with browser.new_context(viewport=SIZE) as context:
        yield Pages(context, servers)


@pytest.fixture(scope="session")
def kept() -> Kept:
    """Notebooks that a test has left open and well, for the next one that asks for the same cells: it runs them again, as a
    learner does, and waits for no new kernel. Its server ends them."""
    return {}


@pytest.fixture
def opened(
    progress_anew: None,
    servers: Callable[[App], Server],
    pages: Pages,
    kept: Kept,
    request: pytest.FixtureRequest,
) -> Iterator[Opens]:
    """Opens a notebook of these cells, or finds it open, and runs it."""
    books: Kept = {}

    def opens(*cells: str, app: App = "lab") -> Book:
        if app == "notebook":
            pytest.importorskip("notebook", reason="Notebook 7 is not installed (requirements-dev.txt)")
        book = kept.pop((app, cells), None)
        if book is None or book.page.is_closed():
            name = f"{request.node.name.partition('[')[0]}-{app}-{len(books)}.ipynb"
            servers(app).write(name, cells)
            book = pages.opened(app, name)
        else:
            book.to_front()
            book.page.set_viewport_size(SIZE)
        books[app, cells] = book
        book.run_all()
        assert book.failed() == []
        return book

    yield opens
    failed = request.node.stash.get(FAILED, True)
    for asked, book in books.items():
        if failed:
            book.picture(f"page-{book.name.removesuffix('.ipynb')}")
            book.page.close()  # nobody knows what it is in
        elif not book.ended:
            kept[asked] = book
