"""Issues codes and tokens, and knows which of them are still valid.

Tokens contain their own data under a signature, so that a restarted stand-in still knows the tokens
that a program has stored. Only codes and revocations are held in memory.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final

import orjson

ACCESS_TOKEN_LIFE: Final = 3600
"""Seconds; `expires_in` of every token response."""
CODE_LIFE: Final = timedelta(minutes=10)
CONSENT_MONTHS: Final = 6
"""Calendar months from a user's consent to the end of its refresh tokens, used or not."""


class GrantError(Exception):
    """A refused grant; its text is the `error_description` of `invalid_grant`."""


@dataclass(frozen=True)
class Consent:
    """What a user has agreed to, and when."""

    user: Mapping[str, str]
    scopes: frozenset[str]
    at: datetime


@dataclass(frozen=True)
class Code:
    """What belongs to an authorisation code, and must come back with it."""

    consent: Consent
    redirect_uri: str
    challenge: str
    """The S256 code challenge, empty without PKCE."""


@dataclass(frozen=True)
class AccessToken:
    """What an access token represents; `user` is None for the app's own."""

    user: Mapping[str, str] | None
    scopes: frozenset[str]
    expired: bool


class TokenIssuer:
    """Issues and reads codes and tokens by the injected clock."""

    def __init__(self, secret: str, clock: Callable[[], datetime]) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._codes: dict[str, Code] = {}
        self._handed_out: dict[str, set[str]] = {"access": set(), "refresh": set()}
        self._dead: set[str] = set()
        self.rotate = False
        """Whether a refresh issues a new refresh token and revokes the old one."""

    def issue_code(self, code: Code) -> str:
        """Issue an authorisation code, which is valid once and for ten minutes."""
        value = "AQ" + token_urlsafe(48)
        self._codes[value] = code
        return value

    def redeem_code(self, value: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """Return the token response for a code. Raises GrantError."""
        code = self._codes.pop(value, None)
        if code is None:
            raise GrantError("Invalid authorization code")
        if self._clock() >= code.consent.at + CODE_LIFE:
            raise GrantError("Authorization code expired")
        if code.redirect_uri != redirect_uri:
            raise GrantError("Invalid redirect URI")
        if code.challenge not in ("", challenge_of(verifier)):
            raise GrantError("code_verifier was incorrect")
        answer = self.issue_access(code.consent)
        return answer | {"refresh_token": self._issue_refresh(code.consent)}

    def refresh(self, value: str) -> dict[str, Any]:
        """Return the token response for a refresh token. Raises GrantError."""
        stored = self._read("refresh", value)
        if stored is None:
            raise GrantError("Invalid refresh token")
        if value in self._dead:
            raise GrantError("Refresh token revoked")
        consent = Consent(
            stored["user"], frozenset(stored["scopes"]), datetime.fromisoformat(stored["at"])
        )
        if self._clock() >= months_later(consent.at, CONSENT_MONTHS):
            raise GrantError("Refresh token expired")
        answer = self.issue_access(consent)
        if self.rotate:
            self._dead.add(value)
            answer["refresh_token"] = self._issue_refresh(consent)
        return answer

    def issue_access(self, consent: Consent | None = None) -> dict[str, Any]:
        """Return a token response without refresh token; without `consent` it is the app's own."""
        expires = self._clock() + timedelta(seconds=ACCESS_TOKEN_LIFE)
        scopes = sorted(consent.scopes) if consent else []
        content = {
            "user": consent.user if consent else None,
            "scopes": scopes,
            "expires": expires.isoformat(),
        }
        answer: dict[str, Any] = {
            "access_token": self._write("access", content),
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_LIFE,
        }
        return answer | {"scope": " ".join(scopes)} if consent else answer

    def access(self, value: str) -> AccessToken | None:
        """Return what an access token represents, None if it was not issued here."""
        content = self._read("access", value)
        if content is None:
            return None
        over = self._clock() >= datetime.fromisoformat(content["expires"])
        expired = over or value in self._dead
        return AccessToken(content["user"], frozenset(content["scopes"]), expired)

    def revoke_all(self, kind: str) -> None:
        """Invalidate every "access" or "refresh" token issued so far."""
        self._dead |= self._handed_out[kind]

    def _issue_refresh(self, consent: Consent) -> str:
        content = {
            "user": consent.user,
            "scopes": sorted(consent.scopes),
            "at": consent.at.isoformat(),
        }
        return self._write("refresh", content)

    def _write(self, kind: str, content: dict[str, Any]) -> str:
        body = urlsafe_b64encode(orjson.dumps(content | {"nonce": token_urlsafe(9)})).decode()
        token = f"{body}.{self._signature(kind, body)}"
        self._handed_out[kind].add(token)
        return token

    def _read(self, kind: str, token: str) -> dict[str, Any] | None:
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(kind, body).encode()):
            return None
        content: dict[str, Any] = orjson.loads(urlsafe_b64decode(body))
        return content

    def _signature(self, kind: str, body: str) -> str:
        return hmac.new(self._secret, f"{kind}.{body}".encode(), sha256).hexdigest()


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a code verifier (RFC 7636 section 4.2)."""
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def months_later(moment: datetime, months: int) -> datetime:
    """Return the same day and time `months` later, or the last day of a shorter month."""
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
