"""The words of nftables' JSON (libnftables-json(5)) that the rules are made of: plain dicts, made by small functions.

Only builds them: which rules there are is decided elsewhere (base, service, host_ports), and the node agent hands them to nft.
"""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Key = tuple[str | int, ...]  # of an element, in the order of its set's type

MOST = 100_000  # letters of a transaction
TABLE = "kube-proxy"  # kube-proxy's own name for its table


def transactions(commands: list[Json], most: int = MOST) -> Iterator[str]:
    """The commands as nft's input: one transaction, but more where they are very many.

    The kernel takes a transaction as one message, and an ordinary user's may not be larger than its socket's buffer
    (net.core.wmem_max): a thousand Services at once are.
    """
    batch: list[str] = []
    size = 0
    for text in map(json.dumps, commands):
        if batch and size + len(text) > most:
            yield _input(batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield _input(batch)


def _input(batch: list[str]) -> str:
    return '{"nftables": [' + ", ".join(batch) + "]}"


FLUSH: Json = {"flush": {"ruleset": None}}  # all tables of the namespace


def command(verb: str, kind: str, body: Json, table: str = TABLE) -> Json:
    """One command, such as add (verb) a chain (kind)."""
    return {verb: {kind: {"family": "ip", "table": table, **body}}}


def add_rule(chain: str, expr: list[Json], comment: str = "", table: str = TABLE) -> Json:
    """Appends a rule to a chain."""
    return command("add", "rule", {"chain": chain, "expr": expr} | ({"comment": comment} if comment else {}), table)


def fresh_table(table: str) -> list[Json]:
    """An empty table of that name, whether or not there was one: for the head of a transaction."""
    named = {"table": {"family": "ip", "name": table}}
    return [{"add": named}, {"delete": named}, {"add": named}]


def key(parts: Key) -> Any:
    """An element's key: concatenated where it has several parts."""
    return parts[0] if len(parts) == 1 else {"concat": list(parts)}


def match(left: Json, right: Any, op: str = "==") -> Json:
    """Goes on only where `left` compares so with `right`."""
    return {"match": {"op": op, "left": left, "right": right}}


def goto(chain: str) -> Json:
    """Goes on in another chain and does not come back."""
    return {"goto": {"target": chain}}


def jump(chain: str) -> Json:
    """Goes through another chain and comes back."""
    return {"jump": {"target": chain}}


def prefix(cidr: str) -> Json:
    """A range of addresses."""
    address, length = cidr.split("/")
    return {"prefix": {"addr": address, "len": int(length)}}


def concat(*parts: Json) -> Json:
    """Several fields of a packet as one key."""
    return {"concat": list(parts)}


def vmap(by: Json, data: Any) -> Json:
    """Does what a verdict map says for a key."""
    return {"vmap": {"key": by, "data": data}}


def any_of(count: int) -> Json:
    """A number from 0 to below `count`, at random."""
    return {"numgen": {"mode": "random", "mod": count, "offset": 0}}


DROP: Json = {"drop": None}
REJECT: Json = {"reject": {"type": "icmp", "expr": "port-unreachable"}}
MASQUERADE: Json = {"masquerade": {"flags": "fully-random"}}
SOURCE: Json = {"payload": {"protocol": "ip", "field": "saddr"}}
DESTINATION: Json = {"payload": {"protocol": "ip", "field": "daddr"}}
PROTOCOL: Json = {"meta": {"key": "l4proto"}}
PORT: Json = {"payload": {"protocol": "th", "field": "dport"}}
MARK: Json = {"meta": {"key": "mark"}}
FROM_THIS_NODE = match({"fib": {"result": "type", "flags": ["saddr"]}}, "local")
TO_THIS_NODE = match({"fib": {"result": "type", "flags": ["daddr"]}}, "local")
NEW = match({"ct": {"key": "state"}}, "new", "in")
TRANSLATED = match({"ct": {"key": "status"}}, "dnat", "in")
