"""`/api/status`: what operators watch, for people and for scripts."""

from typing import Any

from handlers.base import BaseHandler
from server import __version__
from server.catalog.snapshot import freshness_of, is_stuck, utc
from server.login.consent_monitor import ConsentMonitor
from server.serving.cache import PayloadCache
from server.serving.payload import links
from server.spotify.types import LADDER, Verdict
from server.storage.sync_runs import SyncHistory
from server.sync.syncer import Syncer
from server.sync.upstream_status import UpstreamStatus
from server.tasks import attempt_now

NO_LOGIN = {
    "state": "none",
    "authorized_at": None,
    "reconsent_by": None,
    "days_to_reconsent": None,
}
UNKNOWN: dict[str, Any] = {
    "as_of": None,
    "last_sync_at": None,
    "last_complete_sync_at": None,
    "source": None,
    "stale": False,
    "partial": False,
    "why": None,
    "last_sync": None,
    "running": False,
    "next_sync_at": None,
    "sync_interval": 0,
    "newest_release": None,
    "watched_since": None,
    "new_at": None,
    "stuck": False,
    "sources": [],
    "markets": [],
    "quota": [],
    "cooldowns": [],
    "login": NO_LOGIN,
}


class StatusHandler(BaseHandler):
    """The state of this server, from memory."""

    def initialize(  # type: ignore[override]
        self,
        cache: PayloadCache,
        consent_monitor: ConsentMonitor,
        upstream_status: UpstreamStatus,
        syncer: Syncer,
        root: str,
    ) -> None:
        """Take what is told from the wiring."""
        super().initialize(root)
        self._cache = cache
        self._consent_monitor = consent_monitor
        self._upstream_status = upstream_status
        self._syncer = syncer

    def get(self) -> None:
        """Send it; its shape is `status_schemas.Status`.

        A part that raises is logged, and told as if nothing was known of it.
        """
        self.set_header("Link", links(self._root))
        content = {"version": __version__, **UNKNOWN}
        for part in (self._data, self._syncs, self._sources, self._limits, self._login):
            content |= attempt_now(part, dict[str, Any]())
        if content["last_sync_at"] is not None:
            self.set_header("X-Last-Sync", content["last_sync_at"])
        self.write_json(content)

    head = get

    def _data(self) -> dict[str, Any]:
        """What is served, and how fresh it is."""
        snapshot = self._cache.snapshot
        freshness = freshness_of(snapshot)
        return {
            "as_of": utc(freshness.as_of),
            "last_sync_at": utc(freshness.synced_at),
            "last_complete_sync_at": utc(freshness.complete_at),
            "source": freshness.source,
            "stale": snapshot is not None and self._cache.is_stale(snapshot),
            "partial": freshness.partial,
            "why": freshness.why,
            "newest_release": freshness.newest_release,
            "watched_since": freshness.watched_from(self._upstream_status.now().date()),
            "new_at": utc(freshness.new_at),
            "stuck": is_stuck(freshness.new_at, freshness.complete_at),
        }

    def _syncs(self) -> dict[str, Any]:
        return {
            "last_sync": _last_sync(self._upstream_status.history),
            "running": self._syncer.runs_anywhere(self._upstream_status),
            "next_sync_at": utc(self._syncer.next_at()),
            "sync_interval": round(self._syncer.schedule.interval),
        }

    def _sources(self) -> dict[str, Any]:
        verdicts = self._upstream_status.history.verdicts
        return {
            "sources": [_source(name, verdicts.get(name)) for name in LADDER],
            "markets": [_market(*each) for each in self._upstream_status.markets.items()],
        }

    def _limits(self) -> dict[str, Any]:
        """How many calls Spotify allows, and how many of them are left."""
        source = freshness_of(self._cache.snapshot).source
        buckets = self._syncer.buckets(self._upstream_status, source)
        return {
            "quota": [
                {
                    "bucket": each.name,
                    "used": each.used,
                    "left": each.left,
                    "per_day": each.per_day,
                    "forecast": each.forecast,
                }
                for each in buckets
            ],
            "cooldowns": [
                {"bucket": each.name, "until": utc(each.paused_until), "reason": each.reason}
                for each in buckets
                if each.paused_until
            ],
        }

    def _login(self) -> dict[str, Any]:
        consent = self._consent_monitor.consent
        login = {
            "state": consent.state if consent else "none",
            "authorized_at": utc(consent.authorized_at) if consent else None,
            "reconsent_by": utc(consent.ends_at) if consent else None,
            "days_to_reconsent": self._consent_monitor.days_left(),
        }
        return {"login": login}


def _last_sync(history: SyncHistory) -> dict[str, Any] | None:
    """Of an error its kind alone: its text is Spotify's, and for operators."""
    if history.finished_at is None:
        return None
    error = history.error.partition(":")[0] if history.error else None
    return {"at": utc(history.finished_at), "outcome": history.outcome, "error": error}


def _source(name: str, known: Verdict | None) -> dict[str, Any]:
    newest = known.newest if known else None
    return {"name": name, **_verdict(known, "restricted"), "newest": newest}


def _market(market: str, known: Verdict | None) -> dict[str, Any]:
    return {"market": market, **_verdict(known, "refused")}


def _verdict(known: Verdict | None, refused: str) -> dict[str, Any]:
    """What is known of a source or a market; `refused` is the word for one that is not allowed."""
    return {
        "verdict": "unknown" if known is None else "allowed" if known.allowed else refused,
        "reason": known.reason if known else None,
        "probed_at": utc(known.probed_at) if known else None,
    }
