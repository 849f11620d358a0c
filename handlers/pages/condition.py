"""What the start page and the status page share: the condition of what is served."""

from functools import partial
from typing import Any

from handlers.pages.account import AccountHandler
from handlers.pages.presenters.condition import Condition, condition_of
from server.serving.cache import PayloadCache
from server.sync.syncer import Syncer
from server.sync.upstream_status import UpstreamStatus
from server.tasks import attempt_now


class ConditionHandler(AccountHandler):
    """Reads the condition from memory, from the parts that know."""

    def initialize(  # type: ignore[override]
        self,
        cache: PayloadCache,
        upstream_status: UpstreamStatus,
        syncer: Syncer,
        **login: Any,
    ) -> None:
        """Take what is shown from the wiring."""
        super().initialize(**login)
        self._cache, self._upstream_status, self._syncer = cache, upstream_status, syncer

    def is_syncing(self) -> bool:
        """Return whether any process syncs; False if that cannot be told."""
        return attempt_now(partial(self._syncer.runs_anywhere, self._upstream_status), False)

    def condition(self) -> Condition:
        """Return the one condition of this server that pages show."""
        snapshot = self._cache.snapshot
        return condition_of(
            None if snapshot is None else snapshot.freshness,
            self._upstream_status.history,
            stale=snapshot is not None and self._cache.is_stale(snapshot),
            running=self.is_syncing(),
            scheduled=self._syncer.schedule.interval > 0,
        )
