"""One change as it is told: as JSON, and as an event of a stream. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import orjson

from server.catalog.snapshot import TIMES

RESET = "reset"
ENTRY_BYTES = 500  # of an entry in memory beside its JSON
BEGIN_AGAIN = (
    "Changes after this place have been deleted, or it belongs to another journal. Fetch all pages "
    "of /api/albums/, then follow the changes after `begin_after`."
)


@dataclass(frozen=True)
class Reach:
    """How far the journal reaches: from `oldest` (None if nothing is kept) to `newest`.

    All up to `floor` may have been deleted; what is missing above was never written.
    """

    oldest: int | None
    newest: int
    floor: int

    def holds(self, after: int) -> bool:
        """Tell whether everything that was written after a place is kept."""
        return self.floor <= after <= self.newest

    @property
    def members(self) -> dict[str, int | None]:
        """What a client is told whose place is out of reach."""
        return {"oldest": self.oldest, "newest": self.newest, "begin_after": self.newest}


@dataclass(frozen=True)
class Entry:
    """An entry of the journal; `json` is the object that clients get."""

    seq: int
    kind: str
    json: bytes

    @classmethod
    def of(cls, change: dict[str, Any]) -> Self:
        """A change as the journal has it."""
        return cls(change["seq"], change["kind"], orjson.dumps(change, option=TIMES))

    @classmethod
    def reset(cls, reach: Reach) -> Self:
        """In place of changes that can no longer be told; its number is where to go on from."""
        told = {"kind": RESET, **reach.members, "detail": BEGIN_AGAIN}
        return cls(reach.newest, RESET, orjson.dumps(told))

    @property
    def size(self) -> int:
        """Bytes in memory, near enough, once it has been sent in both forms."""
        return 3 * len(self.json) + ENTRY_BYTES

    @cached_property
    def event(self) -> bytes:
        """It as a server-sent event, made once for all listeners.

        Source: html.spec.whatwg.org, section 9.2.5. JSON has no line breaks of its own.
        """
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.seq, self.kind.encode(), self.json)

    @cached_property
    def unnamed(self) -> bytes:
        """The same for listeners that only know `onmessage`."""
        return b"id: %d\ndata: %s\n\n" % (self.seq, self.json)


@dataclass(frozen=True)
class Piece:
    """Entries that follow each other, and how far the journal reached right after."""

    entries: list[Entry]
    reach: Reach
