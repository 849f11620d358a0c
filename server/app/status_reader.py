"""Gathers the state of the server from the components that know it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from server.app.following import Following
from server.catalog.snapshot import Freshness
from server.login.consent_monitor import ConsentMonitor
from server.serving.cache import PayloadCache
from server.storage.following import ListState
from server.storage.sync_runs import SyncHistory
from server.sync.status import Status
from server.sync.syncer import Syncer
from server.sync.upstream_status import Bucket, UpstreamStatus
from server.tasks import attempt_now


class StatusReader:
    """Makes a `Status` from memory, without waiting; `now` is the wall clock."""

    def __init__(
        self,
        cache: PayloadCache,
        upstream_status: UpstreamStatus,
        syncer: Syncer,
        consent_monitor: ConsentMonitor,
        following: Following,
        now: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._upstream_status = upstream_status
        self._syncer = syncer
        self._consent_monitor = consent_monitor
        self._following = following
        self._now = now

    def read(self) -> Status:
        """Return the current state; a fact that cannot be read is logged and left unknown."""
        upstream, syncer, monitor = self._upstream_status, self._syncer, self._consent_monitor
        snapshot = attempt_now(lambda: self._cache.snapshot, None)
        freshness = Freshness() if snapshot is None else snapshot.freshness
        history = attempt_now(lambda: upstream.history, SyncHistory({}))
        interval = attempt_now(lambda: syncer.schedule.interval, 0.0)
        return Status(
            now=self._now(),
            is_loaded=snapshot is not None,
            freshness=freshness,
            is_stale=attempt_now(lambda: self._cache.is_stale(), False),
            is_syncing=attempt_now(lambda: syncer.is_running or upstream.syncing, False),
            syncing_since=attempt_now(lambda: syncer.running_since, None),
            next_sync_at=attempt_now(lambda: syncer.next_at(), None),
            interval=interval,
            history=history,
            days=attempt_now(lambda: upstream.days, None),
            markets=attempt_now(lambda: upstream.markets, {}),
            buckets=attempt_now(lambda: self._buckets(freshness.source, history, interval), ()),
            scopes=attempt_now(lambda: tuple(self._following.lists.scopes), ()),
            followed_list=attempt_now(self._followed_list, ListState()),
            consent=attempt_now(lambda: monitor.consent, None),
            consent_is_known=attempt_now(lambda: monitor.known, False),
        )

    def _followed_list(self) -> ListState:
        """Return the state of the list of the account whose login is used."""
        states, consent = self._following.lists.states, self._consent_monitor.consent
        return ListState() if consent is None else states.get(consent.account_id, ListState())

    def _buckets(
        self, source: str | None, history: SyncHistory, interval: float
    ) -> Sequence[Bucket]:
        """Return the usage of each endpoint; the forecast assumes that syncs go on as now."""
        pages = self._syncer.calls_of_a_sweep(source, history.markets)
        return self._upstream_status.buckets(source, pages, timedelta(seconds=interval))
