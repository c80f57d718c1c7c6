"""What is wrong with a Service: the real API server's validation, in its order and its words. Only computes.

Source: ValidateServiceCreate and ValidateServiceUpdate of pkg/apis/core/validation/validation.go.
"""

import ipaddress
import re
from typing import Any

from labs.embedded.api import meta
from labs.embedded.api.status import FieldError, duplicate, forbidden, invalid, not_supported, required

Object = dict[str, Any]
FAMILIES = ["IPv4", "IPv6"]
POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"]
PROTOCOLS = ["SCTP", "TCP", "UDP"]
TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
TRAFFIC = ["Cluster", "Local"]
DISTRIBUTIONS = ["PreferClose", "PreferSameZone", "PreferSameNode"]
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
HINTS, MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
LONGEST_AFFINITY = 86400  # seconds
FIXED = "may not change once set"
ONLY_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
BAD_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
BAD_RANGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def is_headless(spec: Object) -> bool:
    """Whether it wants no ClusterIP."""
    return list(spec.get("clusterIPs") or []) == ["None"]


def externally_accessible(spec: Object) -> bool:
    """Whether requests may come to it from outside the cluster."""
    return spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and bool(spec.get("externalIPs")))


def errors(obj: Object, old: Object | None) -> list[FieldError]:
    """All that is wrong with a Service, new or changed."""
    spec, before = obj["spec"], (old or {}).get("spec") or {}
    annotations = obj["metadata"].get("annotations") or {}
    found = []
    if HINTS in annotations and annotations.get(MODE, annotations[HINTS]) != annotations[HINTS]:
        why = f"must match annotations[{HINTS}] when both are specified"
        found.append(invalid(f"metadata.annotations[{MODE}]", annotations[MODE], why))
    if not spec.get("ports") and not is_headless(spec) and spec["type"] != "ExternalName":
        found.append(required("spec.ports"))
    found += _by_type(spec) + _ports(spec)
    found += meta.labels(spec.get("selector") or {}, "spec.selector")
    found += _affinity(spec)
    found += cluster_ip_errors(spec, before)
    for index, address in enumerate(spec.get("externalIPs") or []):
        path = f"spec.externalIPs[{index}]"
        found += address_errors(path, address, before.get("externalIPs")) or special_address_errors(path, address)
    if spec["type"] not in TYPES:
        found.append(not_supported("spec.type", spec["type"], TYPES))
    found += _node_ports(spec)
    found += _source_ranges(spec, before, annotations, (old or {}).get("metadata", {}).get("annotations") or {})
    if spec.get("allocateLoadBalancerNodePorts") is not None and spec["type"] != "LoadBalancer":
        found.append(forbidden("spec.allocateLoadBalancerNodePorts", ONLY_BALANCERS))
    found += _class(spec)
    found += _traffic(spec)
    return found


def _by_type(spec: Object) -> list[FieldError]:
    if spec["type"] in ("LoadBalancer", "NodePort") and is_headless(spec):
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec['type']} services")]
    if spec["type"] != "ExternalName":
        return []
    why = "may not be set for ExternalName services"
    found = [forbidden(f"spec.{name}", why) for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(name)]
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        return [*found, required("spec.externalName")]
    return found + [invalid("spec.externalName", name, one) for one in meta.subdomain_errors(name)]


def _ports(spec: Object) -> list[FieldError]:
    found, names = [], set()
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            found.append(required(path + ".name"))
        elif name:
            found += [invalid(path + ".name", name, one) for one in meta.label_errors(name)]
            if name in names:
                found.append(duplicate(path + ".name", name))
            names.add(name)
        found += number_errors(path + ".port", port["port"])
        if port["protocol"] not in PROTOCOLS:
            found.append(not_supported(path + ".protocol", port["protocol"], PROTOCOLS))
        target = port["targetPort"]
        if isinstance(target, int):
            found += number_errors(path + ".targetPort", target)
        else:
            found += [invalid(path + ".targetPort", target, one) for one in port_name_errors(target)]
        if port.get("appProtocol") is not None:
            app = port["appProtocol"]
            found += [invalid(path + ".appProtocol", app, one) for one in meta.qualified_name_errors(app)]
    return found


def number_errors(path: str, number: int) -> list[FieldError]:
    """What is wrong with a port's number."""
    return [] if 1 <= number <= 65535 else [invalid(path, number, "must be between 1 and 65535, inclusive")]


