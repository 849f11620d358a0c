"""What one pass over a source brought, and what that changed here. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from server.spotify.parse import Release
from server.spotify.types import SourceName

Proof = Literal["none", "refused", "weak", "good", "sure"]


@dataclass(frozen=True)
class MarketList:
    """The list of one market as it was met, or of none in particular: then `market` is empty.

    `ids` are albums in the order of the list, `present` those of items that could not be used.
    `proof` says what an album's absence means: nothing, if the end of the list was not reached;
    next to nothing, if Spotify refuses the market; little, if pages were short, totals differed, or
    items came that could be anything; much, if all was right, but between two pages the list may
    have moved; of a single page, that it is gone.
    """

    market: str
    ids: tuple[str, ...]
    proof: Proof
    present: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sweep:
    """What one pass over a source brought: each release once, and the lists that they stood in.

    `complete` is false when a page could not be had. `calls` counts all that Spotify was asked for
    it, `pages` those of them that brought a page; `pages_skipped` counts pages that could not be
    read, `skipped` unusable items. A `substitute` stands in for a better source as long as that
    does not answer.
    """

    source: SourceName
    releases: list[Release]
    lists: list[MarketList]
    complete: bool
    calls: int
    pages: int = 0
    pages_skipped: int = 0
    skipped: int = 0
    error: str | None = None
    why: str | None = None
    substitute: bool = False

    @property
    def outcome(self) -> str:
        """How it ended: complete or partial."""
        return "complete" if self.complete else "partial"


@dataclass
class Tally:
    """What a sweep changed: albums that came into the list, differ, or left it.

    `new_at` is when albums last came into it.
    """

    added: int = 0
    updated: int = 0
    gone: int = 0
    artists_changed: int = 0
    new_at: datetime | None = None

    @property
    def changed(self) -> bool:
        """Whether anything that is served has changed."""
        return bool(self.added or self.updated or self.gone or self.artists_changed)
