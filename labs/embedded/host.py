"""Whether this machine can run the embedded cluster; if not, what is in the way, and what takes it out of the way.

Finds out by trying: one process in new namespaces. Changes nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = {"ip": "iproute2", "nft": "nftables", "curl": "curl", "nsenter": "util-linux"}  # by the Debian package
USEFUL = {"nc": "netcat-openbsd", "dig": "dnsutils", "ping": "iputils-ping"}  # what Pods can run where the machine has it
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
_TRY = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "nft", "list", "ruleset"]
_LIMIT = 20.0  # seconds
_PERMISSION = ("operation not permitted", "permission denied")


@dataclass(frozen=True)
class Problem:
    """What is in the way, and what to do about it."""

    why: str
    mend: str


def problem() -> Problem | None:
    """What keeps the embedded cluster from running here; None where nothing does."""
    if sys.platform != "linux":
        return Problem("It needs Linux: its Pods are Linux namespaces.", "Use kind, or a virtual machine with Linux.")
    missing = lacking()
    if missing:
        packages = " ".join(PROGRAMS[name] for name in missing)
        return Problem(f"It needs the programs {', '.join(missing)}.", f"Debian, Ubuntu: sudo apt install {packages}.")
    try:
        tried = subprocess.run(_TRY, capture_output=True, encoding="utf-8", errors="replace", timeout=_LIMIT, env=environment())
    except (OSError, subprocess.TimeoutExpired) as error:
        return Problem(f"New namespaces could not be tried: {error}.", "Install util-linux, or look why it hangs.")
    return None if tried.returncode == 0 else judged(tried.stderr.strip(), _setting)


def lacking() -> list[str]:
    """The programs that are not here, of those that it needs."""
    return [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]


def packages() -> list[str]:
    """The Debian packages of all that is not here, needed or useful."""
    return sorted({package for name, package in (PROGRAMS | USEFUL).items() if shutil.which(name, path=SYSTEM_PATH) is None})


def environment() -> dict[str, str]:
    """This process' environment, with the folders where system programs are."""
    return {**os.environ, "PATH": SYSTEM_PATH}


def judged(said: str, setting: Callable[[str], str]) -> Problem:
    """What the words of a failed try mean. setting: the value of a file below /proc/sys, "" where there is none."""
    if setting("user/max_user_namespaces") == "0":
        return Problem("User namespaces are switched off (user.max_user_namespaces is 0).",
                       "sudo sysctl user.max_user_namespaces=15000")  # fmt: skip
    if setting("kernel/unprivileged_userns_clone") == "0":
        return Problem("User namespaces are for root alone here (kernel.unprivileged_userns_clone is 0).",
                       "sudo sysctl kernel.unprivileged_userns_clone=1")  # fmt: skip
    forbidden = any(word in said.lower() for word in _PERMISSION)
    if forbidden and setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return Problem(
            "AppArmor keeps ordinary programs from having user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1).",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        )
    if forbidden and "proc" in said and "mount" in said:
        return Problem(
            f"A process list of its own cannot be had ({said}): parts of /proc are hidden, as in a container.",
            "Start this container with --security-opt systempaths=unconfined.",
        )
    if forbidden:
        return Problem(
            f"Namespaces are forbidden here ({said}), as by a container's seccomp profile.",
            "In a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined.",
        )
    return Problem(
        f"A try in new namespaces failed: {said or 'without a word'}.", "Is the kernel's nf_tables there (CONFIG_NF_TABLES)?"
    )


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text("ascii").strip()
    except OSError:
        return ""
