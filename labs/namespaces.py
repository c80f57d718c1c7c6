"""The namespaces of lessons, and the course's own: made where they are missing, refused where somebody else made them, emptied.

For a cluster of our own. Does not judge whose a namespace is (shared does) or fill it (deploy, checks and providers do).
"""

import math
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs import seats, shared
from labs.cluster import Cluster
from labs.errors import LabError, NotInTime
from labs.waiting import wait_while

GOING = 60.0  # seconds for a namespace of ours that was deleted to be gone
_SYSTEM = {shared.ROLE: "system"}  # the labels of the course's own namespace


def ensure(cluster: Cluster, name: str, lesson: str) -> None:
    """Makes a lesson's namespace where it is missing, after an older one of the course's is gone; returns when Pods may be
    made in it. LabError where somebody else made it, at this very moment too; NotInTime.
    """
    labels = {shared.LESSON: lesson}
    with cluster.answering(f"make namespace {name}"):
        wait_while(lambda: _missing(cluster, name, labels), GOING, lambda _: _late(f"namespace {name} to be gone", GOING))
        limit = 30.0
        late = _late(f"the default ServiceAccount in {name}", limit)
        wait_while(lambda: not seats.may_have_pods(cluster, name), limit, lambda _: late)


def _missing(cluster: Cluster, name: str, labels: dict[str, str]) -> bool:
    found = read(cluster, name)
    if found is None:
        return not _made(cluster, name, labels)
    if not shared.is_lessons(found):
        raise shared.strange_namespace(found)  # if it is being deleted, too: it is not ours to wait for
    return shared.is_going(found)


def check(cluster: Cluster, name: str) -> None:
    """LabError where the namespace is there and somebody else made it: nothing in it may be changed."""
    with cluster.answering(f"read namespace {name}"):
        found = read(cluster, name)
    if found is not None and not shared.is_lessons(found):
        raise shared.strange_namespace(found)


def of_lessons(cluster: Cluster, going: bool = False) -> list[str]:
    """The names of the lessons' namespaces. going: of those that are being deleted, too."""
    with cluster.answering("list the lessons' namespaces"):
        found = cluster.core().list_namespace(label_selector=shared.LESSON).items
    ours = [one for one in found if shared.is_lessons(one) and not shared.is_kubernetes_own(one.metadata.name)]
    return [one.metadata.name for one in ours if going or not shared.is_going(one)]


def ensure_system(cluster: Cluster) -> None:
    """Makes the namespace of the course's own Pods where it is missing. LabError where it is somebody else's; NotInTime."""
    name = seats.SYSTEM_NAMESPACE
    with cluster.answering(f"make namespace {name}"):
        wait_while(lambda: _system_missing(cluster, name), GOING, lambda _: _late(f"namespace {name} to be gone", GOING))


def _system_missing(cluster: Cluster, name: str) -> bool:
    found = read(cluster, name)
    if found is None:
        return not _made(cluster, name, _SYSTEM)
    going = shared.is_going(found)
    if not _SYSTEM.items() <= (found.metadata.labels or {}).items():
        _check_unlabelled(cluster, name)
        if not going:
            cluster.core().patch_namespace(name, {"metadata": {"labels": _SYSTEM}})
    return going


def _check_unlabelled(cluster: Cluster, name: str) -> None:
    """LabError where Pods and Services are in it and none of them is ours. An older version gave it no label, nor does the
    embedded cluster's process, which makes it with our Pods.
    """
    core = cluster.core()
    there = core.list_namespaced_pod(name).items + core.list_namespaced_service(name).items
    if there and not any(shared.ours(one) for one in there):
        raise LabError(
            f"Namespace {name} is not the course's.",
            "The course keeps Pods of its own in a namespace of this name, and this one holds only Pods or Services of others.",
            f"`kubectl -n {name} get pod,svc` shows them. Move them to another namespace, `kubectl delete namespace {name}`, "
            "then `python -m labs up`.",
        )


def read(cluster: Cluster, name: str) -> Any:
    """The V1Namespace, or None where there is none."""
    try:
        return cluster.core().read_namespace(name)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def _made(cluster: Cluster, name: str, labels: dict[str, str]) -> bool:
    """Makes it. False where somebody was quicker: whose it is has to be looked at then."""
    try:
        cluster.core().create_namespace({"metadata": {"name": name, "labels": labels}})
    except ApiException as error:
        if error.status != 409:
            raise
        return False
    return True


def empty(cluster: Cluster, namespace: str, selector: str, limit: float = 60.0, unchanged: float = math.inf) -> None:
    """Deletes the Pods and Services that a label selector matches and returns when they are gone.

    Whoever calls has seen to it that what the selector matches there is the course's. limit in seconds. unchanged: seconds
    without any news of those Pods after which it is given up, too.
    """
    core = cluster.core()
    late = _late(f"the Pods of namespace {namespace} to be gone", min(limit, unchanged))

    def left() -> list[str]:
        return [pod.metadata.resource_version for pod in core.list_namespaced_pod(namespace, label_selector=selector).items]

    with cluster.answering(f"empty namespace {namespace}"):
        for service in core.list_namespaced_service(namespace, label_selector=selector).items:
            core.delete_namespaced_service(service.metadata.name, namespace)
        core.delete_collection_namespaced_pod(namespace, label_selector=selector, grace_period_seconds=1)
        wait_while(left, limit, lambda _: late, unchanged=unchanged)


def _late(what: str, limit: float) -> NotInTime:
    return NotInTime(
        f"Waited {limit:.0f} s for {what}, in vain.",
        "The cluster is very busy, or a finalizer holds it.",
        "Run this again; if it happens twice, `python -m labs up` looks what is wrong with the cluster.",
    )
