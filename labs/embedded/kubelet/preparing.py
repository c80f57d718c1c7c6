"""What must be right before a container is started: not root where the Pod forbids it, and what its subPaths lead to.

Words are the kubelet's (pkg/kubelet/kuberuntime/security_context_others.go, verifyRunAsNonRoot; pkg/kubelet/kubelet_pods.go,
makeMounts).
"""

import os
from typing import Any

from labs.embedded.kubelet.contained import Seat
from labs.embedded.kubelet.environment import Missing
from labs.embedded.roots import below, opened

Object = dict[str, Any]


def container(pod: Object, spec: Object, seat: Seat) -> None:
    """Makes the folders that its subPaths name, where they are missing. Missing where it cannot be started."""
    _not_root(pod, spec)
    for mount in spec.get("volumeMounts") or []:
        if mount.get("subPath") and mount["name"] in seat.volumes:
            _sub_path(mount, spec["name"], seat)


def _not_root(pod: Object, spec: Object) -> None:
    mine, pods = spec.get("securityContext") or {}, pod["spec"].get("securityContext") or {}
    user = mine.get("runAsUser", pods.get("runAsUser"))
    if user or not mine.get("runAsNonRoot", pods.get("runAsNonRoot")):
        return
    metadata = pod["metadata"]
    whole = f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {spec["name"]})'
    if user == 0:
        raise Missing(f"container's runAsUser breaks non-root policy {whole}")
    raise Missing(f"container has runAsNonRoot and image will run as root {whole}")


def _sub_path(mount: Object, name: str, seat: Seat) -> None:
    volume = seat.folder.parent / seat.volumes[mount["name"]]
    try:
        with opened(os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as whole:
            os.close(below(whole, mount["subPath"], make=True))
    except OSError as error:
        raise Missing(f'failed to prepare subPath for volumeMount "{mount["name"]}" of container "{name}"') from error
