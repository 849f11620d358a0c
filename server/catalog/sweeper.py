"""One pass over the chosen source: all its pages, in every market that is wanted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.catalog.sweep import MarketList, Proof, Sweep
from server.errors import Paused, SpotifyError, SpotifyTimeout
from server.refusals import SyncPaused
from server.spotify import sources
from server.spotify.client import SpotifyClient
from server.spotify.items import ParsedPage, Parser
from server.spotify.paging import ENDPOINTS, Gap, Page, SourceName, Walk, is_passing
from server.spotify.parse import Release
from server.spotify.sources import Choice, Setting, market_of
from server.spotify.verdicts import Verdict

SWEEP_SECONDS = 300.0  # for a whole pass, whatever each request may take
AT_ONCE = 2  # items parsed before the loop turns to those who ask for answers
REST_SECONDS = 0.002  # so long; parsing on and on would take most of the loop

Progress = Callable[[int, int | None], None]


@dataclass
class _Haul:
    """What has come so far."""

    releases: dict[str, Release] = field(default_factory=dict)
    lists: list[MarketList] = field(default_factory=list)
    pages: int = 0
    skipped: int = 0
    seen: int = 0
    gaps: list[Gap] = field(default_factory=list)
    error: SpotifyError | None = None

    @property
    def reason(self) -> str | None:
        """What is missing and why; what ended the pass goes before what it skipped."""
        if self.error:
            return reason_of(self.error)
        more = f" (one of {len(self.gaps)} pages)" if len(self.gaps) > 1 else ""
        return f"{self.gaps[0]}{more}" if self.gaps else None


class Sweeper:
    """Walks the lists of a source; `markets` are ISO 3166-1 alpha-2 codes, for search alone.

    Each list is followed for `max_releases` items; the whole pass for `seconds`.
    """

    def __init__(
        self,
        client: SpotifyClient,
        *,
        setting: Setting,
        max_releases: int,
        markets: Sequence[str] = (),
        seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._client = client
        self._setting = setting
        self._max_releases = max_releases
        self._markets = tuple(markets) or ("",)
        self._seconds = seconds

    async def choose(
        self,
        verdicts: Mapping[SourceName, Verdict],
        now: datetime,
        failures: int,
        learnt: dict[SourceName, Verdict],
    ) -> Choice:
        """The source to sweep, as `sources.choose` finds it. Raises a SpotifyError."""
        try:
            async with asyncio.timeout(self._seconds):
                return await sources.choose(
                    self._client,
                    self._setting,
                    verdicts,
                    now,
                    market=self._markets[0],
                    failures=failures,
                    learnt=learnt,
                )
        except TimeoutError as error:
            raise self._too_long() from error

    @property
    def calls(self) -> int:
        """How often Spotify has been asked so far."""
        return self._client.calls

    async def check(self, source: SourceName, calls: int) -> None:
        """Raise SyncPaused if a source may not be asked so often now; asks nothing."""
        try:
            await self._client.check(ENDPOINTS[source].path, calls)
        except Paused as pause:
            raise SyncPaused(pause) from pause

    def _too_long(self) -> SpotifyTimeout:
        return SpotifyTimeout(f"the sweep was not done in {self._seconds:g} s")

    async def sweep(self, choice: Choice, calls: int, progress: Progress | None) -> Sweep:
        """All pages of the chosen source. What came before a failure is kept.

        `calls` is what the client had counted before the choice.
        """
        haul = _Haul()
        try:
            async with asyncio.timeout(self._seconds):
                await self._walk_all(choice, haul, progress)
        except TimeoutError:
            haul.error = self._too_long()
        return Sweep(
            source=choice.source,
            releases=list(haul.releases.values()),
            lists=haul.lists,
            complete=haul.reason is None,
            calls=self._client.calls - calls,
            pages=haul.pages,
            pages_skipped=len(haul.gaps),
            skipped=haul.skipped,
            error=haul.reason,
            why=choice.why,
            substitute=choice.substitute,
        )

    async def _walk_all(self, choice: Choice, haul: _Haul, progress: Progress | None) -> None:
        """Every market; one whose pages fail does not keep the next from being asked."""
        markets = [market_of(choice.source, market) for market in self._markets]
        first: Page | None = choice.first
        gap = choice.gap
        for market in dict.fromkeys(markets):
            walk = Walk(self._client, choice.source, market, self._max_releases)
            parser, seen = Parser(), 0
            try:
                async for page in walk.pages(first, gap):
                    wanted = page.items[: max(self._max_releases - walk.depth, 0)]
                    seen += len(page.items)
                    haul.pages += 1
                    if progress:
                        progress(haul.seen + seen, page.total)
                    await _parse(parser, wanted)
            except SpotifyError as error:
                haul.error = error
            finally:  # also when time is up
                self._take(haul, walk, market, parser.parsed(), seen)
            if haul.error and not is_passing(haul.error):
                return
            first = gap = None

    def _take(self, haul: _Haul, walk: Walk, market: str, parsed: ParsedPage, seen: int) -> None:
        haul.seen += seen
        haul.gaps += walk.gaps
        haul.skipped += parsed.skipped
        for release in parsed.releases:
            haul.releases.setdefault(release.spotify_id, release)
        ids = tuple(release.spotify_id for release in parsed.releases)
        proof: Proof = "none"
        if walk.ended and not walk.gaps and seen <= self._max_releases:
            moved = len(ids) + parsed.skipped < seen  # while it was read: one came twice
            proof = "weak"
            if walk.even and not moved and not parsed.nameless:
                proof = "sure" if walk.pages_met == 1 else "good"
        haul.lists.append(MarketList(market, ids, proof, parsed.skipped_ids))


async def _parse(parser: Parser, items: Sequence[Any]) -> None:
    """Parse a page, and let the loop turn in between."""
    for start in range(0, len(items), AT_ONCE):
        parser.take(items[start : start + AT_ONCE])
        await asyncio.sleep(REST_SECONDS)


def reason_of(error: Exception) -> str:
    """An error in one line: its class and what it says."""
    return f"{type(error).__name__}: {error}"
