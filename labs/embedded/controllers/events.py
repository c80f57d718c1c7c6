"""Events: what happened to an object, in Kubernetes' words. One that repeats is counted, not made again; old ones go.

As client-go's recorder makes them (k8s.io/client-go/tools/record), without its limits on how many are sent.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Literal

from labs.embedded.controllers.objects import API_VERSIONS, name_of
from labs.embedded.store import Event, Object, Store, now

LIFETIME = 3600.0  # seconds that an event is kept (kube-apiserver --event-ttl)
_REMEMBERED = 4096  # events that a recorder can count on (client-go's maxLruCacheEntries)


class Recorder:
    """Writes a component's events. component: such as "default-scheduler"; host: the node, for a kubelet's."""

    def __init__(self, store: Store, component: str, host: str = "") -> None:
        self.store, self.component, self.host = store, component, host
        self._known: OrderedDict[tuple[str, ...], tuple[str, str]] = OrderedDict()  # what happened → its event

    def event(
        self, kind: str, obj: Object, type: Literal["Normal", "Warning"], reason: str, message: str, field_path: str = ""
    ) -> None:
        """Tells what happened to `obj`, a `kind`. field_path: the part of it, such as "spec.containers{web}"."""
        metadata = obj["metadata"]
        about = {
            "apiVersion": API_VERSIONS[kind],
            "kind": kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        if metadata.get("namespace"):
            about["namespace"] = metadata["namespace"]
        if field_path:
            about["fieldPath"] = field_path
        same = (metadata["uid"], field_path, type, reason, message)
        if same in self._known and self._again(*self._known[same]):
            return
        made = self.store.create("events", self._new(about, type, reason, message))
        self._known[same] = name_of(made)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _again(self, namespace: str, name: str) -> bool:
        def count(old: Object) -> Object:
            return old | {"count": old["count"] + 1, "lastTimestamp": now()}

        if self.store.get("events", namespace, name) is None:
            return False
        self.store.modify("events", namespace, name, count)
        return True

    def _new(self, about: Object, type: str, reason: str, message: str) -> Object:
        moment = now()
        source = {"component": self.component} | ({"host": self.host} if self.host else {})
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about['name']}.{time.time_ns():x}", "namespace": about.get("namespace", "default")},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": type,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }


class EventExpiry:
    """Takes events away an hour after they were made, whoever made them; looks when a new one comes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._made: deque[tuple[float, str, str]] = deque()

    def start(self, store: Store) -> None:
        """From now on."""
        self.store = store
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource != "events" or event.type != "ADDED":
            return
        self._made.append((self.clock(), *name_of(event.object)))
        while self._made[0][0] < self.clock() - LIFETIME:
            _, namespace, name = self._made.popleft()
            self.store.remove("events", namespace, name)
