"""Whether a connection came into the cluster from the laptop: marked where it comes in, known where it arrives.

A source address does not tell: kube-proxy may have put a node's in its place. The mark is a DSCP, which no rule of a node and
no link changes on the way. Does not judge what such a connection may do.
"""

import socket
import struct

_DSCP = 0b101011  # of those for local use (RFC 2474, section 6: xxxx11)
_DSCP_MASK = 0xFC  # of the byte in an IPv4 header; the two others are ECN's
_PKTOPTIONS = 9  # IP_PKTOPTIONS, which Python does not name (include/uapi/linux/in.h)
_HEADER = struct.Struct("@Nii")  # struct cmsghdr (cmsg(3)): length with the header, level, type
_NUMBER = struct.Struct("@i")


def mark(connection: socket.socket) -> None:
    """Marks an IPv4 connection that is about to be made as one of the laptop's."""
    connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP << 2)


def is_outside(connection: socket.socket) -> bool:
    """Whether the other end of an accepted TCP connection marked it; of IPv4, on a socket of either family. OSError."""
    connection.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    # For TCP: what came with the handshake (net/ipv4/ip_sockglue.c, do_ip_getsockopt).
    told = connection.getsockopt(socket.IPPROTO_IP, _PKTOPTIONS, 256)
    while len(told) >= _HEADER.size:
        length, level, kind = _HEADER.unpack_from(told)
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
            (byte,) = _NUMBER.unpack_from(told, _HEADER.size)
            return bool(byte & _DSCP_MASK == _DSCP << 2)
        told = told[max(length, _HEADER.size) :]
    raise OSError("the kernel does not tell a connection's type of service")
