"""Makes an exercise's broken state in a namespace of its own, from whatever was there before. Grades nothing."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

from kubernetes.client import AppsV1Api
from kubernetes.client.exceptions import ApiException

from labs import addresses, seats
from labs.checks.exercise import BEGUN, CLIENTS_NODE, HOSTNAME, OTHER_NODE, Awaited, Exercise, Needs
from labs.cluster import Cluster, NotHere
from labs.deploy import ARTICLE_NODE_PORT, Lesson, Manifest
from labs.errors import LabError, NotInTime
from labs.waiting import wait_while

LIMIT = 60.0  # seconds


def why_not(cluster: Cluster, exercise: Exercise, node_ports_allowed: bool) -> str:
    """Why the exercise cannot be tried on this cluster, in its own words; "" where it can."""
    for need in exercise.needs:
        if not _has(cluster, need, node_ports_allowed):
            return str(need)
    return ""


def _has(cluster: Cluster, need: Needs, node_ports_allowed: bool) -> bool:
    match need:
        case Needs.TWO_NODES:
            return len(cluster.nodes) > 1
        case Needs.MACHINE:
            return not isinstance(cluster.elsewhere(["true"]), NotHere)
        case Needs.LAPTOP:
            return not isinstance(cluster.outside(ARTICLE_NODE_PORT), NotHere)
        case Needs.HOST_PORT:
            return cluster.node_seat is None  # both take Pods that are not under Pod Security *restricted*
        case Needs.NODE_PORT:
            return cluster.namespace is None or node_ports_allowed


def break_it(lesson: Lesson, exercise: Exercise, begun: str) -> None:
    """Empties the lesson's namespace, makes the exercise's objects there, and returns when its state is what it should be.

    begun: noted on each object, so that another beginning of the same exercise is told from this one. NotInTime, Refused.
    """
    lesson.prepare()
    needed = article_addresses(exercise)
    if needed and lesson.cluster.namespace is None:
        lesson.claim_article_addresses(needed)  # before anything is removed: they may be somebody else's
    empty(lesson)
    make_client(lesson)
    for manifest in exercise.objects:
        body = placed(manifest, lesson)
        body["metadata"]["annotations"] = {**(body["metadata"].get("annotations") or {}), BEGUN: begun}
        lesson.apply(body, wait=False)
    pods = [one["metadata"]["name"] for one in exercise.of_kind("Pod")]
    ready = [name for name in pods if exercise.awaited.get(name, Awaited.READY) is Awaited.READY]
    seats.wait_ready(lesson.cluster, lesson.namespace, [seats.CLIENT, *ready], LIMIT)
    for name in pods:
        if name not in ready:
            await_pod(lesson, name, exercise.awaited[name])
    lesson.settled()


def article_addresses(exercise: Exercise) -> addresses.Addresses:
    """Which of the article's ClusterIP and the one node port that leads to the laptop the exercise has to do with."""
    of_laptop = addresses.THE_NODE_PORT if Needs.LAPTOP in exercise.needs else addresses.NONE
    return of_laptop.union(*map(addresses.wanted, exercise.of_kind("Service")))


def make_client(lesson: Lesson) -> None:
    """Makes the client Pod where it is missing; does not wait until it is Ready."""
    with lesson.cluster.answering("make the client Pod"):
        seats.create(lesson.cluster.core(), lesson.namespace, seats.client_pod())


def clients_node(lesson: Lesson) -> str:
    """The name of the client Pod's node, as soon as the scheduler has put it on one. NotInTime."""
    found: list[str] = []

    def nowhere() -> str:
        pod = seats.pod_or_none(lesson.cluster, lesson.namespace, seats.CLIENT)
        found[:] = [pod.spec.node_name] if pod is not None and pod.spec.node_name else []
        return "" if found else "the scheduler has put it on no node yet"

    with lesson.cluster.answering("read the client Pod"):
        wait_while(nowhere, LIMIT, _late("Pod client"))
    return found[0]


def placed(manifest: Manifest, lesson: Lesson) -> Manifest:
    """The manifest with the name of a node in place of what stands for it."""
    body = copy.deepcopy(manifest)
    selector = body["spec"].get("nodeSelector") or {}
    wish = selector.get(HOSTNAME)
    if wish in (CLIENTS_NODE, OTHER_NODE):
        client = clients_node(lesson)
        others = [node.name for node in lesson.cluster.nodes if node.name != client]
        selector[HOSTNAME] = client if wish == CLIENTS_NODE or not others else others[0]
    return body


