"""What the engine knows of a kind cluster: its node containers, their addresses, mappings and images; and the machine
beside them ("another machine of the nodes' network"), a container of ours.

Does not create clusters or talk to Kubernetes.
"""

import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labs.cluster import Address, Ran
from labs.errors import ClusterGone, LabError
from labs.providers import engine
from labs.shells import LocalSession

KIND_LABEL = "io.x-k8s.kind.cluster"  # kind puts it on its node containers
NEIGHBOUR_LABEL = "labs.ports/cluster"  # we put it on the machine beside the nodes
AUTHORITY = "/etc/kubernetes/pki/ca.crt"  # kubeadm puts it there, on the control plane's node


@dataclass(frozen=True)
class NodeContainer:
    """A node container: name, image, whether it runs, its address on the nodes' network, its mappings by port inside."""

    name: str
    image: str
    running: bool
    network: str
    address: str
    mappings: dict[int, Address]


def nodes(cluster: str) -> list[NodeContainer]:
    """The node containers of a kind cluster, running or not, sorted by name. EngineDown where the engine is."""
    listed = engine.ask("ps", "-aq", "--no-trunc", "--filter", f"label={KIND_LABEL}={cluster}")
    ids = listed.out.split()
    if not ids:
        return []
    shown = engine.ask("inspect", *ids)
    return sorted((_node(one) for one in json.loads(shown.out or "[]")), key=lambda node: node.name)


def _node(shown: dict[str, Any]) -> NodeContainer:
    networks = shown["NetworkSettings"].get("Networks") or {}
    network = "kind" if "kind" in networks or not networks else next(iter(networks))
    mappings = {}
    for inside, outside in (shown["HostConfig"].get("PortBindings") or {}).items():
        if outside and inside.endswith("/tcp"):
            mappings[int(inside.removesuffix("/tcp"))] = Address(
                outside[0]["HostIp"] or "127.0.0.1", int(outside[0]["HostPort"])
            )
    return NodeContainer(
        shown["Name"].lstrip("/"),
        shown["Config"]["Image"],
        bool(shown["State"]["Running"]),
        network,
        str((networks.get(network) or {}).get("IPAddress", "")),
        mappings,
    )


def start(names: Sequence[str]) -> Ran:
    """Starts containers that have stopped, one after the other."""
    return engine.ask("start", *names, limit=120)


def start_nodes(names: Sequence[str]) -> Ran:
    """Starts nodes that have stopped, so that they get the addresses that they had.

    The engine gives whoever starts the lowest free address, so the lowest one's owner goes first.
    """
    return start(sorted(names, key=lambda name: (_last_address(name), name)))


def _last_address(node: str) -> tuple[int, ...]:
    """The address that a node had when it ran last, as kind's entrypoint has noted it; () where it has not.

    kind/images/base/files/usr/local/bin/entrypoint, enable_network_magic. A copy can be had of a stopped container, too.
    """
    copied = engine.ask("cp", f"{node}:/kind/old-ipv4", "-")  # a tar archive of one small file
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)\.(\d+)\b", copied.out)
    return tuple(map(int, found.groups())) if found else ()


def certificate_authority(nodes: Sequence[NodeContainer]) -> bytes:
    """The certificate of the cluster's authority, as it is on its control plane; b"" where there is none (yet)."""
    for node in nodes:
        copied = engine.ask("cp", f"{node.name}:{AUTHORITY}", "-", limit=60)  # of stopped containers, too; a tar archive
        if copied.code != 0:
            continue
        with tarfile.open(fileobj=io.BytesIO(copied.out.encode())) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    return file.read().strip()
    return b""


def host_ports_held() -> set[int]:
    """The ports of this machine that kind's node containers map, running or not, whosever they are: one that has stopped needs
    its own again."""
    listed = engine.ask("ps", "-aq", "--no-trunc", "--filter", f"label={KIND_LABEL}").out.split()
    shown = engine.ask("inspect", *listed).out if listed else ""
    return {at.port for one in json.loads(shown or "[]") for at in _node(one).mappings.values()}


