"""The nodes: each runs the Pods that are bound to it, and is a Node object. What the API asks of Pods is answered here.

A Pod's life is kubelet/'s; rules are proxy.py's; links are links.py's.
"""

import asyncio
import ipaddress
import os
import platform
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from labs.embedded import origin
from labs.embedded.controllers.events import Recorder
from labs.embedded.kubelet import exec as execs
from labs.embedded.kubelet import logs as container_logs
from labs.embedded.kubelet.attach import Attached
from labs.embedded.kubelet.contained import exec_words
from labs.embedded.kubelet.container import ContainerRun
from labs.embedded.kubelet.pod import PodRun
from labs.embedded.links import Network, Place, socket_in
from labs.embedded.plan import KUBELET_PORT, AddressPlan, NodePlan
from labs.embedded.runtime import NoContainer, Process
from labs.embedded.spawn import Spawner
from labs.embedded.store import Event, Store, now

Object = dict[str, Any]
VERSION = "v1.37.2"  # of the kubelet that this one behaves as
_MOST_PODS = "110"


class NodeAgent:
    """One node and its Pods."""

    def __init__(
        self,
        store: Store,
        spawner: Spawner,
        network: Network,
        node: NodePlan,
        folder: Path,
        dns: Callable[[int], Callable[[], None]],
    ) -> None:
        self.store, self.spawner, self.network, self.node, self.folder = store, spawner, network, node, folder
        self.plan: AddressPlan = network.plan
        self.place: Place = network.nodes[node.name]
        self.pods: dict[str, PodRun] = {}
        self.serve_dns = dns
        self._recorder = Recorder(store, "kubelet", node.name)
        self._addresses = list(ipaddress.ip_network(node.pod_range).hosts())[1:]
        self._next = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._links: dict[str, tuple[int, str, str]] = {}  # a Pod's namespace, its link, its address; by uid

    def register(self) -> None:
        """Makes the Node object."""
        self.store.create("nodes", node_object(self.node))

    def see(self, event: Event) -> None:
        """A Pod of this node was bound, changed, marked for deletion, or removed."""
        metadata = event.object["metadata"]
        uid = metadata["uid"]
        run = self.pods.get(uid)
        if event.type == "DELETED":
            if run is not None:
                self._stop_soon(run, 0.0)
            return
        if run is None:
            if not metadata.get("deletionTimestamp"):
                self.pods[uid] = PodRun(self, event.object)
            return
        run.becomes(event.object)
        if metadata.get("deletionTimestamp"):
            self._stop_soon(run, float(metadata.get("deletionGracePeriodSeconds") or 0))

    def _stop_soon(self, run: PodRun, grace: float) -> None:
        task = asyncio.ensure_future(self._stop(run, grace))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self, uid: str, grace: float) -> None:
        """Ends a Pod and removes it from the store."""
        if uid in self.pods:
            await self._stop(self.pods[uid], grace)

    async def _stop(self, run: PodRun, grace: float) -> None:
        await run.stop(grace)
        self.pods.pop(run.uid, None)

    # --- for its Pods

    async def seat(self, pod: Object) -> tuple[int, str]:
        """A network namespace for the Pod, and its address."""
        if pod["spec"].get("hostNetwork"):
            return self.place.netns, self.node.address
        address = self._address()
        uid = pod["metadata"]["uid"]
        self._links[uid] = (-1, "", address)  # taken
        try:
            netns, link = await self.network.join(self.node, address)
        except BaseException:
            del self._links[uid]
            raise
        self._links[uid] = (netns, link, address)
        for sysctl in (pod["spec"].get("securityContext") or {}).get("sysctls") or []:
            self._set(netns, sysctl["name"], sysctl["value"])
        return netns, address

    def _set(self, netns: int, name: str, value: str) -> None:
        """A kernel setting that a Pod asked for; only its own network's are its to change."""
        if name == "net.ipv4.ping_group_range":
            value = "0 0"  # there is one group in our user namespace; every process of a Pod has it
        path = name if "/" in name and "." not in name.partition("/")[0] else name.replace(".", "/")
        self.place.set({path.removeprefix("net/"): value}, netns)

    async def unseat(self, pod: Object) -> None:
        """Takes the Pod's link away."""
        netns, link, _ = self._links.pop(pod["metadata"]["uid"], (-1, "", ""))
        if link:
            await self.network.leave(self.node, netns, link)

    def _address(self) -> str:
        """The next address that no Pod has: one that was given back is not given out again soon."""
        taken = {address for _, _, address in self._links.values()}
        for _ in self._addresses:
            address = str(self._addresses[self._next])
            self._next = (self._next + 1) % len(self._addresses)
            if address not in taken:
                return address
        raise OSError(f"no address of {self.node.pod_range} is free")

    def tell(self, pod: Object, kind: str, reason: str, message: str, container: Object | None) -> None:
        """An Event about a Pod, or one of its containers."""
        part = "" if container is None else f"spec.containers{{{container['name']}}}"
        if self.store.get("namespaces", "", pod["metadata"]["namespace"]) is not None:
            self._recorder.event("Pod", pod, "Warning" if kind == "Warning" else "Normal", reason, message, part)

    def new_socket(self, kind: int) -> socket.socket:
        """A socket of the node's network namespace."""
        return self.place.socket(kind)

    def container(self, pod: Object, name: str) -> ContainerRun:
        """A container of a Pod. NoContainer."""
        run = self.pods.get(pod["metadata"]["uid"])
        found = run.container(name) if run is not None else None
        if found is None:
            raise NoContainer(f'container "{name}" in pod "{pod["metadata"]["name"]}" is not available')
        return found


