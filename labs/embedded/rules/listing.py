"""What `nft -j list ruleset` shows, in a form in which two listings can be compared: those of the same rules are equal.

Left out is what the kernel numbers, counts or adds by itself: handles, and the clients that a set with a timeout remembers.
Computes only.
"""

import json
from typing import Any

from labs.embedded.rules.nft import Json

LIST = ["nft", "-j", "list", "ruleset"]
Part = tuple[str, str]  # a table's family and name; "" for itself, or the kind and name of what is in it
Parts = dict[Part, Any]


def parts(listing: str) -> Parts:
    """Each table, chain, set and map of a listing, with what is in it. Empty chains are left out, for NodeRules.sweep may have
    left them behind; not those with a hook, which every packet goes through."""
    found: Parts = {}
    for entry in json.loads(listing)["nftables"]:
        [(kind, body)] = entry.items()
        if kind == "metainfo":
            continue
        table = f"{body['family']} {body['table' if 'table' in body else 'name']}"
        if kind == "rule":
            found[table, f"chain {body['chain']}"]["rules"].append((body["expr"], body.get("comment", "")))
        elif kind == "table":
            found[table, ""] = {}
        elif kind == "chain":
            found[table, f"chain {body['name']}"] = {"rules": [], **_without(body, "handle")}
        else:
            found[table, f"{kind} {body['name']}"] = _set(body)
    return {part: content for part, content in found.items() if content.get("rules") != [] or "hook" in content}


def _set(body: Json) -> Json:
    elements = [] if "timeout" in (body.get("flags") or []) else body.get("elem") or []
    return {**_without(body, "handle", "elem"), "elem": sorted(json.dumps(one, sort_keys=True) for one in elements)}


def _without(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


def differences(wanted: Parts, seen: Parts) -> list[str]:
    """What a table lacks, or has besides, as a predicate each: "table ip kube-proxy is gone". At most one of each table."""
    words = {}
    for part in sorted(wanted.keys() | seen.keys()):
        table, inside = part
        if wanted.get(part) == seen.get(part) or table in words:
            continue
        name = f"table {table}" if not inside else f"{inside} of table {table}"
        state = "is gone" if part not in seen else "is not the cluster's" if part not in wanted else "is changed"
        words[table] = f"{name} {state}"
    return list(words.values())
