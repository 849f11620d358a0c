"""Scripts of answers for one pass over a source of releases."""

from datetime import UTC, datetime
from typing import Any

from server.standin import Answer, StandIn

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
NEW, SEARCH = "/v1/browse/new-releases", "/v1/search"


def answer(items: list[Any], following: Any = None, total: Any = 100) -> Answer:
    return Answer(200, {"albums": {"items": items, "next": following, "total": total}})


def script(standin: StandIn, *answers: Answer, path: str = SEARCH) -> None:
    for each in answers:
        standin.answer_next(path, each)


def next_to(offset: int) -> str:
    return f"https://api.spotify.com/v1/search?offset={offset}&limit=10&query=tag%3Anew"
