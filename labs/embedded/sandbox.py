"""What a container sees of the machine: its programs, read only; a process list, /etc, /dev and files of its own.

Nothing of the user's: no home, no /etc but for the few files that programs need. Mounts only; starts no process.
`prepare` is called once, in a mount namespace of its own; `enter` in each container's, which is a copy of that one.
"""

import os
import posixpath
import sys
import sysconfig
from glob import glob
from pathlib import Path
from typing import Any

from labs.embedded import kernel
from labs.embedded.roots import Root, below, opened

PODS = "/pods"  # where `prepare` shows the folder that holds the Pods' files
_NEW = "/new"  # where a container's root is put together
_TEMPORARY = "mode=755,size=64m"  # a container's own files, in memory
_SMALL = "mode=755,size=1m"

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
_OF_THE_POD = ("hosts", "resolv.conf", "hostname")  # files of /etc that come from the Pod's folder
# The machine's, not the container's: where its user is root, what is written there changes the machine.
# containerd/pkg/oci/spec.go, populateDefaultUnixSpec (maskedPaths, readonlyPaths).
_PROC_HIDDEN = (
    "acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats",
)  # fmt: skip
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
# agnhost, for who calls it from a shell: a program of ours, with the Python that we run in.
_AGNHOST = "/agnhost"
_AGNHOST_PARTS = "/run/agnhost"  # its modules
_AGNHOST_MODULES = ("agnhost", "netexec", "origin")
_python: list[str] = []  # files and folders of that Python which are not below _PROGRAMS


def prepare(pods: str) -> None:
    """This process' root becomes one that containers' are made from. pods: the folder with the Pods' files.

    What is mounted in that folder later on, outside, is seen here, too.
    """
    place = "/tmp"  # any folder will do: it is hidden for us alone
    kept, proc = (os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (pods, "/proc"))
    _python[:] = _own_python()
    agnhost = _agnhost_files()
    kernel.mount("", "/", flags=kernel.REC | kernel.SLAVE)
    kernel.mount("tmpfs", place, "tmpfs", kernel.NOSUID | kernel.NODEV, _TEMPORARY)
    root = Root(place)
    for path in (*(f"/{name}" for name in _PROGRAMS), *(f"/etc/{name}" for name in _ETC), *_python):
        _show(root, path)
    for name in _DEVICES:
        _show(root, f"/dev/{name}")
    for path, text in agnhost.items():
        root.write(path, text, 0o755)
    os.close(root.folder(_NEW))
    # Without one that is whole, the kernel gives none to containers (fs/namespace.c, mount_too_revealing).
    root.show(proc, "/proc")
    root.show(kept, PODS)
    for descriptor in (kept, proc, root.descriptor):
        os.close(descriptor)
    kernel.change_root(place)


