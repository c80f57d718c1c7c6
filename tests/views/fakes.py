"""A lesson without a cluster for the explorer's tests: it keeps its objects in a dict and judges as the API server does."""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from labs import shared, workload
from labs.addresses import Addresses
from labs.cluster import Ran
from labs.deploy import Applied, read_manifests
from labs.errors import Refused
from labs.explain import Explanation, Hop, State
from labs.explain.diagnose import diagnose
from labs.path import Path, path_of
from labs.probe import Answer, Place, Seat, Target, Word
from labs.views import screen
from labs.views.widget import Explorer
from tests import explain_world as world

SERVICE = read_manifests("07-service-nodeport-30066")[0]
POD = workload.pod("pod2", {"app": "productpage"})
GRACE = 20.0  # seconds that a test waits before it gives up; nothing is judged by time
EVIL = "<script>alert(1)</script>&"


class Lesson:
    """What the explorer needs of a Lesson. sent: each manifest that reached the API server. gate: holds `settled` back."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.name, self.namespace = "05-all-four", "all-four"
        self.say: Callable[[str], None] = print
        self.objects = {one["kind"]: filled_in(one) for one in objects}
        self.sent: list[dict[str, Any]] = []
        self.waited_for: list[list[str]] = []
        self.patched: list[Any] = []
        self.others: list[str] = []  # what is not the course's, as in "Pod pod2"
        self.settled: Callable[[], None] = lambda: None
        self.describe: Callable[[], str] = lambda: f"TargetPort: {self.port().get('targetPort')}/TCP"
        self.fault: Exception | None = None
        self.cluster: Any = SimpleNamespace(namespace=None, core=lambda: self, answering=lambda _: answering())

    def telling(self, say: Callable[[str], None]) -> "Lesson":
        self.say = say
        return self

    def port(self) -> dict[str, Any]:
        return dict(self.objects["Service"]["spec"]["ports"][0]) if "Service" in self.objects else {}

    def read(self, kind: str, name: str) -> dict[str, Any] | None:
        if self.fault is not None:
            raise self.fault
        found = copy.deepcopy(self.objects.get(kind))
        return found if found is not None and found["metadata"]["name"] == name else None

    def apply(self, manifest: dict[str, Any], wait: bool = True, anew: bool = False) -> list[Applied]:
        assert not wait, "the explorer waits by itself, side by side with other things"
        self.sent.append(manifest)
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        old = self.objects.get(kind)
        judge(manifest, old)
        verb = "created" if old is None else "made anew" if anew and kind == "Pod" else "changed"
        self.objects[kind] = filled_in(manifest, old)
        return [Applied(kind, name, verb, copy.deepcopy(self.objects[kind]))]

    def patch_namespaced_pod(self, name: str, namespace: str, patch: Any) -> None:
        self.patched.append(patch)
        raise Refused(
            f"The API server refused to change Pod {name} in place.",
            f'Pod "{name}" is invalid: spec: Forbidden: pod updates may not change fields\n  core.PodSpec{{ … Go }}',
            "-",
            422,
        )

    def remove(self, kind: str, name: str) -> None:
        del self.objects[kind]

    def kubectl(self, *_: str) -> Ran:
        return Ran(0, self.describe(), "")

    def wait(self, pods: list[str], *_: Any) -> None:
        self.waited_for.append(pods)

    def check_ours(self, kind: str, name: str) -> None:
        if f"{kind} {name}" in self.others:
            raise shared.stranger(kind, name)

    def ensure_client(self) -> None:
        """It is there."""

    def claim_article_addresses(self, needed: Addresses) -> None:
        self.say("Another lesson had the article's addresses.")


@contextmanager
def answering() -> Iterator[None]:
    yield


def refused(words: str) -> Refused:
    return Refused("The API server refused to apply Service productpage.", words, "-", 422, "Invalid")


def judge(manifest: dict[str, Any], old: dict[str, Any] | None) -> None:
    if manifest["kind"] == "Pod":
        return
    number = manifest["spec"]["ports"][0].get("nodePort")
    if number is not None and not 30000 <= number <= 32767:
        raise refused(f"spec.ports[0].nodePort: Invalid value: {number}: {EVIL}")
    wanted = manifest["spec"].get("clusterIP")
    if old is not None and wanted is not None and wanted != old["spec"]["clusterIP"]:
        raise refused("spec.clusterIPs[0]: Invalid value: may not change once set")


def filled_in(manifest: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    """As the API server would keep it."""
    new = copy.deepcopy(manifest)
    if new["kind"] == "Service":
        port, spec = new["spec"]["ports"][0], new["spec"]
        port.setdefault("targetPort", port["port"])
        port.setdefault("protocol", "TCP")
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("clusterIP", old["spec"]["clusterIP"] if old else "10.96.0.7")
        if spec["type"] != "ClusterIP":
            port.setdefault("nodePort", 31234)
    return new


def answer(word: Word, pod: str = "pod2") -> Answer:
    seat, target = Seat(Place.POD, "Pod client"), Target("clusterIP:port", "10.97.239.58", 9999)
    return Answer(seat, target, word, None, 0.1, pod, "", "curl", "")


def explained(stops: bool) -> Explanation:
    hop = Hop("process listens", State.STOPS if stops else State.HOLDS, EVIL)
    return Explanation("productpage", 9999, (hop,), hop if stops else None, "why so")


def path(stops: bool) -> Path:
    """The path to a Service whose targetPort is right, or is not."""
    one = world.service(world.port(9999 if stops else 9080))
    facts = world.world(one, world.pod(), words=world.refused("pod2") if stops else {})
    return path_of(facts, diagnose(facts))


@dataclass(frozen=True)
class Facts:
    """Stands for what explain gathers."""

    stops: bool
    answers: tuple[Answer, ...] = ()


def turn(explorer: Explorer, name: str, value: object) -> screen.Screen:
    explorer.set(name, value)
    return explorer.wait(GRACE)


class Gate:
    """Holds the worker at one place until the test lets it go on."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.go.wait(GRACE)
