"""Whether this laptop reaches a node of a borrowed cluster, found out by connecting.

Private addresses repeat: at 10.0.0.5 may answer a stranger of the learner's own network. So a node is told by its kubelet,
whose certificate carries the node's name. Does not ask for any answer by HTTP.
"""

import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

LIMIT = 1.0  # seconds for one connection
MOST = 6  # addresses tried


@dataclass(frozen=True)
class Door:
    """An address that the API gives for a node, and the port of its kubelet."""

    node: str
    address: str
    kubelet_port: int


def first_reached(doors: Sequence[Door], node_port: int) -> str | None:
    """The first address that is a node's beyond doubt, else the first where the node port takes a connection, else None.

    Where a firewall hides the kubelet, a node port that takes a connection is all there is to see; who answers there,
    the probe tells.
    """
    tried = doors[:MOST]
    if not tried:
        return None
    with ThreadPoolExecutor(2 * len(tried)) as pool:
        kubelets = pool.map(is_node, tried)
        ports = pool.map(lambda door: accepts(door.address, node_port), tried)
        sure = [door.address for door, ok in zip(tried, kubelets, strict=True) if ok]
        open_ = [door.address for door, ok in zip(tried, ports, strict=True) if ok]
    return (sure + open_ + [None])[0]


def is_node(door: Door) -> bool:
    """Whether a kubelet answers there with a certificate that carries the node's name."""
    try:
        certificate = ssl.get_server_certificate((door.address, door.kubelet_port), timeout=LIMIT)
    except (OSError, ValueError):
        return False
    return door.node.encode() in ssl.PEM_cert_to_DER_cert(certificate)


def accepts(host: str, port: int) -> bool:
    """Whether a TCP connection is made."""
    try:
        with socket.create_connection((host, port), timeout=LIMIT):
            return True
    except OSError:
        return False
