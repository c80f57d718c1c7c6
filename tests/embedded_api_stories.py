"""Requests to an API server, one story a list: what the embedded API is compared by with a real one.

Only data; embedded_api_asking.py sends them.
"""

# ruff: noqa: E501  (a request is one line)

import json
from typing import Any

from tests import embedded_api_malformed as malformed
from tests.differential import pods_sent

NAMESPACE = "recorded"
PLACE = f"/api/v1/namespaces/{NAMESPACE}"
SERVICES, PODS = PLACE + "/services", PLACE + "/pods"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
DRY = "?dryRun=All"
MERGE, STRATEGIC, PATCH = (f"application/{one}+json" for one in ("merge-patch", "strategic-merge-patch", "json-patch"))
Step = list[Any]  # method, path, body (a text goes as it is), content type where it is not JSON, headers

SERVICE_SPECS = """
{"ports":[{"port":80},{"port":80}]}
{"ports":[{"port":80,"name":"a"},{"port":80,"name":"b"}]}
{"ports":[{"port":80,"name":"a"},{"port":81,"name":"a"}]}
{"ports":[{"port":80}],"clusterIP":"1.2.3.4"}
{"ports":[{"port":80}],"clusterIP":"10.96.0.0"}
{"ports":[{"port":80}],"clusterIP":"10.111.255.255"}
{"ports":[{"port":80}],"clusterIP":"010.96.0.77"}
{"ports":[{"port":80}],"clusterIP":"nope"}
{"ports":[{"port":80}],"clusterIP":"::1"}
{"ports":[{"port":80}],"clusterIP":"::ffff:1.2.3.4"}
{"ports":[{"port":80}],"clusterIPs":["10.96.3.4"]}
{"ports":[{"port":80}],"clusterIP":"10.96.3.5","clusterIPs":["10.96.3.4"]}
{"ports":[{"port":80}],"clusterIP":"10.96.3.4","clusterIPs":["10.96.3.4","10.96.3.5"]}
{"ports":[{"port":80}],"clusterIP":"10.96.3.4","clusterIPs":["10.96.3.4","fd00::1"]}
{"ports":[{"port":80}],"clusterIP":"None","clusterIPs":["None","10.96.3.5"]}
{"ports":[{"port":80}],"externalIPs":["127.0.0.1","169.254.1.1","224.0.0.1","0.0.0.0","x","::ffff:1.2.3.4","fe80::1","::","::1","ff02::1","01.2.3.4","1.2.3"]}
{"ports":[{"port":80}],"externalIPs":["1.2.3.4","2001:DB8::1"]}
{"type":"NodePort","ports":[{"port":80}]}
{"type":"NodePort","ports":[{"port":53,"protocol":"UDP","name":"u"},{"port":53,"name":"t"}]}
{"type":"NodePort","ports":[{"port":80,"nodePort":-5}]}
{"type":"ClusterIP","ports":[{"port":80,"nodePort":30066}]}
{"type":"NodePort","clusterIP":"None","ports":[{"port":80}]}
{"type":"LoadBalancer","clusterIP":"None","ports":[{"port":80}]}
{"ports":[{"port":80,"targetPort":"9080"}]}
{"ports":[{"port":80,"targetPort":"-a--b-cccccccccccccccc"}]}
{"ports":[{"port":80,"targetPort":""}]}
{"ports":[{"port":0,"targetPort":"a_b","protocol":"X"}]}
{"ports":[{"port":-1,"targetPort":-2,"protocol":"tcp"}]}
{"ports":[{"port":80,"protocol":""}]}
{"ports":[{"port":80}],"sessionAffinity":"x","type":"y","internalTrafficPolicy":"z","externalTrafficPolicy":"Local"}
{"ports":[{"port":80}],"internalTrafficPolicy":""}
{"ports":[{"port":80}],"ipFamilies":["IPv6"]}
{"ports":[{"port":80}],"ipFamilies":["IPv4","IPv4"]}
{"ports":[{"port":80}],"ipFamilies":["IPv4","IPv6"]}
{"ports":[{"port":80}],"ipFamilies":["x"]}
{"ports":[{"port":80}],"ipFamilyPolicy":"x"}
{"ports":[{"port":80}],"ipFamilyPolicy":"RequireDualStack"}
{"ports":[{"port":80}],"ipFamilyPolicy":"PreferDualStack"}
{"ports":[{"port":80}],"ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv4","IPv6"]}
{"clusterIP":"None","ipFamilyPolicy":"PreferDualStack","selector":{"a":"b"}}
{"clusterIP":"None"}
{"clusterIP":"None","selector":{"a":"b"}}
{"clusterIP":"None","selector":{}}
{"clusterIP":"None","ipFamilies":["IPv6"]}
{"clusterIP":"None","selector":{"a":"b"},"externalIPs":["1.2.3.4"],"sessionAffinity":"ClientIP","loadBalancerIP":"1.2.3.4"}
{"ports":[{"port":80}],"loadBalancerSourceRanges":["1.2.3.4"],"loadBalancerClass":"x","healthCheckNodePort":5,"trafficDistribution":"q"}
{"ports":[{"port":80}],"trafficDistribution":"PreferClose"}
{"ports":[{"port":80}],"trafficDistribution":""}
{"type":"ExternalName"}
{"type":"ExternalName","externalName":"a.b."}
{"type":"ExternalName","externalName":"a.b","ports":[{"port":1}],"selector":{"a":"b"},"externalIPs":["1.2.3.4"]}
{"type":"ExternalName","externalName":"a_b","clusterIP":"1.2.3.4"}
{"type":"ExternalName","externalName":"1.2.3.4","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack"}
{"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80}]}
{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]}
{"type":"NodePort","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]}
{"type":"LoadBalancer","loadBalancerClass":"a/b/c","ports":[{"port":80}]}
{"type":"LoadBalancer","loadBalancerSourceRanges":["1.2.3.4","10.0.0.1/8","x/y","10.0.0.0/08","10.0.0.0/33"," 10.0.0.0/8 ","010.0.0.0/8","::ffff:1.2.3.0/120","2001:DB8::/32"],"ports":[{"port":80}]}
{"type":"LoadBalancer","loadBalancerIP":"x","ports":[{"port":80}]}
{"ports":[{"port":80,"appProtocol":"a b","name":"A"}],"selector":{"a b":"c d"}}
{"ports":[{"port":80,"appProtocol":""}]}
{"ports":[{"port":80,"appProtocol":"kubernetes.io/h2c"}]}
{"ports":[{"port":80,"appProtocol":"a/b/c"}]}
{"ports":[{"port":80,"appProtocol":"/b"}]}
{"ports":[{"port":80,"appProtocol":"A/"}]}
{"ports":[{"port":70000,"targetPort":70000,"name":"aaaaaaaaaaaaaaaaaaaaaaaaa"}]}
{"ports":[{"port":80,"name":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"}]}
{"ports":[{"port":80}],"sessionAffinity":"ClientIP"}
{"ports":[{"port":80}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{}}
{"ports":[{"port":80}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}}}
{"ports":[{"port":80}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":99999}}}
{"ports":[{"port":80}],"sessionAffinity":"None","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":99999}}}
{"ports":[{"port":80}],"externalName":"a.b"}
{"ports":[]}
{}
{"ports":[{"port":80}],"publishNotReadyAddresses":true}
{"ports":[{"port":80,"protocol":"UDP"},{"port":80,"protocol":"TCP"}]}
{"ports":[{}]}
{"ports":[{"port":80,"targetPort":0}]}
{"ports":[{"port":80,"targetPort":null,"name":null}],"selector":null}
{"ports":[{"name":"x"}]}
{"ports":[{"port":80}],"selector":{"a":""}}
"""


