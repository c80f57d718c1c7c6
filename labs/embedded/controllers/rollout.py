"""The arithmetic of a Deployment's rollout: how many Pods of which version, and what its status says. Only computes.

As pkg/controller/deployment/{rolling,recreate,sync,progress}.go and util/deployment_util.go do it.
"""

import json
import math
from dataclasses import dataclass

from labs.embedded.controllers.objects import labels_of
from labs.embedded.store import LETTERS, Object

HASH = "pod-template-hash"


@dataclass(frozen=True)
class Counts:
    """Pods wanted of the new version, and of each old one in the order that they were given."""

    new: int
    old: list[int]


def template_hash(template: Object) -> str:
    """A short name for a Pod template, in the letters of generated names. Not the number that Kubernetes computes."""
    number = 2166136261
    for byte in json.dumps(template, sort_keys=True).encode():  # FNV-1a
        number = (number ^ byte) * 16777619 % 2**32
    return "".join(LETTERS[ord(digit) % len(LETTERS)] for digit in str(number))


def same_template(replica_set: Object, deployment: Object) -> bool:
    """Whether a ReplicaSet is the version that the Deployment asks for."""
    mine, asked = replica_set["spec"]["template"], deployment["spec"]["template"]
    labels = {key: value for key, value in labels_of({"metadata": mine.get("metadata") or {}}).items() if key != HASH}
    metadata = asked.get("metadata") or {}
    annotations = (mine.get("metadata") or {}).get("annotations") or {}
    return (
        mine["spec"] == asked["spec"]
        and labels == (metadata.get("labels") or {})
        and annotations == (metadata.get("annotations") or {})
    )


def surge(spec: Object) -> int:
    """Pods that may be there above the number asked for, while a rollout goes on."""
    if spec.get("strategy", {}).get("type") == "Recreate":
        return 0
    return _resolved(spec)[0]


def _resolved(spec: Object) -> tuple[int, int]:
    rolling = spec.get("strategy", {}).get("rollingUpdate") or {}
    replicas = spec.get("replicas", 1)
    more = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    fewer = _share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return (more, 1) if more == 0 and fewer == 0 else (more, fewer)


def _share(value: int | str, replicas: int, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = int(value.rstrip("%")) * replicas / 100
    return math.ceil(exact) if up else math.floor(exact)


def counts(spec: Object, new: Object | None, old: list[Object], old_pods_left: bool = False) -> Counts:
    """The next step of a rollout. new: the version asked for, None where it is still to be made."""
    wanted = spec.get("replicas", 1)
    there = [_asked(one) for one in old]
    have = _asked(new) if new is not None else 0
    if spec.get("paused"):
        return _scaled(wanted, new, old)
    if spec.get("strategy", {}).get("type") == "Recreate":
        return Counts(have if old_pods_left or any(there) else wanted, [0] * len(old))
    more, fewer = _resolved(spec)
    room = wanted + more - have - sum(there)
    next_new = wanted if have >= wanted else have + max(0, min(room, wanted - have))
    if new is None:
        return Counts(next_new, there)
    return Counts(next_new, _fewer_old(wanted - fewer, new, old))


def _fewer_old(least: int, new: Object, old: list[Object]) -> list[int]:
    """Old Pods go as far as `least` Pods stay available: first those that are not, then the oldest versions'."""
    there = [_asked(one) for one in old]
    removable = sum(there) + _asked(new) - least - max(0, _asked(new) - _available(new))
    for at, one in enumerate(old):
        unhealthy = min(max(0, there[at] - _available(one)), max(0, removable))
        there[at] -= unhealthy
        removable -= unhealthy
    # The counts of available Pods may lag behind what was asked for already: never more than `removable`.
    spare = min(max(0, removable), max(0, _available(new) + sum(_available(one) for one in old) - least))
    for at, one in enumerate(old):
        healthy = min(there[at], _available(one), spare)
        there[at] -= healthy
        spare -= healthy
    return there


def _scaled(wanted: int, new: Object | None, old: list[Object]) -> Counts:
    """Paused: the versions stay as they are; where only one has Pods it takes what is asked for."""
    there = [_asked(one) for one in old]
    have = _asked(new) if new is not None else 0
    active = [at for at, count in enumerate(there) if count]
    if not active:
        return Counts(wanted if new is not None else 0, there)
    if len(active) == 1 and not have:
        there[active[0]] = wanted
    return Counts(have, there)


def status(deployment: Object, new: Object | None, sets: list[Object]) -> Object:
    """The Deployment's status but for its conditions."""
    all_of = {
        field: sum((one.get("status") or {}).get(field, 0) for one in sets)
        for field in ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")
    }
    made = {
        "replicas": all_of["replicas"],
        "updatedReplicas": (new.get("status") or {}).get("replicas", 0) if new is not None else 0,
        "readyReplicas": all_of["readyReplicas"],
        "availableReplicas": all_of["availableReplicas"],
        "unavailableReplicas": max(0, sum(_asked(one) for one in sets) - all_of["availableReplicas"]),
    }
    kept = {field: count for field, count in made.items() if count}
    generation = deployment["metadata"].get("generation", 1)
    return kept | {"observedGeneration": generation, "terminatingReplicas": all_of["terminatingReplicas"]}


def conditions(deployment: Object, status: Object, new: Object | None) -> list[Object]:
    """What Available and Progressing say now, without their times."""
    spec = deployment["spec"]
    wanted = spec.get("replicas", 1)
    fewer = 0 if spec.get("strategy", {}).get("type") == "Recreate" else min(_resolved(spec)[1], wanted)
    enough = status.get("availableReplicas", 0) >= wanted - fewer
    available = {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }
    if new is None:
        return [available]
    done = all(status.get(field, 0) == wanted for field in ("replicas", "updatedReplicas", "availableReplicas"))
    before = (deployment.get("status") or {}).get("conditions") or []
    finished = any(one["type"] == "Progressing" and one.get("reason") == "NewReplicaSetAvailable" for one in before)
    name = f'ReplicaSet "{new["metadata"]["name"]}"'
    if finished and any(one["type"] == "Progressing" and name in one.get("message", "") for one in before):
        done = True  # scaling a version that is out already is no rollout
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
        "message": f"{name} has successfully progressed." if done else f"{name} is progressing.",
    }
    return [available, progressing]


def _asked(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def _available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))
