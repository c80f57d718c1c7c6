"""Requests that are malformed: what the embedded API is compared by with a real one, beside
embedded_api_stories.py. Only data."""

import json
from typing import Any

Step = list[Any]  # as in embedded_api_stories.py; a fifth item is headers
MERGE, STRATEGIC, PATCH = (f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch"))
DRY = "?dryRun=All"
BODIES = r"""
{"metadata":{"name":"x"},"a\nb":1}
{"metadata":{"name":"x","l\u0000\u007f\u00e9\u200b":1}}
{"metadata":{"name":"x"},"a\"\\b":1,"metadata":{"name":"x"}}
{"metadata":{"name":"x"},"data":{"a":"\ud800","b":"\udc00\ud800x","c":"\ud83d\ude00","d":"\\ud800"}}
{"metadata":{"name":"x"},"data":{"\ud800":"a"}}
{"metadata":{"name":"\ud800"}}
{"metadata":{"name":"a\nb"}}
{"metadata":{"name":"x","labels":{"a":"\ud800"}}}
{"metadata":{"name":"x"},"binaryData":{"a":"é"}}
{"metadata":{"name":"x"},"binaryData":{"a":"ab$d"}}
{"metadata":{"name":"x"},"binaryData":{"a":"abc"}}
{"metadata":{"name":"x"},"binaryData":{"a":"ab=c"}}
{"metadata":{"name":"x"},"binaryData":{"a":"ab==cd=="}}
{"metadata":{"name":"x"},"binaryData":{"a":"YWJj\nYWJj"}}
{"metadata":{"name":"x"},"binaryData":{"a":"YWJj\nYW"}}
{"metadata":{"name":"x"},"binaryData":{"a":5}}
{"metadata":{"name":"x"},"data":{"a":NaN}}
{"metadata":{"name":"x"},"data":{"a":-Infinity}}
{"metadata":{"name":"x"},"data":{"a":"b}
{"metadata":{"name":"x"},"data":{"a":"	"}}
{"metadata":{"name":"x"},"data":{"a":"\x"}}
{"metadata":{"name":"x"}} 1
{"metadata":{"name":"x"},}
{"metadata":é}
'x'
{"kind":5,"metadata":{"name":"x"}}
{"apiVersion":[1],"metadata":{"name":"x"}}
{"apiVersion":"a/b/c","metadata":{"name":"x"}}
{"kind":"No\nne","metadata":{"name":"x"}}
"""
PATCHES: list[tuple[str, Any]] = [  # of a ConfigMap
    *(
        (MERGE, one)
        for one in ({"apiVersion": 5}, {"kind": [1]}, {"kind": "X"}, {"apiVersion": "a/b/c"}, {"metadata": {"name": None}})
    ),
    *(
        (MERGE, one)
        for one in ("null", "5", "{", '{"a":1e999}', r'{"x\ny":1}', r'{"data":{"a":"\ud800"}}', {"binaryData": {"a": "é"}})
    ),
    *((MERGE, one) for one in ({"binaryData": {"a": 5}}, {"immutable": "x"}, {"data": {"a": ["x"]}}, {"metadata": []})),
    *((STRATEGIC, one) for one in ({"apiVersion": 5}, {"kind": [1]}, {"kind": "X"}, {"metadata": 5}, {"data": {"a": 5.5}})),
    *(
        (STRATEGIC, one)
        for one in ("null", "5", "{", '{"a":1e999}', {"binaryData": {"a": "é"}}, {"binaryData": {"a": 5}}, {"data": 5})
    ),
    *(
        (STRATEGIC, one)
        for one in ({"immutable": "x"}, {"immutable": 5}, {"data": {"a": True}}, {"data": {"a": []}}, {"data": []})
    ),
    *((STRATEGIC, {"metadata": {"ownerReferences": [one]}}) for one in (None, "a", {})),
    *((PATCH, one) for one in ("null", "5", "{", "[null]", "[1]", [{}], [{"op": "x", "path": "/a"}], [{"op": "add"}])),
    (PATCH, [{"op": "replace", "path": "/kind", "value": [1]}]),
    (PATCH, [{"op": "replace", "path": "/apiVersion", "value": 5}]),
    *((PATCH, [{"op": "replace", "path": "", "value": one}]) for one in (5, [])),
    (PATCH, [{"op": "add", "path": 5, "value": 1}]),
    (PATCH, [{"op": 5, "path": "/a", "value": 1}]),
    (PATCH, [{"op": "add", "path": "/data/b"}]),
    (PATCH, [{"op": "add", "path": "/data/~", "value": "1"}]),
    (PATCH, [{"op": "move", "from": "/data", "path": "/data/x"}]),
    (PATCH, [{"op": "remove", "path": "/metadata"}]),
    (PATCH, [{"op": "copy", "from": "/data", "path": "/data/x"}] * 40),
]
DIRECTIVES: list[Any] = [  # strategic merge patches of a Service
    {"spec": {"$retainKeys": 5}},
    {"spec": {"$retainKeys": ["type"], "ports": [{"port": 1}]}},
    {"spec": {"$patch": 5}},
    {"spec": {"$patch": None}},
    {"spec": {"$patch": [1, {"a": None}]}},
    {"spec": {"$patch": "x"}},
    {"spec": {"$setElementOrder/ports": 5}},
    {"spec": {"$setElementOrder/ports": [{"port": 81}], "ports": [{"port": 80}]}},
    {"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": 5}},
    {"spec": {"$setElementOrder/x": []}},
    {"spec": {"$setElementOrder": []}},
    {"spec": {"selector": {"$setElementOrder/x": []}}},
    {"metadata": {"$deleteFromPrimitiveList": []}},
    {"spec": {"ports": [{"$patch": "delete"}]}},
    {"spec": {"ports": [{"$patch": "merge"}]}},
    {"spec": {"ports": [{"$patch": "x"}]}},
    {"spec": {"ports": [{}]}},
    {"spec": {"ports": [{"port": 80}, 5]}},
    {"spec": {"ports": [5]}},
    {"spec": {"ports": [[]]}},
    {"spec": {"ports": {"a": 1}}},
    {"spec": {"ports": [{"port": "80", "name": "z"}]}},
    {"spec": {"publishNotReadyAddresses": "x"}},
]
EXPRESSIONS: list[Any] = [
    {"key": "a"},
    {"operator": "Exists"},
    {},
    None,
    {"key": "a", "operator": "x"},
    {"key": "a", "operator": "In"},
    {"key": "a", "operator": "Exists", "values": ["x"]},
    {"key": "a b", "operator": "In", "values": ["x y"]},
]
ROLLING: list[Any] = [
    {"maxSurge": "x", "maxUnavailable": -1},
    {"maxSurge": 0, "maxUnavailable": "0%"},
    {"maxSurge": "1%", "maxUnavailable": "101%"},
]
DELETIONS = """
{
5
{"kind":"X"}
{"apiVersion":5}
{"gracePeriodSeconds":"x"}
{"gracePeriodSeconds":99999999999999999999}
{"propagationPolicy":5}
{"propagationPolicy":"x","orphanDependents":true}
{"orphanDependents":"x"}
{"dryRun":"All"}
{"dryRun":["All","x"]}
{"preconditions":5}
"""
QUERIES = """
limit=x
limit=
limit=99999999999999999999
continue=x
resourceVersion=x
resourceVersionMatch=Exact
resourceVersion=1&resourceVersionMatch=x
sendInitialEvents=true
watch=1&sendInitialEvents=true
watch=1&resourceVersion=x
watch=1&resourceVersion=99999999999999999999999
labelSelector=a%3E%D9%A3
labelSelector=a/b/c
labelSelector=A_B.c/d
labelSelector=%0A%7F
fieldSelector=x=y
fieldSelector=metadata.name=a%5C
fieldSelector=metadata.name=a%5Cx
fieldSelector=metadata.name=a=b
"""
REVIEWS: list[tuple[str, Any]] = [
    ("selfsubjectaccessreviews", {"spec": 5}),
    ("selfsubjectaccessreviews", {"spec": {"resourceAttributes": 5}}),
    ("selfsubjectrulesreviews", {}),
    ("selfsubjectrulesreviews", {"spec": {"namespace": 5}}),
    ("selfsubjectrulesreviews", {"kind": "X"}),
]
TOKENS: list[Any] = [
    {"spec": 5},
    *({"spec": {"expirationSeconds": one}} for one in ("x", 5, 9999999999999)),
    {"metadata": {"namespace": "z"}},
]


