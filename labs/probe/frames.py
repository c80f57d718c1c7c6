"""Answers as a pandas table, in words and colour. Does not ask, explain, or know about widgets."""

import hashlib
import html
from collections.abc import Iterable
from typing import Any

import pandas
from pandas.io.formats.style import Styler

from labs.probe.answers import Answer, Word

# Background and text of a cell, each pair readable on its own, so in light and dark themes alike (contrast above 7).
_COLOURS = {
    Word.ANSWERED: ("#d5f0d5", "#0b3d0b"),
    Word.SOMETHING_ELSE: ("#e6dcf7", "#35165e"),
    Word.REFUSED: ("#f9d6d5", "#5c0f0d"),
    Word.NO_ROUTE: ("#f9d6d5", "#5c0f0d"),
    Word.UNREACHABLE: ("#f9d6d5", "#5c0f0d"),
    Word.CLOSED: ("#fbdcc8", "#572302"),
    Word.TIMED_OUT: ("#fbe9b7", "#473400"),
    Word.NAME_UNKNOWN: ("#f9d6d5", "#5c0f0d"),
    Word.NOTHING_YET: ("#e3edf9", "#12335c"),
    Word.NOT_TRIED: ("#eeeeee", "#454545"),
}
_NOTES = "notes"  # in the frame's attrs: the reason behind each cell, row by row


def table(answers: Iterable[Answer]) -> pandas.DataFrame:
    """One row a way and address, in the order asked; one column a seat; cells in words ("answered by pod2", "refused").

    A pair that was not asked is "not tried". attrs["notes"]: what stands behind each cell, row by row.
    """
    rows: dict[tuple[str, str], dict[str, Answer]] = {}
    columns: dict[str, None] = {}
    for answer in answers:
        rows.setdefault((str(answer.target.way), str(answer.target)), {})[answer.seat.name] = answer
        columns.setdefault(answer.seat.name)
    index = pandas.MultiIndex.from_tuples(rows, names=["way", "address"])
    cells = [[_cell(row.get(seat)) for seat in columns] for row in rows.values()]
    frame = pandas.DataFrame(cells, index=index, columns=list(columns), dtype="object")
    frame.attrs[_NOTES] = [[_note(row.get(seat)) for seat in columns] for row in rows.values()]
    return frame


def _cell(answer: Answer | None) -> str:
    if answer is None:
        return str(Word.NOT_TRIED)
    return f"{answer.word} by {answer.pod}" if answer.word is Word.ANSWERED else str(answer.word)


def _note(answer: Answer | None) -> str:
    if answer is None:
        return ""
    if answer.word is Word.ANSWERED and answer.client:
        return f"{answer.pod} saw the client {answer.client}"
    return answer.detail


def styled(frame: pandas.DataFrame) -> Styler:
    """The table in colour and words, the reason of each cell in its tooltip, and below it why cells were not tried.

    The HTML is the same for the same table. All text is escaped.
    """
    # Its colours go by ids, which two tables on one page must share only if they are coloured alike.
    words = hashlib.sha256("\n".join(map("\t".join, frame.itertuples(index=False, name=None))).encode()).hexdigest()
    style = frame.style.set_uuid(f"labs-{words[:8]}").map(_css).format(escape="html").format_index(escape="html")
    style = style.format_index(escape="html", axis="columns")
    style = style.set_table_styles(
        [
            {"selector": "th, td", "props": "text-align: left; padding: .3em .6em; vertical-align: top"},
            {"selector": "caption", "props": "caption-side: bottom; text-align: left; font-size: smaller"},
        ]
    )
    notes = frame.attrs.get(_NOTES)
    if not notes:
        return style
    shown = [[html.escape(note) for note in row] for row in notes]
    style = style.set_tooltips(pandas.DataFrame(shown, frame.index, frame.columns), as_title_attribute=True)
    reasons = _reasons(frame, notes)
    return style.set_caption("<br>".join(map(html.escape, reasons))) if reasons else style


def _reasons(frame: pandas.DataFrame, notes: list[list[str]]) -> list[str]:
    """Why cells were not tried, each reason once."""
    found: dict[str, None] = {}
    for cells, row in zip(frame.itertuples(index=False), notes, strict=True):
        for cell, note in zip(cells, row, strict=True):
            if cell == Word.NOT_TRIED and note:
                found.setdefault(f"{Word.NOT_TRIED}: {note}")
    return list(found)


def _css(cell: Any) -> str:
    word = next((word for word in sorted(Word, key=len, reverse=True) if str(cell).startswith(word)), Word.NOT_TRIED)
    background, text = _COLOURS[word]
    return f"background-color: {background}; color: {text}"
