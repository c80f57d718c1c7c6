"""A Pod's status from what is known of its containers. Only computes.

As pkg/kubelet/kubelet_pods.go (getPhase) and pkg/kubelet/status/generate.go have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labs.embedded.api import quantities

Object = dict[str, Any]


@dataclass
class Containers:
    """The containers of a Pod as they are: `status.containerStatuses`, and those of init containers."""

    init: list[Object] = field(default_factory=list)
    main: list[Object] = field(default_factory=list)


def of_container(status: Object, spec: Object) -> Object:
    """A container's status with what of its spec the kubelet repeats there: mounts, and what it may use once it was started."""
    made = dict(status)
    if "containerID" in status:
        given = spec.get("resources") or {}
        made |= {"allocatedResources": given["requests"]} if given.get("requests") else {}
        made["resources"] = {part: given[part] for part in ("limits", "requests") if given.get(part)}
    if mounts := spec.get("volumeMounts"):
        made["volumeMounts"] = [_mount(one) for one in mounts]
    return made


def _mount(given: Object) -> Object:
    made = {"name": given["name"], "mountPath": given["mountPath"]}
    return made | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if given.get("readOnly") else {})


def resources(containers: Sequence[Object]) -> Object:
    """What the Pod itself says of what its containers may use: the sums of theirs, once one of them was started."""
    started = [one["resources"] for one in containers if "resources" in one]
    if not started:
        return {}
    sums = {part: _sums([one[part] for one in started if part in one]) for part in ("limits", "requests")}
    made: Object = {"resources": {part: amounts for part, amounts in sums.items() if amounts}}
    return made | ({"allocatedResources": sums["requests"]} if sums["requests"] else {})


def _sums(amounts: Sequence[Object]) -> Object:
    found: dict[str, list[str]] = {}
    for one in amounts:
        for name, amount in one.items():
            found.setdefault(name, []).append(amount)
    return {name: quantities.total(some) for name, some in found.items()}


def phase(containers: Containers, restart_policy: str) -> str:
    """The Pod's phase."""
    for one in containers.init:
        terminated = one["state"].get("terminated")
        if terminated is None:
            return "Pending"
        if terminated["exitCode"] != 0:
            return "Failed" if restart_policy == "Never" else "Pending"
    running = stopped = failed = waiting = 0
    for one in containers.main:
        state, last = one["state"], one["lastState"].get("terminated")
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            failed += state["terminated"]["exitCode"] != 0
        elif last is not None:
            stopped += 1
            failed += 1
        else:
            waiting += 1
    if waiting or not containers.main:
        return "Pending"
    if running or restart_policy == "Always":
        return "Running"
    if not failed:
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def conditions(
    old: Sequence[Object], generation: int, containers: Containers, the_phase: str, network: bool, now: str
) -> list[Object]:
    """The Pod's conditions; lastTransitionTime stays where the status does. network: whether its sandbox is there."""
    unready = [one["name"] for one in containers.main if not one["ready"]]
    waiting = [one["name"] for one in containers.init if not one["ready"]]
    if the_phase == "Succeeded":
        is_ready: Object = {"status": "False", "reason": "PodCompleted"}
    elif the_phase == "Failed":
        is_ready = {"status": "False", "reason": "PodFailed"}
    elif unready:
        words = f"containers with unready status: [{' '.join(unready)}]"
        is_ready = {"status": "False", "reason": "ContainersNotReady", "message": words}
    else:
        is_ready = {"status": "True"}
    initialized: Object = {"status": "True"}
    if waiting and the_phase == "Pending":
        words = f"containers with incomplete status: [{' '.join(waiting)}]"
        initialized = {"status": "False", "reason": "ContainersNotInitialized", "message": words}
    elif the_phase == "Succeeded":
        initialized = {"status": "True", "reason": "PodCompleted"}
    wanted = {
        "PodReadyToStartContainers": {"status": "True" if network else "False"},
        "Initialized": initialized,
        "Ready": is_ready,
        "ContainersReady": is_ready,
        "PodScheduled": {"status": "True"},
    }
    before = {one["type"]: one for one in old}
    found = [_condition(kind, facts, before.get(kind), generation, now) for kind, facts in wanted.items()]
    return found + [one for one in old if one["type"] not in wanted]


def with_disruption(conditions: Sequence[Object], message: str, now: str) -> list[Object]:
    """The conditions, and that the kubelet ends the Pod, where there is a message that says why."""
    if not message or any(known["type"] == "DisruptionTarget" for known in conditions):
        return list(conditions)
    facts = {"status": "True", "reason": "TerminationByKubelet", "message": message}
    moments = {"lastProbeTime": None, "lastTransitionTime": now}
    return [*conditions, {"type": "DisruptionTarget", **moments, **facts}]


def _condition(kind: str, facts: Object, before: Object | None, generation: int, now: str) -> Object:
    kept = before is not None and before["status"] == facts["status"]
    return {
        "type": kind,
        "observedGeneration": generation,
        "lastProbeTime": None,
        "lastTransitionTime": before["lastTransitionTime"] if kept and before else now,
        **facts,
    }
