"""The explorer in the browser: its knobs by mouse and by keyboard, its path read by roles, and after a restart."""

from typing import Any

import pytest

from labs import workload
from labs.deploy import Lesson
from tests.browser.conftest import Opens
from tests.browser.jupyter import Book

pytestmark = pytest.mark.usefixtures("ready")
CELLS = ("import labs", "explorer = labs.explorer()\nexplorer")


def explorer(book: Book) -> Any:
    """The explorer, once nothing is under way in it."""
    shown = book.panel.locator(".labs-explorer:visible").first
    shown.locator(".labs-status:not(.labs-is-busy)").wait_for()
    return shown


SAYS = """panel => {
  const root = panel.querySelector(".labs-explorer");
  const texts = [...root.querySelectorAll("[role=status], .labs-aside, .labs-note, .labs-said")].map((one) => one.innerText);
  return { busy: root.querySelector(".labs-is-busy") !== null, words: texts.join("|") };
}"""


def after(book: Book, act: Any) -> Any:
    """Does something, and returns the explorer once it says something else than before, and nothing is under way."""
    explorer(book)
    before = book.panel.evaluate(SAYS)["words"]
    act()

    def done() -> bool:
        now = book.panel.evaluate(SAYS)
        return not now["busy"] and now["words"] != before

    book.until(done, "the explorer has done what was asked")
    return explorer(book)


def typed(book: Book, label: str, value: str, key: str = "Enter") -> Any:
    """Sets a field by keyboard alone."""

    def act() -> None:
        explorer(book).get_by_label(label, exact=True).focus()
        book.page.keyboard.press("Control+a")
        book.page.keyboard.type(value) if value else book.page.keyboard.press("Delete")
        book.page.keyboard.press(key)

    return after(book, act)


def clicked(book: Book, label: str, value: str) -> Any:
    """Sets a field by mouse: a click into it, and one elsewhere."""

    def act() -> None:
        field = explorer(book).get_by_label(label, exact=True)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
            return
        field.click(click_count=3)
        book.page.keyboard.insert_text(value)
        explorer(book).locator(".labs-heading").first.click()

    return after(book, act)


def hops(book: Book) -> dict[str, str]:
    """What a screen reader reads of the path, by hop."""
    items = explorer(book).get_by_role("list", name="The hops of the path").get_by_role("listitem")
    return {one.get_attribute("data-hop"): one.get_attribute("aria-label") for one in items.all()}


def test_by_keyboard(opened: Opens, lesson: Lesson) -> None:
    book = opened(*CELLS)
    shown = explorer(book)
    assert shown.get_by_role("status").get_attribute("aria-live") == "polite"
    assert shown.locator("td.labs-good", has_text="answered by pod2").count() > 0
    before = hops(book)
    assert list(before) == ["node", "clusterIP", "endpoint", "container", "laptop"]
    assert all(": reached" in before[hop] for hop in ("node", "clusterIP", "endpoint"))
    assert ": listens on 9080" in before["container"]

    typed(book, "targetPort", "9999")
    service = lesson.read("Service", "productpage")
    assert service is not None and service["spec"]["ports"][0]["targetPort"] == 9999
    assert shown.locator(".labs-plus", has_text="targetPort: 9999").is_visible()
    assert shown.locator("td.labs-good").count() == 0
    assert shown.locator("td.labs-bad", has_text="refused").count() > 0
    assert "stops at" in shown.locator(".labs-explanation").inner_text()
    assert "9999/TCP" in shown.locator("pre", has_text="Endpoints:").inner_text()

    typed(book, "nodePort", "80", key="Tab")  # leaving the field sets it, too
    assert "provided port is not in the valid range" in shown.locator(".labs-said.labs-bad").inner_text()
    assert "“80”" in shown.locator(".labs-nodePort .labs-note").inner_text()
    assert shown.get_by_label("nodePort", exact=True).input_value() == "30066"

    typed(book, "port", "abc")
    assert "Nothing was sent" in shown.locator(".labs-port .labs-note").inner_text()
    assert shown.get_by_label("port", exact=True).input_value() == "9999"

    typed(book, "targetPort", "9080")
    assert shown.locator("td.labs-good", has_text="answered by pod2").count() > 0
    assert book.errors == []


