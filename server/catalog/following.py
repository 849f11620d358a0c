"""The operations by which clients follow changes, described for OpenAPI 3.1. Pure."""

from typing import Any

from server.catalog.operations import (
    DATED,
    LIVE,
    VALIDATED,
    answer,
    headers_of,
    later,
    parameters,
    problem,
    unmodified,
)
from server.catalog.position import LAST_EVENT_ID, ChangesQuery, EventsQuery

HEADERS = VALIDATED, DATED  # the latter once there was a sync


def changes() -> dict[str, Any]:
    """`GET /api/changes/`."""
    return {
        "operationId": "listChanges",
        "summary": "What came, changed, left the list and was deleted, in order",
        "parameters": parameters(ChangesQuery),
        "responses": {
            "200": answer("The changes after the one that is known.", "ChangesPage", *HEADERS),
            "304": unmodified(*HEADERS),
            "400": problem("A parameter has a value that is not allowed, or is repeated."),
            "414": problem("The query string is too long."),
            "503": later("The database cannot be used right now; try again."),
        },
    }


def events() -> dict[str, Any]:
    """`GET /api/events`."""
    (after,) = parameters(EventsQuery)
    text = "The id of the last event that was seen; it goes before `after`."
    last = {**after, "name": LAST_EVENT_ID, "in": "header", "description": text}
    stream = (
        "Server-sent events: id is the seq, event the kind, data a ChangeShape as JSON. It begins "
        "with a bare id, the place to go on from; a silence has a comment every 15 seconds."
    )
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "operationId": "streamChanges",
        "summary": "The same as it happens",
        "parameters": [after, last],
        "responses": {
            "200": {"description": stream, "headers": headers_of(LIVE), "content": content},
            "400": problem("The place to begin at is no whole number."),
            "414": problem("The query string is too long."),
            "503": later("As many listen as there is room for, or nothing could be read yet."),
        },
    }
