"""The provider kind: makes, mends, finds and ends a kind cluster.

The one file that imports pytest-kind (GPL-3.0-or-later, asked for) and so runs the program `kind`. It knows nothing of
lessons, and leaves the seam's questions to kind_cluster.py.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import urllib3.exceptions
import yaml
from kubernetes.client.exceptions import ApiException
from pytest_kind import KindCluster

from labs import home, marker, namespaces, seats, tools, versions
from labs.cluster import Cluster
from labs.embedded import own_files
from labs.errors import BadInput, ClusterGone, EngineDown, LabError, NotInTime
from labs.providers import Available, claims, containers, engine, kindconfig, kube_proxy, kubeconfigs, loading
from labs.providers.exclusive import alone
from labs.providers.kind_cluster import API_PORT, KindsCluster, mapped_here
from labs.providers.standing import standing
from labs.waiting import wait_while

Say = Callable[[str], None]
READY = "labs.ports/ready"  # on the namespace of the seats: `up` came to its end
LOCK_LIMIT = 1200.0  # seconds for another `up` or `down`: an image may have to come first
STARTING_LIMIT = 90.0  # seconds for a cluster that was stopped to answer again, with all nodes Ready


class LabKind(KindCluster):  # type: ignore[misc]
    """pytest-kind's cluster, with the programs, the image and the kubeconfig given instead of its own old defaults."""

    def __init__(self, name: str, program: Path, kubectl: Path) -> None:
        # Not super().__init__: it makes a folder `.pytest-kind` wherever we happen to be.
        self.name = name
        self.image = versions.node_image()
        self.kubeconfig_path = _kubeconfig(name)
        self.kind_path = program
        self.kubectl_path = kubectl

    def export_kubeconfig(self) -> None:
        """Writes the kubeconfig of a cluster that is there. Raises subprocess.CalledProcessError."""
        _drop_kubeconfig(self.name)  # kind would add to what is there, through a link, too
        self._kind("export", "kubeconfig", f"--name={self.name}", f"--kubeconfig={self.kubeconfig_path}")

    def load_archive(self, path: str) -> None:
        """Loads an image archive onto every node. Raises subprocess.CalledProcessError."""
        self._kind("load", "image-archive", path, f"--name={self.name}")

    def _kind(self, *arguments: str) -> None:
        subprocess.run([str(self.kind_path), *arguments], check=True, capture_output=True, encoding="utf-8")


# --- the room's functions


def available() -> Available:
    """Whether an engine of this machine answers."""
    try:
        found = engine.info()
    except LabError as error:
        return Available(False, f"{error.what} {error.why}", error.try_this)
    if found.remote:
        return Available(
            False,
            f"The container engine is on another machine ({found.host}): kind's addresses would be there, not here.",
            "Unset DOCKER_HOST (or `docker context use default`) to use an engine of this machine.",
        )
    return Available(True, f"a container engine answers ({found.program} {found.version})")


def connect(argument: str = "") -> KindsCluster:
    """The learner's cluster, if it is up. EngineDown; ClusterGone where it is not there or does not answer."""
    name = _own_name()
    found, kubeconfig = containers.nodes(name), _kubeconfig(name)
    if not found or not all(one.running for one in found) or _kubeconfig_fault(found, kubeconfig):
        raise ClusterGone(f"The cluster {name} is not up.", _why_not_up(found, kubeconfig), "`python -m labs up` makes it so.")
    cluster = KindsCluster(name, kubeconfig, tools.find("kubectl"), found)
    with cluster.answering("read the namespace of the course's own Pods", "`python -m labs up` completes the cluster."):
        if not _completed(cluster):
            raise ClusterGone(
                f"The cluster {name} is not complete.",
                "Its making was interrupted, or another program made it.",
                "`python -m labs up` completes it.",
            )
    return cluster


