"""Subresources of Pods that touch processes: log, exec, attach and port-forward, over the Runtime.

How the bytes of exec and attach travel is channels.py's matter, port-forward is forwarding.py's.
"""

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from labs.embedded.api import channels, forwarding, requests, spdy_session, status
from labs.embedded.api.channels import Channels
from labs.embedded.api.gotext import quote
from labs.embedded.runtime import NoContainer, Process, Runtime

Object = dict[str, Any]
PARTS = ("log", "exec", "attach", "portforward")
WAITING = 256  # pieces of stdin that may wait for a slow process


class Streams:
    """Answers requests for these subresources."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def answer(self, request: web.Request, pod: Object, part: str) -> web.StreamResponse:
        """The answer for one Pod; `part` is one of PARTS. Raises Refused."""
        if request.method not in ("GET", "POST") or (part == "log" and request.method == "POST"):
            raise status.not_allowed()
        if part == "portforward":
            _has_node(pod)
            if pod.get("status", {}).get("phase") != "Running":
                raise status.bad_request(f"unable to forward port because pod is not running. Current status={_phase(pod)}")
            _has_upgrade(request)
            return await forwarding.answer(request, pod, self.runtime)
        container = _container(pod, request.query.get("container", ""), part)
        if part == "log":
            return await self._log(request, pod, container)
        _has_node(pod)
        return await self._process(request, pod, container, part)

    # --- logs

    async def _log(self, request: web.Request, pod: Object, container: str) -> web.StreamResponse:
        query = request.query
        if not pod["spec"].get("nodeName"):
            return web.Response(text="", content_type="text/plain")
        for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
            number = requests.whole(query, name)
            if number is not None and number < least:
                why = "must be greater than 0" if least else "must be greater than or equal to 0"
                raise status.invalid_object("PodLogOptions", pod["metadata"]["name"], [status.invalid(name, number, why)])
        lines = self.runtime.logs(
            pod,
            container,
            follow=requests.flag(query, "follow"),
            tail_lines=requests.whole(query, "tailLines"),
            since_seconds=requests.whole(query, "sinceSeconds"),
            timestamps=requests.flag(query, "timestamps"),
            previous=requests.flag(query, "previous"),
            limit_bytes=requests.whole(query, "limitBytes"),
        )
        found = aiter(lines)
        first: bytes | None = None
        waiting = asyncio.ensure_future(anext(found, None))
        try:
            # A log that follows may have nothing to say yet; what cannot be read at all says so on its first step.
            done, _ = await asyncio.wait([waiting], timeout=0.05 if requests.flag(query, "follow") else None)
            first = waiting.result() if done else b""
        except NoContainer as error:
            raise status.bad_request(str(error)) from None
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        try:
            await response.prepare(request)
            if first == b"" and not waiting.done():
                first = await waiting
            if first is not None:
                await response.write(first)
                async for piece in found:
                    await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            waiting.cancel()
            if close := getattr(lines, "aclose", None):
                with contextlib.suppress(RuntimeError):
                    await close()
        return response

    # --- processes

    async def _process(self, request: web.Request, pod: Object, container: str, part: str) -> web.StreamResponse:
        query = request.query
        command = query.getall("command", [])
        if part == "exec" and not command:
            errors = [status.required("command")]
            raise status.invalid_object("PodExecOptions", pod["metadata"]["name"], errors)
        stdin, tty = requests.flag(query, "stdin"), requests.flag(query, "tty")
        if not request.headers.get("Upgrade"):
            _running(pod, container)
        _has_upgrade(request)
        asked = channels.wanted(stdin, requests.flag(query, "stdout"), requests.flag(query, "stderr"), tty)
        try:
            if part == "exec":
                process = await self.runtime.exec(pod, container, command, stdin=stdin, tty=tty)
            else:
                process = await self.runtime.attach(pod, container, stdin=stdin, tty=tty)
        except NoContainer as error:
            raise _internal(f"unable to upgrade connection: {error}") from None
        except OSError as error:
            opened = await channels.opened(request, asked)
            await _last_word(opened, _not_started(error, command))
            return opened.response
        try:
            opened = await channels.opened(request, asked)
            await _joined(opened, process)
        finally:
            process.kill()
        return opened.response


async def _joined(opened: Channels, process: Process) -> None:
    """Carries both ways until the process ends, or the client goes; then tells the client how it ended."""
    stdin: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
    reading = asyncio.ensure_future(_from_client(opened, process, stdin))
    feeding = asyncio.ensure_future(_feed(stdin, process))
    writing = asyncio.ensure_future(_to_client(opened, process))
    try:
        await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():  # the client has gone
            await opened.close(said=False)
            return
        writing.result()
        code = await process.wait()
        reading.cancel()
        await asyncio.wait([reading])
        await _last_word(opened, ended(code))
    except ConnectionError:
        await opened.close(said=False)
    finally:
        for task in (reading, feeding, writing):
            task.cancel()
        await asyncio.gather(reading, feeding, writing, return_exceptions=True)


async def _last_word(opened: Channels, end: Object) -> None:
    """Tells the client how it ended."""
    await opened.send(channels.ERROR, json.dumps(end).encode())
    await opened.close(said=True)


async def _from_client(opened: Channels, process: Process, stdin: "asyncio.Queue[bytes | None]") -> None:
    async for channel, data in opened.received():
        if channel == channels.STDIN:
            await stdin.put(data)
        elif channel == channels.RESIZE and data:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                size = json.loads(data)
                process.resize(int(size["Height"]), int(size["Width"]))


async def _feed(stdin: "asyncio.Queue[bytes | None]", process: Process) -> None:
    """Beside `_from_client`: a process that does not read its stdin must not hide that its client has gone."""
    while (data := await stdin.get()) is not None:
        await process.write(data)
    await process.close_stdin()


async def _to_client(opened: Channels, process: Process) -> None:
    while (piece := await process.read()) is not None:
        await opened.send(*piece)


def _not_started(error: OSError, command: list[str]) -> Object:
    """A command that cannot be run, as a runtime tells it."""
    words = error.strerror or str(error)
    why = f"exec: {quote((command or [''])[0])}: {'executable file not found in $PATH' if error.errno == 2 else words.lower()}"
    said = f"error executing command in container: failed to exec in container: failed to start exec: {why}"
    made: Object = {"metadata": {}, "status": "Failure", "message": f"Internal error occurred: {said}"}
    return made | {"reason": "InternalError", "details": {"causes": [{"message": said}]}, "code": 500}


def ended(code: int) -> Object:
    """What the error channel says at a process' end."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _container(pod: Object, asked: str, part: str) -> str:
    """The container that is meant. Raises Refused (400)."""
    name = pod["metadata"]["name"]
    plain = [one["name"] for one in pod["spec"].get("containers") or []]
    early = [one["name"] for one in pod["spec"].get("initContainers") or []]
    if asked:
        if asked not in plain + early:
            raise status.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(plain) == 1:
        return str(plain[0])
    said = f"a container name must be specified for pod {name}, choose one of: [{' '.join(plain)}]"
    raise status.bad_request(said + (f" or one of the init containers: [{' '.join(early)}]" if early else ""))


def _running(pod: Object, container: str) -> None:
    """Raises Refused where the container does not run."""
    for one in pod.get("status", {}).get("containerStatuses") or []:
        if one["name"] == container and "running" in one.get("state", {}):
            return
    raise _internal(f'unable to upgrade connection: container not found ("{container}")')


def _has_node(pod: Object) -> None:
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _has_upgrade(request: web.Request) -> None:
    upgrade = request.headers.get("Upgrade", "")
    if not upgrade:
        raise status.bad_request("Upgrade request required")
    if upgrade.lower() not in ("websocket", spdy_session.UPGRADE.lower()):
        raise status.bad_request(f"unable to upgrade: this cluster speaks websocket and {spdy_session.UPGRADE}, not {upgrade}")


def _internal(why: str) -> status.Refused:
    return status.Refused(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})
