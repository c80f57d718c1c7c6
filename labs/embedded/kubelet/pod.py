"""One Pod on its node, from the moment that it is bound until its object is gone. Knows its containers, not other Pods.

As pkg/kubelet/kubelet.go (SyncPod, SyncTerminatingPod) has it, without its loop: what happens next waits for what happened.
"""

import asyncio
import base64
import copy
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from labs.embedded.kubelet import environment, probes, status
from labs.embedded.kubelet import storage as storages
from labs.embedded.kubelet.contained import Seat
from labs.embedded.kubelet.container import ContainerRun
from labs.embedded.kubelet.storage import Storage
from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.spawn import Spawner
from labs.embedded.store import Store, StoreError, now

log = logging.getLogger(__name__)
Object = dict[str, Any]
_EVICTION_GRACE = 1.0  # seconds (immediateEvictionGracePeriodSeconds)
_AGAIN = 0.5  # seconds before a missing ConfigMap or Secret is looked for again


class Node(Protocol):
    """The node, as its Pods see it."""

    store: Store
    spawner: Spawner
    plan: AddressPlan
    node: NodePlan
    folder: Path  # of all Pods' folders

    async def seat(self, pod: Object) -> tuple[int, str]:
        """A network namespace for the Pod (the node's own with hostNetwork), and its address."""

    async def unseat(self, pod: Object) -> None:
        """Takes the Pod's link away."""

    def tell(self, pod: Object, kind: str, reason: str, message: str, container: Object | None) -> None:
        """An Event about a Pod."""

    def new_socket(self, kind: int) -> socket.socket:
        """A socket of the node's network namespace."""

    def serve_dns(self, netns: int) -> Callable[[], None]:
        """Answers DNS requests in that namespace, until the function that is returned is called."""


