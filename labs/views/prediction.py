"""A prediction on the page: a field for each cell, a button that runs it, and the score with the path beside it.

Does not score or ask (predicting does) and draws no path (labs.path does).
"""

import threading
from html import escape
from importlib import resources
from typing import Any

import ipywidgets
from IPython.display import display

from labs import knobs
from labs.errors import LabError
from labs.predicting import Cell, Outcome, Prediction, Row, Score
from labs.views import pieces
from labs.views.picture import PathView
from labs.views.widget import StatusLine

STYLE = (resources.files("labs.views") / "prediction.css").read_text("utf-8")
HINT = "Point at a hop, or go to it with Tab."
UNSET = ""  # the choice of a field in which nothing is chosen
OPTIONS = [("…", UNSET), *((str(outcome), str(outcome)) for outcome in Outcome)]


class Predict(ipywidgets.VBox):  # type: ignore[misc]
    """A prediction that is chosen and run on the page, or without one: `.choose(…).run()`. Made by `labs.predict`."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self._painting = False  # what is set in a field then was not set by the learner
        self._status = StatusLine(words=_first_words(prediction))
        self._button = ipywidgets.Button(description="Run")
        self._button.on_click(lambda _: self._pressed())
        self._fields: dict[Cell, Any] = {cell: self._field(cell) for cell in prediction.cells}
        self._notes: dict[Cell, Any] = {cell: ipywidgets.HTML() for cell in prediction.cells}
        self._path = PathView(hint=HINT)
        top = ipywidgets.HBox([self._status, self._button]).add_class("labs-top")
        style = ipywidgets.HTML(f"<style>{STYLE}</style>")
        super().__init__([style, top, self._question(), *self._rows(), self._path])
        self.add_class("labs-explorer").add_class("labs-predict")

    # --- without a page

    def choose(self, way: str, place: str, outcome: str) -> "Predict":
        """As `Prediction.choose`; the page shows it, too."""
        self.prediction.choose(way, place, outcome)
        self._show_choices()
        return self

    def run(self) -> Score:
        """As `Prediction.run`; the page shows the score, too."""
        self._begin()
        try:
            found = self.prediction.run()
        except LabError as error:
            self._end(str(error.what), error)
            raise
        self._show_score(found)
        return found

    def __repr__(self) -> str:
        return "\n".join([self._told(), *([str(self.prediction.score)] if self.prediction.score is not None else [])])

    def _told(self) -> str:
        """What is predicted; once it has run, the score's rows tell that."""
        sent = f", then {self.prediction.title}" if self.prediction.title else ""
        chosen = [f"  {cell}: {self.prediction.choices.get(cell, '…')}" for cell in self.prediction.cells]
        return "\n".join([f"Predict: Service {self.prediction.service}{sent}", *(chosen if not self.prediction.score else [])])

    def _ipython_display_(self) -> None:
        """The widget, and after it the copy that the saved notebook keeps of what it shows."""
        below = "A prediction; what was chosen, and what came, is kept below."
        display({**super()._repr_mimebundle_(), "text/plain": below}, raw=True)  # type: ignore[no-untyped-call]
        self._path.keep_copy(*self._copied())

    def _copied(self) -> tuple[str, str]:
        """What the copy holds beside the score and the path, as HTML and as text."""
        return f"<pre>{escape(self._told())}</pre>", self._told()

    # --- the page

    def _question(self) -> Any:
        sent = self.prediction.title
        first = f"First this is sent: <code>{escape(sent)}</code>. " if sent else ""
        words = f"{first}What will come of a request to Service {escape(self.prediction.service)}? Choose, then run."
        return ipywidgets.HTML(f'<div class="labs-hint">{words}</div>')

    def _rows(self) -> list[Any]:
        found: dict[str, list[Any]] = {}
        for cell, field in self._fields.items():
            head = ipywidgets.HTML(f'<div class="labs-hint" aria-hidden="true">from {escape(str(cell.place))}</div>')
            one = ipywidgets.VBox([head, field, self._notes[cell]]).add_class("labs-predict-cell")
            found.setdefault(str(cell.way), []).append(one)
        return [
            ipywidgets.VBox(
                [ipywidgets.HTML(pieces.heading(way)), ipywidgets.Box(cells).add_class("labs-predict-cells")]
            ).add_class("labs-predict-row")
            for way, cells in found.items()
        ]

    def _field(self, cell: Cell) -> Any:
        chosen = str(self.prediction.choices.get(cell, UNSET))
        field = ipywidgets.Dropdown(options=OPTIONS, value=chosen, description=str(cell))
        field.observe(lambda change: self._was_set(cell, change["new"]), "value")
        return field

    def _was_set(self, cell: Cell, value: str) -> None:
        if self._painting:
            return
        try:
            if value == UNSET:
                self._show_choices()  # what was predicted stays: it is on the disk already
            else:
                self.prediction.choose(cell.way, cell.place, value)
                self._path.renew_copy(*self._copied())
            self._status.words = _first_words(self.prediction)
        except LabError as error:
            self._status.words = error.what
            self._show_choices()

    def _show_choices(self) -> None:
        self._painting = True
        try:
            for cell, field in self._fields.items():
                field.value = str(self.prediction.choices.get(cell, UNSET))
        finally:
            self._painting = False
        self._path.renew_copy(*self._copied())

    def _pressed(self) -> None:
        if self.prediction.score is not None:
            self._again()
        else:
            threading.Thread(target=self._run_beside, name="predict", daemon=True).start()

    def _run_beside(self) -> None:
        try:
            self.run()
        except LabError:
            pass  # it is told on the page
        except Exception as bug:  # the page must not wait for ever
            self._end(f"The prediction could not be run: a fault in the course ({type(bug).__name__}: {bug}).", None)

    def _again(self) -> None:
        """Back to the choices; what was predicted and came is in the learner's progress."""
        self.prediction.score = None
        self._show_choices()
        for note in self._notes.values():
            note.value = ""
        self._path.show(None)
        self._end(_first_words(self.prediction), None)

    def _begin(self) -> None:
        self._button.disabled = True
        for field in self._fields.values():
            field.disabled = True
        with self._status.hold_sync():
            self._status.words, self._status.busy = "Asking from every place …", True

    def _end(self, words: str, fault: LabError | None) -> None:
        done = self.prediction.score is not None
        for field in self._fields.values():
            field.disabled = done
        self._button.description, self._button.disabled = "Predict again" if done else "Run", False
        with self._status.hold_sync():
            self._status.words, self._status.busy = words, False
        if fault is not None:
            self._path.show(None, pieces.trouble(fault, (), "Run"), str(fault))
        self._path.renew_copy(*self._copied())

    def _show_score(self, found: Score) -> None:
        for row in found.rows:
            self._notes[row.cell].value = _note(row)
        self._path.show(found.path, _score(found), str(found))
        self._end(found.heading, None)


