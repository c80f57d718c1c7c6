"""The embedded API against a real API server's recorded answers: verdict, words, field paths, defaults, warnings.

A replay, and labelled so: embedded_api_stories.py has the requests, embedded_api_asking.py records them anew.
"""

import json
from collections.abc import Iterator

import pytest

from tests import embedded_api_asking as asking
from tests import embedded_api_stories as stories
from tests.embedded_world import TOKEN, World, world

_RECORDED = json.loads(asking.RECORDED.read_text(encoding="utf-8"))


@pytest.fixture
def embedded() -> Iterator[World]:
    with world(stories.NAMESPACE) as made:
        yield made


def test_recorded_of_the_version_that_it_says_it_is(embedded: World) -> None:
    assert embedded.ask("GET", "/version").json()["gitVersion"] == _RECORDED["version"]


def test_all_stories_are_recorded() -> None:
    now = json.loads(json.dumps(stories.stories()))
    assert now == {name: [step for step, _ in steps] for name, steps in _RECORDED["stories"].items()}


@pytest.mark.parametrize("name", _RECORDED["stories"])
def test_answers_as_the_real_server_did(embedded: World, name: str) -> None:
    for step, recorded in _RECORDED["stories"][name]:
        ours = json.loads(asking.send(embedded.base, step, {"Authorization": f"Bearer {TOKEN}"}))
        assert ours == recorded, f"{step[0]} {step[1]} {json.dumps(step[2])}"
