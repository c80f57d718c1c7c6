"""Who one is and what one may: there is one user, the cluster's admin, and it may everything that is served."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from labs.embedded.api import status
from labs.embedded.api.kinds import Kind

Object = dict[str, Any]
GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
USER = {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]}
EVERYTHING = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
_BINDING, _ROLE = "kubeadm:cluster-admins", "cluster-admin"
REASON = f'RBAC: allowed by ClusterRoleBinding "{_BINDING}" of ClusterRole "{_ROLE}" to Group "{_BINDING}"'
HOUR = 3600


def review(kind: Kind, given: Object) -> Object:
    """The answer to a review of oneself."""
    made = {**given, "kind": kind.kind, "apiVersion": kind.api_version, "metadata": given.get("metadata") or {}}
    if kind.kind == "SelfSubjectReview":
        made["status"] = {"userInfo": USER}
    elif kind.kind == "SelfSubjectAccessReview":
        spec = given.get("spec") or {}
        if bool(spec.get("resourceAttributes")) == bool(spec.get("nonResourceAttributes")):
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise status.invalid_object("", "", [status.invalid("spec", None, why)], kind.group)
        made["status"] = {"allowed": True, "reason": REASON}
    else:
        rules = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        made["status"] = {"resourceRules": EVERYTHING, "nonResourceRules": rules, "incomplete": False}
    return made


def token(account: Object, given: Object) -> Object:
    """A token for a ServiceAccount. It opens nothing: Pods here have no way to the API."""
    seconds = (given.get("spec") or {}).get("expirationSeconds") or HOUR
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {
        "audiences": ["https://kubernetes.default.svc.cluster.local"],
        **(given.get("spec") or {}),
        "expirationSeconds": seconds,
    }
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account["metadata"]["name"], "namespace": account["metadata"]["namespace"]},
        "spec": spec,
        "status": {"token": secrets.token_urlsafe(48), "expirationTimestamp": expires},
    }
