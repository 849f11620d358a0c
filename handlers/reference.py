"""What the API is, written for programs and for people: made when first asked for, then kept.

Making it takes a third of a second and some megabytes, which few servers are ever asked for.
"""

import asyncio
from dataclasses import dataclass

import orjson

from handlers.pages import Pages
from server.catalog import manual, payload
from server.catalog.description import openapi
from server.catalog.manual import Manual
from server.catalog.outline import Outline
from server.catalog.payload import Coding, Payload, Representation
from server.threads import Threads

Coded = dict[Coding, Representation]

TRIED = "_operation"  # the parameter that names what a form without scripts tries


@dataclass(frozen=True)
class Reference:
    """The OpenAPI document and the page of it in every coding, and what that page shows."""

    document: Coded
    page: Coded
    manual: Manual


class References:
    """The reference of this server, made in one of `threads`."""

    def __init__(self, pages: Pages, threads: Threads) -> None:
        self._pages = pages
        self._threads = threads
        self._made: asyncio.Future[Reference] | None = None

    async def get(self) -> Reference:
        """All of it; who comes while it is being made waits for the same."""
        if self._made is None:
            self._made = asyncio.ensure_future(self._threads.call(make, self._pages))
        return await asyncio.shield(self._made)


def make(pages: Pages) -> Reference:
    """Write the reference. Takes a third of a second."""
    description = openapi()
    readable = manual.read(description)
    document = describe(orjson.dumps(description))
    return Reference(document, ready(render(pages, readable)), readable)


def describe(document: bytes) -> Coded:
    """The description in every coding, for scripts of any origin."""
    open_to_all = (
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", payload.EXPOSED),
        ("Link", payload.LINK),
    )
    return _coded(Payload(document, (*_kept(payload.JSON), *open_to_all)))


def render(pages: Pages, manual: Manual) -> bytes:
    """The page of a manual."""

    def inside(outline: Outline) -> bytes:
        return pages.render("outline.html", outline=outline, inside=inside, anchors=anchors)

    anchors = frozenset(each.name for each in manual.schemas)
    return pages.render(
        "docs.html",
        title=f"{manual.title} API",
        manual=manual,
        inside=inside,
        anchors=anchors,
        base=pages.public_url,
        tried=TRIED,
    )


def ready(page: bytes) -> Coded:
    """A page in every coding."""
    return _coded(Payload(page, _kept("text/html; charset=utf-8")))


def _coded(whole: Payload) -> Coded:
    return {coding: whole.coded(coding) for coding in payload.CODINGS}


def _kept(content_type: str) -> tuple[tuple[str, str], ...]:
    """An hour is short enough for an upgrade."""
    return (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=3600"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
    )
