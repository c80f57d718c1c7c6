"""Whose a namespace or an object is, by its labels; and, in a namespace that is not ours alone, what a new object would do.

Computes only: namespaces and deploy read what is there, ask here, and act.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labs.errors import BadInput, LabError

LESSON = "labs.ports/lesson"  # the label on a lesson's namespace; on a borrowed cluster, on each of its objects
ROLE = "labs.ports/role"  # the label that tells our helpers from the learner's Pods
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # a namespace's name (kubernetes.io, RFC 1123 label names)

Manifest = dict[str, Any]


# --- namespaces


def is_name(name: object) -> bool:
    """Whether a lesson may be called so: its name is a label's value, and without its number the namespace's name."""
    return isinstance(name, str) and bool(_DNS_LABEL.fullmatch(name))


def is_kubernetes_own(namespace: str) -> bool:
    """Whether a namespace is Kubernetes' own: `default`, or one with the prefix that is reserved for it
    (kubernetes.io/docs/concepts/overview/working-with-objects/namespaces).
    """
    return namespace == "default" or namespace.startswith("kube-")


def namespace_of(lesson: str) -> str:
    """The namespace of the lesson of that name ("02-target-port": "target-port"). BadInput where there can be none."""
    if not is_name(lesson):
        raise BadInput(
            f"{str(lesson)[:70]!r} cannot be a lesson's name.",
            "A namespace is named after it, so it is of small letters, digits and dashes, at most 63, as in 02-target-port.",
            "Choose another name.",
        )
    namespace = _without_number(lesson)
    if is_kubernetes_own(namespace):
        raise BadInput(
            f"No lesson can be called {lesson}.",
            f"It would work in namespace {namespace}, which is Kubernetes' own, and empty it.",
            f"Choose another name. `kubectl -n {namespace} get pod,svc` shows what is there.",
        )
    return namespace


def _without_number(lesson: str) -> str:
    return lesson.lstrip("0123456789-") or lesson


def check_lent(namespace: str) -> None:
    """BadInput where a namespace of a borrowed cluster is Kubernetes' own. `default` is taken: only who names it gets it."""
    if namespace != "default" and is_kubernetes_own(namespace):
        raise BadInput(
            f"Namespace {namespace} is Kubernetes' own.",
            "The prefix kube- is reserved for what the cluster itself needs; the course puts nothing there.",
            "Name another one: LABS_NAMESPACE=NAME, then `python -m labs up`.",
        )


def is_lessons(namespace: Any) -> bool:
    """Whether a V1Namespace was made by the course for a lesson. Its label has named the lesson since the first version; on
    a namespace of another name the label is a copy.
    """
    lesson = (namespace.metadata.labels or {}).get(LESSON)
    return lesson is not None and _without_number(lesson) == namespace.metadata.name


def is_going(namespace: Any) -> bool:
    """Whether a V1Namespace is being deleted."""
    return str(namespace.status.phase) == "Terminating"


def strange_namespace(namespace: Any) -> LabError:
    """The error for a V1Namespace that a lesson would use and somebody else made."""
    name = namespace.metadata.name
    if is_going(namespace):
        return LabError(
            f"Namespace {name} is not the course's, so nothing in it was touched.",
            "The course did not make it (you did, or somebody else), and it is being deleted.",
            f"Once `kubectl get namespace {name}` finds it no more, run this again.",
        )
    return LabError(
        f"Namespace {name} is not the course's, so nothing in it was touched.",
        "The course did not make it (you did, or somebody else), and a lesson begins by emptying its namespace.",
        f"`kubectl -n {name} get pod,svc` shows what is in it. If the lesson is to have this name, move what you want to keep "
        f"to another namespace, `kubectl delete namespace {name}`, and run this again.",
    )


# --- objects


def ours(thing: Any) -> bool:
    """Whether a V1Pod or V1Service has a label of the course."""
    return bool({LESSON, ROLE} & (thing.metadata.labels or {}).keys())


def lesson_of(thing: Any) -> str | None:
    """The lesson that a V1Pod or V1Service was applied by; None for a stranger's, and for our own helpers."""
    labels = thing.metadata.labels or {}
    return None if ROLE in labels else labels.get(LESSON)


