"""Looks whether the nodes' network is as it was made, and makes it so again: links, addresses, routes, kernel settings.

What else somebody has put there is left alone, until it turns out to be in the way. Does not try requests (health.py does), nor
know nftables rules (proxy.py).
"""

import asyncio
import logging

from labs.embedded.layout import SHOW
from labs.embedded.links import IP, CommandFailed, Network, PodLink, read_settings

log = logging.getLogger(__name__)
# Routes and routing rules as a new namespace has them (ip-rule(8)).
_BARE = (
    "rule flush",
    "rule add priority 32766 lookup main",
    "rule add priority 32767 lookup default",
    "route flush table main",
)
_FORGET = ["ip", "neighbour", "flush", "all"]
_SHOW = ["ip", "-j", "-batch", "-"]


async def repair(network: Network) -> list[str]:
    """What was wrong, and is right now, as sentences' beginnings: "ports-worker: link eth0 was down". OSError."""
    fixed = await _laptop(network)  # first: its links' other ends are the nodes'
    others = [name for name in network.places if name != "laptop"]
    for found in await asyncio.gather(*[_place(network, name) for name in others]):
        fixed += found
    if fixed:  # who was not reached is still taken for unreachable for some seconds
        await asyncio.gather(*[place.run(_FORGET) for place in network.places.values()])
    return fixed + [words for name in network.settings for words in _settings(network, name)]


async def repair_pod(network: Network, pod: PodLink) -> list[str]:
    """The same, of what is inside a Pod."""
    place, layout = network.nodes[pod.node.name], pod.inside()
    try:
        wrong = layout.wrong(await place.run(_SHOW, SHOW, inside=pod.netns))
        if wrong:
            await place.run(IP, "\n".join(layout.lines()), inside=pod.netns)
            await place.run(_FORGET)
    except OSError as error:
        if pod.name in network.pods:  # else it has gone meanwhile
            log.info("Pod %s: %s", pod.address, error)
        return []
    return _words(f"the Pod with address {pod.address}", wrong)


async def clear(network: Network, name: str) -> None:
    """Takes away what somebody has added to a place's routes and routing rules; to the rules for packets, too, where there are
    to be none. OSError."""
    place = network.places[name]
    layouts = [network.layouts[name], *[pod.outside() for pod in network.pods.values() if pod.node.name == name]]
    # With an address, the kernel adds a route to its network.
    bare = [f"address flush dev {link.name}" for layout in layouts for link in layout.links if link.address]
    lines = [line for layout in layouts for line in layout.lines()]
    await place.run(IP, "\n".join([*_BARE, *bare, *lines]))
    await place.run(_FORGET)
    if name not in network.nodes:
        await place.run(["nft", "flush", "ruleset"])


async def _laptop(network: Network) -> list[str]:
    layout = network.layouts["laptop"]
    shown = await network.laptop.run(_SHOW, SHOW)
    wrong = layout.wrong(shown)
    if wrong:
        await network.laptop.run(IP, "\n".join([*network.creating(layout.lost(shown)), *layout.lines()]))
    return _words("the nodes' network", wrong)


async def _place(network: Network, name: str) -> list[str]:
    """A node with its ends of its Pods' links, or the machine."""
    place, layout = network.places[name], network.layouts[name]
    pods = {pod.name: pod for pod in network.pods.values() if pod.node.name == name}
    shown = await place.run(_SHOW, SHOW)
    wrong = layout.wrong(shown)
    if wrong:
        await place.run(IP, "\n".join(layout.lines()))
    for pod in pods.values():
        if of_pod := pod.outside().wrong(shown):
            wrong += await _outside(network, pod, of_pod, pod.outside().lost(shown))
    return _words(name, wrong)


async def _outside(network: Network, pod: PodLink, wrong: list[str], lost: set[str]) -> list[str]:
    try:
        if lost:
            await network.connect(pod)
        else:
            await network.nodes[pod.node.name].run(IP, "\n".join(pod.outside().lines()))
    except CommandFailed:
        if pod.name in network.pods:
            raise
    return wrong if pod.name in network.pods else []


def _settings(network: Network, name: str) -> list[str]:
    wanted, place = network.settings[name], network.places[name]
    seen = read_settings(place.netns, wanted)
    wrong = {setting: seen[setting] for setting, value in wanted.items() if seen[setting] != value}
    place.set({setting: wanted[setting] for setting in wrong})
    words = [f"kernel setting net.{setting.replace('/', '.')} is {value}" for setting, value in wrong.items()]
    return _words(name if name != "laptop" else "the nodes' network", words)


def _words(where: str, wrong: list[str]) -> list[str]:
    return [f"{where}: {words.replace(' is ', ' was ', 1)}" for words in wrong]
