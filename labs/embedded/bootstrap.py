"""What a cluster holds from its beginning: its namespaces, the API's own Service, the DNS servers with theirs, given Pods."""

from collections.abc import Callable
from typing import Any

from labs.embedded.plan import API_PORT, AddressPlan
from labs.embedded.store import Store

Object = dict[str, Any]
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
DNS_PORT = 53
_DNS_LABELS = {"k8s-app": "kube-dns"}


def fill(store: Store, plan: AddressPlan) -> None:
    """Makes all of it, before anybody else writes."""
    for name in NAMESPACES:
        store.create("namespaces", namespace(name))
    for resource, obj in services(plan):
        store.create(resource, obj)


def services(plan: AddressPlan) -> list[tuple[str, Object]]:
    """The API's Service with its backends, and that of the DNS servers."""
    return [("services", api_service(plan)), *api_backends(plan.nodes[0].address), ("services", dns_service(plan))]


def dns_pods(plan: AddressPlan) -> list[Object]:
    """The DNS servers: one a node."""
    return [dns_pod(number, node.name) for number, node in enumerate(plan.nodes)]


def make_again(store: Store, plan: AddressPlan) -> list[str]:
    """Makes what the cluster's own addresses need and somebody has deleted; what that was."""
    gone = []
    for resource, obj in [*services(plan), *(("pods", pod) for pod in dns_pods(plan))]:
        metadata = obj["metadata"]
        if store.get(resource, metadata["namespace"], metadata["name"]) is None:
            store.create(resource, obj)
            gone.append(f"{obj['kind']} {metadata['namespace']}/{metadata['name']}")
    return gone


def answering(store: Store, plan: AddressPlan) -> list[tuple[str, int, str]]:
    """What should take TCP connections from the nodes: address, port, and what that is. Services as they were made alone:
    what somebody has changed may well not answer."""
    targets = []
    for service in (api_service(plan), dns_service(plan)):
        metadata, spec = service["metadata"], service["spec"]
        stored = (store.get("services", metadata["namespace"], metadata["name"]) or {}).get("spec", {})
        same = all(stored.get(part) == spec.get(part) for part in ("clusterIP", "selector", "ports"))
        served = not spec.get("selector") or any(is_ready(store, pod) for pod in dns_pods(plan))
        if same and served:
            [port] = [one["port"] for one in spec["ports"] if one["protocol"] == "TCP"]
            targets.append((spec["clusterIP"], port, f"Service {metadata['namespace']}/{metadata['name']}"))
    for pod in dns_pods(plan):
        found = store.get("pods", "kube-system", pod["metadata"]["name"])
        if found is not None and is_ready(store, pod):
            targets.append((found["status"]["podIP"], DNS_PORT, f"Pod kube-system/{pod['metadata']['name']}"))
    return [(plan.nodes[0].address, API_PORT, "the API server"), *targets]


def first_pods(store: Store, pods: list[Object], admit: Callable[[Object], Object]) -> list[Object]:
    """Makes Pods that whoever started the cluster wants to be there, with their namespaces; as they were made."""
    for name in dict.fromkeys(pod["metadata"]["namespace"] for pod in pods):
        if store.get("namespaces", "", name) is None:
            store.create("namespaces", namespace(name))
    return [store.create("pods", admit(pod)) for pod in pods]


def is_ready(store: Store, pod: Object) -> bool:
    """Whether the stored Pod of that name has the condition Ready."""
    found = store.get("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def namespace(name: str) -> Object:
    """A namespace, active."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _service(name: str, where: str, labels: dict[str, str], ip: str, selector: dict[str, str], ports: list[Object]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": ports,
            **({"selector": selector} if selector else {}),
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def api_service(plan: AddressPlan) -> Object:
    """Service default/kubernetes."""
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}
    return _service("kubernetes", "default", {"component": "apiserver", "provider": "kubernetes"}, plan.api_service, {}, [port])


def api_backends(address: str) -> list[tuple[str, Object]]:
    """Its Endpoints and EndpointSlice, which the API server itself keeps."""
    metadata: Object = {"name": "kubernetes", "namespace": "default"}
    port = {"name": "https", "port": API_PORT, "protocol": "TCP"}
    mirrored = {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
    named = {"labels": {"kubernetes.io/service-name": "kubernetes"}}
    endpoints: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {**metadata, **mirrored},
        "subsets": [{"addresses": [{"ip": address}], "ports": [port]}],
    }
    endpoint_slice: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, **named},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [port],
    }
    return [("endpoints", endpoints), ("endpointslices", endpoint_slice)]


def dns_service(plan: AddressPlan) -> Object:
    """Service kube-system/kube-dns."""
    labels = {**_DNS_LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    ports: list[Object] = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    return _service("kube-dns", "kube-system", labels, plan.cluster_dns, _DNS_LABELS, ports)


def dns_pod(number: int, node: str) -> Object:
    """A Pod that answers DNS requests: its container is a part of the cluster's server."""
    ports = [{"containerPort": 53, "name": name, "protocol": kind} for name, kind in (("dns", "UDP"), ("dns-tcp", "TCP"))]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"coredns-{number}", "namespace": "kube-system", "labels": _DNS_LABELS},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "image": "embedded/coredns",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "coredns",
                    "ports": ports,
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }
            ],
            "dnsPolicy": "Default",
            "enableServiceLinks": True,
            "nodeName": node,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [{"operator": "Exists"}],
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }
