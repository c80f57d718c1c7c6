"""The tables that `kubectl get` shows: columns and cells of each kind, as pkg/printers/internalversion has them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Cells = Callable[[Object], list[Any]]
SHOWN = 3  # endpoints and ports in a cell; the rest is counted
NONE = "<none>"


def table(resource: str, objects: list[Object], metadata: Object, include: str = "Metadata", header: bool = True) -> Object:
    """A Table of objects. include: what each row has beside its cells ("Object", "Metadata", "None")."""
    names, cells = COLUMNS.get(resource, (("Name", "Age"), lambda obj: [obj["metadata"]["name"], age(obj)]))
    made: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": []}
    if header:
        made["columnDefinitions"] = [_column(name) for name in names]
    made["rows"] = [_row(resource, cells(one), one, include) for one in objects]
    return made


def _column(name: str) -> Object:
    """`name*` is a column of -o wide, `name#` one of numbers."""
    plain = name.rstrip("*#")
    return {
        "name": plain,
        "type": "integer" if name.endswith("#") else "string",
        "format": "name" if plain == "Name" else "",
        "description": "",
        "priority": 1 if name.endswith("*") else 0,
    }


def _row(resource: str, cells: list[Any], obj: Object, include: str) -> Object:
    made: Object = {"cells": cells}
    phase = obj.get("status", {}).get("phase") if resource == "pods" else None
    if phase in ("Succeeded", "Failed"):
        said = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}[phase]
        made["conditions"] = [{"type": "Completed", "status": "True", "reason": phase, "message": said}]
    if include == "Object":
        made["object"] = obj
    elif include != "None":
        made["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    else:
        made["object"] = None
    return made


# --- time


def since(moment: str | None) -> str:
    """How long ago a time of the API is, as kubectl shows it."""
    if not moment:
        return "<unknown>"
    return duration((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def duration(seconds: float) -> str:
    """Seconds in at most two units (apimachinery's duration.HumanDuration)."""
    whole = int(seconds)
    minutes, hours = whole // 60, whole // 3600
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(0, whole)}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{whole % 60}s" if whole % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y" + (f"{days % 365}d" if days < 365 * 8 and days % 365 else "")


def age(obj: Object) -> str:
    """Since its creation."""
    return since(obj["metadata"].get("creationTimestamp"))


# --- Pods


def _pod(obj: Object) -> list[Any]:
    spec, state = obj.get("spec", {}), obj.get("status", {})
    word, ready, restarts, last = pod_status(obj)
    count = len(spec.get("containers", [])) + sum(
        one.get("restartPolicy") == "Always" for one in spec.get("initContainers", [])
    )
    gates = [one["conditionType"] for one in spec.get("readinessGates") or []]
    true = {one["type"] for one in state.get("conditions") or [] if one.get("status") == "True"}
    return [
        obj["metadata"]["name"],
        f"{ready}/{count}",
        word,
        f"{restarts} ({since(last)} ago)" if restarts and last else str(restarts),
        age(obj),
        state.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        state.get("nominatedNodeName") or NONE,
        f"{sum(one in true for one in gates)}/{len(gates)}" if gates else NONE,
    ]


def pod_status(obj: Object) -> tuple[str, int, int, str]:
    """What `kubectl get pods` says of a Pod: its status, ready containers, restarts, and when the last of them was."""
    spec, state = obj.get("spec", {}), obj.get("status", {})
    conditions = {one["type"]: one for one in state.get("conditions") or []}
    word = state.get("reason") or state.get("phase") or ""
    if conditions.get("PodScheduled", {}).get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    waiting, ready, restarts, last = _init_status(spec, state)
    if waiting:
        word = waiting
    if not waiting or conditions.get("Initialized", {}).get("status") == "True":
        statuses = state.get("containerStatuses") or []
        restarts = sum(one.get("restartCount", 0) for one in statuses)
        last = max([one.get("lastState", {}).get("terminated", {}).get("finishedAt") or "" for one in statuses], default="")
        running = [one for one in statuses if one.get("ready") and "running" in one.get("state", {})]
        ready += len(running)
        failed = ""
        for one in reversed(statuses):
            now = one.get("state", {})
            if now.get("waiting", {}).get("reason"):
                word = now["waiting"]["reason"]
            elif "terminated" in now:
                word = _ended(now["terminated"])
                failed = word if now["terminated"].get("exitCode") else failed
        if word == "Completed":
            is_ready = conditions.get("Ready", {}).get("status") == "True"
            word = "Running" if running and is_ready else failed or ("NotReady" if running else word)
    if obj["metadata"].get("deletionTimestamp") and state.get("phase") not in ("Succeeded", "Failed"):
        word = "Unknown" if state.get("reason") == "NodeLost" else "Terminating"
    return word, ready, restarts, last


