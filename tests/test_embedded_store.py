"""The store: revisions, conflicts, history and who is told what."""

import pytest

from labs.embedded import store as stores
from labs.embedded.store import Conflict, Event, Exists, NotFound, Store, TooOld


def pod(name: str = "a", **metadata: object) -> dict:
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "n", **metadata}, "spec": {"nodeName": ""}}


def test_create_gives_identity_and_a_revision() -> None:
    store = Store()
    first, second = store.create("pods", pod("a")), store.create("pods", pod("b"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert int(first["metadata"]["resourceVersion"]) < int(second["metadata"]["resourceVersion"]) == store.revision
    assert first["metadata"]["generation"] == 1
    assert "generation" not in store.create("configmaps", pod())["metadata"]
    with pytest.raises(Exists):
        store.create("pods", pod("a"))


def test_what_is_stored_is_a_copy() -> None:
    store, given = Store(), pod()
    store.create("pods", given)
    given["spec"]["nodeName"] = "elsewhere"
    assert store.get("pods", "n", "a")["spec"] == {"nodeName": ""}


def test_generate_name() -> None:
    store = Store()
    given = {"kind": "Pod", "metadata": {"generateName": "b" * 70, "namespace": "n"}}
    names = {store.create("pods", given)["metadata"]["name"] for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) == 63 and name.startswith("b" * 58) and set(name[58:]) <= set(stores.LETTERS) for name in names)


def test_list_is_by_namespace_and_name() -> None:
    store = Store()
    for namespace, name in (("b", "x"), ("a", "z"), ("a", "y")):
        store.create("pods", pod(name, namespace=namespace))
    assert [one["metadata"]["name"] for one in store.list("pods")] == ["y", "z", "x"]
    assert [one["metadata"]["name"] for one in store.list("pods", "a")] == ["y", "z"]


def test_update_checks_the_revision_and_the_uid() -> None:
    store = Store()
    first = store.create("pods", pod())
    second = store.update("pods", {**first, "spec": {"hostname": "w"}})
    assert second["metadata"]["generation"] == 2
    second = store.update("pods", {**second, "spec": {"hostname": "w", "nodeName": "w"}})
    assert second["metadata"]["generation"] == 2, "a binding is not counted"
    with pytest.raises(Conflict):
        store.update("pods", {**first, "spec": {}})
    with pytest.raises(Conflict):
        store.update("pods", pod(uid="another"))
    with pytest.raises(NotFound):
        store.update("pods", pod("gone"))
    assert store.update("pods", pod())["spec"] == {"nodeName": ""}, "no revision given: no check"


def test_writing_the_same_keeps_the_revision() -> None:
    store, seen = Store(), []
    first = store.create("pods", pod())
    store.subscribe(seen.append)
    assert store.update("pods", first) is first
    assert store.modify("pods", "n", "a", lambda one: one) is None
    assert store.modify("pods", "n", "a", lambda one: None) is None
    assert store.modify("pods", "n", "gone", lambda one: one) is None
    assert seen == [] and store.get("pods", "n", "a") is first


def test_status_is_no_generation() -> None:
    store = Store()
    store.create("pods", pod())
    changed = store.modify("pods", "n", "a", lambda one: {**one, "status": {"phase": "Running"}})
    assert changed["metadata"]["generation"] == 1


def test_the_last_finalizer_lets_a_deleted_object_go() -> None:
    store, seen = Store(), []
    store.create("configmaps", pod(finalizers=["labs/keep"]))
    store.modify("configmaps", "n", "a", lambda one: one["metadata"].update(deletionTimestamp=stores.now()) or one)
    store.subscribe(seen.append)
    store.modify("configmaps", "n", "a", lambda one: one["metadata"].update(finalizers=[]) or one)
    assert store.get("configmaps", "n", "a") is None
    assert [event.type for event in seen] == ["DELETED"]


def test_since_gives_what_came_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "HISTORY", 3)
    store = Store()
    store._history = type(store._history)(maxlen=3)
    start = store.revision
    made = [store.create("pods", pod(name)) for name in "abcde"]
    with pytest.raises(TooOld):
        store.since(start)
    assert [event.object for event in store.since(store.oldest)] == made[2:]
    removed = store.remove("pods", "n", "e")
    assert int(removed["metadata"]["resourceVersion"]) == store.revision
    assert [event.type for event in store.since(store.revision - 1)] == ["DELETED"]


def test_events_that_subscribers_cause_come_after() -> None:
    store, seen = Store(), []

    def follow(event: Event) -> None:
        if event.resource == "pods":
            store.create("events", pod("of-" + event.object["metadata"]["name"]))

    store.subscribe(follow)
    end = store.subscribe(lambda event: seen.append((event.resource, event.revision)))
    store.create("pods", pod())
    assert [one for one, _ in seen] == ["pods", "events"] and seen == sorted(seen, key=lambda one: one[1])
    end()
    end()
    store.create("pods", pod("b"))
    assert len(seen) == 2


def test_a_subscriber_that_fails_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    store, seen = Store(), []
    store.subscribe(lambda event: 1 / 0)
    store.subscribe(seen.append)
    store.create("pods", pod())
    assert len(seen) == 1 and "ZeroDivisionError" in caplog.text