def await_pod(lesson: Lesson, name: str, what: Awaited) -> None:
    """Returns when a Pod that is not to become Ready has come to what the exercise is about. NotInTime."""

    def other() -> str:
        pod = seats.pod_or_none(lesson.cluster, lesson.namespace, name)
        return "" if come_to(pod, what) else f"it was to be so that it {what}"

    with lesson.cluster.answering(f"read Pod {name}"):
        wait_while(other, LIMIT, _late(f"Pod {name}"))


def come_to(pod: Any, what: Awaited) -> bool:
    """Whether a V1Pod (or None) is in that state."""
    if pod is None:
        return False
    statuses = list(itertools.chain(pod.status.container_statuses or [], pod.status.init_container_statuses or []))
    match what:
        case Awaited.READY:
            return seats.is_ready(pod)
        case Awaited.RUNNING:
            return bool(statuses and pod.status.pod_ip) and all(one.state.running for one in statuses)
        case Awaited.CRASHED:
            return any(one.state.terminated or one.restart_count for one in statuses)
        case Awaited.PENDING:
            return any(c.type == "PodScheduled" and c.status == "False" for c in pod.status.conditions or [])


def _late(what: str) -> Callable[[str], LabError]:
    """What makes the error for something that the exercise needs and did not come: from the reason why."""
    return lambda why: NotInTime(f"{what} was not as the exercise needs it after {LIMIT:.0f} s.", why, "Begin it again.")


# --- back to an empty namespace


def empty(lesson: Lesson) -> None:
    """Removes all that was made in the namespace, by us or by the learner, but the client Pod; Pods without a grace period.

    On a borrowed cluster only what carries the exercise's labels goes: the namespace may be somebody else's, too. Elsewhere
    LabError where the course did not make the namespace.
    """
    lesson.check_namespace()
    cluster, namespace = lesson.cluster, lesson.namespace
    ours = f"!{seats.ROLE}"
    if cluster.namespace is not None:
        ours += "," + ",".join(f"{key}={value}" for key, value in lesson.labels.items())
    core = cluster.core()

    def left() -> str:
        """Deletes the Pods; again, where a controller that was just deleted has made one meanwhile."""
        core.delete_collection_namespaced_pod(namespace, label_selector=ours, grace_period_seconds=0)
        there = core.list_namespaced_pod(namespace, label_selector=ours).items
        return "its Pods are still being deleted; a finalizer may hold them" if there else ""

    with cluster.answering(f"empty namespace {namespace}"):
        if cluster.namespace is None:
            _remove_each(_makers(cluster), namespace)
        for service in core.list_namespaced_service(namespace, label_selector=ours).items:
            _where_served(core.delete_namespaced_service, service.metadata.name, namespace)
        wait_while(left, LIMIT, _late(f"Namespace {namespace}"))
        if cluster.namespace is None:
            _remove_each(_ways(cluster), namespace)


def _makers(cluster: Cluster) -> list[Callable[[str], Any]]:
    """What deletes all objects of a kind that makes Pods, by namespace."""
    apps = AppsV1Api(cluster.api_client())
    return [
        apps.delete_collection_namespaced_deployment,
        apps.delete_collection_namespaced_stateful_set,
        apps.delete_collection_namespaced_daemon_set,
        apps.delete_collection_namespaced_replica_set,
    ]


def _ways(cluster: Cluster) -> list[Callable[[str], Any]]:
    """What deletes all objects of a kind that has to do with where requests go, by namespace.

    EndpointSlices after their Services: those of a Service that is still there would be written again.
    """
    return [
        cluster.discovery().delete_collection_namespaced_endpoint_slice,
        cluster.networking().delete_collection_namespaced_network_policy,
    ]


def _remove_each(removers: list[Callable[[str], Any]], namespace: str) -> None:
    for remove in removers:
        _where_served(remove, namespace)


def _where_served(remove: Callable[..., Any], *arguments: str) -> None:
    """Runs it; what is not there, or not served by this cluster, needs no removing."""
    try:
        remove(*arguments)
    except ApiException as error:
        if error.status not in (403, 404, 405):
            raise
