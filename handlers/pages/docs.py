"""`/api/openapi.json` and `/api/docs/`: what this API is, for programs and for people."""

from handlers.api.releases import PayloadHandler
from handlers.base import BaseHandler
from handlers.pages.base import SCRIPTED, PageHandler, Pages
from handlers.pages.reference import TRIED, Reference, References
from server.errors import InvalidParameters, ParameterFault


class OpenApiHandler(PayloadHandler):
    """The description of the API, which changes with the program only."""

    def initialize(self, references: References, root: str) -> None:  # type: ignore[override]
        """Take the document's maker from the wiring."""
        super().initialize(root)
        self._references = references

    async def get(self) -> None:
        """Send it."""
        reference = await self._references.get()
        self.send(reference.document[self.coding])

    head = get


class DocsHandler(PageHandler, PayloadHandler):
    """The page of the API, and the way from its forms to the API without scripts."""

    write_error = BaseHandler.write_error  # all errors under /api are problems

    def initialize(self, pages: Pages, references: References) -> None:  # type: ignore[override]
        """Take the page's maker from the wiring."""
        super().initialize(pages)
        self._references = references

    async def get(self) -> None:
        """Send the page, or go where a form of it means to."""
        reference = await self._references.get()
        if TRIED in self.request.query_arguments:
            self._try(reference)
            return
        self.set_page_headers(SCRIPTED)
        self.send(reference.page[self.coding])

    head = get

    def _try(self, reference: Reference) -> None:
        """Browsers send empty fields, repeat names and fill no gaps in a path; the API is strict.

        So the address is made here as the script of the page makes it. It is relative: the policy
        lets a form lead nowhere but to the origin that the page has come from.
        """
        wanted = self.get_query_argument(TRIED)
        operation = reference.reference.operation(wanted)
        if operation is None or not operation.can_be_tried:
            raise InvalidParameters([ParameterFault(TRIED, wanted[:100], "is not known here")])
        names = {each.name for each in operation.fields}
        given = {name: self.get_query_arguments(name, strip=False) for name in names}
        target = operation.address(given)
        if target is None:
            gaps = [each.name for each in operation.fields if each.place == "path"]
            raise InvalidParameters([ParameterFault(gap, "", "is needed") for gap in gaps])
        self.set_header("Cache-Control", "no-store")
        self.redirect(self._address.root + target, status=303)
