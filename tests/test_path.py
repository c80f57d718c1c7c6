"""labs.path: what each hop of a path is, how it is painted, and that words say all that colours do."""

import html as html_module
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from labs import path
from labs.cluster import Address, NotHere
from labs.explain.diagnose import diagnose
from labs.explain.facts import Facts
from labs.path import Hop, Path, Reach, Turn, drawing
from labs.probe import Answer, Place, Word
from tests.explain_world import IP, NODES, OUTSIDE, answer, declared, pod, port, refused, service, world

N = 30066
EXTERNAL = service(type="ExternalName", cluster_ip="", external_name="example.org")
KEYS = ["node", "clusterIP", "endpoint", "container"]


def of(facts: Facts, asked: int | None = None) -> Path:
    return path.path_of(facts, diagnose(facts, asked))


def hop(found: Path, key: str) -> Hop:
    return next(one for one in (*found.hops, found.laptop) if one.key == key)


def opened(target: int | str = 9080, **more: Any) -> Any:
    return service(port(target, node_port=N), type="NodePort", **more)


def at_nodes(word: Word, place: Place = Place.MACHINE) -> list[Answer]:
    return [answer(address, N, word, place) for address in NODES.values()]


def at_laptop(word: Word) -> Answer:
    return answer("127.0.0.1", 30066, word, Place.LAPTOP)


def heard(facts: Facts, *more: Answer) -> Facts:
    return replace(facts, answers=(*facts.answers, *more))


def all_well() -> Facts:
    return heard(world(opened(), pod(), outside=OUTSIDE), *at_nodes(Word.ANSWERED), at_laptop(Word.ANSWERED))


def wrong_target() -> Facts:
    facts = world(opened(9999), pod(), words=refused("pod2"), outside=OUTSIDE)
    return heard(facts, *at_nodes(Word.REFUSED), at_laptop(Word.CLOSED))


# --- what each hop is


def test_all_four_numbers_in_the_order_of_the_way() -> None:
    found = of(all_well())
    assert [one.key for one in found.hops] == KEYS
    assert [one.port for one in found.hops] == ["30066", "9999", "9080", "9080"]
    assert [one.address for one in found.hops] == ["172.18.0.2 +1", IP, "10.244.1.2", "pod2"]
    assert {one.reach for one in (*found.hops, found.laptop)} == {Reach.REACHED}
    assert found.stops is None and "comes through" in found.heading


def test_a_wrong_target_port_stops_at_the_container() -> None:
    found = of(wrong_target())
    assert [one.port for one in found.hops] == ["30066", "9999", "9999", "9080"]
    assert {one.reach for one in found.hops} == {Reach.REFUSED}
    assert found.laptop.reach is Reach.CLOSED
    assert found.stops is hop(found, "container") and "nothing listens on 9999" in found.stops.why
    assert found.stops.state == "nothing on 9999"
    assert found.heading.endswith("stops at the container.")


@pytest.mark.parametrize(
    ("word", "reach"),
    [
        (Word.ANSWERED, Reach.REACHED),
        (Word.REFUSED, Reach.REFUSED),
        (Word.CLOSED, Reach.CLOSED),
        (Word.TIMED_OUT, Reach.TIMED_OUT),
        (Word.NO_ROUTE, Reach.NO_ROUTE),
        (Word.UNREACHABLE, Reach.NO_ROUTE),
        (Word.NOTHING_YET, Reach.NOTHING_YET),
        (Word.NOT_TRIED, Reach.NOT_TRIED),
        (Word.SOMETHING_ELSE, Reach.SOMETHING_ELSE),
    ],
)
def test_a_hop_is_painted_by_its_own_answer(word: Word, reach: Reach) -> None:
    found = of(world(service(), pod(), words={"ip": word}))
    assert hop(found, "clusterIP").reach is reach
    assert hop(found, "endpoint").reach is Reach.REACHED


def test_every_word_of_an_answer_has_a_state_a_sign_and_a_class() -> None:
    assert set(path.hops.OF_WORD) == set(Word)  # type: ignore[attr-defined]
    assert set(drawing._LOOKS) == set(Reach)


def test_a_hop_tells_the_command_of_the_request_that_painted_it() -> None:
    facts = wrong_target()
    typed = tuple(replace(one, command=f"curl {one.target}") for one in facts.answers)
    found = of(replace(facts, answers=typed))
    assert hop(found, "clusterIP").command == f"curl {IP}:9999"
    assert hop(found, "node").command == "curl 172.18.0.2:30066"
    assert hop(found, "laptop").command == "curl 127.0.0.1:30066"
    assert "/proc/net/tcp" in hop(found, "container").command


# --- the node


def test_a_service_without_a_node_port_says_so() -> None:
    found = of(world(service(), pod()))
    for key in ("node", "laptop"):
        assert (hop(found, key).port, hop(found, key).reach, hop(found, key).state) == ("", Reach.NOT_TRIED, "none")
    assert "ClusterIP opens no node port" in hop(found, "node").saw


