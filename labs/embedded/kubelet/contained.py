"""How a container is to be contained, by its spec and its Pod's; and why a command cannot be run. Only computes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs.embedded.kubelet import images
from labs.embedded.spawn import DEFAULT_CAPABILITIES, MORE_CAPABILITIES, Container, Volume

Object = dict[str, Any]


@dataclass(frozen=True)
class Seat:
    """Where a Pod's containers live: its network namespace, address, folder, volumes and what it is told of Services."""

    netns: int
    address: str
    hostname: str
    folder: Path
    volumes: dict[str, str]  # name → path below the folder of all Pods


def contained(pod_spec: Object, spec: Object, seat: Seat, env: dict[str, str]) -> Container:
    """The container of `spec`, in the Pod of `pod_spec`."""
    mine, pods = spec.get("securityContext") or {}, pod_spec.get("securityContext") or {}
    user = int(mine.get("runAsUser", pods.get("runAsUser")) or 0)
    capabilities = mine.get("capabilities") or {}
    volumes = tuple(
        Volume(one["mountPath"], seat.volumes[one["name"]], one.get("subPath") or "", bool(one.get("readOnly")))
        for one in spec.get("volumeMounts") or []
        if one["name"] in seat.volumes
    )
    return Container(
        hostname=seat.hostname,
        folder=seat.folder.name,
        log=f"{spec['name']}.message",
        log_path=spec.get("terminationMessagePath") or "/dev/termination-log",
        volumes=volumes,
        env={**env, **({"HOME": "/nonexistent"} if user else {})},
        cwd=spec.get("workingDir") or "/",
        read_only=bool(mine.get("readOnlyRootFilesystem")),
        capabilities=() if user else _kept(capabilities),
        seccomp=(mine.get("seccompProfile") or pods.get("seccompProfile") or {}).get("type") == "RuntimeDefault",
        no_new_privileges=mine.get("allowPrivilegeEscalation") is False,
        agnhost=images.has_agnhost(spec["image"]),
        user=user,
        group=int(mine.get("runAsGroup", pods.get("runAsGroup")) or (user if user == 65534 else 0)),
    )


def _kept(capabilities: Object) -> tuple[str, ...]:
    """The capabilities that are left after `drop`, with `add`; those of a namespace's owner are nobody's."""
    drop = {name.removeprefix("CAP_") for name in capabilities.get("drop") or []}
    add = {name.removeprefix("CAP_") for name in capabilities.get("add") or []}
    kept = set() if "ALL" in drop else set(DEFAULT_CAPABILITIES) - drop
    return tuple(sorted(kept | (add & {*DEFAULT_CAPABILITIES, *MORE_CAPABILITIES})))


def exec_words(error: OSError, command: list[str]) -> str:
    """Why a command cannot be run, in the words of Go's os/exec, which the container runtime uses."""
    if isinstance(error, FileNotFoundError):
        if command and "/" in command[0]:
            return f"stat {command[0]}: no such file or directory"
        return "executable file not found in $PATH"
    return str(error.strerror or error).lower()
