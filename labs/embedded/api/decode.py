"""JSON as an object: the kind that was meant, the types of its fields, and the fields that nobody knows.

As apimachinery's serializer does it: a wrong type is refused in Go's words; fields that are null, or empty where Go leaves
them out, go; unknown and double ones are collected for `fieldValidation`. Reads no text (json_text.py does), knows no defaults
and no validation.
"""

import base64
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from labs.embedded.api import models, quantities
from labs.embedded.api.gotext import base64_bytes, quote
from labs.embedded.api.json_text import envelope_error, json_type
from labs.embedded.api.kinds import Kind
from labs.embedded.api.status import Refused

Object = dict[str, Any]
# Fields whose empty value (0, "", false, [] or {}) is not the same as none: Go has pointers, or no `omitempty`, there.
KEPT_EMPTY = {
    "activeDeadlineSeconds", "addressType", "allocateLoadBalancerNodePorts", "allowPrivilegeEscalation", "appProtocol",
    "automountServiceAccountToken", "blockOwnerDeletion", "containerPort", "containers", "controller", "data",
    "defaultMode", "deletionGracePeriodSeconds", "enableServiceLinks", "endpoints", "fsGroup", "gracePeriodSeconds",
    "hostUsers", "immutable", "internalTrafficPolicy", "ipFamilyPolicy", "loadBalancerClass", "maxSurge",
    "maxUnavailable", "mode", "optional", "partition", "port", "priority", "privileged", "progressDeadlineSeconds",
    "readOnlyRootFilesystem", "ready", "replicas", "restartCount", "revisionHistoryLimit", "runAsGroup", "runAsNonRoot",
    "runAsUser", "serving", "setHostnameAsFQDN", "shareProcessNamespace", "started", "targetPort", "terminating",
    "terminationGracePeriodSeconds", "timeoutSeconds", "tolerationSeconds", "trafficDistribution",
}  # fmt: skip
KEPT_IN = {("V1Container", "name"), ("DiscoveryV1EndpointPort", "name"), ("V1EnvVar", "name"), ("V1Endpoint", "addresses")}
_CONDITION: Object = {"type": "", "status": ""}
# Fields that Go writes also where the client gave none, so that they are always there (no `omitempty`), with their empty value.
NEVER_OMITTED: dict[str, Object] = {
    **dict.fromkeys(("V1PodCondition", "V1NodeCondition", "V1NamespaceCondition"), _CONDITION),
    **dict.fromkeys(("V1DeploymentCondition", "V1ReplicaSetCondition", "V1Condition"), _CONDITION),
    "V1ContainerStatus": {"name": "", "ready": False, "restartCount": 0, "image": "", "imageID": ""},
    "V1NodeAddress": {"type": "", "address": ""},
    "V1Taint": {"key": "", "effect": ""},
    "V1EndpointAddress": {"ip": ""},
    "CoreV1EndpointPort": {"port": 0},
    "V1LabelSelectorRequirement": {"key": "", "operator": ""},
    "V1PodReadinessGate": {"conditionType": ""},
}
INT64 = {
    "activeDeadlineSeconds", "deletionGracePeriodSeconds", "expirationSeconds", "fsGroup", "generation", "gracePeriodSeconds",
    "observedGeneration", "runAsGroup", "runAsUser", "terminationGracePeriodSeconds", "tolerationSeconds",
}  # fmt: skip
QUANTITIES = {"allocatable", "capacity", "limits", "requests"}  # maps of them
MOST_UNKNOWN = 100  # fields that are told (sigs.k8s.io/json)
INT_OR_STRING = {"targetPort", "port", "maxSurge", "maxUnavailable"}
_GO_TYPES = {"str": "string", "bool": "bool", "int": "int32", "object": "int32"}
_NAMED = {  # texts that have a type of their own in Go, by field and model
    "restartPolicy": {"V1PodSpec": "v1.RestartPolicy", "V1Container": "v1.ContainerRestartPolicy"},
    "dnsPolicy": {"V1PodSpec": "v1.DNSPolicy"}, "preemptionPolicy": {"V1PodSpec": "v1.PreemptionPolicy"},
    "imagePullPolicy": {"V1Container": "v1.PullPolicy"}, "operator": {"V1Toleration": "v1.TolerationOperator"},
    "terminationMessagePolicy": {"V1Container": "v1.TerminationMessagePolicy"}, "effect": {"V1Toleration": "v1.TaintEffect"},
    "protocol": {"V1ContainerPort": "v1.Protocol", "V1ServicePort": "v1.Protocol"},
    "scheme": {"V1HTTPGetAction": "v1.URIScheme"}, "medium": {"V1EmptyDirVolumeSource": "v1.StorageMedium"},
    "type": {"V1ServiceSpec": "v1.ServiceType"},
    "sessionAffinity": {"V1ServiceSpec": "v1.ServiceAffinity"},
    "propagationPolicy": {"V1DeleteOptions": "v1.DeletionPropagation"},
}  # fmt: skip
NAMED_TEXTS = {type for types in _NAMED.values() for type in types.values()}
_EMBEDDED = re.compile(r"(Probe)\.(exec|httpGet|tcpSocket|grpc)\b")  # Go's decoder names the struct that holds them, too
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class NotReadable(Refused):
    """A body that is JSON and not the kind that was meant. why: without the kind; found, wanted: types; number: which."""

    def __init__(self, start: str, why: str, found: str = "", number: str = "", wanted: str = "") -> None:
        super().__init__(400, "BadRequest", start + why)
        self.why, self.found, self.number, self.wanted = why, found, number, wanted


