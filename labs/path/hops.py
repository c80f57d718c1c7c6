"""The hops of a path as data: what each one's number is, what came of asking there, and where ports change. Only computes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from labs.cluster import NotHere
from labs.explain import Explanation
from labs.explain.facts import Facts, Pod
from labs.explain.way import HEADLESS, Stand, Way, heard_word, listed, open_ports
from labs.probe import Answer, Place, Word
from labs.probe.tracing import clean

LONGEST = 300  # characters of what was seen at a hop


class Reach(StrEnum):
    """What came of asking at a hop, in the words that learners read."""

    REACHED = "reached"
    REFUSED = "refused"
    CLOSED = "accepted, then closed"
    TIMED_OUT = "timed out"
    NO_ROUTE = "no route"
    NAME_UNKNOWN = "name unknown"
    SOMETHING_ELSE = "answered by something else"
    NOTHING_YET = "nothing yet"
    NOT_TRIED = "not tried"
    NOT_HERE = "cannot be tried here"


OF_WORD = {
    Word.ANSWERED: Reach.REACHED,
    Word.SOMETHING_ELSE: Reach.SOMETHING_ELSE,
    Word.REFUSED: Reach.REFUSED,
    Word.NO_ROUTE: Reach.NO_ROUTE,
    Word.UNREACHABLE: Reach.NO_ROUTE,
    Word.CLOSED: Reach.CLOSED,
    Word.TIMED_OUT: Reach.TIMED_OUT,
    Word.NOTHING_YET: Reach.NOTHING_YET,
    Word.NAME_UNKNOWN: Reach.NAME_UNKNOWN,
    Word.NOT_TRIED: Reach.NOT_TRIED,
}


@dataclass(frozen=True)
class Hop:
    """One hop. key: "node", "clusterIP", "endpoint", "container" or "laptop".

    what, field: what it is and which field holds its number. port: the number, or numbers; "" for none. address: where.
    said: the state in a few words, where they say more than `reach` does. saw: what was seen, whole.
    command: tests it by hand. stops: whether the request stops here. why: then, why.
    """

    key: str
    what: str
    field: str
    port: str = ""
    address: str = ""
    reach: Reach = Reach.NOT_TRIED
    said: str = ""
    saw: str = ""
    command: str = ""
    stops: bool = False
    why: str = ""

    @property
    def state(self) -> str:
        """The state as it is shown."""
        return self.said or str(self.reach)


class Turn(StrEnum):
    """What becomes of the port between two hops."""

    SAME = "stays"
    TURNED = "is turned into"  # by rules, or by a mapping
    BROKEN = "is not"  # nothing turns one into the other


@dataclass(frozen=True)
class Path:
    """A request's path to one port of a Service. hops: node, ClusterIP, Endpoint, container. laptop: its mapping, beside."""

    service: str
    port: int | None
    hops: tuple[Hop, ...]
    laptop: Hop

    @property
    def stops(self) -> Hop | None:
        """The hop at which the request stops; None where it comes through, as far as it was tried."""
        return next((hop for hop in (*self.hops, self.laptop) if hop.stops), None)

    def turn(self, here: Hop, there: Hop) -> Turn | None:
        """What becomes of the port between two hops; None where one of them has none."""
        if not here.port or not there.port:
            return None
        if here.port == there.port:
            return Turn.SAME
        return Turn.BROKEN if there.key == "container" else Turn.TURNED

    @property
    def heading(self) -> str:
        """One sentence: where the request stops, or that it comes through."""
        asked = f"{self.service}:{self.port}" if self.port else self.service
        if self.stops is not None:
            what = self.stops.what if self.stops.key == "laptop" else f"the {self.stops.what}"
            return f"The path to {asked}: a request stops at {what}."
        if self.hops[1].reach is Reach.REACHED:
            return f"The path to {asked}: a request comes through."
        return f"The path to {asked}."


# Which hop of the path a hop of the explanation is about.
_ABOUT = {
    "Service is there": "clusterIP",
    "name resolves": "clusterIP",
    "protocol matches": "clusterIP",
    "selector matches Pods": "endpoint",
    "process listens": "container",
    "Pod is Ready": "endpoint",
    "Endpoints are filled": "endpoint",
    "NetworkPolicy lets in": "endpoint",
    "ClusterIP answers": "clusterIP",
    "node port answers": "node",
    "laptop gets there": "laptop",
}
# From outside: who comes by a node port. A node's own or a Pod's request is told where nobody else could ask.
_OUTSIDE_FIRST = (Place.MACHINE, Place.LAPTOP, Place.POD, Place.NODE)


