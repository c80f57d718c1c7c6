"""The cluster's certificate authority and the API server's certificate, made anew with each cluster.

A process of its own makes them while the server begins: what makes them is needed once, and a tenth of the server's memory.
"""

import json
import os
import ssl
import traceback
from dataclasses import dataclass

from labs.embedded.plan import AddressPlan


@dataclass(frozen=True)
class Certificates:
    """authority: its certificate, PEM. context: how the API server speaks TLS."""

    authority: str
    context: ssl.SSLContext


class Making:
    """Begins to make a cluster's certificates."""

    def __init__(self, plan: AddressPlan) -> None:
        self._told, tell = os.pipe2(os.O_CLOEXEC)
        self._process = os.fork()
        if self._process == 0:
            try:
                os.write(tell, json.dumps(_made(plan)).encode())
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(tell)

    def result(self) -> Certificates:
        """Waits for them. OSError where there are none; the process' own words are in the log."""
        with open(self._told, "rb") as told:
            text = told.read()
        os.waitpid(self._process, 0)
        if not text:
            raise OSError("the cluster's certificates could not be made")
        authority, server = json.loads(text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with open(os.memfd_create("server.pem"), "w", encoding="ascii") as file:  # OpenSSL reads files only
            file.write(server)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return Certificates(authority, context)


def _made(plan: AddressPlan) -> tuple[str, str]:
    """The authority's certificate; the server's key and its certificate."""
    import trustme

    ca = trustme.CA(organization_name=f"cluster {plan.name}")
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
             f"kubernetes.default.svc.{plan.cluster_domain}", plan.nodes[0].name]  # fmt: skip
    addresses = ["127.0.0.1", plan.api_service, *[node.address for node in plan.nodes]]
    server = ca.issue_cert(*names, *addresses).private_key_and_cert_chain_pem
    return ca.cert_pem.bytes().decode("ascii"), server.bytes().decode("ascii")
