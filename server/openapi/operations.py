"""Build the parts of operations in OpenAPI 3.1: parameters, responses, headers. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from server.openapi.examples import JSON

REFERENCE = "#/components/schemas/{model}"
VALIDATED = (
    "ETag",
    "Cache-Control",
    "Vary",
    "Link",
)  # headers of responses that can be revalidated
DATED = ("Last-Modified", "X-Last-Sync")  # of responses made from a sync: missing before the first
LIVE = ("Cache-Control", "Link")  # of responses that are never cached
LIMITS = ("RateLimit-Policy", "RateLimit")  # where there is a 429
# Parameters written as comma-separated lists.
LISTS = ("type", "kind", "artist", "exclude", "fields", "include")


def parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe the query parameters that a model reads, in the order of its fields."""
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
    if "anyOf" in schema:  # in a query string a parameter is left out instead of null
        kinds = [each for each in schema["anyOf"] if each.get("type") != "null"]
        schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return parameter | {"schema": schema}


def json_response(
    description: str,
    model: str,
    headers: Sequence[str] = (*VALIDATED, *DATED),
    optional: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe a JSON response by the name of its schema; `optional` are optional headers."""
    return {
        "description": description,
        "headers": headers_of(headers, optional),
        "content": {"application/json": {"schema": _reference(model), "example": JSON[model]}},
    }


def not_modified(
    headers: Sequence[str] = (*VALIDATED, *DATED), optional: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe the response 304 to a conditional request (RFC 9110 section 15.4.5)."""
    text = "The client's copy is still valid (`If-None-Match`, or else `If-Modified-Since`)."
    return {"description": text, "headers": headers_of(headers, optional)}


def problem(
    description: str,
    headers: Sequence[str] = (),
    optional: Sequence[str] = (),
    model: str = "Problem",
) -> dict[str, Any]:
    """Describe an error response (RFC 9457) by the name of its schema."""
    content = {"application/problem+json": {"schema": _reference(model)}}
    named = headers_of(("Cache-Control", *headers), optional)
    return {"description": description, "headers": named, "content": content}


def temporary_problem(description: str) -> dict[str, Any]:
    """Describe a temporary error, whose `Retry-After` says when to try again."""
    return problem(description, ("Retry-After",))


def limited(description: str) -> dict[str, Any]:
    """Describe a 429, whose headers say which limit was reached, and when to try again."""
    return problem(description, ("Retry-After", *LIMITS))


def headers_of(names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Describe headers that are always present, and `optional` those that are optional."""
    schema = {"schema": {"type": "string"}}
    always = {name: {"required": True, **schema} for name in names}
    return always | dict.fromkeys(optional, schema)


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}
