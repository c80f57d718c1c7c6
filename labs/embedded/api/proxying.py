"""The subresource `proxy` of Pods: the API server asks a Pod by HTTP, from the control plane, and passes on what it says.

As a real server's, but for three things: links inside a page are not rewritten, no other protocol is upgraded to, and
`proxy` of Services and nodes is not served. Source: k8s.io/apimachinery/pkg/util/proxy, pkg/registry/core/pod/strategy.go.
"""

import asyncio
import errno
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from labs.embedded.api import status
from labs.embedded.runtime import Runtime

Object = dict[str, Any]
DIAL_LIMIT = 30.0  # seconds
PIECE = 32 * 1024  # bytes read at once
SCHEMES = ("http", "https")
# Of one connection only, and so not passed on (RFC 9110, 7.6.1); the token is meant for the API server.
OWN = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    *("authorization", "host"),
}
_GO_WORDS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ETIMEDOUT: "connect: connection timed out",
}


@dataclass(frozen=True)
class Wanted:
    """Which Pod is asked: SCHEME:NAME:PORT, of which only the name must be there."""

    name: str
    scheme: str = "http"
    port: str = ""


def wanted(given: str) -> Wanted:
    """Out of the path's part. Raises Refused (400)."""
    parts = given.split(":")
    if len(parts) == 1:
        parts = ["", *parts, ""]
    elif len(parts) == 2:
        parts = [parts[0], parts[1], ""] if parts[0] in SCHEMES else ["", *parts]
    if len(parts) != 3 or parts[0] not in ("", *SCHEMES) or not parts[1]:
        raise status.bad_request(f'invalid pod request "{given}"')
    scheme, name, port = parts
    return Wanted(name, scheme or "http", port)


def place(pod: Object, port: str) -> tuple[str, str]:
    """The address and the port to ask. port: "" for the first that the Pod declares, else the scheme's own. Raises Refused."""
    declared = [one["containerPort"] for of in pod["spec"]["containers"] for one in of.get("ports") or []]
    address = pod.get("status", {}).get("podIP", "")
    if not address:
        raise status.bad_request("address not allowed")
    return address, port or (str(declared[0]) if declared else "")


async def answer(request: web.Request, asked: Wanted, pod: Object, runtime: Runtime) -> web.StreamResponse:
    """Asks the Pod what the client asks, and passes the answer on as it comes. Raises Refused."""
    if request.headers.get("Upgrade"):
        raise status.bad_request("this cluster's proxy passes no upgrade to another protocol on")
    whole = request.rel_url.raw_path
    before, _, path = whole.partition("/proxy/")
    if whole.endswith("/proxy") and request.method in ("GET", "HEAD"):
        return web.Response(status=301, headers={"Location": whole + "/", "Cache-Control": "no-cache, private"})
    address, port = place(pod, asked.port)
    if port and not (re.fullmatch("[0-9]{1,5}", port) and int(port) < 65536):
        raise _unreachable(f"dial tcp: address {port}: invalid port")
    query = request.rel_url.raw_query_string
    url = f"{asked.scheme}://{address}{f':{port}' if port else ''}/{path}"
    connector = aiohttp.TCPConnector(ssl=False, force_close=True, socket_factory=lambda _: runtime.control_plane_socket())
    limits = aiohttp.ClientTimeout(total=None, sock_connect=DIAL_LIMIT)
    async with aiohttp.ClientSession(connector=connector, timeout=limits, auto_decompress=False) as client:
        try:
            answered = await client.request(
                request.method,
                URL(f"{url}?{query}" if query else url, encoded=True),
                headers=_passed_on(request.headers) | {"X-Forwarded-Uri": f"{before}/proxy/{path}"},
                data=_body(request) if request.can_read_body else None,
                allow_redirects=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            )
        except aiohttp.ClientConnectorSSLError:
            raise _unreachable("tls: first record does not look like a TLS handshake") from None
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise _unreachable(_words(error, f"{address}:{port or {'http': 80, 'https': 443}[asked.scheme]}")) from None
        async with answered:
            return await _passed_back(request, answered)


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in OWN}


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(PIECE):
        yield piece


async def _passed_back(request: web.Request, answered: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answered.status, reason=answered.reason)
    for name, value in answered.headers.items():
        if name.lower() not in OWN:
            response.headers.add(name, value)
    response.headers["Cache-Control"] = "no-cache, private"
    await response.prepare(request)
    try:
        async for piece in answered.content.iter_chunked(PIECE):
            await response.write(piece)
    except aiohttp.ClientError:
        # Half an answer must not look like a whole one.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _words(error: Exception, place: str) -> str:
    """What Go's client says of a failure."""
    number = getattr(error, "errno", None) or getattr(getattr(error, "os_error", None), "errno", None)
    if isinstance(error, TimeoutError):
        return f"dial tcp {place}: i/o timeout"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return f"dial tcp {place}: {_GO_WORDS[number]}" if number in _GO_WORDS else str(error)


def _unreachable(why: str) -> status.Refused:
    return status.Refused(503, "ServiceUnavailable", f"error trying to reach service: {why}")
