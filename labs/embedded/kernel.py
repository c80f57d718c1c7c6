"""The system calls that Python's `os` does not have (before 3.12, or at all): namespaces, mounts, capabilities.

Each function is one call and raises OSError. Does not know what they are used for.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# include/uapi/linux/sched.h
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
# include/uapi/linux/mount.h
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC = 1, 2, 4, 8, 32, 4096, 16384
PRIVATE, SLAVE, SHARED = 1 << 18, 1 << 19, 1 << 20
DETACH = 2  # umount2(2), MNT_DETACH
# arch/*/include/generated/uapi/asm/unistd_64.h; those from 424 on are the same on every architecture.
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_OPENAT2, _SYS_MOUNT_SETATTR = 428, 429, 437, 442
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000  # include/uapi/linux/fcntl.h
_TREE_CLONE, _FROM_EMPTY, _TO_EMPTY = 1, 0x04, 0x40  # include/uapi/linux/mount.h: OPEN_TREE_CLONE, MOVE_MOUNT_{F,T}_EMPTY_PATH
# include/uapi/linux/openat2.h
NO_MAGIC_LINKS, NO_SYMLINKS, BENEATH, IN_ROOT = 0x02, 0x04, 0x08, 0x10
_JOIN_SESSION_KEYRING = 1  # include/uapi/linux/keyctl.h
# include/uapi/linux/prctl.h
_SET_PDEATHSIG, _SET_NAME, _CAPBSET_DROP, _SET_SECUREBITS, _CHILD_SUBREAPER, _NO_NEW_PRIVS = 1, 15, 24, 28, 36, 38
_NOROOT_LOCKED = 0b11  # include/uapi/linux/securebits.h: uid 0 is nobody special, and stays so
_CAP_VERSION = 0x20080522  # include/uapi/linux/capability.h, _LINUX_CAPABILITY_VERSION_3
# capabilities(7), by number
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """unshare(2): this process (NEWNET: this thread) goes on in namespaces of its own. NEWPID counts for its children."""
    _done(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """setns(2): joins the namespace behind a descriptor; NEWNET: this thread alone."""
    _done(_libc.setns(fd, flags), "setns")


def become(user: int, group: int, flags: int = 0) -> None:
    """A user namespace with one user and one group of these numbers: whoever calls this; with the other namespaces of `flags`,
    which that user owns. What was owned before is out of its hands.

    The process must have one thread. See user_namespaces(7): one line that maps one's own id needs no privilege.
    """
    own_user, own_group = os.geteuid(), os.getegid()
    unshare(NEWUSER | flags)
    for path, text in (("setgroups", "deny"), ("uid_map", f"{user} {own_user} 1"), ("gid_map", f"{group} {own_group} 1")):
        with open(f"/proc/self/{path}", "w", encoding="ascii") as file:
            file.write(text)


def own_netns() -> int:
    """A descriptor of the network namespace that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """This thread is in that network namespace for the block; sockets made there stay there. Not to be awaited in."""
    back = own_netns()
    try:
        setns(netns, NEWNET)
        try:
            yield
        finally:
            setns(back, NEWNET)
    finally:
        os.close(back)


def new_netns() -> int:
    """A descriptor of a new network namespace, which lives as long as the descriptor (or somebody in it) does."""
    back = own_netns()
    try:
        unshare(NEWNET)
        try:
            return own_netns()
        finally:
            setns(back, NEWNET)
    finally:
        os.close(back)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = [word.encode() for word in (source, target, kind, data)]
    _done(_libc.mount(words[0], words[1], words[2] or None, ctypes.c_ulong(flags), words[3] or None), f"mount {target}")


def open_below(folder: int, path: str, resolve: int, flags: int = os.O_PATH) -> int:
    """openat2(2), Linux 5.6: a descriptor of what is at `path`, which is resolved below that folder as `resolve` says.

    BENEATH: a step that leads out of it is an error (EXDEV). IN_ROOT: it is the root, for links and for "..".
    """
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, resolve | NO_MAGIC_LINKS)
    opened: int = _libc.syscall(_SYS_OPENAT2, folder, os.fsencode(path), how, len(how))
    _done(opened, f"openat2 {path}")
    return opened


