"""Facts about targetPort: where a Service's requests go.

Sources: kubernetes.io/docs/concepts/services-networking/service, and what each test names.
"""

import re

import pytest

from labs.deploy import Lesson
from tests.contract.asking import From, as_json, side_by_side
from tests.contract.objects import (
    app,
    cluster_ip,
    deploy,
    endpoints,
    node_port,
    pod_ip,
    port,
    refused_words,
    service,
    service_spec,
    slices,
)


@pytest.fixture(scope="module", autouse=True)
def objects(lesson: Lesson) -> None:
    """One productpage, two Pods that give one name to different numbers, and Services that differ in targetPort alone."""
    deploy(
        lesson,
        app("pod2", "productpage"),
        app("named-9080", "named", port_name="web"),
        app("named-8080", "named", port_name="web", listen_port=8080, container_port=8080),
        service("no-target", "productpage", port(9080)),
        service("right-target", "productpage", port(9999, 9080), type="NodePort"),
        service("wrong-target", "productpage", port(9999), type="NodePort"),
        service("named-target", "named", port(80, "web")),
        service("nobodys-name", "productpage", port(80, "web"), type="NodePort"),
    )


def test_target_port_defaults_to_port(lesson: Lesson, pod_seat: From) -> None:
    """It "is set to the same value as the port field" (service, "Defining a Service")."""
    assert service_spec(lesson, "no-target")["ports"][0]["targetPort"] == 9080
    assert endpoints(lesson, "no-target") == ({f"{pod_ip(lesson, 'pod2')}:9080"}, set())
    assert pod_seat.hostname(f"{cluster_ip(lesson, 'no-target')}:9080") == "pod2"


def test_port_and_target_port_may_differ(lesson: Lesson, pod_seat: From, node_seats: list[From]) -> None:
    """The article's first mend: port 9999, targetPort 9080. Endpoints is podIP:targetPort."""
    assert endpoints(lesson, "right-target") == ({f"{pod_ip(lesson, 'pod2')}:9080"}, set())
    for seat in (pod_seat, *node_seats):
        assert seat.hostname(f"{cluster_ip(lesson, 'right-target')}:9999") == "pod2"


def test_a_wrong_target_port_leaves_endpoints_filled_and_requests_refused(
    lesson: Lesson, pod_seat: From, node_seats: list[From], machine: From
) -> None:
    """The article's 9999 fails because nothing listens there; Endpoints does not know that.

    The refusal is the Pod's own, so it comes to a node port's client on another machine as well, in both modes.
    """
    assert endpoints(lesson, "wrong-target") == ({f"{pod_ip(lesson, 'pod2')}:9999"}, set())
    for seat in (pod_seat, *node_seats):
        assert seat.curl(f"{cluster_ip(lesson, 'wrong-target')}:9999").refused
    for node in lesson.cluster.nodes:
        assert machine.curl(f"{node.address}:{node_port(lesson, 'wrong-target')}").refused


def test_a_named_target_port_follows_each_pods_number_for_it(lesson: Lesson, pod_seat: From) -> None:
    """It "works even if there is a mixture of Pods in the Service using a single configured name" (service)."""
    expected = sorted([(pod_ip(lesson, "named-9080"), 9080, True), (pod_ip(lesson, "named-8080"), 8080, True)])
    assert slices(lesson, "named-target") == expected
    answered = pod_seat.answering(f"{cluster_ip(lesson, 'named-target')}:80", times=40)
    assert answered == {"named-9080", "named-8080"}


class TestATargetPortNameThatNoContainerHas:
    """The Pod declares no port called "web"; staging/src/k8s.io/endpointslice/utils.go, FindPort, finds none."""

    def test_endpoints_is_empty(self, lesson: Lesson) -> None:
        """pkg/controller/endpoint/endpoints_controller.go leaves a port out that it cannot find; nothing is left."""
        assert endpoints(lesson, "nobodys-name") == (set(), set())

    def test_its_slice_keeps_the_address_without_a_port(self, lesson: Lesson) -> None:
        """endpointslice/reconciler.go groups endpoints by their ports; here the group is "no ports"."""
        assert slices(lesson, "nobodys-name") == [(pod_ip(lesson, "pod2"), None, True)]

    def test_requests_are_refused(self, lesson: Lesson, pod_seat: From, node_seats: list[From], machine: From) -> None:
        """To kube-proxy it is a Service without endpoints for that port."""
        for got in side_by_side(lambda seat: seat.curl(f"{cluster_ip(lesson, 'nobodys-name')}:80"), [pod_seat, *node_seats]):
            assert got.refused, got
        for node in lesson.cluster.nodes:
            assert machine.curl(f"{node.address}:{node_port(lesson, 'nobodys-name')}").refused

    def test_describe_shows_it_differently_by_kubectl(self, lesson: Lesson) -> None:
        """kubectl reads the slices since 1.31 and shows the address without a port; before, Endpoints: `<none>`.

        staging/src/k8s.io/kubectl/pkg/describe/describe.go, formatEndpointSlices.
        """
        version = as_json(lesson.cluster.kubectl("version", "--client", "-o", "json"))["clientVersion"]
        minor = int(re.sub(r"\D", "", version["minor"]))  # "32+" of a vendor's
        described = lesson.kubectl("describe", "service", "nobodys-name").out
        [shown] = re.findall(r"^Endpoints: *(.*)$", described, re.MULTILINE)
        assert shown == (pod_ip(lesson, "pod2") if minor >= 31 else "<none>")


def test_a_number_in_quotes_is_refused_as_a_name(lesson: Lesson) -> None:
    """targetPort is a number or a name (IntOrString), and a name needs a letter."""
    words = refused_words(lesson, service("quoted", "productpage", port(80, "9080")))
    assert 'spec.ports[0].targetPort: Invalid value: "9080"' in words
    assert "must contain at least one letter" in words