def test_a_node_is_asked_from_outside_where_somebody_could() -> None:
    inside = at_nodes(Word.ANSWERED, Place.POD)
    facts = heard(world(opened(), pod(), outside=OUTSIDE), *inside, *at_nodes(Word.TIMED_OUT))
    assert hop(of(facts), "node").reach is Reach.TIMED_OUT
    untried = heard(world(opened(), pod(), outside=OUTSIDE), *inside, *at_nodes(Word.NOT_TRIED))
    node = hop(of(untried), "node")
    assert node.reach is Reach.REACHED and node.saw.startswith("from a Pod:")


def test_nodes_that_differ_are_not_painted_as_reached() -> None:
    one, other = NODES.values()
    answers = answer(one, N, Word.TIMED_OUT, Place.MACHINE), answer(other, N, Word.ANSWERED, Place.MACHINE)
    node = hop(of(heard(world(opened(external_policy="Local"), pod(), outside=OUTSIDE), *answers)), "node")
    assert (node.reach, node.state) == (Reach.TIMED_OUT, "timed out by some")
    assert "timed out" in node.saw and "answered by pod2" in node.saw


def test_nodes_that_may_not_be_listed() -> None:
    assert hop(of(world(opened(), pod(), nodes={})), "node").reach is Reach.NOT_HERE


# --- ClusterIP and Endpoints


def test_a_headless_service_has_its_name_in_place_of_a_cluster_ip() -> None:
    found = of(world(service(cluster_ip="None"), pod(), words={"name": Word.REFUSED}))
    name = hop(found, "clusterIP")
    assert (name.address, name.port, name.reach) == ("productpage", "9999", Reach.REFUSED)
    assert found.stops is name


def test_endpoints_that_are_empty() -> None:
    found = of(world(service(selector={"app": "x"}), pod(), words={"ip": Word.REFUSED}))
    end = hop(found, "endpoint")
    assert (end.port, end.state, end.stops) == ("", "empty", True)
    assert "selector" in end.why


def test_one_of_two_pods_that_refuses() -> None:
    facts = world(service(), pod("a", "10.244.1.2"), pod("b", "10.244.1.3", listens=["[::]:1"]), words={"b": Word.REFUSED})
    end = hop(of(facts), "endpoint")
    assert (end.address, end.state) == ("10.244.1.2 +1", "refused by some")
    assert hop(of(facts), "container").reach is Reach.REFUSED


def test_a_named_target_port_is_told_by_name_and_number() -> None:
    found = of(world(service(port("web")), pod(declared=(declared("web", 9080),))))
    end = hop(found, "endpoint")
    assert (end.field, end.port, end.reach) == ("targetPort web", "9080", Reach.REACHED)


# --- the container


def test_a_process_on_127_0_0_1_is_not_reached() -> None:
    found = of(world(service(), pod(listens=["127.0.0.1:9080"]), words=refused("pod2")))
    end = hop(found, "container")
    assert (end.port, end.state, end.reach) == ("9080", "only inside the Pod", Reach.REFUSED)
    assert found.turn(hop(found, "endpoint"), end) is Turn.SAME


def test_a_pod_that_nobody_may_look_into() -> None:
    found = of(world(service(), pod(listens=NotHere("you may not exec here")), words={"pod2": Word.TIMED_OUT}))
    end = hop(found, "container")
    assert (end.reach, end.saw, end.port) == (Reach.NOT_HERE, "you may not exec here", "")


def test_no_pod_behind_it() -> None:
    assert hop(of(world(service(), words={"ip": Word.REFUSED})), "container").state == "none"


# --- the laptop


def test_a_laptop_without_a_way() -> None:
    found = of(world(opened(), pod(), outside={N: NotHere("this cluster maps no port")}))
    assert (found.laptop.reach, found.laptop.port) == (Reach.NOT_HERE, "")
    assert "this cluster maps no port" in found.laptop.saw


def test_a_mapping_by_another_number_is_told() -> None:
    facts = heard(world(opened(), pod(), outside={N: Address("127.0.0.1", 38841)}), *at_nodes(Word.ANSWERED))
    found = of(heard(facts, answer("127.0.0.1", 38841, Word.ANSWERED, Place.LAPTOP)))
    assert (found.laptop.port, found.laptop.reach) == ("38841", Reach.REACHED)
    assert found.turn(found.laptop, hop(found, "node")) is Turn.TURNED


def test_the_laptop_is_not_taken_for_a_node() -> None:
    """A node's own localhost:30066, which is not for laptops, has the address that the laptop's mapping has."""
    nodes_own = at_laptop(Word.NOT_TRIED)
    for word, reach in ((Word.ANSWERED, Reach.REACHED), (Word.CLOSED, Reach.CLOSED)):
        found = of(heard(world(opened(), pod(), outside=OUTSIDE), nodes_own, at_laptop(word)))
        assert found.laptop.reach is reach
    assert of(heard(world(opened(), pod(), outside=OUTSIDE), nodes_own)).laptop.reach is Reach.NOT_TRIED


