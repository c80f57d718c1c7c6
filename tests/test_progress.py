"""labs.progress: what a learner did is kept, whole, whatever happens while it is written."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from labs import progress
from labs.__main__ import main
from labs.errors import BadInput, LabError, NotInTime
from labs.progress import Entry, parse, told, written

CHOSE = {"did": "chose", "choices": {"a": "refused"}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    return tmp_path


def entry(kind: Any, name: str, **result: Any) -> Entry:
    return Entry(kind, name, "2026-11-23T16:00:00+00:00", result)


# --- kept


def test_what_is_recorded_is_read_again_in_order() -> None:
    assert progress.read() == []
    first = progress.record("prediction", "02-target-port/productpage", CHOSE)
    second = progress.record("exercise", "wrong-target-port", {"did": "check", "passed": False})
    assert progress.read() == [first, second]
    assert first.result == CHOSE


def test_the_file_is_its_owners_and_nothing_is_left_beside_it(home: Path) -> None:
    progress.record("exercise", "wrong-target-port", {"did": "break"})
    assert {path.name for path in (home / "state").iterdir()} <= {"progress.json", "progress.json.lock"}
    assert (home / "state").stat().st_mode & 0o077 == 0


def test_long_words_are_cut_and_odd_characters_kept() -> None:
    hostile = "<script>\x00\ud800" + "x" * 10_000_000
    progress.record("exercise", "wrong-target-port", {"did": "check", "saw": [hostile], "why": {"a": hostile}})
    result = progress.read()[0].result
    assert result["saw"][0].startswith("<script>\x00\ud800x")
    assert len(result["saw"][0]) == len(result["why"]["a"]) == progress.LONGEST_WORDS + 1
    assert progress.file().stat().st_size < 5000


def test_the_newest_entries_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_ENTRIES", 3)
    for number in range(5):
        progress.record("exercise", str(number), {"did": "break"})
    assert [entry.name for entry in progress.read()] == ["2", "3", "4"]


def test_what_is_not_json_changes_nothing() -> None:
    progress.record("exercise", "a", {"did": "break"})
    with pytest.raises(TypeError):
        progress.record("exercise", "b", {"did": object()})
    with pytest.raises(ValueError, match="lesson"):
        progress.record("lesson", "b", {})  # type: ignore[arg-type]
    assert [entry.name for entry in progress.read()] == ["a"]


# --- faults

WRITER = """
import sys
from labs import progress
for number in range(int(sys.argv[2])):
    progress.record("exercise", sys.argv[1], {"did": "check", "number": number})
    print(number, flush=True)
