"""Plain curl from a Pod, a node's Pod or another machine, and what came of it.

Apart from `labs.probe` on purpose: what the lessons are told by probe is checked here by something simpler.
"""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from labs.cluster import Cluster, NotHere, Ran
from labs.deploy import Lesson
from labs.seats import SYSTEM_NAMESPACE
from tests.contract import seen


@dataclass(frozen=True)
class Got:
    """One request: curl's exit code, the HTTP body, and what curl wrote beside it (its verbose lines)."""

    code: int
    body: str
    log: str

    @property
    def answered(self) -> bool:
        """An HTTP answer came."""
        return self.code == 0

    @property
    def refused(self) -> bool:
        """The connection was refused: curl's 7, with the kernel's ECONNREFUSED in its log."""
        return self.code == 7 and "Connection refused" in self.log

    @property
    def timed_out(self) -> bool:
        """No connection came about within the limit: curl's 28, and no word of a connection in its log."""
        return self.code == 28 and not re.search(r"^\* (Connected|Established connection) to", self.log, re.MULTILINE)

    @property
    def name_unknown(self) -> bool:
        """curl's 6: the name means no address."""
        return self.code == 6

    def word(self) -> str:
        """What came of it, in a word or two."""
        words = {
            "refused": self.refused,
            "no route": self.code == 7 and not self.refused,
            "timed out": self.timed_out,
            "name unknown": self.name_unknown,
            "accepted, then closed": self.code in (52, 56),
        }
        return next(
            (word for word, true in words.items() if true), "answered" if self.answered else f"curl ends with {self.code}"
        )


class From:
    """A place that requests come from: `run` runs a command there, curl and the rest are made of it. place: its name."""

    def __init__(self, run: Callable[[Sequence[str]], Ran], place: str) -> None:
        self.run = run
        self.place = place

    @classmethod
    def pod(cls, cluster: Cluster, namespace: str, pod: str, container: str | None = None) -> "From":
        """A Pod's container (the first, if none is named)."""
        place = "a node" if namespace == SYSTEM_NAMESPACE else "a Pod"
        return cls(lambda command: cluster.exec(namespace, pod, command, container), place)

    @classmethod
    def machine(cls, cluster: Cluster) -> "From":
        """Another machine of the nodes' network. Skips the test, with the reason, where there is none."""
        tried = cluster.elsewhere(["true"])
        if isinstance(tried, NotHere):
            pytest.skip(f"no requests from another machine: {tried.why}")

        def run(command: Sequence[str]) -> Ran:
            ran = cluster.elsewhere(command)
            assert isinstance(ran, Ran), ran
            return ran

        return cls(run, "another machine")

    @classmethod
    def laptop(cls) -> "From":
        """The machine that these tests run on."""

        def run(command: Sequence[str]) -> Ran:
            done = subprocess.run(list(command), check=False, capture_output=True, encoding="utf-8", timeout=30)
            return Ran(done.returncode, done.stdout, done.stderr)

        return cls(run, "this laptop")

    def addresses(self) -> set[str]:
        """The IP addresses that this place's interfaces hold (`ip -o address`)."""
        ran = self.run(["ip", "-o", "address"])
        assert ran.code == 0, ran.err
        return set(re.findall(r"inet6? (\S+?)/", ran.out))

    def listening(self) -> set[int]:
        """The TCP ports that some process listens on, on any address (`ss`)."""
        ran = self.run(["ss", "-H", "-l", "-t", "-n"])
        assert ran.code == 0, ran.err
        return {int(line.split()[3].rpartition(":")[2]) for line in ran.out.splitlines()}

    def curl(self, address: str, path: str = "/hostname", limit: float = 5.0) -> Got:
        """One GET of http://address/path, without proxies. limit in seconds, for curl itself."""
        url = f"http://{address}{path}"
        ran = self.run(["curl", "-sSv", "--noproxy", "*", "--max-time", str(limit), url])
        got = Got(ran.code, ran.out, ran.err)
        seen.note(self.place, got.word())
        return got

    def hostname(self, address: str) -> str:
        """The name of the Pod that answers there (agnhost's /hostname); fails the test where none does."""
        got = self.curl(address)
        assert got.answered, got
        return got.body

    def client_ip(self, address: str) -> str:
        """The client address that the application saw (agnhost's /clientip, "10.244.0.5:40144"), without the port."""
        got = self.curl(address, "/clientip")
        assert got.answered, got
        return got.body.rpartition(":")[0].strip("[]").removeprefix("::ffff:")

    def answering(self, address: str, times: int = 12) -> set[str]:
        """Which Pods answer there in so many requests, each with a connection of its own; "" stands for a failed one."""
        each = "for i in $(seq $1); do curl -s --noproxy '*' --max-time 5 http://$2/hostname; echo; done"
        return set(self.run(["sh", "-c", each, "sh", str(times), address]).out.split("\n")[:times])

    def until_known(self, name: str, limit: int = 40) -> None:
        """Returns when the cluster's DNS knows a Service's name (it watches the API on its own); fails the test otherwise."""
        look = 'for i in $(seq $2); do dig +search +short "$1" | grep -q . && exit 0; sleep 0.25; done; exit 1'
        ran = self.run(["sh", "-c", look, "sh", name, str(limit * 4)])
        assert ran.code == 0, f"{name} was not known within {limit} s: {ran.err}"

    def icmp(self) -> dict[str, int]:
        """What this place's kernel has counted of ICMP, by the names of /proc/net/snmp."""
        names, values = [line.split()[1:] for line in self.run(["grep", "^Icmp:", "/proc/net/snmp"]).out.splitlines()]
        return dict(zip(names, map(int, values), strict=True))

    def passes(self, address: str, port: int, hops: int) -> bool:
        """Whether a TCP packet to address:port travels so many hops: the next one says by ICMP that its time is exceeded."""
        before = self.icmp()["InTimeExcds"]
        tried = self.run(["nc", "-z", "-w", "3", "-M", str(hops), address, str(port)])
        passed = tried.code != 0 and self.icmp()["InTimeExcds"] > before
        seen.note(self.place, "the packet leaves the node" if passed else "the packet does not leave the node")
        return passed


def side_by_side(ask: Callable[[From], Got], places: Sequence[From]) -> list[Got]:
    """Asks from every place at the same time; the answers in the order of the places."""
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(ask, places))


def as_json(ran: Ran) -> Any:
    """What a `kubectl -o json` printed; fails the test where it failed."""
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@dataclass(frozen=True)
class Forwarded:
    """A running port-forward: its address on this machine, and the port in the Pod that it says it goes to."""

    address: str
    pod_port: int


@contextmanager
def port_forward(lesson: Lesson, what: str, port: int, limit: float = 20.0) -> Iterator[Forwarded]:
    """`kubectl port-forward` to pod/NAME or svc/NAME from a free port of 127.0.0.1, ended afterwards.

    Fails the test with kubectl's words where it gives up, or has not begun after `limit` seconds.
    """
    kubectl = [str(lesson.cluster.kubectl_path), f"--kubeconfig={lesson.cluster.kubeconfig}", "-n", lesson.namespace]
    command = [*kubectl, "port-forward", "--address=127.0.0.1", what, f":{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    late = threading.Timer(limit, process.kill)
    late.start()
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        late.cancel()
        found = re.match(r"Forwarding from (127\.0\.0\.1:\d+) -> (\d+)", line)
        if not found:
            process.kill()
            pytest.fail(f"{' '.join(command[3:])}: {line}{process.stderr.read()}")
        yield Forwarded(found.group(1), int(found.group(2)))
    finally:
        late.cancel()
        process.kill()
        process.communicate()
