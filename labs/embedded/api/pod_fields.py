"""The fields of Pods that are served, in one list; any other is refused by name, never left out in silence. Only computes."""

from typing import Any

from labs.embedded.api import models
from labs.embedded.api.container_rules import descending_errors
from labs.embedded.api.status import FieldError, forbidden
from labs.embedded.spawn import DEFAULT_CAPABILITIES, MORE_CAPABILITIES

Object = dict[str, Any]
WHY_VALUE = "the embedded cluster does not serve this value (a kind cluster does)"
WHY = "the embedded cluster does not serve this field of a Pod (a kind cluster does)"
# By the kubernetes client's model. Models that are not named here are served whole.
SERVED: dict[str, set[str]] = {
    "V1PodSpec": {
        "automountServiceAccountToken", "containers", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases",
        "hostNetwork", "hostname", "imagePullSecrets", "initContainers", "nodeName", "nodeSelector", "os", "preemptionPolicy",
        "priority", "restartPolicy", "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "subdomain",
        "terminationGracePeriodSeconds", "tolerations", "volumes",
    },
    "V1Container": {
        "args", "command", "env", "envFrom", "image", "imagePullPolicy", "livenessProbe", "name", "ports", "readinessProbe",
        "resources", "securityContext", "startupProbe", "stdin", "stdinOnce", "terminationMessagePath",
        "terminationMessagePolicy", "tty", "volumeMounts", "workingDir",
    },
    "V1Probe": {
        "exec", "failureThreshold", "httpGet", "initialDelaySeconds", "periodSeconds", "successThreshold", "tcpSocket",
        "timeoutSeconds",
    },
    "V1Volume": {"configMap", "downwardAPI", "emptyDir", "name", "projected", "secret"},
    "V1VolumeMount": {"mountPath", "name", "readOnly", "subPath"},
    "V1VolumeProjection": {"configMap", "downwardAPI", "secret", "serviceAccountToken"},
    "V1EnvVarSource": {"configMapKeyRef", "fieldRef", "secretKeyRef"},
    "V1SecurityContext": {
        "allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem", "runAsGroup", "runAsNonRoot", "runAsUser",
        "seccompProfile",
    },
    "V1PodSecurityContext": {"fsGroup", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile", "sysctls"},
    "V1ResourceRequirements": {"limits", "requests"},
}  # fmt: skip


def errors(spec: Object, path: str) -> list[FieldError]:
    """One error for each field of a PodSpec that is not served, or has a value that is not."""
    windows = (spec.get("os") or {}).get("name") == "windows"
    found = [*_unserved(spec, "V1PodSpec", path), *([forbidden(f"{path}.os.name", WHY)] if windows else [])]
    return found + _capabilities(spec, path) + _sysctls(spec, path) + _seccomp_files(spec, path)


def _capabilities(spec: Object, path: str) -> list[FieldError]:
    """Those that are asked for and not given: the machine's, or any to who is not root.

    NET_BIND_SERVICE is what "restricted" allows to be asked for; who is not root has no use for it, here and elsewhere:
    every port may be bound (net.ipv4.ip_unprivileged_port_start is 0).
    """
    found: list[FieldError] = []
    pods = spec.get("securityContext") or {}
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or []):
            mine = container.get("securityContext") or {}
            user = mine.get("runAsUser", pods.get("runAsUser"))
            given = {"NET_BIND_SERVICE"} if user else {*DEFAULT_CAPABILITIES, *MORE_CAPABILITIES}
            for at, name in enumerate((mine.get("capabilities") or {}).get("add") or []):
                if name.removeprefix("CAP_") not in given:
                    here = f"{path}.{part}[{index}].securityContext.capabilities.add[{at}]"
                    found.append(forbidden(here, f"{name}: {WHY_VALUE}"))
    return found


def _seccomp_files(spec: Object, path: str) -> list[FieldError]:
    """Profiles of the node's own: there are none. What is wrong with a profile otherwise is pod_rules.py's."""
    contexts = [(path, spec.get("securityContext") or {})]
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or []):
            contexts.append((f"{path}.{part}[{index}]", container.get("securityContext") or {}))
    return [
        forbidden(f"{here}.securityContext.seccompProfile.localhostProfile", f"{file}: {WHY_VALUE}")
        for here, context in contexts
        if (file := (context.get("seccompProfile") or {}).get("localhostProfile"))
        and context["seccompProfile"].get("type") == "Localhost"
        and not descending_errors(file, here)
    ]


def _sysctls(spec: Object, path: str) -> list[FieldError]:
    """Those that are not of the Pod's own network."""
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or []
    return [
        forbidden(f"{path}.securityContext.sysctls[{index}].name", f"{sysctl['name']}: {WHY_VALUE}")
        for index, sysctl in enumerate(sysctls)
        if not sysctl.get("name", "").replace("/", ".").startswith("net.")
    ]


def _unserved(given: Object, model: str, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    known, served = models.fields(model), SERVED.get(model)
    for name, value in given.items():
        field = known.get(name)
        if served is not None and name not in served:
            found.append(forbidden(f"{path}.{name}", WHY))
        elif field and isinstance(value, dict) and models.is_model(field.type):
            found += _unserved(value, field.type, f"{path}.{name}")
        elif field and isinstance(value, list) and models.is_model(field.item):
            for index, one in enumerate(value):
                found += _unserved(one, field.item, f"{path}.{name}[{index}]")
    return found
