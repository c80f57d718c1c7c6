"""Network namespaces and the links between them: two nodes and another machine on one network, Pods on routed links.

This laptop's end of the nodes' network is in the namespace where the server runs. `ip` and `nft` run in a thread of their
namespace's own: a child is born where its thread is. Knows addresses from plan.py; no Pods, no Services.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from labs.embedded import kernel
from labs.embedded.plan import AddressPlan, NodePlan

BRIDGE = "nodes"
_LIMIT = 30.0  # seconds, for `ip` or `nft`
# Each in the namespaces that it says; a new namespace would begin with what the machine has.
_NODE_SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/route_localnet": "1",  # a host port answers on 127.0.0.1, too
    "ipv4/icmp_ratelimit": "0",  # or the seventh refusal within a second is silence
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
}
_POD_SETTINGS = {
    "ipv4/ip_unprivileged_port_start": "0",  # as containerd has it (enable_unprivileged_ports)
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
}


class CommandFailed(OSError):
    """`ip` or `nft` said no; in its own words."""


class Place:
    """A network namespace, and a thread that is in it."""

    def __init__(self, netns: int | None = None) -> None:
        self.netns = kernel.new_netns() if netns is None else netns
        self._thread = ThreadPoolExecutor(1, initializer=kernel.setns, initargs=(self.netns, kernel.NEWNET))

    @property
    def path(self) -> str:
        """A name of this namespace for `ip`."""
        return f"/proc/{os.getpid()}/fd/{self.netns}"

    def do(self, command: Sequence[str], text: str = "", inside: int | None = None) -> str:
        """Runs a command here (inside: in that namespace), waits for it, and gives its output. CommandFailed."""
        return self._thread.submit(_run, command, text, inside).result()

    async def run(self, command: Sequence[str], text: str = "", inside: int | None = None) -> str:
        """The same, for the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _run, command, text, inside)

    def ip(self, *lines: str) -> None:
        """Runs lines of `ip -batch` here, and waits."""
        self.do(["ip", "-batch", "-"], "\n".join(lines))

    def set(self, settings: dict[str, str], inside: int | None = None) -> None:
        """Writes kernel settings (below /proc/sys/net) of this namespace, or of the one given."""
        with kernel.inside(self.netns if inside is None else inside):
            write_settings(settings)

    def socket(self, kind: int, address: str = "", port: int = 0) -> socket.socket:
        """A socket of this namespace; bound, and if it is a stream's listening, where a port is given."""
        return socket_in(self.netns, kind, address, port)


def write_settings(settings: dict[str, str]) -> None:
    """Writes kernel settings, by their path below /proc/sys/net, of the namespace that this thread is in."""
    for name, value in settings.items():
        with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(value)


def socket_in(netns: int, kind: int, address: str = "", port: int = 0) -> socket.socket:
    """A non-blocking socket that belongs to a namespace; bound, and a stream's listening, where a port is given."""
    with kernel.inside(netns):
        made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    if port:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(4096)
    return made


def _run(command: Sequence[str], text: str, inside: int | None) -> str:
    if inside is not None:
        with kernel.inside(inside):
            return _run(command, text, None)
    done = subprocess.run(list(command), input=text, capture_output=True, encoding="utf-8", timeout=_LIMIT)
    if done.returncode != 0:
        raise CommandFailed(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Network:
    """The nodes' network: `nodes` by name, `machine`, and `laptop` where the server itself is."""

    def __init__(self, plan: AddressPlan) -> None:
        self.plan = plan
        self.laptop = Place(kernel.own_netns())
        self.machine = Place()
        self.nodes = {node.name: Place() for node in plan.nodes}
        self._veths = 0
        ends = {node.address: self.nodes[node.name] for node in plan.nodes} | {plan.machine: self.machine}
        lines = [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"address add {plan.gateway}/{plan.node_prefix} dev {BRIDGE}",
        ]
        lines.append(f"link set {BRIDGE} up")
        for number, place in enumerate(ends.values()):
            lines.append(f"link add node{number} type veth peer name eth0 netns {place.path}")
            lines.append(f"link set node{number} master {BRIDGE} up")
        self.laptop.ip(*lines)
        # Nothing leads on from here: what is for nobody is dropped, as on most networks. Without this, the machine's own
        # setting counts, and where that forwards, an ICMP message would say "no route".
        self.laptop.set({"ipv4/ip_forward": "0"})
        for address, place in ends.items():
            place.ip(
                "link set lo up",
                f"address add {address}/{plan.node_prefix} dev eth0",
                "link set eth0 up",
                f"route add default via {plan.gateway}",  # without one, a ClusterIP never reaches the node's rules
                *[f"route add {node.pod_range} via {node.address}" for node in plan.nodes if self._leads(place, address, node)],
            )
        for node in plan.nodes:
            self.nodes[node.name].set(_NODE_SETTINGS)

    def _leads(self, place: Place, address: str, node: NodePlan) -> bool:
        """Whether this place knows the way to that node's Pods: the other nodes do."""
        return place is not self.machine and address != node.address

    async def join(self, node: NodePlan, address: str) -> tuple[int, str]:
        """A Pod's network namespace with that address on that node: its descriptor, and the name of the node's link."""
        netns = kernel.new_netns()
        with kernel.inside(netns):
            write_settings(_POD_SETTINGS)
        self._veths += 1
        name, place, gateway = f"veth{self._veths:08x}", self.nodes[node.name], node.pod_gateway
        there = [
            f"link add {name} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{netns}",
            f"address add {gateway}/32 dev {name}",
            f"link set {name} up",
            f"route add {address}/32 dev {name} scope host",
        ]
        here = [
            "link set lo up",
            f"address add {address}/24 brd + dev eth0 noprefixroute",
            "link set eth0 up",
            f"route add {gateway} dev eth0 scope link src {address}",
            f"route add {node.pod_range} via {gateway} dev eth0 src {address}",
            f"route add default via {gateway} dev eth0",
        ]
        await place.run(["ip", "-batch", "-"], "\n".join(there))
        await place.run(["ip", "-batch", "-"], "\n".join(here), inside=netns)
        return netns, name

    async def leave(self, node: NodePlan, netns: int, name: str) -> None:
        """Takes a Pod's link away; its namespace goes with the last who is in it."""
        try:
            await self.nodes[node.name].run(["ip", "link", "delete", name])
        finally:
            os.close(netns)
