"""What nft lists of a node's rules, compared: what the kernel adds by itself is no difference, anything else is."""

import copy
import json
from typing import Any

import pytest

from labs.embedded.rules import listing

RULE = {"family": "ip", "table": "kube-proxy", "chain": "services", "expr": [{"drop": None}], "comment": "c"}
CHAIN = {"family": "ip", "table": "kube-proxy", "name": "services"}
BASE = {"family": "ip", "table": "kube-proxy", "name": "filter", "type": "filter", "hook": "input", "policy": "accept"}
SET = {"family": "ip", "table": "kube-proxy", "name": "ips", "type": "ipv4_addr", "elem": ["10.96.0.1", "10.96.0.10"]}
CLIENTS = {"family": "ip", "table": "kube-proxy", "name": "affinity", "flags": ["timeout"], "timeout": 10800, "elem": []}
ENTRIES: list[tuple[str, dict[str, Any]]] = [
    ("metainfo", {"version": "1.0.6"}),
    ("table", {"family": "ip", "name": "kube-proxy"}),
    ("chain", CHAIN),
    ("chain", BASE),
    ("set", SET),
    ("set", CLIENTS),
    ("rule", RULE),
]


def parts(entries: list[tuple[str, dict[str, Any]]]) -> listing.Parts:
    return listing.parts(json.dumps({"nftables": [{kind: body} for kind, body in entries]}))


WANTED = parts(ENTRIES)


def changed(index: int, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    entries = copy.deepcopy(ENTRIES)
    entries[index][1].update(fields)
    return entries


@pytest.mark.parametrize(
    "entries",
    [
        [(kind, {**body, "handle": number}) for number, (kind, body) in enumerate(ENTRIES)],
        changed(4, elem=["10.96.0.10", "10.96.0.1"]),
        changed(5, elem=[{"elem": {"val": "10.1.1.1", "expires": 5}}]),
        [*ENTRIES, ("chain", {**CHAIN, "name": "left-by-an-old-service"})],
    ],
    ids=["handles", "order", "clients", "empty chain"],
)
def test_what_is_no_difference(entries: list[tuple[str, dict[str, Any]]]) -> None:
    assert listing.differences(WANTED, parts(entries)) == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "table ip kube-proxy is gone"),
        (ENTRIES[:-1], "chain services of table ip kube-proxy is gone"),
        (changed(6, expr=[{"accept": None}]), "chain services of table ip kube-proxy is changed"),
        ([*ENTRIES, ENTRIES[-1]], "chain services of table ip kube-proxy is changed"),
        (changed(3, policy="drop"), "chain filter of table ip kube-proxy is changed"),
        (changed(4, elem=["10.96.0.1"]), "set ips of table ip kube-proxy is changed"),
        ([*ENTRIES, ("table", {"family": "inet", "name": "strange"})], "table inet strange is not the cluster's"),
    ],
)
def test_what_is_one(entries: list[tuple[str, dict[str, Any]]], words: str) -> None:
    assert listing.differences(WANTED, parts(entries)) == [words]
