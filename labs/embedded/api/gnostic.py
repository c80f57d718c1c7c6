"""OpenAPI v2 in the protobuf encoding (gnostic's) that kubectl up to 1.27 asks for, before it applies anything. Only computes.

The messages and numbers are those of gnostic's OpenAPIv2.proto, as far as openapi.py's documents reach.
"""

import json
from typing import Any

Object = dict[str, Any]
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def encode(document: Object) -> bytes:
    """A document of openapi.py's version 2."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(_bytes(2, _named(name, _path(one))) for name, one in document["paths"].items())
    definitions = b"".join(_bytes(1, _named(name, _schema(one))) for name, one in document["definitions"].items())
    return _text(1, document["swagger"]) + _bytes(2, info) + _bytes(8, paths) + _bytes(9, definitions)


def _path(one: Object) -> bytes:
    numbers = {"get": 2, "put": 3, "post": 4, "patch": 8}
    return b"".join(_bytes(numbers[verb], _operation(operation)) for verb, operation in one.items())


def _operation(one: Object) -> bytes:
    made = b""
    for parameter in one["parameters"]:
        query = _text(2, "query") + _text(4, parameter["name"]) + _text(6, "string")
        made += _bytes(8, _bytes(1, _bytes(2, _bytes(3, query))))  # ParametersItem, Parameter, NonBodyParameter, Query…
    answers = b"".join(
        _bytes(1, _named(code, _bytes(1, _text(1, answer["description"])))) for code, answer in one["responses"].items()
    )
    return made + _bytes(9, answers) + _extensions(13, one)


def _schema(one: Object) -> bytes:
    made = b""
    for name, number in (("$ref", 1), ("format", 2), ("description", 4)):
        made += _text(number, one[name]) if one.get(name) else b""
    if "additionalProperties" in one:
        made += _bytes(21, _bytes(1, _schema(one["additionalProperties"])))
    if "type" in one:
        made += _bytes(22, _text(1, one["type"]))
    if "items" in one:
        made += _bytes(23, _bytes(1, _schema(one["items"])))
    if "properties" in one:
        made += _bytes(25, b"".join(_bytes(1, _named(name, _schema(part))) for name, part in one["properties"].items()))
    return made + _extensions(31, one)


def _extensions(number: int, one: Object) -> bytes:
    """Fields that begin with x-, as YAML (of which JSON is a part)."""
    return b"".join(
        _bytes(number, _text(1, name) + _bytes(2, _text(2, json.dumps(value))))
        for name, value in one.items()
        if name[:2] == "x-"
    )


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _bytes(2, value)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
