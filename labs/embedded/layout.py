"""What there should be in a network namespace: links, addresses, routes; and what of it is missing from what `ip` shows.

Only computes: the lines are for `ip -batch`, which links.py runs.
"""

import json
from dataclasses import dataclass

SHOW = "address show\nroute show"  # for `ip -j -batch -`


@dataclass(frozen=True)
class Link:
    """A link, which is to be up. address: with its prefix length; options: of the address; master: the bridge it belongs to."""

    name: str
    address: str = ""
    options: str = ""
    master: str = ""


@dataclass(frozen=True)
class Route:
    """A route. to: "default" or a range; via: a gateway; link: where `ip` cannot tell by itself."""

    to: str
    via: str = ""
    link: str = ""
    options: str = ""

    def __str__(self) -> str:
        return " ".join([self.to, *(["via", self.via] if self.via else []), *(["dev", self.link] if self.link else [])])


@dataclass(frozen=True)
class Layout:
    """All of a namespace. What else is there is no matter of ours."""

    links: tuple[Link, ...]
    routes: tuple[Route, ...] = ()

    def lines(self) -> list[str]:
        """Makes it so, whatever of it is there already; the links themselves must be."""
        lines = []
        for link in self.links:
            if link.master:
                lines.append(f"link set {link.name} master {link.master}")
            if link.address:
                lines.append(f"address replace {link.address} {link.options} dev {link.name}")
            lines.append(f"link set {link.name} up")
        return lines + [f"route replace {route} {route.options}" for route in self.routes]

    def wrong(self, shown: str) -> list[str]:
        """What is not so, as a predicate each: "link eth0 is down". shown: what `ip` says to SHOW."""
        found = [json.loads(line) for line in shown.splitlines() if line.strip()]
        addresses, routes = found[0], (found[1] if len(found) > 1 else [])
        links = {link["ifname"]: link for link in addresses}
        wrong = [word for link in self.links for word in _wrong(link, links.get(link.name))]
        there = {(route["dst"], route.get("gateway", ""), route.get("dev", "")) for route in routes}
        return wrong + [f"route {route} is gone" for route in self.routes if not _leads(route, there)]

    def lost(self, shown: str) -> set[str]:
        """The links that are not there at all."""
        there = {link["ifname"] for link in json.loads(shown.splitlines()[0])}
        return {link.name for link in self.links} - there


def _wrong(link: Link, shown: dict[str, object] | None) -> list[str]:
    if shown is None:
        return [f"link {link.name} is gone"]
    wrong = []
    if "UP" not in shown["flags"]:  # type: ignore[operator]
        wrong.append(f"link {link.name} is down")
    if link.master and shown.get("master") != link.master:
        wrong.append(f"link {link.name} is not on bridge {link.master}")
    addresses = {f"{one['local']}/{one['prefixlen']}" for one in shown["addr_info"] if one["family"] == "inet"}  # type: ignore[attr-defined]
    if link.address and link.address not in addresses:
        wrong.append(f"address {link.address} of {link.name} is gone")
    return wrong


def _leads(route: Route, there: set[tuple[str, str, str]]) -> bool:
    to = route.to.removesuffix("/32")
    return any((to, route.via) == (dst, via) and route.link in ("", dev) for dst, via, dev in there)
