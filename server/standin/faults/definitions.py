"""The faults that the stand-in can simulate: their names, their fields, and faults files."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Final

import orjson

ANSWERS: Final = (
    *("too-many-requests", "rate-limit", "quota-exceeded"),
    *("premium", "unregistered", "check-settings", "scope", "forbidden", "not-found", "gone"),
    *("token-expired", "token-missing", "token-invalid", "no-token"),
    *("bad-limit", "too-deep", "bad-bearer", "unlaunched-market", "invalid-market"),
    *("500", "502", "503", "504"),
    *("not-json", "empty", "cut-json", "nested"),
)
"""Valid HTTP, but another response than the regular one."""
WIRE: Final = (
    *("stall", "cut", "reset", "truncated", "huge", "gzip-bomb", "garbage", "long-head"),
    *("tiny-chunks", "drip", "slow"),
)
"""Failures of the connection; the last two send the regular response, but late."""
PAGES: Final = (
    *("null-items", "short-page", "empty-page", "repeated", "lying-total"),
    *("endless-next", "circular-next", "foreign-next"),
    *("many-images", "many-credits", "many-values", "long-name"),
)
"""Errors in an otherwise regular page."""
TEXTS: Final = (
    *("lone-surrogate", "invalid-utf8", "control-character"),
    *("byte-order-mark", "not-a-number", "huge-number"),
)
"""Invalid JSON in one place of an otherwise regular response."""
NAMES: Final = (*ANSWERS, *WIRE, *PAGES, *TEXTS)

_SECONDS: Final = {"stall": 3600.0, "drip": 10.0, "slow": 10.0}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


def _is_header(value: Any) -> bool:
    text = isinstance(value, str) and value.isprintable() and all(ord(c) < 256 for c in value)
    return value is None or type(value) is int or text


_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "fault": (lambda v: v in NAMES, f"one of {', '.join(NAMES)}"),
    "path": (lambda v: isinstance(v, str) and v[:1] == "/", "the start of a path, such as /v1/"),
    "times": (
        lambda v: v is None or _is_whole(v, 1),
        "a whole number from 1, or null for all",
    ),
    "after": (lambda v: _is_whole(v, 0), "a whole number from 0"),
    "rate": (lambda v: _is_number(v) and 0 <= v <= 1, "a probability from 0 to 1"),
    "retry_after": (_is_header, "a whole number of seconds, or the header's text"),
    "seconds": (lambda v: v is None or (_is_number(v) and v >= 0), "a number of seconds from 0"),
}


@dataclass(frozen=True)
class Fault:
    """One failure to simulate, and the requests that it affects.

    Of the requests whose path starts with `path`, `after` succeed first, then `times` are affected
    (None: all), each with probability `rate`. `retry_after` becomes that header of an error
    response; `seconds` is the duration of `stall`, `drip` and `slow`. Raises ValueError for an
    invalid field.
    """

    fault: str
    path: str = "/v1/"
    times: int | None = 1
    after: int = 0
    rate: float = 1.0
    retry_after: int | str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, (is_valid, expected) in _RULES.items():
            value = getattr(self, name)
            if not is_valid(value):
                raise ValueError(f"{name} is {value!r}, but must be {expected}")

    @property
    def duration(self) -> float:
        """The duration in seconds, by default that of the kind of fault."""
        return _SECONDS.get(self.fault, 0.0) if self.seconds is None else self.seconds


def read_faults(text: bytes) -> tuple[Fault, ...]:
    """Return the faults in a JSON list of objects with the fields of Fault.

    Ignores a byte order mark. Raises ValueError with a message for people.
    """
    try:
        entries = orjson.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"invalid JSON: {error}") from None
    if not isinstance(entries, list):
        raise ValueError('faults must be a list, such as [{"fault": "502"}]')
    return tuple(_read(entry, number) for number, entry in enumerate(entries, 1))


def _read(entry: Any, number: int) -> Fault:
    known = [field.name for field in fields(Fault)]
    if not isinstance(entry, dict):
        raise ValueError(f'fault {number} must be an object, such as {{"fault": "502"}}')
    unknown = [name for name in entry if name not in known]
    if unknown:
        raise ValueError(
            f"fault {number} has an unknown field {unknown[0]!r}; known are {', '.join(known)}"
        )
    if "fault" not in entry:
        raise ValueError(f"fault {number} lacks the field 'fault', its name")
    try:
        return Fault(**entry)
    except ValueError as error:
        raise ValueError(f"fault {number}: {error}") from None
