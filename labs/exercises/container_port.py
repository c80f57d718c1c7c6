"""Exercises of lesson 01: what a Pod declares, what its process does, and which of the two opens a port."""

import copy
from typing import Any

from labs.checks.exercise import CLIENTS_NODE, HOSTNAME, Awaited, Exercise, Goal, Needs
from labs.deploy import Manifest
from labs.exercises.pieces import anew, patch, pod, port, service, target

LESSON = "01-container-port"
HOST_PORT = 39080


def with_probe_of(number: int) -> Manifest:
    """pod2, whose readiness probe asks another port than its process listens on."""
    one = pod()
    one["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = number
    return one


def two_containers(second: int) -> Manifest:
    """pod2 with a second server, `admin`, on that port. Probes begin late: by then each runs, or has ended."""
    one = pod()
    admin = copy.deepcopy(one["spec"]["containers"][0])
    admin |= {"name": "admin", "args": ["netexec", f"--http-port={second}", "--udp-port=-1"]}
    admin["ports"] = [{"containerPort": second}]
    for container, number in ((one["spec"]["containers"][0], 9080), (admin, second)):
        probe = {"httpGet": {"path": "/hostname", "port": number}, "periodSeconds": 1, "initialDelaySeconds": 1}
        container["readinessProbe"] = probe
    return {**one, "spec": {**one["spec"], "containers": [one["spec"]["containers"][0], admin]}}


def on_host_port(name: str, number: int | None) -> Manifest:
    """A Pod on the client's node that also takes a port of that node."""
    one: dict[str, Any] = pod(name)
    one["spec"]["nodeSelector"] = {HOSTNAME: CLIENTS_NODE}
    if number is not None:
        one["spec"]["containers"][0]["ports"][0]["hostPort"] = number
    return one


EXERCISES = (
    Exercise(
        name="declared-is-not-open",
        level=2,
        lesson=LESSON,
        story=(
            "pod2's YAML declares containerPort 9999, so a colleague made a Service with targetPort 9999.",
            "The review was short: the two numbers are the same. Yet every request is refused.",
        ),
        task="Let productpage:9999 answer, without touching the Pod.",
        objects=(pod(container_port=9999), service(port(9999, 9999))),
        goals=(Goal(),),
        hints=(
            "What does the declaration open? Compare it with what `kubectl logs pod2` says.",
            "`explain()` reads which ports a process of pod2 listens on.",
            "The Service has to lead to the process. The declaration may stay wrong.",
        ),
        solution=(patch(target(9080)),),
        moral="containerPort is a note. targetPort has to name the port on which a process listens.",
        kept_pods=("pod2",),
    ),
    Exercise(
        name="process-on-another-port",
        level=2,
        lesson=LESSON,
        story=(
            "The new version of productpage listens on 8080; its YAML still declares 9080.",
            "The Service, with targetPort 9080, belongs to another team. It stays as it is.",
        ),
        task="Let productpage:9999 answer, without touching the Service.",
        objects=(pod(listen_port=8080, container_port=9080), service()),
        goals=(Goal(pods=()),),
        hints=(
            "The Endpoints name 9080. Does anybody listen there?",
            "Which argument tells agnhost's netexec its port? `kubectl get pod pod2 -o yaml` shows it.",
            "A Pod's arguments cannot be changed in place: `kubectl replace --force -f FILE`.",
        ),
        solution=(anew(pod()),),
        moral="The process decides on the port. Where the Service may not follow it, the process follows the Service.",
        kept_services=("productpage",),
    ),
    Exercise(
        name="only-for-itself",
        level=3,
        lesson=LESSON,
        story=(
            "“It works in the container,” says the developer: there, `curl localhost:9080` does answer.",
            "Through the Service it is refused, and so it is at the Pod's own address.",
        ),
        task="Let productpage:9999 answer, without touching the Service.",
        objects=(pod(listen_address="127.0.0.1"), service()),
        goals=(Goal(pods=()),),
        hints=(
            "Two addresses of the same Pod, one port: who listens on which?",
            "`kubectl exec pod2 -- cat /proc/net/tcp`: 0100007F is 127.0.0.1, 00000000 is every address.",
            "It takes a Pod whose process listens on 0.0.0.0, with the same label.",
        ),
        solution=(anew(pod()),),
        moral="Who listens on 127.0.0.1 is heard by the containers of the same Pod (and port-forward), and by nobody else.",
        kept_services=("productpage",),
    ),
    Exercise(
        name="probe-asks-elsewhere",
        level=3,
        lesson=LESSON,
        story=(
            "The process in pod2 listens on 9080, and the Service asks 9080. All numbers that you see agree.",
            "Still the Service refuses, and `kubectl get pods` says 0/1.",
        ),
        task="Let productpage:9999 answer.",
        objects=(with_probe_of(9999), service()),
        goals=(Goal(pods=()),),
        hints=(
            "Who is among the Endpoints of a Service: every Pod that runs, or every Pod that is Ready?",
            "`kubectl describe pod pod2`: the last lines say which port the readiness probe asks.",
            "A probe cannot be changed in place: make the Pod anew; or see what publishNotReadyAddresses does.",
        ),
        solution=(anew(pod()),),
        moral="A readiness probe has a port, too. A Pod that does not pass it is kept from requests, however well it listens.",
        awaited={"pod2": Awaited.RUNNING},
    ),
    Exercise(
        name="two-on-one-port",
        level=3,
        lesson=LESSON,
        story=(
            "pod2 got a second server, `admin`, copied from the first one, arguments and all.",
            "Now one of the two does not stay up, and the Service has nobody to send requests to.",
        ),
        task="Let productpage:9999 answer, from a Pod named pod2 all of whose containers run.",
        objects=(two_containers(9080), service()),
        goals=(Goal(),),
        hints=(
            "`kubectl get pod pod2` counts the containers that are ready. Which one is not?",
            "`kubectl logs pod2 -c admin` and `-c productpage`: one of them gives the reason.",
            "The containers of a Pod share one address, and a port of it can be taken once.",
        ),
        solution=(anew(two_containers(9081)),),
        moral="Declaring a port twice does no harm; listening on it twice cannot be: it is one address.",
        awaited={"pod2": Awaited.CRASHED},
    ),
    Exercise(
        name="no-room-for-two",
        level=4,
        lesson=LESSON,
        story=(
            f"Two Pods of productpage, pod1 and pod2, are to share the work. Each declares hostPort {HOST_PORT}.",
            "pod2 stays Pending: both have to be on the same node.",
        ),
        task="Let productpage:9999 be answered by both pod1 and pod2, on the node where they are.",
        objects=(on_host_port("pod1", HOST_PORT), on_host_port("pod2", HOST_PORT), service()),
        goals=(Goal(pods=("pod1", "pod2")),),
        hints=(
            "`kubectl describe pod pod2`: the scheduler says what no node has.",
            "containerPort opens nothing. hostPort does, on the Pod's node, and a node has each port once.",
            "Does anybody ask the node's port? A Service does not need it.",
        ),
        solution=(anew(on_host_port("pod2", None)),),
        moral="hostPort is the one number in a Pod that takes something: a port of its node, which has it once.",
        awaited={"pod2": Awaited.PENDING},
        needs=(Needs.HOST_PORT,),
    ),
)
