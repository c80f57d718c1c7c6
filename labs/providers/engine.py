"""The container engine (docker, or podman where there is no docker): the one file that runs its program.

Does not know kind, clusters or lessons.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from labs.cluster import Ran
from labs.errors import EngineDown, NotInTime
from labs.waiting import at_most


@dataclass(frozen=True)
class Engine:
    """What an engine that answers says of itself. host: its endpoint. memory: bytes. cgroup: "1" or "2"."""

    program: str
    version: str
    host: str
    memory: int
    cgroup: str
    root: str  # the folder where it keeps images

    @property
    def remote(self) -> bool:
        """Whether it runs on another machine, so that 127.0.0.1 there is not 127.0.0.1 here."""
        return is_remote(self.host)


def is_remote(host: str) -> bool:
    """Whether an endpoint ("unix:///var/run/docker.sock", "tcp://10.1.2.3:2376", "ssh://me@there") is another machine's.

    A tcp endpoint on the loopback counts as remote only by its name: tcp://127.0.0.1:2375 is taken as this machine.
    """
    url = urlparse(host)
    if url.scheme in ("", "unix", "npipe", "fd"):
        return False
    return url.hostname not in ("localhost", "127.0.0.1", "::1")


def program() -> str:
    """The program to use, "docker" or "podman": KIND_EXPERIMENTAL_PROVIDER, else the first on PATH; EngineDown."""
    wish = os.environ.get("KIND_EXPERIMENTAL_PROVIDER")
    for name in [wish] if wish else ["docker", "podman"]:
        if shutil.which(name):
            return name
    raise EngineDown(
        "There is no container engine on this machine.",
        f"No program `{wish}` was found." if wish else "Neither `docker` nor `podman` was found on the PATH.",
        "Install Docker (docs.docker.com/engine/install) and start it, then run this again.",
    )


def info() -> Engine:
    """Asks the engine about itself. EngineDown, with the cause, where it does not answer."""
    name = program()
    done = _run([name, "info", "--format", "{{json .}}"], limit=20)
    found: dict[str, Any] = {}
    try:
        found = json.loads(done.out)
    except json.JSONDecodeError:
        pass
    errors = "; ".join(found.get("ServerErrors") or [])
    if done.code != 0 or errors:
        raise down(errors or done.err)
    if name == "podman":
        host = found["host"]
        return Engine(
            name,
            str((found.get("version") or {}).get("Version", "")),
            str((host.get("remoteSocket") or {}).get("path", "")),
            int(host.get("memTotal", 0)),
            str(host.get("cgroupVersion", "")).removeprefix("v"),
            str((found.get("store") or {}).get("graphRoot", "")),
        )
    return Engine(
        name,
        str(found.get("ServerVersion", "")),
        endpoint(),
        int(found.get("MemTotal", 0)),
        str(found.get("CgroupVersion", "") or "1"),
        str(found.get("DockerRootDir", "")),
    )


def endpoint() -> str:
    """The endpoint that docker talks to: DOCKER_HOST, else its current context's."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    done = _run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], limit=10)
    return done.out.strip() if done.code == 0 else ""


def ask(*arguments: str, limit: float = 60.0) -> Ran:
    """Runs the engine's program and returns what it left. EngineDown where the engine, not the command, is at fault."""
    done = _run([program(), *arguments], limit)
    if done.code != 0 and _engine_at_fault(done.err):
        raise down(done.err)
    return done


def pull(image: str) -> bool:
    """Pulls an image, its progress for all to see. Whether that worked."""
    return subprocess.run([program(), "pull", image], check=False, stdin=subprocess.DEVNULL).returncode == 0


def _engine_at_fault(words: str) -> bool:
    signs = ("Cannot connect to", "permission denied while trying", "Is the docker daemon running", "error during connect",
             "connection refused", "dial unix", "EOF")  # fmt: skip
    return any(sign in words for sign in signs)


def down(words: str) -> EngineDown:
    """The error for an engine that does not answer, from its program's own words."""
    said = " ".join(words.split()) or "it gave no reason"
    if "permission denied" in said.lower():
        return EngineDown(
            "This user may not use the container engine.",
            said,
            "Add yourself to its group: `sudo usermod -aG docker $USER`, then log in again; or use rootless Docker.",
        )
    return EngineDown(
        "The container engine does not answer.",
        said,
        "Start it (Docker Desktop, or `sudo systemctl start docker`), then run this again. Your cluster comes back with it.",
    )


def _run(command: Sequence[str], limit: float) -> Ran:
    limit = at_most(limit)
    try:
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", errors="replace", timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise NotInTime(
            f"`{' '.join(command[:2])}` did not answer within {limit:.0f} s.",
            "The container engine is stuck or very busy.",
            "Restart it, then run this again.",
        ) from error
    return Ran(done.returncode, done.stdout, done.stderr)
