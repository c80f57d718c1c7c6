"""Which endpoints a node sends a Service's requests to, from its EndpointSlices.

As kube-proxy chooses (pkg/proxy/topology.go, endpointslicecache.go): ready ones; where none is, those that end but still
serve; separately for all nodes (policy Cluster) and for this node (policy Local). Only computes.
"""

from dataclasses import dataclass

from labs.embedded.rules.nft import Json


@dataclass(frozen=True, order=True)
class Endpoint:
    """One address and port behind a Service's port, as its EndpointSlice tells it."""

    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool
    local: bool  # on the node that asks
    hinted: bool  # the slice suggests it to the node that asks (PreferSameNode)
    has_hints: bool

    @property
    def usable_ending(self) -> bool:
        """Ends, but still answers: used where nothing is ready."""
        return self.serving and self.terminating


@dataclass(frozen=True)
class Chosen:
    """The endpoints for each policy. any: some endpoint can be used, be it by another node."""

    cluster: list[Endpoint]
    local: list[Endpoint]
    any: bool

    @property
    def reachable(self) -> list[Endpoint]:
        """Both together, each once."""
        return self.cluster + [one for one in self.local if one not in self.cluster]


def of_port(slices: list[Json], name: str, protocol: str, node: str) -> list[Endpoint]:
    """The endpoints of the Service port of that name and protocol, as seen from a node. Each address and port once."""
    found: dict[str, Endpoint] = {}
    for part in sorted(slices, key=lambda one: str(one["metadata"]["name"])):
        if part.get("addressType") != "IPv4":
            continue
        numbers = [
            port["port"]
            for port in part.get("ports") or []
            if (port.get("name") or "") == name and port.get("protocol", "TCP") == protocol and port.get("port")
        ]
        for number in numbers:
            for one in part.get("endpoints") or []:
                endpoint = _endpoint(one, number, node)
                found[f"{endpoint.address}:{number}"] = endpoint
    return [found[key] for key in sorted(found)]


def choose(endpoints: list[Endpoint], uses_cluster: bool, uses_local: bool) -> Chosen:
    """Of all endpoints those to be used, for the policies that the Service uses at all."""
    cluster = _ready_or_ending(_near(endpoints)) if uses_cluster else []
    local = _ready_or_ending([one for one in endpoints if one.local]) if uses_local else []
    usable = bool(cluster) or (uses_local and any(one.ready or one.usable_ending for one in endpoints))
    return Chosen(cluster, local, usable)


def _near(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Only those suggested to this node, where every ready one has a suggestion and this node got one."""
    ready = [one for one in endpoints if one.ready]
    if ready and all(one.has_hints for one in ready) and any(one.hinted for one in ready):
        return [one for one in ready if one.hinted]
    return endpoints


def _ready_or_ending(endpoints: list[Endpoint]) -> list[Endpoint]:
    return [one for one in endpoints if one.ready] or [one for one in endpoints if one.usable_ending]


def _endpoint(one: Json, port: int, node: str) -> Endpoint:
    conditions = one.get("conditions") or {}
    ready = conditions.get("ready")
    ready = True if ready is None else bool(ready)  # not said means yes (discovery/v1)
    serving = conditions.get("serving")
    hints = [hint["name"] for hint in (one.get("hints") or {}).get("forNodes") or []]
    return Endpoint(
        address=one["addresses"][0],
        port=port,
        ready=ready,
        serving=ready if serving is None else bool(serving),
        terminating=bool(conditions.get("terminating")),
        local=one.get("nodeName") == node,
        hinted=node in hints,
        has_hints=bool(hints),
    )
