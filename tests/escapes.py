"""Ways out of a Pod: each is Python that runs in a container, and ends without an exception where the way is open.

Data, and the program that tries them there; test_embedded_escapes.py starts the cluster and the Pods. What an attempt looks
for is in `W`: `secret_file` and `secret` (a file of the machine and its text), `pid` (a process of the machine's), `port`
(a listener on the machine's loopback), `name` (its abstract socket), `key` (in its session keyring), `token` (the API's),
`gateway`, `api`, `node` (addresses), `other` (what another Pod was given in its environment, its files and its memory).
None changes anything where it succeeds, but for what it would have succeeded in: nothing is written to what it opens.
"""

import json
import textwrap

COMMON = """
import ctypes, fcntl, glob, os, socket, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def call(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

def holds(path, text):
    with open(path, "rb") as file:
        assert text.encode() in file.read(1 << 22)

def sh(script):
    silent = subprocess.DEVNULL
    subprocess.run(["sh", "-c", script], check=True, stdin=silent, stdout=silent, stderr=silent)

def writable(path):
    os.close(os.open(path, os.O_WRONLY))

def any_of(paths, attempt):
    for path in paths:
        try:
            attempt(path)
            return
        except (OSError, AssertionError):
            continue
    raise OSError("none of them")

def reaches(address, port, send=b"x", kind=socket.AF_INET):
    with socket.socket(kind) as made:
        made.settimeout(1)
        made.connect((address, port) if kind == socket.AF_INET else address)

def memory_has(process, text):
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            ends, access = line.split()[:2]
            begin, end = (int(part, 16) for part in ends.split("-"))
            if not access.startswith("r") or "[v" in line or end - begin > 1 << 28:
                continue
            try:
                memory.seek(begin)
                if text.encode() in memory.read(end - begin):
                    return
            except (OSError, ValueError):
                continue
    raise OSError("not there")

def other_processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]
"""