def typed(read: Object, kind: Kind) -> tuple[Object, list[str]]:
    """The object that JSON is, and its unknown and double fields in words. Raises NotReadable (400)."""
    if wrong := envelope_error(read):
        raise _no_envelope(read, wrong)
    given, version = read.get("kind") or kind.kind, read.get("apiVersion") or kind.api_version
    start = f'{given} in version "{version.split("/")[-1]}" cannot be handled as a {kind.kind}: '
    if (given, version) != (kind.kind, kind.api_version):
        raise NotReadable(start, _other_kind(given, version, kind))
    reader = _Reader(start)
    made = reader.object(read, kind.model_name, "", kind.kind)
    if reader.wrong:
        raise reader.wrong
    return {"kind": kind.kind, "apiVersion": kind.api_version, **made}, list(dict.fromkeys(reader.unknown + reader.double))[
        :MOST_UNKNOWN
    ]


def _no_envelope(read: Any, why: str) -> NotReadable:
    for name in ("kind", "apiVersion") if isinstance(read, dict) else ():
        if read.get(name) is not None and not isinstance(read[name], str):
            return NotReadable("", why, json_type(read[name]), _digits(read[name]), "string")
    return NotReadable("", why)


def _other_kind(given: str, version: str, kind: Kind) -> str:
    model = version.split("/")[-1].capitalize() + given
    if models.is_model(model) and version.split("/")[0] in ("v1", "apps", "discovery.k8s.io", "events.k8s.io"):
        internal = kind.group.split(".")[0] or "core"
        return f"converting ({version.split('/')[-1]}.{given}) to ({internal}.{kind.kind}): unknown conversion"
    return not_registered(given, version)


def not_registered(kind: str, version: str) -> str:
    """The words for a kind that is not served."""
    return f'no kind {quote(kind)} is registered for version {quote(version)} in scheme "pkg/runtime/scheme.go:111"'


def strict(unknown: list[str], level: str, kind: Kind) -> list[str]:
    """What `fieldValidation` makes of unknown fields: warnings (Warn, the default), nothing (Ignore), or Refused (Strict)."""
    if unknown and level == "Strict":
        start = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        raise NotReadable(start, f"strict decoding error: {', '.join(unknown)}")
    return [] if level == "Ignore" else unknown


