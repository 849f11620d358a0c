"""Where new releases come from: which endpoint to ask, and its pages."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from server.errors import BadAnswer, EndpointRestricted, RateLimited
from server.spotify.client import SpotifyClient

SourceName = Literal["new-releases", "search"]
PROBE_AGAIN = timedelta(days=1)
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
class Verdict:
    """What an app was last told about a source; `reason` is Spotify's."""

    allowed: bool
    reason: str | None
    probed_at: datetime


@dataclass(frozen=True)
class Page:
    """One page: raw items, the next one's address as it came, the claimed total."""

    items: list[Any]
    next: Any
    total: int | None


@dataclass(frozen=True)
class Choice:
    """The source to sweep, its first page, and the verdicts that choosing has brought."""

    source: SourceName
    first: Page
    verdicts: dict[SourceName, Verdict]


async def choose(
    client: SpotifyClient,
    setting: Literal["auto", "new-releases", "search"],
    verdicts: Mapping[SourceName, Verdict],
    now: datetime,
) -> Choice:
    """Take new-releases where this app may, search otherwise; `setting` can force one.

    The kind of an app shows only in Spotify's answers, so the first page is the probe. A refusal is
    believed when search answers with the same token; it is then remembered for a day. A pause that
    Spotify asks for on new-releases does not stop search, and is no refusal.
    """
    if setting != "auto":
        return Choice(setting, await page(client, setting, 0), {})
    learnt: dict[SourceName, Verdict] = {}
    known = verdicts.get("new-releases")
    if known is None or known.allowed or now - known.probed_at >= PROBE_AGAIN:
        try:
            first = await page(client, "new-releases", 0)
            return Choice("new-releases", first, {"new-releases": Verdict(True, None, now)})
        except EndpointRestricted as error:
            learnt["new-releases"] = Verdict(False, str(error), now)
        except RateLimited:
            pass  # it concerns this endpoint alone, and will pass
    first = await page(client, "search", 0)
    return Choice("search", first, learnt | {"search": Verdict(True, None, now)})


async def page(client: SpotifyClient, source: SourceName, offset: int) -> Page:
    """One page of `source`, in the paging object that both endpoints put under `albums`."""
    endpoint = ENDPOINTS[source]
    answer = await client.get(
        endpoint.path, **endpoint.parameters, limit=endpoint.limit, offset=offset
    )
    return read_page(answer)


async def pages(client: SpotifyClient, choice: Choice, max_releases: int) -> AsyncIterator[Page]:
    """The pages of a sweep, the chosen first one included.

    Ends when Spotify names no next page, a page is empty, `max_releases` items have come, or search
    would refuse to go deeper. Totals and page lengths are not relied on, for they vary in the
    middle of a sweep. Raises BadAnswer for a next page that leads nowhere.
    """
    current, offset, seen = choice.first, 0, 0
    limit = ENDPOINTS[choice.source].limit
    for _ in range(2 + 3 * max_releases // limit):
        yield current
        seen += len(current.items)
        if not current.next or not current.items or seen >= max_releases:
            return
        offset = _offset_of(current.next, offset)
        if offset + limit > DEEPEST:
            return
        current = await page(client, choice.source, offset)
    raise BadAnswer(f"{choice.source} names a next page for ever")


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


def _offset_of(address: object, before: int) -> int:
    """The offset that `next` names, which must be further on.

    Only this number is taken from the address, never its host: the token goes nowhere but to the
    configured service, and a proxy that passes Spotify's own addresses on works too.
    """
    try:
        offset = int(parse_qs(urlsplit(str(address)).query)["offset"][0])
    except (ValueError, KeyError) as error:
        raise BadAnswer("a next page without an offset") from error
    if offset <= before:
        raise BadAnswer("a next page that is not further on")
    return offset
