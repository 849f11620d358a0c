"""Decode JSON that breaks the rules in small things, as a busy service sends it now and then. Pure.

Source: RFC 8259; the faults that are repaired have been reported of public APIs.
"""

import json
import math
from typing import Any

import orjson

LONGEST_NUMBER = 20  # characters of an integer; a longer one is no count of anything
# Decoding keeps Python for itself, in any thread, so these bound how long the loop waits: to 50 ms.
# A page of Spotify's has up to 0.4 MB and 15 000 values, nearly all of them codes of markets.
MOST_VALUES = 50_000
LONGEST_REPAIR = 512 * 1024  # bytes
MOST_REPAIRED_VALUES = 20_000


def decode(body: bytes) -> Any:
    """Decode a body; strict JSON is decoded as it is, anything else after repair.

    Repaired are: a byte order mark, bytes that are not UTF-8 (replaced by U+FFFD), halves of
    surrogate pairs (removed), control characters in strings (kept), NaN, infinite and oversized
    numbers (null). Of a repeated key the last value counts. Raises ValueError for everything else,
    for bodies of more than MOST_VALUES values, and for large ones that need repair.
    """
    values = _most_values(body)
    if values > MOST_VALUES:
        raise ValueError(f"has more than {MOST_VALUES} values")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if len(body) > LONGEST_REPAIR or values > MOST_REPAIRED_VALUES:
            raise
        return orjson.loads(_repaired(body))


def _most_values(body: bytes) -> int:
    """Return a number of values that a body does not exceed; commas in texts count, too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _repaired(body: bytes) -> bytes:
    """Rewrite a body as strict JSON, so that the rest of the program meets no other kind."""
    try:
        content = _LENIENT.decode(body.decode("utf-8-sig", "replace"))
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "ignore")
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_NUMBER else None


def _real(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_LENIENT = json.JSONDecoder(
    strict=False,
    parse_constant=lambda _: None,
    parse_int=_integer,
    parse_float=_real,
)
