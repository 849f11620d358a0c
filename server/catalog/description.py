"""The OpenAPI 3.1 description, made from the models that requests and answers have. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server import __version__
from server.catalog import feeds
from server.catalog.position import LAST_EVENT_ID, EventsQuery
from server.catalog.query import FEEDS, AlbumsQuery, ArtistsQuery, ChangesQuery, ReleaseQuery
from server.catalog.schemas import (
    AlbumsPage,
    AlbumWithHistory,
    ArtistsPage,
    ChangesPage,
    Problem,
    SyncStarted,
)
from server.catalog.status_schemas import Status

REFERENCE = "#/components/schemas/{model}"
MODELS = (ArtistsPage, AlbumsPage, AlbumWithHistory, ChangesPage, SyncStarted, Status, Problem)
HEADERS = ("ETag", "Last-Modified", "X-Last-Sync", "Link", "Cache-Control")
LISTS = ("type", "exclude", "fields", "include")  # parameters written as one comma list


def openapi(root: str = "") -> dict[str, Any]:
    """The whole document (spec.openapis.org/oas/v3.1.0); `root` is the server's address."""
    _, definitions = models_json_schema(
        [(model, "serialization") for model in MODELS],
        ref_template=REFERENCE,
    )
    shapes = definitions["$defs"]
    del shapes["ArtistShape"]["required"]  # `fields` may leave any out
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Freshet",
            "version": __version__,
            "description": "The artists who have just released something on Spotify.",
        },
        "servers": [{"url": root or "/"}],
        "paths": {
            "/api/artists/": {"get": _artists()},
            "/api/artists/{spotify_id}/": {"get": _artist()},
            "/api/albums/": {"get": _albums()},
            "/api/albums/{spotify_id}/": {"get": _album()},
            "/api/changes/": {"get": _changes()},
            "/api/events": {"get": _events()},
            "/api/sync/": {"post": _sync()},
            "/api/status": {"get": _status()},
            **{kind.path: {"get": _feed(kind)} for kind in FEEDS},
        },
        "components": {"schemas": shapes},
    }


def _artists() -> dict[str, Any]:
    summary = "The artists of the latest releases"
    return _listing(ArtistsQuery, "listArtists", summary, "ArtistsPage")


def _albums() -> dict[str, Any]:
    return _listing(AlbumsQuery, "listAlbums", "The latest releases", "AlbumsPage")


def _artist() -> dict[str, Any]:
    return _single("getArtist", "One artist with all releases that are kept", "ArtistShape")


def _album() -> dict[str, Any]:
    return _single("getAlbum", "One release, and when it was listed", "AlbumWithHistory")


def _changes() -> dict[str, Any]:
    return {
        "operationId": "listChanges",
        "summary": "What came, changed, left the list and was deleted, in order",
        "parameters": _parameters(ChangesQuery),
        "responses": {
            "200": _answer("The changes after the one that is known.", "ChangesPage"),
            "304": {"description": "The client has this answer already (If-None-Match)."},
            "400": _problem("A parameter has a value that is not allowed, or is repeated."),
            "414": _problem("The query string is too long."),
            "503": _problem("The database cannot be used right now; try again."),
        },
    }


def _feed(kind: type[ReleaseQuery]) -> dict[str, Any]:
    ending = kind.path.rpartition(".")[2]
    content_type = feeds.FORMATS[kind.path].content_type.partition(";")[0]
    operation = _listing(kind, f"{ending}Feed", f"The latest releases as {content_type}", "")
    schema = {"type": "object"} if ending == "json" else {"type": "string"}
    operation["responses"]["200"]["content"] = {content_type: {"schema": schema}}
    return operation


def _listing(kind: type[ReleaseQuery], operation: str, summary: str, model: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": _parameters(kind),
        "responses": {
            "200": _answer("The items, in the order asked for.", model),
            "304": {"description": "The client has this answer already (If-None-Match)."},
            "400": _problem("A parameter has a value that is not allowed, or is repeated."),
            "414": _problem("The query string is too long."),
            "503": _problem("Nothing to serve yet, or a day gone by cannot be read; try again."),
        },
    }


def _single(operation: str, summary: str, model: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [
            {
                "name": "spotify_id",
                "in": "path",
                "required": True,
                "description": "Spotify's id.",
                "schema": {"type": "string", "pattern": "^[0-9A-Za-z]{22}$"},
            }
        ],
        "responses": {
            "200": _answer("It, as it is kept.", model),
            "304": {"description": "The client has this answer already (If-None-Match)."},
            "404": _problem("Nothing that is kept has this id."),
            "503": _problem("The database cannot be used right now; try again."),
        },
    }


def _answer(description: str, model: str, headers: Sequence[str] = HEADERS) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _headers(headers),
        "content": {"application/json": {"schema": _reference(model)}},
    }


def _events() -> dict[str, Any]:
    (after,) = _parameters(EventsQuery)
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
            "200": {"description": stream, "content": content},
            "400": _problem("The place to begin at is no whole number."),
            "414": _problem("The query string is too long."),
            "503": _problem("As many listen as there is room for, or nothing could be read yet."),
        },
    }


def _sync() -> dict[str, Any]:
    return {
        "operationId": "startSync",
        "summary": "A sync now, for who is logged in in this browser",
        "responses": {
            "202": _answer("It has begun.", "SyncStarted", ()),
            "401": _problem("The browser brings no session.", "WWW-Authenticate"),
            "403": _problem("A page of another server has sent this."),
            "409": _problem("A sync is running already."),
            "429": _problem("Spotify asked for a pause, or the calls of the day are used up."),
            "503": _problem("The database cannot be used right now; try again."),
        },
    }


def _status() -> dict[str, Any]:
    return {
        "operationId": "getStatus",
        "summary": "What the server knows of itself",
        "responses": {
            "200": _answer("Its state, from memory.", "Status", ("Link", "Cache-Control")),
        },
    }


def _parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    schemas = kind.model_json_schema()["properties"]
    return [_parameter(name, dict(schemas[name])) for name in kind.model_fields]


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.pop("description")
    schema.pop("title", None)
    if schema.get("default") is None:
        schema.pop("default", None)
    parameter = {"name": name, "in": "query", "required": False, "description": description}
    if name in LISTS:
        parameter |= {"style": "form", "explode": False}
        schema |= {"minItems": 1}
        schema.pop("default", None)
    if "anyOf" in schema:  # absent is how null is said in a query string
        schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    return parameter | {"schema": schema}


def _problem(description: str, *headers: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    named = {"headers": _headers(headers)} if headers else {}
    return {"description": description, **named, "content": content}


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} for name in names}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}
