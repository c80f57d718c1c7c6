"""A path as SVG, as HTML with its words beside it, and as plain text. Pure; whatever came from the cluster is escaped.

Drawn twice, wide and narrow: style.css shows the one that fits. Every hop's sign and words say the same as its colour does.
"""

from dataclasses import dataclass
from html import escape
from importlib import resources

from labs.path.hops import Hop, Path, Reach, Turn

STYLE = (resources.files("labs.path") / "style.css").read_text("utf-8")

# The sign and the class of a state.
_LOOKS = {
    Reach.REACHED: ("✓", "good"),
    Reach.REFUSED: ("✕", "bad"),
    Reach.CLOSED: ("⊗", "bad"),
    Reach.TIMED_OUT: ("◷", "bad"),
    Reach.NO_ROUTE: ("✕", "bad"),
    Reach.NAME_UNKNOWN: ("✕", "bad"),
    Reach.SOMETHING_ELSE: ("!", "odd"),
    Reach.NOTHING_YET: ("…", "open"),
    Reach.NOT_TRIED: ("–", "open"),
    Reach.NOT_HERE: ("⊘", "open"),
}
# The sign and the class of what becomes of a port.
_TURNS = {Turn.SAME: ("=", "same"), Turn.TURNED: ("→", "turned"), Turn.BROKEN: ("≠", "broken")}

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Where something is drawn, in units of the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height


# --- words


def text(path: Path) -> str:
    """The path in words: a heading, and a line for each hop with the command that tests it by hand."""
    lines = [path.heading]
    for number, hop in enumerate(path.hops, 1):
        lines.append(f"{number}. {words(hop)}")
        lines += [f"   by hand: {hop.command}"] if hop.command else []
    lines.append(f"Beside it: {words(path.laptop)}")
    lines += [f"   by hand: {path.laptop.command}"] if path.laptop.command else []
    return "\n".join(lines)


def words(hop: Hop) -> str:
    """A hop in one line, as in "ClusterIP, port 9999 (10.97.239.58): refused – 10.97.239.58:9999 refused." """
    where = f" ({hop.address})" if hop.address else ""
    number = f", {hop.field} {hop.port}" if hop.port else ""
    stops = " The request stops here." if hop.stops else ""
    saw = f" – {hop.saw}" if hop.saw else ""
    return f"{hop.what}{number}{where}: {hop.state}{saw}.{stops}"


# --- HTML


def html(path: Path) -> str:
    """Both pictures and the words as a list. Needs STYLE beside it; without it, one picture and the words are there."""
    heading = escape(path.heading)
    items = "".join(_item(hop) for hop in (*path.hops, path.laptop))
    return (
        f'<div class="labs-path" role="group" aria-label="{heading}"><div class="labs-path-heading">{heading}</div>'
        f"{_svg(path, WIDE)}{_svg(path, NARROW)}"
        f'<details class="labs-path-words"><summary>The path in words</summary><ol>{items}</ol></details></div>'
    )


def _item(hop: Hop) -> str:
    command = f'<br>by hand: <code class="labs-path-code">{escape(hop.command)}</code>' if hop.command else ""
    return f"<li>{escape(words(hop))}{command}</li>"


# --- SVG


@dataclass(frozen=True)
class Label:
    """Where a label is: its point, and which part of it is there ("start", "middle")."""

    x: float
    y: float
    anchor: str = "start"


@dataclass(frozen=True)
class Layout:
    """Where things are, in units of the picture. arrows, labels: between one hop and the next.

    past_node: from the client straight to the ClusterIP, as Pods and nodes ask. mapping: from the laptop to the node.
    """

    kind: str
    width: int
    height: int
    client: Box
    hops: tuple[Box, ...]
    laptop: Box
    to_node: tuple[Point, ...]
    arrows: tuple[tuple[Point, ...], ...]
    labels: tuple[Label, ...]
    past_node: tuple[Point, ...]
    past_words: Label
    mapping: tuple[Point, ...]
    mapping_label: Label


def _wide() -> Layout:
    hops = tuple(Box(106 + at * 198, 34, 172, 112) for at in range(4))
    y = 90.0
    return Layout(
        kind="wide",
        width=876,
        height=276,
        client=Box(4, 56, 74, 68),
        hops=hops,
        laptop=Box(106, 192, 172, 80),
        to_node=((78, y), (106, y)),
        arrows=tuple(((one.x + 172, y), (one.x + 198, y)) for one in hops[:3]),
        labels=tuple(Label(one.x + 185, 164, "middle") for one in hops[:3]),
        past_node=((41, 56), (41, 16), (390, 16), (390, 34)),
        past_words=Label(50, 11),
        mapping=((192, 192), (192, 146)),
        mapping_label=Label(200, 184),
    )


def _narrow() -> Layout:
    hops = tuple(Box(32, 76 + at * 150, 170, 112) for at in range(4))
    return Layout(
        kind="narrow",
        width=420,
        height=642,
        client=Box(32, 4, 170, 42),
        hops=hops,
        laptop=Box(246, 92, 170, 80),
        to_node=((117, 46), (117, 76)),
        arrows=tuple(((117, one.y + 112), (117, one.y + 150)) for one in hops[:3]),
        labels=tuple(Label(128, one.y + 136) for one in hops[:3]),
        past_node=((32, 25), (12, 25), (12, 282), (32, 282)),
        past_words=Label(212, 22),
        mapping=((246, 132), (202, 132)),
        mapping_label=Label(246, 190),
    )


