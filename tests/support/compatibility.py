"""What a change of the API's description breaks for clients that were written for the old one.

What clients send must stay accepted, so parameters and bodies of requests may only widen; what
they receive must stay as described, so responses may only narrow or have more members. Whatever
is in docs/api-stability.md and can be read off two descriptions is compared here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Document = dict[str, Any]
Direction = Literal["request", "response"]

METHODS = ("get", "put", "post", "delete", "patch")
# Of a lower bound a larger value is narrower; of an upper bound a smaller one.
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
ANY = "anything"
GROWS = "may be added"  # in a description: clients have to expect other values


def breaks(old: Document, new: Document) -> list[str]:
    """Return every break, each named by its operation or schema; sorted, without repetitions."""
    return sorted(set(Comparison(old, new).all()))


@dataclass
class Comparison:
    """Compares two OpenAPI documents."""

    old: Document
    new: Document

    def __post_init__(self) -> None:
        self._seen: set[tuple[str, str, Direction]] = set()

    def all(self) -> Iterator[str]:
        """Yield every break."""
        for path, item in self.old["paths"].items():
            for method in (each for each in METHODS if each in item):
                place = f"{method.upper()} {path}"
                now = self.new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{place}: is gone"
                else:
                    yield from self._operation(place, item[method], now)
        schemes = self.new.get("components", {}).get("securitySchemes", {})
        for name, scheme in self.old.get("components", {}).get("securitySchemes", {}).items():
            now = schemes.get(name, {})
            for part in ("type", "in", "name", "scheme"):
                if scheme.get(part) != now.get(part):
                    was = f"{part} {scheme.get(part)} is now {now.get(part)}"
                    yield f"authentication by `{name}`: {was}"

    def _operation(self, place: str, old: Document, new: Document) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            was = f"{old.get('operationId')} is now {new.get('operationId')}"
            yield f"{place}: operationId {was}"
        yield from self._parameters(place, old, new)
        yield from self._body(place, old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            now = new["responses"].get(status)
            if now is None:
                yield f"{place}: status {status} is gone"
            else:
                yield from self._response(f"{place} {status}", response, now)
        yield from _security(place, old.get("security", []), new.get("security", []))

    def _parameters(self, place: str, old: Document, new: Document) -> Iterator[str]:
        before, now = _parameters_of(old), _parameters_of(new)
        for key, parameter in now.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{place}: {key} is now required"
        for key, parameter in before.items():
            if key not in now:
                yield f"{place}: {key} is gone"
                continue
            for part in ("style", "explode"):
                if parameter.get(part) != now[key].get(part):
                    yield f"{place}: {key}: {part} is now {now[key].get(part)}"
            yield from self._schema(
                f"{place}: {key}", parameter["schema"], now[key]["schema"], "request"
            )

    def _body(self, place: str, old: Document | None, new: Document | None) -> Iterator[str]:
        if new and new.get("required") and not (old and old.get("required")):
            yield f"{place}: a body is now required"
        for kind, content in (old or {}).get("content", {}).items():
            now = (new or {}).get("content", {}).get(kind)
            if now is None:
                yield f"{place}: a body of {kind} is no longer accepted"
            else:
                yield from self._schema(
                    f"{place}: body", content["schema"], now["schema"], "request"
                )

    def _response(self, place: str, old: Document, new: Document) -> Iterator[str]:
        headers = new.get("headers", {})
        for name, header in old.get("headers", {}).items():
            if name not in headers:
                yield f"{place}: header {name} is gone"
            elif header.get("required") and not headers[name].get("required"):
                yield f"{place}: header {name} is no longer always there"
        for kind, content in old.get("content", {}).items():
            now = new.get("content", {}).get(kind)
            if now is None:
                yield f"{place}: {kind} is gone"
            else:
                yield from self._schema(place, content["schema"], now["schema"], "response")

    def _schema(
        self, place: str, old: Any, new: Any, direction: Direction, about: str = ""
    ) -> Iterator[str]:
        """Compare two schemas; those with a name once, and under it. `about` is what is said."""
        about = str(old.get("description", about))
        name = str(old.get("$ref", "")).rpartition("/")[2]
        if name:
            other = str(new.get("$ref", "")).rpartition("/")[2]
            if (name, other or place, direction) in self._seen:
                return
            self._seen.add((name, other or place, direction))
            place = name if name == other else place
        before, now = _variants(old, self.old), _variants(new, self.new)
        yield from _kinds(place, before, now, direction)
        if direction == "request" and old.get("default") != new.get("default"):
            yield f"{place}: default {old.get('default')} is now {new.get('default')}"
        for kind in before.keys() & now.keys():
            yield from _values(place, before[kind], now[kind], direction, about)
            yield from self._members(place, before[kind], now[kind], direction, about)

    def _members(
        self, place: str, old: Any, new: Any, direction: Direction, about: str
    ) -> Iterator[str]:
        """Compare what is inside objects and lists."""
        properties, mandatory = new.get("properties", {}), set(new.get("required", ()))
        for name, schema in old.get("properties", {}).items():
            if name not in properties:
                yield f"{place}.{name}: is gone"
                continue
            if (
                direction == "response"
                and name in old.get("required", ())
                and name not in mandatory
            ):
                yield f"{place}.{name}: is no longer always there"
            yield from self._schema(f"{place}.{name}", schema, properties[name], direction)
        if direction == "request":
            for name in sorted(mandatory - set(old.get("required", ()))):
                yield f"{place}.{name}: is now required"
        for part, shown in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
                yield from self._schema(place + shown, old[part], new[part], direction, about)


def _parameters_of(operation: Document) -> dict[str, Document]:
    return {
        f"{each['in']} parameter `{each['name']}`": each for each in operation.get("parameters", ())
    }


def _variants(schema: Any, document: Document) -> dict[str, Any]:
    """Return the schemas that a value may have, by their type; references are followed."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    inner = [each for group in ("anyOf", "oneOf", "allOf") for each in schema.get(group, ())]
    if inner:
        return {kind: each for part in inner for kind, each in _variants(part, document).items()}
    kinds = schema.get("type", ANY)
    return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds, schema)


