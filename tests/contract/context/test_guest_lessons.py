"""Lessons with a guest's rights, in a namespace that others use as well."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from labs import explain, probe, seats, shared
from labs.cluster import Cluster
from labs.deploy import ARTICLE_CLUSTER_IP, ARTICLE_NODE_PORT, Lesson, read_manifests
from labs.errors import LabError, Refused
from labs.providers import context
from tests.contract.asking import From
from tests.contract.context.guests import Said, a_pod, a_service

# --- a lesson, with these rights


def test_a_lesson_runs_from_wrong_to_right(lesson: Lesson) -> None:
    asker = From.pod(lesson.cluster, lesson.namespace, seats.CLIENT)
    lesson.apply("01-pod1")
    lesson.apply("02-pod2")
    [wrong] = lesson.apply("04-service-without-targetport")
    cluster_ip = wrong.object["spec"]["clusterIP"]
    assert cluster_ip != ARTICLE_CLUSTER_IP
    assert asker.curl(f"{cluster_ip}:9999").refused
    lesson.apply("05-service-with-targetport-9080")
    assert asker.hostname(f"{cluster_ip}:9999") == "pod2"
    assert asker.hostname("productpage:9999") == "pod2"
    described = lesson.kubectl("describe", "service", "productpage")
    assert described.code == 0 and ":9080" in described.out, described
    lesson.reset()
    left = lesson.kubectl("get", "pods,services", "-l", shared.LESSON, "-o", "name")
    assert left.out == ""
    assert seats.pod_or_none(lesson.cluster, lesson.namespace, seats.CLIENT) is not None


def test_the_api_servers_refusals_arrive_in_its_own_words(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_OPEN_NODE_PORT", "yes")
    lesson.apply("02-pod2")
    with pytest.raises(Refused, match="pod updates may not change fields"):
        lesson.apply(yaml.safe_dump(_pod2_with_port(9999)))
    service = a_service("productpage", "productpage")
    service["spec"] |= {"type": "NodePort", "ports": [{"port": 9999, "nodePort": 80}]}
    with pytest.raises(Refused, match="provided port is not in the valid range"):
        lesson.apply(service)
    open_pod = a_pod("open")
    open_pod["spec"]["hostNetwork"] = True
    with pytest.raises(Refused, match='violates PodSecurity "restricted'):
        lesson.apply(open_pod)


def _pod2_with_port(number: int) -> dict[str, Any]:
    [pod] = read_manifests("02-pod2")
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": number}]
    return pod


def test_the_matrix_and_the_explanation_work_without_nodes(lesson: Lesson) -> None:
    lesson.apply("02-pod2")
    lesson.apply("04-service-without-targetport")
    assert [(one.word, one.pod) for one in _from_pod_to_cluster_ip(lesson)] == [(probe.Word.REFUSED, "")]
    found = explain.explain(lesson, "productpage")
    assert found.stops_at is not None, str(found)
    lesson.apply("05-service-with-targetport-9080")
    assert [(one.word, one.pod) for one in _from_pod_to_cluster_ip(lesson)] == [(probe.Word.ANSWERED, "pod2")]
    assert explain.explain(lesson, "productpage").stops_at is None


def _from_pod_to_cluster_ip(lesson: Lesson) -> list[probe.Answer]:
    """Asks the whole matrix; the answers of that one cell. What cannot be asked by a guest says why."""
    answers = probe.ask(lesson, probe.questions(lesson, "productpage"))
    assert not probe.table(answers).empty
    assert all(one.detail for one in answers if one.word is probe.Word.NOT_TRIED)
    return [one for one in answers if one.seat.place is probe.Place.POD and one.target.way == probe.Way.CLUSTER_IP]


def test_a_node_port_is_opened_only_after_a_yes(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABS_OPEN_NODE_PORT", raising=False)
    lesson.apply("05-service-with-targetport-9080")
    with pytest.raises(LabError, match="opens a port on every node"):
        lesson.apply("07-service-nodeport-30066")
    kept = lesson.read("Service", "productpage")
    assert kept is not None and kept["spec"]["type"] == "ClusterIP"
    monkeypatch.setenv("LABS_OPEN_NODE_PORT", "yes")
    [applied] = lesson.apply("07-service-nodeport-30066")
    assert applied.object["spec"]["type"] == "NodePort"
    assert applied.object["spec"]["ports"][0]["nodePort"] != ARTICLE_NODE_PORT


# --- one namespace, many owners


def test_strangers_stay_as_they_are(admin: Cluster, lesson: Lesson, stranger: Callable[[dict[str, Any]], None]) -> None:
    stranger(a_pod("somebody", app="theirs"))
    stranger(a_service("somebodys", "theirs"))
    stranger(a_service("productpage", "theirs"))
    before = _there(admin, lesson.namespace)
    said: Said = []
    again = Lesson(lesson.cluster, lesson.name, say=said.append)
    again.start()
    assert any("Service productpage" in line and "not the course's" in line for line in said), said
    again.apply("02-pod2")
    with pytest.raises(LabError, match="Service productpage here is not the course's"):
        again.apply("05-service-with-targetport-9080")
    with pytest.raises(LabError, match="Service productpage here is not the course's"):
        again.remove("Service", "productpage")
    again.reset()
    assert _there(admin, lesson.namespace) == before


def _there(admin: Cluster, namespace: str) -> dict[str, str]:
    """The strangers' objects, by their names and identities."""
    core = admin.core()
    found = core.list_namespaced_pod(namespace).items + core.list_namespaced_service(namespace).items
    return {one.metadata.name: one.metadata.uid for one in found if not shared.ours(one)}