"""


def writer(name: str, times: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WRITER, name, str(times)], stdout=subprocess.PIPE, text=True)


def test_kernels_that_write_at_once_lose_nothing() -> None:
    ones = [writer(name, 10) for name in "abc"]
    for one in ones:
        one.communicate(timeout=60)
        assert one.returncode == 0
    kept = [(entry.name, entry.result["number"]) for entry in progress.read()]
    assert sorted(kept) == [(name, number) for name in "abc" for number in range(10)]
    for name in "abc":
        assert [number for of, number in kept if of == name] == list(range(10))


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_kill_while_it_writes_loses_nothing_that_was_recorded(after: int) -> None:
    one = writer("a", 1_000_000)
    assert one.stdout is not None
    done = [int(one.stdout.readline()) for _ in range(after)]
    one.send_signal(signal.SIGKILL)
    rest, _ = one.communicate(timeout=30)
    done += map(int, rest.split())
    kept = [entry.result["number"] for entry in progress.read()]
    assert kept[: len(done)] == done and len(kept) <= len(done) + 1
    progress.record("exercise", "a", {"did": "hint"})  # neither a lock nor a half-written file is in the way


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_end_before_the_new_file_has_its_name_leaves_the_old_one(step: str) -> None:
    progress.record("exercise", "a", {"did": "break"})
    dies = {"fsync": "os.fsync = lambda _: os._exit(9)", "replace": "Path.replace = lambda *_: os._exit(9)"}[step]
    script = f"import os; from pathlib import Path; from labs import progress; {dies}\nprogress.record('exercise', 'b', {{}})"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 9
    assert [entry.name for entry in progress.read()] == ["a"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"entries": [{}], "version": 1}', b'{"entries": [3], "version": 1}',
     b'{"version": 1, "entries": [{"kind": "x", "name": "", "at": "", "result": {}}]}', b"\x00" * 4096,
     b"[" * 100_000, b'{"version": 1, "entries": ' + b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_is_kept_aside_and_told(damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        progress.file().write_bytes(damage)
        assert progress.read() == []
        aside = progress.file().with_name(f"progress.damaged{number}.json")
        assert aside.read_bytes() == damage
        assert str(aside) in capsys.readouterr().err
    progress.record("exercise", "a", {"did": "break"})
    assert [entry.name for entry in progress.read()] == ["a"]


def test_a_folder_in_its_place_is_kept_aside(home: Path) -> None:
    (progress.file() / "with").mkdir(parents=True)
    assert progress.read() == []
    assert (home / "state" / "progress.damaged1.json" / "with").is_dir()


def test_odd_results_are_told_as_they_can_be() -> None:
    """A file that somebody wrote by hand."""
    progress.record("exercise", "a", {"did": ["check"], "passed": True})
    progress.record("prediction", "b/c", {"did": {}})
    assert "a  not mended yet (0 checks, 0 hints)" in progress.summary()


def test_a_file_of_a_newer_course_is_not_touched() -> None:
    newer = '{"version": 2, "entries": []}'
    progress.file().write_text(newer)
    with pytest.raises(LabError, match="another version"):
        progress.record("exercise", "a", {"did": "break"})
    assert progress.file().read_text() == newer


def test_a_lock_that_is_held_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOCK_LIMIT", 0.05)
    with FileLock(f"{progress.file()}.lock"), pytest.raises(NotInTime, match="could not be written"):
        progress.record("exercise", "a", {"did": "break"})


def test_a_disk_that_is_full_is_told_and_the_old_file_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    progress.record("exercise", "a", {"did": "break"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LabError, match="No space left"):
            progress.record("exercise", "b", {"did": "break"})
    assert [entry.name for entry in progress.read()] == ["a"]


# --- told


def test_the_summary_tells_each_prediction_and_exercise_once() -> None:
    words = told(
        [
            entry("exercise", "wrong-target-port", did="break"),
            entry("prediction", "02-target-port/productpage", did="chose", choices={}),
            entry("prediction", "02-target-port/productpage", did="ran", right=1, of=4),
            entry("exercise", "wrong-target-port", did="check", passed=False),
            entry("exercise", "wrong-target-port", did="hint"),
            entry("exercise", "wrong-target-port", did="check", passed=True),
            entry("exercise", "two-faults", did="solution"),
            entry("prediction", "02-target-port/productpage", did="ran", right=4, of=4),
            entry("prediction", "03-x/productpage", did="chose", choices={}),
            entry("prediction", "04-x/productpage", did="ran", right=2, of=4),
        ]
    )
    assert words.splitlines() == [
        "Predictions",
        "  02-target-port/productpage  4 of 4 right (the first time 1 of 4)",
        "  03-x/productpage            predicted, not run yet",
        "  04-x/productpage            2 of 4 right",
        "Exercises",
        "  wrong-target-port  mended (2 checks, 1 hint)",
        "  two-faults         not mended yet (0 checks, 0 hints, the solution was read)",
    ]


def test_the_summary_says_where_it_is_kept() -> None:
    assert "Nothing is recorded yet" in progress.summary()
    assert str(progress.file()) in progress.summary()


# --- handed in


def test_an_export_holds_all_and_can_be_written_again(tmp_path: Path) -> None:
    progress.record("exercise", "a", {"did": "break"})
    target = progress.export(tmp_path / "mine.json")
    progress.record("exercise", "b", {"did": "break"})
    assert progress.export(target) == target
    assert parse(target.read_text()) == progress.read()
    assert json.loads(target.read_text())["title"] == progress.TITLE


def test_an_export_writes_over_nothing_else(tmp_path: Path) -> None:
    notebook = tmp_path / "02-target-port.ipynb"
    for content in ('{"cells": []}', "not JSON", "[]", ""):
        notebook.write_text(content)
        with pytest.raises(BadInput, match="there already"):
            progress.export(notebook)
        assert notebook.read_text() == content


def test_an_export_into_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be written") as told_:
        progress.export(tmp_path / "none" / "mine.json")
    assert told_.value.try_this.startswith("Choose another file")


def test_an_export_can_be_read_by_whom_it_is_handed_to(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert progress.export(tmp_path / "mine.json").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="there already"):
        progress.export(tmp_path / "pipe")


def test_what_is_written_is_parsed_again() -> None:
    entries = [entry("exercise", "a", did="check", passed=True), entry("prediction", "b/c", did="chose", choices={"x": "y"})]
    assert parse(written(entries)) == entries


# --- the command


def test_the_command_tells_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress.record("exercise", "wrong-target-port", {"did": "check", "passed": True})
    assert main(["progress"]) == 0
    assert "wrong-target-port  mended (1 check" in capsys.readouterr().out
    target = tmp_path / "mine.json"
    assert main(["progress", "--export", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    assert parse(target.read_text()) == progress.read()


def test_no_other_command_exports(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["status", "--export", "mine.json"])
    assert caught.value.code == 2
    assert "--export goes with progress" in capsys.readouterr().err
