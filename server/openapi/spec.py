"""The OpenAPI 3.1 description, made from the models that requests and answers have. Pure."""

from typing import Any

from pydantic.json_schema import models_json_schema

from server import __version__
from server.catalog.query import FEEDS, AlbumsQuery, ArtistsQuery, ReleaseQuery
from server.catalog.schemas import (
    AlbumsPage,
    AlbumWithHistory,
    ArtistsPage,
    Problem,
    SyncStarted,
)
from server.config.addresses import origin_of
from server.openapi import change_operations, examples
from server.openapi.change_schemas import ChangesPage, OutOfReach
from server.openapi.operations import (
    LIVE,
    REFERENCE,
    answer,
    headers_of,
    later,
    parameters,
    problem,
    unmodified,
)
from server.openapi.status_schemas import Status
from server.serving import feeds

MODELS = (
    ArtistsPage,
    AlbumsPage,
    AlbumWithHistory,
    ChangesPage,
    SyncStarted,
    Status,
    Problem,
    OutOfReach,
)

ABOUT = (
    "The artists who have just released something on Spotify. Lists, single objects, feeds and the "
    "journal have a strong `ETag` and, once there was a sync, `Last-Modified` and `X-Last-Sync`; "
    "they come as br, gzip or identity. Status and events are never kept (`no-store`). Scripts of "
    "any origin may GET all of this with any header; only `POST /api/sync/` is for our own pages. "
    "A request that is too slow or too large is answered with 408, 413, 414 or 431 and a problem: "
    "a head may have 16 KiB, 100 header lines and 10 seconds, a body 16 KiB and 10 seconds."
)
SESSION = "session"
BY_SESSION = (
    "Log in on the start page. A script can use the session of that browser: copy its cookie "
    "`{session}` (in the developer tools, under Application or Storage) into the call below. It is "
    "valid for 30 days, or until you log out. Results appear when the sync has finished; "
    "`/api/status` tells whether it is running."
)
TABLE = (
    "For spreadsheets: UTF-8 with a byte order mark (Python reads it as `utf-8-sig`), saved under "
    "a name. So that nothing computes, whatever a program splits cells at, `ʼ` (U+02BC) stands in "
    "front of each `=`, `+`, `-` or `@` that could begin a formula; remove it there to have the "
    "text as it was. In addresses such characters are percent-encoded."
)


def openapi(root: str = "", session: str = "freshet_session") -> dict[str, Any]:
    """Describe the API (spec.openapis.org/oas/v3.1.0).

    `root` is the server's address, `session` the name of its cookie.
    """
    _, definitions = models_json_schema(
        [(model, "serialization") for model in MODELS],
        ref_template=REFERENCE,
    )
    shapes = definitions["$defs"]
    del shapes["Artist"]["required"]  # `fields` may leave any out
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Freshet",
            "version": __version__,
            "description": ABOUT,
        },
        "servers": [{"url": root or "/"}],
        "paths": _paths(root, session),
        "components": {
            "schemas": shapes,
            "securitySchemes": {SESSION: {"type": "apiKey", "in": "cookie", "name": session}},
        },
    }


def _paths(root: str, session: str) -> dict[str, Any]:
    paths = {
        "/api/artists/": {"get": _artists()},
        "/api/artists/{id}/": {"get": _artist()},
        "/api/albums/": {"get": _albums()},
        "/api/albums/{spotify_id}/": {"get": _album()},
        "/api/changes/": {"get": change_operations.changes()},
        "/api/events": {"get": change_operations.events(root)},
        "/api/sync/": {"post": _sync(root, session)},
        "/api/status": {"get": _status()},
        **{kind.path: {"get": _feed(kind)} for kind in FEEDS},
    }
    examples.add_problems(paths)
    return paths


def _artists() -> dict[str, Any]:
    summary = "The artists of the latest releases"
    return _listing(ArtistsQuery, "listArtists", summary, "ArtistsPage")


def _albums() -> dict[str, Any]:
    return _listing(AlbumsQuery, "listAlbums", "The latest releases", "AlbumsPage")


def _artist() -> dict[str, Any]:
    place = _in_path("id", "Its `spotify_id` or its `id`.", "[0-9A-Za-z]{22}|[1-9][0-9]{0,18}")
    return _single("getArtist", "One artist with all stored releases", place, "Artist")


def _album() -> dict[str, Any]:
    place = _in_path("spotify_id", "Its `spotify_id`.", "[0-9A-Za-z]{22}")
    return _single("getAlbum", "One release and when it was listed", place, "AlbumWithHistory")


def _feed(kind: type[ReleaseQuery]) -> dict[str, Any]:
    ending = kind.path.rpartition(".")[2]
    content_type = feeds.FORMATS[kind.path].content_type.partition(";")[0]
    summary = f"Releases in the order in which they were first seen, as {content_type}"
    operation = _listing(kind, f"{ending}Feed", summary, "AlbumsPage")
    schema = {"type": "object"} if ending == "json" else {"type": "string"}
    content = {"schema": schema, "example": examples.feed(kind.path)}
    operation["responses"]["200"]["content"] = {content_type: content}
    if ending == "csv":
        operation["description"] = TABLE
        operation["responses"]["200"]["headers"] |= headers_of(("Content-Disposition",))
    return operation


def _listing(kind: type[ReleaseQuery], operation: str, summary: str, model: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": parameters(kind),
        "responses": {
            "200": answer("The items, in the order asked for.", model),
            "304": unmodified(),
            "400": problem("A parameter has a value that is not allowed, or is repeated."),
            "414": problem("The query string is too long."),
            "503": later("Nothing to serve yet, too many requests wait, or a day cannot be read."),
        },
    }


def _in_path(name: str, description: str, pattern: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": f"^({pattern})$"},
    }


def _single(operation: str, summary: str, place: dict[str, Any], model: str) -> dict[str, Any]:
    noun = "artist" if model == "Artist" else "release"
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [place],
        "responses": {
            "200": answer(f"The stored {noun}.", model),
            "304": unmodified(),
            "404": problem(f"No {noun} with this id."),
            "503": later("The database cannot be used right now, or too many requests wait."),
        },
    }


def _sync(root: str, session: str) -> dict[str, Any]:
    origin = {"type": "string", "enum": [origin_of(root)]} if root else {"type": "string"}
    return {
        "operationId": "startSync",
        "summary": "Start a sync (needs a logged-in session)",
        "description": BY_SESSION.format(session=session),
        "security": [{SESSION: []}],
        "parameters": [
            {
                "name": "Origin",
                "in": "header",
                "required": True,
                "description": "The origin of this server. Browsers send it by themselves.",
                "schema": origin,
            }
        ],
        "responses": {
            "202": answer("The sync has started.", "SyncStarted", ("Cache-Control",)),
            "401": problem("Not logged in.", ("WWW-Authenticate",)),
            "403": problem("The origin is missing, or is that of another server."),
            "409": problem("A sync is running already."),
            "429": later("Spotify asked for a pause, or the calls of the day are used up."),
            "503": problem(
                "The database cannot be used right now; try again.", (), ["Retry-After"]
            ),
        },
    }


def _status() -> dict[str, Any]:
    return {
        "operationId": "getStatus",
        "summary": "The state of the server",
        "responses": {
            "200": answer("Its state, from memory.", "Status", LIVE, ["X-Last-Sync"]),
        },
    }
