"""How each exercise is proved, as data: besides its own solution another mend, a change that breaks it again, and cheats."""

import json
from dataclasses import dataclass
from typing import Any

from labs.checks.exercise import CLIENTS_NODE, HOSTNAME, OTHER_NODE, Step
from labs.deploy import ARTICLE_NODE_PORT, Manifest
from labs.exercises.container_port import on_host_port, with_probe_of
from labs.exercises.pieces import add, anew, apply, kubectl, patch, pod, port, replace, service, target

Steps = tuple[Step, ...]


@dataclass(frozen=True)
class Proof:
    """mutation: breaks it again after its own solution. mend: another one, from there. unready: Pods that never are Ready
    after the mend; after_mutation: nor then."""

    mutation: Steps
    mend: Steps
    unready: tuple[str, ...] = ()
    after_mutation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cheat:
    """What must not pass in an exercise, and words that the check owes for it."""

    exercise: str
    steps: Steps
    says: str
    unready: tuple[str, ...] = ()


def expose(*arguments: str) -> Steps:
    """The Service deleted, and made again by `kubectl expose`."""
    return (
        kubectl("delete", "service", "productpage"),
        kubectl("expose", "pod", "pod2", "--name=productpage", "--port=9999", *arguments),
    )


def label(name: str, words: str) -> Step:
    return kubectl("label", "pod", name, "--overwrite", words)


def at(name: str, node: str) -> Manifest:
    one = pod(name)
    one["spec"]["nodeSelector"] = {HOSTNAME: node}
    return one


def policy(field: str, value: str) -> Step:
    return patch(replace(f"/spec/{field}TrafficPolicy", value))


MORE = {"name": "more", "port": 9999, "targetPort": 9080}
NOT_READY_TOO = patch(add("/spec/publishNotReadyAddresses", True))

PROOFS = {
    # containerPort and the process
    "declared-is-not-open": Proof((patch(target(9998)),), expose("--target-port=9080")),
    "process-on-another-port": Proof((label("pod2", "app=none"),), (apply(pod("pod9")),)),
    "only-for-itself": Proof((label("pod2", "app=none"),), (apply(pod("pod9", container_port=None)),)),
    "probe-asks-elsewhere": Proof((anew(with_probe_of(8081)),), (NOT_READY_TOO,), ("pod2",), ("pod2",)),
    "two-on-one-port": Proof((label("pod2", "app=none"),), (anew(pod()),)),
    "no-room-for-two": Proof(
        (label("pod1", "app=none"),), (label("pod1", "app=productpage"), anew(on_host_port("pod2", 39081)))
    ),
    # targetPort
    "wrong-target-port": Proof((patch(target(9090)),), expose("--target-port=9080")),
    "digits-swapped": Proof((patch(target(9081)),), (apply(service()),)),
    "port-and-target-swapped": Proof(
        (patch(replace("/spec/ports/0/port", 9998)),),
        (patch(add("/spec/ports/-", MORE)),),
    ),
    "name-nobody-has": Proof((patch(target("wbe2")),), (patch(target(9080)),)),
    "number-in-one-name-in-other": Proof(
        (patch(target(8080)),), (patch(target(9080)), anew(pod("web-on-8080", container_port=None)))
    ),
    "name-in-one-pod-only": Proof((patch(target("web")),), (anew(pod("pod2", port_name="web")),)),
    "patched-the-wrong-way": Proof((patch(target(9998)),), (anew(service()),)),
    "two-faults-in-one-line": Proof((patch(target("http")),), expose("--target-port=9080", "--selector=app=productpage")),
    "both-sides-moved": Proof((patch(target(9090)),), (anew(pod(listen_port=9090)),)),
    # port and ClusterIP
    "asked-on-another-port": Proof((patch(replace("/spec/ports/0/port", 9998)),), (patch(add("/spec/ports/-", MORE)),)),
    "selector-with-a-slip": Proof((patch(replace("/spec/selector", {"app": "other"})),), (label("pod2", "app=other"),)),
    "nobody-behind": Proof((patch(replace("/spec/selector", {"app": "nobody"})),), expose("--target-port=9080")),
    "someone-elses-pod": Proof(
        (patch(replace("/spec/selector", {"shop": "yes"})),), (kubectl("label", "pod", "reviews", "shop-"),)
    ),
    "ready-when-told": Proof(
        (
            kubectl("exec", "ready-when-told", "--", "rm", "/told/ready"),
            kubectl("wait", "--for=condition=Ready=false", "pod/ready-when-told", "--timeout=30s"),
        ),
        (NOT_READY_TOO,),
        ("ready-when-told",),
        ("ready-when-told",),
    ),
    "without-an-address": Proof((anew(service(clusterIP="None")),), (anew(pod(listen_port=9999)),)),
    "another-protocol": Proof((patch(replace("/spec/ports/0/protocol", "UDP")),), (patch(add("/spec/ports/-", MORE)),)),
    "another-name": Proof(
        (anew(service(type="ExternalName", externalName="elsewhere.example")),),
        (patch(replace("/spec/type", "ClusterIP"), {"op": "remove", "path": "/spec/externalName"}),),
    ),
    "only-from-its-node": Proof((policy("internal", "Local"),), (anew(at("pod2", CLIENTS_NODE)),)),
    "three-things-wrong": Proof((patch(target(908)),), expose("--target-port=9080")),
    # nodePort
    "no-door-outside": Proof((patch(replace("/spec/type", "ClusterIP")),), (patch(replace("/spec/type", "LoadBalancer")),)),
    "open-door-nobody-home": Proof((patch(target(9998)),), (anew(service(type="NodePort")),)),
    "another-door": Proof((patch(target(9998)),), (anew(service(port(nodePort=ARTICLE_NODE_PORT), type="LoadBalancer")),)),
    "half-of-the-nodes": Proof(
        (policy("external", "Local"),), (apply(at("pod8", CLIENTS_NODE)), apply(at("pod9", OTHER_NODE)))
    ),
    "door-and-room": Proof((policy("external", "Local"),), (anew(service(type="NodePort")),)),
    "every-door-wrong": Proof((patch(target("http")),), (anew(service(port(nodePort=ARTICLE_NODE_PORT), type="NodePort")),)),
}


