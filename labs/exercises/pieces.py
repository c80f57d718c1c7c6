"""The pieces that exercises are made of: the article's Service and Pod as they are when all is well, and steps of solutions."""

import json
from collections.abc import Mapping
from typing import Any

from labs import workload
from labs.checks.exercise import Step
from labs.deploy import Manifest

PRODUCTPAGE = {"app": "productpage"}


def port(number: int = 9999, target: int | str | None = 9080, name: str = "http", **more: Any) -> dict[str, Any]:
    """One port of a Service; target None: left out. more: as in nodePort=30066, protocol="UDP"."""
    return {"name": name, "port": number, **({} if target is None else {"targetPort": target}), **more}


def service(
    *ports: dict[str, Any], name: str = "productpage", selector: Mapping[str, str] | None = PRODUCTPAGE, **spec: Any
) -> Manifest:
    """A Service; the article's, its addresses left to the API, where nothing is said. spec: any other field."""
    selected = {"selector": dict(selector)} if selector else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {**spec, "ports": list(ports) or [port()], **selected},
    }


def pod(name: str = "pod2", labels: Mapping[str, str] = PRODUCTPAGE, **options: Any) -> Manifest:
    """A Pod of one container; options: those of `labs.workload.pod`."""
    return workload.pod(name, labels, **{"containers": ("productpage",), **options})


def kubectl(*arguments: str) -> Step:
    """A step that is one command."""
    return Step(arguments)


def patch(*operations: dict[str, Any], name: str = "productpage") -> Step:
    """A step that changes a Service by JSON patch."""
    return Step(("patch", "service", name, "--type=json", "-p", json.dumps(operations)))


def replace(path: str, value: Any) -> dict[str, Any]:
    """One operation of a JSON patch."""
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: Any) -> dict[str, Any]:
    """One operation of a JSON patch."""
    return {"op": "add", "path": path, "value": value}


def target(value: int | str, at: int = 0) -> dict[str, Any]:
    """The operation that sets targetPort."""
    return replace(f"/spec/ports/{at}/targetPort", value)


def anew(manifest: Manifest) -> Step:
    """A step that deletes an object and makes it again."""
    return Step(("replace", "--force", "-f", "-"), manifest)


def apply(manifest: Manifest) -> Step:
    """A step that makes an object."""
    return Step(("apply", "-f", "-"), manifest)
