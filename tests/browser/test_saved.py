"""What a saved notebook and its HTML export keep of the explorer: what it showed last, with no kernel, network or scripts."""

from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.browser.conftest import Opens
from tests.browser.jupyter import Book
from tests.browser.test_explorer import CELLS, clicked

pytestmark = pytest.mark.usefixtures("ready")


def test_what_was_shown_last_is_kept(opened: Opens, browser: Any) -> None:
    book = opened(*CELLS)
    copy = book.panel.locator(".jp-Notebook [class*=labs-path-copy]")
    assert copy.count() == 1 and not copy.is_visible(), "not beside the widget"
    clicked(book, "targetPort", "9999")
    book.save()
    book.end_kernel()

    again = Book(book.server, book.name, book.page.context.new_page())
    again.page.goto(book.server.address(book.name))
    kept = again.page.locator("[class*=labs-path-copy]:visible")
    kept.wait_for()
    assert_kept(kept)
    again.picture("explorer-saved")
    again.page.close()

    html, _ = HTMLExporter().from_notebook_node(nbformat.read(book.server.folder / book.name, as_version=4))
    exported = book.server.folder / "exported.html"
    exported.write_text(html, "utf-8")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(exported.as_uri())
    assert_kept(page.locator("[class*=labs-path-copy]"))
    context.close()


def assert_kept(copy: Any) -> None:
    """The picture, its words, and the answers beside it, all of the last turn."""
    picture = copy.locator("svg.labs-path-wide")
    assert picture.is_visible() and "nothing on 9999" in picture.text_content()
    words = copy.text_content()
    assert "The request stops here." in words and "targetPort 9999" in words
    assert copy.locator("td.labs-bad", has_text="refused").count() > 0
    assert copy.locator("td.labs-good").count() == 0
