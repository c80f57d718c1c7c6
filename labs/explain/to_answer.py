"""Judges the second half of a request's way: Endpoints, NetworkPolicies, ClusterIP, node port, laptop. Only computes."""

from labs.cluster import NotHere
from labs.explain import mends
from labs.explain.facts import Policy
from labs.explain.hops import Mend
from labs.explain.way import Finding, Stand, Way, best, heard_word, listed
from labs.probe import Answer, Place, Word

OUTSIDE = (Place.MACHINE, Place.LAPTOP)
ANYWHERE = (Place.POD, Place.NODE, *OUTSIDE)


def endpoints(way: Way) -> Finding:
    """The Service's Endpoints hold an address with a port."""
    command = way.kubectl("get", "endpointslices", "-l", f"kubernetes.io/service-name={way.service.name}")
    good = [one for one in way.endpoints if one.ready and one.number is not None]
    lacking = [pod for pod in way.serving if way.number(pod) is None]
    if good:
        pods = {pod.ip: pod.name for pod in way.facts.pods}
        saw = listed(f"{one.address}:{one.number}" + _of(pods.get(one.address)) for one in good)
        saw += "".join(f"; {pod.name} is left out: it has no port {way.port.target}" for pod in lacking[:2])
        return Finding(True, saw, command)
    if lacking:
        return _no_such_name(way, command)
    if way.leaving:
        return Finding(True, listed(f"{pod.ip}:{way.number(pod)} ({pod.name}, being deleted)" for pod in way.leaving), command)
    if not way.serving:
        return Finding(False, "empty, as no Pod that runs is selected", command, "No Pod that runs is selected.")
    if not way.ready and not way.service.publish_not_ready:
        saw = f"{listed(pod.name for pod in way.running)} not ready, so requests are not sent there"
        return Finding(False, saw, command, "No Pod of the Service is Ready.")
    return Finding(
        False,
        "empty, though a Pod is Ready",
        command,
        "The selected Pods are Ready and the Endpoints do not hold them. That is no fault of your YAML: the controller that "
        "writes them is late, or has stopped.",
        (Mend("Ask again in a moment; `python -m labs status` tells how the cluster is."),),
    )


def _of(pod: str | None) -> str:
    return f" ({pod})" if pod else ""


def _no_such_name(way: Way, command: str) -> Finding:
    target = way.port.target
    declared = [one for pod in way.serving for one in pod.declared]
    names = sorted({one.name for one in declared if one.name})
    other = next((one for one in declared if one.name == target), None)
    if other is not None:
        there = f"{other.container} names a port {target}, but for {other.protocol}, and this one is {way.port.protocol}"
    else:
        there = f"the names there are: {listed(names)}" if names else "none of them names a port"
    bare = listed(sorted({one.address for one in way.endpoints}))
    return Finding(
        False,
        f"{bare} without a port" if bare else "no address with a port",
        command,
        f"targetPort is the name {target}, and no container of {mends.pods(way)} has a port of that name; {there}. "
        "So the addresses have no port, and requests are refused.",
        (
            *mends.target_mends(way),
            Mend(f"Name the port of the container {target} (ports: - name: {target}). {mends.NEW_POD}"),
        ),
    )


def policy(way: Way) -> Finding:
    """No NetworkPolicy stops what comes in to the serving Pods, as far as a request to them shows."""
    command = way.kubectl("get", "networkpolicies")
    if isinstance(way.facts.policies, NotHere):
        return Finding(None, way.facts.policies.why, command)
    if not way.serving:
        return Finding(None, "no running Pod that one could select")
    found = way.policies_on_pods + tuple(one for one in way.policies_on_client if one not in way.policies_on_pods)
    if not found:
        return Finding(True, f"none selects {mends.pods(way)}", command)
    names = listed(one.name for one in found)
    heard = [answer for answer in map(way.heard_endpoint, way.serving) if answer is not None]
    if any(answer.word is Word.ANSWERED for answer in heard):
        return Finding(True, f"{names} selects {mends.pods(way)}, and the request came through", command)
    if not heard or not any(way.stand(pod) is Stand.OPEN for pod in way.serving):
        saw = f"{names} selects {mends.pods(way)} and may stop the request; whether it does, this try cannot show"
        return Finding(None, saw, command)
    return Finding(
        False,
        f"{names} selects {mends.pods(way)}; {heard[0].target.host}:{heard[0].target.port} {heard_word(heard[0])}",
        way.kubectl("describe", "networkpolicy", *[one.name for one in found]),
        f"The process listens, yet a request straight to {mends.pods(way)} ends with “{heard[0].word}”: NetworkPolicy {names} "
        "does not let it in.",
        tuple(_policy_mends(way, found)),
    )


