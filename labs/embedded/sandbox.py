"""What a container sees of the machine: its programs, read only; a process list, hosts file and resolv.conf of its own.

Nothing of the user's: no home, no /etc but for the few files that programs need. Mounts only; starts no process.
`prepare` is called once, in a mount namespace of its own; `enter` in each container's, which is a copy of that one.
"""

import os
import sys
import sysconfig
from glob import glob
from pathlib import Path
from typing import Any

from labs.embedded import kernel

PODS = "/pods"  # where `prepare` shows the folder that holds the Pods' files
TERMINATION_LOG = "/dev/termination-log"
_NEW = "/new"  # where a container's root is put together
_TEMPORARY = "mode=755,size=64m"  # a container's own files, in memory

_MOST_PROCESSES = 1024  # of one container

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix")
_ETC = (
    "alternatives", "ca-certificates", "crypto-policies", "gai.conf", "host.conf", "iproute2", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "pki", "protocols", "services", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_OWN_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}
# agnhost, for who calls it from a shell: a program of ours, with the Python that we run in.
_AGNHOST = "/agnhost"
_AGNHOST_PARTS = "/run/agnhost"  # its modules
_AGNHOST_MODULES = ("agnhost", "netexec", "origin")
_python: list[str] = []  # files and folders of that Python which are not below _PROGRAMS
_OF_THE_POD = ("hosts", "resolv.conf", "hostname")  # files of /etc that come from the Pod's folder


def prepare(pods: str) -> None:
    """This process' root becomes one that containers' are made from. pods: the folder with the Pods' files."""
    root = "/tmp"  # any folder will do: it is hidden for us alone
    kept = os.open(pods, os.O_PATH | os.O_DIRECTORY)
    _python[:] = _own_python()
    agnhost = _agnhost_files()
    kernel.mount("", "/", flags=kernel.REC | kernel.PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.NOSUID | kernel.NODEV, _TEMPORARY)
    for name in _PROGRAMS:
        _show(f"/{name}", f"{root}/{name}")
    for folder in (f"{root}/etc/ssl", f"{root}/dev/shm", f"{root}/proc", root + PODS, root + _NEW):
        os.makedirs(folder)
    for name in _ETC:
        _show(f"/etc/{name}", f"{root}/etc/{name}")
    for name, text in (_OWN_ETC | dict.fromkeys(_OF_THE_POD, "")).items():
        _write(f"{root}/etc/{name}", text)
    for name in _DEVICES:
        _show(f"/dev/{name}", f"{root}/dev/{name}", read_only=False)
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")
    _write(f"{root}{TERMINATION_LOG}", "")
    for path in _python:
        _show(path, root + path)
    for path, text in agnhost.items():
        _write(root + path, text)
    os.chmod(root + _AGNHOST, 0o755)
    kernel.bind("/proc", f"{root}/proc")
    kernel.bind(f"/proc/self/fd/{kept}", root + PODS)
    os.close(kept)
    kernel.change_root(root)


def enter(spec: dict[str, Any]) -> None:
    """This process' root becomes a container's. Its keys: see `spawn.Container`."""
    kernel.mount("tmpfs", _NEW, "tmpfs", kernel.NOSUID | kernel.NODEV, _TEMPORARY)
    for name in _PROGRAMS:
        _show(f"/{name}", f"{_NEW}/{name}", read_only=False)  # it is so already
    for name in ("etc", "dev", "proc", "tmp", "var/tmp", "run", "root"):
        os.makedirs(f"{_NEW}/{name}")
    for name in ("tmp", "var/tmp"):
        os.chmod(f"{_NEW}/{name}", 0o1777)
    kernel.bind("/etc", f"{_NEW}/etc")
    kernel.bind("/dev", f"{_NEW}/dev")
    kernel.mount("tmpfs", f"{_NEW}/dev/shm", "tmpfs", kernel.NOSUID | kernel.NODEV, _TEMPORARY)
    kernel.mount("proc", f"{_NEW}/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    for name in _OF_THE_POD:
        kernel.bind(f"{PODS}/{spec['folder']}/etc/{name}", f"{_NEW}/etc/{name}")
    _bind_file(f"{PODS}/{spec['folder']}/{spec['log']}", _NEW + spec["log_path"])
    for volume in spec["volumes"]:
        source, target = f"{PODS}/{volume['source']}", _NEW + volume["path"]
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
            kernel.bind(source, target)
        else:
            _bind_file(source, target)
        if volume["read_only"]:
            kernel.read_only(target)
    if spec["agnhost"]:
        for path in (*_python, _AGNHOST, _AGNHOST_PARTS):
            _show(path, _NEW + path)
    os.makedirs(_NEW + spec["cwd"], exist_ok=True)
    kernel.change_root(_NEW)
    kernel.limit_processes(_MOST_PROCESSES)
    if spec["read_only"]:
        kernel.mount("", "/", flags=kernel.REMOUNT | kernel.BIND | kernel.RDONLY | kernel.NOSUID | kernel.NODEV)
    os.chdir(spec["cwd"])


def _own_python() -> list[str]:
    """What this Python needs to run, where that is not among the machine's programs."""
    interpreter = os.path.realpath(sys.executable)
    libraries = glob(f"{sys.base_prefix}/lib/libpython{sys.version_info.major}*.so*")
    needed = [interpreter, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *libraries]
    below = tuple(f"/{name}/" for name in _PROGRAMS)
    return [path for path in dict.fromkeys(needed) if not path.startswith(below)]


def _agnhost_files() -> dict[str, str]:
    """The program /agnhost and its modules, by their path."""
    here, package = Path(__file__).parent, f"{_AGNHOST_PARTS}/labs/embedded"
    main = (
        f"#!{os.path.realpath(sys.executable)} -ISu\nimport sys\nsys.path.insert(0, {_AGNHOST_PARTS!r})\n"
        "from labs.embedded import agnhost\nsys.exit(agnhost.main(sys.argv[1:]))\n"
    )
    modules = {f"{package}/{name}.py": (here / f"{name}.py").read_text("utf-8") for name in _AGNHOST_MODULES}
    return {_AGNHOST: main, f"{package}/__init__.py": "", f"{_AGNHOST_PARTS}/labs/__init__.py": "", **modules}


def _show(source: str, target: str, read_only: bool = True) -> None:
    """The same folder, file or link at `target`, if there is one."""
    if os.path.islink(source) and os.path.dirname(source) == "/":
        os.symlink(os.readlink(source), target)
        return
    if not os.path.exists(source):
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        _write(target, "")
    kernel.bind(source, target)
    if read_only:
        kernel.read_only(target)


def _bind_file(source: str, target: str) -> None:
    if not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _write(target, "")
    kernel.bind(source, target)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
