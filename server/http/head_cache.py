"""What the lane knows: request heads, to the byte, and the answer to each."""

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
from server.serving.hot_queries import HotQueries
from server.serving.response_store import ResponseStore

LARGEST = 2  # answers of more than half of what may be kept are for Tornado
ENTRY_BYTES = 400  # of an entry beside them
TICK_SECONDS = 1.5  # after so long at most the next tick follows
SOON = 0.01  # seconds by which a timer may be early
ARTIST, ALBUM = "/api/artists/{id}/", "/api/albums/{spotify_id}/"
SINGLE = re.compile(r"/api/(?:artists/[1-9][0-9]{0,18}|(?:artists|albums)/[0-9A-Za-z]{22})/?")
LISTS = {path.rstrip("/"): path for path in KINDS}

CallLater = Callable[[float, Callable[[], None]], object]
Count = Callable[[str, str, int, int], None]
Key = tuple[str, str, str, bool, bool]


class HeadCache:
    """Answers by request head; all are forgotten when the shelf begins anew, or their time is up.

    `count(route, method, status, hits)` is told of answers that were sent, once a second. `clock`
    is the wall clock in seconds since 1970, for `Date`; `timer` the one that the shelf goes by.
    `strict` are headers that no answer over plain http has.
    `call_later` is the loop's, once there is one: with it no answer outlives its end between ticks.
    Heads and answers together have up to `most` bytes; beyond that all are learnt again.
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
    ) -> None:
        self._responses = responses
        self._hot_queries = hot_queries
        self._count = count
        self._clock = clock
        self._timer = timer
        self._most = most
        self._strict = strict
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
        """Bytes in memory, near enough."""
        return self._bytes

    def learn(self, head: bytes) -> WireResponse | None:
        """The answer to a head that is not known yet; None if it is not for the lane."""
        if fault_of(head) is not None:
            return None
        shared = heads.without_proxies(head)  # one for all clients of a proxy
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
        """The bytes to send now."""
        if answer.wire is None:
            self._in_use.append(answer)
            return answer.dated(self._date)
        return answer.wire

    def tick(self) -> None:
        """Tell what was sent, and renew the date; to be called once a second.

        All is forgotten when one of the answers has ended.
        """
        self._tell()
        self._date = formatdate(self._clock(), usegmt=True).encode()
        if self.answers and self._timer() >= self._good_until - SOON:
            self.forget()
        self._end_in_time()

    def _end_in_time(self) -> None:
        """Tick once more if the first of the answers ends before the next tick."""
        left = self._good_until - self._timer()
        if self._answers and left < TICK_SECONDS and self._good_until != self._woken_for:
            self._woken_for = self._good_until
            self.call_later(max(left, 0.0), self.tick)

    def _tell(self) -> None:
        for answer in self._in_use:
            self._count(answer.route, answer.method, answer.status, answer.hits)
            if answer.route in KINDS:
                self._hot_queries.count(answer.href, answer.hits)
            answer.wire, answer.hits = None, 0
        self._in_use.clear()

    def forget(self) -> None:
        """Forget all heads and answers: the shelf has other answers now, or there is no room."""
        self._tell()  # what was sent would hold its bytes until the next tick
        self.answers.clear()
        self._answers.clear()
        self._bytes = 0

    def _find(self, request: Request) -> WireResponse | None:
        found = self._locate(request)
        if found is None or (self._strict and request.by_http):  # whether to believe that, Tornado
            return None
        route, href = found
        coding = negotiation.coding(request.accept_encoding)
        kept = self._responses.find((href, coding))
        if kept is None or 2 * kept.ready.size > self._most // LARGEST:
            return None
        ready = kept.ready
        unmodified = negotiation.is_unmodified(
            ready, request.if_none_match, request.if_modified_since, self._clock()
        )
        key = (href, coding, request.method, unmodified, request.closes)
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
            )
            ends = [kept.good_until, self._good_until] if self._answers else [kept.good_until]
            self._good_until = min(ends)
            self._answers[key] = answer
            self._bytes += 2 * answer.size + ENTRY_BYTES  # as parts, and as the bytes of a second
            self._end_in_time()
        return answer

    def _locate(self, request: Request) -> tuple[str, str] | None:
        """The route of a request and the key of its answer in the cache."""
        path = request.path.rstrip("/")
        single = SINGLE.fullmatch(request.path)
        if single is not None and not request.query:
            return ARTIST if path.startswith("/api/artists/") else ALBUM, path
        route = LISTS.get(path)
        if route is None or request.path not in (route, path):
            return None
        href = self._hot_queries.known(route, request.query)
        return None if href is None else (route, href)
