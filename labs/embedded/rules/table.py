"""A node's Service rules as they change: told of Services, EndpointSlices and Pods, it gives nft's next transaction.

Work and transaction are as large as the change, whatever there is beside it. No I/O: the node agent applies what it is given.
"""

from dataclasses import dataclass
from typing import Any

from labs.embedded.plan import AddressPlan, NodePlan
from labs.embedded.rules import base, nft, pod_network
from labs.embedded.rules.nft import Json, Key
from labs.embedded.rules.service import Element, Rule, Share, share

SERVICE_NAME = "kubernetes.io/service-name"  # the label by which an EndpointSlice tells its Service
HEADLESS = "service.kubernetes.io/headless"  # slices so labelled are not for proxies

Name = tuple[str, str, str]  # of a share: "service" or "pod", namespace, name
Chain = tuple[str, str]  # its table and its name


@dataclass(frozen=True)
class Change:
    """A transaction for nft, and the UDP destinations whose remembered connections (conntrack) would still go the old way."""

    commands: list[Json]
    stale_udp: set[tuple[str, int]]


class NodeRules:
    """The rules of one node. Feed it with `see`, begin with `whole`, go on with `change`, tidy up with `sweep`."""

    def __init__(self, node: NodePlan, plan: AddressPlan) -> None:
        self.node, self.plan = node, plan
        self._services: dict[Name, Json] = {}
        self._slices: dict[Name, dict[str, Json]] = {}  # by their Service, then by their own name
        self._about: dict[tuple[str, str], Name] = {}  # a slice's Service
        self._pods: dict[Name, Json] = {}
        self._shares: dict[Name, Share] = {}
        self._holders: dict[tuple[str, Key], dict[Name, Element]] = {}  # who wants an element: Services may share some
        self._dirty: set[Name] = set()
        self._emptied: set[Chain] = set()  # chains that nothing leads to any more

    def see(self, resource: str, obj: Json, gone: bool = False) -> bool:
        """Takes note of an object of the store, or that it is gone. True where the rules may be other ones now."""
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if resource == "services":
            return self._note(self._services, ("service", namespace, name), None if gone else obj)
        if resource == "endpointslices":
            labels = obj["metadata"].get("labels") or {}
            about: Name = ("service", namespace, labels.get(SERVICE_NAME, ""))
            if HEADLESS in labels:
                gone = True
            moved = self._about.get((namespace, name), about)
            if moved != about:  # it was another Service's before
                self._note_slice(moved, name, None)
            return self._note_slice(about, name, None if gone else obj) or moved != about
        if resource == "pods":
            here = not gone and pod_network.wants(obj, self.node.name)
            return self._note(self._pods, ("pod", namespace, name), obj if here else None)
        return False

    def whole(self) -> list[Json]:
        """Everything, from nothing: kube-proxy's table, and those of Pods' own traffic. Clients' affinity is forgotten."""
        self._shares.clear()
        self._holders.clear()
        self._emptied.clear()
        self._dirty = {*self._services, *self._slices, *self._pods}
        return base.commands(self.node, self.plan) + pod_network.commands(self.plan) + self.change().commands

    def fresh(self) -> list[Json]:
        """The same as `whole`, and what there was is not forgotten: for comparing."""
        other = NodeRules(self.node, self.plan)
        other._services, other._slices, other._pods = self._services, self._slices, self._pods
        return other.whole()

    def change(self) -> Change:
        """What has changed since the last call, as one transaction; no commands where nothing has."""
        names, self._dirty = sorted(self._dirty), set()
        work = _Work()
        touched: dict[tuple[str, Key], Element | None] = {}
        for name in names:
            old, new = self._shares.get(name, Share()), self._share(name)
            work.add(old, new)
            for key in {**old.elements, **new.elements}:
                touched.setdefault(key, self._effective(key))
                holders = self._holders.setdefault(key, {})
                if key in new.elements:
                    holders[name] = new.elements[key]
                else:
                    holders.pop(name, None)
            self._shares[name] = new
            if not new.elements:
                del self._shares[name]
        for key, before in touched.items():
            work.element(key, before, self._effective(key))
            if not self._holders[key]:
                del self._holders[key]
        self._emptied = (self._emptied | work.emptied) - work.filled
        return Change(work.transaction(), work.udp)

    def sweep(self) -> list[Json]:
        """Deletes chains that were emptied before: in a transaction of its own, a second or more after the last change.

        Before Linux 6.2 a chain counts as used for a moment after the last map element that led to it is gone, and the whole
        transaction that deletes it fails (pkg/proxy/nftables/proxier.go). Then they are left for good: empty, harmless.
        """
        chains, self._emptied = sorted(self._emptied), set()
        return [nft.command("delete", "chain", {"name": chain}, table) for table, chain in chains]

    def _note(self, where: dict[Name, Json], name: Name, obj: Json | None) -> bool:
        old = where.get(name)
        if obj is None:
            where.pop(name, None)
        else:
            where[name] = obj
        if old is None and obj is None:
            return False
        if old is not None and obj is not None and _relevant(old) == _relevant(obj):
            return False
        self._dirty.add(name)
        return True

    def _note_slice(self, about: Name, name: str, obj: Json | None) -> bool:
        slices = self._slices.setdefault(about, {})
        old = slices.pop(name, None)
        if obj is None:
            self._about.pop((about[1], name), None)
        else:
            slices[name] = obj
            self._about[about[1], name] = about
        if not slices:
            del self._slices[about]
        if old is None and obj is None:
            return False
        if old is not None and obj is not None and all(old.get(key) == obj.get(key) for key in ("endpoints", "ports")):
            return False
        self._dirty.add(about)
        return True

    def _share(self, name: Name) -> Share:
        if name[0] == "pod":
            return pod_network.share(self._pods[name], self.node) if name in self._pods else Share()
        if name not in self._services:
            return Share()
        return share(self._services[name], list(self._slices.get(name, {}).values()), self.node, self.plan)

    def _effective(self, key: tuple[str, Key]) -> Element | None:
        holders = self._holders.get(key)
        return holders[min(holders)] if holders else None


