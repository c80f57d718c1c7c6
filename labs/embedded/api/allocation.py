"""ClusterIPs and node ports: which are taken, and which a Service gets (pkg/registry/core/service/storage/alloc.go).

Keeps what is taken by listening to the store, so nothing can be lost or be given twice. One address family: IPv4.
"""

import ipaddress
import random
from typing import Any

from labs.embedded.api import service_rules, status
from labs.embedded.api.status import Refused, invalid
from labs.embedded.plan import AddressPlan
from labs.embedded.store import Event, Store

Object = dict[str, Any]
Key = tuple[str, str]
FAMILY = "IPv4"
TAKEN_PORT = "provided port is already allocated"
TAKEN_ADDRESS = "provided IP is already allocated"


def needs_cluster_ip(spec: Object) -> bool:
    """Whether a Service of this type has an address (or says that it wants none)."""
    return bool(spec["type"] != "ExternalName")


def needs_node_port(spec: Object) -> bool:
    """Whether a Service of this type has node ports."""
    return spec["type"] in ("NodePort", "LoadBalancer")


def needs_health_port(spec: Object) -> bool:
    """Whether load balancers ask this Service's nodes if they have a Pod."""
    return bool(spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


class Allocation:
    """The addresses and node ports of one cluster's Services."""

    def __init__(self, store: Store, plan: AddressPlan) -> None:
        self.store, self.plan = store, plan
        self.network = ipaddress.IPv4Network(plan.service_range)
        self.addresses: dict[str, Key] = {}
        self.ports: dict[int, Key] = {}
        for obj in store.list("services"):
            self._take(obj)
        store.subscribe(self._heard)

    # --- what is taken

    def _heard(self, event: Event) -> None:
        if event.resource != "services":
            return
        if event.old is not None:
            key = _key(event.old)
            for address in [one for one in _addresses(event.old["spec"]) if self.addresses.get(one) == key]:
                del self.addresses[address]
            for port in {one for one in _ports(event.old["spec"]) if self.ports.get(one) == key}:
                del self.ports[port]
        if event.type != "DELETED":
            self._take(event.object)

    def _take(self, obj: Object) -> None:
        self.addresses.update(dict.fromkeys(_addresses(obj["spec"]), _key(obj)))
        self.ports.update(dict.fromkeys(_ports(obj["spec"]), _key(obj)))

    # --- what an update keeps

    def adopt(self, new: Object, old: Object) -> None:
        """Fills in what was allocated to the Service and what the client left out."""
        if needs_cluster_ip(old) and needs_cluster_ip(new):
            if not new.get("clusterIP") and old.get("clusterIP"):
                new["clusterIP"] = old["clusterIP"]
            if not new.get("clusterIPs") and old.get("clusterIPs"):
                new["clusterIPs"] = list(old["clusterIPs"])
        if needs_node_port(old) and needs_node_port(new):
            used = {one.get("nodePort", 0) for one in old.get("ports") or []} & set(_ports({**new, "healthCheckNodePort": 0}))
            by_name = {one.get("name", ""): one.get("nodePort", 0) for one in old.get("ports") or []}
            for port in new.get("ports") or []:
                had = by_name.get(port.get("name", ""), 0)
                if not port.get("nodePort") and had and had not in used:
                    port["nodePort"] = had
        if needs_health_port(old) and needs_health_port(new) and not new.get("healthCheckNodePort"):
            new["healthCheckNodePort"] = old.get("healthCheckNodePort", 0)

    def normalize(self, new: Object, old: Object | None) -> None:
        """Makes clusterIP and clusterIPs agree where a client knows only the older of the two."""
        one, many = new.get("clusterIP", ""), new.get("clusterIPs") or []
        if old is None:
            if one and not many:
                new["clusterIPs"] = [one]
            return
        had, had_many = old.get("clusterIP", ""), old.get("clusterIPs") or []
        if had_many and not many and had == one:
            new["clusterIPs"] = list(had_many)
        if had != one and had_many == many:
            new["clusterIPs"] = [one] if one else []

    # --- allocation

    def allocate(self, new: Object, old: Object | None, dry_run: bool = False) -> None:
        """Gives the Service what it needs and lacks. Raises Refused. A dry run looks at fewer things, as the real server's."""
        spec = new["spec"]
        self._families(new, old)
        was_external = old is not None and not needs_cluster_ip(old["spec"])
        if needs_cluster_ip(spec) and (old is None or was_external):
            self._address(new, dry_run)
        mine = set(_ports(old["spec"])) if old else set()
        try:
            if needs_node_port(spec):
                if old is None:
                    self._first_ports(new, dry_run)
                else:
                    self._changed_ports(new, mine, dry_run)
            if needs_health_port(spec) and not (old and needs_health_port(old["spec"])):
                self._health_port(spec)
        except _NoPort as error:
            raise Refused(
                500, "InternalError", f"Internal error occurred: {error}", {"causes": [{"message": str(error)}]}
            ) from None

    def _families(self, new: Object, old: Object | None) -> None:
        spec = new["spec"]
        if not needs_cluster_ip(spec):
            return
        headless_alone = spec.get("clusterIP") == "None" and not spec.get("selector")
        if spec.get("ipFamilyPolicy") is None:
            before = old["spec"].get("ipFamilyPolicy") if old else None
            spec["ipFamilyPolicy"] = before or ("RequireDualStack" if headless_alone else "SingleStack")
        self._valid(new, service_rules.cluster_ip_errors(spec, old["spec"] if old else None))
        policy, families = spec["ipFamilyPolicy"], list(spec.get("ipFamilies") or [])
        addresses = spec.get("clusterIPs") or []
        errors = []
        if old is not None and policy != "SingleStack":
            had = old["spec"]
            if 0 < len(addresses) < len(had.get("clusterIPs") or []) and addresses == had["clusterIPs"][: len(addresses)]:
                errors.append(
                    invalid("spec.ipFamilyPolicy", policy, "must be 'SingleStack' to release the secondary cluster IP")
                )
            if 0 < len(families) < len(had.get("ipFamilies") or []) and families == had["ipFamilies"][: len(families)]:
                errors.append(
                    invalid("spec.ipFamilyPolicy", policy, "must be 'SingleStack' to release the secondary IP family")
                )
        elif old is not None and spec.get("ipFamilies") == old["spec"].get("ipFamilies") and len(families) > 1:
            families = families[:1]
        if policy == "SingleStack":
            many = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
            if len(addresses) == 2:
                errors.append(invalid("spec.ipFamilyPolicy", policy, many.format("cluster IPs")))
            if len(families) == 2:
                errors.append(invalid("spec.ipFamilyPolicy", policy, many.format("IP families")))
        for index, address in enumerate(addresses):
            if address == "None":
                break
            family = "IPv6" if ":" in address else FAMILY
            if index >= len(families):
                if family != FAMILY:
                    why = f"{family} is not configured on this cluster"
                    errors.append(invalid(f"spec.clusterIPs[{index}]", addresses, why))
                else:
                    families.append(family)
        self._valid(new, errors)
        if headless_alone:
            families = families or [FAMILY]
            if len(families) < 2 and policy != "SingleStack":
                families.append("IPv6" if families[0] == FAMILY else FAMILY)
            spec["ipFamilies"] = families
            return
        if policy == "RequireDualStack":
            errors.append(invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"))
        for index, family in enumerate(families):
            if family != FAMILY:
                errors.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
        self._valid(new, errors)
        spec["ipFamilies"] = families or [FAMILY]

    def _address(self, new: Object, dry_run: bool) -> None:
        spec = new["spec"]
        asked = (spec.get("clusterIPs") or [""])[0]
        if asked == "None":
            return
        if not asked:
            spec["clusterIP"] = self._free_address()
            spec["clusterIPs"] = [spec["clusterIP"]]
            return
        why = ""
        address = ipaddress.ip_address(asked)
        first, last = self.network[1], self.network[-2]
        if not (address.version == 4 and first <= address <= last):
            why = "the provided network does not match the current range"
            if dry_run:
                why = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.network}"
        elif self.addresses.get(asked, _key(new)) != _key(new) or self._stored_with(asked, new):
            why = TAKEN_ADDRESS
        if why:
            said = f"failed to allocate IP {asked}: {why}"
            self._valid(new, [invalid("spec.clusterIPs", spec["clusterIPs"], said)])

    def _stored_with(self, address: str, new: Object) -> bool:
        """Whether a Service of the same name holds it already: a create of that name is refused for the address first."""
        return address in self.addresses and self.store.get("services", *_key(new)) is not None

    def _free_address(self) -> str:
        """Any from the upper part of the range; the lower 1/16 (16 to 256 addresses) is for those who choose (KEP-3070)."""
        size = self.network.num_addresses
        lower = min(max(16, size // 16), 256)
        for _ in range(64):
            found = str(self.network[random.randrange(lower, size - 1)])
            if found not in self.addresses:
                return found
        for host in self.network.hosts():
            if str(host) not in self.addresses:
                return str(host)
        raise Refused(500, "InternalError", "Internal error occurred: failed to allocate a serviceIP: range is full")

    def _first_ports(self, new: Object, dry_run: bool) -> None:
        spec = new["spec"]
        given: dict[int, int] = {}  # by port: TCP and UDP of one port share a node port
        for index, port in enumerate(spec.get("ports") or []):
            asked = port.get("nodePort", 0)
            if not asked and not _gives_ports(spec):
                continue
            had = given.get(port["port"], 0)
            if not had:
                wanted = next(
                    (one["nodePort"] for one in spec["ports"] if one["port"] == port["port"] and one.get("nodePort")), 0
                )
                port["nodePort"] = (
                    self._claim(new, index, wanted, set(given.values()), dry_run) if wanted else self._free_port(spec)
                )
                given[port["port"]] = port["nodePort"]
            elif not asked:
                port["nodePort"] = had
            elif asked != had:
                self._claim(new, index, asked, set(given.values()), dry_run)

    def _changed_ports(self, new: Object, mine: set[int], dry_run: bool) -> None:
        spec = new["spec"]
        claimed: set[int] = set()
        for index, port in enumerate(spec.get("ports") or []):
            asked = port.get("nodePort", 0)
            if asked:
                if asked not in mine and asked not in claimed:
                    self._claim(new, index, asked, set(), dry_run)
                    claimed.add(asked)
            elif _gives_ports(spec):
                port["nodePort"] = self._free_port(spec)
        pairs = [(one.get("protocol"), one["nodePort"]) for one in spec.get("ports") or [] if one.get("nodePort")]
        for pair in pairs:
            if pairs.count(pair) > 1:
                said = "duplicate nodePort: {" + f"{pair[0]} {pair[1]}" + "}"
                raise Refused(500, "", said)

    def _claim(self, new: Object, index: int, port: int, here: set[int], dry_run: bool) -> int:
        first, last = self.plan.node_ports
        path = f"spec.ports[{index}].nodePort"
        if not first <= port <= last and not dry_run:
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            self._valid(new, [invalid(path, port, why)])
        if port in self.ports or port in here:
            self._valid(new, [invalid(path, port, TAKEN_PORT)])
        return port

    def _free_port(self, spec: Object) -> int:
        """Any from the upper part; the lower 1/32 (16 to 128 ports) is for those who choose (KEP-3668)."""
        first, last = self.plan.node_ports
        lower = min(max(16, (last - first + 1) // 32), 128)
        here = _ports(spec)
        for low, high in ((first + lower, last), (first, first + lower - 1)):
            for found in random.sample(range(low, high + 1), high + 1 - low):
                if found not in self.ports and found not in here:
                    return found
        raise _NoPort("failed to allocate a nodePort: range is full")

    def _health_port(self, spec: Object) -> None:
        asked = spec.get("healthCheckNodePort", 0)
        if not asked:
            spec["healthCheckNodePort"] = self._free_port(spec)
            return
        first, last = self.plan.node_ports
        why = TAKEN_PORT if asked in self.ports else ""
        if not first <= asked <= last:
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
        if why:
            raise _NoPort(f"failed to allocate requested HealthCheck NodePort {asked}: {why}")

    def _valid(self, new: Object, errors: list[status.FieldError]) -> None:
        if errors:
            raise status.invalid_object("Service", new["metadata"].get("name", ""), errors)


class _NoPort(Exception):
    """No port, or not that one; the real server calls it an internal error."""


def _gives_ports(spec: Object) -> bool:
    return bool(spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True))


def _addresses(spec: Object) -> list[str]:
    return [one for one in spec.get("clusterIPs") or [] if one != "None"]


def _ports(spec: Object) -> list[int]:
    found = [one["nodePort"] for one in spec.get("ports") or [] if one.get("nodePort")]
    return found + ([spec["healthCheckNodePort"]] if spec.get("healthCheckNodePort") else [])


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"].get("name", "")
