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

    after: WholeNumber = Field(
        0, ge=0, le=2**53, description="The number of the last change that is known already."
    )
    limit: WholeNumber = Field(100, ge=1, le=1000, description="At most so many changes.")


class EventsQuery(BaseModel):
    """The parameters of `GET /api/events`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: Position | None = Field(
        None, description="Only changes after this seq; when not given, what comes from now on."
    )


def starting_point(query_string: str, last_event_id: str | None) -> int | None:
    """The seq after which a stream begins; None for what comes from now on.

    The header wins: a client that comes back has it beside the address that it began with. Raises
    InvalidParameters for either.
    """
    after = parse(EventsQuery, query_string).after
    if last_event_id is None:
        return after
    try:
        position: int = TypeAdapter(Position).validate_python(last_event_id)
    except ValidationError:
        reason = f"must be a whole number in plain digits, at most {MAX_SEQ}"
        fault = ParameterFault(LAST_EVENT_ID, last_event_id[:SHOWN], reason)
        raise InvalidParameters([fault]) from None
    return position
