"""Which endpoint new releases come from: the sources, their verdicts, and the choice of one.

The kind of an app shows only in Spotify's answers, so the first page is the probe. Source:
developer.spotify.com/documentation/web-api (changes of February 2026), and observed answers.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.errors import EndpointRestricted, MarketRefused, Paused, SpotifyError
from server.spotify.api.client import SpotifyClient
from server.spotify.api.markets import Markets
from server.spotify.api.paging import Gap, Page, is_transient, page
from server.spotify.object_parser import release_dates
from server.spotify.types import ENDPOINTS, SOURCE_ORDER, SourceName, SourceSetting, Verdict

PATIENCE = 3  # failed syncs in a row, after which a source that does not answer is passed over
MAX_DATED = 100  # items of a page whose dates are compared; more than any page has
NAMED = "SYNC_SOURCE names it"
OF_ONE_SOURCE = (EndpointRestricted, MarketRefused, Paused)  # errors that leave other sources alone
UNKNOWN = "9999"  # sorts before every date


@dataclass(frozen=True)
class Choice:
    """The source to sweep, and its first page in `market`.

    A `substitute` is used only while a better source does not answer. If the first page cannot be
    read, `gap` describes it, and `first` is the second page.
    """

    source: SourceName
    first: Page
    why: str
    market: str = ""
    substitute: bool = False
    gap: Gap | None = None


class SourceProbe:
    """Chooses the source of one sweep; asks each source for its first page once at most.

    `known` holds the verdicts of earlier syncs, `learnt` the new ones; these are to be stored even
    if the choice fails.
    """

    def __init__(
        self,
        client: SpotifyClient,
        known: Mapping[SourceName, Verdict],
        now: datetime,
        markets: Markets | None = None,
    ) -> None:
        self._client = client
        self._known = known
        self._now = now
        self._markets = markets or Markets((), {}, now)
        self._first: dict[SourceName, tuple[str, Page]] = {}
        self._errors: dict[SourceName, SpotifyError] = {}
        self.learnt: dict[SourceName, Verdict] = {}

    async def choose(self, setting: SourceSetting, failures: int = 0) -> Choice:
        """Choose the freshest source that this app may use, or the one that `setting` names.

        A refusal is believed when another source answers with the same token, or only pauses; it is
        then remembered for a day. A pause of one source does not stop another, and is no refusal.
        `failures` counts the failed or partial syncs before this one: after any, a list whose first
        page cannot be read is read from its second page on; after PATIENCE of them, a source that
        does not answer is passed over. Raises a SpotifyError if no source answers.
        """
        try:
            if setting != "auto":
                return await self._named(setting)
            return await self._freshest(patient=failures < PATIENCE)
        except SpotifyError as error:
            if not failures or not is_transient(error):
                raise
            return await self._after_first_page(error, named=setting != "auto")

    async def _named(self, source: SourceName) -> Choice:
        """Choose the source that SYNC_SOURCE names, whatever its verdict."""
        try:
            market, first = await self._markets.first_page(self._client, source)
        except SpotifyError as error:
            self._errors[source] = error
            raise
        return Choice(source, first, NAMED, market)

    async def _freshest(self, *, patient: bool) -> Choice:
        """Choose the freshest source that answers.

        A `patient` choice raises a transient failure of the source in use instead of changing it.
        """
        in_use, *_ = ranked = self._ranked()
        for source in ranked:
            if self._is_due(source) and not await self._probe(source) and source == in_use:
                self._skip_or_raise(source, patient=patient)
        for source in self._ranked():
            if await self._probe(source):
                return self._choice(source)
            self._skip_or_raise(source, patient=patient)
        raise self._final_error()

    async def _after_first_page(self, error: SpotifyError, *, named: bool) -> Choice:
        """Choose the source whose first page raised `error`, from its second page on.

        Raises `error` if the second page is empty or cannot be read either.
        """
        for source in [each for each in SOURCE_ORDER if self._errors.get(each) is error]:
            market = self._markets.requested(source)[0]
            with suppress(SpotifyError):
                second = await page(self._client, source, ENDPOINTS[source].limit, market)
                if second.items:
                    self._believe_refusals()
                    why = NAMED if named else self._why(source)
                    return Choice(source, second, why, market, gap=Gap(0, market, error))
        raise error

    def _is_due(self, source: SourceName) -> bool:
        """Whether a source is to be probed again."""
        known = self._known.get(source)
        return known is None or known.is_due(self._now)

    def _ranked(self) -> list[SourceName]:
        """List the sources that may be tried, the freshest first, then in the ladder's order."""
        usable = [source for source in SOURCE_ORDER if not self._is_refused(source)]
        return sorted(usable, key=self._freshness, reverse=True)

    async def _probe(self, source: SourceName) -> bool:
        """Ask for the first page of a source, unless it was asked for already; whether it came.

        Raises what concerns every source alike, such as refused credentials.
        """
        if source in self._first or source in self._errors:
            return source in self._first
        try:
            market, first = await self._markets.first_page(self._client, source)
        except SpotifyError as error:
            if not (isinstance(error, OF_ONE_SOURCE) or is_transient(error)):
                raise
            self._errors[source] = error
            return False
        self._first[source] = market, first
        self.learnt[source] = Verdict(True, None, self._now, _newest(first, self._now))
        return True

    def _skip_or_raise(self, source: SourceName, *, patient: bool) -> None:
        """Pass over a source that did not answer.

        Raises its error if that is a transient failure and the choice is `patient`.
        """
        error = self._errors[source]
        if patient and is_transient(error):
            raise error

    def _choice(self, source: SourceName) -> Choice:
        """Choose a source that has answered; its answer confirms the refusals of the others."""
        self._believe_refusals()
        ranked = self._ranked()
        waiting = [each for each in ranked[: ranked.index(source)] if each in self._errors]
        if waiting:
            why = "; ".join(f"{each} does not answer: {self._errors[each]}" for each in waiting)
        else:
            why = self._why(source)
        market, first = self._first[source]
        return Choice(source, first, why, market, substitute=bool(waiting))

    def _final_error(self) -> SpotifyError:
        """Return why no source can be swept: the shortest pause if any, else the last error."""
        errors = [self._errors[source] for source in SOURCE_ORDER if source in self._errors]
        pauses = [each for each in errors if isinstance(each, Paused)]
        if pauses or any(isinstance(each, MarketRefused) for each in errors):
            self._believe_refusals()  # or each retry until the pause is over would ask again
        return min(pauses, key=lambda each: each.seconds) if pauses else errors[-1]

    def _believe_refusals(self) -> None:
        for each, error in self._errors.items():
            if isinstance(error, EndpointRestricted):
                self.learnt[each] = Verdict(False, str(error), self._now)

    def _verdict(self, source: SourceName) -> Verdict | None:
        return self.learnt.get(source) or self._known.get(source)

    def _is_refused(self, source: SourceName) -> bool:
        if source in self._errors:
            return isinstance(self._errors[source], EndpointRestricted)
        verdict = self._verdict(source)
        return verdict is not None and not verdict.allowed and not self._is_due(source)

    def _freshness(self, source: SourceName) -> str:
        verdict = self._verdict(source)
        return UNKNOWN if verdict is None else verdict.newest or ""

    def _why(self, source: SourceName) -> str:
        """Explain the choice of a source to an operator."""
        reasons = []
        for each in SOURCE_ORDER:
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
    """Return the newest date on a page, not counting announcements (later than tomorrow)."""
    tomorrow = (now + timedelta(days=1)).date().isoformat()
    dates = release_dates(first.items[:MAX_DATED])
    return max((each for each in dates if each <= tomorrow), default=None)
