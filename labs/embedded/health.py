"""Whether a running cluster is as it should be: looks at each part, has it put right where it is not, and tries requests.

What is wrong with a part, and how that is put right, each part knows itself (holders.py, network_repair.py, proxy.py); here is
the order. Learners' own objects are only looked at where they stand in for the network: a Pod that is not reached.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labs.embedded import bootstrap, network_repair, processes
from labs.embedded.health_report import Report
from labs.embedded.holders import Holders
from labs.embedded.links import CommandFailed, Network, PodLink, socket_in
from labs.embedded.node import Nodes
from labs.embedded.plan import KUBELET_PORT
from labs.embedded.proxy import Proxy
from labs.embedded.spawn import PATH, Container, Spawner
from labs.embedded.store import Object, Store

log = logging.getLogger(__name__)
_SPAWNING = 15.0  # seconds for a process to start
_AT_ONCE = 32  # connections: each takes a file descriptor
_NO_MORE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_CONNECTING = 2.0  # seconds for a connection inside this machine
_TRUE = Container(env={"PATH": PATH}, host=True)
_ANY_PORT = 9  # of a Pod: a refusal tells as much as an answer


@dataclass(frozen=True)
class Attempt:
    """A connection to try. place: the name of where it begins, netns: that namespace; what: is to be reached, at an address and
    port; target: the place that this is, if it is one; source: the address it shall come from."""

    place: str
    netns: int
    what: str
    address: str
    port: int
    target: str = ""
    source: str = ""

    def words(self, does: str) -> str:
        """That it fails."""
        return f"{self.place} {does} not reach {self.what} ({self.address}:{self.port})"


class Health:
    """Looks after one cluster. given: the Pods that it has from its beginning; run: the folder with its Pods' files."""

    def __init__(
        self, store: Store, spawner: Spawner, network: Network, nodes: Nodes, proxies: Sequence[Proxy], holders: Holders,
        given: Sequence[Object], run: str,
    ) -> None:  # fmt: skip
        self._store, self._spawner, self._network, self._nodes = store, spawner, network, nodes
        self._proxies, self._holders, self._given = proxies, holders, given
        self._run = run
        self._looking = asyncio.Lock()

    async def check(self) -> dict[str, Any]:
        """Looks, and puts right; a health_report.Report, as JSON has it."""
        async with self._looking:
            report = Report()
            parts = [self._processes(), network_repair.repair(self._network), *[proxy.repair() for proxy in self._proxies]]
            for found in await asyncio.gather(*parts, return_exceptions=True):
                if not isinstance(found, BaseException):
                    report.fixed += found
                else:
                    log.error("a part of the cluster cannot be put right", exc_info=found)
                    told = report.unseen if getattr(found, "errno", None) in _NO_MORE else report.broken
                    told.append(" ".join(str(found).split()) or type(found).__name__)
            report.fixed += [f"{name} was gone" for name in bootstrap.make_again(self._store, self._network.plan)]
            if not report.broken:
                for proxy in self._proxies:
                    await proxy.settled()
                report.fixed += await self._pods()
                await self._requests(report)
            report.incomplete = [_name(pod) for pod in self._given if not bootstrap.is_ready(self._store, pod)]
            report.holders = self._holders.pids
            for words in report.fixed + report.broken:
                log.info("check: %s", words)
            return report.__dict__

    async def _processes(self) -> list[str]:
        """That processes can be started, and the holders run; the given Pods' own go on where somebody has stopped them."""
        if not os.path.ismount(self._run):  # whoever removes a mount's folder ends the mount, too (mount_namespaces(7))
            raise OSError(f"{self._run} was removed, and the Pods' files with it")
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

    async def _requests(self, report: Report) -> None:
        """Tries requests. Where one fails, what somebody has added to the network there goes, and it is tried again."""
        failing = await _failing(self._attempts())
        for name in {name for attempt in failing for name in (attempt.place, attempt.target) if name}:
            try:
                await network_repair.clear(self._network, name)
            except CommandFailed as error:
                log.warning("%s: %s", name, error)
        for attempt in await _failing(failing):
            report.broken.append(f"{attempt.words('does')}")
            failing.remove(attempt)
        report.fixed += [attempt.words("did") for attempt in failing]

    async def _pods(self) -> list[str]:
        """Pods that their node does not reach: what is wrong inside is put right."""
        links = {self._to_pod(pod): pod for pod in self._network.pods.values()}
        return [
            words for lost in await _failing(links) for words in await network_repair.repair_pod(self._network, links[lost])
        ]

    def _to_pod(self, pod: PodLink) -> Attempt:
        """From the node's own address, so that the answer takes the Pod's default route."""
        node = pod.node
        netns = self._network.nodes[node.name].netns
        return Attempt(node.name, netns, "a Pod", pod.address, _ANY_PORT, source=node.address)

    def _attempts(self) -> list[Attempt]:
        """One connection to each node from everywhere, and from each node to what the cluster itself has."""
        plan = self._network.plan
        attempts = [
            Attempt(name, place.netns, node.name, node.address, KUBELET_PORT, node.name)
            for name, place in self._network.places.items()
            for node in plan.nodes
        ]
        for name, place in self._network.nodes.items():
            for address, port, what in bootstrap.answering(self._store, plan):
                attempts.append(Attempt(name, place.netns, what, address, port))
        return attempts


async def _failing(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Those whose connection is not made."""
    together = asyncio.Semaphore(_AT_ONCE)

    async def fails(attempt: Attempt) -> bool:
        async with together:
            return not await _reaches(attempt)

    tried = list(attempts)
    failed = await asyncio.gather(*map(fails, tried))
    return [attempt for attempt, yes in zip(tried, failed, strict=True) if yes]


async def _reaches(attempt: Attempt) -> bool:
    """Whether a connection is made, or refused by a Pod. True where this machine allows no more of them: nothing is known."""
    try:
        connection = socket_in(attempt.netns, socket.SOCK_STREAM)
    except OSError as error:
        return error.errno in _NO_MORE
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
