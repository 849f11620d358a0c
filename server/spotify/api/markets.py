"""The markets that search is asked for: those of SYNC_MARKETS that Spotify does not refuse.

Spotify answers 400 for a market that it does not serve, whatever ISO 3166-1 says of the code.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from server.errors import MarketRefused
from server.spotify.api.client import SpotifyClient
from server.spotify.api.paging import Page, page
from server.spotify.types import PROBE_AGAIN, SourceName, Verdict

ALL_AGAIN = timedelta(hours=1)  # when every market is refused; no sync by search is possible then


def served(wanted: Sequence[str], known: Mapping[str, Verdict], now: datetime) -> list[str]:
    """List the markets to ask for: all but those refused of late, each of which is tried daily."""
    refused = [market for market in wanted if market in known and not known[market].allowed]
    again = ALL_AGAIN if len(refused) == len(wanted) else PROBE_AGAIN
    return [each for each in wanted if each not in refused or known[each].is_due(now, again)]


class Markets:
    """The markets of one sync; `learnt` is what it finds out about each.

    `wanted` are those of SYNC_MARKETS, `known` what earlier syncs were told of them.
    """

    def __init__(self, wanted: Sequence[str], known: Mapping[str, Verdict], now: datetime) -> None:
        self._wanted = wanted
        self.known = known
        self._now = now
        self.learnt: dict[str, Verdict] = {}

    def asked(self, source: SourceName) -> list[str]:
        """List the markets to ask a source for, in order; one empty one stands for no market."""
        if source == "new-releases" or not self._wanted:
            return [""]
        return served(self._wanted, {**self.known, **self.learnt}, self._now)

    def left_out(self, source: SourceName) -> list[str]:
        """List the markets that are not asked for, because Spotify refuses them."""
        asked = self.asked(source)
        return [] if asked == [""] else [each for each in self._wanted if each not in asked]

    def were_refused(self, market: str) -> bool:
        """Whether earlier syncs have left a market out."""
        return market in self.known and not self.known[market].allowed

    def accept(self, market: str) -> None:
        """Note that Spotify serves a market, if that is news or was last noted a day ago."""
        known = self.known.get(market)
        if market and (known is None or not known.allowed or known.is_due(self._now)):
            self.learnt[market] = Verdict(True, None, self._now)

    def refuse(self, market: str, error: MarketRefused) -> None:
        """Note that Spotify refuses a market."""
        self.learnt[market] = Verdict(False, str(error), self._now)

    async def first_page(self, client: SpotifyClient, source: SourceName) -> tuple[str, Page]:
        """Ask for the first page of a source, in the first market that is served.

        Raises MarketRefused if none is, and any other SpotifyError that a page raises.
        """
        for market in self.asked(source):
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
        reasons = ", ".join(f"{each} ({verdicts[each].reason})" for each in self._wanted)
        return MarketRefused(
            f"Spotify serves none of SYNC_MARKETS: {reasons}; "
            "correct it, or leave it empty to search without a market"
        )
