"""The embedded cluster's Service rules: what kube-proxy wrote for the same objects, and that changes add up to the whole.

A small model of nftables takes the commands and is as strict as nft: whatever is used must be there, and is not deleted.
test_embedded_rules_traffic.py sends real requests.
"""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import NodeRules, rules

RECORDED = json.loads((Path(__file__).parent / "test_embedded_rules_recorded.json").read_text("utf-8"))
PLAN = AddressPlan("dev")
NODES = [NodePlan(name, node["address"], node["pod_range"], False) for name, node in RECORDED["nodes"].items()]
SERVICES = [one for one in RECORDED["objects"] if one["kind"] == "Service"]
SLICES = [one for one in RECORDED["objects"] if one["kind"] == "EndpointSlice"]
HOST_POD = {
    "metadata": {"namespace": "ns", "name": "hp"},
    "spec": {
        "nodeName": "dev-worker",
        "containers": [{"ports": [{"containerPort": 9080, "hostPort": 8088}, {"containerPort": 1}]}],
    },
    "status": {"podIP": "10.244.1.9", "phase": "Running"},
}


class Tables:
    """What nft holds after the commands so far."""

    def __init__(self, commands: list[dict[str, Any]]) -> None:
        self.chains: dict[tuple[str, str], dict[str, Any]] = {}
        self.sets: dict[tuple[str, str], dict[str, Any]] = {}
        self.elements: dict[tuple[str, str], dict[str, Any]] = {}
        self.run(commands)

    def run(self, commands: list[dict[str, Any]]) -> None:
        for one in commands:
            verb, body = next(iter(one.items()))
            kind, body = next(iter(body.items()))
            assert body["family"] == "ip"
            if kind == "table":
                if verb == "delete":
                    for held in (self.chains, self.sets, self.elements):
                        for key in [key for key in held if key[0] == body["name"]]:
                            del held[key]
                continue
            key = (body["table"], body.get("chain") or body["name"])
            getattr(self, f"{verb}_{'set' if kind == 'map' else kind}")(key, body)
        self._nothing_dangles()

    def add_chain(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        hook = {name: body[name] for name in ("type", "hook", "prio", "policy") if name in body}
        self.chains.setdefault(key, {"hook": hook, "rules": []})

    def flush_chain(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        self.chains[key]["rules"] = []

    def delete_chain(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        assert not self.chains[key]["rules"], "a chain is flushed before it is deleted"
        del self.chains[key]

    def add_set(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        made = {name: body[name] for name in ("type", "map", "timeout") if name in body}
        assert self.sets.setdefault(key, made) == made, "a set there is has other properties"
        self.elements.setdefault(key, {})

    def delete_set(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        del self.sets[key], self.elements[key]
        rules = json.dumps([chain["rules"] for (table, _), chain in self.chains.items() if table == key[0]])
        assert f'"@{key[1]}"' not in rules, "a set that a rule uses is deleted"

    def add_rule(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        self.chains[key]["rules"].append([body["expr"], body.get("comment", "")])

    def add_element(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        for one in body["elem"]:
            held, text = self.elements[key], _element_key(one)
            assert text not in held, "an element is added twice"
            held[text] = one

    def delete_element(self, key: tuple[str, str], body: dict[str, Any]) -> None:
        for one in body["elem"]:
            del self.elements[key][_element_key(one)]

    def _nothing_dangles(self) -> None:
        for table in {table for table, _ in self.chains}:
            chains = {name for one, name in self.chains if one == table}
            sets = {name for one, name in self.sets if one == table}
            text = json.dumps(
                [chain["rules"] for key, chain in self.chains.items() if key[0] == table]
                + [list(held.values()) for key, held in self.elements.items() if key[0] == table]
            )
            for target in _after(text, '"target": "'):
                assert target in chains, f"a verdict leads to {target}, which is not there"
            for name in _after(text, '"@'):
                assert name in sets, f"a rule uses {name}, which is not there"

    def state(self, table: str, swept: bool = False) -> dict[str, Any]:
        """To compare: without order where nft has none; swept: without chains that are empty and have no hook."""
        chains = {name: chain for (one, name), chain in self.chains.items() if one == table}
        if swept:
            chains = {name: chain for name, chain in chains.items() if chain["hook"] or chain["rules"]}
        elements = {name: held for (one, name), held in self.elements.items() if one == table and held}
        return {
            "chains": chains,
            "sets": {name: one for (t, name), one in self.sets.items() if t == table},
            "elements": {
                name: sorted(json.dumps(one, sort_keys=True) for one in held.values()) for name, held in elements.items()
            },
        }


def _after(text: str, mark: str) -> set[str]:
    return {part.split('"')[0] for part in text.split(mark)[1:]}


def _element_key(element: Any) -> str:
    key = element[0] if isinstance(element, list) else element
    key = key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key
    return json.dumps(key)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_node_has_the_rules_that_kube_proxy_wrote(node: NodePlan) -> None:
    recorded = RECORDED["tables"][node.name]
    wrote = {
        "chains": recorded["chains"],
        "sets": recorded["sets"],
        "elements": {
            name: sorted(json.dumps(one, sort_keys=True) for one in held) for name, held in recorded["elements"].items() if held
        },
    }
    ours = Tables(rules(SERVICES, SLICES, node, PLAN)).state("kube-proxy")
    assert ours["sets"] == wrote["sets"]
    assert ours["elements"] == wrote["elements"]
    assert ours["chains"] == wrote["chains"]


def _variants(rng: random.Random, obj: dict[str, Any]) -> dict[str, Any]:
    """The object, changed somewhat as a learner might."""
    made = copy.deepcopy(obj)
    if obj["kind"] == "Service":
        spec = made["spec"]
        for port in spec.get("ports") or []:
            port["port"] = rng.choice([port["port"], 81])
        if spec.get("clusterIP") not in (None, "None"):
            spec["internalTrafficPolicy"] = rng.choice(["Cluster", "Local"])
            spec["sessionAffinity"] = rng.choice(["None", "ClientIP"])
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": rng.choice([5, 10800])}}
            if "nodePort" in json.dumps(spec):
                spec["externalTrafficPolicy"] = rng.choice(["Cluster", "Local"])
    else:
        made["endpoints"] = [one for one in made["endpoints"] or [] if rng.random() < 0.7]
        for port in made["ports"] or []:
            port["port"] = rng.choice([9080, 9081])
        if rng.random() < 0.1:
            made["metadata"]["labels"] = {"kubernetes.io/service-name": rng.choice(SERVICES)["metadata"]["name"]}
    return made


@pytest.mark.parametrize("seed", range(12))
def test_changes_add_up_to_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    node = rng.choice(NODES)
    running = NodeRules(node, PLAN)
    tables = Tables(running.whole())
    present: dict[tuple[str, str, str], tuple[str, dict[str, Any]]] = {}
    kinds = {"Service": "services", "EndpointSlice": "endpointslices"}
    for _ in range(60):
        for obj in rng.sample([*SERVICES, *SLICES], rng.choice([1, 1, 3])):
            key = (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
            if key in present and rng.random() < 0.3:
                running.see(*present.pop(key), gone=True)
            else:
                present[key] = (kinds[obj["kind"]], _variants(rng, obj))
                running.see(*present[key])
        pod = copy.deepcopy(HOST_POD)
        pod["metadata"]["name"] = rng.choice(["hp", "hp2"])  # the second takes the host port while the first still ends
        running.see("pods", pod, gone=rng.random() < 0.5)
        tables.run(running.change().commands)
        if rng.random() < 0.3:
            tables.run(running.sweep())
    seen = [obj for _, obj in present.values()]
    services = [one for one in seen if one["kind"] == "Service"]
    whole = Tables(rules(services, [one for one in seen if one["kind"] == "EndpointSlice"], node, PLAN))
    assert tables.state("kube-proxy", swept=True) == whole.state("kube-proxy", swept=True)
    tables.run(running.sweep())
    assert set(tables.chains) - {key for key in tables.chains if key[0] == "pod-network"} == {
        key for key in whole.chains if key[0] == "kube-proxy"
    }


def test_a_change_is_as_small_as_what_changed() -> None:
    running = NodeRules(NODES[1], PLAN)
    for obj in SERVICES:
        running.see("services", obj)
    for obj in SLICES:
        running.see("endpointslices", obj)
    running.whole()
    service = next(one for one in SERVICES if one["metadata"]["name"] == "one")
    assert not running.see("services", service), "nothing is new"
    assert running.change().commands == []
    other = copy.deepcopy(service)
    other["metadata"]["annotations"] = {"a": "b"}
    assert not running.see("services", other), "rules do not depend on annotations"
    other = copy.deepcopy(other)
    other["spec"]["ports"][0]["port"] = 8888
    assert running.see("services", other)
    address = service["spec"]["clusterIP"]
    said = [json.dumps(one) for one in running.change().commands]
    assert len(said) == 2 and all(address in one for one in said), "one element goes, one comes; its chain stays"


def test_the_rules_for_comparing_are_the_whole_and_change_nothing() -> None:
    made = NodeRules(NODES[0], PLAN)
    for service in SERVICES:
        made.see("services", service)
    written = made.whole()
    for endpoint_slice in SLICES:
        made.see("endpointslices", endpoint_slice)
    other = copy.deepcopy(made)
    assert made.fresh() == rules(SERVICES, SLICES, NODES[0], PLAN) != written
    assert made.change() == other.change()


def test_udp_destinations_are_named_where_connections_must_be_forgotten() -> None:
    running = NodeRules(NODES[1], PLAN)
    service = next(one for one in SERVICES if one["metadata"]["name"] == "three")
    part = next(one for one in SLICES if one["metadata"]["name"] == "three-s")
    running.see("services", service)
    running.whole()
    running.see("endpointslices", part)
    assert running.change().stale_udp == {(service["spec"]["clusterIP"], 53)}
    assert running.change().stale_udp == set()


@pytest.mark.parametrize(
    ("name", "labels", "spec"),
    [
        ("headless", {}, {"clusterIP": "None"}),
        ("ExternalName", {}, {"type": "ExternalName", "externalName": "example.com"}),
        ("of another proxy", {"service.kubernetes.io/service-proxy-name": "mine"}, {"clusterIP": "10.96.0.77"}),
    ],
)
def test_services_that_are_not_kube_proxys_have_no_rules(name: str, labels: dict[str, str], spec: dict[str, Any]) -> None:
    service = {"metadata": {"namespace": "ns", "name": "s", "labels": labels}, "spec": {"ports": [{"port": 80}], **spec}}
    assert Tables(rules([service], [], NODES[0], PLAN)).state("kube-proxy") == Tables(rules([], [], NODES[0], PLAN)).state(
        "kube-proxy"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"nodeName": "dev-control-plane"}},
        {"spec": {"hostNetwork": True}},
        {"status": {"podIP": ""}},
        {"status": {"phase": "Succeeded"}},
    ],
    ids=str,
)
def test_a_host_port_is_open_on_its_pods_node_while_the_pod_runs(change: dict[str, Any]) -> None:
    pods = [HOST_POD, copy.deepcopy(HOST_POD)]
    for part, values in change.items():
        pods[1][part] |= values
    there, not_there = (
        Tables(rules([], [], NODES[1], PLAN, [pod])).state("pod-network")["elements"].get("host-ports") for pod in pods
    )
    assert there is not None and len(there) == 1 and '"tcp", 8088' in there[0]
    assert not_there is None
