"""Grading, without a cluster: what is seen of a namespace, and what curl got, to findings and a verdict."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from labs.checks import Goal, Outcome, Verdict, judging
from labs.checks.judging import Seen
from labs.checks.verdict import Finding
from labs.deploy import Manifest
from labs.exercises.pieces import pod, port, service
from labs.probe import Place, Way, Word
from labs.seats import ROLE
from labs.versions import workload_image
from tests.checks_world import (
    BEFORE,
    CLUSTER_IP,
    EXERCISE,
    IP,
    LISTENS,
    MACHINE,
    MENDED,
    graded,
    heard,
    running,
    saw,
    seen,
    slice_of,
    there,
    through,
)

# --- by traffic


def test_mended() -> None:
    verdict = graded(MENDED, through())
    assert verdict.passed and verdict.notes == ("That was it.",)
    assert str(verdict).splitlines()[:2] == ["Mended.", f"  ✓ Endpoint {IP}:9080: answered by pod2"]


def test_not_mended() -> None:
    verdict = graded(BEFORE, through(Word.REFUSED, 9999))
    assert verdict.outcome is Outcome.NOT_YET
    assert saw(verdict) == [
        f"Endpoint {IP}:9999: refused",
        f"ClusterIP {CLUSTER_IP}:9999: refused",
        "productpage:9999: refused",
    ]


def test_nothing_asked_is_not_green() -> None:
    assert saw(graded(MENDED, [])) == ["productpage:9999 could not be asked by name:port from a Pod."]


def test_one_endpoint_that_refuses_is_enough_for_red() -> None:
    broken = replace(EXERCISE, goals=(Goal(pods=()),), kept_pods=())
    now = seen(
        there(service()),
        [slice_of(), slice_of(by="pod5", ip="10.244.0.9")],
        running(pod()),
        running(pod("pod5"), "10.244.0.9"),
    )
    answers = [*through(), heard(Way.ENDPOINT, "10.244.0.9", 9080, Word.REFUSED, "pod5")]
    assert saw(graded(now, answers, broken)) == ["Endpoint 10.244.0.9:9080: refused"]


def test_an_answer_from_elsewhere_does_not_count() -> None:
    something = [*through()[:2], heard(Way.NAME, "productpage", 9999, Word.SOMETHING_ELSE)]
    assert saw(graded(MENDED, something)) == ["productpage:9999: answered by something else"]
    other = [*through()[:2], heard(Way.NAME, "productpage", 9999, by="pod7")]
    assert saw(graded(MENDED, other)) == ["productpage:9999: answered by pod7"]


@pytest.mark.parametrize(
    ("now", "owed"),
    [
        (seen(None), "There is no Service productpage."),
        (seen(there(service(port(80)))), "Service productpage has no port 9999/TCP; it has 80/TCP."),
        (seen(there(service(port(protocol="UDP")))), "Service productpage has no port 9999/TCP; it has 9999/UDP."),
        (
            seen(there(service(selector=None)), [slice_of()]),
            "Service productpage has no selector, so nothing ties it to Pods: it does not follow when they come and go.",
        ),
        (
            seen(there(service(), type="ExternalName", externalName="x.example")),
            "Service productpage is of type ExternalName: another name for x.example, with no Pods behind it.",
        ),
        (
            seen(there(service()), [slice_of(), slice_of(writer="me")]),
            "EndpointSlice productpage-x of Service productpage was written by hand; its selector is to fill them.",
        ),
        (
            seen(there(service()), [slice_of(ip="10.9.9.9")]),
            "Service productpage leads to 10.9.9.9, which is no Pod of this exercise.",
        ),
        (seen(there(service())), "No Pod is behind productpage:9999: its Endpoints are empty."),
        (seen(there(service()), [slice_of(ready=False)]), "No Pod is behind productpage:9999: its Endpoints are empty."),
    ],
)
def test_what_cannot_count_is_red_though_everything_answers(now: Seen, owed: str) -> None:
    assert owed in saw(graded(now, through()))


def test_a_pod_that_gets_no_requests() -> None:
    both = replace(EXERCISE, goals=(Goal(pods=("pod1", "pod2")),), kept_pods=())
    there_too = seen(there(service()), [slice_of()], running(pod()), running(pod("pod1"), "10.244.0.9"))
    assert saw(graded(there_too, through(), both)) == ["pod1 gets no requests from productpage:9999."]
    assert saw(graded(MENDED, through(), both)) == ["pod1 gets no requests from productpage:9999: there is no such Pod."]


def test_another_pod_behind_a_service_whose_pods_stay() -> None:
    now = seen(
        there(service()), [slice_of(), slice_of(by="pod9", ip="10.244.0.9")], running(pod()), running(pod("pod9"), "10.244.0.9")
    )
    answers = [*through(), heard(Way.ENDPOINT, "10.244.0.9", 9080, by="pod9")]
    assert saw(graded(now, answers)) == ["pod9 is behind productpage:9999; only pod2 is meant to be."]


def test_a_pod_of_somebodys_own_is_no_mend() -> None:
    free = replace(EXERCISE, goals=(Goal(pods=()),), kept_pods=())
    other_image = pod()
    other_image["spec"]["containers"][0]["image"] = "nginx:1"
    assert saw(graded(seen(there(service()), [slice_of()], running(other_image)), through(), free)) == [
        "pod2 runs the image nginx:1, not the course's application."
    ]
    own = pod()
    own["spec"]["containers"][0]["command"] = ["bash", "-c", "while :; do nc -l 9080; done"]
    found = saw(graded(seen(there(service()), [slice_of()], running(own)), through(), free))
    assert found[0].startswith("pod2 runs a program of its own (bash -c while")


@pytest.mark.parametrize(
    "container",
    [
        pod()["spec"]["containers"][0],
        pod(listen_address="127.0.0.1")["spec"]["containers"][0],
        {"image": workload_image(), "command": ["/agnhost"], "args": ["netexec", "--http-port=9080"]},
        {"image": workload_image(), "command": ["/agnhost", "netexec", "--http-port=9080"]},
        {"image": workload_image(), "args": ["pause"]},
    ],
)
def test_what_the_course_itself_runs_is_no_stranger(container: Manifest) -> None:
    assert judging.foreign({"metadata": {"name": "x"}, "spec": {"containers": [container]}}, workload_image()) == ""


def test_a_headless_service_is_asked_by_its_name_alone() -> None:
    now = seen(there(service(clusterIP="None")), [slice_of()])
    answers = [heard(Way.ENDPOINT, IP, 9080, Word.REFUSED), heard(Way.NAME, "productpage", 9999)]
    assert graded(now, answers).passed


def test_node_ports_of_every_node_and_nothing_else() -> None:
    outside = replace(EXERCISE, goals=(Goal(way=Way.NODE, place=Place.MACHINE),))
    closed = graded(MENDED, through(), outside)
    assert saw(closed) == ["Service productpage opens no node port for its port 9999 (type ClusterIP)."]
    now = seen(there(service(port(nodePort=30066)), type="NodePort"), [slice_of()])
    nodes = [heard(Way.NODE, f"172.18.0.{n}", 30066, seat=MACHINE) for n in (2, 3)]
    assert graded(now, [*through(), *nodes], outside).passed
    of_another_port = heard(Way.NODE, "172.18.0.2", 31999, Word.REFUSED, seat=MACHINE)
    assert graded(now, [*through(), *nodes, of_another_port], outside).passed
    nodes[1] = heard(Way.NODE, "172.18.0.3", 30066, Word.TIMED_OUT, seat=MACHINE)
    assert saw(graded(now, [*through(), *nodes], outside)) == [
        "node port 172.18.0.3:30066, asked from another machine: timed out"
    ]
    assert not graded(now, through(), outside).passed


def test_a_name_means_another_number_on_each_pod() -> None:
    both = replace(EXERCISE, goals=(Goal(pods=("pod2", "pod5")),), kept_pods=())
    now = seen(
        there(service(port(9999, "web"))),
        [slice_of(), slice_of(number=8080, by="pod5", ip="10.244.0.9")],
        running(pod()),
        running(pod("pod5"), "10.244.0.9"),
    )
    endpoint = heard(Way.ENDPOINT, "10.244.0.9", 8080, by="pod5")
    assert graded(now, [*through(), endpoint], both).passed
    assert not graded(now, [*through(), replace(endpoint, word=Word.REFUSED)], both).passed


# --- by the rules


def changed(change: Callable[[Manifest], object]) -> Manifest:
    one = running(pod())
    change(one)
    return one


@pytest.mark.parametrize(
    ("one", "owed"),
    [
        (changed(lambda p: p["metadata"].update(uid="other")), "pod2 was made anew"),
        (changed(lambda p: p["metadata"].update(deletionTimestamp="now")), "pod2 is being deleted"),
        (changed(lambda p: p["spec"]["containers"][0].update(image="x")), "pod2's containers were changed"),
        (changed(lambda p: p["spec"].update(ephemeralContainers=[{"name": "debugger"}])), "pod2 got a container more"),
    ],
)
def test_a_pod_that_was_to_stay(one: Manifest, owed: str) -> None:
    verdict = graded(seen(there(service()), [slice_of()], one), through())
    assert verdict.outcome is Outcome.AGAINST_THE_RULES
    assert saw(verdict)[0].startswith(owed)


def test_a_pod_that_is_gone() -> None:
    verdict = graded(seen(there(service()), [], running(pod("pod9"))), [])
    assert "pod2 is gone; it was to stay as it was." in saw(verdict)


def test_a_process_that_was_started_by_hand() -> None:
    now = replace(MENDED, listening={"pod2": LISTENS | {(9999, "::")}})
    assert saw(graded(now, through()))[0].startswith("In pod2 a process listens on 9999 that did not at the beginning")
    assert graded(replace(MENDED, listening={}), through()).passed  # it could not be looked into: nothing is claimed


def test_a_process_of_the_pods_own_may_begin_late() -> None:
    early = replace(BEFORE, listening={"pod2": frozenset()})
    assert graded(MENDED, through(), before=early).passed


def test_labels_may_change_unless_they_are_kept() -> None:
    labelled = seen(there(service()), [slice_of()], changed(lambda p: p["metadata"]["labels"].update(tier="front")))
    assert graded(labelled, through()).passed
    assert saw(graded(labelled, through(), replace(EXERCISE, kept_labels=True)))[0].startswith("pod2's labels were changed")


def test_a_service_that_was_to_stay() -> None:
    kept = replace(EXERCISE, kept_pods=(), kept_services=("productpage",), goals=(Goal(pods=()),))
    before = seen(there(service()), [slice_of()])
    assert graded(MENDED, through(), kept, before).passed
    made_again = seen(there(service(), clusterIP="10.96.9.9", type="ClusterIP"), [slice_of()])
    answers = [*through()[::2], heard(Way.CLUSTER_IP, "10.96.9.9", 9999)]
    assert graded(made_again, answers, kept, before).passed  # the same terms, whatever address it was given
    other = seen(there(service(port(9999, 8080))), [slice_of(number=8080)])
    assert "Service productpage was changed; it was to stay as it was." in saw(
        graded(other, through(number=8080), kept, before)
    )


# --- what a learner may not have seen


def test_a_patch_that_joined_ports_is_recognised() -> None:
    joined = there(service(port(9999, 9999), port(9080, 9080, "web")))
    assert "has 2 ports now: 9999 (targetPort 9999) as before, and 9080 besides" in judging.joined_ports(BEFORE, seen(joined))
    for other in (service(), service(port(9080, 9080)), service(port(9999, 9080), port(9080, 9080, "web"))):
        assert judging.joined_ports(BEFORE, seen(there(other))) == ""
    assert judging.joined_ports(BEFORE, seen(None)) == ""


def gone(now: Seen, phase: str = "Active") -> str:
    return judging.gone(EXERCISE, BEFORE, now, "mine", phase)


def marked(one: Manifest, by: str) -> Manifest:
    one["metadata"]["annotations"] = {"labs.ports/begun": by}
    return one


def test_an_exercise_that_is_gone() -> None:
    assert gone(MENDED) == ""
    assert gone(seen(marked(there(service()), "mine"))) == ""
    assert gone(MENDED, "") == "Its namespace was deleted."
    assert gone(MENDED, "Terminating") == "Its namespace is being deleted."
    assert "made again" in gone(replace(MENDED, namespace="other"))
    assert "another notebook" in gone(seen(marked(there(service()), "theirs")))
    assert gone(seen(marked(there(service()), "theirs"), [], marked(running(pod()), "mine"))) == ""  # from a file of before
    assert "another notebook" in gone(seen(None, [], marked(running(pod()), "theirs")))
    assert gone(Seen({}, {}, namespace="uid-n")) == "All that it consists of was deleted."


def test_the_courses_own_pods_are_no_part_of_an_exercise() -> None:
    assert judging.ours({"metadata": {"labels": {ROLE: "seat"}}})
    assert not judging.ours(pod())


# --- the text


def test_a_verdict_in_words() -> None:
    verdict = Verdict(Outcome.NOT_YET, (Finding(False, "a: refused"), Finding(True, "b")), ("Why, " * 30,))
    lines = str(verdict).splitlines()
    assert lines[:4] == ["Not yet.", "  ✗ a: refused", "  ✓ b", ""]
    assert max(map(len, lines)) <= 110


def test_what_a_stranger_calls_itself_is_cut_short_and_has_no_control_characters() -> None:
    nasty = pod()
    nasty["spec"]["containers"][0]["image"] = "<script>\x1b[31m\n" + "x" * 10_000_000
    word = judging.foreign(nasty, workload_image())
    assert len(word) < 200 and word.isprintable()
