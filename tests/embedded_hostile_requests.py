"""Makes malformed and hostile requests, the same for the same seed: bodies, patches, selectors, watches, upgrades, raw HTTP.

Sends nothing. Each is the bytes that a client writes, with what may be expected of the answer.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from urllib.parse import quote

from tests.embedded_hostile_bytes import encoded, headed, raw, upgraded
from tests.embedded_hostile_http import Hostile, changed, http, parameters
from tests.embedded_hostile_objects import DELETE_OPTIONS, METADATA, NAMES, OBJECTS, TEXTS, text, turned, value

JSON, MERGE, STRATEGIC = (f"application/{kind}+json" for kind in ("json-patch", "merge-patch", "strategic-merge-patch"))
PARTS = ("", "/status", "/scale", "/finalize", "/token", "/proxy", "/log", "/exec", "/ephemeralcontainers", "/nowhere")
ACCEPTS = [
    *("application/json", "*/*", "text/html", "", ",", ";", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml"),
    *(
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadataList",
        "a/b;q=x",
    ),
    *("application/json;as=Table;v=v9", "application/vnd.kubernetes.protobuf", "application/json;;=;as", "*/*;q=0", "\x80\xff"),
]


def requests(seed: int) -> Iterator[Hostile]:
    """Without end."""
    rng = Random(seed)
    makers: list[Callable[[Random], Hostile]] = [created, patched, deleted, read, reviewed, encoded, upgraded, headed, raw]
    while True:
        yield rng.choices(makers, (7, 7, 2, 4, 1, 2, 3, 3, 4))[0](rng)


def _object(rng: Random, path: str) -> tuple[str, Any]:
    """A name and an object of a collection, with some of it wrong."""
    obj = OBJECTS[path]
    name = rng.choice(("x", "x", "x", "x", "x", "y"))
    metadata = {"name": name}
    if rng.random() < 0.3:
        metadata = {**METADATA, "name": name}
        if rng.random() < 0.7:
            del metadata["resourceVersion"]
    return name, turned(rng, {**obj, "metadata": metadata}, rng.choice((0, 1, 1, 1, 2, 3)))


def created(rng: Random) -> Hostile:
    """A create, or an update."""
    path = rng.choice(tuple(OBJECTS))
    name, obj = _object(rng, path)
    method = rng.choice(("POST", "PUT") * 7 + ("PATCH", "DELETE", "OPTIONS", "HEAD"))
    place = path if method == "POST" else f"{path}/{name}{rng.choice(('',) * 9 + PARTS)}"
    asked = parameters(rng, 1, "dryRun", "fieldValidation", "fieldManager", "pretty")
    return Hostile("object", http(method, place + asked, changed(rng, text(obj).encode())), method)


def reviewed(rng: Random) -> Hostile:
    """Anything as a body, sent anywhere."""
    path = rng.choice((*OBJECTS, "/api", "/apis/apps", "/version", "/openapi/v2", "/readyz", "/labs/settled", "/", "/nowhere"))
    method = rng.choice(("POST", "PUT", "PATCH", "DELETE", "GET"))
    return Hostile("anywhere", http(method, path, changed(rng, text(value(rng)).encode())), method)


def patched(rng: Random) -> Hostile:
    """A patch of one of the three kinds, or of none."""
    path = rng.choice([path for path in OBJECTS if "auth" not in path and not path.endswith("token")])
    name, obj = _object(rng, path)
    media = rng.choice(
        (JSON, JSON, MERGE, MERGE, STRATEGIC, STRATEGIC, STRATEGIC, "application/apply-patch+yaml", "text/plain")
    )
    if media == JSON:
        body: Any = [_operation(rng, obj) for _ in range(rng.choice((1, 1, 2, 5)))] if rng.random() < 0.95 else value(rng)
    else:
        body = rng.choice((obj, _some(rng, obj), _some(rng, obj), _directed(rng, obj), _directed(rng, obj), value(rng)))
    part = rng.choice(("", "", "", "", "/status", "/scale"))
    place = f"{path}/{name}{part}" + parameters(rng, 1, "dryRun", "fieldValidation")
    return Hostile("patch", http("PATCH", place, changed(rng, text(body).encode()), {"Content-Type": media.encode()}), "PATCH")


def _some(rng: Random, obj: Any) -> Any:
    """A part of an object."""
    return {key: value for key, value in obj.items() if rng.random() < 0.6} if isinstance(obj, dict) else obj


def _directed(rng: Random, obj: Any) -> Any:
    """With what strategic merge patches have of their own, somewhere."""
    if not isinstance(obj, dict):
        return obj
    made = _some(rng, obj)
    holder = made
    while (inner := [one for one in holder.values() if isinstance(one, dict)]) and rng.random() < 0.6:
        holder = rng.choice(inner)
    name = rng.choice([*holder, "ports", "finalizers", "labels"])
    word = rng.choice(("$patch", "$retainKeys", f"$setElementOrder/{name}", f"$deleteFromPrimitiveList/{name}"))
    right = {"$patch": ["replace", "delete", "merge"], "$retainKeys": [[name], [*holder]]}.get(word, [["a/b"], [{"port": 80}]])
    holder[word] = rng.choice(right) if rng.random() < 0.5 else value(rng)
    for items in [one for one in holder.values() if isinstance(one, list) and one and rng.random() < 0.5]:
        items.append({"$patch": rng.choice(("delete", "replace", "x", value(rng))), "name": value(rng), "port": 80})
    return made


def _operation(rng: Random, obj: Any) -> Any:
    """One operation of a JSON patch."""
    made = {
        "op": rng.choice(("add", "remove", "replace", "move", "copy", "test")),
        "path": _pointer(rng, obj),
        "value": value(rng),
        "from": _pointer(rng, obj),
    }
    return turned(rng, made, 1) if rng.random() < 0.2 else made


def _pointer(rng: Random, obj: Any) -> str:
    path = ""
    while isinstance(obj, dict | list) and obj and rng.random() < 0.8:
        key = rng.choice(list(obj) if isinstance(obj, dict) else range(len(obj)))
        path, obj = f"{path}/{key}", obj[key]
    return path + rng.choice(("", "", "", "/", "/-", "/0", "/-1", "/99", "/01", "/a", "/~", "/~2", "/é", "//", "a"))


def deleted(rng: Random) -> Hostile:
    """A deletion of one or of many."""
    path = rng.choice(tuple(OBJECTS))
    name = rng.choice(("", "/x", "/y", "/z", "/none"))
    asked = parameters(rng, 2, "gracePeriodSeconds", "propagationPolicy", "dryRun", "labelSelector", "orphanDependents")
    body = changed(rng, text(turned(rng, DELETE_OPTIONS, rng.choice((1, 1, 2, 4)))).encode()) if rng.random() < 0.7 else None
    return Hostile("deletion", http("DELETE", path + name + asked, body), "DELETE")


def read(rng: Random) -> Hostile:
    """A get, a list or a watch."""
    path = rng.choice(tuple(OBJECTS))
    if rng.random() < 0.2:
        path = path.replace("/v1/", "/v1/watch/")
    if rng.random() < 0.3:
        path += quote("/" + str(rng.choice((*NAMES, *TEXTS))), errors="replace") + rng.choice(("", "", *PARTS))
    asked = parameters(rng, 4)
    if "watch" in path + asked:  # ends by itself
        asked += ("&" if asked else "?") + "timeoutSeconds=1"
    accept = rng.choice(ACCEPTS).encode("latin-1")
    method = rng.choice(("GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "TRACE"))
    return Hostile("reading", http(method, path + asked, None, {"Accept": accept}), method)
