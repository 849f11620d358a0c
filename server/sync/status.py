"""The state of the server as one value, which `/api/status`, the pages and the metrics format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from server.catalog.snapshot import Freshness, is_stuck
from server.spotify.consent import Consent
from server.spotify.types import ENDPOINTS, SOURCE_ORDER, SourceName, Verdict
from server.storage.following import ListState
from server.storage.sync_runs import Day, SyncHistory
from server.sync.upstream_status import Bucket

ListCondition = Literal["off", "login_missing", "scope_missing", "unread", "failed", "current"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of the server as one process knows it at `now`; defaults mean "not known".

    `is_loaded` is True once a snapshot has been read from the database, and `freshness` belongs to
    that snapshot; `is_stale` means that no sync has been complete for three intervals. `is_syncing`
    covers all processes, `syncing_since` and `next_sync_at` only this one. `interval` is in
    seconds, 0 while scheduled syncs are off. `history` is the result of past syncs, and `days`
    counts them per day (None until the database has answered). `markets` are those of SYNC_MARKETS.
    `consent` belongs to the newest login; it is None both without a login and, while
    `consent_is_known` is False, before the database has answered. `scopes` are those that a login
    asks for; `followed_list` is the state of the list of artists that its account follows.
    """

    now: datetime
    is_loaded: bool = False
    freshness: Freshness = field(default_factory=Freshness)
    is_stale: bool = False
    is_syncing: bool = False
    syncing_since: datetime | None = None
    next_sync_at: datetime | None = None
    interval: float = 0
    history: SyncHistory = field(default_factory=lambda: SyncHistory({}))
    days: tuple[Day, ...] | None = None
    markets: Mapping[str, Verdict | None] = field(default_factory=dict)
    buckets: Sequence[Bucket] = ()
    scopes: tuple[str, ...] = ()
    followed_list: ListState = field(default_factory=ListState)
    consent: Consent | None = None
    consent_is_known: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether complete syncs have added no release for 72 hours."""
        return is_stuck(self.freshness.new_at, self.freshness.complete_at)

    @property
    def paused_until(self) -> datetime | None:
        """When the pause ends that Spotify has asked for and that keeps syncs from running."""
        source = self.freshness.source
        paths = {ENDPOINTS[each].path for each in SOURCE_ORDER if source in (None, each)}
        ends = [each.paused_until for each in self.buckets if each.name in paths]
        return max((each for each in ends if each), default=None)

    @property
    def watched_since(self) -> date | None:
        """The first day (UTC) whose listings are stored; None before the first sync."""
        return self.freshness.watched_from(self.now.date())

    @property
    def sources(self) -> dict[SourceName, Verdict | None]:
        """Every source of new releases, with Spotify's last verdict on it."""
        return {name: self.history.verdicts.get(name) for name in SOURCE_ORDER}

    @property
    def list_condition(self) -> ListCondition:
        """How the list of followed artists is: why it is not read, or whether that went well."""
        if not self.scopes:
            return "off"
        if self.consent is None or self.consent.state != "active":
            return "login_missing"
        if self.consent.lacks(self.scopes):
            return "scope_missing"
        if self.followed_list.error is not None:
            return "failed"
        return "unread" if self.followed_list.read_at is None else "current"

    @property
    def days_to_reconsent(self) -> int | None:
        """Whole days until a new consent is needed; None without a login."""
        return None if self.consent is None else self.consent.days_left(self.now)
