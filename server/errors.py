"""The family of errors. Deep code raises them; only handlers and `cli.py` translate them.

FreshetError                     500
├── SettingsError                     wrong or missing settings, all of them at once
├── AddressUnavailable                the address to listen on cannot be had
├── Unreadable                        sealed with a key that SECRET does not hold
├── DatabaseError                503
│   ├── DatabaseUnavailable      503  no connection, or it was lost
│   ├── SchemaMismatch           503  the schema is behind or ahead of this program
│   ├── DatabaseUnsuitable       503  it answers, but cannot do what Freshet needs
│   ├── LockLost                 503  another process has got what only one may have
│   └── EmbeddedPostgresError    503  our own PostgreSQL cannot be made or started
├── SpotifyError                 502
│   ├── SpotifyUnavailable       502  5xx, cut or refused connection
│   │   └── SpotifyTimeout       504  no answer in time
│   ├── BadAnswer                502  not JSON, too long, or not of the promised shape
│   ├── TokenRejected            502  401: the access token is not (or no longer) valid
│   ├── CredentialsRejected      502  the accounts service does not know this client
│   ├── InvalidGrant             502  a code or refresh token is not (or no longer) good
│   ├── EndpointRestricted       502  403, 404, 410: this app may not use this endpoint
│   ├── MarketRefused            502  400: Spotify does not serve this market
│   ├── AppRefused               502  403 with another cause: Premium, scope
│   │   └── UserRefused          502  the user is not registered with this app
│   └── Paused                   503  no call may be made for some seconds
│       ├── RateLimited          503  429: Spotify asks for it
│       └── QuotaSpent           503  our own limit of calls a day is reached
├── LoginFailed                  4xx, 5xx: each cause a class in `server/login/errors.py`
└── RequestError                 4xx; refusals of single routes are in `server/request_errors.py`
"""

from dataclasses import asdict, dataclass


class FreshetError(Exception):
    """The root: what a client may be told about it, and under which HTTP status.

    `status` is the HTTP status, `kind` the last part of the problem's `type` (RFC 9457), `title`
    the public sentence. The exception's own text is for operators, unless a class is `public`.
    """

    status = 500
    kind = "internal-error"
    title = "Something went wrong on our side"
    public = False
    retry_after: int | None = None


class SettingsError(FreshetError):
    """Settings are missing or wrong; `faults` maps each setting's name to what mends it."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        self.faults = faults


class AddressUnavailable(FreshetError):
    """The address to listen on is taken, not ours, or no address; the text says which and why."""


class Unreadable(FreshetError):
    """Something sealed that none of our keys opens."""


class DatabaseError(FreshetError):
    """A fault of the database, which an operator or time has to fix.

    `fault` says what is wrong and `fix` what to do, if that is known; the text is both.
    """

    status = 503
    kind = "database-unavailable"
    title = "The database is unavailable"
    retry_after = 10

    def __init__(self, fault: str, fix: str | None = None) -> None:
        super().__init__(f"{fault}: {fix}" if fix else fault)
        self.fault, self.fix = fault, fix


class DatabaseUnavailable(DatabaseError):
    """No connection could be made, or it was lost in the middle; trying again may help."""


class SchemaMismatch(DatabaseError):
    """The tables are those of another version of Freshet, or of another program."""


class DatabaseUnsuitable(DatabaseError):
    """The database answers but cannot be used; the text says why, and how to get one that can."""


class LockLost(DatabaseError):
    """A lock was lost together with its connection, and another process has it now."""


class EmbeddedPostgresError(DatabaseError):
    """Our own PostgreSQL could not be made, started or reached; the text says why."""


class SpotifyError(FreshetError):
    """An answer of Spotify's that is no answer to what we asked."""

    status = 502
    kind = "spotify-unavailable"
    title = "Spotify's response could not be used"


class SpotifyUnavailable(SpotifyError):
    """A 5xx or a broken connection; transient."""


class SpotifyTimeout(SpotifyUnavailable):
    """No answer in the time we give; transient."""

    status = 504


class BadAnswer(SpotifyError):
    """A 2xx whose body is not JSON, is too long or has not the promised shape."""


class TokenRejected(SpotifyError):
    """401 of the Web API; `expired` tells whether a new token would help."""

    def __init__(self, message: str, *, expired: bool) -> None:
        super().__init__(message)
        self.expired = expired


class CredentialsRejected(SpotifyError):
    """The accounts service refused CLIENT_ID and CLIENT_SECRET."""


class InvalidGrant(SpotifyError):
    """The accounts service refused a code or refresh token; the text is its description."""


class EndpointRestricted(SpotifyError):
    """This app may not use this endpoint; `missing`: a 404, so nothing has the id asked for."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class MarketRefused(SpotifyError):
    """Spotify does not serve a market that it was asked for; other markets can be asked for."""


class AppRefused(SpotifyError):
    """A 403 that concerns the app or its owner; the text is Spotify's advice."""


class UserRefused(AppRefused):
    """A 403 because this user is not entered in the app's dashboard; other tokens work."""


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
    """429, now or earlier: Spotify is left alone for so long; asking on would prolong it."""


class QuotaSpent(Paused):
    """The calls that we allow ourselves in 24 hours are used up."""

    kind = "quota-spent"
    title = "The daily quota of calls to Spotify is used up"


class RequestError(FreshetError):
    """What the client can mend by asking otherwise; its text is for the client."""

    status = 400
    kind = "bad-request"
    title = "The request cannot be read"
    public = True


@dataclass(frozen=True)
class ParameterFault:
    """One fault of a query string: which parameter, what it said (shortened), what is wrong."""

    parameter: str
    value: str | None
    reason: str


class InvalidParameters(RequestError):
    """Every fault of a query string, in the order of the parameters."""

    kind = "invalid-parameter"
    title = "A query parameter is invalid"

    def __init__(self, faults: list[ParameterFault]) -> None:
        names = ", ".join(dict.fromkeys(fault.parameter for fault in faults))
        super().__init__(f"Please check: {names}.")
        self.faults = [asdict(fault) for fault in faults]


class NothingThere(RequestError):
    """Nothing that is kept has the id in the address."""

    status = 404
    kind = "not-found"
    title = "Not Found"


class NothingYet(RequestError):
    """No sync has ever succeeded; `retry_after` is the seconds until that may be otherwise."""

    status = 503
    kind = "nothing-yet"
    title = "No data yet"

    def __init__(self, seconds: int = 5) -> None:
        super().__init__("No sync with Spotify has succeeded yet. Please try again shortly.")
        self.retry_after = seconds
