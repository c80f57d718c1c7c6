"""What the made-up requests about Pods are made of: a Pod that is right, and values for its fields, most of which are wrong.

Only data, and how a value is put in its place; test_pods.py sends it, and embedded_api_stories.py has each value alone.
"""

# ruff: noqa: E501  (a field is a line, or a few)

import copy
import itertools
from typing import Any

Object = dict[str, Any]
BASE: Object = {
    "schedulerName": "nobody",
    "automountServiceAccountToken": False,
    "containers": [{"name": "main", "image": "agnhost:2.53"}],
}
NAMES = ["web", "web-2", "A", "a.b", "-a", "a" * 64, "", "ü", None, 5]
NUMBERS = [80, 8080, 0, -1, 65535, 65536, "80", None, True, 1.5]
PORTS = [*NUMBERS, "web", "a_b", "", "a" * 16]
SECONDS = [0, 1, 30, -1, None, "3", 2147483648]
USERS = [0, 1000, -1, 2147483647, 2147483648, None, "root"]
AMOUNTS = ["1", "100m", "0.5", 1, 0.5, "1Gi", "-1", "0", "x", "", "1e3", "1 Gi", None]
PATHS = ["/", "/data", "data", "", "/a/../b", "..", "/var/run/secrets/kubernetes.io/serviceaccount", "a:b", None]
MAIN, SECOND, FIRST = "containers.0", "containers.1", "initContainers.0"
PROBES = [f"{MAIN}.{name}" for name in ("livenessProbe", "readinessProbe", "startupProbe")]
OTHER = {"name": "second", "image": "busybox"}
VALUES: dict[str, list[Any]] = {
    # the Pod's own
    "restartPolicy": ["Always", "OnFailure", "Never", "never", "", None, 1],
    "dnsPolicy": ["ClusterFirst", "Default", "None", "ClusterFirstWithHostNet", "x", "", None],
    "dnsConfig": [
        {}, {"nameservers": ["1.2.3.4"]}, {"nameservers": ["x"]}, {"searches": ["a.b", "A_"]}, {"options": [{"name": "ndots", "value": "2"}]},
        {"options": [{"value": "2"}]}, {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]}, {"searches": ["a." * 2]},
    ],
    "hostNetwork": [True, False, "yes"],
    "hostname": NAMES, "subdomain": NAMES, "nodeName": ["n_", "", None, 5], "serviceAccountName": ["default", "nobody", "N_", "", None],
    "serviceAccount": ["default", "nobody"],
    "enableServiceLinks": [True, False, None, "x"], "automountServiceAccountToken": [False, None, "x"],
    "terminationGracePeriodSeconds": SECONDS, "schedulerName": ["nobody", "N_", "a b"], "preemptionPolicy": ["Never", "PreemptLowerPriority", "x"],
    "priority": [0, 5, -1, None], "os": [{"name": "linux"}, {"name": "x"}, {}],
    "nodeSelector": [{"a": "b"}, {"a b": "c"}, {"a": "b c"}, {"a": 1}, {}],
    "imagePullSecrets": [[{"name": "a"}], [{"name": ""}], [{}], [{"name": "a"}, {"name": "a"}]],
    "hostAliases": [
        [{"ip": "1.2.3.4", "hostnames": ["a"]}], [{"ip": "x"}], [{"ip": "1.2.3.4", "hostnames": ["A_"]}], [{"hostnames": ["a"]}],
        [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}], [{"ip": "01.2.3.4"}],
    ],
    "tolerations": [
        [{"operator": "Exists"}], [{"key": "a", "operator": "Exists", "value": "x"}], [{"key": "a", "operator": "x"}], [{"key": "a b"}],
        [{"key": "a", "value": "b c"}], [{"key": "a", "effect": "x"}], [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 3}],
        [{"value": "x"}], [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
    ],
    "securityContext": [
        {}, {"runAsNonRoot": True}, {"fsGroup": -1}, {"fsGroup": 0}, {"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]},
        {"sysctls": [{"name": "net.a b", "value": ""}]}, {"sysctls": [{"name": "net.b", "value": "1"}, {"name": "net.b", "value": "1"}]},
        {"seccompProfile": {"type": "RuntimeDefault"}}, {"seccompProfile": {"type": "x"}}, {"seccompProfile": {}},
        {"seccompProfile": {"type": "Localhost"}}, {"seccompProfile": {"type": "Unconfined", "localhostProfile": "a"}},
    ],
    "securityContext.runAsUser": USERS, "securityContext.runAsGroup": USERS,
    # containers
    "containers": [[], None, "x", [{}], [None], {}], f"{MAIN}.name": NAMES, f"{MAIN}.image": ["busybox", "a:latest", "a@sha256:0", "", " a", "a ", None, 5],
    SECOND: [OTHER, {"name": "main", "image": "a"}, {"name": "second"}, {"image": "a"}, {**OTHER, "ports": [{"containerPort": 80}]}],
    FIRST: [{**OTHER, "name": "first"}, OTHER, {"name": "main", "image": "a"}, {**OTHER, "readinessProbe": {"tcpSocket": {"port": 1}}}],
    f"{MAIN}.command": [["sh"], [], [""], "sh", [1], None], f"{MAIN}.args": [["a", None], []], f"{MAIN}.workingDir": ["/", "", 1],
    f"{MAIN}.imagePullPolicy": ["Always", "Never", "x", "", None], f"{MAIN}.tty": [True, "x"], f"{MAIN}.stdin": [True, None],
    f"{MAIN}.stdinOnce": [True], f"{MAIN}.terminationMessagePath": ["/a", "", None],
    f"{MAIN}.terminationMessagePolicy": ["File", "FallbackToLogsOnError", "x", ""],
    # their ports
    f"{MAIN}.ports.0.containerPort": NUMBERS, f"{MAIN}.ports.0.hostPort": NUMBERS, f"{MAIN}.ports.0.hostIP": ["1.2.3.4", "x", "", "0.0.0.0", "::1"],
    f"{MAIN}.ports.0.name": [*NAMES, "9080", "a" * 15, "a" * 16, "a--b", "http-web"],
    f"{MAIN}.ports.0.protocol": ["TCP", "UDP", "SCTP", "tcp", "", None],
    f"{MAIN}.ports": [
        [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}], [{"containerPort": 80}, {"containerPort": 80}],
        [{"containerPort": 80, "name": "a"}, {"containerPort": 80, "protocol": "UDP", "name": "b"}], [{}], [None], "x",
        [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}], [{"containerPort": 80, "unknown": 1}],
    ],
    # what they know
    f"{MAIN}.env": [
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], [{"name": "a.b"}], [{"name": ""}], [{"name": "1=2"}], [{"value": "x"}],
        [{"name": "A", "value": 1}], [{"name": "A", "valueFrom": {}}], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}],
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}], [{"name": "A", "valueFrom": {"fieldRef": {}}}],
        [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}], [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}],
        [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k", "optional": True}}}],
        [{"name": "A", "value": "x", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
        [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "C_", "key": "a b"}}}],
    ],
    f"{MAIN}.envFrom": [
        [{"configMapRef": {"name": "c"}}], [{"prefix": "A_", "secretRef": {"name": "s"}}], [{}], [{"prefix": "=", "configMapRef": {"name": "c"}}],
        [{"configMapRef": {"name": ""}}], [{"configMapRef": {"name": "c"}, "secretRef": {"name": "s"}}], [{"configMapRef": {"name": "C_"}}],
    ],
    f"{MAIN}.resources": [
        {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}, {"requests": {"memory": "1Gi"}}, {"limits": {"memory": "1Gi", "cpu": 1}}, {},
        {"limits": {"x": "1"}}, {"limits": {"example.com/x": "1"}}, {"limits": {"ephemeral-storage": "1Gi"}}, {"requests": {"example.com/x": "1"}},
    ],
    f"{MAIN}.resources.limits.cpu": AMOUNTS, f"{MAIN}.resources.requests.memory": AMOUNTS,
    f"{MAIN}.securityContext": [
        {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}, {"runAsNonRoot": True, "runAsUser": 0},
        {"capabilities": {"add": ["NET_ADMIN", "CAP_CHOWN"]}}, {"seccompProfile": {"type": "x"}}, {"seccompProfile": {"type": "Localhost", "localhostProfile": "../a"}},
        {"allowPrivilegeEscalation": "x"},
    ],
    f"{MAIN}.securityContext.runAsUser": USERS,
    # how they are probed
    **{f"{probe}.httpGet.port": PORTS for probe in PROBES}, **{f"{probe}.tcpSocket.port": PORTS for probe in PROBES[:2]},
    **{f"{probe}.successThreshold": [0, 1, 2, -1] for probe in PROBES}, f"{PROBES[0]}.exec.command": [["true"], [], None],
    f"{PROBES[1]}": [
        {}, {"httpGet": {}}, {"httpGet": {"port": 80, "scheme": "http"}}, {"httpGet": {"port": 80, "path": "a"}}, {"exec": {"command": ["a"]}, "timeoutSeconds": 0},
        {"httpGet": {"port": 80, "host": "a", "httpHeaders": [{"name": "A", "value": "b"}]}}, {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b"}]}},
        {"tcpSocket": {"port": 80}, "exec": {"command": ["a"]}, "httpGet": {"port": 80}}, {"tcpSocket": {"port": 80, "host": ""}, "periodSeconds": 0},
    ],
    f"{PROBES[1]}.periodSeconds": SECONDS, f"{PROBES[1]}.timeoutSeconds": SECONDS, f"{PROBES[1]}.initialDelaySeconds": SECONDS, f"{PROBES[1]}.failureThreshold": SECONDS,
    # volumes
    "volumes": [
        [{"name": "v"}], [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}], [{"name": "V_", "emptyDir": {}}], [{"emptyDir": {}}],
        [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}], [{"name": "v", "emptyDir": {"sizeLimit": "-1"}}], [{"name": "v", "emptyDir": {"medium": "x"}}],
        [{"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "../b"}]}}], [{"name": "v", "configMap": {"defaultMode": 1000}}],
        [{"name": "v", "configMap": {"name": "c", "items": [{"path": "a"}]}}], [{"name": "v", "secret": {"secretName": "s", "defaultMode": 256}}], [{"name": "v", "secret": {}}],
        [{"name": "v", "emptyDir": {}, "configMap": {"name": "c"}}], [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}}],
        [{"name": "v", "projected": {"sources": [{}]}}], [{"name": "v", "projected": {}}], [{"name": "v", "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}}],
        [{"name": "v", "downwardAPI": {"items": [{"path": "/a", "fieldRef": {"fieldPath": "spec.x"}}]}}], [{"name": "v", "downwardAPI": {"items": [{"path": "a"}]}}],
        [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}], [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}],
    ],
    f"{MAIN}.volumeMounts": [
        [{"name": "v", "mountPath": "/a"}], [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}], [{"name": "v"}], [{"mountPath": "/a"}],
        [{"name": "v", "mountPath": "/a", "subPath": "../b"}], [{"name": "v", "mountPath": "/a", "subPath": "/b", "readOnly": True}], [{"name": "w", "mountPath": "a:b"}],
    ],
}  # fmt: skip
LABELS = [{"a": "b"}, {"a b": "c"}, {"a": "b c"}, {"a": 1}, {}]
# What may be changed of a Pod that is there, or may not, in spite of its look.
CHANGES: dict[str, list[Any]] = {
    f"{MAIN}.image": ["agnhost:2.52", "", " a", "busybox:latest"], f"{MAIN}.ports": [[{"containerPort": 81}]], SECOND: [OTHER],
    "tolerations": VALUES["tolerations"], "terminationGracePeriodSeconds": [0, 1, 30, 31], "nodeName": ["n"], "hostname": ["a"],
    "restartPolicy": ["Never"], "priority": [5], "serviceAccountName": ["nobody"], FIRST: [{**OTHER, "name": "first"}],
    f"{MAIN}.env": [[{"name": "A", "value": "1"}]], f"{MAIN}.name": ["other"], "schedulerName": ["another"],
}  # fmt: skip


def turned(spec: Object, path: str, value: Any) -> Object:
    """The spec with another value there; what is on the way and missing is made."""
    made = copy.deepcopy(spec)
    place: Any = made
    parts = path.split(".")
    last = parts[-1]
    for part, following in itertools.pairwise(parts):
        inside = _entered(place, part, [] if following.isdigit() else {})
        if not isinstance(inside, list if following.isdigit() else dict):
            return made  # an earlier turn has left nothing to go into
        place = inside
    _entered(place, last, None)
    place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)
    return made


def _entered(place: Any, part: str, new: Any) -> Any:
    """What is there; `new` where nothing was."""
    if isinstance(place, dict):
        return place.setdefault(part, new)
    while len(place) <= int(part):
        place.append(copy.deepcopy(new))
    return place[int(part)]