def execute(container: str, command: Sequence[str], limit: float = 30.0) -> Ran:
    """Runs a command in a container. ClusterGone where the container is not there or has stopped."""
    done = engine.ask("exec", container, *command, limit=limit)
    if done.code != 0 and ("No such container" in done.err or "is not running" in done.err):
        raise ClusterGone(
            f"The container {container} is not there any more.",
            done.err.strip(),
            "`python -m labs up` mends or makes the cluster anew.",
        )
    return done


def shell(container: str) -> LocalSession:
    """A shell in a container. Where that is not there or has stopped, the session ends at once."""
    return LocalSession([engine.program(), "exec", "--interactive", container, "sh"])


# --- the machine beside the nodes


def neighbour_name(cluster: str) -> str:
    """The name of the container that plays another machine of the nodes' network."""
    return f"{cluster}-elsewhere"


def neighbour(cluster: str) -> dict[str, Any] | None:
    """What the engine tells of the neighbour; None where there is none. LabError where a stranger's container has its name."""
    name = neighbour_name(cluster)
    shown = _inspect(name)
    if shown is not None and not _is_neighbour(shown, cluster):
        raise LabError(
            f"There is a container {name} already that is not the course's.",
            "The course needs that name for the machine beside the nodes, and leaves containers of others as they are.",
            f"Rename it (`{engine.program()} rename {name} NEW-NAME`), or set LABS_NAME to another name for your cluster.",
        )
    return shown


def ensure_neighbour(cluster: str, beside: NodeContainer, volume: str) -> None:
    """Makes and starts the neighbour: the node image, which is here already and has curl, with nothing running in it.

    volume: what it uses and leaves empty, so that the engine counts it among the used ones.
    """
    name, there = neighbour_name(cluster), neighbour(cluster)
    if there is not None:
        if any(mount.get("Name") == volume for mount in there["Mounts"]) and engine.ask("start", name).code == 0:
            return
        engine.ask("rm", "--force", "--volumes", name)  # the node image has an unnamed one
    done = engine.ask(
        "run", "--detach", "--name", name, "--hostname", name, "--network", beside.network, "--restart", "unless-stopped",
        "--label", f"{NEIGHBOUR_LABEL}={cluster}", "--volume", f"{volume}:/var/lib/labs.ports:ro",
        "--entrypoint", "sleep", beside.image, "infinity",
    )  # fmt: skip
    if done.code != 0:
        raise LabError(
            "The machine beside the nodes could not be started.",
            done.err.strip(),
            "Look at `docker ps -a`; then `python -m labs up` again.",
        )


def remove_neighbour(cluster: str) -> None:
    """Removes the neighbour, if it is there. Another program's container of that name stays."""
    shown = _inspect(neighbour_name(cluster))
    if shown is not None and _is_neighbour(shown, cluster):
        engine.ask("rm", "--force", "--volumes", neighbour_name(cluster))  # those without a name


def _inspect(container: str) -> dict[str, Any] | None:
    shown = engine.ask("container", "inspect", container)
    return dict(json.loads(shown.out)[0]) if shown.code == 0 else None


def _is_neighbour(shown: dict[str, Any], cluster: str) -> bool:
    return (shown["Config"].get("Labels") or {}).get(NEIGHBOUR_LABEL) == cluster


# --- images


def image_here(image: str) -> bool:
    """Whether the engine has this image."""
    return engine.ask("image", "inspect", "--format", "ok", image).code == 0


def save_image(image: str, path: str) -> Ran:
    """Writes an image as an archive, for this machine's platform alone where the engine can tell them apart.

    An image of many platforms, of which the engine holds one, cannot be saved whole (Docker's containerd store).
    """
    platform: list[str] = []
    if "--platform" in engine.ask("save", "--help").out:
        shown = engine.ask("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
        platform = ["--platform", shown.out.strip()] if shown.code == 0 else []
    return engine.ask("save", *platform, "--output", path, image, limit=300)
