"""Starts a cluster, finds one that runs, and ends it. Runs outside the cluster's namespaces, in whoever wants one.

What it keeps of a cluster NAME in a folder: NAME.cluster (facts), NAME.log, NAME.run (an empty folder), NAME.lock.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from filelock import FileLock

from labs.embedded import own_files, processes
from labs.embedded.plan import NODE_NETWORKS, AddressPlan
from labs.embedded.settings import Settings

STARTING_LIMIT = 30.0  # seconds for a cluster to be ready
_ENDING_LIMIT = 5.0  # seconds for one to end by itself


class NotStarted(Exception):
    """The cluster could not be started; `why` is what it said."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Running:
    """A cluster that was started. pid: its first process; begun: the kernel's word for when, as numbers come again.

    api: the port of the API on 127.0.0.1. mappings: node port → port of 127.0.0.1. holders: for each node's name, and for
    "machine", a process in its network namespace.
    """

    name: str
    pid: int
    begun: str
    api: int
    node_network: str
    mappings: dict[int, int]
    holders: dict[str, int]
    token: str
    authority: str

    def alive(self) -> bool:
        """Whether it runs still."""
        return processes.is_ours(self.pid) and processes.begun(self.pid) == self.begun

    def stopped(self) -> bool:
        """Whether somebody has stopped its process (SIGSTOP, Ctrl-Z), so that it does nothing."""
        return processes.is_stopped(self.pid)


@dataclass(frozen=True)
class Files:
    """Where a cluster's files are."""

    folder: Path
    name: str

    @property
    def facts(self) -> Path:
        """What is known of it; there while it should run. Only its owner may read it."""
        return self.folder / f"{self.name}.cluster"

    @property
    def log(self) -> Path:
        """What the cluster's process says."""
        return self.folder / f"{self.name}.log"

    @property
    def run(self) -> Path:
        """An empty folder that its process mounts something on."""
        return self.folder / f"{self.name}.run"

    def lock(self) -> FileLock:
        """Held by whoever starts or ends it."""
        return own_files.lock(self.folder / f"{self.name}.lock")


def find(files: Files) -> Running | None:
    """The cluster that runs; None where there is none, or its file does not tell of it any more."""
    running = known(files)
    return running if running is not None and running.alive() else None


def known(files: Files) -> Running | None:
    """The cluster that was started, whether it runs or not; None where its file is gone, or damaged."""
    try:
        running = _read_facts(own_files.parse_json(own_files.read(files.facts)))
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return running if running.name == files.name else None


def _read_facts(given: Any) -> Running:
    """What the JSON of NAME.cluster says. ValueError, TypeError, LookupError or AttributeError where we have not written it."""
    running = Running(**{**given, "mappings": {int(port): there for port, there in given["mappings"].items()}})
    ports = [running.api, *running.mappings.values()]
    numbers = [running.pid, *ports, *running.mappings, *running.holders.values()]
    words = [running.name, running.begun, running.token, running.authority]
    places = {"machine", *(node.name for node in AddressPlan(running.name, running.node_network).nodes)}
    if not (
        all(isinstance(number, int) and number > 0 for number in numbers)
        and all(port < 1 << 16 for port in ports)
        and all(isinstance(word, str) and word for word in words)
        and places <= running.holders.keys()
    ):
        raise ValueError("it is not as launch.start writes it")
    return running


def keep(files: Files, running: Running) -> None:
    """Notes what is known of a cluster that runs. OSError."""
    own_files.write(files.facts, json.dumps(asdict(running)))


