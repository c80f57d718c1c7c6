"""From kindconfig.yaml to the configuration that kind gets: the proxy mode, and host ports that are free.

Does not run kind. The file at the top of the course is what learners read; only what must differ is changed.
"""

import copy
import os
import socket
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from labs.errors import BadInput

CONFIG = Path(__file__).resolve().parents[2] / "kindconfig.yaml"
MODES = ("nftables", "iptables")
HOST_PORTS = ("any", "none")
NONE_MAPPED = "no node port is mapped to this laptop (LABS_HOST_PORTS=none was set when this cluster was made)"

Config = dict[str, Any]


def read(path: Path = CONFIG) -> Config:
    """kindconfig.yaml as kind would read it."""
    config: Config = yaml.safe_load(path.read_text("utf-8"))
    return config


def proxy_mode() -> str | None:
    """The kube-proxy mode asked for by LABS_PROXY_MODE; None leaves the file's. BadInput for any other word."""
    mode = os.environ.get("LABS_PROXY_MODE")
    if mode and mode not in MODES:
        raise BadInput(
            f"LABS_PROXY_MODE is {mode!r}.",
            f"kube-proxy's modes here are {' and '.join(MODES)}.",
            "Set it to one of these, or unset it.",
        )
    return mode or None


def host_ports() -> str:
    """What LABS_HOST_PORTS asks for: "" (the file's host ports, where they are free), "any" (free ones) or "none" (no node port
    is mapped to this laptop). BadInput for any other word."""
    wish = os.environ.get("LABS_HOST_PORTS", "").strip()
    if wish not in ("", *HOST_PORTS):
        raise BadInput(
            f"LABS_HOST_PORTS is {wish!r}.",
            "It can be `any` (the node ports are mapped to free ports of this laptop) or `none` (they are not mapped at all).",
            "Set it to one of these, or unset it: then 30066 and 30067 are taken where they are free.",
        )
    return wish


def node_ports() -> list[int]:
    """The node ports that this laptop is to reach: those of kindconfig.yaml, or none where LABS_HOST_PORTS says so."""
    return [] if host_ports() == "none" else list(mapped(read()))


def check_host_ports(name: str, mapped: Iterable[int]) -> None:
    """BadInput where LABS_HOST_PORTS asks for no mapping and the cluster of that name, which is there, has some."""
    ports = " and ".join(map(str, sorted(mapped)))
    if host_ports() == "none" and ports:
        raise BadInput(
            f"The cluster {name} has node port {ports} mapped to this laptop, and LABS_HOST_PORTS says none.",
            "What is mapped is set when a cluster is made.",
            "`python -m labs down`, then `python -m labs up`; or unset LABS_HOST_PORTS.",
        )


def for_a_new_cluster(held: Collection[int]) -> Config:
    """The file's configuration with what the environment asks for, and host ports that are free. held: not to be taken."""
    taken = set(held)

    def free(wish: int) -> int:
        port = free_port(wish, taken)
        taken.add(port)
        return port

    return fitted(read(), proxy_mode(), None if host_ports() == "none" else free)


def mapped(config: Config) -> dict[int, int]:
    """The host port of each node port that a configuration maps."""
    mappings = [one for node in config["nodes"] for one in node.get("extraPortMappings") or []]
    return {one["containerPort"]: one["hostPort"] for one in mappings}


def fitted(config: Config, mode: str | None, free: Callable[[int], int] | None) -> Config:
    """A copy with kube-proxy's mode set, and each host port p replaced by free(p); with no host ports where `free` is None."""
    fit = copy.deepcopy(config)
    if mode:
        fit["networking"]["kubeProxyMode"] = mode
    for node in fit["nodes"]:
        mappings = node.pop("extraPortMappings", None) or []
        if free and mappings:
            node["extraPortMappings"] = [{**mapping, "hostPort": free(mapping["hostPort"])} for mapping in mappings]
    return fit


def free_port(wish: int, held: Collection[int] = ()) -> int:
    """`wish` where 127.0.0.1 has it free (and LABS_HOST_PORTS is not "any"), else another free port. held: not to be taken."""
    if host_ports() != "any" and wish not in held and is_free(wish):
        return wish
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in held:
            return port


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # Without this option a port that was in use a moment ago (TIME_WAIT) would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
