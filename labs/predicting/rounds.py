"""One prediction: choices are kept as they are made, the change is sent, everything is asked, and the score is kept.

After a restart of the kernel the choices are found again, as long as they were not run. Shows nothing (views does).
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from labs import knobs, probe, progress, seats
from labs.cluster import NotHere
from labs.deploy import Lesson, Manifest, read_manifests
from labs.errors import BadInput, NotInTime, Refused
from labs.explain.diagnose import diagnose
from labs.explain.look import gather
from labs.path import path_of
from labs.predicting.cells import Cell, Outcome, Score, cell_of, cells_of, outcome_of, refused, score
from labs.probe import Place, Way

POD_LIMIT = 30.0  # seconds for a new Pod to be Ready; one that is not is asked as it is
_NO = (400, 403, 422)  # by these HTTP statuses the API server refuses what a learner sends

Change = str | Manifest | Mapping[str, object]


class Prediction:
    """What a learner predicts of a Service of a lesson.

    cells: those to be predicted. change: what is sent before it runs: a manifest (its name, YAML text, or one object), or
    knobs and what they are set to ({"targetPort": 9999}); none: things are asked as they are. choices: made so far.
    """

    def __init__(
        self,
        lesson: Lesson,
        service: str = "productpage",
        cells: Iterable[str | tuple[str, str]] | None = None,
        change: Change | None = None,
        pod: str = "pod2",
    ) -> None:
        self.lesson, self.service, self.pod, self.change = lesson, service, pod, change
        self.cells = cells_of(cells)
        self.title = _title(change)
        self.name = "/".join(filter(None, [lesson.name, service, self.title]))
        self.choices: dict[Cell, Outcome] = _kept(self.name, self.cells)
        self.score: Score | None = None
        self._running = threading.Lock()

    def choose(self, way: str, place: str, outcome: str) -> "Prediction":
        """Predicts one cell, in the words that learners read ("clusterIP:port", "a Pod", "refused"); it is on the disk when
        this returns. The prediction itself is returned. BadInput for what cannot be predicted here.
        """
        cell, chosen = cell_of(way, place), outcome_of(outcome)
        if cell not in self.cells:
            raise BadInput(f"{cell} is not asked for here.", f"It is {_listed(self.cells)}.", "Predict one of these.")
        self.refuse_while_running()
        progress.record("prediction", self.name, {"did": "chose", "choices": {str(cell): str(chosen)}})
        self.choices = {**self.choices, cell: chosen}
        return self

    def run(self) -> Score:
        """Sends the change, asks, and tells how many predictions were right. BadInput where nothing is predicted yet.

        The choices are used up then, and the score is kept. Raises the LabError of what is no learner's fault; the choices
        stay then.
        """
        if not self._running.acquire(blocking=False):
            raise self._busy()
        try:
            return self._run()
        finally:
            self._running.release()

    def refuse_while_running(self) -> None:
        """BadInput while it runs: what is chosen then is no prediction any more."""
        if self._running.locked():
            raise self._busy()

    def _busy(self) -> BadInput:
        return BadInput("This prediction runs already.", "Its score is not there yet.", "Wait for the score.")

    def _run(self) -> Score:
        chosen = {cell: self.choices[cell] for cell in self.cells if cell in self.choices}
        if not chosen:
            raise BadInput("Nothing is predicted yet.", "A score needs a prediction.", "Choose what will come, then run.")
        said = self._send()
        found = refused(chosen, said) if said else self._ask(chosen)
        kept = {str(row.cell): f"{row.predicted}; it was {row.saw}" for row in found.rows}
        progress.record("prediction", self.name, {"did": "ran", "right": found.right, "of": found.of, "choices": kept})
        self.choices, self.score = {}, found
        return found

    # --- what is sent

    def _send(self) -> str:
        """Sends the change. The API server's own words where it refused, else ""."""
        try:
            for manifest, anew in self._manifests():
                self.lesson.apply(manifest, wait=False, anew=anew)
                self._wait(manifest)
        except Refused as no:
            if no.status not in _NO:
                raise
            return no.why
        return ""

    def _manifests(self) -> list[tuple[Manifest, bool]]:
        """What is to be applied, and whether a Pod is to be made anew for it."""
        if self.change is None:
            return []
        if isinstance(self.change, str) or "kind" in self.change:
            given: Any = self.change
            return [(manifest, False) for manifest in read_manifests(given)]
        found: dict[str, Manifest] = {}
        for name, value in self.change.items():
            kind = knobs.knob(name).of
            text = "" if value is None else str(value)
            found[kind] = knobs.turned(found.get(kind) or self._in_force(kind), name, knobs.parsed(name, text))
        return [(knobs.as_sent(manifest), kind == "Pod") for kind, manifest in found.items()]

    def _in_force(self, kind: str) -> Manifest:
        name = self.service if kind == "Service" else self.pod
        found = self.lesson.read(kind, name)
        if found is None:
            raise BadInput(f"There is no {kind} {name} to change.", "It was not applied yet, or it was removed.", "Apply it.")
        return knobs.as_written(found)

    def _wait(self, manifest: Manifest) -> None:
        if manifest["kind"] != "Pod":
            return
        try:
            seats.wait_ready(self.lesson.cluster, self.lesson.namespace, [manifest["metadata"]["name"]], POD_LIMIT)
        except NotInTime:
            pass  # that, too, may be what was to be predicted

    # --- what is asked

    def _ask(self, chosen: Mapping[Cell, Outcome]) -> Score:
        answers = probe.ask(self.lesson, probe.questions(self.lesson, self.service))  # all of them: the path needs them
        facts = replace(gather(self.lesson, self.service, ()), answers=tuple(answers))
        return score(chosen, answers, path_of(facts, diagnose(facts)), self._lacking(chosen))

    def _lacking(self, chosen: Iterable[Cell]) -> dict[Cell, str]:
        """Why cells cannot be tried here."""
        cluster = self.lesson.cluster
        places = {seat.place: seat.why_not for seat in probe.seats(self.lesson) if seat.why_not}
        cells = list(chosen)
        if any(cell.place is Place.MACHINE for cell in cells):
            there = cluster.elsewhere(["true"])
            if isinstance(there, NotHere):
                places[Place.MACHINE] = there.why
        found = {cell: places[cell.place] for cell in cells if cell.place in places}
        if not cluster.nodes:
            found |= {cell: "we may not list the nodes here" for cell in cells if cell.way is Way.NODE}
        return found


def _kept(name: str, cells: Iterable[Cell]) -> dict[Cell, Outcome]:
    """The choices of that prediction that were not run yet."""
    found: dict[str, str] = {}
    for entry in progress.read():
        if (entry.kind, entry.name) != ("prediction", name):
            continue
        found = {} if entry.result.get("did") == "ran" else {**found, **_texts(entry.result.get("choices"))}
    outcomes = {str(one): one for one in Outcome}
    return {cell: outcomes[found[str(cell)]] for cell in cells if found.get(str(cell)) in outcomes}


def _texts(found: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _title(change: Change | None) -> str:
    """What is changed, in a few words: it is part of the prediction's name."""
    if change is None:
        return ""
    if isinstance(change, str) and "\n" not in change:
        return change
    if isinstance(change, str) or "kind" in change:
        given: Any = change
        return ", ".join(f"{one['kind']} {one['metadata']['name']}" for one in read_manifests(given))
    return ", ".join(f"{name} {knobs.shortened('' if value is None else str(value))}" for name, value in change.items())


def _listed(cells: Iterable[Cell]) -> str:
    return "; ".join(map(str, cells))