class Nodes:
    """All nodes, as the API sees them: implements runtime.Runtime."""

    def __init__(self, store: Store, agents: dict[str, NodeAgent]) -> None:
        self.store, self.agents = store, agents

    def start(self) -> None:
        """Registers the nodes; from then on they run what is bound to them."""
        for agent in self.agents.values():
            agent.register()
        self.store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "pods":
            agent = self.agents.get(event.object["spec"].get("nodeName", ""))
            if agent is not None:
                agent.see(event)

    def _container(self, pod: Object, name: str) -> ContainerRun:
        agent = self.agents.get(pod["spec"].get("nodeName", ""))
        if agent is None:
            raise NoContainer(f"pod {pod['metadata']['name']} does not have a host assigned")
        return agent.container(pod, name)

    async def logs(
        self,
        pod: Object,
        container: str,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> AsyncIterator[bytes]:
        """What a container wrote."""
        run = self._container(pod, container)
        log = run.previous if previous else run.log
        name = pod["metadata"]["name"]
        if log is None and previous:
            raise NoContainer(f'previous terminated container "{container}" in pod "{name}" not found')
        if log is None:
            reason = run.status["state"].get("waiting", {}).get("reason", "ContainerCreating")
            words = {"ErrImagePull": "trying and failing to pull image", "ImagePullBackOff": "trying and failing to pull image"}
            raise NoContainer(f'container "{container}" in pod "{name}" is waiting to start: {words.get(reason, reason)}')
        read = container_logs.read(
            log,
            follow=follow,
            tail_lines=tail_lines,
            since_seconds=since_seconds,
            timestamps=timestamps,
            limit_bytes=limit_bytes,
        )
        async for data in read:
            yield data

    async def exec(self, pod: Object, container: str, command: list[str], *, stdin: bool, tty: bool) -> Process:
        """Runs a command in a container."""
        run = self._container(pod, container)
        if run.process is None:
            raise NoContainer(f'container not found ("{container}")')
        try:
            return await execs.start(lambda standard: run.exec(command, standard, tty), stdin, tty)
        except OSError as error:
            told = f'exec: "{command[0]}": {exec_words(error, command)}'
            words = f"OCI runtime exec failed: exec failed: unable to start container process: {told}"
            raise OSError(error.errno or 0, words) from error

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> Process:
        """Joins a container's own process."""
        return Attached(self._container(pod, container))

    async def connect(self, pod: Object, port: int) -> tuple[StreamReader, StreamWriter]:
        """A TCP connection to 127.0.0.1:port inside the Pod's network namespace; marked, for its end on the laptop is a port
        that any account there may use."""
        agent = self.agents.get(pod["spec"].get("nodeName", ""))
        run = agent.pods.get(pod["metadata"]["uid"]) if agent is not None else None
        if run is None or not run.has_network:
            raise NoContainer(f"pod {pod['metadata']['name']} does not run")
        connection = socket_in(run.seat.netns, socket.SOCK_STREAM)
        origin.mark(connection)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection)

    def control_plane_socket(self) -> socket.socket:
        """A TCP socket of the control plane's network."""
        return next(agent for agent in self.agents.values() if agent.node.control_plane).new_socket(socket.SOCK_STREAM)

    async def stop(self, pod: Object, grace: float) -> None:
        """Ends a Pod's processes, and removes it."""
        agent = self.agents.get(pod["spec"].get("nodeName", ""))
        if agent is not None:
            await agent.stop(pod["metadata"]["uid"], grace)


def node_object(node: NodePlan) -> Object:
    """A Node, as a kubelet registers it."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    moment = now()
    labels = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
    }
    if node.control_plane:
        labels |= {"node-role.kubernetes.io/control-plane": "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
    memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 1024}Ki"
    room = {"cpu": str(os.cpu_count() or 1), "ephemeral-storage": "0", "memory": memory, "pods": _MOST_PODS}
    facts = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {"podCIDR": node.pod_range, "podCIDRs": [node.pod_range], "providerID": f"embedded://{node.name}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}],
            "allocatable": room,
            "capacity": room,
            "conditions": [
                {"type": t, "status": s, "reason": r, "message": m, "lastHeartbeatTime": moment, "lastTransitionTime": moment}
                for t, s, r, m in facts
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": "embedded://1",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
                "systemUUID": "",
            },
        },
    }
