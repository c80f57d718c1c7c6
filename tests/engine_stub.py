"""A container engine of dictionaries, for what is asked of one about clusters: volumes, containers, what was asked for."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from labs.cluster import Ran
from labs.providers import containers

LOOKING = ("inspect", "ps", "cp", "volume inspect", "volume ls", "container inspect")  # what changes nothing


@dataclass
class StubEngine:
    """Volumes by name, with their labels; containers by name: labels, mounts, and the certificate in them.

    before_create: called once, before the next volume is made: what somebody else does in between.
    """

    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    before_create: Callable[[], object] | None = None

    def changes(self) -> list[tuple[str, ...]]:
        """What was asked for that is more than looking."""
        return [words for words in self.asked if words[0] not in LOOKING and " ".join(words[:2]) not in LOOKING]

    def add_node(self, cluster: str, authority: str = "", port: int = 0) -> None:
        """A control plane's node of kind's. port: of this machine, mapped to node port 30066."""
        bindings = {"30066/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]} if port else {}
        self.containers[f"{cluster}-control-plane"] = {
            "Name": f"/{cluster}-control-plane",
            "Config": {"Image": "node", "Labels": {containers.KIND_LABEL: cluster}},
            "State": {"Running": True},
            "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.2"}}},
            "HostConfig": {"PortBindings": bindings},
            "Mounts": [],
            "authority": authority,
        }

    def add(self, name: str, labels: dict[str, str], volume: str = "") -> None:
        """Another container."""
        self.add_node(name)
        made = self.containers.pop(f"{name}-control-plane")
        made["Name"], made["Config"]["Labels"] = f"/{name}", labels
        made["Mounts"] = [{"Type": "volume", "Name": volume}] if volume else []
        self.containers[name] = made

    def ask(self, *words: str, limit: float = 60.0) -> Ran:
        """As engine.ask."""
        self.asked.append(words)
        ways: dict[str, Callable[..., Ran]] = {
            "volume": self._volume, "ps": self._ps, "inspect": self._inspect, "container": self._container, "cp": self._cp,
            "start": self._start, "rm": self._rm, "run": self._run,
        }  # fmt: skip
        return ways[words[0]](*words[1:])

    def _volume(self, verb: str, *words: str) -> Ran:
        name = words[-1]
        if verb == "create":
            if self.before_create:
                meanwhile, self.before_create = self.before_create, None
                meanwhile()
            labels = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "--label")
            self.volumes.setdefault(name, labels)  # Docker leaves one that is there as it is, and says nothing
            return Ran(0, name, "")
        if verb == "inspect":
            found = [{"Name": one, "Labels": self.volumes[one]} for one in words if one in self.volumes]
            return Ran(int(len(found) < len(words)), json.dumps(found), "")
        if verb == "ls":
            return Ran(0, "\n".join(one for one in self.volumes if words[-1].removeprefix("name=") in one), "")
        return Ran(int(self.volumes.pop(name, None) is None), "", "no such volume")

    def _ps(self, *words: str) -> Ran:
        key, _, value = words[-1].removeprefix("label=").partition("=")
        labels = {name: one["Config"]["Labels"] for name, one in self.containers.items()}
        return Ran(0, "\n".join(name for name, of in labels.items() if key in of and value in ("", of[key])), "")

    def _inspect(self, *names: str) -> Ran:
        return Ran(0, json.dumps([self.containers[name] for name in names]), "")

    def _container(self, verb: str, name: str) -> Ran:
        return self._inspect(name) if name in self.containers else Ran(1, "[]", "No such container")

    def _cp(self, source: str, there: str) -> Ran:
        text = self.containers[source.partition(":")[0]]["authority"].encode()
        if not text:
            return Ran(1, "", "no such file")
        kept = io.BytesIO()
        with tarfile.open(fileobj=kept, mode="w") as archive:
            member = tarfile.TarInfo("ca.crt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        return Ran(0, kept.getvalue().decode(), "")

    def _start(self, name: str) -> Ran:
        return Ran(int(name not in self.containers), "", "")

    def _rm(self, *words: str) -> Ran:
        return Ran(int(self.containers.pop(words[-1], None) is None), "", "")

    def _run(self, *words: str) -> Ran:
        options = dict(pairwise(words))
        label, _, value = options["--label"].partition("=")
        self.add(options["--name"], {label: value}, options["--volume"].partition(":")[0])
        return Ran(0, "", "")
