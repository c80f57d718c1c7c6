"""Draws exercises at random: one fault, two, three, at different hops. The same seed always gives the same exercise.

Everything is drawn from `random.Random(seed)` out of sequences, so neither hash order nor the day changes what a seed gives.
Only computes; what is drawn is broken and checked as any other exercise.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labs.checks.exercise import Awaited, Exercise, Goal
from labs.deploy import Manifest
from labs.errors import BadInput
from labs.exercises.pieces import PRODUCTPAGE, anew, pod, port, service

SEEDS_A_LEVEL = 10  # seeds 0–9 have one fault, 10–19 two, from 20 on three
MOST_FAULTS = 3
_WORDS = ("web", "www", "http-alt", "product", "page", "main", "frontend", "app")


@dataclass
class World:
    """What a surprise is made of, while faults are put in: the one Service and the one Pod of the article."""

    port: dict[str, Any]
    selector: dict[str, str]
    spec: dict[str, Any]
    listen_port: int = 9080
    listen_address: str = "0.0.0.0"
    probed_port: int | None = None

    def service(self) -> Manifest:
        """The Service as it has become."""
        return service(dict(self.port), selector=self.selector, **self.spec)

    def pod(self) -> Manifest:
        """The Pod as it has become."""
        made = pod(listen_port=self.listen_port, listen_address=self.listen_address)
        if self.probed_port is not None:
            made["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = self.probed_port
        return made


def healthy() -> World:
    """The world without a fault: productpage:9999 answers."""
    return World(port(), dict(PRODUCTPAGE), {})


def wrong_target(world: World, draw: random.Random) -> str:
    """targetPort is a number on which nobody listens."""
    world.port["targetPort"] = draw.choice([number for number in range(9000, 9100) if number != 9080])
    return "targetPort"


def unknown_name(world: World, draw: random.Random) -> str:
    """targetPort is a name that no container has."""
    world.port["targetPort"] = draw.choice(_WORDS)
    return "targetPort"


def left_out(world: World, draw: random.Random) -> str:
    """targetPort is left out."""
    del world.port["targetPort"]
    return "targetPort"


def wrong_port(world: World, draw: random.Random) -> str:
    """The Service lists another port than clients ask."""
    world.port["port"] = draw.choice([80, 8080, 9000, 9080, 9090, 9998])
    return "port"


def wrong_selector(world: World, draw: random.Random) -> str:
    """The selector has two letters swapped."""
    letters = list("productpage")
    at = draw.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    letters[at], letters[at + 1] = letters[at + 1], letters[at]
    world.selector["app"] = "".join(letters)
    return "selector"


def one_label_more(world: World, draw: random.Random) -> str:
    """The selector asks for a label that the Pod has not."""
    world.selector[draw.choice(("tier", "version", "release"))] = draw.choice(("v1", "v2", "stable", "front"))
    return "selector"


def udp(world: World, draw: random.Random) -> str:
    """The Service's port is for UDP."""
    world.port["protocol"] = "UDP"
    return "protocol"


def listens_elsewhere(world: World, draw: random.Random) -> str:
    """The process listens on another port than its Pod declares."""
    world.listen_port = draw.choice([8000, 8080, 8888, 9081])
    return "process"


def probe_elsewhere(world: World, draw: random.Random) -> str:
    """The readiness probe asks a port on which nobody listens."""
    world.probed_port = draw.choice([7080, 8081, 9999])
    return "readiness"


Fault = Callable[[World, random.Random], str]
# By hop; at most one fault of each, so that none hides or mends another one.
_HOPS: Sequence[Sequence[Fault]] = (
    (wrong_target, unknown_name, left_out),
    (wrong_port,),
    (wrong_selector, one_label_more),
    (udp,),
    (listens_elsewhere,),
    (probe_elsewhere,),
)
_SERVICE_ALONE = 4  # the first hops are the Service's; those of the Pod come with the second fault


def surprise(seed: int) -> Exercise:
    """The exercise of that seed. BadInput where it is no whole number from 0 on."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadInput(f"{str(seed)[:60]!r} is no seed.", "A seed is a whole number: 0, 1, 2, …", "`labs.surprise(seed=7)`")
    draw = random.Random(seed)
    count = min(MOST_FAULTS, 1 + seed // SEEDS_A_LEVEL)
    world = healthy()
    hops = draw.sample(range(_SERVICE_ALONE if count == 1 else len(_HOPS)), count)
    if {4, 5} <= set(hops):  # a Pod that is made anew twice over teaches nothing more
        hops.remove(5)
        hops.append(draw.choice([at for at in range(_SERVICE_ALONE) if at not in hops]))
    at_fault = [draw.choice(_HOPS[hop])(world, draw) for hop in sorted(hops)]
    return _exercise(seed, world, at_fault)


def _exercise(seed: int, world: World, at_fault: list[str]) -> Exercise:
    pod_is_well = world.pod() == healthy().pod()
    count = len(at_fault)
    return Exercise(
        name=f"surprise-{seed}",
        level=1 + 2 * (count - 1),
        lesson="06-break-and-mend",
        story=(
            f"Seed {seed}: {['one thing is', 'two things are', 'three things are'][count - 1]} wrong, drawn at random.",
            "Clients ask productpage:9999. pod2 is the Pod, app=productpage its label.",
        ),
        task="Let productpage:9999 answer" + (", without touching the Pod or its labels." if pod_is_well else "."),
        objects=(world.pod(), world.service()),
        goals=(Goal(pods=("pod2",) if pod_is_well else ()),),
        hints=(
            "`explain()` goes along the hops and stops at the first that fails.",
            f"Look at: {', '.join(at_fault)}.",
            "`solution()` makes both the Pod and the Service as they are when all is well.",
        ),
        solution=(*(() if pod_is_well else (anew(healthy().pod()),)), anew(healthy().service())),
        moral=f"At fault: {', '.join(at_fault)}. `labs.surprise(seed={seed + 1})` is the next one.",
        kept_pods=("pod2",) if pod_is_well else (),
        kept_labels=pod_is_well,
        awaited={} if world.probed_port is None else {"pod2": Awaited.RUNNING},
    )
