"""Asks: reads what a Service has now, runs curl in every seat side by side, and turns the traces into answers.

Waits for the cluster once, by `settled()`, before it asks. Does not explain (explain does) or lay out tables (frames does).
"""

import ipaddress
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from kubernetes.client.exceptions import ApiException

from labs import seats as seat_pods
from labs.cluster import Cluster, NotHere, Ran
from labs.deploy import Lesson
from labs.errors import BadInput, NotInTime, Refused
from labs.probe import routes, tracing, ways
from labs.probe.answers import ADDRESS, Answer, Place, Seat, Target, Way, Word
from labs.probe.routes import Route

FIRST_LIMIT = 0.5  # seconds; then "nothing yet", and what answered is shown
AGAIN_LIMIT = 1.5  # seconds of the second try: a lost first packet is sent again after 1 s
LAST_LIMIT = 3.0  # seconds for an answer where a connection was made: that is no lost packet, but a slow process
HEAD_START = 0.15  # seconds of the first of two tries side by side: where all answers, it is done by then
SIDE_LIMIT = 1.2  # seconds of the second of them: it holds a lost first packet, too, and asks the DNS by itself
STARTING = 20.0  # seconds more for a command to begin and end on a busy machine
MOST_AT_ONCE = 24  # curls of one command side by side

Question = tuple[Seat, Target]
Found = dict[str, Route | None] | NotHere  # the route to each address that was looked up, or why none could be
Routes = Mapping[Place, Future[Found]]  # look-ups under way, in the places outside the cluster


# --- what there is to ask


def seats(lesson: Lesson) -> list[Seat]:
    """Where requests can come from: the client Pod, each node, another machine, this laptop.

    Where a node cannot be asked from, one seat stands for all of them and says why.
    """
    cluster = lesson.cluster
    refusal = cluster.node_seat
    nodes = [
        Seat(Place.NODE, f"node {node.name}", seat_pods.SYSTEM_NAMESPACE, seat_pods.node_pod_name(node.name))
        for node in cluster.nodes
    ]
    return [
        Seat(Place.POD, f"Pod {seat_pods.CLIENT}", lesson.namespace, seat_pods.CLIENT),
        *([Seat(Place.NODE, "a node", why_not=refusal.why)] if refusal else nodes),
        Seat(Place.MACHINE, "another machine"),
        Seat(Place.LAPTOP, "this laptop"),
    ]


def targets(lesson: Lesson, service: str) -> list[Target]:
    """Every way to a Service, made from what the API holds now. BadInput where there is no such Service."""
    cluster, namespace = lesson.cluster, lesson.namespace
    with cluster.answering(f"read Service {service}"):
        try:
            found = cluster.core().read_namespaced_service(service, namespace)
        except ApiException as error:
            if error.status == 404:
                raise BadInput(
                    f"There is no Service {service} in namespace {namespace}.",
                    "It was not applied, or it was removed.",
                    "Apply its manifest first.",
                ) from error
            raise
        pods = cluster.core().list_namespaced_pod(namespace).items
        slices = cluster.discovery().list_namespaced_endpoint_slice(
            namespace, label_selector=f"kubernetes.io/service-name={service}"
        )
    return ways.of_service(found, pods, slices.items, cluster.nodes, cluster.outside)


def questions(lesson: Lesson, service: str) -> list[Question]:
    """What one matrix holds: each target from each seat. A pair that makes no sense is "not tried", with the reason."""
    asked = targets(lesson, service)
    return [(seat, target) for target in asked for seat in seats(lesson)]


# --- asking


def ask(lesson: Lesson, questions: Iterable[Question], settle: bool = True) -> list[Answer]:
    """The final answers, in the order of the questions, with the patience of the commands that repeat them by hand.

    settle: wait first until all nodes act on the last change.
    """
    *_, answers = ask_in_stages(lesson, questions, settle, patience=LAST_LIMIT)
    return answers


def ask_in_stages(
    lesson: Lesson,
    questions: Iterable[Question],
    settle: bool = True,
    routes: Routes | None = None,
    patience: float = AGAIN_LIMIT,
) -> Iterator[list[Answer]]:
    """The answers at FIRST_LIMIT, "nothing yet" where none has come; then, where there are such, the final ones.

    routes: as `look_up_routes` gave them a moment ago; an address that is missing there is looked up now. patience: seconds of
    the second try where none could connect.
    """
    asked = list(questions)
    if settle:
        routes = look_up_routes(lesson, asked)
        lesson.settled()
    known = {place: looking.result() for place, looking in (routes or {}).items()}
    answers = _ask_all(lesson, asked, FIRST_LIMIT, known)
    yield list(answers)
    silent = _silent(answers)
    if silent:
        lost = [number for number in silent if not answers[number].connected]
        again = _ask_all(lesson, [asked[number] for number in lost], patience, known)
        for number, answer in zip(lost, again, strict=True):
            answers[number] = answer
        yield _asked_on(lesson, asked, answers, known)


