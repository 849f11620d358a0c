"""Which endpoint new releases come from: the ladder, what was learnt of each rung, the choice.

The kind of an app shows only in Spotify's answers, so the first page is the probe. Source:
developer.spotify.com/documentation/web-api (changes of February 2026), and answers seen.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.errors import EndpointRestricted, MarketRefused, Paused, SpotifyError
from server.spotify.api.client import SpotifyClient
from server.spotify.api.markets import Markets
from server.spotify.api.paging import ENDPOINTS, Gap, Page, is_passing, page
from server.spotify.parse import release_dates
from server.spotify.types import LADDER, Setting, SourceName, Verdict

PATIENCE = 3  # failed syncs in a row, after which a source that does not answer is passed over
MOST = 100  # items of a page that are looked at for this; more than any page has
NAMED = "SYNC_SOURCE names it"
OF_ONE_SOURCE = (EndpointRestricted, MarketRefused, Paused)  # errors that leave other sources alone
UNKNOWN = "9999"  # sorts before every date


@dataclass(frozen=True)
class Choice:
    """The source to sweep, and its first page.

    A `substitute` serves only as long as a better source does not answer. `gap` is the first page
    if that cannot be read; `first` then is the second one. Both are of `market`.
    """

    source: SourceName
    first: Page
    why: str
    market: str = ""
    substitute: bool = False
    gap: Gap | None = None


async def choose(
    client: SpotifyClient,
    setting: Setting,
    verdicts: Mapping[SourceName, Verdict],
    now: datetime,
    *,
    markets: Markets | None = None,
    failures: int = 0,
    learnt: dict[SourceName, Verdict] | None = None,
) -> Choice:
    """Take the source that this app may use and that is fresher; `setting` can force one.

    A refusal is believed when another source answers with the same token, or only pauses; it is
    then remembered for a day. A pause that Spotify asks for on one source does not stop another,
    and is no refusal. `failures` counts the failed or partial syncs before this one: after any, a
    list whose first page cannot be read is taken from its second page on. `learnt` is filled with
    new verdicts, to be remembered also if this raises. Raises a SpotifyError if none answers.
    """
    learnt = {} if learnt is None else learnt
    markets = markets or Markets((), {}, now)
    look = _Look(client, verdicts, now, markets, learnt, patient=failures < PATIENCE)
    try:
        return await (look.freshest() if setting == "auto" else look.named(setting))
    except SpotifyError as error:
        if not failures or not is_passing(error):
            raise
        return await look.behind(error, named=setting != "auto")


class _Look:
    """One look at the sources, each asked once at the most."""

    def __init__(
        self,
        client: SpotifyClient,
        verdicts: Mapping[SourceName, Verdict],
        now: datetime,
        markets: Markets,
        learnt: dict[SourceName, Verdict],
        *,
        patient: bool,
    ) -> None:
        self._client = client
        self._known = verdicts
        self._now = now
        self._markets = markets
        self._patient = patient
        self._first: dict[SourceName, tuple[str, Page]] = {}
        self._learnt = learnt
        self._errors: dict[SourceName, SpotifyError] = {}

    async def named(self, source: SourceName) -> Choice:
        """The choice of a source that SYNC_SOURCE names, whatever is known of it."""
        try:
            market, first = await self._markets.first_page(self._client, source)
        except SpotifyError as error:
            self._errors[source] = error
            raise
        return Choice(source, first, NAMED, market)

    async def freshest(self) -> Choice:
        """The choice of the freshest source that answers."""
        in_use, *_ = ranked = self.ranked()
        for source in ranked:
            if self.is_due(source) and not await self.open(source) and source == in_use:
                self.skip_or_raise(source)
        for source in self.ranked():
            if await self.open(source):
                return self.choice(source)
            self.skip_or_raise(source)
        raise self.error()

    async def behind(self, error: SpotifyError, *, named: bool) -> Choice:
        """The choice of the source that `error` concerns, from its second page on.

        Raises `error` if there is nothing on that page either.
        """
        for source in [each for each in LADDER if self._errors.get(each) is error]:
            market = self._markets.asked(source)[0]
            with suppress(SpotifyError):
                second = await page(self._client, source, ENDPOINTS[source].limit, market)
                if second.items:
                    self._believe_refusals()
                    why = NAMED if named else self._why(source)
                    return Choice(source, second, why, market, gap=Gap(0, market, error))
        raise error

    def is_due(self, source: SourceName) -> bool:
        """Whether it is time to probe a source."""
        known = self._known.get(source)
        return known is None or known.is_due(self._now)

    def ranked(self) -> list[SourceName]:
        """The sources that may be tried, the freshest first, then in the ladder's order."""
        usable = [source for source in LADDER if not self._is_refused(source)]
        return sorted(usable, key=self._freshness, reverse=True)

    async def open(self, source: SourceName) -> bool:
        """Whether the first page of a source can be had.

        Raises what concerns every source alike, such as refused credentials.
        """
        if source in self._first or source in self._errors:
            return source in self._first
        try:
            market, first = await self._markets.first_page(self._client, source)
        except SpotifyError as error:
            if not (isinstance(error, OF_ONE_SOURCE) or is_passing(error)):
                raise
            self._errors[source] = error
            return False
        self._first[source] = market, first
        self._learnt[source] = Verdict(True, None, self._now, _newest(first, self._now))
        return True

    def skip_or_raise(self, source: SourceName) -> None:
        """Pass over a source that could not be opened.

        Raises its error if that is only a passing failure, and new: no source is changed for that.
        """
        error = self._errors[source]
        if self._patient and is_passing(error):
            raise error

    def choice(self, source: SourceName) -> Choice:
        """The choice of a source that has answered; by its answer, refusals of others are true."""
        self._believe_refusals()
        ranked = self.ranked()
        waiting = [each for each in ranked[: ranked.index(source)] if each in self._errors]
        if waiting:
            why = "; ".join(f"{each} does not answer: {self._errors[each]}" for each in waiting)
        else:
            why = self._why(source)
        market, first = self._first[source]
        return Choice(source, first, why, market, substitute=bool(waiting))

    def error(self) -> SpotifyError:
        """Why no source can be swept: the shortest pause if there is one, else the last word."""
        errors = [self._errors[source] for source in LADDER if source in self._errors]
        pauses = [each for each in errors if isinstance(each, Paused)]
        if pauses or any(isinstance(each, MarketRefused) for each in errors):
            self._believe_refusals()  # or each try until it is over would ask again
        return min(pauses, key=lambda each: each.seconds) if pauses else errors[-1]

    def _believe_refusals(self) -> None:
        for each, error in self._errors.items():
            if isinstance(error, EndpointRestricted):
                self._learnt[each] = Verdict(False, str(error), self._now)

    def _verdict(self, source: SourceName) -> Verdict | None:
        return self._learnt.get(source) or self._known.get(source)

    def _is_refused(self, source: SourceName) -> bool:
        if source in self._errors:
            return isinstance(self._errors[source], EndpointRestricted)
        verdict = self._verdict(source)
        return verdict is not None and not verdict.allowed and not self.is_due(source)

    def _freshness(self, source: SourceName) -> str:
        verdict = self._verdict(source)
        return UNKNOWN if verdict is None else verdict.newest or ""

    def _why(self, source: SourceName) -> str:
        """What made this one the source, in words for an operator."""
        reasons = []
        for each in LADDER:
            verdict = self._verdict(each)
            if each == source or verdict is None:
                continue
            if not verdict.allowed:
                reasons.append(f"{each} is refused: {verdict.reason}")
            elif self._freshness(each) == self._freshness(source):
                reasons.append(f"{each} is no fresher")
            else:
                reasons.append(f"{each} is less fresh: its newest is of {verdict.newest}")
        return "; ".join(reasons) or "no other has answered"


def _newest(first: Page, now: datetime) -> str | None:
    """The newest date on a page; later than tomorrow is an announcement and says nothing."""
    tomorrow = (now + timedelta(days=1)).date().isoformat()
    dates = release_dates(first.items[:MOST])
    return max((each for each in dates if each <= tomorrow), default=None)
