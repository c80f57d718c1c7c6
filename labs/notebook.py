"""What lessons say in their cells: each verb runs a real command, prints it as it can be typed in a terminal, and its output.

Does not decide what an answer means (probe, explain do), deploy by itself (deploy does) or hold widgets (views does).
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas
import yaml
from IPython.display import display

from labs import explain, forward, probe, providers, rules, seats, shared
from labs.cells import Cells, printable
from labs.cluster import Address, Cluster, NotHere, Ran
from labs.deploy import Lesson, Manifest, beside_article, manifest_path, read_manifests
from labs.errors import BadInput, ClusterGone, LabError, NotInTime

AGAIN = "Run the notebook from its top."
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

_cells = Cells(str, probe.Answer, explain.Explanation, pandas.DataFrame)


class WrongOutcome(LabError):
    """A command of a lesson succeeded where it had to fail, or failed where it had to succeed."""


def connect() -> Cluster:
    """The course's cluster; where it is not up, `python -m labs up` is run first, and its progress printed."""
    try:
        return providers.connect()
    except ClusterGone as gone:
        print(f"{gone.what} {gone.why}")
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", "labs", "up"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as making:
        for line in making.stdout or ():
            last = line.strip() or last
            print(line, end="", flush=True)
    if making.returncode != 0:
        raise ClusterGone(
            "The cluster could not be brought up.", last, "`python -m labs doctor` in a terminal tells what is missing."
        )
    return providers.connect()


def lesson(name: str) -> "Notebook":
    """The lesson of that notebook ("02-target-port"), its namespace clean and its client Pod ready.

    BadInput where there is no such notebook, LabError where somebody else made a namespace of that name; then nothing is
    touched.
    """
    _check_lesson(name)
    started = Lesson(connect(), name)
    started.start()
    print(f"Ready: namespace {started.namespace}, with a Pod `client` to ask from, on a {started.cluster.provider} cluster.")
    return Notebook(started)


def _check_lesson(name: object) -> None:
    """BadInput where no notebook is called so. One of an instructor's own counts: in the folder that this kernel works in."""
    course = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    if isinstance(name, str) and name in {*course, *(path.stem for path in Path().glob("*.ipynb"))}:
        shared.namespace_of(name)
        return
    look = f" `kubectl -n {name} get pod,svc` shows what is in a namespace of yours." if shared.is_name(name) else ""
    raise BadInput(
        f"There is no lesson called {str(name)[:70]!r}.",
        f"The course has: {', '.join(course)}. A notebook of your own, NAME.ipynb in this folder, is a lesson, too.",
        f"Use one of these names.{look}",
    )


def explorer(of: "Notebook | None" = None, **options: Any) -> Any:
    """The explorer widget (labs/views): all knobs, or, with knobs=("targetPort",), a small one inside a lesson."""
    from labs import views

    if of is None:
        connect()  # brings the cluster up where there is none
    return views.explorer(of.lesson if of else None, **options)


def predict(of: "Notebook", service: str = "productpage", **options: Any) -> Any:
    """The prediction widget (labs/views): choose what will come, run, see the score. options: cells, change, pod."""
    from labs import views

    return views.predict(of.lesson, service, **options)