# --- no Service to go to


@pytest.mark.parametrize(
    "facts",
    [
        replace(world(service(), pod()), service=None, asked="productpag"),
        world(EXTERNAL, pod(), words={"name": Word.NAME_UNKNOWN}),
        world(replace(service(cluster_ip="None"), ports=()), pod(), answers=()),
    ],
    ids=["missing", "ExternalName", "no ports"],
)
def test_where_there_is_nothing_to_go_along(facts: Facts) -> None:
    found = of(facts)
    assert [one.key for one in found.hops] == KEYS
    assert {one.reach for one in found.hops} == {Reach.NOT_TRIED} and all(one.saw for one in found.hops)
    assert found.stops is not None
    assert path.html(found) and path.text(found)


def test_an_external_name_that_answers_stops_nowhere() -> None:
    found = of(world(EXTERNAL, pod()))
    assert found.stops is None and found.heading == "The path to productpage."
    assert "another name for example.org" in hop(found, "clusterIP").saw


# --- where the port changes


def test_what_becomes_of_the_port() -> None:
    well, wrong = of(all_well()), of(wrong_target())
    assert turns(well) == [Turn.TURNED, Turn.TURNED, Turn.SAME]
    assert turns(wrong) == [Turn.TURNED, Turn.SAME, Turn.BROKEN]
    assert turns(of(world(service(), pod()))) == [None, Turn.TURNED, Turn.SAME]


def turns(found: Path) -> list[Turn | None]:
    return [found.turn(one, other) for one, other in zip(found.hops, found.hops[1:], strict=False)]


# --- painted

EVIL = "<script>alert(1)</script>&\"'\x00\x1b[31m‮"


def svgs(found: Path) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", path.html(found), re.DOTALL)]


def labels(picture: ElementTree.Element) -> list[str]:
    return [one.get("aria-label", "") for one in picture.iter() if one.get("role") == "listitem"]


def test_both_pictures_can_be_read_by_role_and_gone_to_by_keyboard() -> None:
    found = of(wrong_target())
    for picture in svgs(found):
        assert picture.get("role") == "list" and picture.get("aria-label")
        items = [one for one in picture.iter() if one.get("role") == "listitem"]
        assert [one.get("data-hop") for one in items] == [*KEYS, "laptop"]
        assert all(one.get("tabindex") == "0" for one in items)
        assert "nothing on 9999" in labels(picture)[3] and "The request stops here." in labels(picture)[3]
        assert "By hand: kubectl" in labels(picture)[3]
    assert len(svgs(found)) == 2


def test_signs_and_words_stand_beside_the_colours() -> None:
    shown = " ".join(drawn(of(wrong_target())))
    for words in ("✕ refused", "⊗ accepted, then closed", "✕ nothing on 9999", "stops here", "9999 ≠ 9080", "30066 → 9999"):
        assert words in shown
    assert "9080 = 9080" in " ".join(drawn(of(all_well())))


def drawn(found: Path) -> Iterable[str]:
    return ["".join(one.itertext()) for picture in svgs(found) for one in picture.iter() if one.tag.endswith("text")]


def test_the_words_say_all_that_the_picture_does() -> None:
    found = of(wrong_target())
    for words in (path.text(found), html_module.unescape(path.html(found))):
        for one in (*found.hops, found.laptop):
            assert one.state in words and one.port in words and one.command in words
        assert "The request stops here." in words


def test_the_same_shape_whatever_the_state() -> None:
    """So that what is on the page can be changed in place."""
    several = (all_well(), wrong_target(), world(service(), pod()))
    shapes = {tuple((one.tag, one.get("data-hop")) for one in svgs(of(facts))[0] if one.get("data-hop")) for facts in several}
    assert len(shapes) == 1


def test_nothing_gets_into_the_page() -> None:
    facts = world(
        service(port(EVIL)), pod(EVIL, listens=NotHere(EVIL * 100_000)), words={"ip": Word.NOT_TRIED}, policies=NotHere(EVIL)
    )
    hostile = tuple(replace(one, detail=EVIL * 100_000, pod=EVIL, command=EVIL) for one in facts.answers)
    found = of(replace(facts, answers=hostile, endpoints=()))
    made = path.html(found)
    assert "alert(1)" in made and "<script" not in made
    assert len(made) < 100_000
    for picture in svgs(found):
        assert not {one.tag.rpartition("}")[2] for one in picture.iter()} - {
            "svg", "g", "title", "rect", "text", "polyline", "polygon"
        }  # fmt: skip


def test_a_picture_has_no_id_and_loads_nothing() -> None:
    made = path.html(of(all_well()))
    assert not re.search(r'\bid="|url\(|<img|<link|<script|href=', made.replace("http://www.w3.org/2000/svg", ""))
    assert "@import" not in path.STYLE and "url(" not in path.STYLE
