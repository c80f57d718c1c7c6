"""labs.namespaces without a cluster: whose a namespace is, looked at again whenever somebody else may have been quicker."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from labs import namespaces, shared
from labs.errors import LabError, NotInTime
from labs.seats import SYSTEM_NAMESPACE

OURS = {shared.LESSON: "02-target-port"}
SEAT = {shared.ROLE: "seat"}


def namespace(labels: dict[str, str] | None = None, phase: str = "Active") -> Any:
    return named("target-port", phase, labels or {})


def named(name: str, phase: str = "Active", labels: dict[str, str] | None = None) -> Any:
    given = {shared.LESSON: f"07-{name}"} if labels is None else labels
    return SimpleNamespace(metadata=SimpleNamespace(name=name, labels=given), status=SimpleNamespace(phase=phase))


def thing(labels: dict[str, str] | None = None) -> Any:
    return SimpleNamespace(metadata=SimpleNamespace(name="x", labels=labels))


class Server:
    """reads: what each reading of the namespace finds, None for nothing; the last one for ever. quicker: by how many others."""

    def __init__(self, *reads: Any, quicker: int = 0, pods: tuple[Any, ...] = (), services: tuple[Any, ...] = ()) -> None:
        self.reads, self.quicker, self.pods, self.services = list(reads), quicker, pods, services
        self.made: list[dict[str, Any]] = []
        self.patched: list[dict[str, Any]] = []

    def core(self) -> Any:
        return self

    @contextmanager
    def answering(self, _: str) -> Iterator[None]:
        yield

    def read_namespace(self, _: str) -> Any:
        found = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if found is None:
            raise ApiException(status=404)
        return found

    def create_namespace(self, body: dict[str, Any]) -> None:
        if self.quicker:
            self.quicker -= 1
            raise ApiException(status=409)
        self.made.append(body["metadata"])

    def patch_namespace(self, _: str, body: dict[str, Any]) -> None:
        self.patched.append(body["metadata"])

    def read_namespaced_service_account(self, *_: str) -> None:
        """It is there."""

    def list_namespaced_pod(self, _: str) -> Any:
        return SimpleNamespace(items=list(self.pods))

    def list_namespaced_service(self, _: str) -> Any:
        return SimpleNamespace(items=list(self.services))


def ensure(server: Server) -> None:
    namespaces.ensure(server, "target-port", "02-target-port")  # type: ignore[arg-type]


def ensure_system(server: Server) -> None:
    namespaces.ensure_system(server)  # type: ignore[arg-type]


# --- a lesson's


def test_one_that_is_missing_is_made_with_the_label_that_says_whose_it_is() -> None:
    server = Server(None)
    ensure(server)
    assert server.made == [{"name": "target-port", "labels": OURS}]


@pytest.mark.parametrize("label", ["02-target-port", "target-port"])
def test_one_of_the_courses_is_taken_whichever_version_or_lesson_made_it(label: str) -> None:
    server = Server(namespace({shared.LESSON: label}))
    ensure(server)
    assert not server.made


def test_one_that_somebody_made_at_this_very_moment_is_not_taken_for_ours() -> None:
    server = Server(None, namespace({"team": "theirs"}), quicker=1)
    with pytest.raises(LabError, match="Namespace target-port is not the course's"):
        ensure(server)


def test_another_notebook_that_was_quicker_is_welcome() -> None:
    ensure(Server(None, namespace(OURS), quicker=1))


def test_one_of_ours_that_is_being_deleted_is_waited_for() -> None:
    server = Server(namespace(OURS, "Terminating"), namespace(OURS, "Terminating"), None)
    ensure(server)
    assert len(server.made) == 1


def test_and_whose_it_is_then_is_looked_at_again() -> None:
    server = Server(namespace(OURS, "Terminating"), namespace())
    with pytest.raises(LabError, match="is not the course's"):
        ensure(server)


def test_one_of_somebody_elses_that_is_being_deleted_is_not_waited_for() -> None:
    server = Server(namespace(None, "Terminating"), None)
    with pytest.raises(LabError, match="is not the course's") as told:
        ensure(server)
    assert "is being deleted" in told.value.why
    assert not server.made


def test_one_with_the_label_of_another_is_a_copy_of_that_and_not_the_courses() -> None:
    with pytest.raises(LabError, match="is not the course's"):
        ensure(Server(namespace({shared.LESSON: "03-shop"})))


def test_one_of_ours_that_does_not_go_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "GOING", 0.0)
    with pytest.raises(NotInTime, match="namespace target-port to be gone"):
        ensure(Server(namespace(OURS, "Terminating")))


def test_what_there_is_not_holds_nothing_of_anybodys() -> None:
    namespaces.check(Server(None), "target-port")  # type: ignore[arg-type]


# --- the course's own


def test_the_courses_own_is_made_with_its_label() -> None:
    server = Server(None)
    ensure_system(server)
    assert server.made == [{"name": SYSTEM_NAMESPACE, "labels": {shared.ROLE: "system"}}]


def test_with_its_label_it_is_ours_whatever_else_is_in_it() -> None:
    server = Server(namespace({shared.ROLE: "system"}), pods=(thing(),))
    ensure_system(server)
    assert not server.patched


@pytest.mark.parametrize(
    "there",
    [{"pods": (thing(SEAT),)}, {"services": (thing({shared.ROLE: "marker"}),)}, {"pods": (thing(SEAT), thing())}, {}],
    ids=["seats", "marker", "seats, and a learner's Pod", "nothing yet: its making was interrupted"],
)
def test_without_its_label_as_older_versions_made_it_it_is_known_by_what_is_in_it(there: dict[str, Any]) -> None:
    server = Server(namespace(), **there)
    ensure_system(server)
    assert server.patched == [{"labels": {shared.ROLE: "system"}}]


@pytest.mark.parametrize("there", [{"pods": (thing(),)}, {"services": (thing({"app": "web"}),)}], ids=["Pod", "Service"])
@pytest.mark.parametrize("phase", ["Active", "Terminating"])
def test_one_of_that_name_with_things_of_others_is_not_taken_over(phase: str, there: dict[str, Any]) -> None:
    server = Server(namespace(None, phase), **there)
    with pytest.raises(LabError, match="Namespace labs-system is not the course's") as told:
        ensure_system(server)
    assert "kubectl -n labs-system get pod,svc" in told.value.try_this
    assert not server.patched and not server.made


def test_somebody_quicker_with_the_courses_own_name_is_not_taken_for_us() -> None:
    with pytest.raises(LabError, match="is not the course's"):
        ensure_system(Server(None, namespace(), quicker=1, pods=(thing(),)))


# --- all of the lessons


@pytest.mark.parametrize(("going", "owed"), [(False, ["target-port"]), (True, ["target-port", "leaving"])])
def test_of_lessons_are_those_with_the_label_and_never_kubernetes_own(going: bool, owed: list[str]) -> None:
    asked: list[str] = []
    listed = [named("target-port"), named("leaving", "Terminating"), named("kube-system"), named("default")]
    listed.append(named("shop", labels=OURS))  # the label came with what it was copied from

    def list_namespace(label_selector: str) -> Any:
        asked.append(label_selector)
        return SimpleNamespace(items=listed)

    cluster: Any = Server(None)
    cluster.list_namespace = list_namespace
    assert namespaces.of_lessons(cluster, going) == owed
    assert asked == [shared.LESSON]
