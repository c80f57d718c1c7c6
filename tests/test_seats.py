"""Waiting for Pods to be Ready, without a cluster: what a list says, and then each change."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from labs import seats
from labs.errors import ImageMissing, LabError, NotInTime

Change = tuple[str, Any]  # as a watch tells it: "ADDED", "MODIFIED" or "DELETED", and the Pod


def pod(name: str, ready: bool = False, waiting: str = "") -> Any:
    waits = SimpleNamespace(reason=waiting, message="") if waiting else None
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name, deletion_timestamp=None),
        status=SimpleNamespace(
            phase="Pending",
            conditions=[SimpleNamespace(type="Ready", status=str(ready), message="")],
            container_statuses=[SimpleNamespace(name="curl", state=SimpleNamespace(waiting=waits, terminated=None))],
        ),
    )


class Server:
    """lists: what it answers to each list, the last one for ever. changes: what each watch brings before it ends."""

    def __init__(self, lists: list[list[Any]], changes: list[list[Change] | ApiException]) -> None:
        self.lists, self.changes = lists, changes
        self.watched_from: list[str] = []

    def core(self) -> Any:
        return self

    @contextmanager
    def answering(self, _: str) -> Iterator[None]:
        yield

    def list_namespaced_pod(self, namespace: str) -> Any:
        items = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return SimpleNamespace(items=items, metadata=SimpleNamespace(resource_version=f"after {len(items)}"))

    def stream(self, *_: Any, resource_version: str, **__: Any) -> Iterator[dict[str, Any]]:
        self.watched_from.append(resource_version)
        told = self.changes.pop(0) if self.changes else []
        if isinstance(told, ApiException):
            raise told
        for kind, one in told:
            yield {"type": kind, "object": one}


@pytest.mark.parametrize(("phase", "ending"), [("Running", None), ("Failed", None), ("Running", "now")])
def test_on_a_borrowed_cluster_a_strangers_pod_is_neither_used_nor_replaced(phase: str, ending: str | None) -> None:
    theirs = pod(seats.CLIENT)
    theirs.status.phase, theirs.metadata.deletion_timestamp, theirs.metadata.labels = phase, ending, {"app": "theirs"}
    server: Any = Server([[]], [])  # it can delete nothing
    server.namespace, server.read_namespaced_pod = "shared", lambda name, _: theirs
    with pytest.raises(LabError, match="Pod client here is not the course's"):
        seats.ensure(server, "shared", [seats.client_pod()])


def wait(monkeypatch: pytest.MonkeyPatch, server: Server, *names: str, limit: float = 30.0) -> None:
    monkeypatch.setattr(seats.watch, "Watch", lambda: server)
    seats.wait_ready(server, "here", list(names), limit)  # type: ignore[arg-type]


def test_pods_that_are_ready_are_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([[pod("one", ready=True), pod("two")]], [])
    wait(monkeypatch, server, "one")
    assert server.watched_from == []


def test_a_change_after_the_list_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[Change] = [("ADDED", pod("two")), ("MODIFIED", pod("one", ready=True)), ("MODIFIED", pod("two", ready=True))]
    server = Server([[pod("one")]], [came])
    wait(monkeypatch, server, "one", "two")
    assert server.watched_from == ["after 1"]


def test_a_list_that_is_too_old_for_a_watch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([[pod("one")], [pod("one", ready=True)]], [ApiException(status=410)])
    wait(monkeypatch, server, "one")


def test_any_other_refusal_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApiException):
        wait(monkeypatch, Server([[pod("one")]], [ApiException(status=403)]), "one")


def test_what_is_late_is_told_as_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that ends early does not end the wait, and a Pod that went is not there."""
    server = Server([[pod("one")], []], [[("DELETED", pod("one"))]])
    with pytest.raises(NotInTime) as told:
        wait(monkeypatch, server, "one", limit=0.05)
    assert told.value.why == "it does not exist"


def test_an_image_that_cannot_be_had_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([[pod("one")]], [[("MODIFIED", pod("one", waiting="ImagePullBackOff"))]])
    with pytest.raises(ImageMissing):
        wait(monkeypatch, server, "one")
    assert server.watched_from == ["after 1"], "long before the limit"