def ask_side_by_side(lesson: Lesson, questions: Iterable[Question], routes: Routes | None = None) -> list[Answer]:
    """The final answers as by `ask`, sooner where a request times out: the second try begins while the first still waits.

    No single lost packet makes a time-out: each try sends its first one again after 1 s. A connection that was made and
    stays silent is no lost packet: it is asked on until LAST_LIMIT. Waits for no `settled()`. routes: as for the stages.
    """
    asked = list(questions)
    known = {place: looking.result() for place, looking in (routes or {}).items()}
    first = _begin(lesson, asked, HEAD_START + SIDE_LIMIT, known)
    wait([job for _, job in first.jobs], HEAD_START)
    late = [number for numbers, job in first.jobs if not job.done() for number in numbers]
    second = _begin(lesson, [asked[number] for number in late], SIDE_LIMIT, known, first.names)
    answers = first.answers()
    for number, again in zip(late, second.answers(), strict=True):
        if answers[number].word is Word.NOTHING_YET and not answers[number].connected:
            answers[number] = again
    return _asked_on(lesson, asked, answers, known)


def _asked_on(
    lesson: Lesson, asked: Sequence[Question], answers: Sequence[Answer], known: Mapping[Place, Found]
) -> list[Answer]:
    """The final answers: where a connection was made and stays silent, it is asked on until LAST_LIMIT."""
    found = list(answers)
    slow = [number for number in _silent(found) if found[number].connected]
    for number, last in zip(slow, _ask_all(lesson, [asked[number] for number in slow], LAST_LIMIT, known), strict=True):
        found[number] = last
    return [_final(answer) for answer in found]


def _silent(answers: Iterable[Answer]) -> list[int]:
    """The numbers of those that have brought nothing yet."""
    return [number for number, answer in enumerate(answers) if answer.word is Word.NOTHING_YET]


def look_up_routes(lesson: Lesson, questions: Iterable[Question]) -> Routes:
    """Begins to look up which way these addresses have from another machine and from this laptop; returns at once.

    It takes a command in each of the two, which can run while the nodes settle.
    """
    asked: dict[Seat, list[Target]] = {}
    for seat, target in questions:
        if seat.place in (Place.MACHINE, Place.LAPTOP) and not seat.why_not:
            asked.setdefault(seat, []).append(target)
    return {seat.place: lesson.cluster.pool.submit(_routes, lesson, seat, mine) for seat, mine in asked.items()}


def curl(lesson: Lesson, seat: Seat, address: str) -> Answer:
    """Asks one address ("10.244.1.2:9080", "http://productpage:9999") from one seat; the final answer.

    Returns after every node has acted on the last change. BadInput where this is no address.
    """
    return ask(lesson, [(seat, typed(address))])[0]


def typed(address: str) -> Target:
    """The target that a learner typed: "host", "host:port" or "http://host:port". BadInput where it is none."""
    text = address.strip().removeprefix("http://")
    advice = 'Give "host:port", as in "10.244.1.2:9080".'
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port if parts.port is not None else 80
    except ValueError as error:
        raise BadInput(f"{address!r} is no address to ask.", f"{error}.", advice) from error
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9a-f:.]*:[0-9a-f:.]*", host) or not 1 <= port <= 65535 or "@" in text:
        raise BadInput(f"{address!r} is no address to ask.", "It needs a host and a port from 1 to 65535.", advice)
    if parts.path not in ("", "/", "/hostname") or parts.query or parts.fragment:
        raise BadInput(f"{address!r} has a path.", "Requests here ask for /hostname, which says which Pod answers.", advice)
    return Target(ADDRESS, host, port)


@dataclass(frozen=True)
class _Round:
    """Requests under way. jobs: for each seat the numbers of its questions, and their answers. names: our Pods' own."""

    jobs: list[tuple[list[int], Future[list[Answer]]]]
    names: Future[set[str]]

    def answers(self) -> list[Answer]:
        """Waits for them; in the order of the questions."""
        answers = {n: answer for numbers, job in self.jobs for n, answer in zip(numbers, job.result(), strict=True)}
        ours = self.names.result()
        return [_whose(answers[number], ours) for number in range(len(answers))]


