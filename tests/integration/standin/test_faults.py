"""The stand-in misbehaves on demand: by name, on the wire, and as often as it is told."""

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from server.cli import main
from server.errors import BadAnswer, SpotifyError, SpotifyTimeout, SpotifyUnavailable
from server.spotify.transport import Transport
from server.standin import Answer, AppKind, Fault, StandIn, __main__, read_faults
from server.standin.faults.connection_faults import HUGE
from server.standin.faults.definitions import ANSWERS, NAMES, PAGES, TEXTS, WIRE
from server.standin.faults.quotas import bucket_of
from server.standin.faults.responses import answer_to
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.http_client import new_client
from tests.support.loops import Closing
from tests.support.server_processes import standin_process
from tests.support.spotify_answers import observed
from tests.support.standin_app import App
from tests.support.standins import StartStandIn
from tests.support.waiting import until

LISTING = "/browse/new-releases"
SEARCH = "/search?q=tag:new&type=album"
WORDS = {
    "The access token expired": "token-expired",
    "No token provided": "no-token",
    "Invalid access token": "token-invalid",
    "Access token missing": "token-missing",
    "Only valid bearer authentication supported": "bad-bearer",
    "Invalid limit": "bad-limit",
    "Limit + Offset exceeds maximum of 1000": "too-deep",
    "Forbidden": "forbidden",
    "Insufficient client scope": "scope",
    "Resource not found": "not-found",
    "API rate limit exceeded": "rate-limit",
    "Bad gateway.": "502",
    "Active premium subscription": "premium",
    "User not registered in": "unregistered",
    "Check settings on": "check-settings",
}
"""How what Spotify was seen to say begins → the fault that says it."""

OpenApp = Callable[..., Awaitable[App]]


@pytest.fixture
def open_app(start_standin: StartStandIn, clock: Clock) -> Iterator[OpenApp]:
    """Open a stand-in with 25 releases, and a program that has a token for it."""
    clients: list[AsyncHTTPClient] = []

    async def open_app(count: int = 25, **options: Any) -> App:
        standin = start_standin(albums(count), **{"clock": clock} | options)
        clients.append(new_client())
        return await App(standin, clients[-1]).use_own_token()

    yield open_app
    for client in clients:
        client.close()


