"""One container of a Pod: started, probed, started again after a pause, ended. Its state is `status`, as the API shows it.

Timings and words are the kubelet's (pkg/kubelet/kuberuntime/kuberuntime_manager.go, doBackOff; pkg/kubelet/images).
"""

import asyncio
import hashlib
import os
import secrets
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from labs.embedded.kubelet import environment, images, memory, preparing, probes, probing, pulling, restarting
from labs.embedded.kubelet import exec as execs
from labs.embedded.kubelet.contained import Seat, contained, exec_words
from labs.embedded.kubelet.logs import Log
from labs.embedded.spawn import Container, Spawner, Started
from labs.embedded.store import now

Object = dict[str, Any]
_MESSAGE = 4096  # bytes of a termination message
_FALLBACK = (80, 2048)  # lines and bytes of the log that stand in for it (FallbackToLogsOnError)


class Owner(Protocol):
    """The Pod, as its containers see it."""

    pod: Object
    seat: Seat
    spawner: Spawner
    stopping: asyncio.Event

    def changed(self) -> None:
        """A container's status is another one."""

    def tell(self, kind: str, reason: str, message: str, container: Object | None = None) -> None:
        """An Event about the Pod, or one of its containers."""

    def variables(self, container: Object) -> dict[str, str]:
        """A container's environment. Raises environment.Missing."""

    def asker(self, container: Object, execute: probes.Execute) -> probes.Asker:
        """How this node probes this Pod."""

    def serve_dns(self) -> Callable[[], None]:
        """Begins to answer DNS requests in the Pod's network namespace; the function that ends it. OSError."""


