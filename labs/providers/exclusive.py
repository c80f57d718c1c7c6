"""One `up` or `down` of a cluster's name at a time, whichever provider makes it. Knows no provider."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import Timeout

from labs import home
from labs.embedded import own_files
from labs.errors import NotInTime


@contextmanager
def alone(say: Callable[[str], None], limit: float) -> Iterator[None]:
    """Holds the lock of the cluster of `LABS_NAME`; says so where it has to wait for it.

    limit in seconds; NotInTime past it; LabError where there can be no lock.
    """
    with home.keeping("The lock of this cluster"):
        lock = own_files.lock(home.state() / f"{home.cluster_name()}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say("Another `up` or `down` of this cluster is at work; waiting for it.")
            try:
                lock.acquire(timeout=limit)
            except Timeout as error:
                raise NotInTime(
                    f"Another `up` or `down` of this cluster was still at work after {limit:.0f} s.",
                    "It waits for something, or the machine is very busy.",
                    "End that one (Ctrl-C in its terminal), and run this again.",
                ) from error
    try:
        yield
    finally:
        lock.release()
