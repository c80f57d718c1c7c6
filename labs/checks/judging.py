"""Grades: from what was seen of an exercise to findings, by traffic and by its rules. Only computes.

An answer counts where a Pod gave it that runs the course's image and was reached through the Service that was asked, with
Endpoints that its own selector filled: so no empty Service, no proxy and no stranger passes for a mend.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labs import knobs, marker, workload
from labs.checks.exercise import BEGUN, Exercise, Goal
from labs.checks.verdict import Finding
from labs.deploy import Manifest
from labs.explain.way import listed
from labs.probe import Answer, Place, Way, Word
from labs.seats import ROLE

_SERVERS = ("netexec", "pause")  # what the course lets its image do
_LOOPBACK_SERVER: list[str] = workload.pod("any", {}, listen_address=workload.LOOPBACK)["spec"]["containers"][0]["command"][:-1]
_LABELS = "labs.ports/"  # of the course's own labels and annotations
Listeners = frozenset[tuple[int, str]]  # port and address


@dataclass(frozen=True)
class Seen:
    """The namespace of an exercise as it is at one moment, in the API's own words.

    pods, services: by name, the course's helpers left out. slices: EndpointSlices. namespace: its uid; "" where it may not be
    read. listening: for each Pod that was looked into, what its processes listen on.
    """

    pods: Mapping[str, Manifest]
    services: Mapping[str, Manifest]
    slices: tuple[Manifest, ...] = ()
    namespace: str = ""
    listening: Mapping[str, Listeners] = field(default_factory=dict)


def judged(
    exercise: Exercise, before: Seen, now: Seen, answers: Iterable[Answer], image: str
) -> tuple[list[Finding], list[Finding]]:
    """The findings by traffic, and those by the rules. before: when it was handed over. image: the course's."""
    heard = list(answers)
    traffic = [finding for goal in exercise.goals for finding in of_goal(goal, exercise, now, heard, image)]
    rules = [_kept_pod(name, exercise.kept_labels, before, now) for name in exercise.kept_pods]
    rules += [_kept_service(name, before, now) for name in exercise.kept_services]
    return list(dict.fromkeys(traffic)), rules


# --- by traffic


def of_goal(goal: Goal, exercise: Exercise, now: Seen, heard: list[Answer], image: str) -> list[Finding]:
    """Whether the Service is one that can count, who is behind it, and whether each request to it is answered by them."""
    service = now.services.get(goal.service)
    if service is None:
        return [Finding(False, f"There is no Service {goal.service}.")]
    port = port_of(service, goal.port)
    problem = _cannot_count(service, goal, port)
    if problem or port is None:
        return [Finding(False, problem)]
    behind, problem = _behind(service, port, now)
    if problem:
        return [Finding(False, problem)]
    strangers = [word for name in behind if (word := _stranger(name, goal, exercise, now, image))]
    missing = [name for name in goal.pods if name not in behind]
    found = [Finding(False, word) for word in strangers]
    found += [_no_endpoint(goal, name, now) for name in missing if behind]
    found += _answered(goal, port, service, behind, now, heard)
    return found


def port_of(service: Manifest, number: int) -> dict[str, Any] | None:
    """The TCP port of that number in a Service, or None."""
    ports = service["spec"].get("ports") or []
    return next((one for one in ports if one["port"] == number and one.get("protocol", "TCP") == "TCP"), None)


def _cannot_count(service: Manifest, goal: Goal, port: dict[str, Any] | None) -> str:
    """Why requests to the Service cannot count, whatever answers them; "" where they can."""
    spec, name = service["spec"], goal.service
    if spec.get("type") == "ExternalName":
        return f"Service {name} is of type ExternalName: another name for {spec.get('externalName')}, with no Pods behind it."
    if port is None:
        there = [f"{one['port']}/{one.get('protocol', 'TCP')}" for one in spec.get("ports") or []]
        return f"Service {name} has no port {goal.port}/TCP; it has {listed(there) or 'none'}."
    if not spec.get("selector"):
        return f"Service {name} has no selector, so nothing ties it to Pods: it does not follow when they come and go."
    if goal.way is not Way.NAME and not port.get("nodePort"):
        return f"Service {name} opens no node port for its port {goal.port} (type {spec.get('type', 'ClusterIP')})."
    return ""


