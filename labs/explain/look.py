"""Gathers the facts behind a Service: reads the API, and in each Pod, by one exec, what its processes listen on.

Does not judge (diagnose does) and asks no curl (probe does). A fault of the cluster is raised as the LabError that
`Cluster.answering` finds; only what a learner may not read, or cannot be read in a Pod, becomes a NotHere.
"""

import itertools
from collections.abc import Iterable
from typing import Any

from kubernetes.client.exceptions import ApiException

from labs import marker
from labs.cluster import Address, Cluster, NotHere
from labs.deploy import LESSON, Lesson
from labs.errors import NotInTime, Refused
from labs.explain.facts import Declared, Endpoint, Facts, Pod, Policy, Service, ServicePort, Trouble
from labs.explain.sockets import Listener, listeners
from labs.probe import Answer
from labs.probe.tracing import clean
from labs.seats import CLIENT, ROLE, is_ready

READ_SOCKETS = ("cat", "/proc/net/tcp", "/proc/net/tcp6")
EXEC_LIMIT = 5.0  # seconds
LOG_LINES = 5  # of a container that ended: the last one that says something is told
LOG_BYTES, LOG_LINE = 65536, 300  # as much of them is read, and so many characters of that line are told


def gather(lesson: Lesson, service: str, answers: Iterable[Answer]) -> Facts:
    """All that explain needs to know of a Service and what is behind it, as it is now."""
    cluster, namespace = lesson.cluster, lesson.namespace
    with cluster.answering(f"read the Services and Pods of {namespace}"):
        services = [s for s in cluster.core().list_namespaced_service(namespace).items if not is_ours(s)]
        pods = cluster.core().list_namespaced_pod(namespace).items
        slices = cluster.discovery().list_namespaced_endpoint_slice(
            namespace, label_selector=f"kubernetes.io/service-name={service}"
        )
    found = next((one for one in services if one.metadata.name == service), None)
    client = next((pod for pod in pods if pod.metadata.name == CLIENT), None)
    theirs = [pod for pod in pods if _concerns(lesson, pod)]
    return Facts(
        namespace=namespace,
        asked=service,
        service=service_of(found) if found is not None else None,
        services=tuple(sorted(one.metadata.name for one in services)),
        pods=tuple(cluster.pool.map(lambda pod: _pod(cluster, pod, found), theirs)),
        endpoints=endpoints_of(found, slices.items) if found is not None else (),
        policies=_policies(cluster, namespace, pods),
        answers=tuple(answers),
        nodes={node.name: node.address for node in cluster.nodes},
        client_node=client.spec.node_name or "" if client is not None else "",
        outside=_outside(cluster, found),
    )


def is_ours(thing: Any) -> bool:
    """Whether a V1Pod or V1Service is a helper of the course, not a learner's."""
    return ROLE in (thing.metadata.labels or {})


def _concerns(lesson: Lesson, pod: Any) -> bool:
    """Whether a Pod is the learner's, of this lesson: on a borrowed cluster all lessons share one namespace."""
    return not is_ours(pod) and (pod.metadata.labels or {}).get(LESSON, lesson.name) == lesson.name


# --- the Service


def service_of(service: Any) -> Service:
    """The facts of a V1Service."""
    spec = service.spec
    balancer = service.status.load_balancer if service.status else None
    given = (balancer.ingress or []) if balancer else []
    ports = tuple(
        ServicePort(at, one.name or "", one.port, _target(one), one.protocol or "TCP", one.node_port)
        for at, one in enumerate(spec.ports or [])
    )
    return Service(
        name=service.metadata.name,
        ports=ports,
        selector=dict(spec.selector or {}),
        type=spec.type or "ClusterIP",
        cluster_ip=spec.cluster_ip or "",
        external_name=spec.external_name or "",
        external_ip=next((one.ip or one.hostname or "" for one in given), ""),
        publish_not_ready=bool(spec.publish_not_ready_addresses),
        external_policy=spec.external_traffic_policy or "Cluster",
        internal_policy=spec.internal_traffic_policy or "Cluster",
    )


def _target(port: Any) -> int | str:
    target = port.target_port
    if target is None:  # an ExternalName Service's ports get no default
        return int(port.port)
    return int(target) if str(target).isdigit() else str(target)


