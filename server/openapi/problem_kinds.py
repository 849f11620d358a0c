"""Explanations of every kind of problem: the pages that `type` refers to (RFC 9457). Pure.

Titles and kinds are those of the error classes; tests/integration/api/test_problems.py checks that
no kind is missing.
"""

from dataclasses import dataclass
from typing import Any

from server import errors, request_errors
from server.login import errors as failures

RETRY = "Try again after the number of seconds in `Retry-After`."
DOCTOR = "Operators: `python manage.py doctor` says what is wrong and how to fix it."


@dataclass(frozen=True)
class Explanation:
    """One kind of problem: its meaning and advice; `statuses` are its HTTP statuses."""

    kind: str
    title: str
    statuses: tuple[int, ...]
    meaning: str
    advice: str


def explain(error: type[errors.FreshetError], meaning: str, advice: str, *more: int) -> Explanation:
    """Explain an error and its subclasses of the same kind; `more` are further statuses."""
    statuses = {*more, *(each.status for each in _family(error) if each.kind == error.kind)}
    return Explanation(error.kind, error.title, tuple(sorted(statuses)), meaning, advice)


def _family(error: type[errors.FreshetError]) -> list[type[errors.FreshetError]]:
    return [error, *(each for child in error.__subclasses__() for each in _family(child))]


