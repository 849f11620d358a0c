"""Turn JSON schemas into nested outlines for display, with all references resolved. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from server.openapi.constraints import choices, facts

MAX_DEPTH = 5  # nested schemas; deeper ones are only named
COMPONENTS = "#/components/schemas/"
GROUPS = (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and "))


@dataclass(frozen=True)
class Word:
    """Part of a type's name; `schema` is the component that it names, or empty."""

    text: str
    schema: str = ""


@dataclass(frozen=True)
class SchemaOutline:
    """A schema or one of its fields, and the fields inside it."""

    name: str
    kind: tuple[Word, ...]
    choices: tuple[str, ...]
    facts: tuple[str, ...]
    description: str
    required: bool
    deprecated: bool
    fields: tuple["SchemaOutline", ...]

    @property
    def type(self) -> str:
        """The type in words, such as `list of Album or null`."""
        return "".join(word.text for word in self.kind)


class Schemas:
    """Reads the schemas of one OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.named: dict[str, Any] = document.get("components", {}).get("schemas", {})

    def resolve(self, thing: Any) -> dict[str, Any]:
        """Follow references and return their target; {} if it does not exist or is circular."""
        followed: set[str] = set()
        while isinstance(thing, dict) and isinstance(reference := thing.get("$ref"), str):
            if reference in followed or not reference.startswith("#/"):
                return {}
            followed.add(reference)
            thing = self._document
            for step in reference[2:].split("/"):
                step = unquote(step).replace("~1", "/").replace("~0", "~")
                thing = thing.get(step) if isinstance(thing, dict) else None
        return thing if isinstance(thing, dict) else {}

    def outline(
        self, schema: Any, name: str = "", required: bool = True, seen: frozenset[str] = frozenset()
    ) -> SchemaOutline:
        """Return the outline of a schema; `seen` are the references followed on the way here."""
        resolved = self.resolve(schema)
        parts = tuple(self._parts(schema))
        own = schema.get("description") if isinstance(schema, dict) else None
        return SchemaOutline(
            name=name,
            kind=tuple(self._kind(schema)),
            choices=tuple(choices(parts)),
            facts=tuple(facts(resolved, parts)),
            description=own or resolved.get("description", ""),
            required=required,
            deprecated=isinstance(schema, dict) and bool(schema.get("deprecated")),
            fields=tuple(self._fields(schema, seen)),
        )

    def component(self, name: str) -> SchemaOutline:
        """Return the outline of a named component."""
        return self.outline(self.named[name], name, seen=frozenset({COMPONENTS + name}))

    def brief_outline(self, schema: Any) -> SchemaOutline:
        """Return the outline of a schema, without its fields if it refers to a component."""
        named = any(word.schema for word in self._kind(schema))
        nothing = frozenset(map(str, range(MAX_DEPTH)))
        return self.outline(schema, seen=nothing if named else frozenset())

    def value(self, schema: Any, depth: int = 0) -> dict[str, Any]:
        """Return the schema of a non-null value: the first alternative that is not null."""
        resolved = self.resolve(schema)
        for each in [each for group, _ in GROUPS for each in resolved.get(group, ())]:
            if depth < MAX_DEPTH and self.resolve(each).get("type") != "null":
                return self.value(each, depth + 1)
        kinds = resolved.get("type")
        if isinstance(kinds, list):
            return resolved | {"type": next((each for each in kinds if each != "null"), "null")}
        return resolved

    def _kind(self, schema: Any) -> list[Word]:
        if not isinstance(schema, dict):
            return [Word("nothing" if schema is False else "anything")]
        if isinstance(reference := schema.get("$ref"), str):
            name = unquote(reference.rpartition("/")[2])
            known = reference.startswith(COMPONENTS) and name in self.named
            return [Word(name, name if known else "")]
        for group, word in GROUPS:
            if schema.get(group):
                return _joined([self._kind(each) for each in schema[group]], word)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            return _joined([self._kind(schema | {"type": each}) for each in kinds], " or ")
        if kinds == "array":
            return [Word("list of "), *self._kind(schema.get("items", True))]
        if isinstance(values := schema.get("additionalProperties"), dict):
            return [Word("map of "), *self._kind(values)]
        form = f" ({schema['format']})" if schema.get("format") and kinds != "null" else ""
        return [Word((kinds or ("value" if schema else "anything")) + form)]

    def _parts(self, schema: Any) -> Iterator[dict[str, Any]]:
        """Yield a schema, its alternatives and the schemas of its items, each once."""
        queue, seen = [self.resolve(schema)], list[dict[str, Any]]()
        while queue:
            resolved = queue.pop(0)
            if not resolved or any(resolved is each for each in seen):
                continue
            seen.append(resolved)
            yield resolved
            inner = [each for group, _ in GROUPS for each in resolved.get(group, ())]
            queue += [self.resolve(each) for each in (*inner, resolved.get("items"))]

    def _fields(self, schema: Any, seen: frozenset[str]) -> Iterator[SchemaOutline]:
        if not isinstance(schema, dict):
            return
        if isinstance(reference := schema.get("$ref"), str):
            if reference in seen or len(seen) >= MAX_DEPTH:
                return
            seen |= {reference}
        resolved = self.resolve(schema)
        required = resolved.get("required", ())
        for name, each in resolved.get("properties", {}).items():
            yield self.outline(each, name, name in required, seen)
        for group, _ in GROUPS:
            variants = [self.outline(each, "", True, seen) for each in resolved.get(group, ())]
            filled = [each for each in variants if each.fields]
            if group == "allOf" or len(filled) == 1:
                yield from (field for each in filled for field in each.fields)
            else:
                yield from filled
        for inner in (resolved.get("items"), resolved.get("additionalProperties")):
            yield from self._fields(inner, seen)


def _joined(kinds: list[list[Word]], word: str) -> list[Word]:
    """Join the names of several types, each once."""
    different = list(dict.fromkeys(map(tuple, kinds)))
    first, *rest = different
    return [*first, *(each for kind in rest for each in (Word(word), *kind))]
