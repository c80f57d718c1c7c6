"""The probes of one container that runs: startup first, then readiness and liveness. probes.py asks; here is what follows.

As pkg/kubelet/prober/worker.go has it.
"""

import asyncio
from typing import Any, Protocol

from labs.embedded.kubelet import probes

Object = dict[str, Any]
_KINDS = ("startup", "readiness", "liveness")


class Probed(Protocol):
    """A container that runs."""

    spec: Object

    def tell(self, kind: str, reason: str, message: str) -> None:
        """An Event about it."""

    def started(self) -> None:
        """Its startup probe has succeeded."""

    def ready(self, ready: bool) -> None:
        """What its readiness probe says now."""

    def failed(self, kind: str) -> None:
        """Its startup or liveness probe says that it must be started anew."""


def wanted(spec: Object) -> bool:
    """Whether a container has any probe."""
    return any(f"{kind}Probe" in spec for kind in _KINDS)


async def run(container: Probed, asker: probes.Asker) -> None:
    """Probes until it is cancelled."""

    def unhealthy(kind: str, verdict: probes.Verdict) -> None:
        how = "errored and resulted in unknown state" if verdict.result == probes.ERRORED else "failed"
        container.tell("Warning", "Unhealthy", f"{kind} probe {how}: {verdict.words}")

    if "startupProbe" in container.spec:
        up = asyncio.Event()

        def judged(good: bool) -> None:
            if good:
                up.set()
            else:
                container.failed("startup")

        probe = container.spec["startupProbe"]
        watching = asyncio.create_task(probes.watch(probe, asker, judged, lambda v: unhealthy("Startup", v), False))
        try:
            await up.wait()
        finally:
            watching.cancel()
        container.started()

    def lives(good: bool) -> None:
        if not good:
            container.failed("liveness")

    async with asyncio.TaskGroup() as group:
        if "readinessProbe" in container.spec:
            probe = container.spec["readinessProbe"]
            group.create_task(probes.watch(probe, asker, container.ready, lambda v: unhealthy("Readiness", v), False))
        if "livenessProbe" in container.spec:
            probe = container.spec["livenessProbe"]
            group.create_task(probes.watch(probe, asker, lives, lambda v: unhealthy("Liveness", v), True))
