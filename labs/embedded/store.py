"""The objects of the embedded cluster, in memory, with their revisions and the history that watches are served from.

Does no I/O and knows no HTTP, no defaults and no validation: those are the API's, which is the one way in for clients;
controllers and nodes write here directly. Objects are plain dicts, as in JSON, and one that is stored is never changed:
every writer makes a copy. For use by one thread (the event loop's).
"""

import copy
import logging
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

log = logging.getLogger(__name__)

Object = dict[str, Any]
HISTORY = 1024  # events kept for `since`, of up to 10 KB each; the real server keeps five minutes of them
# The letters of generated names: no vowels, so no words (apimachinery/pkg/util/rand).
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
GENERATED = 5  # letters added to `generateName`
LONGEST_BASE = 58  # 63, a name's greatest length, without them
# Where `metadata.generation` counts the changes, and of what (pkg/registry/*/*/strategy.go).
COUNTED: dict[str, tuple[str, ...]] = {
    "pods": ("spec",),
    "deployments": ("spec",),
    "replicasets": ("spec",),
    "endpointslices": ("endpoints", "ports", "labels"),
}


@dataclass(frozen=True)
class Event:
    """One change. `object` is the object after it (before it, with the removal's revision, where it was removed)."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: str
    object: Object
    old: Object | None
    revision: int


class StoreError(Exception):
    """What was asked cannot be done with what is stored."""


class Exists(StoreError):
    """There is an object of that name already."""


class NotFound(StoreError):
    """There is no object of that name."""


class Conflict(StoreError):
    """The object was changed since the caller read it, or it is not the one that was meant (uid)."""


class TooOld(StoreError):
    """The history does not go back to that revision."""


class Store:
    """All objects by resource (plural, as in the API's paths), namespace ("" where it has none) and name."""

    def __init__(self) -> None:
        self.revision = 1
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._forgotten = 1  # the newest revision whose event may be gone
        self._subscribers: list[Callable[[Event], None]] = []
        self._untold: deque[Event] = deque()
        self._telling = False

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """The object, not to be changed in place; None where there is none."""
        return self._objects.get(resource, {}).get((namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """The objects of a namespace, of all where it is None; by namespace and name."""
        found = self._objects.get(resource, {})
        keys = sorted(found) if namespace is None else sorted(key for key in found if key[0] == namespace)
        return [found[key] for key in keys]

    def create(self, resource: str, obj: Object) -> Object:
        """Stores a new object, with a uid, its time and its revision; `generateName` becomes a name. Raises Exists."""
        made = copy.deepcopy(obj)
        metadata = made.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self.generated(resource, metadata.get("namespace", ""), metadata["generateName"])
        key = _key(made)
        if key in self._objects.get(resource, {}):
            raise Exists(metadata["name"])
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now()
        if resource in COUNTED:
            metadata["generation"] = 1
        return self._keep("ADDED", resource, made, None)

    def update(self, resource: str, obj: Object) -> Object:
        """Stores a changed object and gives it back as stored; one that is the same keeps its revision.

        Raises NotFound, and Conflict where `metadata.resourceVersion` (or uid) is given and another one is stored. What is
        marked for deletion, with no grace left, goes when its last finalizer does.
        """
        metadata = obj["metadata"]
        old = self.get(resource, *_key(obj))
        if old is None:
            raise NotFound(metadata["name"])
        if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise Conflict(metadata["name"])
        if metadata.get("resourceVersion") and metadata["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Conflict(metadata["name"])
        new = copy.deepcopy(obj)
        for name in ("uid", "creationTimestamp", "resourceVersion", "generation"):
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        if _ended(old) and not new["metadata"].get("finalizers"):
            return self._drop(resource, old, new)
        if new == old:
            return old
        if resource in COUNTED and _counts(resource, old, new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        return self._keep("MODIFIED", resource, new, old)

    def modify(self, resource: str, namespace: str, name: str, change: Callable[[Object], Object | None]) -> Object | None:
        """Reads, lets `change` work on a copy (None: leave it) and stores that. None where it is gone or left as it was."""
        old = self.get(resource, namespace, name)
        if old is None:
            return None
        new = change(copy.deepcopy(old))
        if new is None:
            return None
        new["metadata"]["resourceVersion"] = ""
        stored = self.update(resource, new)
        return None if stored is old else stored

    def remove(self, resource: str, namespace: str, name: str) -> Object | None:
        """Takes an object away at once, whatever its finalizers; gives it back, None where there was none."""
        old = self.get(resource, namespace, name)
        return None if old is None else self._drop(resource, old, copy.deepcopy(old))

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Calls `callback` with each event from now on, in their order; gives the function that ends it.

        Events that callbacks cause are told after the one that is being told. One that raises is logged: it must not undo
        a write that others have seen.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def since(self, revision: int) -> Sequence[Event]:
        """The events after a revision. Raises TooOld where some of them are forgotten."""
        if revision < self._forgotten:
            raise TooOld(str(revision))
        return [event for event in self._history if event.revision > revision]

    @property
    def oldest(self) -> int:
        """The oldest revision that `since` can answer for."""
        return self._forgotten

    def generated(self, resource: str, namespace: str, base: str) -> str:
        """A name of that beginning that no object has. Raises Exists where none is found."""
        for _ in range(8):
            name = base[:LONGEST_BASE] + "".join(secrets.choice(LETTERS) for _ in range(GENERATED))
            if self.get(resource, namespace, name) is None:
                return name
        raise Exists(base)

    def _keep(self, type: Literal["ADDED", "MODIFIED"], resource: str, new: Object, old: Object | None) -> Object:
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        self._objects.setdefault(resource, {})[_key(new)] = new
        self._tell(Event(type, resource, new, old, self.revision))
        return new

    def _drop(self, resource: str, old: Object, last: Object) -> Object:
        self.revision += 1
        last["metadata"]["resourceVersion"] = str(self.revision)
        del self._objects[resource][_key(old)]
        self._tell(Event("DELETED", resource, last, old, self.revision))
        return last

    def _tell(self, event: Event) -> None:
        if len(self._history) == HISTORY:
            self._forgotten = self._history[0].revision
        self._history.append(event)
        self._untold.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                told = self._untold.popleft()
                for callback in list(self._subscribers):
                    try:
                        callback(told)
                    except Exception:
                        log.exception("a subscriber failed on %s %s", told.type, told.resource)
        finally:
            self._telling = False


def now() -> str:
    """This moment as Kubernetes writes it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _ended(obj: Object) -> bool:
    metadata = obj["metadata"]
    return "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds", 0) == 0 and "finalizers" in metadata


def _counts(resource: str, old: Object, new: Object) -> bool:
    if old["metadata"].get("deletionTimestamp") != new["metadata"].get("deletionTimestamp"):
        return True
    return any(_part(old, part) != _part(new, part) for part in COUNTED[resource])


def _part(obj: Object, part: str) -> Any:
    if part == "labels":
        return obj["metadata"].get(part)
    if part == "spec" and obj.get("kind") == "Pod":
        return {name: value for name, value in obj.get("spec", {}).items() if name != "nodeName"}  # a binding is not counted
    return obj.get(part)
