"""The provider context: borrows a namespace of a cluster that somebody else runs, after an explicit choice.

`LABS_CLUSTER=context:NAME` names a context of the learner's own kubeconfig, `LABS_NAMESPACE` the namespace. What the course
makes there has a label of its own; nothing else is ever changed. One learner a namespace: a lesson's objects are known by the
lesson's name alone, so a second learner's would clear the first one's away.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs import home, marker, seats, shared, tools, versions
from labs.cluster import Cluster
from labs.errors import BadInput, ClusterGone, LabError, NotInTime
from labs.providers import Available
from labs.providers.context import borrowed, dataplane, kubeconfig, rights, strangers
from labs.providers.context.borrowed import BorrowedCluster
from labs.waiting import wait_while

Say = Callable[[str], None]

MADE = {"app.kubernetes.io/managed-by": "kubernetes-ports-live"}  # on a namespace that the course made
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Place:
    """A namespace, why it is that one, and whether the learner has named it (else it must be one that we made)."""

    namespace: str
    why: str
    named: bool


def place(asked: str, before: str, of_context: str) -> Place:
    """Which namespace to use: the one asked for, the one used before, the context's own, else one to be made.

    Never `default`, but when it is asked for by name: a context that names no namespace means no choice was made.
    """
    if asked:
        return Place(asked, "LABS_NAMESPACE says so", True)
    if before:
        return Place(before, "it was used before; LABS_NAMESPACE changes it", True)
    if of_context and of_context != "default":
        return Place(of_context, "the context names it", True)
    return Place(home.cluster_name(), "the context names none but `default`, which is not the course's to fill", False)


# --- the room's functions


def available() -> Available:
    """Whether there is a kubeconfig with a context to choose."""
    try:
        names = kubeconfig.contexts(kubeconfig.sources(kubeconfig.paths()))
    except LabError as error:
        return Available(False, f"{error.what} {error.why}", error.try_this)
    if not names:
        looked = ", ".join(str(path) for path in kubeconfig.paths())
        return Available(False, f"there is no context in your kubeconfig ({looked}).", "Get one from whoever runs the cluster.")
    return Available(True, f"your kubeconfig has {', '.join(names)}; LABS_CLUSTER=context:NAME borrows one")


def up(argument: str, say: Say) -> Cluster:
    """Borrows: takes the context over, makes the namespace where it must, checks our rights, starts the client and marker.

    LabError where anything is missing; then nothing is kept of a new context, and an old one stays as it was.
    """
    config = kubeconfig.extract(kubeconfig.sources(kubeconfig.paths()), argument)
    own = kubeconfig.own_path(argument)
    before = _namespace_before(own)
    context = kubeconfig.context_of(config)
    where = place(os.environ.get("LABS_NAMESPACE", "").strip(), before, context.get("namespace", ""))
    shared.check_lent(where.namespace)
    context["namespace"] = where.namespace
    trial = own.with_suffix(f".{os.getpid()}.trial")
    try:
        kubeconfig.write_own(trial, config)
        cluster = borrowed.opened(argument, trial, tools.find("kubectl", say))
        say(f"Borrowing namespace {where.namespace} of context {argument} ({cluster.server}): {where.why}.")
        made = _ensure_namespace(cluster, where, say)
        try:
            missing = rights.missing(cluster, where.namespace)
            if missing:
                raise rights.lacking(missing, rights.who(cluster), where.namespace)
            _ensure_helpers(cluster)
        except BaseException:
            if made:
                say(f"That failed; deleting namespace {where.namespace} again.")
                with suppress(LabError):
                    _remove_namespace(cluster)
            raise
        if before and before != where.namespace:
            say(f"Removing what the course left in namespace {before}.")
            down(argument, say)
        kubeconfig.write_own(own, config)
    finally:
        trial.unlink(missing_ok=True)
    cluster = borrowed.opened(argument, own, cluster.kubectl_path)
    for line in _told(cluster):
        say(line)
    return cluster


def connect(argument: str) -> BorrowedCluster:
    """The borrowed cluster, as `up` left it. ClusterGone where `up` has not been run, or must be run again."""
    own = kubeconfig.own_path(argument)
    if not own.exists():
        kubeconfig.extract(kubeconfig.sources(kubeconfig.paths()), argument)  # names the contexts where there is none such
        raise ClusterGone(f"Context {argument} is not borrowed yet.", "Nothing was made there.", "`python -m labs up` does it.")
    cluster = borrowed.opened(argument, own, tools.find("kubectl"))
    asked = os.environ.get("LABS_NAMESPACE", "").strip()
    if asked and asked != cluster.namespace:
        raise ClusterGone(
            f"Namespace {asked} of context {argument} is not borrowed yet.",
            f"The course is in namespace {cluster.namespace} there; LABS_NAMESPACE now names another one.",
            "`python -m labs up` moves it.",
        )
    with cluster.answering("read the course's own Pods"):
        if seats.pod_or_none(cluster, cluster.space, marker.MARKER) is None:
            raise ClusterGone(
                f"The course's own Pods are gone from namespace {cluster.namespace}.",
                "Somebody deleted them, or the namespace.",
                "`python -m labs up` makes them again.",
            )
    return cluster


def status(argument: str) -> str:
    """Which cluster and namespace is borrowed, what carries its Services, and what cannot be shown on it."""
    cluster = connect(argument)
    lines = _told(cluster)
    return "\n".join([f"Context {argument} answers; the course is in namespace {cluster.namespace}.", *lines])


def down(argument: str, say: Say) -> None:
    """Removes what has our labels; the namespace only where we made it and nobody else uses it. Forgets the credentials."""
    own = kubeconfig.own_path(argument)
    if not own.exists():
        say(f"Nothing of the course is known in context {argument}.")
        return
    cluster = borrowed.opened(argument, own, tools.find("kubectl", say))
    found = _namespace(cluster, cluster.space)
    if found is not None:
        _remove_ours(cluster)
        say(f"Removed the course's Pods and Services from namespace {cluster.namespace}.")
        if found is not True and (found.metadata.labels or {}).items() >= MADE.items():
            _leave_namespace(cluster, say)
    own.unlink()


# --- the namespace


def _namespace_before(own: Path) -> str:
    """The namespace that our kubeconfig names; "" where it is not there, or damaged."""
    try:
        return str(kubeconfig.context_of(kubeconfig.read_own(own))["namespace"])
    except ClusterGone:
        return ""


def _namespace(cluster: BorrowedCluster, name: str) -> Any:
    """The V1Namespace, None where there is none, or True where we may not look."""
    with cluster.answering(f"read namespace {name}"):
        try:
            return cluster.core().read_namespace(name)
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status == 403:
                return True
            raise


def _ensure_namespace(cluster: BorrowedCluster, where: Place, say: Say) -> bool:
    """Sees to it that the namespace is there and may be ours; True where it had to be made."""
    found = _namespace(cluster, where.namespace)
    if found is None and _may_make(cluster):
        with cluster.answering(f"make namespace {where.namespace}"):
            cluster.core().create_namespace({"metadata": {"name": where.namespace, "labels": MADE | _RESTRICTED}})
        say(f"Made namespace {where.namespace}.")
        _wait_account(cluster)
        return True
    if found is None or (found is True and not where.named):
        raise LabError(
            f"There is no namespace for the course in context {cluster.name}.",
            f"You may not make one, and {'there is no ' + where.namespace if where.named else where.why}.",
            "Ask for a namespace, and name it: LABS_NAMESPACE=NAME (`default` too, if you mean it). Then `python -m labs up`.",
        )
    if found is True:
        return False
    if found.status.phase == "Terminating":
        raise LabError(
            f"Namespace {where.namespace} is being deleted.",
            "Somebody has deleted it, and it is not gone yet.",
            "Run this again in a minute, or name another one in LABS_NAMESPACE.",
        )
    if not where.named and not (found.metadata.labels or {}).items() >= MADE.items():
        raise BadInput(
            f"Namespace {where.namespace} is there already, and the course did not make it.",
            f"{where.why[0].upper()}{where.why[1:]}; it wanted to make this one.",
            f"LABS_NAMESPACE={where.namespace} uses it all the same; any other name makes another. Then `python -m labs up`.",
        )
    return False


def _may_make(cluster: BorrowedCluster) -> bool:
    with cluster.answering("say what we may do"):
        return rights.may(cluster, "create", "", "namespaces")


def _wait_account(cluster: BorrowedCluster) -> None:
    """No Pod can be made in a new namespace before it has its ServiceAccount."""
    late = NotInTime(
        f"Namespace {cluster.namespace} has no ServiceAccount after 30 s.",
        "The cluster's controllers are busy.",
        "`python -m labs up` again.",
    )
    with cluster.answering("read the namespace's ServiceAccount"):
        wait_while(lambda: not cluster.core().list_namespaced_service_account(cluster.space).items, 30, lambda _: late)


# --- what is ours in it


def _ensure_helpers(cluster: BorrowedCluster) -> None:
    """The marker and the client Pod; a LabError where a stranger holds one of their names. What fails leaves no new ones."""
    pod, service = marker.marker_manifests()
    pods = [pod, seats.client_pod()]
    with cluster.answering("look for the course's own Pods"):
        old_pods, old_services = _all(cluster, "Pod"), _all(cluster, "Service")
    for held in shared.names_held([*pods, service], old_pods, old_services):
        raise shared.stranger(*held.split())
    try:
        with cluster.answering("make the marker Service"):
            if service["metadata"]["name"] not in [one.metadata.name for one in old_services]:
                cluster.core().create_namespaced_service(cluster.space, service)
        seats.ensure(cluster, cluster.space, pods, limit=300)
    except BaseException:
        if not any(shared.ours(one) for one in old_pods + old_services):
            with suppress(LabError):
                _remove_ours(cluster)
        raise


def _all(cluster: BorrowedCluster, kind: str, selector: str = "") -> list[Any]:
    core = cluster.core()
    listed = core.list_namespaced_pod if kind == "Pod" else core.list_namespaced_service
    found: list[Any] = listed(cluster.space, label_selector=selector).items
    return found


def _remove_ours(cluster: BorrowedCluster) -> None:
    with cluster.answering("remove what the course made"):
        for label in (shared.LESSON, seats.ROLE):
            for service in _all(cluster, "Service", label):
                cluster.core().delete_namespaced_service(service.metadata.name, cluster.space)
            cluster.core().delete_collection_namespaced_pod(cluster.space, label_selector=label, grace_period_seconds=1)
        wait_while(lambda: _all(cluster, "Pod", shared.LESSON) + _all(cluster, "Pod", seats.ROLE), 60, _still_there)


def _still_there(pods: list[Any]) -> NotInTime:
    return NotInTime(
        f"Pod {', '.join(one.metadata.name for one in pods)} was not gone after 60 s.",
        "Its node has not reported that its containers have stopped.",
        "`python -m labs down` again.",
    )


def _leave_namespace(cluster: BorrowedCluster, say: Say) -> None:
    """Deletes the namespace that the course had made, where nobody else has anything in it."""
    try:
        others = strangers.objects(cluster, cluster.space)
    except LabError as error:
        say(f"Namespace {cluster.namespace} stays, as nobody knows what else is in it. {error.why} {error.try_this}")
        return
    if others:
        say(f"Namespace {cluster.namespace} stays: the course made it, but {', '.join(others)} is somebody else's.")
        return
    _remove_namespace(cluster)
    say(f"Deleted namespace {cluster.namespace}, which the course had made.")


def _remove_namespace(cluster: BorrowedCluster) -> None:
    with cluster.answering(f"delete namespace {cluster.namespace}"):
        cluster.core().delete_namespace(cluster.space)


# --- what is told of it


def _told(cluster: BorrowedCluster) -> list[str]:
    version = cluster.clues.version
    lines = [f"Kubernetes {version}. What carries its Services: {dataplane.named(cluster.clues)}."]
    lines += [versions.warning(version)] if versions.warning(version) else []
    return [*lines, "Not to be shown on this cluster:", *(f"  - {line}" for line in cannot_show(cluster))]


def cannot_show(cluster: BorrowedCluster) -> list[str]:
    """What lessons cannot show on a borrowed cluster, each with the reason."""
    lines = [f"a request from a node: {cluster.node_seat.why}"]
    for what, answer in (
        ("a request from another machine", cluster.elsewhere([])),
        ("a node's Service rules", cluster.rules("")),
    ):
        lines.append(f"{what}: {getattr(answer, 'why', '')}")
    if not cluster.nodes:
        lines.append("nodeIP:nodePort: we may not list the cluster's nodes")
    elif len(cluster.nodes) < cluster.nodes_in_all:
        lines.append(f"all {cluster.nodes_in_all} nodes: {', '.join(node.name for node in cluster.nodes)} stand for them")
    lines.append("the article's ClusterIP and node port: here the API server chooses them")
    if os.environ.get("LABS_OPEN_NODE_PORT") != "yes":
        lines.append("a node port, until you say yes to opening one: LABS_OPEN_NODE_PORT=yes")
    lines.append("when every node has acted on a change: only the client Pod's node can be watched")
    return lines
