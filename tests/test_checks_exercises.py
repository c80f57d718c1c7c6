"""The exercises as data, and surprises: names, stories, what each promises, and that a seed always gives the same."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from labs import exercises
from labs.checks import Exercise, turn
from labs.checks.exercise import HOSTNAME, Needs
from labs.errors import BadInput
from labs.exercises.draw import healthy
from labs.probe import Place, Way

ROOT = Path(__file__).resolve().parent.parent
EVERY = list(exercises.ALL.values())
SEEDS = range(60)


@pytest.fixture(params=EVERY, ids=lambda one: one.name)
def exercise(request: pytest.FixtureRequest) -> Exercise:
    found: Exercise = request.param
    return found


# --- the whole


def test_there_are_at_least_24_over_all_four_lessons_and_all_levels() -> None:
    assert len(EVERY) >= 24
    assert len({one.name for one in EVERY}) == len(EVERY)
    lessons = Counter(one.lesson for one in EVERY)
    assert set(lessons) == {"01-container-port", "02-target-port", "03-port-and-cluster-ip", "04-node-port"}
    assert min(lessons.values()) >= 5
    assert {one.level for one in EVERY} == {1, 2, 3, 4, 5}


def test_a_listing_names_each_one_and_says_which_were_mended() -> None:
    text = exercises.listing({"digits-swapped"})
    assert re.findall(r"●+ +([a-z-]+)", text) == [one.name for one in sorted(EVERY, key=lambda e: (e.lesson, e.level))]
    assert "digits-swapped (mended)" in text and text.count("(mended)") == 1


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(BadInput) as caught:
        exercises.find("wrong-target-prot")
    assert "wrong-target-port" in caught.value.why
    with pytest.raises(BadInput) as caught:
        exercises.find("<script>" + "x" * 10_000_000)
    assert len(str(caught.value)) < 500
    for nonsense in (["wrong-target-port"], None, 7):
        with pytest.raises(BadInput):
            exercises.find(nonsense)  # type: ignore[arg-type]


# --- each


def test_a_story_of_two_lines_a_task_hints_and_a_moral(exercise: Exercise) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", exercise.name)
    assert len(exercise.story) == 2 and all(line and len(line) <= 128 for line in exercise.story)
    assert exercise.task.endswith(".") and len(exercise.hints) >= 2 and exercise.moral
    assert len(turn.namespace_of(exercise)) <= 63


def test_its_goals_ask_what_it_makes_and_its_rules_keep_what_it_makes(exercise: Exercise) -> None:
    pods = {one["metadata"]["name"] for one in exercise.of_kind("Pod")}
    services = {one["metadata"]["name"] for one in exercise.of_kind("Service")}
    assert exercise.goals
    assert {goal.service for goal in exercise.goals} <= services
    assert {name for goal in exercise.goals for name in goal.pods} <= pods
    assert {*exercise.kept_pods, *exercise.awaited} <= pods
    assert set(exercise.kept_services) <= services
    assert exercise.solution


def test_it_says_what_it_needs(exercise: Exercise) -> None:
    places = {goal.place for goal in exercise.goals}
    ways = {goal.way for goal in exercise.goals}
    text = json.dumps(exercise.objects)
    assert (Place.MACHINE in places) is (Needs.MACHINE in exercise.needs)
    assert (Place.LAPTOP in places) is (Needs.LAPTOP in exercise.needs) is (Way.LAPTOP_LOCALHOST in ways)
    assert (Way.NODE in ways or Way.LAPTOP_LOCALHOST in ways) is (Needs.NODE_PORT in exercise.needs)
    assert ("hostPort" in text) is (Needs.HOST_PORT in exercise.needs)
    assert "another node" not in text or Needs.TWO_NODES in exercise.needs
    assert HOSTNAME not in text or "@" in text
    assert "10.97.239.58" not in text and "30066" not in text  # the article's belong to one Service on a cluster


def test_no_hint_but_the_last_names_the_whole_change(exercise: Exercise) -> None:
    for hint in exercise.hints[:-1]:
        assert "--type=json -p" not in hint


# --- surprises

DRAW = """
import json, sys
from dataclasses import asdict
from labs import exercises
print(json.dumps([asdict(exercises.surprise(seed)) for seed in range(60)]))
"""


def drawn_with(hash_seed: str) -> object:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", DRAW], env=env, capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)


def test_a_seed_gives_the_same_in_every_process() -> None:
    here = json.loads(json.dumps([asdict(exercises.surprise(seed)) for seed in SEEDS]))
    assert here == drawn_with("0") == drawn_with("4711")


def test_a_seed_gives_the_same_whatever_else_was_drawn() -> None:
    first = exercises.surprise(17)
    random.seed(1)
    random.random()
    exercises.surprise(3)
    assert exercises.surprise(17) == first


def test_each_surprise_has_a_fault_and_they_grow() -> None:
    well = healthy()
    for seed in SEEDS:
        one = exercises.surprise(seed)
        assert one.objects != (well.pod(), well.service()), seed
        faults = re.findall(r"[a-zA-Z]+", one.moral.partition("At fault: ")[2].partition(".")[0])
        assert len(faults) == len(set(faults)) == min(3, 1 + seed // 10), (seed, faults)
        assert one.level == 2 * len(faults) - 1
    assert len({json.dumps(exercises.surprise(seed).objects) for seed in SEEDS}) > 45


def test_a_surprise_of_one_fault_is_the_services_alone() -> None:
    for seed in range(10):
        assert exercises.surprise(seed).objects[0] == healthy().pod()


@pytest.mark.parametrize("nonsense", [-1, 1.5, "7", None, True, "<script>" * 1000])
def test_what_is_no_seed(nonsense: object) -> None:
    with pytest.raises(BadInput) as caught:
        exercises.surprise(nonsense)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 300
