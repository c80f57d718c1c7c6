"""Lists and watches of the embedded API, over HTTP: selectors, pages, tables; what a watch is sent, and when it is ended."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from labs.embedded.api import watching
from tests.embedded_api_objects import MAPS, ONE, PODS, SERVICES, configmap, wait
from tests.embedded_world import TOKEN, World, world

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n") as made:
        yield made


def test_lists_by_labels_fields_and_pages(embedded: World) -> None:
    for index in range(5):
        embedded.ask("POST", MAPS, configmap(f"m{index}", odd=str(index % 2)))

    def names(query: str) -> list[str]:
        return [one["metadata"]["name"] for one in embedded.ask("GET", MAPS + query).json()["items"]]

    assert names("?labelSelector=odd%3D1") == ["m1", "m3"]
    assert names("?labelSelector=odd%20notin%20(1),odd") == ["m0", "m2", "m4"]
    assert names("?fieldSelector=metadata.name%3Dm2") == ["m2"]
    page = embedded.ask("GET", MAPS + "?limit=2").json()
    assert page["metadata"]["remainingItemCount"] == 3
    assert names(f"?limit=2&continue={page['metadata']['continue']}") == ["m2", "m3"]
    assert "kind" not in page["items"][0]


def test_a_table_has_a_cell_for_each_column(embedded: World) -> None:
    embedded.ask("POST", SERVICES, ONE)
    embedded.pod()
    for path in (SERVICES, PODS, "/api/v1/namespaces", PODS + "/p"):
        table = embedded.ask("GET", path, headers=TABLE).json()
        assert table["kind"] == "Table" and table["rows"]
        assert {len(row["cells"]) for row in table["rows"]} == {len(table["columnDefinitions"])}
    cells = embedded.ask("GET", PODS, headers=TABLE).json()["rows"][0]["cells"]
    assert cells[:4] == ["p", "1/1", "Running", "0"]


def watched(embedded: World, query: str, until: int, path: str = MAPS) -> tuple[list[tuple[str, str]], threading.Thread]:
    """The events of a watch as (type, name), filled as they come, until so many came."""
    events: list[tuple[str, str]] = []
    ready = threading.Event()

    def follow() -> None:
        with embedded.ask("GET", path + "?watch=1&timeoutSeconds=15&" + query, stream=True) as answer:
            ready.set()
            for line in answer.iter_lines():
                event = json.loads(line)
                events.append((event["type"], event["object"]["metadata"].get("name", "")))
                if len(events) >= until:
                    return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    ready.wait(5)
    return events, thread


def test_a_watch_from_a_revision_misses_nothing(embedded: World) -> None:
    revision = embedded.ask("GET", MAPS).json()["metadata"]["resourceVersion"]
    embedded.ask("POST", MAPS, configmap("before"))
    events, thread = watched(embedded, f"resourceVersion={revision}", 4)
    embedded.ask("PUT", MAPS + "/before", configmap("before", a="b"))
    embedded.ask("DELETE", MAPS + "/before")
    embedded.ask("POST", MAPS, configmap("after"))
    thread.join(10)
    assert events == [("ADDED", "before"), ("MODIFIED", "before"), ("DELETED", "before"), ("ADDED", "after")]


def test_what_leaves_a_selection_is_deleted_for_its_watch(embedded: World) -> None:
    embedded.ask("POST", MAPS, configmap("m", on="no"))
    events, thread = watched(embedded, "labelSelector=on%3Dyes", 2)
    embedded.ask("PUT", MAPS + "/m", configmap("m", on="yes"))
    embedded.ask("PUT", MAPS + "/m", configmap("m", on="no"))
    thread.join(10)
    assert events == [("ADDED", "m"), ("DELETED", "m")]


def test_a_watch_that_begins_with_all_there_is_says_where_that_ends(embedded: World) -> None:
    embedded.ask("POST", MAPS, configmap("m"))
    query = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events, thread = watched(embedded, query, 2)
    thread.join(10)
    assert events == [("ADDED", "m"), ("BOOKMARK", "")]


def test_a_watch_from_a_forgotten_revision_is_told_so(embedded: World) -> None:
    embedded.call(lambda: setattr(embedded.store, "_forgotten", 1000))
    answer = embedded.ask("GET", MAPS + "?watch=1&resourceVersion=3")
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")


def test_a_client_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from labs.embedded.api.kinds import BY_PATH
    from labs.embedded.store import Store

    monkeypatch.setattr(watching, "BEHIND", 10)
    store = Store()
    watch = watching.Watch(store, BY_PATH["", "v1", "configmaps"], None, lambda obj: True)
    watch.start("", False)
    for index in range(50):
        store.create("configmaps", {"metadata": {"name": str(index), "namespace": "n"}})

    async def rest() -> list[Any]:
        return [one async for one in watch.events()]

    assert asyncio.run(rest()) == [] and watch.queue.qsize() == 0 and not store._subscribers


def test_watches_by_the_hundred_end_with_their_clients(embedded: World) -> None:
    async def many() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(embedded.base, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
            answers = [await session.get(MAPS + "?watch=1") for _ in range(300)]
            embedded.ask("POST", MAPS, configmap("m"))
            for answer in answers:
                assert json.loads(await answer.content.readline())["object"]["metadata"]["name"] == "m"

    asyncio.run(many())
    embedded.ask("DELETE", MAPS + "/m")
    wait(lambda: len(embedded.store._subscribers) == 1)  # the allocation of addresses
