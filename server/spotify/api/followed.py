"""The artists that an account follows: all pages of its list, by cursor.

Source: developer.spotify.com/documentation/web-api/reference/get-followed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from server.errors import BadAnswer, SpotifyError, TokenRejected
from server.spotify.api.client import SpotifyClient
from server.spotify.api.paging import is_transient
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.object_parser import Credit

PATH = "/me/following"
LIMIT = 50  # artists on a page
MOST_PAGES = 400  # of 20 000 artists
RETRIES = 2  # of pages of one list that fail
PACE = 0.25  # seconds between two pages, so that a long list is no burst
MAX_CURSOR_LENGTH = 200  # characters


class FollowedWalk:
    """One pass over the list of an account.

    `artists` are those read so far, by id in the order of the list, with their names. `doubts` say
    in words what speaks against the list being whole. `calls` counts the answers.
    """

    def __init__(
        self, client: SpotifyClient, tokens: TokenProvider, account_id: str, pace: float = PACE
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._account_id = account_id
        self._pace = pace
        self._retries = RETRIES
        self._unreadable = 0
        self.calls = 0
        self.artists: dict[str, str] = {}
        self.doubts: list[str] = []

    async def run(self) -> None:
        """Read all pages. Raises a SpotifyError or a DatabaseError for one that cannot be read.

        The account's own token is used, never another's: the answer would be another's list.
        """
        after, passed = "", {""}
        while True:
            page = await self._page_or_retry(after)
            self._take(page["items"])
            after = _cursor(page)
            if after in passed:
                break
            passed.add(after)
            if len(passed) > MOST_PAGES:
                self.doubts.append(f"more than {MOST_PAGES * LIMIT} artists")
                break
            await asyncio.sleep(self._pace)
        if page.get("next"):
            self.doubts.append("its pages do not end")
        total = page.get("total")
        if type(total) is int and total > len(self.artists) + self._unreadable:
            self.doubts.append(f"{len(self.artists)} artists of {total}")
        if self._unreadable:
            self.doubts.append(f"{self._unreadable} artists unreadable")

    async def _page_or_retry(self, after: str) -> Mapping[str, Any]:
        try:
            return await self._page(after)
        except SpotifyError as error:
            is_of_token = isinstance(error, TokenRejected) and error.expired
            if not self._retries or not (is_of_token or is_transient(error)):
                raise
        self._retries -= 1
        return await self._page_or_retry(after)

    async def _page(self, after: str) -> Mapping[str, Any]:
        token = await self._tokens.token_of(self._account_id)
        cursor = {"after": after} if after else {}
        try:
            answer = await self._client.get_as(
                token, PATH, bucket=PATH, type="artist", limit=LIMIT, **cursor
            )
        except TokenRejected:
            self._tokens.reject(token)
            raise
        self.calls += 1
        page = answer.get("artists")
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise BadAnswer("the answer has no artists.items")
        return page

    def _take(self, items: list[Any]) -> None:
        for item in items:
            try:
                artist = Credit.model_validate(item)
            except ValidationError:
                self._unreadable += 1
            else:
                self.artists.setdefault(artist.spotify_id, artist.name)


def _cursor(page: Mapping[str, Any]) -> str:
    """Return the cursor of the next page, "" after the last. Raises BadAnswer for an unusable one.

    Of the address in `next` only the cursor is used, never its host, so that the token is sent to
    the configured service alone.
    """
    address, cursors = page.get("next"), page.get("cursors")
    if not address and "next" in page:
        return ""
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if not isinstance(after, str) or not after:
        after = _cursor_in(address)
    if len(after) > MAX_CURSOR_LENGTH or not after.isprintable():
        raise BadAnswer("the cursor of the next page is unusable")
    return after


def _cursor_in(address: object) -> str:
    """Return the cursor in the address of the next page; "" if it has none."""
    try:
        query = urlsplit(address).query if isinstance(address, str) else ""
    except ValueError:
        return ""
    return parse_qs(query).get("after", [""])[0]