WIDE, NARROW = _wide(), _narrow()


def _svg(path: Path, layout: Layout) -> str:
    lines = [_arrow(layout.to_node), _arrow(layout.past_node, "past"), _arrow(layout.mapping, "mapping")]
    for here, there, points, label in zip(path.hops, path.hops[1:], layout.arrows, layout.labels, strict=False):
        lines += [_arrow(points, "broken" if path.turn(here, there) is Turn.BROKEN else ""), _turn(path, here, there, label)]
    lines.append(_turn(path, path.laptop, path.hops[0], layout.mapping_label))
    past = layout.past_words
    lines.append(_words(past.x, past.y, "from inside, directly", "small", 11))
    boxes = zip((*path.hops, path.laptop), (*layout.hops, layout.laptop), strict=True)
    # Without a style sheet one picture is enough: the narrow one is shown by a rule of it.
    hidden = ' display="none"' if layout is NARROW else ""
    names = f'class="labs-path-{layout.kind}" role="list" aria-label="The hops of the path"'
    size = f'viewBox="0 0 {layout.width} {layout.height}" width="{layout.width}" height="{layout.height}"'
    hops = "".join(_hop(hop, box) for hop, box in boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {names} {size} font-family="sans-serif"{hidden}>'
        f'<g aria-hidden="true">{"".join(lines)}{_client(layout.client)}</g>{hops}</svg>'
    )


def _arrow(points: tuple[Point, ...], kind: str = "") -> str:
    """A line through these points with a head at its end. (The head is drawn: a marker's id would be there twice.)"""
    (x, y), (to_x, to_y) = points[-2], points[-1]
    along = ((to_x > x) - (to_x < x), (to_y > y) - (to_y < y))
    back = (to_x - 7 * along[0], to_y - 7 * along[1])
    sides = [(back[0] + side * along[1], back[1] + side * along[0]) for side in (5, -5)]
    name = f"labs-line labs-{kind}" if kind else "labs-line"
    dashes = ' stroke-dasharray="5 4"' if kind in ("past", "mapping") else ""
    line = _points((*points[:-1], back))
    return (
        f'<polyline class="{name}" points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"{dashes}/>'
        f'<polygon class="{name} labs-head" points="{_points((sides[0], (to_x, to_y), sides[1]))}" fill="currentColor"/>'
    )


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _turn(path: Path, here: Hop, there: Hop, label: Label) -> str:
    """What becomes of the port between two hops."""
    turn = path.turn(here, there)
    sign, kind = _TURNS[turn] if turn else ("", "same")
    shown = f"{_cut(here.port, 10)} {sign} {_cut(there.port, 10)}" if turn else ""
    return _words(label.x, label.y, shown, kind, 12, label.anchor)


def _client(box: Box) -> str:
    y = box.y + box.height / 2
    rectangle = f'<rect class="labs-box" {_size(box)} rx="5" fill="none" stroke="currentColor"/>'
    return rectangle + _words(box.middle, y + 4, "client", "label", 13, "middle")


def _hop(hop: Hop, box: Box) -> str:
    """One hop: what it is, its number, where, its state; by keyboard it can be gone to, and a screen reader reads it."""
    sign, kind = _LOOKS[hop.reach]
    spoken = words(hop) + (f" By hand: {hop.command}" if hop.command else "")
    x, y = box.x + 10, box.y
    laptop = hop.key == "laptop"
    lines = [
        f'<rect class="labs-box" {_size(box)} rx="5" fill="none" stroke="currentColor" stroke-width="1.5"/>',
        _words(x, y + 18, _cut(hop.what if laptop else f"{hop.what} : {hop.field}", 23), "label", 12),
        _words(x, y + (38 if laptop else 46), _cut(hop.port or "–", 12), "port", 15 if laptop else 22),
        _words(x, y + (54 if laptop else 68), _cut(hop.address, 20), "small", 11),
        _words(x, y + box.height - 10, f"{sign} {_cut(hop.state, 24)}", "state", 11.5),
    ]
    if hop.stops:
        lines.append(_flag(box, y + (26 if laptop else 73)))
    return (
        f'<g class="labs-hop labs-is-{kind}{" labs-stops" if hop.stops else ""}" role="listitem" tabindex="0" '
        f'data-hop="{hop.key}" data-words="{escape(words(hop))}" data-command="{escape(hop.command)}" '
        f'aria-label="{escape(spoken)}"><title>{escape(hop.command or words(hop))}</title>{"".join(lines)}</g>'
    )


def _flag(box: Box, y: float) -> str:
    """The sign in the hop at which the request stops."""
    flag = Box(box.x + box.width - 78, y, 70, 16)
    return (
        f'<rect class="labs-flag" {_size(flag)} rx="8" fill="currentColor"/>'
        f'<text class="labs-flag-words" x="{flag.middle:g}" y="{flag.y + 12:g}" fill="#fff" font-size="11" '
        'text-anchor="middle">stops here</text>'
    )


def _words(x: float, y: float, shown: str, kind: str, size: float, anchor: str = "start") -> str:
    return (
        f'<text class="labs-{kind}" x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" fill="currentColor">'
        f"{escape(shown)}</text>"
    )


def _size(box: Box) -> str:
    return f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'


def _cut(shown: str, most: int) -> str:
    """What fits into a box; the whole of it is in the hop's words."""
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
