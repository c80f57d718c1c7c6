"""What is wrong with a Pod's containers: their ports, environment, mounts, resources, probes. Only computes.

Source: validateContainerCommon and what it calls, in its order (pkg/apis/core/validation/validation.go).
"""

import re
from typing import Any

from labs.embedded.api import meta, quantities
from labs.embedded.api.service_rules import PROTOCOLS, number_errors, port_name_errors
from labs.embedded.api.status import FieldError, duplicate, forbidden, invalid, not_supported, required

Object = dict[str, Any]
PULL = ["Always", "IfNotPresent", "Never"]
SECCOMP = ["Localhost", "RuntimeDefault", "Unconfined"]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
NOT_NEGATIVE = "must be greater than or equal to 0"
BACKSTEPS = "must not contain '..'"
BAD_VARIABLE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
BAD_HEADER = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
    "'[-A-Za-z0-9]+')"
)
# What the downward API knows; of it, what may be a variable and what a file of a volume.
FIELD_PATHS = [
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.phase",
    "status.podIP", "status.podIPs",
]  # fmt: skip
VARIABLE_PATHS = [
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
]  # fmt: skip
FILE_PATHS = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"]
CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def errors(spec: Object, path: str, volumes: set[str]) -> list[FieldError]:
    """All that is wrong with a Pod's containers and init containers. volumes: the names of those that are right."""
    given = spec.get("containers") or []
    if not given:
        return [required(f"{path}.containers"), *_init(spec, path, volumes)]
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, one in enumerate(given):
        here = f"{path}.containers[{index}]"
        found += _container(one, here, volumes) + _twice(one, here, seen)
        for probe in PROBES:
            if probe in one:
                found += _probe(one[probe], f"{here}.{probe}", probe)
    found += _host_ports(given, f"{path}.containers")
    return found + _init(spec, path, volumes)


def _init(spec: Object, path: str, volumes: set[str]) -> list[FieldError]:
    found: list[FieldError] = []
    seen = {one.get("name", "") for one in spec.get("containers") or []}
    for index, one in enumerate(spec.get("initContainers") or []):
        here = f"{path}.initContainers[{index}]"
        found += _container(one, here, volumes) + _twice(one, here, seen)
        found += _host_ports([one], f"{path}.initContainers")
        why = "may not be set for init containers without restartPolicy=Always"
        found += [forbidden(f"{here}.{probe}", why) for probe in PROBES if probe in one]
    return found


def seccomp_errors(context: Object, path: str) -> list[FieldError]:
    """What is wrong with the seccompProfile of a security context."""
    if "seccompProfile" not in context:
        return []
    profile, here = context["seccompProfile"], f"{path}.seccompProfile"
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    if kind == "Localhost":
        if file is None:
            return [required(here + ".localhostProfile", "must be set when seccomp type is Localhost")]
        return descending_errors(file, here + ".localhostProfile")
    if kind in SECCOMP:
        shown = {"Type": kind, "LocalhostProfile": file}  # as Go prints it
        why = "can only be set when seccomp type is Localhost"
        return [invalid(here + ".localhostProfile", shown, why)] if file is not None else []
    if not kind:
        return [required(here + ".type", "type is required when seccompProfile is set")]
    return [not_supported(here + ".type", kind, SECCOMP)]


def user_errors(context: Object, path: str, *names: str) -> list[FieldError]:
    """Ids that are none."""
    return [
        invalid(f"{path}.{name}", context[name], "must be between 0 and 2147483647, inclusive")
        for name in names
        if not 0 <= context.get(name, 0) < 2**31
    ]


def descending_errors(given: str, path: str) -> list[FieldError]:
    """A path that leads anywhere but down."""
    found = [invalid(path, given, "must be a relative path")] if given.startswith("/") else []
    return found + ([invalid(path, given, BACKSTEPS)] if ".." in given.split("/") else [])


def field_errors(reference: Object, path: str, valid: list[str]) -> list[FieldError]:
    """What is wrong with a fieldRef, where the valid paths are these."""
    field, here = reference.get("fieldPath", ""), f"{path}.fieldPath"
    if not field:
        return [required(here)]
    subscript = re.fullmatch(r"(metadata\.(?:labels|annotations))\['(.*)'\]", field)
    if subscript:
        key = subscript[2].lower() if subscript[1].endswith("annotations") else subscript[2]
        return [invalid(path, key, why) for why in meta.qualified_name_errors(key)]
    if field not in FIELD_PATHS:
        return [invalid(here, field, f"error converting fieldPath: field label not supported: {field}")]
    return [] if field in valid else [not_supported(here, field, valid)]