def _begin(
    lesson: Lesson,
    asked: Sequence[Question],
    limit: float,
    known: Mapping[Place, Found],
    names: Future[set[str]] | None = None,
) -> _Round:
    """Begins to ask: one command a seat, all seats side by side. names: of our Pods, where they are asked for already."""
    numbers: dict[Seat, list[int]] = {}
    for number, (seat, _) in enumerate(asked):
        numbers.setdefault(seat, []).append(number)
    pool = lesson.cluster.pool
    jobs = [
        (mine, pool.submit(_ask_from, lesson, seat, [asked[n][1] for n in mine], limit, known.get(seat.place, {})))
        for seat, mine in numbers.items()
    ]
    return _Round(jobs, names or pool.submit(_pod_names, lesson))


def _ask_all(lesson: Lesson, asked: Sequence[Question], limit: float, known: Mapping[Place, Found]) -> list[Answer]:
    """The answers, in the order of the questions."""
    return _begin(lesson, asked, limit, known).answers() if asked else []


def _pod_names(lesson: Lesson) -> set[str]:
    """What the lesson's Pods call themselves."""
    with lesson.cluster.answering(f"list the Pods of {lesson.namespace}"):
        pods = lesson.cluster.core().list_namespaced_pod(lesson.namespace).items
    return {pod.spec.hostname or pod.metadata.name for pod in pods}


def _whose(answer: Answer, ours: set[str]) -> Answer:
    """The answer as of a Pod of ours, where it is one; `pod` holds what answered until here."""
    if answer.word is not Word.SOMETHING_ELSE:
        return answer
    if answer.status == 200 and answer.pod in ours:
        return replace(answer, word=Word.ANSWERED, detail="")
    return replace(answer, pod="", client="")


def _final(answer: Answer) -> Answer:
    return replace(answer, word=Word.TIMED_OUT) if answer.word is Word.NOTHING_YET else answer


def _ask_from(lesson: Lesson, seat: Seat, asked: Sequence[Target], limit: float, known: Found) -> list[Answer]:
    """The answers to one seat's questions. Runs in a thread of the cluster's pool and waits for nothing in it."""
    reasons = {target: seat.why_not or ways.why_not_from(seat.place, target) for target in asked}
    if seat.place in (Place.MACHINE, Place.LAPTOP):
        reasons |= _not_ours(lesson, seat, [target for target in reasons if not reasons[target]], known)
    addresses = list(dict.fromkeys(str(target) for target in asked if not reasons[target]))
    heard = _curls(lesson, seat, addresses, limit)
    return [
        _answer(lesson, seat, target, heard[str(target)], limit)
        if not reasons[target]
        else Answer(seat, target, Word.NOT_TRIED, None, 0.0, "", "", _by_hand(lesson, seat, target), reasons[target])
        for target in asked
    ]


def _curls(lesson: Lesson, seat: Seat, addresses: Sequence[str], limit: float) -> dict[str, tracing.Heard | str]:
    """What curl heard at each address, or why it could not ask."""
    found: dict[str, tracing.Heard | str] = {}
    for start in range(0, len(addresses), MOST_AT_ONCE):
        some = list(addresses[start : start + MOST_AT_ONCE])
        ran = _run(lesson, seat, tracing.command(limit, some), 2 * limit + STARTING)
        if isinstance(ran, NotHere):
            return dict.fromkeys(addresses, ran.why)
        traces = tracing.split(ran.out)
        lost = f"{seat.name} gave no answer: {tracing.clean(ran.err, 200) or f'exit code {ran.code}'}"
        found |= {address: tracing.read(traces[n]) if n in traces else lost for n, address in enumerate(some)}
    return found


def _answer(lesson: Lesson, seat: Seat, target: Target, heard: tracing.Heard | str, limit: float) -> Answer:
    command = _by_hand(lesson, seat, target)
    if isinstance(heard, str):
        return Answer(seat, target, Word.NOT_TRIED, None, 0.0, "", "", command, heard)
    detail = heard.detail
    if heard.word is Word.NOTHING_YET:
        begun = "a connection was made, but no answer came" if heard.connected else "no connection was made"
        detail = f"{begun} within {limit:g} s ({heard.detail})"
    got = (heard.word, heard.status, heard.seconds, heard.host, heard.client)
    return Answer(seat, target, *got, command, detail, heard.connected)


