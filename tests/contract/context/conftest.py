"""Fixtures: the provider context, tried on the kind cluster as a guest with rights in one namespace, Pod Security *restricted*.

The guest is a ServiceAccount with the built-in ClusterRole `edit` in its own namespace and nothing else. The admin is whoever
made the kind cluster; strangers are objects that the admin puts into the guest's namespace.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labs.cluster import Cluster
from labs.deploy import Lesson
from labs.providers import context
from labs.providers.context.borrowed import BorrowedCluster
from tests.contract.context.guests import RESTRICTED, Said, invited


@pytest.fixture(scope="package")
def admin(cluster: Cluster) -> Cluster:
    """The cluster as its maker sees it. Skipped where it is borrowed itself: there we may not make guests."""
    if cluster.namespace is not None:
        pytest.skip("guests can be made only on a cluster of our own")
    if cluster.provider == "embedded":
        pytest.skip("the embedded cluster has one user: it does not serve RBAC, which guests need")
    return cluster


@pytest.fixture(scope="package")
def room(admin: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """A home of its own for the provider, so that the course's own cluster is not forgotten for the borrowed one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("KUBECTL_BIN", str(admin.kubectl_path))
        patch.setenv("LABS_NAME", f"guest-{random.randrange(10**6)}")
        for name in ("LABS_NAMESPACE", "LABS_OPEN_NODE_PORT"):
            patch.delenv(name, raising=False)
        yield patch


@pytest.fixture(scope="package")
def namespaces(admin: Cluster) -> Iterator[Callable[[], str]]:
    """Makes namespaces with Pod Security *restricted*, deleted after the last of these tests."""
    made: list[str] = []

    def make() -> str:
        made.append(f"guests-{random.randrange(10**6)}")
        admin.core().create_namespace({"metadata": {"name": made[-1], "labels": RESTRICTED}})
        return made[-1]

    yield make
    for name in made:
        admin.core().delete_namespace(name, grace_period_seconds=0)


@pytest.fixture(scope="package")
def lent(
    admin: Cluster, room: pytest.MonkeyPatch, namespaces: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[BorrowedCluster, Said, Path]:
    """The guest's cluster after `up`, what `up` said, and the guest's own kubeconfig."""
    theirs = invited(admin, namespaces(), "guest", "edit", tmp_path_factory.mktemp("guest") / "config")
    room.setenv("KUBECONFIG", str(theirs))
    before = theirs.read_bytes()
    said: Said = []
    cluster = context.up("guest", said.append)
    assert theirs.read_bytes() == before
    assert isinstance(cluster, BorrowedCluster)
    return cluster, said, theirs


@pytest.fixture
def guest(lent: tuple[BorrowedCluster, Said, Path]) -> BorrowedCluster:
    """The cluster as the guest sees it."""
    return lent[0]


@pytest.fixture
def lesson(guest: BorrowedCluster) -> Iterator[Lesson]:
    """A lesson of the guest's, started."""
    made = Lesson(guest, "02-target-port", say=lambda _: None)
    made.start()
    yield made
    made.reset()


@pytest.fixture
def stranger(admin: Cluster, guest: BorrowedCluster) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Puts objects that are not the course's into the guest's namespace; they are deleted after the test."""
    made: list[tuple[str, str]] = []

    def put(manifest: dict[str, Any]) -> None:
        made.append((manifest["kind"].lower(), manifest["metadata"]["name"]))
        done = admin.kubectl("-n", guest.space, "apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        assert done.code == 0, done.err

    yield put
    for kind, name in made:
        admin.kubectl("-n", guest.space, "delete", kind, name, "--grace-period=0", "--force", "--ignore-not-found")
