"""The OpenAPI 3.1 description, made from the models that requests and answers have. Pure."""

from typing import Any

from pydantic.json_schema import models_json_schema

from server import __version__
from server.catalog.query import ArtistsQuery
from server.catalog.schemas import ArtistsPage, Problem, Status

REFERENCE = "#/components/schemas/{model}"
LISTS = ("type", "exclude", "fields", "include")  # parameters written as one comma list


def openapi() -> dict[str, Any]:
    """The whole document (spec.openapis.org/oas/v3.1.0)."""
    _, definitions = models_json_schema(
        [(model, "serialization") for model in (ArtistsPage, Status, Problem)],
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
        "paths": {"/api/artists/": {"get": _artists()}, "/api/status": {"get": _status()}},
        "components": {"schemas": shapes},
    }


def _artists() -> dict[str, Any]:
    return {
        "operationId": "listArtists",
        "summary": "The artists of the latest releases",
        "parameters": [_parameter(name) for name in ArtistsQuery.model_fields],
        "responses": {
            "200": {
                "description": "The artists, in the order asked for.",
                "headers": {
                    name: {"schema": {"type": "string"}}
                    for name in ("ETag", "Last-Modified", "X-Last-Sync", "Link", "Cache-Control")
                },
                "content": {"application/json": {"schema": _reference("ArtistsPage")}},
            },
            "304": {"description": "The client has this answer already (If-None-Match)."},
            "400": _problem("A parameter has a value that is not allowed, or is repeated."),
            "414": _problem("The query string is too long."),
            "503": _problem("No sync has ever succeeded; try again after Retry-After seconds."),
        },
    }


def _status() -> dict[str, Any]:
    return {
        "operationId": "getStatus",
        "summary": "What the server knows of itself",
        "responses": {
            "200": {
                "description": "Its state, from memory.",
                "content": {"application/json": {"schema": _reference("Status")}},
            },
        },
    }


def _parameter(name: str) -> dict[str, Any]:
    schema = dict(ArtistsQuery.model_json_schema()["properties"][name])
    description = schema.pop("description")
    schema.pop("title", None)
    parameter = {"name": name, "in": "query", "required": False, "description": description}
    if name in LISTS:
        parameter |= {"style": "form", "explode": False}
    if "anyOf" in schema:  # absent is how null is said in a query string
        schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    return parameter | {"schema": schema}


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    return {"description": description, "content": content}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}
