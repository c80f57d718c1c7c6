"""The three kinds of patches: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge. Only computes.

Server-side apply is not served. How strategic merges go is strategic.py's matter.
Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import jsonpatch
import jsonpointer

from labs.embedded.api import json_text, status, strategic
from labs.embedded.api.decode import NAMED_TEXTS, NotReadable, strict, typed
from labs.embedded.api.gotext import compact, plain
from labs.embedded.api.json_text import NotJson, json_type
from labs.embedded.api.kinds import Kind

Object = dict[str, Any]
JSON, MERGE, STRATEGIC = (f"application/{one}+json" for one in ("json-patch", "merge-patch", "strategic-merge-patch"))
ACCEPTED = ", ".join((JSON, MERGE, STRATEGIC))
OPERATIONS_LIMIT = 10_000
WRONG_OPERATION = (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException)  # the libraries' own errors
COPIED_LIMIT = 3 * 1024 * 1024  # bytes that the operations of a JSON patch may copy, together


@dataclass(frozen=True)
class Patch:
    """A patch as it came. before, after, model: where clients see another shape of the object than the stored one."""

    media_type: str
    body: bytes
    before: Callable[[Object], Object] = copy.deepcopy
    after: Callable[[Object], Object] = lambda obj: obj
    model: str = ""

    def check(self) -> None:
        """Raises Refused (415) where its media type is none of the three."""
        if self.media_type.startswith("application/apply-patch"):
            raise status.unsupported_media(ACCEPTED)  # as a server without server-side apply
        if self.media_type not in (JSON, MERGE, STRATEGIC):
            raise status.Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})

    def applied(self, old: Object, kind: Kind, validation: str = "") -> tuple[Object, list[str]]:
        """The object after it, and its unknown fields in words. validation: Strict has them refused.

        Raises Refused: 400 for what is no patch, 422 for one that fails, or that makes no object of the kind.
        """
        read = self._read()
        made = self._patched(self.before(old), read, kind)
        try:
            new, unknown = typed(made, kind)
            strict(unknown, validation, kind)
            return new, unknown
        except NotReadable as error:
            shown, why = (plain(read), _restoring(error)) if self.media_type == STRATEGIC else (compact(made), error.why)
            raise _unreadable(shown, why) from None

    def _read(self) -> Any:
        try:
            return json_text.read(self.body)
        except NotJson as error:
            # What is JSON and too large a number is told by the decoder, all else before it.
            start = "" if self.media_type == STRATEGIC else "error decoding patch: "
            why = f"{start}{error}" if "unmarshal" in str(error) else "invalid JSON patch"
            raise status.bad_request(why) from None

    def _patched(self, old: Object, read: Any, kind: Kind) -> Any:
        if self.media_type == STRATEGIC:
            patch = {} if read is None else _map(read, "")
            made = strategic.merged(old, patch, self.model or kind.model_name)
            return self.after({**made, "kind": kind.kind, "apiVersion": kind.api_version} if _names_kind(made) else made)
        if self.media_type == JSON:
            made = _operated(read, old)
        elif read is None:
            raise status.bad_request("Invalid JSON Patch")
        else:
            made = json_merge_patch.merge(copy.deepcopy(old), _map(read, "error decoding patch: "))
        # The real server goes by way of a text with sorted names: which of two mistakes is told depends on it.
        sorted_names = json.loads(json.dumps(made, sort_keys=True))
        return self.after(sorted_names) if isinstance(sorted_names, dict) else sorted_names


def _unreadable(shown: str, why: str) -> status.Refused:
    """The refusal of a patch that is one, and whose outcome is no object of the kind (422)."""
    wrong = status.invalid("patch", shown, why)
    details = {"causes": [{"reason": wrong.type, "message": wrong.body, "field": wrong.field}]}
    return status.Refused(422, "Invalid", f' "" is invalid: {wrong}', details)


def _map(read: Any, start: str) -> Object:
    if not isinstance(read, dict):
        why = f"json: cannot unmarshal {json_type(read)} into Go value of type map[string]interface {{}}"
        raise status.bad_request(start + why)
    return read


def _names_kind(made: Object) -> bool:
    """A strategic merge is made for a kind: it may name another one, as a text, and that is not looked at."""
    return all(isinstance(made.get(name) or "", str) for name in ("kind", "apiVersion"))


def _restoring(error: NotReadable) -> str:
    """The words of Go's other decoder, which reads strategic merge patches (apimachinery's runtime/converter.go)."""
    number = "float64" if "." in error.number else "int64"
    found = {"array": "slice", "object": "map", "number": number}.get(error.found, error.found)
    wanted = error.wanted
    if not wanted:
        return "error decoding from json: " + error.why if error.why.startswith("illegal base64") else error.why
    if wanted.startswith("[]"):
        return f"cannot restore slice from {found}"
    if wanted.startswith("map["):
        return f"cannot restore map from {found}"
    if wanted.startswith("v1.") and wanted not in NAMED_TEXTS:
        return f"cannot restore struct from: {found}"
    texts = wanted == "string" or wanted in NAMED_TEXTS
    if (found == "int64" and wanted != "bool") or (found == "float64" and wanted in ("int32", "int64")):
        return f"cannot convert {found} to {wanted}"
    return f"unrecognized type: {'string' if texts else wanted}"


def _operated(patch: Any, old: Object) -> Any:
    """After a JSON patch."""
    failed = status.Refused(422, "Invalid", "the server rejected our request due to an error in our request", {})
    operations = _operations(patch)
    made: Any = copy.deepcopy(old)
    copied = 0
    try:
        for operation in operations:
            if operation["op"] == "copy":
                copied += len(json.dumps(jsonpointer.resolve_pointer(made, operation.get("from", ""))))
                if copied > COPIED_LIMIT:
                    raise failed
            made = jsonpatch.JsonPatch([_lenient(operation, made)]).apply(made, in_place=True)
    except (*WRONG_OPERATION, TypeError, AttributeError, ValueError, LookupError, RecursionError) as error:
        raise failed from error
    if json_text.is_too_deep(made) or not isinstance(made, dict | list):
        raise failed
    return made


def _operations(patch: Any) -> list[Any]:
    """Raises Refused for what can be none (400), and for too many of them (413)."""
    if patch is None:
        return []
    start = "error decoding patch: json: cannot unmarshal"
    if not isinstance(patch, list):
        raise status.bad_request(f"{start} {json_type(patch)} into Go value of type []handlers.jsonPatchOp")
    for operation in patch:
        if operation is not None and not isinstance(operation, dict):
            raise status.bad_request(f"{start} {json_type(operation)} into Go value of type handlers.jsonPatchOp")
        for name in ("op", "path", "from"):
            given = (operation or {}).get(name)
            if given is not None and not isinstance(given, str):
                what = json_type(given)
                raise status.bad_request(f"{start} {what} into Go struct field jsonPatchOp.{name} of type string")
    if len(patch) > OPERATIONS_LIMIT:
        said = f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(patch)}"
        raise status.Refused(413, "RequestEntityTooLarge", said)
    return patch


def _lenient(operation: Object, document: Any) -> Object:
    """As the real server's library takes it, where RFC 6902 has it fail: `replace` of a member that is not there adds it, a
    value that is left out is null, and a lone `~` is one."""
    made = {"value": None, **operation}
    for name in ("path", "from"):
        if isinstance(made.get(name), str):
            made[name] = re.sub("~(?![01])", "~0", made[name])
    if made.get("op") == "replace" and made.get("path"):
        parent, last = jsonpointer.JsonPointer(made["path"]).to_last(document)
        if isinstance(parent, dict) and last not in parent:
            made["op"] = "add"
    return made
