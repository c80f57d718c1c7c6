"""The knobs: what may be typed, what a turned knob makes of a manifest, what a server's copy looks like to a learner."""

import copy
import json
from typing import Any

import pytest

from labs import knobs, workload
from labs.deploy import LESSON, read_manifests
from labs.errors import BadInput

NODE_PORT = read_manifests("07-service-nodeport-30066")[0]
NO_TARGET = read_manifests("04-service-without-targetport")[0]
POD = workload.pod("pod2", {"app": "productpage"})

# The API server's copy of NODE_PORT and of POD (v1.37.2, shortened only where it repeats itself).
SERVER_SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "productpage",
        "namespace": "all-four",
        "uid": "5b0f",
        "resourceVersion": "812",
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "labels": {"app": "productpage", "service": "productpage", LESSON: "05-all-four"},
        "managedFields": [{}],
    },
    "spec": {
        "allocateLoadBalancerNodePorts": True,
        "clusterIP": "10.97.239.58",
        "clusterIPs": ["10.97.239.58"],
        "externalTrafficPolicy": "Cluster",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"name": "http", "nodePort": 30066, "port": 9999, "protocol": "TCP", "targetPort": 9080}],
        "selector": {"app": "productpage"},
        "sessionAffinity": "None",
        "type": "NodePort",
    },
    "status": {"loadBalancer": {}},
}


