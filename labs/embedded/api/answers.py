"""How the API's answers look: JSON, a Status where something is refused, the header Warning; nothing of what they are about."""

import json
import unicodedata
from typing import Any

from aiohttp import web

from labs.embedded.api import tables
from labs.embedded.api.kinds import Kind
from labs.embedded.api.status import Refused

Object = dict[str, Any]
WARNINGS_LIMIT, WARNING_LIMIT = 4096, 256  # letters of all warnings; of each, where together they are more


def as_json(obj: Any, code: int = 200) -> web.Response:
    """An object."""
    body = json.dumps(obj, separators=(",", ":")).encode() + b"\n"
    return web.Response(status=code, body=body, content_type="application/json", headers={"Cache-Control": "no-cache, private"})


def refusal(refused: Refused) -> web.Response:
    """A Status, with the warnings that there were until then."""
    return warned(as_json(refused.status, refused.code), refused.warnings)


def nothing() -> web.Response:
    """What a real server says, in plain text, of a path that leads to none of its groups."""
    return web.Response(status=404, text="404 page not found\n", headers={"X-Content-Type-Options": "nosniff"})


def warned(response: web.Response, warnings: list[str]) -> web.Response:
    """The answer with these warnings: each once, shortened where they are too many (apiserver's filters/warning.go)."""
    texts = list(dict.fromkeys(text for text in warnings if text))
    if sum(map(len, texts)) > WARNINGS_LIMIT:
        texts = [text[:WARNING_LIMIT] for text in texts][: WARNINGS_LIMIT // WARNING_LIMIT + 1]
    for text in texts:
        warn(response, text)
    return response


def warn(response: web.StreamResponse, text: str) -> None:
    """Adds a warning. One with a control character, which could end the header, goes unsaid, as in apimachinery."""
    if not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def shaped(kind: Kind, obj: Object, shape: str, include: str) -> Object:
    """An object as it is wanted: itself, a Table or its metadata."""
    if shape == "Table":
        return tables.table(kind.plural, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}, include)
    if shape.startswith("Partial"):
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return obj
