"""Build the OpenAPI 3.1 description from the models of requests and responses. Pure."""

from collections.abc import Sequence
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
from server.openapi import change_operations, deprecated, examples
from server.openapi.change_schemas import ChangesPage, OutOfReach
from server.openapi.operations import (
    LIMITS,
    LIVE,
    REFERENCE,
    headers_of,
    json_response,
    limited,
    not_modified,
    parameters,
    problem,
    temporary_problem,
)
from server.openapi.private import key_operations, my_operations, security
from server.openapi.private.key_schemas import AccessKeys, KeyWish, NewAccessKey
from server.openapi.private.my_schemas import Following, ImportResult
from server.openapi.status_schemas import Status
from server.serving import feeds
from server.serving.deprecations import DEPRECATED, Deprecation

MODELS = (
    ArtistsPage,
    AlbumsPage,
    AlbumWithHistory,
    ChangesPage,
    SyncStarted,
    Status,
    KeyWish,
    NewAccessKey,
    AccessKeys,
    Following,
    ImportResult,
    Problem,
    OutOfReach,
)

ABOUT = (
    "The artists who have just released something on Spotify. Lists, single objects, feeds and the "
    "journal have a strong `ETag` and, after the first sync, `Last-Modified` and `X-Last-Sync`; "
    "they are sent as br, gzip or identity. Status and events are never cached (`no-store`). "
    "Scripts from any origin may GET everything here, with any headers, except what needs a "
    "session or a key: no other origin may read that, and it is never cached. Clients must ignore "
    "fields that they do not know: later versions may add some. A request that is too slow or too "
    "large is answered with 408, 413, 414 or 431 and a problem: the limits are 16 KiB, 100 header "
    "lines and 10 seconds for the head, 16 KiB (of an import 1 MiB) and 10 seconds for the body."
)
ABOUT_SYNC = (
    "Send an access key with the scope `sync`; in a browser that has logged in, `/status` has a "
    "button. The response does not wait for the sync. Results appear when it finishes; "
    "`/api/status` shows whether it is running."
)
TABLE = (
    "For spreadsheets: UTF-8 with a byte order mark (Python reads it as `utf-8-sig`), sent as a "
    "download. So that no program runs text as a formula, whatever it takes as the delimiter, `ʼ` "
    "(U+02BC) is inserted before each `=`, `+`, `-` or `@` that could start one; remove it to "
    "restore the text. In URLs these characters are percent-encoded instead."
)


def openapi(
    root: str = "",
    session: str = "freshet_session",
    declared: Sequence[Deprecation] = DEPRECATED,
) -> dict[str, Any]:
    """Return the description of the API as an OpenAPI document.

    `root` is the URL of the server, `session` the name of its session cookie, `declared` what is
    deprecated. Source: spec.openapis.org/oas/v3.1.0.
    """
    _, definitions = models_json_schema(
        [(model, "serialization") for model in MODELS],
        ref_template=REFERENCE,
    )
    shapes = definitions["$defs"]
    del shapes["Artist"]["required"]  # `fields` may leave any out
    for shape in shapes.values():  # later versions may add fields, which clients ignore
        shape.pop("additionalProperties", None)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Freshet",
            "version": __version__,
            "description": ABOUT,
        },
        "servers": [{"url": root or "/"}],
        "paths": _paths(root),
        "components": {
            "schemas": shapes,
            "securitySchemes": security.schemes(session),
        },
    }
    deprecated.mark(document, declared)
    return document


def _paths(root: str) -> dict[str, Any]:
    paths = {
        "/api/artists/": {"get": _artists()},
        "/api/artists/{id}/": {"get": _artist()},
        "/api/albums/": {"get": _albums()},
        "/api/albums/{spotify_id}/": {"get": _album()},
        "/api/changes/": {"get": change_operations.changes()},
        "/api/events": {"get": change_operations.events(root)},
        "/api/sync/": {"post": _sync()},
        "/api/my/keys/": key_operations.all_keys(),
        "/api/my/keys/{id}/": key_operations.one_key(),
        "/api/status": {"get": _status()},
        **{kind.path: {"get": _feed(kind)} for kind in FEEDS},
        **my_operations.paths(),
    }
    examples.add_problems(paths)
    return paths


def _artists() -> dict[str, Any]:
    summary = "The artists of the latest releases"
    return _listing(ArtistsQuery, "listArtists", summary, "ArtistsPage")


def _albums() -> dict[str, Any]:
    return _listing(AlbumsQuery, "listAlbums", "The latest releases", "AlbumsPage")


def _artist() -> dict[str, Any]:
    place = _in_path(
        "id", "`spotify_id` or `id` of the artist.", "[0-9A-Za-z]{22}|[1-9][0-9]{0,18}"
    )
    return _single("getArtist", "One artist with all stored releases", place, "Artist")


def _album() -> dict[str, Any]:
    place = _in_path("spotify_id", "`spotify_id` of the release.", "[0-9A-Za-z]{22}")
    return _single("getAlbum", "One release and when it was listed", place, "AlbumWithHistory")


def _feed(kind: type[ReleaseQuery]) -> dict[str, Any]:
    ending = kind.path.rpartition(".")[2]
    content_type = feeds.FORMATS[kind.path].content_type.partition(";")[0]
    summary = f"Recently added releases, as {content_type}"
    operation = _listing(kind, f"{ending}Feed", summary, "AlbumsPage")
    operation["description"] = feeds.PAGES
    schema = {"type": "object"} if ending == "json" else {"type": "string"}
    content = {"schema": schema, "example": examples.feed(kind.path)}
    operation["responses"]["200"]["content"] = {content_type: content}
    if ending == "csv":
        operation["description"] = f"{TABLE} {feeds.PAGES}"
        operation["responses"]["200"]["headers"] |= headers_of(("Content-Disposition",))
    return operation


def _listing(kind: type[ReleaseQuery], operation: str, summary: str, model: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": parameters(kind),
        "responses": {
            "200": json_response("The items, in the requested order.", model),
            "304": not_modified(),
            "400": problem("A parameter has an invalid value, or is repeated."),
            "414": problem("The query string is too long."),
            "503": temporary_problem(
                "No data yet, too many requests are waiting, or the day cannot be read."
            ),
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
            "200": json_response(f"The stored {noun}.", model),
            "304": not_modified(),
            "404": problem(f"No {noun} with this id."),
            "503": temporary_problem(
                "The database is unavailable, or too many requests are waiting."
            ),
        },
    }


def _sync() -> dict[str, Any]:
    return {
        "operationId": "startSync",
        "summary": "Start a sync",
        "description": ABOUT_SYNC,
        "security": security.secured("sync"),
        "responses": {
            "202": json_response(
                "The sync has started.", "SyncStarted", (*key_operations.HEADERS, *LIMITS)
            ),
            **key_operations.refusals(key_operations.lacks("sync")),
            "409": problem("A sync is already running."),
            "429": limited("Spotify asked for a pause, or the daily quota is used up."),
            "503": problem("The database is unavailable; try again.", (), ["Retry-After"]),
        },
    }


def _status() -> dict[str, Any]:
    return {
        "operationId": "getStatus",
        "summary": "State of the server",
        "responses": {
            "200": json_response(
                "The current state, read from memory.", "Status", LIVE, ["X-Last-Sync"]
            ),
        },
    }
