"""Writing the reference of the API from its description, when it is first asked for.

That takes a third of a second and some megabytes, which few servers are ever asked for.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from handlers.pages.base import Pages
from server.serving import payload
from server.serving.payload import Coding, Payload, Representation
from server.threads import Threads

if TYPE_CHECKING:  # else `make` loads them
    from server.openapi.reference import ApiReference
    from server.openapi.schema_outline import SchemaOutline

Coded = dict[Coding, Representation]

TRIED = "_operation"  # the parameter that names what a form without scripts tries


@dataclass(frozen=True)
class Reference:
    """The OpenAPI document and the page of it in every coding, and what that page shows."""

    document: Coded
    page: Coded
    reference: "ApiReference"


class References:
    """The reference of this server, made in one of `threads`."""

    def __init__(self, pages: Pages, threads: Threads) -> None:
        self._pages = pages
        self._threads = threads
        self._made: asyncio.Future[Reference] | None = None

    async def get(self) -> Reference:
        """Return all of it; requests that come while it is being made wait for the same."""
        if self._made is None:
            self._made = asyncio.ensure_future(self._threads.call(make, self._pages))
        return await asyncio.shield(self._made)


def make(pages: Pages) -> Reference:
    """Write the reference, and load what that needs. Takes a third of a second."""
    from server.openapi import reference
    from server.openapi.spec import openapi

    description = openapi(pages.address.url, pages.address.cookie("session"))
    readable = reference.read(description)
    document = ready(orjson.dumps(description), payload.JSON, pages.address.url)
    page = ready(render(pages, readable), "text/html; charset=utf-8", pages.address.url)
    return Reference(document, page, readable)


def render(pages: Pages, reference: "ApiReference") -> bytes:
    """The page of a manual."""

    def inside(outline: "SchemaOutline") -> bytes:
        return pages.render("outline.html", outline=outline, inside=inside, anchors=anchors)

    anchors = frozenset(each.name for each in reference.schemas)
    return pages.render(
        "docs.html",
        title=f"{reference.title} API",
        reference=reference,
        inside=inside,
        anchors=anchors,
        base=pages.address.url,
        tried=TRIED,
    )


def ready(body: bytes, content_type: str, root: str) -> Coded:
    """Return a body in every coding, for an hour, which is short enough for an upgrade."""
    headers = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=3600"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", payload.links(root)),
    )
    whole = Payload(body, headers)
    return {coding: whole.coded(coding) for coding in payload.CODINGS}
