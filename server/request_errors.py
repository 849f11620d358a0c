"""Errors of single routes: each has a status, a problem kind, and maybe `Retry-After`."""

from typing import Any

from server.errors import InvalidParameters, Paused, QuotaPolicy, RequestError

DAY = 86_400  # seconds


def sync_policy(most: int) -> QuotaPolicy:
    """Return the limit on syncs that people start: those that the calls of a day suffice for."""
    return QuotaPolicy("syncs", most, DAY)


def stream_policy(most: int) -> QuotaPolicy:
    """Return the limit on the event streams that a client has open."""
    return QuotaPolicy("streams", most)


class UriTooLong(RequestError):
    """A query string that is too long."""

    status = 414
    kind = "uri-too-long"
    title = "The address is too long"


class InvalidBody(InvalidParameters):
    """All faults of a request's body, by its members."""

    kind = "invalid-body"
    title = "The body of the request is invalid"


class LoginRequired(RequestError):
    """The request has no session and no key, or an invalid one."""

    status = 401
    kind = "login-required"
    title = "You are not logged in"

    def __init__(self) -> None:
        super().__init__("Log in on the start page first, or send a valid access key.")


class KeyLacksScope(RequestError):
    """A request with an access key that does not have the scope for it."""

    status = 403
    kind = "key-lacks-scope"
    title = "The key does not allow this"

    def __init__(self, scope: str) -> None:
        super().__init__(f"The key lacks the scope `{scope}`.")
        self.scope = scope


class SessionRequired(RequestError):
    """A request with an access key for what only a logged-in browser may do."""

    status = 403
    kind = "session-required"
    title = "This needs a login, not a key"

    def __init__(self) -> None:
        super().__init__("A key cannot make keys, which would outlive it.")


class TooManyKeys(RequestError):
    """A key was requested by an owner that has the most that one may have."""

    status = 409
    kind = "too-many-keys"
    title = "There are too many keys"

    def __init__(self, most: int) -> None:
        super().__init__(f"An account can have {most} keys. Revoke one that is no longer used.")


class TooManyArtists(RequestError):
    """More artists than one owner may watch, or ignore; nothing of the request was stored."""

    status = 409
    kind = "too-many-artists"
    title = "There are too many artists"

    def __init__(self, choice: str, most: int, asked: int) -> None:
        super().__init__(
            f"At most {most:,} artists can be {choice}; with these it would be {asked:,}. "
            "Nothing was changed."
        )


class ImportRefused(RequestError):
    """A file of artists that is empty, too long, or no text at all; nothing of it was imported."""

    kind = "import-refused"
    title = "The list cannot be imported"


class SyncRefused(RequestError):
    """A sync cannot start here now, for a reason other than a pause."""


class ServerOutdated(SyncRefused):
    """A sync was requested of a server whose database belongs to a newer version."""

    status = 503
    kind = "server-outdated"
    title = "This server has to be upgraded"

    def __init__(self) -> None:
        super().__init__(
            "The database belongs to a newer version of Freshet, whose servers run the syncs."
        )


class SyncRunning(SyncRefused):
    """A sync was requested while another one is running."""

    status = 409
    kind = "sync-running"
    title = "A sync is already running"

    def __init__(self) -> None:
        super().__init__("Results appear when it finishes.")


class SyncPaused(RequestError):
    """A sync was requested during a pause; `kind` and `title` are those of the pause.

    `most` is the number of syncs that the calls of 24 hours suffice for.
    """

    status = 429
    kind = Paused.kind
    title = Paused.title

    def __init__(self, pause: Paused, most: int) -> None:
        super().__init__(f"A sync can start in {pause.seconds} seconds.")
        self.kind, self.title, self.retry_after = pause.kind, pause.title, pause.seconds
        self.quota_policy = sync_policy(most)


class TooManyListeners(RequestError):
    """More event streams than this process has memory for."""

    status = 503
    kind = "too-many-listeners"
    title = "Too many open event streams"
    retry_after = 30

    def __init__(self) -> None:
        super().__init__("Please try again shortly, or read /api/changes/.")


class TooManyOfOneClient(RequestError):
    """More event streams than EVENTS_PER_CLIENT allows for the client's network."""

    status = 429
    kind = "too-many-streams"
    title = "Too many event streams from one client"
    retry_after = 30

    def __init__(self, most: int) -> None:
        super().__init__(f"Close one of the {most} streams that are open from your network.")
        self.quota_policy = stream_policy(most)


class MetricsKeyNeeded(RequestError):
    """The metrics were requested without the key in METRICS_KEY."""

    status = 401
    kind = "metrics-key-needed"
    title = "The metrics require a key"

    def __init__(self) -> None:
        super().__init__("Send `Authorization: Bearer` with the value of METRICS_KEY.")


class MetricsByProxy(RequestError):
    """The metrics were requested through a proxy, and METRICS_KEY is not set."""

    status = 403
    kind = "metrics-by-proxy"
    title = "The metrics are not available through a proxy"

    def __init__(self) -> None:
        super().__init__("Connect to this server directly, or set METRICS_KEY.")


class Overloaded(RequestError):
    """More requests wait for the database or for a response than a process has memory for."""

    status = 503
    kind = "server-busy"
    title = "The server is busy"
    retry_after = 2

    def __init__(self) -> None:
        super().__init__("Please try again in a moment.")


class JournalOutOfReach(RequestError):
    """Changes after a position have been deleted, or the journal does not reach it yet."""

    status = 410
    kind = "journal-out-of-reach"
    title = "The journal does not reach this place"

    def __init__(self, advice: str, members: dict[str, Any]) -> None:
        super().__init__(advice)
        self.members = members
