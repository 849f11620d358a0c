"""Every answer that Spotify was seen to refuse with: what a sync makes of it, once and for long."""

from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from models import Cooldown, Source
from server.standin import Answer, AppKind
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.spotify_answers import observed, scripted
from tests.support.standins import StartStandIn
from tests.support.sync_rig import NEW_RELEASES, OUTCOMES, SEARCH, Rig

TOKEN = "/api/token"
HEALED_AT_ONCE = {  # the very same sync goes on, with another token or source
    "The access token expired",
    "No token provided",
    "Invalid access token",
    "Access token missing",
    "Forbidden",
    "Resource not found",
    "API rate limit exceeded",
    "Too many requests",
    "Bad gateway.",
}


def words_of(row: dict[str, Any]) -> str:
    error = row["body"]["error"] if isinstance(row["body"], dict) else row["body"]
    return str(error["message"] if isinstance(error, dict) else error)


@pytest.mark.parametrize("row", observed("api"))
@pytest.mark.gen_test
async def test_once_at_the_first_call_it_costs_this_sync_at_most_and_never_the_next(
    rig: Callable[..., Rig], clock: Clock, row: dict[str, Any]
) -> None:
    full = rig(albums(5))
    full.standin.answer_next(NEW_RELEASES, scripted(row))
    report, logs = await full.sync()
    healed = words_of(row) in HEALED_AT_ONCE and row["status"] != 502
    assert report.outcome == ("complete" if healed else "failed")
    assert len([line for line in logs if line["event"] in OUTCOMES]) == 1
    clock.forward(days=1)
    assert (await full.sync())[0].outcome == "complete"
    assert full.rows(Cooldown) == []


@pytest.mark.parametrize("row", observed("api"))
@pytest.mark.gen_test
async def test_for_long_and_from_every_source_it_loses_nothing_and_is_believed_of_no_source(
    rig: Callable[..., Rig], clock: Clock, row: dict[str, Any]
) -> None:
    full = rig(albums(5))
    assert (await full.sync())[0].added == 5
    for path in (NEW_RELEASES, SEARCH):
        full.standin.answer_next(path, scripted(row), times=20)
    for _ in range(3):
        report, logs = await full.sync()
        assert (report.outcome, report.seen) == ("failed", 0)
        assert words_of(row) in (report.error or "")
        assert len([line for line in logs if line["event"] in OUTCOMES]) == 1
    assert {source.verdict for source in full.rows(Source)} == {"allowed"}
    asked = full.standin.calls_to(NEW_RELEASES) + full.standin.calls_to(SEARCH)
    if row["status"] == 429:
        assert asked == 2 + 2, "each was asked once more, and then left alone"
    full.standin.world.script.clear()
    clock.forward(days=2)
    assert (await full.sync())[0].outcome == "complete"


@pytest.mark.parametrize("row", observed("api"))
@pytest.mark.gen_test
async def test_in_the_middle_of_a_sweep_what_came_before_is_kept(
    rig: Callable[..., Rig], row: dict[str, Any]
) -> None:
    some = rig(albums(35), kind=AppKind.RESTRICTED)
    await some.sync()
    page = {"albums": {"items": albums(10), "next": "?offset=10", "total": 35}}
    some.standin.answer_next(SEARCH, Answer(200, page))
    some.standin.answer_next(SEARCH, scripted(row), times=4)
    report, _ = await some.sync()
    assert (report.outcome, report.seen, report.gone) == ("partial", 10, 0)


@pytest.mark.parametrize("row", observed("accounts"))
@pytest.mark.gen_test
async def test_from_the_accounts_service_it_fails_a_sync_and_not_the_next(
    rig: Callable[..., Rig], clock: Clock, row: dict[str, Any]
) -> None:
    full = rig(albums(5))
    full.standin.answer_next(TOKEN, scripted(row))
    report, _ = await full.sync()
    assert (report.outcome, report.calls) == ("failed", 0)
    assert (await full.sync())[0].outcome == "complete"


@pytest.mark.parametrize("row", observed("accounts /authorize page"))
@pytest.mark.gen_test
async def test_the_consent_page_refuses_in_the_words_that_were_seen(
    start_standin: StartStandIn, row: dict[str, Any]
) -> None:
    """The settings refuse what leads there, so a login is tried with an address of no setting."""
    standin = start_standin()
    insecure = "Insecure" in row["body"]
    redirect = "http://localhost:5000/auth/callback/" if insecure else "https://example.org/"
    query = f"client_id=standin-client&response_type=code&redirect_uri={redirect}"
    answer = await AsyncHTTPClient(force_instance=True).fetch(
        f"{standin.accounts_url}/authorize?{query}", raise_error=False
    )
    assert answer.code == 400
    assert row["body"] in answer.body.decode()
