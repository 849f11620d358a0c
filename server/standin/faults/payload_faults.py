"""Faults in pages and in their text: one error in an otherwise regular response."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from server.standin.catalogue.spotify_objects import Json

FOREIGN_HOST: Final = "192.0.2.1"
"""An address of TEST-NET-1 (RFC 5737), which is never in use."""


def break_page(fault: str, page: Json, listing: Sequence[Any]) -> Json:
    """Return `page` of `listing` with the fault in it, unchanged if it has nothing to break.

    A page with a cursor instead of an offset has no listing here, so it cannot be `endless-next` or
    `repeated`.
    """
    return page | _SPOILERS[fault](page, listing)


def _null_items(page: Json, _: Sequence[Any]) -> Json:
    return {"items": [None if place % 2 else item for place, item in enumerate(page["items"])]}


def _short_page(page: Json, _: Sequence[Any]) -> Json:
    return {"items": page["items"][: len(page["items"]) // 2]}


def _empty_page(_: Json, __: Sequence[Any]) -> Json:
    return {"items": []}


def _repeated(page: Json, listing: Sequence[Any]) -> Json:
    """Repeat the previous item; the page is one longer, so that no item is lost."""
    offset = page.get("offset", 0)
    previous = listing[offset - 1 : offset] if offset else []
    return {"items": [*previous, *page["items"]]}


def _lying_total(page: Json, _: Sequence[Any]) -> Json:
    return {"total": 3 * page["total"] + page.get("offset", 0) + 1}


def _endless_next(page: Json, listing: Sequence[Any]) -> Json:
    """Start the listing again after its last item."""
    if "offset" not in page or not listing:
        return {}
    end = page["offset"] + page["limit"]
    beyond = range(max(page["offset"], len(listing)), end)
    again = [listing[place % len(listing)] for place in beyond]
    further = re.sub(r"\boffset=\d+", f"offset={end}", page["href"], count=1)
    return {"items": [*page["items"], *again], "next": further}


def _circular_next(page: Json, _: Sequence[Any]) -> Json:
    return {"next": page["href"]}


def _foreign_next(page: Json, _: Sequence[Any]) -> Json:
    if not page["next"]:
        return {}
    return {"next": urlsplit(page["next"])._replace(scheme="http", netloc=FOREIGN_HOST).geturl()}


def _first_with(page: Json, **changes: Any) -> Json:
    first, *others = page["items"] or [{}]
    return {"items": [{**first, **changes}, *others]}


def _many_images(page: Json, _: Sequence[Any]) -> Json:
    image = {"url": "https://i.scdn.co/image/x", "height": 1, "width": 1}
    return _first_with(page, images=[image] * 11_000)


def _many_credits(page: Json, _: Sequence[Any]) -> Json:
    artists = [{"id": f"{number:022d}", "name": "x"} for number in range(11_000)]
    return _first_with(page, artists=artists)


def _many_values(page: Json, _: Sequence[Any]) -> Json:
    """Add nested arrays, which take a parser the most memory and time per byte."""
    return {"items": [*page["items"], *([[[]]] * 300_000)]}


def _long_name(page: Json, _: Sequence[Any]) -> Json:
    return _first_with(page, name="la " * 300_000)


_SPOILERS: Final[dict[str, Callable[[Json, Sequence[Any]], Json]]] = {
    "null-items": _null_items,
    "short-page": _short_page,
    "empty-page": _empty_page,
    "repeated": _repeated,
    "lying-total": _lying_total,
    "endless-next": _endless_next,
    "circular-next": _circular_next,
    "foreign-next": _foreign_next,
    "many-images": _many_images,
    "many-credits": _many_credits,
    "many-values": _many_values,
    "long-name": _long_name,
}

_NAME: Final = re.compile(rb'("name":")([^"])')
_NUMBER: Final = re.compile(rb'("total(?:_tracks)?":)\d+')

_GARBLERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "lone-surrogate": lambda text: _NAME.sub(rb"\1\\ud83d\2", text, count=1),
    "invalid-utf8": lambda text: _NAME.sub(b"\\1\xff\\2", text, count=1),
    "control-character": lambda text: _NAME.sub(b"\\1\x01\\2", text, count=1),
    "byte-order-mark": lambda text: b"\xef\xbb\xbf" + text,
    "not-a-number": lambda text: _NUMBER.sub(rb"\1NaN", text, count=1),
    "huge-number": lambda text: _NUMBER.sub(b"\\g<1>" + b"9" * 5000, text, count=1),
}


def corrupt_text(fault: str, text: bytes) -> bytes:
    """Return JSON `text` with the fault in its first name or number, if it has one."""
    return _GARBLERS[fault](text)
