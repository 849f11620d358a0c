"""The newest albums and singles of one artist.

Spotify sorts an answer by group first, and by date within each, so each group takes a call of its
own. Source: developer.spotify.com/documentation/web-api/reference/get-an-artists-albums; apps in
development mode get at most 10 items a page (observed, undocumented).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.errors import BadAnswer
from server.spotify.api.client import SpotifyClient
from server.spotify.list_parser import parse_items
from server.spotify.object_parser import ParsedRelease

GROUPS = ("album", "single")
LIMIT = 10
MAX_PAGES = 5  # of a group, in one check

AllUnknown = Callable[[Sequence[str]], Awaitable[bool]]


@dataclass
class Found:
    """What the answers had: releases credited to the artist, each once, in Spotify's order.

    `statuses` are those of the answers (200 or 304), `etags` the ETags of each group's first page.
    `skipped` counts items that could not be used, or that do not credit the artist.
    """

    releases: dict[str, ParsedRelease] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    skipped: int = 0


class ArtistAlbums:
    """Reads the first page of each group, and further pages as long as all of one is unknown."""

    def __init__(self, client: SpotifyClient) -> None:
        self._client = client

    @property
    def token_age(self) -> int | None:
        """The age in seconds of the access token in use."""
        return self._client.token_age()

    async def fetch(
        self, artist: str, etags: Mapping[str, str], all_unknown: AllUnknown | None
    ) -> Found:
        """Fetch the newest releases of an artist, by Spotify's id.

        `etags` are those of the last answers. `all_unknown` says whether none of some ids is
        stored; without it, only the first page of each group is read. Raises a SpotifyError, and
        RateLimited or QuotaSpent without a call unless both groups may be read now.
        """
        path, found = f"/artists/{artist}/albums", Found()
        await self._client.check(path, len(GROUPS))
        for group in GROUPS:
            await self._read(path, artist, group, etags.get(group), all_unknown, found)
        return found

    async def _read(
        self,
        path: str,
        artist: str,
        group: str,
        etag: str | None,
        all_unknown: AllUnknown | None,
        found: Found,
    ) -> None:
        for page in range(MAX_PAGES):
            offset = {"offset": page * LIMIT} if page else {}
            answer = await self._client.get_unless(
                path, None if page else etag, include_groups=group, limit=LIMIT, **offset
            )
            found.statuses.append(304 if answer.content is None else 200)
            if answer.content is None:
                found.etags[group] = answer.etag or etag or ""
                return
            ids, skipped = _take(answer.content, artist, found)
            found.skipped += skipped
            # A page with an item that could not be used is read again as a whole.
            if not page and answer.etag and not skipped:
                found.etags[group] = answer.etag
            whole = answer.content.get("next") is not None and bool(ids)
            if all_unknown is None or not whole or not await all_unknown(ids):
                return


def _take(content: dict[str, Any], artist: str, found: Found) -> tuple[list[str], int]:
    """Add the releases of a page; return their ids, and how many items were not used."""
    items = content.get("items")
    if not isinstance(items, list):
        raise BadAnswer("an answer without items")
    page = parse_items(items[: 5 * LIMIT])
    theirs = [
        each for each in page.releases if artist in (credit.spotify_id for credit in each.artists)
    ]
    for release in theirs:
        found.releases.setdefault(release.spotify_id, release)
    foreign = len(page.releases) - len(theirs)
    return [each.spotify_id for each in theirs], page.skipped + foreign
