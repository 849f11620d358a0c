"""`GET /api/artists/`: the artists who have just released something."""

from collections.abc import Awaitable

from handlers.base import BaseHandler
from server.catalog import negotiation
from server.catalog.cache import PayloadCache
from server.catalog.payload import Payload

OF_A_BODY = frozenset({"Content-Type", "Content-Length", "Content-Encoding"})


class ArtistsHandler(BaseHandler):
    """Answers from the cache. Warm, nothing is computed and nothing awaited."""

    def initialize(self, cache: PayloadCache) -> None:
        """Take the cache from the wiring."""
        self._cache = cache

    def get(self) -> Awaitable[None] | None:
        """Send the payload, or make it first."""
        payload = self._cache.peek(self.request.query)
        if payload is None:
            return self._make_and_send()
        self.warm = True
        self._send(payload)
        return None

    head = get

    async def _make_and_send(self) -> None:
        self._send(await self._cache.get(self.request.query))

    def _send(self, payload: Payload) -> None:
        headers = self.request.headers
        chosen = payload.representations[negotiation.coding(headers.get("Accept-Encoding", ""))]
        if_none_match = headers.get("If-None-Match")
        if if_none_match is not None and negotiation.matches(if_none_match, chosen.etag):
            self.set_status(304)
            for name, value in chosen.headers:
                if name not in OF_A_BODY:
                    self.set_header(name, value)
            self.finish()
            return
        for name, value in chosen.headers:
            self.set_header(name, value)
        self.finish(chosen.body)
