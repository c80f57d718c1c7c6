"""Reads an exercise's namespace, and asks what its check asks. Judges nothing (judging does), changes nothing."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs import probe
from labs.checks import judging
from labs.checks.exercise import Exercise
from labs.checks.judging import Seen
from labs.cluster import NotHere
from labs.deploy import Lesson, Manifest
from labs.explain import facts, look
from labs.probe import Answer, Place, Seat, Target, Way

_WAYS_OF_A_POD = (Way.POD, Way.ENDPOINT, Way.CLUSTER_IP, Way.NAME)


def seen(lesson: Lesson, found: Iterable[facts.Facts] = ()) -> Seen:
    """The namespace as it is now. found: the facts of its Services, for what the Pods' processes listen on."""
    cluster, namespace = lesson.cluster, lesson.namespace

    def plain(items: Iterable[Any]) -> list[Manifest]:
        read: list[Manifest] = cluster.api_client().sanitize_for_serialization(list(items))
        return read

    with cluster.answering(f"read what is in namespace {namespace}"):
        pods = plain(cluster.core().list_namespaced_pod(namespace).items)
        services = plain(cluster.core().list_namespaced_service(namespace).items)
        slices = plain(cluster.discovery().list_namespaced_endpoint_slice(namespace).items)
    return Seen(
        pods={one["metadata"]["name"]: one for one in pods if not judging.ours(one)},
        services={one["metadata"]["name"]: one for one in services if not judging.ours(one)},
        slices=tuple(slices),
        namespace=phase_and_uid(lesson)[1],
        listening={pod.name: listeners for one in found for pod in one.pods if (listeners := _listeners(pod)) is not None},
    )


def phase_and_uid(lesson: Lesson) -> tuple[str, str]:
    """The namespace's phase ("Active", "Terminating") and uid; ("", "") for none, ("Active", "") where it may not be read."""
    with lesson.cluster.answering(f"read namespace {lesson.namespace}"):
        try:
            found = lesson.cluster.core().read_namespace(lesson.namespace)
        except ApiException as error:
            if error.status == 404:
                return "", ""
            if error.status == 403:
                return "Active", ""
            raise
    return str(found.status.phase), str(found.metadata.uid)


def _listeners(pod: facts.Pod) -> judging.Listeners | None:
    if isinstance(pod.listeners, NotHere):
        return None
    return frozenset((one.port, one.address) for one in pod.listeners)


def gathered(lesson: Lesson, exercise: Exercise) -> dict[str, facts.Facts]:
    """The facts that explain needs, without answers, for each Service that the exercise asks, by its name."""
    return {name: look.gather(lesson, name, ()) for name in services_of(exercise)}


def services_of(exercise: Exercise) -> list[str]:
    """The Services that its goals ask, each once."""
    return list(dict.fromkeys(goal.service for goal in exercise.goals))


def asked(lesson: Lesson, exercise: Exercise) -> tuple[list[Answer], dict[str, facts.Facts]]:
    """The answers to all that the goals ask, and the facts that explain them; no answers from a Service that is not there.

    Returns after every node has acted on the last change. The facts are gathered while the requests are under way.
    """
    routes = probe.look_up_routes(lesson, _questions(lesson, exercise))
    lesson.settled()
    with ThreadPoolExecutor(1, thread_name_prefix="check") as beside:
        asking = beside.submit(probe.ask_side_by_side, lesson, _questions(lesson, exercise), routes)
        found = gathered(lesson, exercise)
        answers = asking.result()
    return answers, {name: replace(one, answers=tuple(answers)) for name, one in found.items()}


def _questions(lesson: Lesson, exercise: Exercise) -> list[tuple[Seat, Target]]:
    places = {goal.place for goal in exercise.goals}
    return [
        (seat, target)
        for name in services_of(exercise)
        if lesson.read("Service", name) is not None
        for seat, target in probe.questions(lesson, name)
        if seat.place in places | {Place.POD} and _matters(seat.place, target.way)
    ]


def _matters(place: Place, way: str) -> bool:
    """Whether a check asks this way from there: in the cluster from the client Pod, node ports from where the goals say."""
    if place is Place.POD:
        return way in _WAYS_OF_A_POD
    return way in (Way.NODE, Way.NODE_LOCALHOST if place is Place.NODE else Way.LAPTOP_LOCALHOST)
