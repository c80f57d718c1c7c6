"""ReplicaSets: as many Pods as asked for (pkg/controller/replicaset, Kubernetes 1.37).

Does not wait `minReadySeconds` by itself: a Pod that became ready counts as available when it is next looked at after them.
"""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from labs.embedded.controllers.events import Recorder
from labs.embedded.controllers.objects import controller_of, delete, is_ending, is_over, is_ready, labels_of, owned_by, selected
from labs.embedded.store import Event, Object, Store

Admit = Callable[[Object], Object]  # what the API adds to a Pod that is created: defaults, its account's volume
MOST = 200  # Pods of a ReplicaSet: each is processes of this machine, and to make thousands would keep the API from answering
_PHASES = {"Pending": 0, "Running": 1}


class ReplicaSetController:
    """admit: completes a new Pod as the API would."""

    def __init__(self, admit: Admit) -> None:
        self.admit = admit

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store = store
        self.events = Recorder(store, "replicaset-controller")
        for one in store.list("replicasets"):
            self._sync(one["metadata"]["namespace"], one["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        metadata = event.object["metadata"]
        if event.resource == "replicasets" and event.type != "DELETED":
            self._sync(metadata["namespace"], metadata["name"])
        elif event.resource == "pods":
            for one in self.store.list("replicasets", metadata["namespace"]):
                owners = [controller_of(version) for version in (event.object, event.old) if version is not None]
                mine = any(owner is not None and owner["uid"] == one["metadata"]["uid"] for owner in owners)
                orphan = controller_of(event.object) is None and selected(one["spec"]["selector"], labels_of(event.object))
                if mine or orphan:
                    self._sync(metadata["namespace"], one["metadata"]["name"])

    def _sync(self, namespace: str, name: str) -> None:
        owner = self.store.get("replicasets", namespace, name)
        if owner is None:
            return
        own_labels = owner["spec"]["template"]["metadata"].get("labels") or {}
        if not is_ending(owner) and selected(owner["spec"]["selector"], own_labels):
            self._claim(owner)
            pods = self._pods(owner)
            asked = owner["spec"].get("replicas", 1)
            wanted = min(asked, MOST)
            active = [pod for pod in pods if not is_over(pod) and not is_ending(pod)]
            if len(active) < wanted < asked:
                why = f"Error creating: the embedded cluster makes at most {MOST} Pods of a ReplicaSet"
                self.events.event("ReplicaSet", owner, "Warning", "FailedCreate", why)
            for _ in range(wanted - len(active)):
                self._create(owner)
            for pod in sorted(active, key=_least_wanted_first)[: max(0, len(active) - wanted)]:
                self.events.event("ReplicaSet", owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
                delete(self.store, "pods", pod)
        self._tell(namespace, name)

    def _claim(self, owner: Object) -> None:
        """Takes Pods that match and have no controller; lets those go that match no longer."""
        selector, uid = owner["spec"]["selector"], owner["metadata"]["uid"]
        for pod in self.store.list("pods", owner["metadata"]["namespace"]):
            controller, fits = controller_of(pod), selected(selector, labels_of(pod))
            if controller is None and fits and not is_ending(pod) and not is_over(pod):
                self._own(pod, [*(pod["metadata"].get("ownerReferences") or []), owned_by(owner, "ReplicaSet")])
            elif controller is not None and controller["uid"] == uid and not fits:
                self._own(pod, [one for one in pod["metadata"]["ownerReferences"] if one["uid"] != uid])

    def _own(self, pod: Object, references: list[Object]) -> None:
        def change(new: Object) -> Object:
            new["metadata"].pop("ownerReferences", None)
            if references:
                new["metadata"]["ownerReferences"] = references
            return new

        self.store.modify("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], change)

    def _pods(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self.store.list("pods", owner["metadata"]["namespace"])
            if (controller := controller_of(pod)) is not None and controller["uid"] == uid
        ]

    def _create(self, owner: Object) -> None:
        template = copy.deepcopy(owner["spec"]["template"])
        metadata = template.get("metadata") or {}
        made: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{owner['metadata']['name']}-",
                "namespace": owner["metadata"]["namespace"],
                "ownerReferences": [owned_by(owner, "ReplicaSet")],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        for part in ("labels", "annotations", "finalizers"):
            if metadata.get(part):
                made["metadata"][part] = metadata[part]
        stored = self.store.create("pods", self.admit(made))
        self.events.event("ReplicaSet", owner, "Normal", "SuccessfulCreate", f"Created pod: {stored['metadata']['name']}")

    def _tell(self, namespace: str, name: str) -> None:
        def change(new: Object) -> Object:
            pods = self._pods(new)
            active = [pod for pod in pods if not is_over(pod) and not is_ending(pod)]
            ready = [pod for pod in active if is_ready(pod)]
            seconds = new["spec"].get("minReadySeconds", 0)
            counts = {
                "fullyLabeledReplicas": sum(
                    labels_of(pod).items() >= (new["spec"]["template"]["metadata"].get("labels") or {}).items()
                    for pod in active
                ),
                "readyReplicas": len(ready),
                "availableReplicas": sum(_ready_for(pod) >= seconds for pod in ready),
            }
            new["status"] = {
                "replicas": len(active),
                "observedGeneration": new["metadata"].get("generation", 1),
                "terminatingReplicas": sum(is_ending(pod) and not is_over(pod) for pod in pods),
            } | {key: count for key, count in counts.items() if count}
            return new

        self.store.modify("replicasets", namespace, name, change)


def _ready_for(pod: Object) -> float:
    """Seconds since the Pod became ready."""
    condition = next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    since = condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()


def _least_wanted_first(pod: Object) -> tuple[bool, int, bool, int, str]:
    """Which Pod goes first: without a node, pending, not ready, restarted more often, younger (controller_utils.go)."""
    status = pod.get("status") or {}
    restarts = max((one.get("restartCount", 0) for one in status.get("containerStatuses") or []), default=0)
    age = "".join(chr(0x10FFFF - ord(letter)) for letter in pod["metadata"]["creationTimestamp"])
    return bool(pod["spec"].get("nodeName")), _PHASES.get(status.get("phase", ""), 0), is_ready(pod), -restarts, age