class ContainerRun:
    """A container from its Pod's start to its end. process: while it runs. log: of now, previous: of the run before.

    stdin: our end of its stdin or terminal, -1 where it has none.
    """

    def __init__(self, owner: Owner, spec: Object, init: bool, waits_for: str) -> None:
        self.owner, self.spec, self.init = owner, spec, init
        self.name: str = spec["name"]
        self.process: Started | None = None
        self.log: Log | None = None
        self.previous: Log | None = None
        self.container: Container | None = None
        self.stdin = -1
        self.taps: set[asyncio.Queue[tuple[int, bytes] | None]] = set()  # who is attached
        limits = (spec.get("resources") or {}).get("limits") or {}
        self.memory_limit, self.storage_limit = str(limits.get("memory", "")), str(limits.get("ephemeral-storage", ""))
        self._other_image = asyncio.Event()
        self.status: Object = {
            "name": self.name,
            "image": spec["image"],
            "imageID": "",
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "started": False,
            "state": {"waiting": {"reason": waits_for}},
        }

    # --- its life

    async def live(self, policy: str) -> int:
        """Until it will not be started again, or the Pod is stopped; its last exit code."""
        pause = 0.0
        loop = asyncio.get_running_loop()
        while True:
            if not await pulling.image(self):
                return 1
            begun = loop.time()
            code = await self._run()
            ended = loop.time()
            if self.owner.stopping.is_set() or not restarting.again(policy, code, self.init):
                return code
            if ended - begun > restarting.FORGOTTEN:
                pause = 0.0
            if pause and await self._held_back(pause):
                return code
            pause = restarting.next_pause(pause)
            self.status["restartCount"] += 1

    async def _held_back(self, pause: float) -> bool:
        """Waits before the next start; whether the Pod was stopped meanwhile."""
        metadata = self.owner.pod["metadata"]
        whole = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        words = f"back-off {restarting.shown(pause)} restarting failed container={self.name} pod={whole}"
        self.waits("CrashLoopBackOff", words)
        said = f"Back-off restarting failed container {self.name} in pod {whole}"
        self.tell("Warning", "BackOff", said)
        return await self.stopped_within(pause)

    async def stopped_within(self, seconds: float | None) -> bool:
        """Waits so long, or until the image is another one; whether the Pod was stopped meanwhile. None: for ever."""
        self._other_image.clear()
        waits = [asyncio.create_task(one.wait()) for one in (self.owner.stopping, self._other_image)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return self.owner.stopping.is_set()

    def becomes(self, spec: Object) -> None:
        """The Pod's spec was changed: of a container, the image alone may be another one."""
        if spec["image"] == self.spec["image"]:
            return
        self.spec = spec
        self.status["image"] = spec["image"]
        self._other_image.set()
        if self.process is not None:
            words = f"Container {self.name} definition changed, will be restarted"
            self.tell("Normal", "Killing", words)
            self._ending_soon()

    def _ending_soon(self) -> None:
        """It is told to end; the caller does not wait."""
        grace = float(self.owner.pod["spec"].get("terminationGracePeriodSeconds", 30))
        self._ending_now = asyncio.create_task(self.end(grace))

    def _enters(self, state: Object, **more: Any) -> None:
        """Another state; one that has ended is remembered as the last."""
        if "terminated" in self.status["state"] and "terminated" not in state:
            self.status["lastState"] = self.status["state"]
        self.status = {**self.status, "state": state, **more}
        self.owner.changed()

    # --- one run

    async def _run(self) -> int:
        """One start, until the process has ended; its exit code."""
        self.previous = self.log or self.previous
        self.log = Log()
        image = images.find(self.spec["image"])
        assert image is not None
        identity = secrets.token_hex(32)
        try:
            env = self.owner.variables(self.spec)
            command = environment.command(self.spec, image, env)
            preparing.container(self.owner.pod, self.spec, self.owner.seat)
            self.container = contained(self.owner.pod["spec"], self.spec, self.owner.seat, env)
        except environment.Missing as error:
            return await self._not_configured(str(error))
        self.tell("Normal", "Created", "Container created")
        log_file = self.owner.seat.folder / self.container.log
        log_file.write_bytes(b"")
        begun = now()
        try:
            if command[:1] == [images.DNS]:
                ended = self._answering_dns()
            else:
                self.process = await self._start(command)
                ended = self._ending(self.process)
        except OSError as error:
            return self._not_started(error, command, identity)
        self.tell("Normal", "Started", "Container started")
        self._enters(
            {"running": {"startedAt": begun}},
            containerID=f"embedded://{identity}",
            imageID=f"embedded/{self.spec['image'].rpartition('/')[2]}@sha256:{hashlib.sha256(self.spec['image'].encode()).hexdigest()}",
            started=not self.spec.get("startupProbe"),
            ready=not self.spec.get("startupProbe") and not self.spec.get("readinessProbe"),
            user={"linux": {"uid": self.container.user, "gid": self.container.group,
                            "supplementalGroups": [self.container.group]}},
        )  # fmt: skip
        asker = self.owner.asker(self.spec, self._execute)
        beside = [asyncio.create_task(probing.run(self, asker))] if probing.wanted(self.spec) else []
        held = asyncio.create_task(memory.hold(self.process, self.memory_limit)) if self.process and self.memory_limit else None
        try:
            code = await ended
        finally:
            out_of_memory = held is not None and held.done()
            for task in [*beside, *([held] if held is not None else [])]:
                task.cancel()
            self.process = None
            self.close_stdin()
        message = self._message(log_file, code)
        self._terminated(code, begun, identity, message, "OOMKilled" if out_of_memory else "")
        return code

    def _terminated(self, code: int, begun: str, identity: str, message: str, reason: str = "") -> None:
        state: Object = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": begun,
            "finishedAt": now(),
            "containerID": f"embedded://{identity}",
        }
        state |= {"message": message} if message else {}
        self._enters({"terminated": state}, ready=self.init and code == 0, started=False)

    async def _not_configured(self, words: str) -> int:
        self.tell("Warning", "Failed", f"Error: {words}")
        self.waits("CreateContainerConfigError", words)
        self.status["restartCount"] -= 1  # this was no start
        await self.stopped_within(2.0)
        return 1

    def _not_started(self, error: OSError, command: list[str], identity: str) -> int:
        told = f'exec: "{command[0] if command else ""}": {exec_words(error, command)}'
        words = (
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
            f"runc create failed: unable to start container process: error during container init: {told}"
        )
        self.tell("Warning", "Failed", f"Error: {words}")
        if self.log:
            self.log.end()
        self._terminated(128, "1970-01-01T00:00:00Z", identity, words, "StartError")
        return 128

    async def _start(self, command: list[str]) -> Started:
        container, log, taps = self.container, self.log, self.taps
        assert container is not None
        assert log is not None
        tty = bool(self.spec.get("tty"))
        if tty:
            container = with_terminal(container)
        loop, netns = asyncio.get_running_loop(), self.owner.seat.netns
        started, pipes = await execs.connected(
            lambda ends: self.owner.spawner.start(container, command, netns, ends, tty=tty), bool(self.spec.get("stdin")), tty
        )
        self.stdin, left = pipes.stdin, set(pipes.outputs)

        def heard(channel: int, fd: int) -> None:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            except OSError:  # a terminal ends with EIO
                data = b""
            for tap in taps if data else ():
                tap.put_nowait((channel, data))
            if data:
                log.write(channel, data)
                return
            loop.remove_reader(fd)
            if fd == self.stdin:
                self.stdin = -1
            os.close(fd)
            left.discard(channel)
            if not left:
                log.end()
                for tap in taps:
                    tap.put_nowait(None)

        for channel, fd in pipes.outputs.items():
            loop.add_reader(fd, heard, channel, fd)
        return started

    def close_stdin(self) -> None:
        """Its stdin ends; a terminal stays."""
        if self.stdin >= 0 and not self.spec.get("tty"):
            os.close(self.stdin)
            self.stdin = -1

    async def _ending(self, process: Started) -> int:
        code = await asyncio.shield(process.ended)
        for _ in range(20):  # what it wrote last may still be in the pipes
            if self.log is None or self.log.ended:
                break
            await asyncio.sleep(0.005)
        return code

    async def _answering_dns(self) -> int:
        end = self.owner.serve_dns()
        try:
            await self.owner.stopping.wait()
        finally:
            end()
        return 0

    def _message(self, file: Path, code: int) -> str:
        try:
            with file.open("rb") as opened:
                message = opened.read(_MESSAGE).decode("utf-8", "replace")
        except OSError:
            return ""
        fallback = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and code != 0
        return self.log.tail(*_FALLBACK) if not message and fallback and self.log else message

    # --- what its probes say

    def tell(self, kind: str, reason: str, message: str) -> None:
        """An Event about it."""
        self.owner.tell(kind, reason, message, self.spec)

    def waits(self, reason: str, message: str) -> None:
        """Its state becomes `waiting`."""
        self._enters({"waiting": {"reason": reason, "message": message}})

    def started(self) -> None:
        """Its startup probe has succeeded."""
        self._enters(self.status["state"], started=True, ready="readinessProbe" not in self.spec)

    def ready(self, ready: bool) -> None:
        """What its readiness probe says now."""
        if self.status["ready"] != ready:
            self._enters(self.status["state"], ready=ready)

    def failed(self, kind: str) -> None:
        """Its startup or liveness probe says that it must be started anew."""
        self.tell("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        self._ending_soon()

    async def _execute(self, command: list[str], limit: float) -> tuple[int, str]:
        """Runs a probe's command: its exit code and output. TimeoutError, OSError."""
        read, write = os.pipe2(os.O_CLOEXEC)
        nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            process = await self.exec(command, (nothing, write, write))
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
            os.close(nothing)
        try:
            async with asyncio.timeout(limit):
                code = await asyncio.shield(process.ended)
        except BaseException:
            process.kill()
            os.close(read)
            raise
        os.set_blocking(read, False)
        try:
            output = os.read(read, 10240)
        except BlockingIOError:
            output = b""
        finally:
            os.close(read)
        return code, output.decode("utf-8", "replace")

    async def exec(self, command: list[str], standard: tuple[int, int, int], tty: bool = False) -> Started:
        """Runs a command in the container. OSError where it does not run, or the command cannot be run."""
        process, container = self.process, self.container
        if process is None or container is None:
            raise OSError(f"container {self.name} does not run")
        if tty:
            container = with_terminal(container)
        return await self.owner.spawner.start(container, command, self.owner.seat.netns, standard, process.pid, tty)

    # --- its end

    async def end(self, grace: float) -> None:
        """SIGTERM, and after `grace` seconds SIGKILL; returns when its process has ended."""
        process = self.process
        if process is None:
            return
        if grace > 0:
            process.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    await asyncio.shield(process.ended)
            except TimeoutError:
                pass
        process.kill()
        await asyncio.shield(process.ended)


def with_terminal(container: Container) -> Container:
    """The same container, told what terminal it has."""
    return replace(container, env={"TERM": "xterm", **container.env})
