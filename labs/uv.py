"""Finds the installer uv, or brings a pinned one into a folder of ours; and tells it what pip is told about indexes.

Standard library alone, as labs/bootstrap.py, which runs uv: does not install a course's package by itself.
"""

import ast
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

OLDEST = (0, 11)  # of a uv on PATH: knows UV_SYSTEM_CERTS
ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-uv.lock"

# What pip calls a setting, and what uv's environment calls it. Where pip has several values, they stand apart by white space.
_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
_OLD_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}


class NotHad(Exception):
    """uv cannot be had here; the text says why, in a few words."""


# --- computed


def version(words: str) -> tuple[int, ...]:
    """Major, minor and patch of what `uv --version` says: (0, 8, 3) of "uv 0.8.3 (…)"; () of anything else."""
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", words)
    return tuple(map(int, match.groups())) if match else ()


def pinned(lock: str) -> str:
    """The version of uv that its lock pins."""
    match = re.search(r"^uv==(\S+)", lock, re.MULTILINE)
    if not match:
        raise ValueError(f"{LOCK.name} pins no uv")
    return match[1]


def pip_settings(listed: str) -> dict[str, str]:
    """pip's settings by their names, out of what `pip config list` says.

    A setting may be there for all commands, for `install`, or in the environment: each wins over those before it
    (https://pip.pypa.io/en/stable/topics/configuration/).
    """
    settings: dict[str, str] = {}
    for place in ("global", "install", ":env:"):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{place}."):
                settings[name.removeprefix(f"{place}.")] = str(ast.literal_eval(value))
    return settings


def environment(settings: Mapping[str, str], before: Mapping[str, str], system_certificates: bool) -> dict[str, str]:
    """What uv's environment needs so that uv asks where pip would ask. What `before` says already stays as it is.

    settings: pip's, by their names. before: the environment. system_certificates: whether this machine keeps such, which a
    company's proxy may need.
    """
    added: dict[str, str] = {}
    for name, variable in _SETTINGS.items():
        values = [value for value in settings.get(name, "").split() if name != "find-links" or _is_there(value)]
        if values and not {variable, _OLD_NAMES.get(variable, variable)} & before.keys():
            added[variable] = ("," if name == "find-links" else " ").join(values)
    if "UV_INDEX" in added:  # all indexes are equal to pip; what each may give is fixed by the hashes
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("proxy"):
        added |= {"HTTP_PROXY": settings["proxy"], "HTTPS_PROXY": settings["proxy"]}
    if system_certificates and "SSL_CERT_FILE" not in {*before, *added}:
        added["UV_SYSTEM_CERTS"] = "true"
    return added


def _is_there(place: str) -> bool:
    """Whether it is an address, or a folder that exists: pip goes on without the others, and uv does not."""
    return "://" in place or Path(place).is_dir()


# --- this machine


def on_path() -> Path | None:
    """The uv on PATH, if it is new enough."""
    program = shutil.which("uv")
    return Path(program) if program and _version_of(Path(program)) >= OLDEST else None


def _version_of(program: Path) -> tuple[int, ...]:
    try:
        return version(subprocess.run([str(program), "--version"], capture_output=True, encoding="utf-8").stdout)
    except OSError:
        return ()


def kept(folder: Path, wheels: Path) -> Path | None:
    """The pinned uv: in `folder`, or out of a wheel of it in `wheels`; None where it is in neither."""
    program = _program(folder)
    if program.exists():
        return program
    for wheel in sorted(wheels.glob(f"uv-{program.parent.name}-*.whl")):
        if not _is_pinned(wheel):
            continue
        unpack(wheel, program)
        if _version_of(program):
            return program
        program.unlink()  # it is another machine's
    return None


def bring(folder: Path, pip: Sequence[str]) -> Path:
    """Fetches the pinned uv into `folder`, by a pip. NotHad where that fails."""
    with tempfile.TemporaryDirectory() as fetched:
        fetch(Path(fetched), pip)
        program = kept(folder, Path(fetched))
    if program is None:
        raise NotHad("there is none for this machine")
    return program


def fetch(wheels: Path, pip: Sequence[str]) -> None:
    """Fetches the wheel of the pinned uv for this machine into a folder, by a pip that checks its hash. NotHad."""
    asked = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--retries=1"]
    command = [*pip, "--disable-pip-version-check", *asked, f"--requirement={LOCK}", f"--dest={wheels}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        raise NotHad((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])


def _is_pinned(wheel: Path) -> bool:
    """Whether the lock has the hash of this file."""
    return f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" in LOCK.read_text("utf-8")


def unpack(wheel: Path, program: Path) -> None:
    """Takes the program out of its wheel: whole, or not at all."""
    program.parent.mkdir(parents=True, exist_ok=True)
    new = program.with_name(f"{program.name}.{os.getpid()}")
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(f"/scripts/{program.name}"))
        new.write_bytes(archive.read(inside))
    new.chmod(0o755)
    new.replace(program)


def _program(folder: Path) -> Path:
    """Where the pinned uv is, once it is there."""
    return folder / pinned(LOCK.read_text("utf-8")) / ("uv.exe" if os.name == "nt" else "uv")


def run(program: Path, arguments: Sequence[str], pip: Sequence[str], quiet: bool = False) -> "subprocess.CompletedProcess[str]":
    """Runs uv, with what that pip (where there is one) is told about indexes. quiet: what it says is kept and not shown."""
    settings = pip_settings(_listed(pip))
    added = environment(settings, os.environ, _system_certificates())
    command = [str(program), *arguments]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        command.append("--no-index")
    if not sys.stdout.isatty():  # nobody watches the progress
        command.append("--quiet")
    return subprocess.run(command, cwd=ROOT, env=os.environ | added, capture_output=quiet, encoding="utf-8")


def _listed(pip: Sequence[str]) -> str:
    """What `pip config list` says; without a pip, only the environment is asked."""
    if pip:
        return subprocess.run([*pip, "config", "list"], capture_output=True, encoding="utf-8").stdout
    named = {name.removeprefix("PIP_"): value for name, value in os.environ.items() if name.startswith("PIP_")}
    return "\n".join(f":env:.{name.lower().replace('_', '-')}={value!r}" for name, value in named.items())


def _system_certificates() -> bool:
    """Whether this machine keeps certificates of its own."""
    places = ssl.get_default_verify_paths()
    return bool(places.cafile or places.capath)
