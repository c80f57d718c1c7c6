"""Reads what the kernel tells of listening sockets (/proc/net/tcp and tcp6, see proc_pid_net(5)). Only computes."""

import ipaddress
from dataclasses import dataclass

LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h


@dataclass(frozen=True, order=True)
class Listener:
    """An address and port on which a process of a Pod waits for TCP connections."""

    port: int
    address: str

    @property
    def only_inside(self) -> bool:
        """Whether only the Pod's own containers reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def listeners(text: str) -> tuple[Listener, ...]:
    """The TCP listeners in the text of /proc/net/tcp, of tcp6, or of one after the other; other lines are passed over."""
    found = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[0].endswith(":") and fields[3] == LISTEN:
            address, _, port = fields[1].partition(":")
            found.add(Listener(int(port, 16), _address(address)))
    return tuple(sorted(found))


def _address(digits: str) -> str:
    """The address behind the kernel's hexadecimal digits: 32-bit words, each in the byte order of the machine.

    All platforms with a kubelet that the course knows (amd64, arm64) are little-endian.
    """
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