def endpoints_of(service: Any, slices: Iterable[Any]) -> tuple[Endpoint, ...]:
    """What the EndpointSlices of a V1Service hold."""
    found = [Endpoint(name, address, number, ready) for address, name, number, ready in marker.written(service, slices)]
    return tuple(sorted(found, key=lambda one: (one.address, one.port_name)))


# --- Pods


def _pod(cluster: Cluster, pod: Any, service: Any) -> Pod:
    running = _running_containers(pod)
    seen, looked_from = _listeners(cluster, pod, running)
    return pod_of(pod, service, seen, looked_from, _logs(cluster, pod), _unready_words(cluster, pod))


def pod_of(
    pod: Any,
    service: Any,
    seen: tuple[Listener, ...] | NotHere,
    looked_from: str,
    logs: dict[str, str],
    not_ready: str,
) -> Pod:
    """The facts of a V1Pod, with what had to be read beside it. logs: each ended container's last line."""
    containers = pod.spec.containers
    ports = service.spec.ports or [] if service is not None and service.spec.type != "ExternalName" else []
    return Pod(
        name=pod.metadata.name,
        labels=dict(pod.metadata.labels or {}),
        ip=pod.status.pod_ip or "",
        node=pod.spec.node_name or "",
        phase=_phase(pod),
        ready=is_ready(pod),
        terminating=bool(pod.metadata.deletion_timestamp),
        targets=tuple(marker.target_number(port, pod) for port in ports),
        declared=tuple(
            Declared(one.name, port.name or "", port.container_port, port.protocol or "TCP")
            for one in containers
            for port in one.ports or []
        ),
        listeners=seen,
        looked_from=looked_from,
        troubles=tuple(_troubles(pod, logs)),
        not_ready=not_ready,
        probe_ports=tuple(_probe_ports(containers)),
        ours=is_ours(pod),
    )


def _phase(pod: Any) -> str:
    """A Pod's phase; of one whose containers have all ended for good, the one that kubelet tells a moment later.

    In between it still says Running of a Pod in which nothing runs (getPhase in pkg/kubelet/kubelet_pods.go).
    """
    phase = pod.status.phase or ""
    states = [one.state for one in pod.status.container_statuses or [] if one.state]
    codes = [state.terminated.exit_code for state in states if state.terminated]
    if phase != "Running" or len(codes) < len(pod.spec.containers) or pod.spec.restart_policy == "Always":
        return phase
    if not any(codes):
        return "Succeeded"
    return "Failed" if pod.spec.restart_policy == "Never" else phase


def _running_containers(pod: Any) -> list[str]:
    statuses = itertools.chain(pod.status.container_statuses or [], pod.status.ephemeral_container_statuses or [])
    return [one.name for one in statuses if one.state and one.state.running]


def _listeners(cluster: Cluster, pod: Any, running: list[str]) -> tuple[tuple[Listener, ...] | NotHere, str]:
    """What the Pod's processes listen on, and the container it was read in: its containers share one network."""
    name, namespace = pod.metadata.name, pod.metadata.namespace
    if not running:
        return NotHere(f"no container of {name} runs, so there is nothing to look into"), ""
    if pod.spec.host_network:
        return NotHere(f"{name} is on its node's own network, whose ports are not its alone"), ""
    why = ""
    for container in running:
        try:
            ran = cluster.exec(namespace, name, READ_SOCKETS, container, limit=EXEC_LIMIT)
        except NotInTime as late:
            return NotHere(f"{name} could not be looked into: {late.what}"), ""
        except Refused as refused:  # it has just ended, or has no `cat`
            why = refused.why
            continue
        # cat ends with 1 where the kernel has no IPv6, and so no tcp6; what it wrote is all there is.
        if "local_address" in ran.out:
            return listeners(ran.out), container
        why = ran.err.strip().splitlines()[-1] if ran.err.strip() else f"cat ended with {ran.code}"
    return NotHere(f"{name} could not be looked into: {why}"), ""


def _troubles(pod: Any, logs: dict[str, str]) -> Iterable[Trouble]:
    statuses = itertools.chain(pod.status.init_container_statuses or [], pod.status.container_statuses or [])
    for one in statuses:
        if not one.state or one.state.running or (one.state.terminated and one.state.terminated.reason == "Completed"):
            continue
        state = one.state.waiting or one.state.terminated
        if state is None or (state.reason in ("PodInitializing", "ContainerCreating") and not state.message):
            continue
        yield Trouble(one.name, state.reason or "", (state.message or "").strip(), logs.get(one.name, ""))


