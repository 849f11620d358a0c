"""Decodes JSON, repairing small faults that public APIs have been reported to send. Pure.

Source: RFC 8259.
"""

import json
import math
from typing import Any

import orjson

MAX_NUMBER_LENGTH = 20  # characters of an integer; a longer one cannot be a count
# Decoding holds the interpreter lock in any thread, so these bound how long the loop waits: 50 ms.
# A page of Spotify has up to 0.4 MB and 15 000 values, nearly all of them codes of markets.
MAX_VALUES = 50_000
MAX_REPAIR_BYTES = 512 * 1024  # bytes
MAX_REPAIRED_VALUES = 20_000


def decode(body: bytes) -> Any:
    """Decode a body; one that is not strict JSON is repaired first.

    Repairs: a byte order mark (removed), bytes that are not UTF-8 (replaced by U+FFFD), halves of
    surrogate pairs (removed), control characters in strings (kept), NaN, infinite and oversized
    numbers (null). Of a repeated key the last value counts. Raises ValueError for everything else,
    for a body of more than MAX_VALUES values, and for a large one that needs repair.
    """
    values = _most_values(body)
    if values > MAX_VALUES:
        raise ValueError(f"has more than {MAX_VALUES} values")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if len(body) > MAX_REPAIR_BYTES or values > MAX_REPAIRED_VALUES:
            raise
        return orjson.loads(_repaired(body))


def _most_values(body: bytes) -> int:
    """Return an upper bound of the number of values in a body; commas in strings count, too."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _repaired(body: bytes) -> bytes:
    """Rewrite a body as strict JSON."""
    try:
        content = _LENIENT.decode(body.decode("utf-8-sig", "replace"))
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "ignore")
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_NUMBER_LENGTH else None


def _real(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_LENIENT = json.JSONDecoder(
    strict=False,
    parse_constant=lambda _: None,
    parse_int=_integer,
    parse_float=_real,
)
