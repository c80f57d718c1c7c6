"""Manifests of Pods whose process listens where you say: the port, and 0.0.0.0 (everybody) or 127.0.0.1 (the Pod itself).

What opens a port (the process) and what declares it (containerPort) are two parameters here, because they are two things.
Does not apply them (deploy does). The Pods fit Pod Security *restricted* and answer as agnhost's netexec does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from labs.errors import BadInput
from labs.versions import workload_image

EVERYWHERE = "0.0.0.0"
LOOPBACK = "127.0.0.1"

# agnhost's netexec always listens on every address, so 127.0.0.1 takes another server: nc holds the port, bash answers.
# "$1" is the port. nc carries one connection after the other (the next one waits in the kernel's queue); `-v` makes it
# tell, before a connection's first line, who has connected. A client closes its own connection: nc would not do it first.
_LOOPBACK_SERVER = r"""
trap 'exit 0' TERM
coproc nc { exec nc -lkvn 127.0.0.1 "$1" 2>&1; }
path=""
while IFS= read -r line <&"${nc[0]}"; do
  line="${line%$'\r'}"
  case "$line" in
    "Connection received on "*) read -r _ _ _ address port <<<"$line"; path="" ;;
    "GET "*) read -r _ path _ <<<"$line" ;;
    "nc: "*) echo "$line" >&2 ;;
    "")
      [ -n "$path" ] || continue
      status="200 OK"
      case "${path%%\?*}" in
        /) body="NOW: $(date)" ;;
        /hostname) body="$HOSTNAME" ;;
        /clientip) body="$address:$port" ;;
        *) status="404 Not Found"; body="404 page not found" ;;
      esac
      printf 'HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$status" "${#body}" "$body" >&"${nc[1]}"
      path="" ;;
  esac
done
exit 1
"""

_CLOSED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def pod(
    name: str,
    labels: Mapping[str, str],
    listen_port: int = 9080,
    listen_address: str = EVERYWHERE,
    container_port: int | None = 9080,
    port_name: str | None = None,
    containers: Sequence[str] = ("productpage", "sidecar"),
) -> dict[str, Any]:
    """The manifest of a Pod like the article's pod2.

    listen_port, listen_address: where its process listens; "0.0.0.0" or "127.0.0.1". container_port, port_name: only what
    is declared; None: nothing is. containers: their names; the first listens, the others wait, and have curl.
    BadInput where a process cannot listen; what the API server judges (container_port, names) is left to it.
    """
    if not 1 <= listen_port <= 65535:
        raise BadInput(f"No process can listen on port {listen_port}.", "Ports go from 1 to 65535.", "Choose one of those.")
    if listen_address not in (EVERYWHERE, LOOPBACK):
        raise BadInput(
            f"The process cannot be told to listen on {listen_address}.",
            "It knows 0.0.0.0 (every address of the Pod) and 127.0.0.1 (the Pod itself alone).",
            "Choose one of the two.",
        )
    first, *others = containers
    listener = _container(first) | (_everywhere(listen_port) if listen_address == EVERYWHERE else _loopback(listen_port))
    if container_port is not None:
        listener["ports"] = [{"containerPort": container_port, **({"name": port_name} if port_name else {})}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [listener, *(_container(other) | {"args": ["pause"]} for other in others)],
        },
    }


def _container(name: str) -> dict[str, Any]:
    return {"name": name, "image": workload_image(), "imagePullPolicy": "IfNotPresent", "securityContext": dict(_CLOSED)}


def _everywhere(port: int) -> dict[str, Any]:
    return {
        "args": ["netexec", f"--http-port={port}", "--udp-port=-1"],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": port}, "periodSeconds": 1},
    }


def _loopback(port: int) -> dict[str, Any]:
    """The Pod becomes Ready, and its Service refuses: that is the lesson.

    A readiness probe by HTTP or TCP comes from the node to the Pod's address: the Pod would stay unready, and Endpoints
    empty, which hides why. So the process is asked once, from within, whether it is up; afterwards nobody probes.
    """
    return {
        "command": ["bash", "-c", _LOOPBACK_SERVER, "bash", str(port)],
        "startupProbe": {"exec": {"command": ["bash", "-c", f": </dev/tcp/127.0.0.1/{port}"]}, "periodSeconds": 1},
    }
