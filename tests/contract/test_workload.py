"""labs.workload on a real cluster: a Pod that listens on 127.0.0.1 answers its own containers, and nobody else."""

import pytest

from labs.deploy import Lesson
from labs.workload import pod
from tests.contract.asking import From, port_forward
from tests.contract.objects import until


@pytest.fixture(scope="module")
def inside(lesson: Lesson) -> From:
    """The second container of a Pod whose first one listens on 127.0.0.1:9080; the Pod fits *restricted*, or it is refused."""
    if lesson.cluster.namespace is None:
        done = lesson.cluster.kubectl(
            "label", "namespace", lesson.namespace, "--overwrite", "pod-security.kubernetes.io/enforce=restricted"
        )
        assert done.code == 0, done.err
    lesson.apply(pod("pod2", {"app": "productpage"}, listen_address="127.0.0.1"))
    return From.pod(lesson.cluster, lesson.namespace, "pod2", "sidecar")


def test_its_own_containers_are_answered_again_and_again(inside: From) -> None:
    assert inside.answering("localhost:9080", 20) == {"pod2"}


def test_requests_at_the_same_time_wait_for_each_other(inside: From) -> None:
    each = "for i in $(seq 8); do curl -s --noproxy '*' --max-time 10 http://127.0.0.1:9080/hostname & done; wait"
    assert inside.run(["sh", "-c", each]).out == "pod2" * 8


def test_it_answers_as_netexec_does(inside: From) -> None:
    assert inside.client_ip("127.0.0.1:9080") == "127.0.0.1"
    assert inside.curl("127.0.0.1:9080", "/").body.startswith("NOW: ")
    assert inside.curl("127.0.0.1:9080", "/nothing").body == "404 page not found"
    both = inside.run(["curl", "-s", "--noproxy", "*", "http://127.0.0.1:9080/hostname", "http://127.0.0.1:9080/hostname"])
    assert both.out == "pod2pod2"


def test_port_forward_reaches_it(lesson: Lesson, inside: From) -> None:
    with port_forward(lesson, "pod/pod2", 9080) as forwarded:
        assert [From.laptop().hostname(forwarded.address) for _ in range(5)] == ["pod2"] * 5


def test_it_is_ready_and_everybody_else_is_refused(lesson: Lesson, inside: From, pod_seat: From) -> None:
    found = lesson.read("Pod", "pod2")
    assert found is not None
    assert all(status["ready"] for status in found["status"]["containerStatuses"])
    address = f"{found['status']['podIP']}:9080"
    assert pod_seat.curl(address).refused
    assert inside.curl(address).refused  # its own address is not its loopback


def test_it_starts_again_after_a_crash(lesson: Lesson, inside: From) -> None:
    lesson.cluster.exec(lesson.namespace, "pod2", ["bash", "-c", "kill -TERM 1"], "productpage")

    def restarts() -> list[int]:
        statuses = (lesson.read("Pod", "pod2") or {})["status"]["containerStatuses"]
        return [status["restartCount"] for status in statuses if status["name"] == "productpage"]

    until(lambda: restarts() == [1], "its restart")
    lesson.wait(["pod2"])
    assert inside.hostname("localhost:9080") == "pod2"


def test_another_port_and_what_listens_everywhere(lesson: Lesson, pod_seat: From) -> None:
    lesson.apply(pod("pod5", {"app": "productpage"}, listen_port=8080, container_port=None))
    found = lesson.read("Pod", "pod5")
    assert found is not None
    assert pod_seat.hostname(f"{found['status']['podIP']}:8080") == "pod5"
