"""Every failure of a login, with its HTTP status and the text of its page.

LoginFailed
├── LoginDenied          403  "Cancel" on the consent page
├── StateMissing         400  a callback without a state
├── AddressUnusable      400  a pasted address that is not the callback's
├── StateForeign         400  a login that was started in another browser
├── StateExpired         400  a login that was started over ten minutes ago
├── StateReplayed        400  a login link that was used before
├── CodeRefused          400  a code that is used, expired or not ours
├── NotAllowed           403  an account that may not log in here
├── NotLoggedIn          403  an action that needs a session
├── ForeignOrigin        403  a form sent by another site
├── NotRegistered        403  an account that the app's dashboard does not list
├── TooManyLogins        429  more logins than a minute allows
├── RedirectUriRefused   502  a redirect URI that the app's dashboard does not list
├── ClientRefused        502  a wrong CLIENT_ID or CLIENT_SECRET
├── OwnerWithoutPremium  502  an app whose owner has no Premium
├── SpotifyFailed        502  any other unexpected response of Spotify's
├── SpotifyAway          503  Spotify is down, or asked for a pause
└── SpotifySlow          504  no response in time
"""

from server.config.addresses import DASHBOARD
from server.errors import FreshetError, QuotaPolicy


class LoginFailed(FreshetError):
    """A failed login: `title` says what happened, `advice` what to do, `again` labels the button.

    The error's own text is only logged. `usual` failures are logged as info, others as warnings.
    """

    status = 400
    advice = "Please try again."
    again: str | None = "Try again"
    usual = False


class LoginDenied(LoginFailed):
    """The user pressed "Cancel" on the consent page."""

    status = 403
    usual = True
    kind = "login-denied"
    title = "You cancelled the login"
    advice = "Nothing was stored. Freshet works as before, and you can log in at any time."


class StateMissing(LoginFailed):
    """The callback has no `state`, or more than one."""

    usual = True
    kind = "state-missing"
    title = "This login did not start here"
    advice = "Spotify redirects browsers to this address at the end of a login. Start one here."


class AddressUnusable(LoginFailed):
    """The pasted address has no state, or neither a code nor an error."""

    usual = True
    kind = "address-unusable"
    title = "This is not the address where the login ended"
    advice = (
        "After you agree, copy the whole address from the browser’s address bar. It contains "
        "/auth/callback/?code= and &state=. Then try again."
    )


class StateForeign(LoginFailed):
    """The browser does not have the cookie that belongs to the state."""

    kind = "state-foreign"
    title = "This login was not started in this browser"
    advice = (
        "If another person’s link led you here, stop: it could log you in to an account that is "
        "not yours. If you started the login yourself, check that cookies are enabled and try "
        "again in this browser."
    )


class StateExpired(LoginFailed):
    """The login was started more than ten minutes ago."""

    usual = True
    kind = "state-expired"
    title = "This login took too long"
    advice = "A login must be completed within ten minutes. Please try again."


class StateReplayed(LoginFailed):
    """The state was accepted before."""

    kind = "state-replayed"
    title = "This login link has already been used"
    advice = "Each link works once. If you only reloaded the page, nothing is lost; try again."


class CodeRefused(LoginFailed):
    """Spotify rejected the code: it was used, has expired, or was issued for another browser."""

    kind = "code-refused"
    title = "Spotify did not accept the code of this login"
    advice = "A code works once, for a few minutes. Please try again."


class NotAllowed(LoginFailed):
    """Another account owns the server, or ALLOWED_USERS does not list the account."""

    status = 403
    kind = "not-allowed"
    title = "This account may not log in here"
    advice = (
        "Nothing was stored. To admit this account, add its id, which is in the server’s log, to "
        "ALLOWED_USERS. If you have another account, log out of Spotify and try again."
    )


class NotLoggedIn(LoginFailed):
    """The browser has no session, or its session has expired."""

    status = 403
    kind = "not-logged-in"
    title = "You are not logged in"
    again = "Log in"
    advice = "You have no session here, or it has expired. Log in and try again."


class ForeignOrigin(LoginFailed):
    """The POST was not sent by a page of this server."""

    status = 403
    kind = "foreign-origin"
    title = "This request did not come from this server"
    public = True
    again = None
    advice = (
        "Nothing was changed. Open this server at its own address (its setting PUBLIC_URL) and "
        "use the button there."
    )


class NotRegistered(LoginFailed):
    """Spotify serves only the users that the app's owner has added in the dashboard."""

    status = 403
    kind = "not-registered"
    title = "This account is not registered for this Spotify app"
    advice = (
        "Nothing was stored. The app’s owner must add the account under User Management at "
        f"{DASHBOARD}. Then try again."
    )


class TooManyLogins(LoginFailed):
    """A network, or all unknown browsers together, tried too many logins in a minute."""

    status = 429
    kind = "too-many-logins"
    title = "Too many logins at once"
    advice = (
        "Wait a minute, then reload this page or try again. Other people’s logins do not affect "
        "browsers that have logged in here before."
    )
    retry_after = 60

    def __init__(self, quota_policy: QuotaPolicy) -> None:
        super().__init__()
        self.quota_policy = quota_policy


class RedirectUriRefused(LoginFailed):
    """The app's dashboard does not list this server's redirect URI."""

    status = 502
    kind = "redirect-uri-refused"
    title = "Spotify does not accept this server’s redirect URI"
    advice = (
        f"The app’s page at {DASHBOARD} must list it exactly: PUBLIC_URL followed by "
        "/auth/callback/. `python manage.py doctor` prints it."
    )


class ClientRefused(LoginFailed):
    """CLIENT_ID or CLIENT_SECRET is wrong."""

    status = 502
    kind = "client-refused"
    title = "Spotify rejected this server’s CLIENT_ID or CLIENT_SECRET"
    advice = (
        "The server’s operator must correct them. `python manage.py doctor` shows where they are "
        "set."
    )


class OwnerWithoutPremium(LoginFailed):
    """The app's owner has no Premium, without which no app works since 2026."""

    status = 502
    kind = "owner-without-premium"
    title = "The owner of this Spotify app has no Premium subscription"
    advice = (
        "Spotify serves an app only while its owner has Premium. After subscribing, it can take a "
        "few hours until the app works."
    )


class SpotifyFailed(LoginFailed):
    """Spotify sent an unexpected response, which is logged."""

    status = 502
    kind = "spotify-failed"
    title = "Spotify sent an unexpected response"
    advice = "Try again in a moment. If this happens again, see the response in the server’s log."


class SpotifyAway(LoginFailed):
    """Spotify is down, or has asked this server to pause."""

    status = 503
    kind = "spotify-away"
    title = "Spotify cannot be reached right now"
    advice = "Your account is not the cause. Please try again later."
    retry_after = 60


class SpotifySlow(SpotifyAway):
    """Spotify did not respond before the timeout."""

    status = 504
    kind = "spotify-slow"
    title = "Spotify did not respond in time"
