"""What the probe tells, on a real cluster: each word by the curl of the Pods' image, from each place; the matrix."""

import os
import shlex
import subprocess

import pytest

from labs import probe, seats
from labs.cluster import NotHere
from labs.deploy import Lesson
from labs.probe import Answer, Place, Seat, Target, Word
from tests.contract.objects import app, cluster_ip, deploy, node_port, pod_ip, port, service

SILENT, CLOSING = 7001, 7002  # ports of Pod odd: takes a connection and says nothing; closes it at once


@pytest.fixture(scope="module", autouse=True)
def objects(lesson: Lesson) -> None:
    """productpage behind a node port; a Pod that treats connections badly; a Service whose requests one node drops."""
    odd = seats.client_pod("odd")
    odd["metadata"]["labels"] = {"app": "odd"}
    container = odd["spec"]["containers"][0]
    container["command"] = ["sh", "-c", f"nc -lk {SILENT} & while :; do nc -lN {CLOSING} </dev/null; done"]
    del container["args"]
    deploy(
        lesson,
        app("pod2", "productpage"),
        odd,
        service("productpage", "productpage", port(9999, 9080), type="NodePort"),
        service("local", "productpage", port(80, 9080), type="NodePort", externalTrafficPolicy="Local"),
    )


def seat(lesson: Lesson, place: Place) -> Seat:
    return next(one for one in probe.seats(lesson) if one.place is place)


def curl(lesson: Lesson, address: str, place: Place = Place.POD) -> Answer:
    return probe.curl(lesson, seat(lesson, place), address)


def test_answered_tells_which_pod_and_whom_it_saw(lesson: Lesson) -> None:
    answer = curl(lesson, f"{pod_ip(lesson, 'pod2')}:9080")
    assert (answer.word, answer.status, answer.pod) == (Word.ANSWERED, 200, "pod2")
    assert answer.client == pod_ip(lesson, seats.CLIENT)
    assert answer.seconds > 0


def test_refused(lesson: Lesson) -> None:
    assert curl(lesson, f"{pod_ip(lesson, 'pod2')}:1").word is Word.REFUSED


def test_accepted_then_closed(lesson: Lesson) -> None:
    assert curl(lesson, f"{pod_ip(lesson, 'odd')}:{CLOSING}").word is Word.CLOSED


def test_nothing_yet_then_timed_out_after_a_connection(lesson: Lesson) -> None:
    target = Target(probe.ADDRESS, pod_ip(lesson, "odd"), SILENT)
    quick = Target(probe.ADDRESS, pod_ip(lesson, "pod2"), 9080)
    asked = [(seat(lesson, Place.POD), one) for one in (target, quick)]
    first, last = probe.ask_in_stages(lesson, asked)
    assert [answer.word for answer in first] == [Word.NOTHING_YET, Word.ANSWERED]
    assert [answer.word for answer in last] == [Word.TIMED_OUT, Word.ANSWERED]
    assert "a connection was made" in last[0].detail


def test_timed_out_without_a_connection(lesson: Lesson) -> None:
    """A node without a Pod of the Service drops a request from outside (externalTrafficPolicy: Local)."""
    pod = lesson.read("Pod", "pod2")
    assert pod is not None
    without = [node for node in lesson.cluster.nodes if node.name != pod["spec"]["nodeName"]]
    answer = curl(lesson, f"{without[0].address}:{node_port(lesson, 'local')}", Place.MACHINE)
    if isinstance(why := lesson.cluster.elsewhere(["true"]), NotHere):
        assert (answer.word, answer.detail) == (Word.NOT_TRIED, why.why)
    else:
        assert answer.word is Word.TIMED_OUT
        assert "no connection was made" in answer.detail


def test_network_unreachable(lesson: Lesson) -> None:
    """The cluster's Pods have no IPv6 route."""
    assert curl(lesson, "[fd77:1::1]:80").word is Word.UNREACHABLE


def test_a_name_that_is_unknown(lesson: Lesson) -> None:
    assert curl(lesson, "no-such-service:9999").word is Word.NAME_UNKNOWN


