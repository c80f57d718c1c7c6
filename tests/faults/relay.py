"""A relay to a unix socket that a test can kill and bring back: an engine that "stops" without anybody else's noticing."""

import contextlib
import socket
import threading
from pathlib import Path


class Relay:
    """Listens on `at` and passes every connection on to `to`, until `kill()`; `revive()` starts it again."""

    def __init__(self, at: Path, to: Path) -> None:
        self.at = at
        self._to = to
        self._open: list[socket.socket] = []
        self.revive()

    def revive(self) -> None:
        self.at.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.at))
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def kill(self) -> None:
        self.at.unlink(missing_ok=True)
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(str(self._to))
            self._open += [here, there]
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
