"""What controllers ask of objects: does a selector match, is a Pod ready, who owns it; and how they delete one.

Only reads and builds dicts, but for `delete`, which writes to the store as a client's DELETE would.
"""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from labs.embedded.store import Object, Store

API_VERSIONS = {  # of the kinds that controllers make or speak of
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Endpoints": "v1",
    "Event": "v1",
    "Namespace": "v1",
    "Node": "v1",
    "Pod": "v1",
    "ReplicaSet": "apps/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
}
DEFAULT_GRACE = 30  # seconds


def name_of(obj: Object) -> tuple[str, str]:
    """Its namespace ("" where it has none) and its name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def labels_of(obj: Object) -> dict[str, str]:
    """Its labels."""
    return obj["metadata"].get("labels") or {}


def has_labels(labels: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether all the wanted labels are there, as a Service's selector asks."""
    return all(labels.get(key) == value for key, value in wanted.items())


def selected(selector: Object | None, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) takes these labels. One that is empty takes everything."""
    selector = selector or {}
    if not has_labels(labels, selector.get("matchLabels") or {}):
        return False
    return all(fulfils(one, labels) for one in selector.get("matchExpressions") or [])


def fulfils(requirement: Object, labels: dict[str, str]) -> bool:
    """Whether labels fulfil one requirement: operator In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    key, operator, values = requirement["key"], requirement["operator"], requirement.get("values") or []
    there = labels.get(key)
    if operator == "Exists":
        return there is not None
    if operator == "DoesNotExist":
        return there is None
    if operator == "NotIn":
        return there not in values
    if operator == "In":
        return there in values
    try:
        return there is not None and (int(there) > int(values[0]) if operator == "Gt" else int(there) < int(values[0]))
    except ValueError:
        return False


def is_ready(pod: Object) -> bool:
    """Whether the Pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_over(pod: Object) -> bool:
    """Whether all of the Pod's containers have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ending(obj: Object) -> bool:
    """Whether it is marked for deletion."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the controller that manages it."""
    return next((one for one in obj["metadata"].get("ownerReferences") or [] if one.get("controller")), None)


def owned_by(obj: Object, kind: str) -> Object:
    """The owner reference that names `obj`, a `kind`, as the controller."""
    return {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def set_condition(conditions: list[Object], new: Object) -> list[Object]:
    """The conditions with one of them set. Its lastTransitionTime stays where its status does."""
    old = next((one for one in conditions if one["type"] == new["type"]), None)
    if old is not None and old["status"] == new["status"]:
        new = new | {"lastTransitionTime": old.get("lastTransitionTime")}
        return [new if one is old else one for one in conditions]
    return [one for one in conditions if one is not old] + [new]


def delete(store: Store, resource: str, obj: Object) -> None:
    """Deletes as a client does: a Pod that runs gets its grace period, what has finalizers is marked, anything else goes."""
    metadata = obj["metadata"]
    running = resource == "pods" and bool(obj["spec"].get("nodeName")) and not is_over(obj)
    grace = obj["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE) if running else 0
    if not grace and not metadata.get("finalizers"):
        store.remove(resource, *name_of(obj))
        return
    if is_ending(obj):
        return

    def mark(new: Object) -> Object:
        new["metadata"]["deletionTimestamp"] = stamp(datetime.now(UTC) + timedelta(seconds=grace))
        new["metadata"]["deletionGracePeriodSeconds"] = grace
        return new

    store.modify(resource, *name_of(obj), mark)


def stamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def put(store: Store, resource: str, obj: Object, old: Object | None, parts: tuple[str, ...]) -> Object:
    """Creates, or updates where one of the parts ("metadata.labels" or a top-level field) is another one; as it is then."""
    if old is None:
        return store.create(resource, obj)
    if all(_part(old, part) == _part(obj, part) for part in parts):
        return old
    new = copy.deepcopy(old)
    for part in parts:
        _copy_part(obj, new, part)
    new["metadata"]["resourceVersion"] = ""
    return store.update(resource, new)


def _part(obj: Object, part: str) -> Any:
    at: Any = obj
    for name in part.split("."):
        at = (at or {}).get(name)
    return at


def _copy_part(source: Object, target: Object, part: str) -> None:
    *path, last = part.split(".")
    for name in path:
        source, target = source.get(name) or {}, target.setdefault(name, {})
    if last in source:
        target[last] = source[last]
    else:
        target.pop(last, None)
