"""Writing the reference of the API from its description. Loaded when that is first asked for."""

import orjson

from handlers.pages import Pages
from handlers.reference import TRIED, Coded, Reference
from server.catalog import manual, payload
from server.catalog.description import openapi
from server.catalog.manual import Manual
from server.catalog.outline import Outline
from server.catalog.payload import Payload


def make(pages: Pages) -> Reference:
    """Write the reference. Takes a third of a second."""
    description = openapi()
    readable = manual.read(description)
    document = describe(orjson.dumps(description))
    return Reference(document, ready(render(pages, readable)), readable)


def describe(document: bytes) -> Coded:
    """The description in every coding."""
    return _coded(Payload(document, (*_kept(payload.JSON), ("Link", payload.LINK))))


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
