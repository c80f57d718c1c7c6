"""Changes that mend a Service, each with the command that makes it. Does not judge what is broken."""

import difflib

from labs.cluster import NotHere
from labs.explain.facts import Facts, Pod, Policy
from labs.explain.hops import Mend
from labs.explain.way import Way, by_hand, listed, listeners_on, open_ports

POD_FILE = "../labs/manifests/02-pod2.yaml"  # as seen from the folder where the course's terminals and notebooks are
POD_LABELS = {"app": "productpage"}  # that Pod's
POD_PORT = 9080  # where its process listens
LABS = "labs.ports/"  # labels that tell our objects apart; no selector should ask for them
NEW_POD = "A Pod's containers cannot be changed in place: delete it and apply it anew."


# --- targetPort


def target_mends(way: Way) -> list[Mend]:
    """Each targetPort (and the port that brings its own) by which every serving Pod would be reached."""
    found = [
        Mend(f"targetPort {number}, where {pods(way)} {listens(way)}.", way.patch(set_target(way, number)))
        for number in reachable(way)
    ]
    if isinstance(way.port.target, str):
        found += [
            Mend(f"targetPort {name}, as {pods(way)} {names(way)} it.", way.patch(set_target(way, name)))
            for name in reachable_names(way)
        ]
    if way.port.target == way.port.port:
        taken = {port.port for port in way.service.ports}
        found += [
            Mend(
                f"port {number} and no targetPort, which is then {number} too. Ask for {way.service.name}:{number} afterwards.",
                way.patch(
                    {"op": "replace", "path": f"{way.path}/port", "value": number},
                    {"op": "remove", "path": f"{way.path}/targetPort"},
                ),
            )
            for number in reachable(way)
            if number not in taken
        ]
    return found


def set_target(way: Way, target: int | str) -> dict[str, object]:
    """The JSON patch operation that sets targetPort."""
    return {"op": "replace", "path": f"{way.path}/targetPort", "value": target}


def reachable(way: Way, limit: int = 3) -> list[int]:
    """Ports on which each serving Pod is reached, those that a container declares first."""
    return common_ports(way.serving)[:limit]


def common_ports(given: tuple[Pod, ...]) -> list[int]:
    """Ports on which each of these Pods is reached, those that a container declares first."""
    common = set.intersection(*(open_ports(pod) for pod in given)) if given else set()
    declared = {one.number for pod in given for one in pod.declared}
    return sorted(common, key=lambda number: (number not in declared, number))


def reachable_names(way: Way) -> list[str]:
    """Names of containerPorts that each serving Pod has, and under which a process of it is reached."""
    each = [
        {one.name for one in pod.declared if one.name and one.protocol == "TCP" and one.number in open_ports(pod)}
        for pod in way.serving
    ]
    return sorted(set.intersection(*each)) if each else []


def remove_port(way: Way) -> list[Mend]:
    """Takes the port out, where another one of the Service leads to where a process listens."""
    others = [port for port in way.service.ports if port != way.port and port.protocol == "TCP"]
    good = [
        port
        for port in others
        if way.serving and all(Way(way.facts, way.service, port).number(pod) in open_ports(pod) for pod in way.serving)
    ]
    if not good:
        return []
    return [
        Mend(
            f"Take port {way.port.port} out, if {listed(port.port for port in good)} was meant to stand in its place.",
            way.patch({"op": "remove", "path": way.path}),
        )
    ]


# --- which Pods


def unselect(way: Way, odd: list[Pod]) -> list[Mend]:
    """Takes Pods out of the Service by their label."""
    key = next(iter(way.service.selector))
    return [
        Mend(f"Take {pod.name} out of the Service: without its label {key} it is not selected.", way.kubectl(*label(pod, key)))
        for pod in odd[:2]
    ]


def label(pod: Pod, key: str) -> tuple[str, ...]:
    """The kubectl arguments that take a label off a Pod."""
    return ("label", "pod", pod.name, f"{key}-")


def selector_mends(way: Way, pod: Pod) -> list[Mend]:
    """Brings the Service and a Pod together, from either side."""
    have = {key: value for key, value in pod.labels.items() if not key.startswith(LABS)}
    wanted = way.service.selector
    selector = {key: have[key] for key in wanted if key in have} or have
    found = []
    if selector:
        text = " ".join(f"{key}={value}" for key, value in selector.items())
        operation = {"op": "add", "path": "/spec/selector", "value": selector}
        found.append(Mend(f"Let the selector ask for {pod.name}'s labels, {text}.", way.patch(operation)))
    if wanted:
        pairs = [f"{key}={value}" for key, value in wanted.items() if pod.labels.get(key) != value]
        command = way.kubectl("label", "pod", pod.name, "--overwrite", *pairs)
        found.append(Mend(f"Give {pod.name} the label {' '.join(pairs)}.", command))
    return found


