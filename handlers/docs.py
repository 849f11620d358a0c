"""`/api/openapi.json` and `/api/docs/`: what this API is, for programs and for people."""

from handlers.base import BaseHandler
from handlers.pages import SCRIPTED, PageHandler, Pages
from handlers.payloads import PayloadHandler
from server.catalog import payload
from server.catalog.fields import address
from server.catalog.manual import Manual
from server.catalog.outline import Outline
from server.catalog.payload import Coding, Payload, Representation
from server.errors import InvalidParameters, ParameterFault

Coded = dict[Coding, Representation]

TRIED = "_operation"  # the parameter that names what a form without scripts tries


class OpenApiHandler(PayloadHandler):
    """The description of the API, which changes with the program only."""

    def initialize(self, document: Coded) -> None:
        """Take the ready document from the wiring."""
        self._document = document

    def get(self) -> None:
        """Send it."""
        self.send(self._document[self.coding])

    head = get


class DocsHandler(PageHandler, PayloadHandler):
    """The page of the API, made once; and the way from its forms to the API without scripts."""

    write_error = BaseHandler.write_error  # all errors under /api are problems

    def initialize(self, pages: Pages, manual: Manual, page: Coded) -> None:  # type: ignore[override]
        """Take the ready page from the wiring."""
        super().initialize(pages)
        self._manual, self._page = manual, page

    def get(self) -> None:
        """Send the page, or go where a form of it means to."""
        if TRIED in self.request.query_arguments:
            self._try()
            return
        self.set_page_headers(SCRIPTED)
        self.send(self._page[self.coding])

    head = get

    def _try(self) -> None:
        """Browsers send empty fields, repeat names and fill no gaps in a path; the API is strict.

        So the address is made here as the script of the page makes it. It is relative: the policy
        lets a form lead nowhere but to the origin that the page has come from.
        """
        wanted = self.get_query_argument(TRIED)
        operation = self._manual.operation(wanted)
        if operation is None or not operation.can_be_tried:
            raise InvalidParameters([ParameterFault(TRIED, wanted[:100], "is not known here")])
        names = {each.name for each in operation.fields}
        given = {name: self.get_query_arguments(name, strip=False) for name in names}
        target = address(operation.path, operation.fields, given)
        if target is None:
            gaps = [each.name for each in operation.fields if each.place == "path"]
            raise InvalidParameters([ParameterFault(gap, "", "is needed") for gap in gaps])
        self.set_header("Cache-Control", "no-store")
        self.redirect(self._pages.root + target, status=303)


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
