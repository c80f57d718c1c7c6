"""What the course needs on this machine, what there is, and what to do about the rest: one line a check.

`gather` looks and changes nothing; `judge` computes, so that it can be tested for machines that are not here.
"""

import os
import platform
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from labs import home, tools, versions
from labs.cluster import Address
from labs.errors import LabError
from labs.providers import Available, claims, containers, engine, exposure, kindconfig, room
from labs.providers.engine import Engine

if TYPE_CHECKING:
    from labs.embedded.limits import Limits

T = TypeVar("T")
GB = 1_000_000_000
MEMORY_NEEDED, MEMORY_GOOD = 2 * GB, 4 * GB  # two nodes and the lessons take about 1.5 GB
DISK_NEEDED, DISK_GOOD = 3 * GB, 6 * GB  # the node image takes 1 GB, and as much again in each node
INOTIFY_GOOD = (65536, 256)  # watches, instances; kind.sigs.k8s.io/docs/user/known-issues asks for more with many nodes
LAST_WITH_CGROUP_1 = (1, 34)  # from 1.35 on, kubelet refuses cgroup v1 unless it is told otherwise (KEP-5573)


@dataclass(frozen=True)
class Trouble:
    """Something that was looked for and not found: why, and what to do. From a LabError."""

    why: str
    mend: str


NOT_LOOKED_FOR = Trouble("it was not looked for", "")


@dataclass(frozen=True)
class Facts:
    """What was seen on a machine. Sizes in bytes; None where it could not be seen.

    ports: for each host port, "free", "ours" (this course's cluster holds it) or "taken". inotify: watches, instances.
    images: which of the course's images the engine has. minor: the Kubernetes version of clusters to be made.
    host_ports: what LABS_HOST_PORTS asks for. clusters: those on the engine, of whomever.
    """

    system: str
    wsl: bool = False
    engine: Engine | Trouble = NOT_LOOKED_FOR
    kind: tools.Found | Trouble = NOT_LOOKED_FOR
    kubectl: tools.Found | Trouble = NOT_LOOKED_FOR
    home: str | Trouble = NOT_LOOKED_FOR
    images: Mapping[str, bool] = field(default_factory=dict)
    inotify: tuple[int, int] | None = None
    ports: Mapping[int, Literal["free", "ours", "taken"]] = field(default_factory=dict)
    disk: int | None = None
    embedded: Available | None = None
    limits: "Limits | None" = None
    borrowed: Available | None = None
    minor: tuple[int, int] = (1, 37)
    host_ports: str | Trouble = ""
    clusters: "Clusters | Trouble | None" = None


@dataclass(frozen=True)
class Clusters:
    """The clusters on an engine.

    own: the name that the learner's has, or would have. others: those of other learners, and whose. host_ports: that it holds.
    """

    own: str
    others: Mapping[str, str] = field(default_factory=dict)
    host_ports: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Finding:
    """One line. state: "ok", "mind" (it works, or may) or "no" (the course cannot run like this)."""

    state: Literal["ok", "mind", "no"]
    name: str
    saw: str
    mend: str = ""


# --- computed


def judge(facts: Facts) -> list[Finding]:
    """Each check's finding, in the order of what to mend first."""
    if facts.system == "Windows":
        return [Finding("no", "system", "native Windows", _WITHOUT_ENGINE["Windows"])]
    of_kind = [_judge_engine(facts)]
    if isinstance(facts.engine, Engine):
        of_kind += [_judge_memory(facts.engine), _judge_cgroup(facts.engine, facts.minor)]
    of_kind.append(_judge_tool("kind", facts.kind))
    if _runs_without_engine(facts):
        of_kind = [replace(one, state="mind") if one.state == "no" else one for one in of_kind]
    findings = [*of_kind, *_judge_embedded(facts), _judge_tool("kubectl", facts.kubectl)]
    findings += [_judge_image(image, there) for image, there in facts.images.items()]
    if facts.inotify is not None:
        findings.append(_judge_inotify(*facts.inotify))
    findings += [*_judge_clusters(facts.clusters), *_judge_ports(facts), *_who_can_reach(facts)]
    if facts.disk is not None:
        findings.append(_judge_disk(facts.disk))
    findings.append(_judge_home(facts.home))
    if facts.borrowed is not None:
        findings.append(_judge_borrowed(facts.borrowed))
    return findings