def show(source: int, target: int, read_only: bool = False) -> None:
    """Mounts what one descriptor stands for, with all that is mounted below it, on what the other one stands for.

    read_only: that, and without set-uid programs. open_tree(2), mount_setattr(2), move_mount(2), Linux 5.12. No path is
    looked up, so nobody can lead it anywhere else.
    """
    tree = _libc.syscall(_SYS_OPEN_TREE, source, b"", _TREE_CLONE | _AT_EMPTY_PATH | _AT_RECURSIVE | os.O_CLOEXEC)
    _done(tree, "open_tree")
    try:
        if read_only:
            attributes = struct.pack("QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
            flags = _AT_EMPTY_PATH | _AT_RECURSIVE
            _done(_libc.syscall(_SYS_MOUNT_SETATTR, tree, b"", flags, attributes, len(attributes)), "mount_setattr")
        _done(_libc.syscall(_SYS_MOVE_MOUNT, tree, b"", target, b"", _FROM_EMPTY | _TO_EMPTY), "move_mount")
    finally:
        os.close(tree)


def leave_keyring() -> None:
    """This process and all that it starts have a new session keyring: the user's keys are not theirs (keyrings(7)).

    Where the kernel has no keyrings, there are none to leave.
    """
    if _libc.syscall(_SYS_KEYCTL[os.uname().machine], _JOIN_SESSION_KEYRING, None) < 0 and ctypes.get_errno() != errno.ENOSYS:
        _done(-1, "keyctl")


def unmount(target: str) -> None:
    """umount2(2), lazily."""
    _done(_libc.umount2(target.encode(), DETACH), f"umount {target}")


def change_root(folder: str) -> None:
    """The mount at `folder` becomes the root of this mount namespace, and the old root is gone (pivot_root(2), Notes)."""
    os.chdir(folder)
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _done(_libc.syscall(number, b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def limit_processes(most: int, proc: str) -> None:
    """Of the PID namespace that this process is in. proc: where a /proc is mounted.

    Only from Linux 6.14 on is this number a namespace's own: before, nothing is done, as it would be the whole machine's
    (kernel/pid.c, pid_max).
    """
    if tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 14):
        with open(f"{proc}/sys/kernel/pid_max", "w", encoding="ascii") as file:
            file.write(str(most))


def set_process_name(name: str) -> None:
    """What `ps -e` calls this process: at most 15 letters."""
    _done(_libc.prctl(_SET_NAME, name.encode(), 0, 0, 0), "prctl")


def reap_grandchildren() -> None:
    """Children whose parents end become this process' own (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _done(_libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def end_with_parent(signal_number: int) -> None:
    """The kernel sends this process a signal when its parent dies."""
    _done(_libc.prctl(_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def keep_capabilities(kept: Iterable[str], no_new_privileges: bool) -> None:
    """This process and all that it starts have these capabilities (as in "NET_RAW") and can get no others."""
    keep = {CAPABILITIES.index(name) for name in kept}
    for number in range(len(CAPABILITIES)):
        if number not in keep:
            _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)  # an older kernel does not know the last ones
    if not keep:
        _done(_libc.prctl(_SET_SECUREBITS, _NOROOT_LOCKED, 0, 0, 0), "prctl")
    mask = sum(1 << number for number in keep)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("6I", low, low, low, high, high, high)  # effective, permitted, inheritable; twice 32 bits
    _done(_libc.capset(struct.pack("Ii", _CAP_VERSION, 0), data), "capset")
    if no_new_privileges:
        _done(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def show_arguments(arguments: list[str], room: int) -> None:
    """What `ps` and /proc/PID/cmdline show of this process: it was started with at least `room` bytes of arguments."""
    with open("/proc/self/stat", encoding="ascii") as file:
        start = int(file.read().rpartition(")")[2].split()[45])  # arg_start, proc_pid_stat(5)
    text = b"\0".join(word.encode() for word in arguments)[: room - 1]
    ctypes.memmove(start, text.ljust(room, b"\0"), room)


def hide_environment() -> None:
    """What /proc/PID/environ shows of this process, and of what it forks, from now on: nothing. os.environ must be empty."""
    with open("/proc/self/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])  # env_start, env_end, proc_pid_stat(5)
    ctypes.memset(start, 0, end - start)
