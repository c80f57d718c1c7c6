"""The environment, command and files of a container, computed from its Pod and from the Services there are. Only computes.

As pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), pkg/kubelet/envvars and third_party/forked/golang/expansion do it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from labs.embedded.kubelet.images import Image
from labs.embedded.plan import AddressPlan
from labs.embedded.spawn import PATH

Object = dict[str, Any]
Find = Callable[[str, str], Object | None]  # resource and name → the object of the Pod's namespace


class Missing(Exception):
    """The Pod refers to something that is not there; the kubelet's words."""


def hosts(pod: Object, address: str) -> str:
    """A Pod's /etc/hosts (pkg/kubelet/kubelet_pods.go, managedHostsFileContent)."""
    spec = pod["spec"]
    name = hostname(pod)
    subdomain = spec.get("subdomain")
    names = f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.cluster.local\t{name}" if subdomain else name
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        f"{address}\t{names}",
    ]
    aliases = spec.get("hostAliases") or []
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += [f"{one['ip']}\t" + "\t".join(one.get("hostnames") or []) for one in aliases]
    return "\n".join(lines) + "\n"


def resolv_conf(pod: Object, plan: AddressPlan) -> str:
    """A Pod's /etc/resolv.conf (pkg/kubelet/network/dns/dns.go). The nodes themselves know no name server."""
    spec, domain = pod["spec"], plan.cluster_domain
    policy = spec.get("dnsPolicy", "ClusterFirst")
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    if policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork")):
        servers = [plan.cluster_dns]
        search = [f"{pod['metadata']['namespace']}.svc.{domain}", f"svc.{domain}", domain]
        options = ["ndots:5"]
    config = spec.get("dnsConfig") or {}
    servers += [one for one in config.get("nameservers") or [] if one not in servers]
    search += [one for one in config.get("searches") or [] if one not in search]
    for option in config.get("options") or []:
        value = f":{option['value']}" if option.get("value") is not None else ""
        options = [one for one in options if one.partition(":")[0] != option["name"]] + [f"{option['name']}{value}"]
    lines = [f"search {' '.join(search)}"] if search else []
    lines += [f"nameserver {one}" for one in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def hostname(pod: Object) -> str:
    """What the Pod calls itself: spec.hostname, else its name, cut to 63 letters."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def command(container: Object, image: Image, env: Mapping[str, str]) -> list[str]:
    """What is run: command takes the place of ENTRYPOINT and CMD, args that of CMD alone; $(NAME) is filled in."""
    given, args = container.get("command") or [], container.get("args") or []
    words = [*(given or image.entrypoint), *(args or (() if given else image.command))]
    return [expand(word, env) for word in words]


def expand(text: str, env: Mapping[str, str]) -> str:
    """$(NAME) becomes its value where there is one; $$ is one $.

    >>> expand("$(A) $(B) $$(A)", {"A": "1"})
    '1 $(B) $(A)'
    """
    return re.sub(r"\$(\$|\(([^)]*)\))", lambda m: "$" if m[1] == "$" else env.get(m[2], m[0]), text)


def variables(pod: Object, container: Object, address: str, services: Iterable[Object], find: Find) -> dict[str, str]:
    """A container's environment. address: the Pod's. services: those that it is told of. Raises Missing."""
    env = {"PATH": PATH, "HOSTNAME": hostname(pod), "HOME": "/root"}
    for service in services:
        env |= of_service(service)
    for source in container.get("envFrom") or []:
        env |= _from_source(source, find)
    own: dict[str, str] = {}
    for one in container.get("env") or []:
        value = _value_from(pod, one["valueFrom"], address, find) if one.get("valueFrom") else one.get("value", "")
        if value is not None:
            own[one["name"]] = value if one.get("valueFrom") else expand(value, env | own)
    return env | own


def told_of(services: Iterable[Object], namespace: str, links: bool) -> list[Object]:
    """The Services whose variables a Pod of that namespace has: the API's; with enableServiceLinks its neighbours, too."""
    found = {}
    for service in services:
        metadata, ip = service["metadata"], service["spec"].get("clusterIP")
        if not ip or ip == "None":
            continue
        api = (metadata["namespace"], metadata["name"]) == ("default", "kubernetes")
        if (metadata["namespace"] == namespace and links) or (api and metadata["name"] not in found):
            found[metadata["name"]] = service
    return list(found.values())


def of_service(service: Object) -> dict[str, str]:
    """The variables that tell of a Service (pkg/kubelet/envvars/envvars.go)."""
    name = _variable(service["metadata"]["name"])
    ip, ports = service["spec"]["clusterIP"], service["spec"]["ports"]
    env = {f"{name}_SERVICE_HOST": ip, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    env |= {f"{name}_SERVICE_PORT_{_variable(port['name'])}": str(port["port"]) for port in ports if port.get("name")}
    for number, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{ip}:{port['port']}"
        prefix = f"{name}_PORT_{port['port']}_{protocol}"
        env |= {f"{name}_PORT": url} if number == 0 else {}
        env |= {prefix: url, f"{prefix}_PROTO": protocol.lower(), f"{prefix}_PORT": str(port["port"]), f"{prefix}_ADDR": ip}
    return env


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _from_source(source: Object, find: Find) -> dict[str, str]:
    for kind, key in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
        if key in source:
            found = find(kind, source[key]["name"])
            if found is None and not source[key].get("optional"):
                raise Missing(f'{kind[:-1]} "{source[key]["name"]}" not found')
            return {f"{source.get('prefix', '')}{name}": value for name, value in texts(found or {}).items()}
    return {}


def texts(found: Object) -> dict[str, str]:
    """What a ConfigMap or a Secret holds, as text."""
    import base64  # only Pods with Secrets pay for it

    if found.get("kind") == "Secret" or "stringData" in found or "type" in found:
        return {name: base64.b64decode(value).decode("utf-8", "replace") for name, value in (found.get("data") or {}).items()}
    return dict(found.get("data") or {})


def _value_from(pod: Object, source: Object, address: str, find: Find) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], address)
    for kind, key in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
        if key in source:
            wanted = source[key]
            found = find(kind, wanted["name"])
            if found is None and not wanted.get("optional"):
                raise Missing(f'{kind[:-1]} "{wanted["name"]}" not found')
            value = texts(found or {}).get(wanted["key"])
            if value is None and not wanted.get("optional"):
                noun = "ConfigMap" if kind == "configmaps" else "Secret"
                raise Missing(f"couldn't find key {wanted['key']} in {noun} {pod['metadata']['namespace']}/{wanted['name']}")
            return value
    return ""


def field(pod: Object, path: str, address: str) -> str:
    """What `fieldRef` means (pkg/fieldpath/fieldpath.go, and the kubelet's podFieldSelectorRuntimeValue)."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return "\n".join(f'{name}="{value}"' for name, value in sorted((metadata.get(path[9:]) or {}).items()))
    plain = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
        "status.podIP": address,
        "status.podIPs": address,
    }
    return str(plain.get(path, ""))