def stops(findings: Sequence[Finding]) -> bool:
    """Whether anything keeps the course from running."""
    return any(finding.state == "no" for finding in findings)


def report(findings: Sequence[Finding]) -> str:
    """One line a finding, its mend behind an arrow, and a last sentence that says what to do."""
    signs = {"ok": "ok  ", "mind": "mind", "no": "NO  "}
    lines = [
        f"{signs[one.state]}  {one.name}: {one.saw}" + (f"  → {one.mend}" if one.mend and one.state != "ok" else "")
        for one in findings
    ]
    wrong = [one for one in findings if one.state == "no"]
    last = f"What to do first: {wrong[0].mend}" if wrong else "Nothing is missing: `make lab` opens the course."
    return "\n".join([*lines, last])


_WITHOUT_ENGINE = {
    "Windows": "Install WSL2 (`wsl --install` in PowerShell) and Docker Desktop, and run the course in a WSL2 terminal.",
    "Darwin": "Install and start Docker Desktop, OrbStack or Colima, and run this again.",
    "WSL": "Install Docker Desktop on Windows, switch on WSL integration for this distribution, and run this again.",
    "Linux": "Install Docker Engine (docs.docker.com/engine/install) or Podman, start it, and run this again.",
}


def _judge_engine(facts: Facts) -> Finding:
    found = facts.engine
    if isinstance(found, Trouble):
        nothing_installed = not found.mend
        machine = "WSL" if facts.wsl else facts.system
        mend = _WITHOUT_ENGINE.get(machine, _WITHOUT_ENGINE["Linux"]) if nothing_installed else found.mend
        return Finding("no", "container engine", found.why, mend)
    if found.remote:
        return Finding("no", "container engine", *_remote(found.host))
    return Finding("ok", "container engine", f"{found.program} {found.version} answers, on this machine ({found.host})")


def _remote(host: str) -> tuple[str, str]:
    """What a remote engine means, and the mend."""
    saw = f"is on another machine ({host}): the cluster and its ports would be there, not here"
    return saw, "Unset DOCKER_HOST, or `docker context use default`, and use an engine of this machine."


def _judge_memory(found: Engine) -> Finding:
    if not found.memory:
        return Finding("mind", "memory", f"{found.program} does not say how much it has", "The course needs 2 GB of it.")
    state: Literal["ok", "mind", "no"] = "ok" if found.memory >= MEMORY_GOOD else "mind"
    if found.memory < MEMORY_NEEDED:
        state = "no"
    where = "its settings (Resources)" if found.program == "docker" else "`podman machine set --memory`"
    mend = f"Give the engine 4 GB: in {where} where it is a virtual machine; else close other programs."
    return Finding(state, "memory", f"{found.memory / GB:.1f} GB for the container engine", mend)


def _judge_cgroup(found: Engine, minor: tuple[int, int]) -> Finding:
    if found.cgroup == "2" or minor <= LAST_WITH_CGROUP_1:
        return Finding("ok", "cgroup", f"version {found.cgroup}")
    return Finding(
        "mind",
        "cgroup",
        f"version {found.cgroup}; Kubernetes {minor[0]}.{minor[1]} starts there only where its kubelet is told to accept it",
        "Boot with systemd.unified_cgroup_hierarchy=1, or take an older node image: "
        f"KIND_NODE_IMAGE={versions.NODE_IMAGES['1.34'].partition('@')[0]}",
    )


def _judge_tool(name: str, found: tools.Found | Trouble) -> Finding:
    if isinstance(found, Trouble):
        return Finding("no", name, found.why, found.mend)
    aside = f" (passed over {found.passed_over})" if found.passed_over else ""
    if found.where == "would be downloaded":
        return Finding("ok", name, f"{found.version} would be downloaded{aside}")
    return Finding("ok", name, f"{found.version}, from {found.where}: {found.path}{aside}")


def _judge_image(image: str, there: bool) -> Finding:
    saw = "is here" if there else "is not here yet and will be pulled; `make prepare` fetches it beforehand"
    return Finding("ok", f"image {image.partition('@')[0]}", saw)


