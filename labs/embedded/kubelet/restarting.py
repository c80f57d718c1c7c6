"""Whether a container that has ended is started again, and after which pause. Only computes.

As pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted) and pkg/kubelet/kubelet.go (backOffPeriod) have it.
"""

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0  # seconds before a container that crashed is started again: doubled each time
FORGOTTEN = 600.0  # seconds that a container must run for its earlier crashes to be forgotten


def again(policy: str, code: int, init: bool) -> bool:
    """Whether one with that exit code is started again. policy: the Pod's restartPolicy."""
    if init and code == 0:
        return False
    if init:
        return policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def next_pause(pause: float) -> float:
    """The pause after that one, in seconds; 0 is the one before the first restart."""
    return min(2 * pause, LONGEST_PAUSE) if pause else FIRST_PAUSE


def shown(seconds: float) -> str:
    """A duration as Go prints it: "10s", "1m20s"."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
