"""The Pods that requests are made from: a client Pod in a lesson's namespace, and one with hostNetwork on each node.

Makes them and waits for them. Does not ask curl (probe does) or know why a provider wants them.
"""

import copy
import math
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from kubernetes import watch
from kubernetes.client.exceptions import ApiException

from labs.cluster import API_LIMIT, Cluster
from labs.errors import ImageMissing, NotInTime
from labs.shared import ROLE as ROLE
from labs.shared import ours, stranger
from labs.versions import workload_image
from labs.waiting import wait_while

SYSTEM_NAMESPACE = "labs-system"  # where the node seats live, on a cluster of our own
CLIENT = "client"  # the client Pod's name in every lesson
WATCH = 10  # seconds after which a watch is begun anew, with a list: an API server that has gone silent does not say so
SEAT = {ROLE: "seat"}

_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {},
    "spec": {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "curl",
                "image": "",
                "args": ["pause"],
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}


def client_pod(name: str = CLIENT, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """The manifest of a Pod to curl from; it fits Pod Security *restricted*."""
    pod = copy.deepcopy(_POD)
    pod["metadata"] = {"name": name, "labels": {**SEAT, **(labels or {})}}
    pod["spec"]["containers"][0]["image"] = workload_image()
    return pod


def node_pod(node: str) -> dict[str, Any]:
    """The manifest of a Pod that sits on the node's own network, on that node."""
    pod = client_pod(node_pod_name(node))
    pod["spec"] |= {"hostNetwork": True, "nodeName": node, "tolerations": [{"operator": "Exists"}]}
    return pod


def node_pod_name(node: str) -> str:
    """The name of the Pod from which requests "from the node" are made."""
    return f"seat-{node}"


def ensure(cluster: Cluster, namespace: str, pods: list[dict[str, Any]], limit: float = 60.0) -> None:
    """Makes the Pods that are missing, replaces those that have ended, and returns when all are Ready.

    The namespace is the course's: whoever calls has seen to that. On a borrowed cluster, LabError where a Pod of somebody
    else's has such a name. limit in seconds; NotInTime past it, ImageMissing where the image cannot be had.
    """
    core = cluster.core()
    for pod in pods:
        name = pod["metadata"]["name"]
        with cluster.answering(f"make Pod {name}"):
            old = pod_or_none(cluster, namespace, name)
            if old is not None and cluster.namespace is not None and not ours(old):
                raise stranger("Pod", name)
            if old is not None and (old.status.phase in ("Failed", "Succeeded") or old.metadata.deletion_timestamp):
                remove_pod(cluster, namespace, name)
                old = None
            if old is None:
                create(core, namespace, pod)
    wait_ready(cluster, namespace, [pod["metadata"]["name"] for pod in pods], limit)


def may_have_pods(cluster: Cluster, namespace: str) -> bool:
    """Whether a new namespace has its default ServiceAccount; before that the API server refuses every Pod in it."""
    try:
        cluster.core().read_namespaced_service_account("default", namespace)
        return True
    except ApiException as error:
        if error.status == 404:
            return False
        raise


def create(core: Any, namespace: str, pod: dict[str, Any]) -> None:
    """Creates the Pod; another notebook that was quicker is welcome."""
    try:
        core.create_namespaced_pod(namespace, pod)
    except ApiException as error:
        if error.status != 409:
            raise


def pod_or_none(cluster: Cluster, namespace: str, name: str) -> Any:
    """The Pod, as the client's V1Pod, or None where there is none of that name."""
    try:
        return cluster.core().read_namespaced_pod(name, namespace)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def remove_pod(cluster: Cluster, namespace: str, name: str, limit: float = 30.0, grace: int = 1) -> None:
    """Deletes a Pod and returns when the API has it no more. limit in seconds; NotInTime past it.

    grace: the grace period in seconds. With 0 the object, and with it the Pod's place in every EndpointSlice, is gone at
    once, and kubelet ends the containers afterwards (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle, forced).
    """
    with cluster.answering(f"delete Pod {name}"):
        try:
            cluster.core().delete_namespaced_pod(name, namespace, grace_period_seconds=grace)
        except ApiException as error:
            if error.status != 404:
                raise
        late = NotInTime(
            f"Pod {name} was not gone after {limit:.0f} s.",
            "Its node has not reported that its containers have stopped.",
            f"`kubectl -n {namespace} describe pod {name}` tells what it waits for.",
        )
        wait_while(lambda: pod_or_none(cluster, namespace, name), limit, lambda _: late)


def wait_ready(cluster: Cluster, namespace: str, names: list[str], limit: float = 60.0) -> None:
    """Returns when the Pods are Ready. limit in seconds; NotInTime past it, ImageMissing where an image cannot be had."""
    waiting = list(names)
    if not waiting:
        return
    with cluster.answering(f"read Pod {', '.join(names)}"):
        for pods, late in _as_they_change(cluster.core(), namespace, limit):
            waiting = [name for name in waiting if not (name in pods and is_ready(pods[name]))]
            for name in waiting:
                pod = pods.get(name)
                state = waiting_reason(pod) if pod is not None else "it does not exist"
                if "ImagePullBackOff" in state or "ErrImageNeverPull" in state or (late and "ErrImagePull" in state):
                    raise ImageMissing(
                        f"Pod {name} has no image to run.",
                        state,
                        "Is the registry reachable from here? `make prepare` fetches the images beforehand; "
                        "LABS_MIRROR names a mirror.",
                    )
                if late:
                    raise NotInTime(
                        f"Pod {name} was not Ready after {limit:.0f} s.",
                        state or "no reason was given",
                        f"`kubectl -n {namespace} describe pod {name}` tells more.",
                    )
            if not waiting:
                return


def _as_they_change(core: Any, namespace: str, limit: float) -> Iterator[tuple[dict[str, Any], bool]]:
    """The V1Pods of a namespace by name, as they are and again as soon as one has changed, and whether the limit is past.

    By a list and a watch from there: asking over and over takes API server, etcd and us a quarter of a processor.
    limit in seconds.
    """
    end = time.monotonic() + limit
    while True:
        listed = core.list_namespaced_pod(namespace)
        pods = {pod.metadata.name: pod for pod in listed.items}
        left = end - time.monotonic()
        yield pods, left <= 0
        if left <= 0:
            return
        changes = watch.Watch().stream(  # type: ignore[no-untyped-call]
            core.list_namespaced_pod,
            namespace,
            resource_version=listed.metadata.resource_version,
            timeout_seconds=min(math.ceil(left), WATCH),
            _request_timeout=API_LIMIT,
        )
        try:
            for change in changes:
                pods.pop(change["object"].metadata.name, None)
                if change["type"] != "DELETED":
                    pods[change["object"].metadata.name] = change["object"]
                yield pods, False
        except ApiException as error:
            if error.status != HTTPStatus.GONE:  # that list is too old already: the next one is not
                raise


def is_ready(pod: Any) -> bool:
    """Whether a V1Pod has the condition Ready and is not being deleted."""
    if pod.metadata.deletion_timestamp:
        return False
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])


def waiting_reason(pod: Any) -> str:
    """Why a V1Pod is not Ready, from its containers' states and its conditions, in Kubernetes' words."""
    reasons = []
    for container in pod.status.container_statuses or []:
        state = container.state.waiting or container.state.terminated
        if state is not None:
            reasons.append(f"{container.name}: {state.reason}{': ' + state.message if state.message else ''}")
    reasons += [c.message for c in pod.status.conditions or [] if c.status != "True" and c.message]
    return "; ".join(reasons) or str(pod.status.phase)