def start(files: Files, mapped: Iterable[int], any_port: bool = False, pods: Sequence[dict[str, Any]] = ()) -> Running:
    """Starts a cluster and returns when it is ready. The caller holds the lock. NotStarted; OSError where it cannot be kept.

    mapped: node ports that 127.0.0.1 shall lead to, by the same number where it is free (any_port: by any number).
    pods: manifests, each with its namespace, of Pods that it shall have from the beginning, and Ready.
    """
    _end_forgotten(files)
    own_files.make_folder(files.run)
    api = _listening(0)
    mappings = {port: _listening(0 if any_port else port) for port in mapped}
    ready, told = os.pipe2(os.O_CLOEXEC)
    settings = Settings(
        files.name, _free_network(), str(files.run), api.fileno(), told, {port: s.fileno() for port, s in mappings.items()}
    )
    said: dict[str, Any] = {}
    passed = [api.fileno(), told, *[one.fileno() for one in mappings.values()]]
    try:
        with (
            open(own_files.create(files.log), "wb") as log,
            open(os.memfd_create("pods"), "w+", encoding="utf-8") as given,
        ):
            given.write(json.dumps(list(pods)))
            given.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-S", "-m", "labs.embedded.begin", settings.text()],
                stdin=given,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                pass_fds=passed,
            )
        os.close(told)
        told = -1
        said = _await(ready, files)
        process.wait()
        running = Running(
            name=files.name,
            pid=said["pid"],
            begun=processes.begun(said["pid"]),
            api=api.getsockname()[1],
            node_network=settings.node_network,
            mappings={port: one.getsockname()[1] for port, one in mappings.items()},
            holders=processes.seen_from_here(said["pid"], said["holders"]),
            token=said["token"],
            authority=said["authority"],
        )
        keep(files, running)
        return running
    except BaseException:
        if said:  # it runs, and nobody could find it
            _kill(said["pid"])
        raise
    finally:
        os.close(ready)
        if told >= 0:
            os.close(told)
        for one in (api, *mappings.values()):
            one.close()


def end(files: Files) -> None:
    """Ends the cluster, if it runs; what it made in the kernel goes with it. The caller holds the lock."""
    running = find(files)
    if running is not None:
        _kill(running.pid)
    _end_forgotten(files)
    own_files.remove(files.facts)
    try:
        files.run.rmdir()
    except OSError:  # not there; or not ours: then nothing of the cluster is in it either
        pass


# --- the pieces


def _listening(port: int) -> socket.socket:
    """A socket on 127.0.0.1, at that port where it is free, else at another."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.bind(("127.0.0.1", 0))
    made.listen(4096)
    return made


def _environment() -> Mapping[str, str]:
    """The server needs Python's search path, and no more of the user's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([here, *filter(None, [kept.get("PYTHONPATH")])])
    system = f"{kept.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    return {**kept, "PATH": system, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", "MALLOC_ARENA_MAX": "2"}


def _await(ready: int, files: Files) -> dict[str, Any]:
    """What the server says until it is ready. NotStarted where it ends, or says that it cannot."""
    said: dict[str, Any] = {}
    text = b""
    end = time.monotonic() + STARTING_LIMIT
    try:
        while "token" not in said:
            left = end - time.monotonic()
            if left <= 0 or not select.select([ready], [], [], left)[0]:
                raise NotStarted(f"It was not ready after {STARTING_LIMIT:.0f} s. {_last_words(files)}")
            piece = os.read(ready, 65536)
            if not piece:
                raise NotStarted(_last_words(files))
            text += piece
            *lines, text = text.split(b"\n")
            for line in lines:
                said |= json.loads(line)
            if "error" in said:
                raise NotStarted(said["error"])
    except BaseException:
        if "pid" in said:
            _kill(said["pid"])
        raise
    return said


def _last_words(files: Files) -> str:
    try:
        lines = own_files.read(files.log).decode("utf-8", "replace").strip().splitlines()
    except (OSError, ValueError) as error:  # taken away meanwhile
        return f"What it said cannot be read: {error}."
    return lines[-1] if lines else "It ended without a word."


def _kill(pid: int) -> None:
    """Ends a process, by force where it takes too long, and returns when it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _ENDING_LIMIT)[0]:
                return
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _end_forgotten(files: Files) -> None:
    """Ends a cluster of this folder and name whose facts were lost: nobody could find it any more."""
    run = json.dumps(str(files.run)).encode()
    for pid in processes.every():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[1:3] == [b"-m", b"labs.embedded.server"] and run in b"".join(arguments[3:4]) and processes.is_ours(pid):
            _kill(pid)


def _free_network() -> str:
    """A network for the nodes that this machine's routing table does not lead to already."""
    taken = []
    for line in Path("/proc/net/route").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[n])[::-1], "big") for n in (1, 7))
        if mask:
            taken.append(ip_network(f"{ip_address(address)}/{ip_address(mask)}", strict=False))
    free = [one for one in NODE_NETWORKS if not any(ip_network(one).overlaps(other) for other in taken)]
    return free[0] if free else NODE_NETWORKS[0]
