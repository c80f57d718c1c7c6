"""The three kinds of patches: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge. Only computes.

Server-side apply is not served. The strategic merge knows how lists merge from a table: the kubernetes client's models do
not say it (the real server has it in struct tags, `patchStrategy` and `patchMergeKey`).
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import jsonpatch
import jsonpointer

from labs.embedded.api import models, status
from labs.embedded.api.decode import NotReadable, json_type
from labs.embedded.api.kinds import Kind

Object = dict[str, Any]
JSON, MERGE, STRATEGIC = (f"application/{one}+json" for one in ("json-patch", "merge-patch", "strategic-merge-patch"))
ACCEPTED = ", ".join((JSON, MERGE, STRATEGIC))
OPERATIONS_LIMIT = 10_000
# Lists of objects that merge, by the model that has them, with the key by which items are the same (k8s.io/api struct tags).
MERGE_KEYS: dict[tuple[str, str], str] = {
    ("V1ObjectMeta", "ownerReferences"): "uid",
    ("V1ServiceSpec", "ports"): "port",
    ("V1LoadBalancerStatus", "ingress"): "ip",
    ("V1ServiceStatus", "conditions"): "type",
    ("V1ServiceAccount", "secrets"): "name",
    ("V1ServiceAccount", "imagePullSecrets"): "name",
    ("V1PodSpec", "containers"): "name",
    ("V1PodSpec", "initContainers"): "name",
    ("V1PodSpec", "ephemeralContainers"): "name",
    ("V1PodSpec", "volumes"): "name",
    ("V1PodSpec", "imagePullSecrets"): "name",
    ("V1PodSpec", "hostAliases"): "ip",
    ("V1PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("V1PodSpec", "resourceClaims"): "name",
    ("V1PodSpec", "schedulingGates"): "name",
    ("V1PodStatus", "conditions"): "type",
    ("V1PodStatus", "podIPs"): "ip",
    ("V1PodStatus", "hostIPs"): "ip",
    ("V1PodStatus", "resourceClaimStatuses"): "name",
    ("V1Container", "ports"): "containerPort",
    ("V1Container", "env"): "name",
    ("V1Container", "volumeMounts"): "mountPath",
    ("V1Container", "volumeDevices"): "devicePath",
    ("V1NodeStatus", "conditions"): "type",
    ("V1NodeStatus", "addresses"): "type",
    ("V1NamespaceStatus", "conditions"): "type",
    ("V1DeploymentStatus", "conditions"): "type",
    ("V1ReplicaSetStatus", "conditions"): "type",
}
MERGED_LISTS = {("V1ObjectMeta", "finalizers"), ("V1NodeSpec", "podCIDRs")}


@dataclass(frozen=True)
class Patch:
    """A patch as it came. before, after: around it, where clients see another shape of the object than the stored one."""

    media_type: str
    body: bytes
    before: Callable[[Object], Object] = copy.deepcopy
    after: Callable[[Object], Object] = lambda obj: obj

    def applied(self, old: Object, kind: Kind) -> Any:
        """The object after it. Raises Refused: 415 for other media types, 400 for what is no patch, 422 for one that fails."""
        made = self.after(apply(self.media_type, self.body, self.before(old), kind))
        # The real server's other two go by way of a text with sorted names: which of two mistakes is told depends on it.
        return made if self.media_type == STRATEGIC else json.loads(json.dumps(made, sort_keys=True))

    def check(self) -> None:
        """Raises Refused (415) where its media type is none of the three."""
        if self.media_type.startswith("application/apply-patch"):
            raise status.unsupported_media(ACCEPTED)  # as a server without server-side apply
        if self.media_type not in (JSON, MERGE, STRATEGIC):
            raise status.Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})

    def unreadable(self, error: NotReadable, given: Any) -> status.Refused:
        """The refusal of a patch that is one, and whose outcome is no object of the kind (422)."""
        if self.media_type == STRATEGIC:
            shown, why = _go_map(json.loads(self.body)), _restoring(error)
        else:
            shown, why = json.dumps(given, separators=(",", ":")), error.why
        wrong = status.invalid("patch", shown, why)
        details = {"causes": [{"reason": wrong.type, "message": wrong.body, "field": wrong.field}]}
        return status.Refused(422, "Invalid", f' "" is invalid: {wrong}', details)


def _restoring(error: NotReadable) -> str:
    """The words of Go's other decoder, which reads strategic merge patches (apimachinery's runtime/converter.go)."""
    found = {"array": "slice", "object": "map"}.get(error.found, error.found)
    if not error.wanted:
        return error.why
    if error.wanted.startswith("[]"):
        return f"cannot restore slice from {found}"
    if error.wanted.startswith("map["):
        return f"cannot restore map from {found}"
    if error.wanted.startswith("v1."):
        return f"cannot restore struct from: {found}"
    if error.wanted in ("int32", "int64") and found != "number":
        return f"unrecognized type: {error.wanted}"
    plain = "float64" if "." in error.number else "int64"
    return f"cannot convert {plain if found == 'number' else found} to {error.wanted}"


def apply(media_type: str, body: bytes, old: Object, kind: Kind) -> Any:
    """The same, for a type that was checked."""
    try:
        patch = json.loads(body)
    except (ValueError, RecursionError):
        raise status.bad_request("invalid JSON patch") from None
    if media_type == JSON:
        return _json(patch, old)
    if not isinstance(patch, dict):
        why = f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}"
        raise status.bad_request(why if media_type == STRATEGIC else "error decoding patch: " + why)
    if media_type == MERGE:
        return json_merge_patch.merge(copy.deepcopy(old), patch)
    return _merged(old, patch, kind.model_name)


def _json(patch: Any, old: Object) -> Any:
    wrong = [patch] if not isinstance(patch, list) else [one for one in patch if not isinstance(one, dict)]
    if wrong:
        into = "handlers.jsonPatchOp" if isinstance(patch, list) else "[]handlers.jsonPatchOp"
        raise status.bad_request(
            f"error decoding patch: json: cannot unmarshal {json_type(wrong[0])} into Go value of type {into}"
        )
    if len(patch) > OPERATIONS_LIMIT:
        said = f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(patch)}"
        raise status.Refused(413, "RequestEntityTooLarge", said)
    try:
        made: Any = copy.deepcopy(old)
        for one in patch:
            made = jsonpatch.JsonPatch([_lenient(one, made)]).apply(made, in_place=True)
        return made
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, AttributeError) as error:
        said = "the server rejected our request due to an error in our request"
        raise status.Refused(422, "Invalid", said, {}) from error


def _lenient(one: Object, document: Any) -> Object:
    """`replace` of a member that is not there adds it, as the real server's library does (RFC 6902 has it fail)."""
    if one.get("op") != "replace" or not isinstance(one.get("path"), str):
        return one
    parent, name = jsonpointer.JsonPointer(one["path"]).to_last(document)
    return {**one, "op": "add"} if isinstance(parent, dict) and name not in parent else one


