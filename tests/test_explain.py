"""labs.explain without a cluster, up to the selector: the hop that fails, why, and the mends. Whether they mend: contract/."""

from labs.explain import State
from labs.explain.diagnose import NAMES, diagnose
from labs.explain.facts import Endpoint, Facts, Policy
from labs.probe import Place, Word
from tests.explain_world import (
    IP,
    LABELS,
    NODES,
    OUTSIDE,
    PATCH,
    answer,
    commands,
    pod,
    port,
    refused,
    saw,
    service,
    state,
    stops,
    world,
)

# --- all is well


def test_nothing_stops_a_request() -> None:
    name, found = stops(world(service(), pod()))
    assert name == ""
    assert found.mends == ()
    assert found.port == 9999
    assert [hop.name for hop in found.hops] == list(NAMES)
    assert saw(found, "process listens") == "pod2 on [::]:9080, every address"
    assert saw(found, "Endpoints are filled") == "10.244.1.2:9080 (pod2)"
    assert "“node port answers”" in found.why


def test_every_hop_with_a_node_port_and_a_laptop() -> None:
    one = service(port(node_port=30066), type="NodePort")
    facts = world(one, pod())
    more = [answer(address, 30066) for address in NODES.values()] + [answer("127.0.0.1", 30066, place=Place.LAPTOP)]
    name, found = stops(Facts(**{**vars(facts), "answers": (*facts.answers, *more), "outside": OUTSIDE}))
    assert (name, found.why) == ("", "Every hop holds.")


# --- the Service


def test_no_such_service_names_the_nearest_and_makes_one() -> None:
    facts = Facts("target-port", "productpag", None, ("details", "productpage"), (pod(), pod("client", ours=True)))
    name, found = stops(facts)
    assert name == "Service is there"
    assert "There are: details and productpage. Did you mean productpage?" in found.why
    assert commands(found) == ["kubectl -n target-port expose pod pod2 --name=productpag --port=9080"]
    assert {hop.state for hop in found.hops[1:]} == {State.NOT_CHECKED}


def test_no_service_and_nothing_to_put_it_before() -> None:
    name, found = stops(Facts("target-port", "productpage", None, (), (pod(listens=()),)))
    assert name == "Service is there"
    assert "There is no Service at all" in found.why
    assert commands(found) == []


def test_a_port_that_the_service_does_not_have() -> None:
    name, found = stops(world(service(), pod()), asked=80)
    assert (name, found.port) == ("Service is there", 80)
    assert "has port 9999, and 80 was asked for" in found.why
    assert commands(found) == [PATCH + """'[{"op":"replace","path":"/spec/ports/0/port","value":80}]'"""]


def test_a_port_that_a_service_of_two_does_not_have() -> None:
    two = service(port(), port(9081, 9998, 1, "more"))
    name, found = stops(world(two, pod(listens=["[::]:9080", "[::]:9081"])), asked=80)
    assert name == "Service is there"
    assert commands(found) == []


def test_a_headless_service_without_ports() -> None:
    facts = world(service(), pod())
    assert facts.service is not None
    bare = Facts(**{**vars(facts), "service": type(facts.service)("productpage", (), LABELS, cluster_ip="None")})
    assert stops(bare)[0] == "Service is there"


def test_external_name() -> None:
    one = service(type="ExternalName", cluster_ip="", external_name="example.invalid")
    name, found = stops(world(one, answers=[answer("productpage", 9999, Word.NAME_UNKNOWN)]))
    assert name == "ClusterIP answers"
    assert "DNS says “see example.invalid”" in found.why
    assert state(found, "name resolves") is State.NOT_CHECKED
    assert '"path":"/spec/externalName"' in commands(found)[0]


def test_external_name_that_leads_nowhere_and_has_no_selector() -> None:
    one = service(type="ExternalName", cluster_ip="", external_name="example.invalid", selector={})
    name, found = stops(world(one, answers=[answer("productpage", 9999, Word.REFUSED)]))
    assert name == "ClusterIP answers"
    assert state(found, "name resolves") is State.HOLDS
    assert commands(found) == []


def test_an_external_name_that_answers_stops_nowhere() -> None:
    one = service(type="ExternalName", cluster_ip="", external_name="example.invalid")
    found = diagnose(world(one, answers=[answer("productpage", 9999, Word.SOMETHING_ELSE)]))
    assert found.stops_at is None
    assert state(found, "name resolves") is State.HOLDS
    assert state(found, "ClusterIP answers") is State.NOT_CHECKED


