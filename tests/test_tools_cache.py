"""labs.tools: a download that was kept is run only while it is what was checked, and nobody else can have changed it.

Stands in for the host that it comes from (tests/test_tools.py has one).
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import tools
from labs.errors import LabError
from tests.another_user import NOBODY, only_root

PROGRAM = bytes(range(256)) * 64


@pytest.fixture(autouse=True)
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A machine with an empty PATH and a home of its own; and each address that a program was fetched from."""
    fetched: list[str] = []

    def download(url: str, part: Path, say: tools.Say) -> None:
        fetched.append(url)
        part.write_bytes(PROGRAM)

    for name in ("KIND_BIN", "KUBECTL_BIN", "KIND_NODE_IMAGE", "LABS_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tools, "_published_sum", lambda _: hashlib.sha256(PROGRAM).hexdigest())
    monkeypatch.setattr(tools, "_continue", download)
    return fetched


@pytest.fixture
def kept() -> Path:
    """A kind that was downloaded."""
    return tools.find("kind", lambda _: None)


@pytest.fixture
def place() -> Path:
    """Where kind will be kept, in a folder that is there."""
    path = tools.found_where("kind").path
    path.parent.mkdir()
    return path


def test_what_was_kept_is_not_fetched_again(kept: Path, downloads: list[str]) -> None:
    assert tools.find("kind") == kept
    assert len(downloads) == 1


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, 5),
    "something else": lambda path: path.write_bytes(b"x" * len(PROGRAM)),
    "not executable": lambda path: path.chmod(0o644),
    "for everybody to write": lambda path: path.chmod(0o777),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a loop": lambda path: (path.unlink(), path.symlink_to(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_not_run_but_fetched_again(damage: str, kept: Path) -> None:
    DAMAGES[damage](kept)
    assert tools.found_where("kind").where == "would be downloaded"
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM
    assert tools.found_where("kind").where == "cache"


@pytest.mark.parametrize("damage", ["a folder", "a loop", "something else"])
def test_what_is_beside_it_is_in_nobodys_way(damage: str, kept: Path) -> None:
    """Its folder, its lock, its part, and the note of what was checked."""
    for name in ("kind.lock", "kind.part", "kind.checked"):
        (kept.parent / name).touch()
        DAMAGES[damage](kept.parent / name)
    kept.unlink()
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM
    assert tools.found_where("kind").where == "cache"


@only_root
def test_a_strangers_is_not_run(place: Path) -> None:
    place.write_text("#!/bin/sh\necho I am a stranger\n")
    place.chmod(0o755)
    os.chown(place, NOBODY, NOBODY)
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM


def test_one_from_a_folder_that_everybody_may_write_to_is_not_run(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "home").chmod(0o777)
    with pytest.raises(LabError, match="Everybody may write to"):
        tools.find("kind")
    (tmp_path / "home").chmod(0o755)
    kept.parent.chmod(0o777)
    assert tools.found_where("kind").where == "would be downloaded"


def test_a_copy_of_the_cache_is_taken_after_a_look(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files have other times; one of the same size that is another program is not."""
    os.utime(kept, (1, 1))
    assert tools.found_where("kind").where == "cache"
    monkeypatch.setattr("hashlib.file_digest", None)  # now it is known, and not read again
    assert tools.found_where("kind").where == "cache"


def test_one_that_an_older_course_has_kept_is_taken(place: Path) -> None:
    """It noted nothing beside it."""
    place.write_bytes(PROGRAM)
    place.chmod(0o755)
    assert tools.found_where("kind").where == "cache"


def test_a_link_in_the_place_of_a_part_is_not_written_through(place: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("the learner's own")
    place.with_name("kind.part").symlink_to(mine)
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM
    assert mine.read_text() == "the learner's own"