# By name. As they are given: the first line that raises ends an attempt.
ATTEMPTS: dict[str, str] = {
    # --- files of the machine
    "a file of the machine by its path": 'holds(W["secret_file"], W["secret"])',
    "by a process' root": 'any_of(glob.glob("/proc/[0-9]*/root"), lambda root: holds(root + W["secret_file"], W["secret"]))',
    "by a process' folder": """
        any_of(glob.glob("/proc/[0-9]*/cwd"), lambda cwd: holds(cwd + "/.." * 12 + W["secret_file"], W["secret"]))
    """,
    "by an open descriptor": """
        def by(fd):
            for way in ("../" * 12, ""):
                try:
                    holds(f"/proc/self/fd/{fd}/{way}" + W["secret_file"].lstrip("/"), W["secret"])
                    return
                except OSError:
                    pass
            raise OSError(fd)
        any_of(range(3, 300), by)
    """,
    "by descriptors of its first process": """
        def by(link):
            holds(link + "/" + "../" * 12 + W["secret_file"].lstrip("/"), W["secret"])
        any_of(glob.glob("/proc/1/fd/*"), by)
    """,
    "by going out of a chroot": """
        os.mkdir("/tmp/jail"); os.chroot("/tmp/jail")
        for _ in range(50):
            os.chdir("..")
        os.chroot(".")
        holds(W["secret_file"], W["secret"])
    """,
    "by a file handle": """
        handle = ctypes.create_string_buffer(struct.pack("Ii", 8, 1) + struct.pack("II", 2, 0))
        mount = os.open("/usr", os.O_RDONLY)
        call(libc.open_by_handle_at(mount, handle, os.O_RDONLY))
    """,
    "writing to its programs": """
        os.close(os.open("/usr/bin/labs-was-here", os.O_CREAT | os.O_WRONLY))
        os.unlink("/usr/bin/labs-was-here")
    """,
    "writing to a program that runs": 'any_of(glob.glob("/proc/[0-9]*/exe"), writable)',
    "writing to the interpreter, once nobody runs it": """
        program = os.open("/proc/1/exe", os.O_RDONLY)
        any_of([f"/proc/self/fd/{program}"], writable)
    """,
    "writing to mapped files": 'any_of(glob.glob("/proc/1/map_files/*"), writable)',
    "folders of all Pods": 'any_of(("/pods", "/proc/1/root/pods", "/new"), os.listdir)',
    # --- mounts
    "mounting a file system": 'call(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))',
    "a bind mount": 'call(libc.mount(b"/", b"/tmp", None, 4096, None))',
    "a writable remount": 'call(libc.mount(b"none", b"/usr", None, 32 | 4096, None))',
    "a writable remount, in a user namespace": 'sh("unshare -Urm mount -o remount,bind,rw /usr")',
    "a writable remount of /proc/sys, in a user namespace": 'sh("unshare -Urm mount -o remount,bind,rw /proc/sys")',
    "taking a mount away": 'call(libc.umount2(b"/usr", 2))',
    "taking a mount away, in a user namespace": 'sh("unshare -Urm umount -l /proc/sys")',
    "a process list without masks, in a user namespace": 'sh("unshare -Urmpf --mount-proc true")',
    "sysfs, in a user namespace": 'sh("unshare -Urmn mount -t sysfs x /tmp && test -e /tmp/class/block")',
    "devtmpfs, in a user namespace": 'sh("unshare -Urm mount -t devtmpfs x /tmp")',
    "debugfs, in a user namespace": 'sh("unshare -Urm mount -t debugfs x /tmp")',
    "cgroups, in a user namespace": 'sh("unshare -Urm mount -t cgroup2 x /tmp")',
    "another root": 'call(libc.syscall(155 if os.uname().machine == "x86_64" else 41, b"/", b"/tmp"))',
    # --- devices
    "making a disk's device": """
        numbers = [tuple(map(int, line.split()[:2])) for line in open("/proc/partitions").read().splitlines()[2:]]
        os.mknod("/tmp/disk", 0o60600, os.makedev(*numbers[0]))
        os.read(os.open("/tmp/disk", os.O_RDONLY), 1)
    """,
    "making a device for memory": 'os.mknod("/tmp/mem", 0o20600, os.makedev(1, 1))',
    "the mode of a device": 'os.chmod("/dev/null", 0o666)',
    "the owner of a device": 'os.chown("/dev/null", 0, 0)',
    "the times of a device": 'os.utime("/dev/null")',
    "in the place of a device": 'os.rename("/dev/null", "/dev/other")',
    "a terminal that is not its own": 'os.open("/dev/tty", os.O_RDWR)',
    # --- the machine's settings
    **{
        f"writing to /proc/{name}": f'writable("/proc/{name}")'
        for name in ("sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/hostname", "sys/vm/drop_caches",
                     "sys/net/ipv4/ip_forward", "sysrq-trigger", "irq/default_smp_affinity")
    },
    "reading the machine's memory": 'assert os.read(os.open("/proc/kcore", os.O_RDONLY), 1)',
    "its own name": 'socket.sethostname("x")',
    "the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "a module for the kernel": 'call(libc.syscall(175 if os.uname().machine == "x86_64" else 105, b"x", 1, b""))',
    "the keys of the user": """
        assert W["key"]
        number = 250 if os.uname().machine == "x86_64" else 219
        call(libc.syscall(number, 10, -3, b"user", W["key"].encode(), 0))
    """,
    "the list of keys": 'assert W["key"]; holds("/proc/keys", W["key"])',
    # --- processes of others
    "a signal to a process of the machine": 'os.kill(W["pid"], 0)',
    "tracing a process of the machine": 'call(libc.ptrace(0x4206, W["pid"], None, None))',
    "reading a process of the machine": 'open(f"/proc/{W[\'pid\']}/mem", "rb")',
    "a handle of a process of the machine": 'os.pidfd_open(W["pid"])',
    "namespaces of a process of the machine": 'call(libc.setns(os.open(f"/proc/{W[\'pid\']}/ns/mnt", os.O_RDONLY), 0))',
    "the user namespace above": """
        above = fcntl.ioctl(os.open("/proc/self/ns/user", os.O_RDONLY), 0xB702)
        call(libc.setns(above, 0x10000000))
    """,
    "the process list above": 'fcntl.ioctl(os.open("/proc/self/ns/pid", os.O_RDONLY), 0xB702)',
    "processes that are not the container's": """
        assert len(other_processes()) > 200
    """,
    "another user": "os.setresuid(12345, 12345, 12345)",
    "a capability back": """
        data = struct.pack("6I", *[1 << 21] * 3, 0, 0, 0)
        call(libc.capset(struct.pack("Ii", 0x20080522, 0), data))
    """,
    # --- the token
    "the token in an environment": 'any_of(glob.glob("/proc/[0-9]*/environ"), lambda path: holds(path, W["token"]))',
    "the token in a file": """
        sh(f"grep -rsqF --devices=skip {W['token']} /etc /run /var /tmp /dev/shm")
    """,
    "the token in memory": 'memory_has(1, W["token"])',
    # --- networks
    "the machine's loopback": 'reaches("127.0.0.1", W["port"])',
    "the machine by the gateway": 'reaches(W["gateway"], W["port"])',
    "an abstract socket of the machine": 'reaches("\\0" + W["name"], 0, kind=socket.AF_UNIX)',
    "the machine's links": 'sh("ip -o link | grep -vE \': (lo|eth0|veth[0-9a-f]{8}|nodes|kube-ipvs0)[@:]\' | grep .")',
    "the API without a token": """
        import ssl, http.client
        unchecked = ssl._create_unverified_context()
        link = http.client.HTTPSConnection(W["api"], 443, timeout=2, context=unchecked)
        link.request("GET", "/api/v1/namespaces/default/secrets")
        assert link.getresponse().status == 200
    """,
    "a kubelet without a token": """
        import ssl, http.client
        unchecked = ssl._create_unverified_context()
        link = http.client.HTTPSConnection(W["node"], 10250, timeout=2, context=unchecked)
        link.request("GET", "/pods")
        assert link.getresponse().status == 200
    """,
    # --- other Pods
    "a file of another Pod": 'sh(f"find / -name {W[\'other\']} 2>/dev/null | grep -q .")',
    "the environment of another Pod": 'any_of(glob.glob("/proc/[0-9]*/environ"), lambda path: holds(path, W["other_env"]))',
    "the environment of another Pod, left in memory": 'memory_has(1, W["other_env"])',
    "shared memory of another Pod": 'call(libc.shmget(4711, 0, 0))',
    "an abstract socket of another Pod": 'reaches("\\0" + W["other"], 0, kind=socket.AF_UNIX)',
}  # fmt: skip
# What must be possible, so that a broken runner is noticed.
USER_NAMESPACE = "control: a user namespace"  # which a seccomp profile may forbid
CONTROLS = {
    "control: its own file": 'open("/tmp/own", "w").write("x"); holds("/tmp/own", "x")',
    "control: its own memory": 'own = "zuerich-" + str(os.getpid()); memory_has(os.getpid(), own)',
    USER_NAMESPACE: 'sh("unshare -U true")',
}

_RUNNER = """
W = json.load(open("/labs/world"))
tries = {}
for name, code in json.load(open("/labs/attempts")).items():
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            os.close(2); os.open("/dev/null", os.O_WRONLY)
            exec(code, globals())
        except BaseException:
            os._exit(1)
        os._exit(0)
    tries[child] = name
open_ways = []
end = time.monotonic() + 15
while tries:
    for child in list(tries):
        if time.monotonic() > end:
            os.kill(child, 9)
        done, status = os.waitpid(child, os.WNOHANG if time.monotonic() < end else 0)
        if done:
            name = tries.pop(child)
            if status == 0:
                open_ways.append(name)
    time.sleep(0.01)
print("OPEN " + json.dumps(open_ways))
"""


def files(world: dict[str, object], attempts: dict[str, str]) -> dict[str, str]:
    """What is to be in a container's /labs: `try`, a program that tries all of them there, and prints a line OPEN with a list
    of the names that succeeded."""
    codes = {name: textwrap.dedent(code).strip() for name, code in attempts.items()}
    return {"try": f"import json\n{COMMON}\n{_RUNNER}", "world": json.dumps(world), "attempts": json.dumps(codes)}
