"""The aiohttp application: who may ask, what each path leads to, and how answers go out. Objects are crud.py's matter."""

import asyncio
import contextlib
import hmac
import json
import logging
import re
from typing import Any

from aiohttp import web

from labs.embedded.api import (
    access,
    decode,
    discovery,
    openapi,
    protobuf,
    proxying,
    requests,
    scale,
    selectors,
    status,
    streams,
    tables,
    watching,
)
from labs.embedded.api.crud import Crud, DeleteOptions, Written
from labs.embedded.api.events import EVENTS_GROUP, from_core, to_core
from labs.embedded.api.kinds import BY_PATH, Kind
from labs.embedded.api.patch import Patch
from labs.embedded.api.registry import strategies
from labs.embedded.api.requests import Target
from labs.embedded.plan import AddressPlan
from labs.embedded.runtime import Runtime
from labs.embedded.store import Object, Store

log = logging.getLogger(__name__)
BODY_LIMIT = 3 * 1024 * 1024  # bytes, as the real server's
WATCH_LIMIT = 3600.0  # seconds; the real server ends a watch after half an hour to an hour
RETURNED = ("pods", "services", "serviceaccounts")  # answered with the object when they are deleted (ReturnDeletedObject)
OLD_ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
BODY_PATIENCE = 60.0  # seconds for a client to send its body


