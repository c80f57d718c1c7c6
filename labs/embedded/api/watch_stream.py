"""One watch over HTTP: its events as lines of JSON, in the shape that was asked for. What they are is watching.py's matter."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from labs.embedded.api import answers, tables
from labs.embedded.api.kinds import Kind
from labs.embedded.api.watching import Watch

Object = dict[str, Any]
Told = tuple[str, Object]  # an event's type and object


@dataclass
class Shown:
    """How objects are shown to a client. out: an object as clients of this kind see it."""

    kind: Kind
    shape: str
    include: str
    out: Callable[[Kind, Object], Object]
    header: bool = True

    def line(self, type: str, obj: Object) -> bytes:
        """One event."""
        if type != "BOOKMARK":
            obj = self.out(self.kind, obj)
        if self.shape == "Table":
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            rows = [] if type == "BOOKMARK" else [obj]
            about = metadata if rows else {**obj["metadata"], **metadata}
            obj = tables.table(self.kind.plural, rows, about, self.include, self.header)
            self.header = False
        else:
            obj = answers.shaped(self.kind, obj, self.shape, self.include)
        return json.dumps({"type": type, "object": obj}, separators=(",", ":")).encode() + b"\n"


async def send(
    request: web.Request, watch: Watch, first: Sequence[Told], shown: Shown, limit: float, bookmarks: bool
) -> web.StreamResponse:
    """Sends what there is and what comes, until `limit` seconds have passed or the client goes; closes the watch."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        await response.prepare(request)
        for told in first:
            await response.write(shown.line(*told))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                async for event in watch.events():
                    if event:
                        await response.write(shown.line(*event))
                    elif bookmarks:
                        await response.write(shown.line("BOOKMARK", watch.bookmark()))
        await response.write_eof()
    except ConnectionError:
        pass  # the client has gone
    finally:
        watch.close()
    return response
