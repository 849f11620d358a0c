"""The accounts service: the consent page, and the token endpoint."""

from base64 import b64decode
from typing import Final

from tornado.httputil import url_concat

from server.standin.accounts.consent import ConsentError, ConsentRequest, read_request
from server.standin.accounts.pages import consent_page, refusal_page
from server.standin.accounts.tokens import Code, Consent, GrantError
from server.standin.handler import StandInHandler, query_of

GRANTS: Final = ("authorization_code", "refresh_token", "client_credentials")


class AuthorizeHandler(StandInHandler):
    """GET /authorize shows the consent page, POST takes the choice and redirects to the app.

    The form's address repeats the query, so both requests are checked in the same way.
    """

    def get(self) -> None:
        """Send the consent page, or the page that explains what is wrong with the request."""
        request = self._consent_request()
        if request:
            self.send_page(consent_page(request, self.world.listener, self.request.query))

    def post(self) -> None:
        """Redirect to the app with a code, or with `access_denied`."""
        request = self._consent_request()
        if not request:
            return
        state = {} if request.state is None else {"state": request.state}
        agreed = query_of(self.request.body.decode(errors="replace")).get("answer") == "agree"
        answer = {"code": self._code(request)} if agreed else {"error": "access_denied"}
        self.redirect(url_concat(request.redirect_uri, answer | state), status=303)

    def _consent_request(self) -> ConsentRequest | None:
        try:
            return read_request(self.query, self.world.client_id, self.world.redirect_uris)
        except ConsentError as error:
            self.send_page(refusal_page(str(error)), 400)
            return None

    def _code(self, request: ConsentRequest) -> str:
        listener = self.world.listener
        user = {
            "account_id": listener.account_id,
            "display_name": listener.display_name,
            "id": listener.id,
        }
        consent = Consent(user, frozenset(request.scopes), self.world.clock())
        return self.world.tokens.issue_code(Code(consent, request.redirect_uri, request.challenge))


class TokenHandler(StandInHandler):
    """POST /api/token: exchanges a code, a refresh token or the app's credentials for a token."""

    def post(self) -> None:
        """Send the token response, or an OAuth error, which is always 400."""
        form = query_of(self.request.body.decode(errors="replace"))
        if not self._is_client():
            self._refuse("invalid_client", "Invalid client")
            return
        grant = form.get("grant_type", "")
        if grant not in GRANTS:
            allowed = "client_credentials, authorization_code or refresh_token"
            self._refuse("unsupported_grant_type", f"grant_type must be {allowed}")
            return
        try:
            self.set_header("Cache-Control", "no-store")
            self.send_json(self._grant(grant, form))
        except GrantError as error:
            self._refuse("invalid_grant", str(error))

    def _grant(self, grant: str, form: dict[str, str]) -> dict[str, object]:
        issuer = self.world.tokens
        if grant == "authorization_code":
            code, verifier = form.get("code", ""), form.get("code_verifier", "")
            return issuer.redeem_code(code, form.get("redirect_uri", ""), verifier)
        if grant == "refresh_token":
            return issuer.refresh(form.get("refresh_token", ""))
        return issuer.issue_access()

    def _is_client(self) -> bool:
        scheme, _, value = self.request.headers.get("Authorization", "").partition(" ")
        try:
            client_id, _, secret = b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return False
        mine = (self.world.client_id, self.world.client_secret)
        return scheme.lower() == "basic" and (client_id, secret) == mine

    def _refuse(self, error: str, description: str) -> None:
        self.send_json({"error": error, "error_description": description}, 400)
