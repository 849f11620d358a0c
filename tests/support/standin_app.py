"""An app that calls the stand-in as any client of Spotify would."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from server.standin import StandIn
from server.standin.accounts.tokens import challenge_of

CALLBACK = "http://127.0.0.1:5000/auth/callback/"
VERIFIER = "v" * 64
SCOPES = "user-follow-read user-read-private"


@dataclass
class App:
    """A program that uses the stand-in as it would use Spotify."""

    standin: StandIn
    http: AsyncHTTPClient
    token: str = ""
    basic: str = field(default=b64encode(b"standin-client:standin-secret").decode())

    async def fetch(self, url: str, **options: Any) -> HTTPResponse:
        url = url if url.startswith("http") else self.standin.accounts_url + url
        return await self.http.fetch(url, raise_error=False, follow_redirects=False, **options)

    async def get(self, path: str, **headers: str) -> HTTPResponse:
        url = path if path.startswith("http") else self.standin.api_url + path
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return await self.fetch(url, headers=bearer | headers)

    async def json(self, path: str) -> Any:
        response = await self.get(path)
        assert response.code == 200, response.body
        return orjson.loads(response.body)

    async def error(self, path: str, **headers: str) -> tuple[int, str]:
        response = await self.get(path, **headers)
        problem = orjson.loads(response.body)["error"]
        assert problem["status"] == response.code
        return response.code, problem["message"]

    async def grant(self, **form: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Basic {self.basic}"}
        response = await self.fetch(
            "/api/token", method="POST", body=urlencode(form), headers=headers
        )
        return response.code, orjson.loads(response.body)

    async def refused(self, **form: str) -> str:
        status, answer = await self.grant(**form)
        assert (status, answer["error"]) == (400, "invalid_grant")
        return str(answer["error_description"])

    async def use_own_token(self) -> "App":
        _, answer = await self.grant(grant_type="client_credentials")
        self.token = answer["access_token"]
        return self

    async def consent(self, answer: str = "agree", **changes: str) -> dict[str, list[str]]:
        response = await self.fetch(
            authorize(**changes), method="POST", body=urlencode({"answer": answer})
        )
        assert response.code == 303
        assert response.headers["Location"].startswith(CALLBACK + "?")
        return parse_qs(urlsplit(response.headers["Location"]).query)

    async def code(self, **changes: str) -> dict[str, str]:
        """Return the form that redeems a new code."""
        return {
            "grant_type": "authorization_code",
            "code": (await self.consent(**changes))["code"][0],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }

    async def login(self, scope: str = SCOPES) -> dict[str, Any]:
        status, answer = await self.grant(**await self.code(scope=scope))
        assert status == 200
        self.token = answer["access_token"]
        return answer

    async def pages(self, path: str, under: str) -> AsyncIterator[dict[str, Any]]:
        following: str | None = path
        while following:
            page = (await self.json(following))[under]
            yield page
            following = page["next"]


def authorize(**changes: str) -> str:
    """Return the address of the consent page for a valid request with changes."""
    asked = {
        "client_id": "standin-client",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
        "state": "s-1",
        "code_challenge_method": "S256",
        "code_challenge": challenge_of(VERIFIER),
    }
    return "/authorize?" + urlencode(asked | changes)
