"""What `status` says of a cluster that we made and that is up: in the same words, whoever made it. Looks at nothing itself."""

from collections.abc import Iterable, Mapping

from labs.cluster import Address, Node
from labs.providers.kindconfig import NONE_MAPPED


def standing(first: str, nodes: Iterable[Node], mapped: Mapping[int, Address], warning: str = "") -> str:
    """The first line, its nodes, which node ports this laptop reaches and where, a warning if there is one, how to end it."""
    lines = [first, *(f"  node {node.name}  {node.address}" for node in nodes)]
    lines += [f"  node port {port} answers on this laptop at {there}" for port, there in sorted(mapped.items())]
    lines += [] if mapped else [f"  {NONE_MAPPED}"]
    lines += [f"  {warning}"] if warning else []
    return "\n".join([*lines, "It stays up when JupyterLab ends. `python -m labs down` ends it."])