def stories(place: str) -> dict[str, list[Step]]:
    """By name, of the namespace at that path."""
    maps, services = place + "/configmaps", place + "/services"
    workloads = place.replace("/api/v1", "/apis/apps/v1")
    made: dict[str, list[Step]] = {f"body {body}": [["POST", maps + DRY, body]] for body in BODIES.strip("\n").splitlines()}
    made["a body of another encoding"] = [
        ["POST", maps + DRY, {"metadata": {"name": "x"}}, "application/json", {"Content-Encoding": one}]
        for one in ("gzip", "deflate", "br", "zstd", "x")
    ]
    changes = [["PATCH", maps + "/m" + DRY, body, media] for media, body in PATCHES]
    changes += [["DELETE", maps + "/m", body] for body in DELETIONS.split("\n") if body]
    first = ["POST", maps, {"metadata": {"name": "m"}, "data": {"a": "b"}}]
    made["patches and deletions of a ConfigMap"] = [first, *changes, ["DELETE", maps + "/m", None]]
    first = ["POST", services, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}]
    changes = [["PATCH", services + "/a" + DRY, body, STRATEGIC] for body in DIRECTIVES]
    made["directives"] = [first, *changes, ["DELETE", services + "/a", None]]
    spec = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}
    plain = {"selector": {"matchLabels": {"a": "b"}}}
    specs = [{**spec, "selector": {"matchExpressions": [one]}} for one in EXPRESSIONS]
    specs += [{**spec, **plain, "strategy": {"rollingUpdate": one}} for one in ROLLING]
    specs += [
        {**spec, **plain, "minReadySeconds": 5, "progressDeadlineSeconds": 5, "revisionHistoryLimit": -1},
        {**spec, "selector": {}},
    ]
    for kind in ("deployments", "replicasets"):
        made[f"selectors and strategies of {kind}"] = [
            ["POST", f"{workloads}/{kind}{DRY}", {"metadata": {"name": "x"}, "spec": one}]
            for one in specs
            if kind == "deployments" or "strategy" not in json.dumps(one)
        ]
    made["what no list is asked for"] = [["GET", f"{maps}?{query}", None] for query in QUERIES.split("\n") if query]
    reviews = [["POST", f"/apis/authorization.k8s.io/v1/{kind}", body] for kind, body in REVIEWS]
    made["reviews and tokens"] = reviews + [["POST", place + "/serviceaccounts/default/token", body] for body in TOKENS]
    return made
