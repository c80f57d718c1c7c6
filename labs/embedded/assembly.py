"""Puts the parts together, in the order in which they need each other, and runs them until a signal comes.

Each part is a module of its own; here is only who gets what.
"""

import asyncio
import gc
import json
import logging
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from labs.embedded import bootstrap, controllers, https, limits, listeners, server_log
from labs.embedded.api import Api
from labs.embedded.api.pods import Pods
from labs.embedded.certificates import Making
from labs.embedded.health import Health
from labs.embedded.health_report import CHECK
from labs.embedded.holders import Holders
from labs.embedded.links import Network
from labs.embedded.node import NodeAgent, Nodes
from labs.embedded.plan import API_PORT, KUBELET_PORT, AddressPlan
from labs.embedded.proxy import Proxy
from labs.embedded.rules import NodeRules
from labs.embedded.settings import Settings, tell
from labs.embedded.spawn import Spawner
from labs.embedded.store import Object, Store

log = logging.getLogger(__name__)
_PATIENCE = 25.0  # seconds for the first Pods to be Ready
SETTLED = "/labs/settled"  # of the API: answers when every node has acted on what was changed before


def run(settings: Settings, plan: AddressPlan, zygote: socket.socket, making: Making) -> None:
    """Runs the cluster until SIGTERM or SIGINT."""
    server_log.begin()
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        limits.take_all(kind)  # each watch and each Pod takes some
    with asyncio.Runner() as runner:
        runner.run(_run(settings, plan, zygote, making))


async def _run(settings: Settings, plan: AddressPlan, zygote: socket.socket, making: Making) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    network, spawner, store = Network(plan), Spawner(zygote), Store()
    certificates, token = making.result(), secrets.token_urlsafe(32)
    proxies = [Proxy(store, network.nodes[node.name], NodeRules(node, plan)) for node in plan.nodes]
    dns = listeners.Dns(store, plan)
    agents = {node.name: NodeAgent(store, spawner, network, node, Path(settings.run), dns.serve) for node in plan.nodes}
    nodes = Nodes(store, agents)
    api = Api(store, plan, nodes, token)
    bootstrap.fill(store, plan)
    nodes.start()
    admit = _admitting(store)
    controllers.start(store, certificates.authority, admit)
    for pod in bootstrap.dns_pods(plan):
        store.create("pods", pod)
    given = bootstrap.first_pods(store, json.load(sys.stdin), admit)
    holders = Holders(spawner, {name: place for name, place in network.places.items() if place is not network.laptop})
    holding = asyncio.create_task(holders.start())
    running = await asyncio.gather(*[proxy.start() for proxy in proxies])
    health = Health(store, spawner, network, nodes, proxies, holders, given, settings.run)
    extras = {SETTLED: _settled(proxies), CHECK: health.check}
    served = https.Https(api.app, certificates.context, token, extras)
    await served.start()
    _listen(served, settings, network)
    mapped = [
        listeners.Mapping(socket.socket(fileno=fd), (plan.nodes[0].address, port)) for port, fd in settings.mappings.items()
    ]
    await holding
    await _ready(store, given)
    gc.collect()
    gc.freeze()
    tell(settings.ready, {"token": token, "authority": certificates.authority, "holders": holders.pids})
    log.info("cluster %s is up", settings.name)
    spawner.gone.add_done_callback(lambda _: ended.set())
    await ended.wait()
    log.info("cluster %s ends", settings.name)
    for task in running:
        task.cancel()
    for mapping in mapped:
        mapping.close()
    sys.stderr.flush()
    os._exit(0)


def _listen(served: https.Https, settings: Settings, network: Network) -> None:
    """The API on this laptop and on the control plane; a kubelet's port on each node."""
    served.listen(socket.socket(fileno=settings.api))
    control_plane = network.nodes[network.plan.nodes[0].name]
    served.listen(control_plane.socket(socket.SOCK_STREAM, "0.0.0.0", API_PORT))
    for place in network.nodes.values():
        served.listen(place.socket(socket.SOCK_STREAM, "0.0.0.0", KUBELET_PORT), kubelet=True)


async def _ready(store: Store, pods: list[Object]) -> None:
    """Returns when these Pods are Ready. OSError where one is not in time."""
    changed = asyncio.Event()
    unsubscribe = store.subscribe(lambda _: changed.set())
    try:
        async with asyncio.timeout(_PATIENCE):
            while waiting := [pod for pod in pods if not bootstrap.is_ready(store, pod)]:
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise OSError(f"Pod {waiting[0]['metadata']['name']} was not Ready after {_PATIENCE:.0f} s") from None
    finally:
        unsubscribe()


def _admitting(store: Store) -> Callable[[Object], Object]:
    """Completes a Pod that a controller makes, as if it came by the API."""
    pods = Pods(store)

    def admit(pod: Object) -> Object:
        pods.default(pod)
        pods.begin(pod, None, False)
        pods.prepare(pod, None)
        return pod

    return admit


def _settled(proxies: list[Proxy]) -> Callable[[], Awaitable[None]]:
    async def settled() -> None:
        for proxy in proxies:
            await proxy.settled()

    return settled
