"""The table of answers: words, colours, escaping, and that the same table makes the same HTML."""

import re

import pytest

from labs.errors import BadInput
from labs.probe import Answer, Place, Seat, Target, Word, asking, styled, table

POD = Seat(Place.POD, "Pod client", "ns", "client")
LAPTOP = Seat(Place.LAPTOP, "this laptop")
CLUSTER_IP = Target("clusterIP:port", "10.96.0.9", 9999)
NODE_PORT = Target("nodeIP:nodePort", "172.18.0.2", 30066)


def answer(seat: Seat, target: Target, word: Word, detail: str = "", pod: str = "") -> Answer:
    return Answer(seat, target, word, None, 0.1, pod, "", "curl …", detail)


def test_rows_are_ways_columns_seats_cells_words() -> None:
    frame = table(
        [
            answer(POD, CLUSTER_IP, Word.ANSWERED, pod="pod2"),
            answer(LAPTOP, CLUSTER_IP, Word.NOT_TRIED, "your routing table …"),
            answer(POD, NODE_PORT, Word.REFUSED),
        ]
    )
    assert list(frame.index) == [("clusterIP:port", "10.96.0.9:9999"), ("nodeIP:nodePort", "172.18.0.2:30066")]
    assert list(frame.columns) == ["Pod client", "this laptop"]
    assert frame.to_numpy().tolist() == [["answered by pod2", "not tried"], ["refused", "not tried"]]


def test_every_word_has_a_colour_of_its_cell_and_the_reason_is_there() -> None:
    answers = [answer(Seat(Place.POD, str(n)), CLUSTER_IP, word, f"why {n}") for n, word in enumerate(Word)]
    text = styled(table(answers)).to_html()
    for number, word in enumerate(Word):
        cell = re.search(rf'col{number}"[^>]*title="why {number}"[^>]*>{word}', text)
        assert cell, (word, text)
        assert re.search(rf"row0_col{number}\b[^}}]*background-color", text, re.DOTALL)
    assert "not tried: why" in re.sub(r"\s+", " ", text[text.index("<caption>") :])


def test_the_same_table_makes_the_same_html_and_another_one_has_ids_of_its_own() -> None:
    one, other = ([answer(POD, CLUSTER_IP, word)] for word in (Word.REFUSED, Word.TIMED_OUT))
    assert styled(table(one)).to_html() == styled(table(one)).to_html()
    ids = [set(re.findall(r'id="(\S+?)"', styled(table(answers)).to_html())) for answers in (one, other)]
    assert not ids[0] & ids[1]


def test_text_from_a_stranger_is_text() -> None:
    evil = '"><script>alert(1)</script>'
    answers = [answer(POD, CLUSTER_IP, Word.ANSWERED, evil, evil), answer(POD, NODE_PORT, Word.NOT_TRIED, evil)]
    text = styled(table(answers)).to_html()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_no_answers_make_an_empty_table() -> None:
    assert table([]).empty
    styled(table([])).to_html()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("10.0.0.1:80", "10.0.0.1", 80), ("http://productpage:9999/", "productpage", 9999), ("localhost", "localhost", 80),
     ("[fd00::1]:80", "fd00::1", 80)],
)  # fmt: skip
def test_addresses_that_may_be_typed(text: str, host: str, port: int) -> None:
    target = asking.typed(text)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":80", "a:0", "a:65536", "a:abc", "a b:80", "-o:80", "u@a:80", "a:80/healthz", "a:80?x", "https://a:1", "{a,b}:80"],
)
def test_addresses_that_may_not(text: str) -> None:
    with pytest.raises(BadInput):
        asking.typed(text)
