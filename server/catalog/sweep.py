"""What one pass over a source brought, and what that changed here. Pure."""

from dataclasses import dataclass

from server.spotify.parse import Release
from server.spotify.sources import SourceName


@dataclass(frozen=True)
class Sweep:
    """What one pass over a source brought, in listing order.

    `complete` is false when a page could not be had. `unreadable` counts skipped items without even
    an id: any album may hide behind one, so nothing is taken for gone. `present` are ids of skipped
    items that had one.
    """

    source: SourceName
    releases: list[Release]
    complete: bool
    calls: int
    skipped: int = 0
    unreadable: int = 0
    present: frozenset[str] = frozenset()
    error: str | None = None
    market: str = ""

    @property
    def outcome(self) -> str:
        """How it ended: complete or partial."""
        return "complete" if self.complete else "partial"


@dataclass
class Tally:
    """What a sweep changed: albums that came into the list, differ, or left it."""

    added: int = 0
    updated: int = 0
    gone: int = 0
    artists_changed: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything that is served has changed."""
        return bool(self.added or self.updated or self.gone or self.artists_changed)
