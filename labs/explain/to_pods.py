"""Judges the first half of a request's way: the Service and its name, protocol, selector, and the Pods. Only computes."""

import difflib

from labs.cluster import NotHere
from labs.explain import mends
from labs.explain.facts import Facts, Pod, Trouble
from labs.explain.hops import Mend
from labs.explain.way import Finding, Stand, Way, best, by_hand, heard_word, listed, open_ports
from labs.probe import Word
from labs.versions import workload_image


def missing_service(facts: Facts) -> Finding:
    """There is no Service of that name."""
    close = difflib.get_close_matches(facts.asked, facts.services, n=1)
    there = f"There are: {listed(facts.services)}." if facts.services else "There is no Service at all."
    hint = f" Did you mean {close[0]}?" if close else ""
    return Finding(
        False,
        f"no Service {facts.asked} in namespace {facts.namespace}",
        by_hand(facts, "get", "services"),
        f"Namespace {facts.namespace} has no Service {facts.asked}. {there}{hint} Without a Service there is neither the name "
        "nor an address to ask.",
        tuple(mends.expose(facts)) or (Mend("Apply a Service of that name."),),
    )


def service(way: Way) -> Finding:
    """The Service is there, and what kind it is."""
    one, port = way.service, way.port
    target = f"targetPort {port.target}"
    saw = f"{one.name}, type {one.type}: port {port.port}, {target}"
    if port.node_port:
        saw += f", nodePort {port.node_port}"
    return Finding(True, saw, way.kubectl("describe", "service", one.name))


def name(way: Way) -> Finding:
    """The Service's name resolves, tried from the client Pod."""
    answer = way.heard_name()
    if answer is None:
        return Finding(None, way.silence(f"{way.service.name}:{way.port.port}", way.port.port))
    number = best(way.heard(way.service.cluster_ip, way.port.port))
    lost = answer.word is Word.TIMED_OUT and number is not None and number.word is Word.ANSWERED
    if answer.word is not Word.NAME_UNKNOWN and not lost:
        stands_for = "its Pods' addresses" if way.headless else way.service.cluster_ip
        return Finding(True, f"{way.service.name} is {stands_for}", answer.command)
    if way.headless and not any(one.ready for one in way.endpoints):
        return Finding(None, "a headless Service's name stands for its ready Pods, and there is none", answer.command)
    saw = f"{way.service.name}: {heard_word(answer)}"
    if way.policies_on_client:
        names = listed(one.name for one in way.policies_on_client)
        why = f"NetworkPolicy {names} restricts what the client Pod may ask, and DNS with it."
        return Finding(False, saw, answer.command, why, (mends.delete_policies(way, way.policies_on_client),))
    why = f"The Service is there, but the cluster's DNS gives no answer for {way.service.name}. Its YAML is not at fault."
    return Finding(False, saw, answer.command, why, (Mend(_LOOK_AT_DNS),))


_LOOK_AT_DNS = "Look whether the cluster's DNS runs: `kubectl -n kube-system get pods -l k8s-app=kube-dns`."


def protocol(way: Way) -> Finding:
    """The Service's port speaks TCP, as curl does."""
    port = way.port
    command = way.kubectl("get", "service", way.service.name, "-o", "jsonpath={.spec.ports}")
    if port.protocol == "TCP":
        return Finding(True, "TCP, as curl asks by", command)
    operations: list[dict[str, object]] = [{"op": "replace", "path": f"{way.path}/protocol", "value": "TCP"}]
    numbers = mends.reachable(way, 1)
    also = ""
    if numbers and any(way.number(pod) not in open_ports(pod) for pod in way.serving):
        operations.append(mends.set_target(way, numbers[0]))
        also = f", and targetPort {numbers[0]}, where {mends.pods(way)} {mends.listens(way)}"
    return Finding(
        False,
        f"port {port.port} is {port.protocol}",
        command,
        f"Port {port.port} of {way.service.name} is for {port.protocol}; curl asks by TCP, and for TCP the Service has no such "
        "port.",
        (Mend(f"Protocol TCP{also}.", way.patch(*operations)),),
    )


# --- which Pods


