"""A lesson's place on a cluster: its namespace, what is applied there, the waiting until it is true, and the clean-up.

Does not ask curl (probe does), judge (explain, checks do) or show anything (views, `labs.show`).
"""

import copy
import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client.exceptions import ApiException

from labs import addresses, namespaces, seats, shared
from labs.cluster import Cluster, Ran
from labs.errors import BadInput
from labs.shared import LESSON as LESSON
from labs.versions import AGNHOST, workload_image

ARTICLE_CLUSTER_IP = addresses.CLUSTER_IP
ARTICLE_NODE_PORT = addresses.NODE_PORT
NEWS = 7.0  # seconds without any of the Pods that `reset` ends
_MANIFESTS = Path(str(resources.files("labs") / "manifests"))

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Applied:
    """What came of one object: its kind and name, "created", "changed", "unchanged" or "made anew", the server's copy."""

    kind: str
    name: str
    verb: str
    object: Manifest


def manifest_path(name: str) -> Path:
    """The path of one of the course's manifests; the ".yaml" may be left out. BadInput names those that there are."""
    path = _MANIFESTS / (name if name.endswith(".yaml") else f"{name}.yaml")
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in _MANIFESTS.glob("*.yaml")))
        raise BadInput(f"There is no manifest called {name}.", f"The course has: {there}.", "Use one of these names.")
    return path


def read_manifests(source: str | Path | Manifest) -> list[Manifest]:
    """The objects in a manifest: a name or path of a file, YAML text, or one object. BadInput where it is none."""
    if isinstance(source, dict):
        return [_object(source)]
    text = str(source)
    if isinstance(source, Path) or "\n" not in text:
        text = (source if isinstance(source, Path) and source.is_file() else manifest_path(text)).read_text("utf-8")
    try:
        found = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1}, column {where.column + 1})" if where else ""
        problem = getattr(error, "problem", None) or str(error)
        raise BadInput(f"This is not YAML{line}.", str(problem), "Check the indentation there; YAML takes no tabs.") from error
    if not found:
        raise BadInput("There is no object in this manifest.", "It is empty.", "Give it apiVersion, kind, metadata, spec.")
    return [_object(document) for document in found]


def _object(document: Any) -> Manifest:
    if not isinstance(document, dict):
        raise BadInput(
            "This YAML holds no Kubernetes object.",
            f"It is a {type(document).__name__}, not a mapping with apiVersion, kind and metadata.",
            "Start it with `apiVersion:`.",
        )
    lacking = [key for key in ("apiVersion", "kind") if not document.get(key)]
    if not (document.get("metadata") or {}).get("name"):
        lacking.append("metadata.name")
    if lacking:
        raise BadInput("This manifest lacks something.", f"It has no {', '.join(lacking)}.", "Add what is missing.")
    if document["kind"] not in ("Pod", "Service"):
        raise BadInput(
            f"A {document['kind']} cannot be applied from here.",
            "The lessons' `apply` knows Pods and Services.",
            "Use `kubectl apply -f` in a terminal for anything else.",
        )
    return document


