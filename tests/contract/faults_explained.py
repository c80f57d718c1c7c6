"""The faults that labs.explain must explain on a real cluster, as data: what is applied, and what is owed for it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labs.deploy import Manifest, read_manifests
from labs.workload import pod

PRODUCTPAGE = {"app": "productpage"}


def service(**changes: Any) -> Manifest:
    """The article's Service with targetPort 9080, its address left to the API; `port` changes the port, the rest the spec."""
    port = {"name": "http", "port": 9999, "targetPort": 9080, **changes.pop("port", {})}
    port = {key: value for key, value in port.items() if value is not None}
    spec = {"selector": PRODUCTPAGE, "ports": [port], **changes}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "productpage"},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def policy(name: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def changed(manifest: Manifest, change: Callable[[dict[str, Any]], object]) -> Manifest:
    """A copy of a Pod's manifest with its first container changed."""
    new = copy.deepcopy(manifest)
    change(new["spec"]["containers"][0])
    return new


def at_node(manifest: Manifest, node: str) -> Manifest:
    return {**manifest, "spec": {**manifest["spec"], "nodeName": node}}


POD2 = pod("pod2", PRODUCTPAGE)
NAMED = pod("pod2", PRODUCTPAGE, port_name="http")
INSIDE = pod("pod2", PRODUCTPAGE, listen_address="127.0.0.1")
POD3 = read_manifests("03-two-containers-bind-one-port")[0]
ODD = pod("pod5", PRODUCTPAGE, listen_port=8080, container_port=None)
WRONG_PROBE = changed(POD2, lambda c: c["readinessProbe"]["httpGet"].update(port=8081))
NO_IMAGE = changed(POD2, lambda c: c.update(image="registry.k8s.io/e2e-test-images/agnhost:0.0.0", imagePullPolicy="Never"))
ENDED = changed(POD2, lambda c: c.update(args=["--help"]))
ENDED["spec"]["restartPolicy"] = "Never"
ENDED["spec"]["containers"] = ENDED["spec"]["containers"][:1]
BROKEN = changed(POD2, lambda c: c.update(args=["no-such-command"]))


@dataclass(frozen=True)
class Fault:
    """A state in which a request stops, and what the explanation owes for it.

    objects: what is applied. stops_at: the hop. says: words of the why. commands: how many of its mends are commands.
    by_hand: for each described mend, what a learner applies who follows it. unready: Pods that never become Ready: a
    container of theirs does not run, or (by_probe) a readiness probe fails. port: the one that is asked for.
    """

    stops_at: str
    says: str
    objects: tuple[Manifest, ...]
    commands: int = 0
    by_hand: tuple[Manifest, ...] = ()
    unready: tuple[str, ...] = ()
    by_probe: bool = False
    port: int | None = None


FAULTS = {
    "targetPort left out": Fault(
        "process listens",
        "targetPort is 9999 (the same as port, as it is where it is left out), and in pod2 nothing listens on 9999: "
        "pod2 listens on 9080.",
        (POD2, service(port={"targetPort": None})),
        2,
        (pod("pod2", PRODUCTPAGE, listen_port=9999),),
    ),
    "targetPort wrong, and declared": Fault(
        "process listens",
        "targetPort is 9090, and in pod2 nothing listens on 9090: pod2 listens on 9080. containerPort 9090 is declared there, "
        "but a declaration opens nothing.",
        (pod("pod2", PRODUCTPAGE, container_port=9090), service(port={"targetPort": 9090})),
        1,
        (pod("pod2", PRODUCTPAGE, listen_port=9090),),
    ),
    "targetPort by name, declared where nothing listens": Fault(
        "process listens",
        "targetPort is web, which pod2 declares as 9999",
        (pod("pod2", PRODUCTPAGE, container_port=9999, port_name="web"), service(port={"targetPort": "web"})),
        1,
        (pod("pod2", PRODUCTPAGE, listen_port=9999, container_port=9999, port_name="web"),),
    ),
    "127.0.0.1 alone": Fault(
        "process listens",
        "In pod2 the process listens on 127.0.0.1:9080, which is for the Pod itself",
        (INSIDE, service()),
        0,
        (POD2,),
    ),
    "one Pod of two listens elsewhere": Fault(
        "process listens",
        "in pod5 nothing listens on 9080: pod5 listens on 8080. The other Pods behind productpage answer, so some requests",
        (POD2, ODD, service()),
        1,
        (pod("pod5", PRODUCTPAGE),),
    ),
    "a patch added a port": Fault(
        "process listens",
        "targetPort is 9999",
        (
            POD2,
            service(
                ports=[{"name": "http", "port": 9999, "targetPort": 9999}, {"name": "new", "port": 9080, "targetPort": 9080}]
            ),
        ),
        2,
        (),
    ),
    "selector with a slip": Fault(
        "selector matches Pods",
        "The selector asks for app=productpag, and no Pod has that; the nearest, pod2, has app=productpage.",
        (POD2, pod("pod1", {"app": "details"}), service(selector={"app": "productpag"})),
        2,
    ),
    "selector with a key that no Pod has": Fault(
        "selector matches Pods",
        "the nearest, pod2, has app=productpage",
        (POD2, service(selector={"service": "productpage"})),
        2,
    ),
    "no selector": Fault("selector matches Pods", "productpage has no selector", (POD2, service(selector=None)), 1),
    "no Pods": Fault("selector matches Pods", "has no Pods", (service(),), 1),
    "no Pods, another label, another targetPort": Fault(
        "selector matches Pods", "Pods with app=shop", (service(selector={"app": "shop"}, port={"targetPort": 8000}),), 1
    ),
    "targetPort by a name that nobody has": Fault(
        "Endpoints are filled",
        "targetPort is the name web, and no container of pod2 has a port of that name; the names there are: http.",
        (NAMED, service(port={"targetPort": "web"})),
        2,
        (pod("pod2", PRODUCTPAGE, port_name="web"),),
    ),
    "no such Service": Fault("Service is there", "has no Service productpage", (POD2,), 1),
    "no such port": Fault("Service is there", "has port 9999, and 80 was asked for", (POD2, service()), 1, port=80),
    "UDP": Fault("protocol matches", "is for UDP; curl asks by TCP", (POD2, service(port={"protocol": "UDP"})), 1),
    "UDP, and the wrong targetPort": Fault(
        "protocol matches",
        "is for UDP; curl asks by TCP",
        (POD2, service(port={"protocol": "UDP", "targetPort": 53})),
        1,
    ),
    "two containers bind one port": Fault(
        "Pod is Ready",
        "address already in use",
        (POD3, service(selector={"app": "two-containers"})),
        1,
        (changed(POD3, lambda c: c.update(args=["netexec", "--http-port=8080", "--udp-port=-1"])),),
        unready=("pod3",),
    ),
    "the process ends": Fault(
        "Pod is Ready",
        "its container productpage does not run",
        (BROKEN, service()),
        0,
        (POD2,),
        unready=("pod2",),
    ),
    "the probe asks the wrong port": Fault(
        "Pod is Ready",
        "Readiness probe failed",
        (WRONG_PROBE, service()),
        1,
        (POD2,),
        unready=("pod2",),
        by_probe=True,
    ),
    "no image": Fault(
        "Pod is Ready",
        "ErrImageNeverPull",
        (NO_IMAGE, service()),
        1,
        unready=("pod2",),
    ),
    "the Pod has ended": Fault(
        "Pod is Ready",
        "pod2 has ended (Succeeded)",
        (ENDED, service()),
        1,
        unready=("pod2",),
    ),
    "headless": Fault(
        "ClusterIP answers",
        "productpage is headless (clusterIP: None)",
        (POD2, service(clusterIP="None")),
        2,
    ),
    "ExternalName": Fault(
        "ClusterIP answers",
        "of type ExternalName",
        (POD2, service(type="ExternalName", externalName="example.invalid")),
        1,
    ),
}
