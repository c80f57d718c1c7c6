"""Kubernetes' strategic merge patch: an object and a patch in, the patched object out. Only computes.

How lists merge is a table: the kubernetes client's models do not say it (the real server has it in struct tags, `patchStrategy`
and `patchMergeKey`). Source: mergeMap and what it calls, in apimachinery's pkg/util/strategicpatch/patch.go. What is wrong with
a directive is refused as there, most of it with 500; where the real server panics, this one says 400.
"""

import copy
import json
from collections import deque
from typing import Any, NoReturn

from labs.embedded.api import models, status
from labs.embedded.api.gotext import plain, quote

Object = dict[str, Any]
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
_ORDER, _DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"
_BAD_ORDER = "invalid patch format of setElementOrder list"
_BAD_KEPT = "invalid patch format of retainKeys"
_LISTS_OF_LISTS = "the server rejected our request due to an error in our request"


def merged(old: Object, patch: Object, model: str) -> Object:
    """The object with the patch; `model`: the client's model of both. Changes neither. Raises Refused."""
    return _map(copy.deepcopy(old), copy.deepcopy(patch), model)


def _map(old: Object, patch: Object, model: str) -> Object:
    """model "": not known, as the type of labels and the like."""
    if "$patch" in patch:
        directive = patch.pop("$patch")
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        _failed(f"unknown patch type: {_verb(directive)} in map: {plain({'$patch': directive, **patch})}")
    _retain(old, patch)
    for name in [name for name in patch if name.startswith("$setElementOrder")]:
        if name in patch:
            _ordered_list(old, patch, name, model)
    for name, value in patch.items():
        deletes = name.startswith("$deleteFromPrimitiveList")
        if deletes:
            name = _listed(name, _DELETE, "invalid patch format of primitive list")
        if value is None:
            old.pop(name, None)
        elif name in old and _type(old[name]) == _type(value):
            old[name] = _value(old[name], value, name, model, deletes)
        elif not deletes:
            _put(old, name, _without_nulls(value))
    return old


def _retain(old: Object, patch: Object) -> None:
    """$retainKeys: what is not named in it goes."""
    if "$retainKeys" not in patch:
        return
    kept = patch.pop("$retainKeys")
    if not isinstance(kept, list) or not all(isinstance(name, str) for name in kept):
        raise status.bad_request(_BAD_KEPT)
    for name, value in patch.items():
        if value is not None and not name.startswith(("$setElementOrder", "$deleteFromPrimitiveList")) and name not in kept:
            raise status.bad_request(_BAD_KEPT)
    for name in [name for name in old if name not in kept]:
        del old[name]


def _ordered_list(old: Object, patch: Object, directive: str, model: str) -> None:
    """$setElementOrder: merges the list that it names, and puts it into that order."""
    order = patch.pop(directive)
    if not isinstance(order, list):
        _failed(f"expected a []interface {{}}, but received a {_type(order)}")
    name = _listed(directive, _ORDER, _BAD_ORDER)
    for holder in (old, patch):
        if name in holder and not isinstance(holder[name], list):
            _failed(f"expected a []interface {{}}, but received a {_type(holder[name])}")
    key, item = _schema(model, name, True)
    before = list(old.get(name) or [])
    given = patch.pop(name, None)
    _check_order(given or [], order, key)
    if given is None and name not in old:
        return
    items = before
    if given is not None:
        items = _list(before, given, name, model, key, item) if name in old else _without_directives(given)[0]
    if not items:
        old[name] = items
        return
    _element_type(before, given or [])
    old[name] = _arranged(items, order, before, key)


def _check_order(given: list[Any], order: list[Any], key: str) -> None:
    """Raises Refused where a list's items do not come in the order that the patch names."""
    if not given or not order:
        return
    left = [_identity(item, key) for item in given if not (isinstance(item, dict) and "$patch" in item)]
    at = 0
    for wanted in (_identity(item, key) for item in order):
        at += at < len(left) and left[at] == wanted
    if at < len(left):
        _failed(f"The order in patch list:\n{plain(given)}\n doesn't match $setElementOrder list:\n{plain(order)}\n")


def _value(old: Any, value: Any, name: str, model: str, deletes: bool) -> Any:
    """Two values of one type as one."""
    if isinstance(value, dict):
        return _map(old, value, _schema(model, name, False)[1])
    if not isinstance(value, list):
        return value
    key, item = _schema(model, name, True)
    if deletes and not key:
        _element_type(old, value)
        gone = {_identity(item, "") for item in value}
        return [has for has in old if _identity(has, "") not in gone]
    return _list(old, value, name, model, key, item)


def _list(old: list[Any], patch: list[Any], name: str, model: str, key: str, item: str) -> list[Any]:
    """Two lists as one; those that are not of a kind that merges are replaced."""
    if not key and (model, name) not in MERGED_LISTS:
        return patch
    if not old and not patch:
        return old
    if _element_type(old, patch) != "map[string]interface {}":
        return _arranged(list({_identity(item, ""): item for item in (*old, *patch)}.values()), patch, old, "")
    if not key:
        _failed("cannot merge lists without merge key for struct")
    made, given = _special(old, patch, key)
    places = {_identity(has, key): at for at, has in reversed(list(enumerate(made))) if key in has}
    for one in given:
        at = places.setdefault(_identity(one, key), len(made))
        if at == len(made):
            made.append(one)
        else:
            made[at] = _map(made[at], one, item)
    return _arranged(made, given, old, key)


