"""labs.predicting: what can be predicted, how it is scored, and that a choice is on the disk before anything runs."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labs import predicting, probe, progress
from labs.cluster import Node, NotHere, Ran
from labs.errors import BadInput, ClusterGone, Refused
from labs.explain.diagnose import diagnose
from labs.explain.facts import Facts
from labs.path import path_of
from labs.predicting import GRID, Cell, Outcome, Prediction, cells_of, rounds, score
from labs.predicting.cells import OF_WORD, cell_of
from labs.probe import Answer, Place, Seat, Target, Way, Word
from tests.explain_world import IP, NODES, OUTSIDE, pod, port, refused, service, world

N = 30066
CLUSTER_IP = (Way.CLUSTER_IP, Place.POD)
HOSTS = {
    Way.POD: [("10.244.1.2", 9080)],
    Way.ENDPOINT: [("10.244.1.2", 9080)],
    Way.CLUSTER_IP: [(IP, 9999)],
    Way.NAME: [("productpage", 9999)],
    Way.NODE: [(address, N) for address in NODES.values()],
    Way.NODE_LOCALHOST: [("127.0.0.1", N)],
    Way.LAPTOP_LOCALHOST: [("127.0.0.1", N)],
}


def answers(**words: Word) -> list[Answer]:
    """The whole matrix: answered, but where words say otherwise, by the names of Way ("NODE") and Place ("POD")."""
    found = []
    for way, hosts in HOSTS.items():
        for host, number in hosts:
            for place in Place:
                word = words.get(f"{way.name}_{place.name}", words.get(way.name, Word.ANSWERED))
                seat, target = Seat(place, place.value), Target(way, host, number)
                detail = "for a reason" if word is Word.NOT_TRIED else ""
                found.append(Answer(seat, target, word, None, 0.0, "pod2" if word is Word.ANSWERED else "", "", "curl", detail))
    return found


def facts(heard: list[Answer], target: int = 9080) -> Facts:
    one = service(port(target, node_port=N), type="NodePort")
    made = world(one, pod(), words=refused("pod2") if target != 9080 else {}, outside=OUTSIDE)
    return replace(made, answers=tuple(heard))


ALL_REFUSED = {way.name: Word.REFUSED for way in HOSTS}


def scored(predicted: dict[tuple[Way, Place], Outcome], heard: list[Answer], target: int = 9080, **lacking: str) -> Any:
    found = facts(heard, target)
    choices = {Cell(*cell): outcome for cell, outcome in predicted.items()}
    return score(choices, heard, path_of(found, diagnose(found)), {cell_of(*CLUSTER_IP): why for why in lacking.values()})


# --- what can be predicted


def test_every_cell_that_makes_sense_and_no_other() -> None:
    assert len(GRID) == 18
    assert Cell(Way.NODE_LOCALHOST, Place.NODE) in GRID and Cell(Way.NODE_LOCALHOST, Place.POD) not in GRID


def test_rows_and_single_cells_can_be_asked_for() -> None:
    assert cells_of(["clusterIP:port"]) == cells_of("clusterIP:port") == GRID[4:8]
    assert cells_of([("clusterIP:port", "a Pod")]) == (Cell(*CLUSTER_IP),)
    assert cells_of(None) == GRID


@pytest.mark.parametrize("asked", [[], ["clusterIP"], [("clusterIP:port", "home")], [(Way.NODE_LOCALHOST, Place.LAPTOP)]])
def test_what_there_is_not_is_told(asked: Any) -> None:
    with pytest.raises(BadInput):
        cells_of(asked)


def test_every_answer_is_some_outcome_but_two() -> None:
    assert set(Word) - set(OF_WORD) == {Word.SOMETHING_ELSE, Word.NOTHING_YET}
    assert set(OF_WORD.values()) == set(Outcome) - {Outcome.API}


# --- the score


def test_right_and_wrong_and_how_many() -> None:
    heard = answers(CLUSTER_IP_LAPTOP=Word.NOT_TRIED)
    predicted = {
        CLUSTER_IP: Outcome.ANSWERED,
        (Way.CLUSTER_IP, Place.LAPTOP): Outcome.NO_WAY,
        (Way.NODE, Place.MACHINE): Outcome.REFUSED,
    }
    found = scored(predicted, heard)
    assert (found.right, found.of, found.heading) == (2, 3, "2 of 3 right.")
    (miss,) = found.misses
    assert (miss.saw, miss.hop.key) == ("answered", "node")
    assert "you said refused; it was answered → node: " in str(miss)


def test_a_miss_leads_to_the_hop_where_the_request_stops() -> None:
    heard = answers(**ALL_REFUSED)
    predicted = dict.fromkeys([CLUSTER_IP, (Way.NODE, Place.LAPTOP), (Way.POD, Place.POD)], Outcome.ANSWERED)
    found = scored(predicted, heard, target=9999)
    assert [row.hop.key for row in found.misses] == ["container"] * 3
    assert "nothing listens on 9999" in str(found)


def test_a_miss_that_was_not_tried_says_why() -> None:
    found = scored({(Way.POD, Place.LAPTOP): Outcome.ANSWERED}, answers(POD_LAPTOP=Word.NOT_TRIED))
    assert found.misses[0].why == "for a reason" and found.misses[0].hop.key == "endpoint"


def test_a_way_that_stops_before_a_request_gets_there_is_its_own_reason() -> None:
    """The laptop's mapping fails, and everything else is well: that says nothing about the ClusterIP."""
    heard = answers(LAPTOP_LOCALHOST_LAPTOP=Word.CLOSED, CLUSTER_IP_POD=Word.ANSWERED)
    found = scored({CLUSTER_IP: Outcome.REFUSED, (Way.LAPTOP_LOCALHOST, Place.LAPTOP): Outcome.ANSWERED}, heard)
    assert [row.hop.key for row in found.misses] == ["clusterIP", "laptop"]


