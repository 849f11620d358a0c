"""Describe the operations by which clients follow changes, in OpenAPI 3.1. Pure."""

from typing import Any

from server.catalog.journal import LAST_EVENT_ID, ChangesQuery, EventsQuery
from server.openapi.examples import event
from server.openapi.operations import (
    DATED,
    LIMITS,
    LIVE,
    VALIDATED,
    headers_of,
    json_response,
    limited,
    not_modified,
    parameters,
    problem,
    temporary_problem,
)

HEADERS = VALIDATED, DATED  # the latter only after the first sync

CHANGES = (
    "To maintain a copy: fetch all pages of `/api/albums/?upcoming=include`, take their `place` "
    "(the lowest, if they have several), then request the changes after it with `include=stored`, "
    "again with the `place` of each answer, until `up_to_date` is true, and continue from there at "
    "regular intervals. Each change replaces the release by `stored`, or removes it if that is "
    "null. "
    "Changes are stored for 90 days by default. If changes after `after` have been deleted, or "
    "`after` belongs to another journal because the database was restored from a backup, the "
    "response is 410: start again. `after=0` means all changes since the very first, so it returns "
    "410 once any change has been deleted; without `after`, the list starts with the oldest stored "
    "change."
)
STREAM = (
    "The changes of `/api/changes/` as server-sent events, sent as they happen. The `id` of an "
    "event is its place, its name the `kind`, its data a `Change` as JSON. A browser that "
    "reconnects sends the last `id` in `Last-Event-ID` and misses nothing. If that place is out "
    "of reach, because changes after it were deleted or the database was restored, the next event "
    "is a `reset`, whose data has `kind`, `oldest`, `newest`, `begin_after` and `detail`: fetch "
    "the data that you show again. The stream then continues with new changes. With `unnamed=1`, "
    "events have no name, so `onmessage` receives all of them."
)
SENT = (
    "Server-sent events. The stream starts with a bare `id`, the place to resume from; a "
    "comment is sent every 15 s as keep-alive."
)
JAVASCRIPT = """\
function follow(place) {{
  const changes = new EventSource(`{root}/api/events?unnamed=1&after=${{place}}`);
  changes.onmessage = event => {{
    place = event.lastEventId;
    const change = JSON.parse(event.data);
    if (change.kind === "reset") {{
      location.reload(); // changes were missed: fetch everything again
    }} else if (change.kind === "added" && change.release) {{
      const artists = change.release.artists.map(artist => artist.name).join(", ");
      console.log(`${{artists}}: ${{change.release.name}}`);
    }}
  }};
  changes.onerror = () => {{
    if (changes.readyState === EventSource.CLOSED) setTimeout(follow, 30_000, place);
  }};
}}

follow("812-0b5e61f3"); // the place of your list
"""


def changes() -> dict[str, Any]:
    """Describe `GET /api/changes/`."""
    return {
        "operationId": "listChanges",
        "summary": "Journal of changes, in order",
        "description": CHANGES,
        "parameters": parameters(ChangesQuery),
        "responses": {
            "200": json_response("The changes after `after`.", "ChangesPage", *HEADERS),
            "304": not_modified(*HEADERS),
            "400": problem("A parameter has an invalid value, or is repeated."),
            "410": problem("The journal does not contain this place.", model="OutOfReach"),
            "414": problem("The query string is too long."),
            "503": temporary_problem(
                "The database is unavailable, or too many requests are waiting."
            ),
        },
    }


def events(root: str) -> dict[str, Any]:
    """Describe `GET /api/events` of the server at the URL `root`."""
    after, unnamed = parameters(EventsQuery)
    text = "The `id` of the last event received; takes precedence over `after`."
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
            "200": {
                "description": SENT,
                "headers": headers_of((*LIVE, *LIMITS)),
                "content": content,
            },
            "400": problem("A parameter or `Last-Event-ID` has an invalid value."),
            "414": problem("The query string is too long."),
            "429": limited("Too many open streams from this client's network."),
            "503": temporary_problem("Too many open streams, or no data yet."),
        },
    }