def up(argument: str, say: Say) -> Cluster:
    """Makes the cluster, or starts, completes, repairs or replaces the learner's own that is there; says which.

    Two at the same moment: the second waits for the first. Ctrl-C while it is made leaves no cluster. Somebody else's cluster
    stays as it is: the learner gets another name, or BadInput where LABS_NAME asks for that one.
    """
    kindconfig.host_ports()  # BadInput, before anything is done
    usable = available()
    if not usable.yes:
        raise EngineDown("kind cannot make a cluster here.", usable.why, usable.mend)
    with alone(say, LOCK_LIMIT):
        programs = tools.find("kind", say), tools.find("kubectl", say)
        kind = LabKind(claims.take(claims.names(), say), *programs)
        found = containers.nodes(kind.name)
        kindconfig.check_host_ports(kind.name, mapped_here(found))
        if found and not _revived(kind, say):
            say(f"Replacing the cluster {kind.name}: it cannot be mended.")
            _delete(kind)
        if not containers.nodes(kind.name):
            _create(kind, say)
        cluster = KindsCluster(kind.name, kind.kubeconfig_path, kind.kubectl_path, containers.nodes(kind.name))
        _check_mode(cluster)
        _complete(cluster, kind, say)
    return cluster


def status(argument: str = "") -> str:
    """Whether the cluster is there and answers, its nodes, and how to end it."""
    cluster = connect(argument)
    with cluster.answering("read its nodes"):
        version = cluster.core().read_node(cluster.nodes[0].name).status.node_info.kubelet_version
    first = f"Cluster {cluster.name} (kind, Kubernetes {version}) is up."
    return standing(first, cluster.nodes, cluster.mappings, versions.warning(version))


def down(argument: str, say: Say) -> None:
    """Deletes the learner's cluster, its neighbour and its kubeconfig, whatever state they are in. BadInput where LABS_NAME
    names a cluster of somebody else."""
    with alone(say, LOCK_LIMIT):
        wanted = claims.names()
        name, holder = claims.mine(wanted)
        if holder is None:
            _remove_files(name)
        elif holder.ours:
            if containers.nodes(name):
                say(f"Deleting the cluster {name}.")
            _delete(LabKind(name, tools.find("kind", say), tools.find("kubectl", say)))
            _release(name, say)
        elif len(wanted) == 1:
            raise claims.refused(name, holder)
        else:
            say(f"You have no cluster here. The cluster {name} belongs to {holder}, and stays as it is.")


# --- making and mending


def _create(kind: LabKind, say: Say, again: bool = True) -> None:
    """again: whether to try once more where somebody took a host port before kind did."""
    containers.neighbour(kind.name)  # LabError now, and not after a minute
    config = kindconfig.for_a_new_cluster(_ports_not_to_take(kind.name))
    ports = kindconfig.mapped(config)
    for node_port, port in ports.items():
        if port != node_port:
            say(f"Node port {node_port} will answer on this laptop's port {port}.")
    _drop_kubeconfig(kind.name)
    path = home.state() / f"{kind.name}.kindconfig.yaml"
    with home.keeping("The configuration of this cluster"):
        own_files.write(path, yaml.safe_dump(config, sort_keys=False))
    if not containers.image_here(kind.image):
        say(f"The node image {kind.image.partition('@')[0]} is not here yet: kind pulls it first (about 400 MB).")
    with loading.loaded_early(kind.name, versions.workload_image(), kind.load_archive):
        try:
            kind.create(path)
            return
        except subprocess.CalledProcessError as error:
            _delete(kind)  # which ends the loading, too
            taken = [port for port in ports.values() if not kindconfig.is_free(port)]
            if not again or not taken:
                _release(kind.name, say)
                raise LabError(
                    f"kind could not make the cluster {kind.name}.",
                    f"`kind create cluster` ended with exit code {error.returncode}; its words are above.",
                    "`python -m labs doctor` looks for the usual causes (image, memory, inotify limits, ports).",
                ) from error
        except BaseException:
            say(f"Stopped; removing what there is of the cluster {kind.name}.")
            _delete(kind)
            _release(kind.name, say)
            raise
    say(f"Somebody took port {taken[0]} of this laptop meanwhile. Once more, with other ports.")
    _create(kind, say, again=False)


def _ports_not_to_take(name: str) -> set[int]:
    """Host ports that other clusters have; all that kindconfig.yaml names where one is being made, which may take them now."""
    held = containers.host_ports_held()
    return held | set(kindconfig.mapped(kindconfig.read()).values()) if claims.others_without_nodes(name) else held


