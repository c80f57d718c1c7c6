"""`python -m labs reset`: all lessons' Pods and Services go; namespaces, client Pods and the course's own Pods stay."""

from collections.abc import Callable
from typing import Any

from labs import deploy, seats
from labs.cluster import Cluster
from labs.deploy import Lesson


def left(lesson: Lesson) -> tuple[list[str], list[str]]:
    """The names of the Pods and Services in a lesson's namespace."""
    core = lesson.cluster.core()
    pods = core.list_namespaced_pod(lesson.namespace).items
    return sorted(pod.metadata.name for pod in pods), [
        service.metadata.name for service in core.list_namespaced_service(lesson.namespace).items
    ]


def test_reset_empties_every_lesson_and_keeps_what_is_ours(cluster: Cluster, new_lesson: Callable[..., Lesson]) -> None:
    lessons = [new_lesson(name, say=lambda _: None) for name in ("99-reset-one", "99-reset-two")]
    for lesson in lessons:
        lesson.start()
        lesson.apply("01-pod1")
    lessons[1].apply("05-service-with-targetport-9080")
    before: Any = [pod.metadata.uid for pod in cluster.core().list_namespaced_pod(seats.SYSTEM_NAMESPACE).items]
    said: list[str] = []

    deploy.reset_all(cluster, said.append)

    for lesson in lessons:
        assert left(lesson) == ([seats.CLIENT], [])
        assert lesson.namespace in said[0]
    assert [pod.metadata.uid for pod in cluster.core().list_namespaced_pod(seats.SYSTEM_NAMESPACE).items] == before
