"""Whether this laptop, or another machine, sends a request for an address to this cluster, by its kernel's routing table.

A laptop almost always has a default route: it takes a packet for any Pod address, and somebody else may answer. So only
a way that is the cluster's is used: the gateway is a node, or the address is on the nodes' own link. Runs nothing.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

# "$@" addresses. One line each: the route that the kernel takes, whole, as `ip` tells it in JSON, or as macOS' `route` does.
SCRIPT = r"""
export LC_ALL=C
number=0
for address; do
  if command -v ip >/dev/null 2>&1; then found=$(ip -j route get fibmatch "$address" 2>&1)
  else found=$(route -n get "$address" 2>&1); fi
  printf '\036%s\n%s\n' "$number" "$found"
  number=$((number + 1))
done
"""


@dataclass(frozen=True)
class Route:
    """One entry of a routing table. gateway: "" where the address is on the link itself. wide: it is a default route, or half
    of one (as a VPN makes them). local: the address is this machine's own."""

    gateway: str
    device: str
    wide: bool
    local: bool = False


def command(addresses: Iterable[str]) -> list[str]:
    """The command that reads the routes to these IP addresses."""
    return ["sh", "-c", SCRIPT, "sh", *addresses]


def read(out: str, addresses: list[str]) -> dict[str, Route | None]:
    """The routes in the output of `command`, by address. None: the kernel has none, so nothing leaves the machine.

    An address is missing where its route could not be read.
    """
    found: dict[str, Route | None] = {}
    for part in out.split("\x1e")[1:]:
        number, _, text = part.partition("\n")
        if not (number.isdigit() and int(number) < len(addresses)):
            continue
        if re.search(r"unreachable|not in table", text) and "{" not in text:
            found[addresses[int(number)]] = None
            continue
        route = _linux(text) if text.lstrip().startswith("[") else _macos(text)
        if route is not None:
            found[addresses[int(number)]] = route
    return found


def _linux(text: str) -> Route | None:
    """A route as `ip -j route get fibmatch` tells it."""
    try:
        entry = json.loads(text)[0]
        gateway = entry.get("gateway") or (entry.get("via") or {}).get("host", "")
        return Route(str(gateway), str(entry["dev"]), _is_wide(str(entry["dst"])), entry.get("type") == "local")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _macos(text: str) -> Route | None:
    """A route as macOS' `route -n get` tells it: lines of "name: value". A gateway may be "link#5", which is none."""
    entry = dict(re.findall(r"^\s*(\w+): *(\S+)", text, re.MULTILINE))
    if "interface" not in entry:
        return None
    gateway = entry.get("gateway", "")
    gateway = "" if gateway.startswith("link#") or "GATEWAY" not in text else gateway
    wide = entry.get("destination") == "default" or entry.get("mask") in ("default", "0.0.0.0", "128.0.0.0")
    return Route(gateway, entry["interface"], wide, entry["interface"].startswith("lo"))


def _is_wide(prefix: str) -> bool:
    return prefix == "default" or prefix.endswith(("/0", "/1"))


def why_not(address: str, routes: Mapping[str, Route | None], nodes: Collection[str], whose: str) -> str:
    """Why a request to this address would leave for somewhere else than this cluster; "" where it would not.

    routes: of this address and of all nodes. nodes: their addresses. whose: "your" or "its", the routing table's.
    """
    if address not in routes:
        return f"{whose} routing table could not be read, so nobody knows who would get a request for {address}"
    route = routes[address]
    if route is None or route.local or route.gateway in nodes:
        return ""
    on_link = {r.device for n in nodes if (r := routes.get(n)) is not None and not (r.gateway or r.wide or r.local)}
    if not route.gateway and not route.wide and route.device in on_link:
        return ""
    by = f"{route.gateway} by {route.device}" if route.gateway else f"the network behind {route.device}"
    return f"{whose} routing table sends {address} to {by}, which is not this cluster"