def port_name_errors(name: str) -> list[str]:
    """What is wrong with a port's name (IANA_SVC_NAME)."""
    found = []
    if len(name) > 15:
        found.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", name):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        found.append("must contain at least one letter (a-z)")
    if "--" in name:
        found.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def _affinity(spec: Object) -> list[FieldError]:
    kind, config = spec["sessionAffinity"], spec.get("sessionAffinityConfig")
    if kind not in ("ClientIP", "None"):
        return [not_supported("spec.sessionAffinity", kind, ["ClientIP", "None"])]
    if kind == "None":
        why = "must not be set when session affinity is None"
        return [forbidden("spec.sessionAffinityConfig", why)] if config is not None else []
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")  # defaulted, so that it is there
    if seconds is not None and not 0 < seconds <= LONGEST_AFFINITY:
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        return [invalid(path, seconds, f"must be greater than 0 and less than {LONGEST_AFFINITY}")]
    return []


def cluster_ip_errors(spec: Object, old: Object | None) -> list[FieldError]:
    """What is wrong with clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy together."""
    if spec["type"] == "ExternalName":
        return []
    found: list[FieldError] = []
    many, path = list(spec.get("clusterIPs") or []), "spec.clusterIPs"
    one = spec.get("clusterIP", "")
    if one and not many:
        found.append(required(path))
    elif one and many[0] != one:
        found.append(invalid(path, many, "first value must match `clusterIP`"))
    elif many and not one:
        found.append(invalid(path, many, "must be empty when `clusterIP` is not specified"))
    families = list(spec.get("ipFamilies") or [])
    for index, family in enumerate(families):
        if family not in FAMILIES:
            found.append(not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES))
        if family in families[:index]:
            found.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in POLICIES:
        found.append(not_supported("spec.ipFamilyPolicy", policy, POLICIES))
    bad = False
    for index, address in enumerate(many):
        if index == 0 and address == "None":
            if len(many) > 1:
                bad = True
                found.append(invalid(path, many, "'None' must be the first and only value"))
            continue
        wrong = address_errors(f"{path}[{index}]", address, (old or {}).get("clusterIPs"))
        bad = bad or bool(wrong)
        found += wrong
    if len(many) > 2:
        found.append(invalid(path, many, "may only hold up to 2 values"))
    if bad:
        return found
    if len(many) > 1 and len({":" in address for address in many}) != 2:
        found.append(invalid(path, many, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for index, (address, family) in enumerate(zip(many, families, strict=False)):
            if family in FAMILIES and (":" in address) != (family == "IPv6"):
                why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                found.append(invalid(f"{path}[{index}]", address, why))
    return found


def address_errors(path: str, text: str, existing: list[str] | None) -> list[FieldError]:
    """What is wrong with an IP address's text; what was there before may stay."""
    if text in (existing or []):
        return []
    plain = _without_zeros(text)
    address = _parsed(plain)
    if address is None or "%" in text:
        return [invalid(path, text, BAD_ADDRESS)]
    if plain != text:
        return [invalid(path, text, "must not have leading 0s")]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return [invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
    return []


def special_address_errors(path: str, text: str) -> list[FieldError]:
    """Addresses that cannot be another machine's."""
    address = _parsed(text)
    if address is None:
        return [invalid(path, text, BAD_ADDRESS)]
    found = []
    if address.is_unspecified:
        found.append(invalid(path, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        found.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        found.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address in ipaddress.ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/16"):
        found.append(invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))
    return found


def _without_zeros(text: str) -> str:
    """An IPv4 address' text as older programs read it: 010 is ten."""
    return ".".join(str(int(one)) for one in text.split(".")) if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20}){3}", text) else text


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _node_ports(spec: Object) -> list[FieldError]:
    found = []
    ports = spec.get("ports") or []
    if spec["type"] == "ClusterIP":
        why = "may not be used when `type` is 'ClusterIP'"
        found += [forbidden(f"spec.ports[{index}].nodePort", why) for index, one in enumerate(ports) if one.get("nodePort")]
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        key = (port["protocol"], port.get("nodePort", 0))
        if key[1] and key in seen:
            found.append(duplicate(f"spec.ports[{index}].nodePort", key[1]))
        seen.add(key)
    seen = set()
    for index, port in enumerate(ports):
        key = (port["protocol"], port["port"])
        if key in seen:  # printed as Go prints the struct of an internal type
            shown = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1], "TargetPort": 0, "NodePort": 0}
            found.append(duplicate(f"spec.ports[{index}]", shown))
        seen.add(key)
    return found


def _source_ranges(spec: Object, before: Object, annotations: dict[str, str], had: dict[str, str]) -> list[FieldError]:
    path = "spec.LoadBalancerSourceRanges"
    wrong = [] if spec["type"] == "LoadBalancer" else [forbidden(path, ONLY_BALANCERS)]
    if ranges := spec.get("loadBalancerSourceRanges"):
        old = [one.strip() for one in before.get("loadBalancerSourceRanges") or []]
        for index, text in enumerate(ranges):
            wrong += _range_errors(f"{path}[{index}]", text.strip(), old)
        return wrong
    if SOURCE_RANGES not in annotations:
        return []
    path = f"metadata.annotations[{SOURCE_RANGES}]"
    wrong = [] if spec["type"] == "LoadBalancer" else [forbidden(path, ONLY_BALANCERS)]
    text = annotations[SOURCE_RANGES]
    if had.get(SOURCE_RANGES) != text and text.strip():
        for one in text.strip().split(","):
            wrong += _range_errors(path, one.strip(), [])
    return wrong


