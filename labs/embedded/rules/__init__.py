"""Service rules as kube-proxy's nftables mode writes them, computed from objects; `NodeRules` gives them change by change.

Nothing here touches a network or a process: the node agent hands what comes out to `nft -j -f -`.
"""

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules.nft import Json
from labs.embedded.rules.table import Change, NodeRules

__all__ = ["Change", "NodeRules", "rules"]


def rules(
    services: list[Json], slices: list[Json], node: NodePlan, plan: AddressPlan, pods: list[Json] | None = None
) -> list[Json]:
    """All of a node's rules at once, as commands for nft (one transaction, whatever was there before). pods: for host ports."""
    made = NodeRules(node, plan)
    for resource, objects in (("services", services), ("endpointslices", slices), ("pods", pods or [])):
        for obj in objects:
            made.see(resource, obj)
    return made.whole()
