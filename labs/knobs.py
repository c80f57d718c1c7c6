"""The knobs of the explorer: which there are, what was typed into one, and a manifest with one knob turned.

Pure: manifests go in and come out, none is changed in place. Sends nothing and shows nothing (views does both). Judges only
what cannot be a port at all; everything else goes to the API server, whose own words teach better than ours.
"""

import copy
import difflib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from labs import workload
from labs.deploy import LESSON, Manifest
from labs.errors import BadInput

HEADLESS = "headless"  # no type of its own: a ClusterIP Service with `clusterIP: None`
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PORTS = range(1, 65536)
_LISTENING = ("args", "command", "readinessProbe", "startupProbe")  # what of a container says where it listens
_LONGEST = 200  # characters of one value that a diff shows


@dataclass(frozen=True)
class Knob:
    """One knob. of: "Service" or "Pod". hint: what it sets. empty: what an empty field means. choices: or it is typed."""

    name: str
    of: str
    label: str
    hint: str
    empty: str = ""
    choices: tuple[str, ...] = ()


KNOBS: Mapping[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("type", "Service", "type", "who can reach it", choices=("ClusterIP", "NodePort", "LoadBalancer", HEADLESS)),
        Knob("nodePort", "Service", "nodePort", "on every node", empty="left out"),
        Knob("port", "Service", "port", "on the ClusterIP"),
        Knob("targetPort", "Service", "targetPort", "on the Pod: number or name", empty="left out: same as port"),
        Knob("containerPort", "Pod", "containerPort", "only a declaration", empty="none declared"),
        Knob("portName", "Pod", "containerPort name", "for a targetPort by name", empty="no name"),
        Knob("listenPort", "Pod", "process listens on", "what opens the port"),
        Knob(
            "listenAddress",
            "Pod",
            "at address",
            "127.0.0.1: for this Pod alone",
            choices=(workload.EVERYWHERE, workload.LOOPBACK),
        ),
    )
}
ALL = tuple(KNOBS)


def knob(name: str) -> Knob:
    """The knob of that name. BadInput names those that there are."""
    if name not in KNOBS:
        raise BadInput(f"There is no knob called {name}.", f"The knobs are: {', '.join(ALL)}.", "Use one of these names.")
    return KNOBS[name]


# --- what was typed


def parsed(name: str, text: str) -> int | str | None:
    """What a text in a knob's field stands for in YAML: a number, a word, or None for left out.

    BadInput, which means that nothing is to be sent, where it cannot be one: 0, 65536, "abc" for a port, a space in it.
    `targetPort` takes names too; in double quotes a number is a name, as in YAML, and the API server will refuse it.
    """
    one = knob(name)
    if one.choices:
        if text not in one.choices:
            raise BadInput(f"{_quoted(text)} is no {name}.", f"It can be {', '.join(one.choices)}.", "Choose one of these.")
        return text
    if re.search(r"\s", text):
        raise BadInput(
            f"{_quoted(text)} has a space in it.", "A port number, or a port's name, has none.", "Take the space out."
        )
    if text == "":
        _may_be_left_out(name)
        return None
    if name == "portName":
        return text
    if name == "targetPort" and not re.fullmatch(r"[-+]?[0-9]+", text):
        return text.strip('"')
    return _port(name, text)


def _may_be_left_out(name: str) -> None:
    if name == "port":
        raise BadInput("A Service needs a port.", "port is the number on its ClusterIP; nothing else stands in for it.", _SUCH)
    if name == "listenPort":
        raise BadInput("The process has to listen somewhere.", "Without a port no server starts.", _SUCH)


_SUCH = "Type a number such as 9080."


