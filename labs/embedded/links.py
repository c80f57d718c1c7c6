"""Network namespaces and the links between them: two nodes and another machine on one network, Pods on routed links.

This laptop's end of the nodes' network is in the namespace where the server runs. `ip` and `nft` run in a thread of their
namespace's own: a child is born where its thread is. Knows addresses from plan.py; no Pods, no Services.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from labs.embedded import kernel
from labs.embedded.layout import Layout, Link, Route
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


# Nothing leads on from the laptop: what is for nobody is dropped, as on most networks. Without this, the machine's own setting
# counts, and where that forwards, an ICMP message would say "no route".
_LAPTOP_SETTINGS = {"ipv4/ip_forward": "0"}
_LOOPBACK = Link("lo")
IP = ["ip", "-batch", "-"]


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
        self.do(IP, "\n".join(lines))

    def set(self, settings: dict[str, str], inside: int | None = None) -> None:
        """Writes kernel settings (below /proc/sys/net) of this namespace, or of the one given."""
        with kernel.inside(self.netns if inside is None else inside):
            write_settings(settings)

    def socket(self, kind: int, address: str = "", port: int = 0) -> socket.socket:
        """A socket of this namespace; bound, and if it is a stream's listening, where a port is given."""
        return socket_in(self.netns, kind, address, port)


def read_settings(netns: int, names: Iterable[str]) -> dict[str, str]:
    """Kernel settings of a namespace, by their path below /proc/sys/net."""
    with kernel.inside(netns):
        return {name: Path("/proc/sys/net", name).read_text("ascii").strip() for name in names}


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


def _hardware(address: str) -> str:
    """An Ethernet address, locally administered, for an IPv4 address."""
    return ":".join(["02", "42", *[f"{int(part):02x}" for part in address.split(".")]])


def _run(command: Sequence[str], text: str, inside: int | None) -> str:
    if inside is not None:
        with kernel.inside(inside):
            return _run(command, text, None)
    done = subprocess.run(list(command), input=text, capture_output=True, encoding="utf-8", timeout=_LIMIT)
    if done.returncode != 0:
        raise CommandFailed(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


@dataclass(frozen=True)
class PodLink:
    """How a Pod is connected: its namespace, its address, the node, and the name of the node's end of the link."""

    netns: int
    address: str
    node: NodePlan
    name: str

    def inside(self) -> Layout:
        """What the Pod's namespace has."""
        gateway = self.node.pod_gateway
        routes = (
            Route(gateway, link="eth0", options=f"scope link src {self.address}"),
            Route(self.node.pod_range, gateway, "eth0", f"src {self.address}"),
            Route("default", gateway, "eth0"),
        )
        return Layout((_LOOPBACK, Link("eth0", f"{self.address}/24", "brd + noprefixroute")), routes)

    def outside(self) -> Layout:
        """What the node has of it."""
        route = Route(f"{self.address}/32", link=self.name, options="scope host")
        return Layout((Link(self.name, f"{self.node.pod_gateway}/32"),), (route,))


class Network:
    """The nodes' network. places: by name, each node, "machine" beside them, and "laptop" where the server itself is;
    layouts, settings: what each is to have. pods: the Pods' links, by the name of the node's end."""

    def __init__(self, plan: AddressPlan) -> None:
        self.plan = plan
        self.laptop = Place(kernel.own_netns())
        self.machine = Place()
        self.nodes = {node.name: Place() for node in plan.nodes}
        self.places = {"laptop": self.laptop, **self.nodes, "machine": self.machine}
        self.settings = {"laptop": _LAPTOP_SETTINGS} | dict.fromkeys(self.nodes, _NODE_SETTINGS)
        self.pods: dict[str, PodLink] = {}
        self._veths = 0
        addresses = {node.name: node.address for node in plan.nodes} | {"machine": plan.machine}
        self._ends = {f"node{number}": (name, address) for number, (name, address) in enumerate(addresses.items())}
        self.layouts = {"laptop": self._layout_of_laptop()}
        for name, address in addresses.items():
            # The machine does not know the way to the Pods; a node does, to those of others.
            others = [node for node in plan.nodes if name not in (node.name, "machine")]
            self.layouts[name] = self._layout(address, others)
        self.laptop.ip(*self.creating({BRIDGE, *self._ends}), *self.layouts["laptop"].lines())
        for name in addresses:
            self.places[name].ip(*self.layouts[name].lines())
        for name, settings in self.settings.items():
            self.places[name].set(settings)

    def creating(self, links: Collection[str]) -> list[str]:
        """Lines for `ip` that make those of the laptop's links; the other ends are the nodes' eth0.

        Their hardware addresses are the same each time, as others remember them.
        """
        lines = [f"link add {BRIDGE} address {_hardware(self.plan.gateway)} type bridge"] if BRIDGE in links else []
        for end, (name, address) in self._ends.items():
            if end in links:
                peer = f"name eth0 address {_hardware(address)} netns {self.places[name].path}"
                lines.append(f"link add {end} type veth peer {peer}")
        return lines

    def _layout_of_laptop(self) -> Layout:
        bridge = Link(BRIDGE, f"{self.plan.gateway}/{self.plan.node_prefix}")
        return Layout((_LOOPBACK, bridge, *[Link(end, master=BRIDGE) for end in self._ends]))

    def _layout(self, address: str, others: Sequence[NodePlan]) -> Layout:
        """Of a place on the nodes' network. others: the nodes to whose Pods it knows the way."""
        ways = [Route(node.pod_range, node.address) for node in others]
        default = Route("default", self.plan.gateway)  # without one, a ClusterIP never reaches the node's rules
        return Layout((_LOOPBACK, Link("eth0", f"{address}/{self.plan.node_prefix}")), (default, *ways))

    async def join(self, node: NodePlan, address: str) -> tuple[int, str]:
        """A Pod's network namespace with that address on that node: its descriptor, and the name of the node's link."""
        netns = kernel.new_netns()
        with kernel.inside(netns):
            write_settings(_POD_SETTINGS)
        self._veths += 1
        pod = PodLink(netns, address, node, f"veth{self._veths:08x}")
        await self.connect(pod)
        self.pods[pod.name] = pod
        return netns, pod.name

    async def connect(self, pod: PodLink) -> None:
        """Makes a Pod's link and all that goes with it."""
        place = self.nodes[pod.node.name]
        link = f"link add {pod.name} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{pod.netns}"
        await place.run(IP, "\n".join([link, *pod.outside().lines()]))
        await place.run(IP, "\n".join(pod.inside().lines()), inside=pod.netns)

    async def leave(self, node: NodePlan, netns: int, name: str) -> None:
        """Takes a Pod's link away; its namespace goes with the last who is in it."""
        self.pods.pop(name, None)
        try:
            await self.nodes[node.name].run(["ip", "link", "delete", name])
        finally:
            os.close(netns)