async def connect(
    standin: StandIn, path: str = LISTING, token: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the request has just been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", standin.port)
    head = f"GET /v1{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
    writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
    return reader, writer


async def said(standin: StandIn, path: str = LISTING, token: str = "") -> bytes:
    """Every byte of an answer, until the stand-in closes the connection."""
    reader, writer = await connect(standin, path, token)
    try:
        return await reader.read()
    finally:
        writer.close()


def parted(answer: bytes) -> tuple[dict[str, str], bytes]:
    """The header fields and the body of an answer with status 200."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    return dict(field.lower().split(": ", 1) for field in fields), body


def ids(page: dict[str, Any]) -> list[str | None]:
    return [item and item["id"] for item in page["items"]]


def name_of(row: dict[str, Any]) -> str:
    """The fault that says what was seen."""
    if isinstance(row["body"], dict):
        error = row["body"]["error"]
        if error.get("reason") == "QUOTA_EXCEEDED":
            return "quota-exceeded"
        return WORDS[error["message"]]
    if row["status"] == 429:
        return "too-many-requests"
    return next(name for words, name in WORDS.items() if row["body"].startswith(words))


# Refusals


@pytest.mark.parametrize("row", observed("api"))
@pytest.mark.gen_test
async def test_refusals_are_to_the_letter_what_was_seen_of_spotify(
    open_app: OpenApp, row: dict[str, Any]
) -> None:
    app = await open_app()
    headers = dict(row.get("headers", {}))
    retry_after = headers.pop("retry-after", "").split(" ")[0] or None
    app.standin.misbehave(name_of(row), retry_after=retry_after)
    answer = await app.get(LISTING)
    assert answer.code == row["status"]
    assert answer.headers["Content-Type"] == row["content_type"].split(" (")[0]
    assert answer.headers.get("Retry-After") == retry_after
    assert {name: answer.headers.get(name) for name in headers} == headers
    if isinstance(row["body"], str):
        assert answer.body.decode() == row["body"]
    else:
        assert orjson.loads(answer.body) == row["body"]
    assert (await app.get(LISTING)).code == 200


@pytest.mark.parametrize(("name", "status"), [("gone", 410), ("500", 500), ("503", 503)])
@pytest.mark.gen_test
async def test_refusals_that_were_never_quoted_have_the_form_of_the_others(
    open_app: OpenApp, name: str, status: int
) -> None:
    app = await open_app()
    app.standin.misbehave(name)
    assert (await app.error(LISTING))[0] == status


@pytest.mark.gen_test
async def test_a_gateway_that_waited_in_vain_says_so_in_plain_text(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("504")
    answer = await app.get(LISTING)
    assert (answer.code, answer.body) == (504, b"upstream request timeout")


@pytest.mark.parametrize("name", ["too-many-requests", "rate-limit", "quota-exceeded"])
@pytest.mark.parametrize(
    "retry_after", [11, -3, "Wed, 21 Oct 2026 07:28:00 GMT", "soon-ish, naïve", None]
)
@pytest.mark.gen_test
async def test_retry_after_is_sent_as_it_was_given_or_not_at_all(
    open_app: OpenApp, name: str, retry_after: int | str | None
) -> None:
    app = await open_app()
    app.standin.misbehave(name, retry_after=retry_after)
    answer = await app.get(LISTING)
    expected = None if retry_after is None else str(retry_after)
    assert (answer.code, answer.headers.get("Retry-After")) == (429, expected)


@pytest.mark.gen_test
async def test_the_accounts_service_can_misbehave_too(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("503", path="/api/token")
    assert (await app.grant(grant_type="client_credentials"))[0] == 503
    assert (await app.grant(grant_type="client_credentials"))[0] == 200


# The wire


@pytest.mark.gen_test
async def test_a_stall_says_nothing_and_in_the_end_hangs_up(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("stall", seconds=0.1)
    begin = time.monotonic()
    assert await said(app.standin) == b""
    assert time.monotonic() - begin >= 0.1
    assert app.standin.calls[-1].status == 0


@pytest.mark.parametrize("name", ["stall", "drip", "huge"])
@pytest.mark.gen_test
async def test_nothing_is_left_running_when_the_client_has_gone(
    open_app: OpenApp, name: str
) -> None:
    app = await open_app()
    app.standin.misbehave(name, seconds=3600)
    reader, writer = await connect(app.standin, token=app.token)
    await until(lambda: app.standin.world.faulty_connections.busy == 1)
    if name != "stall":
        assert await reader.readexactly(200)
    writer.close()
    await until(lambda: app.standin.world.faulty_connections.busy == 0)


@pytest.mark.parametrize("name", ["stall", "drip", "slow"])
@pytest.mark.gen_test
async def test_a_stand_in_that_stops_waits_for_no_fault(open_app: OpenApp, name: str) -> None:
    app = await open_app()
    app.standin.misbehave(name, seconds=3600)
    reader, writer = await connect(app.standin, token=app.token)
    await until(lambda: not app.standin.world.faults.next_for("/v1/", paged=False))
    await app.standin.stop()
    await asyncio.wait_for(reader.read(), 30)
    writer.close()


@pytest.mark.gen_test
async def test_a_cut_leaves_part_of_a_head(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("cut")
    answer = await said(app.standin)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-")
    assert b"\r\n\r\n" not in answer


@pytest.mark.gen_test
async def test_garbage_is_no_http(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("garbage")
    answer = await said(app.standin)
    assert answer
    assert not answer.startswith(b"HTTP")


@pytest.mark.gen_test
async def test_a_truncated_answer_is_shorter_than_it_claims_and_whole_json(
    open_app: OpenApp,
) -> None:
    app = await open_app()
    app.standin.misbehave("truncated")
    headers, body = parted(await said(app.standin))
    assert int(headers["content-length"]) > len(body)
    assert len(orjson.loads(body)["albums"]["items"]) == 1
    assert app.standin.calls[-1].status == 200


@pytest.mark.gen_test
async def test_cut_json_is_as_long_as_it_claims_and_stops_in_the_middle(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("cut-json")
    headers, body = parted(await said(app.standin))
    assert int(headers["content-length"]) == len(body) > 100
    assert body.startswith(b'{"albums":{"items":[{')
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)


@pytest.mark.parametrize(
    ("name", "kind", "start"), [("not-json", "text/html", b"<"), ("empty", "application/json", b"")]
)
@pytest.mark.gen_test
async def test_a_200_may_hold_a_page_or_nothing(
    open_app: OpenApp, name: str, kind: str, start: bytes
) -> None:
    app = await open_app()
    app.standin.misbehave(name)
    headers, body = parted(await said(app.standin))
    assert headers["content-type"].startswith(kind)
    assert int(headers["content-length"]) == len(body)
    assert body[:1] == start


@pytest.mark.gen_test
async def test_a_huge_body_is_sound_json_of_fifty_megabytes(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("huge")
    answer = await app.get(LISTING)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.body) > HUGE == 50_000_000
    assert orjson.loads(answer.body)["albums"]["items"]


@pytest.mark.gen_test
async def test_a_gzip_bomb_is_small_on_the_wire_and_over_fifty_megabytes_unfolded(
    open_app: OpenApp,
) -> None:
    app = await open_app()
    app.standin.misbehave("gzip-bomb")
    headers, body = parted(await said(app.standin))
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(body) < 500_000
    unfolded = zlib.decompress(body, 31)
    assert len(unfolded) > HUGE
    assert unfolded.endswith(b"}]}}")


@pytest.mark.gen_test
async def test_a_drip_is_the_right_answer_a_few_bytes_at_a_time(open_app: OpenApp) -> None:
    app = await open_app(1)
    right = (await app.get(LISTING)).body
    app.standin.misbehave("drip", seconds=0.2)
    begin = time.monotonic()
    reader, writer = await connect(app.standin, token=app.token)
    pieces = []
    while piece := await reader.read(65536):
        pieces.append(piece)
    writer.close()
    headers, body = parted(b"".join(pieces))
    assert time.monotonic() - begin >= 0.2
    assert orjson.loads(body) == orjson.loads(right)
    assert headers["cache-control"] == "private, max-age=0"
    assert len(pieces) > 10
    assert (app.standin.calls[-1].status, app.standin.world.quotas.lockouts) == (200, 0)


@pytest.mark.gen_test
async def test_a_slow_answer_is_right_but_late(open_app: OpenApp) -> None:
    app = await open_app()
    right = await app.json(LISTING)
    app.standin.misbehave("slow", seconds=0.15)
    begin = time.monotonic()
    assert await app.json(LISTING) == right
    assert time.monotonic() - begin >= 0.15


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stall", SpotifyTimeout),
        ("slow", SpotifyTimeout),
        ("drip", SpotifyTimeout),
        ("cut", SpotifyUnavailable),
        ("reset", SpotifyUnavailable),
        ("truncated", SpotifyUnavailable),
        ("huge", SpotifyUnavailable),
        ("gzip-bomb", SpotifyError),
        ("garbage", SpotifyUnavailable),
        ("cut-json", BadAnswer),
        ("not-json", BadAnswer),
        ("empty", BadAnswer),
    ],
)
@pytest.mark.gen_test
async def test_our_own_client_is_told_of_each_in_our_own_terms(
    open_app: OpenApp, closing: Closing, name: str, expected: type[SpotifyError]
) -> None:
    app = await open_app()
    app.standin.misbehave(name)
    transport = Transport(seconds=0.1 if expected is SpotifyTimeout else 5)
    try:
        url, bearer = app.standin.api_url + LISTING, {"Authorization": f"Bearer {app.token}"}
        with pytest.raises(expected):
            (await transport.send("GET", url, bearer)).json()
    finally:
        transport.close()


# Pages


async def spoilt(open_app: OpenApp, name: str, offset: int = 5) -> tuple[App, Any, Any]:
    """A page of five as it should be, and with a fault in it."""
    app = await open_app()
    path = f"{LISTING}?limit=5&offset={offset}"
    right = (await app.json(path))["albums"]
    app.standin.misbehave(name)
    wrong = (await app.json(path))["albums"]
    assert (await app.json(path))["albums"] == right
    return app, right, wrong


@pytest.mark.gen_test
async def test_every_second_item_can_be_null(open_app: OpenApp) -> None:
    _, right, wrong = await spoilt(open_app, "null-items")
    first, _, third, _, fifth = ids(right)
    assert ids(wrong) == [first, None, third, None, fifth]
    assert right | {"items": wrong["items"]} == wrong


@pytest.mark.parametrize(("name", "kept"), [("short-page", 2), ("empty-page", 0)])
@pytest.mark.gen_test
async def test_a_page_can_be_short_or_empty_with_more_to_come(
    open_app: OpenApp, name: str, kept: int
) -> None:
    _, right, wrong = await spoilt(open_app, name)
    assert wrong == right | {"items": right["items"][:kept]}
    assert wrong["next"]


@pytest.mark.gen_test
async def test_a_page_can_repeat_the_last_item_of_the_one_before(open_app: OpenApp) -> None:
    app, right, wrong = await spoilt(open_app, "repeated")
    before = (await app.json(f"{LISTING}?limit=5"))["albums"]
    assert ids(wrong) == [ids(before)[-1], *ids(right)]


@pytest.mark.gen_test
async def test_totals_can_lie_and_differ_from_page_to_page(open_app: OpenApp) -> None:
    app, right, wrong = await spoilt(open_app, "lying-total")
    app.standin.misbehave("lying-total")
    other = (await app.json(f"{LISTING}?limit=5"))["albums"]["total"]
    assert len({right["total"], wrong["total"], other}) == 3
    assert ids(wrong) == ids(right)


@pytest.mark.gen_test
async def test_next_can_lead_on_for_ever(open_app: OpenApp) -> None:
    app = await open_app(7)
    app.standin.misbehave("endless-next", times=None)
    following, found = f"{LISTING}?limit=5", []
    for number in range(1, 6):
        page = (await app.json(following))["albums"]
        found += ids(page)
        following = page["next"]
        assert f"offset={5 * number}&" in following
    once = [album["id"] for album in albums(7)]
    assert found == [*once, *once, *once, *once][:25]


@pytest.mark.gen_test
async def test_next_can_lead_to_the_page_itself(open_app: OpenApp) -> None:
    app, right, wrong = await spoilt(open_app, "circular-next")
    assert wrong == right | {"next": right["href"]}
    assert (await app.json(wrong["next"]))["albums"] == right


@pytest.mark.gen_test
async def test_next_can_lead_to_a_stranger(open_app: OpenApp) -> None:
    app, right, wrong = await spoilt(open_app, "foreign-next")
    home = app.standin.accounts_url
    assert wrong == right | {"next": right["next"].replace(home, "http://192.0.2.1")}
    assert "offset=10&" in wrong["next"]


@pytest.mark.gen_test
async def test_a_fault_in_pages_waits_for_a_page_that_it_changes(open_app: OpenApp) -> None:
    app = await open_app(kind=AppKind.RESTRICTED)
    app.standin.misbehave("foreign-next", after=1)
    assert (await app.get(LISTING)).code == 403
    assert "127.0.0.1" in (await app.json(SEARCH))["albums"]["next"]
    assert (await app.get("/me")).code == 401
    assert (await app.json(f"{SEARCH}&offset=24"))["albums"]["next"] is None
    assert "192.0.2.1" in (await app.json(SEARCH))["albums"]["next"]
    assert "127.0.0.1" in (await app.json(SEARCH))["albums"]["next"]


@pytest.mark.gen_test
async def test_a_page_with_a_cursor_can_be_spoilt_too(open_app: OpenApp) -> None:
    app = await open_app()
    await app.login()
    app.standin.misbehave("empty-page")
    path = "/me/following?type=artist&limit=2"
    assert (await app.json(path))["artists"]["items"] == []
    assert (await app.json(path))["artists"]["items"] != []
    app.standin.misbehave("endless-next")
    assert (await app.json(path))["artists"]["items"] != []


# Texts


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("lone-surrogate", rb'"name":"\ud83d'),
        ("invalid-utf8", b'"name":"\xff'),
        ("control-character", b'"name":"\x01'),
        ("byte-order-mark", b'\xef\xbb\xbf{"albums":'),
        ("not-a-number", b":NaN,"),
        ("huge-number", b"9" * 5000 + b","),
    ],
)
@pytest.mark.gen_test
async def test_one_place_of_a_text_can_break_the_rules_of_json(
    open_app: OpenApp, name: str, part: bytes
) -> None:
    app = await open_app(3)
    right = (await app.get(LISTING)).body
    app.standin.misbehave(name)
    wrong = (await app.get(LISTING)).body
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(wrong)
    assert wrong.count(part) == 1
    assert part not in right
    assert (await app.get(LISTING)).body == right


@pytest.mark.gen_test
async def test_a_fault_in_a_text_waits_for_an_answer_that_has_such_a_place(
    open_app: OpenApp,
) -> None:
    app = await open_app(3)
    app.standin.misbehave("lone-surrogate")
    assert (await app.error("/nowhere"))[0] == 404
    album = (await app.get(f"/albums/{albums(1)[0]['id']}")).body
    assert rb'"\ud83d' in album


# Which requests meet a fault


async def statuses(app: App, count: int, path: str = LISTING) -> list[int]:
    return [(await app.get(path)).code for _ in range(count)]


@pytest.mark.gen_test
async def test_a_fault_comes_after_as_many_and_as_often_as_told(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("502", after=2, times=2)
    assert await statuses(app, 6) == [200, 200, 502, 502, 200, 200]


@pytest.mark.gen_test
async def test_a_fault_concerns_paths_that_start_so(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("502", path="/v1/search", times=None)
    assert await statuses(app, 2) == [200, 200]
    assert await statuses(app, 2, SEARCH) == [502, 502]


@pytest.mark.gen_test
async def test_a_request_meets_the_first_fault_that_concerns_it_and_no_other(
    open_app: OpenApp,
) -> None:
    app = await open_app(faults=[Fault("empty-page"), Fault("500"), Fault("503", times=2)])
    assert (await app.json(LISTING))["albums"]["items"] == []
    assert await statuses(app, 4) == [500, 503, 503, 200]


@pytest.mark.gen_test
async def test_a_stand_in_behaves_again_when_told(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("502", times=None)
    assert await statuses(app, 1) == [502]
    app.standin.behave()
    assert await statuses(app, 2) == [200, 200]


@pytest.mark.gen_test
async def test_the_script_goes_before_faults(open_app: OpenApp) -> None:
    app = await open_app()
    app.standin.misbehave("502")
    app.standin.answer_next(f"/v1{LISTING}", Answer(418))
    assert await statuses(app, 3) == [418, 502, 200]


@pytest.mark.gen_test
async def test_chance_is_the_same_for_the_same_seed(open_app: OpenApp) -> None:
    runs = []
    for seed in (1, 1, 2):
        app = await open_app(faults=[Fault("502", rate=0.4, times=None)], seed=seed)
        runs.append(await statuses(app, 40))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(502) < 28


def test_every_fault_has_one_place() -> None:
    assert len(set(NAMES)) == len(NAMES) == len((*ANSWERS, *WIRE, *PAGES, *TEXTS))
    assert all(answer_to(Fault(name)) for name in ANSWERS)
    assert not any(answer_to(Fault(name)) for name in (*WIRE, *PAGES, *TEXTS))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fault": "nonsense"}, "fault is 'nonsense', but must be one of too-many-requests"),
        ({"fault": 502}, "fault is 502"),
        ({"path": "v1"}, "path is 'v1'"),
        ({"times": 0}, "times is 0"),
        ({"times": True}, "times is True"),
        ({"after": -1}, "after is -1"),
        ({"after": None}, "after is None"),
        ({"rate": 1.5}, "rate is 1.5"),
        ({"rate": "often"}, "rate is 'often'"),
        ({"retry_after": 1.5}, "retry_after is 1.5"),
        ({"retry_after": "1\r\nX: y"}, "retry_after is '1"),
        ({"retry_after": "☂"}, "retry_after is '☂'"),
        ({"seconds": -1}, "seconds is -1"),
        ({"seconds": float("inf")}, "seconds is inf"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_its_name(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ is .+, but must be ") as refused:
        StandIn().misbehave(**{"fault": "502"} | wrong)
    assert str(refused.value).startswith(words)


# Quotas


async def refusal(app: App, path: str) -> tuple[int, str | None]:
    answer: HTTPResponse = await app.get(path)
    return answer.code, answer.headers.get("Retry-After")


@pytest.mark.gen_test
async def test_a_used_up_quota_locks_out_until_the_first_call_is_a_day_old(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(quota=3)
    assert await statuses(app, 1) == [200]
    clock.forward(seconds=164)
    assert await statuses(app, 2) == [200, 200]
    answer = await app.get(LISTING)
    assert (answer.code, answer.headers["Retry-After"]) == (429, "86236")
    assert orjson.loads(answer.body)["error"]["reason"] == "QUOTA_EXCEEDED"
    assert (app.standin.lockouts, app.standin.prolonged) == (1, 0)
    assert await statuses(app, 1, SEARCH) == [200]
    clock.forward(seconds=86_236)
    await app.use_own_token()
    assert await statuses(app, 4) == [200, 200, 200, 429]
    assert app.standin.lockouts == 2


@pytest.mark.gen_test
async def test_asking_while_locked_out_does_not_move_the_end(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(quota=1)
    assert await statuses(app, 2) == [200, 429]
    clock.forward(seconds=86_399)
    await app.use_own_token()
    assert await refusal(app, LISTING) == (429, "1")
    assert (app.standin.lockouts, app.standin.prolonged) == (1, 1)
    clock.forward(seconds=1)
    assert await statuses(app, 1) == [200]


@pytest.mark.gen_test
async def test_asking_while_locked_out_begins_the_day_anew_where_pauses_are_prolonged(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(quota=1, pause_model="prolonging")
    assert await statuses(app, 1) == [200]
    clock.forward(hours=4)
    await app.use_own_token()
    assert await refusal(app, LISTING) == (429, str(20 * 3600))
    clock.forward(hours=19)
    await app.use_own_token()
    assert await refusal(app, LISTING) == (429, str(24 * 3600))
    clock.forward(seconds=86_399)
    await app.use_own_token()
    assert await refusal(app, LISTING) == (429, str(24 * 3600))
    assert (app.standin.lockouts, app.standin.prolonged) == (1, 2)
    clock.forward(hours=24)
    await app.use_own_token()
    assert await statuses(app, 1) == [200]


@pytest.mark.gen_test
async def test_each_bucket_can_have_a_quota_of_its_own(open_app: OpenApp) -> None:
    app = await open_app(quota={"/search": 1, "/artists/{id}/albums": 2})
    assert await statuses(app, 5) == [200] * 5
    assert await statuses(app, 2, SEARCH) == [200, 429]
    artist = app.standin.catalogue.listing()[0]["artists"][0]["id"]
    assert await statuses(app, 3, f"/artists/{artist}/albums") == [200, 200, 429]
    assert await statuses(app, 3, f"/artists/{artist}") == [200] * 3


@pytest.mark.gen_test
async def test_the_buckets_that_are_not_named_can_have_a_quota_too(open_app: OpenApp) -> None:
    app = await open_app(quota={"/search": 1, "*": 2})
    assert await statuses(app, 3) == [200, 200, 429]
    assert await statuses(app, 2, SEARCH) == [200, 429]


def test_a_quota_of_no_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="no bucket '/serach'; known are /browse/new-releases, "):
        StandIn(quota={"/serach": 450})


@pytest.mark.gen_test
async def test_a_burst_of_calls_has_connections_reset_for_ten_minutes(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(burst=3)
    assert await statuses(app, 3) == [200] * 3
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await app.get(SEARCH)
    clock.forward(minutes=10)
    assert await statuses(app, 3) == [200] * 3
    clock.forward(minutes=5)
    assert await statuses(app, 3) == [200] * 3


@pytest.mark.gen_test
async def test_a_quota_counts_the_last_24_hours(open_app: OpenApp, clock: Clock) -> None:
    app = await open_app(quota=2)
    for _ in range(5):
        assert await statuses(app, 1) == [200]
        clock.forward(hours=12)
        await app.use_own_token()
    assert app.standin.lockouts == 0


@pytest.mark.gen_test
async def test_only_calls_that_are_let_in_count(open_app: OpenApp) -> None:
    app = await open_app(quota=2)
    app.standin.misbehave("502", times=3)
    assert await statuses(app, 3) == [502] * 3
    token, app.token = app.token, "stale"
    assert await statuses(app, 3) == [401] * 3
    app.token = token
    assert await statuses(app, 3) == [200, 200, 429]


@pytest.mark.gen_test
async def test_too_many_calls_in_half_a_minute_are_too_fast_on_whatever_endpoint(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(rate_limit=2)
    assert await statuses(app, 1) == [200]
    clock.forward(seconds=20)
    assert await statuses(app, 1, SEARCH) == [200]
    assert await refusal(app, "/albums/x") == (429, "11")
    assert await app.error("/nowhere") == (429, "API rate limit exceeded")
    clock.forward(seconds=10)
    assert await statuses(app, 2) == [200, 429]
    assert app.standin.lockouts == 0


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        ("/v1/browse/new-releases", "/browse/new-releases"),
        ("/v1/artists", "/artists"),
        ("/v1/artists/x", "/artists"),
        ("/v1/artists/x/albums", "/artists/{id}/albums"),
        ("/v1/artists/albums", "/artists"),
        ("/v1/albums/x", "/albums"),
        ("/v1/me", "/me"),
        ("/v1/me/following", "/me/following"),
        ("/v1/me/followings", "/me"),
        ("/v1/playlists/x/items", "/playlists"),
        ("/v1/search", "/search"),
        ("/v1/searching", None),
        ("/v1/browse", None),
    ],
)
def test_a_bucket_is_an_endpoint_with_what_is_below_it(path: str, bucket: str | None) -> None:
    assert bucket_of(path) == bucket


# The record, and the kind of app


@pytest.mark.gen_test
async def test_calls_are_on_record_with_their_time_and_only_so_many(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app(calls_kept=2)
    first = clock.moment
    await statuses(app, 2)
    clock.forward(minutes=5)
    await statuses(app, 1, SEARCH)
    assert [call.path for call in app.standin.calls] == [f"/v1{LISTING}", "/v1/search"]
    assert [call.at for call in app.standin.calls] == [first, clock.moment]


@pytest.mark.gen_test
async def test_the_kind_of_app_can_change_while_it_runs(open_app: OpenApp) -> None:
    app = await open_app()
    assert app.standin.kind is AppKind.EXTENDED
    app.standin.kind = AppKind.RESTRICTED
    assert await statuses(app, 1) == [403]
    app.standin.kind = AppKind.EXTENDED
    assert await statuses(app, 1) == [200]


# Faults for people


@pytest.fixture
def faults_file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        file = tmp_path / "faults.json"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def test_a_file_of_faults_says_everything_a_fault_has() -> None:
    text = """\ufeff[{"fault": "rate-limit", "retry_after": "soon", "times": null, "rate": 0.5},
                     {"fault": "stall", "path": "/api/token", "after": 3, "seconds": 60}]"""
    assert read_faults(text.encode()) == (
        Fault("rate-limit", times=None, rate=0.5, retry_after="soon"),
        Fault("stall", path="/api/token", after=3, seconds=60),
    )


WRONG_FILES = [
    ("[{", "invalid JSON"),
    ('{"fault": "502"}', "faults must be a list"),
    ('["502"]', "fault 1 must be an object"),
    ('[{"fault": "502"}, {"path": "/v1/"}]', "fault 2 lacks the field 'fault'"),
    ('[{"fault": "502", "tmies": 3}]', "fault 1 has an unknown field 'tmies'; known are fault,"),
    ('[{"fault": "503"}, {"fault": "teapot"}]', "fault 2: fault is 'teapot', but must be one of"),
    ('[{"fault": "502", "times": "3"}]', "fault 1: times is '3', but must be a whole number"),
]


@pytest.mark.parametrize(("text", "words"), WRONG_FILES)
def test_a_wrong_file_of_faults_is_one_message_and_exit_2(
    faults_file: Callable[[str], str], text: str, words: str
) -> None:
    file = faults_file(text)
    result = CliRunner().invoke(main, ["run", "--demo", "--faults", file])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert f"Error: {file}: {words}" in result.output


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_of_faults_that_is_not_there_is_exit_2(tmp_path: Path, name: str) -> None:
    file = str(tmp_path / name)
    result = CliRunner().invoke(main, ["run", "--demo", "--faults", file])
    assert result.exit_code == 2
    assert "Invalid value for '--faults'" in result.output
    assert file.rstrip(".") in result.output


def test_faults_are_for_the_demo_only(faults_file: Callable[[str], str]) -> None:
    result = CliRunner().invoke(main, ["run", "--faults", faults_file("[]")])
    assert result.exit_code == 2
    assert "Error: --faults needs --demo" in result.output


@pytest.mark.gen_test
async def test_the_stand_in_alone_takes_faults_and_quotas(
    faults_file: Callable[[str], str],
) -> None:
    file = faults_file('[{"fault": "gone", "path": "/v1/nowhere"}]')
    http = new_client()
    limits = ("--quota", "9", "--quota", "/search=1", "--rate-limit", "2", "--unlaunched", "ru,se")
    with standin_process("--faults", file, *limits) as address:
        app = App(StandIn(), http)
        app.standin.world.base_url = address
        await app.use_own_token()
        assert await app.error("/nowhere") == (410, "Gone")
        assert await app.error(f"{SEARCH}&market=SE") == (400, "Unlaunched market")
        assert await statuses(app, 2, SEARCH) == [429, 429]
        assert await statuses(app, 2, "/albums/x") == [429, 429]
    http.close()


def test_the_stand_in_alone_says_what_faults_there_are_and_what_is_wrong_with_a_file(
    faults_file: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        __main__.main(["--help"])
    assert set(NAMES) <= set(capsys.readouterr().out.split())
    broken = faults_file("[{")
    for arguments, error in (
        (["--faults", broken], f"Error: {broken}: invalid JSON: "),
        (["--faults", "/no/such"], "Error: Invalid value for '--faults': '/no/such': "),
        (["--quota", "x"], "Error: Invalid value for '--quota': "),
        (["--quota", "/serach=1"], "Error: Invalid value for '--quota': no bucket '/serach'"),
        (["--quota", "/search="], "Error: Invalid value for '--quota': "),
        (["--port", "65536"], "Error: Invalid value for '--port': "),
        (["--publish-every", "-1"], "Error: Invalid value for '--publish-every': "),
        (["--publish-every", "nan"], "Error: Invalid value for '--publish-every': "),
    ):
        with pytest.raises(SystemExit, match="2"):
            __main__.main(arguments)
        assert error in capsys.readouterr().err
