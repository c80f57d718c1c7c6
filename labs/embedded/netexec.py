"""agnhost's netexec: an HTTP and a UDP server that tell who answers and who asks, and run what they are told to.

The answers are those of kubernetes/test/images/agnhost/netexec (its --help). Not here: SCTP, TLS, /upload. Other than there,
what runs, ends or sends something is for the cluster's own addresses alone: any account of the laptop could ask for it.
"""

import errno
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

from labs.embedded import origin

_DIAL_LIMIT = 5.0  # seconds
_STARTED = time.monotonic()
_environment: Mapping[str, str] | None = None  # of what /shell runs; None: this process' own


def run_in(environment: Mapping[str, str]) -> None:
    """What /shell runs has this environment. (To put it into os.environ would write to 250 kB that all Pods share.)"""
    global _environment  # noqa: PLW0603
    _environment = environment


class BadFlag(Exception):
    """A flag that there is not, or a value that it cannot have; in the words of Go's pflag."""


def flags(arguments: Sequence[str], known: Mapping[str, Any], most: int = 0) -> dict[str, Any]:
    """`--name=value` and `--name value`, each of its default's type; other words (at most so many) as "words"."""
    found: dict[str, Any] = {**known, "words": []}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            found["words"].append(word)
            continue
        name, given, value = word[2:].partition("=")
        if name not in known:
            raise BadFlag(f"unknown flag: --{name}")
        kind = type(known[name])
        if not given and kind is not bool:
            if not rest:
                raise BadFlag(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        try:
            found[name] = value in ("", "true", "1", "t") if kind is bool else kind(value)
        except ValueError as error:
            raise BadFlag(f'invalid argument "{value}" for "--{name}" flag: strconv.ParseInt: parsing "{value}": '
                          "invalid syntax") from error  # fmt: skip
    if len(found["words"]) > most:
        raise BadFlag(f'unknown command "{found["words"][most]}"')
    return found


def duration(text: str) -> float:
    """Seconds of a Go duration: "1m30s", "500ms", "0". ValueError for other words."""
    if not re.fullmatch(r"0|(\d+(\.\d*)?(ms|us|s|m|h))+", text):
        raise ValueError(text)
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
    return sum(float(number) * units[unit] for number, _, unit in re.findall(r"(\d+(\.\d*)?)(ms|us|s|m|h)", text))


def log(words: str) -> None:
    """A line as Go's log package writes it."""
    print(f"{time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime())} {words.rstrip()}", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    """Runs until it is told to end; 1 where it cannot have its port."""
    given = flags(arguments, {
        "http-port": 8080, "udp-port": 8081, "sctp-port": -1, "http-override": "", "udp-listen-addresses": "",
        "tls-cert-file": "", "tls-private-key-file": "", "delay-shutdown": 0,
    })  # fmt: skip
    if given["tls-cert-file"] or given["sctp-port"] != -1:
        log("netexec of the embedded cluster serves neither TLS nor SCTP")
        return 1
    if given["delay-shutdown"]:
        signal.signal(signal.SIGTERM, lambda *_: in_background(lambda: _delayed(given["delay-shutdown"])))
    if given["udp-port"] != -1:
        for address in given["udp-listen-addresses"].split(",") if given["udp-listen-addresses"] else [""]:
            in_background(lambda address=address: _udp(address, given["udp-port"]))  # type: ignore[misc]
    log(f"Started HTTP server on port {given['http-port']}")
    override = given["http-override"]
    return serve_http(given["http-port"], lambda request: _route(request, override or request.path))


def _delayed(seconds: int) -> NoReturn:
    log(f"Sleeping {seconds} seconds before terminating...")
    time.sleep(seconds)
    os._exit(0)


def in_background(work: Callable[[], Any]) -> None:
    """Runs it in a thread that ends with the process."""
    threading.Thread(target=work, daemon=True).start()


# --- listening


def _listening(kind: int, address: str, port: int) -> socket.socket:
    """A socket on an address, on all of both families where it is "". OSError."""
    if address and ":" not in address:
        made = socket.socket(socket.AF_INET, kind)
    else:
        made = socket.socket(socket.AF_INET6, kind)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    if kind == socket.SOCK_STREAM:
        made.listen(4096)
    return made


def _bind_problem(network: str, address: str, port: int, error: OSError) -> str:
    """Go's words for a port that cannot be had."""
    reason = {errno.EADDRINUSE: "address already in use", errno.EACCES: "permission denied"}
    return f"listen {network} {address}:{port}: bind: {reason.get(error.errno or 0, (error.strerror or '').lower())}"


def shown_address(address: Sequence[Any]) -> str:
    """A socket's address as Go shows it: an IPv4 client of an IPv6 socket is an IPv4 client."""
    host = str(address[0]).removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def serve_http(port: int, shown: Callable[["Request"], None]) -> int:
    """Answers HTTP requests until the process ends; 1 where the port cannot be had."""
    try:
        listening = _listening(socket.SOCK_STREAM, "", port)
    except OSError as error:
        log(_bind_problem("tcp", "", port, error))
        return 1
    handler = type("Handler", (Request,), {"shown": staticmethod(shown)})
    server = _Server(("", port), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.serve_forever(poll_interval=3600)
    return 0


def serve_tcp(port: int, words: str) -> NoReturn:
    """Says its words to whoever connects, and closes."""
    listening = _listening(socket.SOCK_STREAM, "", port)
    while True:
        connection, address = listening.accept()
        log(f"TCP request from {shown_address(address)}")
        with connection:
            connection.sendall(words.encode())


def serve_udp(address: str, port: int, answer: Callable[[str, str], str]) -> None:
    """Answers datagrams. answer: of the text and the client's address. OSError where the port cannot be had."""
    with _listening(socket.SOCK_DGRAM, address, port) as listening:
        while True:
            data, client = listening.recvmsg(2048)[0:4:3]
            words = answer(data.decode("utf-8", "replace"), shown_address(client))
            if words:
                listening.sendto(words.encode(), client)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class Request(BaseHTTPRequestHandler):
    """One connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write an answer
    shown: Callable[["Request"], None]

    def setup(self) -> None:
        """Before the first request."""
        super().setup()
        self.outside = origin.is_outside(self.connection)

    def do_GET(self) -> None:
        """Every method is answered alike."""
        length = self.headers.get("Content-Length", "0")
        self.body = self.rfile.read(int(length)) if length.isdigit() and int(length) < 1 << 20 else b""
        type(self).shown(self)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def answer(self, status: int, body: str | bytes = "", kind: str = "text/plain; charset=utf-8", **headers: str) -> None:
        """Sends an answer."""
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response_only(status, http.client.responses.get(status, ""))
        self.send_header("Date", self.date_time_string())
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        if data:
            self.send_header("Content-Type", kind)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, what: str) -> None:
        """Tells the laptop that this is not for it. what: what there is, and what it does."""
        log(f"{self.client()} came from outside the cluster and was refused {urlsplit(self.path).path}")
        self.answer(
            403,
            f"Refused: {what}, and is for Pods and nodes of this cluster alone.\n"
            "This request came through a port of the laptop (a mapped node port, or a port-forward). Any account there can "
            "use such a port, and would act as the one who started the cluster.\n"
            "Ask from inside: kubectl exec POD -- curl -s ADDRESS\n",
        )

    def client(self) -> str:
        """Who asks, as "address:port"."""
        return shown_address(self.client_address)

    def log_message(self, format: str, *args: Any) -> None:
        """netexec logs what it does, and not each request."""


# --- what netexec answers


def _route(request: Request, path: str) -> None:
    parts = urlsplit(path)
    given = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if request.command == "POST":
        given = {n: v[0] for n, v in parse_qs(request.body.decode("utf-8", "replace")).items()} | given
    if request.outside and parts.path in _ACTING:
        request.refuse(f"{parts.path} runs, ends or sends something")
        return
    handler = (_TELLING | _ACTING).get(parts.path, _root)  # as Go's "/": whatever else is asked for
    handler(request, given)


def _root(request: Request, given: Mapping[str, str]) -> None:
    log("GET /")
    now = time.time_ns()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now // 10**9))
    request.answer(200, f"NOW: {moment}.{now % 10**9:09d} +0000 UTC m=+{time.monotonic() - _STARTED:.9f}")


def _hostname(request: Request, given: Mapping[str, str]) -> None:
    log(f"GET {urlsplit(request.path).path}")
    request.answer(200, socket.gethostname())


def _clientip(request: Request, given: Mapping[str, str]) -> None:
    log("GET /clientip")
    request.answer(200, request.client())


def _healthz(request: Request, given: Mapping[str, str]) -> None:
    log("GET /healthz")
    request.answer(200 if _udp_ready.is_set() else 412)


def _echo(request: Request, given: Mapping[str, str]) -> None:
    words, code = given.get("msg", ""), given.get("code", "")
    log(f"GET /echo?msg={words}&code={code}")
    if code and not code.isdigit():
        request.answer(200, f"argument 'code' must be an integer or empty, got \"{code}\"\n")
        return
    request.answer(int(code or 200), words)


def _exit(request: Request, given: Mapping[str, str]) -> None:
    code, wait, limit = given.get("code", ""), given.get("wait", ""), given.get("timeout", "")
    log(f"GET /exit?code={code}&timeout={limit}&wait={wait}")
    try:
        time.sleep(duration(wait or "0"))
    except ValueError:
        request.answer(200, f"argument 'wait' must be a valid golang duration or empty, got \"{wait}\"\n")
        return
    os._exit(int(code or 0))


def _shutdown(request: Request, given: Mapping[str, str]) -> None:
    log("GET /shutdown")
    os._exit(0)


def _redirect(request: Request, given: Mapping[str, str]) -> None:
    location, code = given.get("location", ""), given.get("code", "")
    log(f"GET /redirect?location={location}&code={code}")
    request.answer(int(code or 302), "", Location=location)


def _shell(request: Request, given: Mapping[str, str]) -> None:
    command = given.get("shellCommand") or given.get("cmd", "")
    log(f"GET /shell?cmd={command}")
    done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment)
    output = {"output": done.stdout.decode("utf-8", "replace")} if done.stdout else {}
    if done.returncode:
        output["error"] = f"exit status {done.returncode}"
    request.answer(200, json.dumps(output, separators=(",", ":")))


def _dial(request: Request, given: Mapping[str, str]) -> None:
    host, port, asked = given.get("host", ""), given.get("port", ""), given.get("request", "")
    protocol, tries = given.get("protocol", "").lower(), given.get("tries", "1")
    log(f"GET /dial?host={host}&protocol={protocol}&port={port}&request={asked}&tries={tries}")
    dialer = {"": _dial_http, "http": _dial_http, "udp": _dial_udp}.get(protocol)
    problem = (
        f"tries parameter is invalid. strconv.Atoi: parsing \"{tries}\": invalid syntax" if not tries.isdigit()
        else "request parameter not specified. <nil>" if not asked
        else f"unsupported protocol. {protocol}" if dialer is None
        else "host and/or port param are invalid. missing port" if not port.isdigit()
        else ""
    )  # fmt: skip
    if problem or dialer is None:
        request.answer(400, f"{problem}\n")
        return
    responses, errors = [], []
    for _ in range(int(tries)):
        try:
            responses.append(dialer(host, int(port), asked))
        except (OSError, http.client.HTTPException) as error:
            errors.append(str(error))
    output = {name: found for name, found in (("responses", responses), ("errors", errors)) if found}
    request.answer(200, json.dumps(output, separators=(",", ":")))


def _dial_http(host: str, port: int, asked: str) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=_DIAL_LIMIT)
    try:
        connection.request("GET", f"/{asked}", headers={"User-Agent": "Go-http-client/1.1"})
        return connection.getresponse().read().decode("utf-8", "replace")
    finally:
        connection.close()


def _dial_udp(host: str, port: int, asked: str) -> str:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_DIAL_LIMIT)
        connection.connect(address)
        connection.send(asked.encode())
        return connection.recv(2048).decode("utf-8", "replace")


_Handler = Callable[[Request, Mapping[str, str]], None]
_TELLING: dict[str, _Handler] = {
    "/": _root,
    "/clientip": _clientip,
    "/echo": _echo,
    "/healthz": _healthz,
    "/hostname": _hostname,
    "/hostName": _hostname,
    "/redirect": _redirect,
}
_ACTING: dict[str, _Handler] = {"/dial": _dial, "/exit": _exit, "/shell": _shell, "/shutdown": _shutdown}

# --- UDP

_udp_ready = threading.Event()


def _udp(address: str, port: int) -> None:
    log(f"Started UDP server on port {address} {port}")
    _udp_ready.set()
    try:
        serve_udp(address, port, _udp_answer)
    except OSError as error:
        log(_bind_problem("udp", address, port, error))
        os._exit(1)


def _udp_answer(text: str, client: str) -> str:
    words = text.split()
    command = words[0].lower() if words else ""
    log(f"Received: {text.strip()}")
    if command == "hostname":
        return socket.gethostname()
    if command == "echo":
        return " ".join(words[1:])
    if command == "clientip":
        return client
    return ""
