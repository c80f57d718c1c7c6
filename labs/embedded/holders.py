"""A process in each place of the network that does nothing: so that the place can be entered from outside, by its number.

Does not know what is done there.
"""

import asyncio
from collections.abc import Mapping

from labs.embedded.links import Place
from labs.embedded.spawn import PATH, Container, Spawner, Started

_HOLDER = Container(env={"PATH": PATH}, host=True)


class Holders:
    """The holders of places, by the places' names."""

    def __init__(self, spawner: Spawner, places: Mapping[str, Place]) -> None:
        self._spawner, self._places = spawner, places
        self._running: dict[str, Started] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Their numbers, as the server sees them."""
        return {name: process.pid for name, process in self._running.items()}

    async def start(self) -> list[str]:
        """Starts those that are not there; the names of their places. OSError."""
        names = [name for name in self._places if name not in self._running or self._running[name].ended.done()]
        started = await asyncio.gather(*[self._start(name) for name in names])
        self._running.update(zip(names, started, strict=True))
        return names

    async def _start(self, name: str) -> Started:
        return await self._spawner.start(_HOLDER, ["sleep", "infinity"], self._places[name].netns, (0, 1, 2))
