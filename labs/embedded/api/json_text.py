"""The text of a request's body as JSON: what is read as Go reads it, and refused in its words. Only computes.

Bytes that are no UTF-8, and halves of surrogate pairs, become U+FFFD, so that nothing is kept that cannot be sent out again.
"""

import codecs
import json
import re
from typing import Any

from labs.embedded.api.gotext import quote_letter
from labs.embedded.api.status import bad_request

DEPTH = 300  # of nesting; Go's is 10000, which Python's recursion does not reach, and no kind has 30
DIGITS = 400  # of a whole number
SHOWN = 30  # bytes of a body that a refusal repeats
_ENVELOPE = (
    'Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
# An escape of any kind; group 1: half of a surrogate pair without its other half.
_HIGH, _LOW, _HALF = (rf"\\u[dD]{letters}[0-9a-fA-F]{{2}}" for letters in ("[89abAB]", "[c-fC-F]", "[89a-fA-F]"))
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|({_HALF})|\\.", re.DOTALL)
_HEX = re.compile("[0-9a-fA-F]{0,4}")
_DECODING = "labs-go"  # a byte that is no UTF-8 becomes one U+FFFD, where Python's own handler takes some together

codecs.register_error(_DECODING, lambda error: ("\ufffd" * (error.end - error.start), error.end))  # type: ignore[attr-defined]


class NotJson(ValueError):
    """What Go's encoding/json says of a text that is no JSON."""


class Pairs(dict[str, Any]):
    """A JSON object that remembers which of its keys came twice."""

    double: tuple[tuple[str, Any], ...] = ()  # with the values that the later ones replaced


def text(body: bytes) -> str:
    """Bytes as text, each that is no UTF-8 as U+FFFD."""
    return body.decode("utf-8", _DECODING)


def read(body: bytes) -> Any:
    """The value of a JSON text, its objects as Pairs. Raises NotJson."""
    given = text(body)
    if "\\u" in given:
        given = _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], given)
    try:
        made = json.loads(given, object_pairs_hook=_pairs, parse_constant=_no_constant, parse_int=_whole, parse_float=_real)
    except RecursionError:
        raise NotJson("exceeded max depth") from None
    except json.JSONDecodeError as error:
        raise NotJson(_syntax(given, error)) from None
    if given.count("[") + given.count("{") > DEPTH and is_too_deep(made):
        raise NotJson("exceeded max depth")
    return made


def parse(body: bytes, kind: str) -> dict[str, Any]:
    """The object of a body. Raises Refused (400) in the real server's words; `kind` is what it should have been."""
    start = f"the object provided is unrecognized (must be of type {kind}): "
    shown = f" ({_summary(body)})"
    try:
        made = read(body)
    except NotJson as error:
        raise bad_request(f"{start}couldn't get version/kind; json parse error: {error}{shown}") from None
    if wrong := envelope_error(made):
        raise bad_request(start + wrong + shown)
    return made if isinstance(made, dict) else {}


def envelope_error(value: Any) -> str:
    """Why a value cannot be an object with a kind and an apiVersion; "" where it can."""
    start = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if value is not None and not isinstance(value, dict):
        return f"{start} {json_type(value)} into {_ENVELOPE}"
    for name in ("kind", "apiVersion"):
        given = (value or {}).get(name)
        if given is not None and not isinstance(given, str):
            return f"{start} {json_type(given)} into Go struct field .{name} of type string"
    version = (value or {}).get("apiVersion") or ""
    return f"unexpected GroupVersion string: {version}" if version.count("/") > 1 else ""


def is_too_deep(value: Any) -> bool:
    """Whether it is nested deeper than can be worked with."""
    level = [value]
    for _ in range(DEPTH):
        level = [inner for outer in level for inner in _parts(outer)]
    return bool(level)


def json_type(value: Any) -> str:
    """What JSON calls the type of a value."""
    if value is None:
        return "null"
    names = ((bool, "bool"), ((int, float), "number"), (str, "string"), (list, "array"))
    return next((name for kinds, name in names if isinstance(value, kinds)), "object")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = Pairs(pairs)
    if len(made) < len(pairs):
        last = {key: index for index, (key, _) in enumerate(pairs)}
        made.double = tuple((key, value) for index, (key, value) in enumerate(pairs) if last[key] != index)
    return made


def _no_constant(name: str) -> Any:
    where = "looking for beginning of value" if name[0] != "-" else "in numeric literal"
    raise NotJson(f"invalid character {quote_letter(name.lstrip('-')[0])} {where}")


def _whole(digits: str) -> Any:
    return int(digits) if len(digits) <= DIGITS else _real(digits)


def _real(digits: str) -> float:
    made = float(digits)
    if made in (float("inf"), float("-inf")):
        raise NotJson(f"json: cannot unmarshal number {digits} into Go value of type float64")
    return made


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _syntax(given: str, error: json.JSONDecodeError) -> str:
    """What Go says, as near as the position that Python gives allows."""
    at = error.pos
    if at >= len(given.rstrip()) or (given[at] == '"' and "Unterminated" in error.msg):
        return "unexpected end of JSON input"
    before = given[:at].rstrip()[-1:]
    where = {
        "": "looking for beginning of value",
        "{": "looking for beginning of object key string",
        ":": "looking for beginning of value",
        "[": "looking for beginning of value",
    }.get(before, "after object key:value pair")
    if before == "," and "property name" in error.msg:
        where = "looking for beginning of object key string"
    if "control character" in error.msg:
        where = "in string literal"
    if error.msg == "Invalid \\escape":
        at, where = at + 1, "in string escape code"
    if "uXXXX" in error.msg:
        at, where = at + 1 + len(_HEX.match(given, at + 1)[0]), "in \\u hexadecimal character escape"  # type: ignore[index]
    if "Extra data" in error.msg:
        where = "after top-level value"
    if at >= len(given):
        return "unexpected end of JSON input"
    return f"invalid character {quote_letter(chr(given[at].encode()[0]))} {where}"


def _summary(body: bytes) -> str:
    """The beginning of a body, as it is shown in a refusal (30 bytes of it; in hexadecimal where it is no object)."""
    if not body:
        return "<empty>"
    first = body[:SHOWN]
    return (text(first) if body[:1] == b"{" else first.hex()) + (" ..." if len(body) > SHOWN else "")
