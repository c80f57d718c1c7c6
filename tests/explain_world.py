"""Builds facts for the tests of labs.explain: what a Service, Pods, Endpoints and answers look like when all is well."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labs.cluster import Address, NotHere
from labs.explain import Explanation, State
from labs.explain.diagnose import diagnose
from labs.explain.facts import Declared, Endpoint, Facts, Pod, Service, ServicePort
from labs.explain.sockets import Listener
from labs.probe import Answer, Place, Seat, Target, Word

LABELS = {"app": "productpage"}
IP = "10.97.239.58"
NODES = {"ports-control-plane": "172.18.0.2", "ports-worker": "172.18.0.3"}
SEATS = {place: Seat(place, place.value) for place in Place}
PATCH = "kubectl -n target-port patch service productpage --type=json -p "  # how a mend of the Service begins


def port(target: int | str = 9080, number: int = 9999, at: int = 0, name: str = "http", **more: Any) -> ServicePort:
    return ServicePort(at, name, number, target, **more)


def service(*ports: ServicePort, **more: Any) -> Service:
    given: dict[str, Any] = {"selector": LABELS, "cluster_ip": IP, **more}
    return Service("productpage", ports or (port(),), **given)


def pod(name: str = "pod2", ip: str = "10.244.1.2", listens: Iterable[str] | NotHere = ("[::]:9080",), **more: Any) -> Pod:
    heard = listens if isinstance(listens, NotHere) else tuple(listener(one) for one in listens)
    given: dict[str, Any] = {"labels": LABELS, "node": "ports-worker", "looked_from": "productpage", **more}
    return Pod(name, ip=ip, listeners=heard, **given)


def listener(text: str) -> Listener:
    address, _, number = text.rpartition(":")
    return Listener(int(number), address.strip("[]"))


def declared(name: str, number: int = 9080, **more: Any) -> Declared:
    return Declared("productpage", name, number, **more)


def answer(host: str, number: int, word: Word = Word.ANSWERED, place: Place = Place.POD, by: str = "pod2") -> Answer:
    through = word is Word.ANSWERED
    return Answer(
        SEATS[place], Target("", host, number), word, 200 if through else None, 0.0, by if through else "", "", "", ""
    )


def world(
    one: Service | None = None,
    *pods: Pod,
    words: Mapping[str, Word] | None = None,
    answers: Iterable[Answer] | None = None,
    **more: Any,
) -> Facts:
    """Facts in which Endpoints follow from the Pods, as the controller writes them, and requests end as `words` says.

    words: by "name", "ip" (the ClusterIP) and Pod, how a request there ends; "answered" where it is not said.
    """
    one = one or service()
    words = words or {}
    given = tuple(_targets(one, each) for each in pods)
    endpoints = tuple(
        Endpoint(p.name, each.ip, number, (each.ready and not each.terminating) or one.publish_not_ready)
        for each in given
        if one.selector.items() <= each.labels.items() and each.ip and one.selector
        for p, number in zip(one.ports, each.targets, strict=True)
    )
    heard = [answer("productpage", p.port, words.get("name", Word.ANSWERED)) for p in one.ports]
    if one.cluster_ip != "None":
        heard += [answer(one.cluster_ip, p.port, words.get("ip", Word.ANSWERED)) for p in one.ports]
    heard += [answer(p.ip, n, words.get(p.name, Word.ANSWERED), by=p.name) for p in given for n in p.targets if n]
    known: dict[str, Any] = {"endpoints": endpoints, "nodes": NODES, "client_node": "ports-worker", **more}
    return Facts("target-port", "productpage", one, ("productpage",), given, answers=tuple(answers or heard), **known)


def _targets(one: Service, given: Pod) -> Pod:
    if given.targets:
        return given
    return replace(given, targets=tuple(_number(p, given) for p in one.ports))


def _number(p: ServicePort, given: Pod) -> int | None:
    if isinstance(p.target, int):
        return p.target
    return next((d.number for d in given.declared if (d.name, d.protocol) == (p.target, p.protocol)), None)


def refused(*pods: str) -> dict[str, Word]:
    """Requests to the ClusterIP, the name and these Pods are refused."""
    return dict.fromkeys(("ip", "name", *pods), Word.REFUSED)


def stops(facts: Facts, asked: int | None = None) -> tuple[str, Explanation]:
    """The name of the hop where the request stops ("" where none does), and the explanation; states are checked."""
    found = diagnose(facts, asked)
    stopping = [hop for hop in found.hops if hop.state is State.STOPS]
    assert stopping == ([found.stops_at] if found.stops_at else [])
    assert found.why
    assert bool(found.mends) is bool(found.stops_at)
    return (found.stops_at.name if found.stops_at else ""), found


def commands(found: Explanation) -> list[str]:
    return [mend.command for mend in found.mends if mend.command]


def state(found: Explanation, name: str) -> State:
    return next(hop.state for hop in found.hops if hop.name == name)


def saw(found: Explanation, name: str) -> str:
    return next(hop.saw for hop in found.hops if hop.name == name)


OUTSIDE = {30066: Address("127.0.0.1", 30066)}