class _Work:
    """A transaction in the making, put in the order that nft needs: whatever is used is there before, and gone after."""

    def __init__(self) -> None:
        self.udp: set[tuple[str, int]] = set()
        self._old: set[Chain] = set()
        self._new: set[Chain] = set()
        self._written: dict[Chain, list[Rule]] = {}
        self._sets: list[Json] = []
        self._elements: list[Json] = []

    @property
    def emptied(self) -> set[Chain]:
        """Chains that nothing leads to any more."""
        return self._old - self._new

    @property
    def filled(self) -> set[Chain]:
        """Chains that are in use."""
        return self._new

    def add(self, old: Share, new: Share) -> None:
        """One share's chains and affinity sets."""
        if old != new:
            self.udp |= old.udp | new.udp
        self._old |= {(old.table, chain) for chain in old.chains}
        self._new |= {(new.table, chain) for chain in new.chains}
        for chain, rules in new.chains.items():
            # A rule that uses a set which is made anew must be gone before, and come again after.
            if old.chains.get(chain) != rules or old.affinity != new.affinity:
                self._written[new.table, chain] = rules
        changed = {name for name in old.affinity | new.affinity if old.affinity.get(name) != new.affinity.get(name)}
        self._sets += [nft.command("delete", "set", {"name": name}) for name in sorted(changed & old.affinity.keys())]
        for name in sorted(changed & new.affinity.keys()):
            timed = {"size": 65535, "flags": ["timeout"], "timeout": new.affinity[name]}
            self._sets.append(nft.command("add", "set", {"name": name, "type": "ipv4_addr", **timed}))

    def element(self, key: tuple[str, Key], before: Element | None, after: Element | None) -> None:
        """One element's change, if it is one."""
        if before == after:
            return
        name, parts = key
        table = pod_network.TABLE if name in pod_network.MAPS else nft.TABLE
        if before is not None:
            self._elements.append(nft.command("delete", "element", {"name": name, "elem": [nft.key(parts)]}, table))
        if after is not None:
            self._elements.append(nft.command("add", "element", {"name": name, "elem": [_element(parts, after)]}, table))

    def transaction(self) -> list[Json]:
        """The commands, in order."""
        made = [nft.command("add", "chain", {"name": chain}, table) for table, chain in self._written]
        made += [
            nft.command("flush", "chain", {"name": chain}, table) for table, chain in [*self._written, *sorted(self.emptied)]
        ]
        made += self._sets
        for (table, chain), rules in self._written.items():
            made += [nft.add_rule(chain, rule.expr, rule.comment, table) for rule in rules]
        return made + self._elements


def _element(parts: Key, element: Element) -> Any:
    key = nft.key(parts)
    if element.comment:
        key = {"elem": {"val": key, "comment": element.comment}}
    return key if element.value is None else [key, element.value]


def _relevant(obj: Json) -> Any:
    """What the rules depend on, of a Service or a Pod."""
    status = obj.get("status") or {}
    return obj["spec"], obj["metadata"].get("labels"), status.get("loadBalancer"), status.get("podIP"), status.get("phase")
