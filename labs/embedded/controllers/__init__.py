"""The controllers of the embedded cluster, over the store: each does its work in the turn of the change that causes it.

When a client's write has been answered, everything that follows from it in the store has happened; what Pods and rules need
comes after, from the nodes. Nothing here touches a network or a process.
"""

from collections.abc import Callable

from labs.embedded.controllers.deployments import DeploymentController
from labs.embedded.controllers.endpoints import EndpointsController
from labs.embedded.controllers.endpointslices import EndpointSliceController
from labs.embedded.controllers.events import EventExpiry, Recorder
from labs.embedded.controllers.garbage import GarbageCollector
from labs.embedded.controllers.mirroring import MirroringController
from labs.embedded.controllers.namespaces import NamespaceController
from labs.embedded.controllers.replicasets import ReplicaSetController
from labs.embedded.controllers.scheduler import Scheduler
from labs.embedded.store import Object, Store

__all__ = ["Recorder", "start"]


def start(store: Store, ca: str, admit: Callable[[Object], Object] = lambda pod: pod) -> None:
    """Starts all of them. ca: the cluster's CA certificate, PEM. admit: completes a Pod of a ReplicaSet as the API would."""
    for controller in (
        NamespaceController(ca),
        GarbageCollector(),
        DeploymentController(),
        ReplicaSetController(admit),
        Scheduler(),
        EndpointsController(),
        EndpointSliceController(),
        MirroringController(),
        EventExpiry(),
    ):
        controller.start(store)
