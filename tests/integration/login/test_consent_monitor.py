"""The watch on the consent: what it says, when the log reminds, and keys that have changed."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from server.database.executor import Database
from server.encryption import Encryption
from server.login.consent_monitor import ConsentMonitor
from server.spotify.auth import token_store
from server.spotify.consent import end_of_consent
from server.spotify.profile import Profile
from server.spotify.types import Grant
from tests.support.clock import Clock
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn
from tests.support.tokens import OTHER_SECRET, LogIn, MakeProvider, everything_in

PROFILE = Profile("account-robin", "robin", "Robin")
GRANT = Grant("BQ-access", 3600, "AQ-refresh", ("user-follow-read",))
HOUR = timedelta(hours=1)
REMINDERS = ("consent_expiring", "consent_needed")

WatchOf = Callable[..., ConsentMonitor]


@pytest.fixture
def watch_of(database: Database, clock: Clock) -> WatchOf:
    """A watch as a process that has just started would make it."""

    def make(where: Database = database, secret: str = SECRET, **changes: Any) -> ConsentMonitor:
        options: dict[str, Any] = {"allowed": (), "now": clock, **changes}
        return ConsentMonitor(where, Encryption(secret, "tokens"), **options)

    return make


async def agree(database: Database, clock: Clock, profile: Profile = PROFILE) -> None:
    ring = Encryption(SECRET, "tokens")
    await database.run(token_store.record_consent, profile, GRANT, clock(), ring)


async def reminders(*watches: ConsentMonitor) -> list[Any]:
    """What the log says while each of them looks once, one after the other."""
    with capture_logs() as logs:
        for consent_monitor in watches:
            await consent_monitor.tick()
    return [line for line in logs if line["event"] in REMINDERS]


def days_left(consent_monitor: ConsentMonitor, clock: Clock) -> int | None:
    """What `/api/status` shows as `days_to_reconsent`."""
    consent = consent_monitor.consent
    return None if consent is None else consent.days_left(clock())


@pytest.mark.gen_test
async def test_nobody_is_reminded_where_nobody_has_logged_in(
    start_standin: StartStandIn, make_provider: MakeProvider, watch_of: WatchOf, clock: Clock
) -> None:
    await make_provider(start_standin(clock=clock)).access_token()
    consent_monitor = watch_of()
    for _ in range(8):
        assert await reminders(consent_monitor) == []
        assert consent_monitor.consent is None
        clock.forward(days=30)


@pytest.mark.gen_test
async def test_the_log_is_silent_until_thirty_days_before_the_end(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    end = end_of_consent(clock())
    consent_monitor = watch_of()
    assert await reminders(consent_monitor) == []
    assert days_left(consent_monitor, clock) == 181
    clock.moment = end - timedelta(days=31)
    assert await reminders(consent_monitor) == []
    assert days_left(consent_monitor, clock) == 31
    clock.moment = end - timedelta(days=30)
    [told] = await reminders(consent_monitor)
    assert (told["event"], told["log_level"]) == ("consent_expiring", "warning")
    assert (told["days_to_reconsent"], told["ends_at"]) == (30, end)
    assert "/auth/login/" in told["hint"]
    assert await reminders(consent_monitor, consent_monitor) == []


@pytest.mark.gen_test
async def test_the_log_reminds_once_a_day_whoever_looks_how_often(
    watch_of: WatchOf, database: Database, elsewhere: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=10)
    here, there = watch_of(), watch_of(elsewhere)
    days = []
    for _ in range(9 * 4):
        restarted = watch_of()
        days += [line["days_to_reconsent"] for line in await reminders(here, there, restarted)]
        clock.forward(hours=6)
    assert days == list(range(10, 1, -1))


@pytest.mark.gen_test
async def test_watches_that_look_at_the_same_moment_remind_once(
    watch_of: WatchOf, database: Database, elsewhere: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=10)
    watches = [watch_of(where) for where in (database, elsewhere) * 4]
    for _ in range(5):
        with capture_logs() as logs:
            await asyncio.gather(*(consent_monitor.tick() for consent_monitor in watches))
        assert [line["event"] for line in logs] == ["consent_expiring"]
        clock.forward(days=1)


@pytest.mark.gen_test
async def test_hosts_whose_clocks_differ_by_a_second_remind_once(
    watch_of: WatchOf, database: Database, elsewhere: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=10)
    ahead = watch_of(elsewhere, now=lambda: clock() + timedelta(seconds=1))
    behind = watch_of()
    assert len(await reminders(ahead, behind)) == 1
    clock.forward(hours=1)
    assert await reminders(ahead, behind) == []


@pytest.mark.gen_test
async def test_a_clock_that_was_weeks_ahead_does_not_silence_the_reminders(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    right = end_of_consent(clock()) - timedelta(days=29)
    consent_monitor = watch_of()
    clock.moment = right + timedelta(days=25)
    assert len(await reminders(consent_monitor)) == 1
    clock.moment = right
    told = 0
    for _ in range(10 * 6):
        told += len(await reminders(consent_monitor))
        clock.forward(hours=4)
    assert 9 <= told <= 10


@pytest.mark.gen_test
async def test_after_the_end_the_log_says_that_a_consent_is_needed_once_a_day(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) + HOUR
    await database.run(
        token_store.mark_consent_needed,
        PROFILE.key,
        "Refresh token expired",
        clock() - timedelta(days=1),
    )
    consent_monitor = watch_of()
    told = []
    for _ in range(3 * 6):
        told += await reminders(consent_monitor)
        clock.forward(hours=4)
    assert [(line["event"], line["days_to_reconsent"]) for line in told] == [
        ("consent_needed", 0)
    ] * 3
    assert consent_monitor.consent is not None
    assert (consent_monitor.consent.state, consent_monitor.consent.reason) == (
        "consent_needed",
        "Refresh token expired",
    )


@pytest.mark.gen_test
async def test_a_consent_that_has_ended_unnoticed_is_said_to_be_needed(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    """As on a server that has not asked for a token since."""
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) + HOUR
    consent_monitor = watch_of()
    assert [line["event"] for line in await reminders(consent_monitor)] == ["consent_needed"]
    assert days_left(consent_monitor, clock) == 0


@pytest.mark.gen_test
async def test_a_login_that_has_died_early_is_reminded_of_though_months_were_left(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    await database.run(
        token_store.mark_consent_needed,
        PROFILE.key,
        "Refresh token revoked",
        clock() - timedelta(days=1),
    )
    consent_monitor = watch_of()
    assert [line["event"] for line in await reminders(consent_monitor)] == ["consent_needed"]
    assert days_left(consent_monitor, clock) == 0


@pytest.mark.gen_test
async def test_the_end_of_a_login_is_told_once_on_its_day(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    watch_of: WatchOf,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    clock.moment = end_of_consent(clock()) - timedelta(days=2)
    provider, consent_monitor = make_provider(standin), watch_of()
    told = []
    for _ in range(4 * 6):
        with capture_logs() as logs:
            await provider.access_token()
        told += [line["event"] for line in logs if line["event"] in REMINDERS]
        told += [line["event"] for line in await reminders(consent_monitor)]
        clock.forward(hours=4)
    assert told == ["consent_expiring"] * 2 + ["consent_needed"] * 2


@pytest.mark.gen_test
async def test_a_new_consent_ends_the_reminders(
    watch_of: WatchOf, database: Database, elsewhere: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=5)
    watches = watch_of(), watch_of(elsewhere)
    assert len(await reminders(*watches)) == 1
    clock.forward(days=1)
    await agree(database, clock)
    renewed_at = clock()
    while clock() < renewed_at + timedelta(days=120):
        assert await reminders(*watches) == []
        clock.forward(days=10)
    clock.moment = end_of_consent(renewed_at) - timedelta(days=30)
    assert len(await reminders(*watches)) == 1


@pytest.mark.gen_test
async def test_a_forgotten_login_ends_the_reminders(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=5)
    consent_monitor = watch_of()
    await database.run(token_store.delete_login, PROFILE.key)
    assert await reminders(consent_monitor) == []
    assert consent_monitor.consent is None


@pytest.mark.gen_test
async def test_a_login_that_is_no_longer_listed_is_not_reminded_of(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    clock.moment = end_of_consent(clock()) - timedelta(days=5)
    assert await reminders(watch_of(allowed=["somebody-else"])) == []
    assert len(await reminders(watch_of(allowed=["id:robin"]))) == 1


@pytest.mark.gen_test
async def test_the_consent_that_is_told_of_is_the_newest_that_works(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    sam = Profile("account-sam", "sam", "Sam")
    await agree(database, clock)
    clock.forward(days=1)
    await agree(database, clock, sam)
    consent_monitor = watch_of()
    await consent_monitor.load()
    assert consent_monitor.consent is not None
    assert consent_monitor.consent.account_id == "account-sam"
    await database.run(
        token_store.mark_consent_needed, "account-sam", "Refresh token revoked", clock()
    )
    await consent_monitor.load()
    assert consent_monitor.consent is not None
    assert (consent_monitor.consent.account_id, consent_monitor.consent.state) == (
        "account-robin",
        "active",
    )


@pytest.mark.gen_test
async def test_tokens_are_sealed_with_the_first_key_at_the_start(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    with capture_logs() as logs:
        await watch_of(secret=f"{OTHER_SECRET},{SECRET}").begin()
    assert [(line["event"], line["log_level"]) for line in logs] == [("tokens_resealed", "info")]
    only_new = watch_of(secret=OTHER_SECRET)
    with capture_logs() as logs:
        await only_new.begin()
        await only_new.load()
    assert logs == []
    assert only_new.consent is not None
    assert only_new.consent.state == "active"


@pytest.mark.gen_test
async def test_a_wrong_key_is_told_with_its_fix_and_harms_nothing(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    before = await everything_in(database)
    astray = watch_of(secret=OTHER_SECRET)
    with capture_logs() as logs:
        await astray.begin()
        await astray.load()
    [told] = logs
    assert (told["event"], told["log_level"]) == ("token_unreadable", "error")
    assert told["accounts"] == [PROFILE.key]
    assert told["hint"] == token_store.SECRET_CHANGED
    assert astray.consent is not None
    assert astray.consent.state == "unreadable"
    assert await everything_in(database) == before
    fixed = watch_of(secret=f"{OTHER_SECRET},{SECRET}")
    await fixed.begin()
    await fixed.load()
    assert fixed.consent is not None
    assert fixed.consent.state == "active"
    assert days_left(fixed, clock) == days_left(astray, clock) == 181


@pytest.mark.parametrize("garbage", ["''", "'\\xff00'", "'gAAAAA'", "NULL"])
@pytest.mark.gen_test
async def test_garbage_for_a_refresh_token_is_unreadable_and_no_crash(
    watch_of: WatchOf, database: Database, clock: Clock, garbage: str
) -> None:
    await agree(database, clock)
    await database.run(
        lambda session: session.execute(text(f"UPDATE logins SET refresh_token = {garbage}"))
    )
    consent_monitor = watch_of()
    await consent_monitor.begin()
    await consent_monitor.tick()
    assert consent_monitor.consent is not None
    assert consent_monitor.consent.state == "unreadable"


@pytest.mark.gen_test
async def test_an_older_id_in_allowed_users_is_told_of_at_the_start_with_what_to_write(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    with capture_logs() as logs:
        await watch_of(allowed=("robin",)).begin()
        await watch_of(allowed=("id:robin",)).begin()
    (told,) = [line for line in logs if line["event"] == "allowed_user_mistaken"]
    assert (told["value"], told["account_id"]) == ("robin", "account-robin")
    assert told["hint"].startswith("write account-robin in ALLOWED_USERS")
    assert [line["event"] for line in logs].count("login_not_allowed") == 1


@pytest.mark.gen_test
async def test_logins_that_are_no_longer_listed_are_told_of_at_the_start(
    watch_of: WatchOf, database: Database, clock: Clock
) -> None:
    await agree(database, clock)
    with capture_logs() as logs:
        await watch_of(allowed=("somebody-else",)).begin()
        await watch_of(allowed=(PROFILE.key,)).begin()
        await watch_of().begin()
    told = [line for line in logs if line["event"] == "login_not_allowed"]
    assert [line["accounts"] for line in told] == [[PROFILE.key]]
    assert "ALLOWED_USERS" in told[0]["hint"]
