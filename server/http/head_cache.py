"""The head cache: request heads, byte for byte, and the response to each."""

import re
from collections.abc import Callable, Mapping
from email.utils import formatdate

from server.catalog.query import KINDS
from server.config.memory_budget import DEFAULT
from server.http import request_head as heads
from server.http.connections.head_limits import fault_of
from server.http.request_head import Request
from server.http.wire_response import NOTHING, WireResponse
from server.serving import negotiation
from server.serving.deprecations import Deprecations, Headers
from server.serving.hot_queries import HotQueries
from server.serving.response_store import ResponseStore

MIN_RESPONSES = 2  # that must fit into the cache; larger ones are left to Tornado
ENTRY_BYTES = 400  # overhead per entry
TICK_SECONDS = 1.5  # longest time between two ticks
SOON = 0.01  # seconds; timers may fire this early
ARTIST, ALBUM = "/api/artists/{id}/", "/api/albums/{spotify_id}/"
SINGLE = re.compile(r"/api/(?:artists/[1-9][0-9]{0,18}|(?:artists|albums)/[0-9A-Za-z]{22})/?")
LISTS = {path.rstrip("/"): path for path in KINDS}

CallLater = Callable[[float, Callable[[], None]], object]
Count = Callable[[str, str, int, int], None]
Key = tuple[str, str, str, bool, bool, Headers]


class HeadCache:
    """Maps request heads to responses; cleared when the response store changes or one expires.

    `count(route, method, status, hits)` receives the number of responses sent, once a second.
    `clock` is the wall clock in seconds since 1970, for `Date`; `timer` is the monotonic clock of
    the response store. `strict` holds headers that only responses over HTTPS carry; `deprecations`
    adds those of what is deprecated. `call_later` is the loop's, once there is one: it lets
    responses expire on time between two ticks. Heads and responses together take up to `most`
    bytes; above that the cache is cleared.
    """

    def __init__(
        self,
        responses: ResponseStore,
        hot_queries: HotQueries,
        count: Count,
        clock: Callable[[], float],
        timer: Callable[[], float],
        most: int = DEFAULT.head_cache,
        strict: Mapping[str, str] = NOTHING,
        deprecations: Deprecations | None = None,
    ) -> None:
        self._responses = responses
        self._hot_queries = hot_queries
        self._count = count
        self._clock = clock
        self._timer = timer
        self._most = most
        self._strict = strict
        self._deprecations = deprecations or Deprecations()
        self._date = b""
        self._answers: dict[Key, WireResponse] = {}
        self._in_use: list[WireResponse] = []
        self._bytes = 0
        self._good_until = self._woken_for = 0.0
        self.call_later: CallLater = lambda _seconds, _call: None
        self.answers: dict[bytes, WireResponse] = {}
        responses.watch(self.forget)
        self.tick()

    @property
    def size(self) -> int:
        """The approximate number of bytes in memory."""
        return self._bytes

    def learn(self, head: bytes) -> WireResponse | None:
        """Return the response to a head that is not in the cache yet, and add it.

        Returns None if the fast lane may not answer this request.
        """
        if fault_of(head) is not None:
            return None
        shared = heads.without_proxies(head)  # one entry for all clients of a proxy
        if shared != head and (known := self.answers.get(shared)):
            return known
        request = heads.read(shared)
        answer = None if request is None else self._find(request)
        if answer is not None:
            self._bytes += len(shared) + ENTRY_BYTES
            if self._bytes > self._most:
                self.forget()
                return self.learn(head)
            self.answers[shared] = answer
        return answer

    def wire(self, answer: WireResponse) -> bytes:
        """Return the bytes to send now."""
        if answer.wire is None:
            self._in_use.append(answer)
            return answer.dated(self._date)
        return answer.wire

    def tick(self) -> None:
        """Report the hits and renew the date; must be called once a second.

        Clears the cache if one of the responses has expired.
        """
        self._flush_hits()
        self._date = formatdate(self._clock(), usegmt=True).encode()
        if self.answers and self._timer() >= self._good_until - SOON:
            self.forget()
        self._end_in_time()

    def _end_in_time(self) -> None:
        """Schedule one more tick if the first response expires before the next tick."""
        left = self._good_until - self._timer()
        if self._answers and left < TICK_SECONDS and self._good_until != self._woken_for:
            self._woken_for = self._good_until
            self.call_later(max(left, 0.0), self.tick)

    def _flush_hits(self) -> None:
        for answer in self._in_use:
            self._count(answer.route, answer.method, answer.status, answer.hits)
            if answer.route in KINDS:
                self._hot_queries.count(answer.href, answer.hits)
            answer.wire, answer.hits = None, 0
        self._in_use.clear()

    def forget(self) -> None:
        """Clear the head cache: the cached responses were replaced, or the bound is reached."""
        self._flush_hits()  # sent responses would hold their bytes until the next tick
        self.answers.clear()
        self._answers.clear()
        self._bytes = 0

    def _find(self, request: Request) -> WireResponse | None:
        found = self._locate(request)
        if found is None or (self._strict and request.by_http):  # Tornado checks that
            return None
        route, href = found
        coding = negotiation.coding(request.accept_encoding)
        cached = self._responses.find((href, coding))
        if cached is None or 2 * cached.ready.size > self._most // MIN_RESPONSES:
            return None
        ready = cached.ready
        unmodified = negotiation.is_unmodified(
            ready, request.if_none_match, request.if_modified_since, self._clock()
        )
        announced = self._deprecations.headers(request.path, request.query)
        key = (href, coding, request.method, unmodified, request.closes, announced)
        answer = self._answers.get(key)
        if answer is None:
            answer = WireResponse(
                ready,
                method=request.method,
                unmodified=unmodified,
                closes=request.closes,
                route=route,
                href=href,
                strict=self._strict,
                announced=announced,
            )
            ends = [cached.good_until, self._good_until] if self._answers else [cached.good_until]
            self._good_until = min(ends)
            self._answers[key] = answer
            self._bytes += (
                2 * answer.size + ENTRY_BYTES
            )  # once in parts, once with the date of this second
            self._end_in_time()
        return answer

    def _locate(self, request: Request) -> tuple[str, str] | None:
        """Return the route of a request and the key of its response in the store."""
        path = request.path.rstrip("/")
        single = SINGLE.fullmatch(request.path)
        if single is not None and not request.query:
            return ARTIST if path.startswith("/api/artists/") else ALBUM, path
        route = LISTS.get(path)
        if route is None or request.path not in (route, path):
            return None
        href = self._hot_queries.lookup(route, request.query)
        return None if href is None else (route, href)
