"""Whether the kubeconfig that we keep for a cluster of ours still leads there. Talks to no cluster, and knows no provider.

It is KUBECONFIG in the course's terminals, so `kubectl config use-context`, or a `kind create cluster` of the learner's own,
may have written to it.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labs.embedded import own_files

Wanted = Mapping[str, str | None]


def fault(path: Path, cluster: Wanted, user: Wanted) -> str:
    """Why kubectl would not reach the cluster with it, in a sentence without its stop; "" where it would.

    cluster, user: what the current context's cluster and user must say, as in {"server": "https://127.0.0.1:6443"}; None is
    any certificate or key.
    """
    try:
        config = _read(path)
    except FileNotFoundError:
        return f"{path} is gone"
    except (OSError, ValueError) as error:
        return f"{path} cannot be read ({error})"
    try:
        context = _entry(config, "contexts", "context", config["current-context"])
        there = _entry(config, "clusters", "cluster", context["cluster"])
        who = _entry(config, "users", "user", context["user"])
    except (TypeError, KeyError, StopIteration):
        return f"{path} is no complete kubeconfig"
    if there.get("server") != cluster.get("server", there.get("server")):
        return f"{path} leads to another server ({there.get('server')}, by context {config['current-context']})"
    if not (_says(there, cluster) and _says(who, user)):
        return f"{path} has not this cluster's certificates or token"
    return ""


def _says(body: Mapping[str, Any], wanted: Wanted) -> bool:
    return all(_is_whole(body.get(key)) if value is None else body.get(key) == value for key, value in wanted.items())


def _is_whole(data: Any) -> bool:
    """Whether this is a certificate or key, to its last line."""
    try:
        return base64.b64decode(data, validate=True).rstrip().endswith(b"-----")
    except (TypeError, ValueError):
        return False


def make_way(path: Path, name: str) -> None:
    """Nothing is there afterwards. A kubeconfig with clusters of other names in it is put aside: they are somebody's."""
    try:
        clusters = _read(path)["clusters"]
        others = any(entry["name"] != name for entry in clusters)
    except (OSError, ValueError, TypeError, KeyError):
        others = False
    if others and not path.is_symlink():
        own_files.put_aside(path)
    else:
        own_files.remove(path)


def _read(path: Path) -> dict[str, Any]:
    """A file's YAML. OSError; ValueError where it is none."""
    try:
        config = yaml.safe_load(own_files.read(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("it is not YAML") from error
    if not isinstance(config, dict):
        raise ValueError("it is no mapping")
    return config


def _entry(config: dict[str, Any], kind: str, key: str, name: str) -> dict[str, Any]:
    """The body of an entry, as in `clusters[name].cluster`. TypeError, KeyError or StopIteration where it has none."""
    body = next(entry[key] for entry in config[kind] if entry["name"] == name)
    if not isinstance(body, dict):
        raise TypeError
    return body