def _logs(cluster: Cluster, pod: Any) -> dict[str, str]:
    """The last line that each container which has ended left in its log."""
    found = {}
    for one in pod.status.container_statuses or []:
        if not one.state or not (one.state.terminated or (one.state.waiting and one.restart_count)):
            continue
        with cluster.answering(f"read the log of {one.name} in Pod {pod.metadata.name}"):
            try:
                text = cluster.core().read_namespaced_pod_log(
                    pod.metadata.name,
                    pod.metadata.namespace,
                    container=one.name,
                    previous=one.state.waiting is not None,
                    tail_lines=LOG_LINES,
                    limit_bytes=LOG_BYTES,
                )
            except ApiException as error:
                if not error.status:
                    raise
                continue  # the log is gone already, or is not ours to read
        lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
        if lines:
            found[one.name] = clean(lines[-1], LOG_LINE)
    return found


def _unready_words(cluster: Cluster, pod: Any) -> str:
    """Why a Pod is not Ready: what its probe got, as the kubelet's newest event has it, else its conditions' words."""
    if is_ready(pod) or pod.metadata.deletion_timestamp:
        return ""
    conditions = [c.message for c in pod.status.conditions or [] if c.status != "True" and c.message]
    if not _running_containers(pod):
        return conditions[0] if conditions else ""
    with cluster.answering(f"read the events of Pod {pod.metadata.name}"):
        try:
            events = cluster.core().list_namespaced_event(
                pod.metadata.namespace, field_selector=f"involvedObject.uid={pod.metadata.uid},reason=Unhealthy"
            )
        except ApiException as error:
            if error.status != 403:
                raise
            return conditions[0] if conditions else ""
    newest = max(events.items, key=lambda one: str(one.last_timestamp or one.event_time or ""), default=None)
    if newest is not None and newest.message:
        return str(newest.message).strip()
    return conditions[0] if conditions else ""


def _probe_ports(containers: Iterable[Any]) -> Iterable[tuple[str, int]]:
    for one in containers:
        probe = one.readiness_probe
        handler = (probe.http_get or probe.tcp_socket) if probe is not None else None
        if handler is None:
            continue
        named = {port.name: port.container_port for port in one.ports or [] if port.name}
        number = named.get(handler.port, handler.port)
        if str(number).isdigit():
            yield one.name, int(number)


# --- policies, and the laptop


def _policies(cluster: Cluster, namespace: str, pods: list[Any]) -> tuple[Policy, ...] | NotHere:
    with cluster.answering(f"list the NetworkPolicies of {namespace}"):
        try:
            found = cluster.networking().list_namespaced_network_policy(namespace).items
        except ApiException as error:
            if error.status == 404:  # a cluster that does not serve them has none
                return ()
            if error.status != 403:
                raise
            return NotHere("you may not list NetworkPolicies here")
    return tuple(policy for policy in (policy_of(one, pods) for one in found) if policy.pods or policy.client)


def policy_of(policy: Any, pods: Iterable[Any]) -> Policy:
    """The facts of a V1NetworkPolicy, given the V1Pods of its namespace."""
    spec = policy.spec
    types = spec.policy_types or ["Ingress", *(["Egress"] if spec.egress is not None else [])]
    selected = [pod for pod in pods if _selects(spec.pod_selector, pod.metadata.labels or {})]
    return Policy(
        name=policy.metadata.name,
        pods=frozenset(pod.metadata.name for pod in selected) if "Ingress" in types else frozenset(),
        rules=len(spec.ingress or []),
        client="Egress" in types and any(pod.metadata.name == CLIENT for pod in selected),
    )


def _selects(selector: Any, labels: dict[str, str]) -> bool:
    """Whether a V1LabelSelector matches; an empty one matches everything."""
    if selector is None:
        return True
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    return all(_meets(one, labels) for one in selector.match_expressions or [])


def _meets(need: Any, labels: dict[str, str]) -> bool:
    value, values = labels.get(need.key), need.values or []
    if need.operator == "In":
        return value in values
    if need.operator == "NotIn":
        return value not in values
    return (value is not None) is (need.operator == "Exists")


def _outside(cluster: Cluster, service: Any) -> dict[int, Address | NotHere]:
    ports = service.spec.ports or [] if service is not None else []
    return {one.node_port: cluster.outside(one.node_port) for one in ports if one.node_port}
