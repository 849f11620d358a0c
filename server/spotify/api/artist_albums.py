"""The newest albums and singles of one artist.

Spotify sorts an answer by group first, and by date within each, so each group takes a call of its
own. Source: developer.spotify.com/documentation/web-api/reference/get-an-artists-albums; apps in
development mode get at most 10 items a page (observed, undocumented).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.errors import BadAnswer, SpotifyError, SpotifyUnavailable
from server.spotify.api.client import SpotifyClient
from server.spotify.list_parser import parse_items
from server.spotify.object_parser import ParsedRelease

GROUPS = ("album", "single")
LIMIT = 10
MAX_PAGES = 5  # of a group, in one check

GoesOn = Callable[[Sequence[ParsedRelease]], Awaitable[bool]]


@dataclass
class Found:
    """What the answers had: releases credited to the artist, each once, in Spotify's order.

    `statuses` are those of the answers (200 or 304), `etags` the ETags of each group's first page.
    `skipped` counts items that could not be used, or that do not credit the artist. `failure` is
    why a group could not be read, of which there is nothing then.
    """

    releases: dict[str, ParsedRelease] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    skipped: int = 0
    failure: SpotifyError | None = None


class ArtistAlbums:
    """Reads the first page of each group, and further pages where there may be more that is new."""

    def __init__(self, client: SpotifyClient) -> None:
        self._client = client

    @property
    def token_age(self) -> int | None:
        """The age in seconds of the access token in use."""
        return self._client.token_age()

    async def fetch(self, artist: str, etags: Mapping[str, str], goes_on: GoesOn) -> Found:
        """Fetch the newest releases of an artist, by Spotify's id.

        `etags` are those of the last answers. `goes_on` says whether to read the page after one
        with these releases. No call is made unless both groups may be read now.

        An answer that is missing or unusable fails its group alone, all other errors also those
        that are not read yet. Raises no SpotifyError: it is the `failure`.
        """
        path, found = f"/artists/{artist}/albums", Found()
        try:
            await self._client.check(path, len(GROUPS))
            for group in GROUPS:
                try:
                    await self._read(path, artist, group, etags.get(group), goes_on, found)
                except (SpotifyUnavailable, BadAnswer) as error:
                    found.failure = error
        except SpotifyError as error:
            found.failure = error
        return found

    async def _read(
        self,
        path: str,
        artist: str,
        group: str,
        etag: str | None,
        goes_on: GoesOn,
        found: Found,
    ) -> None:
        """Add the releases of one group, all pages or none: the next check would stop at those."""
        releases: list[ParsedRelease] = []
        first_etag: str | None = None
        for page in range(MAX_PAGES):
            offset = {"offset": page * LIMIT} if page else {}
            answer = await self._client.get_unless(
                path, None if page else etag, include_groups=group, limit=LIMIT, **offset
            )
            found.statuses.append(304 if answer.content is None else 200)
            if answer.content is None:
                found.etags[group] = answer.etag or etag or ""
                return
            theirs, skipped = _take(answer.content, artist)
            releases += theirs
            found.skipped += skipped
            # A page with an item that could not be used is read again as a whole.
            if not page and not skipped:
                first_etag = answer.etag
            whole = answer.content.get("next") is not None and bool(theirs)
            if not whole or not await goes_on(theirs):
                break
        for release in releases:
            found.releases.setdefault(release.spotify_id, release)
        if first_etag:
            found.etags[group] = first_etag


def _take(content: dict[str, Any], artist: str) -> tuple[list[ParsedRelease], int]:
    """Return the releases of a page, and how many of its items were not used."""
    items = content.get("items")
    if not isinstance(items, list):
        raise BadAnswer("an answer without items")
    page = parse_items(items[: 5 * LIMIT])
    theirs = [
        each for each in page.releases if artist in (credit.spotify_id for credit in each.artists)
    ]
    return theirs, page.skipped + len(page.releases) - len(theirs)
