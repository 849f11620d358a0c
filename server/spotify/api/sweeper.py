"""One sweep of the chosen source: all its pages, in every market of SYNC_MARKETS."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from server.errors import MarketRefused, Paused, SpotifyError, SpotifyTimeout
from server.request_errors import SyncPaused, sync_policy
from server.spotify.api.client import SpotifyClient
from server.spotify.api.markets import Markets
from server.spotify.api.paging import Gap, Walk, is_transient
from server.spotify.api.sources import Choice, SourceProbe
from server.spotify.list_parser import ListParser, ParsedPage
from server.spotify.object_parser import MAX_CREDITS, MAX_IMAGES, ParsedRelease
from server.spotify.sweep import MarketList, Proof, Sweep
from server.spotify.types import ENDPOINTS, SourceName, SourceSetting, Verdict, Verdicts

SWEEP_SECONDS = 300.0  # for a whole sweep, however long each request may take
ITEMS_AT_ONCE = 2  # parsed before the loop turns to requests
REST_SECONDS = 0.002  # between them; parsing without a rest would take most of the loop

SHORTENED = f"kept the first {MAX_CREDITS} credits and the first {MAX_IMAGES} images"

log = structlog.get_logger()

Progress = Callable[[int, int | None], None]


@dataclass
class _Collected:
    """What a sweep has read so far."""

    releases: dict[str, ParsedRelease] = field(default_factory=dict)
    lists: list[MarketList] = field(default_factory=list)
    pages: int = 0
    skipped: int = 0
    seen: int = 0
    gaps: list[Gap] = field(default_factory=list)
    error: SpotifyError | None = None

    @property
    def reason(self) -> str | None:
        """What is missing and why: the error that ended the sweep, else the first skipped page."""
        if self.error:
            return reason_of(self.error)
        more = f" (one of {len(self.gaps)} pages)" if len(self.gaps) > 1 else ""
        return f"{self.gaps[0]}{more}" if self.gaps else None


@dataclass
class Sweeper:
    """Starts sweeps of new releases, with the calls of one client.

    `markets` are country codes, for search alone. Each list is followed for `max_releases` items;
    the choice of a source and the sweep of it may take `seconds` each.
    """

    client: SpotifyClient
    setting: SourceSetting
    max_releases: int
    markets: Sequence[str] = ()
    seconds: float = SWEEP_SECONDS

    async def check(self, source: SourceName, calls: int, cost: int) -> None:
        """Raise SyncPaused if `source` may not be called `calls` times now; makes no call.

        `cost` is the usual number of calls of a sync.
        """
        path = ENDPOINTS[source].path
        try:
            await self.client.check(path, calls)
        except Paused as pause:
            raise SyncPaused(pause, self.client.calls_a_day(path) // cost) from pause

    def quota_headers(self, source: SourceName, cost: int) -> dict[str, str]:
        """Return the headers that say how many syncs are left after one more of `cost` calls."""
        path = ENDPOINTS[source].path
        policy = sync_policy(self.client.calls_a_day(path) // cost)
        return policy.headers(max(self.client.calls_left(path) // cost - 1, 0))

    def start(self, now: datetime) -> "SweepRun":
        """Prepare a sweep that starts `now`; it makes no call before `SweepRun.sweep`."""
        return SweepRun(self, now)


class SweepRun:
    """One sweep; `verdicts` and `calls` can be read at any time, also after an error."""

    def __init__(self, sweeper: Sweeper, now: datetime) -> None:
        self._client = sweeper.client
        self._sweeper = sweeper
        self._now = now
        self._calls_before = sweeper.client.calls
        self._collected = _Collected()
        self._prepare({}, {})

    def _prepare(
        self, sources: Mapping[SourceName, Verdict], markets: Mapping[str, Verdict]
    ) -> None:
        self._markets = Markets(self._sweeper.markets, markets, self._now)
        self._probe = SourceProbe(self._client, sources, self._now, self._markets)

    @property
    def calls(self) -> int:
        """The number of calls to Spotify so far."""
        return self._client.calls - self._calls_before

    @property
    def verdicts(self) -> Verdicts:
        """What the sweep has learnt of sources and markets so far."""
        return Verdicts(self._probe.learnt, self._markets.learnt, self._client.client_id)

    async def sweep(
        self,
        sources: Mapping[SourceName, Verdict],
        markets: Mapping[str, Verdict],
        failures: int = 0,
        progress: Progress | None = None,
    ) -> Sweep:
        """Choose a source and read all its pages; a page that fails makes the sweep partial.

        `sources` and `markets` are the verdicts of earlier syncs, `failures` how many of these have
        failed in a row. `progress` is called after each page with the number of items seen and the
        total that Spotify claims. Raises a SpotifyError if no source can be read.
        """
        self._prepare(sources, markets)
        choice, collected = await self._choose(failures), self._collected
        try:
            async with asyncio.timeout(self._sweeper.seconds):
                await self._walk_all(choice, progress)
        except TimeoutError:
            collected.error = self._too_long()
        return Sweep(
            source=choice.source,
            releases=list(collected.releases.values()),
            lists=collected.lists,
            complete=collected.reason is None,
            calls=self.calls,
            pages=collected.pages,
            pages_skipped=len(collected.gaps),
            skipped=collected.skipped,
            error=collected.reason,
            why=choice.why,
            substitute=choice.substitute,
            verdicts=self.verdicts,
        )

    async def _choose(self, failures: int) -> Choice:
        try:
            async with asyncio.timeout(self._sweeper.seconds):
                return await self._probe.choose(self._sweeper.setting, failures)
        except TimeoutError as error:
            raise self._too_long() from error

    def _too_long(self) -> SpotifyTimeout:
        return SpotifyTimeout(f"the sweep was not done in {self._sweeper.seconds:g} s")

    async def _walk_all(self, choice: Choice, progress: Progress | None) -> None:
        """Read the list of every market; one whose pages fail does not stop the next."""
        collected, markets = self._collected, self._markets
        for market in markets.requested(choice.source):
            await self._walk(choice, market, progress)
            if collected.error and not is_transient(collected.error):
                return
        read = {each.market for each in collected.lists}
        refused = [each for each in markets.skipped(choice.source) if each not in read]
        collected.lists += [MarketList(market, (), "refused") for market in refused]

    async def _walk(self, choice: Choice, market: str, progress: Progress | None) -> None:
        """Read the list of one market, or the one without a market ("")."""
        collected, most = self._collected, self._sweeper.max_releases
        walk = Walk(self._client, choice.source, market, most)
        parser, seen = ListParser(), 0
        start = (choice.first, choice.gap) if market == choice.market else (None, None)
        try:
            async for page in walk.pages(*start):
                self._markets.accept(market)
                items = page.items[: max(most - walk.depth, 0)]
                seen += len(page.items)
                collected.pages += 1
                if progress:
                    progress(collected.seen + seen, page.total)
                await _parse(parser, items)
        except MarketRefused as error:
            self._markets.refuse(market, error)
        except SpotifyError as error:
            collected.error = error
        finally:  # also when the time is up
            if walk.pages_read or market not in self._markets.skipped(choice.source):
                self._add(walk, market, parser.result(), seen)

    def _add(self, walk: Walk, market: str, parsed: ParsedPage, seen: int) -> None:
        """Add the list of one market, with what the absence of an album from it proves.

        A market that was refused until now proves nothing: its list is news in itself.
        """
        collected = self._collected
        collected.seen += seen
        collected.gaps += walk.gaps
        collected.skipped += parsed.skipped
        if parsed.shortened_ids:
            log.warning("releases_shortened", spotify_ids=parsed.shortened_ids, note=SHORTENED)
        for release in parsed.releases:
            collected.releases.setdefault(release.spotify_id, release)
        ids = tuple(release.spotify_id for release in parsed.releases)
        proof: Proof = "none"
        sound = walk.ended and not walk.gaps and seen <= self._sweeper.max_releases
        if sound and not self._markets.was_refused(market):
            moved = len(ids) + parsed.skipped < seen  # while it was read: one album came twice
            proof = "weak"
            if walk.even and not moved and not parsed.nameless:
                proof = "sure" if walk.pages_read == 1 else "good"
        collected.lists.append(MarketList(market, ids, proof, parsed.skipped_ids))


async def _parse(parser: ListParser, items: Sequence[Any]) -> None:
    """Parse a page, and let the loop turn in between."""
    for start in range(0, len(items), ITEMS_AT_ONCE):
        parser.feed(items[start : start + ITEMS_AT_ONCE])
        await asyncio.sleep(REST_SECONDS)


def reason_of(error: Exception) -> str:
    """Describe an error in one line: its class and its message."""
    return f"{type(error).__name__}: {error}"
