"""The stand-in for agnhost, Kubernetes' test image: netexec, serve-hostname, pause and connect, as the course needs them, and
the small ones that upstream's conformance tests of Pods' DNS run (test-webserver, dns-suffix, dns-server-list, etc-hosts).

What they answer, log and exit with is agnhost's (kubernetes/test/images/agnhost, its README). Runs in a container, forked
by the zygote: no imports later on.
"""

import html
import mimetypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from labs.embedded import netexec
from labs.embedded.netexec import BadFlag, flags, log

NAMES = ("/agnhost", "agnhost")


def main(words: Sequence[str]) -> int:
    """Runs a subcommand; its exit code."""
    name, *arguments = words or [""]
    run = _COMMANDS.get(name)
    if run is None:
        print(f'Error: unknown command "{name}" for "app"\nRun \'app --help\' for usage.', file=sys.stderr)
        return 1
    _ended_by_signals()
    try:
        return run(arguments)
    except BadFlag as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _ended_by_signals() -> None:
    """As a Go program: SIGTERM and SIGINT end it with code 2, as process 1 of a container, too."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(2))


def _pause(arguments: Sequence[str]) -> int:
    flags(arguments, {})
    print("Paused")
    while True:
        signal.pause()


def _serve_hostname(arguments: Sequence[str]) -> int:
    given = flags(arguments, {"tcp": False, "udp": False, "http": True, "close": False, "port": 9376})
    if given["http"] and (given["tcp"] or given["udp"]):
        log("Can't server TCP/UDP mode and HTTP mode at the same time")
        return 1
    signal.signal(signal.SIGTERM, _shuts_down)
    name, port = socket.gethostname(), given["port"]
    log(f"Serving on port {port}.\n")

    def shown(request: Any) -> None:
        log(f"HTTP request from {request.client()}")
        request.close_connection = request.close_connection or given["close"]
        request.answer(200, name)

    if given["http"]:
        return netexec.serve_http(port, shown)
    if given["udp"]:
        netexec.in_background(lambda: netexec.serve_udp("", port, lambda _, client: name))
    if given["tcp"]:
        netexec.serve_tcp(port, name)
    while True:
        signal.pause()


def _shuts_down(number: int, _: Any) -> None:
    log("Shutting down after receiving signal: terminated.\n")
    log("Awaiting pod deletion.\n")
    time.sleep(60)
    os._exit(0)


def _connect(arguments: Sequence[str]) -> int:
    """One connection; on stderr TIMEOUT, REFUSED, DNS or OTHER where it fails."""
    given = flags(arguments, {"timeout": "0", "protocol": "tcp", "udp-data": "hostname", "sctp-data": "hostname"}, most=1)
    target = (given["words"] or [""])[0]
    host, colon, port = target.rpartition(":")
    if not colon:
        print(f"UNKNOWN: address {target}: missing port in address", file=sys.stderr)
        return 1
    limit = netexec.duration(given["timeout"]) or None
    kind = socket.SOCK_DGRAM if given["protocol"] == "udp" else socket.SOCK_STREAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=kind)[0]
    except socket.gaierror as error:
        print(f"DNS: {error.strerror}", file=sys.stderr)
        return 1
    try:
        with socket.socket(family, kind) as connection:
            connection.settimeout(limit)
            connection.connect(address)
            if kind == socket.SOCK_DGRAM:
                connection.send(f"{given['udp-data']}\n".encode())
                connection.recv(1024)
    except TimeoutError:
        print("TIMEOUT", file=sys.stderr)
    except ConnectionRefusedError:
        print("REFUSED", file=sys.stderr)
    except OSError as error:
        print(f"OTHER: dial {given['protocol']} {target}: connect: {(error.strerror or '').lower()}", file=sys.stderr)
    else:
        return 0
    return 1


def _test_webserver(arguments: Sequence[str]) -> int:
    """Every file that the container has, and what is in each folder, as Go's FileServer shows it (without dates and ranges).

    To the cluster's own addresses alone: they are read as the one who started the cluster, Secrets and what a root may read.
    """
    given = flags(arguments, {"port": 80})

    def shown(request: Any) -> None:
        if request.outside:
            request.refuse("test-webserver shows every file of its container")
            return
        path = Path("/", unquote(urlsplit(request.path).path))
        try:
            if path.is_dir() and not urlsplit(request.path).path.endswith("/"):
                request.answer(301, Location=f"{quote(path.name)}/")
            elif path.is_dir():
                names = sorted(one.name + ("/" if one.is_dir() else "") for one in path.iterdir())
                links = "".join(f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names)
                page = f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{links}</pre>\n'
                request.answer(200, page, "text/html; charset=utf-8")
            else:
                kind = mimetypes.guess_type(path.name)[0] or "text/plain"
                request.answer(200, path.read_bytes(), f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        except OSError as error:
            denied = isinstance(error, PermissionError)
            request.answer(403 if denied else 404, "403 Forbidden\n" if denied else "404 page not found\n")

    return netexec.serve_http(given["port"], shown)


def _resolv_conf(keyword: str) -> list[str]:
    """The words of a line of resolv.conf, or of several: of `search` the last line counts, `nameserver` adds up."""
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text("utf-8").splitlines()]
    found = [line[1:] for line in lines if line[:1] == [keyword]]
    return found[-1] if keyword == "search" and found else [word for words in found for word in words]


def _shows(words: Callable[[], str]) -> Callable[[Sequence[str]], int]:
    def run(arguments: Sequence[str]) -> int:
        flags(arguments, {})
        print(words())
        return 0

    return run


def _help(arguments: Sequence[str]) -> int:
    shown = [name for name in _COMMANDS if name[:1].isalpha()]
    print("Usage:\n  app [command]\n\nAvailable Commands:\n" + "\n".join(f"  {name}" for name in shown))
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "netexec": netexec.main,
    "serve-hostname": _serve_hostname,
    "pause": _pause,
    "connect": _connect,
    "dns-server-list": _shows(lambda: ",".join(_resolv_conf("nameserver"))),
    "dns-suffix": _shows(lambda: ",".join(_resolv_conf("search"))),
    "etc-hosts": _shows(lambda: Path("/etc/hosts").read_text("utf-8").rstrip("\n")),
    "test-webserver": _test_webserver,
    "": _help,
    "help": _help,
    "--help": _help,
    "-h": _help,
}
