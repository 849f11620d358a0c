"""HTTP to Spotify, for both its services: bounded in time and size, errors in our own terms."""

from dataclasses import dataclass
from typing import Any

import orjson
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders

from server import __version__
from server.errors import BadAnswer, SpotifyUnavailable

MAX_BODY_BYTES = 8 * 1024 * 1024
REQUEST_SECONDS = 20.0
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Response:
    """What came back, whatever its status."""

    status: int
    headers: HTTPHeaders
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; BadAnswer if it is none."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise BadAnswer(f"not JSON: {self.text()!r}") from error
        if not isinstance(content, dict):
            raise BadAnswer(f"not a JSON object: {self.text()!r}")
        return content

    def text(self) -> str:
        """The start of the body, for an operator to read."""
        return self.body[:200].decode("utf-8", "replace").strip()


class Transport:
    """One AsyncHTTPClient of our own; redirects are not followed, for none is expected."""

    def __init__(self, seconds: float = REQUEST_SECONDS) -> None:
        self._http = AsyncHTTPClient(force_instance=True, max_body_size=MAX_BODY_BYTES)
        self._seconds = seconds

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: str | None = None
    ) -> Response:
        """Send one request. Raises SpotifyUnavailable on time-outs and broken connections."""
        request = HTTPRequest(
            url,
            method=method,
            headers=headers,
            body=body,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=self._seconds,
            follow_redirects=False,
            user_agent=f"Freshet/{__version__}",
        )
        try:
            answer = await self._http.fetch(request, raise_error=False)
        except (HTTPClientError, OSError) as error:
            raise SpotifyUnavailable(f"{error or type(error).__name__}") from error
        return Response(answer.code, answer.headers, answer.body)

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()