def test_the_laptops_mapping_accepts_first_and_that_is_said() -> None:
    heard = answers(**ALL_REFUSED | {"LAPTOP_LOCALHOST": Word.CLOSED})
    (row,) = scored({(Way.LAPTOP_LOCALHOST, Place.LAPTOP): Outcome.REFUSED}, heard, target=9999).rows
    assert row.why.startswith("What maps the port on this laptop accepts first") and "nothing listens" in row.why


def test_addresses_that_differ_are_not_right_whatever_was_said() -> None:
    heard = answers()
    first = next(one for one in heard if one.target.way is Way.NODE and one.seat.place is Place.MACHINE)
    heard[heard.index(first)] = replace(first, word=Word.TIMED_OUT, pod="")
    for said in (Outcome.ANSWERED, Outcome.TIMED_OUT):
        row = scored({(Way.NODE, Place.MACHINE): said}, heard).rows[0]
        assert row.right is False and "timed out" in row.saw and "answered" in row.saw


def test_what_answers_and_is_not_ours_is_never_right() -> None:
    for said in Outcome:
        assert scored({CLUSTER_IP: said}, answers(CLUSTER_IP=Word.SOMETHING_ELSE)).right == 0


def test_what_cannot_be_tried_here_is_not_counted() -> None:
    found = scored({CLUSTER_IP: Outcome.ANSWERED, (Way.NODE, Place.POD): Outcome.ANSWERED}, answers(), why="it is borrowed")
    assert (found.right, found.of) == (1, 1)
    assert "not counted" in str(found) and "it is borrowed" in str(found)


def test_hostile_words_are_cut_and_on_one_line() -> None:
    evil = "<script>\x1b[31m\n" + "x" * 10_000_000
    heard = [replace(one, detail=evil) for one in answers(CLUSTER_IP=Word.NOT_TRIED)]
    told = str(scored({CLUSTER_IP: Outcome.ANSWERED}, heard))
    assert len(told) < 1000 and "\x1b" not in told and len(told.splitlines()) == 2


# --- a whole prediction, without a cluster


class Lesson:
    """What a prediction needs of a lesson. sent: what reached the API server. no: how it refuses."""

    def __init__(self) -> None:
        self.name, self.namespace = "02-target-port", "target-port"
        self.sent: list[Any] = []
        self.no: Refused | None = None
        self.cluster = SimpleNamespace(
            elsewhere=lambda _: Ran(0, "", ""), nodes=tuple(Node(name, ip) for name, ip in NODES.items())
        )

    def apply(self, manifest: Any, wait: bool, anew: bool) -> None:
        assert not wait
        self.sent.append((manifest, anew))
        if self.no is not None:
            raise self.no

    def read(self, kind: str, name: str) -> Any:
        from labs.deploy import read_manifests

        return read_manifests({"Service": "05-service-with-targetport-9080", "Pod": "02-pod2"}[kind])[0]


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lesson:
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    heard = answers()
    monkeypatch.setattr(probe, "questions", lambda *_: [(one.seat, one.target) for one in heard])
    monkeypatch.setattr(probe, "seats", lambda *_: [Seat(place, place.value) for place in Place])
    monkeypatch.setattr(probe, "ask", lambda *_: heard)
    monkeypatch.setattr(rounds, "gather", lambda *_: facts([]))
    monkeypatch.setattr(rounds.seats, "wait_ready", lambda *_: None)
    return Lesson()


def made(lesson: Lesson, **more: Any) -> Prediction:
    return Prediction(lesson, **more)  # type: ignore[arg-type]


def test_choose_run_score(lesson: Lesson) -> None:
    found = made(lesson).choose("clusterIP:port", "a Pod", "answered").choose("name:port", "a Pod", "refused").run()
    assert (found.right, found.of) == (1, 2)
    assert progress.read()[-1].result["right"] == 1
    assert "1 of 2 right" in progress.summary()


def test_a_choice_is_kept_before_anything_runs_and_found_after_a_restart(lesson: Lesson) -> None:
    made(lesson).choose("clusterIP:port", "a Pod", "refused").choose("clusterIP:port", "a Pod", "answered")
    again = made(lesson)  # as a new kernel does
    assert again.choices == {Cell(*CLUSTER_IP): Outcome.ANSWERED}
    assert again.run().right == 1
    assert made(lesson).choices == {}, "what was run is used up"


