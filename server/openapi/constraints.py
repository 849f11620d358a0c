"""Describe the constraints of a JSON schema in words. Pure."""

import json
from collections.abc import Iterator
from typing import Any

MAX_PATTERN_LENGTH = 40  # characters; longer ones are not readable
BOUNDS = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems "
    "maxItems pattern".split()
)
Parts = tuple[dict[str, Any], ...]  # a schema, its alternatives and the schemas of its items


def formatted(value: Any) -> str:
    """Return text unchanged, and any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def choices(parts: Parts) -> Iterator[str]:
    """Yield the allowed values of `enum` and `const`, without null."""
    for part in parts:
        values = part.get("enum", [part["const"]] if "const" in part else [])
        yield from (formatted(each) for each in values if each is not None)


def facts(schema: dict[str, Any], parts: Parts) -> Iterator[str]:
    """Yield each bound of a value in words, such as `at most 500`, and its default."""
    for part in parts:
        if not BOUNDS.isdisjoint(part):
            yield from _bounds_of(part)
    default = schema.get("default")
    if default not in (None, [], {}):
        yield f"default {formatted(default)}"


def _bounds_of(schema: dict[str, Any]) -> Iterator[str]:
    yield from _bounds(schema.get("minimum"), schema.get("maximum"), "")
    if "exclusiveMinimum" in schema:
        yield f"more than {_number(schema['exclusiveMinimum'])}"
    if "exclusiveMaximum" in schema:
        yield f"less than {_number(schema['exclusiveMaximum'])}"
    if "multipleOf" in schema:
        yield f"a multiple of {_number(schema['multipleOf'])}"
    yield from _bounds(schema.get("minLength"), schema.get("maxLength"), " characters")
    least = schema.get("minItems", 0) if schema.get("minItems", 0) > 1 else None
    yield from _bounds(least, schema.get("maxItems"), " items")  # an empty list cannot be sent
    if 0 < len(schema.get("pattern", "")) <= MAX_PATTERN_LENGTH:
        yield f"matches {schema['pattern']}"


def _bounds(least: Any, most: Any, unit: str) -> Iterator[str]:
    if least is not None and most is not None:
        same = least == most
        yield f"{_number(least)}{'' if same else f' to {_number(most)}'}{unit}"
    elif least is not None:
        yield f"at least {_number(least)}{unit if least != 1 else unit.removesuffix('s')}"
    elif most is not None:
        yield f"at most {_number(most)}{unit if most != 1 else unit.removesuffix('s')}"


def _number(value: Any) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
