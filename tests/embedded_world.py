"""The embedded API on a loopback port, with a store and no nodes: a stand-in for them runs commands of this machine.

Stands for what needs namespaces; everything else is the real thing: HTTP, the store, the checks.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
import trustme
from aiohttp import web

from labs.embedded.api import Api
from labs.embedded.api.server import HTTP
from labs.embedded.https import Https
from labs.embedded.plan import AddressPlan
from labs.embedded.runtime import NoContainer
from labs.embedded.store import Store

TOKEN = "a-token-of-the-tests"
Object = dict[str, Any]


class HostProcess:
    """A process of this machine in the shape of runtime.Process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pieces: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self.sizes: list[tuple[int, int]] = []
        self.reading = asyncio.gather(self._pump(1, process.stdout), self._pump(2, process.stderr))
        self.reading.add_done_callback(lambda _: self.pieces.put_nowait(None))

    async def _pump(self, channel: int, stream: Any) -> None:
        while piece := await stream.read(4096):
            self.pieces.put_nowait((channel, piece))

    async def read(self) -> tuple[int, bytes] | None:
        return await self.pieces.get()

    async def write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def close_stdin(self) -> None:
        self.process.stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    async def wait(self) -> int:
        code = await self.process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


class HostRuntime:
    """runtime.Runtime on this machine: exec runs here, port-forward connects here, a Pod stops at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.stopped: list[tuple[str, float]] = []
        self.started: list[HostProcess] = []

    async def logs(self, pod: Object, container: str, **asked: Any) -> AsyncIterator[bytes]:
        if asked["previous"]:
            raise NoContainer(f'previous terminated container "{container}" in pod "{pod["metadata"]["name"]}" not found')
        yield b"one\n"
        yield f"{asked['tail_lines']} {asked['follow']}\n".encode()

    async def exec(self, pod: Object, container: str, command: list[str], *, stdin: bool, tty: bool) -> HostProcess:
        pipe = asyncio.subprocess.PIPE
        process = HostProcess(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe))
        if not stdin:
            await process.close_stdin()
        self.started.append(process)
        return process

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> HostProcess:
        return await self.exec(pod, container, ["echo", "attached"], stdin=stdin, tty=tty)

    async def connect(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    def control_plane_socket(self) -> socket.socket:
        return socket.socket()

    async def stop(self, pod: Object, grace: float) -> None:
        self.stopped.append((pod["metadata"]["name"], grace))
        self.store.remove("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])


class World:
    """A running API; what touches the store from a test goes through `call`, into the loop's own thread."""

    def __init__(
        self, base: str, store: Store, runtime: HostRuntime, loop: asyncio.AbstractEventLoop, ca: trustme.CA | None
    ) -> None:
        self.base, self.store, self.runtime, self.loop, self.ca = base, store, runtime, loop, ca

    def call(self, what: Callable[[], Any]) -> Any:
        """Runs it in the loop's thread."""

        async def run() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """A request with the token."""
        headers = {"Authorization": f"Bearer {TOKEN}", **options.pop("headers", {})}
        with contextlib.ExitStack() as stack:
            if self.ca:
                options["verify"] = stack.enter_context(self.ca.cert_pem.tempfile())
            return requests.request(method, self.base + path, json=body, headers=headers, timeout=20, **options)

    def pod(self, name: str = "p", phase: str = "Running", **spec: Any) -> Object:
        """A Pod that its node runs."""

        def run(pod: Object) -> Object:
            pod["spec"]["nodeName"] = "t-worker"
            running = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
            names = [one["name"] for one in pod["spec"]["containers"]]
            statuses = [{"name": one, "ready": True, "restartCount": 0, "state": running} for one in names]
            pod["status"] |= {"phase": phase, "containerStatuses": statuses}
            return pod

        body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}
        answer = self.ask("POST", "/api/v1/namespaces/n/pods", body)
        assert answer.status_code == 201, answer.text
        return self.call(lambda: self.store.modify("pods", "n", name, run))


@contextlib.contextmanager
def world(*namespaces: str, secure: trustme.CA | None = None) -> Iterator[World]:
    """An API with these namespaces, each with its default ServiceAccount; ends with the block.

    secure: by TLS, with a certificate of that CA (kubectl sends no token without).
    """
    store = Store()
    for name in ("default", "kube-system", *namespaces):
        labels = {"kubernetes.io/metadata.name": name}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        store.create("namespaces", {**made, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        store.create("serviceaccounts", account)
    loop = asyncio.new_event_loop()
    runtime = HostRuntime(store)
    api = Api(store, AddressPlan("t"), runtime, TOKEN)
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    async def start() -> web.AppRunner:
        if secure is None:
            runner = web.AppRunner(api.app, access_log=None, **HTTP)
            await runner.setup()
            await web.SockSite(runner, listening).start()
            return runner
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.issue_cert("127.0.0.1").configure_cert(context)
        served = Https(api.app, context, TOKEN, {"/labs/settled": lambda: asyncio.sleep(0)})
        await served.start()
        served.listen(listening)
        return served._runner

    async def stop(runner: web.AppRunner) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), 2)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        listening.close()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        host, port = listening.getsockname()
        yield World(f"http{'s' if secure else ''}://{host}:{port}", store, runtime, loop, secure)
    finally:
        asyncio.run_coroutine_threadsafe(stop(runner), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextlib.contextmanager
def listener() -> Iterator[int]:
    """A port of 127.0.0.1 where a process answers HTTP: its path, 100 000 times, or once for a path that ends with "once"."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode() * (1 if self.path.endswith("once") else 100_000))

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
