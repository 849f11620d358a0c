"""Read the content of the API documentation page from the OpenAPI document alone. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.openapi.form_fields import Field, address, read_field
from server.openapi.responses import Content, Response, read_contents, read_response
from server.openapi.schema_outline import SchemaOutline, Schemas

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
EVENT_STREAM = "text/event-stream"
PLACEHOLDER = "…"  # in a command, for a value that the reader has to insert


@dataclass(frozen=True)
class Sample:
    """A code sample in some language (the extension x-codeSamples)."""

    language: str
    label: str
    source: str


@dataclass(frozen=True)
class Operation:
    """One method of one path; `anchor` is the id of its section in the page.

    `same_as` is an earlier operation that has all these fields. `cookies` are the names of the
    cookies that authenticate a client, `takes_key` says whether a key does (RFC 6750), and `scopes`
    are those that the key needs.
    """

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    deprecated: bool
    fields: tuple[Field, ...]
    bodies: tuple[Content, ...]
    responses: tuple[Response, ...]
    samples: tuple[Sample, ...]
    same_as: "Operation | None"
    cookies: tuple[str, ...] = ()
    takes_key: bool = False
    scopes: tuple[str, ...] = ()

    @property
    def can_be_tried(self) -> bool:
        """Whether the page can send it: only requests that change nothing."""
        return self.method == "GET"

    @property
    def streams(self) -> bool:
        """Whether the response is an endless stream (server-sent events)."""
        return any(
            each.media_type == EVENT_STREAM
            for response in self.responses
            for each in response.contents
        )

    @property
    def in_path(self) -> bool:
        """Whether the path has parameters."""
        return any(each.place == "path" for each in self.fields)

    def address(self, given: Mapping[str, list[str]]) -> str | None:
        """Return the path and query of its form with these values; None if the path lacks one."""
        return address(self.path, self.fields, given)

    def command(self, base: str) -> str:
        """Return the request as a curl command; `base` is the server's URL."""
        words = ["curl"]
        if self.streams:
            words.append("-N")
        if self.method == "HEAD":
            words.append("-I")
        elif self.method != "GET":
            words.append(f"-X {self.method}")
        required = [each for each in self.fields if each.place == "header" and each.required]
        words += [
            f"-H {quoted(f'{each.name}: {(*each.choices, PLACEHOLDER)[0]}')}" for each in required
        ]
        if self.takes_key:
            words.append(f"-H {quoted(f'Authorization: Bearer {PLACEHOLDER}')}")
        words += [f"-b {quoted(f'{each}={PLACEHOLDER}')}" for each in self.cookies]
        if self.bodies:
            words.append(
                f"-H {quoted(f'Content-Type: {self.bodies[0].media_type}')} --data '{PLACEHOLDER}'"
            )
        return " ".join([*words, quoted(base + self.path)])


@dataclass(frozen=True)
class ApiReference:
    """The content of the page; `problem` is the name of the schema of errors, or empty."""

    title: str
    version: str
    description: str
    operations: tuple[Operation, ...]
    schemas: tuple[SchemaOutline, ...]
    problem: str

    def operation(self, anchor: str) -> Operation | None:
        """Return the operation with this anchor, if any."""
        return next((each for each in self.operations if each.anchor == anchor), None)


def read(document: dict[str, Any]) -> ApiReference:
    """Read an OpenAPI 3.1 document. Source: spec.openapis.org/oas/v3.1.0."""
    schemas = Schemas(document)
    operations = tuple(_operations(document, schemas))
    info = document.get("info", {})
    return ApiReference(
        title=info.get("title", ""),
        version=info.get("version", ""),
        description=info.get("description", ""),
        operations=operations,
        schemas=tuple(schemas.component(name) for name in schemas.named),
        problem=_problem(operations),
    )


def quoted(text: str) -> str:
    """Quote text as one word of a POSIX shell command."""
    return "'" + text.replace("'", "'\\''") + "'"


def _operations(document: dict[str, Any], schemas: Schemas) -> Iterator[Operation]:
    known: list[Operation] = []
    for path, item in document.get("paths", {}).items():
        item = schemas.resolve(item)
        for method in (each for each in METHODS if each in item):
            shared = item.get("parameters", [])
            credentials, scopes = _credentials(document, item[method], schemas)
            operation = replace(
                _operation(path, method, item[method], shared, schemas, known),
                cookies=tuple(each["name"] for each in credentials if each.get("in") == "cookie"),
                takes_key=any(map(_is_key, credentials)),
                scopes=tuple(scopes),
            )
            known.append(operation)
            yield operation


def _operation(
    path: str,
    method: str,
    described: dict[str, Any],
    shared: list[Any],
    schemas: Schemas,
    known: list[Operation],
) -> Operation:
    merged = {}
    for parameter in map(schemas.resolve, [*shared, *described.get("parameters", [])]):
        merged[parameter.get("in"), parameter.get("name")] = parameter
    fields = tuple(read_field(each, schemas) for each in merged.values() if each.get("name"))
    responses = described.get("responses", {})
    body = schemas.resolve(described.get("requestBody", {}))
    return Operation(
        anchor=_anchor(described.get("operationId") or f"{method}{path}", known),
        method=method.upper(),
        path=path,
        summary=described.get("summary", ""),
        description=described.get("description", ""),
        deprecated=bool(described.get("deprecated")),
        fields=fields,
        bodies=tuple(read_contents(body, schemas)),
        responses=tuple(
            read_response(str(status), responses[status], schemas) for status in responses
        ),
        samples=tuple(
            Sample(each.get("lang", ""), each.get("label", ""), each["source"])
            for each in described.get("x-codeSamples", ())
        ),
        same_as=next(
            (each for each in known if len(fields) > 1 and {*fields} <= {*each.fields}), None
        ),
    )


def _credentials(
    document: dict[str, Any], described: dict[str, Any], schemas: Schemas
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the simplest way for a script to authenticate: security schemes, and their scopes."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    ways: list[tuple[list[dict[str, Any]], list[str]]] = [
        (
            [schemas.resolve(schemes.get(name, {})) for name in way],
            [scope for needed in way.values() for scope in needed],
        )
        for way in described.get("security", document.get("security", []))
    ]
    by_key = (way for way in ways if any(map(_is_key, way[0])))
    return next(by_key, ways[0] if ways else ([], []))


def _is_key(scheme: dict[str, Any]) -> bool:
    """Return whether a scheme is a bearer token (RFC 6750)."""
    return str(scheme.get("scheme", "")).lower() == "bearer"


def _anchor(wish: str, known: list[Operation]) -> str:
    """Turn `wish` into an id that no earlier operation has."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", wish).strip("-") or "call"
    taken = {each.anchor for each in known}
    numbers = (f"{name}-{number}" for number in range(2, len(known) + 3))
    return next(each for each in (name, *numbers) if each not in taken)


def _problem(operations: tuple[Operation, ...]) -> str:
    for operation in operations:
        for content in (each for response in operation.responses for each in response.contents):
            if content.media_type == "application/problem+json":
                return next((word.schema for word in content.outline.kind if word.schema), "")
    return ""
