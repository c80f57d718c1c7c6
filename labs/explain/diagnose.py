"""From facts to an explanation: puts the hops in order and finds the first that fails. Only computes."""

from collections.abc import Callable

from labs.explain import to_answer, to_pods
from labs.explain.facts import Facts, Service, ServicePort
from labs.explain.hops import Explanation, Hop, Mend, State
from labs.explain.way import Finding, Way, by_hand, listed
from labs.probe import Word

# In the order of a request's way, from the name to where it is answered, and outwards again.
HOPS: tuple[tuple[str, Callable[[Way], Finding]], ...] = (
    ("Service is there", to_pods.service),
    ("name resolves", to_pods.name),
    ("protocol matches", to_pods.protocol),
    ("selector matches Pods", to_pods.selector),
    ("process listens", to_pods.process),
    ("Pod is Ready", to_pods.readiness),
    ("Endpoints are filled", to_answer.endpoints),
    ("NetworkPolicy lets in", to_answer.policy),
    ("ClusterIP answers", to_answer.cluster_ip),
    ("node port answers", to_answer.node_port),
    ("laptop gets there", to_answer.laptop),
)
NAMES = tuple(name for name, _ in HOPS)


def diagnose(facts: Facts, port: int | None = None) -> Explanation:
    """Where a request to the Service stops. port: the one that is asked for; None: the first that fails, else the first."""
    service = facts.service
    if service is None:
        return _stopped_early(facts, to_pods.missing_service(facts))
    if service.type == "ExternalName":
        return _external_name(facts, service)
    if not service.ports:
        return _stopped_early(facts, _no_ports(facts, service))
    if port is not None and port not in {one.port for one in service.ports}:
        return _stopped_early(facts, _no_such_port(facts, service, port), port)
    asked = [one for one in service.ports if port in (None, one.port)]
    # UDP beside TCP is no fault (DNS has both): it is explained only where there is nothing else that curl could ask.
    told = [one for one in asked if one.protocol == "TCP"] or asked
    each = [_one_port(facts, service, one) for one in told]
    found = next((one for one in each if one.stops_at is not None), each[0])
    also = _also(found, each, service) if port is None else ""
    return Explanation(found.service, found.port, found.hops, found.stops_at, found.why, found.mends, also)


def _one_port(facts: Facts, service: Service, port: ServicePort) -> Explanation:
    way = Way(facts, service, port)
    return _explanation(facts, port.port, [(name, judge(way)) for name, judge in HOPS])


def _explanation(facts: Facts, port: int | None, findings: list[tuple[str, Finding]]) -> Explanation:
    first = next((at for at, (_, found) in enumerate(findings) if found.ok is False), None)
    hops = tuple(Hop(name, _state(found, at == first), found.saw, found.command) for at, (name, found) in enumerate(findings))
    if first is None:
        return Explanation(facts.asked, port, hops, None, _all_well(hops))
    found = findings[first][1]
    return Explanation(facts.asked, port, hops, hops[first], found.why, found.mends)


def _state(found: Finding, first: bool) -> State:
    if found.ok is None:
        return State.NOT_CHECKED
    if found.ok:
        return State.HOLDS
    return State.STOPS if first else State.FAILS_TOO


def _all_well(hops: tuple[Hop, ...]) -> str:
    untried = [hop.name for hop in hops if hop.state is State.NOT_CHECKED]
    if not untried:
        return "Every hop holds."
    return f"Every hop that was checked holds. Not checked: {', '.join(f'“{name}”' for name in untried)}."


def _also(told: Explanation, each: list[Explanation], service: Service) -> str:
    """A word about the ports that the explanation is not about."""
    words = [
        f"Port {one.port}: " + ("nothing stops a request." if one.stops_at is None else f"stops at “{one.stops_at.name}”.")
        for one in each
        if one is not told
    ]
    words += [
        f"Port {one.port} is for {one.protocol}, which curl cannot ask by."
        for one in service.ports
        if one.protocol != "TCP" and len(each) < len(service.ports)
    ]
    if told.stops_at is not None and any(one.stops_at is None for one in each):
        words.append("(`kubectl patch` without --type=json joins ports by their number: another number adds a port.)")
    return " ".join(words)