# --- the places


def _run(lesson: Lesson, seat: Seat, command: list[str], limit: float) -> Ran | NotHere:
    """Runs a command in a seat. limit in seconds; NotInTime past it. A seat's Pod that was deleted is made anew, once."""
    if seat.place is Place.MACHINE:
        return lesson.cluster.elsewhere(command, limit)
    if seat.place is Place.LAPTOP:
        return _here(command, limit)
    manifest = _manifest(lesson.cluster, seat)
    if manifest is None:
        return lesson.cluster.exec(seat.namespace, seat.pod, command, seat.container or None, limit)
    try:
        return lesson.cluster.exec_in_shell(seat.namespace, seat.pod, command, limit)
    except Refused as refused:
        if refused.status not in (0, 404, 500):
            raise
        seat_pods.ensure(lesson.cluster, seat.namespace, [manifest])
        return lesson.cluster.exec_in_shell(seat.namespace, seat.pod, command, limit)


def _manifest(cluster: Cluster, seat: Seat) -> dict[str, Any] | None:
    """The manifest of a seat's Pod, if it is one that we make."""
    if seat.place is Place.POD:
        return seat_pods.client_pod() if seat.pod == seat_pods.CLIENT else None
    return next((seat_pods.node_pod(n.name) for n in cluster.nodes if seat_pods.node_pod_name(n.name) == seat.pod), None)


def _here(command: list[str], limit: float) -> Ran | NotHere:
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=limit)
    except OSError as error:
        return NotHere(f"this laptop cannot run `{command[0]}`: {error.strerror}")
    except subprocess.TimeoutExpired as error:
        raise NotInTime(
            f"curl on this laptop was still running after {limit:.0f} s.", "The machine is very busy.", "Run the cell again."
        ) from error
    return Ran(done.returncode, done.stdout, done.stderr)


def _not_ours(lesson: Lesson, seat: Seat, asked: Sequence[Target], known: Found) -> dict[Target, str]:
    """Why requests from outside the cluster are not made, by target: names, and addresses that lead somewhere else."""
    reasons: dict[Target, str] = {}
    for target in asked:
        if target.way != Way.LAPTOP_LOCALHOST and not _is_address(target.host) and target.host != "localhost":
            reasons[target] = f"only the cluster's DNS knows its names, and {seat.name} asks another one"
    far = [target for target in asked if _is_far(target)]
    if not far:
        return reasons
    nodes = [node.address for node in lesson.cluster.nodes]
    if not isinstance(known, NotHere) and not known.keys() >= {*(target.host for target in far), *nodes}:
        known = _routes(lesson, seat, far)
    if isinstance(known, NotHere):
        return reasons | dict.fromkeys(far, known.why)
    whose = "your" if seat.place is Place.LAPTOP else "its"
    why = {target: routes.why_not(target.host, known, nodes, whose) for target in far}
    return reasons | {target: reason for target, reason in why.items() if reason}


def _is_far(target: Target) -> bool:
    """Whether it takes a look at the routing table: not what the cluster itself says is the laptop's way to it."""
    return target.way != Way.LAPTOP_LOCALHOST and _is_address(target.host) and not _is_loopback(target.host)


def _routes(lesson: Lesson, seat: Seat, asked: Iterable[Target]) -> Found:
    """The routes from a seat outside the cluster to the far ones of these, and to the nodes; empty where none is far."""
    far = [target.host for target in asked if _is_far(target)]
    if not far:
        return {}
    addresses = list(dict.fromkeys([*far, *(node.address for node in lesson.cluster.nodes)]))
    ran = _run(lesson, seat, routes.command(addresses), STARTING)
    return ran if isinstance(ran, NotHere) else routes.read(ran.out, addresses)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _by_hand(lesson: Lesson, seat: Seat, target: Target) -> str:
    """The command that asks the same in a terminal of the course; "" where there is no such address or place."""
    words = ["curl", "-sS", "-m", f"{LAST_LIMIT:.0f}", f"http://{target}/hostname"]
    if not target.port or seat.why_not:
        return ""
    if seat.place is Place.MACHINE:
        before = lesson.cluster.elsewhere_by_hand()
        return shlex.join([*before, *words]) if before else ""
    if seat.place is Place.LAPTOP:
        return shlex.join([*words[:1], "--noproxy", "*", *words[1:]])
    container = ["-c", seat.container] if seat.container else []
    return shlex.join(["kubectl", "-n", seat.namespace, "exec", seat.pod, *container, "--", *words])
