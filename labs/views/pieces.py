"""The pieces of an explorer's screen as HTML, and their style sheet. Pure; whatever came from the cluster is escaped.

Does not decide what is shown (screen does) or put it on a page (widget does).
"""

from html import escape
from importlib import resources

from labs import explain, knobs, probe
from labs.errors import LabError
from labs.knobs import Knob
from labs.probe import Word
from labs.views.screen import Note, Said, Screen, Step, in_force, status

STYLE = (resources.files("labs.views") / "style.css").read_text("utf-8")


def heading(words: str) -> str:
    """The heading of a group."""
    return f'<div class="labs-heading">{escape(words)}</div>'


def beside(knob: Knob, note: Note | None) -> str:
    """What stands under a knob's field: its hint, and the word about what was last set."""
    hint = f'<div class="labs-hint">{escape(knob.hint)}</div>'
    if note is None:
        return hint
    return f'{hint}<div class="labs-note">✕ {escape(str(note))}</div>'


def trouble(fault: LabError | None, news: tuple[str, ...], button: str = "Ask again") -> str:
    """What went wrong that is not the learner's doing, and what happened without the learner. button: tries it again."""
    told = "".join(f'<div class="labs-news">{escape(one)}</div>' for one in news)
    if fault is None:
        return told
    return (
        f'{told}<div class="labs-trouble" role="alert"><b>{escape(fault.what)}</b>'
        f"<div><span>why</span>{escape(fault.why)}</div><div><span>try</span>{escape(fault.try_this)}</div>"
        f"<div>Then press “{escape(button)}”.</div></div>"
    )


def summary(screen: Screen, only: tuple[str, ...]) -> str:
    """The status line and what the knobs stand at, for where there are no fields."""
    lines = [(kind, name, in_force(screen, kind, only)) for kind, name in (("Service", screen.service), ("Pod", screen.pod))]
    shown = "".join(f"<div>{kind} {escape(name)}: {escape(words)}</div>" for kind, name, words in lines if words)
    return f'<div class="labs-heading">{escape(status(screen))}</div>{shown}'


def steps(screen: Screen) -> str:
    """What the learner changed in the YAML, and what the API server said to it."""
    if not screen.steps:
        return _panel("What you set", '<div class="labs-hint">Nothing yet. Set a knob: press Enter, or leave its field.</div>')
    return "".join(_step(step) for step in screen.steps)


def _step(step: Step) -> str:
    said = "".join(_said(one) for one in step.said) or '<div class="labs-hint">…</div>'
    return _panel("What you set", _diff(step), step.title) + _panel("What the API server said", said)


def _diff(step: Step) -> str:
    kinds = {"+": "labs-plus", "-": "labs-minus"}
    lines = "".join(
        f'<span class="{kinds.get(sign, "labs-same")}">{escape(sign if sign in kinds else " ")} '
        f"{escape('⋯' if sign == '…' else line)}</span>"
        for sign, line in step.diff
    )
    return f"<pre>{lines}</pre>"


def _said(said: Said) -> str:
    """Words of the API server. A Pod's refusal ends with Go's own diff of the two specs: that part is folded away."""
    if not said.refused:
        return f'<div class="labs-said labs-good">✓ {escape(said.words)}</div>'
    first, _, rest = said.words.partition("\n")
    more = f"<details><summary>the rest of its words</summary><pre>{escape(rest)}</pre></details>" if rest.strip() else ""
    return f'<div class="labs-said labs-bad">✕ refused: {escape(first)}{more}</div>'


def describe(screen: Screen) -> str:
    """`kubectl describe svc`, as it came."""
    command = f"kubectl -n {screen.namespace} describe svc {screen.service}"
    return _panel(f"$ {command}", f"<pre>{escape(screen.describe) or '…'}</pre>", code=True)


def answers(screen: Screen) -> str:
    """The matrix of answers, in colour and words. Colours go by class: two explorers on one page do not disturb each other."""
    if not screen.answers:
        return ""
    frame = probe.table(screen.answers)
    heads = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in ("asked", *frame.columns))
    rows, reasons = "", []
    for (way, address), words, notes in zip(frame.index, frame.itertuples(index=False), frame.attrs["notes"], strict=True):
        cells = "".join(map(_cell, words, notes))
        rows += f'<tr><th scope="row">{escape(way)}<br><code>{escape(address)}</code></th>{cells}</tr>'
        reasons += [note for word, note in zip(words, notes, strict=True) if word == Word.NOT_TRIED and note]
    table = f'<div class="labs-wide"><table class="labs-answers"><tr>{heads}</tr>{rows}</table></div>'
    return _panel("Who answers, from where", table + _not_tried(list(dict.fromkeys(reasons))))


def _not_tried(reasons: list[str]) -> str:
    told = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f"<details class='labs-hint'><summary>Why some were not tried</summary><ul>{told}</ul></details>" if told else ""


def _cell(words: str, note: str = "") -> str:
    mark, kind = next((look for word, look in _LOOKS.items() if words.startswith(word)), ("✕", "labs-bad"))
    return f'<td class="{kind}" title="{escape(note)}">{mark}\u00a0{escape(words)}</td>'


# The mark and the class of a word; any other word is a failure. The longer of two that begin alike comes first.
_LOOKS = {
    Word.SOMETHING_ELSE: ("!", "labs-odd"),
    Word.ANSWERED: ("✓", "labs-good"),
    Word.NOTHING_YET: ("…", "labs-open"),
    Word.NOT_TRIED: ("–", "labs-open"),
}


def explanation(screen: Screen) -> str:
    """Where a request stops, why, and what would mend it."""
    if screen.explanation is None:
        return ""
    return _panel("Why", f'<div class="labs-wide">{explain.html(screen.explanation)}</div>')


def _panel(title: str, inside: str, aside: str = "", code: bool = False) -> str:
    head = f"<code>{escape(title)}</code>" if code else escape(title)
    aside = f'<span class="labs-aside">{escape(aside)}</span>' if aside else ""
    return f'<section class="labs-panel"><header>{head}{aside}</header>{inside}</section>'


def shown(of: str, only: tuple[str, ...]) -> list[Knob]:
    """The knobs of a Service or Pod among those asked for, in the order of a request's way."""
    return [knob for knob in knobs.KNOBS.values() if knob.of == of and knob.name in only]
