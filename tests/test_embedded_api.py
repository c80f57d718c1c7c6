"""The embedded API over HTTP: who may ask, discovery, bodies, deletion, two clients; against stand-ins for the nodes.

What Services, Pods and other objects are refused for, and their defaults, is compared with a real server's answers in
test_embedded_api_recorded.py; lists and watches are in test_embedded_watches.py.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from labs.embedded.api import server as servers
from labs.embedded.api.strategies import Ingresses
from tests.embedded_api_objects import MAPS, ONE, PODS, SERVICES, configmap, wait
from tests.embedded_world import TOKEN, World, world


@pytest.fixture
def embedded() -> Iterator[World]:
    with world("n") as made:
        yield made


# --- who may ask, and what


@pytest.mark.parametrize("header", [None, "Bearer another", f"Basic {TOKEN}", "Bearer ", TOKEN])
@pytest.mark.parametrize("path", ["/api", "/api/v1/namespaces", "/version", "/openapi/v2", "/nowhere"])
def test_nothing_is_told_without_the_token(embedded: World, header: str | None, path: str) -> None:
    answer = requests.get(embedded.base + path, headers={"Authorization": header} if header else {}, timeout=5)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_health_needs_no_token(embedded: World) -> None:
    assert requests.get(embedded.base + "/readyz", timeout=5).text == "ok"


def test_discovery_names_what_is_served_and_serves_it(embedded: World) -> None:
    groups = [one["preferredVersion"]["groupVersion"] for one in embedded.ask("GET", "/apis").json()["groups"]]
    for path in ["/api/v1", *(f"/apis/{one}" for one in groups)]:
        for kind in embedded.ask("GET", path).json()["resources"]:
            if "/" not in kind["name"] and "list" in kind["verbs"]:
                found = embedded.ask("GET", f"{path}/{kind['name']}").json()
                assert found["kind"] == kind["kind"] + "List", found


def test_both_shapes_of_discovery_agree(embedded: World) -> None:
    wanted = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    for start in ("/api", "/apis"):
        answer = embedded.ask("GET", start, headers=wanted)
        assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
        for group in answer.json()["items"]:
            name = group["metadata"].get("name")
            for version in group["versions"]:
                path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                plain = {one["name"] for one in embedded.ask("GET", path).json()["resources"]}
                parts = {
                    f"{one['resource']}/{part['subresource']}"
                    for one in version["resources"]
                    for part in one.get("subresources", [])
                }
                assert plain == {one["resource"] for one in version["resources"]} | parts


def test_a_client_that_wants_another_version_of_discovery_gets_the_plain_one(embedded: World) -> None:
    wanted = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"}
    assert embedded.ask("GET", "/apis", headers=wanted).json()["kind"] == "APIGroupList"


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1"])
def test_openapi_describes_fields_and_leads_nowhere_else(embedded: World, path: str) -> None:
    document = embedded.ask("GET", path).json()
    schemas = document.get("definitions") or document["components"]["schemas"]
    for reference in _references(document):
        assert reference.rpartition("/")[2] in schemas
    (pod,) = (one for name, one in schemas.items() if name.endswith("V1PodSpec"))
    assert "containers" in pod["properties"] and pod["properties"]["containers"]["description"]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def test_what_is_not_json_and_not_wanted_is_refused(embedded: World) -> None:
    assert embedded.ask("GET", PODS, headers={"Accept": "text/html"}).status_code == 406
    assert embedded.ask("POST", PODS, {}, headers={"Content-Type": "text/plain"}).status_code == 415
    applied = embedded.ask(
        "PATCH", SERVICES + "/a?fieldManager=x", {}, headers={"Content-Type": "application/apply-patch+yaml"}
    )
    assert applied.status_code == 415 and "strategic-merge-patch" in applied.json()["message"]


def test_a_huge_body_is_refused_and_the_server_goes_on(embedded: World) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = b'{"metadata":{"name":"x"},"data":{"a":"' + b"x" * servers.BODY_LIMIT + b'"}}'
    answer = requests.post(embedded.base + MAPS, data=body, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
    assert requests.post(embedded.base + MAPS, data="[" * 100_000, headers=headers, timeout=20).status_code == 400
    assert embedded.ask("GET", MAPS).status_code == 200


def test_a_body_in_protobuf(embedded: World) -> None:
    def field(number: int, value: bytes | str) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return bytes([number << 3 | 2, len(data)]) + data

    port = field(1, "web") + field(2, "TCP") + bytes([3 << 3, 80]) + field(4, bytes([1 << 3, 1]) + field(3, "http"))
    spec = field(1, port) + field(2, field(1, "app") + field(2, "x")) + field(4, "NodePort")
    raw = field(1, field(1, "s") + field(8, b"")) + field(2, spec)
    body = b"k8s\x00" + field(1, field(1, "v1") + field(2, "Service")) + field(2, raw)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/vnd.kubernetes.protobuf"}
    answer = requests.post(embedded.base + SERVICES, data=body, headers=headers, timeout=5).json()
    (made,) = answer["spec"].pop("ports")
    assert (made["name"], made["port"], made["targetPort"], answer["spec"]["selector"]) == ("web", 80, "http", {"app": "x"})
    for broken in (body[:-3], b"k8s\x00\xff\xff\xff", b"nonsense"):
        assert requests.post(embedded.base + SERVICES, data=broken, headers=headers, timeout=5).status_code == 400


def test_what_is_no_text_becomes_a_mark_so_that_it_can_be_sent_out_again(embedded: World) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    body = b'{"metadata":{"name":"m"},"data":{"a":"\xff\xe2\x82x","b":"\\ud800","c":"\\ud83d\\ude00"}}'
    assert requests.post(embedded.base + MAPS, data=body, headers=headers, timeout=5).status_code == 201
    wanted = {"a": "\ufffd\ufffd\ufffdx", "b": "\ufffd", "c": "\U0001f600"}
    assert embedded.ask("GET", MAPS + "/m").json()["data"] == wanted
    assert embedded.store.get("configmaps", "n", "m")["data"] == wanted


@pytest.mark.parametrize("media", ["json", "merge-patch+json", "strategic-merge-patch+json", "json-patch+json"])
def test_what_is_nested_too_deeply_is_refused(embedded: World, media: str) -> None:
    embedded.ask("POST", MAPS, configmap("m"))
    method, path = ("POST", MAPS) if media == "json" else ("PATCH", MAPS + "/m")
    for depth, wanted in ((250, (200, 201, 422)), (400, (400,)), (100_000, (400,))):
        nested = "[" * depth + "]" * depth
        body = f'{{"metadata":{{"name":"{"n" if media == "json" else "m"}{depth if media == "json" else ""}"}},"a":{nested}}}'
        if media == "json-patch+json":
            body = f'[{{"op":"add","path":"/a","value":{nested}}}]'
        answer = embedded.ask(method, path, headers={"Content-Type": f"application/{media}"}, data=body)
        assert answer.status_code in wanted, answer.text


def test_a_json_patch_does_not_grow_without_end(embedded: World) -> None:
    embedded.ask("POST", MAPS, configmap("m"))
    kind = {"Content-Type": "application/json-patch+json"}
    grown = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(40)]  # twice as much each time
    assert embedded.ask("PATCH", MAPS + "/m", grown, headers=kind).status_code == 422


def test_warnings_are_shortened_where_they_are_many(embedded: World) -> None:
    body = {"metadata": {"name": "m"}, **{"x" * 300 + str(number): 1 for number in range(90)}}
    answer = embedded.ask("POST", MAPS, body)
    told = answer.headers["Warning"]
    assert answer.status_code == 201 and len(told) < 8000 and told.startswith('299 - "unknown field \\"xxx')


def test_what_is_no_name_is_in_no_path(embedded: World) -> None:
    for name in ("a%0Ab", "a%00b", "..%2F..", "%F0%9F%98%80"):
        answer = embedded.ask("GET", f"{MAPS}/{name}")
        assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


# --- deletion


def test_a_pod_that_runs_is_marked_and_its_node_is_told(embedded: World) -> None:
    embedded.pod(terminationGracePeriodSeconds=7)
    answer = embedded.ask("DELETE", PODS + "/p").json()
    assert answer["kind"] == "Pod" and answer["metadata"]["deletionGracePeriodSeconds"] == 7
    assert "deletionTimestamp" in answer["metadata"]
    wait(lambda: embedded.runtime.stopped == [("p", 7.0)])


def test_a_pod_goes_at_once_with_no_grace_or_no_node(embedded: World) -> None:
    embedded.pod("p")
    embedded.ask("DELETE", PODS + "/p?gracePeriodSeconds=0")
    assert embedded.ask("GET", PODS + "/p").status_code == 404
    embedded.ask("POST", PODS, {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    embedded.ask("DELETE", PODS + "/q")
    assert embedded.ask("GET", PODS + "/q").status_code == 404
    wait(lambda: embedded.runtime.stopped == [("p", 0.0)])


def test_deletecollection_takes_what_is_selected(embedded: World) -> None:
    for name in "abc":
        embedded.ask("POST", MAPS, configmap(name, keep=str(name == "b")))
    answer = embedded.ask("DELETE", MAPS + "?labelSelector=keep%3DFalse").json()
    assert [one["metadata"]["name"] for one in answer["items"]] == ["a", "c"]
    assert [one["metadata"]["name"] for one in embedded.ask("GET", MAPS).json()["items"]] == ["b"]


def test_a_namespace_ends_in_two_steps(embedded: World) -> None:
    place = "/api/v1/namespaces/n"
    assert embedded.ask("DELETE", place).json()["status"]["phase"] == "Terminating"
    refused = embedded.ask("POST", MAPS, configmap("m"))
    assert refused.status_code == 403 and "because it is being terminated" in refused.json()["message"]
    assert embedded.ask("DELETE", place).json()["status"]["phase"] == "Terminating"
    ended = embedded.ask("PUT", place + "/finalize", {"metadata": {"name": "n"}, "spec": {"finalizers": []}})
    assert ended.status_code == 200
    assert embedded.ask("GET", place).status_code == 404


def test_propagation_leaves_its_finalizer(embedded: World) -> None:
    embedded.ask("POST", MAPS, configmap("m"))
    marked = embedded.ask("DELETE", MAPS + "/m?propagationPolicy=Foreground").json()
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"] and "deletionTimestamp" in marked["metadata"]


# --- two clients at a time, and other ways to an object


def test_of_two_updates_of_one_revision_the_second_is_refused(embedded: World) -> None:
    made = embedded.ask("POST", SERVICES, ONE).json()
    assert embedded.ask("PUT", SERVICES + "/a", {**made, "metadata": {**made["metadata"], "labels": {}}}).status_code == 200
    answer = embedded.ask("PUT", SERVICES + "/a", made)
    assert (answer.status_code, answer.json()["reason"]) == (409, "Conflict")


def test_addresses_and_ports_are_nobody_elses_and_come_back(embedded: World) -> None:
    spec = {"type": "NodePort", "clusterIP": "10.97.239.58", "ports": [{"port": 80, "nodePort": 30066}]}
    for _ in range(2):
        assert embedded.ask("POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec}).status_code == 201
        words = embedded.ask("POST", SERVICES, {"metadata": {"name": "b"}, "spec": spec}).json()["message"]
        assert "10.97.239.58: provided IP is already allocated" in words
        del spec["clusterIP"]
        words = embedded.ask("POST", SERVICES, {"metadata": {"name": "b"}, "spec": spec}).json()["message"]
        assert "30066: provided port is already allocated" in words
        spec["clusterIP"] = "10.97.239.58"
        embedded.ask("DELETE", SERVICES + "/a")


def test_node_ports_run_out(embedded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = dict.fromkeys(range(30000, 32767), ("n", "other"))
    (listening,) = {one.__self__ for one in embedded.store._subscribers}
    embedded.call(lambda: listening.ports.update(taken))
    body = {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 1}]}}
    assert embedded.ask("POST", SERVICES, body).json()["spec"]["ports"][0]["nodePort"] == 32767
    refused = embedded.ask("POST", SERVICES, {**body, "metadata": {"name": "b"}})
    assert refused.status_code == 500 and "range is full" in refused.json()["message"]


@pytest.mark.parametrize(
    ("context", "more", "field"),
    [
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, {}, "containers[0].securityContext.capabilities.add[0]"),
        ({"capabilities": {"add": ["CHOWN", "CAP_SYS_PTRACE"]}}, {}, "containers[0].securityContext.capabilities.add[1]"),
        ({"capabilities": {"add": ["ALL"]}}, {}, "containers[0].securityContext.capabilities.add[0]"),
        ({"capabilities": {"add": ["NET_RAW"]}, "runAsUser": 1000}, {}, "containers[0].securityContext.capabilities.add[0]"),
        ({"capabilities": {"add": ["NET_RAW"]}}, {"runAsUser": 1000}, "containers[0].securityContext.capabilities.add[0]"),
        (
            {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}},
            {},
            "containers[0].securityContext.seccompProfile.localhostProfile",
        ),
        ({}, {"sysctls": [{"name": "kernel.core_pattern", "value": "x"}]}, "securityContext.sysctls[0].name"),
        ({}, {"sysctls": [{"name": "kernel/msgmax", "value": "1"}]}, "securityContext.sysctls[0].name"),
    ],
)
def test_what_a_pod_would_not_be_given_is_refused_by_name(
    embedded: World, context: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    """Accepted and ignored, it would only look as if it worked."""
    spec = {"securityContext": more, "containers": [{"name": "c", "image": "busybox", "securityContext": context}]}
    answer = embedded.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": spec})
    assert answer.status_code == 422
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == [f"spec.{field}"]
    assert "the embedded cluster does not serve this value (a kind cluster does)" in answer.json()["message"]


@pytest.mark.parametrize(
    ("context", "more"),
    [
        ({"capabilities": {"add": ["NET_ADMIN", "CAP_NET_RAW", "CHOWN"]}}, {}),
        ({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "runAsUser": 1000}, {}),
        ({}, {"sysctls": [{"name": "net/ipv4/ip_forward", "value": "1"}, {"name": "net.ipv4.tcp_syncookies", "value": "1"}]}),
    ],
)
def test_what_a_pod_is_given_is_taken(embedded: World, context: dict[str, Any], more: dict[str, Any]) -> None:
    spec = {"securityContext": more, "containers": [{"name": "c", "image": "busybox", "securityContext": context}]}
    assert embedded.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": spec}).status_code == 201


def test_an_unserved_field_of_a_pod_is_named(embedded: World) -> None:
    pod = {"containers": [{"name": "c", "image": "i", "lifecycle": {}}], "affinity": {"nodeAffinity": {}}}
    answer = embedded.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": pod}).json()
    assert sorted(one["field"] for one in answer["details"]["causes"]) == ["spec.affinity", "spec.containers[0].lifecycle"]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    answer = embedded.ask("POST", "/apis/apps/v1/namespaces/n/deployments", body).json()
    assert "spec.template.spec.affinity" in [one["field"] for one in answer["details"]["causes"]]


def test_a_pods_ports_stay(embedded: World) -> None:
    embedded.pod(containers=[{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}])
    kind = {"Content-Type": "application/json-patch+json"}
    change = [{"op": "replace", "path": "/spec/containers/0/ports/0/containerPort", "value": 81}]
    assert (
        embedded.ask("PATCH", PODS + "/p", change, headers=kind)
        .json()["message"]
        .startswith(
            'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`'
        )
    )
    change = [{"op": "replace", "path": "/spec/containers/0/image", "value": "i:2"}]
    assert embedded.ask("PATCH", PODS + "/p", change, headers=kind).json()["spec"]["containers"][0]["image"] == "i:2"


def test_events_go_by_two_names(embedded: World) -> None:
    about = {"kind": "Pod", "name": "p", "namespace": "n"}
    body = {"metadata": {"generateName": "e-"}, "involvedObject": about, "reason": "Why", "message": "words", "type": "Normal"}
    name = embedded.ask("POST", "/api/v1/namespaces/n/events", body).json()["metadata"]["name"]
    found = embedded.ask("GET", f"/apis/events.k8s.io/v1/namespaces/n/events/{name}").json()
    assert (found["note"], found["regarding"]["name"], found["apiVersion"]) == ("words", "p", "events.k8s.io/v1")


def test_scale(embedded: World) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    place = "/apis/apps/v1/namespaces/n/deployments"
    embedded.ask("POST", place, body)
    merge = {"Content-Type": "application/merge-patch+json"}
    assert embedded.ask("PATCH", place + "/d/scale", {"spec": {"replicas": 3}}, headers=merge).json()["spec"] == {"replicas": 3}
    assert embedded.ask("GET", place + "/d").json()["spec"]["replicas"] == 3
    for wrong in ({"spec": 5}, {"spec": {"replicas": True}}, {"spec": {"replicas": -1}}, {"metadata": 5}, {"kind": [1]}):
        assert embedded.ask("PATCH", place + "/d/scale", wrong, headers=merge).status_code == 422
    for wrong in ({"spec": 5}, {"metadata": {"name": "other"}}, {"metadata": {"name": "d"}, "spec": {"replicas": "1"}}):
        assert embedded.ask("PUT", place + "/d/scale", wrong).status_code == 400


def test_secrets_are_kept_in_base64(embedded: World) -> None:
    made = embedded.ask("POST", "/api/v1/namespaces/n/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}).json()
    assert base64.b64decode(made["data"]["a"]) == b"b" and "stringData" not in made


def test_an_ingress_is_refused_in_the_real_servers_words() -> None:
    """As Kubernetes 1.37.2 refused the same."""

    def words(path: dict[str, Any]) -> list[str]:
        errors = Ingresses().validate({"spec": {"rules": [{"http": {"paths": [path]}}]}}, None)
        return [str(one).removeprefix("spec.rules[0].http.paths[0].") for one in errors]

    backend = {"service": {"name": "a", "port": {"number": 1}}}
    assert words({"path": "/", "pathType": "Prefix", "backend": backend}) == []
    assert words({"path": "x", "backend": {}}) == ["pathType: Required value: pathType must be specified"]
    relative = {"path": "x", "pathType": "Prefix", "backend": backend}
    assert words(relative) == ['path: Invalid value: "x": must be an absolute path']
    both = {"service": {"name": "a", "port": {"number": 1, "name": "x"}}}
    assert words({"path": "/", "pathType": "Prefix", "backend": both}) == [
        'backend: Invalid value: "": cannot set both port name & port number'
    ]
    assert words({"path": "/", "pathType": "Prefix"}) == ['backend: Invalid value: "": resource or service backend is required']
