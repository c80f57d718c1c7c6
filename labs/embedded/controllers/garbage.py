"""Deletes what has lost its owners (pkg/controller/garbagecollector): at once, first (foreground) or never (orphan)."""

from labs.embedded.controllers.objects import delete, is_ending, name_of
from labs.embedded.store import Event, Object, Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"  # finalizers by which a DELETE's propagationPolicy is told
RESOURCES = {  # of the kinds whose absence is known: an owner of another kind is never taken for gone
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "EndpointSlice": "endpointslices",
    "Endpoints": "endpoints",
    "Node": "nodes",
    "Pod": "pods",
    "ReplicaSet": "replicasets",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}
_Key = tuple[str, str, str]  # resource, namespace, name


class GarbageCollector:
    """Follows owner references."""

    def start(self, store: Store) -> None:
        """Learns who owns what, and follows each change."""
        self.store = store
        self._owned: dict[str, set[_Key]] = {}  # by the owner's uid
        for resource in RESOURCES.values():
            for obj in store.list(resource):
                self._learn(resource, obj)
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        key = (event.resource, *name_of(event.object))
        if event.old is not None:
            for reference in _references(event.old):
                self._owned.get(reference["uid"], set()).discard(key)
        if event.type == "DELETED":
            for dependent in sorted(self._owned.pop(event.object["metadata"]["uid"], set())):
                self._lost(dependent, event.object["metadata"]["uid"])
            self._release(event.object)
            return
        self._learn(event.resource, event.object)
        if event.type == "ADDED":
            self._check_owners(event.resource, event.object)
        if is_ending(event.object):
            self._deleting(event.resource, event.object)

    def _learn(self, resource: str, obj: Object) -> None:
        for reference in _references(obj):
            self._owned.setdefault(reference["uid"], set()).add((resource, *name_of(obj)))

    def _lost(self, key: _Key, uid: str) -> None:
        """One of its owners is gone: it stays while it has others."""
        obj = self.store.get(*key)
        if obj is None:
            return
        others = [one for one in _references(obj) if one["uid"] != uid]
        if others:
            self.store.modify(*key, lambda new: _with_references(new, others))
        else:
            delete(self.store, key[0], obj)

    def _check_owners(self, resource: str, obj: Object) -> None:
        references = _references(obj)
        if references and not any(self._is_there(one, obj) for one in references):
            delete(self.store, resource, obj)

    def _is_there(self, reference: Object, obj: Object) -> bool:
        resource = RESOURCES.get(reference["kind"])
        if resource is None:
            return True
        namespace = "" if resource == "nodes" else obj["metadata"].get("namespace", "")
        owner = self.store.get(resource, namespace, reference["name"])
        return owner is not None and owner["metadata"]["uid"] == reference["uid"]

    def _deleting(self, resource: str, obj: Object) -> None:
        finalizers, uid = obj["metadata"].get("finalizers") or [], obj["metadata"]["uid"]
        if ORPHAN in finalizers:
            for key in sorted(self._owned.pop(uid, set())):
                dependent = self.store.get(*key)
                if dependent is not None:
                    rest = [one for one in _references(dependent) if one["uid"] != uid]
                    self.store.modify(*key, lambda new, rest=rest: _with_references(new, rest))  # type: ignore[misc]
            self._finish(resource, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            for key in sorted(self._owned.get(uid, set())):
                dependent = self.store.get(*key)
                if dependent is not None and not is_ending(dependent):
                    delete(self.store, key[0], dependent)
            self._foreground(resource, obj)

    def _release(self, gone: Object) -> None:
        """Owners that waited for this one, the last of theirs, may go."""
        for reference in _references(gone):
            resource = RESOURCES.get(reference["kind"])
            namespace = gone["metadata"].get("namespace", "")
            owner = self.store.get(resource, namespace, reference["name"]) if resource else None
            if resource and owner is not None and is_ending(owner):
                self._foreground(resource, owner)

    def _foreground(self, resource: str, owner: Object) -> None:
        blocking = [
            key
            for key in self._owned.get(owner["metadata"]["uid"], set())
            if (dependent := self.store.get(*key)) is not None
            and any(one["uid"] == owner["metadata"]["uid"] and one.get("blockOwnerDeletion") for one in _references(dependent))
        ]
        if not blocking and FOREGROUND in (owner["metadata"].get("finalizers") or []):
            self._finish(resource, owner, FOREGROUND)

    def _finish(self, resource: str, obj: Object, finalizer: str) -> None:
        def without(new: Object) -> Object:
            new["metadata"]["finalizers"] = [one for one in new["metadata"].get("finalizers") or [] if one != finalizer]
            return new

        self.store.modify(resource, *name_of(obj), without)


def _references(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def _with_references(obj: Object, references: list[Object]) -> Object:
    obj["metadata"]["ownerReferences"] = references
    if not references:
        del obj["metadata"]["ownerReferences"]
    return obj
