"""Whether a running cluster is as it should be: looks at each part, has it put right where it is not, and tries requests.

What is wrong with a part, and how that is put right, each part knows itself (holders.py, network_repair.py, proxy.py); here is
the order. Learners' own objects are only looked at where they stand in for the network: a Pod that is not reached.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labs.embedded import bootstrap, network_repair, processes
from labs.embedded.health_report import Report
from labs.embedded.holders import Holders
from labs.embedded.links import Network, PodLink, socket_in
from labs.embedded.node import Nodes
from labs.embedded.plan import KUBELET_PORT
from labs.embedded.proxy import Proxy
from labs.embedded.spawn import PATH, Container, Spawner
from labs.embedded.store import Object, Store

log = logging.getLogger(__name__)
_SPAWNING = 5.0  # seconds for a process to start
_CONNECTING = 2.0  # seconds for a connection inside this machine
_TRUE = Container(env={"PATH": PATH}, host=True)
_ANY_PORT = 9  # of a Pod: a refusal tells as much as an answer


@dataclass(frozen=True)
class Attempt:
    """A connection to try: from a namespace, maybe from one of its addresses; words: for whom it fails."""

    netns: int
    address: str
    port: int
    words: str
    source: str = ""


class Health:
    """Looks after one cluster. given: the Pods that it has from its beginning."""

    def __init__(
        self, store: Store, spawner: Spawner, network: Network, nodes: Nodes, proxies: Sequence[Proxy], holders: Holders,
        given: Sequence[Object],
    ) -> None:  # fmt: skip
        self._store, self._spawner, self._network, self._nodes = store, spawner, network, nodes
        self._proxies, self._holders, self._given = proxies, holders, given
        self._looking = asyncio.Lock()

    async def check(self) -> dict[str, Any]:
        """Looks, and puts right; a health_report.Report, as JSON has it."""
        async with self._looking:
            report = Report()
            parts = [self._processes(), network_repair.repair(self._network), *[proxy.repair() for proxy in self._proxies]]
            for found in await asyncio.gather(*parts, return_exceptions=True):
                if isinstance(found, BaseException):
                    log.error("a part of the cluster cannot be put right", exc_info=found)
                    report.broken.append(" ".join(str(found).split()) or type(found).__name__)
                else:
                    report.fixed += found
            report.fixed += [f"{name} was gone" for name in bootstrap.make_again(self._store, self._network.plan)]
            if not report.broken:
                for proxy in self._proxies:
                    await proxy.settled()
                report.fixed += await self._pods()
                report.broken += await _failing(self._attempts())
            report.incomplete = [_name(pod) for pod in self._given if not bootstrap.is_ready(self._store, pod)]
            report.holders = self._holders.pids
            for words in report.fixed + report.broken:
                log.info("check: %s", words)
            return report.__dict__

    async def _processes(self) -> list[str]:
        """That processes can be started, and the holders run; the given Pods' own go on where somebody has stopped them."""
        try:
            async with asyncio.timeout(_SPAWNING):
                place = self._network.machine.netns
                await (await self._spawner.start(_TRUE, ["true"], place, (0, 1, 2))).ended
                started = await self._holders.start()
        except TimeoutError:
            raise OSError(f"the process that starts those of Pods did not answer within {_SPAWNING:.0f} s") from None
        fixed = [f"{name}: the process by which its network is entered had ended" for name in started]
        keys = {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in self._given}
        runs = [run for agent in self._nodes.agents.values() for run in agent.pods.values() if run.key in keys]
        pids = {run.key: one.process.pid for run in runs for one in run.main if one.process is not None}
        return fixed + [f"Pod {'/'.join(key)}: its process was stopped" for key, pid in pids.items() if _gone_on(pid)]

    async def _pods(self) -> list[str]:
        """Pods that their node does not reach: what is wrong inside is put right."""
        links = list(self._network.pods.values())
        lost = set(await _failing([self._to_pod(pod) for pod in links]))
        fixed = []
        for pod in links:
            if self._to_pod(pod).words in lost:
                fixed += await network_repair.repair_pod(self._network, pod)
        return fixed

    def _to_pod(self, pod: PodLink) -> Attempt:
        """From the node's own address, so that the answer takes the Pod's default route."""
        words = f"{pod.node.name} does not reach the Pod with address {pod.address}"
        return Attempt(self._network.nodes[pod.node.name].netns, pod.address, _ANY_PORT, words, pod.node.address)

    def _attempts(self) -> list[Attempt]:
        """One connection to each node from everywhere, and from each node to what the cluster itself has."""
        plan = self._network.plan
        attempts = [
            Attempt(place.netns, node.address, KUBELET_PORT, f"{name} does not reach {node.name} ({node.address})")
            for name, place in self._network.places.items()
            for node in plan.nodes
        ]
        for name, place in self._network.nodes.items():
            for address, port, what in bootstrap.answering(self._store, plan):
                attempts.append(Attempt(place.netns, address, port, f"{name} does not reach {what} ({address}:{port})"))
        return attempts


async def _failing(attempts: Sequence[Attempt]) -> list[str]:
    """Whose connection is not made, in the attempts' words."""
    reached = await asyncio.gather(*map(_reaches, attempts))
    return [attempt.words for attempt, yes in zip(attempts, reached, strict=True) if not yes]


async def _reaches(attempt: Attempt) -> bool:
    """Whether a connection is made, or refused by whoever has that address."""
    connection = socket_in(attempt.netns, socket.SOCK_STREAM)
    try:
        if attempt.source:
            connection.bind((attempt.source, 0))
        async with asyncio.timeout(_CONNECTING):
            await asyncio.get_running_loop().sock_connect(connection, (attempt.address, attempt.port))
    except ConnectionRefusedError:
        return attempt.port == _ANY_PORT
    except (OSError, TimeoutError):
        return False
    finally:
        connection.close()
    return True


def _gone_on(pid: int) -> bool:
    """Whether a process was stopped, and goes on now."""
    stopped = processes.is_stopped(pid)
    if stopped:
        os.kill(pid, signal.SIGCONT)
    return stopped


def _name(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
