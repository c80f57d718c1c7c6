"""The part of kube-proxy's table that is there whatever Services there are: base chains, sets, maps, the order of decisions.

As kube-proxy's nftables mode writes it (pkg/proxy/nftables/proxier.go, Kubernetes 1.37). Only computes.
"""

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import nft
from labs.embedded.rules.nft import DESTINATION, MARK, MASQUERADE, NEW, PORT, PROTOCOL, REJECT, SOURCE, Json, add_rule, match

MASQUERADE_MARK = 0x4000  # kube-proxy's default bit of a packet's mark: "give it this node's address on its way out"

CLUSTER_IPS, NODE_PORT_IPS, HAIRPINS = "cluster-ips", "nodeport-ips", "hairpin-connections"
SERVICE_IPS, SERVICE_NODE_PORTS = "service-ips", "service-nodeports"
NO_ENDPOINT_IPS, NO_ENDPOINT_NODE_PORTS, FIREWALL_IPS = "no-endpoint-services", "no-endpoint-nodeports", "firewall-ips"
REJECT_CHAIN = "reject-chain"

_ADDRESS_PORT = ["ipv4_addr", "inet_proto", "inet_service"]
_PORT = ["inet_proto", "inet_service"]
_SETS: dict[str, str | list[str]] = {
    HAIRPINS: ["ipv4_addr", *_ADDRESS_PORT],
    CLUSTER_IPS: "ipv4_addr",
    NODE_PORT_IPS: "ipv4_addr",
}
MAPS = {
    NO_ENDPOINT_IPS: _ADDRESS_PORT,
    NO_ENDPOINT_NODE_PORTS: _PORT,
    FIREWALL_IPS: _ADDRESS_PORT,
    SERVICE_IPS: _ADDRESS_PORT,
    SERVICE_NODE_PORTS: _PORT,
}
# Base chains: name → type, hook, priority. -100: where destinations are translated; -110: before that; 100: sources.
_HOOKS = {
    "filter-prerouting-pre-dnat": ("filter", "prerouting", -110),
    "filter-output-pre-dnat": ("filter", "output", -110),
    "filter-input": ("filter", "input", 0),
    "filter-forward": ("filter", "forward", 0),
    "filter-output": ("filter", "output", 0),
    "nat-prerouting": ("nat", "prerouting", -100),
    "nat-output": ("nat", "output", -100),
    "nat-postrouting": ("nat", "postrouting", 100),
}
_CHAINS = (
    "nodeport-endpoints-check",
    "service-endpoints-check",
    "firewall-check",
    "services",
    "masquerading",
    "cluster-ips-check",
    REJECT_CHAIN,
)
_TO_ADDRESS_PORT = nft.concat(DESTINATION, PROTOCOL, PORT)
_TO_PORT = nft.concat(PROTOCOL, PORT)


def mark_for_masquerade() -> Json:
    """Marks the packet, so that it leaves with this node's address as its source."""
    return {"mangle": {"key": MARK, "value": {"|": [MARK, MASQUERADE_MARK]}}}


def commands(node: NodePlan, plan: AddressPlan) -> list[Json]:
    """The table with everything in it but the Services."""
    made = nft.fresh_table(nft.TABLE)
    made += [nft.command("add", "set", {"name": name, "type": kind}) for name, kind in _SETS.items()]
    made += [nft.command("add", "map", {"name": name, "type": kind, "map": "verdict"}) for name, kind in MAPS.items()]
    for name, (kind, hook, priority) in _HOOKS.items():
        body = {"name": name, "type": kind, "hook": hook, "prio": priority, "policy": "accept"}
        made.append(nft.command("add", "chain", body))
    made += [nft.command("add", "chain", {"name": name}) for name in _CHAINS]
    made.append(nft.command("add", "element", {"name": NODE_PORT_IPS, "elem": [node.address]}))
    return made + _filter_rules(plan) + _nat_rules(plan)


def _filter_rules(plan: AddressPlan) -> list[Json]:
    """What is refused or dropped: only a connection's first packet is asked about."""
    return [
        *(
            add_rule(chain, [NEW, nft.jump(check)])
            for chain, check in (
                ("filter-prerouting-pre-dnat", "firewall-check"),
                ("filter-output-pre-dnat", "firewall-check"),
                ("filter-input", "nodeport-endpoints-check"),
                ("filter-input", "service-endpoints-check"),
                ("filter-forward", "service-endpoints-check"),
                ("filter-forward", "cluster-ips-check"),
                ("filter-output", "service-endpoints-check"),
                ("filter-output", "cluster-ips-check"),
            )
        ),
        add_rule(
            "nodeport-endpoints-check",
            [match(DESTINATION, f"@{NODE_PORT_IPS}"), nft.vmap(_TO_PORT, f"@{NO_ENDPOINT_NODE_PORTS}")],
        ),
        add_rule("service-endpoints-check", [nft.vmap(_TO_ADDRESS_PORT, f"@{NO_ENDPOINT_IPS}")]),
        add_rule("firewall-check", [nft.vmap(_TO_ADDRESS_PORT, f"@{FIREWALL_IPS}")]),
        add_rule(
            "cluster-ips-check",
            [match(DESTINATION, f"@{CLUSTER_IPS}"), REJECT],
            "Reject traffic to invalid ports of ClusterIPs",
        ),
        add_rule(
            "cluster-ips-check",
            [match(DESTINATION, nft.prefix(plan.service_range)), nft.DROP],
            "Drop traffic to unallocated ClusterIPs",
        ),
        add_rule(REJECT_CHAIN, [REJECT]),
    ]


def _nat_rules(plan: AddressPlan) -> list[Json]:
    """What is translated: destinations on the way in, sources on the way out."""
    marked = match({"&": [MARK, MASQUERADE_MARK]}, 0, "!=")
    unmark = {"mangle": {"key": MARK, "value": {"^": [MARK, MASQUERADE_MARK]}}}
    hairpin = match(nft.concat(SOURCE, DESTINATION, PROTOCOL, PORT), f"@{HAIRPINS}")
    from_outside = match(SOURCE, nft.prefix(plan.pod_range), "!=")
    return [
        add_rule("nat-prerouting", [nft.jump("services")]),
        add_rule("nat-output", [nft.jump("services")]),
        add_rule("nat-postrouting", [nft.jump("masquerading")]),
        add_rule(
            "services",
            [match(DESTINATION, f"@{CLUSTER_IPS}"), from_outside, mark_for_masquerade()],
            "masquerade clusterIP traffic from outside cluster",
        ),
        add_rule("services", [nft.vmap(_TO_ADDRESS_PORT, f"@{SERVICE_IPS}")]),
        add_rule("services", [match(DESTINATION, f"@{NODE_PORT_IPS}"), nft.vmap(_TO_PORT, f"@{SERVICE_NODE_PORTS}")]),
        add_rule("masquerading", [marked, unmark, MASQUERADE]),
        add_rule("masquerading", [nft.TRANSLATED, hairpin, MASQUERADE]),
    ]