def _policy_mends(way: Way, found: tuple[Policy, ...]) -> list[Mend]:
    changes = [mends.delete_policies(way, found)]
    numbers = sorted({number for number in map(way.number, way.serving) if number})
    if not any(one.client for one in found):
        rule = {"ports": [{"port": number, "protocol": way.port.protocol} for number in numbers]}
        operation = (
            {"op": "add", "path": "/spec/ingress/-", "value": rule}
            if found[0].rules
            else {"op": "add", "path": "/spec/ingress", "value": [rule]}
        )
        command = way.patch(operation, kind="networkpolicy", name=found[0].name)
        changes.append(Mend(f"Let {found[0].name} admit requests to port {listed(numbers)}.", command))
    return changes


def cluster_ip(way: Way) -> Finding:
    """ClusterIP:port answers the client Pod; for a headless Service, name:port."""
    if way.headless:
        return _headless(way)
    answer = best(way.heard(way.service.cluster_ip, way.port.port))
    address = f"{way.service.cluster_ip}:{way.port.port}"
    if answer is None:
        return Finding(None, way.silence(address, way.port.port))
    if _came_through(way, answer):
        return Finding(True, f"{address} {heard_word(answer)}", answer.command)
    saw = f"{address}: {heard_word(answer)}"
    nodes = {pod.node for pod in way.ready}
    if way.service.internal_policy == "Local" and way.facts.client_node not in nodes:
        return Finding(
            False,
            saw,
            answer.command,
            f"internalTrafficPolicy is Local: requests go only to Pods of the node that they come from, and the client's node, "
            f"{way.facts.client_node}, has none.",
            (
                Mend(
                    "internalTrafficPolicy Cluster: requests go to Pods of every node.",
                    way.patch({"op": "replace", "path": "/spec/internalTrafficPolicy", "value": "Cluster"}),
                ),
            ),
        )
    return Finding(False, saw, answer.command, _unexplained(way, address, answer), (Mend(_LOOK_AT_PROXY),))


_LOOK_AT_PROXY = (
    "Look whether kube-proxy runs: `kubectl -n kube-system get pods -l k8s-app=kube-proxy`; `python -m labs status`."
)


def _unexplained(way: Way, address: str, answer: Answer) -> str:
    direct = next((one for one in map(way.heard_endpoint, way.serving) if one is not None), None)
    if direct is not None and direct.word is not Word.ANSWERED:
        return (
            f"{address} ends with “{answer.word}”, and so does a request straight to the Pod ({direct.word}), though all that "
            "could be read of the Service and the Pod is right. Does the process speak HTTP on that port?"
        )
    return (
        f"{address} ends with “{answer.word}”, though all before it holds and the Pod itself answers. That is no fault of your "
        "YAML: the node's Service rules are not what they should be."
    )


def _came_through(way: Way, answer: Answer) -> bool:
    """Answered by a Pod of ours; or by something else, where the Pod itself does not say its name either."""
    if answer.word is Word.SOMETHING_ELSE:
        return any(one is not None and one.word is Word.SOMETHING_ELSE for one in map(way.heard_endpoint, way.serving))
    return answer.word is Word.ANSWERED


def _headless(way: Way) -> Finding:
    answer = way.heard_name()
    name, port = way.service.name, way.port.port
    if answer is None or answer.word is Word.NAME_UNKNOWN:
        return Finding(None, "headless: it has no ClusterIP")
    if _came_through(way, answer):
        return Finding(True, f"headless: no ClusterIP; {name}:{port} goes straight to a Pod", answer.command)
    numbers = sorted({number for number in map(way.number, way.serving) if number})
    changes = [
        Mend(
            f"port {number}, the number that the Pods listen on. Ask for {name}:{number} afterwards; {name}:{number} answers "
            "already, whatever port says.",
            way.patch({"op": "replace", "path": f"{way.path}/port", "value": number}),
        )
        for number in numbers
        if number != port
    ]
    return Finding(
        False,
        f"headless: no ClusterIP; {name}:{port} {heard_word(answer)}",
        answer.command,
        f"{name} is headless (clusterIP: None): its name stands for the Pods' own addresses, and no rule turns {port} into "
        f"targetPort. Ask for {name}:{listed(numbers) or 'targetPort'}.",
        (*changes, *mends.expose_again(way)),
    )