def test_predictions_of_other_changes_and_lessons_are_others(lesson: Lesson) -> None:
    made(lesson).choose("clusterIP:port", "a Pod", "answered")
    assert made(lesson, change={"targetPort": 9999}).choices == {}
    assert made(lesson, service="details").choices == {}


def test_a_choice_of_an_older_course_is_passed_over(lesson: Lesson) -> None:
    for choices in ({"clusterIP:port from a Pod": "maybe", "x from y": "refused"}, "nonsense", None):
        progress.record("prediction", "02-target-port/productpage", {"did": "chose", "choices": choices})
    assert made(lesson).choices == {}


def test_nothing_predicted_asks_nothing(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ask", lambda *_: pytest.fail("asked"))
    with pytest.raises(BadInput, match="Nothing is predicted"):
        made(lesson, change={"targetPort": 9999}).run()
    assert lesson.sent == []


@pytest.mark.parametrize(
    ("way", "place", "outcome"),
    [("clusterIP:port", "a Pod", "maybe"), ("clusterIP", "a Pod", "refused"), ("name:port", "a Pod", "refused")],
)
def test_a_choice_that_there_is_not(lesson: Lesson, way: str, place: str, outcome: str) -> None:
    with pytest.raises(BadInput):
        made(lesson, cells=["clusterIP:port"]).choose(way, place, outcome)
    assert progress.read() == []


def test_a_change_is_sent_before_anything_is_asked(lesson: Lesson) -> None:
    made(lesson, change={"targetPort": 9999}).choose(*CLUSTER_IP, "answered").run()
    ((manifest, anew),) = lesson.sent
    assert manifest["spec"]["ports"][0]["targetPort"] == 9999 and not anew


def test_a_change_of_the_pod_makes_it_anew(lesson: Lesson) -> None:
    made(lesson, change={"containerPort": 1234, "targetPort": 9999}).choose(*CLUSTER_IP, "answered").run()
    assert [(manifest["kind"], anew) for manifest, anew in lesson.sent] == [("Pod", True), ("Service", False)]


def test_a_manifest_is_a_change_too(lesson: Lesson) -> None:
    one = made(lesson, change="06-service-with-port-9080")
    assert one.name == "02-target-port/productpage/06-service-with-port-9080"
    one.choose(*CLUSTER_IP, "answered").run()
    assert lesson.sent[0][0]["spec"]["ports"][0]["port"] == 9080


def test_the_api_servers_no_is_an_outcome(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ask", lambda *_: pytest.fail("asked"))
    lesson.no = Refused("-", "provided port is not in the valid range", "-", 422)
    one = made(lesson, change={"nodePort": 80}, cells=["nodeIP:nodePort"])
    found = one.choose("nodeIP:nodePort", "a Pod", "refused by the API").choose("nodeIP:nodePort", "a node", "refused").run()
    assert (found.right, found.of, found.path) == (1, 2, None)
    assert "not in the valid range" in str(found)


def test_a_fault_is_no_outcome_and_the_choices_stay(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(lesson, change={"nodePort": 31000}).choose(*CLUSTER_IP, "answered")
    lesson.no = Refused("-", "etcdserver: request timed out", "-", 500)
    with pytest.raises(Refused):
        one.run()

    def gone(*_: Any) -> Any:
        raise ClusterGone("-", "-", "-")

    lesson.no = None
    monkeypatch.setattr(probe, "ask", gone)
    with pytest.raises(ClusterGone):
        one.run()
    assert made(lesson, change={"nodePort": 31000}).choices == {Cell(*CLUSTER_IP): Outcome.ANSWERED}


def test_a_value_that_is_no_port_sends_nothing(lesson: Lesson) -> None:
    with pytest.raises(BadInput, match="abc"):
        made(lesson, change={"nodePort": "abc"}).choose(*CLUSTER_IP, "refused by the API").run()
    assert lesson.sent == []


def test_pressed_again_while_it_runs(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go = threading.Event(), threading.Event()

    def slow(*_: Any) -> list[Answer]:
        reached.set()
        assert go.wait(20)
        return answers()

    monkeypatch.setattr(probe, "ask", slow)
    one = made(lesson).choose(*CLUSTER_IP, "answered")
    worker = threading.Thread(target=one.run)
    worker.start()
    assert reached.wait(20)
    for late in (one.run, lambda: one.choose(*CLUSTER_IP, "refused")):
        with pytest.raises(BadInput, match="runs already"):
            late()
    go.set()
    worker.join(20)
    assert one.score is not None and one.score.right == 1


def test_no_other_machine_is_not_counted(lesson: Lesson) -> None:
    lesson.cluster.elsewhere = lambda _: NotHere("this cluster has no other machine")
    found = made(lesson).choose("nodeIP:nodePort", "another machine", "answered").run()
    assert found.of == 0 and "no other machine" in str(found)


def test_the_module_is_no_obstacle_to_the_function() -> None:
    assert predicting.Prediction is Prediction