def _range_errors(path: str, text: str, existing: list[str]) -> list[FieldError]:
    if text in existing:
        return []
    address, slash, length = text.partition("/")
    plain = _without_zeros(address)
    parsed = _parsed(plain)
    if not slash or parsed is None or not re.fullmatch("[0-9]{1,9}", length) or int(length) > parsed.max_prefixlen:
        return [invalid(path, text, BAD_RANGE)]
    found = []
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        found.append(invalid(path, text, "must not have an IPv4-mapped IPv6 address"))
    if (len(length) > 1 and length[0] == "0") or plain != address:
        found.append(invalid(path, text, "must not have leading 0s in IP or prefix length"))
    if ipaddress.ip_network(f"{plain}/{int(length)}", strict=False).network_address != parsed:
        found.append(invalid(path, text, "must not have bits set beyond the prefix length"))
    return found


def _class(spec: Object) -> list[FieldError]:
    given = spec.get("loadBalancerClass")
    if given is None:
        return []
    if spec["type"] != "LoadBalancer":
        return [forbidden("spec.loadBalancerClass", ONLY_BALANCERS)]
    return [invalid("spec.loadBalancerClass", given, one) for one in meta.qualified_name_errors(given)]


def _traffic(spec: Object) -> list[FieldError]:
    found = []
    external, port = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    if not externally_accessible(spec):
        if external:
            why = "may only be set for externally-accessible services"
            found.append(invalid("spec.externalTrafficPolicy", external, why))
    elif external not in TRAFFIC:
        found.append(not_supported("spec.externalTrafficPolicy", external, TRAFFIC))
    if spec["type"] == "LoadBalancer" and external == "Local":
        found += number_errors("spec.healthCheckNodePort", port) if port else [required("spec.healthCheckNodePort")]
    elif port:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid("spec.healthCheckNodePort", port, why))
    internal = spec.get("internalTrafficPolicy")
    if internal is None and spec["type"] in ("NodePort", "LoadBalancer", "ClusterIP"):
        found.append(required("spec.internalTrafficPolicy"))
    elif internal is not None and internal not in TRAFFIC:
        found.append(not_supported("spec.internalTrafficPolicy", internal, TRAFFIC))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        found.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))
    return found


def update_errors(new: Object, old: Object) -> list[FieldError]:
    """What of a Service may not be changed."""
    found = []
    if "ExternalName" not in (new["type"], old["type"]):
        found += _address_changes(new, old) + _family_changes(new, old)
    if new["type"] == old["type"] == "LoadBalancer" and new.get("loadBalancerClass") != old.get("loadBalancerClass"):
        found.append(invalid("spec.loadBalancerClass", new.get("loadBalancerClass"), FIXED))
    found += _class(new)
    health = [one["type"] == "LoadBalancer" and one.get("externalTrafficPolicy") == "Local" for one in (new, old)]
    if all(health) and new.get("healthCheckNodePort") != old.get("healthCheckNodePort"):
        found.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return found


def _address_changes(new: Object, old: Object) -> list[FieldError]:
    if is_headless(new) and is_headless(old):
        return []
    now, before, path = list(new.get("clusterIPs") or []), list(old.get("clusterIPs") or []), "spec.clusterIPs"
    if len(before) == len(now):
        return [invalid(f"{path}[{at}]", now, FIXED) for at in range(len(now)) if now[at] != before[at]]
    if len(before) < len(now):
        return [invalid(f"{path}[0]", now, FIXED)] if before and now[0] != before[0] else []
    if not now:
        return [invalid(f"{path}[0]", now or None, "primary clusterIP can not be unset")]
    found = [invalid(f"{path}[0]", now, FIXED)] if now[0] != before[0] else []
    if new.get("ipFamilyPolicy") != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        found.append(invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), why))
    return found


def _family_changes(new: Object, old: Object) -> list[FieldError]:
    if is_headless(new) or is_headless(old):
        return []
    now, before, path = list(new.get("ipFamilies") or []), list(old.get("ipFamilies") or []), "spec.ipFamilies[0]"
    if len(before) == len(now):
        return [invalid(path, now, FIXED) for at in range(len(now)) if now[at] != before[at]]
    changed = bool(before) and bool(now) and now[0] != before[0]
    found = [invalid(path, list(new.get("clusterIPs") or []), FIXED)] if changed else []
    if len(before) > len(now) == 1 and new.get("ipFamilyPolicy") != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        found.append(invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), why))
    return found
