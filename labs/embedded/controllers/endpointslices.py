"""EndpointSlices of Services with a selector (pkg/controller/endpointslice, k8s.io/endpointslice, Kubernetes 1.37).

A slice has one list of ports: Pods at which a named targetPort is another number are in another slice. A slice that is no
longer wanted becomes the one that is, so a Service's slice keeps its name when its targetPort changes.
"""

import json

from labs.embedded.controllers import backends
from labs.embedded.controllers.backends import MANAGED_BY, SERVICE_NAME
from labs.embedded.controllers.objects import is_ending, is_ready, labels_of, owned_by, put
from labs.embedded.store import Event, Object, Store, now

MANAGER = "endpointslice-controller.k8s.io"
MOST = 100  # endpoints in a slice
_COMPARED = ("endpoints", "ports", "metadata.labels")


class EndpointSliceController:
    """Keeps each Service's EndpointSlices as its Pods are."""

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store, self._slices = store, backends.Slices(store, MANAGER)
        for service in store.list("services"):
            self._sync(service["metadata"]["namespace"], service["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "endpointslices" and event.type != "DELETED":
            self._slices.note(event.object)
        elif event.resource == "endpointslices" and labels_of(event.object).get(MANAGED_BY) == MANAGER:
            self._sync(event.object["metadata"]["namespace"], labels_of(event.object).get(SERVICE_NAME, ""))
        for namespace, name in backends.concerned(self.store, event):
            self._sync(namespace, name)

    def _sync(self, namespace: str, name: str) -> None:
        service = self.store.get("services", namespace, name)
        if service is None:
            self._remove(namespace, name)
            return
        if not backends.has_backends(service) or is_ending(service):
            return
        old = [one for one in self._slices.of(namespace, name) if not is_ending(one)]
        for made, before in plan(service, backends.pods_of(self.store, service, True), old):
            if made is None and before is not None:
                self.store.remove("endpointslices", namespace, before["metadata"]["name"])
            elif made is not None and (before is None or _differs(made, before)):
                made["metadata"]["annotations"] = {backends.LAST_CHANGE: now()}
                self._slices.note(put(self.store, "endpointslices", made, before, (*_COMPARED, "metadata.annotations")))

    def _remove(self, namespace: str, name: str) -> None:
        for one in self._slices.of(namespace, name):
            self.store.remove("endpointslices", namespace, one["metadata"]["name"])


def plan(service: Object, pods: list[Object], old: list[Object]) -> list[tuple[Object | None, Object | None]]:
    """What is to become of each slice: (what it is to be, what it is); None: it is to go, or there was none."""
    wanted: dict[str, list[Object]] = {}
    for pod in pods:
        wanted.setdefault(json.dumps(_ports(service, pod)), []).append(_endpoint(service, pod))
    _suggest(service, wanted)
    steps: list[tuple[Object | None, Object | None]] = []
    spare: list[Object] = []
    for one in old:
        key = json.dumps(one.get("ports") or [])
        kept = _still_there(one, wanted.get(key, []))
        if kept:
            steps.append((_slice(service, key, kept), one))
        else:
            spare.append(one)
    new: list[tuple[str, list[Object]]] = []
    for key, endpoints in wanted.items():
        rest = _fill(key, endpoints, [made for made, _ in steps if made is not None])
        new += [(key, rest[at : at + MOST]) for at in range(0, len(rest), MOST)]
    if not new and not steps:
        new.append(("[]", []))  # says that there is nothing, and lets clients tell that from "not yet"
    for key, endpoints in new:
        steps.append((_slice(service, key, endpoints), spare.pop(0) if spare else None))
    return steps + [(None, one) for one in spare]


def _still_there(slice: Object, endpoints: list[Object]) -> list[Object]:
    now_there = {one["targetRef"]["uid"]: one for one in endpoints}
    targets = [(one.get("targetRef") or {}).get("uid") for one in slice.get("endpoints") or []]
    return [now_there[uid] for uid in targets if uid in now_there]


def _fill(key: str, endpoints: list[Object], slices: list[Object]) -> list[Object]:
    """Adds the endpoints that no slice has yet where there is room; gives back those that need a new one."""
    same = [one for one in slices if json.dumps(one["ports"] or []) == key]
    placed = {endpoint["targetRef"]["uid"] for one in same for endpoint in one["endpoints"]}
    rest = [one for one in endpoints if one["targetRef"]["uid"] not in placed]
    for one in same:
        room = MOST - len(one["endpoints"])
        one["endpoints"] += rest[:room]
        rest = rest[room:]
    return rest


def _slice(service: Object, ports: str, endpoints: list[Object]) -> Object:
    metadata = service["metadata"]
    labels = labels_of(service) | {SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER}
    labels.pop(backends.HEADLESS, None)
    if backends.is_headless(service):
        labels[backends.HEADLESS] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owned_by(service, "Service")],
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints) or None,
        "ports": json.loads(ports) or None,
    }


def _differs(made: Object, before: Object) -> bool:
    return (made["endpoints"], made["ports"]) != (before.get("endpoints"), before.get("ports")) or (
        labels_of(made) != labels_of(before)
    )


def _ports(service: Object, pod: Object) -> list[Object]:
    """The ports that a Pod has for a Service: those whose targetPort it knows."""
    made = []
    for port in service["spec"].get("ports") or []:
        number = backends.find_port(pod, port)
        if number is not None:
            one = {"name": port.get("name") or "", "port": number, "protocol": port.get("protocol", "TCP")}
            made.append(one | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {}))
    return made


def _endpoint(service: Object, pod: Object) -> Object:
    serving, ending = is_ready(pod), is_ending(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not ending)
    made: Object = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": ending},
        "targetRef": backends.target_of(pod),
    }
    if pod["spec"].get("nodeName"):
        made["nodeName"] = pod["spec"]["nodeName"]
    hostname = backends.hostname_of(pod, service)
    return made | ({"hostname": hostname} if hostname else {})


def _suggest(service: Object, wanted: dict[str, list[Object]]) -> None:
    """With trafficDistribution PreferSameNode each endpoint is suggested to its own node."""
    if service["spec"].get("trafficDistribution") != "PreferSameNode":
        return
    for endpoint in (one for endpoints in wanted.values() for one in endpoints):
        if endpoint["conditions"]["ready"] and "nodeName" in endpoint:
            endpoint["hints"] = {"forNodes": [{"name": endpoint["nodeName"]}]}