# --- from outside


def node_port(way: Way) -> Finding:
    """The node port answers on every node."""
    number = way.port.node_port
    if not number:
        return Finding(None, f"type {way.service.type} opens no node port; NodePort does")
    local = way.service.external_policy == "Local"
    places = OUTSIDE if local else ANYWHERE
    heard = {name: best(way.heard(address, number, places)) for name, address in way.facts.nodes.items()}
    asked = {name: answer for name, answer in heard.items() if answer is not None}
    if not asked:
        return Finding(None, way.silence(f"node port {number}{' from outside the nodes' if local else ''}", number))
    silent = [name for name, answer in asked.items() if not _came_through(way, answer)]
    saw = f"{number} on " + "; ".join(f"{name}: {heard_word(answer)}" for name, answer in asked.items())
    if way.service.type == "LoadBalancer" and not way.service.external_ip:
        saw += " (EXTERNAL-IP <pending> is no fault: nobody here hands out such addresses)"
    command = next(iter(asked.values())).command
    if not silent:
        return Finding(True, saw, command)
    with_pod = {pod.node for pod in way.ready}
    if local and with_pod and not with_pod & set(silent):
        return Finding(False, saw, command, _local_why(silent, with_pod), (_cluster_policy(way), _pod_everywhere(silent)))
    why = f"Node port {number} does not answer on {listed(silent)}, though what is before it holds."
    return Finding(False, saw, command, why, (Mend(_LOOK_AT_PROXY),))


def _local_why(silent: list[str], with_pod: set[str]) -> str:
    return (
        "externalTrafficPolicy is Local: a node gives requests from outside to its own Pods only. "
        f"{listed(silent)} has none; {listed(sorted(with_pod))} has, and answers."
    )


def _cluster_policy(way: Way) -> Mend:
    operation = {"op": "replace", "path": "/spec/externalTrafficPolicy", "value": "Cluster"}
    return Mend("externalTrafficPolicy Cluster: each node passes requests on to every Pod.", way.patch(operation))


def _pod_everywhere(silent: list[str]) -> Mend:
    return Mend(f"Have a Pod of the Service on {listed(silent)}, too; or ask only the nodes that have one.")


def laptop(way: Way) -> Finding:
    """The laptop reaches the node port by the address that the cluster gives for it."""
    number = way.port.node_port
    if not number:
        return Finding(None, "there is no node port that it could lead to")
    outside = way.facts.outside.get(number)
    if outside is None:
        return Finding(None, "where the laptop reaches it was not asked")
    if isinstance(outside, NotHere):
        return Finding(None, f"your laptop has no way there: {outside.why}")
    hosts = {outside.host, "localhost", "127.0.0.1"}
    answer = best(one for host in sorted(hosts) for one in way.heard(host, outside.port, (Place.LAPTOP,)))
    if answer is None:
        return Finding(None, way.silence(str(outside), outside.port))
    if _came_through(way, answer):
        return Finding(True, f"{outside} leads to {number}: {heard_word(answer)}", answer.command)
    saw = f"{outside} leads to {number}: {heard_word(answer)}"
    with_pod = {pod.node for pod in way.ready}
    without = [name for name in way.facts.nodes if name not in with_pod]
    if way.service.external_policy == "Local" and without:
        why = f"The laptop's mapping leads to one node. {_local_why(without, with_pod)}"
        return Finding(False, saw, answer.command, why, (_cluster_policy(way), _pod_everywhere(without)))
    if answer.word is Word.SOMETHING_ELSE:
        why = f"Something that is not this cluster answers at {outside} on this laptop."
    else:
        why = f"Your laptop's way to node port {number} ends with “{answer.word}”, though the node port itself holds."
    return Finding(
        False, saw, answer.command, why, (Mend("`python -m labs status` tells what the laptop's mapping leads to."),)
    )
