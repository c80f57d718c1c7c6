"""The cluster's certificates: whom they vouch for, and what is told where they cannot be made."""

import ssl

import pytest

from labs.embedded import certificates
from labs.embedded.plan import AddressPlan

PLAN = AddressPlan("certified")


def shaken(made: certificates.Certificates, name: str) -> None:
    """A handshake in memory, between the server and a client that looks for this name. SSLCertVerificationError."""
    client = ssl.create_default_context(cadata=made.authority)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        made.context.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):  # TLS 1.3 takes three turns
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert all(end.cipher() for end in ends), "the handshake did not come to its end"


def test_a_client_with_the_authority_trusts_the_servers_names_and_no_other() -> None:
    made = certificates.Making(PLAN).result()
    for name in ("127.0.0.1", "localhost", "kubernetes.default.svc.cluster.local", PLAN.api_service, PLAN.nodes[0].address):
        shaken(made, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(made, "example.com")


def test_each_cluster_has_an_authority_of_its_own() -> None:
    assert certificates.Making(PLAN).result().authority != certificates.Making(PLAN).result().authority


def test_where_they_cannot_be_made_that_is_told(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fails(_: AddressPlan) -> tuple[str, str]:
        raise RuntimeError("no entropy")

    monkeypatch.setattr(certificates, "_made", fails)
    with pytest.raises(OSError, match="certificates could not be made"):
        certificates.Making(PLAN).result()
    assert "no entropy" in capfd.readouterr().err  # the log, in a cluster's process