def stories() -> dict[str, list[Step]]:
    """By name. Each begins and ends with nothing in the namespace."""
    made: dict[str, list[Step]] = {}
    for spec in SERVICE_SPECS.strip().splitlines():
        made[f"new Service {spec}"] = [["POST", SERVICES + DRY, service("x", json.loads(spec))]]
    for metadata in METADATA:
        body = {**service("x", {"ports": [{"port": 80}]}), "metadata": metadata}
        made[f"metadata {json.dumps(metadata)[:100]}"] = [["POST", SERVICES + DRY, body]]
    for spec in POD_SPECS:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
        made[f"new Pod {json.dumps(spec)}"] = [["POST", PODS + DRY, body]]
    for field, values in pods_sent.VALUES.items():
        specs = [pods_sent.turned(pods_sent.BASE, field, value) for value in values]
        made[f"Pod: {field}"] = [["POST", PODS + DRY, {"metadata": {"name": "x"}, "spec": spec}] for spec in specs]
    for name, (first, changes) in CHANGES.items():
        steps = [["POST", SERVICES, service("a", first)], *([*one[:1], SERVICES + "/a" + one[1], *one[2:]] for one in changes)]
        made[f"Service: {name}"] = [*steps, ["DELETE", SERVICES + "/a", None]]
    return {**made, **OTHERS, **malformed.stories(PLACE)}


