"""Finds `kind` and `kubectl`: the one you name, the one on PATH, or a download for this system and processor.

A download is kept in `labs.home.cache()`, checked against the sha256 that is published beside it. `LABS_MIRROR` takes the
place of the host in each address, the path stays (with a scheme, `http://10.0.0.5:8000`, where the mirror has no TLS):
  https://dl.k8s.io/release/v1.37.0/bin/linux/amd64/kubectl → https://MIRROR/release/v1.37.0/bin/linux/amd64/kubectl
Does not run what it finds, but to ask for its version.
"""

import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from labs import home, strict_modes, versions
from labs.embedded import own_files
from labs.errors import ToolMissing

Tool = Literal["kind", "kubectl"]
Say = Callable[[str], None]
Minor = tuple[int, int]  # (1, 37) of v1.37.0

_LIMITS = (10.0, 60.0)  # seconds: to connect, between two pieces of an answer
_PIECE = 1 << 18  # bytes
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_VERSION_COMMANDS = {"kind": ["version"], "kubectl": ["version", "--client", "--output=json"]}


@dataclass(frozen=True)
class Found:
    """Where a tool is. where: "KIND_BIN" or "KUBECTL_BIN", "PATH", "cache", or "would be downloaded".

    path: the file, which is not there yet where it would be downloaded. version: as in "v0.33.0".
    passed_over: why the one on PATH was not taken, or "".
    """

    path: Path
    where: str
    version: str
    passed_over: str = ""


@dataclass(frozen=True)
class Download:
    """A program as it is published: its address, and the address of its sha256."""

    url: str
    sum_url: str


def find(tool: Tool, say: Say = print, oldest: Minor | None = None) -> Path:
    """The tool's file, downloaded where there is none to use. ToolMissing where that fails, or `KIND_BIN` is wrong.

    oldest: of a kubectl that will do, too, for a cluster that takes older ones than Kubernetes supports.
    """
    found = found_where(tool, oldest)
    if found.where == "would be downloaded":
        _fetch(tool, found.path, say)
    return found.path


def found_where(tool: Tool, oldest: Minor | None = None) -> Found:
    """Where `find` takes the tool from. Downloads nothing. ToolMissing as in `find`."""
    variable = f"{tool.upper()}_BIN"
    named = os.environ.get(variable)
    if named:
        return _named(tool, variable, named, oldest)
    passed_over = ""
    on_path = shutil.which(tool)
    if on_path:
        try:
            here = version(Path(on_path), tool)
        except ToolMissing as error:
            passed_over = f"{on_path}: {error.why}"
        else:
            passed_over = unfit(tool, here, oldest=oldest)
            if not passed_over:
                return Found(Path(on_path).absolute(), "PATH", here)
            passed_over = f"{on_path}: {passed_over}"
    path = _cached(tool)
    return Found(path, "cache" if _is_whole(path) else "would be downloaded", _pinned(tool), passed_over)


def version(path: Path, tool: Tool) -> str:
    """The version that a kind or kubectl tells of itself, as in "v0.33.0". ToolMissing where it tells none."""
    command = [str(path), *_VERSION_COMMANDS[tool]]
    try:
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", errors="replace", timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _wrong(tool, path, f"`{' '.join(command)}` failed: {error}") from error
    pattern = r"^kind (v\d+\.\d+\.\d+\S*)" if tool == "kind" else r'"gitVersion": *"(v\d+\.\d+\.\d+[^"]*)"'
    told = re.search(pattern, done.stdout, re.MULTILINE)
    if done.returncode != 0 or not told:
        words = (done.stderr or done.stdout).strip()[:200] or "nothing"
        raise _wrong(tool, path, f"`{' '.join(command)}` ended with exit code {done.returncode} and said: {words}")
    return told.group(1)