# --- name and protocol


def test_a_name_that_dns_does_not_know() -> None:
    name, found = stops(world(service(), pod(), words={"name": Word.NAME_UNKNOWN}))
    assert name == "name resolves"
    assert "kube-dns" in str(found)


def test_a_name_that_takes_forever_while_the_address_answers() -> None:
    assert stops(world(service(), pod(), words={"name": Word.TIMED_OUT}))[0] == "name resolves"


def test_a_policy_on_the_client_stops_its_dns() -> None:
    policies = (Policy("closed", client=True),)
    name, found = stops(world(service(), pod(), words={"name": Word.NAME_UNKNOWN}, policies=policies))
    assert name == "name resolves"
    assert commands(found) == ["kubectl -n target-port delete networkpolicy closed"]


def test_no_request_by_name() -> None:
    _, found = stops(world(service(), pod(), answers=[answer(IP, 9999)]))
    assert state(found, "name resolves") is State.NOT_CHECKED


def test_udp() -> None:
    name, found = stops(world(service(port(protocol="UDP")), pod(), words=refused()))
    assert name == "protocol matches"
    assert commands(found) == [PATCH + """'[{"op":"replace","path":"/spec/ports/0/protocol","value":"TCP"}]'"""]


def test_udp_and_a_wrong_target_are_mended_together() -> None:
    _, found = stops(world(service(port(53, protocol="UDP")), pod(), words=refused("pod2")))
    assert '"path":"/spec/ports/0/targetPort","value":9080' in commands(found)[0]


def test_udp_beside_tcp_is_no_fault() -> None:
    name, found = stops(world(service(port(), port(9080, 9999, 1, "udp", protocol="UDP")), pod()))
    assert name == ""
    assert "Port 9999 is for UDP" in found.also


# --- selector


def test_the_nearest_pod_is_named() -> None:
    one = service(selector={"app": "productpag"})
    name, found = stops(world(one, pod("pod1", labels={"app": "details"}), pod(), words=refused()))
    assert name == "selector matches Pods"
    assert "the nearest, pod2, has app=productpage" in found.why
    assert commands(found) == [
        PATCH + """'[{"op":"add","path":"/spec/selector","value":{"app":"productpage"}}]'""",
        "kubectl -n target-port label pod pod2 --overwrite app=productpag",
    ]
    assert state(found, "process listens") is State.NOT_CHECKED
    assert state(found, "Endpoints are filled") is State.FAILS_TOO
    assert state(found, "ClusterIP answers") is State.FAILS_TOO


def test_our_own_labels_are_not_offered() -> None:
    one = service(selector={"tier": "front"})
    labels = {"app": "productpage", "labs.ports/lesson": "02-target-port"}
    _, found = stops(world(one, pod(labels=labels), words=refused()))
    assert '"value":{"app":"productpage"}' in commands(found)[0]
    assert "labs.ports" not in str(found)


def test_a_pod_without_labels_can_only_be_given_some() -> None:
    _, found = stops(world(service(), pod(labels={}), words=refused()))
    assert commands(found) == ["kubectl -n target-port label pod pod2 --overwrite app=productpage"]


def test_no_pods_but_our_own() -> None:
    name, found = stops(world(service(), pod("client", labels={}, ours=True), words=refused()))
    assert name == "selector matches Pods"
    assert commands(found) == ["kubectl -n target-port replace --force -f ../labs/manifests/02-pod2.yaml"]


def test_no_pods_and_another_label_and_target() -> None:
    _, found = stops(world(service(port(8000), selector={"app": "shop"}), words=refused()))
    (command,) = commands(found)
    assert "label --local -f ../labs/manifests/02-pod2.yaml --overwrite app=shop" in command
    assert command.endswith("""'[{"op":"replace","path":"/spec/ports/0/targetPort","value":9080}]'""")


def test_no_selector() -> None:
    name, found = stops(world(service(selector={}), pod(), words=refused()))
    assert name == "selector matches Pods"
    assert len(commands(found)) == 1
    assert commands(stops(world(service(selector={}), words=refused()))[1]) == []


def test_endpoints_by_hand() -> None:
    name, found = stops(world(service(selector={}), endpoints=(Endpoint("http", "192.0.2.1", 80),)))
    assert name == ""
    assert saw(found, "Endpoints are filled") == "192.0.2.1:80"
