"""What an explorer does when a knob is set: one worker thread that sends, waits, asks and explains, one turn at a time.

Does not show anything: after each step it hands the whole `Screen` to `paint`. A knob that is set while a turn runs waits
for its place; of two settings of one knob the newer one counts; what an older turn still brings is not painted any more.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from labs import addresses, knobs, probe, seats
from labs.deploy import Lesson, Manifest
from labs.errors import BadInput, LabError, NotInTime, Refused
from labs.explain.diagnose import diagnose
from labs.explain.look import gather
from labs.knobs import shortened
from labs.path import path_of
from labs.probe import Word
from labs.views.screen import RESULTS, Note, Said, Screen, Stage, Step, cut

HEADLESS = "None"  # what the YAML calls it
POD_LIMIT = 30.0  # seconds for a new Pod to be Ready


@dataclass(frozen=True)
class Request:
    """What the learner wants: "turn" a knob, "again" (adopt what is there, make what is missing, ask), or "start over"."""

    what: str
    name: str = ""
    text: str = ""
    at: float = field(default_factory=time.monotonic)  # when it was made


class Turns:
    """The worker of one explorer, on one Service and one Pod of a lesson.

    make_lesson: gives the lesson, which tells its news through the function given.
    first: the manifests (Service, Pod) that are made where there are none, and that "start over" goes back to.
    laps: of the last turn, by step: seconds since the knob was set.
    """

    def __init__(
        self,
        make_lesson: Callable[[Callable[[str], None]], Lesson],
        first: tuple[Manifest, Manifest],
        paint: Callable[[Screen], None],
    ) -> None:
        self.lesson = make_lesson(self.tell)
        self.first = {"Service": first[0], "Pod": first[1]}
        self.laps: dict[str, float] = {}
        self._names = {kind: manifest["metadata"]["name"] for kind, manifest in self.first.items()}
        self._paint = paint
        self._changed = threading.Condition()
        self._pending: list[Request] = []
        self._busy = False
        self._closed = False
        self._chained = False  # whether this turn follows another one that was not at its end
        self._turn = 0  # of which turn results may be painted
        self._asked_at = 0.0
        self._unasked = False  # whether something changed that nobody has asked about yet
        self._seen: dict[str, Manifest] = {}  # what was in force when this explorer looked last, as a learner writes it
        self._target_left_out = False
        self._screen = Screen(self._names["Service"], self._names["Pod"], self.lesson.namespace)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="explorer")
        threading.Thread(target=self._work, name="explorer", daemon=True).start()

    # --- from any thread

    @property
    def screen(self) -> Screen:
        """What is on the screen now."""
        with self._changed:
            return self._screen

    def pending(self, name: str) -> bool:
        """Whether a newer setting of this knob waits for its turn."""
        with self._changed:
            return any(request.name == name for request in self._pending)

    def ask(self, request: Request) -> None:
        """Takes up a request; returns at once. It replaces one of the same knob that still waits."""
        with self._changed:
            self._pending = [old for old in self._pending if (old.what, old.name) != (request.what, request.name)]
            if request.what == "start over":
                self._pending = []
            self._pending.append(request)
            self._changed.notify_all()

    def wait(self, limit: float = 60.0) -> Screen:
        """Returns what is on the screen when nothing is under way any more. limit in seconds; NotInTime past it."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._busy and not self._pending, limit):
                raise NotInTime(
                    f"The explorer was still busy after {limit:.0f} s ({self._screen.stage}).",
                    "The cluster is slow to act, or the machine is very busy.",
                    "Give it more time, or run `python -m labs status` in a terminal.",
                )
            return self._screen

    def tell(self, news: str) -> None:
        """Shows something that happened without the learner."""
        with self._changed:
            self._show(news=(*self._screen.news, news))

    def close(self) -> None:
        """Ends the worker, after what it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- the worker

    def _work(self) -> None:
        while True:
            with self._changed:
                self._chained = self._busy and bool(self._pending)
                while not self._pending and not self._closed:
                    self._busy = False
                    self._changed.notify_all()
                    self._changed.wait()
                if self._closed:
                    return
                request = self._pending.pop(0)
                self._busy = True
                self._turn += 1
                self._asked_at, self.laps = request.at, {}
                self._show(stage=Stage.SENDING, trouble=None, **({} if self._chained else {"notes": {}, "news": ()}))
            self._guarded(request)

    def _guarded(self, request: Request) -> None:
        try:
            self._unasked = self._do(request) or self._unasked
            if self._unasked and not self._more():
                self._look()
            if not self._more():
                self._show(stage=Stage.DONE)
                self._lap("done")
        except LabError as trouble:
            self._stop(trouble)
        except Exception as bug:  # the worker must live: the explorer is to be usable again afterwards
            self._stop(
                LabError(
                    "The explorer failed.",
                    f"A fault in the course: {type(bug).__name__}: {bug}",
                    "Press “Ask again”; if it fails again, restart the kernel and run the cell again.",
                )
            )

    def _stop(self, trouble: LabError) -> None:
        """Tells of a fault, and takes away what can no longer be vouched for."""
        self._unasked = True
        self._show(trouble=trouble, stage=Stage.DONE, answers=(), path=None, explanation=None, describe="", stale=frozenset())

    def _show(self, **changes: Any) -> None:
        with self._changed:
            self._screen = replace(self._screen, **changes)
            self._paint(self._screen)

    def _found(self, **results: Any) -> None:
        with self._changed:
            self._show(**results, stale=self._screen.stale - set(results))

    def _more(self) -> bool:
        with self._changed:
            return bool(self._pending)

    def _lap(self, step: str) -> None:
        self.laps.setdefault(step, time.monotonic() - self._asked_at)

    def _do(self, request: Request) -> bool:
        """Whether there is something new to ask about."""
        if request.what == "turn":
            return self._set(request.name, request.text)
        if request.what == "start over":
            self._start_over()
        else:
            self._make_ready()
        return True

    # --- what is there

    def _make_ready(self) -> None:
        self._show(stage=Stage.STARTING)
        cluster, namespace = self.lesson.cluster, self.lesson.namespace
        with cluster.answering("look for the client Pod"):
            started = seats.pod_or_none(cluster, namespace, seats.CLIENT) is not None
        if started:
            self.lesson.ensure_client()
        else:
            self.lesson.start()
        was_there = self.lesson.read("Pod", self._names["Pod"]) is not None
        for kind in ("Pod", "Service"):
            self._in_force(kind)
        # A Pod that was there may be one that never becomes Ready, as in some exercises: that is to be seen, not waited for.
        self.lesson.wait([] if was_there else [self._names["Pod"]], POD_LIMIT)

    def _in_force(self, kind: str) -> Manifest:
        """What is on the cluster, as a learner writes it; made first where it is missing. Its values go to the knobs."""
        name = self._names[kind]
        server = self.lesson.read(kind, name)
        if server is None:
            if kind in self._seen:
                self.tell(f"{kind} {name} was not there any more; it was made again.")
            server = self._create(kind, self._seen.get(kind, self.first[kind]))
        elif kind in self._seen and self._seen[kind] != knobs.as_written(server):
            self.tell(f"{kind} {name} was changed elsewhere; the knobs show what is in force now.")
        return self._adopt(kind, server)

    def _create(self, kind: str, manifest: Manifest) -> Manifest:
        if kind == "Service" and self.lesson.cluster.namespace is None:
            self.lesson.claim_article_addresses(addresses.wanted(manifest))
        server = self.lesson.apply(knobs.as_sent(manifest), wait=False)[0].object
        if kind == "Service":
            self._target_left_out = knobs.values(manifest)["targetPort"] == ""
        return server

    def _adopt(self, kind: str, server: Manifest) -> Manifest:
        written = self._seen[kind] = knobs.as_written(server)
        if kind == "Service" and self._target_left_out:
            now = knobs.values(written)
            if now["targetPort"] == now["port"]:  # what the API server fills in
                written = knobs.turned(written, "targetPort", None)
        with self._changed:
            self._show(values={**self._screen.values, **knobs.values(written)})
        return written

    # --- a knob

    def _set(self, name: str, text: str) -> bool:
        kind = knobs.knob(name).of
        try:
            value = knobs.parsed(name, text)
            old = self._in_force(kind)
            new = knobs.turned(old, name, value)
        except BadInput as told:
            self._note(name, Note(told.what, f"{told.why} {told.try_this} Nothing was sent."))
            return False
        was, changed_elsewhere = knobs.values(old)[name], bool(self._screen.news)
        if new == old:
            return changed_elsewhere
        self._step(f"{knobs.knob(name).label}: {shortened(was)} → {shortened(text)}", knobs.yaml_diff(old, new))
        try:
            server = self._send_service(old, new, name) if kind == "Service" else self._send_pod(old, new)
        except Refused as no:
            self._said(Said(no.why, refused=True))
            refused = f"The API server refused “{shortened(text)}”."
            self._note(name, Note(refused, f"Its words are below. Back to {shortened(was)}."))
            return changed_elsewhere
        if kind == "Service":
            self._target_left_out = knobs.values(new)["targetPort"] == ""
        self._tell_filled_in(new, server)
        self._adopt(kind, server)
        self._show(stale=RESULTS)
        self._lap("sent")
        if kind == "Pod":
            self._show(stage=Stage.POD)
            seats.wait_ready(self.lesson.cluster, self.lesson.namespace, [self._names["Pod"]], POD_LIMIT)
            self._lap("Pod ready")
        return True

    def _send_service(self, old: Manifest, new: Manifest, name: str) -> Manifest:
        """Replaces the Service. Where only its clusterIP is in the way, which may not change, it is made anew."""
        try:
            applied = self.lesson.apply(knobs.as_sent(new), wait=False)[0]
            if name != "type" or knobs.values(applied.object)["type"] == knobs.values(new)["type"]:
                self._said(Said(f"service/{applied.name} {applied.verb}"))
                return applied.object
            self._said(Said(f"service/{applied.name} {applied.verb}: it keeps clusterIP {applied.object['spec']['clusterIP']}"))
        except Refused as no:
            if name != "type" or "clusterIP" not in no.why:
                raise
            self._said(Said(no.why, refused=True))
        self.lesson.remove("Service", new["metadata"]["name"])
        try:
            made = self.lesson.apply(knobs.as_sent(new), wait=False)[0]
        except Refused:
            self.lesson.apply(knobs.as_sent(old), wait=False)
            raise
        self._said(Said(f"service/{made.name} deleted, and made anew: a clusterIP is given once"))
        return made.object

    def _send_pod(self, old: Manifest, new: Manifest) -> Manifest:
        """Asks for the change in place, which the API server refuses, and then makes a new Pod of that name."""
        lesson, name = self.lesson, new["metadata"]["name"]
        lesson.check_ours("Pod", name)
        try:
            with lesson.cluster.answering(f"change Pod {name} in place"):
                lesson.cluster.core().patch_namespaced_pod(name, lesson.namespace, knobs.pod_patch(old, new))
            self._said(Said(f"pod/{name} changed in place"))
        except Refused as no:
            self._said(Said(no.why, refused=True))
        self._show(stage=Stage.POD)
        made = lesson.apply(knobs.as_sent(new), wait=False, anew=True)[0]
        self._said(Said(f"pod/{name} deleted, and made anew: what its containers run and declare cannot be changed"))
        return made.object

    def _start_over(self) -> None:
        for kind in ("Pod", "Service"):
            old, new = self._in_force(kind), self.first[kind]
            if knobs.as_written(new) == old:
                continue
            self._step(f"{kind} {self._names[kind]}, as at the start", knobs.yaml_diff(old, new))
            if kind == "Service" and _other_address(old, new):
                self.lesson.remove(kind, self._names[kind])
            if kind == "Service" and self.lesson.cluster.namespace is None:
                self.lesson.claim_article_addresses(addresses.wanted(new))
            self._show(stage=Stage.POD if kind == "Pod" else Stage.SENDING)
            applied = self.lesson.apply(knobs.as_sent(new), wait=False, anew=True)[0]
            self._said(Said(f"{kind.lower()}/{applied.name} {applied.verb}"))
            self._target_left_out = kind == "Service" and knobs.values(new)["targetPort"] == ""
            self._adopt(kind, applied.object)
        seats.wait_ready(self.lesson.cluster, self.lesson.namespace, [self._names["Pod"]], POD_LIMIT)

    def _tell_filled_in(self, new: Manifest, server: Manifest) -> None:
        """What was left out and is there now."""
        asked, got = knobs.values(new), knobs.values(server)
        for name in ("targetPort", "nodePort"):
            if name in asked and not asked[name] and got[name]:
                self._said(Said(f"it filled in {name}: {got[name]}"))

    def _said(self, said: Said) -> None:
        with self._changed:
            self._show(steps=self._screen.with_said(replace(said, words=cut(said.words))).steps)

    def _note(self, name: str, note: Note) -> None:
        with self._changed:
            self._show(notes=self._screen.with_note(name, note).notes)

    def _step(self, title: str, diff: list[tuple[str, str]]) -> None:
        """A new step; those before it go, unless they were of this same run of turns."""
        with self._changed:
            self._show(steps=(*(self._screen.steps if self._chained else ()), Step(title, tuple(diff))))
            self._chained = True

    # --- what comes of it

    def _look(self) -> None:
        """Asks and gathers what explains it side by side, then describes; returns early when a knob is turned meanwhile."""
        turn, lesson, service = self._turn, self.lesson, self._names["Service"]
        self._show(stage=Stage.ASKING, stale=RESULTS)
        routes = probe.look_up_routes(lesson, probe.questions(lesson, service))
        lesson.settled()
        self._lap("settled")
        gathered = self._beside(gather, lesson, service, ())
        described: Future[Any] | None = None  # begun when the answers are there: kubectl would take their processor time
        for answers in probe.ask_in_stages(lesson, probe.questions(lesson, service), settle=False, routes=routes):
            waiting = any(answer.word is Word.NOTHING_YET for answer in answers)
            self._found(answers=tuple(answers), stage=Stage.WAITING if waiting else Stage.ASKING)
            self._lap("first answers")
            if not self._done(gathered):
                return
            facts = replace(gathered.result(), answers=tuple(answers))
            explanation = diagnose(facts)
            self._found(explanation=explanation, path=path_of(facts, explanation))
            self._lap("first answers, explained")
            described = described or self._beside(self._bring_description, turn)
        if described is not None and self._done(described):
            described.result()
            self._unasked = False

    def _beside(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = self._pool.submit(function, *arguments)
        future.add_done_callback(self._wake)
        return future

    def _done(self, future: Future[Any]) -> bool:
        """Waits for it, and says whether to go on: not when a knob is turned meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or future.done())
            return not self._pending

    def _wake(self, _done: Future[Any]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _bring_description(self, turn: int) -> None:
        ran = self.lesson.kubectl("describe", "svc", self._names["Service"])
        with self._changed:
            if turn == self._turn:  # else a later turn has begun, and this is old
                self._lap("described")
                self._found(describe=cut(ran.out if ran.code == 0 else ran.err))


def _other_address(old: Manifest, new: Manifest) -> bool:
    """Whether a Service has to be made anew to get the clusterIP that it should have."""
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    return bool(before == HEADLESS if after is None else after != before)
