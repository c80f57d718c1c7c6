"""What was seen of a Service and of what stands behind it: plain data that diagnose judges and look gathers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labs.cluster import Address, NotHere
from labs.explain.sockets import Listener
from labs.probe import Answer


@dataclass(frozen=True)
class ServicePort:
    """One of a Service's ports. index: its place in spec.ports. target: targetPort, a number or a name."""

    index: int
    name: str
    port: int
    target: int | str
    protocol: str = "TCP"
    node_port: int | None = None


@dataclass(frozen=True)
class Service:
    """A Service. cluster_ip: an address, "None" (headless) or "" (ExternalName). external_ip: a load balancer's, if any."""

    name: str
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str]
    type: str = "ClusterIP"
    cluster_ip: str = ""
    external_name: str = ""
    external_ip: str = ""
    publish_not_ready: bool = False
    external_policy: str = "Cluster"
    internal_policy: str = "Cluster"


@dataclass(frozen=True)
class Declared:
    """A containerPort: what a container declares, which opens nothing."""

    container: str
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Trouble:
    """A container that does not run: why, in Kubernetes' words, and the last line of its log.

    reason: "CrashLoopBackOff", "ImagePullBackOff", "Error", … message: what goes with it.
    """

    container: str
    reason: str
    message: str = ""
    log: str = ""


@dataclass(frozen=True)
class Pod:
    """A Pod. targets: for each of the Service's ports, the number that its targetPort means here; None: no such name.

    listeners: what its processes listen on, or, where that could not be read, why. not_ready: why it is not Ready, as the
    kubelet or the scheduler says it. ours: a helper of the course, no learner's Pod.
    """

    name: str
    labels: Mapping[str, str]
    ip: str = ""
    node: str = ""
    phase: str = "Running"
    ready: bool = True
    terminating: bool = False
    targets: tuple[int | None, ...] = ()
    declared: tuple[Declared, ...] = ()
    listeners: tuple[Listener, ...] | NotHere = ()
    looked_from: str = ""  # the container in which the listeners were read
    troubles: tuple[Trouble, ...] = ()
    not_ready: str = ""
    probe_ports: tuple[tuple[str, int], ...] = ()  # container, and the port that its readiness probe asks
    ours: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An address in the Service's EndpointSlices. number: None where no port goes with the address."""

    port_name: str
    address: str
    number: int | None
    ready: bool = True


@dataclass(frozen=True)
class Policy:
    """A NetworkPolicy. pods: the names of those whose incoming requests it restricts. rules: how many let something in.

    client: whether it restricts what the client Pod may ask.
    """

    name: str
    pods: frozenset[str] = frozenset()
    rules: int = 0
    client: bool = False


@dataclass(frozen=True)
class Facts:
    """All that was seen. service: None where there is none of that name; then services names those that there are.

    policies: or why they could not be read. nodes: name and address of each that is known. client_node: the client Pod's.
    outside: for each of the Service's node ports, where the laptop reaches it, or why it does not.
    """

    namespace: str
    asked: str
    service: Service | None
    services: tuple[str, ...] = ()
    pods: tuple[Pod, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    policies: tuple[Policy, ...] | NotHere = ()
    answers: tuple[Answer, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    client_node: str = ""
    outside: Mapping[int, Address | NotHere] = field(default_factory=dict)
