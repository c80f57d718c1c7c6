"""Made-up Services and Pods, and what the controllers of a real cluster and of the embedded one make of them.

Endpoints and EndpointSlices: addresses, ports, names, conditions, targets, labels, owners. The Pods are on a node that is a
name and nothing else: the test says what a kubelet would (their address, their phase, whether they are ready), so that both
clusters have the very same. LABS_DIFFERENTIAL_EXAMPLES, LABS_DIFFERENTIAL_FRESH: as in test_services.py.
"""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from labs.embedded import controllers
from labs.embedded.store import now
from tests.differential.asking import NAMESPACE, PLACE, PODS, SERVICES, asked, asked_embedded, examples
from tests.embedded_api_stories import MERGE, Step
from tests.embedded_world import TOKEN, World, world

Object = dict[str, Any]
ENDPOINTS = f"{PLACE}/endpoints"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
NODES, NODE = "/api/v1/nodes", "labs-differential"  # without the labels of a real one, so that no DaemonSet wants it
LIMIT = 10.0  # seconds for a real cluster's controllers
SEEN = "labs/seen"  # a label of Services that their endpoints get: then the controllers have seen all that was before it
DROPPED = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "name", "annotations")
ADDRESSES = {"p": "10.244.9.1", "q": "10.244.9.2", "r": "10.244.9.10"}
_numbers = itertools.count(1)

# --- what is sent

labels = st.sampled_from([{"app": "a"}, {"app": "a"}, {"app": "a"}, {"app": "a"}, {"app": "a", "tier": "x"}, {"app": "b"}, {}])
selectors = st.sampled_from(
    [{"app": "a"}, {"app": "a"}, {"app": "a"}, {"app": "a"}, {"app": "b"}, {"app": "a", "tier": "x"}, None]
)
service_ports = st.sampled_from([
    [{"port": 80}],
    [{"port": 80, "targetPort": 9080}],
    [{"port": 80, "targetPort": "web"}],
    [{"port": 80, "targetPort": "nowhere"}],
    [{"port": 80, "name": "x", "targetPort": "web"}, {"port": 81, "name": "y", "targetPort": 81, "appProtocol": "http"}],
    [{"port": 53, "name": "t"}, {"port": 53, "name": "u", "protocol": "UDP", "targetPort": "dns"}],
])  # fmt: skip
services = st.fixed_dictionaries(
    {"ports": service_ports, "selector": selectors},
    optional={
        "clusterIP": st.just("None"),
        "type": st.sampled_from(["NodePort", "LoadBalancer"]),
        "publishNotReadyAddresses": st.booleans(),
        "trafficDistribution": st.sampled_from(["PreferSameNode", "PreferSameZone"]),
    },
)
container_ports = st.sampled_from([
    [],
    [{"containerPort": 9080, "name": "web"}],
    [{"containerPort": 9081, "name": "web"}],
    [{"containerPort": 53, "protocol": "UDP", "name": "dns"}, {"containerPort": 8080, "name": "web"}],
])  # fmt: skip
names = st.sampled_from(sorted(ADDRESSES))
kept = st.sampled_from([False, False, True])  # whether a finalizer keeps a Pod that is deleted


@st.composite
def new_service(draw: Any, name: str) -> Step:
    """A Service."""
    return ["POST", SERVICES, {"metadata": {"name": name, "labels": draw(labels)}, "spec": draw(services)}]


@st.composite
def new_pod(draw: Any, name: str) -> Step:
    """A Pod."""
    metadata = {"name": name, "labels": draw(labels), **({"finalizers": ["labs/kept"]} if draw(kept) else {})}
    containers = [{"name": "main", "image": "agnhost:2.53", "ports": draw(container_ports)}]
    spec = {"nodeName": NODE, "automountServiceAccountToken": False, "containers": containers}
    spec |= draw(st.sampled_from([{}, {}, {"hostname": "h", "subdomain": "s"}, {"subdomain": "s"}]))
    return ["POST", PODS, {"metadata": metadata, "spec": spec}]


@st.composite
def steps(draw: Any) -> Step:
    """One change of a Service, of a Pod, or of what its node says of it."""
    kind = draw(st.sampled_from(["service", "pod", "node", "node", "label", "alter", "delete", "delete", "delete"]))
    name = draw(names)
    if kind == "service":
        return draw(new_service(draw(service_names)))
    if kind == "pod":
        return draw(new_pod(name))
    if kind == "node":
        return ["PATCH", f"{PODS}/{name}/status", {"status": draw(said_by_node(name))}, MERGE]
    if kind == "label":
        return ["PATCH", f"{PODS}/{name}", {"metadata": {"labels": {"app": None, "tier": None, **draw(labels)}}}, MERGE]
    if kind == "alter":
        change: Object = draw(services)
        change.pop("clusterIP", None)
        return ["PATCH", f"{SERVICES}/{draw(service_names)}", {"spec": change}, MERGE]
    paths = [f"{SERVICES}/s", *[f"{PODS}/{name}"] * 6, f"{PODS}/{name}?gracePeriodSeconds=0"]
    return ["DELETE", draw(st.sampled_from(paths)), None]


service_names = st.sampled_from(["s", "s", "t"])


