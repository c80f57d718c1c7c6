"""Texts as Go's standard library writes and reads them: Kubernetes' own words are full of these. Only computes.

Sources: strconv.Quote, encoding/json, fmt's %v, encoding/base64.
"""

import base64
import binascii
import json
import re
from typing import Any

_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", '"': r"\"", "\\": r"\\"}
_HTML = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}  # json.Marshal escapes these, too
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def quote(text: str) -> str:
    """A text in double quotes (%q): what does not print is escaped."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def quote_letter(letter: str) -> str:
    """A letter in single quotes, as encoding/json's errors have it."""
    special = {"'": r"'\''", '"': "'\"'"}
    return special.get(letter) or "'" + quote(letter)[1:-1] + "'"


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    number = ord(letter)
    if letter.isprintable():
        return letter
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def compact(value: Any) -> str:
    """A value as compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_HTML)


def plain(value: Any) -> str:
    """A value as %v prints it: map[a:1 b:[x y]]."""
    if isinstance(value, list):
        return "[" + " ".join(plain(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{plain(item)}" for key, item in sorted(value.items())) + "]"
    if value is None or isinstance(value, bool):
        return {None: "<nil>", True: "true", False: "false"}[value]
    return str(value)


def base64_bytes(text: str) -> bytes:
    """The bytes of a base64 text. Raises ValueError with the position of the first byte that is wrong, as Go counts it."""
    data = text.encode()
    try:
        return base64.b64decode(data.translate(None, b"\r\n"), validate=True)
    except binascii.Error:
        raise ValueError(_wrong_at(data)) from None


def _wrong_at(data: bytes) -> int:
    letters = padding = 0
    for at, letter in enumerate(data):
        if letter in b"\r\n":
            continue
        if padding and (letters + padding) % 4 == 0:
            return at  # more, after the end
        if letter == ord("=") and letters % 4 in (2, 3):
            padding += 1
        elif padding:
            return at - 1  # a second "=" was due
        elif letter not in _LETTERS:
            return at
        else:
            letters += 1
    return len(data) if padding else len(data) - letters % 4


def parse_int(text: str) -> int:
    """A whole number of 64 bits. Raises ValueError in the words of strconv.ParseInt."""
    return _parsed(text, "ParseInt", r"[+-]?[0-9]+", -(2**63), 2**63)


def parse_uint(text: str) -> int:
    """The same without a sign (strconv.ParseUint)."""
    return _parsed(text, "ParseUint", r"[0-9]+", 0, 2**64)


def _parsed(text: str, name: str, form: str, least: int, end: int) -> int:
    start = f"strconv.{name}: parsing {quote(text)}: "
    if not re.fullmatch(form, text):
        raise ValueError(start + "invalid syntax")
    digits = text.lstrip("+-0") or "0"
    number = int(digits) * (-1 if text[0] == "-" else 1) if len(digits) <= 20 else end
    if not least <= number < end:
        raise ValueError(start + "value out of range")
    return number