def _init_status(spec: Object, state: Object) -> tuple[str, int, int, str]:
    sidecars = {one["name"] for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"}
    ready, restarts, last = 0, 0, ""
    for index, one in enumerate(state.get("initContainerStatuses") or []):
        now = one.get("state", {})
        restarts += one.get("restartCount", 0)
        last = max(last, one.get("lastState", {}).get("terminated", {}).get("finishedAt") or "")
        if "terminated" in now and not now["terminated"].get("exitCode"):
            continue
        if one["name"] in sidecars and one.get("started"):
            ready += bool(one.get("ready"))
            continue
        if "terminated" in now:
            return "Init:" + _ended(now["terminated"]), ready, restarts, last
        if now.get("waiting", {}).get("reason", "PodInitializing") != "PodInitializing":
            return "Init:" + now["waiting"]["reason"], ready, restarts, last
        return f"Init:{index}/{len(spec.get('initContainers') or [])}", ready, restarts, last
    return "", ready, restarts, last


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


# --- Services and their Endpoints


def _service(obj: Object) -> list[Any]:
    spec = obj["spec"]
    ports = [
        f"{one['port']}:{one['nodePort']}/{one['protocol']}" if one.get("nodePort") else f"{one['port']}/{one['protocol']}"
        for one in spec.get("ports") or []
    ]
    return [
        obj["metadata"]["name"],
        spec.get("type", ""),
        (spec.get("clusterIPs") or [NONE])[0],
        _external(obj),
        ",".join(ports) or NONE,
        age(obj),
        _labels(spec.get("selector")),
    ]


def _external(obj: Object) -> str:
    spec = obj["spec"]
    given = list(spec.get("externalIPs") or [])
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        given = [one.get("ip") or one.get("hostname", "") for one in ingress] + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def _endpoints(obj: Object) -> list[Any]:
    found: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = [one["ip"] for one in subset.get("addresses") or []]
        ports = subset.get("ports")
        found += [f"{ip}:{port['port']}" for port in ports for ip in addresses] if ports else addresses
    return [obj["metadata"]["name"], _some(found), age(obj)]


def _slice(obj: Object) -> list[Any]:
    ports = [str(one["port"]) if one.get("port") is not None else one.get("name", "*") for one in obj.get("ports") or []]
    addresses = [ip for one in obj.get("endpoints") or [] for ip in one.get("addresses") or []]
    shown = _some(ports) if ports else "<unset>"
    return [obj["metadata"]["name"], obj.get("addressType", ""), shown, _some(addresses, "<unset>"), age(obj)]


def _some(found: list[str], nothing: str = NONE) -> str:
    if not found:
        return nothing
    more = f" + {len(found) - SHOWN} more..." if len(found) > SHOWN else ""
    return ",".join(found[:SHOWN]) + more


def _labels(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def _selector(selector: Object | None) -> str:
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for one in (selector or {}).get("matchExpressions") or []:
        values = ",".join(sorted(one.get("values") or []))
        form = {"In": f"{one['key']} in ({values})", "NotIn": f"{one['key']} notin ({values})", "Exists": one["key"]}
        parts.append(form.get(one["operator"], "!" + one["key"]))
    return ",".join(parts) or NONE


# --- the rest


def _node(obj: Object) -> list[Any]:
    state = obj.get("status", {})
    ready = [one for one in state.get("conditions") or [] if one["type"] == "Ready"]
    words = [("" if one["status"] == "True" else "Not") + "Ready" for one in ready] or ["Unknown"]
    if obj.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    role = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(role) for key in obj["metadata"].get("labels") or {} if key.startswith(role))
    addresses = {one["type"]: one["address"] for one in reversed(state.get("addresses") or [])}
    info = state.get("nodeInfo", {})
    kernel = info.get("kernelVersion") or "<unknown>"
    return [
        obj["metadata"]["name"],
        ",".join(words),
        ",".join(one for one in roles if one) or NONE,
        age(obj),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or "<unknown>",
        f"{kernel} ({info['architecture']})" if info.get("architecture") else kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event(obj: Object) -> list[Any]:
    involved, source = obj.get("involvedObject", {}), obj.get("source", {})
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"))
    last = since(obj["lastTimestamp"]) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    if obj.get("series"):
        last, count = since(obj["series"].get("lastObservedTime")), obj["series"].get("count", 1)
    kind = involved.get("kind", "").lower()
    component, host = (
        source.get("component") or obj.get("reportingComponent"),
        source.get("host") or obj.get("reportingInstance"),
    )
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{involved['name']}" if involved.get("name") else kind,
        involved.get("fieldPath", ""),
        ", ".join(one for one in (component, host) if one),
        obj.get("message", "").strip(),
        first,
        count,
        obj["metadata"]["name"],
    ]


def _template(obj: Object) -> list[Any]:
    containers = obj["spec"].get("template", {}).get("spec", {}).get("containers", [])
    return [",".join(one.get(part, "") for one in containers) for part in ("name", "image")]


def _deployment(obj: Object) -> list[Any]:
    spec, state = obj["spec"], obj.get("status", {})
    return [
        obj["metadata"]["name"],
        f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        age(obj),
        *_template(obj),
        _selector(spec.get("selector")),
    ]


def _replica_set(obj: Object) -> list[Any]:
    spec, state = obj["spec"], obj.get("status", {})
    counts = [spec.get("replicas", 1), state.get("replicas", 0), state.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *counts, age(obj), *_template(obj), _selector(spec.get("selector"))]


def _ingress(obj: Object) -> list[Any]:
    spec = obj["spec"]
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    shown = ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")
    ports = "80, 443" if spec.get("tls") else "80"
    return [obj["metadata"]["name"], spec.get("ingressClassName") or "<none>", shown or "*", "", ports, age(obj)]


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


COLUMNS: dict[str, tuple[tuple[str, ...], Cells]] = {
    "pods": (
        ("Name", "Ready", "Status", "Restarts", "Age", "IP*", "Node*", "Nominated Node*", "Readiness Gates*"), _pod),
    "services": (("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector*"), _service),
    "endpoints": (("Name", "Endpoints", "Age"), _endpoints),
    "ingresses": (("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "endpointslices": (("Name", "AddressType", "Ports", "Endpoints", "Age"), _slice),
    "nodes": (
        ("Name", "Status", "Roles", "Age", "Version", "Internal-IP*", "External-IP*", "OS-Image*", "Kernel-Version*",
         "Container-Runtime*"), _node),
    "events": (
        ("Last Seen", "Type", "Reason", "Object", "Subobject*", "Source*", "Message", "First Seen*", "Count*", "Name*"),
        _event),
    "deployments": (("Name", "Ready", "Up-to-date", "Available", "Age", "Containers*", "Images*", "Selector*"), _deployment),
    "replicasets": (("Name", "Desired#", "Current#", "Ready#", "Age", "Containers*", "Images*", "Selector*"), _replica_set),
    "namespaces": (("Name", "Status", "Age"), lambda obj: [_name(obj), obj.get("status", {}).get("phase", ""), age(obj)]),
    "secrets": (("Name", "Type", "Data", "Age"), lambda obj: [_name(obj), obj["type"], len(obj.get("data") or {}), age(obj)]),
    "configmaps": (
        ("Name", "Data", "Age"),
        lambda obj: [_name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj)]),
    "serviceaccounts": (("Name", "Age"), lambda obj: [_name(obj), age(obj)]),
}  # fmt: skip