class Notebook:
    """The verbs of a lesson's cells. Every one prints the command that does the same in a terminal."""

    def __init__(self, of: Lesson) -> None:
        self.lesson = of
        self.namespace = of.namespace
        self.cluster = of.cluster

    # --- what is deployed

    def show(self, name: str) -> None:
        """Prints one of the course's manifests as it is in its file."""
        path = manifest_path(name)
        _cells.command(shlex.join(["cat", os.path.relpath(path)]))
        print(path.read_text("utf-8").rstrip())

    def diff(self, one: str, other: str) -> None:
        """Prints in which lines two of the course's manifests differ, as `diff` does. LabError where it cannot."""
        command = ["diff", *(os.path.relpath(manifest_path(name)) for name in (one, other))]
        _cells.command(shlex.join(command))
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
        if done.returncode not in (0, 1):
            raise LabError("The two manifests cannot be compared.", done.stderr.strip(), "Read them with `lesson.show`.")
        print(done.stdout.rstrip())

    def apply(self, source: str | Manifest, refused: bool = False, wait: bool = True) -> None:
        """Applies a manifest (a file's name, YAML text or one object) with kubectl, and waits until it is in force.

        refused: the API server must say no. wait=False does not wait for Pods that will not be Ready. Raises WrongOutcome
        where the server decides otherwise, BadInput where this is no manifest.
        """
        manifests = read_manifests(source)
        self.lesson.check_namespace()
        fitted = [self.lesson.fitted(manifest) for manifest in manifests]
        if isinstance(source, str) and "\n" not in source and fitted == manifests:
            done = self._typed("apply", "-f", os.path.relpath(manifest_path(source)))
        else:
            given = isinstance(source, str) and "\n" in source and fitted == manifests
            done = self._typed("apply", "-f", "-", stdin=str(source) if given else _yaml(fitted))
        _judge(done, refused, "the API server's answer to this manifest")
        if not refused:
            pods = [one["metadata"]["name"] for one in manifests if one["kind"] == "Pod"]
            self.lesson.wait(pods if wait else [])
            if self.cluster.namespace is not None:
                for service in (one for one in manifests if one["kind"] == "Service"):
                    print(beside_article(self.read("Service", service["metadata"]["name"])))

    def kubectl(self, line: str, fails: bool = False, until: str = "", limit: float = 60.0) -> str:
        """Runs kubectl with the words of the line in the lesson's namespace; prints and returns its output.

        fails: it must end with an error. Raises WrongOutcome where it ends otherwise. until: a regular expression to wait for;
        it is run again until its output has that, and printed once. NotInTime where it has not after `limit` seconds.
        """
        words = shlex.split(line)
        _cells.command(self.lesson.by_hand(*words))
        end = time.monotonic() + limit
        done = self.lesson.kubectl(*words)
        while not re.search(until, done.out + done.err) and time.monotonic() < end:
            time.sleep(0.2)
            done = self.lesson.kubectl(*words)
        _print_output(done)
        if not re.search(until, done.out + done.err):
            raise NotInTime(f"`kubectl {line}` did not say “{until}” in {limit:.0f} s.", "It said what is above.", AGAIN)
        _judge(done, fails, f"`kubectl {line}`")
        return _cells.told(done.out + done.err)

    def inside(self, pod: str, line: str, container: str = "", fails: bool = False) -> str:
        """Runs a command in a Pod's container (the first, if none is named); prints and returns its output."""
        where = ["-c", container] if container else []
        done = self._typed("exec", pod, *where, "--", *shlex.split(line))
        _judge(done, fails, f"`{line}` in {pod}")
        return _cells.told(done.out + done.err)

    def at_node(self, number: int, line: str, fails: bool = False) -> str:
        """Runs a command on the network of a node, counted from 0, in our Pod there; prints and returns its output.

        Says why, and returns "", where the cluster lets nobody onto its nodes' network.
        """
        if self.cluster.node_seat is not None:
            print(f"This cannot be shown here: {self.cluster.node_seat.why}.")
            return ""
        words = ["-n", seats.SYSTEM_NAMESPACE, "exec", seats.node_pod_name(self.cluster.nodes[number].name), "--"]
        words += shlex.split(line)
        _cells.command(shlex.join(["kubectl", *words]))
        done = self.cluster.kubectl(*words)
        _print_output(done)
        _judge(done, fails, f"`{line}` on a node")
        return _cells.told(done.out + done.err)

    def rules(self, number: int = 0, service: str = "productpage") -> str:
        """Prints and returns the lines about a Service among the rules of a node, counted from 0.

        Says why, and returns "", where nobody may look.
        """
        text = (
            self.cluster.rules(self.cluster.nodes[number].name) if self.cluster.nodes else NotHere("we may not list the nodes")
        )
        if isinstance(text, NotHere):
            print(f"This cannot be shown here: {text.why}.")
            return ""
        found = rules.of_service(text, self.namespace, service)
        _cells.part(
            f"# {self.cluster.nodes[number].name}, {rules.mode(text)}, the lines about {self.namespace}/{service}:\n{found}"
        )
        return _cells.told(found)

    @property
    def mode(self) -> str:
        """How the Service rules are written on the nodes: "nftables" or "iptables"; "" where that cannot be seen."""
        text = self.cluster.rules(self.cluster.nodes[0].name) if self.cluster.nodes else ""
        return "" if isinstance(text, NotHere) else rules.mode(text)

    def _typed(self, *arguments: str, stdin: str | None = None) -> Ran:
        end = f" <<'EOF'\n{stdin.strip()}\nEOF" if stdin is not None else ""
        _cells.command(f"{self.lesson.by_hand(*arguments)}{end}")
        done = self.lesson.kubectl(*arguments, stdin=stdin)
        _print_output(done)
        return done

    # --- what is asked

    def curl(self, address: str | Address | NotHere, place: str = probe.Place.POD.value) -> probe.Answer:
        """Asks an address ("10.244.1.2:9080") from a place: "a Pod", "a node", "another machine" or "this laptop".

        Asks once every node has acted on the last change. Prints the command and the answer. An answer of the seam
        (`cluster.outside`) will do as an address; "not here, because …" is not tried, and says so.
        """
        there = {seat.place.value: seat for seat in reversed(probe.seats(self.lesson))}
        if place not in there:
            names = ", ".join(f'"{name}"' for name in there)
            raise BadInput(f'There is no place called "{place}" to ask from here.', f"There are: {names}.", "Use one of these.")
        if isinstance(address, NotHere):
            nowhere = probe.Target(probe.ADDRESS, "", 0, why_not=address.why)
            print(f"{probe.Word.NOT_TRIED}: {address.why}")
            return _cells.told(probe.Answer(there[place], nowhere, probe.Word.NOT_TRIED, None, 0.0, "", "", "", address.why))
        answer = probe.curl(self.lesson, there[place], str(address))
        if answer.command:
            _cells.command(answer.command)
        print(_sentence(answer))
        return _cells.told(answer)

    def port_forward(self, what: str, port: int) -> probe.Answer:
        """Asks a Pod ("pod/pod2", its own port) or a Service ("service/productpage", its port) by `kubectl port-forward`.

        Prints the command, kubectl's first line, what this laptop's curl got, and ends the port-forward.
        """
        _cells.command(self.lesson.by_hand("port-forward", what, f":{port}"))
        laptop = next(seat for seat in probe.seats(self.lesson) if seat.place is probe.Place.LAPTOP)
        with forward.port_forward(self.lesson, what, port) as begun:
            print(f"Forwarding from {begun.here} -> {begun.pod_port}")
            answer = probe.curl(self.lesson, laptop, str(begun.here))
            _cells.command(answer.command)
            print(_sentence(answer))
        return _cells.told(answer)

    def matrix(self, service: str = "productpage") -> pandas.DataFrame:
        """Asks every way to a Service from every place, side by side; shows the table in colour and words, returns it."""
        frame = probe.table(probe.ask(self.lesson, probe.questions(self.lesson, service)))
        # Its words beside its colours, for wherever HTML is not shown.
        display({"text/html": probe.styled(frame).to_html(), "text/plain": frame.to_string()}, raw=True)  # type: ignore[no-untyped-call]
        return _cells.told(frame)

    def explain(self, service: str = "productpage") -> explain.Explanation:
        """Goes to a Service hop by hop, prints where a request stops, why, and what would mend it."""
        found = explain.explain(self.lesson, service)
        _cells.part(str(found))
        return _cells.told(found)

    # --- what is where

    def read(self, kind: str, name: str) -> Manifest:
        """A Pod or Service of the lesson as the API server has it. BadInput where there is none."""
        found = self.lesson.read(kind, name)
        if found is None:
            raise BadInput(f"There is no {kind} {name} here.", "It was not applied yet.", AGAIN)
        return found

    def pod_ip(self, name: str) -> str:
        """A Pod's address."""
        return str(self.read("Pod", name)["status"]["podIP"])

    def cluster_ip(self, service: str = "productpage") -> str:
        """A Service's ClusterIP."""
        return str(self.read("Service", service)["spec"]["clusterIP"])

    def node_port(self, service: str = "productpage") -> int:
        """The node port of a Service's first port."""
        return int(self.read("Service", service)["spec"]["ports"][0]["nodePort"])


def _sentence(answer: probe.Answer) -> str:
    """An answer in a line: "answered by pod2, which saw the client 10.244.1.3", or the word and curl's own line."""
    if answer.word is probe.Word.ANSWERED:
        return f"answered by {answer.pod}" + (f", which saw the client {answer.client}" if answer.client else "")
    return f"{answer.word}: {answer.detail}" if answer.detail else str(answer.word)


def _print_output(done: Ran) -> None:
    """What a command wrote; nothing where it wrote nothing."""
    if text := (done.out + done.err).rstrip():
        print(printable(text))


def _yaml(manifests: Iterable[Manifest]) -> str:
    """Manifests as YAML without anchors: each field is written out where it stands."""
    plain = json.loads(json.dumps(list(manifests)))
    text: str = yaml.safe_dump_all(plain, sort_keys=False)
    return text


def _judge(done: Ran, fails: bool, what: str) -> None:
    if fails and done.code == 0:
        raise WrongOutcome(f"This should have failed: {what}.", "It did not.", AGAIN)
    if not fails and done.code != 0:
        raise WrongOutcome(f"This should have worked: {what}.", printable(done.err.strip()), AGAIN)