def path_of(facts: Facts, explanation: Explanation) -> Path:
    """The path to the port that the explanation is about, painted from the answers that the facts hold."""
    service = facts.service
    port = next((one for one in service.ports if one.port == explanation.port), None) if service is not None else None
    if service is None or port is None:
        return _each(_marked(_nothing_to_ask(explanation), explanation), _cleaned)
    way = Way(facts, service, port)
    hops = (_node(way), _cluster_ip(way), _endpoint(way, explanation), _container(way, explanation))
    return _each(_marked(Path(service.name, port.port, hops, _laptop(way)), explanation), _cleaned)


def _marked(path: Path, explanation: Explanation) -> Path:
    """The same with the hop marked where the request stops."""
    if explanation.stops_at is None:
        return path
    key = _ABOUT.get(explanation.stops_at.name, "")
    return _each(path, lambda hop: replace(hop, stops=True, why=explanation.why) if hop.key == key else hop)


def _each(path: Path, change: Callable[[Hop], Hop]) -> Path:
    return replace(path, hops=tuple(map(change, path.hops)), laptop=change(path.laptop))


def _cleaned(hop: Hop) -> Hop:
    """The hop with its words on one line, without control characters, cut to what a page can show: a stranger may have sent
    some of them."""
    return Hop(
        key=hop.key,
        what=hop.what,
        field=clean(hop.field, 40),
        port=clean(hop.port, 40),
        address=clean(hop.address, 80),
        reach=hop.reach,
        said=clean(hop.said, 60),
        saw=clean(hop.saw, LONGEST),
        command=clean(hop.command, 1000),
        stops=hop.stops,
        why=clean(hop.why, 2 * LONGEST),
    )


def _nothing_to_ask(explanation: Explanation) -> Path:
    """A Service that is missing, has no ports, or is only another name: there is nothing to go along."""
    saw, command = explanation.hops[0].saw, explanation.hops[0].command
    hops = (
        Hop("node", "node", "nodePort", saw=saw),
        Hop("clusterIP", "ClusterIP", "port", saw=saw, command=command),
        Hop("endpoint", "Endpoint", "targetPort", saw=saw),
        Hop("container", "container", "listens on", saw=saw),
    )
    laptop = Hop("laptop", "this laptop", "mapped to the node port", saw=saw)
    return Path(clean(explanation.service, 253), explanation.port, hops, laptop)


# --- the hops


def _node(way: Way) -> Hop:
    number, nodes = way.port.node_port, way.facts.nodes
    hop = Hop("node", "node", "nodePort", str(number or ""))
    if not number:
        return replace(hop, said="none", saw=f"type {way.service.type} opens no node port")
    if not nodes:
        return replace(hop, reach=Reach.NOT_HERE, saw="we may not list the nodes here")
    heard = {name: _from_outside(way, address, number) for name, address in nodes.items()}
    asked = {name: answer for name, answer in heard.items() if answer is not None}
    if not asked:
        return replace(hop, address=_addresses(nodes.values()), saw=f"nodeIP:{number} was not asked")
    told = _told(asked.values())
    place = told.seat.place.value
    saw = f"from {place}: " + "; ".join(f"{answer.target} ({name}) {_outcome(answer)}" for name, answer in asked.items())
    some = 0 < sum(answer.word is Word.ANSWERED for answer in asked.values()) < len(asked)
    said = f"{OF_WORD[told.word]} by some" if some else ""
    return replace(hop, address=_addresses(nodes.values()), reach=OF_WORD[told.word], said=said, saw=saw, command=told.command)


def _from_outside(way: Way, address: str, number: int) -> Answer | None:
    """What came of asking a node from outside; from inside, where nobody outside could ask."""
    for place in _OUTSIDE_FIRST:
        tried = [one for one in _asked(way, address, number, place) if one.word is not Word.NOT_TRIED]
        if tried:
            return _told(tried)
    return None


def _cluster_ip(way: Way) -> Hop:
    service, number = way.service, way.port.port
    if service.cluster_ip == HEADLESS:
        hop = Hop("clusterIP", "name (no ClusterIP)", "port", str(number), service.name)
        return _heard(hop, _asked(way, service.name, number), "the Service is headless (clusterIP: None)")
    hop = Hop("clusterIP", "ClusterIP", "port", str(number), service.cluster_ip)
    if not service.cluster_ip:
        return replace(hop, said="none", saw=f"a Service of type {service.type} has no ClusterIP")
    return _heard(hop, _asked(way, service.cluster_ip, number), f"{service.cluster_ip}:{number} was not asked")


def _endpoint(way: Way, explanation: Explanation) -> Hop:
    ready = [one for one in way.endpoints if one.ready and one.number is not None]
    named = f"targetPort {way.port.target}" if isinstance(way.port.target, str) else "targetPort"
    if not ready:
        seen = _of(explanation, "Endpoints are filled")
        return Hop("endpoint", "Endpoint", named, said="empty", saw=seen[0], command=seen[1])
    heard = [answer for one in ready for answer in _asked(way, one.address, one.number)]
    numbers = _listed_numbers(one.number for one in ready)
    hop = Hop("endpoint", "Endpoint", named, numbers, _addresses(one.address for one in ready))
    return _heard(hop, heard, f"{listed(f'{one.address}:{one.number}' for one in ready)} was not asked")


