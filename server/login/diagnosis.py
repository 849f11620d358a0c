"""Which failure of a login it is, by what Spotify said. Pure."""

from server.errors import (
    AppRefused,
    CredentialsRejected,
    InvalidGrant,
    Paused,
    SpotifyError,
    SpotifyTimeout,
    SpotifyUnavailable,
    UserRefused,
)
from server.login import failures
from server.login.failures import LoginFailed
from server.spotify.transport import quotable

BY_CLASS: list[tuple[type[SpotifyError], type[LoginFailed]]] = [  # the narrower class first
    (CredentialsRejected, failures.ClientRefused),
    (UserRefused, failures.NotRegistered),
    (SpotifyTimeout, failures.SpotifySlow),
    (SpotifyUnavailable, failures.SpotifyAway),
    (Paused, failures.SpotifyAway),
]


def of_answer(error: SpotifyError) -> LoginFailed:
    """What an error of the token endpoint or of `/me` means."""
    text = str(error).lower()
    kind: type[LoginFailed]
    if isinstance(error, InvalidGrant):
        kind = failures.RedirectUriRefused if "redirect" in text else failures.CodeRefused
    elif type(error) is AppRefused and "premium" in text:
        kind = failures.OwnerWithoutPremium
    else:
        found = (failure for cause, failure in BY_CLASS if isinstance(error, cause))
        kind = next(found, failures.SpotifyFailed)
    failure = kind(str(error))
    if isinstance(error, Paused):
        failure.retry_after = error.seconds
    return failure


def of_callback(error: str) -> LoginFailed:
    """What the `error` in a callback means (RFC 6749 section 4.1.2.1)."""
    if error == "access_denied":
        return failures.LoginDenied()
    if error in ("server_error", "temporarily_unavailable"):
        return failures.SpotifyAway(error)
    return failures.SpotifyFailed(f"the callback says {quotable(error)}")