def _revived(kind: LabKind, say: Say) -> bool:
    """Whether the cluster that is there answers with all its nodes Ready, after what could be done for it."""
    found = containers.nodes(kind.name)
    stopped = [one.name for one in found if not one.running]
    if stopped:
        say(f"Starting the nodes of cluster {kind.name} again: {', '.join(stopped)}.")
        if containers.start_nodes(stopped).code != 0:
            return False
    if len(found) != len(kindconfig.read()["nodes"]):
        say(f"The cluster {kind.name} was left half made: {len(found)} of its nodes are there.")
        return False
    fault = _kubeconfig_fault(found, kind.kubeconfig_path)
    if fault:
        say(f"Writing its kubeconfig again: {fault}.")
        try:
            kind.export_kubeconfig()
        except subprocess.CalledProcessError as error:
            say(f"kind could not: {error.stderr.strip()}")
            return False
    cluster = KindsCluster(kind.name, kind.kubeconfig_path, kind.kubectl_path, containers.nodes(kind.name))
    waiting = _nodes_wrong(cluster)
    if waiting:
        say(f"Waiting for the cluster {kind.name}: {waiting}.")
        end = time.monotonic() + STARTING_LIMIT
        while waiting and time.monotonic() < end:
            time.sleep(0.5)
            waiting = _nodes_wrong(cluster)
    if waiting:
        say(f"It did not come back: {waiting}.")
        return False
    kube_proxy.repair(cluster, say)
    return True


def _nodes_wrong(cluster: KindsCluster) -> str:
    """What keeps the cluster from being whole: the API, a node that is not Ready, an address that changed; or ""."""
    try:
        nodes = {node.metadata.name: node for node in cluster.core().list_node(_request_timeout=5).items}
    except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        return f"the API server does not answer yet ({type(error).__name__})"
    for expected in cluster.nodes:
        node = nodes.get(expected.name)
        if node is None:
            return f"node {expected.name} has not joined"
        if not any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or []):
            return f"node {expected.name} is not Ready"
        addresses = [a.address for a in node.status.addresses or [] if a.type == "InternalIP"]
        if expected.address not in addresses:
            return f"node {expected.name} says {', '.join(addresses)}, but its address is now {expected.address}"
    return ""


def _complete(cluster: KindsCluster, kind: LabKind, say: Say) -> None:
    """What a cluster of the course has besides: the workload image, the seats, the marker, the machine beside it."""
    if _has_namespace(cluster) and _completed(cluster):
        _make_what_needs_no_image(cluster)
        _make_seats(cluster)
        return
    beside = cluster.pool.submit(_make_what_needs_no_image, cluster)
    # Before any Pod, or it would begin with a failed pull and the wait after that.
    loading.load([node.name for node in cluster.nodes], versions.workload_image(), kind.load_archive, say)
    _wait_nodes(cluster, say)
    beside.result()
    say("Starting the Pods that requests are made from.")
    _make_seats(cluster)
    _wait_dns(cluster)
    with cluster.answering("note that the cluster is complete"):
        cluster.core().patch_namespace(seats.SYSTEM_NAMESPACE, {"metadata": {"annotations": {READY: "yes"}}})


def _check_mode(cluster: KindsCluster) -> None:
    """BadInput where LABS_PROXY_MODE asks for another mode than this cluster was made with: it cannot be changed later."""
    wish = kindconfig.proxy_mode()
    if wish is None:
        return
    with cluster.answering("read kube-proxy's configuration"):
        stored = cluster.core().read_namespaced_config_map("kube-proxy", "kube-system").data["config.conf"]
    mode = yaml.safe_load(stored)["mode"] or "iptables"
    if mode != wish:
        raise BadInput(
            f"The cluster {cluster.name} has kube-proxy in {mode} mode, and LABS_PROXY_MODE says {wish}.",
            "The mode is set when a cluster is made.",
            "`python -m labs down`, then `python -m labs up`; or unset LABS_PROXY_MODE.",
        )


def _make_what_needs_no_image(cluster: KindsCluster) -> None:
    """The machine beside the nodes, the namespace of the course's own Pods, and the marker Service in it."""
    core, (_, marker_service) = cluster.core(), marker.marker_manifests()
    namespaces.ensure_system(cluster)
    with cluster.answering("make the marker Service"):
        try:
            core.create_namespaced_service(seats.SYSTEM_NAMESPACE, marker_service)
        except ApiException as error:
            if error.status != 409:
                raise
    claims.keep(cluster.name)  # its volume may have been pruned meanwhile; from here on it is in use
    containers.ensure_neighbour(cluster.name, containers.nodes(cluster.name)[0], claims.volume(cluster.name))


