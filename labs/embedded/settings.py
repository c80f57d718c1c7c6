"""What launch.py tells the cluster's process, and how that tells launch.py when it is ready. Does nothing with it."""

import json
import os
from dataclasses import dataclass
from typing import Any

ROOM = 512  # bytes of the server's arguments, which become those of a Pod's process that runs without another program


@dataclass(frozen=True)
class Settings:
    """name: the cluster's. run: an empty folder. api, ready: descriptors of the API's socket and of the pipe on which a line
    is awaited; mappings: node port → descriptor of a socket."""

    name: str
    node_network: str
    run: str
    api: int
    ready: int
    mappings: dict[int, int]

    def text(self) -> str:
        """As the one argument of the server, long enough to give room to other names (ROOM)."""
        return json.dumps(self.__dict__).ljust(ROOM)

    @classmethod
    def read(cls, text: str) -> "Settings":
        """From that argument."""
        given = json.loads(text)
        return cls(**{**given, "mappings": {int(port): fd for port, fd in given["mappings"].items()}})


def tell(ready: int, words: dict[str, Any]) -> None:
    """A line for launch.py."""
    os.write(ready, json.dumps(words).encode() + b"\n")
