"""One change as it is told: as JSON, and as an event of a stream. Pure."""

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


LAST_EVENT_ID = "Last-Event-ID"
MAX_SEQ = 2**53  # up to which JavaScript counts; as for /api/changes/

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


def asked(query_string: str, last_event_id: str | None) -> EventsQuery:
    """What a client wants of the stream, and after which seq it begins.

    The header wins: a client that comes back has it beside the address that it began with. Raises
    InvalidParameters for either.
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
