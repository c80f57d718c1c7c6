"""What a cluster is to the lessons, whoever runs it: name, nodes, kubeconfig, its API, and the seam's four questions.

A provider subclasses `Cluster`. Does not create or end clusters (providers do), deploy (deploy does) or curl (probe does).
"""

import json
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL
from websocket import WebSocketBadStatusException, WebSocketException
from yaml import YAMLError

from labs.errors import ClusterGone, LabError, NotInTime, Refused, ToolMissing
from labs.shells import Late, Lost, Shells
from labs.waiting import at_most

API_LIMIT = (3.0, 20.0)  # seconds: to connect, to answer; of every request that names no other
# What the client raises for a kubeconfig that is gone, cut or something else (its own check is not complete).
_NO_KUBECONFIG = (ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, YAMLError, RecursionError)


@dataclass(frozen=True)
class NotHere:
    """One possible answer of the seam: "not here, because …". Not an error."""

    why: str


@dataclass(frozen=True)
class Address:
    """A host (name or IP address) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Ran:
    """What a command left behind: its exit code, what it wrote to stdout and to stderr."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Node:
    """A node: its name and its InternalIP."""

    name: str
    address: str


class Cluster(ABC):
    """A cluster that answers. The four questions of the seam are its abstract methods.

    name: the provider's name for it. provider: "kind", "embedded" or "context". kubeconfig: a file of its own, 0600.
    kubectl_path: the kubectl that goes with it. nodes: sorted by name; empty where we may not list them.
    namespace: the one namespace that all lessons must share, where the cluster is borrowed; else None.
    pool: threads for requests side by side. shells: open where commands are run again and again.
    """

    provider: str

    def __init__(
        self,
        name: str,
        kubeconfig: Path,
        kubectl_path: Path,
        nodes: tuple[Node, ...] = (),
        namespace: str | None = None,
    ) -> None:
        self.name = name
        self.kubeconfig = kubeconfig
        self.kubectl_path = kubectl_path
        self.nodes = nodes
        self.namespace = namespace
        self._of_thread = threading.local()
        self.shells = Shells()
        # For requests that wait for nothing in this pool themselves. Its threads keep their API clients: making one
        # (reading the kubeconfig, a TLS context, a connection) takes as long as a request.
        self.pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix=f"labs-{name}")

    # --- the seam

    @abstractmethod
    def outside(self, node_port: int) -> Address | NotHere:
        """The address by which this laptop reaches a node port (kind: a mapping on 127.0.0.1), or why there is none."""

    @abstractmethod
    def elsewhere(self, command: Sequence[str], limit: float = 30.0) -> Ran | NotHere:
        """Runs a command on another machine of the nodes' network. limit in seconds; NotInTime past it."""

    @abstractmethod
    def rules(self, node: str) -> str | NotHere:
        """The Service rules in force on a node, as text (`nft list` or `iptables-save`)."""

    @abstractmethod
    def settled(self, limit: float = 30.0, namespace: str | None = None) -> None:
        """Returns when every node has acted on what was changed before the call; NotInTime after `limit` seconds.

        namespace: where that was, which takes less looking; None: anywhere.
        """

    # --- what a provider adds

    @abstractmethod
    def fault(self) -> LabError:
        """Why the API does not answer, found out now: the engine stopped, the cluster was deleted, …"""

    @property
    def node_seat(self) -> NotHere | None:
        """None where Pods with `hostNetwork: true` are allowed (curl from a node), else why not."""
        return None

    def elsewhere_by_hand(self) -> tuple[str, ...]:
        """What to type before a command to run it where `elsewhere` does; empty where there is no such machine."""
        return ()

    # --- the API and commands, the same for every provider

    # Typed Any on purpose: the client's own types make every field optional, which no caller could live with.
    def core(self) -> Any:
        """The core/v1 API (CoreV1Api), a client of this thread's own."""
        return kubernetes_client.CoreV1Api(self.api_client())

    def discovery(self) -> Any:
        """The discovery.k8s.io/v1 API (DiscoveryV1Api: EndpointSlices), a client of this thread's own."""
        return kubernetes_client.DiscoveryV1Api(self.api_client())

    def networking(self) -> Any:
        """The networking.k8s.io/v1 API (NetworkingV1Api: NetworkPolicies), a client of this thread's own."""
        return kubernetes_client.NetworkingV1Api(self.api_client())

    def api_client(self) -> Any:
        """This thread's ApiClient. It fails at once, instead of trying three times, when nobody answers."""
        if not hasattr(self._of_thread, "api"):
            self._of_thread.api = self._new_client()
        return self._of_thread.api

    def _new_client(self) -> Any:
        configuration = kubernetes_client.Configuration()
        try:
            kubernetes_config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        except _NO_KUBECONFIG as error:
            raise ClusterGone(
                f"The kubeconfig of cluster {self.name} cannot be used.",
                f"{self.kubeconfig}: {' '.join(str(error).split()) or type(error).__name__}.",
                "`python -m labs up` writes it again; then run the cell again.",
            ) from error
        configuration.retries = False
        configuration.proxy = None
        return LimitedClient(configuration)

    @contextmanager
    def answering(self, doing: str, try_this: str = "Change what the API server names, and run this again.") -> Iterator[None]:
        """Turns what the client raises into a LabError: Refused (the server's words), or this cluster's `fault()`.

        doing: what was attempted, for the error's first line, as in "apply Service productpage".
        """
        try:
            yield
        except ApiException as error:
            told = _handshake(error) or error
            if not told.status:
                raise self.fault() from error
            status = refusal(told)
            raise Refused(f"The API server refused to {doing}.", status.words, try_this, told.status, status.reason) from error
        except (urllib3.exceptions.HTTPError, WebSocketException, ConnectionError) as error:
            raise self.fault() from error

    def exec(self, namespace: str, pod: str, command: Sequence[str], container: str | None = None, limit: float = 30.0) -> Ran:
        """Runs a command in a Pod's container, as `kubectl exec` does; the container may be left out where there is only one.

        limit in seconds; Refused where there is no such Pod or container; NotInTime past the limit.
        """
        with self.answering(f"run {command[0]} in Pod {pod}"):
            session = self._session(namespace, pod, command, container, stdin=False)
            try:
                session.run_forever(timeout=limit)
                if session.is_open():
                    raise still_running(command, f"in Pod {pod}", limit)
                code, words = _end(session)
                if code is None:
                    raise self.fault()
                return Ran(code, session.read_stdout(timeout=0), session.read_stderr(timeout=0) + words)
            finally:
                session.close()

    def exec_in_shell(self, namespace: str, pod: str, command: Sequence[str], limit: float = 30.0) -> Ran:
        """As `exec`, in a Pod of one container that has `sh` and is asked again and again: by a shell that stays open there.

        Where that shell ends before the command does, as when the Pod is deleted, the command is run once more, by `exec`: it
        must be one that does no harm when it is run twice.
        """

        def opened() -> Any:
            with self.answering(f"run {command[0]} in Pod {pod}"):
                return self._session(namespace, pod, ["sh"], None, stdin=True)

        try:
            return Ran(*self.shells.run((namespace, pod), opened, command, limit))
        except Lost:
            return self.exec(namespace, pod, command, limit=limit)
        except Late:
            raise still_running(command, f"in Pod {pod}", limit) from None

    def _session(self, namespace: str, pod: str, command: Sequence[str], container: str | None, stdin: bool) -> Any:
        """An exec under way. One by the Python client swaps its client's `request` method while it begins, so each thread has
        one client for execs alone."""
        if not hasattr(self._of_thread, "exec"):
            self._of_thread.exec = kubernetes_client.CoreV1Api(self._new_client())
        return stream(
            self._of_thread.exec.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=stdin,
            tty=False,
            _preload_content=False,
            _request_timeout=API_LIMIT,
            **({"container": container} if container else {}),
        )

    def kubectl(self, *arguments: str, stdin: str | None = None, limit: float = 60.0) -> Ran:
        """Runs this cluster's kubectl with this cluster's kubeconfig. Its exit code is for the caller to judge."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(
                command, check=False, input=stdin, capture_output=True, encoding="utf-8", errors="replace", timeout=limit
            )
        except OSError as error:
            raise ToolMissing(
                f"{self.kubectl_path} cannot be run as kubectl.", str(error), "`python -m labs doctor` says which one is taken."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise NotInTime(
                f"`kubectl {' '.join(arguments)}` was still running after {limit:.0f} s.",
                "It waits for something that did not come true.",
                "Look at the objects it names with `kubectl get` and `kubectl describe`.",
            ) from error
        return Ran(done.returncode, done.stdout, done.stderr)


class LimitedClient(kubernetes_client.ApiClient):
    """The API client, whose requests do not wait for ever for a server that is silent."""

    def call_api(
        self, method: Any, url: Any, header_params: Any = None, body: Any = None, post_params: Any = None,
        _request_timeout: Any = None,
    ) -> Any:  # fmt: skip
        """As the client's own; API_LIMIT, or less for a command that is impatient, is the limit where none is named."""
        limit = tuple(map(at_most, API_LIMIT)) if _request_timeout is None else _request_timeout
        return super().call_api(method, url, header_params, body, post_params, limit)