def service(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A Service."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec}


IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
C = {"name": "c", "image": IMAGE}
ONE = {"ports": [{"port": 80}], "selector": {"a": "b"}}
NODE_PORT = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31777}], "selector": {"a": "b"}}
BALANCER = {"type": "LoadBalancer", "ports": [{"port": 80}], "externalTrafficPolicy": "Local"}
METADATA: list[dict[str, Any]] = [
    {"name": "X"}, {"name": "1a"}, {"name": "a.b"}, {"name": "a" * 64}, {}, {"name": "a", "labels": {"a b": "c"}},
    {"name": "a", "annotations": {"A/B": "x"}}, {"name": "a", "finalizers": ["x y", "a"]},
    {"name": "a", "ownerReferences": [{"name": "x"}]}, {"name": "a", "namespace": "b"}, {"name": "a", "labels": {"a": "-"}},
    {"name": "a", "uid": "u"}, {"name": "a", "deletionTimestamp": "2026-11-23T16:13:00Z"},
    {"name": "a", "labels": {"a": 1}}, {"name": "a", "creationTimestamp": "zz"}, {"name": 3},
]  # fmt: skip


def _container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{**C, **fields}]}


def _probed(**probe: Any) -> dict[str, Any]:
    return _container(readinessProbe=probe)


POD_SPECS: list[dict[str, Any]] = [
    {"containers": [C]}, {"containers": []}, {}, {"containers": [C, C]}, {"containers": [{"name": "C_", "image": ""}]},
    {"containers": [{"image": "x"}]}, {"containers": [{"name": "c", "image": " x "}]},
    _container(ports=[{"containerPort": 80}, {"containerPort": 80}]),
    _container(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]),
    _container(ports=[{"containerPort": 0}, {"containerPort": 70000, "name": "Web_", "protocol": "x", "hostPort": 70000}]),
    _container(ports=[{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]),
    {"hostNetwork": True, **_container(ports=[{"containerPort": 80}, {"containerPort": 81, "hostPort": 82}])},
    {"containers": [{**C, "ports": [{"containerPort": 80}]}, {**C, "name": "d", "ports": [{"containerPort": 80, "name": "x"}]}]},
    _probed(), _probed(httpGet={"port": 0}), _probed(httpGet={"port": "a b"}, tcpSocket={"port": 1}),
    _probed(httpGet={"port": 80, "scheme": "x", "path": ""}),
    _container(livenessProbe={"exec": {"command": []}, "successThreshold": 2, "periodSeconds": -1}),
    _container(env=[{"name": ""}, {"name": "a=b"}, {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]),
    _container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
    _container(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x.y"}}}, {"name": "B", "valueFrom": {}}]),
    {"restartPolicy": "z", "dnsPolicy": "q", **_container(imagePullPolicy="x", terminationMessagePolicy="y")},
    {"containers": [C], "nodeSelector": {"a b": "c"}, "hostname": "A", "subdomain": "b.c", "nodeName": "N_"},
    {"containers": [C], "serviceAccountName": "nope"}, {"containers": [C], "terminationGracePeriodSeconds": -1},
    {"containers": [C], "terminationGracePeriodSeconds": 0, "enableServiceLinks": False, "automountServiceAccountToken": False},
    _container(resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
    _container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
    _container(resources={"limits": {"cpu": "x"}}), _container(resources={"requests": {"cpu": 0.5, "memory": "1000Ki"}}),
    {
        "volumes": [{"name": "w", "emptyDir": {}}, {"name": "w", "configMap": {"name": "x"}}, {"name": "B_"}],
        **_container(volumeMounts=[{"name": "v", "mountPath": "/x"}, {"name": "w", "mountPath": "/x"}, {"name": "w"}]),
    },
    {"containers": [C], "volumes": [{"name": "a", "configMap": {}}, {"name": "s", "secret": {}}]},
    {"initContainers": [C], "containers": [C]},
    {"initContainers": [{**C, "name": "i", "readinessProbe": {"httpGet": {"port": 1}}}], "containers": [C]},
    _container(image="nginx"), _container(image="nginx@sha256:" + "a" * 64), _container(image="localhost:5000/a"),
    {"containers": [C], "tolerations": [{"operator": "Exists"}]}, {"containers": [C], "tolerations": [{"key": "a", "operator": "x"}]},
    {"containers": [C], "securityContext": {"runAsUser": -1}},
    {"containers": [C], "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a_b"]}, {"ip": "x"}]},
    {"containers": [C], "dnsPolicy": "None"}, _container(foo=1), _container(ports=[{"containerPort": "80"}]),
]  # fmt: skip

