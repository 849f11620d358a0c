"""`/api/status` and `/metrics`: what operators watch, from memory."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from server import __version__
from server.app.application import Application
from server.database.executor import Database
from server.openapi.status_schemas import Status
from server.spotify.auth import token_store
from server.standin import Answer, AppKind
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.examples import album, albums
from tests.support.loops import Closing
from tests.support.metrics import log_in, samples_of
from tests.support.servers import LaunchFreshet, StartFreshet
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

NOBODY = {
    "state": "none",
    "authorized_at": None,
    "reconsent_by": None,
    "days_to_reconsent": None,
}


async def status_of(freshet: Application) -> dict[str, Any]:
    answer = await Client(freshet).fetch("/api/status")
    assert answer.code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    content: dict[str, Any] = orjson.loads(answer.body)
    Status.model_validate_json(answer.body)
    assert list(content) == list(Status.model_fields)
    return content


@pytest.mark.gen_test
async def test_after_a_sync_the_status_tells_its_time_and_source(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    status = await status_of(freshet)
    assert status["version"] == __version__
    assert status["source"] == "new-releases"
    assert status["last_sync_at"] == status["last_complete_sync_at"]
    age = datetime.now(UTC) - datetime.fromisoformat(status["last_sync_at"])
    assert age < timedelta(minutes=1)
    assert (status["stale"], status["partial"]) == (False, False)
    assert status["login"] == NOBODY


@pytest.mark.gen_test
async def test_before_the_first_sync_the_status_says_that_it_knows_nothing(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    status = await status_of(freshet)
    assert (status["as_of"], status["last_sync_at"], status["source"]) == (None, None, None)


@pytest.mark.gen_test
async def test_a_login_that_another_process_records_is_told_at_once(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    await until(freshet.listener.listening.is_set)
    when = datetime.now(UTC) - timedelta(days=10, hours=1)
    await log_in(freshet, when)
    await until(lambda: freshet.consent_monitor.consent)
    login = (await status_of(freshet))["login"]
    assert login["state"] == "active"
    assert login["authorized_at"] == when.strftime("%Y-%m-%dT%H:%M:%SZ")
    days = login["days_to_reconsent"]
    assert 170 <= days <= 173
    samples = await samples_of(freshet)
    assert samples["freshet_days_to_reconsent"] == days
    ends = datetime.fromtimestamp(samples["freshet_consent_expires_timestamp_seconds"], UTC)
    assert ends.strftime("%Y-%m-%dT%H:%M:%SZ") == login["reconsent_by"]
    await freshet.database.run(
        token_store.mark_consent_needed, "account-1", "Refresh token revoked", datetime.now(UTC)
    )
    await until(
        lambda: (
            freshet.consent_monitor.consent and freshet.consent_monitor.consent.state != "active"
        )
    )
    login = (await status_of(freshet))["login"]
    assert (login["state"], login["days_to_reconsent"]) == ("consent_needed", 0)
    assert "account-1" not in str(login)
    await freshet.database.run(token_store.delete_login, "account-1")
    await until(lambda: freshet.consent_monitor.consent is None)
    assert (await status_of(freshet))["login"] == NOBODY


@pytest.mark.gen_test
async def test_metrics_count_the_tokens_and_tell_no_days_without_a_login(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    samples = await samples_of(await start_freshet(start_standin(albums(5))))
    assert "freshet_days_to_reconsent" not in samples
    assert "freshet_consent_expires_timestamp_seconds" not in samples
    assert samples["freshet_token_renewals_total[client_credentials]"] == 1
    assert samples["freshet_token_renewals_total[refresh_token]"] == 0


@pytest.mark.parametrize("path", ["/api/status", "/metrics"])
@pytest.mark.gen_test
async def test_head_is_get_without_a_body_and_nothing_else_is_allowed(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet, path: str
) -> None:
    client = Client(launch_freshet(make_settings(sync_interval=0)))
    whole, head = await client.fetch(path), await client.fetch(path, "HEAD")
    assert (head.code, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    if path != "/metrics":  # which have counted the first request when the second comes
        assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    refused = await client.fetch(path, "POST")
    assert (refused.code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.gen_test
async def test_the_status_tells_sources_quota_and_the_next_sync(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(35), kind=AppKind.RESTRICTED))
    await until(lambda: freshet.syncer.seconds_left() > 0)
    await freshet.upstream_status.load()
    status = await status_of(freshet)
    assert (status["source"], status["last_sync"]["outcome"]) == ("search", "complete")
    assert status["why"] == "new-releases is refused: 403 Forbidden"
    first, second = status["sources"]
    assert (first["name"], first["verdict"], first["reason"]) == (
        "new-releases",
        "restricted",
        "403 Forbidden",
    )
    assert (second["name"], second["verdict"], second["newest"]) == (
        "search",
        "allowed",
        "2026-11-20",
    )
    quota = {row["bucket"]: row for row in status["quota"]}
    assert quota["/browse/new-releases"]["used"] == 1
    assert (quota["/search"]["used"], quota["/search"]["left"]) == (4, 296)
    assert quota["/search"]["forecast"] == 4 * 48
    assert (quota["/search"]["per_day"], quota["/search"]["refused_at"]) == (300, None)
    assert status["cooldowns"] == []
    assert status["newest_release"] == "2026-11-20"
    assert (status["new_at"], status["stuck"]) == (status["last_sync_at"], False)
    assert status["sync_interval"] == 1800
    wait = datetime.fromisoformat(status["next_sync_at"]) - datetime.now(UTC)
    assert timedelta(seconds=1600) < wait < timedelta(seconds=1900)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["complete", "failed"])
@pytest.mark.gen_test
async def test_every_process_tells_that_one_of_them_syncs(
    start_standin: StartStandIn,
    start_freshet: StartFreshet,
    launch_freshet: LaunchFreshet,
    make_settings: MakeSettings,
    outcome: str,
) -> None:
    standin = start_standin(albums(5), kind=AppKind.RESTRICTED)
    first = await start_freshet(standin, sync_source="search")
    second = launch_freshet(make_settings(standin, sync_interval=0))
    await until(second.listener.listening.is_set)
    await until(lambda: not first.syncer.is_running and not second.upstream_status.syncing)
    both = (first, second)
    assert [(await status_of(each))["running"] for each in both] == [False, False]
    page = {"albums": {"items": [], "total": 0, "next": None}}
    status = 200 if outcome == "complete" else 403
    answered = asyncio.Event()
    standin.answer_next("/v1/search", Answer(status, page, held=answered))
    sync = asyncio.create_task(first.syncer.sync())
    await until(lambda: second.upstream_status.syncing, 2.5)  # at once, not when it looks again
    assert [(await status_of(each))["running"] for each in both] == [True, True]
    answered.set()
    assert (await sync).outcome == outcome
    await until(lambda: not second.upstream_status.syncing, 2.5)
    assert [(await status_of(each))["running"] for each in both] == [False, False]


@pytest.mark.gen_test
async def test_a_pause_and_a_failed_sync_are_told_without_spotifys_words(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    standin = start_standin(albums(5))
    freshet = await start_freshet(standin, sync_source="search")
    limit = Answer(429, b"<script>Too many requests", {"Retry-After": "86236"})
    standin.answer_next("/v1/search", limit)
    report = await freshet.syncer.sync()
    assert report.outcome == "failed"
    await until(lambda: freshet.upstream_status.history.outcome == "failed", 2)  # at once
    status = await status_of(freshet)
    assert status["last_sync"]["outcome"] == "failed"
    assert status["last_sync"]["error"] == "RateLimited"
    assert status["last_sync"]["at"] >= status["last_complete_sync_at"]
    (pause,) = status["cooldowns"]
    assert (pause["bucket"], pause["reason"]) == ("/search", "429 <script>Too many requests")
    samples = await samples_of(freshet)
    assert 86_000 < samples["freshet_cooldown_seconds[/search]"] <= 86_236


@pytest.mark.gen_test
async def test_metrics_tell_of_quota_and_freshness(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(35), kind=AppKind.RESTRICTED))
    await until(lambda: freshet.syncer.seconds_left() > 0)
    await freshet.upstream_status.load()
    samples = await samples_of(freshet)
    assert samples["freshet_quota_used_calls[/search]"] == 4
    assert samples["freshet_quota_left_calls[/search]"] == 296
    assert samples["freshet_quota_ceiling_calls[/search]"] == 300
    assert samples["freshet_quota_forecast_calls[/search]"] == 4 * 48
    assert samples["freshet_cooldown_seconds[/search]"] == 0
    assert samples["freshet_feed_stuck"] == 0
    assert 0 <= samples["freshet_last_complete_sync_age_seconds"] < 60
    assert samples["freshet_sync_interval_seconds"] == 1800


@pytest.mark.gen_test
async def test_a_feed_that_brings_nothing_new_for_three_days_is_stuck(
    start_standin: StartStandIn,
    database: Database,
    make_settings: MakeSettings,
    clock: Clock,
    closing: Closing,
) -> None:
    standin = start_standin(albums(5), clock=clock)
    freshet = Application(make_settings(standin, sync_interval=0), clock)
    closing(freshet.stop)
    freshet.start()
    await until(freshet.listener.listening.is_set)
    told = []
    for _ in range(9):
        with capture_logs() as logs:
            await freshet.syncer.sync()
        told += [line["hours"] for line in logs if line["event"] == "feed_stuck"]
        clock.forward(hours=12)
    assert told == [72, 96]
    status = await status_of(freshet)
    assert status["stuck"] is True
    assert (await samples_of(freshet))["freshet_feed_stuck"] == 1
    standin.catalogue.albums.insert(0, album(99))
    await freshet.syncer.sync()
    assert (await status_of(freshet))["stuck"] is False


@pytest.mark.gen_test
async def test_syncs_that_fail_are_stale_and_not_stuck(
    start_standin: StartStandIn, make_settings: MakeSettings, clock: Clock, closing: Closing
) -> None:
    standin = start_standin(albums(5), clock=clock)
    freshet = Application(make_settings(standin), clock)
    closing(freshet.stop)
    freshet.start()
    await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.complete_at)
    await standin.stop()
    clock.forward(days=4)
    await freshet.syncer.sync()
    status = await status_of(freshet)
    assert (status["stuck"], status["stale"]) == (False, True)
