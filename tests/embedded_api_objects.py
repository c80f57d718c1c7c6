"""What tests of the embedded API are about: paths, small objects, and waiting until something is true."""

import time
from collections.abc import Callable
from typing import Any

PODS, SERVICES, MAPS = (f"/api/v1/namespaces/n/{one}" for one in ("pods", "services", "configmaps"))
ONE = {"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}


def configmap(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "data": {"a": "b"}}


def wait(condition: Callable[[], bool]) -> None:
    """Until it is true, at most ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)
