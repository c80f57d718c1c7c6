"""Endpoints and EndpointSlices of the embedded cluster, as its controllers make them of Services and Pods.

Also compared with what a real cluster's made (test_embedded_endpoints_recorded.json): a replay.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from labs.embedded import controllers
from tests.embedded_controllers_world import World

RECORDED = json.loads((Path(__file__).parent / "test_embedded_endpoints_recorded.json").read_text("utf-8"))
RESOURCES = {"Pod": "pods", "Service": "services", "Endpoints": "endpoints", "EndpointSlice": "endpointslices"}
Object = dict[str, Any]


@pytest.fixture
def world() -> World:
    return World()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _comparable(obj: Object) -> Object:
    metadata = obj["metadata"]
    kept = {key: metadata[key] for key in ("namespace", "labels") if key in metadata}
    for owner in metadata.get("ownerReferences") or []:
        kept["owner"] = {key: owner[key] for key in ("apiVersion", "kind", "name", "controller", "blockOwnerDeletion")}
    kept |= {"owner": obj["owner"]} if "owner" in obj else {}
    kept |= {"name": metadata["name"]} if obj["kind"] == "Endpoints" else {}
    body = {key: value for key, value in obj.items() if key not in ("metadata", "owner")}
    for endpoint in body.get("endpoints") or []:
        endpoint.get("targetRef", {}).pop("uid", None)
    for subset in body.get("subsets") or []:
        for address in subset.get("addresses", []) + subset.get("notReadyAddresses", []):
            address.get("targetRef", {}).pop("uid", None)
        subset["ports"] = sorted(subset.get("ports") or [], key=_text)
    if "subsets" in body:
        body["subsets"] = sorted(body["subsets"], key=_text)
    if obj["kind"] == "EndpointSlice":
        for part in ("endpoints", "ports"):  # their order is that of a hash there
            body[part] = sorted(body[part] or [], key=_text) or None
    return kept | body


def test_services_get_the_endpoints_that_a_real_cluster_gave_them() -> None:
    world = World()
    world.store.create("namespaces", {"metadata": {"name": "ctl-eps"}, "spec": {}})
    for obj in RECORDED["given"]:
        world.store.create(RESOURCES[obj["kind"]], obj)
    made = world.store.list("endpoints", "ctl-eps") + world.store.list("endpointslices", "ctl-eps")
    made = [one for one in made if one["metadata"]["name"] != "hand" or one["kind"] == "EndpointSlice"]
    ours = sorted(_text(_comparable(copy.deepcopy(one))) for one in made)
    real = sorted(_text(_comparable(copy.deepcopy(one))) for one in RECORDED["made"])
    assert ours == real


def test_a_slice_keeps_its_name_when_the_target_port_changes(world: World) -> None:
    world.service("s", ports=[{"port": 80, "targetPort": 9080}])
    world.ready(world.pod("a", {"app": "web"}))
    [before] = world.all("endpointslices")
    assert before["metadata"]["name"].startswith("s-") and before["ports"][0]["port"] == 9080
    world.change("services", "s", spec={"ports": [{"port": 80, "targetPort": 9999}]})
    [after] = world.all("endpointslices")
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["ports"][0]["port"] == 9999 and after["metadata"]["generation"] == before["metadata"]["generation"] + 1


def test_readiness_and_ending_in_the_slice(world: World) -> None:
    world.service("s")
    pod = world.pod("a", {"app": "web"})
    [empty] = world.all("endpointslices")
    assert (empty["endpoints"], empty["ports"]) == (None, None), "a Pod without an address is no endpoint"

    def state() -> Object:
        [one] = world.all("endpointslices")[0]["endpoints"]
        return one["conditions"]

    world.ready(pod, False)
    assert state() == {"ready": False, "serving": False, "terminating": False}
    assert "addresses" not in world.get("endpoints", "s")["subsets"][0]
    world.ready(pod)
    assert state() == {"ready": True, "serving": True, "terminating": False}
    controllers.objects.delete(world.store, "pods", world.get("pods", "a"))
    assert state() == {"ready": False, "serving": True, "terminating": True}
    assert "subsets" not in world.get("endpoints", "s"), "what ends is in the slice alone"
    world.end_pods()
    assert world.all("endpointslices")[0]["endpoints"] is None


def test_what_is_not_about_endpoints_writes_nothing(world: World) -> None:
    world.service("s")
    pod = world.pod("a", {"app": "web"})
    world.ready(pod)
    revisions = [one["metadata"]["resourceVersion"] for one in world.all("endpointslices") + world.all("endpoints")]
    world.change("pods", "a", status={"qosClass": "BestEffort"})
    world.change("services", "s", spec={"internalTrafficPolicy": "Local"})
    assert [one["metadata"]["resourceVersion"] for one in world.all("endpointslices") + world.all("endpoints")] == revisions


def test_a_service_takes_its_endpoints_with_it(world: World) -> None:
    world.service("s")
    world.store.remove("services", "ns", "s")
    assert world.all("endpoints") == [] and world.all("endpointslices") == []


def test_a_slice_that_somebody_deletes_comes_back(world: World) -> None:
    world.service("s")
    world.ready(world.pod("a", {"app": "web"}))
    [one] = world.all("endpointslices")
    world.store.remove("endpointslices", "ns", one["metadata"]["name"])
    [again] = world.all("endpointslices")
    assert again["metadata"]["name"] != one["metadata"]["name"] and again["endpoints"] == one["endpoints"]


def test_a_hundred_endpoints_a_slice(world: World) -> None:
    world.service("s")
    for number in range(103):
        world.pod(f"p{number}", {"app": "web"})
        world.change("pods", f"p{number}", status={"podIP": f"10.244.0.{number}", "phase": "Running"})
    assert sorted(len(one["endpoints"]) for one in world.all("endpointslices")) == [3, 100]


def test_a_selector_that_matches_another_pod(world: World) -> None:
    world.ready(world.pod("a", {"app": "web"}))
    world.ready(world.pod("b", {"app": "other"}))
    world.service("s")
    world.change("services", "s", spec={"selector": {"app": "other"}})
    [one] = world.all("endpointslices")
    assert [endpoint["targetRef"]["name"] for endpoint in one["endpoints"]] == ["b"]
    world.change("pods", "b", metadata={"labels": {"app": "third"}})
    assert world.all("endpointslices")[0]["endpoints"] is None


def test_mirrored_endpoints_follow_their_original(world: World) -> None:
    world.service("s", selector=None)
    subset = {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 9080, "protocol": "TCP"}]}
    world.store.create("endpoints", {"metadata": {"name": "s", "namespace": "ns"}, "subsets": [subset]})
    [before] = world.all("endpointslices")
    subset = {"addresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 9080, "protocol": "TCP"}]}
    world.store.modify("endpoints", "ns", "s", lambda new: new | {"subsets": [subset]})
    [after] = world.all("endpointslices")
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["endpoints"] == [{"addresses": ["192.0.2.2"], "conditions": {"ready": True}}]
    world.store.remove("endpoints", "ns", "s")
    assert world.all("endpointslices") == []