def _kinds(
    place: str, old: dict[str, Any], new: dict[str, Any], direction: Direction
) -> Iterator[str]:
    """Yield the types that are no longer accepted, or that may now come."""
    wide, narrow = (new, old) if direction == "request" else (old, new)
    for kind in narrow:
        if not {kind, ANY} & wide.keys() and not (kind == "integer" and "number" in wide):
            yield f"{place}: {'no longer' if direction == 'request' else 'now'} {kind}"


def _values(place: str, old: Any, new: Any, direction: Direction, about: str) -> Iterator[str]:
    """Compare which values of one type are allowed; `about` may say that there will be more."""
    for part in ("format", "pattern", "multipleOf", "uniqueItems"):
        before, now = old.get(part), new.get(part)
        if before != now and (now if direction == "request" else before) is not None:
            yield f"{place}: {part} {before} is now {now}"
    stricter: tuple[tuple[tuple[str, ...], Callable[[Any, Any], bool]], ...] = (
        (LOWER, lambda wide, narrow: wide is not None and (narrow is None or narrow < wide)),
        (UPPER, lambda wide, narrow: wide is not None and (narrow is None or narrow > wide)),
    )
    for parts, outside in stricter:
        for part in parts:
            wide, narrow = (new, old) if direction == "request" else (old, new)
            if outside(wide.get(part), narrow.get(part)):
                yield f"{place}: {part} {old.get(part)} is now {new.get(part)}"
    before, now = _choices(old), _choices(new)
    if direction == "request" and now is not None:
        lost = ["anything else"] if before is None else sorted(before - now)
        yield from (f"{place}: no longer accepts {each}" for each in lost)
    if direction == "response" and before is not None and GROWS not in about:
        added = ["anything"] if now is None else sorted(now - before)
        yield from (f"{place}: may now be {each}" for each in added)


def _choices(schema: Any) -> set[str] | None:
    """Return the values that `enum` or `const` allow; None for any."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(each) for each in schema["enum"]} if "enum" in schema else None


def _security(place: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    """Yield the ways to authenticate that no longer suffice."""
    for way in old or [{}]:
        enough = (
            each.keys() <= way.keys() and all(set(each[name]) <= set(way[name]) for name in each)
            for each in new or [{}]
        )
        if not any(enough):
            yield f"{place}: {' and '.join(way) or 'no authentication'} no longer suffices"
