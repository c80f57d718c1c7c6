"""What is wrong with a Pod's volumes. Only computes.

Source: ValidateVolumes and what it calls, in its order (pkg/apis/core/validation/validation.go).
"""

from typing import Any

from labs.embedded.api import meta, quantities
from labs.embedded.api.container_rules import FILE_PATHS, descending_errors, field_errors
from labs.embedded.api.status import FieldError, duplicate, forbidden, invalid, required

Object = dict[str, Any]
KINDS = ("emptyDir", "secret", "downwardAPI", "configMap", "projected")
BAD_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
LEAST_TOKEN = 600  # seconds


def errors(spec: Object, path: str) -> tuple[list[FieldError], set[str]]:
    """All that is wrong with them, and the names of those that are right."""
    found: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        here, name = f"{path}.volumes[{index}]", volume.get("name", "")
        wrong = _source(volume, here)
        wrong += [invalid(here + ".name", name, why) for why in meta.label_errors(name)] if name else [required(here + ".name")]
        if name in names:
            wrong.append(duplicate(here + ".name", name))
        if not wrong:
            names.add(name)
        found += wrong
    return found, names


def _source(volume: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    kinds = [kind for kind in KINDS if kind in volume]
    for number, kind in enumerate(kinds):
        given, here = volume[kind], f"{path}.{kind}"
        if number:
            found.append(forbidden(here, "may not specify more than 1 volume type"))
        elif kind == "emptyDir":
            if (quantities.value(given.get("sizeLimit", "0")) or 0) < 0:
                found.append(forbidden(here + ".sizeLimit", "SizeLimit field must be a valid resource quantity"))
        elif kind == "downwardAPI":
            found += _mode(given, "defaultMode", here) + _files(given, here)
        elif kind == "projected":
            found += _mode(given, "defaultMode", here) + _projected(given, here)
        else:
            found += _keys(given, "secretName" if kind == "secret" else "name", here)
    return found


def _keys(given: Object, name: str, path: str) -> list[FieldError]:
    """A ConfigMap or a Secret."""
    found = [] if given.get(name) else [required(f"{path}.{name}")]
    found += _mode(given, "defaultMode", path)
    for index, item in enumerate(given.get("items") or []):
        here = f"{path}.items[{index}]"
        found += [required(f"{here}.{part}") for part in ("key", "path") if not item.get(part)]
        found += _local(item.get("path", ""), here + ".path") + _mode(item, "mode", here)
    return found


def _files(given: Object, path: str) -> list[FieldError]:
    """The files that the downward API makes; the real server tells none of them by its number."""
    found: list[FieldError] = []
    for item in given.get("items") or []:
        found += [] if item.get("path") else [required(path + ".path")]
        found += _local(item.get("path", ""), path + ".path")
        if "fieldRef" in item:
            found += field_errors(item["fieldRef"], path + ".fieldRef", FILE_PATHS)
        elif "resourceFieldRef" not in item:
            found.append(required(path, "one of fieldRef and resourceFieldRef is required"))
        found += _mode(item, "mode", path)
    return found


def _projected(given: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    paths: set[str] = set()
    for index, source in enumerate(given.get("sources") or []):
        here = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in source:
                found += _keys(source[kind], "name", f"{here}.{kind}")
                found += _same(source[kind].get("items") or [], source[kind].get("name", ""), path, paths)
        if "downwardAPI" in source:
            found += _files(source["downwardAPI"], here + ".downwardAPI")
            found += _same(source["downwardAPI"].get("items") or [], "downwardAPI", path, paths)
        if "serviceAccountToken" in source:
            found += _token(source["serviceAccountToken"], path, here + ".serviceAccountToken")
        if len(source) > 1:
            found.append(forbidden(here, "may not specify more than 1 volume type per source"))
    return found


def _same(items: list[Object], name: str, path: str, paths: set[str]) -> list[FieldError]:
    found: list[FieldError] = []
    for item in items:
        if item.get("path") in paths:
            found.append(invalid(path, name, "conflicting duplicate paths"))
        paths |= {item["path"]} if item.get("path") else set()
    return found


def _token(given: Object, path: str, here: str) -> list[FieldError]:
    seconds, found = given["expirationSeconds"], []
    if seconds < LEAST_TOKEN:
        found.append(invalid(here + ".expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if not given.get("path"):
        return [*found, required(path + ".path")]
    return found + _local(given["path"], path + ".path")


def _local(given: str, path: str) -> list[FieldError]:
    """A path that leads down, and to no name that is the kubelet's own (..data)."""
    found = descending_errors(given, path)
    if given.startswith("..") and not given.startswith("../"):
        found.append(invalid(path, given, "must not start with '..'"))
    return found


def _mode(given: Object, name: str, path: str) -> list[FieldError]:
    mode = given.get(name, 0)
    return [invalid(f"{path}.{name}", mode, BAD_MODE)] if not 0 <= mode <= 0o777 else []
