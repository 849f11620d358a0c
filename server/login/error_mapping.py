"""Maps errors of Spotify to failures of a login. Pure."""

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
from server.login import errors
from server.login.errors import LoginFailed
from server.spotify.quotation import quotable

BY_CLASS: list[tuple[type[SpotifyError], type[LoginFailed]]] = [  # the narrower class first
    (CredentialsRejected, errors.ClientRefused),
    (UserRefused, errors.NotRegistered),
    (SpotifyTimeout, errors.SpotifySlow),
    (SpotifyUnavailable, errors.SpotifyAway),
    (Paused, errors.SpotifyAway),
]


def of_spotify_error(error: SpotifyError) -> LoginFailed:
    """Return the failure for an error of the token endpoint or of `/me`."""
    text = str(error).lower()
    kind: type[LoginFailed]
    if isinstance(error, InvalidGrant):
        kind = errors.RedirectUriRefused if "redirect" in text else errors.CodeRefused
    elif type(error) is AppRefused and "premium" in text:
        kind = errors.OwnerWithoutPremium
    else:
        found = (failure for cause, failure in BY_CLASS if isinstance(error, cause))
        kind = next(found, errors.SpotifyFailed)
    failure = kind(str(error))
    if isinstance(error, Paused):
        failure.retry_after = error.seconds
    return failure


def of_callback(error: str) -> LoginFailed:
    """Return the failure for the `error` parameter of a redirect (RFC 6749 section 4.1.2.1)."""
    if error == "access_denied":
        return errors.LoginDenied()
    if error in ("server_error", "temporarily_unavailable"):
        return errors.SpotifyAway(error)
    return errors.SpotifyFailed(f"the redirect has the error {quotable(error)}")
