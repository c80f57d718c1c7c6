"""The provider embedded: a cluster that needs no container engine (labs/embedded), and its answers to the seam's questions.

Starts, finds and ends it. Knows nothing of how it works inside.
"""

import base64
import errno
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import urllib3.exceptions

from labs import home, namespaces, seats, tools, versions
from labs.cluster import Address, Cluster, Node, NotHere, Ran
from labs.embedded import host, launch, own_files, processes, repair
from labs.embedded.health_report import Report
from labs.embedded.plan import AddressPlan
from labs.errors import ClusterGone, LabError, NoProvider, NotInTime, ToolMissing
from labs.providers import Available, kindconfig, kubeconfigs
from labs.providers.exclusive import alone
from labs.providers.standing import standing

Say = Callable[[str], None]
_SETTLED = "/labs/settled"
_RULES = ["nft", "list", "table", "ip", "kube-proxy"]
_LIMITS = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # what a start meets where a limit is reached
_FILES = "What is known of the cluster"
LOCK_LIMIT = 120.0  # seconds for another `up` or `down`


class EmbeddedCluster(Cluster):
    """An embedded cluster that runs."""

    provider = "embedded"

    def __init__(self, running: launch.Running, kubeconfig: Path, kubectl: Path) -> None:
        plan = AddressPlan(running.name, running.node_network)
        nodes = sorted((Node(node.name, node.address) for node in plan.nodes), key=lambda node: node.name)
        super().__init__(running.name, kubeconfig, kubectl, tuple(nodes))
        self.running = running
        self.mapped = {port: Address("127.0.0.1", there) for port, there in running.mappings.items()}

    def outside(self, node_port: int) -> Address | NotHere:
        """The mapping on this laptop's 127.0.0.1."""
        if node_port in self.mapped:
            return self.mapped[node_port]
        if not self.mapped:
            return NotHere(kindconfig.NONE_MAPPED)
        known = " and ".join(str(port) for port in sorted(self.mapped))
        return NotHere(f"only node port {known} is mapped to this laptop, not {node_port} (as in kindconfig.yaml)")

    def elsewhere(self, command: Sequence[str], limit: float = 30.0) -> Ran | NotHere:
        """Runs the command in the network namespace of the machine beside the nodes."""
        return self._there("machine", command, limit)

    def elsewhere_by_hand(self) -> tuple[str, ...]:
        """What to type before a command to run it there."""
        return tuple(self._inside("machine"))

    def rules(self, node: str) -> str | NotHere:
        """The table that kube-proxy's nftables mode has."""
        shown = self._there(node, _RULES, 30.0)
        return shown.out if shown.code == 0 else NotHere(f"node {node} shows no Service rules: {shown.err.strip()}")

    def settled(self, limit: float = 30.0, namespace: str | None = None) -> None:
        """The cluster's own process knows: it writes the rules of all nodes."""
        with self.answering("wait until the nodes have acted"):
            try:
                url = f"https://127.0.0.1:{self.running.api}{_SETTLED}"
                headers = {"Authorization": f"Bearer {self.running.token}"}
                self.api_client().rest_client.request("POST", url, headers=headers, _request_timeout=limit)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise NotInTime(
                    f"The nodes had not acted on a changed Service after {limit:.0f} s.",
                    "The machine is very busy.",
                    "Run this again.",
                ) from error

    def fault(self) -> LabError:
        """Whether its process has ended."""
        if not self.running.alive():
            return ClusterGone(
                f"The cluster {self.name} has ended.",
                "Its process is gone, and all that it held with it: this machine was restarted, or somebody ended it.",
                "`python -m labs up` makes a new one; then run the notebook from its top.",
            )
        if self.running.stopped():
            return ClusterGone(
                f"The API server of cluster {self.name} does not answer.",
                f"Somebody has stopped its process, {self.running.pid} (SIGSTOP).",
                "`python -m labs up` lets it go on.",
            )
        return ClusterGone(
            f"The API server of cluster {self.name} does not answer.",
            "Its process runs; the machine is very busy.",
            "Wait a little and run the cell again; then `python -m labs down` and `python -m labs up`.",
        )

    def _inside(self, place: str) -> list[str]:
        """What to put before a command to run it there. `up` may have started other holders since this cluster was found."""
        newest = launch.find(_files()) or self.running
        return ["nsenter", "-t", str(newest.holders[place]), "-U", "-n", "--preserve-credentials"]

    def _there(self, place: str, command: Sequence[str], limit: float) -> Ran:
        if not self.running.alive():
            raise self.fault()
        inside = self._inside(place)
        if not processes.together(self.running.pid, int(inside[2])):
            raise ClusterGone(
                f"The network of {place} cannot be entered.",
                "The process that was in it, and did nothing else, has ended: somebody ended it.",
                "`python -m labs up` starts another.",
            )
        try:
            done = subprocess.run(
                [*inside, *command], capture_output=True, encoding="utf-8", errors="replace", timeout=limit,
                env=host.environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise NotInTime(
                f"`{command[0]}` was still running after {limit:.0f} s.",
                "It waits for something, or the machine is very busy.",
                "Run the cell again.",
            ) from error
        return Ran(done.returncode, done.stdout, done.stderr)


# --- the room's functions


def available() -> Available:
    """Whether this machine allows namespaces, and has the programs."""
    problem = host.problem()
    if problem is not None:
        return Available(False, problem.why, problem.mend)
    return Available(True, "Linux namespaces are allowed here")


def has_kubectl() -> bool:
    """Whether a kubectl is here that an embedded cluster can be used with, without a download."""
    try:
        return tools.found_where("kubectl", versions.KUBECTL_OLDEST).where != "would be downloaded"
    except ToolMissing:
        return False


def connect(argument: str = "") -> EmbeddedCluster:
    """The cluster of `LABS_NAME`, if it runs. ClusterGone where it does not, or its kubeconfig leads elsewhere."""
    running = launch.find(_files())
    if running is None:
        raise ClusterGone(
            f"The cluster {home.cluster_name()} is not up.",
            "It was not started yet, or it has ended: it does not outlive a restart of this machine.",
            "`python -m labs up` starts it.",
        )
    fault = _kubeconfig_fault(running)
    if fault:
        raise ClusterGone(
            f"The kubeconfig of cluster {running.name} is damaged.",
            f"{fault}.",
            "`python -m labs up` writes it again.",
        )
    return EmbeddedCluster(running, home.kubeconfig(), _kubectl())


def up(argument: str, say: Say) -> Cluster:
    """Starts the cluster where it does not run; puts right what is wrong with one that does, or replaces it, and says what it
    was. Two at the same moment: the second waits for the first.
    """
    kindconfig.host_ports()  # BadInput, before anything is done
    kubectl = tools.find("kubectl", say, versions.KUBECTL_OLDEST)
    with alone(say, LOCK_LIMIT):
        found = launch.find(_files())
        if found is not None:
            kindconfig.check_host_ports(found.name, found.mappings)
        report = _repaired(found, say) if found is not None else Report()
        if found is None:
            _say_what_was(say)
        running = _started(say) if found is None or report.broken else repair.renewed(found, report)
        _keep(running, say if found is not None and found.pid == running.pid else None)
        cluster = EmbeddedCluster(running, home.kubeconfig(), kubectl)
        if report.incomplete and not report.broken:
            say(f"Pod {', '.join(report.incomplete)} is not Ready: making what is missing.")
            _make_seats(cluster)
    return cluster


def _say_what_was(say: Say) -> None:
    """Of a cluster that is not found, although it was started."""
    files = _files()
    if launch.known(files) is not None:
        say(f"The cluster {files.name} has ended since it was started. What was on it is gone.")
    elif os.path.lexists(files.facts):
        say(f"{files.facts} is damaged, and tells nobody where the cluster {files.name} is. What was on it is gone.")


def _repaired(running: launch.Running, say: Say) -> Report:
    """What a cluster that runs says of itself after it was put right. Where that was not possible, it is ended."""
    for words in repair.wake(running):
        say(f"Fixed: {words}; it goes on.")
    report = repair.check(running) or Report(broken=["it does not answer"])
    for words in report.fixed:
        say(f"Fixed: {words}.")
    for words in report.unseen:
        say(f"Not looked at: {words}.")
    for words in report.broken:
        say(f"Broken: {words}.")
    if report.broken:
        say(f"Replacing the cluster {running.name}: that cannot be fixed. What was on it is gone.")
        launch.end(_files())
    return report


def status(argument: str = "") -> str:
    """Whether the cluster runs and answers, its nodes, and how to end it."""
    cluster = connect(argument)
    with cluster.answering("read its nodes"):
        version = cluster.core().read_node(cluster.nodes[0].name).status.node_info.kubelet_version
    first = f"Cluster {cluster.name} (embedded, behaves as Kubernetes {version}) is up, process {cluster.running.pid}."
    return standing(first, cluster.nodes, cluster.mapped)


def down(argument: str, say: Say) -> None:
    """Ends the cluster, and removes its kubeconfig."""
    with alone(say, LOCK_LIMIT):
        if launch.find(_files()) is not None:
            say(f"Ending the cluster {home.cluster_name()}.")
        with home.keeping(_FILES):
            launch.end(_files())
            kubeconfigs.make_way(home.kubeconfig(), _context(home.cluster_name()))


# --- pieces


def _kubectl() -> Path:
    """The kubectl to use; it is not there yet where it would be downloaded. ToolMissing where KUBECTL_BIN is wrong."""
    return tools.found_where("kubectl", versions.KUBECTL_OLDEST).path


def _started(say: Say) -> launch.Running:
    name = home.cluster_name()
    say(f"Starting the cluster {name} (embedded: Linux namespaces, no container engine).")
    try:
        # The seats come with it: to ask for them by the API, the client would be imported first, which takes as long again.
        return launch.start(_files(), kindconfig.node_ports(), kindconfig.host_ports() == "any", _seat_pods())
    except launch.NotStarted as error:
        problem = host.problem()
        raise NoProvider(
            f"The embedded cluster {name} could not be started.",
            problem.why if problem else error.why,
            problem.mend if problem else f"{_files().log} tells more; `python -m labs doctor` looks at this machine.",
        ) from error
    except OSError as error:
        if error.errno in _LIMITS:
            raise NoProvider(
                f"The embedded cluster {name} could not be started.",
                f"This machine allows no more ({error.strerror}): too many files are open, or too many processes run.",
                "Close other programs; `python -m labs doctor` shows the limits.",
            ) from error
        raise home.not_kept(_FILES, error) from error


def _keep(running: launch.Running, say: Say | None) -> None:
    """Notes what is known of the cluster; and writes its kubeconfig, unless the one that is there leads to it.

    say: takes what was wrong with that one; None: of course it leads elsewhere, as the cluster is new.
    """
    fault = _kubeconfig_fault(running)
    if fault and say is not None:
        say(f"Fixed: {fault}; it is written again.")
    with home.keeping(_FILES):
        launch.keep(_files(), running)
        if fault:
            kubeconfigs.make_way(home.kubeconfig(), _context(running.name))
            own_files.write(home.kubeconfig(), json.dumps(_kubeconfig(running), indent=1))


def _make_seats(cluster: EmbeddedCluster) -> None:
    namespaces.ensure_system(cluster)
    seats.ensure(cluster, seats.SYSTEM_NAMESPACE, [seats.node_pod(node.name) for node in cluster.nodes])


def _seat_pods() -> list[dict[str, Any]]:
    """The manifests of the Pods that requests from the nodes are made from."""
    pods = [seats.node_pod(node.name) for node in AddressPlan(home.cluster_name()).nodes]
    return [{**pod, "metadata": {**pod["metadata"], "namespace": seats.SYSTEM_NAMESPACE}} for pod in pods]


def _kubeconfig(running: launch.Running) -> dict[str, Any]:
    name = _context(running.name)
    authority = base64.b64encode(running.authority.encode()).decode("ascii")
    server = {"server": f"https://127.0.0.1:{running.api}", "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": name, "user": {"token": running.token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _kubeconfig_fault(running: launch.Running) -> str:
    wanted = _kubeconfig(running)
    return kubeconfigs.fault(home.kubeconfig(), wanted["clusters"][0]["cluster"], wanted["users"][0]["user"])


def _context(name: str) -> str:
    return f"embedded-{name}"


def _files() -> launch.Files:
    return launch.Files(home.state(), home.cluster_name())
