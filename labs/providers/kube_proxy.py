"""Whether Services are reached from each node of a kind cluster; where they are not, kube-proxy is started again there.

kube-proxy writes what has changed, and all of its rules only when it starts and once an hour (pkg/proxy/nftables/proxier.go,
syncProxyRules): rules that somebody has taken away stay away. Looks at nothing else of a cluster.
"""

from collections.abc import Callable

from labs.cluster import Cluster
from labs.errors import NotInTime
from labs.providers import containers
from labs.waiting import wait_while

STARTING_LIMIT = 60.0  # seconds for a kube-proxy that was started again to have written its rules
_ASKING = 3  # seconds for one request


def repair(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Asks the API server's own Service from each node, and mends those from which it is not reached. NotInTime."""
    with cluster.answering("read the API server's own Service"):
        address = cluster.core().read_namespaced_service("kubernetes", "default").spec.cluster_ip
    cut_off = [node.name for node in cluster.nodes if not _reaches(node.name, address)]
    for node in cut_off:
        say(f"Node {node} did not reach {address}, a ClusterIP: its Service rules are gone. Starting kube-proxy there again.")
        _start_again(cluster, node)
    for node in cut_off:
        late = NotInTime(
            f"Node {node} did not reach {address} {STARTING_LIMIT:.0f} s after kube-proxy was started there again.",
            "Something else than its Service rules is in the way, or the machine is very busy.",
            "`python -m labs down`, then `python -m labs up`.",
        )
        wait_while(lambda name=node: not _reaches(name, address), STARTING_LIMIT, lambda _, late=late: late, every=0.5)  # type: ignore[misc]


def _reaches(node: str, address: str) -> bool:
    """Whether a connection from that node's container to the Service is taken, whatever it answers then."""
    command = ["curl", "--noproxy", "*", "-ksS", "-o", "/dev/null", "-m", str(_ASKING), f"https://{address}/readyz"]
    return containers.execute(node, command).code == 0


def _start_again(cluster: Cluster, node: str) -> None:
    with cluster.answering(f"start kube-proxy on node {node} again"):
        cluster.core().delete_collection_namespaced_pod(
            "kube-system", label_selector="k8s-app=kube-proxy", field_selector=f"spec.nodeName={node}"
        )
