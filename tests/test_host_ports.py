"""LABS_HOST_PORTS=none on an embedded cluster of this file's own: what listens on this machine, what a lesson is told.

Skipped, with the reason, where this machine allows no such cluster. On kind: tests/faults.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import probe
from labs.cluster import Address, NotHere
from labs.deploy import Lesson
from labs.embedded import host
from labs.errors import BadInput
from labs.explain import explain
from labs.probe import Place, Way, Word
from labs.providers import embedded, kindconfig

PROBLEM = host.problem()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM.why if PROBLEM else "")


@pytest.fixture(autouse=True)
def own_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    monkeypatch.setenv("LABS_NAME", "host-ports")
    monkeypatch.setattr(embedded.tools, "find", lambda *_: Path("kubectl"))
    yield
    embedded.down("", lambda _: None)


def up() -> embedded.EmbeddedCluster:
    made = embedded.up("", lambda _: None)
    assert isinstance(made, embedded.EmbeddedCluster)
    return made


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses and ports of this machine's network that a process listens on, of IPv4."""
    files = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {found[1] for file in files if (found := re.fullmatch(r"socket:\[(\d+)\]", file))}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    mine = [row[1].split(":") for row in rows if row[3] == "0A" and row[9] in sockets]
    return {(".".join(str(byte) for byte in reversed(bytes.fromhex(address))), int(port, 16)) for address, port in mine}


def test_nothing_but_the_api_listens_and_lessons_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    cluster = up()
    assert listening(cluster.running.pid) == {("127.0.0.1", cluster.running.api)}
    assert cluster.outside(30066) == NotHere(kindconfig.NONE_MAPPED)
    assert kindconfig.NONE_MAPPED in embedded.status()
    lesson = Lesson(cluster, "99-host-ports", say=lambda _: None)
    lesson.start()
    lesson.apply("02-pod2")
    lesson.apply("07-service-nodeport-30066")
    answers = probe.ask(lesson, probe.questions(lesson, "productpage"))
    here = [one for one in answers if one.target.way == Way.LAPTOP_LOCALHOST and one.seat.place is Place.LAPTOP]
    assert [(one.word, one.detail) for one in here] == [(Word.NOT_TRIED, kindconfig.NONE_MAPPED)]
    assert explain(lesson, "productpage").stops_at is None
    assert kindconfig.NONE_MAPPED in str(explain(lesson, "productpage"))
    monkeypatch.delenv("LABS_HOST_PORTS")
    assert up().outside(30066) == NotHere(kindconfig.NONE_MAPPED), "what is mapped is set when a cluster is made"


def test_a_cluster_with_host_ports_is_kept_and_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOST_PORTS", "any")
    cluster = up()
    at = cluster.outside(30066)
    assert isinstance(at, Address) and (at.host, at.port) in listening(cluster.running.pid)
    monkeypatch.setenv("LABS_HOST_PORTS", "none")
    with pytest.raises(BadInput, match="labs down"):
        up()
    assert cluster.running.alive()