def _merged(old: Any, patch: Object, model: str) -> Any:
    """`old` with a strategic merge patch; `model`: what both are ("": not known; maps merge, lists do not)."""
    patch = dict(patch)
    directive, retained = patch.pop("$patch", None), patch.pop("$retainKeys", None)
    if directive == "replace":
        return patch
    if directive == "delete":
        return None
    if directive is not None:
        raise status.Refused(500, "", f"unknown patch type: {directive} in map: {_go_map({'$patch': directive, **patch})}")
    base = dict(old) if isinstance(old, dict) else {}
    if retained is not None:
        base = {name: value for name, value in base.items() if name in retained}
    known = models.fields(model) if models.is_model(model) else {}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            name = name.partition("/")[2]
            base[name] = [one for one in base.get(name) or [] if one not in value]
        elif name.startswith("$setElementOrder/"):
            continue
        elif value is None or (name not in base and isinstance(value, dict) and "$patch" in value):
            base.pop(name, None)
        else:
            made = _value(base.get(name), value, known.get(name), model, name)
            if made is None:
                base.pop(name, None)
            else:
                base[name] = made
    for name, order in patch.items():
        if name.startswith("$setElementOrder/"):
            _order(base, name.partition("/")[2], order, model)
    return base


def _value(old: Any, value: Any, field: models.Field | None, model: str, name: str) -> Any:
    if isinstance(value, dict):
        return _merged(old, value, field.type if field else "")
    if not isinstance(value, list):
        return value
    if (model, name) in MERGED_LISTS:
        every = [*(old or []), *(one for one in value if one not in (old or []))]
        return _ordered(every, value, old or [], lambda one: one)
    key = MERGE_KEYS.get((model, name))
    if key is None:
        return value
    return _list(old or [], value, key, field.item if field else "")


def _list(old: list[Any], patch: list[Any], key: str, model: str) -> list[Any]:
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [one for one in patch if one.get("$patch") != "replace"]
    found = list(old)
    named: list[Any] = []
    for one in patch:
        if not isinstance(one, dict) or key not in one:
            raise status.Refused(500, "", f"map: {_go_map(one)} does not contain declared merge key: {key}")
        same = [index for index, has in enumerate(found) if has.get(key) == one[key]]
        if one.get("$patch") == "delete":
            found = [has for has in found if has.get(key) != one[key]]
            continue
        named.append(one[key])
        if same:
            found[same[0]] = _merged(found[same[0]], one, model)
        else:
            found.append(_merged({}, one, model))
    return _ordered(found, named, old, lambda one: one.get(key))


def _order(base: Object, name: str, order: list[Any], model: str) -> None:
    """Puts a merged list into the order that the patch names."""
    key = MERGE_KEYS.get((model, name))

    def identity(one: Any) -> Any:
        return one.get(key) if key and isinstance(one, dict) else one

    if isinstance(base.get(name), list):
        base[name] = _ordered(base[name], [identity(one) for one in order], base[name], identity)


def _ordered(items: list[Any], named: list[Any], before: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    """What the patch names in its order, with the rest between as it stood (strategicpatch's normalizeElementOrder)."""
    was = [identity(one) for one in before]
    chosen = sorted((one for one in items if identity(one) in named), key=lambda one: named.index(identity(one)))
    rest = [one for one in items if identity(one) not in named]
    made: list[Any] = []
    while rest and chosen:
        left, right = identity(rest[0]), identity(chosen[0])
        first = left in was and right in was and was.index(left) < was.index(right)
        made.append((rest if first else chosen).pop(0))
    return made + rest + chosen


def _go_map(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(_go_map(one) for one in value) + "]"
    if not isinstance(value, dict):
        return json.dumps(value) if isinstance(value, bool) else "<nil>" if value is None else str(value)
    return "map[" + " ".join(f"{key}:{_go_map(one)}" for key, one in sorted(value.items())) + "]"
