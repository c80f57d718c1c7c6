"""A kind cluster that answers, and its four answers to the seam's questions.

Does not make, mend or end it (kind.py does).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from labs import marker, seats
from labs.cluster import Address, Cluster, Node, NotHere, Ran, still_running
from labs.errors import ClusterGone, LabError
from labs.providers import claims, containers, engine, kindconfig
from labs.shells import Late, LocalSession, Lost

API_PORT = 6443  # the API server's, inside the control plane's container


def mapped_here(found: Iterable[containers.NodeContainer]) -> dict[int, Address]:
    """Where this laptop answers for each node port of these nodes that kind maps."""
    return {port: at for one in found for port, at in one.mappings.items() if port != API_PORT}


class KindsCluster(Cluster):
    """A kind cluster. mappings: where this laptop answers for each node port that kind maps."""

    provider = "kind"

    def __init__(self, name: str, kubeconfig: Path, kubectl: Path, found: list[containers.NodeContainer]) -> None:
        super().__init__(name, kubeconfig, kubectl, tuple(Node(one.name, one.address) for one in found))
        self.mappings = mapped_here(found)

    def outside(self, node_port: int) -> Address | NotHere:
        """kind's mapping (extraPortMappings in kindconfig.yaml) on this laptop's 127.0.0.1."""
        if node_port in self.mappings:
            return self.mappings[node_port]
        if not self.mappings:
            return NotHere(kindconfig.NONE_MAPPED)
        known = " and ".join(str(port) for port in sorted(self.mappings))
        return NotHere(f"kind maps only node port {known} to this laptop, not {node_port} (kindconfig.yaml, extraPortMappings)")

    def elsewhere(self, command: Sequence[str], limit: float = 30.0) -> Ran | NotHere:
        """Runs the command in a container beside the nodes' containers, on the same network, by a shell that stays open there.

        Where that shell is lost before the command ends, the command is run once more.
        """
        neighbour = containers.neighbour_name(self.name)

        def opened() -> LocalSession:
            claims.check(self.name)
            return containers.shell(neighbour)

        try:
            return Ran(*self.shells.run(neighbour, opened, command, limit))
        except Lost:
            claims.check(self.name)
            return containers.execute(neighbour, command, limit)
        except Late:
            raise still_running(command, "on another machine", limit) from None

    def elsewhere_by_hand(self) -> tuple[str, ...]:
        """What to type before a command to run it on that machine."""
        return (engine.program(), "exec", containers.neighbour_name(self.name))

    def rules(self, node: str) -> str | NotHere:
        """kube-proxy's nftables table, or the lines of its iptables chains."""
        claims.check(self.name)
        table = containers.execute(node, ["nft", "list", "table", "ip", "kube-proxy"])
        if table.code == 0:
            return table.out
        saved = containers.execute(node, ["iptables-save", "-t", "nat"])
        lines = [line for line in saved.out.splitlines() if "KUBE-" in line]
        return "\n".join(lines) + "\n" if lines else NotHere(f"node {node} shows no Service rules: {saved.err or table.err}")

    def settled(self, limit: float = 30.0, namespace: str | None = None) -> None:
        """A marker Service, changed now and then seen from every node (labs/marker.py)."""
        lookouts = [(seats.SYSTEM_NAMESPACE, seats.node_pod_name(node.name)) for node in self.nodes]
        marker.settle(self, seats.SYSTEM_NAMESPACE, namespace, lookouts, limit)

    def fault(self) -> LabError:
        """The engine stopped, the cluster was deleted, its nodes stopped, or the API server is busy."""
        try:
            claims.check(self.name)
            found = containers.nodes(self.name)
        except LabError as error:
            return error
        if not found:
            return ClusterGone(
                f"The cluster {self.name} is gone.",
                "Somebody deleted it: its node containers are not there any more.",
                "`python -m labs up` makes a new one; then run the notebook from its top.",
            )
        stopped = [one.name for one in found if not one.running]
        if stopped:
            return ClusterGone(
                f"The cluster {self.name} has stopped.",
                f"Its node containers have ended: {', '.join(stopped)}.",
                "`python -m labs up` starts them again.",
            )
        return ClusterGone(
            f"The API server of cluster {self.name} does not answer.",
            "Its nodes run; they have just been started, or the machine is very busy.",
            "Wait a little and run the cell again; then `python -m labs up`, which mends what can be mended.",
        )
