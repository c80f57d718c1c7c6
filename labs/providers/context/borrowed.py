"""A cluster that somebody else runs, of which we have one namespace; and its answers to the seam.

Does not decide which namespace, ask for rights, or make or remove anything (the room's functions do).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from labs import marker, seats
from labs.cluster import Address, Cluster, LimitedClient, Node, NotHere, Ran
from labs.errors import ClusterGone, LabError, Refused
from labs.providers.context import dataplane, kubeconfig, reach
from labs.shared import LESSON
from labs.waiting import at_most

MOST_NODES = 4  # of a large cluster's nodes, those that the lessons ask

_KUBELET = 10250  # where a node does not tell its kubelet's port


class BorrowedCluster(Cluster):
    """One namespace of somebody else's cluster. Asks for no more than the ClusterRole `edit` gives there."""

    provider = "context"

    def __init__(self, context: str, own: Path, kubectl: Path) -> None:
        config = kubeconfig.read_own(own)
        super().__init__(context, own, kubectl, namespace=kubeconfig.context_of(config)["namespace"])
        self.server = kubeconfig.server_of(config)
        self.nodes_in_all = 0
        self._doors: tuple[reach.Door, ...] = ()
        self._reached: str | None = None

    @property
    def space(self) -> str:
        """The namespace, which a borrowed cluster always has."""
        assert self.namespace is not None
        return self.namespace

    def learn_nodes(self) -> None:
        """Lists the cluster's nodes. There are none for us where we may not, as with rights in one namespace alone."""
        with self.answering("list its nodes"):
            try:
                found = self.core().list_node().items
            except ApiException as error:
                if error.status != 403 or "system:anonymous" in str(error.body):
                    raise
                return
        self.nodes_in_all = len(found)
        self.nodes = nodes(found)[:MOST_NODES]
        self._doors = doors(found)

    # --- the seam

    def outside(self, node_port: int) -> Address | NotHere:
        """The address of a node that this laptop reaches, with the node port; found out by connecting (reach.py)."""
        if not self.nodes:
            return NotHere("we may not list the nodes of this borrowed cluster, so no address of theirs is known")
        if self._reached is None:
            address = reach.first_reached(self._doors, node_port)
            if address is None:
                tried = ", ".join(door.address for door in self._doors[: reach.MOST])
                return NotHere(f"this laptop reaches no node of the borrowed cluster (tried {tried})")
            self._reached = address
        return Address(self._reached, node_port)

    def elsewhere(self, command: Sequence[str], limit: float = 30.0) -> Ran | NotHere:
        """Not on a borrowed cluster: the machines of its network are not ours."""
        return NotHere("the cluster is borrowed, and no other machine of its nodes' network is ours to use")

    def rules(self, node: str) -> str | NotHere:
        """Not on a borrowed cluster: reading a node's rules takes root on that node."""
        return NotHere("the cluster is borrowed, and reading a node's rules takes root there")

    @property
    def node_seat(self) -> NotHere:
        """Not on a borrowed cluster: Pod Security *restricted*, which the course keeps to, forbids hostNetwork."""
        return NotHere(
            "cannot be tried here, because the cluster is borrowed: it takes a Pod on a node's own network (hostNetwork), "
            "which Pod Security restricted forbids"
        )

    def settled(self, limit: float = 30.0, namespace: str | None = None) -> None:
        """Returns when the node of the client Pod has acted on what was changed before the call (labs/marker.py).

        That is the only node whose rules we can see here. A request that enters at another one (from this laptop, by a
        node port) may meet older rules for a moment.
        """
        marker.settle(self, self.space, self.space, [(self.space, seats.CLIENT)], limit, selector=LESSON)

    # --- what a provider adds

    def fault(self) -> LabError:
        """Why the API does not answer us, in kubectl's words, which names plugins and certificates best."""
        limit = at_most(30.0)
        done = self.kubectl("get", "--raw", "/api", f"--request-timeout={min(5.0, limit - 1):.0f}s", limit=limit)
        return fault_of(done, self.name, self.server)

    @contextmanager
    def answering(self, doing: str, try_this: str = "Change what the API server names, and run this again.") -> Iterator[None]:
        """As for every cluster; and credentials that have run out are no refusal of what was asked, but a fault."""
        try:
            with super().answering(doing, try_this):
                yield
        except Refused as error:
            if error.status == 401 or "system:anonymous" in error.why:  # an exec plugin that failed leaves us without a name
                raise self.fault() from error
            raise

    def _new_client(self) -> Any:
        return LimitedClient(self._configuration)

    @cached_property
    def _configuration(self) -> Any:
        """Read once: a kubeconfig may call a program (aws, gcloud) for a token, which the client renews as it expires.

        Unlike for a cluster on this machine, a proxy (of the kubeconfig or the environment) may be the only way.
        """
        configuration = kubernetes_client.Configuration()
        try:
            kubernetes_config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (OSError, ConfigException, ValueError, TypeError, LookupError, AttributeError) as error:
            raise LabError(
                f"The credentials of context {self.name} cannot be used.",
                str(error),
                "Log in to that cluster again the way you usually do, then `python -m labs up`.",
            ) from error
        configuration.retries = False
        return configuration

    @cached_property
    def clues(self) -> dataplane.Clues:
        """What we may read of what the cluster is made of."""
        return dataplane.clues(self)


