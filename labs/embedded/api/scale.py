"""The subresource scale of Deployments and ReplicaSets (autoscaling/v1). Only computes."""

import copy
from typing import Any

from labs.embedded.api import status
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


def scaled(obj: Object, given: Object) -> Object:
    """The object with the number of a Scale, that was read. Raises Refused: 400 for another name, 422 for a negative number."""
    name, asked = obj["metadata"]["name"], (given.get("metadata") or {}).get("name")
    if not asked:
        raise status.bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if asked != name:
        raise status.bad_request(f"the name of the object ({asked}) does not match the name on the URL ({name})")
    replicas = (given.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        errors = [status.invalid("spec.replicas", replicas, "must be greater than or equal to 0")]
        raise status.invalid_object("Scale", name, errors, "autoscaling")
    new = copy.deepcopy(obj)
    new["spec"]["replicas"] = replicas
    new["metadata"]["resourceVersion"] = given["metadata"].get("resourceVersion", "")
    return new
