"""Schemas as people read them: nested outlines with every reference followed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from server.openapi.constraints import choices, facts

DEEPEST = 5  # schemas inside each other; what lies deeper is only named
COMPONENTS = "#/components/schemas/"
GROUPS = (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and "))


@dataclass(frozen=True)
class Word:
    """A piece of a type's name; `schema` is the component that it names, if it is one."""

    text: str
    schema: str = ""


@dataclass(frozen=True)
class SchemaOutline:
    """A schema, or a field of one, and what is inside."""

    name: str
    kind: tuple[Word, ...]
    choices: tuple[str, ...]
    facts: tuple[str, ...]
    description: str
    required: bool
    fields: tuple["SchemaOutline", ...]

    @property
    def type(self) -> str:
        """The type in words: `list of Album or null`."""
        return "".join(word.text for word in self.kind)


class Schemas:
    """Reads the schemas of one OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.named: dict[str, Any] = document.get("components", {}).get("schemas", {})

    def resolve(self, thing: Any) -> dict[str, Any]:
        """What is meant: references followed, to nothing where they lead nowhere or in a circle."""
        passed: set[str] = set()
        while isinstance(thing, dict) and isinstance(reference := thing.get("$ref"), str):
            if reference in passed or not reference.startswith("#/"):
                return {}
            passed.add(reference)
            thing = self._document
            for step in reference[2:].split("/"):
                step = unquote(step).replace("~1", "/").replace("~0", "~")
                thing = thing.get(step) if isinstance(thing, dict) else None
        return thing if isinstance(thing, dict) else {}

    def outline(
        self, schema: Any, name: str = "", required: bool = True, seen: frozenset[str] = frozenset()
    ) -> SchemaOutline:
        """The outline of a schema; `seen` are the references that lead here."""
        meant = self.resolve(schema)
        parts = tuple(self._parts(schema))
        own = schema.get("description") if isinstance(schema, dict) else None
        return SchemaOutline(
            name=name,
            kind=tuple(self._kind(schema)),
            choices=tuple(choices(parts)),
            facts=tuple(facts(meant, parts)),
            description=own or meant.get("description", ""),
            required=required,
            fields=tuple(self._fields(schema, seen)),
        )

    def component(self, name: str) -> SchemaOutline:
        """The outline of a schema that has a name."""
        return self.outline(self.named[name], name, seen=frozenset({COMPONENTS + name}))

    def mention(self, schema: Any) -> SchemaOutline:
        """The outline of a schema, without what is inside where components are named for that."""
        named = any(word.schema for word in self._kind(schema))
        nothing = frozenset(map(str, range(DEEPEST)))
        return self.outline(schema, seen=nothing if named else frozenset())

    def value(self, schema: Any, depth: int = 0) -> dict[str, Any]:
        """What is given when something is given: the first alternative that is not null."""
        meant = self.resolve(schema)
        for each in [each for group, _ in GROUPS for each in meant.get(group, ())]:
            if depth < DEEPEST and self.resolve(each).get("type") != "null":
                return self.value(each, depth + 1)
        kinds = meant.get("type")
        if isinstance(kinds, list):
            return meant | {"type": next((each for each in kinds if each != "null"), "null")}
        return meant

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
        """A schema, its alternatives and what its items are, each once."""
        waiting, seen = [self.resolve(schema)], list[dict[str, Any]]()
        while waiting:
            meant = waiting.pop(0)
            if not meant or any(meant is each for each in seen):
                continue
            seen.append(meant)
            yield meant
            inner = [each for group, _ in GROUPS for each in meant.get(group, ())]
            waiting += [self.resolve(each) for each in (*inner, meant.get("items"))]

    def _fields(self, schema: Any, seen: frozenset[str]) -> Iterator[SchemaOutline]:
        if not isinstance(schema, dict):
            return
        if isinstance(reference := schema.get("$ref"), str):
            if reference in seen or len(seen) >= DEEPEST:
                return
            seen |= {reference}
        meant = self.resolve(schema)
        wanted = meant.get("required", ())
        for name, each in meant.get("properties", {}).items():
            yield self.outline(each, name, name in wanted, seen)
        for group, _ in GROUPS:
            variants = [self.outline(each, "", True, seen) for each in meant.get(group, ())]
            filled = [each for each in variants if each.fields]
            if group == "allOf" or len(filled) == 1:
                yield from (field for each in filled for field in each.fields)
            else:
                yield from filled
        for inner in (meant.get("items"), meant.get("additionalProperties")):
            yield from self._fields(inner, seen)


def _joined(kinds: list[list[Word]], word: str) -> list[Word]:
    """Several types as one, each named once."""
    different = list(dict.fromkeys(map(tuple, kinds)))
    first, *rest = different
    return [*first, *(each for kind in rest for each in (Word(word), *kind))]
