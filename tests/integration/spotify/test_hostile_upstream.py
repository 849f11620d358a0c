"""A Spotify that is broken or hostile: the loop goes on, memory stays, and one item harms one."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from tornado.httputil import HTTPHeaders

from server.app.application import Application
from server.errors import BadAnswer, SpotifyError
from server.spotify.auth.oauth import MAX_TOKEN_LENGTH, _read_grant, _refusal
from server.spotify.lenient_json import MAX_REPAIR_BYTES, MAX_VALUES
from server.spotify.object_parser import MAX_TEXT_LENGTH
from server.spotify.transport import MAX_BODY_BYTES, Response, Transport
from server.standin import Answer, StandIn
from tests.support.client import Client
from tests.support.event_streams import Serve
from tests.support.examples import album, albums, spotify_id
from tests.support.server_processes import standin_process
from tests.support.servers import StartFreshet
from tests.support.spotify_http import StartRaw, http, response
from tests.support.standins import StartStandIn

SEARCH = "/v1/search"
LISTING = "/v1/browse/new-releases"
LONGEST_STALL = 0.08  # seconds of CPU that the loop may spend on one thing
BEAT = 0.001

Heart = list[float]


@asynccontextmanager
async def heart() -> AsyncIterator[Heart]:
    """How long the loop was at each thing, in seconds of its thread: others' load is not in it."""
    stalls: Heart = []

    async def beat() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(BEAT)
            now = time.thread_time()
            stalls.append(now - last)
            last = now

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    yield stalls
    await asyncio.sleep(0.01)
    task.cancel()


async def longest_stall(work: Callable[[], object]) -> float:
    """How long the loop was at it; the best of three, for a busy machine is slower at times."""
    times = []
    for _ in range(3):
        async with heart() as stalls:
            work()
        times.append(max(stalls))
    return min(times)


def listing(*items: Any) -> bytes:
    return orjson.dumps({"albums": {"items": items, "next": None, "total": len(items)}})


def filled(unit: bytes, size: int = MAX_BODY_BYTES) -> bytes:
    """An answer of nearly so many bytes that repeats a value."""
    count = (size - 100) // (len(unit) + 1)
    return b'{"albums":{"items":[' + b",".join([unit] * count) + b"]}}"


IMAGE = {"url": "https://i.scdn.co/image/x", "height": 640, "width": 640}
PAGES_OF_SPOTIFYS_SIZE = {
    "one release with all the images that fit": listing(album(1, images=[IMAGE] * 8000)),
    "one release with all the credits that fit": listing(
        album(1, artists=[{"id": f"{number:022d}", "name": "x"} for number in range(12_000)])
    ),
    "fifty releases that are as large as may be": listing(
        *(
            album(
                number,
                images=[IMAGE] * 50,
                artists=[{"id": f"{each:022d}", "name": "x"} for each in range(150)],
                available_markets=[f"A{chr(65 + each % 26)}" for each in range(180)],
            )
            for number in range(50)
        )
    ),
}
TOO_MUCH = {
    "arrays": filled(b"[]"),
    "objects": filled(b"{}"),
    "nested arrays": filled(b"[" * 100 + b"]" * 100),
    "nested objects": filled(b'{"":{"":{}}}'),
    "texts": filled(b'"ab"'),
    "keys": filled(b'{"a":1,"b":2,"c":3,"d":4}'),
    "numbers": filled(b"1e5"),
    "a nest without end": b"[" * MAX_BODY_BYTES,
    "much to repair": filled(b'"\\ud83d"', MAX_REPAIR_BYTES),
    "much and broken": filled(b'"' + b"x" * 1000 + b'"') + b"!",
}
KEYS = b"{" + b",".join(b'"k%d":1' % number for number in range(1000)) + b"}"
AS_MUCH_AS_MAY_BE = {  # a value, and how many bytes of it: sound, and to be repaired
    "arrays": (b"[]", 70_000, 28_000),
    "nested arrays": (b"[" * 100 + b"]" * 100, 90_000, 38_000),
    "keys": (KEYS, 400_000, 160_000),
    "numbers": (b"1e5", 190_000, 75_000),
    "long texts": (b'"' + b"x" * 1000 + b'"', MAX_BODY_BYTES, MAX_REPAIR_BYTES),
}


