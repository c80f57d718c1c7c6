"""The explorer on the page: fields, status line, and what came of a turn, kept in step with a `Screen`.

Does not send or ask (turns does) and makes no HTML of its own (pieces does).
"""

import threading
from collections.abc import Callable
from importlib import resources
from typing import Any

import anywidget
import ipywidgets
import traitlets
from IPython.display import display

from labs import knobs
from labs.deploy import Lesson, Manifest
from labs.views import pieces
from labs.views.picture import PathView
from labs.views.screen import Screen, status, text
from labs.views.turns import Request, Turns


class StatusLine(anywidget.AnyWidget):
    """One line that a screen reader reads out when it changes, and a bar that moves while something is under way.

    A widget of its own, because such a region has to stay in the page while its words change. It also keeps the notebook's
    shortcuts away from the fields of the explorer that it is in.
    """

    _esm = (resources.files("labs.views") / "status.js").read_text("utf-8")
    _css = pieces.STYLE
    words = traitlets.Unicode("").tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def __repr__(self) -> str:
        return f"StatusLine({self.words!r})"


class Explorer(ipywidgets.VBox):  # type: ignore[misc]
    """Knobs for a Service and the Pod behind it; what every one of them does is shown live. Made by `explorer()`."""

    def __init__(
        self,
        make_lesson: Callable[[Callable[[str], None]], Lesson],
        first: tuple[Manifest, Manifest],
        only: tuple[str, ...],
    ) -> None:
        self.only = only
        self.turns: Turns
        self._painter = 0  # the thread that paints now: what it sets in a field was not set by the learner
        self._painted: Screen | None = None
        self._known: dict[str, str] = {}  # what each field held when it was painted, or heard of, last
        self._status = StatusLine()
        self._fields: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}
        self._trouble, self._steps, self._describe, self._answers, self._why = (ipywidgets.HTML() for _ in range(5))
        self._path = PathView()
        again, over = ipywidgets.Button(description="Ask again"), ipywidgets.Button(description="Start over")
        again.on_click(lambda _: self.turns.ask(Request("again")))
        over.on_click(lambda _: self.turns.ask(Request("start over")))
        groups = [group for of in ("Service", "Pod") if (group := self._group(of, first))]
        results = ipywidgets.Box([self._steps, self._describe]).add_class("labs-results")
        top = ipywidgets.HBox([self._status, again, over]).add_class("labs-top")
        super().__init__([top, *groups, self._trouble, results, self._answers, self._path, self._why])
        self.add_class("labs-explorer")
        self.turns = Turns(make_lesson, first, self._paint)
        self.turns.ask(Request("again"))

    # --- without a mouse, a browser or a widget

    def set(self, name: str, value: object) -> None:
        """Sets a knob as if it were typed; returns at once. BadInput where there is no such knob."""
        knobs.knob(name)
        self.turns.ask(Request("turn", name, "" if value is None else str(value)))

    def start_over(self) -> None:
        """Goes back to the Service and Pod of the start; returns at once."""
        self.turns.ask(Request("start over"))

    def again(self) -> None:
        """Asks again about what is on the cluster now; returns at once."""
        self.turns.ask(Request("again"))

    def wait(self, limit: float = 60.0) -> Screen:
        """Returns what is on the screen once nothing is under way. limit in seconds; NotInTime past it."""
        return self.turns.wait(limit)

    @property
    def laps(self) -> dict[str, float]:
        """Of the last turn: seconds from setting the knob to "sent", "settled", "first answers, explained", "done"."""
        return self.turns.laps

    def text(self) -> str:
        """What is on the screen, as plain text."""
        return text(self.turns.screen, self.only)

    def close(self) -> None:
        """Ends the explorer and its worker; what is on the cluster stays."""
        self.turns.close()
        super().close()

    def __repr__(self) -> str:
        return text(self.turns.screen, self.only, briefly=True)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The widget, and beside it what it shows in words, for places where there are no widgets."""
        bundle: dict[str, Any] = super()._repr_mimebundle_()
        return {**bundle, "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """The widget, and after it the copy that the saved notebook keeps of what it shows."""
        below = f"The explorer of Service {self.turns.screen.service}; what it showed last is kept below."
        display({**self._repr_mimebundle_(), "text/plain": below}, raw=True)  # type: ignore[no-untyped-call]
        self._path.keep_copy(*self._copied(self.turns.screen))

    def _copied(self, screen: Screen) -> tuple[str, str]:
        """What the copy holds beside the path, as HTML and as text."""
        return pieces.summary(screen, self.only) + pieces.answers(screen), text(screen, self.only, briefly=True)

    # --- the page

    def _group(self, of: str, first: tuple[Manifest, Manifest]) -> Any:
        name = first[0 if of == "Service" else 1]["metadata"]["name"]
        cells = [self._cell(knob) for knob in pieces.shown(of, self.only)]
        if not cells:
            return None
        row = ipywidgets.Box(cells).add_class("labs-knobs")
        return ipywidgets.VBox([ipywidgets.HTML(pieces.heading(f"{of} {name}")), row]).add_class("labs-group")

    def _cell(self, knob: knobs.Knob) -> Any:
        if knob.choices:
            field: Any = ipywidgets.Dropdown(options=knob.choices, description=knob.label)
        else:
            field = ipywidgets.Text(description=knob.label, placeholder=knob.empty, continuous_update=False)
        field.observe(lambda change: self._was_set(knob.name, change["new"]), "value")
        self._fields[knob.name] = field
        self._notes[knob.name] = ipywidgets.HTML(pieces.beside(knob, None))
        return ipywidgets.VBox([field, self._notes[knob.name]]).add_class("labs-knob").add_class(f"labs-{knob.name}")

    def _was_set(self, name: str, value: str) -> None:
        self._known[name] = value
        if threading.get_ident() != self._painter:
            self.set(name, value)

    def _paint(self, screen: Screen) -> None:
        """Called with the worker's lock held, so screens come in order."""
        with self._status.hold_sync():  # in one message: the words never stand beside the wrong bar
            self._status.words, self._status.busy = status(screen), screen.busy
        self._painter = threading.get_ident()
        try:
            for name in self._fields:
                self._paint_field(name, screen)
        finally:
            self._painter = 0
        self._trouble.value = pieces.trouble(screen.trouble, screen.news)
        self._steps.value, self._describe.value = pieces.steps(screen), pieces.describe(screen)
        was = self._painted
        if was is None or was.answers is not screen.answers:
            self._answers.value = pieces.answers(screen)
        if was is None or was.path is not screen.path:
            self._path.show(screen.path)
        if was is None or was.explanation is not screen.explanation:
            self._why.value = pieces.explanation(screen)
        results = (
            ("answers", self._answers),
            ("describe", self._describe),
            ("explanation", self._why),
            ("explanation", self._path),
        )
        for result, widget in results:
            (widget.add_class if result in screen.stale else widget.remove_class)("labs-stale")
        if not screen.busy:
            self._path.renew_copy(*self._copied(screen))
        self._painted = screen

    def _paint_field(self, name: str, screen: Screen) -> None:
        """A field shows what is in force, unless the learner has just set it and that setting still waits for its turn."""
        field = self._fields[name]
        under_way = field.value != self._known.get(name, field.value) or self.turns.pending(name)
        if name in screen.values and not under_way:
            field.value = screen.values[name]
        self._notes[name].value = pieces.beside(knobs.KNOBS[name], screen.notes.get(name))