def selects(selector: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a Service with this selector would send requests to a Pod with these labels."""
    return bool(selector) and (selector or {}).items() <= (labels or {}).items()


def conflict(manifest: Manifest, lesson: str, pods: Sequence[Any], services: Sequence[Any]) -> LabError | None:
    """Why a manifest must not be applied beside these V1Pods and V1Services, all that the namespace holds; or None."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    others = {one for one in map(lesson_of, [*pods, *services]) if one not in (None, lesson)}
    if others:
        return LabError(
            f"Lesson {', '.join(sorted(map(str, others)))} has the namespace now.",
            "On a borrowed cluster all lessons share one namespace, and their Pods and Services have the same names.",
            f"Run this notebook (lesson {lesson}) from its top; that clears the other lesson away.",
        )
    if any(one.metadata.name == name and not ours(one) for one in (pods if kind == "Pod" else services)):
        return stranger(kind, name)
    return _mixing(manifest, [one for one in pods if not ours(one)], [one for one in services if not ours(one)])


def _mixing(manifest: Manifest, pods: Iterable[Any], services: Iterable[Any]) -> LabError | None:
    """Requests meant for strangers must not come to our Pods, nor ours to theirs."""
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "Pod":
        labels = manifest["metadata"].get("labels")
        taken = [one.metadata.name for one in services if selects(one.spec.selector, labels)]
        if taken:
            return LabError(
                f"Pod {name} was not made, so as not to disturb others.",
                f"Service {', '.join(taken)}, which is not the course's, selects its labels: it would get that one's requests.",
                "Give the course a namespace of its own: LABS_NAMESPACE=NAME, then `python -m labs up`.",
            )
        return None
    selector = (manifest.get("spec") or {}).get("selector")
    taken = [one.metadata.name for one in pods if selects(selector, one.metadata.labels)]
    if not taken:
        return None
    return LabError(
        f"Service {name} was not applied, so as not to disturb others.",
        f"Its selector also selects Pod {', '.join(taken)}, which is not the course's.",
        "Choose another selector; or give the course a namespace of its own: LABS_NAMESPACE=NAME, then `python -m labs up`.",
    )


def stranger(kind: str, name: str) -> LabError:
    """The error for a name that somebody else's object holds."""
    return LabError(
        f"{kind} {name} here is not the course's.",
        "It has none of the course's labels: somebody else made it (or you, by hand), and the course does not touch it.",
        f"If it is yours, `kubectl delete {kind.lower()} {name}`; else give the course a namespace of its own: "
        "LABS_NAMESPACE=NAME, then `python -m labs up`.",
    )


def names_held(needed: Iterable[Manifest], pods: Sequence[Any], services: Sequence[Any]) -> list[str]:
    """Of the needed objects, those whose name a stranger's holds, as in "Service productpage"."""
    held = [("Pod", one.metadata.name) for one in pods if not ours(one)]
    held += [("Service", one.metadata.name) for one in services if not ours(one)]
    return sorted({f"{kind} {name}" for kind, name in held} & {f"{one['kind']} {one['metadata']['name']}" for one in needed})


def opens(manifest: Manifest) -> str:
    """What a manifest opens to others than the cluster's own Pods, in words; "" where it opens nothing."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "Pod":
        ports = [port for container in spec.get("containers") or [] for port in container.get("ports") or []]
        return "a port of its node (hostPort)" if any(port.get("hostPort") for port in ports) else ""
    if spec.get("externalIPs"):
        return "addresses outside the cluster (externalIPs)"
    return {
        "NodePort": "a port on every node",
        "LoadBalancer": "a port on every node and, where the cluster has load balancers, a public one, which may cost money",
    }.get(spec.get("type", ""), "")


def unasked(manifest: Manifest, node_addresses: Iterable[str]) -> LabError | None:
    """The error for opening what `opens` tells without a yes of the learner; None where nothing is opened."""
    what = opens(manifest)
    if not what:
        return None
    there = ", ".join(node_addresses) or "which we may not list here"
    return LabError(
        f"{manifest['kind']} {manifest['metadata']['name']} was not applied: it opens {what}.",
        f"This cluster is borrowed. Everybody who reaches an address of its nodes ({there}) could send requests to your Pods: "
        "at least the other users of the cluster, perhaps the whole company network or the internet.",
        "If that is all right with you and with whoever runs the cluster, say yes: `%env LABS_OPEN_NODE_PORT=yes` in a cell "
        "(in a shell: `export LABS_OPEN_NODE_PORT=yes`), and run this again.",
    )
