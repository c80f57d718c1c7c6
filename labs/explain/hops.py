"""What an explanation is made of: hops, mends, and their plain text. Does not find anything out (look, diagnose do)."""

import textwrap
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What became of a hop. The first that fails is the one that stops the request; a later one may fail with it."""

    HOLDS = "holds"
    STOPS = "stops here"
    FAILS_TOO = "fails too"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Hop:
    """One step on a request's way. saw: what was found there, or why it was not checked. command: shows it by hand."""

    name: str
    state: State
    saw: str
    command: str = ""


@dataclass(frozen=True)
class Mend:
    """One change that would mend it. command: makes that change when pasted; empty where no single command does."""

    what: str
    command: str = ""


@dataclass(frozen=True)
class Explanation:
    """Where a request to a port of a Service stops, why, and each change that would mend it.

    stops_at: the first hop that fails, None where none does. port: the Service's port that the hops are about, None where
    the Service is missing or has none. also: a word about the Service's other ports, if it has any.
    """

    service: str
    port: int | None
    hops: tuple[Hop, ...]
    stops_at: Hop | None
    why: str
    mends: tuple[Mend, ...] = ()
    also: str = ""

    def __str__(self) -> str:
        width = max(len(hop.name) for hop in self.hops)
        lines = [self.heading, ""]
        for number, hop in enumerate(self.hops, 1):
            lines.append(f"{number:>2}. {hop.name:<{width}}  {hop.state:<11}  {hop.saw}")
        lines += ["", *textwrap.wrap(self.why, 110)]
        if self.also:
            lines += textwrap.wrap(self.also, 110)
        if self.mends:
            lines += ["", "What would mend it:" if len(self.mends) == 1 else "What would mend it, each by itself:"]
        for mend in self.mends:
            lines.append(textwrap.fill(mend.what, 110, initial_indent="  - ", subsequent_indent="    "))
            if mend.command:
                lines.append(f"      {mend.command}")
        return "\n".join(lines)

    @property
    def heading(self) -> str:
        """One line: which port of which Service, and where a request stops."""
        asked = f"{self.service}:{self.port}" if self.port else self.service
        if self.stops_at is None:
            return f"{asked}: nothing stops a request."
        return f"{asked}: a request stops at “{self.stops_at.name}”."
