"""Pages of a listing, and the links to their neighbours as Spotify writes them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from server.standin.catalogue.spotify_objects import Json


class BadRequestError(Exception):
    """A parameter that Spotify answers with 400; its text is the message."""


@dataclass(frozen=True)
class Window:
    """The requested items: `limit` of them from `offset` on."""

    limit: int
    offset: int


def window(query: Mapping[str, str], *, default: int, most: int, least: int = 1) -> Window:
    """Return the window that a query asks for. Raises BadRequestError, with Spotify's messages."""
    limit = _number(query, "limit", default)
    if limit is None or not least <= limit <= most:
        raise BadRequestError("Invalid limit")
    offset = _number(query, "offset", 0)
    if offset is None or offset < 0:
        raise BadRequestError("Invalid offset")
    return Window(limit, offset)


def _number(query: Mapping[str, str], name: str, default: int) -> int | None:
    text = query.get(name, str(default)).removeprefix("+")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return int(text)


def page(
    items: Sequence[Any],
    requested: Window,
    url: str,
    query: Mapping[str, str],
    withheld: Collection[str] = (),
) -> Json:
    """Return a PagingObject; items whose id is `withheld` count but are not on the page."""
    end = requested.offset + requested.limit
    shown = [item for item in items[requested.offset : end] if _id(item) not in withheld]

    def link(offset: int) -> str:
        return href(url, {"offset": str(offset), "limit": str(requested.limit), **query})

    return {
        "href": link(requested.offset),
        "items": shown,
        "limit": requested.limit,
        "next": link(end) if end < len(items) else None,
        "offset": requested.offset,
        "previous": link(max(0, requested.offset - requested.limit)) if requested.offset else None,
        "total": len(items),
    }


def _id(item: Any) -> Any:
    return item.get("id") if isinstance(item, dict) else None


def href(url: str, query: Mapping[str, str]) -> str:
    """Return `url` with its query, quoted as Spotify does: commas stay, spaces become %20."""
    return f"{url}?" + "&".join(f"{name}={quote(value, safe=',')}" for name, value in query.items())
