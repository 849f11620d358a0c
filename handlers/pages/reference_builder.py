"""Builds the API documentation from its OpenAPI document on the first request for it.

This takes a third of a second and some megabytes of memory, which most servers never need.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from handlers.pages.base import Pages
from server.serving import payload
from server.serving.payload import Coding, Payload, Representation
from server.threads import Threads

if TYPE_CHECKING:  # at run time, `build` imports them
    from server.openapi.reference import ApiReference
    from server.openapi.schema_outline import SchemaOutline

Coded = dict[Coding, Representation]

TRIED = "_operation"  # the parameter that names the operation of a form sent without scripts


@dataclass(frozen=True)
class BuiltReference:
    """The OpenAPI document and its page in every content coding, and the page's content."""

    document: Coded
    page: Coded
    reference: "ApiReference"


class ReferenceBuilder:
    """Builds the reference of this server once, in one of `threads`."""

    def __init__(self, pages: Pages, threads: Threads) -> None:
        self._pages = pages
        self._threads = threads
        self._built: asyncio.Future[BuiltReference] | None = None

    async def get(self) -> BuiltReference:
        """Return the reference; requests that arrive while it is built wait for the same one."""
        if self._built is None:
            self._built = asyncio.ensure_future(self._threads.call(build, self._pages))
        return await asyncio.shield(self._built)


def build(pages: Pages) -> BuiltReference:
    """Build the reference, and import the modules for it. Takes a third of a second."""
    from server.openapi import reference
    from server.openapi.spec import openapi

    description = openapi(pages.address.url, pages.address.cookie("session"))
    content = reference.read(description)
    document = encode(orjson.dumps(description), payload.JSON, pages.address.url)
    page = encode(render(pages, content), "text/html; charset=utf-8", pages.address.url)
    return BuiltReference(document, page, content)


def render(pages: Pages, reference: "ApiReference") -> bytes:
    """Render the documentation page."""

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


def encode(body: bytes, content_type: str, root: str) -> Coded:
    """Return a body in every content coding, cacheable for an hour: it changes with upgrades."""
    headers = (
        ("Content-Type", content_type),
        ("Cache-Control", "public, max-age=3600"),
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Link", payload.links(root)),
    )
    uncoded = Payload(body, headers)
    return {coding: uncoded.encoded(coding) for coding in payload.CODINGS}
