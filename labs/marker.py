"""How a cluster with kube-proxy tells that it has settled: a marker Service that is changed last and watched from nodes.

kube-proxy reports nowhere which change it has acted on. It learns of Services and of EndpointSlices by two watches, each
in order. So: first the EndpointSlices of our Services must say what the Services and Pods ask for; then the marker Service
gets a port of a new number *and* name, which makes the endpoints controller write its slice anew, too. kube-proxy joins
the two by the port's name, so where the new port answers, both watches have come past everything that was there before.
Its rules go in together, in one transaction (kubernetes/pkg/proxy/{iptables,nftables}/proxier.go, syncProxyRules).

Does not know any provider: it needs the API and Pods to look from.
"""

import itertools
import random
import time
from collections.abc import Iterable
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs.cluster import Cluster
from labs.errors import NotInTime
from labs.seats import ROLE, client_pod, is_ready
from labs.waiting import wait_while

MARKER = "labs-marker"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"  # the label of an EndpointSlice that says who writes it
CONTROLLER = "endpointslice-controller.k8s.io"  # who does where the Service has a selector
MARKER_PORT = 10999  # where the marker's own Pod listens
KEPT_PORTS = 16  # the marker keeps its newest ports, so that as many can wait for one of their own at the same time

# Asks until the address answers. "$1" the limit in seconds, "$2" the address.
_LOOK = """
end=$(($(date +%s) + $1))
until curl -s -o /dev/null --noproxy '*' --max-time 0.1 "http://$2/hostname"; do
  [ "$(date +%s)" -lt "$end" ] || exit 1
  sleep 0.02
done
"""


def settle(
    cluster: Cluster, namespace: str, watched: str | None, lookouts: list[tuple[str, str]], limit: float, selector: str = ""
) -> None:
    """Returns when every lookout has seen a change of the marker Service made after the EndpointSlices were right.

    namespace: the marker's. watched: the namespace whose EndpointSlices must be right first; None for all but kube-system.
    lookouts: (namespace, Pod) of Pods that see the rules of the nodes in question. limit in seconds; NotInTime past it.
    selector: the labels of the Services that matter, where a namespace is shared with strangers.
    """
    end = time.monotonic() + limit
    slices_right(cluster, watched, limit, selector)
    address = _change_marker(cluster, namespace)

    def seen(lookout: tuple[str, str]) -> bool:
        left = max(1, round(end - time.monotonic()))
        command = ["sh", "-c", _LOOK, "sh", str(left), address]
        return cluster.exec_in_shell(*lookout, command, limit=left + 5).code == 0

    blind = [pod for (_, pod), ok in zip(lookouts, cluster.pool.map(seen, lookouts), strict=True) if not ok]
    if blind:
        raise NotInTime(
            f"The nodes had not acted on a changed Service after {limit:.0f} s (seen from {', '.join(blind)}).",
            "kube-proxy has stopped there, or the machine is very busy.",
            "`kubectl -n kube-system get pod -l k8s-app=kube-proxy` shows kube-proxy; then run this again.",
        )


def marker_manifests() -> tuple[dict[str, Any], dict[str, Any]]:
    """The marker's Pod and Service, as manifests. The Pod fits Pod Security *restricted*."""
    pod = client_pod(MARKER, {"app": MARKER})
    pod["metadata"]["labels"][ROLE] = "marker"
    pod["spec"]["containers"][0]["args"] = ["netexec", f"--http-port={MARKER_PORT}", "--udp-port=-1"]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": MARKER, "labels": {ROLE: "marker"}},
        "spec": {"selector": {"app": MARKER}, "ports": [_marker_port(1)]},
    }
    return pod, service


def _marker_port(number: int) -> dict[str, Any]:
    return {"name": f"p{number}", "port": number, "targetPort": MARKER_PORT}


def _change_marker(cluster: Cluster, namespace: str) -> str:
    """Gives the marker Service a port that it did not have; returns its new ClusterIP:port."""
    core = cluster.core()
    with cluster.answering("change the marker Service", "`python -m labs up` makes it anew."):
        while True:
            service = core.read_namespaced_service(MARKER, namespace)
            kept = service.spec.ports[-KEPT_PORTS + 1 :]
            number = random.choice(sorted(set(range(1, 2000)) - {port.port for port in service.spec.ports}))
            service.spec.ports = [*kept, _marker_port(number)]
            try:
                core.replace_namespaced_service(MARKER, namespace, service)
            except ApiException as error:
                if error.status == 409:  # another notebook changed it at this moment: read it again
                    continue
                raise
            return f"{service.spec.cluster_ip}:{number}"


