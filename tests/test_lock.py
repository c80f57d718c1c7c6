"""The locks: what they pin is what the requirements files ask for, with hashes, and nothing of the machine that made them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labs.bootstrap import without_hashes
from tests.lock import BASE, LOCKS, changes, pins

ROOT = Path(__file__).resolve().parents[1]
A_LOCK = (
    "# This file was made.\n"
    "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via pandas\n"
    "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:cc\n"
    "ruamel.yaml==1.0 \\\n    --hash=sha256:dd\n"
)


def asked(requirements: Path) -> Iterator[Requirement]:
    """What a requirements file asks for, and those that it includes."""
    for line in requirements.read_text("utf-8").splitlines():
        if line.startswith("-r "):
            yield from asked(requirements.parent / line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            yield Requirement(line)


def text_of(lock: str) -> str:
    return (ROOT / lock).read_text("utf-8")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_all_that_is_asked_for(lock: str) -> None:
    """Fault: a requirements file was changed without `make lock`."""
    versions = pins(text_of(lock))
    for requirement in asked((ROOT / lock).with_suffix(".txt")):
        pinned = versions[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in pinned.split(", ")), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=\w)", text_of(lock), flags=re.MULTILINE)[1:]
    assert len(entries) >= len(pins(text_of(lock)))
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+( ; .*)? \\\n( {4}--hash=sha256:[0-9a-f]{64}( \\)?\n)+( {4}#.*\n)*$", entry), entry[:200]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_does_not_say_where_it_was_made(lock: str) -> None:
    assert "://" not in text_of(lock)
    assert not re.search(r"(^|\s)/|^--", text_of(lock), re.MULTILINE)


def test_maintainers_have_the_versions_that_learners_have() -> None:
    learners, maintainers = pins(text_of(BASE)), pins(text_of("requirements-dev.lock"))
    assert {name: maintainers.get(name) for name in learners} == learners


def test_what_only_maintainers_need_is_not_installed_for_learners() -> None:
    assert not {"pytest", "nbval", "mypy", "ruff"} & pins(text_of(BASE)).keys()


def test_pins_are_read() -> None:
    assert pins(A_LOCK) == {"numpy": "2.4.6, 2.5.5", "ruamel.yaml": "1.0"}
    assert pins(without_hashes(A_LOCK)) == pins(A_LOCK)
    assert "hash" not in without_hashes(A_LOCK)
    assert "numpy==2.4.6 ; python_full_version < '3.12'\n" in without_hashes(A_LOCK)


def test_what_changed_is_said() -> None:
    before, after = {"a": "1", "b": "1", "c": "1"}, {"a": "2", "c": "1", "d": "1"}
    assert changes(before, after) == ["  a 1 → 2", "- b 1", "+ d 1"]
