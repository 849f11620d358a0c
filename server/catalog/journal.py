"""Entries of the journal, as JSON and as server-sent events; the parameters to read them. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from server.catalog.parameters import WholeNumber, digits
from server.catalog.query import SHOWN, parse
from server.catalog.snapshot import TIMES
from server.errors import InvalidParameters, ParameterFault

RESET = "reset"
ENTRY_BYTES = 500  # of an entry in memory beside its JSON
BEGIN_AGAIN = (
    "Changes after this position have been deleted, or it belongs to another journal. Fetch all "
    "pages of /api/albums/, then follow the changes after `begin_after`."
)


@dataclass(frozen=True)
class JournalReach:
    """How far the journal reaches: from `oldest` (None if it is empty) to `newest`.

    Entries up to `floor` may have been deleted; numbers missing above it were never written.
    """

    oldest: int | None
    newest: int
    floor: int

    def holds(self, after: int) -> bool:
        """Return whether the journal still has everything that was written after a seq."""
        return self.floor <= after <= self.newest

    @property
    def members(self) -> dict[str, int | None]:
        """Members of the problem and of the reset for a client whose seq is out of reach."""
        return {"oldest": self.oldest, "newest": self.newest, "begin_after": self.newest}


@dataclass(frozen=True)
class JournalEntry:
    """An entry of the journal; `json` is the object that clients get."""

    seq: int
    kind: str
    json: bytes

    @classmethod
    def of(cls, change: dict[str, Any]) -> Self:
        """Create an entry from the members of a change."""
        return cls(change["seq"], change["kind"], orjson.dumps(change, option=TIMES))

    @classmethod
    def reset(cls, reach: JournalReach) -> Self:
        """Create a reset, sent instead of changes that were deleted; its seq is where to resume."""
        content = {"kind": RESET, **reach.members, "detail": BEGIN_AGAIN}
        return cls(reach.newest, RESET, orjson.dumps(content))

    @property
    def size(self) -> int:
        """Estimated bytes in memory, once it has been sent in both forms."""
        return 3 * len(self.json) + ENTRY_BYTES

    @cached_property
    def event(self) -> bytes:
        """The entry as a server-sent event, made once for all followers.

        Source: html.spec.whatwg.org, section 9.2.5. Serialised JSON has no line breaks.
        """
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.seq, self.kind.encode(), self.json)

    @cached_property
    def unnamed(self) -> bytes:
        """The same without an event name, for clients that only use `onmessage`."""
        return b"id: %d\ndata: %s\n\n" % (self.seq, self.json)


@dataclass(frozen=True)
class JournalPage:
    """Consecutive entries, and how far the journal reached right after they were read."""

    entries: list[JournalEntry]
    reach: JournalReach


LAST_EVENT_ID = "Last-Event-ID"
MAX_SEQ = 2**53  # JavaScript has exact integers up to here

Position = Annotated[int, Field(ge=0, le=MAX_SEQ), BeforeValidator(digits)]


class ChangesQuery(BaseModel):
    """The parameters of `GET /api/changes/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None,
        description="The `seq` of the last change that you have; if left out, the list starts with "
        "the oldest stored change.",
    )
    limit: WholeNumber = Field(100, ge=1, le=1000, description="Maximum number of changes.")


class EventsQuery(BaseModel):
    """The parameters of `GET /api/events`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None, description="Only changes after this `seq`; if left out, only new ones."
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
        position: int = TypeAdapter(Position).validate_python(last_event_id)
    except ValidationError:
        reason = f"must be an integer in plain digits, at most {MAX_SEQ}"
        fault = ParameterFault(LAST_EVENT_ID, last_event_id[:SHOWN], reason)
        raise InvalidParameters([fault]) from None
    return query.model_copy(update={"after": position})
