"""What a request is and what came of it: seats, targets, answers, and the words for them. Data only."""

from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    """What curl's answer means, in the words that learners read."""

    ANSWERED = "answered"
    SOMETHING_ELSE = "answered by something else"
    REFUSED = "refused"
    NO_ROUTE = "no route"
    UNREACHABLE = "network unreachable"
    CLOSED = "accepted, then closed"
    TIMED_OUT = "timed out"
    NOTHING_YET = "nothing yet"
    NAME_UNKNOWN = "name unknown"
    NOT_TRIED = "not tried"


class Place(StrEnum):
    """The kinds of places that a request can come from."""

    POD = "a Pod"
    NODE = "a node"
    MACHINE = "another machine"
    LAPTOP = "this laptop"


class Way(StrEnum):
    """The ways to a Service's Pods, by the article's names and in its order. A matrix has at least one row for each."""

    POD = "podIP:targetPort"
    ENDPOINT = "Endpoint"
    CLUSTER_IP = "clusterIP:port"
    NAME = "name:port"
    NODE = "nodeIP:nodePort"
    NODE_LOCALHOST = "localhost:nodePort (a node's own)"
    LAPTOP_LOCALHOST = "localhost:nodePort (this laptop's)"


ADDRESS = "address"  # the way of a target that a learner typed


@dataclass(frozen=True)
class Seat:
    """Where a request comes from. pod, namespace: the Pod that carries curl there; empty outside the cluster.

    why_not: set where no request can be made from there at all.
    """

    place: Place
    name: str  # as learners read it: "Pod client", "node ports-worker", "another machine", "this laptop"
    namespace: str = ""
    pod: str = ""
    container: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Target:
    """What is asked. way: the article's name for it, as in "clusterIP:port". why_not: set where it cannot be asked at all.

    name: the Pod or node that the address belongs to, where it is one's.
    """

    way: str
    host: str
    port: int
    why_not: str = ""
    name: str = ""

    def __str__(self) -> str:
        """As it stands in a URL: "10.244.1.2:9080", "[fd00::2]:9080"; "none" where there is no such address."""
        if not self.port:
            return "none"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    status: HTTP status, or None. seconds: from start to end of the request. pod: which Pod says that it answered.
    client: the client address that this Pod saw. command: repeats it by hand. detail: curl's own line, or why not tried.
    connected: whether a connection was made.
    """

    seat: Seat
    target: Target
    word: Word
    status: int | None
    seconds: float
    pod: str
    client: str
    command: str
    detail: str
    connected: bool = False

    @property
    def tried(self) -> bool:
        """Whether the request was made. Where it was not, `detail` says why."""
        return self.word is not Word.NOT_TRIED
