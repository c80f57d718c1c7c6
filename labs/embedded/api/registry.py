"""Which strategy is whose."""

from labs.embedded.api import strategies as plain
from labs.embedded.api.allocation import Allocation
from labs.embedded.api.pods import Pods
from labs.embedded.api.services import Services
from labs.embedded.api.strategies import Strategy
from labs.embedded.api.workloads import Deployments, ReplicaSets
from labs.embedded.plan import AddressPlan
from labs.embedded.store import Store


def strategies(store: Store, plan: AddressPlan) -> dict[str, Strategy]:
    """By resource."""
    pods = Pods(store)
    return {
        "configmaps": plain.ConfigMaps(),
        "deployments": Deployments(pods),
        "endpoints": plain.Endpoints(),
        "endpointslices": plain.EndpointSlices(),
        "events": plain.Events(),
        "ingresses": plain.Ingresses(),
        "namespaces": plain.Namespaces(),
        "nodes": plain.Nodes(),
        "pods": pods,
        "replicasets": ReplicaSets(pods),
        "secrets": plain.Secrets(),
        "serviceaccounts": plain.ServiceAccounts(),
        "services": Services(Allocation(store, plan)),
    }