def selector(way: Way) -> Finding:
    """The selector matches Pods."""
    wanted = way.service.selector
    if not wanted:
        return _without_selector(way)
    text = ",".join(f"{key}={value}" for key, value in wanted.items())
    command = way.kubectl("get", "pods", "-l", text)
    if way.selected:
        return Finding(True, f"{text} matches {listed(pod.name for pod in way.selected)}", command)
    near = mends.nearest(way)
    if near is None:
        return Finding(
            False,
            f"{text} matches no Pod: there is none",
            command,
            f"The selector asks for Pods with {text}, and namespace {way.facts.namespace} has no Pods (but the course's own). "
            "A Service without Pods refuses every request.",
            (mends.new_pod(way, f"Make a Pod with {text}."),),
        )
    has = ", ".join(f"{key}={value}" for key, value in near.labels.items() if not key.startswith(mends.LABS)) or "no label"
    return Finding(
        False,
        f"{text} matches no Pod",
        way.kubectl("get", "pods", "--show-labels"),
        f"The selector asks for {text}, and no Pod has that; the nearest, {near.name}, has {has}. "
        "So the Service has no Endpoints and refuses every request.",
        tuple(mends.selector_mends(way, near)),
    )


def _without_selector(way: Way) -> Finding:
    command = way.kubectl("get", "service", way.service.name, "-o", "jsonpath={.spec.selector}")
    if way.endpoints:
        return Finding(True, "none: somebody wrote its Endpoints by hand", command)
    near = mends.nearest(way)
    return Finding(
        False,
        "the Service has none",
        command,
        f"{way.service.name} has no selector, so nobody fills its Endpoints, and it refuses every request.",
        tuple(mends.selector_mends(way, near)) if near else (Mend("Give it a selector, and make a Pod with that label."),),
    )


# --- the process


def process(way: Way) -> Finding:
    """A process of each serving Pod listens on targetPort, on an address that the cluster reaches."""
    if not way.serving:
        return Finding(None, "no running Pod to look into")
    first = way.serving[0]
    inside = ["-c", first.looked_from] if first.looked_from else []
    command = way.kubectl("exec", first.name, *inside, "--", "cat", "/proc/net/tcp", "/proc/net/tcp6")
    stands = [(pod, way.stand(pod)) for pod in way.serving]
    closed = [pod for pod, stand in stands if stand is Stand.CLOSED]
    inside_only = [pod for pod, stand in stands if stand is Stand.INSIDE]
    if any(pod.troubles for pod in closed):
        down = next(pod for pod in closed if pod.troubles)
        return Finding(None, f"{down.name}'s container {down.troubles[0].container} does not run, so it cannot listen", command)
    if closed:
        return _closed(way, closed, command)
    if inside_only:
        return _inside(way, inside_only, command)
    unnumbered = [pod for pod, stand in stands if stand is Stand.NO_NUMBER]
    if unnumbered:
        return Finding(None, f"targetPort {way.port.target} means no number in {listed(p.name for p in unnumbered)}", command)
    unknown = [pod for pod, stand in stands if stand is Stand.UNKNOWN]
    if unknown:
        listeners = unknown[0].listeners
        return Finding(None, listeners.why if isinstance(listeners, NotHere) else "", command)
    return Finding(True, "; ".join(f"{pod.name} on {mends.address(pod, way.number(pod) or 0)}" for pod in way.serving), command)


def _closed(way: Way, closed: list[Pod], command: str) -> Finding:
    pod = closed[0]
    number = way.number(pod)
    name = f"targetPort is {way.port.target}"
    if isinstance(way.port.target, str):
        name += f", which {pod.name} declares as {number}"
    elif way.port.target == way.port.port:
        name += " (the same as port, as it is where it is left out)"
    if isinstance(pod.listeners, NotHere):
        why = f"{name}, and {pod.name} refuses on {number}: nothing listens there, or on 127.0.0.1 alone ({pod.listeners.why})."
    else:
        why = f"{name}, and in {pod.name} nothing listens on {number}: {mends.where_it_listens(pod)}."
    if any(one.number == number for one in pod.declared):
        why += f" containerPort {number} is declared there, but a declaration opens nothing."
    changes = mends.target_mends(way) + mends.remove_port(way)
    changes += _partly(way, closed)
    changes.append(Mend(f"Let the process in {listed(p.name for p in closed)} listen on {number}. {mends.NEW_POD}"))
    return Finding(
        False,
        f"nothing listens on {number} in {listed(p.name for p in closed)}",
        command,
        why + _some(way, closed),
        tuple(changes),
    )


def _inside(way: Way, pods: list[Pod], command: str) -> Finding:
    pod, number = pods[0], way.number(pods[0])
    changes = [Mend(f"Let the process in {listed(p.name for p in pods)} listen on 0.0.0.0:{number}. {mends.NEW_POD}")]
    return Finding(
        False,
        f"{pod.name} listens on {mends.address(pod, number or 0)} only",
        command,
        f"In {pod.name} the process listens on {mends.address(pod, number or 0)}, which is for the Pod itself: its containers "
        "and `kubectl port-forward` reach it there; a request to the Pod's address is refused." + _some(way, pods),
        (*mends.target_mends(way), *_partly(way, pods), *changes),
    )