def unfit(tool: Tool, here: str, cluster: str = "", oldest: Minor | None = None) -> str:
    """Why this version of a tool cannot be used, or "".

    kind: not older than the tested one, whose node images an older kind may not start. kubectl: within one minor version
    of the API server (kubernetes.io/releases/version-skew-policy), which is `cluster`, else what the node image says; or
    older, down to `oldest`.
    """
    if tool == "kind":
        return "" if minor(here) >= minor(versions.KIND) else f"kind {here} is older than {versions.KIND}, the tested one"
    server = minor(cluster) if cluster else cluster_minor()
    mine = minor(here)
    if (mine[0] == server[0] and abs(mine[1] - server[1]) <= 1) or (oldest and oldest <= mine <= server):
        return ""
    apart = f"kubectl {here} is more than one minor version away from Kubernetes {server[0]}.{server[1]}"
    return f"{apart}, which is further than Kubernetes supports"


def minor(text: str) -> Minor:
    """Major and minor of a version: (1, 37) of "v1.37.0". ValueError where there is none."""
    told = re.match(r"v?(\d+)\.(\d+)", text)
    if not told:
        raise ValueError(f"{text!r} is not a version")
    return int(told[1]), int(told[2])


def published(tool: Tool, system: str, processor: str) -> Download:
    """Where the tested version of a tool is published, for `system` ("linux") and `processor` ("amd64")."""
    if tool == "kind":
        release = f"https://github.com/kubernetes-sigs/kind/releases/download/{versions.KIND}"
        url = _mirrored(f"{release}/kind-{system}-{processor}")
        return Download(url, f"{url}.sha256sum")
    url = _mirrored(f"https://dl.k8s.io/release/{versions.KUBECTL}/bin/{system}/{processor}/kubectl")
    return Download(url, f"{url}.sha256")


def this_platform() -> tuple[str, str]:
    """This machine's system and processor, as kind and Kubernetes spell them. ToolMissing where there is no download."""
    system, processor = _SYSTEMS.get(platform.system()), _PROCESSORS.get(platform.machine().lower())
    if system and processor:
        return system, processor
    raise ToolMissing(
        "There is no download of kind and kubectl for this machine.",
        f"This is {platform.system()} on {platform.machine()}; the course knows Linux and macOS on amd64 and arm64.",
        "On Windows, run the course in WSL2. Elsewhere, KIND_BIN and KUBECTL_BIN can name your own.",
    )


def _mirrored(url: str) -> str:
    mirror = os.environ.get("LABS_MIRROR", "").strip().rstrip("/")
    if not mirror:
        return url
    base = mirror if mirror.startswith(("http://", "https://")) else f"https://{mirror}"
    return base + "/" + url.removeprefix("https://").partition("/")[2]


def _pinned(tool: Tool) -> str:
    return versions.KIND if tool == "kind" else versions.KUBECTL


def cluster_minor() -> Minor:
    """The minor version of the clusters that we make: the node image's, where its tag tells it."""
    told = re.search(r":v?(\d+)\.(\d+)", versions.node_image())
    return (int(told[1]), int(told[2])) if told else minor(versions.KUBECTL)


def _named(tool: Tool, variable: str, named: str, oldest: Minor | None) -> Found:
    found = shutil.which(Path(named).expanduser())
    if found is None:
        there = Path(named).expanduser().exists()
        why = f"{variable} names {named}, which " + ("is not an executable file" if there else "does not exist")
        raise _wrong(tool, Path(named), why)
    path = Path(found).absolute()
    here = version(path, tool)
    misfit = unfit(tool, here, oldest=oldest)
    if misfit:
        raise _wrong(tool, path, f"{variable} names {path}, and {misfit}")
    return Found(path, variable, here)


def _wrong(tool: Tool, path: Path, why: str) -> ToolMissing:
    variable = f"{tool.upper()}_BIN"
    return ToolMissing(
        f"{path} cannot be used as {tool}.",
        f"{why}.",
        f"Unset {variable} (`unset {variable}`), and one is downloaded; or let it name {tool} {_pinned(tool)}.",
    )


def _cached(tool: Tool) -> Path:
    system, processor = this_platform()
    return home.cache() / f"{tool}-{_pinned(tool)}-{system}-{processor}" / tool


