"""What a cluster says of itself when it is asked to look after itself. health.py fills it in, repair.py asks for it."""

from dataclasses import dataclass, field

CHECK = "/labs/check"  # of the API: POST it with the token


@dataclass
class Report:
    """fixed: was wrong and is right again; broken: could not be put right; unseen: could not be looked at, as this machine
    allows no more files or processes. Each a sentence without its full stop.

    incomplete: Pods (namespace/name) that the cluster had from its beginning and that are not Ready: whoever wanted them can
    make them again. holders: for each place of the network, the number of the process by which it is entered, as the cluster
    sees it.
    """

    fixed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    holders: dict[str, int] = field(default_factory=dict)
