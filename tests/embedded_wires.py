"""A small network for tests of rules, in namespaces of its own: two nodes, Pods, another machine. Started by `unshare -Urn`.

A program: reads one command a line (JSON), answers each with a line; ends with its input, and the network with it. Uses only
Python's own library, `ip`, `nft` and `nsenter`. `Wires` is the test's side of it. Knows no Services.
"""

import ctypes
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where ip and nft may be, for an ordinary user, too
LIMIT = 1.0  # seconds that a request may take: everything is on this machine
PORTS = (9080, 9081)
NODES = {"node0": ("172.30.0.2", "10.244.0"), "node1": ("172.30.0.3", "10.244.1")}
PODS = {"a": ("node0", "10.244.0.5"), "b": ("node1", "10.244.1.5"), "c": ("node1", "10.244.1.6")}
MACHINE = "172.30.0.9"


class Wires:
    """The network, in a process of its own. prefix: a command to start it by, such as one that changes the user."""

    def __init__(self, prefix: tuple[str, ...] = (), python: str = sys.executable) -> None:
        source = Path(__file__).read_text("utf-8")
        command = [*prefix, "unshare", "--user", "--map-root-user", "--net", python, "-c", source]
        env = {**os.environ, "PATH": PATH}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.call("ready")

    def call(self, what: str, *arguments: Any) -> Any:
        """Has it do one thing; AssertionError with its words where it cannot."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the network ended, exit code {self._process.wait()}"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer["done"]

    def ask(self, who: str, address: str, port: int, protocol: str = "tcp") -> str:
        """What a request gets: "NAME saw CLIENT", "refused", "timed out" or the kernel's words."""
        return str(self.call("ask", who, address, port, protocol))

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def why_not() -> str:
    """What is missing here for such a network; "" where nothing is."""
    missing = [one for one in ("unshare", "nsenter", "ip", "nft") if shutil.which(one, path=PATH) is None]
    if missing:
        return f"not here: {', '.join(missing)}"
    made = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "true"], capture_output=True, text=True)
    return f"no namespaces: {made.stderr.strip()}" if made.returncode else ""


# --- the program


class _Network:
    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.names = {"host": self.here}
        self.selector = selectors.DefaultSelector()
        self._run("host", "ip", "link", "set", "lo", "up")
        self._run("host", "ip", "link", "add", "bridge", "type", "bridge")
        self._run("host", "ip", "address", "add", "172.30.0.1/24", "dev", "bridge")
        self._run("host", "ip", "link", "set", "bridge", "up")
        for name, (address, _) in NODES.items():
            self._on_bridge(name, address)
            for other, (via, range_) in NODES.items():
                if other != name:
                    self._run(name, "ip", "route", "add", f"{range_}.0/24", "via", via)
            self._sysctl(name, "ip_forward", 1)
            self._sysctl(name, "conf/all/route_localnet", 1)
            self._sysctl(name, "icmp_ratelimit", 0)  # or the seventh refusal within a second is silence
        self._on_bridge("machine", MACHINE)
        self._run("machine", "ip", "route", "add", "10.96.0.0/12", "via", NODES["node0"][0])
        for name, (node, address) in PODS.items():
            self._pod(name, node, address)
        for name in (*PODS, "machine"):
            for port in PORTS:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    self._serve(name, port, kind)
        threading.Thread(target=self._answer, daemon=True).start()

    def ready(self) -> str:
        return "yes"

    def apply(self, node: str, transactions: list[str]) -> str:
        for one in transactions:
            self._run(node, "nft", "-j", "-f", "-", given=one)
        return "applied"

    def listed(self, node: str, table: str) -> str:
        return self._run(node, "nft", "list", "table", "ip", table)

    def ask(self, who: str, address: str, port: int, protocol: str) -> str:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with self._socket(who, kind) as client:
            client.settimeout(LIMIT)
            try:
                client.connect((address, port))
                if protocol == "udp":
                    client.send(b"?")
                return client.recv(100).decode()
            except ConnectionRefusedError:
                return "refused"
            except TimeoutError:
                return "timed out"
            except OSError as error:
                return os.strerror(error.errno or 0)

    def _namespace(self, name: str) -> None:
        assert self.libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        self.names[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.libc.setns(self.here, CLONE_NEWNET)
        self._run(name, "ip", "link", "set", "lo", "up")

    def _path(self, name: str) -> str:
        return f"/proc/{os.getpid()}/fd/{self.names[name]}"

    def _run(self, name: str, *command: str, given: str = "") -> str:
        entered = [] if name == "host" else ["nsenter", f"--net={self._path(name)}"]
        ran = subprocess.run([*entered, *command], input=given, capture_output=True, text=True)
        assert ran.returncode == 0, f"{name}: {' '.join(command)}: {ran.stderr} {ran.returncode}"
        return ran.stdout

    def _sysctl(self, name: str, key: str, value: int) -> None:
        self._run(name, "sh", "-c", f"echo {value} > /proc/sys/net/ipv4/{key}")

    def _on_bridge(self, name: str, address: str) -> None:
        self._namespace(name)
        self._run("host", "ip", "link", "add", f"to-{name}", "type", "veth", "peer", "eth0", "netns", self._path(name))
        self._run("host", "ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        self._run(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        self._run(name, "ip", "link", "set", "eth0", "up")
        self._run(name, "ip", "route", "add", "default", "via", "172.30.0.1")

    def _pod(self, name: str, node: str, address: str) -> None:
        self._namespace(name)
        gateway = f"{NODES[node][1]}.1"
        self._run(node, "ip", "link", "add", f"pod-{name}", "type", "veth", "peer", "eth0", "netns", self._path(name))
        self._run(node, "ip", "address", "add", f"{gateway}/32", "dev", f"pod-{name}")
        self._run(node, "ip", "link", "set", f"pod-{name}", "up")
        self._run(node, "ip", "route", "add", address, "dev", f"pod-{name}", "src", gateway)
        self._run(name, "ip", "address", "add", f"{address}/32", "dev", "eth0")
        self._run(name, "ip", "link", "set", "eth0", "up")
        self._run(name, "ip", "route", "add", gateway, "dev", "eth0", "scope", "link")
        self._run(name, "ip", "route", "add", "default", "via", gateway)

    def _socket(self, name: str, kind: int) -> socket.socket:
        self.libc.setns(self.names[name], CLONE_NEWNET)
        try:
            return socket.socket(socket.AF_INET, kind)
        finally:
            self.libc.setns(self.here, CLONE_NEWNET)

    def _serve(self, name: str, port: int, kind: int) -> None:
        server = self._socket(name, kind)
        server.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            server.listen()
        self.selector.register(server, selectors.EVENT_READ, f"{name}:{port}")

    def _answer(self) -> None:
        while True:
            for key, _ in self.selector.select():
                server = key.fileobj
                assert isinstance(server, socket.socket)
                if server.type == socket.SOCK_STREAM:
                    client, (address, _port) = server.accept()
                    client.sendall(f"{key.data} saw {address}".encode())
                    client.close()
                else:
                    _, where = server.recvfrom(100)
                    server.sendto(f"{key.data} saw {where[0]}".encode(), where)


def _main() -> None:
    network = _Network()
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        try:
            answer = {"done": getattr(network, what)(*arguments)}
        except Exception as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
