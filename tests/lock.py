"""Renews the locks from the requirements files, and says what changed: `make lock`.

A lock pins each package that a requirements file asks for, and all that those need, with the hashes of its files, for every
Python and system that the course is meant for. Does not install anything.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from labs import bootstrap, uv

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")
BASE = LOCKS[0]  # the others have its versions
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin")
# One version for all Pythons, where there is one: what a notebook prints does not depend on the Python then.
_OPTIONS = ("--universal", "--fork-strategy=fewest", f"--python-version={PYTHONS[0]}", "--only-binary=:all:")

Pins = Mapping[str, str]  # "1.2.3" by name; more than one version for different systems: "1.2.3, 1.2.4"


# --- computed


def pins(lock: str) -> Pins:
    """The versions that a lock pins, by name."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE):
        versions.setdefault(name, []).append(version)
    return {name: ", ".join(several) for name, several in versions.items()}


def changes(before: Pins, after: Pins) -> list[str]:
    """What differs between two locks, one package a line."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name} {after[name]}")
        elif name not in after:
            lines.append(f"- {name} {before[name]}")
        elif before[name] != after[name]:
            lines.append(f"  {name} {before[name]} → {after[name]}")
    return lines


# --- made


def main() -> int:
    """0, or 1 where a package has no wheel for a system, or uv fails: it has said why."""
    try:
        program = uv.on_path() or uv.kept(bootstrap.VENV / "uv", bootstrap.wheels())
        program = program or uv.bring(bootstrap.VENV / "uv", bootstrap.give_pip())
    except uv.NotHad as not_had:
        print(f"uv cannot be had here: {not_had}", file=sys.stderr)
        return 1
    for lock in LOCKS:
        if not renew(program, ROOT / lock):
            return 1
    missing = list(without_wheels(program, (ROOT / LOCKS[1]).read_text("utf-8")))
    for line in missing:
        print(line, file=sys.stderr)
    return 1 if missing else 0


def renew(program: Path, lock: Path) -> bool:
    """Writes the lock anew, and prints what changed; False where uv fails."""
    before = lock.read_text("utf-8") if lock.exists() else ""
    asked = [lock.with_suffix(".txt").name, f"--output-file={lock.name}", "--upgrade", "--generate-hashes", *_OPTIONS]
    asked += [] if lock.name == BASE else [f"--constraints={BASE}"]
    asked += ["--custom-compile-command=make lock", "--no-emit-index-url"]
    done = _compile(program, asked)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return False
    changed = changes(pins(before), pins(lock.read_text("utf-8")))
    print("\n".join([f"{lock.name}:", *(changed or ["  as it was"])]), flush=True)
    return True


def without_wheels(program: Path, lock: str) -> Iterator[str]:
    """A line for each Python and system where a package of the lock would have to be built."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder, "pinned.txt")
        pinned.write_text(bootstrap.without_hashes(lock), "utf-8")
        for platform in PLATFORMS:
            for version in PYTHONS:
                asked = [str(pinned), "--only-binary=:all:", f"--python-version={version}", f"--python-platform={platform}"]
                done = _compile(program, asked)
                if done.returncode != 0:
                    yield f"On {platform} with Python {version}: {' '.join(done.stderr.split())}"


def _compile(program: Path, asked: list[str]) -> "subprocess.CompletedProcess[str]":
    return uv.run(program, ["pip", "compile", *asked], bootstrap.pip_here(), quiet=True)


if __name__ == "__main__":
    sys.exit(main())
