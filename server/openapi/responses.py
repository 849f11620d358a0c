"""What may come back from a call, and what is sent with one. Pure."""

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
    """A header of an answer."""

    name: str
    description: str


@dataclass(frozen=True)
class Answer:
    """What may come back under one status, which may be `4XX` or `default`."""

    status: str
    description: str
    contents: tuple[Content, ...]
    headers: tuple[Header, ...]


def read_answer(status: str, response: Any, schemas: Schemas) -> Answer:
    """The answer that is described under a status."""
    meant = schemas.resolve(response)
    headers = meant.get("headers", {})
    return Answer(
        status=status,
        description=meant.get("description", ""),
        contents=tuple(read_contents(meant, schemas)),
        headers=tuple(
            Header(name, schemas.resolve(each).get("description", ""))
            for name, each in headers.items()
        ),
    )


def read_contents(thing: dict[str, Any], schemas: Schemas) -> Iterator[Content]:
    """The bodies of an answer or of a request."""
    for media_type, content in thing.get("content", {}).items():
        outline = schemas.mention(content.get("schema", True))
        yield Content(media_type, outline, _written(content.get("example")))


def _written(example: Any) -> str:
    """An example as people read it: text as it is, anything else as JSON."""
    if example is None or isinstance(example, str):
        return example or ""
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
