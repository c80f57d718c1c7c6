"""Which names lessons have: those of the course's notebooks, and of an instructor's own beside them. No cluster is asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import labs
from labs import notebook, shared
from labs.cluster import Cluster
from labs.deploy import Lesson
from labs.errors import BadInput

COURSE = sorted(path.stem for path in notebook.NOTEBOOKS.glob("*.ipynb"))


class Connected(Exception):
    """A cluster was asked for, so the name was taken."""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a folder without notebooks to work in."""

    def connect() -> Cluster:
        raise Connected

    monkeypatch.setattr(notebook, "connect", connect)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", COURSE)
def test_every_notebook_of_the_course_is_a_lesson(name: str) -> None:
    with pytest.raises(Connected):
        labs.lesson(name)


UNKNOWN: list[Any] = ["shop", "default", "kube-system", "target-port", "02-target-port.ipynb", "", "../../evil", "é", "x" * 300]


@pytest.mark.parametrize("name", [*UNKNOWN, None, 2, ["02-target-port"]])
def test_any_other_name_is_refused_with_those_that_there_are_before_anything_is_done(name: Any) -> None:
    with pytest.raises(BadInput) as told:
        labs.lesson(name)
    assert all(one in told.value.why for one in COURSE) and len(COURSE) == 7


def test_who_wants_to_look_at_a_namespace_of_theirs_is_told_how() -> None:
    with pytest.raises(BadInput) as told:
        labs.lesson("shop")
    assert "kubectl -n shop get pod,svc" in told.value.try_this


def test_an_instructors_own_notebook_is_a_lesson(tmp_path: Path) -> None:
    (tmp_path / "07-ingress.ipynb").touch()
    with pytest.raises(Connected):
        labs.lesson("07-ingress")


@pytest.mark.parametrize("name", ["default", "99-kube-system", "Untitled", "my lesson"])
def test_but_not_one_whose_name_no_lesson_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.ipynb").touch()
    with pytest.raises(BadInput):
        labs.lesson(name)


@pytest.mark.parametrize("name", ["default", "99-default", "kube-system", "kube-public", "kube-node-lease", "1-kube-x"])
def test_kubernetes_own_namespaces_are_no_lessons(name: str) -> None:
    with pytest.raises(BadInput, match="No lesson can be called") as told:
        Lesson(SimpleNamespace(namespace=None), name)  # type: ignore[arg-type]
    assert shared.namespace_of("02-target-port") == "target-port"
    assert "Kubernetes' own" in told.value.why


@pytest.mark.parametrize("name", ["", "07-", "-x", "Shop", "a b", "a_b", "a.b", "é", "x" * 64, "a\n", None])
@pytest.mark.parametrize("borrowed", [None, "guests-1"])
def test_what_is_no_name_of_a_namespace_is_no_lesson(name: Any, borrowed: str | None) -> None:
    with pytest.raises(BadInput, match="cannot be a lesson's name"):
        Lesson(SimpleNamespace(namespace=borrowed), name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["00-start-here", "exercise-surprise", "99", "a", "x" * 63])
def test_what_is_one(name: str) -> None:
    assert Lesson(SimpleNamespace(namespace=None), name).namespace == (name.lstrip("0123456789-") or name)  # type: ignore[arg-type]