def _port(name: str, text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        may = "digits, or a port's name" if name == "targetPort" else "digits"
        raise BadInput(f"{_quoted(text)} is not a port.", f"A port is a whole number from 1 to 65535, in {may}.", _SUCH)
    if text != text.lstrip("+-0") or len(text) > 5 or int(text) not in _PORTS:
        plain = text.lstrip("+0")
        if plain != text and plain.isdigit() and len(plain) <= 5 and int(plain) in _PORTS:
            raise BadInput(
                f"{_quoted(text)} is not how a port is written.", "Digits alone, no sign, no leading 0.", f"Type {plain}."
            )
        raise BadInput(f"{_quoted(text)} is not a port.", "Ports go from 1 to 65535.", _SUCH)
    return int(text)


def _quoted(text: str) -> str:
    return f'"{shortened(text)}"'


def shortened(text: str) -> str:
    """A text that was typed, cut where it would flood the screen; "left out" for none."""
    return (text if len(text) <= 40 else f"{text[:39]}…") or "left out"


# --- a manifest and its knobs


def values(manifest: Manifest) -> dict[str, str]:
    """What the knobs of a Service or Pod stand at, as their fields show it; "" for what is left out."""
    return _service_values(manifest) if manifest["kind"] == "Service" else _pod_values(manifest)


def _service_values(service: Manifest) -> dict[str, str]:
    spec, port = service["spec"], _first_port(service)
    return {
        "type": HEADLESS if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP"),
        "nodePort": _text(port.get("nodePort")),
        "port": _text(port.get("port")),
        "targetPort": _text(port.get("targetPort")),
    }


def _pod_values(pod: Manifest) -> dict[str, str]:
    container = pod["spec"]["containers"][0]
    declared = (container.get("ports") or [{}])[0]
    port, address = listens(container)
    return {
        "containerPort": _text(declared.get("containerPort")),
        "portName": declared.get("name", ""),
        "listenPort": _text(port),
        "listenAddress": address,
    }


def listens(container: Mapping[str, Any]) -> tuple[int | None, str]:
    """Where the process of one of the course's containers listens, read from its command: port and address.

    None and 0.0.0.0 where the command does not say (a container that is not the course's).
    """
    for argument in container.get("args") or []:
        found = re.fullmatch(r"--http-port=([0-9]+)", argument)
        if found:
            return int(found.group(1)), workload.EVERYWHERE
    command = container.get("command") or []
    if "startupProbe" in container and command and command[-1].isdigit():
        return int(command[-1]), workload.LOOPBACK
    return None, workload.EVERYWHERE


def turned(manifest: Manifest, name: str, value: int | str | None) -> Manifest:
    """The manifest with one knob at a value that `parsed` gave. BadInput where the value has no place in it."""
    new: Manifest = copy.deepcopy(manifest)
    if knob(name).of == "Service":
        _turn_service(new, name, value)
    else:
        _turn_pod(new, name, value)
    return new


def _turn_service(service: Manifest, name: str, value: int | str | None) -> None:
    spec, port = service["spec"], _first_port(service)
    if name != "type":
        _put(port, name, value)
        return
    if spec.get("clusterIP") == "None":
        del spec["clusterIP"]
    if value == HEADLESS:
        spec |= {"type": "ClusterIP", "clusterIP": "None"}
    else:
        spec["type"] = value
    if value in ("ClusterIP", HEADLESS):  # neither may have a node port
        for each in spec["ports"]:
            each.pop("nodePort", None)


def _turn_pod(pod: Manifest, name: str, value: int | str | None) -> None:
    now, container = _pod_values(pod), pod["spec"]["containers"][0]
    if name == "portName" and value is not None and not now["containerPort"]:
        raise BadInput("There is no containerPort to name.", "A name belongs to a declared port.", "Set containerPort first.")
    now[name] = _text(value)
    if name in ("containerPort", "portName"):
        others = (container.get("ports") or [])[1:]
        first = {"containerPort": int(now["containerPort"]), "name": now["portName"]} if now["containerPort"] else {}
        _put(container, "ports", [{key: one for key, one in first.items() if one}, *others] if first else others or None)
        return
    listener = workload.pod("any", {}, int(now["listenPort"] or 0), now["listenAddress"])["spec"]["containers"][0]
    for key in _LISTENING:
        _put(container, key, listener.get(key))


def _first_port(service: Manifest) -> dict[str, Any]:
    ports: list[dict[str, Any]] = service["spec"].get("ports") or [{}]
    return ports[0]


def _put(mapping: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        mapping.pop(key, None)
    else:
        mapping[key] = value


def _text(value: object) -> str:
    return "" if value is None else str(value)


def pod_patch(old: Manifest, new: Manifest) -> list[dict[str, Any]]:
    """The JSON patch (RFC 6902) that would make the first container of a Pod listen, and declare, as in `new`."""
    before, after = old["spec"]["containers"][0], new["spec"]["containers"][0]
    patch: list[dict[str, Any]] = []
    for key in ("ports", *_LISTENING):
        path = f"/spec/containers/0/{key}"
        if key not in after and key in before:
            patch.append({"op": "remove", "path": path})
        elif key in after and after[key] != before.get(key):
            patch.append({"op": "replace" if key in before else "add", "path": path, "value": after[key]})
    return patch


# --- a server's copy as a learner would write it

# What the API server fills in by itself, by the field's name; such a field with such a value is left out.
_FILLED_IN: Mapping[str, object] = {
    "dnsPolicy": "ClusterFirst",
    "externalTrafficPolicy": "Cluster",
    "failureThreshold": 3,
    "imagePullPolicy": "IfNotPresent",
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "protocol": "TCP",
    "resources": {},
    "restartPolicy": "Always",
    "scheme": "HTTP",
    "schedulerName": "default-scheduler",
    "serviceAccount": "default",
    "serviceAccountName": "default",
    "sessionAffinity": "None",
    "successThreshold": 1,
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "timeoutSeconds": 1,
}
# What it, the scheduler or a controller writes, whatever the value.
_THEIRS = {
    "allocateLoadBalancerNodePorts", "clusterIPs", "ephemeralContainers", "internalTrafficPolicy",
    "ipFamilies", "ipFamilyPolicy", "nodeName", "tolerations",
}  # fmt: skip


def as_written(server: Manifest) -> Manifest:
    """A Service or Pod of the API server, down to what a learner would write to get it."""
    metadata = {"name": server["metadata"]["name"]}
    for field, ours in (("labels", LESSON), ("annotations", LAST_APPLIED)):
        kept = {key: value for key, value in (server["metadata"].get(field) or {}).items() if key != ours}
        metadata |= {field: kept} if kept else {}
    return {
        "apiVersion": server.get("apiVersion") or "v1",
        "kind": server["kind"],
        "metadata": metadata,
        "spec": _trimmed(server["spec"]),
    }


def as_sent(manifest: Manifest) -> Manifest:
    """The manifest with the note that `kubectl apply` leaves on what it applies.

    Without it a later `kubectl apply` in a terminal could not tell what to take away: it would join the ports of a Service
    by their number and end with two.
    """
    new: Manifest = copy.deepcopy(manifest)
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), LAST_APPLIED: json.dumps(manifest)}
    return new


