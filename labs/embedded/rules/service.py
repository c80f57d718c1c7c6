"""One Service's share of a node's rules: its chains, its affinity sets, its elements in the common sets and maps.

Names and contents are kube-proxy's (pkg/proxy/nftables/proxier.go, Kubernetes 1.37); a Service that kube-proxy has no rules for
(headless, ExternalName, of another proxy) has an empty share. Only computes.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import base, nft
from labs.embedded.rules.endpoints import Chosen, Endpoint, choose, of_port
from labs.embedded.rules.nft import PROTOCOL, SOURCE, Json, Key, goto, match

OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
AFFINITY_SECONDS = 10800  # sessionAffinityConfig.clientIP.timeoutSeconds where it is not said


@dataclass(frozen=True)
class Rule:
    """A rule of a chain."""

    expr: list[Json]
    comment: str = ""


@dataclass(frozen=True)
class Element:
    """What a map holds for a key, a verdict or an address; nothing in a set."""

    value: Json | None = None
    comment: str = ""


@dataclass
class Share:
    """What one Service, or Pod with host ports, has in a table."""

    table: str = nft.TABLE
    chains: dict[str, list[Rule]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)  # set → seconds that a client is remembered
    elements: dict[tuple[str, Key], Element] = field(default_factory=dict)  # (set or map, key)
    udp: set[tuple[str, int]] = field(default_factory=set)  # destinations whose UDP connections must be forgotten on change


def share(service: Json, slices: list[Json], node: NodePlan, plan: AddressPlan) -> Share:
    """A Service's share on a node, from all of its EndpointSlices."""
    made = Share()
    if not served(service):
        return made
    for port in service["spec"].get("ports") or []:
        _Port(made, service, port, slices, node, plan).write()
    return made


def served(service: Json) -> bool:
    """Whether kube-proxy has rules for this Service at all."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or OTHER_PROXY in (service["metadata"].get("labels") or {}):
        return False
    return spec.get("clusterIP") not in (None, "", "None")


def hashed(name: str) -> str:
    """A chain's name, after kube-proxy: eight letters of a hash, which tell long and similar names apart, then the name."""
    letters = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:8]
    full = f"{letters}-{name}"
    return full if len(full) <= 240 else full[:237] + "..."


