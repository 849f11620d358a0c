"""The pages of a list of albums, one after the other, as far as Spotify names them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from server.errors import BadAnswer, SpotifyError, SpotifyUnavailable
from server.spotify.client import SpotifyClient

SourceName = Literal["new-releases", "search"]
DEEPEST = 1000  # beyond this limit + offset, search answers 400


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
    """One page: raw items, the next one's address as it came, the claimed total."""

    items: list[Any]
    next: Any
    total: int | None


async def page(client: SpotifyClient, source: SourceName, offset: int, market: str = "") -> Page:
    """One page of `source`, in the paging object that both endpoints put under `albums`."""
    endpoint = ENDPOINTS[source]
    parameters = {**endpoint.parameters, **({"market": market} if market else {})}
    answer = await client.get(endpoint.path, **parameters, limit=endpoint.limit, offset=offset)
    return read_page(answer)


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
    come, or search would refuse to go deeper; it raises a SpotifyError for a page that cannot be
    had, after one more try, and BadAnswer for a next page that leads nowhere. Totals and the
    lengths of pages decide nothing, for they vary in the middle of a sweep; but the list is `even`
    only if every page was full and as many items came as all the totals said: else what is missing
    is not surely gone. `ended` tells whether the end of the list was reached.
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
        self._totals: set[int | None] = set()
        self._seen = 0
        self.pages_met = 0
        self._full = True
        self.ended = False

    @property
    def even(self) -> bool:
        """Whether nothing about the pages met so far casts doubt on them."""
        return self._full and self._totals == {self._seen}

    async def pages(self, first: Page | None = None) -> AsyncIterator[Page]:
        """Each page, the first one included."""
        current = first or await self._page(0)
        offset = empty = 0
        for _ in range(2 + 3 * self._most // self._limit):
            yield current
            self._look(current)
            empty += not current.items
            self.ended = not current.next or empty > 1
            if self.ended or self._seen >= self._most:
                return
            offset = _offset_of(current.next, offset)
            if offset + self._limit > DEEPEST:
                return
            current = await self._page(offset)
        raise BadAnswer(f"{self._source} names a next page for ever")

    def _look(self, current: Page) -> None:
        self.pages_met += 1
        self._totals.add(current.total)
        self._seen += len(current.items)
        self._full &= not current.next or len(current.items) >= self._limit

    async def _page(self, offset: int) -> Page:
        try:
            return await page(self._client, self._source, offset, self._market)
        except SpotifyError as error:
            if self._tries == 0 or not is_passing(error):
                raise
            self._tries -= 1
        return await page(self._client, self._source, offset, self._market)


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