def _trimmed(value: Any) -> Any:
    if isinstance(value, list):
        return [_trimmed(one) for one in value]
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    return {
        key: _trimmed(one)
        for key, one in value.items()
        if key not in _THEIRS and not (key in _FILLED_IN and one == _FILLED_IN[key])
    }


# --- for display


def as_yaml(manifest: Manifest) -> str:
    """The manifest as YAML, in one order whoever wrote it; a text of many lines (a server in bash) is cut short."""
    return str(yaml.dump(_ordered(_cut(manifest)), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100))


def yaml_diff(old: Manifest | None, new: Manifest, around: int = 2) -> list[tuple[str, str]]:
    """What changed in the YAML, line by line: ("+", line), ("-", line), (" ", line) around, ("…", "") for lines left out."""
    before = as_yaml(old).splitlines() if old is not None else []
    lines: list[tuple[str, str]] = []
    found = difflib.unified_diff(before, as_yaml(new).splitlines(), n=around, lineterm="")
    for line in itertools.islice(found, 2, None):  # after its two header lines
        lines.append(("…", "") if line.startswith("@@") else (line[0], line[1:]))
    return lines


class _Plain(yaml.SafeDumper):
    """Writes a mapping that is used twice twice, without YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_FIRST = (
    *("apiVersion", "kind", "metadata", "spec", "port", "targetPort", "nodePort", "containerPort", "name"),
    *("image", "command", "args", "type", "clusterIP", "ports", "selector", "readinessProbe", "startupProbe"),
)


def _ordered(value: Any) -> Any:
    """The same, keys in the order of `_FIRST`; the others follow as they were."""
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    return {key: _ordered(value[key]) for key in keys}


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value]
    if isinstance(value, str) and len(value) > _LONGEST:
        first = value.strip().splitlines()[0]
        return f"{first} … ({len(value.strip().splitlines())} lines, cut short here)"
    return value