def server_pod() -> dict[str, Any]:
    """POD as the API server and the kubelet fill it in."""
    pod = copy.deepcopy(POD)
    pod["metadata"] |= {"namespace": "all-four", "uid": "77", "labels": {"app": "productpage", LESSON: "05-all-four"}}
    pod["spec"] |= {
        "nodeName": "ports-worker",
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
    }
    for container in pod["spec"]["containers"]:
        container |= {"resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
    first = pod["spec"]["containers"][0]
    first["ports"][0]["protocol"] = "TCP"
    first["readinessProbe"] |= {"timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}
    first["readinessProbe"]["httpGet"]["scheme"] = "HTTP"
    pod["status"] = {"podIP": "10.244.1.2"}
    return pod


# --- what may be typed


@pytest.mark.parametrize("name", ["port", "targetPort", "nodePort", "containerPort", "listenPort"])
@pytest.mark.parametrize("text", ["0", "65536", "-1", "+80", "08", "00000000080", "9" * 5000, "9080 ", " 9080", "90 80"])
def test_what_cannot_be_a_port_is_never_sent(name: str, text: str) -> None:
    with pytest.raises(BadInput) as told:
        knobs.parsed(name, text)
    assert told.value.what and told.value.why and told.value.try_this
    assert len(str(told.value)) < 300, "a long input must not flood the screen"


@pytest.mark.parametrize("name", ["port", "nodePort", "containerPort", "listenPort"])
@pytest.mark.parametrize("text", ["abc", "99.5", "0x50", "1_000", "９０８０", "1e3", "80;id"])
def test_only_target_port_takes_words(name: str, text: str) -> None:
    with pytest.raises(BadInput):
        knobs.parsed(name, text)


@pytest.mark.parametrize("name", ["port", "targetPort", "nodePort", "containerPort", "listenPort"])
@pytest.mark.parametrize("number", [1, 80, 9080, 30066, 65535])
def test_a_port_is_a_number(name: str, number: int) -> None:
    assert knobs.parsed(name, str(number)) == number


def test_what_the_api_server_judges_is_left_to_it() -> None:
    assert knobs.parsed("nodePort", "80") == 80
    assert knobs.parsed("targetPort", "Bad_Name") == "Bad_Name"
    assert knobs.parsed("targetPort", '"9080"') == "9080"  # a name: the YAML must hold it in quotes
    assert knobs.parsed("portName", "way-too-long-for-a-port-name") == "way-too-long-for-a-port-name"


@pytest.mark.parametrize("name", ["targetPort", "nodePort", "containerPort", "portName"])
def test_what_may_be_left_out(name: str) -> None:
    assert knobs.parsed(name, "") is None


@pytest.mark.parametrize("name", ["port", "listenPort"])
def test_what_may_not_be_left_out(name: str) -> None:
    with pytest.raises(BadInput):
        knobs.parsed(name, "")


def test_choices() -> None:
    assert knobs.parsed("type", "LoadBalancer") == "LoadBalancer"
    for name, text in (("type", "ExternalName"), ("listenAddress", "::1"), ("type", "")):
        with pytest.raises(BadInput, match="It can be"):
            knobs.parsed(name, text)


def test_an_unknown_knob_is_told_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="targetPort"):
        knobs.parsed("targetport", "80")


# --- a Service, turned


def port_of(service: dict[str, Any]) -> dict[str, Any]:
    return dict(service["spec"]["ports"][0])


def test_values_of_a_service() -> None:
    assert knobs.values(NODE_PORT) == {"type": "NodePort", "nodePort": "30066", "port": "9999", "targetPort": "9080"}
    assert knobs.values(NO_TARGET) == {"type": "ClusterIP", "nodePort": "", "port": "9999", "targetPort": ""}


@pytest.mark.parametrize(("name", "value"), [("port", 80), ("targetPort", 9999), ("targetPort", "web"), ("nodePort", 80)])
def test_turning_a_number_changes_that_number_alone(name: str, value: object) -> None:
    new = knobs.turned(NODE_PORT, name, value)  # type: ignore[arg-type]
    assert port_of(new) == {**port_of(NODE_PORT), name: value}
    assert {k: v for k, v in new["spec"].items() if k != "ports"} == {
        k: v for k, v in NODE_PORT["spec"].items() if k != "ports"
    }
    assert port_of(NODE_PORT)["targetPort"] == 9080, "the manifest given must stay as it was"


def test_left_out_is_left_out_of_the_yaml() -> None:
    assert "targetPort" not in port_of(knobs.turned(NODE_PORT, "targetPort", None))


@pytest.mark.parametrize("value", ["ClusterIP", "headless"])
def test_what_may_have_no_node_port_loses_it(value: str) -> None:
    new = knobs.turned(NODE_PORT, "type", value)
    assert "nodePort" not in port_of(new)
    assert knobs.values(new)["type"] == value


def test_headless_and_back() -> None:
    headless = knobs.turned(NODE_PORT, "type", "headless")
    assert (headless["spec"]["type"], headless["spec"]["clusterIP"]) == ("ClusterIP", "None")
    back = knobs.turned(headless, "type", "NodePort")
    assert back["spec"]["type"] == "NodePort"
    assert "clusterIP" not in back["spec"]


def test_load_balancer_keeps_its_node_port() -> None:
    assert port_of(knobs.turned(NODE_PORT, "type", "LoadBalancer"))["nodePort"] == 30066


# --- a Pod, turned


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
@pytest.mark.parametrize(("declared", "name"), [(None, None), (80, None), (9080, "web")])
def test_values_of_a_pod_are_those_it_was_made_with(address: str, declared: int | None, name: str | None) -> None:
    pod = workload.pod("pod2", {}, 1234, address, container_port=declared, port_name=name)
    assert knobs.values(pod) == {
        "containerPort": str(declared or ""),
        "portName": name or "",
        "listenPort": "1234",
        "listenAddress": address,
    }


def test_the_articles_own_pod_can_be_read_too() -> None:
    pod = read_manifests("02-pod2")[0]
    assert knobs.values(pod) == {"containerPort": "9080", "portName": "", "listenPort": "9080", "listenAddress": "0.0.0.0"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("containerPort", "80"),
        ("containerPort", ""),
        ("portName", "web"),
        ("listenPort", "9999"),
        ("listenAddress", "127.0.0.1"),
    ],
)
def test_a_pod_knob_shows_the_value_it_was_set_to_and_no_other_moves(name: str, text: str) -> None:
    new = knobs.turned(POD, name, knobs.parsed(name, text))
    assert knobs.values(new) == {**knobs.values(POD), name: text}
    assert new["metadata"] == POD["metadata"]
    assert new["spec"]["containers"][1] == POD["spec"]["containers"][1]


def test_declaring_leaves_the_process_and_listening_leaves_the_declaration() -> None:
    declared = knobs.turned(POD, "containerPort", 80)["spec"]["containers"][0]
    assert declared["args"] == POD["spec"]["containers"][0]["args"]
    listening = knobs.turned(POD, "listenPort", 9999)["spec"]["containers"][0]
    assert listening["ports"] == POD["spec"]["containers"][0]["ports"]
    assert listening["readinessProbe"]["httpGet"]["port"] == 9999, "or the Pod would never be Ready"


def test_to_loopback_and_back_is_the_same_pod() -> None:
    there = knobs.turned(POD, "listenAddress", "127.0.0.1")
    assert "args" not in there["spec"]["containers"][0]
    assert knobs.turned(there, "listenAddress", "0.0.0.0") == POD


def test_what_else_a_pod_has_stays() -> None:
    pod = read_manifests("02-pod2")[0]
    pod["spec"]["containers"][0]["env"] = [{"name": "A", "value": "b"}]
    assert knobs.turned(pod, "listenPort", 80)["spec"]["containers"][0]["env"] == [{"name": "A", "value": "b"}]