class _Reader:
    """Reads one body; collects what is unknown.

    As Go's decoder, it goes on after a value of a wrong type and tells the first of them at the end, while what has a reader of
    its own (times, quantities, numbers that may be texts) is refused on the spot.
    """

    def __init__(self, start: str) -> None:
        self.start = start
        self.unknown: list[str] = []
        self.double: list[str] = []
        self.wrong: NotReadable | None = None

    def object(self, given: dict[str, Any], model: str, path: str, struct: str) -> Object:
        known, made = models.fields(model), {}
        for name, value in getattr(given, "double", ()):
            self.double.append(f"duplicate field {quote(_join(path, name))}")
            if name in known and value is not None:
                self.value(value, known[name], _join(path, name), struct, model)
        for name, value in given.items():
            if name not in known:
                self.unknown.append(f"unknown field {quote(_join(path, name))}")
            elif value is not None:
                read = self.value(value, known[name], _join(path, name), struct, model)
                if read or name in KEPT_EMPTY or (model, name) in KEPT_IN or models.is_model(known[name].type):
                    made[name] = read
        return {**NEVER_OMITTED.get(model, {}), **made}

    def value(self, value: Any, field: models.Field, path: str, struct: str, model: str) -> Any:
        if models.is_model(field.type):
            right = self._is(value, dict, path, struct, "v1." + models.struct(field.type))
            return self.object(value, field.type, path, models.struct(field.type)) if right else {}
        if field.is_list:
            right = self._is(value, list, path, struct, f"[]{_go_type(field.item)}")
            return self._items(value, field, path, struct, model) if right else []
        if field.is_map:
            right = self._is(value, dict, path, struct, f"map[string]{_go_type(field.item)}")
            items = value.items() if right else ()
            # What null is in Go: no quantity, an empty text.
            nothing = "0" if field.name in QUANTITIES else "" if field.item == "str" else None
            return {
                key: self.map_value(nothing if one is None else one, field, path, struct)
                for key, one in items
                if one is not None or nothing is not None
            }
        if field.type in ("int", "float"):
            return self._number(value, field, path, struct)
        if field.type == "datetime":
            return self._time(value)
        if field.name == "sizeLimit":
            return self._quantity(value)
        if field.type == "object" and field.name in INT_OR_STRING and not isinstance(value, str):
            self._number(value, field, path, struct, self._refuse)
        elif field.type in ("str", "bool"):
            go = _NAMED.get(field.name, {}).get(model, _GO_TYPES[field.type])
            self._is(value, {"str": str, "bool": bool}[field.type], path, struct, go)
        return value

    def map_value(self, value: Any, field: models.Field, path: str, struct: str) -> Any:
        if field.name in QUANTITIES:
            return self._quantity(value)
        right = field.item not in ("str", "bytes") or self._is(value, str, path, struct, _go_type(field.item))
        if field.item == "bytes" and right:
            try:
                return base64.b64encode(base64_bytes(value)).decode()
            except ValueError as error:
                self._note(NotReadable(self.start, f"illegal base64 data at input byte {error}"))
        return value

    def _items(self, value: list[Any], field: models.Field, path: str, struct: str, model: str) -> list[Any]:
        made: list[Any] = []
        for index, item in enumerate(value):
            if item is None and field.item == "str":
                made.append("")
            elif models.is_model(field.item):
                right = item is None or self._is(item, dict, path, struct, "v1." + models.struct(field.item))
                item = item if right and item else {}
                made.append(self.object(item, field.item, f"{path}[{index}]", models.struct(field.item)))
            else:
                made.append(self.value(item, models.Field(field.name, field.item), path, struct, model))
        return made

    def _number(
        self, value: Any, field: models.Field, path: str, struct: str, tell: Callable[[NotReadable], None] | None = None
    ) -> Any:
        bits = 63 if field.name in INT64 else 31
        go, tell = "int64" if bits == 63 else "int32", tell or self._note
        if isinstance(value, bool) or not isinstance(value, int | float):
            tell(self._unlike(json_type(value), path, struct, go))
            return 0
        if isinstance(value, float) or not -(2**bits) <= value < 2**bits:
            tell(self._unlike(f"number {json.dumps(value)}", path, struct, go))
        return value

    def _quantity(self, value: Any) -> str:
        """A quantity may be a number, too."""
        plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        made = quantities.canonical(value if isinstance(value, str) else json.dumps(value)) if plain else None
        if made is None:
            raise NotReadable(self.start, quantities.BAD)
        return made

    def _time(self, value: Any) -> str:
        if not isinstance(value, str):
            raise NotReadable(self.start, f"json: cannot unmarshal {json_type(value)} into Go value of type string")
        if value and not _TIME.fullmatch(value):
            form = '"2006-01-02T15:04:05Z07:00"'
            raise NotReadable(self.start, f'parsing time "{value}" as {form}: cannot parse "{value}" as "2006"')
        try:
            datetime.fromisoformat(value) if value else None
        except ValueError:
            raise NotReadable(self.start, f'parsing time "{value}": day out of range') from None
        return value

    def _is(self, value: Any, type: type, path: str, struct: str, go: str) -> bool:
        right = isinstance(value, type)
        if not right:
            wrong = self._unlike(json_type(value), path, struct, go)
            wrong.number = _digits(value)
            self._note(wrong)
        return right

    def _note(self, wrong: NotReadable) -> None:
        self.wrong = self.wrong or wrong

    def _refuse(self, wrong: NotReadable) -> None:
        raise wrong

    def _unlike(self, what: str, path: str, struct: str, go: str) -> NotReadable:
        named = _EMBEDDED.sub(r"\1.ProbeHandler.\2", re.sub(r"\[\d+\]", "", path))
        why = f"json: cannot unmarshal {what} into Go struct field {struct}.{named} of type {go}"
        found, _, number = what.partition(" ")
        return NotReadable(self.start, why, found, number, go)


def _digits(value: Any) -> str:
    """A number as JSON has it; "" of what is none."""
    return json.dumps(value) if json_type(value) == "number" else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _go_type(item: str) -> str:
    if models.is_model(item):
        return "v1." + models.struct(item)
    return {"bytes": "[]uint8"}.get(item, _GO_TYPES.get(item, item))
