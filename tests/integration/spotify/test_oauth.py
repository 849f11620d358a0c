"""Tokens for grants: the accounts service asked rightly, its answers and refusals understood."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from server.errors import (
    BadAnswer,
    CredentialsRejected,
    InvalidGrant,
    RateLimited,
    SpotifyError,
    SpotifyUnavailable,
)
from server.spotify.auth.oauth import Accounts
from server.spotify.transport import Transport
from server.spotify.types import Grant
from server.standin import Answer, StandIn
from tests.support.ports import free_port
from tests.support.rate_limiters import limiter_in_memory
from tests.support.spotify_answers import observed, scripted
from tests.support.spotify_http import StartRaw, http
from tests.support.standins import StartStandIn

TOKEN = "/api/token"


@pytest.fixture
def accounts_of(transport: Transport) -> Callable[..., Accounts]:
    def make(standin: StandIn, secret: str = "standin-secret") -> Accounts:
        return Accounts(
            transport, limiter_in_memory(), standin.accounts_url, "standin-client", secret
        )

    return make


@pytest.mark.gen_test
async def test_client_credentials_bring_a_token_for_an_hour(
    start_standin: StartStandIn, accounts_of: Any
) -> None:
    grant = await accounts_of(start_standin()).client_credentials()
    assert grant.access_token
    assert grant.expires_in == 3600
    assert grant.refresh_token is None
    assert grant.scopes is None


@pytest.mark.gen_test
async def test_credentials_go_in_the_basic_header_and_nowhere_else(
    transport: Transport, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b'{"access_token": "BQa", "expires_in": 3600}'))
    accounts = Accounts(
        transport, limiter_in_memory(), server.url, "our-client-id", "our:secret&=é"
    )
    await accounts.client_credentials()
    head = server.heads[0]
    assert head.startswith("POST /api/token HTTP/1.1\r\n")
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in head
    basic = next(line for line in head.splitlines() if line.startswith("Authorization: Basic "))
    assert b64decode(basic.split()[2]).decode() == "our-client-id:our:secret&=é"
    assert server.bodies == ["grant_type=client_credentials"]
    assert "our-client-id" not in head
    assert "our:secret" not in head


@pytest.mark.parametrize("row", observed("accounts"))
@pytest.mark.gen_test
async def test_each_refusal_that_was_seen(
    start_standin: StartStandIn, accounts_of: Any, row: dict[str, Any]
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, scripted(row))
    error = (row["body"] or {}).get("error")
    expected: type[SpotifyError] = BadAnswer
    if error == "invalid_client":
        expected = CredentialsRejected
    elif error == "invalid_grant":
        expected = InvalidGrant
    elif row["status"] >= 500:
        expected = SpotifyUnavailable
    with pytest.raises(expected) as caught:
        await accounts_of(standin).client_credentials()
    if expected is InvalidGrant:
        assert str(caught.value) == row["body"]["error_description"]
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_wrong_secret_is_told_with_its_fix(
    start_standin: StartStandIn, accounts_of: Any
) -> None:
    accounts = accounts_of(start_standin(), secret="wrong-secret")
    with pytest.raises(CredentialsRejected, match="CLIENT_SECRET") as caught:
        await accounts.client_credentials()
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(401, {"error": "invalid_client"}), CredentialsRejected),
        (Answer(429, b"Too many requests", {"Retry-After": "30"}), RateLimited),
        (Answer(503, b"<html>busy</html>"), SpotifyUnavailable),
        (Answer(403, b"Forbidden"), BadAnswer),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), BadAnswer),
        (Answer(400, b"<html>"), BadAnswer),
        (Answer(400, {"error": {"status": 400, "message": "odd"}}), BadAnswer),
        (Answer(400, {"error": "x\x00y" * 1000}), BadAnswer),
        (Answer(204), BadAnswer),
    ],
)
@pytest.mark.gen_test
async def test_other_refusals(
    start_standin: StartStandIn, accounts_of: Any, answer: Answer, expected: type[SpotifyError]
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, answer)
    with pytest.raises(expected) as caught:
        await accounts_of(standin).client_credentials()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": "BQa"},
        {"access_token": "", "expires_in": 3600},
        {"access_token": None, "expires_in": 3600},
        {"access_token": 5, "expires_in": 3600},
        {"access_token": "BQ a", "expires_in": 3600},
        {"access_token": "BQa\r\nX-Evil: yes", "expires_in": 3600},
        {"access_token": "BQ\x00", "expires_in": 3600},
        {"access_token": "BQé", "expires_in": 3600},
        {"access_token": "BQa", "expires_in": "soon"},
        {"access_token": "BQa", "expires_in": None},
        {"access_token": "BQa", "expires_in": True},
        {"access_token": "BQa", "expires_in": 0},
        {"access_token": "BQa", "expires_in": -1},
        {"access_token": ["BQa"], "expires_in": 3600},
    ],
)
@pytest.mark.gen_test
async def test_a_token_that_cannot_be_used_is_a_bad_answer(
    start_standin: StartStandIn, accounts_of: Any, body: dict[str, Any]
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, Answer(200, body))
    with pytest.raises(BadAnswer, match="no usable token"):
        await accounts_of(standin).client_credentials()


@pytest.mark.gen_test
async def test_a_token_said_to_live_for_ever_is_believed_for_a_day(
    start_standin: StartStandIn, accounts_of: Any
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, Answer(200, {"access_token": "BQa", "expires_in": 10**18}))
    assert (await accounts_of(standin).client_credentials()).expires_in == 86400


@pytest.mark.parametrize(
    "body",
    [b'{"access_token": "BQ-the-token", "expi', b'["BQ-the-token"]', b"BQ-the-token"],
    ids=["cut short", "an array", "plain"],
)
@pytest.mark.gen_test
async def test_a_broken_token_answer_is_not_quoted(
    start_standin: StartStandIn, accounts_of: Any, body: bytes
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, Answer(200, body))
    with pytest.raises(BadAnswer) as caught:
        await accounts_of(standin).client_credentials()
    error: BaseException | None = caught.value
    while error is not None:
        assert "BQ-the-token" not in str(error)
        error = None if error.__suppress_context__ else error.__context__


@pytest.mark.gen_test
async def test_an_accounts_service_that_is_away(transport: Transport) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    accounts = Accounts(transport, limiter_in_memory(), nowhere, "id", "secret")
    with pytest.raises(SpotifyUnavailable):
        await accounts.client_credentials()


@pytest.mark.gen_test
async def test_scopes_and_a_refresh_token_are_read(
    start_standin: StartStandIn, accounts_of: Any
) -> None:
    standin = start_standin()
    body = {"access_token": "BQa", "expires_in": 9, "refresh_token": "AQb", "scope": "a b"}
    standin.answer_next(TOKEN, Answer(200, body))
    grant = await accounts_of(standin).client_credentials()
    assert (grant.refresh_token, grant.scopes) == ("AQb", ("a", "b"))


def test_the_repr_of_a_grant_shows_no_token() -> None:
    shown = repr(Grant("BQ-access", 3600, "AQ-refresh"))
    assert "BQ-access" not in shown
    assert "AQ-refresh" not in shown
    assert "3600" in shown


def test_the_accounts_client_shows_no_secret(transport: Transport) -> None:
    accounts = Accounts(transport, limiter_in_memory(), "http://127.0.0.1", "id", "hidden")
    assert "hidden" not in repr(accounts)


@pytest.mark.parametrize("scope", [b"null", b"7", b"[" * 1000 + b"]" * 1000])
@pytest.mark.gen_test
async def test_scopes_that_are_no_text_are_none(
    start_standin: StartStandIn, accounts_of: Any, scope: bytes
) -> None:
    standin = start_standin()
    body = b'{"access_token": "BQa", "expires_in": 9, "scope": ' + scope + b"}"
    standin.answer_next(TOKEN, Answer(200, body))
    assert (await accounts_of(standin).client_credentials()).scopes is None
