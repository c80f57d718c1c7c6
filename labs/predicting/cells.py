"""What can be predicted, and how predictions compare with answers. Data only: asks nothing, keeps nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from labs.errors import BadInput
from labs.path import Hop, Path
from labs.probe import Answer, Place, Way, Word
from labs.probe.tracing import clean

LONGEST = 300  # characters of why


class Outcome(StrEnum):
    """What a learner may predict."""

    ANSWERED = "answered"
    REFUSED = "refused"
    CLOSED = "accepted, then closed"
    TIMED_OUT = "timed out"
    NO_WAY = "no way there"
    API = "refused by the API"


# What an answer is, among what may be predicted. "answered by something else" and "nothing yet" are none of it.
OF_WORD = {
    Word.ANSWERED: Outcome.ANSWERED,
    Word.REFUSED: Outcome.REFUSED,
    Word.CLOSED: Outcome.CLOSED,
    Word.TIMED_OUT: Outcome.TIMED_OUT,
    Word.NO_ROUTE: Outcome.NO_WAY,
    Word.UNREACHABLE: Outcome.NO_WAY,
    Word.NAME_UNKNOWN: Outcome.NO_WAY,
    Word.NOT_TRIED: Outcome.NO_WAY,
}


@dataclass(frozen=True)
class Cell:
    """One cell: a way, asked from a kind of place. It stands for every address of that way, and every node."""

    way: Way
    place: Place

    def __str__(self) -> str:
        return f"{self.way} from {self.place}"


ROWS: Mapping[Way, tuple[Place, ...]] = {
    Way.POD: tuple(Place),
    Way.CLUSTER_IP: tuple(Place),
    Way.NAME: tuple(Place),
    Way.NODE: tuple(Place),
    Way.NODE_LOCALHOST: (Place.NODE,),
    Way.LAPTOP_LOCALHOST: (Place.LAPTOP,),
}
GRID = tuple(Cell(way, place) for way, places in ROWS.items() for place in places)


def cells_of(asked: Iterable[str | tuple[str, str]] | None) -> tuple[Cell, ...]:
    """The cells asked for: ways, which stand for their whole rows, and pairs of way and place. None: all of them.

    BadInput for what there is not.
    """
    if asked is None:
        return GRID
    given = [asked] if isinstance(asked, str) else list(asked)
    found: list[Cell] = []
    for one in given:
        if isinstance(one, str):
            found += [cell for cell in GRID if cell.way is _way(one)]
        else:
            found.append(cell_of(*one))
    if not found:
        raise BadInput("There is nothing to predict.", "No cell was asked for.", "Leave `cells` out for the whole table.")
    return tuple(dict.fromkeys(found))


def cell_of(way: str, place: str) -> Cell:
    """One cell, by the words that learners read. BadInput where there is none."""
    cell = next((one for one in GRID if one.way == _way(way) and one.place == place), None)
    if cell is None:
        there = _quoted(ROWS[_way(way)])
        raise BadInput(f"The row {way} has no place {place!r}.", f"It can be asked from {there}.", "Use one of these.")
    return cell


def _way(name: str) -> Way:
    found = next((way for way in ROWS if way == name), None)
    if found is None:
        raise BadInput(f"There is no row {name!r} to predict.", f"The rows are {_quoted(ROWS)}.", "Use one of these.")
    return found


def outcome_of(word: str) -> Outcome:
    """An outcome, by the words that learners read. BadInput names those that there are."""
    found = next((one for one in Outcome if one == word), None)
    if found is None:
        raise BadInput(f"{word!r} is nothing that can be predicted.", f"It can be {_quoted(Outcome)}.", "Choose one of these.")
    return found


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


# --- the score


@dataclass(frozen=True)
class Row:
    """One predicted cell. saw: what came. right: None where it cannot be tried here, and so is not counted.

    hop: of the path, that explains what came. why: in words.
    """

    cell: Cell
    predicted: Outcome
    saw: str
    right: bool | None
    hop: Hop | None = None
    why: str = ""

    def __str__(self) -> str:
        sign = {True: "✓", False: "✕", None: "–"}[self.right]
        if self.right is None:
            return f"{sign} {self.cell}: not counted, it {self.saw}: {self.why}"
        if self.right:
            return f"{sign} {self.cell}: {self.saw}"
        explained = f" → {self.hop.what}: {self.why}" if self.hop is not None else f" {self.why}"
        return f"{sign} {self.cell}: you said {self.predicted}; it was {self.saw}{explained if self.why else ''}"


@dataclass(frozen=True)
class Score:
    """What became of a prediction. path: of what ran; None where the API refused the change. said: the API's words then."""

    rows: tuple[Row, ...]
    path: Path | None = None
    said: str = ""

    @property
    def right(self) -> int:
        """How many came as predicted."""
        return sum(row.right is True for row in self.rows)

    @property
    def of(self) -> int:
        """How many count."""
        return sum(row.right is not None for row in self.rows)

    @property
    def misses(self) -> tuple[Row, ...]:
        """Those that came otherwise."""
        return tuple(row for row in self.rows if row.right is False)

    @property
    def heading(self) -> str:
        """One sentence."""
        return f"{self.right} of {self.of} right."

    def __str__(self) -> str:
        said = [f"The API server refused it: {self.said}"] if self.said else []
        return "\n".join([self.heading, *said, *map(str, self.rows)])