class Lesson:
    """One lesson on one cluster. `start()` first; then the namespace is the lesson's own and empty but for its client.

    name: the notebook's, as in "02-target-port"; BadInput where it can be none. namespace: where its objects are. labels: on
    a borrowed cluster, where all lessons share one namespace, they tell this lesson's objects from the others'.

    A namespace that the course did not make is never touched, nor on a borrowed cluster an object without its label: LabError.
    """

    def __init__(self, cluster: Cluster, name: str, say: Callable[[str], None] = print) -> None:
        self.cluster = cluster
        self.name = name
        own = shared.namespace_of(name)
        self.namespace = cluster.namespace or own
        self.labels = {LESSON: name}
        self._say = say

    # --- from any state to a clean one, and back

    def start(self) -> None:
        """Makes the namespace where it is missing, empties it, takes the article's addresses, and waits for the client.

        What of these addresses a Service that is not the course's has, it keeps, which is said.
        """
        self.prepare()
        self.reset()
        if self.cluster.namespace is None:
            for kept in addresses.free(self.cluster, self.namespace, self._say).values():
                self._say(f"{kept.what} {kept.why} Until then, what asks for it here is refused. {kept.try_this}")
        self.ensure_client()

    def prepare(self) -> None:
        """Makes the namespace where it is missing; on a borrowed cluster clears away what another lesson left in it."""
        if self.cluster.namespace is None:
            namespaces.ensure(self.cluster, self.namespace, self.name)
        else:
            self._take_over()

    def ensure_client(self) -> None:
        """Makes the Pod that requests are made from, where it is missing or has ended, and waits until it is Ready."""
        self.check_namespace()
        seats.ensure(self.cluster, self.namespace, [seats.client_pod()])

    def reset(self) -> None:
        """Removes this lesson's Pods and Services and returns when they are gone. The client Pod and the namespace stay."""
        self.check_namespace()
        namespaces.empty(self.cluster, self.namespace, self._selector())

    def check_namespace(self) -> None:
        """LabError where the namespace is not one that the course made, or on a borrowed cluster was lent to it."""
        if self.cluster.namespace is None:
            namespaces.check(self.cluster, self.namespace)

    def check_ours(self, kind: str, name: str) -> None:
        """LabError where the Pod or Service of that name, which need not be there, is not the course's to change."""
        self.check_namespace()
        if self.cluster.namespace is not None:
            manifest = {"kind": kind, "metadata": {"name": name}}
            if shared.names_held([manifest], *self._neighbours()):
                raise shared.stranger(kind, name)

    def _selector(self) -> str:
        ours = f"{seats.ROLE}"
        return f"!{ours}" if self.cluster.namespace is None else f"!{ours},{LESSON}={self.name}"

    def _take_over(self) -> None:
        """On a borrowed cluster: clears away what another lesson left, and says so, and what of strangers is in the way."""
        needed = [one for path in sorted(_MANIFESTS.glob("*.yaml")) for one in read_manifests(path)]
        pods, services = self._neighbours()
        others = sorted({one for one in map(shared.lesson_of, [*pods, *services]) if one and one != self.name})
        if others:
            namespaces.empty(self.cluster, self.namespace, f"!{seats.ROLE},{LESSON},{LESSON}!={self.name}")
            self._say(
                f"All lessons share namespace {self.namespace}, one at a time: the Pods and Services of lesson "
                f"{', '.join(others)} were removed. Run that lesson from its top to bring them back."
            )
        if shared.names_held([seats.client_pod()], pods, services):
            raise shared.stranger("Pod", seats.CLIENT)
        for held in shared.names_held(needed, pods, services):
            self._say(f"{held} in namespace {self.namespace} is not the course's and stays; what needs that name will say so.")

    def _neighbours(self) -> tuple[list[Any], list[Any]]:
        """All Pods and Services of the namespace, whoever they belong to."""
        with self.cluster.answering(f"list what is in namespace {self.namespace}"):
            core = self.cluster.core()
            return core.list_namespaced_pod(self.namespace).items, core.list_namespaced_service(self.namespace).items

    def claim_article_addresses(self, needed: addresses.Addresses = addresses.ALL) -> None:
        """Frees the article's ClusterIP and node port where another lesson holds them, and says so.

        LabError where a Service that is not the course's has one that is needed.
        """
        for has, kept in addresses.free(self.cluster, self.namespace, self._say).items():
            if has & needed:
                raise kept

    # --- deploy

    def apply(self, source: str | Path | Manifest, wait: bool = True, anew: bool = False, limit: float = 60.0) -> list[Applied]:
        """Creates or replaces the objects of a manifest (a name, a path, YAML text, or one object) in the namespace.

        A Service is replaced whole, never merged. A Pod that differs is refused by the API (its ports are immutable), or
        with `anew` deleted first and made again. With `wait`, returns when Pods are Ready and `settled()` holds; limit in
        seconds. Raises Refused with the server's words (nothing later in the manifest is applied), BadInput, NotInTime.
        """
        manifests = read_manifests(source)
        self.check_namespace()
        done = [self._apply_one(manifest, anew) for manifest in manifests]
        if wait:
            self.wait([one.name for one in done if one.kind == "Pod"], limit)
        return done

    def wait(self, pods: Iterable[str] = (), limit: float = 60.0) -> None:
        """Returns when these Pods are Ready and every node has acted on all that was changed before. limit in seconds."""
        seats.wait_ready(self.cluster, self.namespace, list(pods), limit)
        self.settled()

    def settled(self, limit: float = 30.0) -> None:
        """Returns when every node has acted on what was changed in the namespace. limit in seconds; NotInTime past it."""
        self.cluster.settled(limit, self.namespace)

    def remove(self, kind: str, name: str) -> None:
        """Deletes a Pod or a Service of the lesson, if it is there, and returns when it is gone. LabError if a stranger's."""
        self.check_ours(kind, name)
        if kind == "Pod":
            seats.remove_pod(self.cluster, self.namespace, name)
            return
        with self.cluster.answering(f"delete Service {name}"):
            try:
                self.cluster.core().delete_namespaced_service(name, self.namespace)
            except ApiException as error:
                if error.status != 404:
                    raise

    def _apply_one(self, manifest: Manifest, anew: bool) -> Applied:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        body = self.fitted(manifest)
        with self.cluster.answering(f"apply {kind} {name}"):
            old = self.read(kind, name)
            if kind == "Service":
                new, verb = self._apply_service(body, old)
            else:
                new, verb = self._apply_pod(body, old, anew)
        if kind == "Service" and self.cluster.namespace is not None:
            self._say(beside_article(new))
        return Applied(kind, name, verb, new)

    def _apply_service(self, body: Manifest, old: Manifest | None) -> tuple[Manifest, str]:
        core = self.cluster.core()
        if old is None:
            return self._plain(core.create_namespaced_service(self.namespace, body, field_validation="Strict")), "created"
        new = self._plain(
            core.replace_namespaced_service(body["metadata"]["name"], self.namespace, body, field_validation="Strict")
        )
        return new, "unchanged" if new["spec"] == old["spec"] else "changed"

    def _apply_pod(self, body: Manifest, old: Manifest | None, anew: bool) -> tuple[Manifest, str]:
        core, name = self.cluster.core(), body["metadata"]["name"]
        if old is not None and not anew:
            kept = {**body, "spec": {"nodeName": old["spec"].get("nodeName"), **body["spec"]}}
            new = self._plain(core.replace_namespaced_pod(name, self.namespace, kept, field_validation="Strict"))
            return new, "unchanged" if new["spec"] == old["spec"] else "changed"
        if old is not None:
            core.create_namespaced_pod(  # refused now, while the old one is still there, or not at all
                self.namespace, {**body, "metadata": {**body["metadata"], "name": f"{name}-new"}}, dry_run="All"
            )
            # Forced: kubelet takes 2 s and more to report that a Pod has ended, which the new one need not wait for, unless
            # both want a port of the node. Of two that run under one name, an exec finds the newer (kubernetes/pkg/kubelet/
            # kuberuntime, GetPods).
            seats.remove_pod(self.cluster, self.namespace, name, grace=1 if _has_node_ports(old["spec"]) else 0)
        new = self._plain(core.create_namespaced_pod(self.namespace, body, field_validation="Strict"))
        return new, "created" if old is None else "made anew"

    def read(self, kind: str, name: str) -> Manifest | None:
        """A Pod or Service of the lesson as the server has it, in the YAML's own field names, or None."""
        core = self.cluster.core()
        read = core.read_namespaced_pod if kind == "Pod" else core.read_namespaced_service
        with self.cluster.answering(f"read {kind} {name}"):
            try:
                return self._plain(read(name, self.namespace))
            except ApiException as error:
                if error.status == 404:
                    return None
                raise

    def _plain(self, answer: Any) -> Manifest:
        plain: Manifest = self.cluster.api_client().sanitize_for_serialization(answer)
        return plain

    def fitted(self, manifest: Manifest) -> Manifest:
        """The manifest as this cluster takes it: behind LABS_MIRROR its images are the mirror's; on a borrowed cluster it
        is labelled as this lesson's, and has not the article's ClusterIP and node port. Elsewhere it stays as it is.

        LabError where applying it on a borrowed cluster would touch strangers, or open a port without the learner's yes.
        """
        body = copy.deepcopy(manifest)
        body["metadata"].pop("namespace", None)
        spec = body.get("spec") or {}
        for container in spec.get("containers") or []:
            if container.get("image") == AGNHOST:
                container["image"] = workload_image()
        if self.cluster.namespace is not None:
            body["metadata"]["labels"] = {**(body["metadata"].get("labels") or {}), **self.labels}
            if spec.get("clusterIP") == ARTICLE_CLUSTER_IP:
                del spec["clusterIP"]
            for port in spec.get("ports") or []:
                if port.get("nodePort") == ARTICLE_NODE_PORT:
                    del port["nodePort"]
            self._mind_others(body)
        return body

    def _mind_others(self, body: Manifest) -> None:
        problem = shared.conflict(body, self.name, *self._neighbours())
        if problem is None and os.environ.get("LABS_OPEN_NODE_PORT") != "yes":
            problem = shared.unasked(body, [node.address for node in self.cluster.nodes])
        if problem is not None:
            raise problem

    # --- by hand

    def kubectl(self, *arguments: str, stdin: str | None = None, limit: float = 60.0) -> Ran:
        """Runs kubectl in the lesson's namespace; its exit code is for the caller to judge."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, limit=limit)

    def by_hand(self, *arguments: str) -> str:
        """The kubectl command to type in a terminal of the course, for what `kubectl` runs here."""
        return shlex.join(["kubectl", "-n", self.namespace, *arguments])


def beside_article(service: Manifest) -> str:
    """A Service's addresses, which a borrowed cluster's API server chose, beside those of the article.

    >>> beside_article({"spec": {"clusterIP": "10.96.3.4", "ports": [{"port": 9999}]}})
    "ClusterIP 10.96.3.4 (the article's: 10.97.239.58)"
    """
    ports = [str(port["nodePort"]) for port in service["spec"].get("ports") or [] if port.get("nodePort")]
    node_ports = f"; node port {', '.join(ports)} (the article's: {ARTICLE_NODE_PORT})" if ports else ""
    return f"ClusterIP {service['spec'].get('clusterIP')} (the article's: {ARTICLE_CLUSTER_IP}){node_ports}"


def reset_all(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Removes what all lessons left, and returns when it is gone. Their namespaces and client Pods stay, so do ours."""
    if cluster.namespace is not None:
        spaces, selector = [cluster.namespace], f"!{seats.ROLE},{LESSON}"
    else:
        spaces, selector = namespaces.of_lessons(cluster), f"!{seats.ROLE}"
    list(cluster.pool.map(lambda space: namespaces.empty(cluster, space, selector, unchanged=NEWS), spaces))
    say(f"Emptied: {', '.join(spaces)}." if spaces else "There is nothing to reset: no lesson was run on this cluster yet.")


def _has_node_ports(spec: Manifest) -> bool:
    """Whether a Pod holds ports of its node, which another one cannot have before it has ended."""
    ports = [port for container in spec["containers"] for port in container.get("ports") or []]
    return bool(spec.get("hostNetwork")) or any(port.get("hostPort") for port in ports)
