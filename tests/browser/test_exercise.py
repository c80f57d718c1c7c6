"""One exercise in the browser, from break to green."""

from tests.browser.conftest import Opens
from tests.browser.test_explorer import clicked

CELLS = (
    'import labs\n\nex = labs.exercise("wrong-target-port")',
    'labs.explorer(ex, knobs=("targetPort",))',
    "verdict = ex.check()",
)


def test_an_exercise_from_break_to_green(opened: Opens) -> None:
    book = opened(*CELLS)
    last = book.panel.locator(".jp-CodeCell").last
    red = last.locator(".jp-OutputArea-output").inner_text()
    clicked(book, "targetPort", "9080")
    last.locator(".jp-InputArea-editor").click()
    book.page.keyboard.press("Control+Enter")
    book.until(lambda: last.locator(".jp-OutputArea-output").all_inner_texts() not in ([], [red]), "the check has run again")
    green = last.locator(".jp-OutputArea-output").inner_text()
    assert red.startswith("Not yet."), red
    assert green.startswith("Mended."), green
    assert book.errors == []
