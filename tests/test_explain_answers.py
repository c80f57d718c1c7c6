"""labs.explain without a cluster, behind the Pods: Endpoints, NetworkPolicies, ClusterIP, node port, laptop; and its words."""

import pytest

from labs.cluster import NotHere
from labs.explain import Explanation, Hop, Mend, State, html
from labs.explain.facts import Facts, Policy
from labs.explain.way import listed
from labs.probe import Place, Word
from tests.explain_world import (
    IP,
    NODES,
    OUTSIDE,
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

# --- Endpoints


def test_a_name_that_no_container_has() -> None:
    name, found = stops(world(service(port("web")), pod(declared=(declared("http"),)), words=refused()))
    assert name == "Endpoints are filled"
    assert "no container of pod2 has a port of that name; the names there are: http." in found.why
    assert [mend.what for mend in found.mends[:2]] == [
        "targetPort 9080, where pod2 listens.",
        "targetPort http, as pod2 names it.",
    ]
    assert saw(found, "Endpoints are filled") == "10.244.1.2 without a port"


def test_a_name_for_another_protocol() -> None:
    given = pod(declared=(declared("web", protocol="UDP"),))
    assert "names a port web, but for UDP" in stops(world(service(port("web")), given, words=refused()))[1].why


def test_no_names_at_all() -> None:
    assert "none of them names a port" in stops(world(service(port("web")), pod(), words=refused()))[1].why


def test_a_name_that_means_different_numbers() -> None:
    two = [pod(declared=(declared("web"),)), pod("pod5", "10.244.1.3", ["[::]:8080"], declared=(declared("web", 8080),))]
    name, found = stops(world(service(port("web")), *two))
    assert name == ""
    assert saw(found, "Endpoints are filled") == "10.244.1.2:9080 (pod2) and 10.244.1.3:8080 (pod5)"


def test_a_pod_without_the_name_is_left_out() -> None:
    two = [pod(declared=(declared("web"),)), pod("pod5", "10.244.1.3", ["[::]:8080"])]
    name, found = stops(world(service(port("web")), *two))
    assert name == ""
    assert "pod5 is left out" in saw(found, "Endpoints are filled")


def test_endpoints_that_nobody_writes() -> None:
    name, found = stops(world(service(), pod(), words=refused(), endpoints=()))
    assert name == "Endpoints are filled"
    assert "no fault of your YAML" in found.why


# --- NetworkPolicy


DENY = Policy("deny-all", frozenset({"pod2"}))


def test_a_policy_that_stops() -> None:
    words = dict.fromkeys(("ip", "name", "pod2"), Word.TIMED_OUT)
    name, found = stops(world(service(), pod(), words=words, policies=(DENY,)))
    assert name == "NetworkPolicy lets in"
    assert commands(found) == [
        "kubectl -n target-port delete networkpolicy deny-all",
        "kubectl -n target-port patch networkpolicy deny-all --type=json -p "
        """'[{"op":"add","path":"/spec/ingress","value":[{"ports":[{"port":9080,"protocol":"TCP"}]}]}]'""",
    ]


def test_a_policy_with_rules_gets_one_more() -> None:
    words = dict.fromkeys(("ip", "pod2"), Word.TIMED_OUT)
    _, found = stops(world(service(), pod(), words=words, policies=(Policy("some", frozenset({"pod2"}), rules=1),)))
    assert '"path":"/spec/ingress/-"' in commands(found)[1]


def test_a_policy_on_the_client_that_leaves_it_dns() -> None:
    words = dict.fromkeys(("ip", "pod2"), Word.TIMED_OUT)
    name, found = stops(world(service(), pod(), words=words, policies=(Policy("closed", client=True),)))
    assert name == "NetworkPolicy lets in"
    assert commands(found) == ["kubectl -n target-port delete networkpolicy closed"]


def test_a_policy_that_lets_the_request_through() -> None:
    name, found = stops(world(service(), pod(), policies=(DENY,)))
    assert name == ""
    assert state(found, "NetworkPolicy lets in") is State.HOLDS


def test_a_policy_of_which_this_try_shows_nothing() -> None:
    _, found = stops(world(service(port(9999)), pod(), words=refused("pod2"), policies=(DENY,)))
    assert state(found, "NetworkPolicy lets in") is State.NOT_CHECKED


def test_policies_that_may_not_be_read() -> None:
    _, found = stops(world(service(), pod(), policies=NotHere("you may not list NetworkPolicies here")))
    assert state(found, "NetworkPolicy lets in") is State.NOT_CHECKED


# --- ClusterIP


def test_a_clusterip_that_nobody_asked() -> None:
    _, found = stops(world(service(), pod(), answers=[answer("10.244.1.2", 9080)]))
    assert state(found, "ClusterIP answers") is State.NOT_CHECKED


def test_an_answer_that_may_still_come_is_no_failure() -> None:
    words = dict.fromkeys(("ip", "name", "pod2"), Word.NOTHING_YET)
    name, found = stops(world(service(), pod(), words=words, policies=(DENY,)))
    assert name == ""
    assert saw(found, "ClusterIP answers") == f"{IP}:9999: nothing yet"
    assert state(found, "NetworkPolicy lets in") is State.NOT_CHECKED


def test_rules_that_are_not_right() -> None:
    name, found = stops(world(service(), pod(), words={"ip": Word.TIMED_OUT, "name": Word.TIMED_OUT}))
    assert name == "ClusterIP answers"
    assert "no fault of your YAML" in found.why


def test_a_process_that_speaks_no_http() -> None:
    words = dict.fromkeys(("ip", "name", "pod2"), Word.CLOSED)
    name, found = stops(world(service(), pod(), words=words))
    assert name == "ClusterIP answers"
    assert "Does the process speak HTTP" in found.why


def test_an_application_that_does_not_say_its_pods_name() -> None:
    assert stops(world(service(), pod(), words=dict.fromkeys(("ip", "name", "pod2"), Word.SOMETHING_ELSE)))[0] == ""
    assert stops(world(service(), pod(), words={"ip": Word.SOMETHING_ELSE}))[0] == "ClusterIP answers"


def test_internal_traffic_policy_local() -> None:
    one = service(internal_policy="Local")
    name, found = stops(world(one, pod(node="ports-control-plane"), words={"ip": Word.REFUSED, "name": Word.REFUSED}))
    assert name == "ClusterIP answers"
    assert "internalTrafficPolicy is Local" in found.why
    assert '"/spec/internalTrafficPolicy","value":"Cluster"' in commands(found)[0]


def test_headless_asked_by_port() -> None:
    one = service(cluster_ip="None")
    name, found = stops(world(one, pod(), words={"name": Word.REFUSED}))
    assert name == "ClusterIP answers"
    assert "Ask for productpage:9080." in found.why
    assert '"path":"/spec/ports/0/port","value":9080' in commands(found)[0]
    assert commands(found)[1].startswith("kubectl -n target-port delete service productpage && kubectl")
    assert stops(world(one, pod()))[0] == ""


def test_headless_without_a_ready_pod() -> None:
    one = service(cluster_ip="None")
    name, found = stops(world(one, pod(ready=False), words={"name": Word.NAME_UNKNOWN}))
    assert name == "Pod is Ready"
    assert state(found, "name resolves") is State.NOT_CHECKED


# --- from outside


def outside(words: dict[str, Word], one_type: str = "NodePort", policy: str = "Cluster", where: object = None) -> Facts:
    """A Service with a node port; words: how a request to a node's, or the laptop's, address ends."""
    facts = world(service(port(node_port=30066), type=one_type, external_policy=policy), pod())
    more = [answer(host, 30066, word, Place.LAPTOP if host == "127.0.0.1" else Place.MACHINE) for host, word in words.items()]
    known = {30066: where} if where is not None else OUTSIDE
    return Facts(**{**vars(facts), "answers": (*facts.answers, *more), "outside": known})


ALL_ANSWER = {**dict.fromkeys(NODES.values(), Word.ANSWERED), "127.0.0.1": Word.ANSWERED}


def test_a_load_balancer_that_stays_pending_is_no_fault() -> None:
    name, found = stops(outside(ALL_ANSWER, "LoadBalancer"))
    assert name == ""
    assert "<pending> is no fault" in saw(found, "node port answers")


def test_external_traffic_policy_local() -> None:
    words = {**ALL_ANSWER, "172.18.0.2": Word.TIMED_OUT, "127.0.0.1": Word.CLOSED}
    name, found = stops(outside(words, policy="Local"))
    assert name == "node port answers"
    assert "ports-control-plane has none; ports-worker has, and answers." in found.why
    assert '"/spec/externalTrafficPolicy","value":"Cluster"' in commands(found)[0]
    assert state(found, "laptop gets there") is State.FAILS_TOO


def test_external_traffic_policy_local_seen_from_the_laptop_alone() -> None:
    name, found = stops(outside({"127.0.0.1": Word.CLOSED}, policy="Local"))
    assert name == "laptop gets there"
    assert "The laptop's mapping leads to one node." in found.why
    assert state(found, "node port answers") is State.NOT_CHECKED


def test_a_node_that_does_not_answer() -> None:
    name, found = stops(outside({**ALL_ANSWER, "172.18.0.3": Word.TIMED_OUT}))
    assert name == "node port answers"
    assert "does not answer on ports-worker" in found.why


def test_a_laptop_without_a_way_is_no_fault() -> None:
    facts = outside(dict.fromkeys(NODES.values(), Word.ANSWERED), where=NotHere("kind maps only 30066"))
    name, found = stops(facts)
    assert name == ""
    assert saw(found, "laptop gets there") == "your laptop has no way there: kind maps only 30066"


@pytest.mark.parametrize(
    ("word", "says"), [(Word.REFUSED, "ends with “refused”"), (Word.SOMETHING_ELSE, "not this cluster answers")]
)
def test_a_mapping_that_does_not_work(word: Word, says: str) -> None:
    name, found = stops(outside({**ALL_ANSWER, "127.0.0.1": word}))
    assert name == "laptop gets there"
    assert says in found.why


def test_a_laptop_that_was_not_asked() -> None:
    _, found = stops(outside(dict.fromkeys(NODES.values(), Word.ANSWERED)))
    assert state(found, "laptop gets there") is State.NOT_CHECKED


def test_a_node_port_that_was_not_asked() -> None:
    _, found = stops(outside({}))
    assert state(found, "node port answers") is State.NOT_CHECKED


# --- words


def test_plain_text() -> None:
    text = str(stops(world(service(port(9999)), pod(), words=refused("pod2")))[1])
    assert text.startswith("productpage:9999: a request stops at “process listens”.")
    assert " 5. process listens        stops here   nothing listens on 9999 in pod2" in text
    assert "What would mend it, each by itself:" in text


def test_html_is_escaped_and_says_all_that_the_text_says() -> None:
    hop = Hop("protocol matches", State.STOPS, "<b>", "kubectl get 'x'")
    found = Explanation("a&b", 80, (hop,), hop, "1 < 2", (Mend("<i>", "kubectl -p '<x>'"),), "more")
    page = html(found)
    for raw in ("<b>", "1 < 2", "<i>", "'<x>'", "a&b"):
        assert raw not in page
    assert page.count("stops here") == 1
    assert "1 &lt; 2" in page
    assert html(found) == page


def test_lists_in_sentences() -> None:
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"
    assert listed("abcdef") == "a, b, c and 3 more"
