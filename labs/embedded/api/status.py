"""Refusals: what the API answers instead of an object, in the words of apimachinery's pkg/api/errors and util/validation/field.

Decides nothing: whoever raises a `Refused` has found out why.
"""

from dataclasses import dataclass
from typing import Any

from labs.embedded.api.gotext import compact, quote

# FieldError.type, with what a message calls it (field.ErrorType.String).
WORDS = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueTypeInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "InternalError": "Internal error",
}
_WITHOUT_VALUE = {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"}


@dataclass(frozen=True)
class FieldError:
    """One field that cannot be as it is."""

    type: str
    field: str
    value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """The words, without the field's name."""
        said = WORDS[self.type]
        if self.type not in _WITHOUT_VALUE:
            said += ": " + go_value(self.value)
        return f"{said}: {self.detail}" if self.detail else said

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """A value that is malformed or out of its bounds."""
    return FieldError("FieldValueInvalid", field, value, detail)


def required(field: str, detail: str = "") -> FieldError:
    """A value that is missing."""
    return FieldError("FieldValueRequired", field, None, detail)


def all_errors(errors: list[FieldError]) -> str:
    """The words of some errors together, each text once, as Go's aggregate has them."""
    texts = list(dict.fromkeys(str(one) for one in errors))
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"


def duplicate(field: str, value: Any) -> FieldError:
    """A value that is there twice."""
    return FieldError("FieldValueDuplicate", field, value)


def forbidden(field: str, detail: str) -> FieldError:
    """A value that may not be set here."""
    return FieldError("FieldValueForbidden", field, None, detail)


def not_supported(field: str, value: Any, valid: list[str]) -> FieldError:
    """A value that is none of a few; they are named in the order given (upstream sorts most of them)."""
    return FieldError("FieldValueNotSupported", field, value, "supported values: " + ", ".join(go_value(one) for one in valid))


def too_long(field: str, most: int) -> FieldError:
    """A text of too many bytes."""
    return FieldError("FieldValueTooLong", field, None, f"may not be more than {most} bytes")


def too_many(field: str, actual: int, most: int) -> FieldError:
    """A list of too many items."""
    return FieldError("FieldValueTooMany", field, actual, f"must have at most {most} items")


def go_value(value: Any) -> str:
    """A value as Go's API errors print it: texts quoted, numbers plain, the rest as compact JSON."""
    return quote(value) if isinstance(value, str) else compact(value)


class Refused(Exception):
    """An answer that is a Status of kind Failure."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details
        self.warnings: list[str] = []

    @property
    def status(self) -> dict[str, Any]:
        """The Status object."""
        made: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        made["message"] = self.message
        if self.reason:
            made["reason"] = self.reason
        if self.details is not None:
            made["details"] = self.details
        return {**made, "code": self.code}


def success(details: dict[str, Any]) -> dict[str, Any]:
    """The Status of what was done, where there is no object to give."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _resource(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def _details(kind: str, name: str, group: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


def not_found(resource: str, name: str, group: str = "") -> Refused:
    """404 for an object."""
    said = f"{_resource(resource, group)} {quote(name)} not found"
    return Refused(404, "NotFound", said, _details(resource, name, group))


def no_such_path() -> Refused:
    """404 for a kind, or a subresource, that is not served."""
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def not_allowed() -> Refused:
    """405."""
    said = "the server does not allow this method on the requested resource"
    return Refused(405, "MethodNotAllowed", said, {})


def already_exists(resource: str, name: str, group: str = "") -> Refused:
    """409 for a name that is taken."""
    said = f"{_resource(resource, group)} {quote(name)} already exists"
    return Refused(409, "AlreadyExists", said, _details(resource, name, group))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: str, name: str, group: str = "", why: str = MODIFIED) -> Refused:
    """409 for an object that is no longer what the client read."""
    said = f"Operation cannot be fulfilled on {_resource(resource, group)} {quote(name)}: {why}"
    return Refused(409, "Conflict", said, _details(resource, name, group))


def denied(resource: str, name: str, why: str, group: str = "") -> Refused:
    """403."""
    named = f" {quote(name)}" if name else ""
    said = f"{_resource(resource, group)}{named} is forbidden: {why}"
    return Refused(403, "Forbidden", said, _details(resource, name, group))


def unauthorized() -> Refused:
    """401: no token, or another one."""
    return Refused(401, "Unauthorized", "Unauthorized")


def bad_request(why: str) -> Refused:
    """400."""
    return Refused(400, "BadRequest", why)


def generic(code: int, why: str) -> Refused:
    """Another refusal by HTTP's status alone."""
    reasons = {400: "BadRequest", 405: "MethodNotAllowed", 406: "NotAcceptable", 413: "RequestEntityTooLarge"}
    return Refused(code, reasons.get(code, ""), why)


def unsupported_media(accepted: str) -> Refused:
    """415; `accepted`: the media types, with commas."""
    said = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return Refused(415, "UnsupportedMediaType", said)


def too_large(limit: int) -> Refused:
    """413; `limit` in bytes."""
    return Refused(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(asked: str, oldest: int) -> Refused:
    """410 for a watch from a revision that is forgotten."""
    return Refused(410, "Expired", f"too old resource version: {asked} ({oldest})")


def invalid_object(kind: str, name: str, errors: list[FieldError], group: str = "") -> Refused:
    """422, with each field that is wrong."""
    causes = [{"reason": one.type, "message": one.body, "field": one.field} for one in errors]
    text = all_errors(errors)
    details = {**_details(kind, name, group), "causes": causes}
    return Refused(422, "Invalid", f"{_resource(kind, group)} {quote(name)} is invalid: {text}", details)
