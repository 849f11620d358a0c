"""The exceptions of Freshet. Only handlers and `cli.py` translate them for clients and people.

FreshetError                     500
├── SettingsError                     wrong or missing settings, all of them at once
├── AddressUnavailable                the address to listen on is not available
├── DecryptionFailed                  encrypted with a key that is not in SECRET
├── DatabaseError                503
│   ├── DatabaseUnavailable      503  no connection, or a lost one
│   ├── SchemaMismatch           503  the schema is behind or ahead of this program
│   ├── DatabaseUnsuitable       503  reachable, but lacks what Freshet needs
│   ├── LockLost                 503  the lock now belongs to another process
│   └── EmbeddedPostgresError    503  the embedded PostgreSQL cannot be created or started
├── SpotifyError                 502
│   ├── SpotifyUnavailable       502  5xx, lost or refused connection
│   │   ├── ConnectionCut        502  the connection ended before the answer was complete
│   │   └── SpotifyTimeout       504  no answer in time
│   ├── BadAnswer                502  not JSON, too long, or of another shape
│   ├── TokenRejected            502  401: the access token is invalid or has expired
│   ├── CredentialsRejected      502  the accounts service refuses CLIENT_ID, CLIENT_SECRET
│   ├── InvalidGrant             502  a code or refresh token is invalid or has expired
│   ├── EndpointRestricted       502  403, 404, 410: not available to this app
│   ├── MarketRefused            502  400: Spotify does not serve this market
│   ├── AppRefused               502  403 with another cause: Premium, scope
│   │   └── UserRefused          502  the user is not registered with this app
│   └── Paused                   503  no call may be made for some seconds
│       ├── RateLimited          503  429, or cut connections: Spotify needs a pause
│       └── QuotaSpent           503  the calls of a day are used up
├── LoginFailed                  4xx, 5xx: a class for each cause: `server/login/errors.py`
└── RequestError                 4xx; those of single routes: `server/request_errors.py`
"""

from dataclasses import dataclass
from typing import Any

MOST_REPEATED = 100  # characters of what a client sent


@dataclass(frozen=True)
class QuotaPolicy:
    """How often something may be requested: `quota` times in `window` seconds.

    Without a window it may be in progress `quota` times at once. Source:
    draft-ietf-httpapi-ratelimit-headers-10.
    """

    name: str
    quota: int
    window: int | None = None

    def headers(self, left: int = 0, seconds: int | None = None) -> dict[str, str]:
        """Return the headers that say how many are `left`, and after how many seconds more are."""
        unit = ';qu="concurrent-requests"' if self.window is None else f";w={self.window}"
        until = "" if seconds is None or self.window is None else f";t={seconds}"
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota}{unit}',
            "RateLimit": f'"{self.name}";r={left}{until}',
        }


class FreshetError(Exception):
    """Base of all exceptions of Freshet, with what an HTTP client may learn of them.

    `status` is the HTTP status, `kind` the last part of the problem's `type` (RFC 9457), `title`
    its title, and `retry_after` the seconds of `Retry-After`. `quota_policy` is the limit that
    was reached. The exception's text is for operators, and sent to clients only if the class is
    `public`.
    """

    status = 500
    kind = "internal-error"
    title = "Something went wrong on our side"
    public = False
    retry_after: int | None = None
    quota_policy: QuotaPolicy | None = None

    def retry_headers(self) -> dict[str, str]:
        """Return the headers that say when to try again, and which limit was reached."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.quota_policy is not None:
            headers |= self.quota_policy.headers(0, self.retry_after)
        return headers


class SettingsError(FreshetError):
    """Settings are missing or wrong; `faults` maps the name of each to its fault and fix."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        self.faults = faults


class AddressUnavailable(FreshetError):
    """The address to listen on is in use, of another machine, or invalid; the text says which."""


class DecryptionFailed(FreshetError):
    """Encrypted data that none of the keys in SECRET decrypts."""


class DatabaseError(FreshetError):
    """A fault of the database, which an operator must fix or which ends by itself.

    `fault` says what is wrong and `fix` what to do, if that is known; the text has both.
    """

    status = 503
    kind = "database-unavailable"
    title = "The database is unavailable"
    retry_after = 10

    def __init__(self, fault: str, fix: str | None = None) -> None:
        super().__init__(f"{fault}: {fix}" if fix else fault)
        self.fault, self.fix = fault, fix


class DatabaseUnavailable(DatabaseError):
    """No connection could be made, or it was lost; trying again may help."""