def _special(old: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """The items that stay, and those of the patch that are no directives."""
    given, gone, replaces = [], set(), False
    for one in patch:
        if "$patch" not in one:
            given.append(one)
        elif one["$patch"] == "delete":
            gone.add(_identity(one, key))
        elif one["$patch"] == "replace":
            replaces = True
        elif one["$patch"] == "merge":
            _failed("merging lists cannot yet be specified in the patch")
        else:
            _failed(f"unknown patch type: {_verb(one['$patch'])} in map: {plain(one)}")
    stays = [has for has in old if key not in has or _identity(has, key) not in gone]
    return (given, []) if replaces else (stays, given)


def _arranged(items: list[Any], named: list[Any], before: list[Any], key: str) -> list[Any]:
    """What the patch names in its order, with the rest between as it stood (normalizeElementOrder)."""
    order = {_identity(one, key): at for at, one in reversed(list(enumerate(named)))}
    was = {_identity(one, key): at for at, one in reversed(list(enumerate(before)))}
    known = [(_identity(one, key), one) for one in items]
    chosen = deque(sorted((pair for pair in known if pair[0] in order), key=lambda pair: order[pair[0]]))
    rest = deque(pair for pair in known if pair[0] not in order)
    made: list[Any] = []
    while rest and chosen:
        left, right = was.get(rest[0][0]), was.get(chosen[0][0])
        first = left is not None and right is not None and left < right
        made.append((rest if first else chosen).popleft()[1])
    return made + [one for _, one in (*rest, *chosen)]


def _schema(model: str, name: str, is_list: bool) -> tuple[str, str]:
    """The merge key of a field, if it has one, and the model of its value or its items. Raises Refused where there is none."""
    if not models.is_model(model):
        _failed("merging an object in json but data type is not struct, instead is: map")
    field = models.fields(model).get(name)
    if field is None:
        struct = models.struct(model)
        _failed(f"unable to find api field in struct {struct} for the json field {quote(name)}")
    if is_list and not field.is_list:
        _failed("expected slice or array type, but got: struct")
    inner = field.item if is_list else field.type
    return MERGE_KEYS.get((model, name), ""), inner if models.is_model(inner) else ""


def _identity(item: Any, key: str) -> tuple[str, Any]:
    """By what an item is known: its merge key's value, or itself; with its type, as Go tells 80 and 80.0 apart."""
    if key and not isinstance(item, dict):
        _failed(f"expected a map[string]interface {{}}, but received a {_type(item)}")
    if key and key not in item:
        _failed(f"map: {plain(item)} does not contain declared merge key: {key}")
    value = item[key] if key else item
    return _type(value), json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _element_type(old: list[Any], patch: list[Any]) -> str:
    types = list(dict.fromkeys(_type(item) for item in (*old, *patch)))
    if types[:1] == ["[]interface {}"]:
        raise status.Refused(422, "Invalid", _LISTS_OF_LISTS, {})
    if len(types) != 1:
        _failed(
            f"list element types are not identical: {plain([old, patch])}"
            if types
            else "no elements in any of the given slices"
        )
    if types == ["<nil>"]:
        raise status.bad_request("invalid JSON document")
    return types[0]


def _listed(directive: str, prefix: str, why: str) -> str:
    """The list that a directive names."""
    if not directive.startswith(prefix):
        raise status.bad_request(why)
    return directive.removeprefix(prefix)


def _put(old: Object, name: str, value: Any) -> None:
    made, kept = _without_directives(value)
    if kept:
        old[name] = made
    else:
        old.pop(name, None)


def _without_directives(value: Any) -> tuple[Any, bool]:
    """What is left of a value that is put where none was, and whether anything is."""
    if isinstance(value, dict):
        if "$patch" in value:
            return None, False
        parts = {name: _without_directives(part) for name, part in value.items()}
        return {name: part for name, (part, kept) in parts.items() if kept}, True
    if isinstance(value, list):
        return [part for part, kept in map(_without_directives, value) if kept], True
    return value, True


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _type(value: Any) -> str:
    """What Go calls the type of a JSON value."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"), (list, "[]interface {}"),
        (dict, "map[string]interface {}"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "<nil>")


def _verb(value: Any) -> str:
    """A value as %s prints it, where it is no text either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + " ".join(map(_inner_verb, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{_inner_verb(part)}" for name, part in sorted(value.items())) + "]"
    return "%!s(<nil>)" if value is None else f"%!s({_type(value)}={plain(value)})"


def _inner_verb(value: Any) -> str:
    return "<nil>" if value is None else _verb(value)


def _failed(why: str) -> NoReturn:
    raise status.Refused(500, "", why)