@st.composite
def said_by_node(draw: Any, name: str) -> Object:
    """A Pod's status."""
    ready = draw(st.sampled_from(["True", "True", "False"]))
    phase = draw(st.sampled_from(["Running", "Running", "Running", "Running", "Pending", "Succeeded", "Failed"]))
    address = ADDRESSES[name]
    conditions = [{"type": "Ready", "status": ready}]
    return {"phase": phase, "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}


@st.composite
def stories(draw: Any) -> list[Step]:
    """A Service and three Pods that their node has spoken of, and what is changed of them then."""
    made: list[Step] = [draw(new_service("s"))]
    for name in sorted(ADDRESSES):
        made += [draw(new_pod(name)), ["PATCH", f"{PODS}/{name}/status", {"status": draw(said_by_node(name))}, MERGE]]
    return made + draw(st.lists(steps(), max_size=8))


# --- where it is sent, and what comes of it


@pytest.fixture(scope="module")
def node(real: str) -> Iterator[Object]:
    """A node of the real cluster that nobody is behind, and no Pod is scheduled to; Pods that name it wait for its kubelet."""
    requests.delete(f"{real}{NODES}/{NODE}", timeout=30)
    body = {"metadata": {"name": NODE}, "spec": {"unschedulable": True}}
    made = requests.post(real + NODES, json=body, timeout=30)
    assert made.status_code == 201, made.text
    yield body
    Side(real, {}).empty()  # no kubelet would let its Pods go
    requests.delete(f"{real}{NODES}/{NODE}", timeout=30)


class Side:
    """One of the two clusters."""

    def __init__(self, base: str, headers: dict[str, str]) -> None:
        self.base, self.headers = base, headers

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        headers = {**self.headers, "Content-Type": MERGE if method == "PATCH" else "application/json"}
        data = None if body is None else json.dumps(body)
        return requests.request(method, self.base + path, data=data, headers=headers, timeout=30).json()

    def all(self, path: str) -> list[Object]:
        """The objects of a list."""
        found: list[Object] = self.ask("GET", path)["items"]
        return found

    def endpoints(self) -> list[Object]:
        """The Endpoints and slices that there are, comparable."""
        return sorted((comparable(one) for path in (ENDPOINTS, SLICES) for one in self.all(path)), key=text)

    def mark(self, number: str) -> None:
        """Gives every Service a label that its endpoints are to get."""
        for one in self.all(SERVICES):
            self.ask("PATCH", f"{SERVICES}/{one['metadata']['name']}", {"metadata": {"labels": {SEEN: number}}})

    def empty(self) -> None:
        """Takes all away, and waits until it is."""
        for one in self.all(PODS):
            path = f"{PODS}/{one['metadata']['name']}"
            self.ask("DELETE", path + "?gracePeriodSeconds=0")
            if one["metadata"].get("finalizers"):
                self.ask("PATCH", path, {"metadata": {"finalizers": None}})
        for one in self.all(SERVICES):
            self.ask("DELETE", f"{SERVICES}/{one['metadata']['name']}")
        until(lambda: not any(self.all(path) for path in (PODS, SERVICES, ENDPOINTS, SLICES)))


def until(true: Any) -> None:
    """Waits for it. AssertionError where it is in vain."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def comparable(obj: Object) -> Object:
    """Without what is random or a time, and in an order of its own where a real one's is that of a hash."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in DROPPED}
    for owner in metadata.get("ownerReferences") or []:
        owner.pop("uid")
    made = {**obj, "metadata": metadata, "of": metadata.get("generateName") or obj["metadata"]["name"]}
    for part in made.get("subsets") or [made]:
        for field in ("addresses", "notReadyAddresses", "endpoints", "ports"):
            if isinstance(part.get(field), list):
                for one in part[field]:
                    (one.get("targetRef") or {}).pop("uid", None)
                part[field] = sorted(part[field], key=text)
    if "subsets" in made:
        made["subsets"] = sorted(made["subsets"], key=text)
    return made


def seen(endpoints: list[Object], services: list[Object], number: str) -> bool:
    """Whether the controllers have acted on that label of each Service that they look after."""
    looked_after = [one["metadata"]["name"] for one in services if one["spec"].get("selector")]
    marked = [one["of"].removesuffix("-") for one in endpoints if one["metadata"]["labels"].get(SEEN) == number]
    return len(marked) == len(endpoints) and all(marked.count(name) >= 2 for name in looked_after)


@examples(20)
@given(story=stories())
def test_endpoints(real: str, node: Object, story: list[Step]) -> None:
    other = Side(real, {})
    other.empty()
    alive = {"status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": now()}]}}
    other.ask("PATCH", f"{NODES}/{NODE}/status", alive)  # or its Pods would be said to be not ready after a while
    with world(NAMESPACE) as embedded:
        start_controllers(embedded, node)
        own = Side(embedded.base, {"Authorization": f"Bearer {TOKEN}"})
        for step in story:
            ours, theirs = asked_embedded(own.base, step), asked(other.base, step)
            assert (ours[0], ours[1].get("message")) == (theirs[0], theirs[1].get("message")), json.dumps(step)
        number = str(next(_numbers))
        other.mark(number)
        own.mark(number)
        until(lambda: seen(other.endpoints(), other.all(SERVICES), number))
        assert seen(own.endpoints(), own.all(SERVICES), number)
        end = time.monotonic() + LIMIT
        while (ours := own.endpoints()) != (theirs := other.endpoints()) and time.monotonic() < end:
            time.sleep(0.05)
        assert ours == theirs, "\n".join(json.dumps(step) for step in story)


def start_controllers(embedded: World, node: Object) -> None:
    """The embedded controllers, over the store that the API writes to, and a node that ends no Pod."""

    async def never(pod: Object, grace: float) -> None:
        return

    embedded.runtime.stop = never  # type: ignore[method-assign]
    embedded.call(lambda: embedded.store.create("nodes", node))
    embedded.call(lambda: controllers.start(embedded.store, "the CA"))
