"""Who one is and what one may: there is one user, the cluster's admin, and it may everything that is served."""

import hmac
import secrets
from collections.abc import Mapping
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
LEAST_SECONDS, MOST_SECONDS = 600, 1 << 32  # of a token (pkg/apis/authentication/validation)
TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", model="AuthenticationV1TokenRequest")


def admits(headers: Mapping[str, str], token: str) -> bool:
    """Whether a request's headers have the token; whatever else they have is no token, and no error."""
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and known


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
    elif not (given.get("spec") or {}).get("namespace"):
        raise status.bad_request("no namespace on request")
    else:
        rules = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        made["status"] = {"resourceRules": EVERYTHING, "nonResourceRules": rules, "incomplete": False}
    return made


def token(account: Object, given: Object) -> Object:
    """A token for a ServiceAccount. It opens nothing: Pods here have no way to the API. Raises Refused."""
    about = {name: account["metadata"][name] for name in ("name", "namespace")}
    seconds = (given.get("spec") or {}).get("expirationSeconds") or HOUR
    _check_token(about, given.get("metadata") or {}, seconds)
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {
        "audiences": ["https://kubernetes.default.svc.cluster.local"],
        **(given.get("spec") or {}),
        "expirationSeconds": seconds,
    }
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": about,
        "spec": spec,
        "status": {"token": secrets.token_urlsafe(48), "expirationTimestamp": expires},
    }


def _check_token(about: Object, metadata: Object, seconds: int) -> None:
    """Raises Refused for a request of another account's token, and for a lifetime that none has."""
    if metadata.get("namespace", about["namespace"]) != about["namespace"]:
        raise status.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    errors, path = [], "spec.expirationSeconds"
    if metadata.get("name", about["name"]) != about["name"]:
        why = "must match the service account name if specified"
        errors.append(status.invalid("metadata.name", metadata["name"], why))
    if seconds < LEAST_SECONDS:
        errors.append(status.invalid(path, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MOST_SECONDS:
        errors.append(status.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
    if errors:
        raise status.invalid_object("TokenRequest", metadata.get("name", ""), errors, "authentication.k8s.io")
