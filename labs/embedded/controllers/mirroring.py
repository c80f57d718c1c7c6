"""Hand-made Endpoints of Services without a selector, mirrored as EndpointSlices (pkg/controller/endpointslicemirroring)."""

from labs.embedded.controllers.backends import LAST_CHANGE, MANAGED_BY, SERVICE_NAME, Slices
from labs.embedded.controllers.objects import labels_of, owned_by, put
from labs.embedded.store import Event, Object, Store

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class MirroringController:
    """Keeps slices as the Endpoints that somebody wrote."""

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store, self._slices = store, Slices(store, MANAGER)
        for one in store.list("endpoints"):
            self._sync(one["metadata"]["namespace"], one["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "endpointslices" and event.type != "DELETED":
            self._slices.note(event.object)
        elif event.resource in ("endpoints", "services"):
            self._sync(event.object["metadata"]["namespace"], event.object["metadata"]["name"])

    def _sync(self, namespace: str, name: str) -> None:
        service, endpoints = self.store.get("services", namespace, name), self.store.get("endpoints", namespace, name)
        old = self._slices.of(namespace, name)
        made: list[Object] = []
        if service is not None and endpoints is not None and not service["spec"].get("selector"):
            own = (namespace, name) == ("default", "kubernetes")  # the API server writes both of them itself
            if labels_of(endpoints).get(SKIP) != "true" and not own:
                made = [_slice(endpoints, subset) for subset in endpoints.get("subsets") or []]
        for at, one in enumerate(made):
            parts = ("endpoints", "ports", "metadata.labels", "metadata.annotations")
            self._slices.note(put(self.store, "endpointslices", one, old[at] if at < len(old) else None, parts))
        for one in old[len(made) :]:
            self.store.remove("endpointslices", namespace, one["metadata"]["name"])


def _slice(endpoints: Object, subset: Object) -> Object:
    metadata = endpoints["metadata"]
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key not in (LAST_APPLIED, LAST_CHANGE)
    }
    made: Object = {
        "generateName": f"{metadata['name']}-",
        "namespace": metadata["namespace"],
        "labels": labels_of(endpoints) | {SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER},
        "ownerReferences": [owned_by(endpoints, "Endpoints")],
    }
    if annotations:
        made["annotations"] = annotations
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": made,
        "addressType": "IPv4",
        "endpoints": [
            _endpoint(one, ready)
            for field, ready in (("addresses", True), ("notReadyAddresses", False))
            for one in subset.get(field) or []
        ]
        or None,
        "ports": [{"name": "", "protocol": "TCP"} | port for port in subset.get("ports") or []] or None,
    }


def _endpoint(address: Object, ready: bool) -> Object:
    made: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return made | {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}
