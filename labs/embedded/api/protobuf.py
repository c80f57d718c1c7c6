"""Reads request bodies in Kubernetes' protobuf encoding, which kubectl and Go programs prefer, as the JSON that they stand for.

Answers are always JSON: every client that sends protobuf takes it. The fields' numbers are data, in protobuf.txt.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from labs.embedded.api.status import bad_request

Object = dict[str, Any]
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
# Messages that Go embeds: their fields are the outer object's in JSON.
_EMBEDDED = {"localObjectReference", "handler", "volumeSource", "ephemeralContainerCommon", "ingressRuleValue"}
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799  # of the years 1 to 9999, since 1970
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Where a group's messages are, by apiVersion.
_PACKAGES = {
    "v1": "core.v1", "apps/v1": "apps.v1", "discovery.k8s.io/v1": "discovery.v1", "events.k8s.io/v1": "events.v1",
    "authentication.k8s.io/v1": "authentication.v1", "authorization.k8s.io/v1": "authorization.v1",
    "autoscaling/v1": "autoscaling.v1", "meta.k8s.io/v1": "meta.v1",
    "networking.k8s.io/v1": "networking.v1",
}  # fmt: skip


def decode(body: bytes) -> Object:
    """The object of a body, with its kind and apiVersion. Raises Refused (400)."""
    if not body.startswith(_MAGIC):
        raise bad_request("couldn't get version/kind; provided data does not appear to be a protobuf message")
    try:
        envelope = {number: value for number, _, value in _fields(body[len(_MAGIC) :])}
        about = {number: value.decode() for number, _, value in _fields(envelope.get(1, b""))}
        version, kind = about.get(1, ""), about.get(2, "")
        name = f"{_PACKAGES.get(version, '')}.{kind}"
        if name not in _messages() and f"meta.v1.{kind}" in _messages():
            name = f"meta.v1.{kind}"  # DeleteOptions come under each group's own version
        if name not in _messages():
            raise bad_request(f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"')
        return {"kind": kind, "apiVersion": version, **_message(envelope.get(2, b""), name)}
    except (ValueError, IndexError, KeyError, AttributeError, TypeError, RecursionError, OverflowError) as error:
        raise bad_request(f"couldn't read the protobuf message: {error}") from None


@cache
def _messages() -> dict[str, dict[int, tuple[str, str, str]]]:
    """By name, by number: the field's name, "list", "map" or "", and its type."""
    found: dict[str, dict[int, tuple[str, str, str]]] = {}
    for line in Path(__file__).with_name("protobuf.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, *fields = line.split()
        found[name] = {}
        for field in fields:
            number, label, type = field.split(":")
            shape, _, item = type.rpartition("+")
            found[name][int(number)] = (label, shape, item)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message as they come: number, wire type, value."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
        elif wire == _BYTES:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("unexpected EOF")
            yield number, wire, data[at : at + size]
            at += size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            yield number, wire, data[at : at + size]
            at += size
        else:
            raise ValueError(f"illegal wireType {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("integer overflow")


def _message(data: bytes, name: str) -> Object:
    known, made = _messages()[name], Object()
    for number, _, raw in _fields(data):
        if number not in known:
            continue  # a field that is newer than this table: a typed client means nothing that is lost by it here
        label, shape, type = known[number]
        if shape == "map":
            pair = {number: value for number, _, value in _fields(raw)}
            made.setdefault(label, {})[pair.get(1, b"").decode()] = _value(pair.get(2, b""), type)
        elif shape == "list":
            made.setdefault(label, []).append(_value(raw, type))
        elif label in _EMBEDDED:
            made.update(_message(raw, type))
        else:
            made[label] = _value(raw, type)
    return made


def _value(raw: Any, type: str) -> Any:
    if type == "string":
        return raw.decode()
    if type == "bytes":
        return base64.b64encode(raw).decode()
    if type == "bool":
        return bool(raw)
    if type in ("int32", "int64"):
        return raw - 2**64 if raw >= 2**63 else raw
    if type in _messages():
        return _message(raw, type)
    parts = {number: value for number, _, value in _fields(raw)}
    if type == "api.resource.Quantity":
        return parts.get(1, b"0").decode()
    if type == "util.intstr.IntOrString":
        return parts.get(3, b"").decode() if parts.get(1, 0) else _value(parts.get(2, 0), "int32")
    if type in ("meta.v1.Time", "meta.v1.MicroTime"):
        return _moment(parts, type == "meta.v1.MicroTime")
    return None  # FieldsV1: managed fields are not kept


def _moment(parts: dict[int, Any], micro: bool) -> str | None:
    if not parts:
        return None
    seconds = _value(parts.get(1, 0), "int64")
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise ValueError(f"time: {seconds} seconds are of no year from 1 to 9999")
    moment = datetime.fromtimestamp(seconds, UTC)
    if micro:
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{parts.get(2, 0) // 1000:06d}Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
