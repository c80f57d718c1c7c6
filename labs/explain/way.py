"""The way of one request: the facts, seen from one port of one Service. Only looks things up; judging is for others."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from labs.cluster import NotHere
from labs.explain.facts import Endpoint, Facts, Pod, Policy, Service, ServicePort
from labs.explain.hops import Mend
from labs.explain.sockets import Listener
from labs.probe import Answer, Place, Word

HEADLESS = "None"


class Stand(Enum):
    """How a Pod stands to a port: who reaches a process there."""

    OPEN = "the cluster reaches it"
    INSIDE = "only the Pod's own containers reach it"
    CLOSED = "nothing listens"
    UNKNOWN = "could not be looked at"
    NO_NUMBER = "the Pod has no port of that name"


@dataclass(frozen=True)
class Finding:
    """What was found at one hop. ok: True holds, False does not, None was not checked. why, mends: for where it does not."""

    ok: bool | None
    saw: str
    command: str = ""
    why: str = ""
    mends: tuple[Mend, ...] = ()


@dataclass(frozen=True)
class Way:
    """A request to one port of a Service."""

    facts: Facts
    service: Service
    port: ServicePort

    # --- Pods

    @property
    def selected(self) -> tuple[Pod, ...]:
        """The Pods that the selector matches, in whatever state."""
        wanted = self.service.selector.items()
        return tuple(pod for pod in self.facts.pods if wanted and wanted <= pod.labels.items())

    @property
    def running(self) -> tuple[Pod, ...]:
        """Those of the selected that run and have an address."""
        return tuple(pod for pod in self.selected if pod.phase == "Running" and pod.ip and not pod.terminating)

    @property
    def leaving(self) -> tuple[Pod, ...]:
        """Those of the selected that are being deleted and still answer: with no other Pod, requests go to them."""
        answered = best(self.heard(self.service.cluster_ip, self.port.port))
        if self.ready or answered is None or answered.word is not Word.ANSWERED:
            return ()
        return tuple(pod for pod in self.selected if pod.terminating and pod.ip)

    @property
    def ready(self) -> tuple[Pod, ...]:
        """Those of the running that are Ready."""
        return tuple(pod for pod in self.running if pod.ready)

    @property
    def serving(self) -> tuple[Pod, ...]:
        """The Pods that requests go to: the ready ones; every running one where none is, or where readiness does not count."""
        return self.running if self.service.publish_not_ready else self.ready or self.running

    def number(self, pod: Pod) -> int | None:
        """The number that targetPort means on a Pod; None where no container of it has that name."""
        return pod.targets[self.port.index] if self.port.index < len(pod.targets) else None

    def stand(self, pod: Pod) -> Stand:
        """How a Pod stands to the Service's targetPort."""
        number = self.number(pod)
        if number is None:
            return Stand.NO_NUMBER
        answer = self.heard_endpoint(pod)
        if answer is not None and answer.word is Word.ANSWERED:
            return Stand.OPEN
        if isinstance(pod.listeners, NotHere):
            return Stand.CLOSED if answer is not None and answer.word is Word.REFUSED else Stand.UNKNOWN
        there = listeners_on(pod, number)
        if not there:
            return Stand.CLOSED
        return Stand.INSIDE if all(one.only_inside for one in there) else Stand.OPEN

    # --- what leads to them

    @property
    def headless(self) -> bool:
        """Whether the Service has no ClusterIP because it asked for none."""
        return self.service.cluster_ip == HEADLESS

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What the EndpointSlices hold for this port."""
        return tuple(one for one in self.facts.endpoints if one.port_name == self.port.name)

    @property
    def policies_on_pods(self) -> tuple[Policy, ...]:
        """The NetworkPolicies that restrict what comes in to a serving Pod."""
        known = () if isinstance(self.facts.policies, NotHere) else self.facts.policies
        names = {pod.name for pod in self.serving}
        return tuple(policy for policy in known if policy.pods & names)

    @property
    def policies_on_client(self) -> tuple[Policy, ...]:
        """The NetworkPolicies that restrict what the client Pod may ask."""
        known = () if isinstance(self.facts.policies, NotHere) else self.facts.policies
        return tuple(policy for policy in known if policy.client)

    # --- what was heard

    def heard(self, host: str, port: int | None, places: Iterable[Place] = (Place.POD,)) -> tuple[Answer, ...]:
        """The final answers to requests from these kinds of places to a host and port."""
        return tuple(
            answer
            for answer in self.facts.answers
            if (answer.target.host, answer.target.port) == (host, port)
            and answer.seat.place in places
            and answer.word not in (Word.NOT_TRIED, Word.NOTHING_YET)
        )

    def silence(self, asked: str, number: int | None) -> str:
        """Why there is no final answer from that port: it is still awaited, or was not asked for."""
        words = {answer.word for answer in self.facts.answers if answer.target.port == number}
        return f"{asked}: {Word.NOTHING_YET}" if Word.NOTHING_YET in words else f"{asked} was not asked"

    def heard_endpoint(self, pod: Pod) -> Answer | None:
        """The client Pod's answer from podIP:targetPort; one that came through, where there is one."""
        return best(self.heard(pod.ip, self.number(pod)))

    def heard_name(self) -> Answer | None:
        """The client Pod's answer from name:port."""
        name, where = self.service.name, self.facts.namespace
        forms = (name, f"{name}.{where}", f"{name}.{where}.svc", f"{name}.{where}.svc.cluster.local")
        return best(one for form in forms for one in self.heard(form, self.port.port))

    # --- commands

    def kubectl(self, *arguments: str) -> str:
        """A kubectl command in the lesson's namespace, as it can be pasted."""
        return by_hand(self.facts, *arguments)

    def patch(self, *operations: dict[str, Any], kind: str = "service", name: str = "") -> str:
        """The command that changes the Service (or that object) by JSON patch: a strategic merge joins ports by `port`."""
        return self.kubectl(
            "patch", kind, name or self.service.name, "--type=json", "-p", json.dumps(operations, separators=(",", ":"))
        )

    @property
    def path(self) -> str:
        """Where this port is in the Service, for JSON patch."""
        return f"/spec/ports/{self.port.index}"