def _make_seats(cluster: KindsCluster) -> None:
    marker_pod, _ = marker.marker_manifests()
    pods = [marker_pod, *(seats.node_pod(node.name) for node in cluster.nodes)]
    late = NotInTime(
        f"Namespace {seats.SYSTEM_NAMESPACE} had no ServiceAccount after {STARTING_LIMIT:.0f} s.",
        "The controllers of the control plane have not acted yet; the machine may be very busy.",
        "`python -m labs up` again; then `doctor`.",
    )
    with cluster.answering("read the default ServiceAccount"):
        wait_while(lambda: not seats.may_have_pods(cluster, seats.SYSTEM_NAMESPACE), STARTING_LIMIT, lambda _: late)
    seats.ensure(cluster, seats.SYSTEM_NAMESPACE, pods, limit=300)


def _has_namespace(cluster: Cluster) -> bool:
    with cluster.answering("read the namespace of the course's own Pods"):
        return any(one.metadata.name == seats.SYSTEM_NAMESPACE for one in cluster.core().list_namespace().items)


def _completed(cluster: Cluster) -> bool:
    try:
        found = cluster.core().read_namespace(seats.SYSTEM_NAMESPACE)
    except ApiException as error:
        if error.status == 404:
            return False
        raise
    return (found.metadata.annotations or {}).get(READY) == "yes"


def _wait_nodes(cluster: KindsCluster, say: Say) -> None:
    say("Waiting for the nodes to be Ready.")
    late = f"The nodes were not Ready after {STARTING_LIMIT:.0f} s."
    wait_while(
        lambda: _nodes_wrong(cluster),
        STARTING_LIMIT,
        lambda wrong: NotInTime(late, wrong, "`python -m labs up` again; then `doctor`."),
    )


def _wait_dns(cluster: KindsCluster) -> None:
    """Until a name can be asked for; a new cluster's CoreDNS starts last."""
    with cluster.answering("read CoreDNS"):
        pods = cluster.core().list_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns").items
    seats.wait_ready(cluster, "kube-system", [pod.metadata.name for pod in pods], STARTING_LIMIT)


def _delete(kind: LabKind) -> None:
    """Removes the cluster and what belongs to it, in any state; its name stays the learner's."""
    containers.remove_neighbour(kind.name)
    _drop_kubeconfig(kind.name)  # kind would change what a link leads to, and stop at what is no kubeconfig
    kind.delete()
    _remove_files(kind.name)


def _release(name: str, say: Say) -> None:
    """Gives the name up: from here on it is anybody's."""
    kept = claims.release(name)
    if kept:
        say(f"The name {name} stays yours on this engine: {kept}")


# --- this learner's name and files


def _own_name() -> str:
    """The name of the learner's cluster, if there is one. ClusterGone, or BadInput, where it is somebody else's."""
    wanted = claims.names()
    name, holder = claims.mine(wanted)
    if holder is None or holder.ours:
        return name
    if len(wanted) == 1:
        raise claims.refused(name, holder)
    raise ClusterGone(
        "You have no cluster here yet.",
        f"The cluster {name} on this container engine belongs to {holder}.",
        "`python -m labs up` makes one of your own, beside it.",
    )


def _kubeconfig(name: str) -> Path:
    return home.state() / f"{name}.kubeconfig"


def _drop_kubeconfig(name: str) -> None:
    """Removes the kubeconfig; one with other clusters in it is put aside. LabError where that cannot be done."""
    with home.keeping("The kubeconfig of this cluster"):
        kubeconfigs.make_way(_kubeconfig(name), f"kind-{name}")


def _remove_files(name: str) -> None:
    _drop_kubeconfig(name)
    with home.keeping("The configuration of this cluster"):
        own_files.remove(home.state() / f"{name}.kindconfig.yaml")


def _why_not_up(found: list[containers.NodeContainer], kubeconfig: Path) -> str:
    if not found:
        return "It was not made yet, or it was deleted."
    stopped = [one.name for one in found if not one.running]
    return f"Its nodes have stopped: {', '.join(stopped)}." if stopped else f"{_kubeconfig_fault(found, kubeconfig)}."


def _kubeconfig_fault(found: list[containers.NodeContainer], kubeconfig: Path) -> str:
    """Why the kubeconfig does not lead to this cluster's API server, where kind has mapped it; "" where it does."""
    servers = [f"https://{one.mappings[API_PORT]}" for one in found if API_PORT in one.mappings]
    cluster: dict[str, str | None] = {"certificate-authority-data": None}
    if servers:
        cluster["server"] = servers[0]
    return kubeconfigs.fault(kubeconfig, cluster, {"client-certificate-data": None, "client-key-data": None})
