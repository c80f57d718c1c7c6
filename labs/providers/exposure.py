"""Who can send requests to a cluster's node ports, in a line for each provider. Computes only.

none: whether LABS_HOST_PORTS says so: then no node port is mapped to 127.0.0.1.
"""

from labs.providers.engine import Engine

_MAPPED = "every account of this machine, on 127.0.0.1 (LABS_HOST_PORTS=none maps none there)"
BORROWED = "once you have said yes to opening one, whoever reaches an address of the cluster's nodes"


def of_kind(engine: Engine, none: bool) -> str:
    """Of a kind cluster on that engine, whose machine reaches every port of its containers
    (docs.docker.com/engine/network/port-publishing)."""
    nodes = "at the nodes' own addresses, where this machine has a way to them (Docker on Linux)"
    reached = f"every account of this machine, {nodes}" if none else f"{_MAPPED} and {nodes}{_neighbours(engine)}"
    return f"{reached}. Whoever may use the container engine may do anything to your cluster"


def of_embedded(none: bool) -> str:
    """Of an embedded cluster."""
    return "you and root alone" if none else f"{_MAPPED}; nobody else"


def _neighbours(engine: Engine) -> str:
    """Docker before 28 forwards what comes from outside for a container's address and a mapped port (moby/moby#45610)."""
    major = engine.version.partition(".")[0]
    old = engine.program == "docker" and major.isdigit() and int(major) < 28
    return f"; with Docker {engine.version} machines of your own network that ask there, too" if old else ""
