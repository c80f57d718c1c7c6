"""What the course must be allowed to do in its namespace of a borrowed cluster, and what is missing.

Asks the API server (SelfSubjectAccessReview), which answers for whatever grants rights there. Does not try things out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes_client

from labs.cluster import Cluster
from labs.errors import LabError


@dataclass(frozen=True)
class Right:
    """Verbs on a resource ("pods", "pods/exec") of an API group, and what the course needs them for."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    use: str


# A part of the built-in ClusterRole `edit`. An exec is a GET that turns into a WebSocket, and since Kubernetes 1.35 it takes
# `create` as well; older kubectl sends a POST.
NEEDED = (
    Right("", "pods", ("get", "list", "watch", "create", "update", "delete", "deletecollection"), "the lessons' Pods"),
    Right("", "pods/exec", ("get", "create"), "curl inside a Pod"),
    Right("", "pods/log", ("get",), "reading why a container ended"),
    Right("", "pods/portforward", ("get", "create"), "kubectl port-forward"),
    Right("", "services", ("get", "list", "create", "update", "patch", "delete"), "the lessons' Services"),
    Right("", "endpoints", ("get", "list"), "`kubectl describe service`"),
    Right("", "events", ("list",), "`kubectl describe`"),
    Right("discovery.k8s.io", "endpointslices", ("get", "list", "watch"), "waiting until a change has arrived"),
    Right("networking.k8s.io", "networkpolicies", ("list",), "explaining a request that a NetworkPolicy stops"),
)


@dataclass(frozen=True)
class Missing:
    """A verb that we lack on a resource, and what for."""

    verb: str
    resource: str
    use: str


def missing(cluster: Cluster, namespace: str) -> list[Missing]:
    """What the API server says we may not do in the namespace, of all that the course needs."""
    found = []
    with cluster.answering("say what we may do"):
        for right in NEEDED:
            for verb in right.verbs:
                if not may(cluster, verb, right.group, right.resource, namespace):
                    found.append(Missing(verb, right.resource, right.use))
    return found


def may(cluster: Cluster, verb: str, group: str, resource: str, namespace: str | None = None) -> bool:
    """Whether the API server would let us do this; namespace None for what has no namespace."""
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource, "namespace": namespace}
    body = {"spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}
    api: Any = kubernetes_client.AuthorizationV1Api(cluster.api_client())  # Any as in labs/cluster.py
    review = api.create_self_subject_access_review(body)
    return bool(review.status.allowed)


def who(cluster: Cluster) -> str:
    """The user that the API server takes us for ("jane", "system:serviceaccount:NAMESPACE:NAME")."""
    api: Any = kubernetes_client.AuthenticationV1Api(cluster.api_client())
    with cluster.answering("say who we are"):
        review = api.create_self_subject_review({})
    return str(review.status.user_info.username)


def lacking(found: Iterable[Missing], user: str, namespace: str) -> LabError:
    """The one error that names all that is missing, and the command that grants it."""
    lines: dict[tuple[str, str], list[str]] = {}
    for one in found:
        lines.setdefault((one.resource, one.use), []).append(one.verb)
    listed = "; ".join(f"{', '.join(verbs)} {resource} (for {use})" for (resource, use), verbs in lines.items())
    return LabError(
        f"The course lacks rights in namespace {namespace}.",
        f"{user} may not: {listed}.",
        "Ask whoever runs the cluster for the built-in ClusterRole `edit`, in this namespace alone: "
        f"`kubectl -n {namespace} create rolebinding ports-course --clusterrole=edit {_subject(user)}`.",
    )


def _subject(user: str) -> str:
    """The option of `kubectl create rolebinding` that names a user."""
    service_account = user.removeprefix("system:serviceaccount:")
    return f"--user={user}" if service_account == user else f"--serviceaccount={service_account}"
