"""The log of the cluster's process, which does not grow for ever: past a size, only its newest part is kept.

It is the file behind stderr, so that what Python, the zygote and a crash write there is in it, too. That file is shortened in
place: whoever has it open goes on writing at its end. Does not decide what is logged.
"""

import fcntl
import logging
import os
import sys

MOST = 1_000_000  # bytes of the file
KEPT = 500_000  # of the newest, when it has become larger
_CUT = b"(What was written before this is gone: the log is kept short.)\n"


def begin() -> None:
    """From now on this process' logging goes to stderr, where that is a file, with a limit to its size."""
    flags = fcntl.fcntl(sys.stderr.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(sys.stderr.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)  # for all who write to it
    logging.basicConfig(handlers=[Bounded(sys.stderr)], level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")


class Bounded(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to a stream over a file, and shortens that file where it has become too large."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record. On a full disk it is lost, as logging has it."""
        super().emit(record)
        try:
            shorten(self.stream.fileno())
        except OSError:  # nobody could be told
            pass


def shorten(fd: int) -> None:
    """Cuts the beginning off the file behind a descriptor, at a line's end, where it is larger than MOST. OSError."""
    size = os.fstat(fd).st_size
    if size <= MOST:
        return
    with open(f"/proc/self/fd/{fd}", "rb") as file:  # the descriptor itself is for writing alone
        file.seek(size - KEPT)
        kept = file.read().partition(b"\n")[2]
    os.ftruncate(fd, 0)
    os.write(fd, _CUT + kept)
