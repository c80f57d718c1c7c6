"""Probes: asks a container by HTTP, TCP or a command, again and again, and says when its verdict has changed.

The words are the kubelet's (pkg/kubelet/prober/prober.go, worker.go; pkg/probe). Does not restart anything.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
SUCCESS, FAILURE, ERRORED = "success", "failure", "errored"
_SETTLING = 1.0  # seconds after its start in which a container that does not listen yet is asked again, in silence
_AGAIN = 0.02  # seconds between those tries; they grow
_BODY = 10 * 1024  # bytes of an answer that are read


@dataclass(frozen=True)
class Verdict:
    """What one probe found. words: why not."""

    result: str
    words: str = ""


Execute = Callable[[list[str], float], Awaitable[tuple[int, str]]]  # a command and its limit in seconds → code, output


@dataclass(frozen=True)
class Asker:
    """How to ask: address is the Pod's; connect makes a socket of the node's; execute runs in the container."""

    address: str
    container: Object
    new_socket: Callable[[], socket.socket]
    execute: Execute

    async def ask(self, probe: Object) -> Verdict:
        """Asks once."""
        limit = float(probe.get("timeoutSeconds") or 1)
        try:
            if "exec" in probe:
                return await self._by_command(probe["exec"].get("command") or [], limit)
            handler = probe.get("httpGet") or probe.get("tcpSocket")
            if handler is None:
                return Verdict(ERRORED, "the embedded cluster probes by httpGet, tcpSocket and exec")
            port = self._port(handler["port"])
            host = handler.get("host") or self.address
            if "httpGet" in probe:
                return await self._by_http(handler, host, port, limit)
            return await self._by_tcp(host, port, limit)
        except ValueError as error:
            return Verdict(ERRORED, str(error))

    def _port(self, port: int | str) -> int:
        for one in self.container.get("ports") or []:
            if one.get("name") == port:
                return int(one["containerPort"])
        if not str(port).isdigit():
            raise ValueError(f'strconv.Atoi: parsing "{port}": invalid syntax')
        return int(port)

    async def _by_command(self, command: list[str], limit: float) -> Verdict:
        try:
            code, output = await self.execute(command, limit)
        except TimeoutError:
            return Verdict(FAILURE, f'command timed out: "{" ".join(command)}" timed out after {limit:.0f}s')
        except OSError as error:
            return Verdict(ERRORED, f"rpc error: code = Unknown desc = failed to exec in container: {error.strerror}")
        return Verdict(SUCCESS) if code == 0 else Verdict(FAILURE, output)

    async def _by_tcp(self, host: str, port: int, limit: float) -> Verdict:
        with self.new_socket() as connection:
            try:
                async with asyncio.timeout(limit):
                    await asyncio.get_running_loop().sock_connect(connection, (host, port))
            except TimeoutError:
                return Verdict(FAILURE, f"dial tcp {host}:{port}: i/o timeout")
            except OSError as error:
                return Verdict(FAILURE, f"dial tcp {host}:{port}: {_dial_words(error)}")
        return Verdict(SUCCESS)

    async def _by_http(self, handler: Object, host: str, port: int, limit: float) -> Verdict:
        scheme = (handler.get("scheme") or "HTTP").lower()
        path = handler.get("path") or "/"
        path = path if path.startswith("/") else f"/{path}"
        url = f'Get "{scheme}://{host}:{port}{path}"'
        try:
            async with asyncio.timeout(limit):
                status, _ = await self._get(handler, host, port, scheme, path)
        except TimeoutError:
            return Verdict(FAILURE, f"{url}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        except (EOFError, ConnectionResetError):
            return Verdict(FAILURE, f"{url}: EOF")
        except OSError as error:
            return Verdict(FAILURE, f"{url}: dial tcp {host}:{port}: {_dial_words(error)}")
        if 200 <= status < 400:
            return Verdict(SUCCESS)
        return Verdict(FAILURE, f"HTTP probe failed with statuscode: {status}")

    async def _get(self, handler: Object, host: str, port: int, scheme: str, path: str) -> tuple[int, bytes]:
        connection = self.new_socket()
        try:
            await asyncio.get_running_loop().sock_connect(connection, (host, port))
        except BaseException:
            connection.close()
            raise
        reader, writer = await asyncio.open_connection(sock=connection, ssl=_no_questions() if scheme == "https" else None,
                                                       server_hostname="" if scheme == "https" else None)  # fmt: skip
        try:
            headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.37", "Accept": "*/*", "Connection": "close"}
            headers |= {one["name"]: one.get("value", "") for one in handler.get("httpHeaders") or []}
            lines = [f"GET {path} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()], "", ""]
            writer.write("\r\n".join(lines).encode())
            first = await reader.readline()
            words = first.split()
            if not first:
                raise EOFError
            if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
                raise ConnectionResetError
            return int(words[1]), await reader.read(_BODY)
        finally:
            writer.close()


def _no_questions() -> ssl.SSLContext:
    """A kubelet's probes do not check certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _dial_words(error: OSError) -> str:
    known = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}
    return f"connect: {known.get(error.errno or 0, os.strerror(error.errno or 0).lower())}"


async def watch(
    probe: Object, asker: Asker, changed: Callable[[bool], None], told: Callable[[Verdict], None], first: bool
) -> None:
    """Probes for ever. changed: called with the verdict whenever the thresholds say that it is another one.

    told: called with each probe that failed. first: what holds before the first verdict. A container that has just been
    started is given a moment to listen: the kubelet, too, is never there at once.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    period = float(probe.get("periodSeconds") or 10)
    needed = {True: int(probe.get("successThreshold") or 1), False: int(probe.get("failureThreshold") or 3)}
    delay = float(probe.get("initialDelaySeconds") or 0)
    await asyncio.sleep(delay)
    good, run, verdict = first, 0, first
    pause = _AGAIN
    while True:
        found = await asker.ask(probe)
        early = found.result == FAILURE and loop.time() - begun < _SETTLING and not delay and "exec" not in probe
        if early and "connection refused" in found.words:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)
            continue
        if found.result != SUCCESS:
            told(found)
        now = found.result == SUCCESS
        if found.result != ERRORED:
            run = run + 1 if now == verdict else 1
            verdict = now
            if run >= needed[now] and now != good:
                good = now
                changed(good)
            elif run == needed[now] and not now:
                changed(False)
        await asyncio.sleep(period)