def test_other_declared_ports_stay() -> None:
    pod = copy.deepcopy(POD)
    pod["spec"]["containers"][0]["ports"].append({"containerPort": 9443})
    ports = [knobs.turned(pod, "containerPort", value)["spec"]["containers"][0]["ports"] for value in (80, None)]
    assert ports == [[{"containerPort": 80}, {"containerPort": 9443}], [{"containerPort": 9443}]]


def test_no_name_without_a_declared_port() -> None:
    bare = knobs.turned(POD, "containerPort", None)
    with pytest.raises(BadInput, match="containerPort"):
        knobs.turned(bare, "portName", "web")
    named = knobs.turned(POD, "portName", "web")
    assert knobs.values(knobs.turned(named, "containerPort", None))["portName"] == ""


def applied(patch: list[dict[str, Any]], pod: dict[str, Any]) -> dict[str, Any]:
    new = copy.deepcopy(pod)
    for step in patch:
        key = step["path"].removeprefix("/spec/containers/0/")
        if step["op"] == "remove":
            del new["spec"]["containers"][0][key]
        else:
            assert (step["op"] == "replace") == (key in new["spec"]["containers"][0])
            new["spec"]["containers"][0][key] = step["value"]
    return new


@pytest.mark.parametrize(("name", "text"), [("containerPort", ""), ("listenAddress", "127.0.0.1"), ("listenPort", "80")])
def test_the_patch_asks_for_what_changes_and_nothing_else(name: str, text: str) -> None:
    new = knobs.turned(POD, name, knobs.parsed(name, text))
    patch = knobs.pod_patch(POD, new)
    assert applied(patch, POD) == new
    assert knobs.pod_patch(POD, POD) == []


# --- a server's copy, as a learner would write it


def test_a_service_comes_back_as_it_was_written() -> None:
    assert knobs.as_written(SERVER_SERVICE) == NODE_PORT


def test_a_pod_comes_back_as_it_was_written() -> None:
    written = copy.deepcopy(POD)
    for container in written["spec"]["containers"]:
        del container["imagePullPolicy"]  # what the API server fills in for an image with a tag
    assert knobs.as_written(server_pod()) == written


def test_what_is_sent_tells_kubectl_what_was_applied() -> None:
    sent = knobs.as_sent(NODE_PORT)
    assert json.loads(sent["metadata"]["annotations"][knobs.LAST_APPLIED]) == NODE_PORT
    assert knobs.as_written(sent) == NODE_PORT, "the note is not for the learner's eyes"


def test_a_learners_annotation_stays() -> None:
    server = copy.deepcopy(SERVER_SERVICE)
    server["metadata"]["annotations"] = {"mine": "1", knobs.LAST_APPLIED: "{}"}
    assert knobs.as_written(server)["metadata"]["annotations"] == {"mine": "1"}
    assert knobs.as_sent(knobs.as_written(server))["metadata"]["annotations"]["mine"] == "1"


def test_what_is_not_the_default_stays() -> None:
    server = copy.deepcopy(SERVER_SERVICE)
    server["spec"]["externalTrafficPolicy"] = "Local"
    server["spec"]["ports"][0]["protocol"] = "UDP"
    spec = knobs.as_written(server)["spec"]
    assert (spec["externalTrafficPolicy"], spec["ports"][0]["protocol"]) == ("Local", "UDP")


# --- for display


def test_the_diff_of_a_number() -> None:
    lines = knobs.yaml_diff(NODE_PORT, knobs.turned(NODE_PORT, "targetPort", 9999))
    assert [line for line in lines if line[0] in "+-"] == [("-", "    targetPort: 9080"), ("+", "    targetPort: 9999")]
    assert (" ", "    nodePort: 30066") in lines


def test_the_diff_shows_quotes_where_a_number_is_a_name() -> None:
    assert ("+", "    targetPort: '9080'") in knobs.yaml_diff(NO_TARGET, knobs.turned(NO_TARGET, "targetPort", "9080"))


def test_the_diff_of_what_was_not_there_is_all_of_it() -> None:
    lines = knobs.yaml_diff(None, NODE_PORT)
    assert {sign for sign, _ in lines} <= {"+", "…"}
    assert ("+", "kind: Service") in lines


def test_nothing_changed_no_diff() -> None:
    assert knobs.yaml_diff(NODE_PORT, NODE_PORT) == []


def test_a_long_script_is_cut_short_in_the_yaml_on_the_screen_only() -> None:
    there = knobs.turned(POD, "listenAddress", "127.0.0.1")
    text = knobs.as_yaml(there)
    assert "cut short here" in text
    assert max(map(len, text.splitlines())) < 120
    assert "coproc" in there["spec"]["containers"][0]["command"][2]


def test_yaml_has_no_anchors() -> None:
    assert "&" not in knobs.as_yaml(read_manifests("02-pod2")[0])
