"""The HTTP client for both of Spotify's services: bounded in time and size, with our own errors."""

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.iostream import UnsatisfiableReadError
from tornado.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)

from server import __version__
from server.errors import BadAnswer, ConnectionCut, SpotifyTimeout, SpotifyUnavailable
from server.observability.scrubber import MASK, SECRET_FIELDS
from server.spotify import lenient_json
from server.spotify.proxy import Proxies, Proxy, TunnelClient
from server.spotify.quotation import MAX_QUOTE_LENGTH, quotable

MAX_BODY_BYTES = 2 * 1024 * 1024  # decompressed; five times the longest page of Spotify
MAX_HEAD_BYTES = 16 * 1024
REQUEST_SECONDS = 20.0
CONNECT_SECONDS = 5.0
MAX_SECRET_LENGTH = 4096  # characters; longer tokens are refused
USUAL_PORTS = {"http": 80, "https": 443}

# What Tornado's client raises: its own errors and the system's, ValueError for an invalid address
# or header, RuntimeError once closed, UnsatisfiableReadError for a head that is too long.
FAILURES = (HTTPClientError, OSError, ValueError, RuntimeError, UnsatisfiableReadError)


@dataclass(frozen=True)
class Response:
    """A response with any status.

    `secrets` were in the request; they are masked in quotes, which are logged and stored.
    """

    status: int
    headers: HTTPHeaders
    body: bytes
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def json(self) -> dict[str, Any]:
        """Decode the body, leniently, as a JSON object. Raises BadAnswer if it is not one."""
        try:
            content = lenient_json.decode(self.body)
        except ValueError as error:
            raise BadAnswer(f"not JSON: {self.text()!r}") from error
        if not isinstance(content, dict):
            raise BadAnswer(f"not a JSON object: {self.text()!r}")
        return content

    def reason(self) -> str:
        """Return why Spotify refused the request.

        It says so in `{"error": {"status", "message"}}`, in `{"error"}`, or as plain text.
        """
        try:
            error = self.json().get("error")
        except BadAnswer:
            return self.text()
        message = error.get("message") if isinstance(error, dict) else error
        if message is None:
            return ""
        return self.quote(message) if isinstance(message, str) else self.text()

    def code(self) -> str:
        """Return Spotify's code in `{"error": {"reason"}}`, such as QUOTA_EXCEEDED; else ""."""
        try:
            error = self.json().get("error")
        except BadAnswer:
            return ""
        code = error.get("reason") if isinstance(error, dict) else None
        return self.quote(code) if isinstance(code, str) else ""

    def text(self) -> str:
        """Return the start of the body, for an operator to read."""
        return self.quote(
            self.body[: MAX_QUOTE_LENGTH + MAX_SECRET_LENGTH].decode("utf-8", "replace")
        )

    def quote(self, text: str) -> str:
        """Return the start of a text from the response, with secrets of the request masked."""
        text = text[: MAX_QUOTE_LENGTH + MAX_SECRET_LENGTH]
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return quotable(text)


def _secrets_of(headers: dict[str, str], body: str | None) -> tuple[str, ...]:
    """Return the secrets in a request, which a response might repeat."""
    form = dict(parse_qsl(body or ""))
    given = [headers.get("Authorization", "").partition(" ")[2]]
    given += [form[name] for name in SECRET_FIELDS & form.keys()]
    return tuple(each for each in given if each)


class _Client(SimpleAsyncHTTPClient):
    """Tornado's client, which has no support for proxies, with connections that have."""

    def initialize(self, proxies: Proxies, **options: Any) -> None:  # type: ignore[override]
        super().initialize(**options)
        self.tcp_client = TunnelClient(proxies, self.resolver)


class Transport:
    """An HTTP client that uses the environment's proxy and follows no redirects.

    `seconds` is the time limit of one request. Without `proxies` it reads the environment.
    """

    def __init__(self, seconds: float = REQUEST_SECONDS, proxies: Proxies | None = None) -> None:
        self._proxies = proxies or Proxies()
        self._http = _Client(
            force_instance=True,
            proxies=self._proxies,
            max_body_size=MAX_BODY_BYTES,
            max_header_size=MAX_HEAD_BYTES,
        )
        self._seconds = seconds

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: str | None = None
    ) -> Response:
        """Send one request, and return the response, whatever its status.

        Raises SpotifyTimeout; ConnectionCut if the connection breaks or the answer is not HTTP;
        SpotifyUnavailable if there is no connection.
        """
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
        except HTTPStreamClosedError as error:
            raise ConnectionCut("connection cut, or not HTTP, or over 2 MiB") from error
        except HTTPTimeoutError as error:
            raise SpotifyTimeout(f"no answer in {self._seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise SpotifyUnavailable(
                f"the certificate of {urlsplit(url).hostname} is not trusted "
                f"({error.verify_message}); behind a company's proxy, SSL_CERT_FILE names a file "
                "with its certificates"
            ) from error
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            raise ConnectionCut(str(error)) from error
        except FAILURES as error:
            raise SpotifyUnavailable(str(error) or type(error).__name__) from error
        return Response(answer.code, answer.headers, answer.body, _secrets_of(headers, body))

    async def find_proxy(self, url: str) -> Proxy | None:
        """Return the proxy for an address, if any, after opening a tunnel there as a test.

        Raises ProxyFailed.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or USUAL_PORTS[parts.scheme]
        proxy = self._proxies.find(parts.scheme, host, port)
        if proxy is not None:
            client = TunnelClient(self._proxies, self._http.resolver)
            (await client.try_tunnel(proxy, host, port, CONNECT_SECONDS)).close()
        return proxy

    def close(self) -> None:
        """Close the client and its connections."""
        self._http.close()