class SchemaMismatch(DatabaseError):
    """The tables belong to another version of Freshet, or to another program."""


class DatabaseUnsuitable(DatabaseError):
    """The database is reachable but cannot be used; the text says why, and what to do."""


class LockLost(DatabaseError):
    """A lock was lost with its connection, and another process may hold it now."""


class EmbeddedPostgresError(DatabaseError):
    """The embedded PostgreSQL could not be created, started or reached; the text says why."""


class SpotifyError(FreshetError):
    """Spotify did not answer a request, or not as documented."""

    status = 502
    kind = "spotify-unavailable"
    title = "Spotify's response could not be used"


class SpotifyUnavailable(SpotifyError):
    """A 5xx or a broken connection; transient."""


class ConnectionCut(SpotifyUnavailable):
    """A connection that ended before the answer was complete; transient."""


class SpotifyTimeout(SpotifyUnavailable):
    """No response within the timeout; transient."""

    status = 504


class BadAnswer(SpotifyError):
    """A 2xx whose body is not JSON, is too long, or has another shape than documented."""


class TokenRejected(SpotifyError):
    """A 401 of the Web API; `expired` is whether a new token would help."""

    def __init__(self, message: str, *, expired: bool) -> None:
        super().__init__(message)
        self.expired = expired


class CredentialsRejected(SpotifyError):
    """The accounts service refuses CLIENT_ID and CLIENT_SECRET."""


class InvalidGrant(SpotifyError):
    """The accounts service refuses a code or refresh token; the text is its description."""


class EndpointRestricted(SpotifyError):
    """This app may not use this endpoint; `missing` is whether it was a 404, of an unknown id."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class MarketRefused(SpotifyError):
    """Spotify does not serve the market of the request; it may serve others."""


class AppRefused(SpotifyError):
    """A 403 that concerns the app or its owner; the text is Spotify's message."""


class UserRefused(AppRefused):
    """A 403 because this user is not registered on the app's dashboard; other tokens work."""


class Paused(SpotifyError):
    """No call to `bucket` may be made for `seconds`."""

    status = 503
    kind = "rate-limited"
    title = "Spotify has asked for a pause"

    def __init__(self, message: str, *, seconds: int, bucket: str | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.bucket = bucket
        self.retry_after = seconds


class RateLimited(Paused):
    """A 429 or a series of cut connections, now or earlier; more calls could prolong the pause."""


class QuotaSpent(Paused):
    """The calls that a bucket may have within 24 hours, or a purpose of them, are used up."""

    kind = "quota-spent"
    title = "The daily quota of calls to Spotify is used up"


class RequestError(FreshetError):
    """An error of the request, which the client can correct; its text is for the client."""

    status = 400
    kind = "bad-request"
    title = "The request cannot be read"
    public = True


def shortened(text: str) -> str:
    """Return a text that a client sent, as an answer repeats it: cut off with … if it is long."""
    return text if len(text) <= MOST_REPEATED else f"{text[: MOST_REPEATED - 1]}…"


@dataclass(frozen=True)
class ParameterFault:
    """One fault of a query string: the parameter, its value, and the reason.

    `nearest` is the valid value next to a value out of bounds, where pages offer that.
    """

    parameter: str
    value: str | None
    reason: str
    nearest: str | None = None

    @property
    def shown(self) -> dict[str, Any]:
        """What a client learns of it."""
        value = self.value and shortened(self.value)
        return {"parameter": self.parameter, "value": value, "reason": self.reason}


class InvalidParameters(RequestError):
    """All faults of a query string, in the order of the parameters."""

    kind = "invalid-parameter"
    title = "A query parameter is invalid"

    def __init__(self, faults: list[ParameterFault]) -> None:
        names = ", ".join(dict.fromkeys(fault.parameter for fault in faults))
        super().__init__(f"Please check: {names}.")
        self.faults = [fault.shown for fault in faults]
        self.nearest = {fault.parameter: fault.nearest for fault in faults if fault.nearest}


class NotFound(RequestError):
    """No resource has the id or the path of the request."""

    status = 404
    kind = "not-found"
    title = "Not Found"


class NoDataYet(RequestError):
    """No sync has ever succeeded; `retry_after` is the seconds to wait before the next try."""

    status = 503
    kind = "nothing-yet"
    title = "No data yet"

    def __init__(self, seconds: int = 5) -> None:
        super().__init__("No sync with Spotify has succeeded yet. Please try again shortly.")
        self.retry_after = seconds
