"""What kube-proxy does on a node: keeps its nftables rules as the Services, EndpointSlices and Pods are.

rules/ says which rules; this hands them to `nft`, one transaction for what has changed, and knows when it is done. Asked to, it
compares what is in force with what should be.
"""

import asyncio
import logging
import os
import shutil

from labs.embedded import kernel
from labs.embedded.links import CommandFailed, Place
from labs.embedded.rules import Change, NodeRules, listing, nft
from labs.embedded.rules.nft import Json
from labs.embedded.store import Event, Store

log = logging.getLogger(__name__)
RESOURCES = ("services", "endpointslices", "pods")
NFT = ["nft", "-j", "-f", "-"]
_TIDY = 2.0  # seconds after a change before emptied chains go
_AGAIN = 1.0  # seconds after a transaction that failed


class Proxy:
    """One node's rules."""

    def __init__(self, store: Store, place: Place, rules: NodeRules) -> None:
        self.store, self.place, self._rules = store, place, rules
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._tidy: asyncio.TimerHandle | None = None
        self._chains_emptied = False
        self._conntrack = shutil.which("conntrack")
        self._writing = asyncio.Lock()

    async def start(self) -> asyncio.Task[None]:
        """Writes all rules, and from then on what changes; returns when they are there."""
        for resource in RESOURCES:
            for obj in self.store.list(resource):
                self._rules.see(resource, obj)
        self.store.subscribe(self._see)
        await self._apply(self._rules.whole())
        self._idle.set()
        return asyncio.create_task(self._run())

    async def settled(self) -> None:
        """Returns when the rules are as the store is now."""
        await self._idle.wait()

    def _see(self, event: Event) -> None:
        if event.resource in RESOURCES and self._rules.see(event.resource, event.object, event.type == "DELETED"):
            self._idle.clear()
            self._wanted.set()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            async with self._writing:
                await self._write(self._rules.change())
            if not self._wanted.is_set():
                self._idle.set()
                self._later()

    async def _write(self, change: Change) -> None:
        try:
            if change.commands:
                await self._apply(change.commands)
        except CommandFailed:
            log.exception("rules of %s: written anew", self._rules.node.name)
            await self._all()
        if change.stale_udp:
            await self._forget(change.stale_udp)

    async def repair(self) -> list[str]:
        """Writes all rules again where those in force are not as they should be; what was wrong. OSError.

        Which they should be is seen in a namespace of its own, where they are written from nothing. Tables that somebody else
        has added go, too: nobody else writes rules on a node.
        """
        scratch = kernel.new_netns()
        try:
            async with self._writing:
                change, wanted = self._rules.change(), self._rules.fresh()
                await self._write(change)
                seen = listing.parts(await self.place.run(listing.LIST))
                for transaction in nft.transactions(wanted):
                    await self.place.run(NFT, transaction, inside=scratch)
                wrong = listing.differences(listing.parts(await self.place.run(listing.LIST, inside=scratch)), seen)
                if wrong:
                    await self._apply([nft.FLUSH, *self._rules.whole()])
                    await self._forget_where()  # all of them
        finally:
            os.close(scratch)
        return [f"{self._rules.node.name}: {words.replace(' is ', ' was ', 1)}" for words in wrong]

    async def _all(self) -> None:
        while True:
            try:
                await self._apply(self._rules.whole())
                return
            except CommandFailed:
                log.exception("rules of %s", self._rules.node.name)
                await asyncio.sleep(_AGAIN)

    async def _apply(self, commands: list[Json]) -> None:
        for transaction in nft.transactions(commands):
            await self.place.run(NFT, transaction)

    def _later(self) -> None:
        if self._tidy is not None:
            self._tidy.cancel()
        self._tidy = asyncio.get_running_loop().call_later(_TIDY, lambda: asyncio.ensure_future(self._sweep()))

    async def _sweep(self) -> None:
        if not self._idle.is_set():
            return
        async with self._writing:
            try:
                await self._apply(self._rules.sweep())
            except CommandFailed as error:
                log.info("chains that nothing leads to stay: %s", error)

    async def _forget(self, destinations: set[tuple[str, int]]) -> None:
        """The kernel remembers where it sent a UDP client: what it remembers of these is wrong now."""
        for address, port in sorted(destinations):
            await self._forget_where("--orig-dst", address, "--dport", str(port))

    async def _forget_where(self, *condition: str) -> None:
        if self._conntrack is None:
            return
        try:
            await self.place.run([self._conntrack, "-D", "-p", "udp", *condition])
        except CommandFailed:  # there was none
            pass
