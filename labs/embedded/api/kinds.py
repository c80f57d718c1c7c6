"""The kinds that this API serves: a table, and nothing else.

Any other kind is answered as a real server answers for one that it does not have.
"""

from dataclasses import dataclass

ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """A kind as discovery tells it. `model`: the kubernetes client's class of it. `store`: its resource in the store."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL
    model: str = ""

    @property
    def api_version(self) -> str:
        """As in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Where discovery of its group and version is."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def model_name(self) -> str:
        """The kubernetes client's class, which has the fields."""
        return self.model or self.version.capitalize() + self.kind


KINDS = (
    Kind("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    Kind("", "v1", "endpoints", "Endpoints", short=("ep",)),
    Kind("", "v1", "events", "Event", short=("ev",), model="CoreV1Event"),
    Kind("", "v1", "namespaces", "Namespace", False, ("ns",), subresources=("status", "finalize"),
         verbs=("create", "delete", "get", "list", "patch", "update", "watch")),
    Kind("", "v1", "nodes", "Node", False, ("no",), subresources=("status",)),
    Kind("", "v1", "pods", "Pod", short=("po",), categories=("all",),
         subresources=("attach", "exec", "log", "portforward", "proxy", "status")),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), subresources=("token",)),
    Kind("", "v1", "services", "Service", short=("svc",), categories=("all",), subresources=("status",)),
    Kind("apps", "v1", "deployments", "Deployment", short=("deploy",), categories=("all",), subresources=("scale", "status")),
    Kind("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), categories=("all",), subresources=("scale", "status")),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Kind("networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",), subresources=("status",)),
    Kind("events.k8s.io", "v1", "events", "Event", short=("ev",), model="EventsV1Event"),
    Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False, verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False, verbs=("create",)),
)  # fmt: skip

BY_PATH: dict[tuple[str, str, str], Kind] = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
GROUPS: dict[tuple[str, str], list[Kind]] = {}
for _kind in KINDS:
    GROUPS.setdefault((_kind.group, _kind.version), []).append(_kind)
