"""How the explorer with its path looks: light and dark, wide and narrow; pictures of it are kept, for the README too."""

from pathlib import Path
from typing import Any

import pytest

from labs.deploy import Lesson
from tests.browser.conftest import Opens
from tests.browser.jupyter import Book
from tests.browser.test_explorer import CELLS, explorer, typed

pytestmark = pytest.mark.usefixtures("ready")
LEAST = 4.5  # of contrast, for text of this size: WCAG 2.2, success criterion 1.4.3

CONTRASTS = Path(__file__).with_name("contrast.js").read_text("utf-8")


def test_it_is_readable_in_light_and_dark_wide_and_narrow(opened: Opens, lesson: Lesson) -> None:
    book = opened(*CELLS)
    typed(book, "targetPort", "9999")
    typed(book, "nodePort", "80")  # is refused, so there are words of the API server, too
    book.page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab.lm-mod-current").click()  # which folds the file browser away
    poor: dict[str, list[str]] = {}
    try:
        for theme in ("light", "dark"):
            book.theme(theme)
            for width, drawn in ((1400, "wide"), (900, "narrow")):
                book.page.set_viewport_size({"width": width, "height": 2000})
                assert_fits(book, drawn)
                poor[f"{theme}, {width}"] = hard_to_read(explorer(book))
                book.picture(f"explorer-{theme}-{width}")
    finally:
        book.theme("light")  # which the server keeps
    assert {look: words for look, words in poor.items() if words} == {}


def assert_fits(book: Book, drawn: str) -> None:
    """One of the two pictures of the path is there, in the explorer's frame, and its words are large enough."""
    shown = explorer(book)
    shown.locator(f"svg.labs-path-{drawn}").wait_for()
    assert shown.locator("svg:visible").count() == 1
    sizes = shown.locator("svg:visible text").evaluate_all(
        "texts => texts.map(one => one.getBoundingClientRect().height).filter(h => h > 0)"
    )
    assert min(sizes) > 9, "in pixels"
    assert shown.locator("svg:visible").evaluate(
        "svg => svg.getBoundingClientRect().right <= svg.closest('.labs-explorer').getBoundingClientRect().right"
    )


def hard_to_read(shown: Any) -> list[str]:
    """The texts that do not stand out from what is behind them; the matrix's, the path's and the messages' are among all."""
    found = shown.evaluate(CONTRASTS)
    for some in ("✕\u00a0refused", "stops here", "9999 ≠ 9080", "✕ refused: ", "The API server refused “80”"):
        assert any(some in words for words, _ in found), some
    return [f"{words}: {ratio:.1f}" for words, ratio in found if ratio < LEAST]
