"""Watches: what each of them is sent, out of the store's events. Knows no HTTP: it makes events, somebody sends them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from labs.embedded.api import status
from labs.embedded.api.kinds import Kind
from labs.embedded.store import Event, Store, TooOld

Object = dict[str, Any]
Test = Callable[[Object], bool]
BEHIND = 5000  # events that a client may be behind before its watch is ended: it lists again then
BOOKMARK_EVERY = 30.0  # seconds; the real server's is a minute, less the time that is left


class Watch:
    """One watch. To be closed."""

    def __init__(self, store: Store, kind: Kind, namespace: str | None, wanted: Test) -> None:
        self.store, self.kind, self.namespace, self.wanted = store, kind, namespace, wanted
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._end: Callable[[], None] = lambda: None

    def start(self, revision: str, initial: bool) -> Sequence[tuple[str, Object]]:
        """Begins; gives what there is at once. `initial`: what exists comes first as ADDED (also for revision "" and "0").

        Raises Refused (410) where the history does not go back to the revision.
        """
        first: list[tuple[str, Object]] = []
        if initial or revision in ("", "0"):
            found = self.store.list(self.kind.plural, self.namespace)
            first = [("ADDED", one) for one in found if self.wanted(one)]
        else:
            try:
                past = self.store.since(int(revision))
            except TooOld:
                raise status.expired(revision, self.store.oldest) from None
            first = [told for event in past if (told := self.told(event))]
        self._end = self.store.subscribe(self._heard)
        return first

    def told(self, event: Event) -> tuple[str, Object] | None:
        """What a store's event is to this watch: nothing, or a type and an object (leaving the selection is a DELETED)."""
        if event.resource != self.kind.plural:
            return None
        if self.namespace is not None and (event.object["metadata"].get("namespace") or "") != self.namespace:
            return None
        now = event.type != "DELETED" and self.wanted(event.object)
        before = event.old is not None and self.wanted(event.old)
        if now:
            return ("MODIFIED" if before else "ADDED"), event.object
        if not before or event.old is None:
            return None
        last = event.object if event.type == "DELETED" else event.old
        return "DELETED", {**last, "metadata": {**last["metadata"], "resourceVersion": str(event.revision)}}

    async def events(self) -> AsyncIterator[tuple[str, Object] | None]:
        """The events from now on; None each time that a bookmark is due. Ends where the client is too far behind."""
        while True:
            try:
                event = await asyncio.wait_for(self.queue.get(), BOOKMARK_EVERY)
            except TimeoutError:
                yield None
                continue
            if event is None:
                return
            if told := self.told(event):
                yield told

    def bookmark(self, initial_end: bool = False) -> Object:
        """A BOOKMARK's object: a revision up to which nothing was missed."""
        metadata: Object = {"resourceVersion": str(self.store.revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}

    def close(self) -> None:
        """Hears no more."""
        self._end()

    def _heard(self, event: Event) -> None:
        if event.resource != self.kind.plural:
            return
        if self.queue.qsize() >= BEHIND:
            self._end()
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(event)
