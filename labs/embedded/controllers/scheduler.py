"""Gives Pods their node (pkg/scheduler): of the nodes that take it, the one with fewest of its kind, then with fewest Pods.

Looks at cordons, taints, nodeSelector, required node affinity and host ports, and says in the real words why no node takes a
Pod. Knows nothing of resources, priorities or affinity between Pods.
"""

from collections.abc import Iterator
from typing import Any

from labs.embedded.controllers.events import Recorder
from labs.embedded.controllers.objects import controller_of, fulfils, has_labels, is_ending, is_over, labels_of, set_condition
from labs.embedded.store import Event, Object, Store, now

NAME = "default-scheduler"
SELECTOR = "node(s) didn't match Pod's node affinity/selector"
PORTS = "node(s) didn't have free ports for the requested pod ports"
CORDONED = "node(s) were unschedulable"
# Where another Pod's end could help: the scheduler looks for one of lower priority to end, and there is none.
_MENDED_BY_AN_END = (PORTS,)


class Scheduler:
    """Binds Pods to nodes."""

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store = store
        self.events = Recorder(store, NAME)
        self._all()
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "nodes":
            self._all()
        elif event.resource == "pods":
            ended = event.type == "DELETED" or (is_over(event.object) and event.old is not None and not is_over(event.old))
            if ended:
                self._all()
            elif self._waits(event.object):
                self._place(event.object)

    def _all(self) -> None:
        waiting = [pod for pod in self.store.list("pods") if self._waits(pod)]
        for pod in sorted(waiting, key=lambda one: str(one["metadata"]["creationTimestamp"])):
            self._place(pod)

    def _waits(self, pod: Object) -> bool:
        spec = pod["spec"]
        mine = spec.get("schedulerName", NAME) == NAME and not spec.get("nodeName") and not spec.get("schedulingGates")
        return mine and not is_ending(pod) and not is_over(pod)

    def _place(self, pod: Object) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        current = self.store.get("pods", namespace, name)
        if current is None or not self._waits(current):
            return  # this event is older than what was done since
        nodes, others = self.store.list("nodes"), self.store.list("pods")
        why = {node["metadata"]["name"]: refusal(current, node, others) for node in nodes}
        fitting = [node for node, reason in why.items() if reason is None]
        if fitting:
            self._bind(current, min(fitting, key=lambda node: crowding(current, node, others)))
        else:
            self._refuse(current, [reason for reason in why.values() if reason])

    def _bind(self, pod: Object, node: str) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]

        def change(new: Object) -> Object:
            new["spec"]["nodeName"] = node
            return _with_condition(new, {"type": "PodScheduled", "status": "True"})

        self.store.modify("pods", namespace, name, change)
        self.events.event("Pod", pod, "Normal", "Scheduled", f"Successfully assigned {namespace}/{name} to {node}")

    def _refuse(self, pod: Object, reasons: list[str]) -> None:
        message = unschedulable(reasons)
        conditions = (pod.get("status") or {}).get("conditions") or []
        if any(one["type"] == "PodScheduled" and one.get("message") == message for one in conditions):
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self.store.modify(
            "pods", pod["metadata"]["namespace"], pod["metadata"]["name"], lambda new: _with_condition(new, condition)
        )
        self.events.event("Pod", pod, "Warning", "FailedScheduling", message)


def refusal(pod: Object, node: Object, others: list[Object]) -> str | None:
    """Why a node does not take the Pod, in the scheduler's words; None where it does."""
    taints = [one for one in node["spec"].get("taints") or [] if one["effect"] in ("NoSchedule", "NoExecute")]
    tolerations = pod["spec"].get("tolerations") or []
    if node["spec"].get("unschedulable") and not _tolerated(
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, tolerations
    ):
        return CORDONED
    untolerated = next((one for one in taints if not _tolerated(one, tolerations)), None)
    if untolerated is not None:
        return f"node(s) had untolerated taint(s) {{{untolerated['key']}: {untolerated.get('value', '')}}}"
    if not _selects(pod, node):
        return SELECTOR
    here = [one for one in others if one["spec"].get("nodeName") == node["metadata"]["name"] and not is_over(one)]
    taken = {port for one in here for port in host_ports(one)}
    if any(_clash(mine, theirs) for mine in host_ports(pod) for theirs in taken):
        return PORTS
    return None


def unschedulable(reasons: list[str]) -> str:
    """The scheduler's message, from one reason a node."""
    if not reasons:
        return "no nodes available to schedule pods"
    total = len(reasons)
    preemption = [
        "No preemption victims found for incoming pod"
        if one in _MENDED_BY_AN_END
        else "Preemption is not helpful for scheduling"
        for one in reasons
    ]
    none = f"0/{total} nodes are available: "
    return f"{none}{_counted(reasons)}. preemption: {none}{_counted(preemption)}."


def crowding(pod: Object, node: str, others: list[Object]) -> tuple[int, int, int]:
    """How little a node suits: Pods of the same owner or labels on it, then Pods of the namespace, then all Pods."""
    here = [one for one in others if one["spec"].get("nodeName") == node and not is_over(one) and not is_ending(one)]
    near = [one for one in here if one["metadata"]["namespace"] == pod["metadata"]["namespace"]]
    owner = controller_of(pod)
    if owner is not None:
        alike = [one for one in near if (other := controller_of(one)) is not None and other["uid"] == owner["uid"]]
    else:
        labels = labels_of(pod)
        alike = [one for one in near if labels and has_labels(labels_of(one), labels)]
    return len(alike), len(near), len(here)


def host_ports(pod: Object) -> Iterator[tuple[str, str, int]]:
    """The node's ports that a Pod takes: address ("0.0.0.0": all), protocol, number."""
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            number = port.get("hostPort") or (port["containerPort"] if pod["spec"].get("hostNetwork") else 0)
            if number:
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), number


def _clash(mine: tuple[str, str, int], theirs: tuple[str, str, int]) -> bool:
    everywhere = "0.0.0.0" in (mine[0], theirs[0])
    return mine[1:] == theirs[1:] and (everywhere or mine[0] == theirs[0])


def _selects(pod: Object, node: Object) -> bool:
    spec, labels = pod["spec"], labels_of(node)
    if not has_labels(labels, spec.get("nodeSelector") or {}):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(fulfils(one, labels) for one in term.get("matchExpressions") or [])
        and all(fulfils(one, fields) for one in term.get("matchFields") or [])
        for term in required["nodeSelectorTerms"]
        if term
    )


def _tolerated(taint: Object, tolerations: list[Object]) -> bool:
    def takes(one: Object) -> bool:
        if one.get("effect") not in (None, "", taint["effect"]) or one.get("key") not in (None, "", taint["key"]):
            return False
        return one.get("operator") == "Exists" or (bool(one.get("key")) and one.get("value", "") == taint.get("value", ""))

    return any(takes(one) for one in tolerations)


def _counted(words: list[str]) -> str:
    return ", ".join(sorted(f"{words.count(one)} {one}" for one in set(words)))


def _with_condition(pod: Object, condition: dict[str, Any]) -> Object:
    status = pod.setdefault("status", {})
    status.setdefault("phase", "Pending")
    full = {"lastProbeTime": None, "lastTransitionTime": now(), "observedGeneration": pod["metadata"].get("generation", 1)}
    status["conditions"] = set_condition(status.get("conditions") or [], full | condition)
    return pod