class Api:
    """The API of one cluster. `runtime` is what touches Pods' processes, `token` the one that may ask."""

    def __init__(self, store: Store, plan: AddressPlan, runtime: Runtime, token: str) -> None:
        self.store, self.runtime, self.token = store, runtime, token
        self.crud = Crud(store, strategies(store, plan))
        self.streams = streams.Streams(runtime)
        self.app = web.Application(client_max_size=BODY_LIMIT)
        self.app.router.add_route("*", "/{path:.*}", self._answer)
        self.app.on_shutdown.append(self._shut_down)
        self.app.on_response_prepare.append(_deprecated)
        self._open: set[asyncio.Task[Any]] = set()

    # --- requests

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except status.Refused as refused:
            return _warning(_json(refused.status, refused.code), refused.warnings)
        except requests.NoGroup:
            return _nothing()
        except web.HTTPRequestEntityTooLarge:
            return _json(status.too_large(BODY_LIMIT).status, 413)
        except (web.HTTPException, asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            said = f"Internal error occurred: {type(error).__name__}: {error}"
            return _json(status.Refused(500, "InternalError", said, {"causes": [{"message": str(error)}]}).status, 500)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if not self._may(request):
            raise status.unauthorized()
        if path.startswith(("/api/", "/apis/")) and path.count("/") >= (3 if path.startswith("/api/") else 4):
            return await self._resource(request, requests.target(path))
        if path.startswith("/openapi/"):  # reads some hundred files the first time
            return await asyncio.to_thread(openapi.answer, path, request.headers.get("Accept", ""))
        return self._about(request, path)

    def _may(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())

    def _about(self, request: web.Request, path: str) -> web.Response:
        """Discovery and the like."""
        parts = path.strip("/").split("/")
        found: Object | None = None
        if path == "/version":
            found = discovery.VERSION
        elif path in ("/api", "/apis"):
            if discovery.wants_aggregated(request.headers.get("Accept", "")):
                body = json.dumps(discovery.aggregated(path == "/api")).encode()
                kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                return web.Response(body=body, headers={"Content-Type": kind})
            found = discovery.versions() if path == "/api" else discovery.groups()
        elif path == "/api/v1":
            found = discovery.resources("", "v1")
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resources(parts[1], parts[2])
            if found is None and discovery.group(parts[1]):
                raise status.no_such_path()
        elif path == "/":
            found = {
                "paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            }
        if found is None and parts[0] == "api":
            raise status.no_such_path()
        if found is None:
            return _nothing()
        return _json(found)

    async def _resource(self, request: web.Request, target: Target) -> web.StreamResponse:
        method, query = request.method, request.query
        shape = requests.shape(request.headers.get("Accept", "")) if target.part not in (*streams.PARTS, "proxy") else ""
        if target.kind.group in access.GROUPS:
            if method != "POST" or target.name:
                raise status.not_allowed()
            return _json(access.review(target.kind, await self._json_body(request)), 201)
        if target.part in streams.PARTS:
            pod = self.crud.get(target.kind, target.namespace or "", target.name)
            return await self.streams.answer(request, pod, target.part)
        if target.part == "proxy":
            asked = proxying.wanted(target.name)
            pod = self.crud.get(target.kind, target.namespace or "", asked.name)
            return await proxying.answer(request, asked, pod, self.runtime)
        if target.part in ("scale", "token", "finalize"):
            return await self._special(request, target)
        if method == "GET":
            watch = target.watch or requests.flag(query, "watch")
            if target.name and not watch:
                found = self._out(target.kind, self.crud.get(target.kind, target.namespace or "", target.name))
                return _json(_shaped(target.kind, found, shape, query.get("includeObject", "Metadata")))
            if watch:
                return await self._watch(request, target, shape)
            return _json(self._list(target, query, shape))
        if method == "DELETE" and not target.part:
            return await self._delete(request, target)
        body = await self._body(request)
        options = requests.options(method, query)
        namespace = target.namespace or ""
        if method == "POST" and not target.name and target.namespace is not None:
            obj, unknown = self._in(target.kind, body, request)
            return self._written(
                target.kind, self.crud.create(_stored(target.kind), namespace, obj, unknown, options), 201, shape
            )
        if method == "PUT" and target.name:
            obj, unknown = self._in(target.kind, body, request)
            made = self.crud.update(_stored(target.kind), namespace, target.name, obj, unknown, options, target.part)
            return self._written(target.kind, made, 201 if made.created else 200, shape)
        if method == "PATCH" and target.name:
            change = Patch(request.content_type, body)
            if target.kind.group == EVENTS_GROUP:
                change = Patch(request.content_type, body, from_core, to_core)
            made = self.crud.patch(_stored(target.kind), namespace, target.name, change, options, target.part)
            return self._written(target.kind, made, 200, shape)
        raise status.not_allowed()

    async def _special(self, request: web.Request, target: Target) -> web.Response:
        """Subresources of another shape than the object's."""
        namespace = target.namespace or ""
        options = requests.options(request.method, request.query)
        if target.part == "token" and request.method == "POST":
            account = self.crud.get(target.kind, namespace, target.name)
            return _json(access.token(account, await self._json_body(request)), 201)
        if target.part == "finalize" and request.method == "PUT":
            obj, _ = self._in(target.kind, await self._body(request), request)
            return _json(self._finalized(target, obj))
        old = self.crud.get(target.kind, namespace, target.name)
        if target.part == "scale" and request.method == "GET":
            return _json(scale.of(old))
        if target.part == "scale" and request.method in ("PUT", "PATCH"):
            body = await self._body(request)
            if request.method == "PUT":
                given = decode.parse(body, "Scale") if requests.is_json(request) else protobuf.decode(body)
            else:
                given = scale.patched(request.content_type, body, scale.of(old))
            made = self.crud.update(target.kind, namespace, target.name, scale.scaled(old, given), [], options)
            return _json(scale.of(made.object))
        raise status.not_allowed()

    def _finalized(self, target: Target, given: Object) -> Object:
        """A namespace without the finalizers that its controller has done with; gone where none is left."""
        old = self.crud.get(target.kind, "", target.name)
        left = given.get("spec", {}).get("finalizers") or []
        if not left and old["metadata"].get("deletionTimestamp") and not old["metadata"].get("finalizers"):
            return self.store.remove("namespaces", "", target.name) or old
        return self.store.update("namespaces", {**old, "spec": {**old.get("spec", {}), "finalizers": left}})

    # --- reading

    def _list(self, target: Target, query: Any, shape: str) -> Object:
        selected = self._selected(target, query)
        found = [one for one in self.store.list(target.kind.plural, target.namespace) if selected(one)]
        metadata: Object = {"resourceVersion": str(self.store.revision)}
        limit = requests.whole(query, "limit")
        start = requests.whole(query, "continue") or 0
        if limit and len(found) > start + limit:
            metadata |= {"continue": str(start + limit), "remainingItemCount": len(found) - start - limit}
        found = [self._out(target.kind, one) for one in found[start : start + limit if limit else None]]
        if shape == "Table":
            return tables.table(target.kind.plural, found, metadata, query.get("includeObject", "Metadata"))
        if shape.startswith("Partial"):
            items = [
                {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": one["metadata"]} for one in found
            ]
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        else:
            items = [{part: value for part, value in one.items() if part not in ("kind", "apiVersion")} for one in found]
            kind, version = target.kind.kind + "List", target.kind.api_version
        return {"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}

    def _selected(self, target: Target, query: Any) -> Any:
        by_label = selectors.labels(query.get("labelSelector", ""))
        by_field = selectors.fields(query.get("fieldSelector", ""), target.kind.plural)
        return lambda obj: (not target.name or obj["metadata"]["name"] == target.name) and by_label(obj) and by_field(obj)

    async def _watch(self, request: web.Request, target: Target, shape: str) -> web.StreamResponse:
        query = request.query
        revision = query.get("resourceVersion", "")
        if revision and not revision.isdigit():
            why = f'resourceVersion: Invalid value: "{revision}": strconv.ParseUint: parsing "{revision}": invalid syntax'
            raise status.Refused(500, "", why)
        limit = requests.whole(query, "timeoutSeconds") or WATCH_LIMIT
        watch = watching.Watch(self.store, _stored(target.kind), target.namespace, self._selected(target, query))
        initial = requests.flag(query, "sendInitialEvents")
        bookmarks = requests.flag(query, "allowWatchBookmarks")
        first = watch.start(revision, initial)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        task = asyncio.current_task()
        if task:
            self._open.add(task)
        try:
            await response.prepare(request)
            send = _Sender(response, target.kind, shape, query.get("includeObject", "Metadata"), self._out)
            for told in first:
                await send.event(*told)
            if initial and bookmarks:
                await send.event("BOOKMARK", watch.bookmark(True))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    async for event in watch.events():
                        if event:
                            await send.event(*event)
                        elif bookmarks:
                            await send.event("BOOKMARK", watch.bookmark())
            await response.write_eof()
        except ConnectionError:
            pass  # the client has gone
        finally:
            watch.close()
            if task:
                self._open.discard(task)
        return response

    # --- writing

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        options = requests.delete_options(request, await self._body(request))
        if target.name:
            obj, gone = self._deleted(target.kind, target.namespace or "", target.name, options)
            if not gone or target.kind.plural in RETURNED:
                return _json(self._out(target.kind, obj))
            details = {
                "name": target.name,
                "group": target.kind.group,
                "kind": target.kind.plural,
                "uid": obj["metadata"]["uid"],
            }
            details = {key: value for key, value in details.items() if value}
            return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
        if "deletecollection" not in target.kind.verbs or target.namespace is None:
            raise status.not_allowed()
        selected = self._selected(target, request.query)
        found = [one for one in self.store.list(target.kind.plural, target.namespace) if selected(one)]
        for one in found:
            with contextlib.suppress(status.Refused):  # gone, or changed, in between: as the real server
                self._deleted(target.kind, target.namespace, one["metadata"]["name"], options)
        items = [{part: value for part, value in one.items() if part not in ("kind", "apiVersion")} for one in found]
        metadata = {"resourceVersion": str(self.store.revision)}
        return _json(
            {"kind": target.kind.kind + "List", "apiVersion": target.kind.api_version, "metadata": metadata, "items": items}
        )

    def _deleted(self, kind: Kind, namespace: str, name: str, options: DeleteOptions) -> tuple[Object, bool]:
        before = self.store.get(kind.plural, namespace, name)
        obj, gone = self.crud.delete(_stored(kind), namespace, name, options)
        if kind.plural == "pods" and before and before["spec"].get("nodeName") and not options.dry_run:
            grace = 0 if gone else obj["metadata"].get("deletionGracePeriodSeconds", 0)
            task = asyncio.ensure_future(self.runtime.stop(obj, float(grace)))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        return obj, gone

    def _in(self, kind: Kind, body: bytes, request: web.Request) -> tuple[Object, list[str]]:
        read = decode.parse(body, kind.kind) if requests.is_json(request) else protobuf.decode(body)
        obj, unknown = decode.typed(read, kind)
        return (to_core(obj) if kind.group == EVENTS_GROUP else obj), unknown

    def _out(self, kind: Kind, obj: Object) -> Object:
        return from_core(obj) if kind.group == EVENTS_GROUP else obj

    def _written(self, kind: Kind, made: Written, code: int, shape: str) -> web.Response:
        return _warning(_json(_shaped(kind, self._out(kind, made.object), shape, "Metadata"), code), made.warnings)

    async def _json_body(self, request: web.Request) -> Object:
        body = await self._body(request)
        read = decode.parse(body, "object") if requests.is_json(request) else protobuf.decode(body)
        if not isinstance(read, dict):
            raise status.bad_request("json parse error: the body must be an object")
        return read

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), BODY_PATIENCE)
        except TimeoutError:
            raise status.Refused(504, "Timeout", "Timeout: request did not complete within the allotted timeout") from None

    async def _shut_down(self, app: web.Application) -> None:
        for task in list(self._open):
            task.cancel()


class _Sender:
    """Writes the events of one watch, in the shape that was asked for."""

    def __init__(self, response: web.StreamResponse, kind: Kind, shape: str, include: str, out: Any) -> None:
        self.response, self.kind, self.shape, self.include, self.out = response, kind, shape, include, out
        self.header = True

    async def event(self, type: str, obj: Object) -> None:
        if type != "BOOKMARK":
            obj = self.out(self.kind, obj)
        if self.shape == "Table":
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            rows = [] if type == "BOOKMARK" else [obj]
            obj = tables.table(
                self.kind.plural, rows, {**obj["metadata"], **metadata} if not rows else metadata, self.include, self.header
            )
            self.header = False
        elif self.shape.startswith("Partial"):
            obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        await self.response.write(json.dumps({"type": type, "object": obj}, separators=(",", ":")).encode() + b"\n")


def _stored(kind: Kind) -> Kind:
    """The kind as which objects are stored: events.k8s.io has the same events as v1."""
    return BY_PATH["", "v1", "events"] if kind.group == EVENTS_GROUP else kind


def _shaped(kind: Kind, obj: Object, shape: str, include: str) -> Object:
    if shape == "Table":
        return tables.table(kind.plural, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}, include)
    if shape.startswith("Partial"):
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return obj


async def _deprecated(request: web.Request, response: web.StreamResponse) -> None:
    """Warns of each use of an API that is deprecated."""
    if re.fullmatch(r"/api/v1(/watch)?(/namespaces/[^/]+)?/endpoints(/.*)?", request.path):
        response.headers.add("Warning", f"299 - {_quoted(OLD_ENDPOINTS)}")


def _nothing() -> web.Response:
    return web.Response(status=404, text="404 page not found\n", headers={"X-Content-Type-Options": "nosniff"})


def _json(obj: Any, code: int = 200) -> web.Response:
    body = json.dumps(obj, separators=(",", ":")).encode() + b"\n"
    return web.Response(status=code, body=body, content_type="application/json", headers={"Cache-Control": "no-cache, private"})


def _warning(response: web.Response, warnings: list[str]) -> web.Response:
    for warning in warnings:
        response.headers.add("Warning", f"299 - {_quoted(warning)}")
    return response


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