def by_hand(facts: Facts, *arguments: str) -> str:
    """A kubectl command in the lesson's namespace, as it can be pasted."""
    return shlex.join(["kubectl", "-n", facts.namespace, *arguments])


def best(answers: Iterable[Answer]) -> Answer | None:
    """The answer that came through, else the first, else None."""
    heard = list(answers)
    through = [answer for answer in heard if answer.word is Word.ANSWERED]
    return next(iter(through or heard), None)


def listeners_on(pod: Pod, number: int) -> tuple[Listener, ...]:
    """The Pod's listeners on that port; none where they could not be read."""
    return () if isinstance(pod.listeners, NotHere) else tuple(one for one in pod.listeners if one.port == number)


def open_ports(pod: Pod) -> set[int]:
    """The ports of a Pod on which the cluster reaches a process; none where that could not be read."""
    return set() if isinstance(pod.listeners, NotHere) else {one.port for one in pod.listeners if not one.only_inside}


def listed(words: Iterable[object], limit: int = 4) -> str:
    """Words as they stand in a sentence: "a, b and c"; past `limit` the rest is counted."""
    given = [str(word) for word in words]
    if len(given) > limit:
        given = [*given[: limit - 1], f"{len(given) - limit + 1} more"]
    return " and ".join([", ".join(given[:-1]), given[-1]] if len(given) > 1 else given)


def heard_word(answer: Answer) -> str:
    """An answer in a few words: "answered by pod2", "refused"."""
    return f"answered by {answer.pod}" if answer.word is Word.ANSWERED and answer.pod else str(answer.word)
