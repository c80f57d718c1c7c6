"""What a request asks for: its path and its parameters as a target and options. Reads, and refuses what cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from labs.embedded.api import decode, protobuf, status
from labs.embedded.api.crud import DeleteOptions, Options
from labs.embedded.api.kinds import BY_PATH, KINDS, Kind

LEVELS = ["", "Ignore", "Strict", "Warn"]  # of fieldValidation


class NoGroup(Exception):
    """A group that is not served at all, which the real server answers in plain text."""


@dataclass(frozen=True)
class Target:
    """What a path names. namespace: None for all; name: "" for a collection; watch: by the old path /watch/."""

    kind: Kind
    namespace: str | None
    name: str = ""
    part: str = ""
    rest: str = ""
    watch: bool = False


def target(path: str) -> Target:
    """The target of a path under /api/v1 or /apis/GROUP/VERSION. Raises Refused (404)."""
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and parts[1] not in {kind.group for kind in KINDS}:
        raise NoGroup
    if parts[0] == "api":
        group, version, parts = "", parts[1], parts[2:]
    else:
        group, version, parts = parts[1], parts[2], parts[3:]
    watch = parts[:1] == ["watch"]
    parts = parts[1:] if watch else parts
    namespace: str | None = None
    if parts[:1] == ["namespaces"] and len(parts) > 2 and (group, version, parts[2]) in BY_PATH:
        namespace, parts = parts[1], parts[2:]
    kind = BY_PATH.get((group, version, parts[0])) if parts else None
    if kind is None or (namespace is not None and not kind.namespaced):
        raise status.no_such_path()
    name, part, rest = (*parts[1:4], "", "", "")[:3]
    if part and part not in kind.subresources:
        raise status.no_such_path()
    if kind.namespaced and name and namespace is None:
        raise status.no_such_path()
    return Target(kind, namespace if kind.namespaced else "", name, part, rest, watch)


def options(method: str, query: Mapping[str, str]) -> Options:
    """Options of create, update and patch. Raises Refused (422) for values that they cannot have."""
    kind = {"PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(method, "CreateOptions")
    level = query.get("fieldValidation", "")
    if level not in LEVELS:
        errors = [status.not_supported("fieldValidation", level, LEVELS)]
        raise status.invalid_object(kind, "", errors, "meta.k8s.io")
    return Options(dry_run(query.get("dryRun", ""), kind), level)


def dry_run(value: str, kind: str) -> bool:
    """Whether it is one. Raises Refused (422) for another value than All."""
    if value not in ("", "All"):
        errors = [status.not_supported("dryRun", [value], ["All"])]
        raise status.invalid_object(kind, "", errors, "meta.k8s.io")
    return value == "All"


def flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or not."""
    return query.get(name, "").lower() in ("1", "true", "t")


def whole(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number; None where it is not given. Raises Refused (400)."""
    given = query.get(name, "")
    if not given:
        return None
    try:
        return int(given)
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{given}": invalid syntax') from None


def is_json(request: web.Request) -> bool:
    """Whether the body is JSON (protobuf if not). Raises Refused (415) for any other type."""
    given = request.headers.get("Content-Type", "")
    if given and request.content_type not in ("application/json", protobuf.MEDIA_TYPE):
        raise status.unsupported_media(f"application/json, {protobuf.MEDIA_TYPE}")
    return not given or request.content_type == "application/json"


def delete_options(request: web.Request, body: bytes) -> DeleteOptions:
    """Out of a body of kind DeleteOptions, or of the parameters. Raises Refused."""
    given: Any = {}
    query = request.query
    if body.strip():
        given = decode.parse(body, "DeleteOptions") if is_json(request) else protobuf.decode(body)
        if not isinstance(given, dict) or given.get("kind", "DeleteOptions") != "DeleteOptions":
            raise status.bad_request("couldn't get version/kind; json parse error: the body must be DeleteOptions")
    grace = given.get("gracePeriodSeconds", whole(query, "gracePeriodSeconds"))
    propagation = given.get("propagationPolicy") or query.get("propagationPolicy", "")
    orphan = given.get("orphanDependents")
    if orphan is not None and not propagation:
        propagation = "Orphan" if orphan else "Background"
    if propagation not in ("", "Orphan", "Background", "Foreground"):
        errors = [status.not_supported("propagationPolicy", propagation, ["Foreground", "Background", "Orphan", "nil"])]
        raise status.invalid_object("DeleteOptions", "", errors, "meta.k8s.io")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
        grace = 1 if isinstance(grace, int) else None
    conditions = given.get("preconditions") or {}
    dry = dry_run((given.get("dryRun") or [query.get("dryRun", "")])[0], "DeleteOptions")
    return DeleteOptions(grace, propagation, conditions.get("uid", ""), conditions.get("resourceVersion", ""), dry)


def shape(accept: str) -> str:
    """How an answer is wanted: "Table", "PartialObjectMetadata", "PartialObjectMetadataList" or "" (the object).

    Raises Refused (406) where none of what is wanted can be given.
    """
    offers = [one.strip() for one in accept.split(",") if one.strip()] or ["application/json"]
    for offer in offers:
        media, *given = (one.strip() for one in offer.split(";"))
        if media not in ("application/json", "application/*", "*/*"):
            continue
        parameters = dict(one.partition("=")[::2] for one in given)
        wanted = parameters.get("as", "")
        if not wanted:
            return ""
        if wanted in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList") and parameters.get("v", "v1") == "v1":
            return wanted
    said = "406: Not Acceptable\n\nAvailable representations: application/json"
    raise status.Refused(406, "NotAcceptable", said, {})
