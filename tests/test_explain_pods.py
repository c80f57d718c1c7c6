"""labs.explain without a cluster, at the Pods: who listens there, and which are Ready; why, and the mends."""

import shlex

import pytest

from labs.cluster import NotHere
from labs.explain import Mend, State
from labs.explain.facts import Facts, Trouble
from labs.explain.sockets import Listener, listeners
from labs.probe import Word
from tests.explain_world import (
    IP,
    PATCH,
    answer,
    commands,
    declared,
    pod,
    port,
    refused,
    saw,
    service,
    state,
    stops,
    world,
)

# --- sockets

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2378 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 23466 1 0000 100 0 0 10 0
   1: 0201F40A:2378 0301F40A:8D2E 01 00000000:00000000 00:00000000 00000000 65534        0 23467 1 0000 20 4 30 10 -1
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 23468 1 0000 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:2379 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: B80D0120000000000000000001000000:0052 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_what_the_kernel_says_of_listeners() -> None:
    assert listeners(TCP) == (Listener(8080, "0.0.0.0"), Listener(9080, "127.0.0.1"))
    assert [str(one) for one in listeners(TCP6)] == ["[::1]:80", "127.0.0.1:81", "[2001:db8::1]:82", "[::]:9081"]
    assert len(listeners(TCP + TCP6)) == 6
    assert listeners("") == ()


def test_who_reaches_a_listener() -> None:
    assert [one.only_inside for one in listeners(TCP6)] == [True, True, False, False]
    assert [one.only_inside for one in listeners(TCP)] == [False, True]


# --- the process


def test_the_articles_first_failure() -> None:
    name, found = stops(world(service(port(9999)), pod(declared=(declared(""),)), words=refused("pod2")))
    assert name == "process listens"
    assert "targetPort is 9999" in found.why
    assert "in pod2 nothing listens on 9999: pod2 listens on 9080." in found.why
    assert commands(found) == [
        PATCH + """'[{"op":"replace","path":"/spec/ports/0/targetPort","value":9080}]'""",
        PATCH
        + """'[{"op":"replace","path":"/spec/ports/0/port","value":9080},{"op":"remove","path":"/spec/ports/0/targetPort"}]'""",
    ]
    assert shlex.split(commands(found)[0])[:4] == ["kubectl", "-n", "target-port", "patch"]
    assert state(found, "Endpoints are filled") is State.HOLDS


def test_a_declaration_opens_nothing() -> None:
    _, found = stops(world(service(port(9090)), pod(declared=(declared("", 9090),)), words=refused("pod2")))
    assert "containerPort 9090 is declared there, but a declaration opens nothing." in found.why


def test_a_name_that_is_declared_where_nothing_listens() -> None:
    given = pod(declared=(declared("web", 9999), declared("http", 9080)))
    name, found = stops(world(service(port("web")), given, words=refused("pod2")))
    assert name == "process listens"
    assert "targetPort is web, which pod2 declares as 9999" in found.why
    assert [mend.what for mend in found.mends][:2] == [
        "targetPort 9080, where pod2 listens.",
        "targetPort http, as pod2 names it.",
    ]


def test_a_pod_in_which_nothing_listens() -> None:
    name, found = stops(world(service(), pod(listens=()), words=refused("pod2")))
    assert name == "process listens"
    assert "no process of pod2 listens on any port" in found.why
    assert commands(found) == []


def test_only_ports_on_which_all_pods_listen_are_offered() -> None:
    two = [pod(listens=["[::]:9080", "[::]:7000"]), pod("pod5", "10.244.1.3", ["0.0.0.0:9080", "127.0.0.1:7000"])]
    _, found = stops(world(service(port(9090)), *two, words=refused("pod2", "pod5")))
    assert [mend.what for mend in found.mends if mend.command] == ["targetPort 9080, where pod2 and pod5 listen."]


def test_127_0_0_1_alone() -> None:
    name, found = stops(world(service(), pod(listens=["127.0.0.1:9080"]), words=refused("pod2")))
    assert name == "process listens"
    assert "In pod2 the process listens on 127.0.0.1:9080, which is for the Pod itself" in found.why
    assert "listen on 0.0.0.0:9080" in found.mends[-1].what


def test_127_0_0_1_is_named_where_another_port_is_asked() -> None:
    _, found = stops(world(service(port(9090)), pod(listens=["127.0.0.1:9080"]), words=refused("pod2")))
    assert "pod2 listens on 127.0.0.1:9080 (for the Pod itself alone)" in found.why


def test_one_pod_of_two() -> None:
    words = {"pod5": Word.REFUSED}
    name, found = stops(world(service(), pod(), pod("pod5", "10.244.1.3", ["[::]:8080"]), words=words))
    assert name == "process listens"
    assert "some requests come through and some do not" in found.why
    assert commands(found) == ["kubectl -n target-port label pod pod5 app-"]


def test_one_pod_of_two_on_127_0_0_1() -> None:
    words = {"pod5": Word.REFUSED}
    _, found = stops(world(service(), pod(), pod("pod5", "10.244.1.3", ["127.0.0.1:9080"]), words=words))
    assert commands(found) == ["kubectl -n target-port label pod pod5 app-"]


