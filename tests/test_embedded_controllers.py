"""The embedded controllers: namespaces, scheduling, Deployments, owners, events. Endpoints: test_embedded_endpoints.py."""

import copy

import pytest

from labs.embedded import controllers
from labs.embedded.controllers import replicasets
from labs.embedded.store import Store
from tests.embedded_controllers_world import NODES, World


@pytest.fixture
def world() -> World:
    return World()


# --- namespaces


def test_a_namespace_is_born_with_an_account_and_the_ca(world: World) -> None:
    assert world.get("configmaps", "kube-root-ca.crt")["data"] == {"ca.crt": "the CA"}
    world.store.remove("serviceaccounts", "ns", "default")
    assert world.get("serviceaccounts", "default"), "it is made again"


def test_a_namespace_goes_when_it_is_empty(world: World) -> None:
    world.deployment()
    world.service("s")
    world.run()
    assert len(world.all("pods")) == 2
    mark = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.store.modify("namespaces", "", "ns", lambda new: new | {"metadata": new["metadata"] | mark})
    assert world.store.get("namespaces", "", "ns"), "its Pods still end"
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.all("pods"))
    world.run()
    assert world.store.get("namespaces", "", "ns") is None
    left = ("pods", "services", "endpointslices", "endpoints", "replicasets", "configmaps", "serviceaccounts", "events")
    assert {resource: len(world.all(resource)) for resource in left} == dict.fromkeys(left, 0)


# --- scheduling, in the words of a real scheduler


def test_pods_are_spread_over_the_nodes(world: World) -> None:
    for name in ("a", "b", "c", "d"):
        world.pod(name, {"app": "web"})
    nodes = [pod["spec"]["nodeName"] for pod in world.all("pods")]
    assert sorted(nodes) == sorted([*NODES, *NODES])
    assert world.events("Scheduled")[0] == f"Successfully assigned ns/a to {nodes[0]}"
    [condition] = world.get("pods", "a")["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")


def test_a_node_that_is_named_is_not_looked_at(world: World) -> None:
    world.pod("a", nodeName="elsewhere")
    assert world.get("pods", "a")["spec"]["nodeName"] == "elsewhere" and world.events("Scheduled") == []


def test_a_host_port_has_one_pod_a_node(world: World) -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}]
    for name in ("a", "b", "c"):
        world.pod(name, ports=ports)
    assert {world.get("pods", name)["spec"]["nodeName"] for name in ("a", "b")} == set(NODES)
    assert "nodeName" not in world.get("pods", "c")["spec"]
    words = (
        "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports. "
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )
    assert world.events("FailedScheduling") == [words]
    [condition] = world.get("pods", "c")["status"]["conditions"]
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", words)
    world.store.remove("pods", "ns", "a")
    assert world.get("pods", "c")["spec"]["nodeName"], "it had waited for a port to become free"


