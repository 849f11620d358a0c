"""The description of the API: `/api/openapi.json` for programs, `/api/docs/` for people."""

from handlers.api.releases import PayloadHandler
from handlers.base import BaseHandler
from handlers.pages.base import SCRIPTED, PageHandler, Pages
from handlers.pages.reference_builder import TRIED, BuiltReference, ReferenceBuilder
from server.errors import InvalidParameters, ParameterFault


class OpenApiHandler(PayloadHandler):
    """Sends the OpenAPI document, which changes only with the version of Freshet."""

    def initialize(self, reference_builder: ReferenceBuilder, root: str) -> None:  # type: ignore[override]
        """Receive `reference_builder`, which builds the document; `root` is PUBLIC_URL."""
        super().initialize(root)
        self._reference_builder = reference_builder

    async def get(self) -> None:
        """Send the document."""
        reference = await self._reference_builder.get()
        self.send(reference.document[self.coding])

    head = get


class DocsHandler(PageHandler, PayloadHandler):
    """Sends the documentation page, and redirects its forms to the API without scripts."""

    write_error = BaseHandler.write_error  # all errors under /api are problems

    def initialize(self, pages: Pages, reference_builder: ReferenceBuilder) -> None:  # type: ignore[override]
        """Receive `reference_builder`, which builds the page."""
        super().initialize(pages)
        self._reference_builder = reference_builder

    async def get(self) -> None:
        """Send the page, or redirect a form of it to the API. Raises InvalidParameters."""
        reference = await self._reference_builder.get()
        if TRIED in self.request.query_arguments:
            self._try(reference)
            return
        self.set_page_headers(SCRIPTED)
        self.send(reference.page[self.coding])

    head = get

    def _try(self, reference: BuiltReference) -> None:
        """Redirect a form to the URL that it describes, which the page's script builds likewise.

        Browsers send empty fields, repeat names and cannot fill in a path, which the API does not
        accept. The URL is relative, because the Content-Security-Policy lets forms lead only to
        the origin of the page.
        """
        anchor = self.get_query_argument(TRIED)
        operation = reference.reference.operation(anchor)
        if operation is None or not operation.can_be_tried:
            fault = ParameterFault(TRIED, anchor, "is not an operation of this page")
            raise InvalidParameters([fault])
        names = {each.name for each in operation.fields}
        given = {name: self.get_query_arguments(name, strip=False) for name in names}
        target = operation.address(given)
        if target is None:
            missing = [each.name for each in operation.fields if each.place == "path"]
            raise InvalidParameters([ParameterFault(name, "", "is required") for name in missing])
        self.set_header("Cache-Control", "no-store")
        self.redirect(self._address.root + target, status=303)