def still_running(command: Sequence[str], where: str, limit: float) -> NotInTime:
    """The error for a command whose time was over. where: as in "in Pod client". limit in seconds."""
    return NotInTime(
        f"`{command[0]}` {where} was still running after {limit:.0f} s.",
        "The command waits for something, or the machine is very busy.",
        "Run the cell again; if it happens twice, `python -m labs reset`.",
    )


@dataclass(frozen=True)
class Refusal:
    """A Status that the API server sent: its words, and its reason in one word ("Invalid", "NotFound", …)."""

    words: str
    reason: str


def refusal(error: ApiException) -> Refusal:
    """What the API server said in a refusal; the HTTP reason where its body is no Status."""
    try:
        body = json.loads(error.body or "")  # and not as YAML, which takes "\\ud83d\\ude00" for two characters
        words = str(body["message"]).encode("utf-8", "replace").decode("utf-8")  # half a character can be shown nowhere
        return Refusal(words, str(body.get("reason", "")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Refusal(str(error.reason), "")


def _handshake(error: ApiException) -> ApiException | None:
    """The server's answer to an exec that did not begin; the client's own exception has status 0 and only quotes it."""
    cause = error.__context__
    if not isinstance(cause, WebSocketBadStatusException):
        return None
    answer = ApiException(status=cause.status_code, reason=str(cause))
    answer.body = (cause.resp_body or b"").decode("utf-8", "replace")
    return answer


def _end(session: Any) -> tuple[int | None, str]:
    """What an exec's last message (a Status on the error channel) says: the exit code, and words where nothing could run.

    None where the message never came: the connection broke.
    """
    try:
        status = json.loads(session.read_channel(ERROR_CHANNEL, timeout=0) or "{}")
    except ValueError:  # the connection broke in the middle of it
        return None, ""
    if not isinstance(status, dict) or "status" not in status:
        return None, ""
    if status["status"] == "Success":
        return 0, ""
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"]), ""
    return 126, f"{status.get('message', '')}\n"  # a shell's code for what cannot be run
