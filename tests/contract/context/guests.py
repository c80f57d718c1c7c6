"""A guest of the kind cluster: a kubeconfig with rights in one namespace, and what a stranger leaves there."""

import base64
from pathlib import Path
from typing import Any

import yaml

from labs import seats
from labs.cluster import Cluster

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
LIFE = 3600  # seconds that a guest's token is good for

Said = list[str]


def invited(admin: Cluster, namespace: str, name: str, role: str, path: Path, in_context: bool = True) -> Path:
    """A kubeconfig for a new ServiceAccount that has this ClusterRole in this namespace alone (role "": no rights)."""
    admin.core().create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    if role:
        granted = admin.kubectl(
            "-n", namespace, "create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}",
            f"--serviceaccount={namespace}:{name}",
        )  # fmt: skip
        assert granted.code == 0, granted.err
    body = {"spec": {"expirationSeconds": LIFE}}
    token = admin.core().create_namespaced_service_account_token(name, namespace, body).status.token
    theirs = yaml.safe_load(admin.kubeconfig.read_text("utf-8"))["clusters"][0]["cluster"]
    (path.parent / "ca.crt").write_bytes(base64.b64decode(theirs["certificate-authority-data"]))
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": {"server": theirs["server"], "certificate-authority": "ca.crt"}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [
            {"name": name, "context": {"cluster": "there", "user": name, **({"namespace": namespace} if in_context else {})}}
        ],
    }
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def seats_gone(admin: Cluster, namespace: str) -> bool:
    """Whether a namespace is gone, or on its way."""
    listed = {one.metadata.name: one.status.phase for one in admin.core().list_namespace().items}
    return listed.get(namespace, "Terminating") == "Terminating"


def a_pod(name: str, **labels: str) -> dict[str, Any]:
    pod = seats.client_pod(name)
    pod["metadata"]["labels"] = labels
    return pod


def a_service(name: str, app: str) -> dict[str, Any]:
    spec = {"selector": {"app": app}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