class _Port:
    """Writes the share of one port of a Service."""

    def __init__(self, share: Share, service: Json, port: Json, slices: list[Json], node: NodePlan, plan: AddressPlan) -> None:
        self.share, self.plan = share, plan
        self.spec, self.status, self.port = service["spec"], service.get("status") or {}, port
        self.l4: str = port.get("protocol", "TCP").lower()
        name = port.get("name") or ""
        namespaced = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        self.label = namespaced + (f":{name}" if name else "")
        self.path = f"{namespaced}/{self.l4}/{name}"
        self.local_inside = self.spec.get("internalTrafficPolicy") == "Local"
        self.external = self.spec.get("type") in ("NodePort", "LoadBalancer") or bool(self.spec.get("externalIPs"))
        self.local_outside = self.external and self.spec.get("externalTrafficPolicy") == "Local"
        self.sticky = self.spec.get("sessionAffinity") == "ClientIP"
        self.chosen: Chosen = choose(
            of_port(slices, name, port.get("protocol", "TCP"), node.name),
            # pkg/proxy/serviceport.go: Cluster is also used by Local's short-cuts, for requests from a Pod or the node.
            uses_cluster=not self.local_inside or self.external,
            uses_local=self.local_inside or self.local_outside,
        )
        suffix = hashed(self.path)
        self.cluster_chain, self.local_chain = f"service-{suffix}", f"local-{suffix}"
        self.external_chain, self.firewall_chain = f"external-{suffix}", f"firewall-{suffix}"

    def write(self) -> None:
        inside = self._reachable(self.local_inside)
        outside = self._reachable(self.local_outside)
        self.share.elements[base.CLUSTER_IPS, (self.spec["clusterIP"],)] = Element()
        self._element(base.SERVICE_IPS, base.NO_ENDPOINT_IPS, self._to(self.spec["clusterIP"]), self._inside_chain, inside)
        for address in self._external_addresses():
            key = self._to(address)
            self._element(base.SERVICE_IPS, base.NO_ENDPOINT_IPS, key, self.external_chain, outside, self.chosen.any)
        if self.port.get("nodePort"):
            key = (self.l4, self.port["nodePort"])
            self._element(
                base.SERVICE_NODE_PORTS, base.NO_ENDPOINT_NODE_PORTS, key, self.external_chain, outside, self.chosen.any
            )
        if self.external and self.chosen.any:
            self.share.chains[self.external_chain] = list(self._external_rules(outside))
        self._write_firewall()
        for chain, endpoints in ((self.cluster_chain, self.chosen.cluster), (self.local_chain, self.chosen.local)):
            if endpoints:
                self.share.chains[chain] = self._balance(endpoints)
        self._write_endpoints()

    @property
    def _inside_chain(self) -> str:
        return self.local_chain if self.local_inside else self.cluster_chain

    def _reachable(self, local: bool) -> bool:
        return bool(self.chosen.local) if local else self.chosen.any

    def _to(self, address: str) -> Key:
        if self.l4 == "udp":
            self.share.udp.add((address, self.port["port"]))
        return (address, self.l4, self.port["port"])

    def _element(self, to: str, nowhere: str, key: Key, chain: str, reachable: bool, chained: bool | None = None) -> None:
        """Leads a destination to a chain; where no endpoint is to be reached, to a refusal, or into silence.

        Silence is for policy Local with endpoints on other nodes only: those who look for a node that answers try another one.
        A destination from outside has its chain even then (`chained`), for the short-cuts of Pods and of the node.
        """
        if reachable if chained is None else chained:
            self.share.elements[to, key] = Element(goto(chain))
        if not reachable:
            verdict = nft.DROP if self.chosen.any else goto(base.REJECT_CHAIN)
            self.share.elements[nowhere, key] = Element(verdict, self.label)

    def _load_balancer_addresses(self) -> list[str]:
        ingress = (self.status.get("loadBalancer") or {}).get("ingress") or []
        return [one["ip"] for one in ingress if one.get("ip") and one.get("ipMode", "VIP") == "VIP"]

    def _external_addresses(self) -> list[str]:
        return [*(self.spec.get("externalIPs") or []), *self._load_balancer_addresses()]

    def _external_rules(self, reachable: bool) -> Iterator[Rule]:
        """What happens to a request for a node port, an external or a load balancer's address."""
        if not self.local_outside:
            # The endpoint may be on another node: its answer must come back through this one.
            yield Rule([base.mark_for_masquerade()], "masquerade")
        else:
            from_pod = match(SOURCE, nft.prefix(self.plan.pod_range))
            yield Rule([from_pod, goto(self.cluster_chain)], "short-circuit pod traffic")
            yield Rule([nft.FROM_THIS_NODE, base.mark_for_masquerade()], "masquerade local traffic")
            yield Rule([nft.FROM_THIS_NODE, goto(self.cluster_chain)], "short-circuit local traffic")
        if reachable:
            yield Rule([goto(self.local_chain if self.local_outside else self.cluster_chain)])

    def _write_firewall(self) -> None:
        ranges = sorted(one.strip() for one in self.spec.get("loadBalancerSourceRanges") or [])
        addresses = self._load_balancer_addresses()
        if not ranges or not addresses:
            return
        allowed = nft.prefix(ranges[0]) if len(ranges) == 1 else {"set": [nft.prefix(one) for one in ranges]}
        self.share.chains[self.firewall_chain] = [Rule([match(SOURCE, allowed, "!="), nft.DROP])]
        for address in addresses:
            self.share.elements[base.FIREWALL_IPS, self._to(address)] = Element(goto(self.firewall_chain))

    def _balance(self, endpoints: list[Endpoint]) -> list[Rule]:
        """Picks one endpoint at random; with session affinity, first the one that this client had."""
        if self.sticky:
            names = [self._endpoint_name(one) for one in endpoints]
            again = [Rule([match(SOURCE, f"@affinity-{name}"), goto(f"endpoint-{name}")]) for name in names]
            picks = [[number, goto(f"endpoint-{name}")] for number, name in enumerate(names)]
            return [*again, Rule([nft.vmap(nft.any_of(len(names)), {"set": picks})])]
        if len(endpoints) == 1:
            return [self._translate(endpoints[0])]
        targets = [[number, {"concat": [one.address, one.port]}] for number, one in enumerate(endpoints)]
        pick = {"map": {"key": nft.any_of(len(endpoints)), "data": {"set": targets}}}
        return [Rule([match(PROTOCOL, self.l4), {"dnat": {"family": "ip", "addr": pick}}])]

    def _translate(self, endpoint: Endpoint) -> Rule:
        return Rule([match(PROTOCOL, self.l4), {"dnat": {"addr": endpoint.address, "port": endpoint.port}}])

    def _endpoint_name(self, endpoint: Endpoint) -> str:
        return hashed(f"{self.path}__{endpoint.address}/{endpoint.port}")

    def _write_endpoints(self) -> None:
        config = (self.spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        for one in self.chosen.reachable:
            if one.local:  # a Pod that reaches itself through a Service would answer itself directly, past the translation
                self.share.elements[base.HAIRPINS, (one.address, one.address, self.l4, one.port)] = Element()
            if self.sticky:
                name = self._endpoint_name(one)
                self.share.affinity[f"affinity-{name}"] = config.get("timeoutSeconds") or AFFINITY_SECONDS
                remember = {"set": {"op": "update", "elem": SOURCE, "set": f"@affinity-{name}"}}
                self.share.chains[f"endpoint-{name}"] = [Rule([remember]), self._translate(one)]
