"""OpenAPI, as much as kubectl asks for: the fields of the served kinds, out of the kubernetes client's models.

`kubectl explain` reads version 3 (version 2 where kubectl is old); no paths but the few that tell kubectl what a kind takes.
"""

import json
from functools import cache
from typing import Any

from aiohttp import web

from labs.embedded.api import gnostic, models
from labs.embedded.api.kinds import GROUPS, KINDS, Kind
from labs.embedded.api.strategic import MERGE_KEYS, MERGED_LISTS

Object = dict[str, Any]
PREFIX = "io.k8s.api."


def answer(path: str, accept: str) -> web.Response:
    """/openapi/v2, /openapi/v3 or /openapi/v3/GROUP and VERSION."""
    if path == "/openapi/v2":
        if "proto-openapi" in accept:
            return web.Response(body=_version2(True), headers={"Content-Type": gnostic.MEDIA_TYPE})
        return web.Response(body=_version2(), content_type="application/json")
    if path == "/openapi/v3":
        found = {kinds[0].path: {"serverRelativeURL": f"/openapi/v3/{kinds[0].path}?hash=1"} for kinds in GROUPS.values()}
        return web.json_response({"paths": found})
    for kinds in GROUPS.values():
        if path == f"/openapi/v3/{kinds[0].path}":
            return web.Response(body=_version3(kinds[0].path), content_type="application/json")
    return web.Response(status=404, text="404 page not found\n")


@cache
def _version3(path: str) -> bytes:
    kinds = [kind for kind in KINDS if kind.path == path]
    schemas = _schemas(kinds, "#/components/schemas/")
    paths: Object = {}
    for kind in kinds:
        place = f"/{kind.path}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"/{kind.path}/{kind.plural}"
        paths[place] = {"post": _operation(kind, "post")}
        paths[place + "/{name}"] = {"patch": _operation(kind, "patch"), "put": _operation(kind, "put")}
    info = {"title": "Kubernetes", "version": "v1.37.2"}
    return json.dumps({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}).encode()


@cache
def _version2(protobuf: bool = False) -> bytes:
    schemas = _schemas(list(KINDS), "#/definitions/")
    paths: Object = {}
    for kind in KINDS:
        place = f"/{kind.path}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"/{kind.path}/{kind.plural}"
        paths[place + "/{name}"] = {"patch": _operation(kind, "patch")}
    info = {"title": "Kubernetes", "version": "v1.37.2"}
    document = {"swagger": "2.0", "info": info, "paths": paths, "definitions": schemas}
    return gnostic.encode(document) if protobuf else json.dumps(document).encode()


def _operation(kind: Kind, verb: str) -> Object:
    """What kubectl looks for: the kind, and that dryRun and fieldValidation are taken."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")]
    return {
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": _meant(kind),
    }


def _meant(kind: Kind) -> Object:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def _schemas(kinds: list[Kind], prefix: str) -> Object:
    """The kinds' schemas, and those of all that they hold."""
    made: Object = {}
    waiting = [kind.model_name for kind in kinds]
    while waiting:
        model = waiting.pop()
        if _name(model) in made or not models.is_model(model):
            continue
        said = models.describe(model)
        known = models.fields(model)
        schema: Object = {"description": said.get("", ""), "type": "object", "properties": {}}
        for field in known.values():
            schema["properties"][field.name] = {
                **_property(field, said.get(field.name, ""), prefix),
                **_merging(model, field.name),
            }
            waiting.append(field.item if models.is_model(field.item) else field.type)
        made[_name(model)] = schema
    for kind in kinds:
        made[_name(kind.model_name)]["x-kubernetes-group-version-kind"] = [_meant(kind)]
    return made


def _merging(model: str, name: str) -> Object:
    """How a list merges: kubectl's `apply` makes its patches by it."""
    key = MERGE_KEYS.get((model, name))
    if key:
        return {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge"}
    return {"x-kubernetes-patch-strategy": "merge"} if (model, name) in MERGED_LISTS else {}


def _property(field: models.Field, said: str, prefix: str) -> Object:
    made = _type(field.type, prefix)
    if field.item:
        item = _type(field.item, prefix)
        made = {"type": "array", "items": item} if field.is_list else {"type": "object", "additionalProperties": item}
    if "$ref" in made:
        made = {"allOf": [made]} if prefix.startswith("#/components") else made
    return {"description": said, **made} if said else made


def _type(name: str, prefix: str) -> Object:
    if models.is_model(name):
        return {"$ref": prefix + _name(name)}
    plain: dict[str, Object] = {
        "str": {"type": "string"},
        "int": {"type": "integer", "format": "int32"},
        "float": {"type": "number"},
        "bool": {"type": "boolean"},
        "datetime": {"type": "string", "format": "date-time"},
        "bytes": {"type": "string", "format": "byte"},
        "object": {"x-kubernetes-int-or-string": True, "type": "string", "format": "int-or-string"},
    }
    return plain.get(name, {"type": "object"})


def _name(model: str) -> str:
    return PREFIX + model