def test_requests_are_not_mixed_with_strangers(lesson: Lesson, stranger: Callable[[dict[str, Any]], None]) -> None:
    stranger(a_service("theirs", "productpage"))
    with pytest.raises(LabError, match="so as not to disturb others"):
        lesson.apply("02-pod2")
    assert lesson.read("Pod", "pod2") is None
    stranger(a_pod("theirs", app="productpage"))
    with pytest.raises(LabError, match="so as not to disturb others"):
        lesson.apply("05-service-with-targetport-9080")
    assert lesson.read("Service", "productpage") is None


def test_a_strangers_endpoints_do_not_keep_us_waiting(lesson: Lesson, stranger: Callable[[dict[str, Any]], None]) -> None:
    stranger(a_service("theirs", "theirs"))
    stranger(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "theirs-by-hand", "labels": {"kubernetes.io/service-name": "theirs"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["203.0.113.9"]}],
            "ports": [{"port": 80}],
        }
    )
    lesson.cluster.settled()


def test_a_stranger_called_client_is_not_taken_for_ours(
    admin: Cluster, lesson: Lesson, stranger: Callable[[dict[str, Any]], None]
) -> None:
    seats.remove_pod(lesson.cluster, lesson.namespace, seats.CLIENT, limit=120)
    stranger(a_pod(seats.CLIENT, app="theirs"))
    with pytest.raises(LabError, match="Pod client here is not the course's"):
        lesson.start()
    with pytest.raises(LabError, match="Pod client here is not the course's"):
        context.up("guest", lambda _: None)
    seats.remove_pod(admin, lesson.namespace, seats.CLIENT, limit=120)
    seats.ensure(lesson.cluster, lesson.namespace, [seats.client_pod()])


def test_one_lesson_at_a_time_has_the_namespace(lesson: Lesson) -> None:
    lesson.apply("02-pod2")
    lesson.apply("05-service-with-targetport-9080")
    said: Said = []
    other = Lesson(lesson.cluster, "03-port-and-cluster-ip", say=said.append)
    other.start()
    try:
        assert any("lesson 02-target-port were removed" in line for line in said), said
        assert lesson.read("Pod", "pod2") is None and lesson.read("Service", "productpage") is None
        other.apply("06-service-with-port-9080")
        with pytest.raises(LabError, match="Lesson 03-port-and-cluster-ip has the namespace now"):
            lesson.apply("02-pod2")
    finally:
        other.reset()