# --- one container


def _twice(one: Object, path: str, seen: set[str]) -> list[FieldError]:
    name = one.get("name", "")
    found = [duplicate(path + ".name", name)] if name and name in seen else []
    seen.add(name)
    return found


def _container(one: Object, path: str, volumes: set[str]) -> list[FieldError]:
    name = one.get("name", "")
    found = [invalid(path + ".name", name, why) for why in meta.label_errors(name)] if name else [required(path + ".name")]
    found += _image(one, path)
    if one["terminationMessagePolicy"] not in ("File", "FallbackToLogsOnError"):
        given = one["terminationMessagePolicy"]
        found.append(not_supported(path + ".terminationMessagePolicy", given, ["File", "FallbackToLogsOnError"]))
    found += _ports(one.get("ports") or [], path + ".ports")
    for index, env in enumerate(one.get("env") or []):
        found += _variable(env, f"{path}.env[{index}]")
    for index, source in enumerate(one.get("envFrom") or []):
        found += _variables(source, f"{path}.envFrom", index)
    found += _mounts(one.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    if one["imagePullPolicy"] not in PULL:
        found.append(not_supported(path + ".imagePullPolicy", one["imagePullPolicy"], PULL))
    found += _resources(one["resources"], path + ".resources")
    context, here = one.get("securityContext") or {}, path + ".securityContext"
    return found + user_errors(context, here, "runAsUser", "runAsGroup") + seccomp_errors(context, here)


def _image(one: Object, path: str) -> list[FieldError]:
    image = one.get("image", "")
    if not image:
        return [required(path + ".image")]
    return [invalid(path + ".image", image, "must not have leading or trailing whitespace")] if image != image.strip() else []


def _ports(ports: list[Object], path: str) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"{path}[{index}]", port.get("name", "")
        if name:
            wrong = port_name_errors(name)
            found += [invalid(here + ".name", name, one) for one in wrong]
            if not wrong and name in names:
                found.append(duplicate(here + ".name", name))
            names.add(name)
        if not port.get("containerPort"):
            found.append(required(here + ".containerPort"))
        else:
            found += number_errors(here + ".containerPort", port["containerPort"])
        if port.get("hostPort"):
            found += number_errors(here + ".hostPort", port["hostPort"])
        if port["protocol"] not in PROTOCOLS:
            found.append(not_supported(here + ".protocol", port["protocol"], PROTOCOLS))
    return found


def _host_ports(containers: list[Object], path: str) -> list[FieldError]:
    """Host ports that are wanted twice."""
    found, seen = [], set()
    for index, one in enumerate(containers):
        for at, port in enumerate(one.get("ports") or []):
            key = f"{port['protocol']}/{port.get('hostIP', '')}/{port.get('hostPort', 0)}"
            if port.get("hostPort") and key in seen:
                found.append(duplicate(f"{path}[{index}].ports[{at}].hostPort", key))
            seen.add(key)
    return found


# --- what it knows


def _variable(env: Object, path: str) -> list[FieldError]:
    name = env.get("name", "")
    found = [] if name else [required(path + ".name")]
    found += [invalid(path + ".name", name, BAD_VARIABLE)] if name and not _is_variable(name) else []
    if "valueFrom" not in env:
        return found
    source, here = env["valueFrom"], path + ".valueFrom"
    if "fieldRef" in source:
        found += field_errors(source["fieldRef"], here + ".fieldRef", VARIABLE_PATHS)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            found += _key(source[kind], f"{here}.{kind}")
    if not source:
        names = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        found.append(invalid(here, "", f"must specify one of: {names}"))
    elif env.get("value"):
        found.append(invalid(here, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        found.append(invalid(here, "", "may not have more than one field specified at a time"))
    return found


def _is_variable(name: str) -> bool:
    return all(" " <= letter <= "~" and letter != "=" for letter in name)


def _key(reference: Object, path: str) -> list[FieldError]:
    name, key = reference.get("name", ""), reference.get("key", "")
    found = [invalid(path + ".name", name, why) for why in meta.subdomain_errors(name)]
    return found + ([invalid(path + ".key", key, why) for why in meta.key_errors(key)] if key else [required(path + ".key")])


def _variables(source: Object, path: str, index: int) -> list[FieldError]:
    here, prefix = f"{path}[{index}]", source.get("prefix", "")
    found = [invalid(here + ".prefix", prefix, BAD_VARIABLE)] if not _is_variable(prefix) else []
    kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
    for kind in kinds:
        name = source[kind].get("name", "")
        wrong = meta.subdomain_errors(name) if name else []
        found += [invalid(f"{here}.{kind}.name", name, why) for why in wrong] if name else [required(f"{here}.{kind}.name")]
    if not kinds:
        found.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
    elif len(kinds) > 1:
        found.append(invalid(path, "", "may not have more than one field specified at a time"))
    return found


def _mounts(mounts: list[Object], path: str, volumes: set[str]) -> list[FieldError]:
    found: list[FieldError] = []
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        here, name, place = f"{path}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(required(here + ".name"))
        if name not in volumes:
            found.append(FieldError("FieldValueNotFound", here + ".name", name))
        if not place:
            found.append(required(here + ".mountPath"))
        if place in places:
            found.append(invalid(here + ".mountPath", place, "must be unique"))
        places.add(place)
        found += descending_errors(mount.get("subPath", ""), path + ".subPath")
    return found


# --- what it may use


def _resources(resources: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            here = f"{path}.{part}[{name}]"
            found += _resource_name(name, here)
            number = quantities.value(amount) or 0
            if number < 0:
                found.append(invalid(here, amount, NOT_NEGATIVE))
            if part == "requests":
                found += _within(name, amount, limits, path)
    return found


def _resource_name(name: str, path: str) -> list[FieldError]:
    found = [invalid(path, name, why) for why in meta.qualified_name_errors(name)]
    if found or "/" in name or name in CONTAINER_RESOURCES or name.startswith("hugepages-"):
        return found
    return [
        invalid(path, name, "must be a standard resource type or fully qualified"),
        invalid(path, name, "must be a standard resource for containers"),
    ]


def _within(name: str, amount: str, limits: Object, path: str) -> list[FieldError]:
    """A request against its limit: of what cannot be shared ("example.com/x") they must be the same."""
    shared = "/" not in name or "kubernetes.io/" in name
    if name not in limits:
        why = "Limit must be set for non overcommitable resources"
        return [] if shared else [required(path + ".limits", why)]
    asked, most = quantities.value(amount) or 0, quantities.value(limits[name]) or 0
    if not shared and asked != most:
        return [invalid(path + ".requests", amount, f"must be equal to {name} limit of {limits[name]}")]
    if asked > most:
        return [invalid(path + ".requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")]
    return []


# --- how it is probed


def _probe(probe: Object, path: str, kind: str) -> list[FieldError]:
    found: list[FieldError] = []
    handlers = [name for name in ("exec", "httpGet", "tcpSocket", "grpc") if name in probe]
    more = [forbidden(f"{path}.{name}", "may not specify more than 1 handler type") for name in handlers[1:]]
    if not handlers:
        found.append(required(path, "must specify a handler type"))
    if "exec" in handlers and not probe["exec"].get("command"):
        found.append(required(path + ".exec.command"))
    for name in ("httpGet", "tcpSocket"):
        if name in handlers[:1]:
            port = probe[name].get("port", 0)
            here = f"{path}.{name}.port"
            if isinstance(port, int):
                found += number_errors(here, port)
            else:
                found += [invalid(here, port, one) for one in port_name_errors(port)]
    if "httpGet" in handlers:
        found += _http(probe["httpGet"], path + ".httpGet")
    found += more
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            found.append(invalid(f"{path}.{name}", probe[name], NOT_NEGATIVE))
    if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        found.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return found


def _http(given: Object, path: str) -> list[FieldError]:
    found = []
    if given["scheme"] not in ("HTTP", "HTTPS"):
        found.append(not_supported(f"{path}.scheme", given["scheme"], ["HTTP", "HTTPS"]))
    for header in given.get("httpHeaders") or []:
        if not re.fullmatch(r"[-A-Za-z0-9]+", header.get("name", "")):
            found.append(invalid(f"{path}.httpHeaders", header.get("name", ""), BAD_HEADER))
    return found
