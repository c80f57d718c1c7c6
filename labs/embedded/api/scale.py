"""The subresource scale of Deployments and ReplicaSets (autoscaling/v1). Only computes."""

import copy
from typing import Any

from labs.embedded.api import patch, status
from labs.embedded.api.kinds import Kind

Object = dict[str, Any]
SCALE = Kind("autoscaling", "v1", "scales", "Scale")


def of(obj: Object) -> Object:
    """How many there are to be, and are."""
    metadata = {
        name: value
        for name, value in obj["metadata"].items()
        if name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    labels = obj["spec"].get("selector", {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj["spec"]["replicas"]} if obj["spec"].get("replicas") else {},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def patched(media_type: str, body: bytes, old: Object) -> Object:
    """A Scale after a patch. Raises Refused."""
    made: Object = patch.apply(media_type, body, old, SCALE)
    return made


def scaled(obj: Object, given: Object) -> Object:
    """The object with a Scale's number. Raises Refused (422)."""
    replicas = (given.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        errors = [status.invalid("spec.replicas", replicas, "must be greater than or equal to 0")]
        raise status.invalid_object("Scale", obj["metadata"]["name"], errors, "autoscaling")
    new = copy.deepcopy(obj)
    new["spec"]["replicas"] = replicas
    new["metadata"]["resourceVersion"] = (given.get("metadata") or {}).get("resourceVersion", "")
    return new
