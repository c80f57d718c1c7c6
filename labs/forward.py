"""`kubectl port-forward` for as long as a lesson needs it: from a free port of this laptop, through the API server, to one Pod.

Does not ask anything through it (probe does). No Service rule is on this way, so it never stands in for a node port.
"""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from labs.cluster import Address
from labs.deploy import Lesson
from labs.errors import NotInTime, Refused


@dataclass(frozen=True)
class Forwarded:
    """A port-forward that has begun: where it listens on this laptop, and to which port of the Pod it goes."""

    here: Address
    pod_port: int


@contextmanager
def port_forward(lesson: Lesson, what: str, port: int, limit: float = 20.0) -> Iterator[Forwarded]:
    """Forwards to "pod/NAME" or "service/NAME" until the block is left.

    port: the Pod's own, or the Service's. limit: seconds that it may take to begin. Raises Refused with kubectl's words
    where it does not begin, NotInTime past the limit.
    """
    cluster = lesson.cluster
    command = [str(cluster.kubectl_path), f"--kubeconfig={cluster.kubeconfig}", "-n", lesson.namespace]
    command += ["port-forward", "--address=127.0.0.1", what, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as running:
        timer = threading.Timer(limit, running.kill)
        timer.start()
        try:
            words = running.stdout.readline().strip() if running.stdout else ""
            timer.cancel()
            begun = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", words)
            if not begun:
                raise _not_begun(what, words, limit)
            yield Forwarded(Address("127.0.0.1", int(begun.group(1))), int(begun.group(2)))
        finally:
            timer.cancel()
            running.kill()


def _not_begun(what: str, words: str, limit: float) -> Refused | NotInTime:
    if not words:  # it was ended in silence; kubectl itself never gives up without a word
        return NotInTime(
            f"`kubectl port-forward {what}` had not begun after {limit:.0f} s.",
            "The API server or the Pod's node is very busy.",
            "Run the cell again.",
        )
    return Refused(f"`kubectl port-forward {what}` did not begin.", words, "Change what these words name.")
