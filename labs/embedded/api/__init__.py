"""The Kubernetes API over the store: `Api(store, plan, runtime, token).app` is the aiohttp application to be served by TLS."""

from labs.embedded.api.server import Api

__all__ = ["Api"]
