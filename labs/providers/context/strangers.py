"""What is in a borrowed namespace that is not the course's, of every kind, by kubectl. Only looks.

The course's own objects are gone when this is asked; what a cluster makes in each namespace by itself does not count.
"""

from collections.abc import Iterable

from labs.cluster import Cluster
from labs.errors import LabError

# In each namespace from its beginning (kube-controller-manager's root-ca-cert-publisher and serviceaccount controllers).
_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
# Events tell of what is gone; metrics are no objects; the two others are made for Services, which are looked for themselves.
_NO_OBJECTS = ("events", "pods.metrics.k8s.io", "endpoints", "endpointslices")


def objects(cluster: Cluster, namespace: str) -> list[str]:
    """Their names, as "deployment.apps/web". LabError where that cannot be found out: some kind may not be listed."""
    kinds = _asked(cluster, "api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    looked_for = ",".join(kind for kind in kinds if not kind.startswith(_NO_OBJECTS))
    listed = _asked(cluster, f"--namespace={namespace}", "get", looked_for, "--output=name", "--ignore-not-found")
    return others(listed.split())


def others(names: Iterable[str]) -> list[str]:
    """Those that a cluster has not made by itself."""
    return sorted(set(names) - _OWN)


def _asked(cluster: Cluster, *arguments: str) -> str:
    done = cluster.kubectl(*arguments)
    if done.code != 0:
        raise LabError(
            "What is in the namespace could not be listed.",
            done.err.strip(),
            "Look with `kubectl get all`, and delete the namespace yourself if nothing of yours is in it.",
        )
    return done.out
