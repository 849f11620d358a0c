"""The base of the Web API's handlers: tokens, quotas, errors, and fields that are withheld."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

from server.standin.accounts.tokens import AccessToken
from server.standin.catalogue.ids import hex_id
from server.standin.catalogue.spotify_objects import Json
from server.standin.faults.definitions import PAGES
from server.standin.faults.payload_faults import break_page
from server.standin.handler import StandInHandler
from server.standin.web_api.paging import BadRequestError, Window, page

REMOVED: Final = {
    "artist": {"followers", "genres", "popularity"},
    "album": {"album_group", "available_markets", "label", "popularity"},
    "track": {"available_markets"},
    "user": {"country", "email", "explicit_content", "followers", "product"},
}
"""Object type → fields that development-mode apps do not get since 2026-02-11."""


def without_removed(value: Any) -> Any:
    """Return `value` as a restricted app sees it: removed fields are absent, not empty."""
    if isinstance(value, list):
        return [without_removed(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    removed = REMOVED.get(kind, set()) if isinstance(kind, str) else set()
    return {name: without_removed(item) for name, item in value.items() if name not in removed}


class ApiHandler(StandInHandler):
    """A request to the Web API, which needs a bearer token."""

    token: AccessToken
    _has_page_fault = False

    async def prepare(self) -> None:
        """Refuse requests without a valid token or over the quota, as Spotify does.

        Scripted responses, faults and requests without a valid token do not count for the quota.
        """
        await super().prepare()
        if not self._finished:
            self._authenticate()
        if not self._finished:
            refusal = self.world.quotas.admit(self.request.path)
            if refusal:
                await self.simulate(refusal)

    def _authenticate(self) -> None:
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            self.send_error_object(401, "No token provided")
            return
        if scheme.lower() != "bearer":
            self.send_error_object(400, "Only valid bearer authentication supported")
            return
        token = self.world.tokens.access(value.strip())
        if token is None or token.expired:
            self._refuse("The access token expired" if token else "Invalid access token")
            return
        self.token = token

    def _refuse(self, message: str) -> None:
        challenge = f'Bearer realm="spotify", error="invalid_token", error_description="{message}"'
        self.set_header("WWW-Authenticate", challenge)
        self.send_error_object(401, message)

    def compute_etag(self) -> str | None:
        """Return the ETag of the answer, which may depend on the access token."""
        etag = super().compute_etag()
        if etag is None or not self.world.etags_by_token:
            return etag
        authorization = self.request.headers.get("Authorization", "")
        return f'"{hex_id(etag, authorization, size=20)}"'

    def send_error_object(self, status: int, message: str) -> None:
        """Send Spotify's error object."""
        self.send_json({"error": {"status": status, "message": message}}, status)

    def send_object(self, body: Json) -> None:
        """Send an object as this kind of app sees it."""
        self.set_header("Cache-Control", "private, max-age=0")
        self.send_json(without_removed(body) if self.world.restricted else body)

    def send_page_of(
        self, items: list[Any], path: str, requested: Window, query: dict[str, str], under: str = ""
    ) -> None:
        """Send a page of `items`, in the field `under` if that is not empty."""
        body = self.page_of(items, path, requested, query)
        self.send_object({under: body} if under else body)

    def page_of(
        self, items: list[Any], path: str, requested: Window, query: dict[str, str]
    ) -> Json:
        """Return a page whose links repeat `query` and the language of the request."""
        locale = self.request.headers.get("Accept-Language", "*")
        url = f"{self.world.base_url}/v1{path}"
        query = query | {"locale": locale}
        right = page(items, requested, url, query, self.world.catalogue.withheld)
        return self.with_page_fault(right, items)

    def with_page_fault(self, right: Json, listing: Sequence[Any] = ()) -> Json:
        """Return the page with this request's page fault, if any, and record that it occurred."""
        if self.active_fault is None or self.active_fault.fault.fault not in PAGES:
            return right
        wrong = break_page(self.active_fault.fault.fault, right, listing)
        if wrong != right and not self._has_page_fault:
            self._has_page_fault = True
            self.active_fault.record()
        return wrong

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log exceptions, except those of bad requests."""
        if not isinstance(value, BadRequestError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send a bad parameter, a refusal of Tornado's or a failure as Spotify's error object."""
        problem = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(problem, BadRequestError):
            self.send_error_object(400, str(problem))
        else:
            self.send_error_object(status_code, self._reason)


class ServiceNotFoundHandler(ApiHandler):
    """Any path under /v1 that the Web API does not have."""

    def get(self) -> None:
        """Send 404."""
        self.send_error_object(404, "Service not found")