@pytest.fixture
def serve(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> Callable[..., Awaitable[Application]]:
    """A server that has synced once, and makes no further sync by itself."""

    async def start(standin: StandIn) -> Application:
        freshet: Application = await start_freshet(standin, sync_source="new-releases")
        while freshet.syncer.is_running:
            await asyncio.sleep(0.01)
        return freshet

    return start


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.gen_test
async def test_an_answer_that_takes_long_to_decode_is_refused_at_once(body: bytes) -> None:
    assert len(body) <= MAX_BODY_BYTES

    def refuse() -> None:
        with pytest.raises(BadAnswer, match="not JSON"):
            response(body).json()

    assert await longest_stall(refuse) < LONGEST_STALL


@pytest.mark.parametrize(
    ("value", "sound", "broken"), AS_MUCH_AS_MAY_BE.values(), ids=AS_MUCH_AS_MAY_BE
)
@pytest.mark.gen_test
async def test_an_answer_that_is_just_within_the_bounds_is_decoded_soon(
    value: bytes, sound: int, broken: int
) -> None:
    for body in (filled(value, sound), filled(value, broken).replace(b"]}}", b',"\\ud83d"]}}')):
        assert await longest_stall(response(body).json) < LONGEST_STALL


def test_the_longest_page_that_spotify_sends_is_far_within_the_bounds() -> None:
    whole = [
        album(
            number,
            available_markets=[f"{a}{b}" for a in "ABCDEFGHIJKLM" for b in "ABCDEFGHIJKLMN"],
            artists=[{"id": spotify_id("artist", each), "name": "x"} for each in range(20)],
        )
        for number in range(50)
    ]
    body = listing(*whole)
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    assert (len(body) * 4 < MAX_BODY_BYTES, len(body) < MAX_REPAIR_BYTES) == (True, True)
    assert values * 2 < MAX_VALUES


@pytest.mark.parametrize("body", PAGES_OF_SPOTIFYS_SIZE.values(), ids=PAGES_OF_SPOTIFYS_SIZE)
@pytest.mark.gen_test
async def test_a_large_page_is_read_while_the_loop_goes_on(
    start_standin: StartStandIn, serve: Serve, body: bytes
) -> None:
    standin = start_standin(albums(3))
    freshet = await serve(standin)
    for _ in range(2):
        standin.answer_next(LISTING, Answer(200, body))
    async with heart() as stalls:
        report = await freshet.syncer.sync()
    assert report.outcome == "complete"
    assert report.added + report.updated > 0
    assert max(stalls) < LONGEST_STALL


REFUSED = ["huge", "gzip-bomb", "long-head", "garbage", "truncated", "nested"]
WIRE = [*REFUSED, "tiny-chunks"]


@pytest.mark.gen_test
async def test_what_comes_over_the_wire_neither_stops_the_loop_nor_fills_the_memory(
    tmp_path: Path,
) -> None:
    """The stand-in is a process of its own, so that what it takes is not counted."""
    faults = tmp_path / "faults.json"
    faults.write_bytes(orjson.dumps([{"fault": fault} for fault in WIRE]))
    transport = Transport(seconds=8)
    with standin_process("--faults", str(faults)) as url:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for fault in WIRE:
            async with heart() as stalls:
                with pytest.raises(SpotifyError) if fault in REFUSED else nullcontext():
                    (await transport.send("GET", f"{url}{SEARCH}", {})).json()
            assert max(stalls) < LONGEST_STALL, fault
    transport.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"{grown} KiB"


@pytest.mark.gen_test
async def test_a_page_with_one_bad_release_harms_that_one(
    start_standin: StartStandIn, serve: Serve
) -> None:
    standin: StandIn = start_standin(albums(5))
    freshet = await serve(standin)
    for fault in ("many-images", "many-credits", "long-name"):
        standin.misbehave(fault, path=LISTING)
        with capture_logs() as lines:
            report = await freshet.syncer.sync()
        assert (report.outcome, report.seen, report.skipped) == ("complete", 5, 0), fault
        told = [line["spotify_ids"] for line in lines if line["event"] == "releases_shortened"]
        assert [len(ids) for ids in told] == [1] * (fault != "long-name"), fault
    served = orjson.loads((await Client(freshet).fetch("/api/albums/")).body)
    assert max(len(each["name"]) for each in served["items"]) == MAX_TEXT_LENGTH
    standin.misbehave("many-values", path=LISTING, times=None)
    report = await freshet.syncer.sync()
    assert (report.outcome, report.added) == ("failed", 0)


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_token_that_fits_no_header_is_refused(name: str) -> None:
    grant = {"access_token": "a", "expires_in": 3600, "refresh_token": "r", "scope": "x " * 9999}
    assert len(" ".join(_read_grant(grant).scopes or ())) <= MAX_TOKEN_LENGTH
    assert _read_grant(grant | {name: "t" * MAX_TOKEN_LENGTH})
    with pytest.raises(BadAnswer):
        _read_grant(grant | {name: "t" * (MAX_TOKEN_LENGTH + 1)})


@pytest.mark.parametrize(
    ("headers", "body", "secrets"),
    [
        ({"Authorization": "Bearer BQD-token.of_a_user"}, None, ["BQD-token.of_a_user"]),
        (
            {"Authorization": "Basic Y2xpZW50OnNlY3JldA=="},
            "grant_type=refresh_token&refresh_token=AQD-old&code=AQ-c&code_verifier=v3rifier",
            ["Y2xpZW50OnNlY3JldA==", "AQD-old", "AQ-c", "v3rifier"],
        ),
    ],
)
@pytest.mark.gen_test
async def test_an_answer_that_repeats_a_secret_of_the_request_is_quoted_without_it(
    start_raw: StartRaw, headers: dict[str, str], body: str | None, secrets: list[str]
) -> None:
    """What is quoted is logged, and stored in tables that are in every dump."""
    echoed = " ".join(secrets)
    transport = Transport()
    for content in (
        orjson.dumps({"error": {"message": f"bad: {echoed}"}}),
        orjson.dumps({"error": f"bad: {echoed}"}),
        f"bad: {'x' * 190}{echoed}".encode(),
    ):
        server = await start_raw(http(content, status="403 Forbidden"))
        got = await transport.send("POST" if body else "GET", server.url, headers, body)
        for quoted in (got.reason(), got.text(), repr(got.reason())):
            assert "bad" in quoted
            assert not [each for each in secrets if each[:8] in quoted]
    transport.close()


def test_a_refused_grant_is_stored_without_the_token_that_it_repeats() -> None:
    body = b'{"error": "invalid_grant", "error_description": "AQD-old-token was revoked"}'
    refused = _refusal(Response(400, HTTPHeaders(), body, ("AQD-old-token",)), "the app")
    assert str(refused) == "******** was revoked"