def test_a_service_name_is_known_to_pods_and_not_to_a_node(lesson: Lesson) -> None:
    assert curl(lesson, "productpage:9999").word is Word.ANSWERED
    node = seat(lesson, Place.NODE)
    answer = probe.curl(lesson, node, "productpage:9999")
    assert answer.word is (Word.NOT_TRIED if node.why_not else Word.NAME_UNKNOWN)


def test_answered_by_something_else(lesson: Lesson) -> None:
    api = lesson.cluster.core().read_namespaced_service("kubernetes", "default").spec
    answer = curl(lesson, f"{api.cluster_ip}:{api.ports[0].port}")
    assert (answer.word, answer.status, answer.pod, answer.client) == (Word.SOMETHING_ELSE, 400, "", "")


@pytest.mark.parametrize("place", [Place.MACHINE, Place.LAPTOP])
def test_a_pod_address_is_not_asked_from_where_another_network_would_get_it(lesson: Lesson, place: Place) -> None:
    address = f"{pod_ip(lesson, 'pod2')}:9080"
    answer = curl(lesson, address, place)
    if answer.word is Word.NOT_TRIED:
        assert "which is not this cluster" in answer.detail or "borrowed" in answer.detail
    else:  # the machine has a route of the cluster's own
        assert answer.word in (Word.ANSWERED, Word.UNREACHABLE)


def test_the_matrix_has_words_everywhere(lesson: Lesson) -> None:
    answers = probe.ask(lesson, probe.questions(lesson, "productpage"))
    frame = probe.table(answers)
    assert list(dict.fromkeys(frame.index.get_level_values("way"))) == list(probe.Way)
    assert list(frame.columns) == [one.name for one in probe.seats(lesson)]
    assert frame.map(lambda cell: any(cell.startswith(word) for word in Word)).all(axis=None)
    client = frame[seat(lesson, Place.POD).name]
    for way in ("podIP:targetPort", "Endpoint", "clusterIP:port", "name:port", "nodeIP:nodePort"):
        assert set(client.loc[way]) == {"answered by pod2"}, frame.to_string()
    assert all(answer.detail for answer in answers if answer.word is not Word.ANSWERED)


def test_the_matrix_of_a_wrong_target_port_is_refused(lesson: Lesson) -> None:
    deploy(lesson, service("wrong", "productpage", port(9999, 9998)))
    words = {
        answer.target.way: answer.word
        for answer in probe.ask(lesson, probe.questions(lesson, "wrong"))
        if answer.seat.place is Place.POD
    }
    ways = list(words.values())
    assert ways == [Word.REFUSED] * 4 + [Word.NOT_TRIED] * 3


@pytest.mark.parametrize("place", list(Place))
def test_the_command_by_hand_asks_the_same(lesson: Lesson, place: Place) -> None:
    address = f"{lesson.cluster.nodes[0].address}:{node_port(lesson, 'productpage')}"
    answer = curl(lesson, address, place)
    if answer.word is Word.NOT_TRIED:
        pytest.skip(f"{place} cannot ask {address} here: {answer.detail}")
    path = f"{lesson.cluster.kubectl_path.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(lesson.cluster.kubeconfig), "PATH": path}
    done = subprocess.run(shlex.split(answer.command), env=environment, capture_output=True, encoding="utf-8", timeout=60)
    assert (answer.word, answer.pod) == (Word.ANSWERED, done.stdout), done.stderr


@pytest.mark.parametrize("place", [Place.POD, Place.NODE])
def test_a_seat_whose_pod_was_deleted_is_made_anew(lesson: Lesson, place: Place) -> None:
    found = seat(lesson, place)
    if found.why_not:
        pytest.skip(f"no requests from a node: {found.why_not}")
    seats.remove_pod(lesson.cluster, found.namespace, found.pod)
    target = Target(probe.ADDRESS, cluster_ip(lesson, "productpage"), 9999)
    assert probe.ask(lesson, [(found, target)], settle=False)[0].word is Word.ANSWERED
