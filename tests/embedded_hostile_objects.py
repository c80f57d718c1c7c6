"""What hostile requests are made of: objects that are right, values that are not, and how one gets into the other.

Only data and drawing from it; embedded_hostile_requests.py makes requests of them.
"""

import copy
import json
from random import Random
from typing import Any

Object = dict[str, Any]
C = {"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "name": "web"}], "env": [{"name": "A", "value": "b"}]}
PROBED = {"httpGet": {"port": "web", "httpHeaders": [{"name": "A", "value": "b"}]}, "periodSeconds": 1}
LIMITED = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
SECURE = {"runAsUser": 5, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
MOUNTED = [{"name": "v", "mountPath": "/v", "subPath": "a"}]
SOURCES = [
    {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
    {"configMap": {"name": "m", "items": [{"key": "a", "path": "a", "mode": 256}]}},
    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.labels['a']"}}]}},
]
POD_SPEC: Object = {
    "containers": [{**C, "readinessProbe": PROBED, "resources": LIMITED, "securityContext": SECURE, "volumeMounts": MOUNTED}],
    "initContainers": [{"name": "i", "image": "i", "envFrom": [{"configMapRef": {"name": "m"}, "prefix": "P_"}]}],
    "volumes": [
        {"name": "v", "emptyDir": {"sizeLimit": "1Mi", "medium": "Memory"}},
        {"name": "p", "projected": {"sources": SOURCES, "defaultMode": 420}},
    ],
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}],
    "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": ["a"], "options": [{"name": "ndots", "value": "5"}]},
    "securityContext": {"fsGroup": 5, "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]},
}
SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [C]}}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
METADATA = {
    "name": "x",
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "finalizers": ["a/b"],
    "ownerReferences": [OWNER],
    "resourceVersion": "1",
    "generateName": "x-",
    "creationTimestamp": "2026-01-02T03:04:05Z",
    "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:data": {}}}],
}
PORT = {"name": "a", "port": 80, "targetPort": "web", "protocol": "TCP", "nodePort": 30066}
SERVICE_SPEC = {
    "type": "NodePort",
    "ports": [PORT],
    "selector": {"a": "b"},
    "clusterIP": "10.96.1.2",
    "clusterIPs": ["10.96.1.2"],
    "externalIPs": ["1.2.3.4"],
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}},
    "loadBalancerSourceRanges": ["1.0.0.0/8"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "internalTrafficPolicy": "Local",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 30500,
}
ENDPOINT = {
    "addresses": ["10.0.0.1"],
    "conditions": {"ready": True},
    "nodeName": "n",
    "targetRef": {"kind": "Pod", "name": "p"},
}
SUBSET = {"addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod"}}], "ports": [{"port": 80, "name": "a"}]}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
RULE = {"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}
EVENT_TIME = "2026-01-02T03:04:05.000000Z"
OBJECTS: dict[str, Object] = {  # by the path of their collection
    "/api/v1/namespaces/n/configmaps": {"data": {"a": "b"}, "binaryData": {"c": "YWJj"}, "immutable": False},
    "/api/v1/namespaces/n/secrets": {"data": {"a": "YWJj"}, "stringData": {"b": "c"}, "type": "Opaque"},
    "/api/v1/namespaces/n/services": {"spec": SERVICE_SPEC, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
    "/api/v1/namespaces/n/pods": {"spec": POD_SPEC, "status": {"phase": "Running", "conditions": [{"type": "Ready"}]}},
    "/api/v1/namespaces/n/endpoints": {"subsets": [SUBSET]},
    "/api/v1/namespaces/n/serviceaccounts": {"secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "s"}]},
    "/api/v1/namespaces/n/events": {
        "involvedObject": {"kind": "Pod", "namespace": "n"},
        "message": "m",
        "count": 1,
        "type": "N",
    },
    "/apis/events.k8s.io/v1/namespaces/n/events": {"regarding": {"kind": "Pod"}, "note": "m", "eventTime": EVENT_TIME},
    "/api/v1/namespaces": {"spec": {"finalizers": ["kubernetes"]}},
    "/api/v1/nodes": {"spec": {"podCIDR": "10.244.7.0/24", "taints": [{"key": "a", "effect": "NoSchedule"}]}, "status": {}},
    "/apis/apps/v1/namespaces/n/deployments": {
        "spec": {
            "replicas": 2,
            "selector": SELECTOR,
            "template": TEMPLATE,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
        }
    },
    "/apis/apps/v1/namespaces/n/replicasets": {"spec": {"replicas": 2, "selector": SELECTOR, "template": TEMPLATE}},
    "/apis/discovery.k8s.io/v1/namespaces/n/endpointslices": {
        "addressType": "IPv4",
        "endpoints": [ENDPOINT],
        "ports": [{"port": 80, "name": "a", "protocol": "TCP"}],
    },
    "/apis/networking.k8s.io/v1/namespaces/n/ingresses": {"spec": {"rules": [RULE], "defaultBackend": BACKEND, "tls": [{}]}},
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": {},
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {"spec": {"resourceAttributes": {"verb": "get"}}},
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": {"spec": {"namespace": "n"}},
    "/api/v1/namespaces/n/serviceaccounts/default/token": {"spec": {"expirationSeconds": 600, "audiences": ["a"]}},
}
DELETE_OPTIONS = {
    "kind": "DeleteOptions",
    "gracePeriodSeconds": 0,
    "propagationPolicy": "Background",
    "orphanDependents": False,
    "preconditions": {"uid": "u", "resourceVersion": "1"},
    "dryRun": ["All"],
}


class Raw(str):
    """JSON, or what is to stand in its place, as it is."""


NUMBERS: list[Any] = [0, -1, 1, 5, 1.5, 65536, 2**31, -(2**31) - 1, 2**63, 2**64, 10**30, -0.0, 1e300]
TEXTS: list[Any] = [
    *(
        "",
        " ",
        "x",
        "X_",
        "é",
        "-",
        "1",
        "0",
        "-1",
        "1.5Gi",
        "1e3",
        "1e999",
        "-5m",
        "None",
        "NaN",
        "true",
        "100%",
        "-1%",
        "a/b/c",
    ),
    *("../..", "/", "a\nb", "a\rb: c", "\x00", "\x7f", "\x1b[2J", "\u2028", "\ufeff", "\ufffe", "\ud800", "\udc00x", "x\ud83d"),
    *(
        "😀",
        "٣",
        "%s%n",
        "{{.}}",
        "$(A)",
        "<b>&",
        '"',
        "\\",
        "a=b",
        "a,b",
        "=~",
        "0x10",
        "1.2.3.4",
        "::1",
        "999.1.1.1",
        "10.96.0.1",
    ),
    *("2026-01-02T03:04:05Z", "9999-99-99T99:99:99Z", "0000-00-00T00:00:00Z", "2026-01-02T03:04:05+99:99", "a" * 64, "b" * 300),
]
SHAPES: list[Any] = [
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": ""},
    {"a": None},
    {"a": {}},
    ["a", 1, None],
    {"$patch": "x"},
    [5],
    {"a": 5},
]
RAW: list[Any] = [
    *(
        Raw(text)
        for text in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", "1.", ".5", "+1", "0x1", "tru", "'a'", "")
    ),
    *(
        Raw(text)
        for text in ('"\\u00', '"\\x"', '"a\nb"', '"\t"', '"', "[1,]", '{"a":1,}', "{a:1}", "[", "{", "]", "/**/1", "1 1")
    ),
    *(Raw(start * depth + "1" + end * depth) for depth in (90, 600, 5000) for start, end in (("[", "]"), ('{"a":', "}"))),
    Raw("9" * 400),
    Raw("9" * 6000),
    Raw('{"a":1,"a":2}'),
]
NAMES = [
    *(
        "",
        "x",
        "kind",
        "metadata",
        "spec",
        "name",
        "a\nb",
        "a\x00b",
        'q"\\',
        "é",
        "\ud800",
        "$patch",
        "$retainKeys",
        "a.b/c",
        "__class__",
    ),
    *(
        "$setElementOrder/ports",
        "$deleteFromPrimitiveList/finalizers",
        "$setElementOrder/",
        "$deleteFromPrimitiveList/",
        "n" * 300,
    ),
]


def value(rng: Random) -> Any:
    """One that is seldom right."""
    kind = rng.choices((NUMBERS, TEXTS, SHAPES, RAW, [None, True, False]), (3, 5, 4, 1, 2))[0]
    return copy.deepcopy(rng.choice(kind))


def instead(rng: Random, old: Any) -> Any:
    """A value in place of another: mostly of the same type, which gets further."""
    if rng.random() < 0.3:
        return value(rng)
    if isinstance(old, bool) or old is None:
        return not old
    same = next((kind for kind in (NUMBERS, TEXTS) if isinstance(kind[0], type(old))), SHAPES)
    chosen = copy.deepcopy(rng.choice(same))
    return int(chosen) if isinstance(old, int) else chosen


def turned(rng: Random, obj: Any, times: int) -> Any:
    """An object with that many of its parts changed, taken away, added or put elsewhere."""
    obj = copy.deepcopy(obj)
    for _ in range(times):
        places = _places(obj)
        if not places:
            return value(rng)
        holder, key = rng.choice(places)
        action = rng.choices(("change", "drop", "add", "swap"), (6, 1, 2, 1))[0]
        if action == "change":
            holder[key] = instead(rng, holder[key])
        elif action == "drop":
            del holder[key]
        elif action == "add" and isinstance(holder, dict):
            holder[rng.choice(NAMES)] = value(rng)
        elif action == "add":
            holder.insert(key, value(rng))
        else:
            other, there = rng.choice(places)
            holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])
    return obj


def _places(obj: Any) -> list[tuple[Any, Any]]:
    """Every part of an object: what holds it, and its key there."""
    keys = list(obj) if isinstance(obj, dict) else range(len(obj)) if isinstance(obj, list) else []
    return [(obj, key) for key in keys] + [place for key in keys for place in _places(obj[key])]


def text(obj: Any) -> str:
    """As JSON, what is Raw as it is."""
    if isinstance(obj, Raw):
        return str(obj)
    if isinstance(obj, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{text(one)}" for key, one in obj.items()) + "}"
    return "[" + ",".join(map(text, obj)) + "]" if isinstance(obj, list) else json.dumps(obj)
