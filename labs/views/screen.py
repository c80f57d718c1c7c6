"""All that an explorer shows at one moment, as data and as plain text.

Pure: does not ask, does not paint. HTML is in pieces.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from labs import knobs, probe
from labs import path as paths
from labs.errors import LabError
from labs.explain import Explanation
from labs.path import Path
from labs.probe import Answer, Word

LONGEST = 20_000  # characters of what a server said; the rest is cut
RESULTS = frozenset({"answers", "explanation", "describe"})


class Stage(StrEnum):
    """What is going on, in the words of the status line."""

    STARTING = "Making ready"
    SENDING = "Sending to the API server"
    POD = "Waiting for the new Pod"
    ASKING = "Asking from every place"
    WAITING = "Not all have answered yet; asking on"
    DONE = "Done"


@dataclass(frozen=True)
class Note:
    """A word beside a knob: what was set could not be had, and the knob has gone back."""

    first_sentence: str
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.first_sentence} {self.rest}".strip()


@dataclass(frozen=True)
class Said:
    """What the API server said: its own words where it refused."""

    words: str
    refused: bool = False

    @property
    def first_line(self) -> str:
        """Its words without what follows them in a Pod's refusal: Go's own diff of the two specs."""
        return self.words.partition("\n")[0]


@dataclass(frozen=True)
class Step:
    """One knob turned: which, what it changed in the YAML (as `knobs.yaml_diff`), and what the API server said to it."""

    title: str
    diff: tuple[tuple[str, str], ...] = ()
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Screen:
    """What an explorer shows.

    values: the knobs as they are in force on the cluster. notes: by knob. steps: what the learner did last. news: what
    happened without the learner. describe: of `kubectl describe svc`. stale: which of "answers", "explanation", "describe"
    are from before the last turn. path: comes with the explanation. trouble: a fault that is not the learner's.
    """

    service: str
    pod: str
    namespace: str
    stage: Stage = Stage.STARTING
    values: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Note] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    news: tuple[str, ...] = ()
    describe: str = ""
    answers: tuple[Answer, ...] = ()
    path: Path | None = None
    explanation: Explanation | None = None
    stale: frozenset[str] = frozenset()
    trouble: LabError | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self.stage is not Stage.DONE

    def with_note(self, name: str, note: Note) -> "Screen":
        """The same with a note beside one knob."""
        return replace(self, notes={**self.notes, name: note})

    def with_said(self, *said: Said) -> "Screen":
        """The same with more said by the API server to the last step."""
        last = self.steps[-1]
        return replace(self, steps=(*self.steps[:-1], replace(last, said=(*last.said, *said))))


def cut(words: str) -> str:
    """Words from the cluster, as much of them as a page can show."""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}\n… ({len(words)} characters, cut here)"


def status(screen: Screen) -> str:
    """The status line: what is going on, or, when all is done, what came of it in one sentence."""
    if screen.trouble is not None:
        return f"Stopped: {screen.trouble.what}"
    if screen.busy:
        return f"{screen.stage} …"
    if screen.notes:
        name, note = list(screen.notes.items())[-1]
        return f"{knobs.KNOBS[name].label}: {note.first_sentence}"
    stops = screen.explanation is not None and screen.explanation.stops_at is not None
    return " ".join(
        ["Done.", tally(screen.answers), str(screen.explanation.heading) if screen.explanation and stops else ""]
    ).strip()


def tally(answers: Sequence[Answer]) -> str:
    """How many requests came to which end: "9 answered, 2 refused"; those that were not tried are left out."""
    words = [answer.word for answer in answers if answer.word is not Word.NOT_TRIED]
    return ", ".join(f"{words.count(word)} {word}" for word in Word if word in words) + "." if words else ""


def in_force(screen: Screen, of: str, only: Sequence[str] = knobs.ALL) -> str:
    """What the knobs of a Service or Pod stand at, in a line."""
    shown = [knob for knob in knobs.KNOBS.values() if knob.of == of and knob.name in only and knob.name in screen.values]
    return ", ".join(f"{knob.label} {knobs.shortened(screen.values[knob.name])}" for knob in shown)


def text(screen: Screen, only: Sequence[str] = knobs.ALL, briefly: bool = False) -> str:
    """What is on the screen, as plain text. only: the knobs shown. briefly: without what changes from run to run."""
    parts = [status(screen), *screen.news]
    for of, name in (("Service", screen.service), ("Pod", screen.pod)):
        line = in_force(screen, of, only)
        parts += [f"{of} {name}: {line}"] if line else []
    parts += [f"! {knobs.KNOBS[name].label}: {note}" for name, note in screen.notes.items()]
    if screen.trouble is not None:
        parts.append(str(screen.trouble))
    for step in screen.steps:
        parts.append(f"\n{step.title}")
        parts += [f"{sign} {line}".rstrip() for sign, line in step.diff]
        parts += [f"The API server {'refused: ' if said.refused else 'said: '}{said.first_line}" for said in step.said]
    parts += [f"\n(from before: {', '.join(sorted(screen.stale))})"] if screen.stale else []
    if screen.answers:
        parts.append("\n" + probe.table(screen.answers).to_string())
    if screen.path is not None and not briefly:
        parts.append(f"\n{paths.text(screen.path)}")
    if screen.explanation is not None and not briefly:
        parts.append(f"\n{screen.explanation}")
    if screen.describe and not briefly:
        parts.append(f"\n$ kubectl -n {screen.namespace} describe svc {screen.service}\n{screen.describe.rstrip()}")
    return "\n".join(parts)
