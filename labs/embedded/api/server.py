"""The aiohttp application: who may ask, what each path leads to, and how answers go out. Objects are crud.py's matter."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from labs.embedded.api import (
    access,
    answers,
    discovery,
    openapi,
    proxying,
    requests,
    scale,
    selectors,
    status,
    streams,
    tables,
    watch_stream,
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
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_LIMIT = 3 * 1024 * 1024  # bytes, as the real server's
WATCH_LIMIT = 3600.0  # seconds; the real server ends a watch after half an hour to an hour
RETURNED = ("pods", "services", "serviceaccounts")  # answered with the object when they are deleted (ReturnDeletedObject)
OLD_ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
BODY_PATIENCE = 60.0  # seconds for a client to send its body
# Of the HTTP server that runs the application: a body is what was sent, whatever Content-Encoding says, as on a real server;
# the times are for a connection on which nothing is asked (its IdleTimeout), and for requests when it ends, in seconds.
HEAD_LIMIT = 1 << 20  # bytes: net/http, DefaultMaxHeaderBytes; the command of an exec is in the first line
HTTP: dict[str, Any] = {
    "auto_decompress": False, "keepalive_timeout": 90.0, "shutdown_timeout": 1.0,
    "max_line_size": HEAD_LIMIT, "max_field_size": HEAD_LIMIT,
}  # fmt: skip


class Api:
    """The API of one cluster. `runtime` is what touches Pods' processes, `token` the one that may ask."""

    def __init__(self, store: Store, plan: AddressPlan, runtime: Runtime, token: str) -> None:
        self.store, self.runtime, self.token = store, runtime, token
        self.crud = Crud(store, strategies(store, plan))
        self.streams = streams.Streams(runtime)
        self.app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._refusing])
        self.app.router.add_route("*", r"/{path:[\s\S]*}", self._route)
        self.app.on_shutdown.append(self._shut_down)
        self.app.on_response_prepare.append(_deprecated)
        self._open: set[asyncio.Task[Any]] = set()

    # --- requests

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever is refused gets a Status."""
        try:
            return await handler(request)
        except status.Refused as refused:
            return answers.refusal(refused)
        except requests.NoGroup:
            return answers.nothing()
        except web.HTTPRequestEntityTooLarge:
            return answers.refusal(status.too_large(BODY_LIMIT))
        except web.HTTPException as error:  # aiohttp's own: of an upgrade that is none, or a path that does not begin with /
            if not access.admits(request.headers, self.token):
                return answers.refusal(status.unauthorized())
            return answers.refusal(status.generic(error.status, error.text or error.reason))
        except web.RequestPayloadError as error:  # of a body that is not as its headers say
            return answers.refusal(status.bad_request(str(error)))
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            said = f"Internal error occurred: {type(error).__name__}: {error}"
            return answers.refusal(status.Refused(500, "InternalError", said, {"causes": [{"message": str(error)}]}))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if not access.admits(request.headers, self.token):
            raise status.unauthorized()
        if path.startswith(("/api/", "/apis/")) and path.count("/") >= (3 if path.startswith("/api/") else 4):
            return await self._resource(request, requests.target(path))
        if path.startswith("/openapi/"):  # reads some hundred files the first time
            return await asyncio.to_thread(openapi.answer, path, request.headers.get("Accept", ""))
        return self._about(request, path)

    def _about(self, request: web.Request, path: str) -> web.Response:
        """Discovery and the like."""
        if request.method not in ("GET", "HEAD") and path != "/":
            raise status.not_allowed()
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
            return answers.nothing()
        return answers.as_json(found)

    async def _resource(self, request: web.Request, target: Target) -> web.StreamResponse:
        method, query = request.method, request.query
        shape = requests.shape(request.headers.get("Accept", "")) if target.part not in (*streams.PARTS, "proxy") else ""
        if target.kind.group in access.GROUPS:
            if method != "POST" or target.name:
                raise status.not_allowed()
            obj, unknown = requests.read_object(request, await self._body(request), target.kind)
            return answers.warned(answers.as_json(access.review(target.kind, obj), 201), unknown)
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
                return answers.as_json(answers.shaped(target.kind, found, shape, query.get("includeObject", "Metadata")))
            if watch:
                return await self._watch(request, target, shape)
            return answers.as_json(self._list(target, query, shape))
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
                change = Patch(request.content_type, body, from_core, to_core, target.kind.model_name)
            made = self.crud.patch(_stored(target.kind), namespace, target.name, change, options, target.part)
            return self._written(target.kind, made, 200, shape)
        raise status.not_allowed()

    async def _special(self, request: web.Request, target: Target) -> web.Response:
        """Subresources of another shape than the object's."""
        namespace = target.namespace or ""
        options = requests.options(request.method, request.query)
        if target.part == "token" and request.method == "POST":
            account = self.crud.get(target.kind, namespace, target.name)
            obj, unknown = requests.read_object(request, await self._body(request), access.TOKEN_REQUEST)
            return answers.warned(answers.as_json(access.token(account, obj), 201), unknown)
        if target.part == "finalize" and request.method == "PUT":
            obj, _ = self._in(target.kind, await self._body(request), request)
            return answers.as_json(self._finalized(target, obj))
        old = self.crud.get(target.kind, namespace, target.name)
        if target.part == "scale" and request.method == "GET":
            return answers.as_json(scale.of(old))
        if target.part == "scale" and request.method in ("PUT", "PATCH"):
            body = await self._body(request)
            if request.method == "PUT":
                given, unknown = requests.read_object(request, body, scale.SCALE)
            else:
                change = Patch(request.content_type, body)
                change.check()
                given, unknown = change.applied(scale.of(old), scale.SCALE, options.field_validation)
            made = self.crud.update(target.kind, namespace, target.name, scale.scaled(old, given), unknown, options)
            return answers.warned(answers.as_json(scale.of(made.object)), made.warnings)
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
        requests.check_list(query, False)
        selected = self._selected(target, query)
        found = [one for one in self.store.list(target.kind.plural, target.namespace) if selected(one)]
        metadata: Object = {"resourceVersion": str(self.store.revision)}
        limit, start = max(0, requests.whole(query, "limit") or 0), requests.start_of(query)
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
        requests.check_list(query, True)
        limit = requests.whole(query, "timeoutSeconds") or WATCH_LIMIT
        watch = watching.Watch(self.store, _stored(target.kind), target.namespace, self._selected(target, query))
        initial = requests.flag(query, "sendInitialEvents")
        bookmarks = requests.flag(query, "allowWatchBookmarks")
        first = list(watch.start(query.get("resourceVersion", ""), initial))
        if initial and bookmarks:
            first.append(("BOOKMARK", watch.bookmark(True)))
        shown = watch_stream.Shown(target.kind, shape, query.get("includeObject", "Metadata"), self._out)
        sending = watch_stream.send(request, watch, first, shown, limit, bookmarks)
        task = asyncio.current_task()
        if task:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        return await sending

    # --- writing

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        options = requests.delete_options(request, await self._body(request))
        if target.name:
            obj, gone = self._deleted(target.kind, target.namespace or "", target.name, options)
            if not gone or target.kind.plural in RETURNED:
                return answers.as_json(self._out(target.kind, obj))
            details = {
                "name": target.name,
                "group": target.kind.group,
                "kind": target.kind.plural,
                "uid": obj["metadata"]["uid"],
            }
            return answers.as_json(status.success({key: value for key, value in details.items() if value}))
        if "deletecollection" not in target.kind.verbs or target.namespace is None:
            raise status.not_allowed()
        selected = self._selected(target, request.query)
        found = [one for one in self.store.list(target.kind.plural, target.namespace) if selected(one)]
        for one in found:
            with contextlib.suppress(status.Refused):  # gone, or changed, in between: as the real server
                self._deleted(target.kind, target.namespace, one["metadata"]["name"], options)
        items = [{part: value for part, value in one.items() if part not in ("kind", "apiVersion")} for one in found]
        metadata = {"resourceVersion": str(self.store.revision)}
        return answers.as_json(
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
        obj, unknown = requests.read_object(request, body, kind)
        return (to_core(obj) if kind.group == EVENTS_GROUP else obj), unknown

    def _out(self, kind: Kind, obj: Object) -> Object:
        return from_core(obj) if kind.group == EVENTS_GROUP else obj

    def _written(self, kind: Kind, made: Written, code: int, shape: str) -> web.Response:
        obj = answers.shaped(kind, self._out(kind, made.object), shape, "Metadata")
        return answers.warned(answers.as_json(obj, code), made.warnings)

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), BODY_PATIENCE)
        except TimeoutError:
            raise status.Refused(504, "Timeout", "Timeout: request did not complete within the allotted timeout") from None

    async def _shut_down(self, app: web.Application) -> None:
        for task in list(self._open):
            task.cancel()


def _stored(kind: Kind) -> Kind:
    """The kind as which objects are stored: events.k8s.io has the same events as v1."""
    return BY_PATH["", "v1", "events"] if kind.group == EVENTS_GROUP else kind


async def _deprecated(request: web.Request, response: web.StreamResponse) -> None:
    """Warns of each use of an API that is deprecated."""
    if re.fullmatch(r"/api/v1(/watch)?(/namespaces/[^/]+)?/endpoints(/.*)?", request.path):
        answers.warn(response, OLD_ENDPOINTS)
