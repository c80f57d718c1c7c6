"""The embedded cluster's controllers over a store and nothing else; the nodes' part (Pods run and end) is played here."""

from typing import Any

from labs.embedded import controllers
from labs.embedded.store import Store

NODES = ("dev-control-plane", "dev-worker")
Object = dict[str, Any]


class World:
    """A store with its controllers, two nodes and namespace `ns`."""

    def __init__(self, nodes: tuple[str, ...] = NODES) -> None:
        self.store = Store()
        controllers.start(self.store, "the CA")
        for name in nodes:
            metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
            self.store.create("nodes", {"metadata": metadata, "spec": {}})
        self.store.create("namespaces", {"metadata": {"name": "ns"}, "spec": {"finalizers": ["kubernetes"]}})

    def pod(self, name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
        containers = [{"name": "c", "ports": spec.pop("ports", [])}]
        metadata = {"name": name, "namespace": "ns", "labels": labels or {}}
        return self.store.create("pods", {"metadata": metadata, "spec": {"containers": containers, **spec}})

    def service(self, name: str, **spec: Any) -> Object:
        spec = {"clusterIP": "10.96.1.1", "ports": [{"port": 80}], "selector": {"app": "web"}} | spec
        return self.store.create("services", {"metadata": {"name": name, "namespace": "ns"}, "spec": spec})

    def deployment(self, **spec: Any) -> Object:
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "one"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template} | spec
        return self.store.create("deployments", {"metadata": {"name": "web", "namespace": "ns"}, "spec": spec})

    def all(self, resource: str) -> list[Object]:
        return self.store.list(resource, "ns")

    def get(self, resource: str, name: str) -> Object:
        found = self.store.get(resource, "ns", name)
        assert found is not None
        return found

    def change(self, resource: str, name: str, **parts: Any) -> None:
        def change(new: Object) -> Object:
            for part, value in parts.items():
                new[part] = {**new.get(part, {}), **value}
            return new

        self.store.modify(resource, "ns", name, change)

    def ready(self, pod: Object, ready: bool = True) -> None:
        address = f"10.244.0.{sum(pod['metadata']['name'].encode()) % 250 + 2}"
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"phase": "Running", "podIP": address, "conditions": [condition]}
        self.change("pods", pod["metadata"]["name"], status=status)

    def end_pods(self) -> None:
        """As nodes do: a Pod that is marked goes when its containers have ended."""
        for pod in self.all("pods"):
            if "deletionTimestamp" in pod["metadata"]:
                self.store.remove("pods", "ns", pod["metadata"]["name"])

    def run(self) -> None:
        """Lets nodes do their work until nothing changes."""
        before = -1
        while before != self.store.revision:
            before = self.store.revision
            self.end_pods()
            for pod in self.all("pods"):
                if pod["spec"].get("nodeName") and not pod.get("status", {}).get("podIP"):
                    self.ready(pod)

    def events(self, reason: str) -> list[str]:
        return [event["message"] for event in self.all("events") if event["reason"] == reason]