def _container(way: Way, explanation: Explanation) -> Hop:
    saw, command = _of(explanation, "process listens")
    if not way.serving:
        return Hop("container", "container", "listens on", said="none", saw=saw or "no Pod runs behind it", command=command)
    stands = [(pod, way.stand(pod)) for pod in way.serving]
    pod, stand = next(((pod, stand) for pod, stand in stands if stand is not Stand.OPEN), stands[0])
    number = way.number(pod)
    names = listed((one.name for one in way.serving), 2)
    hop = Hop("container", "container", "listens on", _listening(pod, number), names, saw=saw, command=command)
    match stand:
        case Stand.OPEN:
            return replace(hop, port=str(number), reach=Reach.REACHED, said=f"listens on {number}")
        case Stand.INSIDE:
            return replace(hop, reach=Reach.REFUSED, said="only inside the Pod")
        case Stand.UNKNOWN:
            why = pod.listeners.why if isinstance(pod.listeners, NotHere) else ""
            return replace(hop, reach=Reach.NOT_HERE, saw=why or saw)
        case Stand.NO_NUMBER:
            return replace(hop, reach=Reach.NOT_TRIED, said=f"no port “{way.port.target}”")
    return replace(hop, reach=Reach.REFUSED, said=f"nothing on {number}")


def _listening(pod: Pod, asked: int | None) -> str:
    """The ports that a Pod's processes listen on; the one that is asked for where it is among them, if only inside."""
    if isinstance(pod.listeners, NotHere):
        return ""
    there = {one.port for one in pod.listeners}
    return str(asked) if asked in there else _listed_numbers(open_ports(pod) or there)


def _laptop(way: Way) -> Hop:
    hop = Hop("laptop", "this laptop", "mapped to the node port")
    number = way.port.node_port
    if not number:
        return replace(hop, said="none", saw="there is no node port that it could lead to")
    outside = way.facts.outside.get(number)
    if outside is None:
        return replace(hop, saw="where the laptop reaches it was not asked")
    if isinstance(outside, NotHere):
        return replace(hop, reach=Reach.NOT_HERE, saw=f"your laptop has no way there: {outside.why}")
    hop = replace(hop, port=str(outside.port), address=outside.host)
    heard = [one for host in (outside.host, "localhost") for one in _asked(way, host, outside.port, Place.LAPTOP)]
    tried = [one for one in heard if one.tried]  # a node's own localhost:30066, not for laptops, may have the same address
    return _heard(hop, tried or heard, f"{outside} was not asked")


# --- what was heard


def _asked(way: Way, host: str, number: int | None, place: Place = Place.POD) -> list[Answer]:
    """The answers from this kind of place, those that are still awaited too."""
    return [one for one in way.facts.answers if (one.target.host, one.target.port, one.seat.place) == (host, number, place)]


def _heard(hop: Hop, answers: list[Answer], unasked: str) -> Hop:
    """The hop with what was heard there: the first that did not come through, else the first."""
    if not answers:
        return replace(hop, saw=unasked)
    told = _told(answers)
    shown = list(dict.fromkeys(f"{one.target} {_outcome(one)}" for one in answers))
    some = told.word is not Word.ANSWERED and any(one.word is Word.ANSWERED for one in answers)
    said = f"{OF_WORD[told.word]} by some" if some else ""
    return replace(hop, reach=OF_WORD[told.word], said=said, saw="; ".join(shown), command=told.command)


def _told(answers: Iterable[Answer]) -> Answer:
    """The answer that a hop is painted by: the first that did not come through, else the first."""
    heard = list(answers)
    return next((one for one in heard if one.word is not Word.ANSWERED), heard[0])


def _outcome(answer: Answer) -> str:
    if answer.word is Word.ANSWERED:
        return heard_word(answer)
    return f"{answer.word} ({answer.detail})" if answer.word is Word.NOT_TRIED and answer.detail else str(answer.word)


def _of(explanation: Explanation, name: str) -> tuple[str, str]:
    """What the explanation saw at one of its hops, and the command for it."""
    return next(((hop.saw, hop.command) for hop in explanation.hops if hop.name == name), ("", ""))


def _listed_numbers(numbers: Iterable[int | None]) -> str:
    return listed(sorted({one for one in numbers if one is not None}), 3)


def _addresses(addresses: Iterable[str]) -> str:
    """As they fit into a box: the first, and how many more."""
    given = list(dict.fromkeys(addresses))
    return given[0] if len(given) == 1 else f"{given[0]} +{len(given) - 1}"
