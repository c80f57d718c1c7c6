"""What carries the Services of a borrowed cluster (kube-proxy in which mode, Cilium, …), as far as we may read it.

A name here is what the cluster's own configuration says, never a guess from how requests fare.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import yaml
from kubernetes import client as kubernetes_client
from kubernetes.client.exceptions import ApiException

from labs.cluster import Cluster

NOT_TOLD = "not told to us"

# EKS calls kube-proxy's ConfigMap kube-proxy-config.
_CONFIG_MAPS = ("kube-proxy", "kube-proxy-config", "cilium-config")
# API groups that a network brings; everybody who is logged in may list groups. OVN-Kubernetes always carries Services itself.
_OVN = "k8s.ovn.org"
_MAY_CARRY = {"cilium.io": "Cilium", "crd.projectcalico.org": "Calico", "crd.antrea.io": "Antrea"}


@dataclass(frozen=True)
class Clues:
    """What we were allowed to read: ConfigMaps of kube-system (name → data), API groups, the API server's version."""

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: Collection[str] = ()
    version: str = ""


def clues(cluster: Cluster) -> Clues:
    """Reads what may be read; what is refused or not there is left out."""
    client = cluster.api_client()
    maps: dict[str, dict[str, str]] = {}
    groups: list[str] = []
    version = ""
    with cluster.answering("say what it is made of"):
        for name in _CONFIG_MAPS:
            try:
                maps[name] = cluster.core().read_namespaced_config_map(name, "kube-system").data or {}
            except ApiException as error:
                if error.status not in (403, 404):
                    raise
        try:
            groups = [group.name for group in kubernetes_client.ApisApi(client).get_api_versions().groups]
            version = kubernetes_client.VersionApi(client).get_code().git_version
        except ApiException as error:
            if error.status != 403:
                raise
    return Clues(maps, groups, version)


def named(found: Clues) -> str:
    """The data plane's name, and how we know; NOT_TOLD where nothing says."""
    replacement = found.config_maps.get("cilium-config", {}).get("kube-proxy-replacement", "")
    if replacement in ("true", "strict"):
        return "Cilium in place of kube-proxy (its ConfigMap says so)"
    mode = _kube_proxy_mode(found.config_maps)
    others = [] if replacement else [name for group, name in _MAY_CARRY.items() if group in found.groups]
    beside = f"; {' and '.join(others)} is installed too, and may carry Services instead" if others else ""
    if mode:
        return f"kube-proxy in {mode} mode (its ConfigMap says so{beside})"
    if _OVN in found.groups:
        return f"OVN-Kubernetes (the cluster serves its API group {_OVN})"
    if others:
        return f"{NOT_TOLD}; {' and '.join(others)} is installed, and may or may not do kube-proxy's work"
    if "+k3s" in found.version:
        return f"kube-proxy, built into k3s ({found.version}); its mode is {NOT_TOLD}"
    return NOT_TOLD


def _kube_proxy_mode(config_maps: Mapping[str, Mapping[str, str]]) -> str:
    """The mode in a KubeProxyConfiguration, whatever the key it is kept under; "" where there is none."""
    for name in ("kube-proxy", "kube-proxy-config"):
        for text in config_maps.get(name, {}).values():
            try:
                config = yaml.safe_load(text)
            except yaml.YAMLError:
                continue
            if isinstance(config, dict) and config.get("kind") == "KubeProxyConfiguration":
                return str(config.get("mode") or "iptables")  # left out: iptables, on Linux
    return ""
