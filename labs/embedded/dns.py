"""The cluster's DNS: what CoreDNS' kubernetes plugin answers, from the store; and the server, on sockets that it is given.

`answer` only computes. Names outside the cluster do not exist here: there is no server to ask for them, and no way out.
What is answered was compared with CoreDNS in a real cluster, name by name (tests/test_embedded_dns_recorded.json).
"""

import asyncio
import contextlib
import ipaddress
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from dnslib import CNAME, EDNS0, NS, PTR, QTYPE, RCODE, RD, RR, SOA, SRV, TXT, A, DNSError, DNSRecord

from labs.embedded.plan import AddressPlan
from labs.embedded.store import Object, Store

TTL = 30  # seconds
SERVICE_NAME = "kubernetes.io/service-name"
REVERSE = "in-addr.arpa"
_PLAIN_UDP = 512  # octets of an answer where the client does not say how many it takes
_MOST = 4096
_AT_ONCE = 64  # datagrams, before others have their turn
_IDLE = 10.0  # seconds that a TCP client may say nothing
_CNAMES = 8  # that are followed
_PORTLESS = -1  # the port of an endpoint of a Service without ports


class _Nowhere(Exception):
    """No such name."""


@dataclass(frozen=True)
class _Record:
    """What is behind a name: an address, the port that goes with it, and the name that an SRV record gives for it."""

    host: str  # another name where `alias` is set
    port: int = _PORTLESS
    name: str = ""
    alias: bool = False


def answer(
    request: DNSRecord, store: Store, plan: AddressPlan, order: Callable[[list[RR]], None] = random.shuffle
) -> DNSRecord:
    """The reply to a request. order: puts several answers into another order, in place; at random where it is not given."""
    reply = request.reply(ra=0, aa=1)
    if request.header.opcode or not request.questions:
        reply.header.rcode = RCODE.NOTIMP if request.header.opcode else RCODE.FORMERR
        return reply
    name, kind = str(request.q.qname).rstrip("."), QTYPE.get(request.q.qtype)
    zone = _Zone(store, plan)
    found: list[RR] = []
    try:
        found, more = zone.answers(name, kind)
        aliases, rest = ([one for one in found if (one.rtype == QTYPE.CNAME) is is_one] for is_one in (True, False))
        order(rest)
        reply.add_answer(*aliases, *rest)
        reply.add_ar(*more)
    except _Nowhere:
        reply.header.rcode = RCODE.NXDOMAIN
    if not found and _within(name, plan.cluster_domain):
        reply.add_auth(zone.soa())
    elif not found:  # as the server outside would say it that CoreDNS asks
        reply.header.rcode, reply.header.aa, reply.header.ra = RCODE.NXDOMAIN, 0, 1
    if any(one.rtype == QTYPE.OPT for one in request.ar):
        reply.add_ar(EDNS0(udp_len=_MOST))
    return reply


