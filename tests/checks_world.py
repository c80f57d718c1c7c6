"""Builds what the tests of labs.checks grade: a namespace as the API has it, and what curl got there."""

import copy
from collections.abc import Iterable
from typing import Any

from labs.checks import Exercise, Goal, Verdict, judging
from labs.checks.judging import Seen
from labs.checks.turn import verdict_of
from labs.deploy import Manifest
from labs.exercises.pieces import pod, port, service
from labs.probe import Answer, Place, Seat, Target, Way, Word
from labs.versions import workload_image

IP, CLUSTER_IP = "10.244.1.2", "10.96.3.4"
CLIENT = Seat(Place.POD, "Pod client")
MACHINE = Seat(Place.MACHINE, "another machine")
LISTENS = frozenset({(9080, "::")})
EXERCISE = Exercise(
    name="some",
    level=1,
    lesson="02-target-port",
    story=("One.", "Two."),
    task="Mend it.",
    objects=(pod(), service(port(9999, 9999))),
    goals=(Goal(),),
    hints=("First.", "Second."),
    solution=(),
    moral="That was it.",
    kept_pods=("pod2",),
)


def running(manifest: Manifest, ip: str = IP, **metadata: Any) -> Manifest:
    """A Pod as the API server has it."""
    one = copy.deepcopy(manifest)
    one["metadata"] |= {"uid": f"uid-{one['metadata']['name']}", **metadata}
    return {**one, "status": {"podIP": ip}}


def there(manifest: Manifest, **spec: Any) -> Manifest:
    """A Service as the API server has it."""
    one = copy.deepcopy(manifest)
    one["spec"] = {"type": "ClusterIP", "clusterIP": CLUSTER_IP, **one["spec"], **spec}
    return one


def slice_of(
    name: str = "productpage",
    number: int = 9080,
    by: str = "pod2",
    ip: str = IP,
    ready: bool = True,
    writer: str = "controller",
) -> Manifest:
    labels = {"kubernetes.io/service-name": name}
    if writer == "controller":
        labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
    return {
        "metadata": {"name": f"{name}-x", "labels": labels},
        "ports": [{"name": "http", "port": number, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": by}}],
    }


def seen(one: Manifest | None, slices: Iterable[Manifest] = (), *pods: Manifest, **more: Any) -> Seen:
    given = pods or (running(pod()),)
    return Seen(
        {each["metadata"]["name"]: each for each in given},
        {one["metadata"]["name"]: one} if one else {},
        tuple(slices),
        **{"namespace": "uid-n", "listening": {"pod2": LISTENS}, **more},
    )


def heard(way: Way, host: str, number: int, word: Word = Word.ANSWERED, by: str = "pod2", seat: Seat = CLIENT) -> Answer:
    name = by if way in (Way.POD, Way.ENDPOINT) else ""
    said = by if word is Word.ANSWERED else ""
    return Answer(seat, Target(way, host, number, name=name), word, 200, 0.0, said, "", "", "")


def through(word: Word = Word.ANSWERED, number: int = 9080, by: str = "pod2", port: int = 9999) -> list[Answer]:
    return [
        heard(Way.ENDPOINT, IP, number, word, by),
        heard(Way.CLUSTER_IP, CLUSTER_IP, port, word, by),
        heard(Way.NAME, "productpage", port, word, by),
    ]


BEFORE = seen(there(service(port(9999, 9999))), [slice_of(number=9999)])
MENDED = seen(there(service()), [slice_of()])


def graded(now: Seen, answers: Iterable[Answer], exercise: Exercise = EXERCISE, before: Seen = BEFORE) -> Verdict:
    traffic, rules = judging.judged(exercise, before, now, answers, workload_image())
    return verdict_of(exercise, traffic, rules, [judging.joined_ports(before, now)])


def saw(verdict: Verdict) -> list[str]:
    """What failed."""
    return [one.saw for one in verdict.findings if not one.ok]
