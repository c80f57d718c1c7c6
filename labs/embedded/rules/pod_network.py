"""Pods' own traffic, which is not kube-proxy's matter: their way out of the cluster, and their host ports.

As kind's network does it: requests to outside get the node's address; a host port is translated on its node, on every address
of it unless hostIP names one, on 127.0.0.1 too (the node agent allows that: sysctl route_localnet). Only computes.
"""

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import nft
from labs.embedded.rules.nft import DESTINATION, MARK, MASQUERADE, PORT, PROTOCOL, SOURCE, Json, add_rule, match
from labs.embedded.rules.service import Element, Rule, Share, hashed

TABLE = "pod-network"
HOST_PORTS, HOST_PORTS_OF_ADDRESS = "host-ports", "host-ports-of-address"
MAPS = (HOST_PORTS, HOST_PORTS_OF_ADDRESS)
HOST_PORT_MARK = 0x2000  # portmap's bit of a packet's mark; kube-proxy's is another one
_ANY_ADDRESS = ("", "0.0.0.0")
_SET_MARK: Json = {"mangle": {"key": MARK, "value": {"|": [MARK, HOST_PORT_MARK]}}}
_HOST_PORT_RULES: list[tuple[str, list[Json], str]] = [
    ("host-ports-here", [nft.vmap(nft.concat(DESTINATION, PROTOCOL, PORT), f"@{HOST_PORTS_OF_ADDRESS}")], ""),
    ("host-ports-here", [nft.vmap(nft.concat(PROTOCOL, PORT), f"@{HOST_PORTS}")], ""),
    ("postrouting", [match({"&": [MARK, HOST_PORT_MARK]}, 0, "!="), MASQUERADE], ""),
]


def commands(plan: AddressPlan) -> list[Json]:
    """The table with everything in it but the host ports."""
    made = nft.fresh_table(TABLE)
    port, address_port = ["inet_proto", "inet_service"], ["ipv4_addr", "inet_proto", "inet_service"]
    for name, kind in ((HOST_PORTS, port), (HOST_PORTS_OF_ADDRESS, address_port)):
        made.append(nft.command("add", "map", {"name": name, "type": kind, "map": "verdict"}, TABLE))
    hooks = (("prerouting", -100), ("output", -100), ("postrouting", 100))
    for hook, priority in hooks:
        body = {"name": hook, "type": "nat", "hook": hook, "prio": priority, "policy": "accept"}
        made.append(nft.command("add", "chain", body, TABLE))
    made.append(nft.command("add", "chain", {"name": "host-ports-here"}, TABLE))
    rules = [
        ("prerouting", [nft.TO_THIS_NODE, nft.jump("host-ports-here")], ""),
        ("output", [nft.TO_THIS_NODE, nft.jump("host-ports-here")], ""),
        *_HOST_PORT_RULES,
        *_outbound_rules(plan),
    ]
    return made + [add_rule(chain, expr, comment, TABLE) for chain, expr, comment in rules]


def wants(pod: Json, node: str) -> bool:
    """Whether this Pod has host ports in use on that node."""
    spec, status = pod["spec"], pod.get("status") or {}
    running = bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")
    return spec.get("nodeName") == node and running and not spec.get("hostNetwork") and bool(list(_ports(pod)))


def share(pod: Json, node: NodePlan) -> Share:
    """The host ports of a Pod: a chain for each, as an address of its own cannot be an element's value in nft's JSON."""
    made = Share(table=TABLE)
    # What this node's Pods and 127.0.0.1 ask gets the node's address, as the answer must come back here.
    near = {"set": [nft.prefix(node.pod_range), nft.prefix("127.0.0.0/8")]}
    whose = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for port in _ports(pod):
        protocol, number, host = port.get("protocol", "TCP").lower(), port["hostPort"], port.get("hostIP") or ""
        chain = "host-" + hashed(f"{whose}/{protocol}/{number}/{host}")
        target = {"dnat": {"addr": pod["status"]["podIP"], "port": port["containerPort"]}}
        made.chains[chain] = [
            Rule([match(SOURCE, near), _SET_MARK]),
            Rule([match(PROTOCOL, protocol), target]),
        ]
        if host in _ANY_ADDRESS:
            made.elements[HOST_PORTS, (protocol, number)] = Element(nft.goto(chain))
        else:
            made.elements[HOST_PORTS_OF_ADDRESS, (host, protocol, number)] = Element(nft.goto(chain))
        if protocol == "udp":
            made.udp.add((node.address if host in _ANY_ADDRESS else host, number))
    return made


def _ports(pod: Json) -> list[Json]:
    containers = pod["spec"].get("containers") or []
    return [port for container in containers for port in container.get("ports") or [] if port.get("hostPort")]


def _outbound_rules(plan: AddressPlan) -> list[tuple[str, list[Json], str]]:
    pods = nft.prefix(plan.pod_range)
    elsewhere = match({"fib": {"result": "type", "flags": ["daddr"]}}, "local", "!=")
    outside = [match(SOURCE, pods), match(DESTINATION, pods, "!="), elsewhere]
    return [("postrouting", [*outside, {"masquerade": None}], "Pods' way out of the cluster")]