def _judge_inotify(watches: int, instances: int) -> Finding:
    saw = f"{watches} watches, {instances} instances"
    good = watches >= INOTIFY_GOOD[0] and instances >= INOTIFY_GOOD[1]
    mend = "If nodes fail to start: `sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`"
    return Finding("ok" if good else "mind", "inotify limits", saw, mend)


def _judge_clusters(found: Clusters | Trouble | None) -> list[Finding]:
    """Whose the clusters on the engine are, where others have some, too."""
    name = "clusters of others"
    if isinstance(found, Trouble):
        return [Finding("no", name, found.why, found.mend)]
    if found is None or not found.others:
        return []
    whose = ", ".join(f"{other} belongs to {learner}" for other, learner in found.others.items())
    return [Finding("ok", name, f"{whose}; the course leaves them as they are, and yours is called {found.own}")]


def _judge_ports(facts: Facts) -> list[Finding]:
    if isinstance(facts.host_ports, Trouble):
        return [Finding("no", "LABS_HOST_PORTS", facts.host_ports.why, facts.host_ports.mend)]
    if facts.host_ports == "none":
        return [Finding("ok", "ports", "a new cluster maps none to this laptop: LABS_HOST_PORTS=none")]
    return [_judge_port(port, state) for port, state in facts.ports.items()]


def _who_can_reach(facts: Facts) -> list[Finding]:
    """Who can send requests to what answers on a node port: a line for each provider that can run here."""
    none = facts.host_ports == "none"
    lines = []
    if isinstance(facts.engine, Engine) and not facts.engine.remote:
        lines.append(("kind", exposure.of_kind(facts.engine, none)))
    if facts.embedded is not None and facts.embedded.yes:
        lines.append(("embedded", exposure.of_embedded(none)))
    if facts.borrowed is not None and facts.borrowed.yes:
        lines.append(("borrowed", exposure.BORROWED))
    return [Finding("ok", f"who reaches node ports, {provider}", saw) for provider, saw in lines]


def _judge_port(port: int, state: str) -> Finding:
    name = f"port {port}"
    if state == "taken":
        mend = "Nothing to do: the course takes another port of 127.0.0.1 and says which."
        return Finding("mind", name, "another program has it", mend)
    return Finding("ok", name, "is held by the course's cluster" if state == "ours" else "is free")


def _judge_disk(free: int) -> Finding:
    state: Literal["ok", "mind", "no"] = "ok" if free >= DISK_GOOD else "mind"
    if free < DISK_NEEDED:
        state = "no"
    mend = "Make room: `docker system df` shows what the engine keeps."
    return Finding(state, "disk", f"{free / GB:.0f} GB free where the engine keeps images", mend)


def _judge_home(found: str | Trouble) -> Finding:
    if isinstance(found, Trouble):
        return Finding("no", "the course's files", found.why, found.mend)
    return Finding("ok", "the course's files", f"are kept in {found}")


def _runs_without_engine(facts: Facts) -> bool:
    return isinstance(facts.engine, Trouble) and facts.embedded is not None and facts.embedded.yes


def _judge_embedded(facts: Facts) -> list[Finding]:
    """A cluster that needs no engine; what it lacks matters only where there is none."""
    if facts.embedded is None:
        return []
    name, saw = "the embedded cluster", facts.embedded.why
    if facts.embedded.yes:
        used = "the course runs on it" if _runs_without_engine(facts) else "LABS_CLUSTER=embedded takes it instead of kind"
        return [Finding("ok", name, f"can run: {saw}; {used}"), *_judge_limits(facts.limits)]
    return [Finding("mind" if isinstance(facts.engine, Trouble) else "ok", name, f"cannot run: {saw}", facts.embedded.mend)]


def _judge_limits(limits: "Limits | None") -> list[Finding]:
    """How many files and processes the embedded cluster may have; it takes what there is."""
    if limits is None:
        return []
    files = "any number of" if limits.files is None else limits.files
    saw = f"{files} open files a process"
    if limits.processes is not None:
        saw += f", {limits.processes} processes of this user, who has {limits.running} now"
    mend = (
        "The embedded cluster wants 256 open files, and 128 processes with 64 of them free: close other programs, or have your "
        "hard limits raised (nofile and nproc in /etc/security/limits.conf; a container: --ulimit nofile=1024)."
    )
    return [Finding("ok" if limits.enough else "mind", "limits", saw, mend)]


