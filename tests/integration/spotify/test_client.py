"""The Web API asked with a token, and every refusal told apart by what its body says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from server.database.executor import Database
from server.errors import (
    AppRefused,
    BadAnswer,
    CredentialsRejected,
    EndpointRestricted,
    MarketRefused,
    RateLimited,
    SpotifyError,
    SpotifyUnavailable,
    TokenRejected,
    UserRefused,
)
from server.spotify.api.client import diagnose
from server.spotify.limits.cooldown import DEFAULT_COOLDOWN, MAX_COOLDOWN, read_retry_after
from server.spotify.transport import Response
from server.standin import Answer
from tests.support.spotify_answers import observed, scripted
from tests.support.spotify_client import ClientOf
from tests.support.spotify_http import StartRaw, http
from tests.support.standins import StartStandIn

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
PATH = "/browse/new-releases"
TOKEN = "/api/token"
EXPIRED = Answer(401, {"error": {"status": 401, "message": "The access token expired"}})
MISSING = Answer(401, {"error": {"status": 401, "message": "Access token missing"}})


def error(status: int, message: Any) -> dict[str, Any]:
    return {"error": {"status": status, "message": message}}


def class_of(row: dict[str, Any]) -> type[SpotifyError]:
    """What a row of what was seen means to us."""
    words = str(row["body"])
    if row["status"] == 403:
        if "registered" in words:
            return UserRefused
        causes = ("premium", "scope")
        return AppRefused if any(cause in words for cause in causes) else EndpointRestricted
    if row["status"] >= 500:
        return SpotifyUnavailable
    return {400: BadAnswer, 401: TokenRejected, 404: EndpointRestricted, 429: RateLimited}[
        row["status"]
    ]


@pytest.mark.gen_test
async def test_an_answer_is_the_json_object(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    client = client_of(start_standin())
    answer = await client.get(PATH, limit=5)
    assert len(answer["albums"]["items"]) == 5
    assert client.calls == 1


@pytest.mark.gen_test
async def test_parameters_are_encoded(start_standin: StartStandIn, client_of: ClientOf) -> None:
    standin = start_standin()
    await client_of(standin).get("/search", q="tag:new & año=#1?", type="album", limit=3)
    assert standin.calls[-1].query == {"q": "tag:new & año=#1?", "type": "album", "limit": "3"}


@pytest.mark.gen_test
async def test_the_token_goes_in_the_header_and_not_in_the_address(
    start_standin: StartStandIn, client_of: ClientOf, start_raw: StartRaw
) -> None:
    server = await start_raw(http(b"{}"))
    client = client_of(start_standin(), server.url)
    await client.get("/artists/x")
    token = await client._tokens.access_token()
    assert server.heads[0].startswith("GET /artists/x HTTP/1.1\r\n")
    assert f"\r\nAuthorization: Bearer {token}\r\n" in server.heads[0]
    assert server.heads[0].count(token) == 1


@pytest.mark.parametrize("row", observed("api"))
@pytest.mark.gen_test
async def test_each_refusal_that_was_seen_has_its_class(
    start_standin: StartStandIn, client_of: ClientOf, row: dict[str, Any]
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", scripted(row), times=5)
    expected = class_of(row)
    client = client_of(standin)
    with pytest.raises(expected) as caught:
        await client.get(PATH)
    assert type(caught.value) is expected
    message = row["body"]["error"]["message"] if isinstance(row["body"], dict) else row["body"]
    assert str(caught.value) == f"{row['status']} {message}"
    assert client.calls == (2 if row["status"] == 401 else 1)
    if isinstance(caught.value, RateLimited):
        told = row.get("headers", {}).get("retry-after", str(DEFAULT_COOLDOWN)).split(" ")[0]
        assert caught.value.seconds == caught.value.retry_after == int(told)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (204, b"", BadAnswer),
        (302, b"", BadAnswer),
        (304, b"", BadAnswer),
        (400, b"", BadAnswer),
        (400, error(400, "Unlaunched market"), MarketRefused),
        (400, error(400, "Invalid market code"), MarketRefused),
        (403, error(403, "Forbidden in this market"), EndpointRestricted),
        (418, b"I am a teapot", BadAnswer),
        (403, b"", EndpointRestricted),
        (403, b"Forbidden", EndpointRestricted),
        (403, b"<html>no</html>", EndpointRestricted),
        (403, error(403, "Forbidden"), EndpointRestricted),
        (403, error(403, None), EndpointRestricted),
        (403, {"error": "Forbidden"}, EndpointRestricted),
        (403, {}, EndpointRestricted),
        (403, error(403, "Active premium subscription required"), AppRefused),
        (403, error(403, "Insufficient client scope"), AppRefused),
        (403, b"USER NOT REGISTERED IN THE DEVELOPER DASHBOARD", UserRefused),
        (404, b"", EndpointRestricted),
        (404, error(404, "Service not found"), EndpointRestricted),
        (410, b"Gone", EndpointRestricted),
        (500, b"", SpotifyUnavailable),
        (503, error(503, "Service unavailable"), SpotifyUnavailable),
        (599, b"", SpotifyUnavailable),
    ],
)
@pytest.mark.gen_test
async def test_other_refusals(
    start_standin: StartStandIn,
    client_of: ClientOf,
    status: int,
    body: bytes | dict[str, Any],
    expected: type[SpotifyError],
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", Answer(status, body))
    client = client_of(standin)
    with pytest.raises(expected) as caught:
        await client.get(PATH)
    assert type(caught.value) is expected
    assert str(status) in str(caught.value)
    assert client.calls == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"busy", b'{"a": "\xff'])
@pytest.mark.gen_test
async def test_a_200_without_a_json_object_is_a_bad_answer(
    start_standin: StartStandIn, client_of: ClientOf, body: bytes
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", Answer(200, body))
    with pytest.raises(BadAnswer):
        await client_of(standin).get(PATH)


@pytest.mark.parametrize(
    "body",
    [
        b"a\x00b\x1b[2J" * 100,
        error(403, "a\x00b\n" * 100_000),
        error(403, {"deep": ["\x00"] * 1000}),
        {"error": ["\x00"] * 1000},
    ],
    ids=["text", "message", "object", "array"],
)
@pytest.mark.gen_test
async def test_what_a_refusal_says_is_short_and_can_be_stored(
    start_standin: StartStandIn, client_of: ClientOf, body: Any
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", Answer(403, body))
    with pytest.raises(EndpointRestricted) as caught:
        await client_of(standin).get(PATH)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 204


@pytest.mark.gen_test
async def test_an_expired_token_costs_one_renewal_and_one_retry(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    client = client_of(standin)
    await client.get(PATH)
    standin.expire_tokens()
    assert "albums" in await client.get(PATH)
    assert client.calls == 3
    assert standin.calls_to(TOKEN) == 2
    assert [call.status for call in standin.calls if call.path.startswith("/v1")] == [200, 401, 200]


@pytest.mark.gen_test
async def test_a_token_that_expired_while_the_server_was_down_is_renewed(
    start_standin: StartStandIn, client_of: ClientOf, database: Database
) -> None:
    standin = start_standin()
    await client_of(standin, database=database).get(PATH)
    standin.expire_tokens()
    assert "albums" in await client_of(standin, database=database).get(PATH)
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_token_that_spotify_did_not_see_is_sent_once_more(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", MISSING)
    client = client_of(standin)
    assert "albums" in await client.get(PATH)
    assert client.calls == 2
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_token_that_spotify_never_sees_is_given_up_and_kept(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", MISSING, times=9)
    client = client_of(standin)
    with pytest.raises(TokenRejected) as caught:
        await client.get(PATH)
    assert not caught.value.expired
    assert client.calls == standin.calls_to("/v1") == 2
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_401_for_ever_ends_after_two_calls(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", EXPIRED, times=9)
    client = client_of(standin)
    with pytest.raises(TokenRejected) as caught:
        await client.get(PATH)
    assert caught.value.expired
    assert client.calls == standin.calls_to("/v1") == 2
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_first_unseen_then_expired_ends_after_two_calls_and_heals_next_time(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    standin.answer_next(f"/v1{PATH}", MISSING)
    standin.answer_next(f"/v1{PATH}", EXPIRED)
    client = client_of(standin)
    with pytest.raises(TokenRejected):
        await client.get(PATH)
    assert client.calls == 2
    assert "albums" in await client.get(PATH)


@pytest.mark.gen_test
async def test_refused_credentials_cost_no_call_to_the_web_api(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    standin.answer_next(TOKEN, Answer(400, {"error": "invalid_client"}))
    client = client_of(standin)
    with pytest.raises(CredentialsRejected):
        await client.get(PATH)
    assert client.calls == standin.calls_to("/v1") == 0


@pytest.mark.gen_test
async def test_failed_calls_count_as_well(
    start_standin: StartStandIn, client_of: ClientOf, start_raw: StartRaw
) -> None:
    server = await start_raw(b"")
    client = client_of(start_standin(), server.url)
    for _ in range(3):
        with pytest.raises(SpotifyUnavailable):
            await client.get(PATH)
    assert client.calls == server.connections == 3


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("11", 11),
        (" 35 ", 35),
        ("86400", 86400),
        (None, None),
        ("", None),
        ("soon", None),
        ("1.5", 2),
        ("86400.0", 86400),
        ("5, 10", 10),
        ("86400;q=1", 86400),
        ("35 s", 35),
        ("0", 1),
        ("-5", 1),
        ("99999999999", MAX_COOLDOWN),
        ("9" * 5000, None),
        ("Fri, 20 Nov 2026 05:01:12 GMT", 60),
        ("Fri, 20 Nov 2026 05:01:12 -0000", 60),
        ("Friday, 20-Nov-26 05:01:12 GMT", 60),
        ("Fri Nov 20 05:01:12 2026", 60),
        ("Fri, 20 Nov 2026 06:01:12 +0100", 60),
        ("Fri, 20 Nov 2020 05:01:12 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 -2300", MAX_COOLDOWN),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Fri, 20 Nov 9999999999999999999999 05:01:12 GMT", None),
        ("Fri, 99 Foo 2026 05:01:12 GMT", None),
    ],
)
def test_a_pause_as_seconds_or_as_a_date(retry_after: str | None, seconds: int | None) -> None:
    assert read_retry_after(retry_after, NOW) == seconds


@given(st.one_of(st.text(), st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]?\w+")))
def test_a_pause_that_is_named_is_between_a_second_and_two_days(retry_after: str) -> None:
    seconds = read_retry_after(retry_after, NOW)
    assert seconds is None or 1 <= seconds <= MAX_COOLDOWN


@given(
    st.integers(0, 999).filter(lambda status: status != 200),
    st.one_of(
        st.binary(max_size=300),
        st.sampled_from([b'{"error": {"message": 5}}', b'{"error": null}', b'{"error": {}}']),
    ),
)
def test_whatever_is_refused_has_a_class_of_ours(status: int, body: bytes) -> None:
    refusal = diagnose(Response(status, HTTPHeaders(), body))
    assert isinstance(refusal, SpotifyError)
    assert str(refusal).isprintable()