def test_the_same_host_port_on_two_addresses(world: World) -> None:
    for name, address in (("a", "172.30.0.2"), ("b", "172.30.0.3"), ("c", "")):
        port = {"containerPort": 80, "hostPort": 8080, "hostIP": address}
        world.pod(name, ports=[port], nodeSelector={"kubernetes.io/hostname": "dev-worker"})
    assert [bool(pod["spec"].get("nodeName")) for pod in world.all("pods")] == [True, True, False]
    udp = {"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}
    assert world.pod("d", ports=[udp]) and world.get("pods", "d")["spec"]["nodeName"]


def test_words_for_a_selector_and_ports_at_once(world: World) -> None:
    ports, here = [{"containerPort": 80, "hostPort": 8080}], {"kubernetes.io/hostname": "dev-worker"}
    world.pod("a", ports=ports, nodeSelector=here)
    world.pod("b", ports=ports, nodeSelector=here)
    world.pod("c", nodeSelector={"nothing": "here"})
    both, selector = world.events("FailedScheduling")
    assert both == (
        "0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, "
        "1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: "
        "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    )
    assert selector == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )


def test_no_nodes() -> None:
    world = World(())
    world.pod("a")
    assert world.events("FailedScheduling") == ["no nodes available to schedule pods"]


# --- Deployments, ReplicaSets, owners


def test_a_deployment_rolls_out(world: World) -> None:
    world.deployment()
    assert world.get("deployments", "web")["status"]["unavailableReplicas"] == 2
    world.run()
    [first] = world.all("replicasets")
    assert first["metadata"]["name"] == f"web-{first['metadata']['labels']['pod-template-hash']}"
    assert {pod["metadata"]["ownerReferences"][0]["name"] for pod in world.all("pods")} == {first["metadata"]["name"]}
    status = world.get("deployments", "web")["status"]
    assert (status["readyReplicas"], status["updatedReplicas"], status["observedGeneration"]) == (2, 2, 1)
    assert {one["type"]: one["reason"] for one in status["conditions"]} == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }

    least = 2
    template = copy.deepcopy(world.get("deployments", "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "two"
    world.change("deployments", "web", spec={"template": template})
    while any(pod["spec"]["containers"][0]["image"] == "one" for pod in world.all("pods")):
        for pod in world.all("pods"):
            if not pod.get("status", {}).get("podIP"):
                world.ready(pod)
        able = [pod for pod in world.all("pods") if "deletionTimestamp" not in pod["metadata"]]
        least = min(least, sum(bool(pod["status"].get("podIP")) for pod in able))
        assert len(able) <= 3, "no more than 25% above, rounded up"
        world.end_pods()
    assert least == 2, "25% of two, rounded down, may be missing: none"
    world.run()
    status = world.get("deployments", "web")["status"]
    assert (status["replicas"], status["updatedReplicas"]) == (2, 2)
    assert world.get("deployments", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"

    template["spec"]["containers"][0]["image"] = "one"
    world.change("deployments", "web", spec={"template": template})
    world.run()
    assert len(world.all("replicasets")) == 2, "the version that was there is taken back"
    assert {pod["spec"]["containers"][0]["image"] for pod in world.all("pods")} == {"one"}
    assert world.get("deployments", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    first_words = f"Scaled up replica set {first['metadata']['name']} from 0 to 2"
    assert world.events("ScalingReplicaSet")[0] == first_words


def test_recreate_waits_for_the_last_old_pod(world: World) -> None:
    world.deployment(strategy={"type": "Recreate"})
    world.run()
    template = copy.deepcopy(world.get("deployments", "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "two"
    world.change("deployments", "web", spec={"template": template})
    assert {pod["spec"]["containers"][0]["image"] for pod in world.all("pods")} == {"one"}
    world.end_pods()
    assert {pod["spec"]["containers"][0]["image"] for pod in world.all("pods")} == {"two"}


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_scaling(world: World, replicas: int) -> None:
    world.deployment()
    world.run()
    world.change("deployments", "web", spec={"replicas": replicas})
    world.run()
    assert len(world.all("pods")) == replicas
    assert world.get("deployments", "web")["status"].get("readyReplicas", 0) == replicas
    assert len(world.all("replicasets")) == 1


def test_a_paused_deployment_makes_no_version(world: World) -> None:
    world.deployment()
    world.run()
    template = copy.deepcopy(world.get("deployments", "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "two"
    world.change("deployments", "web", spec={"template": template, "paused": True, "replicas": 3})
    world.run()
    assert len(world.all("replicasets")) == 1 and len(world.all("pods")) == 3
    world.change("deployments", "web", spec={"paused": False})
    world.run()
    assert {pod["spec"]["containers"][0]["image"] for pod in world.all("pods")} == {"two"}


def test_a_replica_set_replaces_adopts_and_releases(world: World) -> None:
    world.ready(world.pod("mine", {"app": "web"}))
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    world.store.create("replicasets", {"metadata": {"name": "rs", "namespace": "ns"}, "spec": spec})
    assert len(world.all("pods")) == 2 and world.get("pods", "mine")["metadata"]["ownerReferences"][0]["name"] == "rs"
    world.change("pods", "mine", metadata={"labels": {"app": "debug"}})
    assert "ownerReferences" not in world.get("pods", "mine")["metadata"], "a Pod whose label changes is let go"
    assert len(world.all("pods")) == 3
    first = next(pod for pod in world.all("pods") if pod["metadata"]["name"] != "mine")
    world.change("pods", first["metadata"]["name"], status={"phase": "Failed"})
    assert len(world.all("pods")) == 4, "what has failed is replaced"


def test_a_replica_set_makes_no_more_pods_than_a_machine_bears(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicasets, "MOST", 3)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"replicas": 2_000_000_000, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    world.store.create("replicasets", {"metadata": {"name": "rs", "namespace": "ns"}, "spec": spec})
    assert len(world.all("pods")) == 3
    assert world.events("FailedCreate") == ["Error creating: the embedded cluster makes at most 3 Pods of a ReplicaSet"]


def test_a_deployment_adopts_what_another_left_to_itself(world: World) -> None:
    world.deployment()
    world.run()
    [left] = world.all("replicasets")
    world.change("replicasets", left["metadata"]["name"], metadata={"ownerReferences": []})
    world.store.remove("deployments", "ns", "web")
    world.deployment()
    world.run()
    [adopted] = world.all("replicasets")
    assert adopted["metadata"]["uid"] == left["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == world.get("deployments", "web")["metadata"]["uid"]


def test_a_replica_set_whose_template_does_not_match_makes_nothing(world: World) -> None:
    template = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": []}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    world.store.create("replicasets", {"metadata": {"name": "rs", "namespace": "ns"}, "spec": spec})
    assert world.all("pods") == []


def test_what_a_deleted_deployment_owned_goes(world: World) -> None:
    world.deployment()
    world.run()
    world.store.remove("deployments", "ns", "web")
    assert world.all("replicasets") == []
    world.end_pods()
    assert world.all("pods") == []


@pytest.mark.parametrize(("finalizer", "pods"), [("orphan", 2), ("foregroundDeletion", 0)])
def test_the_other_ways_to_delete_an_owner(world: World, finalizer: str, pods: int) -> None:
    world.deployment()
    world.run()
    mark = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0, "finalizers": [finalizer]}
    world.change("deployments", "web", metadata=mark)
    assert (world.store.get("deployments", "ns", "web") is None) == (finalizer == "orphan" or not world.all("replicasets"))
    world.run()
    assert world.store.get("deployments", "ns", "web") is None
    assert len(world.all("pods")) == pods
    assert len(world.all("replicasets")) == (1 if pods else 0)


def test_an_owner_that_never_was(world: World) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "gone"}
    other = {"apiVersion": "example.com/v1", "kind": "Unknown", "name": "x", "uid": "y"}
    for name, reference in (("a", owner), ("b", other)):
        metadata = {"name": name, "namespace": "ns", "ownerReferences": [reference]}
        world.store.create("configmaps", {"metadata": metadata})
    assert {one["metadata"]["name"] for one in world.all("configmaps")} == {"b", "kube-root-ca.crt"}


def test_events_go_after_an_hour() -> None:
    store, clock = Store(), [0.0]
    controllers.events.EventExpiry(lambda: clock[0]).start(store)
    for moment in (0.0, 3599.0, 3601.0):
        clock[0] = moment
        store.create("events", {"metadata": {"name": f"e{moment:.0f}", "namespace": "ns"}})
    assert [one["metadata"]["name"] for one in store.list("events")] == ["e3599", "e3601"]


def test_an_event_that_repeats_is_counted(world: World) -> None:
    recorder = controllers.Recorder(world.store, "kubelet", "dev-worker")
    pod = world.pod("a", nodeName="dev-worker")
    for _ in range(3):
        recorder.event("Pod", pod, "Warning", "BackOff", "Back-off restarting", "spec.containers{c}")
    [event] = [event for event in world.all("events") if event["reason"] == "BackOff"]
    assert event["count"] == 3 and event["source"] == {"component": "kubelet", "host": "dev-worker"}
    assert event["involvedObject"]["fieldPath"] == "spec.containers{c}"
