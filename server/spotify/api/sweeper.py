"""One pass over the chosen source: all its pages, in every market that is wanted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from server.errors import MarketRefused, Paused, SpotifyError, SpotifyTimeout
from server.request_errors import SyncPaused
from server.spotify.album_parser import ParsedPage, Parser
from server.spotify.api import sources
from server.spotify.api.client import SpotifyClient
from server.spotify.api.markets import Markets
from server.spotify.api.paging import ENDPOINTS, Gap, Walk, is_passing
from server.spotify.api.sources import Choice
from server.spotify.parse import MOST_CREDITS, MOST_IMAGES, Release
from server.spotify.sweep import MarketList, Proof, Sweep
from server.spotify.types import Setting, SourceName, Verdict

SWEEP_SECONDS = 300.0  # for a whole pass, whatever each request may take
AT_ONCE = 2  # items parsed before the loop turns to those who ask for answers
REST_SECONDS = 0.002  # so long; parsing on and on would take most of the loop

SHORTENED = f"more than {MOST_CREDITS} credits or {MOST_IMAGES} images; the others are left out"

log = structlog.get_logger()

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
    """Walks the lists of a source; `markets` are country codes, for search alone.

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
        self._markets = tuple(markets)
        self._seconds = seconds

    def markets(self, known: Mapping[str, Verdict], now: datetime) -> Markets:
        """The markets that are wanted, with what is known of them."""
        return Markets(self._markets, known, now)

    async def choose(
        self,
        verdicts: Mapping[SourceName, Verdict],
        now: datetime,
        failures: int,
        learnt: dict[SourceName, Verdict],
        markets: Markets,
    ) -> Choice:
        """The source to sweep, as `sources.choose` finds it. Raises a SpotifyError."""
        try:
            async with asyncio.timeout(self._seconds):
                return await sources.choose(
                    self._client,
                    self._setting,
                    verdicts,
                    now,
                    markets=markets,
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

    async def sweep(
        self, choice: Choice, markets: Markets, calls: int, progress: Progress | None
    ) -> Sweep:
        """All pages of the chosen source. What came before a failure is kept.

        `markets` learns what Spotify says of each. `calls` is what the client had counted before
        the choice.
        """
        haul = _Haul()
        try:
            async with asyncio.timeout(self._seconds):
                await self._walk_all(choice, markets, haul, progress)
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

    async def _walk_all(
        self, choice: Choice, markets: Markets, haul: _Haul, progress: Progress | None
    ) -> None:
        """Every market; one whose pages fail does not keep the next from being asked."""
        for market in markets.asked(choice.source):
            await self._walk(choice, market, markets, haul, progress)
            if haul.error and not is_passing(haul.error):
                return
        read = {each.market for each in haul.lists}
        refused = [each for each in markets.left_out(choice.source) if each not in read]
        haul.lists += [MarketList(market, (), "refused") for market in refused]

    async def _walk(
        self,
        choice: Choice,
        market: str,
        markets: Markets,
        haul: _Haul,
        progress: Progress | None,
    ) -> None:
        """The list of one market, or of none in particular."""
        walk = Walk(self._client, choice.source, market, self._max_releases)
        parser, seen = Parser(), 0
        begun = (choice.first, choice.gap) if market == choice.market else (None, None)
        try:
            async for page in walk.pages(*begun):
                markets.accept(market)
                wanted = page.items[: max(self._max_releases - walk.depth, 0)]
                seen += len(page.items)
                haul.pages += 1
                if progress:
                    progress(haul.seen + seen, page.total)
                await _parse(parser, wanted)
        except MarketRefused as error:
            markets.refuse(market, error)
        except SpotifyError as error:
            haul.error = error
        finally:  # also when time is up
            if walk.pages_met or market not in markets.left_out(choice.source):
                sound = not markets.were_refused(market)  # or the list is news in itself
                self._take(haul, walk, market, parser.parsed(), seen, sound=sound)

    def _take(
        self, haul: _Haul, walk: Walk, market: str, parsed: ParsedPage, seen: int, *, sound: bool
    ) -> None:
        """Keep what came of a list; one that is not `sound` proves nothing missing."""
        haul.seen += seen
        haul.gaps += walk.gaps
        haul.skipped += parsed.skipped
        if parsed.shortened_ids:
            log.warning("releases_shortened", spotify_ids=parsed.shortened_ids, note=SHORTENED)
        for release in parsed.releases:
            haul.releases.setdefault(release.spotify_id, release)
        ids = tuple(release.spotify_id for release in parsed.releases)
        proof: Proof = "none"
        if sound and walk.ended and not walk.gaps and seen <= self._max_releases:
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