def _first_words(prediction: Prediction) -> str:
    """The status line before it runs."""
    chosen, cells = len(prediction.choices), len(prediction.cells)
    return f"{chosen} of {cells} predicted." if chosen else "Predict first."


def _note(row: Row) -> str:
    """What came, under a cell's field."""
    kind = {True: "labs-good", False: "labs-bad", None: "labs-open"}[row.right]
    sign = {True: "✓", False: "✕", None: "–"}[row.right]
    return f'<div class="labs-predict-note {kind}" title="{escape(row.why)}">{sign} {escape(knobs.shortened(row.saw))}</div>'


def _score(found: Score) -> str:
    """The score as HTML: each miss with a link to the hop that explains it."""
    items = "".join(f"<li>{_miss(row)}</li>" for row in found.misses)
    said = f'<div class="labs-said labs-bad">✕ refused: {escape(found.said)}</div>' if found.said else ""
    untried = "".join(f'<li class="labs-hint">{escape(str(row))}</li>' for row in found.rows if row.right is None)
    return f'<div class="labs-score"><strong>{escape(found.heading)}</strong>{said}<ul>{items}{untried}</ul></div>'


def _miss(row: Row) -> str:
    words = f"✕ {escape(str(row.cell))}: you said {escape(str(row.predicted))}; it was {escape(row.saw)}."
    if row.hop is None:
        return words
    link = f'<button type="button" class="labs-goto" data-goto="{escape(row.hop.key)}">→ {escape(row.hop.what)}</button>'
    return f"{words} {link} {escape(row.why)}"
