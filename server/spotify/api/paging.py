"""The pages of a list of albums, followed from one to the next as Spotify links them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server.errors import BadAnswer, SpotifyError, SpotifyUnavailable
from server.spotify.api.client import SpotifyClient
from server.spotify.types import ENDPOINTS, SourceName

DEEPEST = 1000  # limit + offset; beyond it, search answers 400
MAX_IN_A_ROW = 3  # unreadable pages, after which a walk ends


@dataclass(frozen=True)
class Page:
    """One page: raw items, `next` as Spotify sent it, the total it claims, the page's offset."""

    items: list[Any]
    next: Any
    total: int | None
    offset: int = 0


@dataclass(frozen=True)
class Gap:
    """A page that could not be read and was skipped: its offset, its market, and the error."""

    offset: int
    market: str
    error: SpotifyError

    def __str__(self) -> str:
        place = f"offset {self.offset} in {self.market}" if self.market else f"offset {self.offset}"
        return f"{type(self.error).__name__}: the page at {place} was skipped: {self.error}"


async def page(client: SpotifyClient, source: SourceName, offset: int, market: str = "") -> Page:
    """Fetch one page of `source`: the paging object that both endpoints have under `albums`."""
    endpoint = ENDPOINTS[source]
    parameters = {**endpoint.parameters, **({"market": market} if market else {})}
    answer = await client.get(endpoint.path, **parameters, limit=endpoint.limit, offset=offset)
    return replace(read_page(answer), offset=offset)


def read_page(answer: dict[str, Any]) -> Page:
    """Read a paging object. Raises BadAnswer if there is none under `albums`."""
    albums = answer.get("albums")
    if not isinstance(albums, dict) or not isinstance(albums.get("items"), list):
        raise BadAnswer("the answer has no albums.items")
    total = albums.get("total")
    return Page(
        items=albums["items"],
        next=albums.get("next"),
        total=total if type(total) is int and total >= 0 else None,
    )


class Walk:
    """A walk over the pages of one list.

    It ends when Spotify links no next page, after two empty pages, after `max_releases` items, or
    where search would refuse to go deeper. A page that cannot be read is tried once more, then
    skipped and listed in `gaps`; three skipped pages in a row end the walk. Iterating raises a
    SpotifyError that concerns every page, such as a pause, and BadAnswer for an unusable `next`.

    Totals and page lengths vary during a sweep, so they decide only whether anything follows a
    skipped page. The list is `even` if every page was full and the items were as many as all totals
    said; otherwise an absent album is not certainly gone. `ended` says whether the end was reached.
    """

    def __init__(
        self, client: SpotifyClient, source: SourceName, market: str, max_releases: int
    ) -> None:
        self._client = client
        self._source = source
        self._market = market
        self._most = max_releases
        self._limit = ENDPOINTS[source].limit
        self._retries = 1  # left for pages that fail
        self._skipped_in_a_row = 0
        self._totals: set[int | None] = set()
        self._seen = 0
        self.gaps: list[Gap] = []
        self.pages_read = 0
        self._full = True
        self.ended = False

    @property
    def even(self) -> bool:
        """Whether the pages so far are consistent: full, without gaps, as long as their totals."""
        return self._full and not self.gaps and self._totals == {self._seen}

    @property
    def depth(self) -> int:
        """The number of items passed: those that were read, and those of skipped pages."""
        return self._seen + self._limit * len(self.gaps)

    async def pages(self, first: Page | None = None, gap: Gap | None = None) -> AsyncIterator[Page]:
        """Yield each page, from `first` on, which is fetched if it is not given.

        `gap` is the page before `first`, if that was skipped.
        """
        self.gaps += [gap] if gap else []
        offset, empty = (first.offset if first else 0), 0
        for _ in range(2 + 3 * self._most // self._limit):
            current, first = first or await self._page_or_gap(offset), None
            if current is None:
                if not self._may_continue_after(offset):
                    return
                following = offset + self._limit
            else:
                yield current
                self._record(current)
                empty += not current.items
                self.ended = not current.next or empty > 1
                if self.ended:
                    return
                following = _offset_of(current.next, offset)
            if self.depth >= self._most or following + self._limit > DEEPEST:
                return
            offset = following
        raise BadAnswer(f"{self._source} links next pages without end")

    def _record(self, current: Page) -> None:
        self.pages_read += 1
        self._totals.add(current.total)
        self._seen += len(current.items)
        self._full &= not current.next or len(current.items) >= self._limit

    async def _page_or_gap(self, offset: int) -> Page | None:
        """Fetch one page; None if it was skipped."""
        try:
            fetched = await self._fetch(offset)
        except SpotifyError as error:
            if not is_transient(error):
                raise
            self.gaps.append(Gap(offset, self._market, error))
            self._skipped_in_a_row += 1
            return None
        self._skipped_in_a_row = 0
        return fetched

    async def _fetch(self, offset: int) -> Page:
        try:
            return await page(self._client, self._source, offset, self._market)
        except SpotifyError as error:
            if self._retries == 0 or not is_transient(error):
                raise
            self._retries -= 1
        return await page(self._client, self._source, offset, self._market)

    def _may_continue_after(self, offset: int) -> bool:
        """Whether anything may follow a skipped page, by the largest total so far."""
        totals = [total for total in self._totals if total is not None]
        return self._skipped_in_a_row < MAX_IN_A_ROW and (
            not totals or max(totals) > offset + self._limit
        )


def is_transient(error: SpotifyError) -> bool:
    """Whether a retry may succeed, because the error is of a busy or broken service."""
    return isinstance(error, SpotifyUnavailable | BadAnswer)


def _offset_of(address: object, before: int) -> int:
    """Read the offset in `next`. Raises BadAnswer if it is not larger than the one before.

    Only this number is taken from the address, never its host, so that the token is sent to the
    configured service alone, and a proxy that passes Spotify's own addresses on works too.
    """
    if not isinstance(address, str):
        raise BadAnswer("the link to the next page is not an address")
    try:
        offset = int(parse_qs(urlsplit(address).query)["offset"][0])
    except (ValueError, KeyError) as error:
        raise BadAnswer("the link to the next page has no offset") from error
    if offset <= before:
        raise BadAnswer("the next page is not further on in the list")
    return offset
