"""Lists, feeds and single objects of the catalogue, served from the cache."""

import time
from collections.abc import Awaitable, Callable

from handlers.base import BaseHandler
from server.catalog.query import ReleaseQuery
from server.catalog.snapshot import Found
from server.serving import negotiation
from server.serving.cache import PayloadCache
from server.serving.payload import Coding, Representation

Load = Callable[[str], Awaitable[Found | None]]


class PayloadHandler(BaseHandler):
    """Base of the handlers that send payloads: content coding and conditional requests."""

    @property
    def coding(self) -> Coding:
        """The content coding that the client prefers (RFC 9110 section 12.5.3)."""
        return negotiation.coding_of(self.request.headers.get_list("Accept-Encoding"))

    def send(self, chosen: Representation) -> None:
        """Answer with a representation, or with 304 if the client has it (RFC 9110 section 13)."""
        headers = self.request.headers
        unmodified = negotiation.is_unmodified(
            chosen, headers.get("If-None-Match"), headers.get("If-Modified-Since"), time.time()
        )
        for name, value in negotiation.headers_of(chosen, unmodified):
            self.set_header(name, value)
        if unmodified:
            self.set_status(304)
            self.finish()
        else:
            self.finish(chosen.body)


class QueryHandler(PayloadHandler):
    """Answers queries of one `kind`; a warm answer is neither computed nor awaited."""

    def initialize(  # type: ignore[override]
        self, cache: PayloadCache, kind: type[ReleaseQuery], root: str
    ) -> None:
        """Take the cache from the routes."""
        super().initialize(root)
        self._cache = cache
        self._kind = kind

    def get(self) -> Awaitable[None] | None:
        """Send the payload, which is built first if the cache does not have it."""
        ready = self._cache.peek(self._kind.path, self.request.query, self.coding)
        if ready is None:
            return self._make_and_send()
        self.warm = True
        self.send(ready)
        return None

    head = get

    async def _make_and_send(self) -> None:
        self.send(await self._cache.get(self._kind, self.request.query, self.coding))


class SingleHandler(PayloadHandler):
    """Answers with one object, which `load` reads from the database by the id in the path."""

    def initialize(  # type: ignore[override]
        self, cache: PayloadCache, load: Load, root: str
    ) -> None:
        """Take the cache from the routes."""
        super().initialize(root)
        self._cache = cache
        self._load = load

    async def get(self, identity: str) -> None:
        """Send the object. Raises NotFound, Overloaded or a DatabaseError."""
        path = self.request.path.rstrip("/")
        self.send(await self._cache.get_object(path, self.coding, lambda: self._load(identity)))

    head = get
