"""Every way a login can fail: its status, and what to tell the person in front of it.

LoginFailed
├── LoginDenied          403  "Cancel" on the consent page
├── StateMissing         400  an answer to no question
├── AddressUnusable      400  a pasted address that is not the callback's
├── StateForeign         400  the question was not asked by this browser
├── StateExpired         400  it was asked too long ago
├── StateReplayed        400  it has been answered already
├── CodeRefused          400  the code is used, too old or not ours
├── NotAllowed           403  not an account that may log in here
├── NotLoggedIn          403  an action that needs a session
├── ForeignOrigin        403  a form that another site has sent
├── NotRegistered        403  not entered in the app's dashboard
├── TooManyLogins        429
├── RedirectUriRefused   502  the dashboard has another redirect URI
├── ClientRefused        502  CLIENT_ID or CLIENT_SECRET is wrong
├── OwnerWithoutPremium  502  the app's owner has no Premium
├── SpotifyFailed        502  any other answer that is none
├── SpotifyAway          503  Spotify is down, or asks for a pause
└── SpotifySlow          504
"""

from server.config.addresses import DASHBOARD
from server.errors import FreshetError


class LoginFailed(FreshetError):
    """`title` says what happened, `advice` what to do, `again` is the button to log in by.

    Its own text is for the log alone. `usual` ones happen to everyone; the log warns of others.
    """

    status = 400
    advice = "Please begin again."
    again: str | None = "Begin again"
    usual = False


class LoginDenied(LoginFailed):
    """The user has cancelled."""

    status = 403
    usual = True
    kind = "login-denied"
    title = "You did not agree, so nothing has changed"
    advice = "Nothing was stored. Freshet goes on as before; you can begin again at any time."


class StateMissing(LoginFailed):
    """No `state`, or more than one."""

    usual = True
    kind = "state-missing"
    title = "This is not an answer to a login that began here"
    advice = "Spotify sends people to this address at the end of a login. Begin one here."


class AddressUnusable(LoginFailed):
    """What was pasted has no state, or neither a code nor an error."""

    usual = True
    kind = "address-unusable"
    title = "This is not the address at which the login ended"
    advice = (
        "Copy the whole address from the browser's address bar after you have agreed. It contains "
        "/auth/callback/?code= and &state=. Begin again."
    )


class StateForeign(LoginFailed):
    """This browser has not the cookie that belongs to the state."""

    kind = "state-foreign"
    title = "This login was not begun in this browser"
    advice = (
        "If another person’s link has led you here, do not go on: it may log you in "
        "to an account that is not yours. If you began the login yourself, cookies may be off; "
        "begin again in this browser."
    )


class StateExpired(LoginFailed):
    """More than ten minutes have passed."""

    usual = True
    kind = "state-expired"
    title = "This login took too long"
    advice = "A login has to be finished within ten minutes. Begin again."


class StateReplayed(LoginFailed):
    """The state has come back before."""

    kind = "state-replayed"
    title = "This login has been answered already"
    advice = "Each login works once. If you only reloaded the page, nothing is lost; begin again."


class CodeRefused(LoginFailed):
    """Spotify does not take the code: used, expired, or got for another browser."""

    kind = "code-refused"
    title = "Spotify did not accept the code of this login"
    advice = "A code works once and for a few minutes. Begin again."


class NotAllowed(LoginFailed):
    """Another account owns the server, or ALLOWED_USERS does not name the account."""

    status = 403
    kind = "not-allowed"
    title = "This account may not log in here"
    advice = (
        "This login was not stored. To let the account in, add its id, which is in the server’s "
        "log, to ALLOWED_USERS. If you have another account, log out of Spotify and begin again."
    )


class NotLoggedIn(LoginFailed):
    """There is no session, or it has ended."""

    status = 403
    kind = "not-logged-in"
    title = "You are not logged in"
    again = "Log in"
    advice = "Your session has ended, or there was none. Log in and try again."


class ForeignOrigin(LoginFailed):
    """A POST that did not come from a page of ours."""

    status = 403
    kind = "foreign-origin"
    title = "This was not sent by a page of this server"
    public = True
    again = None
    advice = (
        "Nothing was done. Open this server at its own address (its setting PUBLIC_URL) and use "
        "the button there."
    )


class NotRegistered(LoginFailed):
    """Spotify serves only users that the app's owner has entered."""

    status = 403
    kind = "not-registered"
    title = "Spotify does not know this account as a user of this app"
    advice = (
        f"The app's owner has to add it under User Management at {DASHBOARD}; then begin again. "
        "Nothing was stored."
    )


class TooManyLogins(LoginFailed):
    """More logins in a minute than a network, or all unknown browsers together, may finish."""

    status = 429
    kind = "too-many-logins"
    title = "Too many logins at once"
    advice = (
        "Wait a minute, then reload this page or begin again. In a browser that has logged in here "
        "before, other people’s logins do not matter."
    )
    retry_after = 60


class RedirectUriRefused(LoginFailed):
    """The redirect URI is not one that the dashboard has."""

    status = 502
    kind = "redirect-uri-refused"
    title = "Spotify does not accept this server’s redirect URI"
    advice = (
        f"The app's page at {DASHBOARD} has to name it to the letter: PUBLIC_URL and then "
        "/auth/callback/. `python manage.py doctor` prints it."
    )


class ClientRefused(LoginFailed):
    """The credentials of the app are wrong."""

    status = 502
    kind = "client-refused"
    title = "Spotify does not know this server’s CLIENT_ID and CLIENT_SECRET"
    advice = "Its operator has to correct them: `python manage.py doctor` shows where they are set."


class OwnerWithoutPremium(LoginFailed):
    """Since 2026 an app works only while its owner has Premium."""

    status = 502
    kind = "owner-without-premium"
    title = "The owner of this Spotify app has no Premium subscription"
    advice = (
        "Spotify serves an app only while its owner has Premium. After subscribing it can take a "
        "few hours until it works."
    )


class SpotifyFailed(LoginFailed):
    """An answer that is not foreseen; the log has it."""

    status = 502
    kind = "spotify-failed"
    title = "Spotify did not answer as it should"
    advice = "Begin again in a moment. If it stays so, the server’s log says what Spotify answered."


class SpotifyAway(LoginFailed):
    """Spotify is down, or we are asked to keep away."""

    status = 503
    kind = "spotify-away"
    title = "Spotify cannot be reached right now"
    advice = "Nothing is wrong with your account. Begin again later."
    retry_after = 60


class SpotifySlow(SpotifyAway):
    """No answer in time."""

    status = 504
    kind = "spotify-slow"
    title = "Spotify did not answer in time"