METHOD_NOT_ALLOWED = Explanation(
    "method-not-allowed",
    "Method Not Allowed",
    (405,),
    "This address exists, but does not support the HTTP method of the request.",
    "Use one of the methods that `Allow` in the response lists.",
)
INTERNAL_ERROR = Explanation(
    errors.FreshetError.kind,
    errors.FreshetError.title,
    (500,),
    "An unexpected error occurred in the server.",
    "Try again. If it happens again, send the operator the `instance` of the response: the "
    "server's log has the details under that id.",
)
BAD_REQUEST = Explanation(
    errors.RequestError.kind,
    errors.RequestError.title,
    (400, 413),
    "The request cannot be read, for example because its address is not valid UTF-8, its head is "
    "not HTTP, or its body is larger than 16 KiB (413).",
    "See `detail` in the response. An address is UTF-8, then percent-encoded.",
)
REQUEST_TIMEOUT = Explanation(
    "request-timeout",
    "Request Timeout",
    (408,),
    "The request did not arrive in full within the time limit: 10 seconds for its head, and 10 "
    "seconds for its body. The connection was closed.",
    "Send the request again on a new connection, in full.",
)
HEAD_TOO_LARGE = Explanation(
    "request-head-too-large",
    "Request Header Fields Too Large",
    (431,),
    "The request line and the headers together are larger than 16 KiB, the request has more than "
    "100 header lines, or a header's name is longer than 256 bytes. The connection was closed.",
    "Send fewer or shorter headers. In a browser, delete the cookies of this host; other programs "
    "on it may have set them.",
)
NOT_FOUND = explain(
    errors.NotFound,
    "The address does not exist, or no artist or release with this id is stored. Releases that "
    "Spotify has not listed for a long time are deleted (after 90 days by default).",
    "Check the address. `/api/changes/` lists the releases that were deleted.",
)
OF_THE_API = (
    explain(
        errors.InvalidParameters,
        "At least one query parameter has an invalid value, or is given more than once. "
        "Parameters with unknown names are ignored.",
        "See `errors` in the response: it names each parameter, its value and the reason. The API "
        "documentation lists what each parameter accepts.",
    ),
    explain(
        request_errors.InvalidBody,
        "The body of the request is not JSON, or at least one of its members is missing or has an "
        "invalid value.",
        "See `errors` in the response: it names each member, its value and the reason.",
    ),
    explain(
        request_errors.UriTooLong,
        "The query string is longer than any valid one, or the request line is longer than 8 KiB.",
        "Send at most 4096 characters after the question mark.",
    ),
    explain(
        errors.NoDataYet,
        "No sync with Spotify has succeeded yet, so Freshet has no releases to serve.",
        f"{RETRY} The first sync takes a few seconds. {DOCTOR}",
    ),
    explain(
        errors.DatabaseError,
        "The database cannot be reached, or its schema belongs to another version of Freshet. "
        "Lists of the latest releases are still served from memory; single artists and releases, "
        "past days and the journal require the database.",
        f"{RETRY} {DOCTOR}",
    ),
    explain(
        errors.SpotifyError,
        "Spotify did not respond, or its response could not be used. Stored releases are still "
        "served.",
        f"Try again later. {DOCTOR}",
    ),
    explain(
        errors.Paused,
        "Spotify has asked for a pause, so no sync can start before it ends. Stored releases are "
        "still served.",
        f"{RETRY} `/api/status` lists all pauses under `cooldowns`.",
        request_errors.SyncPaused.status,
    ),
    explain(
        errors.QuotaSpent,
        "The calls to this endpoint of Spotify that Freshet allows itself within 24 hours are used "
        "up. Their number is learnt from Spotify's refusals, up to `QUOTA_PER_DAY`. Stored "
        "releases are still served.",
        f"{RETRY} Scheduled syncs resume automatically. `/api/status` shows the calls left under "
        "`quota`.",
        request_errors.SyncPaused.status,
    ),
    explain(
        request_errors.LoginRequired,
        "The request has neither a session cookie nor an access key, or the session has ended or "
        "the key has been revoked.",
        "Log in on the start page. A script sends an access key: `Authorization: Bearer KEY`.",
    ),
    explain(
        request_errors.KeyLacksScope,
        "The access key is valid, but was made without the scope that this request needs.",
        "Make a key with this scope, and revoke the old one.",
    ),
    explain(
        request_errors.SessionRequired,
        "Only a logged-in browser can make access keys. If a key could make others, it could not "
        "be revoked for good.",
        "Log in and make the key on the page `/my/keys/`. On a server without a login: "
        "`python manage.py key create`.",
    ),
    explain(
        request_errors.TooManyKeys,
        "An account can have 50 access keys.",
        "Revoke a key that is no longer used, then try again.",
    ),
    explain(
        request_errors.TooManyArtists,
        "An owner can watch 10 000 artists and ignore as many. Nothing of the request was stored.",
        "Take back some of the choices first. Artists that you follow on Spotify do not count, and "
        "need not be watched.",
    ),
    explain(
        request_errors.ImportRefused,
        "A list of artists to import is empty, too long, or not text. Nothing of it was imported.",
        "Send text or CSV in UTF-8, of 1 MiB and 20 000 lines at most.",
    ),
    explain(
        request_errors.SyncRunning,
        "A sync was requested while another one is running. Only one sync runs at a time.",
        "Wait until it finishes: `running` in `/api/status` is then false.",
    ),
    explain(
        request_errors.ServerOutdated,
        "The database was upgraded by a newer version of Freshet, and this server has not been "
        "upgraded yet. It still serves, but no longer syncs.",
        "Send the request to an upgraded server, or upgrade this one.",
    ),
    explain(
        request_errors.JournalOutOfReach,
        "Changes after `after` have been deleted (after 90 days by default), or `after` is a place "
        "in another journal, because the database was restored from a backup or created again. "
        "See `oldest` and `newest` in the response.",
        "Fetch all pages of `/api/albums/?upcoming=include`, then follow the changes after their "
        "`place`. Without `after`, the list starts with the oldest stored change.",
    ),
    explain(
        request_errors.MetricsKeyNeeded,
        "This server has a `METRICS_KEY`, and the request does not contain it.",
        "Send `Authorization: Bearer KEY`. In Prometheus: `authorization` with "
        "`credentials_file`, as in `deploy/prometheus/prometheus.yml`.",
    ),
    explain(
        request_errors.MetricsByProxy,
        "The request came through a proxy. Without a `METRICS_KEY`, metrics are served only to "
        "direct connections, and to clients on the host of a trusted proxy.",
        "Read `/metrics` from the server itself, past the proxy. Operators: set `METRICS_KEY`.",
    ),
    explain(
        request_errors.TooManyListeners,
        "This server has as many open event streams as it accepts.",
        f"{RETRY} `/api/changes/` has the same changes without a stream.",
    ),
    explain(
        request_errors.TooManyOfOneClient,
        "Your IP address (with IPv6: your /64 network) has as many event streams as one client may "
        "have.",
        f"Use one stream for all parts of a program. {RETRY} Operators: see `EVENTS_PER_CLIENT`; "
        "without `TRUSTED_PROXIES`, all clients of a proxy count as one.",
    ),
    explain(
        request_errors.Overloaded,
        "More requests are waiting, for the database or for responses that are being built, than "
        "this server accepts. Responses that are ready are still sent.",
        RETRY,
    ),
)
OF_LOGINS = tuple(
    explain(error, meaning, error.advice)
    for error, meaning in (
        (failures.LoginDenied, "The login was cancelled on Spotify's consent page."),
        (failures.StateMissing, "The callback of the login was opened without its `state`."),
        (
            failures.AddressUnusable,
            "The address that was pasted to log in has no `state`, or neither `code` nor `error`.",
        ),
        (
            failures.StateForeign,
            "The callback of the login was opened in a browser that has not started this login.",
        ),
        (failures.StateExpired, "More than ten minutes passed between start and end of the login."),
        (failures.StateReplayed, "The callback of the login was opened a second time."),
        (failures.CodeRefused, "Spotify refused the authorization code of the login."),
        (
            failures.NotAllowed,
            "This server belongs to another account, or `ALLOWED_USERS` does not list this one.",
        ),
        (failures.NotLoggedIn, "The page needs a session, but the browser has none."),
        (
            failures.ForeignOrigin,
            "The request would change something, but neither its `Origin` nor its "
            "`Sec-Fetch-Site` shows that it comes from a page of this server.",
        ),
        (
            failures.NotRegistered,
            "The Spotify app is in development mode, and this account is not one of its users.",
        ),
        (
            failures.TooManyLogins,
            "One address, or all browsers together that have not logged in here before, completed "
            "more logins within a minute than allowed.",
        ),
        (failures.RedirectUriRefused, "Spotify's dashboard does not list the redirect URI."),
        (failures.ClientRefused, "Spotify refused `CLIENT_ID` or `CLIENT_SECRET`."),
        (failures.OwnerWithoutPremium, "Spotify requires the owner of the app to have Premium."),
        (failures.SpotifyFailed, "Spotify's response to the login could not be used."),
        (failures.SpotifyAway, "Spotify is unavailable, or has asked for a pause."),
        (failures.SpotifySlow, "Spotify did not respond within the time limit."),
    )
)
GENERAL = (NOT_FOUND, METHOD_NOT_ALLOWED, BAD_REQUEST, REQUEST_TIMEOUT, HEAD_TOO_LARGE)
ALL = (*GENERAL, *OF_THE_API, INTERNAL_ERROR, *OF_LOGINS)
BY_KIND = {each.kind: each for each in ALL}
OF_TORNADO = {
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    408: REQUEST_TIMEOUT,
    414: BY_KIND[request_errors.UriTooLong.kind],
    431: HEAD_TOO_LARGE,
}


def find(kind: str) -> Explanation | None:
    """Return the explanation of a kind; None if the kind is unknown."""
    return BY_KIND.get(kind)


def problem(
    root: str, kind: str, title: str, status: int, detail: str | None, request_id: str
) -> dict[str, Any]:
    """Return the members that all problems have (RFC 9457); `root` is the path of PUBLIC_URL."""
    return {
        "type": f"{root}/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
    }


def of_status(status: int) -> Explanation:
    """Return the explanation of an error that Tornado itself has raised with this status."""
    return OF_TORNADO.get(status, INTERNAL_ERROR if status >= 500 else BAD_REQUEST)
