"""Deployments: a ReplicaSet for each version of the Pod template, scaled from the old to the new (pkg/controller/deployment).

How many Pods when is computed in rollout.py. Does not watch the clock: a rollout that makes no progress is not marked so.
"""

import copy

from labs.embedded.controllers import rollout
from labs.embedded.controllers.events import Recorder
from labs.embedded.controllers.objects import controller_of, is_ending, labels_of, owned_by, selected, set_condition
from labs.embedded.store import Event, Object, Store, now

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAXIMUM = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAXIMUM)


class DeploymentController:
    """Keeps each Deployment's ReplicaSets as its template and strategy say."""

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store = store
        self.events = Recorder(store, "deployment-controller")
        for one in store.list("deployments"):
            self._sync(one["metadata"]["namespace"], one["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        metadata = event.object["metadata"]
        if event.resource == "deployments" and event.type != "DELETED":
            self._sync(metadata["namespace"], metadata["name"])
        elif event.resource == "replicasets":
            owner = controller_of(event.object)
            if owner is not None and owner["kind"] == "Deployment":
                self._sync(metadata["namespace"], owner["name"])
        elif event.resource == "pods" and event.type == "DELETED":
            for one in self.store.list("deployments", metadata["namespace"]):  # Recreate waits for the last old Pod
                if selected(one["spec"]["selector"], labels_of(event.object)):
                    self._sync(metadata["namespace"], one["metadata"]["name"])

    def _sync(self, namespace: str, name: str) -> None:
        owner = self.store.get("deployments", namespace, name)
        if owner is None or is_ending(owner):
            return
        self._claim(owner)
        sets = self._sets(owner)
        new = next((one for one in sets if rollout.same_template(one, owner)), None)
        if new is None and not owner["spec"].get("paused"):
            new = self._create(owner, sets)
            sets.append(new)
        if new is not None:
            new = self._revise(owner, new, [one for one in sets if one is not new])
        old = [one for one in sets if new is None or one["metadata"]["uid"] != new["metadata"]["uid"]]
        self._scale(owner, new, old)
        self._tell(namespace, name)
        self._forget(owner, old)

    def _sets(self, owner: Object) -> list[Object]:
        found = [
            one
            for one in self.store.list("replicasets", owner["metadata"]["namespace"])
            if (controller := controller_of(one)) is not None and controller["uid"] == owner["metadata"]["uid"]
        ]
        return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], _revision(one)))

    def _claim(self, owner: Object) -> None:
        """Takes ReplicaSets that match and have no controller, as one is whose Deployment went without it."""

        def adopt(new: Object) -> Object:
            references = [*(new["metadata"].get("ownerReferences") or []), owned_by(owner, "Deployment")]
            return {**new, "metadata": {**new["metadata"], "ownerReferences": references}}

        selector = owner["spec"]["selector"]
        for one in self.store.list("replicasets", owner["metadata"]["namespace"]):
            if controller_of(one) is None and not is_ending(one) and selected(selector, labels_of(one)):
                self.store.modify("replicasets", one["metadata"]["namespace"], one["metadata"]["name"], adopt)

    def _create(self, owner: Object, old: list[Object]) -> Object:
        template = copy.deepcopy(owner["spec"]["template"])
        hashed = rollout.template_hash(template)
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = hashed
        selector = copy.deepcopy(owner["spec"]["selector"])
        selector.setdefault("matchLabels", {})[HASH] = hashed
        spec: Object = {"replicas": 0, "selector": selector, "template": template}
        if owner["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = owner["spec"]["minReadySeconds"]
        made: Object = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{owner['metadata']['name']}-{hashed}",
                "namespace": owner["metadata"]["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [owned_by(owner, "Deployment")],
            },
            "spec": spec,
            "status": {"replicas": 0},
        }
        counts = rollout.counts(owner["spec"], None, old)
        made["metadata"]["annotations"] = self._annotations(owner, old)
        spec["replicas"] = counts.new
        stored = self.store.create("replicasets", made)
        if counts.new:
            self._told(owner, stored, 0, counts.new)
        return stored

    def _annotations(self, owner: Object, old: list[Object]) -> dict[str, str]:
        copied = {key: value for key, value in (owner["metadata"].get("annotations") or {}).items() if key not in _NOT_COPIED}
        newest = max((_revision(one) for one in old), default=0)
        return copied | {REVISION: str(newest + 1)} | self._wanted(owner)

    def _wanted(self, owner: Object) -> dict[str, str]:
        replicas = owner["spec"].get("replicas", 1)
        return {DESIRED: str(replicas), MAXIMUM: str(replicas + rollout.surge(owner["spec"]))}

    def _revise(self, owner: Object, new: Object, old: list[Object]) -> Object:
        """The version in force has the greatest number, also when it is an older one that was taken back."""
        newest = max((_revision(one) for one in old), default=0)
        if _revision(new) <= newest:
            new = self._annotate("replicasets", new, {REVISION: str(newest + 1)})
        self._annotate("deployments", owner, {REVISION: _annotation(new, REVISION)})
        return new

    def _annotate(self, resource: str, obj: Object, annotations: dict[str, str]) -> Object:
        def change(new: Object) -> Object:
            new["metadata"]["annotations"] = (new["metadata"].get("annotations") or {}) | annotations
            return new

        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        self.store.modify(resource, namespace, name, change)
        return self.store.get(resource, namespace, name) or obj

    def _scale(self, owner: Object, new: Object | None, old: list[Object]) -> None:
        uids = {one["metadata"]["uid"] for one in old}
        owners = [controller_of(pod) for pod in self.store.list("pods", owner["metadata"]["namespace"])]
        old_pods_left = any(one is not None and one["uid"] in uids for one in owners)
        counts = rollout.counts(owner["spec"], new, old, old_pods_left)
        for one, wanted in [*zip(old, counts.old, strict=True), *([(new, counts.new)] if new is not None else [])]:
            self._set_replicas(owner, one, wanted)

    def _set_replicas(self, owner: Object, one: Object, wanted: int) -> None:
        before = one["spec"].get("replicas", 1)
        annotations = self._wanted(owner)

        def change(new: Object) -> Object:
            new["spec"]["replicas"] = wanted
            if wanted:
                new["metadata"]["annotations"] = (new["metadata"].get("annotations") or {}) | annotations
            return new

        self.store.modify("replicasets", one["metadata"]["namespace"], one["metadata"]["name"], change)
        if before != wanted:
            self._told(owner, one, before, wanted)

    def _told(self, owner: Object, one: Object, before: int, wanted: int) -> None:
        way = "up" if wanted > before else "down"
        words = f"Scaled {way} replica set {one['metadata']['name']} from {before} to {wanted}"
        self.events.event("Deployment", owner, "Normal", "ScalingReplicaSet", words)

    def _tell(self, namespace: str, name: str) -> None:
        def change(owner: Object) -> Object:
            sets = self._sets(owner)
            new = next((one for one in sets if rollout.same_template(one, owner)), None)
            status = rollout.status(owner, new, sets)
            conditions = (owner.get("status") or {}).get("conditions") or []
            for condition in rollout.conditions(owner, status, new):
                before: Object = next((one for one in conditions if one["type"] == condition["type"]), {})
                said = ("status", "reason", "message")
                if any(before.get(key) != condition[key] for key in said):
                    times = {"lastTransitionTime": now(), "lastUpdateTime": now()}
                    conditions = set_condition(conditions, condition | times)
            owner["status"] = status | {"conditions": conditions}
            return owner

        self.store.modify("deployments", namespace, name, change)

    def _forget(self, owner: Object, old: list[Object]) -> None:
        """Old versions beyond revisionHistoryLimit go, the oldest first."""
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        empty = [one for one in old if not one["spec"].get("replicas") and not (one.get("status") or {}).get("replicas")]
        for one in empty[: max(0, len(old) - limit)]:
            self.store.remove("replicasets", one["metadata"]["namespace"], one["metadata"]["name"])


def _annotation(obj: Object, name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def _revision(replica_set: Object) -> int:
    """The number of a version; 0 where a client has written something else there."""
    text = _annotation(replica_set, REVISION)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