def _is_whole(path: Path) -> bool:
    """Whether a download that was kept is there as it was checked, and nobody else can have changed it."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or not os.access(path, os.X_OK) or strict_modes.weakness(path):
            return False
        return status.st_size > 0 and _is_as_checked(path, status)
    except (OSError, ValueError):
        return False


def _is_as_checked(path: Path, status: os.stat_result) -> bool:
    """By its size and time; where only the time is another one, as in a copy, by its checksum."""
    try:
        checksum, size, time = own_files.read(_record(path)).decode("ascii").split()
    except FileNotFoundError:  # kept by a course that noted nothing
        return True
    if int(size) != status.st_size:
        return False
    if int(time) == status.st_mtime_ns:
        return True
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == checksum
    if same:
        _note(path, checksum)
    return same


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")


def _note(path: Path, checksum: str) -> None:
    status = path.stat()
    own_files.write(_record(path), f"{checksum} {status.st_size} {status.st_mtime_ns}\n")


def _fetch(tool: Tool, path: Path, say: Say) -> None:
    """Downloads the tool to `path`: whole, checked and executable, or not at all. One at a time; a cut one goes on later."""
    download = published(tool, *this_platform())
    part = path.with_name(f"{tool}.part")
    try:
        own_files.make_folder(path.parent)
        with own_files.lock(path.with_name(f"{tool}.lock")):
            if _is_whole(path):  # another process was quicker
                return
            if os.path.lexists(part) and not stat.S_ISREG(part.lstat().st_mode):
                own_files.remove(part)
            say(f"Downloading {tool} {_pinned(tool)} from {download.url}")
            wanted = _published_sum(download.sum_url)
            _continue(download.url, part, say)
            _check(tool, part, wanted, download)
            part.chmod(0o755)
            own_files.remove(path)
            part.replace(path)
            _note(path, wanted)
            say(f"{tool} {_pinned(tool)} is in {path.parent}")
    except OSError as error:  # every error of requests is one, too
        raise _unfetched(tool, f"{download.url}: {error}") from error


def _published_sum(url: str) -> str:
    """The sha256 in a published sum file ("SUM" or "SUM  NAME"), or "" where it holds none. OSError if not to be had."""
    answer = requests.get(url, timeout=_LIMITS)
    answer.raise_for_status()
    word = (answer.text.split() or [""])[0].lower()
    return word if re.fullmatch(r"[0-9a-f]{64}", word) else ""


def _continue(url: str, part: Path, say: Say) -> None:
    """Downloads into `part`, from where an earlier, cut download stopped. OSError if it is cut again."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_LIMITS) as answer:
        if have and answer.status_code == 416:  # nothing is left to send
            return
        answer.raise_for_status()
        if answer.status_code != 206:  # the host sends the whole
            have = 0
        size = have + int(answer.headers.get("Content-Length", 0))
        told = have * 4 // size if size else 0
        with part.open("ab" if have else "wb") as file:
            for piece in answer.iter_content(_PIECE):
                file.write(piece)
                have += len(piece)
                if size and have * 4 // size > told:
                    told = have * 4 // size
                    say(f"  {have / 1e6:.0f} of {size / 1e6:.0f} MB")


def _check(tool: Tool, part: Path, wanted: str, download: Download) -> None:
    """Removes what does not have the sum that is published for it, and raises ToolMissing."""
    with part.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != wanted:
        part.unlink()
        told = f"{download.sum_url} says {wanted}" if wanted else f"{download.sum_url} holds no checksum"
        raise _unfetched(tool, f"The checksum of {download.url} is {got}, and {told}; the file was removed")


def _unfetched(tool: Tool, why: str) -> ToolMissing:
    return ToolMissing(
        f"{tool} is not here and could not be downloaded.",
        f"{why}.",
        f"Is this machine online? Run it again (a cut download goes on where it stopped); or install {tool} {_pinned(tool)} "
        f"and name it in {tool.upper()}_BIN; or name a mirror in LABS_MIRROR.",
    )
