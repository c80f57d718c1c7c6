"""Create, update, patch and delete, as the generic registry of the real API server does them. No HTTP, no waiting.

Each call reads and writes the store without a pause, so nothing comes between: there is nothing to try again.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from labs.embedded.api import decode, meta, status
from labs.embedded.api.gotext import parse_uint
from labs.embedded.api.kinds import Kind
from labs.embedded.api.patch import Patch
from labs.embedded.api.status import FieldError, Refused
from labs.embedded.api.strategies import Strategy
from labs.embedded.store import Conflict, Exists, NotFound, Store

Object = dict[str, Any]
SYSTEM = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
UNDELETABLE = ("default", "kube-system", "kube-public")


@dataclass(frozen=True)
class Options:
    """What a client may ask of a write."""

    dry_run: bool = False
    field_validation: str = ""


@dataclass
class Written:
    """An object as it is now, and what the client is warned of. created: by an update of what was not there."""

    object: Object
    warnings: list[str]
    created: bool = False


@dataclass(frozen=True)
class DeleteOptions:
    """As in meta/v1."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""
    dry_run: bool = False


class Crud:
    """Writes of objects. `strategies`: by resource. `gone` is told of Pods that a client has removed at once."""

    def __init__(self, store: Store, strategies: dict[str, Strategy]) -> None:
        self.store, self.strategies = store, strategies

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object. Raises Refused (404)."""
        found = self.store.get(kind.plural, namespace, name)
        if found is None:
            raise status.not_found(kind.plural, name, kind.group)
        return found

    def create(self, kind: Kind, namespace: str, given: Object, unknown: list[str], options: Options) -> Written:
        """A new object out of a decoded body."""
        with _warned(decode.strict(unknown, options.field_validation, kind)) as warnings:
            return self._create(kind, namespace, given, warnings, options)

    def _create(self, kind: Kind, namespace: str, given: Object, warnings: list[str], options: Options) -> Written:
        new, strategy = copy.deepcopy(given), self.strategies[kind.plural]
        metadata = self._place(kind, namespace, new)
        self._namespace_takes(kind, namespace, metadata.get("name", ""))
        for name in (*SYSTEM, "resourceVersion"):
            if metadata.pop(name, None) and name == "resourceVersion" and not options.dry_run:
                raise Refused(500, "", "resourceVersion should not be set on objects to be created")
        if metadata.get("generateName") and not metadata.get("name"):
            metadata["name"] = self.store.generated(kind.plural, namespace, metadata["generateName"])
        strategy.default(new)
        strategy.begin(new, None, options.dry_run)
        strategy.prepare(new, None)
        errors = meta.errors(metadata, kind.namespaced, strategy.name_errors) + strategy.validate(new, None)
        self._valid(kind, new, errors)
        strategy.finish(new)
        warnings += strategy.warnings(new, None)
        if self.store.get(kind.plural, namespace, metadata.get("name", "")):
            raise self._exists(kind, namespace, metadata["name"])
        if options.dry_run:
            return Written(_as_if(new), warnings)
        try:
            return Written(self.store.create(kind.plural, new), warnings)
        except Exists:
            raise self._exists(kind, namespace, metadata.get("name", "")) from None

    def update(
        self, kind: Kind, namespace: str, name: str, given: Object, unknown: list[str], options: Options, part: str = ""
    ) -> Written:
        """The object, or its subresource `status`, as in a decoded body."""
        with _warned(decode.strict(unknown, options.field_validation, kind)) as warnings:
            return self._update(kind, namespace, name, given, warnings, options, part)

    def _update(
        self, kind: Kind, namespace: str, name: str, given: Object, warnings: list[str], options: Options, part: str
    ) -> Written:
        new, strategy = copy.deepcopy(given), self.strategies[kind.plural]
        metadata = self._place(kind, namespace, new)
        if not metadata.get("name"):
            raise status.bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
        if metadata["name"] != name:
            raise status.bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
        old = self.store.get(kind.plural, namespace, name)
        if old is None:
            if strategy.create_by_update and not part:
                made = self._create(kind, namespace, given, warnings, options)
                made.created = True
                return made
            raise status.not_found(kind.plural, name, kind.group)
        self._same(kind, old, metadata)
        _keep_system(metadata, old["metadata"])
        strategy.default(new)
        if part == "status":
            strategy.prepare_status(new, old)
        else:
            strategy.begin(new, old, options.dry_run)
            strategy.prepare(new, old)
        errors = meta.update_errors(metadata, old["metadata"])
        self._valid(kind, new, errors + (strategy.validate_status if part == "status" else strategy.validate)(new, old))
        strategy.finish(new)
        warnings += [] if part == "status" else strategy.warnings(new, old)
        if options.dry_run:
            return Written({**new, "metadata": {**metadata, "resourceVersion": old["metadata"]["resourceVersion"]}}, warnings)
        try:
            return Written(self.store.update(kind.plural, new), warnings)
        except Conflict:
            raise status.conflict(kind.plural, name, kind.group) from None
        except NotFound:
            raise status.not_found(kind.plural, name, kind.group) from None

    def patch(self, kind: Kind, namespace: str, name: str, change: Patch, options: Options, part: str = "") -> Written:
        """The object as a patch makes it of the stored one."""
        change.check()
        old = self.get(kind, namespace, name)
        new, unknown = change.applied(old, kind, options.field_validation)
        return self.update(kind, namespace, name, new, unknown, options, part)

    def delete(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> tuple[Object, bool]:
        """Removes an object, or marks it. Gives it, and whether it is gone."""
        old = self.get(kind, namespace, name)
        metadata = old["metadata"]
        self._preconditions(kind, metadata, options)
        if kind.plural == "namespaces" and name in UNDELETABLE:
            raise status.denied(kind.plural, name, "this namespace may not be deleted")
        finalizers = _finalizers(metadata.get("finalizers") or [], options.propagation)
        grace = _grace(kind, old, options.grace)
        waits = bool(finalizers) or grace > 0 or (kind.plural == "namespaces" and bool(old.get("spec", {}).get("finalizers")))
        if waits or kind.plural == "pods":  # a Pod is marked even where it goes at once
            old = self._marked(kind, old, finalizers, grace)
        if options.dry_run:
            return old, not waits
        if waits or kind.plural == "pods":
            old = self.store.update(kind.plural, old)
        if not waits:
            removed = self.store.remove(kind.plural, namespace, name)
            return removed or old, True
        return old, False

    def _marked(self, kind: Kind, old: Object, finalizers: list[str], grace: int) -> Object:
        new = copy.deepcopy(old)
        metadata = new["metadata"]
        if finalizers:
            metadata["finalizers"] = finalizers
        before = metadata.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" not in metadata or (before is not None and grace < before):
            moment = datetime.now(UTC) + timedelta(seconds=grace)
            if "deletionTimestamp" in metadata and before is not None:
                first = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=before)
                moment = first + timedelta(seconds=grace)
            metadata["deletionTimestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            if kind.plural != "namespaces":
                metadata["deletionGracePeriodSeconds"] = grace
        if kind.plural == "namespaces":
            new.setdefault("status", {})["phase"] = "Terminating"
        return new

    def _place(self, kind: Kind, namespace: str, new: Object) -> Object:
        metadata: Object = new.setdefault("metadata", {})
        if kind.namespaced and metadata.setdefault("namespace", namespace) != namespace:
            raise status.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        return metadata

    def _namespace_takes(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        found = self.store.get("namespaces", "", namespace)
        if found is None:
            raise status.not_found("namespaces", namespace)
        if found["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            refused = status.denied(kind.plural, name, why, kind.group)
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            refused.details = {**(refused.details or {}), "causes": [cause]}
            raise refused

    def _same(self, kind: Kind, old: Object, metadata: Object) -> None:
        stored, name = old["metadata"], old["metadata"]["name"]
        if metadata.get("uid") and metadata["uid"] != stored["uid"]:
            why = (
                f"StorageError: invalid object, Code: 4, Key: {_key(kind, stored)}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {stored['uid']}"
            )
            raise status.conflict(kind.plural, name, kind.group, why)
        revision = metadata.get("resourceVersion") or stored["resourceVersion"]
        try:
            parse_uint(revision)
        except ValueError as error:
            raise Refused(500, "", str(error)) from None
        if revision not in ("0", stored["resourceVersion"]):
            raise status.conflict(kind.plural, name, kind.group)
        metadata["resourceVersion"] = stored["resourceVersion"]

    def _valid(self, kind: Kind, new: Object, errors: list[FieldError]) -> None:
        if errors:
            raise status.invalid_object(kind.kind, new["metadata"].get("name", ""), errors, kind.group)

    def _exists(self, kind: Kind, namespace: str, name: str) -> Refused:
        refused = status.already_exists(kind.plural, name, kind.group)
        found = self.store.get(kind.plural, namespace, name)
        if found and found["metadata"].get("deletionTimestamp"):
            refused.message = "object is being deleted: " + refused.message
        return refused

    def _preconditions(self, kind: Kind, metadata: Object, options: DeleteOptions) -> None:
        for asked, name, what, came in (
            (options.uid, "uid", "UID", "have been deleted and then recreated"),
            (options.revision, "resourceVersion", "ResourceVersion", "have been modified"),
        ):
            if asked and asked != metadata[name]:
                why = f"the {what} in the precondition ({asked}) does not match the {what} in record ({metadata[name]})."
                why += f" The object might {came}"
                raise status.conflict(kind.kind, metadata["name"], kind.group, why)


@contextmanager
def _warned(warnings: list[str]) -> Iterator[list[str]]:
    """Warnings go out with a refusal, too."""
    try:
        yield warnings
    except Refused as refused:
        refused.warnings = warnings
        raise


def _key(kind: Kind, metadata: Object) -> str:
    """Where the real server keeps an object: shown in one of its refusals."""
    place = {"services": "services/specs", "endpoints": "services/endpoints", "nodes": "minions"}.get(kind.plural, kind.plural)
    parts = ["/registry", place, metadata.get("namespace"), metadata["name"]]
    return "/".join(part for part in parts if part)


def _grace(kind: Kind, old: Object, asked: int | None) -> int:
    """Seconds that an object has until it goes: Pods that run somewhere, and no other kind (pkg/registry/core/pod)."""
    if kind.plural != "pods":
        return 0
    spec = old.get("spec", {})
    grace = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    if not spec.get("nodeName") or old.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    before = old["metadata"].get("deletionGracePeriodSeconds")
    return int(min(grace, before)) if before is not None else max(0, int(grace))


def _finalizers(has: list[str], propagation: str) -> list[str]:
    """The finalizers with which an object is marked: garbage collection has two of its own."""
    kept = [one for one in has if one not in ("orphan", "foregroundDeletion")]
    own = {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"], "Background": []}
    return kept + own.get(propagation, [one for one in has if one in ("orphan", "foregroundDeletion")])


def _keep_system(metadata: Object, old: Object) -> None:
    for name in SYSTEM:
        metadata.pop(name, None)
        if name in old:
            metadata[name] = old[name]


def _as_if(new: Object) -> Object:
    """What a dry run of a create shows: as if it had been stored."""
    store = Store()
    made = store.create("dry", new)
    del made["metadata"]["resourceVersion"]
    return made
