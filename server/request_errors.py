"""What single routes refuse, and for how long: RequestErrors with a status of their own."""

from typing import Any

from server.errors import Paused, RequestError


class UriTooLong(RequestError):
    """A query string longer than any sensible one."""

    status = 414
    kind = "uri-too-long"
    title = "The address is too long"


class LoginRequired(RequestError):
    """There is no session, or it has ended."""

    status = 401
    kind = "login-required"
    title = "You are not logged in"

    def __init__(self) -> None:
        super().__init__("Log in on the start page first.")


class SyncRefused(RequestError):
    """Others make the next sync, not this process."""


class ServerOutdated(SyncRefused):
    """A sync was asked for of a server whose database is of another version by now."""

    status = 503
    kind = "server-outdated"
    title = "This server has to be upgraded"

    def __init__(self) -> None:
        super().__init__(
            "The database belongs to a newer version of Freshet, whose servers run the syncs."
        )


class SyncRunning(SyncRefused):
    """A sync was asked for while one is under way."""

    status = 409
    kind = "sync-running"
    title = "A sync is already running"

    def __init__(self) -> None:
        super().__init__("Results appear when it finishes.")


class SyncPaused(RequestError):
    """A sync was asked for while Spotify may not be asked; `kind` and `title` are the pause's."""

    status = 429
    kind = Paused.kind
    title = Paused.title

    def __init__(self, pause: Paused) -> None:
        super().__init__(f"A sync can start in {pause.seconds} seconds.")
        self.kind, self.title, self.retry_after = pause.kind, pause.title, pause.seconds


class TooManyListeners(RequestError):
    """One more stream than this process has room for."""

    status = 503
    kind = "too-many-listeners"
    title = "Too many open event streams"
    retry_after = 30

    def __init__(self) -> None:
        super().__init__("Please try again shortly, or read /api/changes/.")


class TooManyOfOneClient(RequestError):
    """One more stream than a client may have, all that come from its network counted."""

    status = 429
    kind = "too-many-streams"
    title = "Too many event streams from one client"
    retry_after = 30

    def __init__(self, most: int) -> None:
        super().__init__(f"Close one of the {most} streams that are open from your network.")


class MetricsKeyNeeded(RequestError):
    """The metrics were asked for without the key of METRICS_KEY."""

    status = 401
    kind = "metrics-key-needed"
    title = "The metrics require a key"

    def __init__(self) -> None:
        super().__init__("Send `Authorization: Bearer` with the value of METRICS_KEY.")


class MetricsByProxy(RequestError):
    """The metrics were asked for through a proxy, while no METRICS_KEY is set."""

    status = 403
    kind = "metrics-by-proxy"
    title = "The metrics are not available through a proxy"

    def __init__(self) -> None:
        super().__init__("Connect to this server directly, or set METRICS_KEY.")


class Overloaded(RequestError):
    """More requests wait for the database or for new answers than a process has memory for."""

    status = 503
    kind = "server-busy"
    title = "The server is busy"
    retry_after = 2

    def __init__(self) -> None:
        super().__init__("Please try again in a moment.")


class JournalOutOfReach(RequestError):
    """Changes after a place have been deleted, or the journal has not come so far."""

    status = 410
    kind = "journal-out-of-reach"
    title = "The journal does not reach this place"

    def __init__(self, advice: str, members: dict[str, Any]) -> None:
        super().__init__(advice)
        self.members = members
