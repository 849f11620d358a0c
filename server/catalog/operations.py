"""The parts that operations are described with in OpenAPI 3.1. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

REFERENCE = "#/components/schemas/{model}"
HEADERS = ("ETag", "Last-Modified", "X-Last-Sync", "Link", "Cache-Control")
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


def answer(description: str, model: str, headers: Sequence[str] = HEADERS) -> dict[str, Any]:
    """Describe an answer in JSON, by the name of its schema."""
    return {
        "description": description,
        "headers": _headers(headers),
        "content": {"application/json": {"schema": _reference(model)}},
    }


def problem(description: str, *headers: str) -> dict[str, Any]:
    """Describe an error (RFC 9457), with the names of further headers."""
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    named = {"headers": _headers(headers)} if headers else {}
    return {"description": description, **named, "content": content}


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} for name in names}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}
