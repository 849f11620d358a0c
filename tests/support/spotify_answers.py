"""Recorded answers of Spotify, and servers that replay a script of answers."""

from typing import Any

import orjson
import pytest

from server.standin import Answer
from tests.support.paths import SHARED

OBSERVED = SHARED / "spotify" / "recorded" / "errors" / "OBSERVED.json"


def observed(where: str) -> list[Any]:
    """Return recorded answers of Spotify as parameters, or a skip if there are none."""
    if not OBSERVED.exists():
        reason = "the answers seen of Spotify are not beside this project"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    rows = [row for row in orjson.loads(OBSERVED.read_bytes()) if row["where"] == where]
    return [pytest.param(row, id=f"{row['status']}-{_reason(row['body'])}") for row in rows]


def _reason(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        return " ".join(str(value) for name, value in error.items() if name != "status")
    return str(body.get("error_description", error) if isinstance(body, dict) else error)[:40]


def scripted(row: dict[str, Any]) -> Answer:
    """Return a recorded answer for the stand-in to give."""
    body = row["body"]
    content = body if isinstance(body, dict) else (body or "").encode()
    kind = {"Content-Type": row["content_type"].split(" (")[0]} if row["content_type"] else {}
    retry = {
        name: value.split(" ")[0]
        for name, value in row.get("headers", {}).items()
        if name == "retry-after"
    }
    return Answer(row["status"], content, {**kind, **retry})
