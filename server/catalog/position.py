"""Where changes begin: by address, or by the last event a client has seen. Pure."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from server.catalog.parameters import WholeNumber, digits
from server.catalog.query import SHOWN, parse
from server.errors import InvalidParameters, ParameterFault

LAST_EVENT_ID = "Last-Event-ID"
MAX_SEQ = 2**53  # up to which JavaScript counts; as for /api/changes/

Position = Annotated[int, Field(ge=0, le=MAX_SEQ), BeforeValidator(digits)]


class ChangesQuery(BaseModel):
    """The parameters of `GET /api/changes/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None,
        description="The number of the last change that is known already; when not given, the "
        "oldest change that is kept comes first.",
    )
    limit: WholeNumber = Field(100, ge=1, le=1000, description="At most so many changes.")


class EventsQuery(BaseModel):
    """The parameters of `GET /api/events`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None, description="Only changes after this seq; when not given, what comes from now on."
    )
    unnamed: Annotated[int, Field(ge=0, le=1), BeforeValidator(digits)] = Field(
        0, description="1: events without a name, for `onmessage`; `kind` in their data tells it."
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
        reason = f"must be a whole number in plain digits, at most {MAX_SEQ}"
        fault = ParameterFault(LAST_EVENT_ID, last_event_id[:SHOWN], reason)
        raise InvalidParameters([fault]) from None
    return query.model_copy(update={"after": position})