def opened(context: str, own: Path, kubectl: Path) -> BorrowedCluster:
    """The cluster behind a kubeconfig of ours, its nodes listed where we may."""
    cluster = BorrowedCluster(context, own, kubectl)
    cluster.learn_nodes()
    return cluster


def nodes(found: Sequence[Any]) -> tuple[Node, ...]:
    """The nodes of a list of V1Nodes that are Ready and have an InternalIP, sorted by name."""
    ready = [node for node in found if any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or [])]
    named = [(node.metadata.name, _addresses(node, "InternalIP")) for node in ready]
    return tuple(Node(name, addresses[0]) for name, addresses in sorted(named) if addresses)


def doors(found: Sequence[Any]) -> tuple[reach.Door, ...]:
    """The addresses at which a laptop may reach the nodes: the external ones first, as they are meant for it."""
    listed = []
    for kind in ("ExternalIP", "InternalIP"):
        for node in sorted(found, key=lambda one: str(one.metadata.name)):
            endpoint = node.status.daemon_endpoints and node.status.daemon_endpoints.kubelet_endpoint
            port = endpoint.port if endpoint else _KUBELET
            listed += [reach.Door(node.metadata.name, address, port) for address in _addresses(node, kind)]
    return tuple(listed)


def _addresses(node: Any, kind: str) -> list[str]:
    return [one.address for one in node.status.addresses or [] if one.type == kind]


# The words of kubectl and its plugins, in lower case, that say: it is about who we are.
_CREDENTIALS = (
    "unauthorized", "must be logged in", "provide credentials", "getting credentials", "token has expired", "system:anonymous",
    "unable to load root certificates", "tls: private key", "no such file",
)  # fmt: skip


def fault_of(done: Ran, context: str, server: str) -> LabError:
    """Why the API of a borrowed cluster does not answer us, from what kubectl left when it asked for the least there is."""
    words = " ".join(done.err.split()) or "kubectl gave no reason."
    if done.code == 0:
        return LabError(
            f"A request to the cluster of context {context} was cut off.",
            "Its API server answers now; the connection, or a proxy on the way, broke in between.",
            "Run the cell again.",
        )
    if any(sign in words.lower() for sign in _CREDENTIALS):
        return LabError(
            f"The cluster of context {context} does not accept your credentials (any more).",
            words,
            "Log in to it again the way you usually do, check with `kubectl --context "
            f"{context} auth whoami`, then `python -m labs up`, which takes the new credentials over.",
        )
    if "x509" in words:
        return LabError(
            f"The API server of context {context} shows a certificate that your kubeconfig does not trust.",
            words,
            "The cluster was made anew, or something on the way answers in its place. Get its kubeconfig anew, then "
            "`python -m labs up`.",
        )
    return ClusterGone(
        f"The API server of context {context} does not answer.",
        f"{server}: {words}",
        "Is your VPN up, and does the cluster still run? `kubectl get --raw /api` asks it by hand; then run this again.",
    )
