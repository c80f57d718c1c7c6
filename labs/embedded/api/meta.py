"""Names, labels, annotations and the rest of `metadata`: what is valid (apimachinery's pkg/api/validation). Only computes."""

import re
from typing import Any

from labs.embedded.api.status import FieldError, forbidden, invalid, required, too_long

Object = dict[str, Any]
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
BAD_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an"
    " alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
BAD_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with"
    " an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
BAD_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
BAD_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with"
    " an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
ANNOTATIONS_LIMIT = 256 * 1024  # bytes of all of an object's annotations
STANDARD_FINALIZERS = ("foregroundDeletion", "kubernetes", "orphan")
IMMUTABLE = "field is immutable"


def label_errors(text: str) -> list[str]:
    """What is wrong with a DNS label (RFC 1123)."""
    found = [] if len(text.encode()) <= 63 else ["must be no more than 63 characters"]
    if LABEL.fullmatch(text):
        return found
    return [*found, "must not contain dots" if "." in text else BAD_LABEL]


def subdomain_errors(text: str) -> list[str]:
    """What is wrong with a DNS subdomain (RFC 1123)."""
    found = [] if len(text.encode()) <= 253 else ["must be no more than 253 characters"]
    return found if SUBDOMAIN.fullmatch(text) else [*found, BAD_SUBDOMAIN]


def qualified_name_errors(text: str) -> list[str]:
    """What is wrong with a qualified name: a label's key, an appProtocol."""
    parts, found = text.split("/"), []
    if len(parts) > 2:
        form = BAD_NAME_PART.removeprefix("name part ")
        return [f"a valid label key {form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    if len(parts) == 2 and not parts[0]:
        found.append("prefix part must be non-empty")
    elif len(parts) == 2:
        found += ["prefix part " + one for one in subdomain_errors(parts[0])]
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        found.append("name part must be no more than 63 bytes")
    return found if QUALIFIED.fullmatch(name) else [*found, BAD_NAME_PART]


def label_value_errors(text: str) -> list[str]:
    """What is wrong with a label's value."""
    found = [] if len(text.encode()) <= 63 else ["must be no more than 63 bytes"]
    return found if not text or QUALIFIED.fullmatch(text) else [*found, BAD_VALUE]


def key_errors(key: str) -> list[str]:
    """What is wrong with a key of a ConfigMap or a Secret (apimachinery's IsConfigMapKey)."""
    found = [] if len(key) <= 253 else ["must be no more than 253 characters"]
    if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
        found.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME', "
            " or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if key in (".", ".."):
        found.append(f"must not be '{key}'")
    elif key.startswith(".."):
        found.append("must not start with '..'")
    return found


def labels(given: dict[str, str], path: str) -> list[FieldError]:
    """Errors of a map of labels."""
    found = []
    for key in sorted(given):
        found += [invalid(path, key, one) for one in qualified_name_errors(key)]
        found += [invalid(path, given[key], one) for one in label_value_errors(given[key])]
    return found


def annotations(given: dict[str, str], path: str) -> list[FieldError]:
    """Errors of annotations."""
    found = [invalid(path, key, one) for key in sorted(given) for one in qualified_name_errors(key.lower())]
    if sum(len(key.encode()) + len(value.encode()) for key, value in given.items()) > ANNOTATIONS_LIMIT:
        found.append(too_long(path, ANNOTATIONS_LIMIT))
    return found


def errors(metadata: Object, namespaced: bool, name_is: Any) -> list[FieldError]:
    """Errors of a new object's metadata; `name_is` is label_errors or subdomain_errors."""
    found = []
    if base := metadata.get("generateName"):
        found += [invalid("metadata.generateName", base, one) for one in name_is(base[:-1] + "a" if base[-1] == "-" else base)]
    if not metadata.get("name"):
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += [invalid("metadata.name", metadata["name"], one) for one in name_is(metadata["name"])]
    if namespaced:
        if not metadata.get("namespace"):
            found.append(required("metadata.namespace"))
        else:
            found += [invalid("metadata.namespace", metadata["namespace"], one) for one in label_errors(metadata["namespace"])]
    elif metadata.get("namespace"):
        found.append(forbidden("metadata.namespace", "not allowed on this type"))
    return found + _common(metadata)


def update_errors(metadata: Object, old: Object) -> list[FieldError]:
    """Errors of a changed object's metadata."""
    found = []
    gone = set(metadata.get("finalizers") or []) - set(old.get("finalizers") or [])
    if old.get("deletionTimestamp") and gone:
        named = "[" + " ".join(f'"{one}"' for one in sorted(gone)) + "]"
        detail = (
            f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{named[1:-1]}}}"
        )
        found.append(forbidden("metadata.finalizers", detail.replace('" "', '", "')))
    for name in ("name", "namespace", "uid"):
        if metadata.get(name) != old.get(name):
            found.append(invalid(f"metadata.{name}", metadata.get(name, ""), IMMUTABLE))
    return found + _common(metadata)


def _common(metadata: Object) -> list[FieldError]:
    found = labels(metadata.get("labels") or {}, "metadata.labels")
    found += annotations(metadata.get("annotations") or {}, "metadata.annotations")
    controllers = []
    for index, owner in enumerate(metadata.get("ownerReferences") or []):
        path = f"metadata.ownerReferences[{index}]"
        found += [
            required(f"{path}.{name}", "must not be empty")
            for name in ("apiVersion", "kind", "name", "uid")
            if not owner.get(name)
        ]
        controllers += [owner] if owner.get("controller") else []
    if len(controllers) > 1:
        first, second = controllers[0], controllers[1]
        detail = (
            'Only one reference can have Controller set to true. Found "true" in references for'
            f" {first.get('kind')}/{first.get('name')} and {second.get('kind')}/{second.get('name')}"
        )
        found.append(invalid("metadata.ownerReferences", metadata["ownerReferences"], detail))
    for name in metadata.get("finalizers") or []:
        found += [invalid("metadata.finalizers", name, one) for one in qualified_name_errors(name)]
    why = "name is neither a standard finalizer name nor is it fully qualified"
    for index, name in enumerate(metadata.get("finalizers") or []):
        if "/" not in name and name not in STANDARD_FINALIZERS:
            found.append(invalid(f"metadata.finalizers[{index}]", name, why))
    return found