# By name: the Service that it begins with, and requests to it (method, what follows its path, body, content type).
CHANGES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "replaced": (ONE, [
        ["PUT", "", service("a", ONE)], ["PUT", "", service("a", {"ports": [{"port": 81}]})],
        ["PUT", "", service("a", ONE, resourceVersion="1")], ["PUT", "", service("a", ONE, resourceVersion="x")],
        ["PUT", "", service("b", ONE)], ["PUT", "", {}],
    ]),
    "types": (ONE, [
        ["PATCH", "", {"spec": {"type": "NodePort"}}, STRATEGIC], ["PATCH", "", {"spec": {"type": "ClusterIP"}}, STRATEGIC],
        ["PATCH", "", {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}, MERGE],
        ["PATCH", "", {"spec": {"externalTrafficPolicy": "Cluster"}}, MERGE], ["PATCH", "", {"spec": {"type": "NodePort"}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ExternalName", "externalName": "a.b"}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ClusterIP", "externalName": None}}, MERGE],
    ]),
    "addresses": (ONE, [
        ["PATCH", "", {"spec": {"clusterIP": "10.96.7.7"}}, MERGE],
        ["PATCH", "", {"spec": {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"]}}, MERGE],
        ["PATCH", "", {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}, MERGE],
        ["PATCH", "", {"spec": {"clusterIP": "", "clusterIPs": []}}, MERGE],
        ["PATCH", "", {"spec": {"clusterIP": None, "clusterIPs": None}}, MERGE],
        ["PATCH", "", {"spec": {"ipFamilies": ["IPv6"]}}, MERGE], ["PATCH", "", {"spec": {"ipFamilies": None}}, MERGE],
        ["PATCH", "", {"spec": {"ipFamilyPolicy": "RequireDualStack"}}, MERGE],
        ["PATCH", "", {"spec": {"ipFamilyPolicy": "PreferDualStack"}}, MERGE],
    ]),
    "node ports": (NODE_PORT, [
        ["PATCH", "", {"spec": {"ports": [{"port": 80, "nodePort": 31778}]}}, MERGE],
        ["PATCH", "", {"spec": {"ports": [{"port": 80}]}}, MERGE], ["PATCH", "", {"spec": {"ports": [{"port": 81}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"ports": [{"port": 81, "name": "x"}, {"port": 80, "name": "y"}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}, STRATEGIC],
        ["PATCH", "", [{"op": "replace", "path": "/spec/ports/0/nodePort", "value": 1}], PATCH],
        ["PATCH", "", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": "web"}], PATCH],
        ["PATCH", "", [{"op": "replace", "path": "/spec/portz/0", "value": "web"}], PATCH],
        ["PATCH", "", [{"op": "test", "path": "/spec/type", "value": "x"}], PATCH],
        ["PATCH", "", [{"op": "zz", "path": "/spec/type", "value": "x"}], PATCH],
    ]),
    "patches that are none": (ONE, [
        ["PATCH", "", {"a": "b"}, PATCH], ["PATCH", "", [1], PATCH], ["PATCH", "", "{", MERGE], ["PATCH", "", "[]", MERGE],
        ["PATCH", "", "[]", STRATEGIC], ["PATCH", "", {"spec": {"ports": [{"targetPort": 3}]}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"name": "b"}}, MERGE], ["PATCH", "", {"metadata": {"namespace": "b"}}, MERGE],
        ["PATCH", "", {"spec": {"ports": "x"}}, STRATEGIC], ["PATCH", "", {"spec": "x"}, STRATEGIC],
        ["PATCH", "", {"spec": {"foo": 1}}, MERGE], ["PATCH", "?fieldValidation=Strict", {"spec": {"foo": 1}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"resourceVersion": "1"}}, MERGE], ["PATCH", "", {"$patch": "foo"}, STRATEGIC],
        ["PATCH", "", {}, "application/json"],
    ]),
    "labels and finalizers": (ONE, [
        ["PATCH", "", {"metadata": {"labels": {"x": "y"}, "annotations": {"z": "q"}}}, MERGE],
        ["PATCH", "", {"metadata": {"labels": None}}, MERGE], ["PATCH", "", {"metadata": {"finalizers": ["x/y"]}}, MERGE],
        ["DELETE", "", None], ["GET", "", None], ["PATCH", "", {"metadata": {"finalizers": ["x/y", "z/w"]}}, MERGE],
        ["PATCH", "", {"metadata": {"finalizers": None}}, MERGE], ["GET", "", None],
    ]),
    "balancer": (BALANCER, [
        ["PATCH", "", {"spec": {"healthCheckNodePort": 31999}}, MERGE], ["PATCH", "", {"spec": {"loadBalancerClass": "x"}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ClusterIP"}}, MERGE],
        ["PATCH", "/status", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, MERGE],
        ["PATCH", "", {"spec": {"type": "LoadBalancer"}}, MERGE],
        ["PATCH", "/status", {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, MERGE],
        ["PATCH", "", {"spec": {"type": "NodePort", "externalTrafficPolicy": "Local"}}, MERGE],
    ]),
    "strategic merges": ({"ports": [{"port": one, "name": name} for one, name in ((1, "a"), (2, "b"), (3, "c"))]}, [
        ["PATCH", "", {"spec": {"$setElementOrder/ports": [{"port": 3}, {"port": 1}], "ports": [{"port": 3, "targetPort": 9}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"$setElementOrder/ports": [{"port": 2}, {"port": 4}, {"port": 1}], "ports": [{"port": 4, "name": "d"}, {"port": 3, "$patch": "delete"}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"ports": [{"port": 5, "name": "e"}, {"port": 1, "name": "f"}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"ports": [{"$patch": "replace"}, {"port": 7}]}}, STRATEGIC],
        ["PATCH", "", {"spec": {"selector": {"$patch": "replace", "z": "y"}}}, STRATEGIC],
        ["PATCH", "", {"spec": {"selector": {"y": "x"}}}, STRATEGIC],
        ["PATCH", "", {"spec": {"$retainKeys": ["ports", "type"], "type": "NodePort"}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"finalizers": ["x/a", "x/b"]}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"], "$setElementOrder/finalizers": ["x/c", "x/b"], "finalizers": ["x/c"]}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"finalizers": ["x/c", "x/d"]}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"$patch": "merge", "finalizers": None, "labels": {"a": "b", "c": None}}}, STRATEGIC],
        ["PATCH", "", {"spec": {"selector": {"$patch": "delete"}}}, STRATEGIC],
        ["PATCH", "", {"spec": {"$patch": "replace", "ports": [{"port": 9}]}}, STRATEGIC],
        ["PATCH", "", {"metadata": {"finalizers": None}}, MERGE],
    ]),
    "headless": ({"clusterIP": "None", "selector": {"a": "b"}}, [
        ["PATCH", "", {"spec": {"type": "NodePort", "ports": [{"port": 1}]}}, MERGE],
        ["PATCH", "", {"spec": {"clusterIP": "10.96.9.9"}}, MERGE], ["PATCH", "", {"spec": {"selector": None}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ExternalName", "externalName": "x"}}, MERGE],
    ]),
    "external name": ({"type": "ExternalName", "externalName": "a.b"}, [
        ["PATCH", "", {"spec": {"type": "ClusterIP"}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}, MERGE],
        ["PATCH", "", {"spec": {"type": "ExternalName"}}, MERGE],
    ]),
    "affinity": (ONE, [
        ["PATCH", "", {"spec": {"sessionAffinity": "ClientIP"}}, MERGE], ["PATCH", "", {"spec": {"sessionAffinity": "None"}}, MERGE],
        ["PATCH", "", {"spec": {"internalTrafficPolicy": "Local"}}, MERGE],
        ["PATCH", "", {"spec": {"internalTrafficPolicy": None}}, MERGE],
        ["PATCH", "", {"spec": {"externalIPs": ["1.2.3.4"]}}, MERGE], ["PATCH", "", {"spec": {"externalIPs": None}}, MERGE],
    ]),
}  # fmt: skip


def _map(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, **fields}


def _deployment(**fields: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [C]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template, **fields}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def _slice(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], **fields}


_TWICE = {"type": "NodePort", "ports": [{"port": 1, "nodePort": 31555}, {"port": 2, "name": "x", "nodePort": 31555}]}
_TWO = {"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "name": "t"}]}
_ASKED = {"ports": [{"port": 1}], "clusterIP": "10.97.1.1"}
_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
OTHERS: dict[str, list[Step]] = {
    "what is taken": [
        ["POST", SERVICES, service("b", _ASKED)], ["POST", SERVICES, service("c", _ASKED)],
        ["POST", SERVICES, service("b", {"ports": [{"port": 1}]})], ["POST", SERVICES, service("n", _TWICE)],
        ["POST", SERVICES, service("n", {"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]})],
        ["POST", SERVICES, service("n", _TWO)], ["PUT", SERVICES + "/p", service("p", ONE)], ["DELETE", SERVICES + "/b", None],
        ["DELETE", SERVICES + "/n", None], ["DELETE", SERVICES + "/p", None], ["DELETE", SERVICES + "/p", None],
    ],
    "bodies": [
        ["POST", SERVICES, "{"], ["POST", SERVICES, {"kind": "Pod", "apiVersion": "v1"}], ["POST", SERVICES, "[]"],
        ["POST", SERVICES, ""], ["POST", SERVICES, {"kind": "Service", "apiVersion": "v2"}], ["POST", SERVICES, {"kind": "Foo"}],
        ["POST", SERVICES, {"kind": 5, "apiVersion": "v1"}], ["POST", SERVICES, service("x", {"ports": [{"port": "80"}]})],
        ["POST", SERVICES, service("x", {"ports": {"port": 80}})], ["POST", SERVICES, service("x", {"ports": [80]})],
        ["POST", SERVICES, {"metadata": {"name": "x"}, "spec": "a"}], ["POST", SERVICES, service("x", {"ports": [{"port": 80.5}]})],
        ["POST", SERVICES, service("x", {"selector": ["a"]})], ["POST", SERVICES, service("x", {"publishNotReadyAddresses": "y"})],
        ["POST", SERVICES + "?fieldValidation=Strict", '{"foo":1,"spec":{"ports":[{"port":80,"x":1}],"ports":[]}}'],
        ["POST", SERVICES + DRY, {**service("x", ONE), "foo": 1}], ["POST", SERVICES + "?dryRun=x", service("x", ONE)],
        ["POST", SERVICES + DRY + "&fieldValidation=Ignore", {**service("x", ONE), "foo": 1}],
        ["POST", SERVICES + "?fieldValidation=x", service("x", ONE)],
        ["POST", "/api/v1/namespaces/nope/services", service("x", ONE)],
    ],
    "paths": [
        ["GET", PLACE + "/foos", None], ["GET", "/apis/foo.io/v1/bars", None], ["GET", "/foo", None], ["GET", "/api/v2/pods", None],
        ["GET", "/apis/apps/v9", None], ["GET", SERVICES + "/x/foo", None], ["GET", SERVICES + "/nope", None],
        ["PUT", SERVICES, service("x", ONE)], ["POST", "/api/v1/pods", {"metadata": {"name": "a"}}], ["GET", _ACCESS, None],
        ["POST", _ACCESS, {"spec": {}}], ["GET", "/api/v1/namespaces/nope", None], ["DELETE", "/api/v1/namespaces/default", None],
        ["POST", "/api/v1/namespaces", {"metadata": {"name": "Api_"}}], ["DELETE", "/api/v1/namespaces", None],
        ["POST", "/api/v1/namespaces" + DRY, {"metadata": {"name": "ab"}}], ["GET", PODS + "/nope/log", None],
    ],
    "selectors": [
        ["GET", PODS + "?labelSelector=" + one, None]
        for one in ("a%3Db", "a%20in%20(b", "a%3E", "a%20b", "a!%3Db,,c", "-a", "a%3D-b", "a%3D%3D%3Db", "!a,b", "a%20notin%20(b,c)")
    ]
    + [["GET", PODS + "?fieldSelector=" + one, None] for one in ("status.phase", "foo%3Dbar", "spec.nodeName%3Dx")]
    + [["GET", PODS + "?watch=1&resourceVersion=abc", None]],
    "ConfigMap": [
        ["POST", PLACE + "/configmaps", _map(data={"../x": "1"})],
        ["POST", PLACE + "/configmaps", _map(data={"a": "b"}, binaryData={"a": "Yg=="})],
        ["POST", PLACE + "/configmaps", _map(binaryData={"b": "!"})],
        ["POST", PLACE + "/configmaps", {**_map(), "metadata": {"name": "c", "resourceVersion": "5"}}],
        ["POST", PLACE + "/configmaps", _map(data={"a": "b"}, immutable=True)], ["POST", PLACE + "/configmaps", _map()],
        ["PATCH", PLACE + "/configmaps/c", {"data": {"a": "c"}}, MERGE], ["PATCH", PLACE + "/configmaps/c", {"immutable": None}, MERGE],
        ["DELETE", PLACE + "/configmaps/c?propagationPolicy=Foreground", {"propagationPolicy": "x"}],
        ["DELETE", PLACE + "/configmaps/c?dryRun=All", None], ["DELETE", PLACE + "/configmaps/c", None],
        ["PATCH", PLACE + "/configmaps/c", {"data": {"a": "c"}}, MERGE],
    ],
    "Secret": [
        ["POST", PLACE + "/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}],
        ["PATCH", PLACE + "/secrets/s", {"type": "x"}, MERGE], ["DELETE", PLACE + "/secrets/s", None],
    ],
    "Deployment": [
        ["POST", DEPLOYMENTS, _deployment(selector=None)], ["POST", DEPLOYMENTS, _deployment(selector={})],
        ["POST", DEPLOYMENTS, _deployment(template={"spec": {"containers": []}})],
        ["POST", DEPLOYMENTS, _deployment(strategy={"type": "x"})], ["POST", DEPLOYMENTS, _deployment(replicas="a")],
        ["POST", DEPLOYMENTS + DRY, _deployment()], ["POST", DEPLOYMENTS + DRY, _deployment(strategy={"type": "Recreate"})],
    ],
    "EndpointSlice": [
        ["POST", SLICES, _slice(addressType="x")], ["POST", SLICES, {"metadata": {"name": "e"}}],
        ["POST", SLICES, _slice(ports=[{"port": 80}])], ["PATCH", SLICES + "/e", {"addressType": "IPv6"}, MERGE],
        ["PATCH", SLICES + "/e", {"endpoints": [{"addresses": ["x"]}]}, MERGE],
        ["PATCH", SLICES + "/e", {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}, {"name": "A b"}]}, MERGE],
        ["PATCH", SLICES + "/e", {"ports": None, "endpoints": None}, MERGE], ["DELETE", SLICES + "/e", None],
    ],
    "Endpoints": [
        ["POST", PLACE + "/endpoints", {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}]}]}],
        ["GET", PLACE + "/endpoints/e", None], ["DELETE", PLACE + "/endpoints/e", None],
    ],
}  # fmt: skip
