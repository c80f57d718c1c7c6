"""What clients ask first: which groups, versions and kinds there are. Data from the table of kinds, in both of its shapes."""

from typing import Any

from labs.embedded.api.kinds import GROUPS, Kind

Object = dict[str, Any]
# The version that this API behaves as.
VERSION = {
    "major": "1", "minor": "37", "emulationMajor": "1", "emulationMinor": "37", "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "36", "gitVersion": "v1.37.2", "gitCommit": "$Format:%H$", "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none (embedded)", "compiler": "python", "platform": "linux/amd64",
}  # fmt: skip
# Subresources: their kind (group, version, kind; none: the resource's own) and their verbs.
SUBRESOURCES: dict[str, tuple[tuple[str, str, str] | None, tuple[str, ...]]] = {
    "attach": (("", "v1", "PodAttachOptions"), ("create", "get")),
    "exec": (("", "v1", "PodExecOptions"), ("create", "get")),
    "finalize": (None, ("update",)),
    "log": (None, ("get",)),
    "portforward": (("", "v1", "PodPortForwardOptions"), ("create", "get")),
    "proxy": (("", "v1", "PodProxyOptions"), ("create", "delete", "get", "patch", "update")),
    "scale": (("autoscaling", "v1", "Scale"), ("get", "patch", "update")),
    "status": (None, ("get", "patch", "update")),
    "token": (("authentication.k8s.io", "v1", "TokenRequest"), ("create",)),
}


def versions() -> Object:
    """/api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> Object:
    """/apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(group, version) for group, version in GROUPS if group],
    }


def group(name: str) -> Object | None:
    """/apis/GROUP; None where it is not served."""
    found = [(group, version) for group, version in GROUPS if group == name]
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(*found[0])} if found else None


def resources(group: str, version: str) -> Object | None:
    """/api/v1 or /apis/GROUP/VERSION; None where it is not served."""
    if (group, version) not in GROUPS:
        return None
    found: list[Object] = []
    for kind in GROUPS[group, version]:
        found.append(_resource(kind))
        found += [_subresource(kind, name) for name in kind.subresources]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def wants_aggregated(accept: str) -> bool:
    """Whether a client takes all in one, in version 2 of that (kubectl 1.26 to 1.29 ask for v2beta1: they get the plain)."""
    wanted = {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"}
    return any(wanted <= {part.strip() for part in one.split(";")} for one in accept.split(","))


def aggregated(core: bool) -> Object:
    """All of /api, or of /apis, in one (apidiscovery.k8s.io/v2)."""
    items = []
    for (group, version), kinds in GROUPS.items():
        if bool(group) == core:
            continue
        found = [_aggregated(kind) for kind in kinds]
        metadata = {"name": group} if group else {}
        items.append({"metadata": metadata, "versions": [{"version": version, "resources": found, "freshness": "Current"}]})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _group(name: str, version: str) -> Object:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _resource(kind: Kind) -> Object:
    made: Object = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        made["shortNames"] = list(kind.short)
    if kind.categories:
        made["categories"] = list(kind.categories)
    return made


def _subresource(kind: Kind, name: str) -> Object:
    other, verbs = SUBRESOURCES[name]
    made: Object = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    if other and other[0]:
        made |= {"group": other[0], "version": other[1]}
    return {**made, "kind": other[2] if other else kind.kind, "verbs": list(verbs)}


def _aggregated(kind: Kind) -> Object:
    made: Object = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.kind.lower(),
        "verbs": list(kind.verbs),
    }
    if kind.short:
        made["shortNames"] = list(kind.short)
    if kind.categories:
        made["categories"] = list(kind.categories)
    if kind.subresources:
        made["subresources"] = [_aggregated_part(kind, name) for name in kind.subresources]
    return made


def _aggregated_part(kind: Kind, name: str) -> Object:
    other, verbs = SUBRESOURCES[name]
    group, version, own = other or ("", "", kind.kind)
    return {"subresource": name, "responseKind": {"group": group, "version": version, "kind": own}, "verbs": list(verbs)}