def _some(way: Way, odd: list[Pod]) -> str:
    if len(odd) == len(way.serving):
        return ""
    return f" The other Pods behind {way.service.name} answer, so some requests come through and some do not."


def _partly(way: Way, odd: list[Pod]) -> list[Mend]:
    return mends.unselect(way, odd) if len(odd) < len(way.serving) and way.service.selector else []


# --- readiness


def readiness(way: Way) -> Finding:
    """A Pod is Ready: only then is it among the Endpoints that get requests."""
    pods = way.selected
    if not pods:
        return Finding(None, "no Pod to look at")
    command = way.kubectl("get", "pods", *[pod.name for pod in pods])
    if way.ready:
        rest = [pod for pod in pods if pod not in way.ready]
        ones = "is" if len(way.ready) == 1 else "are"
        saw = f"{listed(pod.name for pod in way.ready)} {ones} Ready"
        return Finding(True, saw + "".join(f"; {unready(pod)}" for pod in rest[:2]), command)
    if way.service.publish_not_ready and way.running:
        names = listed(pod.name for pod in way.running)
        return Finding(True, f"{names} not Ready, but publishNotReadyAddresses lets requests through", command)
    if way.leaving:
        names = listed(pod.name for pod in way.leaving)
        return Finding(True, f"{names} is being deleted, and answers until it has ended", command)
    pod = pods[0]
    return Finding(
        False,
        f"{pod.name} is not Ready" if len(pods) == 1 else "none is Ready",
        way.kubectl("describe", "pod", pod.name),
        f"{unready(pod)}. A Service sends requests only to Pods that are Ready"
        + (f", and none of {listed(p.name for p in pods)} is." if len(pods) > 1 else "."),
        tuple(_ready_mends(way, pod)),
    )


def unready(pod: Pod) -> str:
    """Why a Pod is not Ready, in one part of a sentence."""
    if pod.terminating:
        return f"{pod.name} is being deleted"
    if pod.phase in ("Succeeded", "Failed"):
        return f"{pod.name} has ended ({pod.phase}) and will not start again"
    if pod.troubles:
        return f"{pod.name} is not Ready: {listed(_trouble(one) for one in pod.troubles)}"
    detail = f": {pod.not_ready.rstrip('.')}" if pod.not_ready else ""
    return f"{pod.name} is {'Pending' if pod.phase == 'Pending' else 'not Ready'}{detail}"


def _trouble(one: Trouble) -> str:
    words = (
        f"its container {one.container} does not run ({one.reason}{f': {one.message}' if one.message and not one.log else ''}"
    )
    return words + (f"; the last line of its log: “{one.log}”)" if one.log else ")")


def _ready_mends(way: Way, pod: Pod) -> list[Mend]:
    if pod.terminating or pod.phase in ("Succeeded", "Failed"):
        return [mends.new_pod(way, "Make the course's pod2 anew.")]
    found = [_mend_trouble(way, pod, one) for one in pod.troubles]
    number = way.number(pod)
    wrong = [(container, port) for container, port in pod.probe_ports if port not in open_ports(pod)]
    if not pod.troubles and isinstance(pod.listeners, tuple):
        for container, port in wrong:
            where = f"{number}, where it listens" if number in open_ports(pod) else "a port where it listens"
            found.append(Mend(f"Let the readiness probe of {container} ask {where}, in place of {port}. {mends.NEW_POD}"))
    if pod in way.running and way.stand(pod) is Stand.OPEN:
        found.append(
            Mend(
                "Let the Service send requests to Pods that are not Ready, too.",
                way.patch({"op": "add", "path": "/spec/publishNotReadyAddresses", "value": True}),
            )
        )
    return found or [Mend(f"Mend what `{way.kubectl('describe', 'pod', pod.name)}` names.")]


def _mend_trouble(way: Way, pod: Pod, one: Trouble) -> Mend:
    if "address already in use" in one.log.lower():
        return Mend(
            f"Give {one.container} a port of its own: the containers of a Pod share one address, and one port of it can be "
            f"taken once. {mends.NEW_POD}"
        )
    if one.reason in ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"):
        image = f"{one.container}={workload_image()}"
        return Mend(f"Give {one.container} an image that can be had.", way.kubectl("set", "image", f"pod/{pod.name}", image))
    logs = way.kubectl("logs", pod.name, "-c", one.container, "--previous")
    return Mend(f"Mend what ends {one.container}: `{logs}` tells. {mends.NEW_POD}")