def _behind(service: Manifest, port: dict[str, Any], now: Seen) -> tuple[list[str], str]:
    """The Pods that requests to this port go to, by name; or what is wrong with its EndpointSlices."""
    name = service["metadata"]["name"]
    mine = [one for one in now.slices if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]
    forged = [one["metadata"]["name"] for one in mine if not _by_controller(one)]
    if forged:
        return [], f"EndpointSlice {listed(forged)} of Service {name} was written by hand; its selector is to fill them."
    found: list[str] = []
    for one in mine:
        numbers = [
            each for each in one.get("ports") or [] if (each.get("name") or "") == (port.get("name") or "") and each.get("port")
        ]
        for endpoint in one.get("endpoints") or [] if numbers else []:
            pod = (endpoint.get("targetRef") or {}).get("name", "")
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            if (now.pods.get(pod, {}).get("status") or {}).get("podIP") not in endpoint["addresses"]:
                return [], f"Service {name} leads to {listed(endpoint['addresses'])}, which is no Pod of this exercise."
            found.append(pod)
    return sorted(set(found)), ""


def _by_controller(one: Manifest) -> bool:
    labels: dict[str, str] = one["metadata"].get("labels") or {}
    return bool(labels.get(marker.MANAGED_BY) == marker.CONTROLLER)


def _stranger(name: str, goal: Goal, exercise: Exercise, now: Seen, image: str) -> str:
    """Why a Pod behind the Service must not be there; "" where it may."""
    if exercise.kept_pods and name not in goal.pods:
        return f"{name} is behind {goal.service}:{goal.port}; only {listed(goal.pods)} is meant to be."
    if name in exercise.kept_pods:
        return ""  # the rules see to it
    return foreign(now.pods[name], image)


def foreign(pod: Manifest, image: str) -> str:
    """What in a Pod is not the course's: another image, or a program of somebody's own; "" where all is."""
    name = pod["metadata"]["name"]
    for container in pod["spec"]["containers"]:
        if container["image"] != image:
            return f"{name} runs the image {_short(container['image'])}, not the course's application."
        if not _own_program(container):
            typed = " ".join([*(container.get("command") or []), *(container.get("args") or [])])
            return f"{name} runs a program of its own ({_short(typed)}), not the course's application."
    return ""


def _own_program(container: Mapping[str, Any]) -> bool:
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if words and words[0].rpartition("/")[2] == "agnhost":
        words = words[1:]
    if words and words[0] in _SERVERS:
        return True
    return words[:-1] == _LOOPBACK_SERVER


