"""The markets of a sweep by search: those of SYNC_MARKETS that Spotify does not refuse.

Spotify answers 400 for a market that it does not serve, even if ISO 3166-1 has its code.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from server.errors import MarketRefused
from server.spotify.api.client import SpotifyClient
from server.spotify.api.paging import Page, page
from server.spotify.types import PROBE_AGAIN, SourceName, Verdict

ALL_AGAIN = timedelta(hours=1)  # when every market is refused, so that no sync by search works


def served(configured: Sequence[str], known: Mapping[str, Verdict], now: datetime) -> list[str]:
    """List the markets to request: all but those refused recently, which are tried again daily."""
    refused = [market for market in configured if market in known and not known[market].allowed]
    again = ALL_AGAIN if len(refused) == len(configured) else PROBE_AGAIN
    return [each for each in configured if each not in refused or known[each].is_due(now, again)]


class Markets:
    """The markets of one sweep; `learnt` holds its new verdicts on them.

    `configured` are the markets of SYNC_MARKETS, `known` the verdicts of earlier syncs.
    """

    def __init__(
        self, configured: Sequence[str], known: Mapping[str, Verdict], now: datetime
    ) -> None:
        self._configured = configured
        self.known = known
        self._now = now
        self.learnt: dict[str, Verdict] = {}

    def requested(self, source: SourceName) -> list[str]:
        """List the markets to request from a source, in order; `[""]` if without a market."""
        if source == "new-releases" or not self._configured:
            return [""]
        return served(self._configured, {**self.known, **self.learnt}, self._now)

    def skipped(self, source: SourceName) -> list[str]:
        """List the markets that are not requested because Spotify refuses them."""
        requested = self.requested(source)
        if requested == [""]:
            return []
        return [market for market in self._configured if market not in requested]

    def was_refused(self, market: str) -> bool:
        """Whether Spotify refused a market in earlier syncs."""
        return market in self.known and not self.known[market].allowed

    def accept(self, market: str) -> None:
        """Record that Spotify serves a market, if that is new or was last recorded a day ago."""
        known = self.known.get(market)
        if market and (known is None or not known.allowed or known.is_due(self._now)):
            self.learnt[market] = Verdict(True, None, self._now)

    def refuse(self, market: str, error: MarketRefused) -> None:
        """Record that Spotify refuses a market."""
        self.learnt[market] = Verdict(False, str(error), self._now)

    async def first_page(self, client: SpotifyClient, source: SourceName) -> tuple[str, Page]:
        """Fetch the first page of a source, in the first market that Spotify serves.

        Returns the market and the page. Raises MarketRefused if Spotify refuses all of them, and
        any other SpotifyError of a page.
        """
        for market in self.requested(source):
            try:
                first = await page(client, source, 0, market)
            except MarketRefused as error:
                self.refuse(market, error)
            else:
                self.accept(market)
                return market, first
        raise self._none_served()

    def _none_served(self) -> MarketRefused:
        verdicts = {**self.known, **self.learnt}
        reasons = ", ".join(f"{each} ({verdicts[each].reason})" for each in self._configured)
        return MarketRefused(
            f"Spotify serves none of SYNC_MARKETS: {reasons}; "
            "correct it, or leave it empty to search without a market"
        )