def nearest(way: Way) -> Pod | None:
    """The Pod that was most likely meant: the one whose labels are most like the selector; None where there is no Pod."""
    wanted = way.service.selector or {"app": way.service.name}

    def likeness(pod: Pod) -> tuple[float, int, bool]:
        alike = sum(
            1 if pod.labels.get(key) == value else difflib.SequenceMatcher(None, value, pod.labels.get(key, "")).ratio()
            for key, value in wanted.items()
        )
        reached = sum(number in open_ports(pod) for number in pod.targets)
        return (alike, reached, pod.ready)

    theirs = [pod for pod in way.facts.pods if not pod.ours and not pod.terminating]
    return max(theirs, key=likeness, default=None)


def new_pod(way: Way, what: str) -> Mend:
    """Makes the course's pod2, with the labels that the selector asks for; where need be, leads targetPort to its 9080."""
    wanted = dict(way.service.selector)
    if wanted.items() <= POD_LABELS.items():
        command = way.kubectl("replace", "--force", "-f", POD_FILE)
    else:
        pairs = " ".join(f"{key}={value}" for key, value in wanted.items())
        labelled = f"kubectl label --local -f {POD_FILE} --overwrite {pairs} -o yaml"
        command = f"{labelled} | {way.kubectl('replace', '--force', '-f', '-')}"
    if way.port.target != POD_PORT:
        command += f" && {way.patch(set_target(way, POD_PORT))}"
        what += f" It listens on {POD_PORT}, so targetPort becomes {POD_PORT}."
    return Mend(what, command)


def expose(facts: Facts) -> list[Mend]:
    """Makes the missing Service in front of a Pod of the learner's that listens and has labels."""
    fit = [pod for pod in facts.pods if not pod.ours and pod.ready and pod.labels and common_ports((pod,))]
    if not fit:
        return []

    def likeness(pod: Pod) -> float:
        words = [pod.name, *pod.labels.values()]
        return max(difflib.SequenceMatcher(None, facts.asked, word).ratio() for word in words)

    pod = max(fit, key=likeness)
    number = common_ports((pod,))[0]
    command = by_hand(facts, "expose", "pod", pod.name, f"--name={facts.asked}", f"--port={number}")
    return [Mend(f"Make it, in front of {pod.name}, which listens on {number}.", command)]


def expose_again(way: Way) -> list[Mend]:
    """Makes a headless Service anew, with a ClusterIP, which cannot be given to one that exists."""
    if not way.serving or not isinstance(way.port.target, int):
        return []
    selector = ",".join(f"{key}={value}" for key, value in way.service.selector.items())
    command = " && ".join(
        (
            way.kubectl("delete", "service", way.service.name),
            way.kubectl(
                *("expose", "pod", way.serving[0].name, f"--name={way.service.name}", f"--selector={selector}"),
                *(f"--port={way.port.port}", f"--target-port={way.port.target}"),
            ),
        )
    )
    return [Mend("Make it anew with a ClusterIP: a Service that exists cannot be given one.", command)]


# --- policies


def delete_policies(way: Way, policies: tuple[Policy, ...]) -> Mend:
    """Takes these NetworkPolicies away together: each of them would restrict by itself."""
    names = [one.name for one in policies]
    return Mend(f"Delete NetworkPolicy {listed(names)}.", way.kubectl("delete", "networkpolicy", *names))


# --- words


def pods(way: Way) -> str:
    """The serving Pods, by name."""
    return listed(pod.name for pod in way.serving)


def listens(way: Way) -> str:
    """The verb that goes with `pods`."""
    return "listens" if len(way.serving) == 1 else "listen"


def names(way: Way) -> str:
    """The verb that goes with `pods`."""
    return "names" if len(way.serving) == 1 else "name"


def where_it_listens(pod: Pod) -> str:
    """On which ports and addresses a Pod's processes listen, as a sentence's part."""
    ports = sorted(open_ports(pod))
    known = () if isinstance(pod.listeners, NotHere) else pod.listeners
    inside = [one for one in known if one.only_inside and one.port not in ports]
    if not ports and not inside:
        return f"no process of {pod.name} listens on any port"
    words = [str(number) for number in ports] + [f"{one} (for the Pod itself alone)" for one in inside]
    return f"{pod.name} listens on {listed(words)}"


def address(pod: Pod, number: int) -> str:
    """The addresses on which a Pod listens on a port, as learners read them."""
    found = [f"{one}{', every address' if one.address in ('0.0.0.0', '::') else ''}" for one in listeners_on(pod, number)]
    return listed(found) or f"port {number}"