class PodRun:
    """A Pod that runs here. pod: the newest object. seat: once it has a network; has_network: while it has.

    storage: its files, while it has any. evicted: why it was, once it was.
    """

    seat: Seat

    def __init__(self, node: Node, pod: Object) -> None:
        self.node, self.pod = node, pod
        self.spawner = node.spawner
        self.stopping = asyncio.Event()
        metadata, spec = pod["metadata"], pod["spec"]
        self.key = (metadata["namespace"], metadata["name"])
        self.uid: str = metadata["uid"]
        waits = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self.init = [ContainerRun(self, one, True, "PodInitializing") for one in spec.get("initContainers") or []]
        self.main = [ContainerRun(self, one, False, waits) for one in spec["containers"]]
        self.has_network = False
        self.storage: Storage | None = None
        self.evicted = ""
        self._watching: asyncio.Task[None] | None = None
        self._writing = False
        self._begun = now()
        self._ended = False
        self._grace = asyncio.Event()
        self._end_at: float | None = None
        self._gone: asyncio.Task[None] | None = None
        self._life = asyncio.get_running_loop().create_task(self._live())

    def container(self, name: str) -> ContainerRun | None:
        """The container of that name, an init container, too."""
        return next((one for one in [*self.init, *self.main] if one.name == name), None)

    def becomes(self, pod: Object) -> None:
        """The object was changed."""
        self.pod = pod
        specs = {one["name"]: one for one in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]}
        for one in [*self.init, *self.main]:
            one.becomes(specs.get(one.name, one.spec))

    # --- its life

    async def _live(self) -> None:
        try:
            self._write()
            netns, address = await self.node.seat(self.pod)
            folder = self.node.folder / self.uid
            hosted = bool(self.pod["spec"].get("hostNetwork"))
            name = self.node.node.name if hosted else environment.hostname(self.pod)
            self.seat = Seat(netns, address, name, folder, {})
            self.storage = Storage(folder, self.pod["spec"])
            (folder / "etc").mkdir()
            (folder / "etc/hosts").write_text(environment.hosts(self.pod, address), "utf-8")
            (folder / "etc/resolv.conf").write_text(environment.resolv_conf(self.pod, self.node.plan), "utf-8")
            (folder / "etc/hostname").write_text(f"{name}\n", "utf-8")
            self.has_network = True
            self.changed()
            if not await self._volumes():
                return
            self._watching = asyncio.create_task(self._watch())
            policy = self.pod["spec"].get("restartPolicy", "Always")
            for one in self.init:
                if await one.live(policy) != 0 or self.stopping.is_set():
                    return
            if self.init:
                for one in self.main:
                    one.status["state"] = {"waiting": {"reason": "PodInitializing"}}
            await asyncio.gather(*[one.live(policy) for one in self.main])
            if not self.stopping.is_set():  # it will not start again: its network goes, its object stays
                self.has_network = False
                await self.node.unseat(self.pod)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("Pod %s/%s", *self.key)
            words = f"Failed to create pod sandbox: {error}"
            self.tell("Warning", "FailedCreatePodSandBox", words)
        finally:
            self.changed()

    async def _volumes(self) -> bool:
        """Makes the Pod's volumes, waiting for what they are made from; False where the Pod was stopped meanwhile."""
        told = ""
        while True:
            try:
                for volume in self.pod["spec"].get("volumes") or []:
                    self._volume(volume)
                return True
            except environment.Missing as error:
                if str(error) != told:
                    told = str(error)
                    self.tell("Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}')
            if await self._stopped_within(_AGAIN):
                return False

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
            return True
        except TimeoutError:
            return False

    def _volume(self, volume: Object) -> None:
        name = volume["name"]
        assert self.storage is not None
        folder = self.storage.volume(name)
        self.seat.volumes[name] = f"{self.seat.folder.name}/volumes/{name}"
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for source in sources:
            for path, data in self._contents(source).items():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)

    def _contents(self, source: Object) -> dict[str, bytes]:
        """The files that a ConfigMap, a Secret or the downward API gives."""
        for kind, key, field in (("configmaps", "configMap", "name"), ("secrets", "secret", "secretName")):
            if key in source:
                wanted = source[key]
                name = wanted.get(field) or wanted.get("name")
                found = self._find(kind, name)
                if found is None and not wanted.get("optional"):
                    raise environment.Missing(f'{kind[:-1]} "{name}" not found')
                data = _bytes(found or {}, kind)
                items = wanted.get("items")
                return {one["path"]: data[one["key"]] for one in items if one["key"] in data} if items else data
        if "downwardAPI" in source:
            items = source["downwardAPI"].get("items") or []
            return {
                one["path"]: environment.field(self.pod, one["fieldRef"]["fieldPath"], self.seat.address).encode()
                for one in items
                if "fieldRef" in one
            }
        return {}

    def _find(self, kind: str, name: str) -> Object | None:
        return self.node.store.get(kind, self.key[0], name)

    # --- its eviction

    async def _watch(self) -> None:
        """Looks at what its files take, for as long as it runs and could take too much."""
        assert self.storage is not None
        while not self._life.done() and (self.storage.empty_dirs or any(one.storage_limit for one in self.main)):
            roots = {
                one.name: (f"/proc/{one.process.pid}/root", one.storage_limit)
                for one in self.main
                if one.process is not None and one.storage_limit
            }
            message = await self.storage.excess(roots)
            if message and not self._life.done():
                await self._evict(message)
                return
            if await self._stopped_within(storages.PERIOD):
                return

    async def _evict(self, message: str) -> None:
        """Ends the containers; the object stays, and has failed (pkg/kubelet/eviction/eviction_manager.go, evictPod)."""
        self.evicted = message
        self.tell("Warning", "Evicted", message)
        self.stopping.set()
        await asyncio.gather(*[one.end(_EVICTION_GRACE) for one in [*self.init, *self.main]])
        await asyncio.shield(self._life)
        self.has_network = False
        await self.node.unseat(self.pod)
        if self.storage is not None:
            self.storage.remove()
        self.changed()

    # --- for its containers

    def tell(self, kind: str, reason: str, message: str, container: Object | None = None) -> None:
        """An Event about the Pod."""
        self.node.tell(self.pod, kind, reason, message, container)

    def variables(self, container: Object) -> dict[str, str]:
        """A container's environment."""
        links = self.pod["spec"].get("enableServiceLinks") is not False
        services = environment.told_of(self.node.store.list("services"), self.key[0], links)
        return environment.variables(self.pod, container, self.seat.address, services, self._find)

    def asker(self, container: Object, execute: probes.Execute) -> probes.Asker:
        """How this node probes this Pod."""
        return probes.Asker(self.seat.address, container, lambda: self.node.new_socket(socket.SOCK_STREAM), execute)

    def serve_dns(self) -> Callable[[], None]:
        """CoreDNS: the server itself answers."""
        return self.node.serve_dns(self.seat.netns)

    # --- its status

    def changed(self) -> None:
        """Something is another way: the status is written soon, once for all that changes now."""
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._writing = False
        if self._ended:
            return
        try:
            self.node.store.modify("pods", *self.key, self._with_status)
        except StoreError as error:
            log.info("status of Pod %s/%s: %s", *self.key, error)

    def _with_status(self, pod: Object) -> Object | None:
        if pod["metadata"]["uid"] != self.uid:
            return None
        init, main = (
            [copy.deepcopy(status.of_container(one.status, one.spec)) for one in some] for some in (self.init, self.main)
        )
        found = status.Containers(init, sorted(main, key=lambda one: str(one["name"])))
        phase = "Failed" if self.evicted else status.phase(found, pod["spec"].get("restartPolicy", "Always"))
        old = pod.get("status") or {}
        before = status.with_disruption(old.get("conditions") or [], self.evicted, now())
        generation = pod["metadata"].get("generation", 1)
        new: Object = {
            **old,
            "phase": phase,
            "conditions": status.conditions(before, generation, found, phase, self.has_network, now()),
            "containerStatuses": found.main,
            "hostIP": self.node.node.address,
            "hostIPs": [{"ip": self.node.node.address}],
            "observedGeneration": generation,
            "startTime": old.get("startTime") or self._begun,
            **status.resources(found.main),
        }
        new |= {"reason": "Evicted", "message": self.evicted} if self.evicted else {}
        new |= {"initContainerStatuses": found.init} if found.init else {}
        if hasattr(self, "seat"):
            new |= {"podIP": self.seat.address, "podIPs": [{"ip": self.seat.address}]}
        return {**pod, "status": new}

    # --- its end

    async def stop(self, grace: float) -> None:
        """Ends its processes and removes it from the store; returns when it is gone. A second call can only shorten it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        if self._end_at is None or end < self._end_at:
            self._end_at = end
            self._grace.set()
        if self._gone is None:
            self._gone = loop.create_task(self._stop())
        await asyncio.shield(self._gone)

    async def _stop(self) -> None:
        self.stopping.set()
        running = [one for one in [*self.init, *self.main] if one.process is not None]
        for one in running:
            self.tell("Normal", "Killing", f"Stopping container {one.name}", one.spec)
        loop = asyncio.get_running_loop()
        assert self._end_at is not None
        first = max(0.0, self._end_at - loop.time())
        ending = [asyncio.create_task(one.end(first)) for one in running]
        while ending:
            self._grace.clear()
            shorter = asyncio.create_task(self._grace.wait())
            await asyncio.wait([*ending, shorter], return_when=asyncio.FIRST_COMPLETED)
            shorter.cancel()
            ending = [task for task in ending if not task.done()]
            if self._grace.is_set() and ending:
                ending += [asyncio.create_task(one.end(max(0.0, self._end_at - loop.time()))) for one in running]
        try:
            async with asyncio.timeout(5.0):
                await asyncio.shield(self._life)
        except TimeoutError:
            self._life.cancel()
        self._write()
        await self.forget()
        self._remove()

    async def forget(self) -> None:
        """Takes away what the Pod had on this machine."""
        self._ended = True
        if hasattr(self, "seat"):
            await self.node.unseat(self.pod)
        if self._watching is not None:
            self._watching.cancel()
        if self.storage is not None:
            self.storage.remove()

    def _remove(self) -> None:
        """The object goes, or waits for its finalizers."""
        store = self.node.store
        found = store.get("pods", *self.key)
        if found is None or found["metadata"]["uid"] != self.uid:
            return
        if not found["metadata"].get("finalizers"):
            store.remove("pods", *self.key)
            return

        def without_grace(pod: Object) -> Object:
            pod["metadata"]["deletionGracePeriodSeconds"] = 0
            return pod

        store.modify("pods", *self.key, without_grace)


def _bytes(found: Object, kind: str) -> dict[str, bytes]:
    if kind == "secrets":
        return {name: base64.b64decode(value) for name, value in (found.get("data") or {}).items()}
    data = {name: value.encode() for name, value in (found.get("data") or {}).items()}
    return data | {name: base64.b64decode(value) for name, value in (found.get("binaryData") or {}).items()}
