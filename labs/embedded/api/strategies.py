"""What each kind adds to create, update and delete: its defaults, what clients may not set, what is valid, what is warned of.

The frame, and the small kinds; Services and Pods have files of their own. Writes nothing.
"""

import base64
from typing import Any

from labs.embedded.api import meta
from labs.embedded.api.service_rules import PROTOCOLS, address_errors, number_errors, special_address_errors
from labs.embedded.api.status import FieldError, duplicate, forbidden, invalid, not_supported, required

Object = dict[str, Any]
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]  # of taints


class Strategy:
    """The plainest kind: any name that is a DNS subdomain, nothing to default, status not by the way of the object."""

    create_by_update = False
    has_status = True

    def name_errors(self, name: str) -> list[str]:
        """What is wrong with a name of this kind."""
        return meta.subdomain_errors(name)

    def default(self, obj: Object) -> None:
        """Fills in, in place, what the API server fills in when it reads an object of a client."""

    def prepare(self, new: Object, old: Object | None) -> None:
        """Clears what the client may not set here; `old` is None where the object is new."""
        if not self.has_status:
            return
        if old is None:
            new.pop("status", None)
        elif "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)

    def begin(self, new: Object, old: Object | None, dry_run: bool) -> None:
        """What is done before `prepare`: allocation. Raises Refused."""

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        """What is wrong with the object itself; its metadata is looked at by the caller."""
        return []

    def finish(self, new: Object) -> None:
        """Clears what was checked and is not kept."""

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        """What is wrong with an update of the subresource status."""
        return []

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        """What the client is told although the object is taken."""
        return []

    def prepare_status(self, new: Object, old: Object) -> None:
        """An update of the subresource status: all but the status stays, and labels and the like."""
        status = new.get("status")
        for part in [part for part in new if part not in ("apiVersion", "kind", "metadata")]:
            del new[part]
        new.update({part: value for part, value in old.items() if part not in ("apiVersion", "kind", "metadata", "status")})
        if status is not None:
            new["status"] = status


class Namespaces(Strategy):
    """Namespaces: the finalizer `kubernetes`, the label with their name, a phase."""

    def name_errors(self, name: str) -> list[str]:
        return meta.label_errors(name)

    def default(self, obj: Object) -> None:
        if name := obj["metadata"].get("name"):
            obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name

    def prepare(self, new: Object, old: Object | None) -> None:
        super().prepare(new, old)
        if old is None:
            new["spec"] = {"finalizers": ["kubernetes"]}
            new["status"] = {"phase": "Active"}
        else:
            new["spec"] = old.get("spec", {})


class ConfigMaps(Strategy):
    """ConfigMaps: keys, and immutability."""

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        found = []
        for part in ("data", "binaryData"):
            for key in sorted(new.get(part) or {}):
                found += [invalid(f"{part}[{key}]", key, one) for one in meta.key_errors(key)]
        for key in sorted(set(new.get("data") or {}) & set(new.get("binaryData") or {})):
            found.append(invalid("data[" + key + "]", key, "duplicate of key present in binaryData"))
        return found + _immutable(new, old, ("data", "binaryData"))

    def prepare(self, new: Object, old: Object | None) -> None:
        for part in ("data", "binaryData"):
            if not new.get(part):
                new.pop(part, None)


class Secrets(ConfigMaps):
    """Secrets: stringData goes into data, the type stays."""

    def default(self, obj: Object) -> None:
        obj.setdefault("type", "Opaque")
        for key, value in (obj.pop("stringData", None) or {}).items():
            obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        found = [invalid(f"data[{key}]", key, one) for key in sorted(new.get("data") or {}) for one in meta.key_errors(key)]
        if old is not None and new["type"] != old["type"]:
            found.append(invalid("type", new["type"], meta.IMMUTABLE))
        return found + _immutable(new, old, ("data",))


class ServiceAccounts(Strategy):
    """ServiceAccounts: nothing but a name."""

    has_status = False


class Events(Strategy):
    """Events: with all of their fields, of the namespace of what they are about."""

    has_status = False

    def default(self, obj: Object) -> None:
        for name in ("eventTime", "firstTimestamp", "lastTimestamp"):
            obj.setdefault(name, None)
        for name in ("reportingComponent", "reportingInstance"):
            obj.setdefault(name, "")
        obj.setdefault("source", {})
        obj.setdefault("involvedObject", {})

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        about, own = new["involvedObject"].get("namespace", ""), new["metadata"].get("namespace", "")
        if (about or "default") != own:
            return [invalid("involvedObject.namespace", about, "does not match event.namespace")]
        return []


