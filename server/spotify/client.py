"""The Web API: one authorised GET, its refusals told apart by what their bodies say."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from server.errors import (
    AppRefused,
    BadAnswer,
    EndpointRestricted,
    RateLimited,
    SpotifyError,
    SpotifyUnavailable,
    TokenRejected,
    UserRefused,
)
from server.spotify.tokens import TokenKeeper
from server.spotify.transport import Response, Transport, quotable

DEFAULT_PAUSE = 15 * 60  # seconds, when a 429 names none
LONGEST_PAUSE = 48 * 3600
MISSING_TOKEN = "Access token missing"  # noqa: S105 - Spotify's words
MISSING_TOKEN_DELAY = 0.3  # seconds
OF_THE_APP = ("premium", "scope")  # in a 403 that has not to do with the endpoint
OF_THE_USER = "registered"


class SpotifyClient:
    """Asks `url` (such as https://api.spotify.com/v1); `calls` counts what was sent."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenKeeper,
        url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._url = url
        self._now = now
        self.calls = 0

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """GET `path`; the answer's JSON object.

        The call is repeated once: with a new token if the old one has expired, with the same if
        Spotify says it did not see it, which it does by mistake, and with the app's if Spotify does
        not serve the user behind it. Raises a SpotifyError for everything but a 200 with JSON.
        """
        token = await self._tokens.access_token()
        try:
            return await self._send(token, path, parameters)
        except TokenRejected as error:
            if error.expired:
                self._tokens.reject(token)
            else:
                await asyncio.sleep(MISSING_TOKEN_DELAY)
        except UserRefused as error:
            if not await self._tokens.abandon(token, str(error)):
                raise
        return await self._send(await self._tokens.access_token(), path, parameters)

    async def get_as(self, token: str, path: str, **parameters: str | int) -> dict[str, Any]:
        """GET `path` with a token of the caller's, as when somebody logs in."""
        try:
            return await self._send(token, path, parameters)
        except TokenRejected as error:
            if error.expired:
                raise
        await asyncio.sleep(MISSING_TOKEN_DELAY)
        return await self._send(token, path, parameters)

    async def _send(
        self, token: str, path: str, parameters: dict[str, str | int]
    ) -> dict[str, Any]:
        url = f"{self._url}{path}?{urlencode(parameters)}" if parameters else self._url + path
        self.calls += 1
        response = await self._transport.send("GET", url, {"Authorization": f"Bearer {token}"})
        if response.status == 200:
            return response.json()
        refusal = diagnose(response, self._now())
        if isinstance(refusal, RateLimited):
            refusal.bucket = path
        raise refusal


def diagnose(response: Response, now: datetime) -> SpotifyError:
    """What a status other than 200 means.

    Source: developer.spotify.com/documentation/web-api/concepts/api-calls, and answers seen.
    """
    message = _message(response)
    said = f"{response.status} {message}".strip()
    if response.status == 401:
        return TokenRejected(said, expired=message != MISSING_TOKEN)
    if response.status == 429:
        return RateLimited(said, seconds=pause(response.headers.get("Retry-After"), now))
    if response.status == 403 and OF_THE_USER in message.lower():
        return UserRefused(said)
    if response.status == 403 and any(cause in message.lower() for cause in OF_THE_APP):
        return AppRefused(said)
    if response.status in (403, 404, 410):
        return EndpointRestricted(said)
    if response.status >= 500:
        return SpotifyUnavailable(said)
    return BadAnswer(said)


def _message(response: Response) -> str:
    """The reason in the body: `{"error": {"status", "message"}}`, or plain text."""
    try:
        error = response.json().get("error")
    except BadAnswer:
        return response.text()
    message = error.get("message") if isinstance(error, dict) else error
    return "" if message is None else quotable(str(message))


def pause(retry_after: str | None, now: datetime) -> int:
    """Seconds to keep away: `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3)."""
    try:
        seconds = int(retry_after or "")
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after or "")
            seconds = int((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
        except (ValueError, OverflowError):
            seconds = DEFAULT_PAUSE
    return min(max(seconds, 1), LONGEST_PAUSE)