def enter(spec: dict[str, Any]) -> None:
    """This process' root becomes a container's, and its folder the one that it begins in. Its keys: see `spawn.Container`."""
    kernel.mount("tmpfs", _NEW, "tmpfs", kernel.NOSUID | kernel.NODEV, _TEMPORARY)
    root = Root(_NEW)
    for name in _PROGRAMS:
        _show(root, f"/{name}")
    for name in ("tmp", "var/tmp", "run", "root"):
        os.close(root.folder(name))
    for name in ("tmp", "var/tmp"):
        os.chmod(f"{_NEW}/{name}", 0o1777)
    _etc(root, spec)
    _dev(root)
    _proc(root)
    if spec["agnhost"]:
        for path in (*_python, _AGNHOST, _AGNHOST_PARTS):
            _show(root, path)
    with opened(os.open(f"{PODS}/{spec['folder']}/{spec['log']}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)) as log:
        root.show(log, spec["log_path"])
    for volume in spec["volumes"]:
        folder = f"{PODS}/{volume['source']}"
        with (
            opened(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)) as whole,
            opened(below(whole, volume["sub_path"])) as source,
        ):
            root.show(source, posixpath.normpath(f"/{volume['path']}"), volume["read_only"])
    begins = root.folder(posixpath.normpath(f"/{spec['cwd']}"))
    os.close(root.descriptor)
    kernel.change_root(_NEW)
    if spec["read_only"]:
        kernel.mount("", "/", flags=kernel.REMOUNT | kernel.BIND | kernel.RDONLY | kernel.NOSUID | kernel.NODEV)
    os.fchdir(begins)
    os.close(begins)


def begin_in(folder: str) -> None:
    """This process, whose root is a container's, goes to a folder there, and nowhere else by a link to an open descriptor."""
    root = Root("/")
    with opened(root.open(posixpath.normpath(f"/{folder}"), os.O_PATH | os.O_DIRECTORY)) as begins:
        os.fchdir(begins)
    os.close(root.descriptor)


def _etc(root: Root, spec: dict[str, Any]) -> None:
    for name in _ETC:
        _show(root, f"/etc/{name}")
    for name, text in _OWN_ETC.items():
        root.write(f"/etc/{name}", text)
    for name in _OF_THE_POD:
        with opened(os.open(f"{PODS}/{spec['folder']}/etc/{name}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)) as file:
            root.show(file, f"/etc/{name}")


def _dev(root: Root) -> None:
    """A folder of the container's own: writable even where its root is not, as the runtime has it."""
    os.close(root.folder("dev"))
    kernel.mount("tmpfs", f"{_NEW}/dev", "tmpfs", kernel.NOSUID, _SMALL)
    for name in _DEVICES:
        _show(root, f"/dev/{name}")  # read-only: what is written to a device goes through, its mode and owner stay
    for name, target in _LINKS.items():
        os.symlink(target, f"{_NEW}/dev/{name}")
    os.close(root.folder("dev/shm"))
    kernel.mount("tmpfs", f"{_NEW}/dev/shm", "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=1777,size=64m")


def _proc(root: Root) -> None:
    """The container's own processes; of the machine's settings what can be read by anybody."""
    os.close(root.folder("proc"))
    kernel.mount("proc", f"{_NEW}/proc", "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    kernel.limit_processes(_MOST_PROCESSES, f"{_NEW}/proc")
    os.mkdir(f"{_NEW}/dev/nothing", 0o555)
    with opened(root.open("dev/null")) as no_file, opened(root.open("dev/nothing")) as no_folder:
        for name in _PROC_HIDDEN:
            if os.path.exists(f"{_NEW}/proc/{name}"):
                with opened(root.open(f"proc/{name}")) as place:
                    kernel.show(no_folder if os.path.isdir(f"{_NEW}/proc/{name}") else no_file, place, read_only=True)
    os.rmdir(f"{_NEW}/dev/nothing")
    for name in _PROC_READ_ONLY:
        if os.path.exists(f"{_NEW}/proc/{name}"):
            with opened(root.open(f"proc/{name}")) as place, opened(root.open(f"proc/{name}")) as same:
                kernel.show(same, place, read_only=True)


def _own_python() -> list[str]:
    """What this Python needs to run, where that is not among the machine's programs."""
    interpreter = os.path.realpath(sys.executable)
    libraries = glob(f"{sys.base_prefix}/lib/libpython{sys.version_info.major}*.so*")
    needed = [interpreter, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *libraries]
    programs = tuple(f"/{name}/" for name in _PROGRAMS)
    return [path for path in dict.fromkeys(needed) if not path.startswith(programs)]


def _agnhost_files() -> dict[str, str]:
    """The program /agnhost and its modules, by their path."""
    here, package = Path(__file__).parent, f"{_AGNHOST_PARTS}/labs/embedded"
    main = (
        f"#!{os.path.realpath(sys.executable)} -ISu\nimport sys\nsys.path.insert(0, {_AGNHOST_PARTS!r})\n"
        "from labs.embedded import agnhost\nsys.exit(agnhost.main(sys.argv[1:]))\n"
    )
    modules = {f"{package}/{name}.py": (here / f"{name}.py").read_text("utf-8") for name in _AGNHOST_MODULES}
    return {_AGNHOST: main, f"{package}/__init__.py": "", f"{_AGNHOST_PARTS}/labs/__init__.py": "", **modules}


def _show(root: Root, path: str) -> None:
    """The same folder, file or link of this process' root there, read-only, if there is one."""
    if os.path.islink(path) and os.path.dirname(path) == "/":
        os.symlink(os.readlink(path), path.removeprefix("/"), dir_fd=root.descriptor)
    elif os.path.exists(path):
        with opened(os.open(path, os.O_PATH | os.O_CLOEXEC)) as source:
            root.show(source, path, read_only=True)