def _stopped_early(facts: Facts, found: Finding, port: int | None = None) -> Explanation:
    rest = [(name, Finding(None, "there is nothing to ask for")) for name in NAMES[1:]]
    return _explanation(facts, port, [(NAMES[0], found), *rest])


def _no_ports(facts: Facts, service: Service) -> Finding:
    return Finding(
        False,
        f"{service.name} has no ports",
        by_hand(facts, "get", "service", service.name, "-o", "yaml"),
        f"{service.name} lists no ports, which only a headless Service may: its name stands for its Pods, and there is no port "
        "to follow to one of them.",
        (Mend("List a port in it, or ask for name:port with the number that the process listens on."),),
    )


def _no_such_port(facts: Facts, service: Service, port: int) -> Finding:
    numbers = listed(one.port for one in service.ports)
    changes = [Mend(f"Ask for {service.name}:{service.ports[0].port}.")]
    if len(service.ports) == 1:
        operation = {"op": "replace", "path": "/spec/ports/0/port", "value": port}
        way = Way(facts, service, service.ports[0])
        changes.append(Mend(f"port {port} in place of {service.ports[0].port}; targetPort stays.", way.patch(operation)))
    return Finding(
        False,
        f"{service.name} has no port {port}",
        by_hand(facts, "describe", "service", service.name),
        f"{service.name} has port {numbers}, and {port} was asked for. A ClusterIP has only the ports that the Service lists.",
        tuple(changes),
    )


def _external_name(facts: Facts, service: Service) -> Explanation:
    """An ExternalName Service is a name in DNS for another name; it has no address, and nothing of what hangs on one."""
    there = Finding(
        True, f"{service.name}, type ExternalName: another name for {service.external_name}", by_hand(facts, "get", "services")
    )
    names = {service.name, f"{service.name}.{facts.namespace}"}
    heard = [one for one in facts.answers if one.target.host in names and one.word is not Word.NOT_TRIED]
    command = by_hand(facts, "exec", "client", "--", "curl", "-sS", "--noproxy", "*", service.name)
    if any(one.word is not Word.NAME_UNKNOWN for one in heard):
        name = Finding(True, f"{service.name} leads to {service.external_name}", command)
    else:
        name = Finding(None, "DNS was not asked for an ExternalName", command)
    none = Finding(None, "an ExternalName Service has nothing of the kind")
    wrong = Finding(
        False,
        "type ExternalName has no ClusterIP",
        by_hand(facts, "get", "service", service.name),
        f"{service.name} is of type ExternalName: DNS says “see {service.external_name}”, and that is all it does. It has no "
        "ClusterIP, no Endpoints, and its selector and ports count for nothing.",
        tuple(_mend_external_name(facts, service)),
    )
    answers = any(one.word in (Word.ANSWERED, Word.SOMETHING_ELSE) for one in heard)
    last = none if answers else wrong
    findings = [(NAMES[0], there), (NAMES[1], name), *((one, none) for one in NAMES[2:8]), (NAMES[8], last)]
    return _explanation(facts, None, [*findings, *((one, none) for one in NAMES[9:])])


def _mend_external_name(facts: Facts, service: Service) -> list[Mend]:
    if not service.ports or not service.selector:
        return [Mend("Give it type ClusterIP, a selector and a port, and no externalName.")]
    way = Way(facts, service, service.ports[0])
    return [
        Mend(
            "type ClusterIP, and no externalName.",
            way.patch(
                {"op": "replace", "path": "/spec/type", "value": "ClusterIP"}, {"op": "remove", "path": "/spec/externalName"}
            ),
        )
    ]
