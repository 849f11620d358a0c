"""`/api/status` and `/metrics`: what operators watch, from memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server import __version__
from server.app import Freshet
from server.catalog.schemas import Status
from server.spotify import logins
from server.spotify.oauth import Grant
from server.spotify.profile import Profile
from tests.client import Client
from tests.conftest import until

NOBODY = {
    "state": "none",
    "authorized_at": None,
    "reconsent_by": None,
    "days_to_reconsent": None,
}


async def log_in(freshet: Freshet, when: datetime) -> None:
    """As another process would: this one only hears of it."""
    grant = Grant("BQaccess", 3600, "AQrefresh", ("user-follow-read",))
    profile = Profile("account-1", "listener", "Robin")
    keyring = freshet.upstream.keyring
    await freshet.database.run(logins.record_consent, profile, grant, when, keyring)


async def status_of(freshet: Freshet) -> dict[str, Any]:
    answer = await Client(freshet).fetch("/api/status")
    assert answer.code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    content: dict[str, Any] = orjson.loads(answer.body)
    Status.model_validate_json(answer.body)
    assert list(content) == list(Status.model_fields)
    return content


async def samples_of(freshet: Freshet) -> dict[str, float]:
    answer = await Client(freshet).fetch("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


@pytest.mark.gen_test
async def test_after_a_sync_the_status_tells_its_time_and_source(
    start_standin: Any, start_freshet: Any
) -> None:
    freshet = await start_freshet(start_standin())
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
    make_settings: Any, launch_freshet: Any
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    status = await status_of(freshet)
    assert (status["as_of"], status["last_sync_at"], status["source"]) == (None, None, None)


@pytest.mark.gen_test
async def test_a_login_that_another_process_records_is_told_at_once(
    make_settings: Any, launch_freshet: Any
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    await until(freshet.listener.listening.is_set)
    when = datetime.now(UTC) - timedelta(days=10, hours=1)
    await log_in(freshet, when)
    await until(lambda: freshet.watch.consent)
    login = (await status_of(freshet))["login"]
    assert login["state"] == "active"
    assert login["authorized_at"] == when.strftime("%Y-%m-%dT%H:%M:%SZ")
    days = login["days_to_reconsent"]
    assert 170 <= days <= 173
    assert (await samples_of(freshet))["freshet_days_to_reconsent"] == days
    await freshet.database.run(
        logins.need_consent, "account-1", "Refresh token revoked", datetime.now(UTC)
    )
    await until(lambda: freshet.watch.consent and freshet.watch.consent.state != "active")
    login = (await status_of(freshet))["login"]
    assert (login["state"], login["days_to_reconsent"]) == ("consent_needed", 0)
    assert "account-1" not in str(login)
    await freshet.database.run(logins.forget, "account-1")
    await until(lambda: freshet.watch.consent is None)
    assert (await status_of(freshet))["login"] == NOBODY


@pytest.mark.gen_test
async def test_metrics_count_the_tokens_and_tell_no_days_without_a_login(
    start_standin: Any, start_freshet: Any
) -> None:
    samples = await samples_of(await start_freshet(start_standin()))
    assert "freshet_days_to_reconsent" not in samples
    assert samples["freshet_token_renewals_total[client_credentials]"] == 1
    assert samples["freshet_token_renewals_total[refresh_token]"] == 0


@pytest.mark.parametrize("path", ["/api/status", "/metrics"])
@pytest.mark.gen_test
async def test_head_is_get_without_a_body_and_nothing_else_is_allowed(
    make_settings: Any, launch_freshet: Any, path: str
) -> None:
    client = Client(launch_freshet(make_settings(sync_interval=0)))
    whole, head = await client.fetch(path), await client.fetch(path, "HEAD")
    assert (head.code, head.body) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    refused = await client.fetch(path, "POST")
    assert (refused.code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
