"""A small process that starts all others: it is asked by the server, forks, and tells when what it started has ended.

The server is large and has threads, so it does not fork; and what is forked here shares this process' memory: ten Pods of
agnhost's stand-in cost little more than one. Nothing may be imported after `prepare`: the files are not there any more.
`spawn.py` is the server's end. Messages: one datagram each, JSON; a request's is in a file that comes with its descriptors.
"""

import array
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import termios
from typing import Any, NoReturn

from labs.embedded import agnhost, kernel, limits, netexec, sandbox, seccomp
from labs.embedded.settings import ROOM

_FILES = 1024  # open files of a container's process
_FDS = 5  # with each request: its file, the network namespace, stdin, stdout, stderr


class _Job:
    """Something that was asked for: `told` holds what its two forks wrote until one of them ran the program."""

    def __init__(self, number: int, first: int, pipe: int) -> None:
        self.number = number
        self.first = first  # the first child, which ends at once
        self.pipe = pipe
        self.told = b""

    def pid(self) -> int:
        """The process that runs the program, 0 where it was not even forked."""
        return next((int(line) for line in self.told.splitlines() if not line.startswith(b"[")), 0)

    def problem(self) -> list[Any] | None:
        """An errno and words, where the program did not run."""
        return next((json.loads(line) for line in self.told.splitlines() if line.startswith(b"[")), None)


def serve(asked: socket.socket, pods: str) -> NoReturn:
    """Serves requests that come over the socket until its other end is closed. pods: the folder with the Pods' files."""
    os.environ.clear()
    kernel.hide_environment()  # the user's: no Pod's process 1 shall show it
    kernel.unshare(kernel.NEWNS)
    sandbox.prepare(pods)
    kernel.reap_grandchildren()
    kernel.set_process_name("labs-zygote")
    awake, wake = socket.socketpair()
    for end in (awake, wake, asked):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    gc.freeze()
    _loop(asked, awake)


def _loop(asked: socket.socket, awake: socket.socket) -> NoReturn:
    jobs: dict[int, _Job] = {}  # by pipe
    running: dict[int, int] = {}  # the numbers of jobs, by process
    entering: set[int] = set()  # the first children
    early: dict[int, int] = {}  # how processes ended that were quicker than the news of their start
    poll = select.poll()
    for fd in (asked.fileno(), awake.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if asked.fileno() in ready:
            request = _receive(asked)
            if request is None:
                os._exit(0)
            job = _start(*request)
            jobs[job.pipe] = job
            entering.add(job.first)
            poll.register(job.pipe, select.POLLIN)
        if awake.fileno() in ready:
            awake.recv(4096)
        for pid, status in _ended():
            if pid in entering:
                entering.remove(pid)
            else:
                early[pid] = status
        for job in list(jobs.values()):
            if _has_begun(job):
                poll.unregister(job.pipe)
                os.close(job.pipe)
                del jobs[job.pipe]
                if job.pid():
                    running[job.pid()] = job.number
                _tell(asked, {"id": job.number, "pid": job.pid(), "error": job.problem()})
        for pid in early.keys() & running.keys():
            _tell(asked, {"id": running.pop(pid), "status": os.waitstatus_to_exitcode(early.pop(pid))})


def _receive(asked: socket.socket) -> tuple[int, list[int]] | None:
    """The number of a request, and its descriptors. What it asks for is read by the child alone: a Pod's process is a copy of
    this one, and shall not have in its memory what other Pods were given."""
    data, ancillary, _, _ = asked.recvmsg(64, socket.CMSG_SPACE(_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    fds = array.array("i")
    for _, _, words in ancillary:
        fds.frombytes(words[: len(words) - len(words) % 4])
    return int(data), list(fds)


def _tell(asked: socket.socket, message: dict[str, Any]) -> None:
    asked.setblocking(True)
    asked.send(json.dumps(message).encode())
    asked.setblocking(False)


def _has_begun(job: _Job) -> bool:
    while True:
        try:
            words = os.read(job.pipe, 4096)
        except BlockingIOError:
            return False
        if not words:
            return True
        job.told += words


def _ended() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found.append((pid, status))


# --- what is forked


def _start(number: int, fds: list[int]) -> _Job:
    """Forks twice: the first child enters the namespaces, the second one is born in them. Tells by the pipe."""
    told, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    first = os.fork()
    if first == 0:
        try:
            payload, netns, *standard = fds
            spec = json.loads(os.pread(payload, os.fstat(payload).st_size, 0))
            _enter(spec, netns)
            pid = os.fork()
            if pid:
                os.write(tell, f"{pid}\n".encode())
                os._exit(0)
            _run(spec, standard, tell)
        except BaseException as error:
            _fail(tell, error)
    os.close(tell)
    for fd in fds:
        os.close(fd)
    return _Job(number, first, told)


def _fail(tell: int, error: BaseException) -> NoReturn:
    number = error.errno if isinstance(error, OSError) else 0
    words = error.strerror or str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    os.write(tell, json.dumps([number, words]).encode() + b"\n")
    os._exit(127)


def _enter(spec: dict[str, Any], netns: int) -> None:
    """The first child: into a running container's namespaces, or into new ones. A process is in a PID namespace by birth."""
    if spec["join"]:
        container = os.pidfd_open(spec["join"])
        kernel.setns(container, kernel.NEWPID | kernel.NEWNET | kernel.NEWUTS | kernel.NEWIPC | kernel.NEWNS)
        if spec["user"]:  # last: it takes away what the others need
            kernel.setns(container, kernel.NEWUSER)
        os.close(container)
        return
    kernel.setns(netns, kernel.NEWNET)
    if not spec["host"]:
        kernel.unshare(kernel.NEWNS | kernel.NEWUTS | kernel.NEWIPC | kernel.NEWPID)


def _run(spec: dict[str, Any], standard: list[int], tell: int) -> NoReturn:
    """The second child: becomes the program."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.umask(0o022)
    for target, fd in enumerate(standard):
        os.dup2(fd, target)
    os.dup2(tell, 3, inheritable=False)
    os.closerange(4, 1 << 20)  # before a container's own links are followed
    try:
        if spec["join"]:
            sandbox.begin_in(spec["cwd"])
        elif not spec["host"]:
            socket.sethostname(spec["hostname"])
            sandbox.enter(spec)
        if spec["tty"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        limits.lower(resource.RLIMIT_NPROC, limits.processes_of_pods())
        limits.lower(resource.RLIMIT_NOFILE, _FILES)
        limits.lower(resource.RLIMIT_CORE, 0)
        if not spec["host"]:
            if spec["user"] and not spec["join"]:
                kernel.become(spec["user"], spec["group"])
            if spec["seccomp"]:
                seccomp.confine()
            kernel.keep_capabilities(spec["capabilities"], spec["no_new_privileges"])
        _become(spec["command"], spec["env"])
    except BaseException as error:
        _fail(3, error)


def _become(command: list[str], env: dict[str, str]) -> NoReturn:
    if command[0] in agnhost.NAMES:
        netexec.run_in(env)
        kernel.show_arguments(command, ROOM)
        kernel.set_process_name("agnhost")
        os.close(3)  # it has begun
        sys.stdout, sys.stderr = (os.fdopen(fd, "w", 1, "utf-8", closefd=False) for fd in (1, 2))
        os._exit(agnhost.main(command[1:]))
    os.execvpe(command[0], command, env)
