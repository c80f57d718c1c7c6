"""One context out of the learner's own kubeconfig, as a kubeconfig that stands by itself.

The learner's files are read and never written to. Does not talk to a cluster.
"""

import base64
import copy
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labs import home
from labs.embedded import own_files
from labs.errors import BadInput, ClusterGone, LabError

Kubeconfig = dict[str, Any]

SOURCE = "labs.ports/source"  # the extension of our context that names the files it was taken from
_BODIES = {"clusters": "cluster", "users": "user", "contexts": "context"}
_INLINE = {"certificate-authority", "client-certificate", "client-key"}  # kubectl's --flatten knows the same three


@dataclass(frozen=True)
class Source:
    """One of the learner's kubeconfig files, and what is in it."""

    path: Path
    config: Kubeconfig


# --- reading the learner's files


def paths() -> list[Path]:
    """The learner's kubeconfig files, in kubectl's order: $KUBECONFIG, else ~/.kube/config.

    In the course's own terminals and kernels KUBECONFIG is a file of ours: then the files that it was taken from.
    """
    wish = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if len(wish) == 1 and Path(os.path.realpath(wish[0])).parent == home.state():
        try:
            wish = taken_from(wish[0])
        except LabError:  # damaged; `up` writes it again
            wish = []
    return [path.absolute() for path in wish] or [Path.home() / ".kube" / "config"]


def taken_from(ours: Path) -> list[Path]:
    """The files that a kubeconfig of ours was taken from; none where it does not say."""
    config = _read(ours)
    for entry in config.get("contexts") or []:
        for extension in (entry.get("context") or {}).get("extensions") or []:
            if extension.get("name") == SOURCE:
                return [Path(path) for path in extension["extension"]["paths"]]
    return []


def sources(files: Sequence[Path]) -> list[Source]:
    """What is in those of the files that exist. LabError where one cannot be read or is no kubeconfig."""
    return [Source(path, _read(path)) for path in files if path.exists()]


def _read(path: Path) -> Kubeconfig:
    try:
        config = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unusable(path, " ".join(str(error).split())) from error
    except RecursionError as error:
        raise _unusable(path, "it is nested too deeply") from error
    if not isinstance(config, dict):
        raise _unusable(path, f"it holds a {type(config).__name__}, not a mapping with clusters, users and contexts")
    for kind, key in _BODIES.items():
        entries = config.get(kind) or []
        if not (isinstance(entries, list) and all(_is_entry(entry, key) for entry in entries)):
            raise _unusable(path, f"its {kind} are no list of mappings with a name and a {key}")
    return config


def _is_entry(entry: Any, key: str) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(key) or {}, dict)


def _unusable(path: Path, why: str) -> LabError:
    return LabError(
        f"The kubeconfig {path} cannot be read.",
        f"{why}.",
        "`kubectl config view` reads it too, and says what it makes of it. KUBECONFIG names another file.",
    )


# --- computing


def contexts(found: Sequence[Source]) -> list[str]:
    """The names of the contexts that there are, in the files' order, each once."""
    named = [entry.get("name") for source in found for entry in source.config.get("contexts") or []]
    return [str(name) for name in dict.fromkeys(named) if name]


def extract(found: Sequence[Source], name: str) -> Kubeconfig:
    """A kubeconfig with that one context alone, which can be kept anywhere.

    Files merge as kubectl merges them: the first to name an entry wins. Certificates and keys are put in; the paths of
    token files and exec plugins become absolute. BadInput names the contexts that there are; LabError for what is missing.
    """
    entry = _entry(found, "contexts", name)
    if entry is None:
        there = ", ".join(contexts(found)) or "there are none"
        raise BadInput(
            f"There is no context called {name} in your kubeconfig.",
            f"Contexts there: {there}.",
            "Set LABS_CLUSTER=context:NAME with one of these names, or KUBECONFIG to the file that has it.",
        )
    context = copy.deepcopy(entry[0].get("context") or {})
    context["extensions"] = [{"name": SOURCE, "extension": {"paths": [str(source.path) for source in found]}}]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [_standalone(found, "clusters", "cluster", str(context.get("cluster")), name)],
        "users": [_standalone(found, "users", "user", str(context.get("user")), name)],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def _entry(found: Sequence[Source], kind: str, name: str) -> tuple[dict[str, Any], Path] | None:
    """The first entry of that name, and the folder that its relative paths start from."""
    for source in found:
        for entry in source.config.get(kind) or []:
            if entry.get("name") == name:
                return entry, source.path.parent
    return None


def _standalone(found: Sequence[Source], kind: str, key: str, name: str, context: str) -> dict[str, Any]:
    entry = _entry(found, kind, name)
    if entry is None:
        raise LabError(
            f"Context {context} is not complete.",
            f"It names the {key} {name}, which your kubeconfig does not have.",
            "Get its kubeconfig anew from whoever runs the cluster, or choose another context.",
        )
    body, folder = copy.deepcopy(entry[0].get(key) or {}), entry[1]
    for field in _INLINE & body.keys():
        file = folder / body.pop(field)
        body.setdefault(f"{field}-data", _base64(file, f"{field} of {key} {name}"))
    if "tokenFile" in body:
        body["tokenFile"] = str(folder / body["tokenFile"])
    command = (body.get("exec") or {}).get("command", "")
    if os.path.dirname(command):  # as client-go: a bare name is looked up on the PATH
        body["exec"]["command"] = str(folder / command)
    return {"name": name, key: body}


def _base64(path: Path, what: str) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise LabError(
            f"The {what} cannot be read.",
            str(error),
            "Get the kubeconfig anew from whoever runs the cluster, or choose another context.",
        ) from error


# --- our own file


def own_path(context: str) -> Path:
    """Where our kubeconfig for a context is kept. Context names may hold anything, so a digest keeps them apart."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", context).strip("-.")[:40]
    digest = hashlib.sha256(context.encode()).hexdigest()[:8]
    return home.state() / f"{home.cluster_name()}-context-{plain}-{digest}.kubeconfig"


def write_own(path: Path, config: Kubeconfig) -> None:
    """Writes a kubeconfig, readable by its owner alone from its first byte on; in one step, so no reader sees a half."""
    with home.keeping(f"The kubeconfig {path.name}"):
        own_files.write(path, json.dumps(config, indent=2))  # JSON is YAML


def context_of(config: Kubeconfig) -> dict[str, Any]:
    """The context of an extracted kubeconfig: its cluster, user and namespace."""
    context: dict[str, Any] = config["contexts"][0]["context"]
    return context


def server_of(config: Kubeconfig) -> str:
    """The API server's URL in an extracted kubeconfig."""
    return str(config["clusters"][0]["cluster"].get("server", ""))


def read_own(path: Path) -> Kubeconfig:
    """A kubeconfig of ours, with its one context and cluster. ClusterGone where it is damaged: `up` writes it again."""
    try:
        config = _read(path)
        context_of(config)["namespace"], server_of(config)
    except (LabError, LookupError, TypeError, AttributeError) as error:
        why = error.why if isinstance(error, LabError) else "It is not as the course wrote it."
        raise ClusterGone(
            f"The course's own kubeconfig {path} is damaged.", why, "`python -m labs up` writes it again."
        ) from error
    return config
