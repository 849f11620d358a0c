"""Entries of the journal, as JSON and as server-sent events; the parameters to read them. Pure.

A database that was restored from a backup uses numbers again that clients have read already. So a
place in the journal is a number with a mark of what the entry with this number says: a client whose
place has another mark has read another journal.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self

import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from server.catalog.parameters import WholeNumber, choices, digits
from server.catalog.query import parse
from server.catalog.snapshot import TIMES
from server.errors import InvalidParameters, ParameterFault

RESET = "reset"
ENTRY_BYTES = 500  # of an entry in memory beside its JSON
BEGIN_AGAIN = (
    "Changes after this position have been deleted, or it belongs to another journal. Fetch all "
    "pages of /api/albums/, then follow the changes after their `place`."
)
PLACE = re.compile(r"([0-9]{1,16})(?:-([0-9a-f]{8}))?")
MAX_SEQ = 2**53  # JavaScript has exact integers up to here
PLACE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": "^[0-9]{1,15}(-[0-9a-f]{8})?$"},
        {"type": "integer", "minimum": 0, "maximum": MAX_SEQ},
    ]
}
MAX_STORED = 100  # releases that are read for one page


class Place(NamedTuple):
    """A place in the journal: the number of the last entry that a client has, and its mark.

    The mark is empty where it is not known: in a number that a client has written itself, or before
    the first entry.
    """

    seq: int
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.seq}-{self.mark}" if self.mark else str(self.seq)

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a place from text, such as `813-5f2c9a1b` or `813`. Raises ValueError."""
        found = PLACE.fullmatch(text) if isinstance(text, str) else None
        if found is None or int(found[1]) > MAX_SEQ:
            raise ValueError(
                f"must be a place from an answer, or an integer in plain digits, at most {MAX_SEQ}"
            )
        return cls(int(found[1]), found[2] or "")


def mark_of(seq: int, kind: str, at: datetime, album: str) -> str:
    """Return 32 bits that entries with the same number in two journals do not share."""
    text = f"{seq} {kind} {at.astimezone(UTC).isoformat()} {album}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=4).hexdigest()


@dataclass(frozen=True)
class JournalReach:
    """How far the journal reaches: from `oldest` (None if it is empty) to `newest`.

    Entries up to `floor` may have been deleted; numbers missing above it were never written.
    `newest_mark` and `floor_mark` are those of the entries with these numbers; empty if unknown.
    """

    oldest: int | None
    newest: int
    floor: int
    newest_mark: str = ""
    floor_mark: str = ""

    @property
    def place(self) -> Place:
        """The place of a client that has everything."""
        return Place(self.newest, self.newest_mark)

    @property
    def beginning(self) -> Place:
        """The place before the oldest entry."""
        return Place(self.floor, self.floor_mark)

    def holds(self, place: Place, mark: str | None) -> bool:
        """Return whether the journal still has everything that was written after a place.

        `mark` is that of the entry with the same number; None if there is none, which is so at the
        floor alone for a place that this journal has given. A place without a mark is believed.
        """
        if not self.floor <= place.seq <= self.newest:
            return False
        if mark is None and place.seq == self.floor:
            mark = self.floor_mark or place.mark
        return place.mark in ("", mark)

    @property
    def members(self) -> dict[str, int | None]:
        """Members of the problem and of the reset for a client whose seq is out of reach."""
        return {"oldest": self.oldest, "newest": self.newest, "begin_after": self.newest}


@dataclass(frozen=True)
class JournalEntry:
    """An entry of the journal about the release `album`; `json` is the object that clients get.

    `place` is that of a client that has read it.
    """

    place: Place
    kind: str
    json: bytes
    album: str = ""

    @classmethod
    def of(cls, change: dict[str, Any]) -> Self:
        """Create an entry from the members of a change."""
        mark = mark_of(change["seq"], change["kind"], change["at"], change["album"])
        place = Place(change["seq"], mark)
        json = orjson.dumps(change, option=TIMES)
        return cls(place, change["kind"], json, change["album"])

    @classmethod
    def reset(cls, reach: JournalReach) -> Self:
        """Create a reset, sent instead of changes that were deleted; its place is the newest."""
        content = {"kind": RESET, **reach.members, "detail": BEGIN_AGAIN}
        return cls(reach.place, RESET, orjson.dumps(content))

    @property
    def seq(self) -> int:
        """Its number."""
        return self.place.seq

    @property
    def size(self) -> int:
        """Estimated bytes in memory, once it has been sent in both forms."""
        return 3 * len(self.json) + ENTRY_BYTES

    @cached_property
    def event(self) -> bytes:
        """The entry as a server-sent event, made once for all followers.

        Source: html.spec.whatwg.org, section 9.2.5. Serialised JSON has no line breaks.
        """
        named = str(self.place).encode(), self.kind.encode(), self.json
        return b"id: %s\nevent: %s\ndata: %s\n\n" % named

    @cached_property
    def unnamed(self) -> bytes:
        """The same without an event name, for clients that only use `onmessage`."""
        return b"id: %s\ndata: %s\n\n" % (str(self.place).encode(), self.json)


@dataclass(frozen=True)
class JournalPage:
    """Consecutive entries, and how far the journal reached right after they were read.

    `mark` is that of the entry with the number after which they were read; None if there is none.
    """

    entries: list[JournalEntry]
    reach: JournalReach
    mark: str | None = None

    def follows(self, place: Place) -> bool:
        """Return whether it has what was written after a place, and nothing of it is missing."""
        return self.reach.holds(place, self.mark)


LAST_EVENT_ID = "Last-Event-ID"

Position = Annotated[Place, PlainValidator(Place.parse), WithJsonSchema(PLACE_SCHEMA)]
Addition = Literal["stored"]


class ChangesQuery(BaseModel):
    """The parameters of `GET /api/changes/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None,
        description="The `place` of the answer or list that you have, or the `seq` of a change; if "
        "left out, the list starts with the oldest stored change.",
    )
    limit: WholeNumber = Field(100, ge=1, le=1000, description="Maximum number of changes.")
    include: Annotated[tuple[Addition, ...], choices(Addition)] = Field(
        (),
        description="`stored` adds the release as `/api/albums/` lists it now, or null if it is "
        f"no longer stored; a page then has {MAX_STORED} changes at most.",
    )

    @property
    def most(self) -> int:
        """The maximum number of changes on the page."""
        return min(self.limit, MAX_STORED) if "stored" in self.include else self.limit


class EventsQuery(BaseModel):
    """The parameters of `GET /api/events`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None,
        description="Only changes after this place, or `seq` of a change; if left out, only new "
        "ones.",
    )
    unnamed: Annotated[int, Field(ge=0, le=1), BeforeValidator(digits)] = Field(
        0, description="1: send events without a name, for `onmessage`; their data has the `kind`."
    )


def parse_events_query(query_string: str, last_event_id: str | None) -> EventsQuery:
    """Parse the parameters of the stream; `last_event_id` is the Last-Event-ID header, if any.

    The header takes precedence over `after`: a client that reconnects sends it with its original
    URL. Raises InvalidParameters for a fault in either.
    """
    query = parse(EventsQuery, query_string)
    if last_event_id is None:
        return query
    try:
        position = Place.parse(last_event_id)
    except ValueError as error:
        fault = ParameterFault(LAST_EVENT_ID, last_event_id, str(error))
        raise InvalidParameters([fault]) from None
    return query.model_copy(update={"after": position})
