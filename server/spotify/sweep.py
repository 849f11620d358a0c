"""The result of one sweep of a source, and what storing it changed. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from server.spotify.object_parser import ParsedRelease
from server.spotify.types import SourceName, Verdicts

Proof = Literal["none", "refused", "weak", "good", "sure"]


@dataclass(frozen=True)
class MarketList:
    """The list of one market; `market` is empty for a list without a market.

    `ids` are Spotify's ids of albums in the order of the list, `present` the ids of items that
    could not be used. `proof` says what the absence of an album means: nothing (`none`) if the end
    of the list was not reached; next to nothing (`refused`) if Spotify refuses the market; little
    (`weak`) if pages were short, totals differed, or items had no id; much (`good`) if all pages
    were sound, but the list may have moved between two of them; that the album is gone (`sure`) if
    the list is a single sound page.
    """

    market: str
    ids: tuple[str, ...]
    proof: Proof
    present: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sweep:
    """The result of one pass over a source: each release once, and the lists they were found in.

    `complete` is false when a page could not be read. `calls` counts the calls to Spotify, `pages`
    those of them that brought a page; `pages_skipped` counts pages that could not be read,
    `skipped` unusable items. `why` explains the choice of the source; a `substitute` is used only
    while a better source does not answer. `verdicts` is what the sweep learnt of sources and
    markets, for the syncs after it.
    """

    source: SourceName
    releases: list[ParsedRelease]
    lists: list[MarketList]
    complete: bool
    calls: int
    pages: int = 0
    pages_skipped: int = 0
    skipped: int = 0
    error: str | None = None
    why: str | None = None
    substitute: bool = False
    verdicts: Verdicts = field(default_factory=Verdicts)

    @property
    def outcome(self) -> str:
        """How the sweep ended: complete or partial."""
        return "complete" if self.complete else "partial"


@dataclass
class Tally:
    """What storing a sweep changed: numbers of albums added to, updated in or gone from the lists.

    `new_at` is when albums were last added.
    """

    added: int = 0
    updated: int = 0
    gone: int = 0
    artists_changed: int = 0
    new_at: datetime | None = None

    @property
    def changed(self) -> bool:
        """Whether anything that Freshet serves has changed."""
        return bool(self.added or self.updated or self.gone or self.artists_changed)
