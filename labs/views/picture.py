"""The path as a widget that changes in place, and the copy of it that a saved notebook and an HTML export keep.

Does not draw (labs.path does) or know what is asked (turns does).
"""

import itertools
from importlib import resources
from typing import Any

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from labs import path
from labs.path import Path
from labs.views import pieces

HINT = "Point at a hop, or go to it with Tab: what was seen there, and the command that tests it by hand."
_names = itertools.count(1)


class PathView(anywidget.AnyWidget):
    """A path on the page. html: what is shown; only what changed in it is changed on the page. name: of its copy."""

    _esm = (resources.files("labs.views") / "path.js").read_text("utf-8")
    _css = path.STYLE
    html = traitlets.Unicode("").tag(sync=True)
    hint = traitlets.Unicode(HINT).tag(sync=True)
    name = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(name=str(next(_names)), **traits)
        self._text = ""
        self._copy: DisplayHandle | None = None

    def show(self, shown: Path | None, before: str = "", text_before: str = "") -> None:
        """Shows a path; none: nothing. before, text_before: what stands before it, as HTML and as text."""
        self.html = before + path.html(shown) if shown is not None else before
        self._text = "\n".join(filter(None, [text_before, path.text(shown) if shown is not None else ""]))

    def keep_copy(self, before: str = "", text_before: str = "") -> None:
        """Displays the copy, which is hidden as long as the widget is there; for after the widget, in the same cell.

        before, text_before: what else the copy is to hold, as HTML and as text.
        """
        self._copy = display(self._bundle(before, text_before), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def renew_copy(self, before: str = "", text_before: str = "") -> None:
        """Makes the copy, where there is one, what is shown now."""
        if self._copy is not None:
            self._copy.update(self._bundle(before, text_before), raw=True)  # type: ignore[no-untyped-call]

    def _bundle(self, before: str, text_before: str) -> dict[str, str]:
        style = f"<style>{pieces.STYLE}{path.STYLE}</style>"
        html = f'<div class="labs-explorer labs-path-copy-{self.name}">{style}{before}{self.html}</div>'
        return {"text/html": html, "text/plain": "\n\n".join(filter(None, [text_before, self._text]))}

    def __repr__(self) -> str:
        return self._text or "PathView()"