def _judge_borrowed(found: Available) -> Finding:
    return Finding("ok", "a borrowed cluster instead", found.why if found.yes else f"not here: {found.why}")


# --- this machine


def gather() -> Facts:
    """Looks at this machine."""
    system = platform.system()
    if system == "Windows":
        return Facts(system)
    found = _engine()
    here = isinstance(found, Engine) and not found.remote
    clusters = _or_trouble(_clusters) if here else None
    embedded = room("embedded").available()
    used = embedded.yes and not isinstance(found, Engine)
    return Facts(
        system,
        wsl="microsoft" in platform.release().lower(),
        engine=found,
        kind=_or_trouble(lambda: tools.found_where("kind")),
        kubectl=_or_trouble(lambda: tools.found_where("kubectl", versions.KUBECTL_OLDEST if used else None)),
        home=_or_trouble(lambda: str(home.kubeconfig().parent)),
        images=_images() if here else {},
        inotify=_inotify() if system == "Linux" and here else None,
        ports=_ports(_embedded_ports() | (clusters.host_ports if isinstance(clusters, Clusters) else frozenset())),
        disk=_disk(found) if isinstance(found, Engine) and here else None,
        embedded=embedded,
        limits=_limits() if embedded.yes else None,
        borrowed=room("context").available(),
        minor=tools.cluster_minor(),
        host_ports=_or_trouble(kindconfig.host_ports),
        clusters=clusters,
    )


def _engine() -> Engine | Trouble:
    try:
        program = engine.program()
    except LabError as error:
        named = "KIND_EXPERIMENTAL_PROVIDER" in os.environ
        return Trouble(error.why, error.try_this if named else "")  # "": the mend depends on the system
    endpoint = _or_trouble(engine.endpoint) if program == "docker" else ""
    if isinstance(endpoint, Trouble):
        return endpoint
    if engine.is_remote(endpoint):  # it may take long to answer, if it does
        return Trouble(*_remote(endpoint))
    return _or_trouble(engine.info)


def _or_trouble(look: Callable[[], T]) -> T | Trouble:
    try:
        return look()
    except LabError as error:
        return Trouble(f"{error.what} {error.why}", error.try_this)


def _images() -> dict[str, bool]:
    return {image: containers.image_here(image) for image in (versions.node_image(), versions.workload_image())}


def _inotify() -> tuple[int, int] | None:
    folder = Path("/proc/sys/fs/inotify")
    try:
        return int((folder / "max_user_watches").read_text()), int((folder / "max_user_instances").read_text())
    except (OSError, ValueError):
        return None


def _limits() -> "Limits":
    from labs.embedded import limits  # not to be had on every system

    return limits.here()


def _clusters() -> Clusters:
    """Looks at the engine's clusters. BadInput where LABS_NAME names somebody else's."""
    wanted = claims.names()
    own, holder = claims.mine(wanted)
    others = {name: str(learner) for name, learner in claims.of_others().items()}
    if holder is None or holder.ours:
        held = frozenset(at.port for node in containers.nodes(own) for at in node.mappings.values())
        return Clusters(own, others, held)
    if len(wanted) == 1:
        raise claims.refused(own, holder)
    return Clusters(next(name for name in wanted if name != own and name not in others), {own: str(holder), **others})


def _embedded_ports() -> frozenset[int]:
    """The ports of this machine that the learner's embedded cluster maps, if it is up."""
    try:
        cluster = room("embedded").connect("")
    except LabError:
        return frozenset()
    reached = map(cluster.outside, kindconfig.mapped(kindconfig.read()))
    return frozenset(at.port for at in reached if isinstance(at, Address))


def _ports(own: Collection[int]) -> dict[int, Literal["free", "ours", "taken"]]:
    wanted = kindconfig.mapped(kindconfig.read()).values()
    return {port: "ours" if port in own else "free" if kindconfig.is_free(port) else "taken" for port in wanted}


def _disk(found: Engine) -> int | None:
    """Free bytes where the engine keeps its images, where that folder is on this machine and not in a virtual one."""
    if not found.root or not Path(found.root).exists():
        return None
    return shutil.disk_usage(found.root).free
