"""Namespaces: what each is born with (ServiceAccount default, ConfigMap kube-root-ca.crt), and their emptying at the end.

As pkg/controller/namespace, serviceaccount and certificates/rootcacertpublisher do it.
"""

from labs.embedded.controllers.objects import delete, is_ending
from labs.embedded.store import Event, Object, Store

ROOT_CA = "kube-root-ca.crt"
ROOT_CA_NOTE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
# What a namespace may hold, in the order in which it is deleted: what makes Pods goes before Pods.
CONTENTS = (
    "deployments",
    "replicasets",
    "services",
    "endpoints",
    "endpointslices",
    "pods",
    "configmaps",
    "secrets",
    "serviceaccounts",
    "events",
)


class NamespaceController:
    """ca: the cluster's CA certificate, PEM."""

    def __init__(self, ca: str) -> None:
        self.ca = ca

    def start(self, store: Store) -> None:
        """Does what is to be done, and again at each change."""
        self.store = store
        for namespace in store.list("namespaces"):
            self._sync(namespace["metadata"]["name"])
        store.subscribe(self._see)

    def _see(self, event: Event) -> None:
        if event.resource == "namespaces" and event.type != "DELETED":
            self._sync(event.object["metadata"]["name"])
        elif event.resource in CONTENTS and event.type != "MODIFIED":
            namespace = event.object["metadata"].get("namespace", "")
            if event.type == "DELETED" or self._ends(namespace):
                self._sync(namespace)

    def _ends(self, name: str) -> bool:
        namespace = self.store.get("namespaces", "", name)
        return namespace is not None and is_ending(namespace)

    def _sync(self, name: str) -> None:
        namespace = self.store.get("namespaces", "", name)
        if namespace is None:
            return
        if is_ending(namespace):
            self._empty(name)
            return
        for resource, made in (("serviceaccounts", _account(name)), ("configmaps", self._root_ca(name))):
            if self.store.get(resource, name, made["metadata"]["name"]) is None:
                self.store.create(resource, made)

    def _empty(self, name: str) -> None:
        for resource in CONTENTS:
            for obj in self.store.list(resource, name):
                delete(self.store, resource, obj)
        if not any(self.store.list(resource, name) for resource in CONTENTS):
            self.store.remove("namespaces", "", name)

    def _root_ca(self, namespace: str) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ROOT_CA, "namespace": namespace, "annotations": {"kubernetes.io/description": ROOT_CA_NOTE}},
            "data": {"ca.crt": self.ca},
        }


def _account(namespace: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
