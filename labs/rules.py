"""Reads the Service rules of a node, as `Cluster.rules` gives them: who wrote them, and the few lines about one Service.

Only computes. Does not fetch the rules (the cluster does) or explain them (lesson 03 does).
"""

import re


def mode(rules: str) -> str:
    """kube-proxy's mode that these rules show: "nftables" or "iptables"; "" where they are neither's."""
    if re.search(r"^table ip6? kube-proxy\b", rules, re.MULTILINE):
        return "nftables"
    return "iptables" if "KUBE-SERVICES" in rules else ""


def of_service(rules: str, namespace: str, service: str) -> str:
    """The lines that are about a Service, in their order; "" where there is none.

    iptables: each rule names its Service in a comment. nftables: a chain names it in its own name and is taken whole; a map
    names the chain, and only that element is taken.
    """
    if mode(rules) == "nftables":
        return "\n".join(_nftables(rules.splitlines(), f"{namespace}/{service}/"))
    comment = re.compile(rf'"{re.escape(namespace)}/{re.escape(service)}[:" ]')
    return "\n".join(line for line in rules.splitlines() if comment.search(line))


def _nftables(lines: list[str], name: str) -> list[str]:
    whole = re.compile(rf"\s*chain \S*-{re.escape(name)}")
    element = re.compile(rf"[^{{}},]*-{re.escape(name)}[^{{}},]*")
    found: list[str] = []
    inside = False
    for line in lines:
        inside = inside or bool(whole.match(line))
        if inside:
            found.append(line.removeprefix("\t").expandtabs(4))
            inside = line.strip() != "}"
        else:
            found += [one.strip() for one in element.findall(line)]
    return found
