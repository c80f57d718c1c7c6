"""Services: defaults, what goes when the type changes, warnings, and in which order a write happens.

Validation is in service_rules.py, ClusterIPs and node ports are given in allocation.py.
Sources: pkg/apis/core/v1/defaults.go, pkg/registry/core/service/{strategy.go,storage/storage.go}, pkg/api/service/warnings.go.
"""

import ipaddress
from typing import Any

from labs.embedded.api import service_rules
from labs.embedded.api.allocation import Allocation, needs_cluster_ip, needs_health_port, needs_node_port
from labs.embedded.api.meta import label_errors
from labs.embedded.api.status import FieldError, forbidden
from labs.embedded.api.strategies import Strategy

Object = dict[str, Any]
AFFINITY_SECONDS = 10800  # three hours: the default of sessionAffinityConfig.clientIP.timeoutSeconds
TYPED = ("NodePort", "LoadBalancer", "ClusterIP")


class Services(Strategy):
    """What the API does with Services."""

    create_by_update = True

    def __init__(self, allocation: Allocation) -> None:
        self.allocation = allocation

    def name_errors(self, name: str) -> list[str]:
        return label_errors(name)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        if spec["sessionAffinity"] == "ClientIP":
            given = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
            if given.get("timeoutSeconds") is None:
                spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports") or []:
            port.setdefault("port", 0)
            port.setdefault("protocol", "TCP")
            if port.get("targetPort", 0) in (0, ""):
                port["targetPort"] = port["port"]
        if service_rules.externally_accessible(spec):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] in TYPED:
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def begin(self, new: Object, old: Object | None, dry_run: bool) -> None:
        if old is not None:
            self.allocation.adopt(new["spec"], old["spec"])
        self.allocation.normalize(new["spec"], old["spec"] if old else None)
        self.allocation.allocate(new, old, dry_run)

    def prepare(self, new: Object, old: Object | None) -> None:
        if old is None:
            new["status"] = {"loadBalancer": {}}
            return
        new["status"] = old.get("status") or {"loadBalancer": {}}
        _drop_by_type(new["spec"], old["spec"])
        if new["spec"]["type"] != "LoadBalancer":
            new["status"] = {**new["status"], "loadBalancer": {}}

    def prepare_status(self, new: Object, old: Object) -> None:
        super().prepare_status(new, old)
        for one in (new.get("status", {}).get("loadBalancer") or {}).get("ingress") or []:
            if one.get("ip"):
                one.setdefault("ipMode", "VIP")

    def validate_status(self, new: Object, old: Object) -> list[FieldError]:
        ingress = (new.get("status", {}).get("loadBalancer") or {}).get("ingress")
        if ingress and new["spec"]["type"] != "LoadBalancer":
            return [forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")]
        return []

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        errors = service_rules.update_errors(new["spec"], old["spec"]) if old else []
        return errors + service_rules.errors(new, old)

    def finish(self, new: Object) -> None:
        if new["spec"]["type"] == "ExternalName":
            new["spec"].pop("internalTrafficPolicy", None)  # checked, and not kept

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return warnings(new)


def _drop_by_type(new: Object, old: Object) -> None:
    """Clears fields that the new type has no use for, where the client left them as they were."""
    same_addresses = new.get("clusterIP") == old.get("clusterIP") and new.get("clusterIPs") == old.get("clusterIPs")
    if needs_cluster_ip(old) and not needs_cluster_ip(new):
        dropped = ["clusterIP", "clusterIPs"] if same_addresses else []
        dropped += [name for name in ("ipFamilies", "ipFamilyPolicy") if new.get(name) == old.get(name)]
        for name in dropped:
            new.pop(name, None)
    if needs_node_port(old) and not needs_node_port(new) and _node_ports(new) <= _node_ports(old):
        for port in new.get("ports") or []:
            port.pop("nodePort", None)
    same = {
        name: new.get(name) == old.get(name) for name in ("healthCheckNodePort", "loadBalancerClass", "externalTrafficPolicy")
    }
    if needs_health_port(old) and not needs_health_port(new) and same["healthCheckNodePort"]:
        new.pop("healthCheckNodePort", None)
    if old["type"] == "LoadBalancer" and new["type"] != "LoadBalancer":
        if new.get("allocateLoadBalancerNodePorts") == old.get("allocateLoadBalancerNodePorts"):
            new.pop("allocateLoadBalancerNodePorts", None)
        if same["loadBalancerClass"]:
            new.pop("loadBalancerClass", None)
    accessible = service_rules.externally_accessible
    if accessible(old) and not accessible(new) and same["externalTrafficPolicy"]:
        new.pop("externalTrafficPolicy", None)


def _node_ports(spec: Object) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}


def warnings(obj: Object) -> list[str]:
    """What a client is told of a Service that is taken."""
    spec, found = obj["spec"], []
    hints = "service.kubernetes.io/topology-aware-hints"
    if hints in (obj["metadata"].get("annotations") or {}):
        found.append(f"annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead")
    headless = spec["type"] == "ClusterIP" and spec.get("clusterIP") == "None"
    if spec.get("clusterIP") and spec["clusterIP"] != "None":
        for index, address in enumerate(spec.get("clusterIPs") or []):
            found += _address(f"spec.clusterIPs[{index}]", address)
    external = spec.get("externalIPs") or []
    if headless:
        if spec.get("loadBalancerIP"):
            found.append("spec.loadBalancerIP is ignored for headless services")
        if external:
            found.append("spec.externalIPs is ignored for headless services")
        if spec["sessionAffinity"] != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(external):
        found += _address(f"spec.externalIPs[{index}]", address)
    if external and not headless and spec["type"] != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        found += _address("spec.loadBalancerIP", spec["loadBalancerIP"])
    if spec["type"] == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec["type"] != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _address(path: str, text: str) -> list[str]:
    """A warning of an address that is not written in the way that all programs read (IPv6 not in its canonical form)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return []
    if address.version == 6 and str(address) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []
