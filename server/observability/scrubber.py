"""Masks secrets in log events, by field name and by pattern. Pure."""

import re
from collections.abc import Mapping, MutableMapping
from datetime import date
from typing import Any

MASK = "********"
DEEPEST = 20  # levels of nested values that are logged
SECRET_FIELDS = frozenset(
    "access_token refresh_token token client_secret secret password authorization cookie "
    "set_cookie code code_verifier code_challenge state".split()
)
SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)(?=\S*[\d=])[\w.~+/=-]{8,}"
    # names that only a secret follows
    r"|(?P<name>\b(?:access_token|refresh_token|client_secret|code_verifier|password)"
    r"\\?[\"']?\s*[=:]\s*\\?[\"']?"
    # common words, which name a secret only in a query or as a JSON key
    r"|(?:\b|%3F|%26)(?:code|state|token|secret|key)(?:=|%3D|\\?[\"']\s*:\s*\\?[\"']))"
    r"[^\s&\"'\\,;})]+"
    r"|(?P<url>\w://[^\s:/@]*:)[^\s\"',]+(?=@)"
    # an access key, also after an escaped character; within a longer word it is part of a cursor
    r"|(?P<key>(?:(?<![A-Za-z0-9_-])|%(?:25)*[\dA-Fa-f]{2}|\\(?:[nrt]|x[\da-f]{2}|u[\da-f]{4}))"
    r"fr_)[\w-]{43,}"
)

EventDict = MutableMapping[str, Any]


def scrub_text(text: str) -> str:
    """Mask tokens, codes, states, access keys and passwords in a string."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be sent
    return SECRET_TEXT.sub(
        lambda match: (match["scheme"] or match["name"] or match["url"] or match["key"]) + MASK,
        text,
    )


def scrub(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Mask secrets by field name and by pattern at every level (a structlog processor).

    The result consists of JSON's types only.
    """
    return {key: _scrub_value(_is_secret(key), value, 0) for key, value in event.items()}


def _is_secret(key: str) -> bool:
    return key.lower().replace("-", "_") in SECRET_FIELDS


def _scrub_value(secret: bool, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        named = ((_shown(name), inner) for name, inner in value.items())
        return {
            scrub_text(name): _scrub_value(secret or _is_secret(name), inner, depth + 1)
            for name, inner in named
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrub_value(secret, inner, depth + 1) for inner in value]
    return MASK if secret else scrub_text(_shown(value))


def _shown(value: object) -> str:
    """Return a value as text, also if its `__str__` raises."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        if isinstance(value, date):
            return value.isoformat().replace("+00:00", "Z")  # like the timestamps
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
