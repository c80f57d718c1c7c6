"""How long a knob takes, from its turn until what came of it is on the screen: the same on any cluster."""

import subprocess
import sys
import time
from dataclasses import dataclass

from labs import providers
from labs.deploy import Lesson
from labs.probe import Word
from tests.bench.common import Row, spread
from tests.bench.first_curl import ANSWERED, UP
from tests.run import ROOT

PORTS = (9999, 9080)  # in turn; it begins with 9080

FIRST_CURL: dict[str, float] = {}  # seconds from nothing to the first curl, by provider: one part compares with another's


@dataclass(frozen=True)
class Turned:
    """Seconds of each turn: a Service knob's first answers, explained; the same turn's end; a Pod knob's first answers.

    open_cells: how many cells were asked a second time, as nothing came the first.
    """

    service: list[float]
    ended: list[float]
    pod: list[float]
    open_cells: int

    def rows(self, service_aim: str, pod_aim: str, prefix: str = "") -> list[Row]:
        """For the table."""
        return [
            (f"{prefix}Service knob: all that answers or is refused, explained", spread(self.service), service_aim),
            (f"{prefix}Service knob: with the second try of what timed out ({self.open_cells} cells)", spread(self.ended), ""),
            (f"{prefix}Pod knob: a new Pod, asked and explained", spread(self.pod), pod_aim),
        ]


def turned(turns: int, pod_turns: int) -> Turned:
    """Turns targetPort, and then where the process listens, by the explorer."""
    from labs.views import explorer

    lesson = Lesson(providers.connect(), "05-all-four", say=lambda _: None)
    lesson.start()
    shown = explorer()
    service: list[float] = []
    ended: list[float] = []
    pod: list[float] = []
    open_cells = 0
    for turn in range(turns):
        shown.set("targetPort", str(PORTS[turn % 2]))
        screen = shown.wait(60)
        assert screen.trouble is None, screen.trouble
        service.append(shown.laps["first answers, explained"])
        ended.append(shown.laps["done"])
        open_cells = sum(answer.word is Word.TIMED_OUT for answer in screen.answers)
    for turn in range(pod_turns):
        shown.set("listenPort", str(PORTS[turn % 2]))
        screen = shown.wait(60)
        assert screen.trouble is None, screen.trouble
        pod.append(shown.laps["first answers, explained"])
    shown.close()
    return Turned(service, ended, pod, open_cells)


def first_curl() -> tuple[float, float]:
    """Seconds from nothing until the cluster is ready, and until a Pod behind a Service has answered; in a new process."""
    laps: dict[str, float] = {}
    start = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "tests.bench.first_curl"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as ran:
        for line in ran.stdout or ():
            laps[line.strip()] = time.monotonic() - start
    assert ran.returncode == 0, "no answer through the Service"
    return laps[UP], laps[ANSWERED]
