"""The client of Spotify's accounts service: the consent page, and tokens for grants.

Source: developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow and
…/client-credentials-flow; RFC 6749; RFC 7636 (PKCE).
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from server.config.addresses import entry_of_app
from server.errors import (
    BadAnswer,
    CredentialsRejected,
    InvalidGrant,
    SpotifyError,
    SpotifyUnavailable,
)
from server.spotify.limits.quota import unknown_browsers_bucket
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.transport import Response, Transport
from server.spotify.types import Grant

TOKEN = re.compile(r"[!-~]+")  # the characters allowed in a header, and in a scope
ANY_GRANT = "/api/token"  # the bucket of all grants before 0.2; since then each has its own
MAX_TOKEN_LENGTH = 4096  # characters; it has to fit into a header
MAX_LIFETIME = 86400  # seconds; a longer `expires_in` is cut to this


class Accounts:
    """The client of `GET /authorize` and `POST /api/token`.

    Credentials are sent in the Basic header, never in the URL. Every grant may raise
    CredentialsRejected, InvalidGrant, SpotifyUnavailable, BadAnswer, RateLimited or QuotaSpent.
    """

    def __init__(
        self,
        transport: Transport,
        limiter: RateLimiter,
        url: str,
        client_id: str,
        client_secret: str,
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._client_id = client_id
        self._consent_url = f"{url}/authorize"
        self._url = f"{url}/api/token"
        self.entry = entry_of_app(url)  # the place of the credentials, in words
        self._basic = b64encode(f"{client_id}:{client_secret}".encode()).decode()

    def consent_url(
        self, redirect_uri: str, scopes: Sequence[str], state: str, challenge: str
    ) -> str:
        """Build the address of the consent page for a browser (RFC 6749 section 4.1.1).

        `challenge` is the S256 code challenge. The dialog is always shown: the new consent starts
        another six months, and the user sees which account it is for.
        """
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            **({"scope": " ".join(scopes)} if scopes else {}),
            "state": state,
            "code_challenge_method": "S256",
            "code_challenge": challenge,
            "show_dialog": "true",
        }
        return f"{self._consent_url}?{urlencode(query)}"

    async def client_credentials(self) -> Grant:
        """Request a token for the app itself (RFC 6749 section 4.4)."""
        return await self._request_own({"grant_type": "client_credentials"})

    async def exchange(
        self, code: str, verifier: str, redirect_uri: str, *, known: bool = True
    ) -> Grant:
        """Exchange a code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        Anyone can make up codes, so a 429 to a browser that is not `known` pauses no other call.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        bucket = _bucket_of(form)
        return await self._request(
            form | {"code_verifier": verifier}, bucket if known else unknown_browsers_bucket(bucket)
        )

    async def refresh(self, refresh_token: str) -> Grant:
        """Request a new access token (RFC 6749 section 6); it seldom has a new refresh token."""
        return await self._request_own(
            {"grant_type": "refresh_token", "refresh_token": refresh_token}
        )

    async def _request_own(self, form: dict[str, str]) -> Grant:
        """Request a token for the server, unless an older version stored a pause for all grants."""
        await self._limiter.check(ANY_GRANT, "tokens")
        return await self._request(form, _bucket_of(form))

    async def _request(self, form: dict[str, str], bucket: str) -> Grant:
        headers = {
            "Authorization": f"Basic {self._basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        response = await self._limiter.call(
            lambda: self._transport.send("POST", self._url, headers, urlencode(form)),
            bucket,
            "tokens",
        )
        if response.status != 200:
            raise _refusal(response, self.entry)
        try:
            content = response.json()
        except BadAnswer:  # whose text quotes the body, and so perhaps a token
            raise BadAnswer("the accounts service sent no JSON object") from None
        return _read_grant(content)


def _bucket_of(form: dict[str, str]) -> str:
    return f"{ANY_GRANT}/{form['grant_type']}"


def _refusal(response: Response, entry: str) -> SpotifyError:
    """Make the error for a status other than 200; `invalid_client` comes with 400 or 401."""
    if response.status >= 500:
        return SpotifyUnavailable(f"the accounts service answered {response.status}")
    try:
        content = response.json()
    except BadAnswer:
        content = {}
    error, description = content.get("error"), content.get("error_description")
    if error == "invalid_client":
        return CredentialsRejected(
            f"Spotify does not know this CLIENT_ID and CLIENT_SECRET; compare them with {entry}"
        )
    reason = response.quote(
        " ".join(word for word in (error, description) if isinstance(word, str))
    )
    if error == "invalid_grant":
        return InvalidGrant(reason.removeprefix("invalid_grant").strip() or "invalid_grant")
    return BadAnswer(f"the accounts service answered {response.status}: {reason or 'no reason'}")


def _read_grant(content: dict[str, Any]) -> Grant:
    token, seconds = content.get("access_token"), content.get("expires_in")
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH or not TOKEN.fullmatch(token):
        raise BadAnswer("the accounts service sent no usable token")
    if type(seconds) is not int or seconds <= 0:
        raise BadAnswer("the accounts service sent no usable token for any time")
    refresh, scope = content.get("refresh_token"), content.get("scope")
    if isinstance(refresh, str) and len(refresh) > MAX_TOKEN_LENGTH:
        raise BadAnswer("the accounts service sent a refresh token that is too long")
    words = scope[:MAX_TOKEN_LENGTH].split() if isinstance(scope, str) else None
    return Grant(
        access_token=token,
        expires_in=min(seconds, MAX_LIFETIME),
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        scopes=None if words is None else tuple(filter(TOKEN.fullmatch, words)),
    )