def test_the_path_turns_with_the_knobs_and_is_read_by_roles(opened: Opens) -> None:
    book = opened(*CELLS)
    turned_path(book)
    clicked(book, "type", "ClusterIP")
    assert "ClusterIP opens no node port" in hops(book)["node"]
    clicked(book, "targetPort", "9080")
    assert ": reached" in hops(book)["clusterIP"]
    assert book.errors == []


def turned_path(book: Book) -> None:
    """Turns the targetPort to one where nobody listens, and reads the path: in place, by roles, by mouse and keyboard."""
    shown = explorer(book)
    container = shown.locator("[data-hop=container]:visible")
    container.focus()
    same = container.element_handle()
    clicked(book, "targetPort", "9999")
    words = hops(book)
    assert "listens on 9080" in words["container"] and "The request stops here." in words["container"]
    for hop in ("node", "clusterIP", "endpoint"):
        assert ": refused" in words[hop] and "By hand: " in words[hop]
    assert "9999 ≠ 9080" in shown.locator("svg:visible").text_content()
    assert container.evaluate("(now, was) => now === was", same), "it was changed in place"

    shown.locator("[data-hop=clusterIP]:visible").hover()
    hand = shown.locator(".labs-path-hand")
    assert "curl" in hand.locator("code").inner_text() and "10.97.239.58:9999" in hand.inner_text()
    shown.locator("[data-hop=clusterIP]:visible").focus()
    book.page.keyboard.press("Tab")  # goes to the next hop
    assert "Endpoint" in hand.inner_text()
    book.page.keyboard.press("d")
    book.page.keyboard.press("d")  # in a notebook, that deletes the cell
    assert container.is_visible()


def test_every_knob_by_mouse(opened: Opens, lesson: Lesson) -> None:
    book = opened(*CELLS)
    for label, value, reads in (
        ("nodePort", "31000", ("node", "nodePort 31000")),
        ("port", "80", ("clusterIP", "port 80")),
        ("containerPort", "1234", ("container", "listens on 9080")),
        ("process listens on", "8080", ("container", "nothing on 9080")),
        ("targetPort", "8080", ("container", "listens on 8080")),
        ("containerPort name", "web", ("container", "listens on 8080")),
        ("at address", "127.0.0.1", ("container", "only inside the Pod")),
        ("type", "headless", ("clusterIP", "no ClusterIP")),
    ):
        clicked(book, label, value)
        hop, words = reads
        assert words in hops(book)[hop], label
    assert lesson.read("Service", "productpage")["spec"]["clusterIP"] == "None"  # type: ignore[index]
    assert book.errors == []


def test_after_a_restart_of_the_kernel_it_takes_up_what_is_there(opened: Opens) -> None:
    book = opened(*CELLS)
    typed(book, "targetPort", "9999")
    book.restart_and_run_all()
    shown = explorer(book)
    assert shown.get_by_label("targetPort", exact=True).input_value() == "9999"
    assert shown.locator("td.labs-bad", has_text="refused").count() > 0


PAGE = r"<img src=x onerror=window.hacked=1><script>window.hacked=1</script>\033[2J\000"
SERVES = rf"while :; do {{ printf 'HTTP/1.0 200 OK\r\n\r\n{PAGE}'; yes x | head -c 10000000; }} | nc -lN 9080; done"


def test_a_hostile_page_is_shown_as_text_and_cut_short(opened: Opens, lesson: Lesson) -> None:
    """A Pod that answers with a script, control characters and 10 MB more."""
    pod = workload.pod("pod2", {"app": "productpage"})
    pod["spec"]["containers"][0] |= {"command": ["sh", "-c", SERVES], "args": []}
    pod["spec"]["containers"][0].pop("readinessProbe", None)
    lesson.apply(pod, anew=True)
    book = opened(*CELLS)
    shown = explorer(book)
    said = shown.locator("td.labs-odd").evaluate_all("cells => cells.map(one => one.title)")  # it answers one after the other
    assert any("<script>window.hacked=1</script>" in one for one in said), said
    assert all(len(one) < 200 and one.isprintable() for one in said), said
    assert book.page.evaluate("window.hacked") is None
    assert shown.locator("img, script").count() == 0
    assert len(shown.inner_html()) < 100_000
    assert book.errors == []
