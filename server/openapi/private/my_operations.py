"""Describe the operations on an owner's own artists, in OpenAPI 3.1. Pure."""

from typing import Any

from server.catalog.my_queries import (
    MY_FEEDS,
    FollowingQuery,
    MyAlbumsQuery,
    MyArtistsQuery,
)
from server.catalog.query import ReleaseQuery
from server.openapi import examples
from server.openapi.operations import (
    headers_of,
    json_response,
    not_modified,
    parameters,
    problem,
)
from server.openapi.private.key_operations import HEADERS, lacks, refusals
from server.openapi.private.security import secured
from server.serving import feeds

PRIVATE = ("ETag", "Vary", "Link", *HEADERS)
ABOUT = (
    "The artists that the caller follows on Spotify or watches, without those that it ignores. A "
    "key that a command made gets the artists of everybody. Filters are those of the public list; "
    "with `limit`, `next` leads through everything that is kept of these artists."
)


def paths() -> dict[str, Any]:
    """Describe all paths of an owner's artists."""
    return {
        "/api/my/artists/": {
            "get": _listing(MyArtistsQuery, "listMyArtists", "My artists with releases")
        },
        "/api/my/albums/": {
            "get": _listing(MyAlbumsQuery, "listMyAlbums", "The releases of my artists")
        },
        "/api/my/following/": {"get": _following()},
        "/api/my/import/": {"post": _import()},
        **{f"/api/my/{name}/{{id}}/": _choices(name, verb) for name, verb in CHOICES.items()},
        **{kind.path: {"get": _feed(kind)} for kind in MY_FEEDS},
    }


IMPORT = (
    "The body is a text with an artist on each line, or a table (CSV) that has them in any column: "
    "ids, URIs or addresses of artists at open.spotify.com. Comments begin with `#`. At most 1 MiB "
    "and 20,000 lines. Lines that are not understood are listed, and the others are imported."
)
CHOICES = {"watched": "Watch", "ignored": "Ignore"}


def _listing(kind: type[ReleaseQuery], operation: str, summary: str) -> dict[str, Any]:
    model = "ArtistsPage" if kind is MyArtistsQuery else "AlbumsPage"
    return {
        "operationId": operation,
        "summary": summary,
        "description": ABOUT,
        "security": secured("read", in_query=kind in MY_FEEDS),
        "parameters": parameters(kind),
        "responses": {
            "200": json_response(
                "The items, in the requested order.", model, PRIVATE, ["X-Last-Sync"]
            ),
            "304": not_modified(PRIVATE, ["X-Last-Sync"]),
            "400": problem("A parameter has an invalid value, or is repeated."),
            **refusals(lacks("read")),
            "414": problem("The query string is too long."),
        },
    }


def _feed(kind: type[ReleaseQuery]) -> dict[str, Any]:
    ending = kind.path.rpartition(".")[2]
    content_type = feeds.FORMATS[kind.path].content_type.partition(";")[0]
    operation = _listing(
        kind, f"my{ending.capitalize()}Feed", f"Releases of my artists, as {content_type}"
    )
    operation["description"] = f"{ABOUT} {feeds.PAGES}"
    schema = {"type": "object"} if ending == "json" else {"type": "string"}
    content = {"schema": schema, "example": examples.feed(kind.path)}
    operation["responses"]["200"]["content"] = {content_type: content}
    if ending == "csv":
        operation["responses"]["200"]["headers"] |= headers_of(("Content-Disposition",))
    return operation


def _following() -> dict[str, Any]:
    return {
        "operationId": "listFollowing",
        "summary": "Which artists are mine",
        "description": "Why each artist is in the list, and when its releases are looked up.",
        "security": secured("read"),
        "parameters": parameters(FollowingQuery),
        "responses": {
            "200": json_response("A page of the artists.", "Following", HEADERS),
            "400": problem("A parameter has an invalid value, or is repeated."),
            **refusals(lacks("read")),
            "414": problem("The query string is too long."),
        },
    }


def _import() -> dict[str, Any]:
    # Something to read, and no U+0000, which text does not have.
    schema = {"type": "string", "pattern": "^[^\\u0000]*[^\\u0000\\t-\\r ][^\\u0000]*$"}
    text = {"schema": schema, "example": examples.IMPORT}
    file = {"schema": {"type": "string", "format": "binary"}}  # for clients that know no text
    return {
        "operationId": "importArtists",
        "summary": "Watch the artists that a list names",
        "description": IMPORT,
        "security": secured("manage"),
        "requestBody": {
            "required": True,
            "content": {"text/plain": text, "text/csv": text, "application/octet-stream": file},
        },
        "responses": {
            "200": json_response("What the import has brought.", "ImportResult", HEADERS),
            "400": problem("The body is empty, too long, or no text at all; nothing was imported."),
            "409": problem("With these you would watch over 10,000 artists; nothing was imported."),
            **refusals(lacks("manage")),
        },
    }


def _choices(name: str, verb: str) -> dict[str, Any]:
    place = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Spotify's id of the artist.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z]{22}$"},
    }
    return {
        "put": _choice(
            f"{verb.lower()}Artist",
            f"{verb} an artist",
            place,
            ("409", problem(f"You {verb.lower()} 10,000 artists, the most that one owner can.")),
        ),
        "delete": _choice(f"un{verb.lower()}Artist", f"No longer {verb.lower()} an artist", place),
    }


def _choice(
    operation: str, summary: str, place: dict[str, Any], *more: tuple[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "description": "Sending it again changes nothing. An artist is watched or ignored, not "
        "both: the later choice counts.",
        "security": secured("manage"),
        "parameters": [place],
        "responses": {
            "204": {
                "description": "Done; every server of the database knows it.",
                "headers": headers_of(HEADERS),
            },
            "404": problem("This is no id of an artist."),
            **dict(more),
            **refusals(lacks("manage")),
        },
    }
