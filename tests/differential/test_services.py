"""Made-up requests about Services to a real API server and to the embedded one: verdict, words, defaults, warnings.

What a real server answered once is replayed in test_embedded_api_recorded.py. LABS_DIFFERENTIAL_EXAMPLES: how many (100).
LABS_DIFFERENTIAL_FRESH=1: others each time; else the same, so that a run says the same twice.
"""

import json
from typing import Any

import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.asking import NAMESPACE, SERVICES, asked, asked_embedded, examples
from tests.embedded_api_stories import MERGE, PATCH, STRATEGIC, Step
from tests.embedded_world import world

# --- what is sent: mostly right, and each thing wrong now and then

numbers = st.sampled_from([80, 80, 80, 81, 9080, 0, -1, 65535, 65536, "80", None, True, 1.5])
texts = st.sampled_from(["web", "web", "a", "A", "a.b", "-a", "a" * 64, "", "ü", "9080", None, 5])
node_ports = st.sampled_from([31801, 31802, 31803, 0, 80, 32768, None, "x"])
addresses = st.sampled_from(["10.99.77.1", "10.99.77.2", "None", "", "1.2.3.4", "::1", "x", "010.99.77.1", None])
outside = st.lists(st.sampled_from(["1.2.3.4", "127.0.0.1", "2001:DB8::1", "x", "0.0.0.0"]), max_size=2)
labels = st.dictionaries(st.sampled_from(["app", "a/b", "a b", "/x"]), st.sampled_from(["x", "", "a b", 1]), max_size=1)
ports = st.fixed_dictionaries(
    {"port": numbers},
    optional={
        "name": texts, "targetPort": numbers | texts, "protocol": st.sampled_from(["TCP", "UDP", "SCTP", "tcp", ""]),
        "nodePort": node_ports, "appProtocol": st.sampled_from(["http", "kubernetes.io/h2c", "a b", ""]), "prot": st.just(1),
    },
)  # fmt: skip
policies = st.sampled_from(["Local", "Cluster", "local", ""])
affinity = st.sampled_from([{}, {"clientIP": {}}, {"clientIP": {"timeoutSeconds": 0}}, {"clientIP": {"timeoutSeconds": 5}}])
specs = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.lists(ports, max_size=3),
        "type": st.sampled_from(["ClusterIP", "NodePort", "NodePort", "LoadBalancer", "ExternalName", "x", ""]),
        "clusterIP": addresses, "clusterIPs": st.lists(addresses, max_size=2), "externalIPs": outside, "selector": labels,
        "externalName": st.sampled_from(["a.b", "A", "", "1.2.3.4"]),
        "sessionAffinity": st.sampled_from(["ClientIP", "None", "x"]),
        "sessionAffinityConfig": affinity, "externalTrafficPolicy": policies, "internalTrafficPolicy": policies,
        "ipFamilies": st.lists(st.sampled_from(["IPv4", "IPv6", "x"]), max_size=2),
        "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack", "x"]),
        "publishNotReadyAddresses": st.sampled_from([True, False, "x"]), "healthCheckNodePort": node_ports,
        "allocateLoadBalancerNodePorts": st.booleans(), "loadBalancerClass": st.sampled_from(["a/b", "a b", ""]),
        "loadBalancerSourceRanges": st.lists(st.sampled_from(["10.0.0.0/8", "10.0.0.1/8", "x", "10.0.0.0/08"]), max_size=2),
        "trafficDistribution": st.sampled_from(["PreferClose", "PreferSameNode", "x"]), "unknown": st.just({}),
    },
)  # fmt: skip
# Most Services are small: one with all of these fields is refused for one of them nearly always.
small = st.fixed_dictionaries(
    {"ports": st.lists(ports, min_size=1, max_size=2)},
    optional={"type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]), "selector": st.just({"app": "x"})},
)
right = st.fixed_dictionaries(
    {"ports": st.lists(st.fixed_dictionaries({"port": st.sampled_from([80, 81])}), min_size=1, max_size=1)},
    optional={"type": st.sampled_from(["NodePort", "LoadBalancer", "ClusterIP"]), "clusterIP": st.just("None")},
)
names = st.sampled_from(["a", "a", "b"])
levels = st.sampled_from(["", "", "?fieldValidation=Strict", "?fieldValidation=Ignore", "?dryRun=All"])


@st.composite
def steps(draw: Any) -> Step:
    """One request about a Service."""
    name, query, spec = draw(names), draw(levels), draw(st.one_of(right, small, specs))
    metadata: dict[str, Any] = {"name": name, **({"labels": draw(labels)} if draw(st.integers(0, 5)) == 0 else {})}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    path = f"{SERVICES}/{name}"
    kind = draw(st.sampled_from(["create", "create", "put", "merge", "strategic", "json", "delete"]))
    if kind == "create":
        return ["POST", SERVICES + query, service]
    if kind == "put":
        return ["PUT", path + query, service]
    if kind == "delete":
        return ["DELETE", path, None]
    if kind == "json":
        field, value = draw(st.sampled_from(sorted(spec.items(), key=str) or [("type", "NodePort")]))
        return [
            "PATCH",
            path,
            [{"op": draw(st.sampled_from(["add", "replace", "remove"])), "path": f"/spec/{field}", "value": value}],
            PATCH,
        ]
    return ["PATCH", path + query, {"spec": spec}, MERGE if kind == "merge" else STRATEGIC]


@examples(100)
@given(story=st.lists(steps(), min_size=1, max_size=6))
def test_services(real: str, story: list[Step]) -> None:
    for name in "ab":
        requests.delete(f"{real}{SERVICES}/{name}", timeout=30)
    with world(NAMESPACE) as embedded:
        for step in story:
            assert asked_embedded(embedded.base, step) == asked(real, step), json.dumps(step)