def refused(choices: Mapping[Cell, Outcome], said: str) -> Score:
    """The score where the API server refused the change: nothing ran. said: its words."""
    first = clean(said, LONGEST)
    rows = (Row(cell, chose, Outcome.API, chose is Outcome.API, why=first) for cell, chose in choices.items())
    return Score(tuple(rows), said=first)


def score(
    choices: Mapping[Cell, Outcome], answers: Iterable[Answer], path: Path, lacking: Mapping[Cell, str] | None = None
) -> Score:
    """The score of what was predicted. lacking: why a cell cannot be tried here."""
    heard = list(answers)
    return Score(tuple(_row(cell, chose, heard, path, (lacking or {}).get(cell, "")) for cell, chose in choices.items()), path)


def _row(cell: Cell, chose: Outcome, heard: list[Answer], path: Path, lacking: str) -> Row:
    mine = [one for one in heard if (one.target.way, one.seat.place) == (cell.way, cell.place)]
    if lacking or not mine:
        return Row(cell, chose, "cannot be tried here", None, why=clean(lacking, LONGEST) or "nobody was asked")
    words = list(dict.fromkeys(_said(one) for one in mine))
    saw = words[0] if len(words) == 1 else "; ".join(f"{one.target} {_said(one)}" for one in mine)
    right = all(OF_WORD.get(one.word) is chose for one in mine)
    hop = _explains(cell, mine, path)
    return Row(cell, chose, clean(saw, LONGEST), right, hop, clean(_why(mine, hop), LONGEST))


def _said(answer: Answer) -> str:
    """What came, in the words of a prediction where it is one of them."""
    return str(OF_WORD.get(answer.word, answer.word))


_OWN = {
    Way.POD: "endpoint",
    Way.CLUSTER_IP: "clusterIP",
    Way.NAME: "clusterIP",
    Way.NODE: "node",
    Way.NODE_LOCALHOST: "node",
    Way.LAPTOP_LOCALHOST: "laptop",
}
_ORDER = ("laptop", "node", "clusterIP", "endpoint", "container")  # a request passes all that follow its own


def _explains(cell: Cell, answers: list[Answer], path: Path) -> Hop | None:
    """The hop that explains what came: where the request stops, if it got that far; else the way's own."""
    own = _OWN[cell.way]
    sent = any(one.word not in (Word.ANSWERED, Word.NOT_TRIED) for one in answers)
    if sent and path.stops is not None and _ORDER.index(path.stops.key) >= _ORDER.index(own):
        return path.stops
    return next((hop for hop in (*path.hops, path.laptop) if hop.key == own), None)


def _why(answers: list[Answer], hop: Hop | None) -> str:
    untried = next((one.detail for one in answers if one.word is Word.NOT_TRIED), "")
    if untried or hop is None:
        return untried
    first = _MAPPED if all(one.word is Word.CLOSED and one.target.way == Way.LAPTOP_LOCALHOST for one in answers) else ""
    return first + (hop.why or hop.saw)


_MAPPED = "What maps the port on this laptop accepts first, and closes when the way behind it fails. "
