"""Every address of the embedded cluster, in one place: the same ranges as kindconfig.yaml has. Only computes.

Does not hand addresses out: Pod addresses are the node agent's to give, ClusterIPs and node ports the API's.
"""

import ipaddress
from dataclasses import dataclass
from functools import cached_property

# For the nodes' own network; the first that this laptop does not itself lead anywhere is taken (launch.py).
NODE_NETWORKS = ("172.30.0.0/24", "172.29.0.0/24", "172.28.0.0/24", "10.213.0.0/24", "192.168.213.0/24")

CONTROL_PLANE, WORKER, MACHINE, GATEWAY = 2, 3, 9, 1  # hosts of the nodes' network
API_PORT = 6443  # where the API server listens on the control plane
KUBELET_PORT = 10250  # where a kubelet listens, on every node


@dataclass(frozen=True)
class NodePlan:
    """A node: its name, its InternalIP, and the range from which its Pods get addresses."""

    name: str
    address: str
    pod_range: str
    control_plane: bool

    @property
    def pod_gateway(self) -> str:
        """The address that the node has on each Pod's link: the first of its Pod range."""
        return str(ipaddress.ip_network(self.pod_range)[1])


@dataclass(frozen=True)
class AddressPlan:
    """The addresses of one cluster. name: the cluster's; ranges in CIDR notation."""

    name: str
    node_network: str = NODE_NETWORKS[0]
    pod_range: str = "10.244.0.0/16"
    service_range: str = "10.96.0.0/12"  # has the article's 10.97.239.58
    node_ports: tuple[int, int] = (30000, 32767)  # first and last
    cluster_dns: str = "10.96.0.10"
    api_service: str = "10.96.0.1"  # Service default/kubernetes
    cluster_domain: str = "cluster.local"

    @cached_property
    def nodes(self) -> tuple[NodePlan, ...]:
        """Two nodes, named as kind names them, the control plane first. Each has a /24 of the Pod range."""
        network = ipaddress.ip_network(self.node_network)
        pods = list(ipaddress.ip_network(self.pod_range).subnets(new_prefix=24))[:2]
        return (
            NodePlan(f"{self.name}-control-plane", str(network[CONTROL_PLANE]), str(pods[0]), True),
            NodePlan(f"{self.name}-worker", str(network[WORKER]), str(pods[1]), False),
        )

    def node(self, name: str) -> NodePlan:
        """The node of that name; KeyError where there is none."""
        return {node.name: node for node in self.nodes}[name]

    @property
    def gateway(self) -> str:
        """This laptop's end of the nodes' network: where the mapped node ports' requests come from."""
        return str(ipaddress.ip_network(self.node_network)[GATEWAY])

    @property
    def machine(self) -> str:
        """Another machine of the nodes' network."""
        return str(ipaddress.ip_network(self.node_network)[MACHINE])

    @property
    def node_prefix(self) -> int:
        """The length of the nodes' network's prefix."""
        return ipaddress.ip_network(self.node_network).prefixlen
