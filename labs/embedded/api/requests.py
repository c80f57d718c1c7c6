"""What a request asks for: its path and its parameters as a target and options. Reads, and refuses what cannot be read."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import MultiMapping

from labs.embedded.api import decode, json_text, protobuf, status
from labs.embedded.api.crud import DeleteOptions, Options
from labs.embedded.api.gotext import parse_int, parse_uint, quote
from labs.embedded.api.json_text import NotJson
from labs.embedded.api.kinds import BY_PATH, KINDS, Kind

Object = dict[str, Any]
Query = MultiMapping[str]
LEVELS = ["", "Ignore", "Strict", "Warn"]  # of fieldValidation
MANAGER_LIMIT = 128  # bytes of a fieldManager
DELETE = Kind("meta.k8s.io", "v1", "", "DeleteOptions")


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


def read_object(request: web.Request, body: bytes, kind: Kind) -> tuple[Object, list[str]]:
    """The object of a body, and its unknown fields in words. Raises Refused (400, 415)."""
    read = json_text.parse(body, kind.kind) if is_json(request) else protobuf.decode(body)
    return decode.typed(read, kind)


def options(method: str, query: Query) -> Options:
    """Options of create, update and patch. Raises Refused (422) for values that they cannot have."""
    kind = {"PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(method, "CreateOptions")
    manager, level = query.get("fieldManager", ""), query.get("fieldValidation", "")
    errors = [status.too_long("fieldManager", MANAGER_LIMIT)] if len(manager.encode()) > MANAGER_LIMIT else []
    for at, letter in enumerate(manager):
        if not letter.isprintable():
            why = f"invalid character U+{ord(letter):04X} (at position {len(manager[:at].encode())})"
            errors.append(status.invalid("fieldManager", manager, why))
    errors += _dry_run_errors(query.getall("dryRun", []))
    if level not in LEVELS:
        errors.append(status.not_supported("fieldValidation", level, LEVELS))
    _valid(kind, errors)
    return Options("dryRun" in query, level)


def flag(query: Query, name: str) -> bool:
    """A parameter that is true or not (apimachinery's Convert_Slice_string_To_bool)."""
    return name in query and query[name].lower() not in ("0", "false")


def whole(query: Query, name: str) -> int | None:
    """A parameter that is a whole number; None where it is not given. Raises Refused (400)."""
    if name not in query:
        return None
    try:
        return parse_int(query[name])
    except ValueError as error:
        raise status.bad_request(str(error)) from None


def check_list(query: Query, watch: bool) -> None:
    """Raises Refused where the options of a list or a watch do not go together (ValidateListOptions)."""
    revision, match, path = query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""), "resourceVersionMatch"
    initial, errors = "sendInitialEvents" in query, []
    if watch and initial and match != "NotOlderThan":
        errors.append(status.forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if watch and match and not initial:
        errors.append(status.forbidden(path, f"{path} is forbidden for watch unless sendInitialEvents is provided"))
    if not watch and match and not revision:
        errors.append(status.forbidden(path, f"{path} is forbidden unless resourceVersion is provided"))
    if match and match not in (known := ["NotOlderThan"] if watch else ["Exact", "NotOlderThan"]):
        errors.append(status.not_supported(path, match, known if watch else [*known, ""]))
    if initial and not watch:
        errors.append(status.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _valid("ListOptions", errors)
    try:
        parse_uint(revision or "0")
    except ValueError as error:
        why = f"resourceVersion: Invalid value: {quote(revision)}: {error}"
        raise status.Refused(500, "", why) if watch else status.bad_request("invalid resource version: " + why) from None


def start_of(query: Query) -> int:
    """How many items come before what is asked for: `continue` as a list of ours gave it. Raises Refused (400)."""
    try:
        return parse_uint(query.get("continue", "") or "0")
    except ValueError:
        why = "continue key is not valid: illegal base64 data at input byte 0"
        raise status.bad_request(f"invalid continue token: {why}") from None


def is_json(request: web.Request) -> bool:
    """Whether the body is JSON (protobuf if not). Raises Refused (415) for any other type."""
    given = request.headers.get("Content-Type", "")
    if given and request.content_type not in ("application/json", protobuf.MEDIA_TYPE):
        raise status.unsupported_media(f"application/json, {protobuf.MEDIA_TYPE}")
    return not given or request.content_type == "application/json"


def delete_options(request: web.Request, body: bytes) -> DeleteOptions:
    """Out of a body of kind DeleteOptions, or of the parameters. Raises Refused."""
    given = _delete_options(request, body) if body.strip() else {}
    query = request.query
    grace = given.get("gracePeriodSeconds", whole(query, "gracePeriodSeconds"))
    propagation = given.get("propagationPolicy", query.get("propagationPolicy"))
    orphan = given.get("orphanDependents", flag(query, "orphanDependents") if "orphanDependents" in query else None)
    errors = []
    if orphan is not None and propagation is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(status.invalid("propagationPolicy", propagation, why))
    if propagation not in (None, "Orphan", "Background", "Foreground"):
        errors.append(status.not_supported("propagationPolicy", propagation, ["Foreground", "Background", "Orphan", "nil"]))
    dry_run = given["dryRun"] if given.get("dryRun") else query.getall("dryRun", [])
    _valid("DeleteOptions", errors + _dry_run_errors(dry_run))
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    conditions = given.get("preconditions") or {}
    uid, revision = conditions.get("uid", ""), conditions.get("resourceVersion", "")
    return DeleteOptions(1 if grace is not None and grace < 0 else grace, propagation or "", uid, revision, bool(dry_run))


def _delete_options(request: web.Request, body: bytes) -> Object:
    """A body's; every group has the kind, so its apiVersion tells nothing."""
    try:
        read = json_text.read(body) if is_json(request) else protobuf.decode(body)
    except NotJson as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if wrong := json_text.envelope_error(read):
        raise status.bad_request(wrong)
    read = read or {}
    if read.get("kind") not in (None, "", DELETE.kind):
        why = decode.not_registered(read["kind"], read.get("apiVersion") or DELETE.api_version)
        raise status.bad_request(why)
    try:
        made, _ = decode.typed({name: value for name, value in read.items() if name not in ("kind", "apiVersion")}, DELETE)
    except decode.NotReadable as error:
        raise status.bad_request(error.why) from None
    return made


def _dry_run_errors(given: list[str]) -> list[status.FieldError]:
    return [] if set(given) <= {"All"} else [status.not_supported("dryRun", given, ["All"])]


def _valid(kind: str, errors: list[status.FieldError]) -> None:
    if errors:
        raise status.invalid_object(kind, "", errors, "meta.k8s.io")


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