def _short(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= 60 else plain[:59] + "…"


def _no_endpoint(goal: Goal, name: str, now: Seen) -> Finding:
    there = name in now.pods
    return Finding(
        False, f"{name} gets no requests from {goal.service}:{goal.port}{'' if there else ': there is no such Pod'}."
    )


def _answered(
    goal: Goal, port: dict[str, Any], service: Manifest, behind: list[str], now: Seen, heard: list[Answer]
) -> list[Finding]:
    """Whether each request is answered by a Pod that is behind the Service; one finding for each address that was asked."""
    if not behind:
        return [Finding(False, f"No Pod is behind {goal.service}:{goal.port}: its Endpoints are empty.")]
    asked = [one for one in heard if _belongs(one, goal, port, service, behind, now)]
    found = []
    for one in asked:
        by_one_of_them = one.word is Word.ANSWERED and one.pod in _hostnames(behind, now)
        place = "" if one.seat.place is Place.POD else f", asked from {one.seat.name}"
        said = f"answered by {one.pod}" if one.word is Word.ANSWERED else _said(one)
        found.append(Finding(by_one_of_them, f"{_address(one, goal)}{place}: {said}"))
    main = [one for one in asked if one.target.way == goal.way and one.seat.place is goal.place]
    if not main:
        found.append(Finding(False, f"{goal.service}:{goal.port} could not be asked by {goal.way} from {goal.place}."))
    return found


def _belongs(one: Answer, goal: Goal, port: dict[str, Any], service: Manifest, behind: list[str], now: Seen) -> bool:
    """Whether an answer is to one of the requests of this goal."""
    way, target = one.target.way, one.target
    if one.seat.place is Place.POD and way == Way.NAME:
        return goal.way is Way.NAME and target.host == goal.service and target.port == goal.port
    if one.seat.place is Place.POD and way == Way.CLUSTER_IP:
        return target.host == service["spec"].get("clusterIP") and target.port == goal.port
    if one.seat.place is Place.POD and way == Way.ENDPOINT and service["spec"].get("clusterIP") != "None":
        return target.name in behind and target.port == _target_number(service, port, target.name, now)
    if one.seat.place is not goal.place or way != goal.way:
        return False
    if way == Way.NODE:
        return target.port == port.get("nodePort")
    return way == Way.LAPTOP_LOCALHOST


def _target_number(service: Manifest, port: dict[str, Any], pod: str, now: Seen) -> int | None:
    """On which number this Pod is asked, as the EndpointSlices have it."""
    for one in now.slices:
        if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != service["metadata"]["name"]:
            continue
        if pod in {(endpoint.get("targetRef") or {}).get("name") for endpoint in one.get("endpoints") or []}:
            for each in one.get("ports") or []:
                if (each.get("name") or "") == (port.get("name") or "") and each.get("port"):
                    return int(each["port"])
    return None


def _hostnames(names: Iterable[str], now: Seen) -> set[str]:
    return {now.pods[name]["spec"].get("hostname") or name for name in names}


def _address(one: Answer, goal: Goal) -> str:
    match one.target.way:
        case Way.NAME:
            return str(one.target)
        case Way.CLUSTER_IP:
            return f"ClusterIP {one.target}"
        case Way.ENDPOINT:
            return f"Endpoint {one.target}"
        case Way.NODE:
            return f"node port {one.target}"
    return f"localhost:{one.target.port}" if one.target.port else "localhost"


def _said(one: Answer) -> str:
    if one.word is Word.SOMETHING_ELSE:
        return str(one.word)
    return f"{one.word} ({one.detail})" if one.word is Word.NOT_TRIED and one.detail else str(one.word)


# --- by the rules


def _kept_pod(name: str, labels: bool, before: Seen, now: Seen) -> Finding:
    old, new = before.pods[name], now.pods.get(name)
    if new is None:
        return Finding(False, f"{name} is gone; it was to stay as it was.")
    if new["metadata"]["uid"] != old["metadata"]["uid"]:
        return Finding(False, f"{name} was made anew; it was to stay as it was.")
    if new["metadata"].get("deletionTimestamp"):
        return Finding(False, f"{name} is being deleted; it was to stay as it was.")
    if new["spec"]["containers"] != old["spec"]["containers"]:
        return Finding(False, f"{name}'s containers were changed; it was to stay as it was.")
    if new["spec"].get("ephemeralContainers") != old["spec"].get("ephemeralContainers"):
        return Finding(False, f"{name} got a container more (`kubectl debug`); it was to stay as it was.")
    if labels and _own_labels(new) != _own_labels(old):
        return Finding(False, f"{name}'s labels were changed; they were to stay as they were.")
    more = _by_hand(old, now.listening.get(name, frozenset()) - before.listening.get(name, frozenset()))
    if more and name in before.listening:
        return Finding(
            False,
            f"In {name} a process listens on {listed(more)} that did not at the beginning: somebody started it by hand. It "
            "would be gone when the container starts again.",
        )
    return Finding(True, f"{name} is as it was.")


def _by_hand(pod: Manifest, more: Listeners) -> list[int]:
    """Of the ports that came since, those that no container of the Pod was told to listen on: these may begin late."""
    told = {knobs.listens(container)[0] for container in pod["spec"]["containers"]}
    return sorted({port for port, _ in more if port not in told})


def _own_labels(pod: Manifest) -> dict[str, str]:
    return {key: value for key, value in (pod["metadata"].get("labels") or {}).items() if not key.startswith(_LABELS)}


def _kept_service(name: str, before: Seen, now: Seen) -> Finding:
    new = now.services.get(name)
    if new is None:
        return Finding(False, f"Service {name} is gone; it was not to be changed.")
    if _terms(new) != _terms(before.services[name]):
        return Finding(False, f"Service {name} was changed; it was to stay as it was.")
    return Finding(True, f"Service {name} is as it was.")


def _terms(service: Manifest) -> dict[str, Any]:
    """What of a Service others rely on, without what the API server allocates."""
    spec = service["spec"]
    ports = [{key: value for key, value in one.items() if key != "nodePort"} for one in spec.get("ports") or []]
    kept = {key: spec.get(key) for key in ("type", "selector", "publishNotReadyAddresses", "externalName")}
    return {**kept, "ports": ports, "headless": spec.get("clusterIP") == "None"}


# --- what became of the exercise itself


def gone(exercise: Exercise, before: Seen, now: Seen, begun: str, phase: str) -> str:
    """Why this beginning of the exercise cannot be graded any more; "" where it can. phase: the namespace's, "" for none."""
    if phase != "Active":
        return "Its namespace was deleted." if not phase else "Its namespace is being deleted."
    if before.namespace != now.namespace:
        return "Its namespace was deleted and made again: what is in it now is not what was handed over."
    marks = {mark for one in [*now.pods.values(), *now.services.values()] if (mark := begun_by(one))}
    if marks and begun not in marks:  # one that is here beside ours may come from a learner's own file
        return "It was begun anew by another notebook or kernel, and what is there now is that one's."
    names = [one["metadata"]["name"] for one in exercise.objects]
    if not any(name in now.pods or name in now.services for name in names):
        return "All that it consists of was deleted."
    return ""


def begun_by(one: Manifest) -> str:
    """Which beginning of an exercise made this object; "" where none did."""
    return str((one["metadata"].get("annotations") or {}).get(BEGUN, ""))


def ours(one: Manifest) -> bool:
    """Whether a Pod or Service is a helper of the course (the client Pod), and so no part of an exercise."""
    return ROLE in (one["metadata"].get("labels") or {})


# --- what a learner may not have seen


def joined_ports(before: Seen, now: Seen) -> str:
    """A word about a Service that has ports more than it had, all of its old ones unchanged; "" where there is none."""
    for name, old in before.services.items():
        new = now.services.get(name)
        if new is None:
            continue
        had, has = _ports(old), _ports(new)
        more = [number for number in has if number not in had]
        if more and all(has.get(number) == target for number, target in had.items()):
            as_it_was = listed(f"{number} (targetPort {target})" for number, target in had.items())
            return (
                f"Service {name} has {len(has)} ports now: {as_it_was} as before, and {listed(more)} besides. `kubectl patch` "
                "without --type=json joins the ports of a Service by their number, `port`: with another number it adds a port "
                "and changes none. Change the port that is there: `kubectl edit`, `kubectl patch --type=json`, or `kubectl "
                "replace` of the whole Service."
            )
    return ""


def _ports(service: Manifest) -> dict[int, Any]:
    return {one["port"]: one.get("targetPort", one["port"]) for one in service["spec"].get("ports") or []}