# --- what must not pass


def by_hand(name: str, command: str) -> Step:
    """A process started in a Pod; returns when it listens on 9999."""
    waits = "until curl -s localhost:9999/hostname >/dev/null; do sleep 0.1; done"
    return kubectl("exec", name, "--", "sh", "-c", f"{command} >/dev/null 2>&1 & {waits}")


def program_of_its_own(name: str) -> Manifest:
    """A Pod of the course's image that answers as the course's do, but runs something else: it could be a proxy."""
    one = pod(name, listen_address="127.0.0.1")
    container: dict[str, Any] = one["spec"]["containers"][0]
    container["command"] = [word.replace("nc -lkvn 127.0.0.1", "nc -lkvn 0.0.0.0") for word in container["command"]]
    return one


def hand_made_slice(lesson_pod_ip: str) -> Manifest:
    """An EndpointSlice of productpage that nobody keeps true."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "productpage"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 9080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [lesson_pod_ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "pod2"}}
        ],
    }


STRATEGIC = json.dumps({"spec": {"ports": [{"name": "web", "port": 9080, "targetPort": 9080}]}})
CHEATS = {
    "a process started by hand": Cheat(
        "wrong-target-port",
        (by_hand("pod2", "/agnhost netexec --http-port=9999 --udp-port=-1"),),
        "a process listens on 9999 that did not at the beginning",
    ),
    "the Pod made anew": Cheat("wrong-target-port", (anew(pod(listen_port=9999)),), "pod2 was made anew"),
    "a patch that joined ports": Cheat(
        "wrong-target-port",
        (kubectl("patch", "service", "productpage", "-p", STRATEGIC),),
        "joins the ports of a Service by their number",
    ),
    "an empty Service": Cheat(
        "wrong-target-port",
        (patch(replace("/spec/selector", {"app": "nobody"}), target(9080)),),
        "its Endpoints are empty",
    ),
    "no Service": Cheat(
        "wrong-target-port", (kubectl("delete", "service", "productpage"),), "There is no Service productpage."
    ),
    "a stranger's Pod behind it": Cheat(
        "wrong-target-port", (apply(pod("pod9", listen_port=9999)), kubectl("label", "pod", "pod2", "app-")), "pod9 is behind"
    ),
    "a program of its own": Cheat(
        "process-on-another-port", (anew(program_of_its_own("pod2")),), "pod2 runs a program of its own"
    ),
    "the Service that was not to be changed": Cheat(
        "process-on-another-port", (patch(target(8080)),), "Service productpage was changed"
    ),
    "the neighbour deleted": Cheat("someone-elses-pod", (kubectl("delete", "pod", "reviews"),), "reviews is gone"),
    "the label changed where it was not to be": Cheat(
        "three-things-wrong",
        (patch(replace("/spec/ports/0/port", 9999), target(9080)), label("pod2", "app=product-page")),
        "pod2's labels were changed",
    ),
    "a name for another Service": Cheat(
        "wrong-target-port",
        (
            kubectl("expose", "pod", "pod2", "--name=other", "--port=9999", "--target-port=9080"),
            anew(service(type="ExternalName", externalName="other", selector=None)),
        ),
        "of type ExternalName",
    ),
    "the right port beside a wrong one": Cheat(
        "digits-swapped", (patch(add("/spec/ports/-", {"name": "more", "port": 9080, "targetPort": 9080})),), "has 2 ports now"
    ),
    "everything deleted": Cheat(
        "digits-swapped",
        (kubectl("delete", "pods,services", "--all", "--grace-period=1"),),
        "All that it consists of was deleted.",
    ),
}
