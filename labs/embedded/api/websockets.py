"""Takes a request's upgrade to a WebSocket; what is spoken in it is channels.py's and forwarding.py's matter."""

from collections.abc import Iterable

from aiohttp import web

from labs.embedded.api import status


async def accepted(request: web.Request, protocols: Iterable[str], most: int) -> web.WebSocketResponse:
    """A WebSocket with the client. most: bytes of a message. Refused (400) where the request is none for a WebSocket."""
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=most)
    try:
        await socket.prepare(request)
    except (web.HTTPBadRequest, ValueError):  # the key, the version or the header Connection
        raise status.bad_request("mismatch challenge/response") from None
    return socket
