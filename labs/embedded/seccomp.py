"""The seccomp profile RuntimeDefault: which system calls a container does without. Only for itself, and for ever.

What containerd's own profile leaves out where a container has none of the capabilities that would bring it back
(containerd/contrib/seccomp/seccomp_default.go), as a list of what is refused; that one is a list of what is allowed.
"""

import ctypes
import errno
import os
import struct

# By name: the numbers on x86_64 and aarch64 (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
_REFUSED = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "clock_adjtime": (305, 266), "clock_settime": (227, 112),
    "delete_module": (176, 106), "finit_module": (313, 273), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "init_module": (175, 105), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioperm": (173, None), "iopl": (172, None),
    "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219), "lookup_dcookie": (212, 18),
    "mbind": (237, 235), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429), "move_pages": (279, 239),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241), "pivot_root": (155, 41),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "reboot": (169, 142), "request_key": (249, 218),
    "set_mempolicy": (238, 237), "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268),
    "settimeofday": (164, 170), "swapoff": (168, 225), "swapon": (167, 224), "sysfs": (139, None), "syslog": (103, 116),
    "umount2": (166, 39), "unshare": (272, 97), "uselib": (134, None), "userfaultfd": (323, 282), "ustat": (136, None),
    "vhangup": (153, 58),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # place above; AUDIT_ARCH (include/uapi/linux/audit.h)
_CLONE, _CLONE3 = (56, 220), 435
_NAMESPACES = 0x7E020000  # CLONE_NEW* of include/uapi/linux/sched.h
_X32 = 0x40000000  # a bit of the number, for another way to call (arch/x86/include/uapi/asm/unistd.h)
# include/uapi/linux/{bpf_common,filter,seccomp,prctl}.h
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data (little-endian: the low word)
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SET_SECCOMP, _FILTER = 22, 2


def confine() -> None:
    """This process, and all that it starts, does without those system calls. OSError where it has no CAP_SYS_ADMIN."""
    program = compiled(os.uname().machine)
    filters = ctypes.create_string_buffer(program, len(program))
    whole = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(filters))
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_SECCOMP, _FILTER, whole, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def compiled(machine: str) -> bytes:
    """The filter, as the kernel takes it (struct sock_filter, 8 bytes each). machine: as uname names it."""
    place, architecture = _MACHINES[machine]
    refused, unknown = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
    numbers = [number for known in _REFUSED.values() if (number := known[place]) is not None]
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, refused), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, refused)]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, unknown)]  # its flags are in memory; libc takes clone instead
    for number in numbers:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refused)]
    steps += [(_EQUAL, 0, 3, _CLONE[place]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NAMESPACES)]
    steps += [(_RETURN, 0, 0, refused), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
