"""The parts that operations are described with in OpenAPI 3.1. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from server.openapi.examples import JSON

REFERENCE = "#/components/schemas/{model}"
VALIDATED = ("ETag", "Cache-Control", "Vary", "Link")  # headers of whatever may be asked for again
DATED = (
    "Last-Modified",
    "X-Last-Sync",
)  # of what came by a sync, so there is none before the first
LIVE = ("Cache-Control", "Link")  # of what is never kept
LISTS = ("type", "exclude", "fields", "include")  # parameters written as one comma list


def parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe the query parameters that a model reads."""
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


def answer(
    description: str,
    model: str,
    headers: Sequence[str] = (*VALIDATED, *DATED),
    maybe: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe an answer in JSON, by the name of its schema; `maybe` are headers it may lack."""
    return {
        "description": description,
        "headers": headers_of(headers, maybe),
        "content": {"application/json": {"schema": _reference(model), "example": JSON[model]}},
    }


def unmodified(
    headers: Sequence[str] = (*VALIDATED, *DATED), maybe: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe the answer to a client that has the same already (RFC 9110 section 15.4.5)."""
    text = "The client has this answer already (`If-None-Match`, or else `If-Modified-Since`)."
    return {"description": text, "headers": headers_of(headers, maybe)}


def problem(
    description: str,
    headers: Sequence[str] = (),
    maybe: Sequence[str] = (),
    model: str = "Problem",
) -> dict[str, Any]:
    """Describe an error (RFC 9457), by the name of its schema."""
    content = {"application/problem+json": {"schema": _reference(model)}}
    named = headers_of(("Cache-Control", *headers), maybe)
    return {"description": description, "headers": named, "content": content}


def later(description: str) -> dict[str, Any]:
    """Describe an error that passes by itself, after so many seconds."""
    return problem(description, ("Retry-After",))


def headers_of(names: Sequence[str], maybe: Sequence[str] = ()) -> dict[str, Any]:
    """Describe headers that are always there, and those that may be missing."""
    schema = {"schema": {"type": "string"}}
    always = {name: {"required": True, **schema} for name in names}
    return always | dict.fromkeys(maybe, schema)


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}
