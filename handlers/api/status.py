"""`/api/status`: the state of the server as JSON."""

from collections.abc import Callable
from functools import partial
from typing import Any

from handlers.base import BaseHandler
from server import __version__
from server.catalog.snapshot import utc
from server.serving.payload import links
from server.spotify.types import Verdict
from server.sync.status import Status
from server.tasks import attempt_now


class StatusHandler(BaseHandler):
    """Answers from memory."""

    def initialize(  # type: ignore[override]
        self, read_status: Callable[[], Status], root: str
    ) -> None:
        """Take the reader of the status from the routes."""
        super().initialize(root)
        self._read_status = read_status

    def get(self) -> None:
        """Send the status as JSON; its shape is `server.openapi.status_schemas.Status`.

        A part that cannot be formatted is logged, and sent as if nothing was known about it.
        """
        self.set_header("Link", links(self._root))
        status = self._read_status()
        unknown = Status(now=status.now)
        content: dict[str, Any] = {"version": __version__}
        for part in PARTS:
            content |= attempt_now(partial(part, status), part(unknown))
        if content["last_sync_at"] is not None:
            self.set_header("X-Last-Sync", content["last_sync_at"])
        self.write_json(content)

    head = get


def _freshness(status: Status) -> dict[str, Any]:
    freshness = status.freshness
    return {
        "as_of": utc(freshness.as_of),
        "last_sync_at": utc(freshness.synced_at),
        "last_complete_sync_at": utc(freshness.complete_at),
        "source": freshness.source,
        "stale": status.is_stale,
        "partial": freshness.partial,
        "why": freshness.why,
    }


def _syncs(status: Status) -> dict[str, Any]:
    return {
        "last_sync": _last_sync(status),
        "running": status.is_syncing,
        "next_sync_at": utc(status.next_sync_at),
        "sync_interval": round(status.interval),
    }


def _last_sync(status: Status) -> dict[str, Any] | None:
    """Return the last sync; of its error only the kind, because the text may quote Spotify."""
    history = status.history
    if history.finished_at is None:
        return None
    error = history.error.partition(":")[0] if history.error else None
    return {"at": utc(history.finished_at), "outcome": history.outcome, "error": error}


def _releases(status: Status) -> dict[str, Any]:
    return {
        "newest_release": status.freshness.newest_release,
        "watched_since": status.watched_since,
        "new_at": utc(status.freshness.new_at),
        "stuck": status.is_stuck,
    }


def _sources(status: Status) -> dict[str, Any]:
    return {
        "sources": [
            {
                "name": name,
                **_verdict(verdict, "restricted"),
                "newest": verdict.newest if verdict else None,
            }
            for name, verdict in status.sources.items()
        ],
        "markets": [
            {"market": market, **_verdict(verdict, "refused")}
            for market, verdict in status.markets.items()
        ],
    }


def _verdict(verdict: Verdict | None, refused: str) -> dict[str, Any]:
    """Return the verdict on a source or a market; `refused` is the word for "not allowed"."""
    return {
        "verdict": "unknown" if verdict is None else "allowed" if verdict.allowed else refused,
        "reason": verdict.reason if verdict else None,
        "probed_at": utc(verdict.probed_at) if verdict else None,
    }


def _limits(status: Status) -> dict[str, Any]:
    return {
        "quota": [
            {
                "bucket": bucket.name,
                "used": bucket.used,
                "left": bucket.left,
                "per_day": bucket.per_day,
                "forecast": bucket.forecast,
                "refused_at": utc(bucket.refused_at),
                "refused_calls": bucket.refused_calls,
            }
            for bucket in status.buckets
        ],
        "cooldowns": [
            {"bucket": bucket.name, "until": utc(bucket.paused_until), "reason": bucket.reason}
            for bucket in status.buckets
            if bucket.paused_until
        ],
    }


def _login(status: Status) -> dict[str, Any]:
    consent = status.consent
    return {
        "login": {
            "state": consent.state if consent else "none",
            "authorized_at": utc(consent.authorized_at) if consent else None,
            "reconsent_by": utc(consent.ends_at) if consent else None,
            "days_to_reconsent": status.days_to_reconsent,
        }
    }


def _following(status: Status) -> dict[str, Any]:
    """Return the state of the list; of its error only the kind, as of a sync's."""
    listed = status.followed_list
    return {
        "following": {
            "state": status.list_condition,
            "read_at": utc(listed.read_at),
            "tried_at": utc(listed.tried_at),
            "error": listed.error.partition(":")[0] if listed.error else None,
        }
    }


PARTS = (
    _freshness,
    _syncs,
    _releases,
    _sources,
    _limits,
    _login,
    _following,
)  # in the order of their keys
