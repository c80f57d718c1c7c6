"""The fields of Pods that are served, in one list; any other is refused by name, never left out in silence. Only computes."""

from typing import Any

from labs.embedded.api import models
from labs.embedded.api.status import FieldError, forbidden

Object = dict[str, Any]
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
    return [*_unserved(spec, "V1PodSpec", path), *([forbidden(f"{path}.os.name", WHY)] if windows else [])]


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
