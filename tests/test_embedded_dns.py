"""The embedded cluster's DNS: what CoreDNS of a real cluster answered (test_embedded_dns_recorded.json), and the server."""

import asyncio
import json
import shutil
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSRecord

from labs.embedded import dns
from labs.embedded.plan import AddressPlan
from labs.embedded.store import Store

RECORDED = json.loads((Path(__file__).parent / "test_embedded_dns_recorded.json").read_text("utf-8"))
PLAN = AddressPlan("dev")
RESOURCES = {"Service": "services", "EndpointSlice": "endpointslices"}


@pytest.fixture
def store() -> Store:
    made = Store()
    for name in ("default", "kube-system", "ctl-eps"):
        made.create("namespaces", {"metadata": {"name": name}})
    for obj in RECORDED["given"]:
        made.create(RESOURCES[obj["kind"]], obj)
    return made


def _ask(name: str, kind: str) -> DNSRecord:
    asked = DNSRecord.question(name, kind)
    asked.add_ar(EDNS0(udp_len=1232))
    return asked


def _records(records: list[Any]) -> list[list[Any]]:
    """As dig prints them, the SOA's serial number left out."""
    lines = []
    for one in records:
        if one.rtype == QTYPE.OPT:
            continue
        data = one.rdata.toZone()
        if one.rtype == QTYPE.SOA:
            data = " ".join(word for word in data.translate(str.maketrans("", "", "()")).split())
            words = data.split()
            data = " ".join([*words[:2], "SERIAL", *words[3:]])
        lines.append([str(one.rname), one.ttl, QTYPE[one.rtype], data])
    return sorted(lines)


@pytest.mark.parametrize("recorded", RECORDED["answers"], ids=lambda one: " ".join(one["question"]))
def test_the_answer_is_corednss(store: Store, recorded: dict[str, Any]) -> None:
    reply = dns.answer(_ask(*recorded["question"]), store, PLAN)
    flags = [name for name in ("qr", "aa", "rd", "ra") if getattr(reply.header, name)]
    ours = {"question": recorded["question"], "status": RCODE[reply.header.rcode], "flags": flags}
    for section, records in (("answer", reply.rr), ("authority", reply.auth), ("additional", reply.ar)):
        if found := _records(records):
            ours[section] = found
    assert ours == recorded


def test_an_answer_follows_the_store(store: Store) -> None:
    name = "plain.ctl-eps.svc.cluster.local"
    store.remove("services", "ctl-eps", "plain")
    assert dns.answer(_ask(name, "A"), store, PLAN).header.rcode == RCODE.NXDOMAIN
    spec = {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}
    store.create("services", {"metadata": {"name": "plain", "namespace": "ctl-eps"}, "spec": spec})
    assert str(dns.answer(_ask(name, "A"), store, PLAN).rr[0].rdata) == "10.96.7.7"


def test_names_that_lead_to_each_other_end(store: Store) -> None:
    for name, other in (("ping", "pong"), ("pong", "ping")):
        spec = {"type": "ExternalName", "externalName": f"{other}.default.svc.cluster.local"}
        store.create("services", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    reply = dns.answer(_ask("ping.default.svc.cluster.local", "A"), store, PLAN)
    assert {one.rtype for one in reply.rr} == {QTYPE.CNAME}


def test_addresses_come_in_any_order(store: Store) -> None:
    def turned(records: list[Any]) -> None:
        records.reverse()

    name = "hl.ctl-eps.svc.cluster.local"
    one, other = (dns.answer(_ask(name, "A"), store, PLAN, order) for order in (turned, lambda records: None))
    assert [str(record.rdata) for record in one.rr] == [str(record.rdata) for record in reversed(other.rr)]


# --- over sockets


class Served:
    """The server on loopback, at a port of both UDP and TCP."""

    def __init__(self, store: Store) -> None:
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.bind(("127.0.0.1", 0))
        self.port: int = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.stop = dns.serve(store, PLAN, self.udp, self.tcp)

    async def by_udp(self, data: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", self.port))
            await loop.sock_sendall(client, data)
            return await asyncio.wait_for(loop.sock_recv(client, 65535), 5)

    async def by_tcp(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(struct.pack("!H", len(data)) + data)
        size = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 5), "big")
        read = await reader.readexactly(size)
        writer.close()
        return read


def _many(store: Store) -> str:
    """A headless Service with more addresses than fit into a small datagram."""
    endpoints = [{"addresses": [f"10.244.9.{number}"], "conditions": {"ready": True}} for number in range(1, 90)]
    metadata = {"name": "many-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "many"}}
    part = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "", "port": 80}]}
    store.create("endpointslices", part)
    spec = {"clusterIP": "None", "ports": [{"port": 80}]}
    store.create("services", {"metadata": {"name": "many", "namespace": "default"}, "spec": spec})
    return "many.default.svc.cluster.local"


def test_by_udp_and_tcp(store: Store) -> None:
    name = _many(store)

    async def talk() -> None:
        served = Served(store)
        plain = DNSRecord.question(name, "A").pack()
        short = DNSRecord.parse(await served.by_udp(plain))
        assert short.header.tc and not short.rr and short.q.qname == name, "512 octets are the most without EDNS"
        roomy = DNSRecord.question(name, "A")
        roomy.add_ar(EDNS0(udp_len=4096))
        assert len(DNSRecord.parse(await served.by_udp(roomy.pack())).rr) == 89
        assert len(DNSRecord.parse(await served.by_tcp(plain)).rr) == 89
        served.stop()
        with pytest.raises(ConnectionRefusedError):
            await served.by_tcp(plain)

    asyncio.run(talk())


@pytest.mark.parametrize(
    "bad", [b"", b"x", b"\xff" * 40, b"\x00" * 12, bytes(range(256)), b"\x12\x34\x01\x00\x00\x01" + b"\x00" * 6 + b"\xc0\x0c"]
)
def test_nonsense_does_not_end_the_server(store: Store, bad: bytes) -> None:
    async def talk() -> None:
        served = Served(store)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(bad, ("127.0.0.1", served.port))
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(struct.pack("!H", len(bad)) + bad)
        writer.close()
        reply = DNSRecord.parse(await served.by_udp(_ask("plain.ctl-eps.svc.cluster.local", "A").pack()))
        assert len(reply.rr) == 1
        served.stop()

    asyncio.run(talk())


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig (Debian: bind9-dnsutils) is not there")
def test_dig_is_content(store: Store) -> None:
    async def talk() -> str:
        served = Served(store)
        command = [
            "dig",
            "+noedns",
            "+short",
            f"-p{served.port}",
            "@127.0.0.1",
            _many(store),
            "plain.ctl-eps.svc.cluster.local",
        ]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        served.stop()
        return out.decode()

    lines = asyncio.run(talk()).split()
    assert len(lines) == 90, "89 by TCP, after a short answer by UDP; one more"
