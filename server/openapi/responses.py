"""Read the responses and bodies of an OpenAPI operation for display. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from server.openapi.schema_outline import SchemaOutline, Schemas


@dataclass(frozen=True)
class Content:
    """A body of one media type."""

    media_type: str
    outline: SchemaOutline
    example: str = ""


@dataclass(frozen=True)
class Header:
    """A response header."""

    name: str
    description: str


@dataclass(frozen=True)
class Response:
    """The response for one status, which may also be a range (`4XX`) or `default`."""

    status: str
    description: str
    contents: tuple[Content, ...]
    headers: tuple[Header, ...]


def read_response(status: str, response: Any, schemas: Schemas) -> Response:
    """Return the response that is described for a status."""
    resolved = schemas.resolve(response)
    headers = resolved.get("headers", {})
    return Response(
        status=status,
        description=resolved.get("description", ""),
        contents=tuple(read_contents(resolved, schemas)),
        headers=tuple(
            Header(name, schemas.resolve(each).get("description", ""))
            for name, each in headers.items()
        ),
    )


def read_contents(thing: dict[str, Any], schemas: Schemas) -> Iterator[Content]:
    """Yield the bodies of a response or a request, one per media type."""
    for media_type, content in thing.get("content", {}).items():
        outline = schemas.brief_outline(content.get("schema", True))
        yield Content(media_type, outline, _formatted(content.get("example")))


def _formatted(example: Any) -> str:
    """Return text unchanged, and any other example as indented JSON."""
    if example is None or isinstance(example, str):
        return example or ""
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
