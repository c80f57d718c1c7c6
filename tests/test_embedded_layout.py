"""What a network namespace should have, compared with what `ip` shows of it."""

import json
from typing import Any

from labs.embedded.layout import Layout, Link, Route

LAYOUT = Layout(
    (Link("lo"), Link("eth0", "10.244.0.5/24", "brd + noprefixroute"), Link("node0", master="nodes")),
    (Route("default", "10.244.0.1", "eth0"), Route("10.244.1.7/32", link="eth0", options="scope host")),
)


def link(name: str, *addresses: str, up: bool = True, **more: Any) -> dict[str, Any]:
    parts = [address.split("/") for address in addresses]
    info = [{"family": "inet", "local": local, "prefixlen": int(length)} for local, length in parts]
    info.append({"family": "inet6", "local": "fe80::1", "prefixlen": 64})
    return {"ifname": name, "flags": ["BROADCAST", *(["UP"] if up else [])], "addr_info": info, **more}


def shown(links: list[dict[str, Any]], routes: list[dict[str, Any]]) -> str:
    return f"{json.dumps(links)}\n{json.dumps(routes)}\n"


LINKS = [link("lo"), link("eth0", "10.244.0.5/24"), link("node0", master="nodes")]
ROUTES = [{"dst": "default", "gateway": "10.244.0.1", "dev": "eth0"}, {"dst": "10.244.1.7", "dev": "eth0", "scope": "host"}]


def test_as_it_should_be_with_what_somebody_added() -> None:
    more = [*LINKS, link("tun0", "10.9.9.9/32")], [*ROUTES, {"dst": "10.9.0.0/16", "dev": "tun0"}]
    assert LAYOUT.wrong(shown(LINKS, ROUTES)) == LAYOUT.wrong(shown(*more)) == []
    assert LAYOUT.lost(shown(LINKS, ROUTES)) == set()


def test_what_is_missing_is_named() -> None:
    assert LAYOUT.wrong(shown([LINKS[0], link("eth0", "10.244.0.6/24", up=False), link("node0")], [])) == [
        "link eth0 is down",
        "address 10.244.0.5/24 of eth0 is gone",
        "link node0 is not on bridge nodes",
        "route default via 10.244.0.1 dev eth0 is gone",
        "route 10.244.1.7/32 dev eth0 is gone",
    ]
    assert LAYOUT.wrong(shown(LINKS[:1], ROUTES)) == ["link eth0 is gone", "link node0 is gone"]
    assert LAYOUT.lost(shown(LINKS[:1], ROUTES)) == {"eth0", "node0"}


def test_a_route_that_leads_elsewhere_is_none() -> None:
    other = [{**ROUTES[0], "gateway": "10.244.0.9"}, {**ROUTES[1], "dev": "tun0"}]
    assert LAYOUT.wrong(shown(LINKS, other)) == [
        "route default via 10.244.0.1 dev eth0 is gone",
        "route 10.244.1.7/32 dev eth0 is gone",
    ]


def test_an_empty_table_of_routes_may_be_no_line_at_all() -> None:
    assert Layout((Link("lo"),)).wrong(f"{json.dumps(LINKS)}\n") == []


def test_the_lines_make_it_whatever_there_is() -> None:
    assert LAYOUT.lines() == [
        "link set lo up",
        "address replace 10.244.0.5/24 brd + noprefixroute dev eth0",
        "link set eth0 up",
        "link set node0 master nodes",
        "link set node0 up",
        "route replace default via 10.244.0.1 dev eth0 ",
        "route replace 10.244.1.7/32 dev eth0 scope host",
    ]
