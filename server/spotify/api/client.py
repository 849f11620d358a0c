"""The client of the Web API: authorised GET requests, and an error class for each refusal."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from server.errors import (
    AppRefused,
    BadAnswer,
    EndpointRestricted,
    MarketRefused,
    SpotifyError,
    SpotifyUnavailable,
    TokenRejected,
    UserRefused,
)
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.limits.quota import bucket_of
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.transport import Response, Transport
from server.spotify.types import Purpose

MISSING_TOKEN = "Access token missing"  # noqa: S105 - Spotify's words
MISSING_TOKEN_DELAY = 0.3  # seconds
MAX_ETAG_LENGTH = 200  # characters; a longer one is not used
OF_THE_APP = ("premium", "scope")  # in a 403 that concerns the whole app
OF_THE_USER = "registered"  # in a 403 that concerns the user
OF_THE_MARKET = "market"  # in a 400: Unlaunched market, Invalid market code


@dataclass(frozen=True)
class Answer:
    """The JSON object of an answer, None if it has not changed (304), and its ETag, if any."""

    content: dict[str, Any] | None
    etag: str | None


class SpotifyClient:
    """Calls the Web API at `url`, such as https://api.spotify.com/v1; `calls` counts requests.

    `purpose` decides how much of the quota the client may use.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: TokenProvider,
        limiter: RateLimiter,
        url: str,
        purpose: Purpose = "background",
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._limiter = limiter
        self._url = url
        self._purpose = purpose
        self.calls = 0

    @property
    def client_id(self) -> str:
        """The client id of the app that calls."""
        return self._limiter.store.client_id

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """GET `path`, and return the JSON object of the answer.

        The call is repeated once: with a new token if the old one has expired, with the same one if
        Spotify claims by mistake that it was missing, and with the app's own if Spotify does not
        serve the user. Raises a SpotifyError for everything but a 200 with a JSON object, and
        RateLimited or QuotaSpent without a call if none may be made now.
        """
        return (await self._get(path, parameters)).json()

    async def get_unless(self, path: str, etag: str | None, **parameters: str | int) -> Answer:
        """GET `path`, unless it still has the ETag `etag` (If-None-Match, RFC 9110 section 13.1.2).

        Raises a SpotifyError as `get` does.
        """
        response = await self._get(path, parameters, etag)
        received = response.headers.get("ETag")
        if (
            received is None
            or len(received) > MAX_ETAG_LENGTH
            or not (received.isascii() and received.isprintable())
        ):
            received = None
        if response.status == 304:
            return Answer(None, received or etag)
        return Answer(response.json(), received)

    async def _get(
        self, path: str, parameters: dict[str, str | int], etag: str | None = None
    ) -> Response:
        token = await self._tokens.access_token()
        try:
            return await self._send(token, path, parameters, etag=etag)
        except TokenRejected as error:
            if error.expired:
                self._tokens.reject(token)
            else:
                await asyncio.sleep(MISSING_TOKEN_DELAY)
        except UserRefused as error:
            if not await self._tokens.abandon(token, str(error)):
                raise
        return await self._send(await self._tokens.access_token(), path, parameters, etag=etag)

    async def get_as(
        self, token: str, path: str, bucket: str | None = None, **parameters: str | int
    ) -> dict[str, Any]:
        """GET `path` with the caller's token, as for a login; count the call in `bucket` if given.

        Raises a SpotifyError as `get` does; TokenRejected if the token has expired.
        """
        try:
            return (await self._send(token, path, parameters, bucket)).json()
        except TokenRejected as error:
            if error.expired:
                raise
        await asyncio.sleep(MISSING_TOKEN_DELAY)
        return (await self._send(token, path, parameters, bucket)).json()

    def token_age(self) -> int | None:
        """Return the age in seconds of the access token in memory; None if there is none."""
        return self._tokens.age()

    async def check(self, path: str, calls: int) -> None:
        """Raise RateLimited or QuotaSpent if `path` may not have `calls` calls now; makes none."""
        await self._limiter.check(bucket_of(path), self._purpose, calls)

    def calls_a_day(self, path: str) -> int:
        """Return how many calls `path` may have in 24 hours, for the purpose of this client."""
        return self._limiter.limit(bucket_of(path), self._purpose)

    def calls_left(self, path: str) -> int:
        """Return how many more calls `path` may have now, for the purpose of this client."""
        return self._limiter.room(bucket_of(path), self._purpose)

    async def _send(
        self,
        token: str,
        path: str,
        parameters: dict[str, str | int],
        bucket: str | None = None,
        etag: str | None = None,
    ) -> Response:
        """Send one request; return its 200, or the 304 of a request with an ETag."""
        url = f"{self._url}{path}?{urlencode(parameters)}" if parameters else self._url + path
        headers = {"Authorization": f"Bearer {token}"}
        if etag is not None:
            headers["If-None-Match"] = etag

        async def call() -> Response:
            self.calls += 1
            return await self._transport.send("GET", url, headers)

        response = await self._limiter.call(call, bucket or bucket_of(path), self._purpose)
        if response.status != 200 and not (response.status == 304 and etag is not None):
            raise diagnose(response)
        return response


def diagnose(response: Response) -> SpotifyError:
    """Return the error that a status other than 200 and 429 means.

    `RateLimiter.call` has raised RateLimited for a 429 before. Source:
    developer.spotify.com/documentation/web-api/concepts/api-calls, and observed answers.
    """
    message = response.reason()
    text = f"{response.status} {message}".strip()
    if response.status == 400 and OF_THE_MARKET in message.lower():
        return MarketRefused(text)
    if response.status == 401:
        return TokenRejected(text, expired=message != MISSING_TOKEN)
    if response.status == 403 and OF_THE_USER in message.lower():
        return UserRefused(text)
    if response.status == 403 and any(cause in message.lower() for cause in OF_THE_APP):
        return AppRefused(text)
    if response.status in (403, 404, 410):
        return EndpointRestricted(text, missing=response.status == 404)
    if response.status >= 500:
        return SpotifyUnavailable(text)
    return BadAnswer(text)
