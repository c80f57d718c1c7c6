"""Endpoints of Services with a selector: the old API, one object a Service (pkg/controller/endpoint, Kubernetes 1.37)."""

import ipaddress

from labs.embedded.controllers import backends
from labs.embedded.controllers.objects import is_ready, labels_of, put
from labs.embedded.store import Event, Object, Store, now

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


class EndpointsController:
    """Keeps each Service's Endpoints as its Pods are."""

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store = store
        for service in store.list("services"):
            self._sync(service["metadata"]["namespace"], service["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "services" and event.type == "DELETED":
            metadata = event.object["metadata"]
            self.store.remove("endpoints", metadata["namespace"], metadata["name"])
        for name in backends.concerned(self.store, event):
            self._sync(*name)

    def _sync(self, namespace: str, name: str) -> None:
        service = self.store.get("services", namespace, name)
        if service is None or not backends.has_backends(service):
            return
        pods = backends.pods_of(self.store, service, bool(service["spec"].get("publishNotReadyAddresses")))
        labels = labels_of(service) | MANAGED_BY
        labels.pop(backends.HEADLESS, None)
        if backends.is_headless(service):
            labels[backends.HEADLESS] = ""
        made: Object = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": {backends.LAST_CHANGE: now()}},
        }
        found = subsets(service, pods)
        if found:
            made["subsets"] = found
        old = self.store.get("endpoints", namespace, name)
        if old is None or (old.get("subsets"), labels_of(old)) != (made.get("subsets"), labels):
            put(self.store, "endpoints", made, old, ("subsets", "metadata.labels", "metadata.annotations"))


def subsets(service: Object, pods: list[Object]) -> list[Object]:
    """The Pods' addresses by their ports: ports with the same addresses behind them are together."""
    ready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    behind: dict[tuple[int, str, str, str], dict[str, tuple[bool, Object]]] = {}
    portless: dict[str, tuple[bool, Object]] = {}
    for pod in pods:
        state = (ready_too or is_ready(pod), _address(pod, service))
        for port in service["spec"].get("ports") or []:
            number = backends.find_port(pod, port)
            if number is not None:
                key = (number, port.get("protocol", "TCP"), port.get("name") or "", port.get("appProtocol") or "")
                behind.setdefault(key, {})[pod["status"]["podIP"]] = state
        if not service["spec"].get("ports") and backends.is_headless(service):
            portless[pod["status"]["podIP"]] = state
    grouped: list[tuple[list[Object], dict[str, tuple[bool, Object]]]] = [([], portless)] if portless else []
    for key, addresses in sorted(behind.items()):
        port = _port(*key)
        same = next((ports for ports, others in grouped if others == addresses and ports), None)
        if same is None:
            grouped.append(([port], addresses))
        else:
            same.append(port)
    return [_subset(ports, addresses) for ports, addresses in grouped]


def _subset(ports: list[Object], addresses: dict[str, tuple[bool, Object]]) -> Object:
    in_order = [addresses[one] for one in sorted(addresses, key=ipaddress.ip_address)]
    made: Object = {}
    for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
        found = [address for ready, address in in_order if ready is wanted]
        if found:
            made[field] = found
    if ports:
        made["ports"] = ports
    return made


def _port(number: int, protocol: str, name: str, app_protocol: str) -> Object:
    made: Object = {"port": number, "protocol": protocol}
    if name:
        made["name"] = name
    if app_protocol:
        made["appProtocol"] = app_protocol
    return made


def _address(pod: Object, service: Object) -> Object:
    made: Object = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": backends.target_of(pod)}
    hostname = backends.hostname_of(pod, service)
    return made | ({"hostname": hostname} if hostname else {})
