"""What a Service's Pods are to Endpoints and EndpointSlices: which Pods count, at which ports. Only computes.

As in pkg/api/v1/pod (FindPort) and k8s.io/endpointslice/util.
"""

from labs.embedded.controllers.objects import has_labels, is_ending, is_over, labels_of
from labs.embedded.store import Event, Object, Store

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time"


class Slices:
    """The EndpointSlices that one controller has made, by their Service: it need not look through all that there are."""

    def __init__(self, store: Store, manager: str) -> None:
        self._store, self._manager = store, manager
        self._names: dict[tuple[str, str], set[str]] = {}
        for one in store.list("endpointslices"):
            self.note(one)

    def note(self, part: Object) -> None:
        """Learns of a slice: the controller tells what it makes at once, others' changes come as events."""
        labels = labels_of(part)
        if labels.get(MANAGED_BY) == self._manager:
            key = (part["metadata"]["namespace"], labels.get(SERVICE_NAME, ""))
            self._names.setdefault(key, set()).add(part["metadata"]["name"])

    def of(self, namespace: str, service: str) -> list[Object]:
        """Those of a Service, by name."""
        wanted = {SERVICE_NAME: service, MANAGED_BY: self._manager}
        names = self._names.get((namespace, service), set())
        found = {name: self._store.get("endpointslices", namespace, name) for name in sorted(names)}
        there = {name: one for name, one in found.items() if one is not None and has_labels(labels_of(one), wanted)}
        names &= there.keys()
        if not names:
            self._names.pop((namespace, service), None)
        return list(there.values())


def has_backends(service: Object) -> bool:
    """Whether the controllers look after this Service's endpoints: it has a selector, and is not only a DNS name."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Whether it has no ClusterIP."""
    return service["spec"].get("clusterIP") in (None, "", "None")


def pods_of(store: Store, service: Object, with_ending: bool) -> list[Object]:
    """The Pods that a Service selects, that have an address and have not ended."""
    selector = service["spec"]["selector"]
    return [
        pod
        for pod in store.list("pods", service["metadata"]["namespace"])
        if has_labels(labels_of(pod), selector)
        and not is_over(pod)
        and (pod.get("status") or {}).get("podIP")
        and (with_ending or not is_ending(pod))
    ]


def find_port(pod: Object, port: Object) -> int | None:
    """The number that a Service's port leads to on this Pod; None where its targetPort is a name that the Pod has not."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or []), *sidecars]:
        for one in container.get("ports") or []:
            if one.get("name") == target and one.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(one["containerPort"])
    return None


def target_of(pod: Object) -> Object:
    """The reference to a Pod in an endpoint."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def hostname_of(pod: Object, service: Object) -> str:
    """The name that the Pod has under this Service in DNS; "" where it has none."""
    spec = pod["spec"]
    return spec.get("hostname") or "" if spec.get("subdomain") == service["metadata"]["name"] else ""


def concerned(store: Store, event: Event) -> list[tuple[str, str]]:
    """The Services (namespace and name) whose endpoints may be others after an event about a Service or a Pod."""
    metadata = event.object["metadata"]
    if event.resource == "services":
        return [(metadata["namespace"], metadata["name"])]
    if event.resource != "pods":
        return []
    versions = [labels_of(one) for one in (event.object, event.old) if one is not None]
    return [
        (metadata["namespace"], service["metadata"]["name"])
        for service in store.list("services", metadata["namespace"])
        if has_backends(service) and any(has_labels(one, service["spec"]["selector"]) for one in versions)
    ]
