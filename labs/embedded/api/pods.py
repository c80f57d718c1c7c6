"""Pods: defaults, what admission adds, what may be changed. Which of their fields are served is in pod_fields.py.

Sources: pkg/apis/core/v1/defaults.go, pkg/registry/core/pod/strategy.go, plugin/pkg/admission/{serviceaccount,priority,
defaulttolerationseconds}.
"""

import copy
import secrets
from typing import Any

from labs.embedded.api import pod_fields, pod_rules, pod_warnings, quantities, status
from labs.embedded.api.status import FieldError, forbidden
from labs.embedded.api.strategies import Strategy
from labs.embedded.store import LETTERS, Store

Object = dict[str, Any]
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607  # of the token that admission mounts: an hour, and 7 to tell it from a user's
GONE_SECONDS = 300  # that a Pod stays on a node that does not answer
PREEMPTION = ("string value of PreemptionPolicy", "PreemptLowerPriority")  # the one that there is without a PriorityClass
PROBED = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}  # by default
CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


class Pods(Strategy):
    """What the API does with Pods."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def default(self, obj: Object) -> None:
        default_spec(obj.setdefault("spec", {}))
        spec = obj["spec"]
        if spec.get("terminationGracePeriodSeconds", 0) < 0:
            spec["terminationGracePeriodSeconds"] = 1
        spec.setdefault("enableServiceLinks", True)
        for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
            limits = container["resources"].get("limits") or {}
            if limits:
                container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}

    def begin(self, new: Object, old: Object | None, dry_run: bool) -> None:
        if old is None:
            self._admit(new)
        else:
            for name in ("priority", "preemptionPolicy"):
                if name in old["spec"]:
                    new["spec"].setdefault(name, old["spec"][name])
        _tolerate(new["spec"])

    def prepare(self, new: Object, old: Object | None) -> None:
        if old is None:
            new["status"] = {"phase": "Pending", "qosClass": quality(new["spec"])}
        elif "status" in old:
            new["status"] = old["status"]

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        if old is None:
            return pod_rules.errors(new["spec"], "spec") + pod_fields.errors(new["spec"], "spec")
        return pod_rules.errors(new["spec"], "spec") + self._changes(new["spec"], old["spec"])

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return pod_warnings.warnings(new["spec"], "spec") if old is None else []

    def _changes(self, new: Object, old: Object) -> list[FieldError]:
        if len(new.get("containers") or []) != len(old.get("containers") or []):
            return [forbidden("spec.containers", "pod updates may not add or remove containers")]
        if len(new.get("initContainers") or []) != len(old.get("initContainers") or []):
            return [forbidden("spec.initContainers", "pod updates may not add or remove containers")]
        found = pod_rules.toleration_changes(new, old)
        masked = copy.deepcopy(new)
        for name in ("containers", "initContainers"):
            for container, before in zip(masked.get(name) or [], old.get(name) or [], strict=True):
                container["image"] = before.get("image", "")
        for name in ("activeDeadlineSeconds", "tolerations"):
            masked.pop(name, None)
            if name in old:
                masked[name] = old[name]
        if masked != old:
            found.append(forbidden("spec", f"{CHANGEABLE}\n{pod_rules.difference(old, masked)}"))
        return found

    # --- admission

    def _admit(self, new: Object) -> None:
        spec, metadata = new["spec"], new["metadata"]
        name = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = name
        account = self.store.get("serviceaccounts", metadata["namespace"], name)
        if account is None:
            why = f'error looking up service account {metadata["namespace"]}/{name}: serviceaccount "{name}" not found'
            raise status.denied("pods", metadata.get("name", ""), why)
        mounts = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
        if mounts:
            _mount_account(spec)
        for field, given, only in (("priority", "integer value of priority", 0), ("preemptionPolicy", *PREEMPTION)):
            if spec.setdefault(field, only) != only:
                why = (
                    f"the {given} ({spec[field]}) must not be provided in pod spec; priority admission controller computed "
                    f"{only} from the given PriorityClass name"
                )
                raise status.denied("pods", metadata.get("name", ""), why)


def _tolerate(spec: Object) -> None:
    """Adds that it stays for a while on a node that does not answer, where it says nothing of that."""
    has = {one.get("key") for one in spec.get("tolerations") or [] if one.get("effect") in (None, "", "NoExecute")}
    for reason in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{reason}"
        if key not in has and None not in has:
            one = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": GONE_SECONDS}
            spec.setdefault("tolerations", []).append(one)


def _mount_account(spec: Object) -> None:
    """Adds the volume with the ServiceAccount's token, the cluster's CA and the namespace, where no container has one there."""
    containers = [
        one
        for one in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
        if ACCOUNT_FOLDER not in [mount.get("mountPath") for mount in one.get("volumeMounts") or []]
    ]
    if not containers:
        return
    name = "kube-api-access-" + "".join(secrets.choice(LETTERS) for _ in range(5))
    for one in containers:
        one.setdefault("volumeMounts", []).append({"name": name, "readOnly": True, "mountPath": ACCOUNT_FOLDER})
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 0o644}})


def default_spec(spec: Object) -> None:
    """Fills in a PodSpec, of a Pod or of a template, in place."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _default_container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or []:
        _default_volume(volume)


def _default_container(container: Object, host_network: bool) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    latest = tag == "latest" or not (tag or "@" in image)
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
        if host_network and port.get("containerPort"):
            port.setdefault("hostPort", port["containerPort"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            for part, value in PROBED.items():
                if not probe.get(part):
                    probe[part] = value
            if "httpGet" in probe:
                probe["httpGet"].setdefault("path", "/")
                probe["httpGet"].setdefault("scheme", "HTTP")
    for one in container.get("env") or []:
        if field := (one.get("valueFrom") or {}).get("fieldRef"):
            field.setdefault("apiVersion", "v1")


def _default_volume(volume: Object) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "projected", "downwardAPI"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 0o644)
    if "projected" in volume:
        volume["projected"].setdefault("sources", None)
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    for source in sources:
        for item in (source.get("downwardAPI") or {}).get("items") or []:
            if "fieldRef" in item:
                item["fieldRef"].setdefault("apiVersion", "v1")
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def quality(spec: Object) -> str:
    """The Pod's quality of service class, by what is asked of CPU and memory (ComputePodQOS)."""
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    asked = [[_counted(one.get("resources") or {}, part) for part in ("requests", "limits")] for one in containers]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    return "Guaranteed" if all(len(limits) == 2 and requests == limits for requests, limits in asked) else "Burstable"


def _counted(resources: Object, part: str) -> Object:
    given = resources.get(part) or {}
    found = {name: quantities.value(given[name]) or 0 for name in ("cpu", "memory") if name in given}
    return {name: number for name, number in found.items() if number > 0}
