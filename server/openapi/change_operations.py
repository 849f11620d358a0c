"""The operations by which clients follow changes, described for OpenAPI 3.1. Pure."""

from typing import Any

from server.catalog.change_event import LAST_EVENT_ID, ChangesQuery, EventsQuery
from server.openapi.examples import event
from server.openapi.operations import (
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

HEADERS = VALIDATED, DATED  # the latter once there was a sync

CHANGES = (
    "To keep a copy: read the changes until `up_to_date` is true and keep `next_after`, fetch all "
    "pages of `/api/albums/` (a list may be 15 seconds old), then ask for the changes after your "
    "place from time to time. Changes are kept for 90 days by default. An `after` before the "
    "oldest one that is kept, or ahead of the newest, is answered by 410, whose `detail` says how "
    "to begin again. `after=0` stands for the very first change, so it is 410 as soon as any has "
    "been deleted; without `after` the oldest change that is kept comes first."
)
STREAM = (
    "The changes of `/api/changes/` as server-sent events, as they happen. The `id` of an event is "
    "its `seq`, its name the `kind`, its data a `Change` as JSON. A browser that was cut off "
    "comes back with the last `id` in `Last-Event-ID` and misses nothing. If its place is out of "
    "reach, because changes after it were deleted or the database was restored, the next event is "
    "a `reset`: its data has `kind`, `oldest`, `newest`, `begin_after` and `detail`. Fetch what "
    "you show again then; the stream goes on with what comes from now on. With `unnamed=1` events "
    "have no name, so `onmessage` gets all of them."
)
SENT = (
    "Server-sent events. The stream begins with a bare `id`, the place to go on from; a comment is "
    "sent every 15 seconds as keep-alive."
)
JAVASCRIPT = """\
const changes = new EventSource("{root}/api/events?unnamed=1");
changes.onmessage = event => {{
  const change = JSON.parse(event.data);
  if (change.kind === "reset") {{
    location.reload(); // changes were missed: fetch everything again
  }} else if (change.kind === "added" && change.release) {{
    const artists = change.release.artists.map(artist => artist.name).join(", ");
    console.log(`${{artists}}: ${{change.release.name}}`);
  }}
}};
"""


def changes() -> dict[str, Any]:
    """`GET /api/changes/`."""
    return {
        "operationId": "listChanges",
        "summary": "Journal of changes, in order",
        "description": CHANGES,
        "parameters": parameters(ChangesQuery),
        "responses": {
            "200": answer("The changes after `after`.", "ChangesPage", *HEADERS),
            "304": unmodified(*HEADERS),
            "400": problem("A parameter has a value that is not allowed, or is repeated."),
            "410": problem("The journal does not reach this place.", model="OutOfReach"),
            "414": problem("The query string is too long."),
            "503": later("The database cannot be used right now, or too many requests wait."),
        },
    }


def events(root: str) -> dict[str, Any]:
    """`GET /api/events` of a server at the address `root`."""
    after, unnamed = parameters(EventsQuery)
    text = "The id of the last event that was seen; it goes before `after`."
    last = {**after, "name": LAST_EVENT_ID, "in": "header", "description": text}
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": event()}}
    return {
        "operationId": "streamChanges",
        "summary": "Live stream of changes",
        "description": STREAM,
        "x-codeSamples": [
            {"lang": "JavaScript", "label": "In a page", "source": JAVASCRIPT.format(root=root)}
        ],
        "parameters": [after, unnamed, last],
        "responses": {
            "200": {"description": SENT, "headers": headers_of(LIVE), "content": content},
            "400": problem("A parameter or `Last-Event-ID` has a value that is not allowed."),
            "414": problem("The query string is too long."),
            "429": later("Too many open streams from this client's network."),
            "503": later("Too many open streams, or no data yet."),
        },
    }
