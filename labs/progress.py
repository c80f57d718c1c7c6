"""The learner's predictions and exercises, kept in one small file of the learner's own folder; sent nowhere.

The file is `progress.json` in `home.state()`: whole or as it was before, whatever ends the kernel in the middle of a write;
one kernel writes at a time. Does not judge what is recorded. Its callers keep to these results:

- kind "prediction", name "LESSON/SERVICE": {"did": "chose" | "ran", "choices": …} and, when it ran, "right" and "of" (numbers).
- kind "exercise", name of the exercise: {"did": "break" | "check" | "hint" | "solution"} and, for a check, "passed" (bool).
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import Timeout

from labs import home
from labs.embedded import own_files
from labs.errors import BadInput, LabError, NotInTime

Kind = Literal["prediction", "exercise"]
Say = Callable[[str], None]

FILE = "progress.json"
TITLE = "Kubernetes ports, live: progress"  # by which an export is known as ours
VERSION = 1
MOST_ENTRIES = 5000  # the oldest go first
LONGEST_WORDS = 500  # characters of one string in a result; the rest is cut
LOCK_LIMIT = 10.0  # seconds


@dataclass(frozen=True)
class Entry:
    """One thing that the learner did. at: when, UTC, as in "2026-11-23T16:05:00+00:00"."""

    kind: Kind
    name: str
    at: str
    result: Mapping[str, Any]


# --- computed


def parse(text: str | bytes) -> list[Entry]:
    """The entries of a file. ValueError where it is damaged; LabError where a newer course has written it."""
    found = own_files.parse_json(text)
    if not isinstance(found, dict) or not isinstance(found.get("entries"), list):
        raise ValueError("it is JSON, but not as this course writes it")
    if found.get("version") != VERSION:
        raise LabError(
            "Your progress was written by another version of the course.",
            f"Its file says version {found.get('version')!r}; this course knows version {VERSION}.",
            "Use the newest course (`git pull`); nothing in the file was changed.",
        )
    return [_entry(one) for one in found["entries"]]


def _entry(found: Any) -> Entry:
    try:
        entry = Entry(found["kind"], str(found["name"]), str(found["at"]), dict(found["result"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"an entry has no {error}") from error
    if entry.kind not in ("prediction", "exercise"):
        raise ValueError(f"an entry is of kind {entry.kind!r}")
    return entry


def written(entries: Sequence[Entry]) -> str:
    """The entries as a file has them."""
    told = {"title": TITLE, "version": VERSION, "entries": [asdict(entry) for entry in entries[-MOST_ENTRIES:]]}
    return json.dumps(told, indent=1) + "\n"


def short(value: Any) -> Any:
    """A result with its long strings cut: what a Pod says may be 10 MB."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_WORDS else value[:LONGEST_WORDS] + "…"
    if isinstance(value, Mapping):
        return {str(key): short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [short(one) for one in value]
    return value


def told(entries: Sequence[Entry]) -> str:
    """The entries as a learner reads them: one line for each prediction and exercise, in the order of their beginning."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.kind, entry.name), []).append(entry)
    if not groups:
        return "Nothing is recorded yet: predict, or mend an exercise."
    lines = []
    for kind, heading, say in (("prediction", "Predictions", _prediction), ("exercise", "Exercises", _exercise)):
        mine = {name: say(some) for (of, name), some in groups.items() if of == kind}
        if mine:
            width = max(map(len, mine))
            lines += [heading, *(f"  {name:{width}}  {words}" for name, words in mine.items())]
    return "\n".join(lines)


def _prediction(entries: Sequence[Entry]) -> str:
    ran = [entry.result for entry in entries if entry.result.get("did") == "ran"]
    if not ran:
        return "predicted, not run yet"
    last = ran[-1]
    words = f"{last.get('right', 0)} of {last.get('of', 0)} right"
    return words if len(ran) == 1 else f"{words} (the first time {ran[0].get('right', 0)} of {ran[0].get('of', 0)})"


def _exercise(entries: Sequence[Entry]) -> str:
    did = [entry.result.get("did") for entry in entries]
    mended = any(entry.result.get("passed") for entry in entries if entry.result.get("did") == "check")
    counted = [_count(did.count("check"), "check"), _count(did.count("hint"), "hint")]
    if "solution" in did:
        counted.append("the solution was read")
    return f"{'mended' if mended else 'not mended yet'} ({', '.join(counted)})"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# --- the file


def file() -> Path:
    """Where progress is kept. LabError where the folder cannot be used."""
    return home.state() / FILE


def record(kind: Kind, name: str, result: Mapping[str, Any]) -> Entry:
    """Adds an entry; it is on the disk when this returns. result: whatever JSON holds; long strings are cut.

    LabError where it cannot be written; TypeError for a result that is not JSON.
    """
    if kind not in ("prediction", "exercise"):
        raise ValueError(f"no such kind: {kind!r}")
    entry = Entry(kind, name, datetime.now(UTC).isoformat(timespec="seconds"), json.loads(json.dumps(short(result))))
    with _alone():
        own_files.write(file(), written([*_read(_tell), entry]), durable=True)
    return entry


def read() -> list[Entry]:
    """All entries, the oldest first. A damaged file is put aside, and that is told on stderr. LabError as in `record`."""
    with _alone():
        return _read(_tell)


def summary() -> str:
    """All entries as a learner reads them, and where they are kept."""
    return f"{told(read())}\n(kept in {file()}, and sent nowhere)"


def export(path: Path | str) -> Path:
    """Writes all entries to a file that can be handed in; returns its path. BadInput where another file would be lost."""
    target = Path(path).expanduser().absolute()
    entries = read()
    try:
        if target.exists() and not _is_export(target):
            raise BadInput(f"{target} is there already.", "It is not an export of your progress.", "Choose another name.")
        own_files.write(target, written(entries), mode=0o666, durable=True)
    except OSError as error:
        raise LabError(
            f"Your progress cannot be written to {target}.", str(error), home.advice(error, "Choose another file")
        ) from error
    return target


def _is_export(path: Path) -> bool:
    try:
        return os.access(path, os.R_OK) and bool(own_files.parse_json(own_files.read(path))["title"] == TITLE)
    except (ValueError, TypeError, KeyError):
        return False


def _tell(line: str) -> None:
    with suppress(BrokenPipeError):  # nobody reads it
        print(line, file=sys.stderr, flush=True)


def _read(say: Say) -> list[Entry]:
    """What the file holds; called with the lock held."""
    path = file()
    try:
        return parse(own_files.read(path))
    except FileNotFoundError:
        return []
    except ValueError as error:
        aside = own_files.put_aside(path)
        say(f"Your progress file was damaged ({error}). It is kept as {aside}; a new one begins here.")
        return []


@contextmanager
def _alone() -> Iterator[None]:
    """One kernel at a time, for a read and a write; the lock ends with the process that holds it. LabError as in `record`."""
    with home.keeping("Your progress"):
        try:
            with own_files.lock(file().with_name(f"{FILE}.lock"), LOCK_LIMIT):
                yield
        except Timeout as error:
            raise NotInTime(
                "Your progress could not be written.",
                f"Another notebook or command held {FILE} for {LOCK_LIMIT:.0f} s.",
                "Run this again; if it stays, restart the other notebooks' kernels.",
            ) from error
