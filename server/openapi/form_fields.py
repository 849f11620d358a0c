"""Turn parameters into form fields, and a submitted form into a URL. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from server.openapi.constraints import formatted
from server.openapi.schema_outline import SchemaOutline, Schemas

SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|"}
SAFE = ","  # not percent-encoded, because it separates the items of lists


@dataclass(frozen=True)
class Field:
    """A parameter and the form control for it.

    `control` is choice, choices, number, date, list or text. `separator` joins the values of a
    list; None if the name is repeated for each value instead.
    """

    name: str
    place: str
    required: bool
    deprecated: bool
    description: str
    outline: SchemaOutline
    control: str
    choices: tuple[str, ...]
    default: str
    example: str
    minimum: str
    maximum: str
    step: str
    longest: str
    pattern: str
    separator: str | None


def read_field(parameter: dict[str, Any], schemas: Schemas) -> Field:
    """Return the form field of an OpenAPI parameter."""
    schema = parameter.get("schema", True)
    for content in parameter.get("content", {}).values():
        schema = content.get("schema", True)
    value = schemas.value(schema)
    place = parameter.get("in", "query")
    outline = schemas.outline(schema, parameter["name"], bool(parameter.get("required")))
    control, choices = _control(value, outline)
    default = schemas.resolve(schema).get("default")
    return Field(
        name=parameter["name"],
        place=place,
        required=bool(parameter.get("required")) or place == "path",
        deprecated=bool(parameter.get("deprecated")),
        description=parameter.get("description") or outline.description,
        outline=outline,
        control=control,
        choices=choices,
        default="" if default in (None, [], {}) else formatted(default),
        example=formatted(parameter["example"]) if "example" in parameter else "",
        minimum=_attribute(value, "minimum") if control == "number" else "",
        maximum=_attribute(value, "maximum") if control == "number" else "",
        step="1" if value.get("type") == "integer" else "any",
        longest=_attribute(value, "maxLength"),
        pattern=_anchored(value.get("pattern", "")) if control == "text" else "",
        separator=_separator(parameter, place),
    )


def address(path: str, fields: Iterable[Field], given: Mapping[str, list[str]]) -> str | None:
    """Return the path and query of a submitted form, without its empty fields.

    `given` has the submitted values by field name. None if a parameter of the path is missing.
    Headers and cookies are ignored.
    """
    pairs: list[tuple[str, str]] = []
    for field in fields:
        values = [each for each in given.get(field.name, ()) if each]
        if field.control == "list":
            values = [part for each in values for part in each.split(",") if part]
        if values and field.separator is not None:
            values = [field.separator.join(values)]
        if field.place == "path":
            if not values:
                return None
            path = path.replace(f"{{{field.name}}}", quote(values[0], safe=SAFE))
        elif field.place == "query":
            pairs += [(field.name, each) for each in values]
    return f"{path}?{urlencode(pairs, safe=SAFE)}" if pairs else path


def _control(value: dict[str, Any], outline: SchemaOutline) -> tuple[str, tuple[str, ...]]:
    kind = value.get("type")
    if kind == "array":
        return ("choices" if outline.choices else "list"), outline.choices
    if outline.choices:
        return "choice", outline.choices
    if kind == "boolean":
        return "choice", ("true", "false")
    if kind in ("integer", "number"):
        return "number", ()
    return ("date" if value.get("format") == "date" else "text"), ()


def _separator(parameter: dict[str, Any], place: str) -> str | None:
    style = parameter.get("style", "form" if place in ("query", "cookie") else "simple")
    if parameter.get("explode", style == "form") and place == "query":
        return None
    return SEPARATORS.get(style, ",")


def _attribute(schema: dict[str, Any], name: str) -> str:
    return str(schema[name]) if name in schema else ""


def _anchored(pattern: str) -> str:
    """Return a pattern for HTML, which always matches it against the whole value."""
    if not pattern or (pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern):
        return pattern
    return f".*(?:{pattern}).*"