class _Zone:
    """The names of the cluster."""

    def __init__(self, store: Store, plan: AddressPlan) -> None:
        self.store, self.plan, self.domain = store, plan, plan.cluster_domain

    def answers(self, name: str, kind: str) -> tuple[list[RR], list[RR]]:
        """The records of a kind ("A") that a name has, and those that go with them. Raises _Nowhere."""
        if _within(name, REVERSE) and kind == "PTR":
            return [_rr(name, PTR(one)) for one in self._names_of(name)], []
        if not _within(name, self.domain):
            raise _Nowhere
        if name.lower() == self.domain:
            return self._apex(kind)
        if name.lower() == f"dns-version.{self.domain}":
            return ([_rr(name, TXT("1.1.0"))] if kind == "TXT" else []), []
        records = self._records(name.lower())
        if kind == "SRV":
            return self._srv(name, records)
        return self._addresses(name, kind, records), []

    def soa(self) -> RR:
        """The zone's own record, which goes with every "there is none"."""
        times = (int(time.time()), 7200, 1800, 86400, TTL)
        return _rr(self.domain, SOA(f"ns.dns.{self.domain}", f"hostmaster.{self.domain}", times))

    def _apex(self, kind: str) -> tuple[list[RR], list[RR]]:
        server = f"kube-dns.kube-system.svc.{self.domain}"
        if kind == "NS":
            return [_rr(self.domain, NS(server))], [_rr(server, A(self.plan.cluster_dns))]
        return ([self.soa()] if kind == "SOA" else []), []

    def _addresses(self, name: str, kind: str, records: list[_Record], left: int = _CNAMES) -> list[RR]:
        """Addresses, by way of other names where a Service is only a name."""
        found = []
        for host in dict.fromkeys(one.host for one in records if one.alias and kind in ("A", "AAAA", "CNAME")):
            found.append(_rr(name, CNAME(host)))
            if left and kind != "CNAME" and _within(host, self.domain):
                with contextlib.suppress(_Nowhere):
                    found += self._addresses(host, kind, self._records(host.lower()), left - 1)
        if kind == "A":
            found += [_rr(name, A(host)) for host in dict.fromkeys(one.host for one in records if not one.alias)]
        return found

    def _srv(self, name: str, records: list[_Record]) -> tuple[list[RR], list[RR]]:
        records = [one for one in dict.fromkeys(records) if not one.alias and one.port != _PORTLESS]
        weight = max(1, 100 // len(records)) if records else 0
        hosts = {one.name: one.host for one in records}
        return (
            [_rr(name, SRV(0, weight, one.port, one.name)) for one in records],
            [_rr(target, A(host)) for target, host in hosts.items()],
        )

    def _records(self, name: str) -> list[_Record]:
        """What is behind a name of the zone: nothing where only names below it are. Raises _Nowhere."""
        labels = name.removesuffix(self.domain).rstrip(".").split(".")
        if labels == ["ns", "dns"]:
            return [_Record(self.plan.cluster_dns)]
        kind = labels.pop()
        if kind not in ("svc", "pod"):
            raise _Nowhere
        if not labels:
            return []
        namespace = labels.pop()
        if self.store.get("namespaces", "", namespace) is None:
            raise _Nowhere
        if not labels:
            return []
        if kind == "pod":
            return self._pod(labels)
        return self._service(namespace, labels.pop(), labels)

    def _pod(self, labels: list[str]) -> list[_Record]:
        """10-244-0-5.NAMESPACE.pod: that address, whether or not a Pod has it (CoreDNS: pods insecure)."""
        try:
            return [_Record(str(ipaddress.IPv4Address(labels[0].replace("-", "."))))] if len(labels) == 1 else _nowhere()
        except ValueError:
            raise _Nowhere from None

    def _service(self, namespace: str, name: str, more: list[str]) -> list[_Record]:
        """more: an endpoint's name, or a port and a protocol with underscores."""
        service = self.store.get("services", namespace, name)
        if service is None or len(more) > 2:
            raise _Nowhere
        endpoint = more[0] if len(more) == 1 else ""
        port, protocol = (one.removeprefix("_") for one in more) if len(more) == 2 else ("", "")
        own, spec = f"{name}.{namespace}.svc.{self.domain}", service["spec"]
        if spec.get("type") == "ExternalName":
            return [_Record(spec["externalName"].rstrip("."), alias=True)] if not more else _nowhere()
        headless = spec.get("clusterIP") in (None, "", "None")
        offered = self._endpoints(namespace, name, own, endpoint) if headless or endpoint else _ports(spec, own)
        found = [
            record
            for record, one in offered
            if port in ("", (one.get("name") or "").lower()) and protocol in ("", one.get("protocol", "TCP").lower())
        ]
        return found or _nowhere()

    def _endpoints(self, namespace: str, name: str, own: str, wanted: str) -> Iterator[tuple[_Record, Object]]:
        for part in self.store.list("endpointslices", namespace):
            if (part["metadata"].get("labels") or {}).get(SERVICE_NAME) != name or part["addressType"] != "IPv4":
                continue
            for one in _ready(part):
                label = _label(one)
                ports: list[Object] = part.get("ports") or [{"port": _PORTLESS}]
                for port in ports if wanted in ("", label) else []:
                    yield _Record(one["addresses"][0], port.get("port") or _PORTLESS, f"{label}.{own}"), port

    def _names_of(self, reverse: str) -> list[str]:
        """The names that an address has: of the Service that it belongs to, else of all that have it as an endpoint."""
        try:
            address = str(ipaddress.IPv4Address(".".join(reversed(reverse.lower().removesuffix("." + REVERSE).split(".")))))
        except ValueError:
            raise _Nowhere from None
        for service in self.store.list("services"):
            if service["spec"].get("clusterIP") == address:
                return [f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{self.domain}"]
        names = [
            f"{_label(one)}.{name}.{part['metadata']['namespace']}.svc.{self.domain}"
            for part in self.store.list("endpointslices")
            if (name := (part["metadata"].get("labels") or {}).get(SERVICE_NAME))
            for one in _ready(part)
            if one["addresses"][0] == address
        ]
        return sorted(set(names)) or _nowhere()


def _ports(spec: Object, own: str) -> Iterator[tuple[_Record, Object]]:
    for port in spec.get("ports") or []:
        yield _Record(spec["clusterIP"], port["port"], own), port


def _ready(part: Object) -> list[Object]:
    return [one for one in part.get("endpoints") or [] if (one.get("conditions") or {}).get("ready") is not False]


def _label(endpoint: Object) -> str:
    return str(endpoint.get("hostname") or endpoint["addresses"][0].replace(".", "-"))


def _rr(name: str, data: RD) -> RR:
    return RR(name, getattr(QTYPE, type(data).__name__), ttl=TTL, rdata=data)


def _within(name: str, zone: str) -> bool:
    return name.lower() == zone or name.lower().endswith("." + zone)


def _nowhere() -> NoReturn:
    raise _Nowhere


# --- the server


def serve(store: Store, plan: AddressPlan, udp: socket.socket, tcp: socket.socket) -> Callable[[], None]:
    """Answers on two bound sockets, in the running loop, until the function that it gives is called. Closes them then."""
    loop = asyncio.get_running_loop()
    for one in (udp, tcp):
        one.setblocking(False)
    loop.add_reader(udp, _datagrams, udp, store, plan)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    reply = _reply(await reader.readexactly(size), store, plan, 0xFFFF)
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()

    tcp.listen()
    listening = loop.create_task(asyncio.start_server(connected, sock=tcp))

    def stop() -> None:
        loop.remove_reader(udp)
        udp.close()
        if listening.done() and not listening.cancelled() and listening.exception() is None:
            listening.result().close()
        else:
            listening.cancel()
            tcp.close()

    return stop


def _datagrams(udp: socket.socket, store: Store, plan: AddressPlan) -> None:
    with contextlib.suppress(OSError):  # nothing more to read, or a client that is gone
        for _ in range(_AT_ONCE):
            data, client = udp.recvfrom(_MOST)
            reply = _reply(data, store, plan, _PLAIN_UDP)
            if reply:
                udp.sendto(reply, client)


def _reply(data: bytes, store: Store, plan: AddressPlan, most: int) -> bytes:
    """The answer in octets, b"" where what came is no request. most: octets, where the client does not say."""
    try:
        request = DNSRecord.parse(data)
    except (DNSError, UnicodeError, ValueError, IndexError):
        return b""
    if request.header.qr:
        return b""
    reply = answer(request, store, plan)
    for one in request.ar:
        if one.rtype == QTYPE.OPT:
            most = max(most, min(one.edns_len, _MOST))
    packed = bytes(reply.pack())
    if len(packed) <= most:
        return packed
    reply.rr, reply.auth, reply.ar, reply.header.tc = [], [], [], 1  # the client asks again by TCP
    return bytes(reply.pack())