def test_a_pod_that_cannot_be_looked_into() -> None:
    blind = pod(listens=NotHere("pod2 could not be looked into: no cat"))
    name, found = stops(world(service(), blind, answers=[answer("productpage", 9999), answer(IP, 9999)]))
    assert name == ""
    assert saw(found, "process listens") == "pod2 could not be looked into: no cat"
    assert stops(world(service(), blind))[0] == ""  # it answered, so it listens
    name, found = stops(world(service(), blind, words=refused("pod2")))
    assert name == "process listens"
    assert "pod2 refuses on 9080" in found.why


def test_a_second_port_that_a_patch_added() -> None:
    two = service(port(9999), port(9080, 9080, 1, "new"))
    words = {"ip": Word.ANSWERED}
    facts = world(two, pod(), words=words)
    broken = [
        answer(one.target.host, one.target.port, Word.REFUSED if one.target.port == 9999 else Word.ANSWERED)
        for one in facts.answers
    ]
    name, found = stops(Facts(**{**vars(facts), "answers": tuple(broken)}))
    assert (name, found.port) == ("process listens", 9999)
    assert "Port 9080: nothing stops a request." in found.also
    assert "kubectl patch" in found.also
    assert commands(found)[-1] == PATCH + """'[{"op":"remove","path":"/spec/ports/0"}]'"""
    assert not any('"path":"/spec/ports/0/port","value":9080' in command for command in commands(found))
    assert stops(Facts(**{**vars(facts), "answers": tuple(broken)}), asked=9080)[0] == ""


# --- readiness


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (pod(ready=False, terminating=True), "pod2 is being deleted"),
        (pod(ready=False, phase="Failed"), "pod2 has ended (Failed)"),
        (pod(ready=False, phase="Pending", ip="", not_ready="0/2 nodes are available."), "pod2 is Pending: 0/2 nodes"),
        (pod(ready=False, not_ready="Readiness probe failed: refused"), "pod2 is not Ready: Readiness probe failed"),
        (
            pod(ready=False, listens=(), troubles=(Trouble("second", "CrashLoopBackOff", "back-off", "bind: address in use"),)),
            "its container second does not run (CrashLoopBackOff; the last line of its log: “bind: address in use”)",
        ),
        (pod(ready=False, listens=(), troubles=(Trouble("second", "ErrImagePull", "no host"),)), "(ErrImagePull: no host)"),
    ],
)
def test_why_a_pod_is_not_ready(given: object, says: str) -> None:
    name, found = stops(world(service(), given, words=refused("pod2")))  # type: ignore[arg-type]
    assert name == "Pod is Ready"
    assert says in found.why
    assert state(found, "Endpoints are filled") is State.FAILS_TOO


def test_mends_of_a_pod_that_is_not_ready() -> None:
    def mends(**given: object) -> list[Mend]:
        return list(stops(world(service(), pod(ready=False, **given), words=refused()))[1].mends)  # type: ignore[arg-type]

    taken = Trouble("second", "CrashLoopBackOff", log="listen tcp :9080: bind: Address already in use")
    assert "Give second a port of its own" in mends(troubles=(taken,))[0].what
    assert "publishNotReadyAddresses" in mends(troubles=(taken,))[1].command
    assert mends(troubles=(Trouble("second", "ImagePullBackOff"),))[0].command.startswith(
        "kubectl -n target-port set image pod/pod2 second="
    )
    assert "kubectl -n target-port logs pod2 -c second --previous" in mends(troubles=(Trouble("second", "Error"),))[0].what
    assert "ask 9080, where it listens, in place of 8081" in mends(probe_ports=(("productpage", 8081),))[0].what
    assert mends(terminating=True)[0].command.startswith("kubectl -n target-port replace --force")
    assert "kubectl -n target-port describe pod pod2" in mends(phase="Pending", ip="")[0].what


def test_a_pod_that_is_being_deleted_and_still_answers() -> None:
    name, found = stops(world(service(), pod(ready=False, terminating=True)))
    assert name == ""
    assert saw(found, "Pod is Ready") == "pod2 is being deleted, and answers until it has ended"
    assert saw(found, "Endpoints are filled") == "10.244.1.2:9080 (pod2, being deleted)"


def test_ready_pods_are_enough() -> None:
    name, found = stops(world(service(), pod(), pod("pod5", "10.244.1.3", ready=False, not_ready="late")))
    assert name == ""
    assert saw(found, "Pod is Ready") == "pod2 is Ready; pod5 is not Ready: late"


def test_none_of_two_is_ready() -> None:
    two = [pod(ready=False), pod("pod5", "10.244.1.3", ready=False)]
    assert "none of pod2 and pod5 is." in stops(world(service(), *two, words=refused()))[1].why


def test_readiness_does_not_count() -> None:
    name, found = stops(world(service(publish_not_ready=True), pod(ready=False)))
    assert name == ""
    assert "publishNotReadyAddresses" in saw(found, "Pod is Ready")
