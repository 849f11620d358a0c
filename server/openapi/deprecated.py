"""Mark what is deprecated in an OpenAPI document. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from server.openapi.operations import headers_of
from server.serving.deprecations import Deprecation

HEADERS = ("Deprecation", "Sunset")


def mark(document: dict[str, Any], declared: Sequence[Deprecation]) -> None:
    """Mark operations, parameters and fields, and describe the headers of their responses.

    Raises KeyError if a deprecation names something that the document does not describe.
    """
    for each in declared:
        for thing in _things(document, each):
            text = f"Deprecated since {each.since}; may be removed from {each.sunset} on."
            described = thing.get("description", "")
            thing["deprecated"] = True
            thing["description"] = f"{described} {text} {each.instead}".strip()
        for path in each.paths:
            for operation in document["paths"][path].values():
                for response in operation["responses"].values():
                    response["headers"] = headers_of((), HEADERS) | response.get("headers", {})


def _things(document: dict[str, Any], deprecation: Deprecation) -> Iterator[dict[str, Any]]:
    """Yield what a deprecation names in the document."""
    operations = [
        operation for path in deprecation.paths for operation in document["paths"][path].values()
    ]
    if deprecation.field is not None:
        schema, _, name = deprecation.field.partition(".")
        yield document["components"]["schemas"][schema]["properties"][name]
    elif deprecation.parameter is None:
        yield from operations
    else:
        for operation in operations:
            yield {each["name"]: each for each in operation["parameters"]}[deprecation.parameter]
