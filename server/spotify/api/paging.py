"""The pages of a list of albums, one after the other, as far as Spotify names them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server.errors import BadAnswer, SpotifyError, SpotifyUnavailable
from server.spotify.api.client import SpotifyClient
from server.spotify.types import SourceName

DEEPEST = 1000  # beyond this limit + offset, search answers 400
MOST_IN_A_ROW = 3  # pages that cannot be read, which end a walk


@dataclass(frozen=True)
class Endpoint:
    """How a source is asked; `limit` is the longest page every kind of app may have."""

    path: str
    limit: int
    parameters: Mapping[str, str] = field(default_factory=dict)


ENDPOINTS: dict[SourceName, Endpoint] = {
    "new-releases": Endpoint("/browse/new-releases", 50),
    "search": Endpoint("/search", 10, {"q": "tag:new", "type": "album"}),
}


@dataclass(frozen=True)
class Page:
    """One page: raw items, the next one's address as it came, the claimed total, its offset."""

    items: list[Any]
    next: Any
    total: int | None
    offset: int = 0


@dataclass(frozen=True)
class Gap:
    """A page that could not be read and was skipped: where it begins in whose list, and why."""

    offset: int
    market: str
    error: SpotifyError

    def __str__(self) -> str:
        place = f"offset {self.offset} in {self.market}" if self.market else f"offset {self.offset}"
        return f"{type(self.error).__name__}: the page at {place} was skipped: {self.error}"


async def page(client: SpotifyClient, source: SourceName, offset: int, market: str = "") -> Page:
    """One page of `source`, in the paging object that both endpoints put under `albums`."""
    endpoint = ENDPOINTS[source]
    parameters = {**endpoint.parameters, **({"market": market} if market else {})}
    answer = await client.get(endpoint.path, **parameters, limit=endpoint.limit, offset=offset)
    return replace(read_page(answer), offset=offset)


def read_page(answer: dict[str, Any]) -> Page:
    """Read a paging object; BadAnswer if it is none."""
    albums = answer.get("albums")
    if not isinstance(albums, dict) or not isinstance(albums.get("items"), list):
        raise BadAnswer("an answer without albums.items")
    total = albums.get("total")
    return Page(
        items=albums["items"],
        next=albums.get("next"),
        total=total if type(total) is int and total >= 0 else None,
    )


class Walk:
    """The pages of one list from `first` on, which is asked for when it is not given.

    Iterating ends when Spotify names no next page, two pages are empty, `max_releases` items have
    come, or search would refuse to go deeper. A page that cannot be read, after one more try, is
    skipped, and listed in `gaps`; three of them in a row end the walk. Iterating raises a
    SpotifyError that concerns every page, such as a pause, and BadAnswer for a next page that leads
    nowhere. Totals and the lengths of pages decide nothing but whether anything follows a page that
    was skipped, for they vary in the middle of a sweep; but the list is `even` only if every page
    was full and as many items came as all the totals said: else what is missing is not surely gone.
    `ended` tells whether the end of the list was reached.
    """

    def __init__(
        self, client: SpotifyClient, source: SourceName, market: str, max_releases: int
    ) -> None:
        self._client = client
        self._source = source
        self._market = market
        self._most = max_releases
        self._limit = ENDPOINTS[source].limit
        self._tries = 1  # a page that fails is asked for again so often in one walk
        self._in_a_row = 0
        self._totals: set[int | None] = set()
        self._seen = 0
        self.gaps: list[Gap] = []
        self.pages_met = 0
        self._full = True
        self.ended = False

    @property
    def even(self) -> bool:
        """Whether nothing about the pages met so far casts doubt on them."""
        return self._full and not self.gaps and self._totals == {self._seen}

    @property
    def depth(self) -> int:
        """How many items of the list lie behind: those that came, and those of skipped pages."""
        return self._seen + self._limit * len(self.gaps)

    async def pages(self, first: Page | None = None, gap: Gap | None = None) -> AsyncIterator[Page]:
        """Each page, the first one included; `gap` is the page before it, if that was skipped."""
        self.gaps += [gap] if gap else []
        offset, empty = (first.offset if first else 0), 0
        for _ in range(2 + 3 * self._most // self._limit):
            current, first = first or await self._page(offset), None
            if current is None:
                if not self._goes_on_behind(offset):
                    return
                following = offset + self._limit
            else:
                yield current
                self._look(current)
                empty += not current.items
                self.ended = not current.next or empty > 1
                if self.ended:
                    return
                following = _offset_of(current.next, offset)
            if self.depth >= self._most or following + self._limit > DEEPEST:
                return
            offset = following
        raise BadAnswer(f"{self._source} names a next page for ever")

    def _look(self, current: Page) -> None:
        self.pages_met += 1
        self._totals.add(current.total)
        self._seen += len(current.items)
        self._full &= not current.next or len(current.items) >= self._limit

    async def _page(self, offset: int) -> Page | None:
        """One page, or None for one that is skipped."""
        try:
            asked = await self._ask(offset)
        except SpotifyError as error:
            if not is_passing(error):
                raise
            self.gaps.append(Gap(offset, self._market, error))
            self._in_a_row += 1
            return None
        self._in_a_row = 0
        return asked

    async def _ask(self, offset: int) -> Page:
        try:
            return await page(self._client, self._source, offset, self._market)
        except SpotifyError as error:
            if self._tries == 0 or not is_passing(error):
                raise
            self._tries -= 1
        return await page(self._client, self._source, offset, self._market)

    def _goes_on_behind(self, offset: int) -> bool:
        """Whether anything may follow a page that was skipped, by the largest total so far."""
        totals = [total for total in self._totals if total is not None]
        return self._in_a_row < MOST_IN_A_ROW and (not totals or max(totals) > offset + self._limit)


def is_passing(error: SpotifyError) -> bool:
    """Whether asking again may bring another answer: what a busy or broken service says."""
    return isinstance(error, SpotifyUnavailable | BadAnswer)


def _offset_of(address: object, before: int) -> int:
    """The offset that `next` names, which must be further on.

    Only this number is taken from the address, never its host: the token goes nowhere but to the
    configured service, and a proxy that passes Spotify's own addresses on works too.
    """
    if not isinstance(address, str):
        raise BadAnswer("a next page that is not an address")
    try:
        offset = int(parse_qs(urlsplit(address).query)["offset"][0])
    except (ValueError, KeyError) as error:
        raise BadAnswer("a next page without an offset") from error
    if offset <= before:
        raise BadAnswer("a next page that is not further on")
    return offset