class EndpointSlices(Strategy):
    """EndpointSlices: the port's defaults, and the endpoints' conditions; the address type stays."""

    has_status = False

    def default(self, obj: Object) -> None:
        obj["endpoints"] = obj.get("endpoints") or None
        for endpoint in obj["endpoints"] or []:
            endpoint.setdefault("conditions", {})
        for port in obj.get("ports") or []:
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")
        obj["ports"] = obj.get("ports") or None

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        kind = new.get("addressType", "")
        if old is not None and kind != old.get("addressType"):
            return [invalid("addressType", None, meta.IMMUTABLE)]
        if kind not in ("IPv4", "IPv6", "FQDN"):
            return [not_supported("addressType", kind, ["FQDN", "IPv4", "IPv6"]) if kind else required("addressType")]
        found = []
        for index, endpoint in enumerate(new["endpoints"] or []):
            if not endpoint.get("addresses"):
                found.append(required(f"endpoints[{index}].addresses", "must contain at least 1 address"))
            for at, address in enumerate(endpoint.get("addresses") or []):
                path = f"endpoints[{index}].addresses[{at}]"
                found += address_errors(path, address, None) if kind != "FQDN" else []
        names: set[str] = set()
        for index, port in enumerate(new["ports"] or []):
            path = f"ports[{index}]"
            found += [invalid(path + ".name", port["name"], one) for one in meta.label_errors(port["name"]) if port["name"]]
            found += [duplicate(path + ".name", port["name"])] if port["name"] in names else []
            names.add(port["name"])
            if port["protocol"] not in PROTOCOLS:
                found.append(not_supported(path + ".protocol", port["protocol"], PROTOCOLS))
        return found


class Ingresses(Strategy):
    """Ingresses: kept, and acted upon by nobody, as on any cluster without an ingress controller.

    Of their validation only what can be wrong with paths and backends (pkg/apis/networking/validation/validation.go).
    """

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        spec = new.get("spec") or {}
        if not spec.get("rules") and not spec.get("defaultBackend"):
            return [invalid("spec", None, "either `defaultBackend` or `rules` must be specified")]
        found = _backend_errors("spec.defaultBackend", spec["defaultBackend"]) if spec.get("defaultBackend") else []
        for number, rule in enumerate(spec.get("rules") or []):
            for at, path in enumerate((rule.get("http") or {}).get("paths") or []):
                here = f"spec.rules[{number}].http.paths[{at}]"
                if not path.get("pathType"):
                    found.append(required(f"{here}.pathType", "pathType must be specified"))
                    continue
                found += _path_errors(here, path) + _backend_errors(f"{here}.backend", path.get("backend") or {})
        return found


def _path_errors(here: str, path: Object) -> list[FieldError]:
    kinds = ["Exact", "ImplementationSpecific", "Prefix"]
    if path["pathType"] not in kinds:
        return [not_supported(f"{here}.pathType", path["pathType"], kinds)]
    text = path.get("path", "")
    needs_one = path["pathType"] != "ImplementationSpecific"
    if (needs_one or text) and not text.startswith("/"):
        return [invalid(f"{here}.path", text, "must be an absolute path")]
    return []


def _backend_errors(here: str, backend: Object) -> list[FieldError]:
    service = backend.get("service")
    if not service:
        return [invalid(here, "", "resource or service backend is required")] if not backend.get("resource") else []
    found = [] if service.get("name") else [required(f"{here}.service.name")]
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        return [*found, invalid(here, "", "cannot set both port name & port number")]
    if not port.get("name") and not port.get("number"):
        return [*found, required(here, "port name or number is required")]
    return found


class Endpoints(Strategy):
    """Endpoints: an old API."""

    has_status = False

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or []:
            for port in subset.get("ports") or []:
                port.setdefault("protocol", "TCP")

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        found = []
        for index, subset in enumerate(new.get("subsets") or []):
            for part in ("addresses", "notReadyAddresses"):
                for at, one in enumerate(subset.get(part) or []):
                    path = f"subsets[{index}].{part}[{at}].ip"
                    wrong = address_errors(path, one.get("ip", ""), None)
                    found += wrong + ([] if wrong else special_address_errors(path, one["ip"]))
            for at, port in enumerate(subset.get("ports") or []):
                found += number_errors(f"subsets[{index}].ports[{at}].port", port.get("port", 0))
        return found


class Nodes(Strategy):
    """Nodes: as the node agent writes them; their Pod range stays, and their taints are whole."""

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        return self._range(new, old) + _taint_errors((new.get("spec") or {}).get("taints") or [])

    def _range(self, new: Object, old: Object | None) -> list[FieldError]:
        if old is not None and new.get("spec", {}).get("podCIDR") != old.get("spec", {}).get("podCIDR"):
            detail = "node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig"
            return [forbidden("spec.podCIDRs", detail + " feature gate is enabled)")]
        return []


def _taint_errors(taints: list[Object]) -> list[FieldError]:
    found: list[FieldError] = []
    for index, taint in enumerate(taints):
        path, key, value, effect = f"metadata.taints[{index}]", *(taint.get(name, "") for name in ("key", "value", "effect"))
        found += [invalid(path + ".key", key, why) for why in meta.qualified_name_errors(key)]
        if errors := meta.label_value_errors(value):
            found.append(invalid(path + ".value", value, ";".join(errors)))
        if not effect:
            found.append(required(path + ".effect"))
        elif effect not in EFFECTS:
            found.append(not_supported(path + ".effect", effect, EFFECTS))
    return found


def _immutable(new: Object, old: Object | None, parts: tuple[str, ...]) -> list[FieldError]:
    if old is None or not old.get("immutable"):
        return []
    said = "field is immutable when `immutable` is set"
    found = [] if new.get("immutable") else [forbidden("immutable", said)]
    return found + [forbidden(part, said) for part in parts if (new.get(part) or {}) != (old.get(part) or {})]
