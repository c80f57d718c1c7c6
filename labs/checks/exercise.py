"""What an exercise is, as data: a broken state, what must answer again, and what must stay as it is. Touches nothing.

The exercises themselves are in labs/exercises; breaking makes the state, judging grades it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from labs.deploy import Manifest
from labs.probe import Place, Way

BEGUN = "labs.ports/begun"  # the annotation on what an exercise makes: which beginning of it made it
HOSTNAME = "kubernetes.io/hostname"  # the node label by which Pods are put somewhere
CLIENTS_NODE = "@the client's node"  # stands for a node's name in a nodeSelector, until there is a cluster
OTHER_NODE = "@another node"


class Awaited(StrEnum):
    """What a Pod of an exercise must have come to before the exercise is handed over."""

    READY = "is Ready"
    RUNNING = "runs"  # and will not be Ready
    CRASHED = "has a container that ended"
    PENDING = "finds no node"


class Needs(StrEnum):
    """What an exercise needs of a cluster, in the words for one that has it not."""

    TWO_NODES = "it takes two nodes, and this cluster shows one"
    MACHINE = "it asks from another machine, and there is none here"
    LAPTOP = "it asks from this laptop, which has no way to a node port here"
    HOST_PORT = "it takes a port of a node (hostPort), which Pods may not have here"
    NODE_PORT = "it opens a node port, which you have not allowed (LABS_OPEN_NODE_PORT=yes)"


@dataclass(frozen=True)
class Goal:
    """What must answer: port `port` of a Service, by one of the article's ways, asked from one kind of place.

    pods: each of them must be behind it. Way.NAME takes the ClusterIP with it; Way.NODE means the node port that belongs to
    `port`, on every node; Way.LAPTOP_LOCALHOST the same on this laptop.
    """

    service: str = "productpage"
    port: int = 9999
    pods: tuple[str, ...] = ("pod2",)
    way: Way = Way.NAME
    place: Place = Place.POD


@dataclass(frozen=True)
class Step:
    """One command of a solution: what stands behind `kubectl -n NAMESPACE`, and the manifest that it reads, if any."""

    arguments: tuple[str, ...]
    manifest: Manifest | None = None


@dataclass(frozen=True)
class Exercise:
    """One exercise. Deriving anything from the order of a mapping or a set here would make surprises differ: do not.

    level: 1 (one wrong number) to 5. lesson: the notebook that teaches it. story: two lines. objects: Pods and Services, in the
    order in which they are applied. goals: all of them must hold. kept_pods: these keep their uid, spec and processes.
    kept_labels: and their labels. kept_services: these are not the learner's to change. awaited: by Pod, READY where nothing
    is said. mode: a word on what differs by kube-proxy mode or provider. moral: what it was about, told at the end.
    """

    name: str
    level: int
    lesson: str
    story: tuple[str, str]
    task: str
    objects: tuple[Manifest, ...]
    goals: tuple[Goal, ...]
    hints: tuple[str, ...]
    solution: tuple[Step, ...]
    moral: str
    kept_pods: tuple[str, ...] = ()
    kept_labels: bool = False
    kept_services: tuple[str, ...] = ()
    awaited: Mapping[str, Awaited] = field(default_factory=dict)
    needs: tuple[Needs, ...] = ()
    mode: str = ""

    def of_kind(self, kind: str) -> list[Manifest]:
        """Its objects of that kind."""
        return [one for one in self.objects if one["kind"] == kind]
