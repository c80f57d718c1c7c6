"""From kindconfig.yaml to the configuration that kind gets: the proxy mode, and host ports that are free.

Does not run kind. The file at the top of the course is what learners read; only what must differ is changed.
"""

import copy
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from labs.errors import BadInput

CONFIG = Path(__file__).resolve().parents[2] / "kindconfig.yaml"
MODES = ("nftables", "iptables")

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


def fitted(config: Config, mode: str | None, free: Callable[[int], int]) -> Config:
    """A copy with kube-proxy's mode set, and each host port p replaced by free(p)."""
    fit = copy.deepcopy(config)
    if mode:
        fit["networking"]["kubeProxyMode"] = mode
    for node in fit["nodes"]:
        for mapping in node.get("extraPortMappings") or []:
            mapping["hostPort"] = free(mapping["hostPort"])
    return fit


def free_port(wish: int) -> int:
    """`wish` where 127.0.0.1 has it free (and LABS_HOST_PORTS is not "any"), else another free port."""
    if os.environ.get("LABS_HOST_PORTS") != "any" and is_free(wish):
        return wish
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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
