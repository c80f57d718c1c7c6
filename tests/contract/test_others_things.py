"""A learner's own namespaces, Pods and Services: nothing that the course does touches them, and it says whose they are."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import labs
from labs import checks, deploy, exercises, seats, views
from labs.checks import breaking
from labs.cluster import Cluster
from labs.deploy import ARTICLE_CLUSTER_IP, ARTICLE_NODE_PORT, Lesson
from labs.errors import LabError
from tests.contract.conftest import NO_GRACE
from tests.contract.objects import app, port, service, until

EXERCISE = replace(
    exercises.find("wrong-target-port"),
    objects=(
        app("pod2", "productpage"),
        service("productpage", "productpage", port(80, nodePort=ARTICLE_NODE_PORT), type="NodePort"),
    ),
)  # it wants node port 30066
THINGS = "pods,services,endpointslices,configmaps,deployments"


@pytest.fixture(scope="module", autouse=True)
def of_our_own(cluster: Cluster) -> None:
    if cluster.namespace is not None:
        pytest.skip("a borrowed cluster has one namespace for all; what is others' there is told in contract/context")


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[str]:
    """A namespace that a learner made, with what lessons make too: pod2, productpage, and more. No test changes it for good."""
    name = f"shop-{random.randrange(10**6)}"
    cluster.core().create_namespace({"metadata": {"name": name}})
    until(lambda: seats.may_have_pods(cluster, name), "its ServiceAccount")
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": app("web", "web")["spec"]},
        },
    }
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["203.0.113.9"]}],
        "ports": [{"port": 80}],
    }
    for manifest in (app("pod2", "productpage"), service("productpage", "productpage", port(80, 9080)), deployment, by_hand):
        done = cluster.kubectl("-n", name, "apply", "-f", "-", stdin=json.dumps(manifest))
        assert done.code == 0, done.err
    yield name
    cluster.core().delete_namespace(name, grace_period_seconds=NO_GRACE)


def things(cluster: Cluster, namespace: str) -> list[tuple[str, str, str, bool]]:
    """What is in a namespace: kind, name, identity, and whether it is being deleted."""
    found = json.loads(cluster.kubectl("-n", namespace, "get", THINGS, "-o", "json").out)["items"]
    return sorted(
        (one["kind"], one["metadata"]["name"], one["metadata"]["uid"], "deletionTimestamp" in one["metadata"]) for one in found
    )


def lesson_of(cluster: Cluster, namespace: str) -> Lesson:
    """A lesson whose namespace has that name."""
    return Lesson(cluster, f"98-{namespace}", say=lambda _: None)


def begun(lesson: Lesson) -> Any:
    return checks.begin(replace(EXERCISE, name=lesson.name), lesson)


WAYS: dict[str, Callable[[Lesson], Any]] = {
    "start": Lesson.start,
    "prepare": Lesson.prepare,
    "reset": Lesson.reset,
    "apply": lambda lesson: lesson.apply(service("productpage", "nobody", port(80)), wait=False),
    "apply anew": lambda lesson: lesson.apply(app("pod2", "nobody"), wait=False, anew=True),
    "remove a Pod": lambda lesson: lesson.remove("Pod", "pod2"),
    "remove a Service": lambda lesson: lesson.remove("Service", "productpage"),
    "exercise": begun,
    "an exercise's emptying": breaking.empty,
    "explorer": views.explorer,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_verb_touches_a_namespace_that_the_course_did_not_make(
    cluster: Cluster, shop: str, way: Callable[[Lesson], Any]
) -> None:
    before = things(cluster, shop)
    with pytest.raises(LabError, match=f"Namespace {shop} is not the course's") as refused:
        way(lesson_of(cluster, shop))
    assert things(cluster, shop) == before
    assert f"kubectl -n {shop} get pod,svc" in refused.value.try_this


def test_a_notebook_of_ones_own_does_not_take_a_namespace_either(
    cluster: Cluster, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = things(cluster, shop)
    (tmp_path / f"{shop}.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=f"Namespace {shop} is not the course's"):
        labs.lesson(shop)
    assert things(cluster, shop) == before


def test_a_client_pod_of_somebody_elses_does_not_make_a_namespace_the_explorers(cluster: Cluster, shop: str) -> None:
    cluster.core().create_namespaced_pod(shop, {**app(seats.CLIENT, "theirs")})
    before = things(cluster, shop)
    with pytest.raises(LabError, match=f"Namespace {shop} is not the course's"):
        views.explorer(lesson_of(cluster, shop))
    assert things(cluster, shop) == before
    seats.remove_pod(cluster, shop, seats.CLIENT, grace=0)


def test_a_namespace_that_was_a_lessons_and_is_a_learners_now(cluster: Cluster, new_lesson: Callable[..., Lesson]) -> None:
    """Deleted and made again by hand, while the notebook is open."""
    lesson = new_lesson("98-test-made-again", say=lambda _: None)
    lesson.start()
    cluster.core().delete_namespace(lesson.namespace, grace_period_seconds=NO_GRACE)
    until(lambda: lesson.namespace not in namespaces(cluster), "the end of the namespace")
    cluster.core().create_namespace({"metadata": {"name": lesson.namespace}})
    try:
        cluster.core().create_namespaced_service(lesson.namespace, service("mine", "mine", port(80)))
        for way in ("start", "reset", "remove a Service"):
            with pytest.raises(LabError, match="is not the course's"):
                WAYS[way](lesson)
        assert "mine" in [name for _, name, _, _ in things(cluster, lesson.namespace)]
    finally:
        cluster.core().delete_namespace(lesson.namespace, grace_period_seconds=NO_GRACE)
        until(lambda: lesson.namespace not in namespaces(cluster), "the end of the namespace")


def test_reset_leaves_it_alone(cluster: Cluster, shop: str) -> None:
    before, said = things(cluster, shop), list[str]()
    deploy.reset_all(cluster, said.append)
    assert things(cluster, shop) == before
    assert shop not in "".join(said)


# --- the article's addresses


@pytest.fixture
def holder(cluster: Cluster, shop: str, new_lesson: Callable[..., Lesson]) -> Iterator[str]:
    """A learner's own Service that has the article's ClusterIP and node port."""
    new_lesson("98-test-freeing", say=lambda _: None).start()  # no other lesson has them after this
    body = service("mine", "mine", port(80, nodePort=ARTICLE_NODE_PORT), type="NodePort", clusterIP=ARTICLE_CLUSTER_IP)
    cluster.core().create_namespaced_service(shop, body)
    yield shop
    cluster.core().delete_namespaced_service("mine", shop)


def test_a_learners_service_keeps_the_articles_addresses(
    cluster: Cluster, holder: str, new_lesson: Callable[..., Lesson]
) -> None:
    before, said = things(cluster, holder), list[str]()
    lesson = new_lesson("98-test-wants-them", say=said.append)
    lesson.start()
    [told] = said
    for part in (f"Service mine in namespace {holder}", ARTICLE_CLUSTER_IP, str(ARTICLE_NODE_PORT), f"kubectl -n {holder} "):
        assert part in told
    for wants in (lesson.claim_article_addresses, lambda: begun(lesson), lambda: views.explorer(lesson)):
        with pytest.raises(LabError, match=f"Service mine in namespace {holder}") as refused:
            wants()
        assert f"kubectl -n {holder} delete service mine" in refused.value.try_this
    assert things(cluster, holder) == before


def test_who_does_not_need_the_address_that_is_held_goes_on(
    cluster: Cluster, shop: str, new_lesson: Callable[..., Lesson]
) -> None:
    new_lesson("98-test-freeing", say=lambda _: None).start()
    cluster.core().create_namespaced_service(shop, service("mine", "mine", port(80), clusterIP=ARTICLE_CLUSTER_IP))
    lesson = new_lesson("98-test-wants-them", say=lambda _: None)
    assert begun(lesson).exercise.name == lesson.name  # the node port alone
    assert cluster.core().read_namespaced_service("mine", shop).spec.cluster_ip == ARTICLE_CLUSTER_IP
    cluster.core().delete_namespaced_service("mine", shop)


def namespaces(cluster: Cluster) -> list[str]:
    return [one.metadata.name for one in cluster.core().list_namespace().items]