def slices_right(cluster: Cluster, namespace: str | None, limit: float, selector: str = "") -> None:
    """Returns when the EndpointSlices are what the Services and Pods ask for, in one namespace or in all but kube-system.

    limit in seconds; NotInTime past it. selector: the labels of the Services that matter.
    """

    def late(wrong: list[str]) -> NotInTime:
        return NotInTime(
            f"The EndpointSlices of Service {', '.join(wrong)} do not follow its Pods.",
            "The endpoints controller has not acted yet; the machine may be very busy.",
            "`kubectl get endpointslices -A` shows what is there; then run this again.",
        )

    with cluster.answering("read the EndpointSlices"):
        wait_while(lambda: _slices_wrong(cluster, namespace, selector), limit, late, every=0.02)


def _slices_wrong(cluster: Cluster, namespace: str | None, selector: str) -> list[str]:
    core, discovery = cluster.core(), cluster.discovery()
    if namespace is None:
        others = {"field_selector": "metadata.namespace!=kube-system"}
        services = core.list_service_for_all_namespaces(**others, label_selector=selector).items
        pods = core.list_pod_for_all_namespaces(**others).items
        slices = discovery.list_endpoint_slice_for_all_namespaces(**others).items
    else:
        services = core.list_namespaced_service(namespace, label_selector=selector).items
        pods = core.list_namespaced_pod(namespace).items
        slices = discovery.list_namespaced_endpoint_slice(namespace).items
    wrong = []
    for service in services:
        if service.spec.selector and service.spec.type != "ExternalName":
            beside = [pod for pod in pods if pod.metadata.namespace == service.metadata.namespace]
            if not followed(service, beside, filter(by_controller, slices)):
                wrong.append(f"{service.metadata.namespace}/{service.metadata.name}")
    return wrong


_ENDED = ("Succeeded", "Failed")  # phases of Pods that will not run again
Endpoint = tuple[str, str, int | None, bool]  # Pod address, port name, target port, ready


def by_controller(one: Any) -> bool:
    """Whether a V1EndpointSlice is the controller's: one that a learner wrote beside it follows no Pods, nor has to."""
    return (one.metadata.labels or {}).get(MANAGED_BY) == CONTROLLER


def followed(service: Any, pods: Iterable[Any], slices: Iterable[Any]) -> bool:
    """Whether the V1EndpointSlices of a V1Service hold what they should, given the V1Pods of its namespace.

    A Pod that ends without having been Ready may stay there, not ready: the controller looks again at a Pod whose readiness
    or address changes, not its phase (staging/src/k8s.io/endpointslice/util/controller_utils.go, podEndpointsChanged).
    """
    pods = list(pods)
    should, does = wanted(service, pods), written(service, slices)
    ended = {pod.status.pod_ip for pod in pods if pod.status.phase in _ENDED}
    always = bool(service.spec.publish_not_ready_addresses)
    left = {one for one in does - should if one[0] in ended and (always or not one[3])}
    return should == does - left


def wanted(service: Any, pods: Iterable[Any]) -> set[Endpoint]:
    """What the EndpointSlices of a V1Service should hold, given the V1Pods of its namespace.

    As the endpoints controller decides it: staging/src/k8s.io/endpointslice/reconciler.go and utils.go (FindPort).
    """
    found: set[Endpoint] = set()
    for pod in pods:
        labels = pod.metadata.labels or {}
        if not all(labels.get(key) == value for key, value in service.spec.selector.items()):
            continue
        if not pod.status.pod_ip or pod.status.phase in _ENDED:
            continue
        ready = is_ready(pod) or bool(service.spec.publish_not_ready_addresses)
        ports = {port.name or "": target_number(port, pod) for port in service.spec.ports or []}
        some = any(number is not None for number in ports.values())
        found |= {(pod.status.pod_ip, name, n, ready) for name, n in ports.items() if n is not None or not some}
    return found


def target_number(port: Any, pod: Any) -> int | None:
    """The number that a V1ServicePort's targetPort means on a V1Pod; None where no container has that name."""
    target = port.target_port
    if isinstance(target, int) or str(target).isdigit():
        return int(target) or int(port.port)
    containers = itertools.chain(pod.spec.containers, _sidecars(pod))
    for declared in itertools.chain.from_iterable(c.ports or [] for c in containers):
        if declared.name == target and declared.protocol == port.protocol:
            return int(declared.container_port)
    return None


def _sidecars(pod: Any) -> list[Any]:
    return [c for c in pod.spec.init_containers or [] if c.restart_policy == "Always"]


def written(service: Any, slices: Iterable[Any]) -> set[Endpoint]:
    """What the V1EndpointSlices of a V1Service hold, in the same form as `wanted`."""
    found: set[Endpoint] = set()
    for one in slices:
        of = (one.metadata.namespace, (one.metadata.labels or {}).get("kubernetes.io/service-name"))
        if of != (service.metadata.namespace, service.metadata.name):
            continue
        for endpoint in one.endpoints or []:
            for address in endpoint.addresses:
                ready = endpoint.conditions.ready is not False
                if not one.ports:
                    found.update((address, port.name or "", None, ready) for port in service.spec.ports or [])
                for port in one.ports or []:
                    found.add((address, port.name or "", port.port, ready))
    return found
