"""Tokens are kept encrypted, renewed only when they have to be, and never shown."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from server.app.upstream import Upstream, make_syncer
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import CredentialsRejected, SpotifyUnavailable, TokenRejected, UserRefused
from server.login.consent_monitor import ConsentMonitor
from server.spotify.api.client import SpotifyClient
from server.spotify.auth import token_store
from server.spotify.auth.access_token import AccessToken, IssuedToken
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.transport import Transport
from server.standin import Answer, StandIn
from server.sync.schedule import Schedule
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.loops import Closing
from tests.support.ports import free_port
from tests.support.rate_limiters import limiter_in_memory
from tests.support.settings import SECRET, MakeSettings
from tests.support.standins import StartStandIn
from tests.support.tokens import (
    OTHER_SECRET,
    ROBIN,
    SAM,
    TOKEN,
    HoldRefresh,
    LogIn,
    MakeProvider,
    StartHoldingProxy,
    StartWithExpiredLogin,
    asked_for_tokens,
    events,
    everything_in,
    expired,
    listener_of,
    row_of,
    someone_waits,
)
from tests.support.waiting import until

ME = "/v1/me"
EXPIRED = Answer(401, {"error": {"status": 401, "message": "The access token expired"}})
MISSING = Answer(401, {"error": {"status": 401, "message": "Access token missing"}})
NOT_REGISTERED = Answer(
    403,
    {"error": {"status": 403, "message": "User not registered in the Developer Dashboard"}},
)


ClientOf = Callable[[StandIn, TokenProvider], SpotifyClient]


@pytest.fixture
def client_of(transport: Transport, clock: Clock) -> ClientOf:
    """The Web API of a stand-in, asked with a keeper's tokens."""
    return lambda standin, provider: SpotifyClient(
        transport, provider, limiter_in_memory(clock), standin.api_url
    )


@pytest.mark.gen_test
async def test_the_plain_token_is_in_no_column_of_the_database(
    start_standin: StartStandIn, make_provider: MakeProvider, database: Database
) -> None:
    token = await make_provider(start_standin()).access_token()
    content = await everything_in(database)
    assert "app:standin-client" in content
    assert token not in content
    assert token.encode().hex() not in content
    assert SECRET not in content


@pytest.mark.gen_test
async def test_a_restart_asks_for_no_token(
    start_standin: StartStandIn, make_provider: MakeProvider, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    token = await make_provider(standin).access_token()
    assert await make_provider(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_hundred_concurrent_callers_cause_one_request(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    tokens = await asyncio.gather(*(provider.access_token() for _ in range(100)))
    assert len(set(tokens)) == 1
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_hundred_callers_of_an_expired_token_cause_one_request(
    start_standin: StartStandIn, make_provider: MakeProvider, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    provider = make_provider(standin)
    first = await provider.access_token()
    clock.forward(hours=2)
    tokens = await asyncio.gather(*(provider.access_token() for _ in range(100)))
    assert set(tokens) != {first}
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_caller_that_gives_up_does_not_stop_the_others(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    impatient = asyncio.create_task(provider.access_token())
    patient = asyncio.create_task(provider.access_token())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient


@pytest.mark.gen_test
async def test_a_token_is_renewed_a_minute_before_it_expires(
    start_standin: StartStandIn, make_provider: MakeProvider, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    provider = make_provider(standin)
    first = await provider.access_token()
    clock.forward(seconds=3600 - 61)
    assert await provider.access_token() == first
    assert await make_provider(standin).access_token() == first
    clock.forward(seconds=1)
    assert await make_provider(standin).access_token() != first
    assert await provider.access_token() != first
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_renewed_token_survives_a_restart_too(
    start_standin: StartStandIn, make_provider: MakeProvider, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    provider = make_provider(standin)
    await provider.access_token()
    clock.forward(hours=2)
    second = await provider.access_token()
    assert await make_provider(standin).access_token() == second
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_rotated_secret_still_reads_the_token(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    token = await make_provider(standin).access_token()
    with capture_logs() as logs:
        rotated = make_provider(standin, secret=f"{OTHER_SECRET}, {SECRET}")
        assert await rotated.access_token() == token
    assert standin.calls_to(TOKEN) == 1
    assert logs == []


@pytest.mark.gen_test
async def test_a_foreign_secret_is_warned_of_and_costs_a_new_token(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    token = await make_provider(standin).access_token()
    with capture_logs() as logs:
        foreign = make_provider(standin, secret=OTHER_SECRET)
        assert await foreign.access_token() != token
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("token_unreadable", "warning"),
        ("token_refreshed", "info"),
    ]
    assert standin.calls_to(TOKEN) == 2
    assert token not in str(logs)


@pytest.mark.gen_test
async def test_garbage_in_the_table_is_no_token(
    start_standin: StartStandIn, make_provider: MakeProvider, database: Database
) -> None:
    standin = start_standin()
    await make_provider(standin).access_token()
    for garbage in ("''", "'\\xff00'", "NULL"):
        await database.run(
            lambda session, value: session.execute(
                text(f"UPDATE logins SET access_token = {value}")
            ),
            garbage,
        )
        assert await make_provider(standin).access_token()
    assert standin.calls_to(TOKEN) == 4


@pytest.mark.gen_test
async def test_without_a_database_a_token_works_in_memory(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    away = Database(make_url(f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing"))
    away.connect()
    provider = make_provider(standin, database=away)
    with capture_logs() as logs:
        token = await provider.access_token()
        assert await provider.access_token() == token
    assert standin.calls_to(TOKEN) == 1
    assert [log["event"] for log in logs] == ["token_not_kept", "token_refreshed"]
    provider.reject(token)
    assert await provider.access_token() != token
    away.close()


@pytest.mark.gen_test
async def test_a_database_that_goes_away_takes_no_token_with_it(
    start_standin: StartStandIn, make_provider: MakeProvider, database: Database
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    token = await provider.access_token()
    await database.run(
        lambda session: session.execute(text("ALTER TABLE logins RENAME TO logins_away"))
    )
    assert await provider.access_token() == token


@pytest.mark.gen_test
async def test_another_client_id_does_not_use_this_ones_token(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    token = await make_provider(standin).access_token()
    assert await make_provider(standin, client_id="another-client").access_token() != token
    assert await make_provider(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_rejected_token_is_not_taken_from_the_database_again(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    token = await provider.access_token()
    provider.reject(token)
    second = await provider.access_token()
    assert second != token
    assert await make_provider(standin).access_token() == second
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_rejecting_an_older_token_forgets_nothing(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    token = await provider.access_token()
    provider.reject("BQ-some-older-token")
    assert await provider.access_token() == token
    assert await make_provider(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_token_that_another_process_has_renewed_is_used_and_not_forgotten(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    here, there = make_provider(standin), make_provider(standin)
    old = await here.access_token()
    assert await there.access_token() == old
    here.reject(old)
    new = await here.access_token()
    there.reject(old)
    assert await there.access_token() == new
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_what_the_accounts_service_refuses_is_raised_and_asked_again_next_time(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    standin.answer_next(TOKEN, Answer(400, {"error": "invalid_client"}))
    standin.answer_next(TOKEN, Answer(503))
    with pytest.raises(CredentialsRejected):
        await provider.access_token()
    with pytest.raises(SpotifyUnavailable):
        await provider.access_token()
    assert await provider.access_token()


@pytest.mark.gen_test
async def test_nothing_that_is_logged_or_shown_holds_the_token(
    start_standin: StartStandIn, make_provider: MakeProvider
) -> None:
    provider = make_provider(start_standin())
    with capture_logs() as logs:
        token = await provider.access_token()
    assert logs[0]["event"] == "token_refreshed"
    for shown in (str(logs), repr(provider), repr(provider._token), str(provider._token)):
        assert token not in shown
        assert SECRET not in shown


def test_a_token_is_fresh_until_a_minute_before_its_end() -> None:
    end = datetime(2026, 11, 20, 12, tzinfo=UTC)
    token = AccessToken("value", "app:client", end)
    assert token.is_fresh(end - timedelta(seconds=60, microseconds=1))
    assert not token.is_fresh(end - timedelta(seconds=60))


@pytest.mark.gen_test
async def test_who_has_logged_in_is_who_the_token_speaks_for(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    assert await provider.access_token() == grant.access_token
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 0


@pytest.mark.gen_test
async def test_a_users_token_is_renewed_a_minute_before_it_expires(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    clock.forward(seconds=3600 - 61)
    assert await provider.access_token() == grant.access_token
    assert asked_for_tokens(standin) == 0
    clock.forward(seconds=1)
    renewed = await provider.access_token()
    assert renewed != grant.access_token
    assert listener_of(standin, renewed) == ROBIN.account_id
    assert await make_provider(standin).access_token() == renewed
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_ten_restarts_with_a_login_ask_for_no_token(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    for _ in range(10):
        assert await make_provider(standin).access_token() == grant.access_token
    assert asked_for_tokens(standin) == 0


@pytest.mark.parametrize("logged_in", [True, False], ids=["a login", "the app"])
@pytest.mark.gen_test
async def test_a_thousand_callers_at_expiry_cause_one_request(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    logged_in: bool,
) -> None:
    standin = start_standin(clock=clock)
    if logged_in:
        await log_in(standin)
    provider = make_provider(standin)
    await provider.access_token()
    clock.forward(hours=2)
    standin.calls.clear()
    tokens = await asyncio.gather(*(provider.access_token() for _ in range(1000)))
    assert len(set(tokens)) == 1
    assert asked_for_tokens(standin) == 1


@pytest.mark.parametrize("logged_in", [True, False], ids=["a login", "the app"])
@pytest.mark.gen_test
async def test_a_thousand_callers_in_each_of_two_processes_cause_one_request(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    elsewhere: Database,
    logged_in: bool,
) -> None:
    standin = start_standin(clock=clock)
    answer = await expired(standin, make_provider, log_in, clock, logged_in)
    standin.answer_next(TOKEN, Answer(200, answer, delay=0.2))
    keepers = make_provider(standin), make_provider(standin, database=elsewhere)
    tokens = await asyncio.gather(
        *(provider.access_token() for _ in range(1000) for provider in keepers)
    )
    assert set(tokens) == {answer["access_token"]}
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_thousand_callers_at_two_first_starts_cause_one_request(
    start_standin: StartStandIn, make_provider: MakeProvider, elsewhere: Database, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    answer = standin.world.tokens.issue_access()
    standin.answer_next(TOKEN, Answer(200, answer, delay=0.2))
    keepers = make_provider(standin), make_provider(standin, database=elsewhere)
    tokens = await asyncio.gather(
        *(provider.access_token() for _ in range(500) for provider in keepers)
    )
    assert set(tokens) == {answer["access_token"]}
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_callers_who_give_up_stop_neither_the_others_nor_the_renewal(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
) -> None:
    standin = await start_with_expired_login()
    gate = await start_holding_proxy(standin)
    provider = make_provider(standin, url=gate.url)
    callers = [asyncio.create_task(provider.access_token()) for _ in range(100)]
    await gate.has_answer()
    for caller in callers[:-1]:
        caller.cancel()
    gate.let_go()
    assert listener_of(standin, await callers[-1]) == ROBIN.account_id
    assert all(caller.cancelled() for caller in callers[:-1])
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_when_all_callers_give_up_what_came_is_kept_all_the_same(
    start_with_expired_login: StartWithExpiredLogin,
    hold_refresh: HoldRefresh,
    make_provider: MakeProvider,
) -> None:
    standin = await start_with_expired_login()
    gate, provider, caller = await hold_refresh(standin)
    caller.cancel()
    gate.let_go()
    await provider.stop(2)
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_failing_renewal_costs_all_who_wait_for_it_one_request(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
) -> None:
    standin = await start_with_expired_login()
    provider = make_provider(standin)
    standin.answer_next(TOKEN, Answer(503, delay=0.1))
    failed = await asyncio.gather(
        *(provider.access_token() for _ in range(1000)), return_exceptions=True
    )
    assert {type(each) for each in failed} == {SpotifyUnavailable}
    assert asked_for_tokens(standin) == 1
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_a_look_into_the_database_during_a_renewal_waits_for_its_end(
    start_with_expired_login: StartWithExpiredLogin,
    hold_refresh: HoldRefresh,
    elsewhere: Database,
) -> None:
    standin = await start_with_expired_login()
    gate, provider, before = await hold_refresh(standin)
    provider.forget()
    after = asyncio.create_task(provider.access_token())
    await someone_waits(elsewhere)
    gate.let_go()
    assert await after == await before
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_login_that_comes_is_used_once_the_keeper_hears_of_it(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    provider = make_provider(standin)
    assert listener_of(standin, await provider.access_token()) is None
    grant = await log_in(standin)
    provider.forget()
    assert await provider.access_token() == grant.access_token


@pytest.mark.gen_test
async def test_a_login_that_is_deleted_is_not_used_once_the_keeper_hears_of_it(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    provider = make_provider(standin)
    await provider.access_token()
    await database.run(token_store.delete_login, ROBIN.account_id)
    provider.forget()
    assert listener_of(standin, await provider.access_token()) is None


@pytest.mark.gen_test
async def test_a_login_deleted_while_its_token_is_renewed_does_not_come_back(
    start_standin: StartStandIn,
    hold_refresh: HoldRefresh,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    clock.forward(hours=2)
    gate, provider, renewing = await hold_refresh(standin)
    deleting = asyncio.create_task(elsewhere.run(token_store.delete_login, ROBIN.account_id))
    await someone_waits(elsewhere)
    gate.let_go()
    await deleting
    provider.forget()
    assert listener_of(standin, await provider.access_token()) is None
    await renewing
    assert listener_of(standin, await provider.access_token()) is None
    assert await database.run(token_store.usable_accounts, ()) == []


@pytest.mark.gen_test
async def test_the_newest_of_several_logins_is_used_and_the_next_when_it_dies(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin, SAM)
    clock.forward(seconds=1)
    await log_in(standin, ROBIN)
    provider = make_provider(standin)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    await database.run(
        token_store.mark_consent_needed, ROBIN.account_id, "Refresh token revoked", clock()
    )
    provider.forget()
    assert listener_of(standin, await provider.access_token()) == SAM.account_id


@pytest.mark.gen_test
async def test_a_login_whose_account_is_no_longer_listed_is_not_used(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id
    for listed in ([SAM.account_id], ["app:standin-client"], [ROBIN.display_name], [ROBIN.id]):
        provider = make_provider(standin, allowed=listed)
        assert listener_of(standin, await provider.access_token()) is None
    for also in ([ROBIN.account_id, SAM.account_id], [f"id:{ROBIN.id}"], {ROBIN.account_id}):
        provider = make_provider(standin, allowed=also)
        assert listener_of(standin, await provider.access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_a_users_expired_token_costs_one_refresh_and_one_retry(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    client = client_of(standin, make_provider(standin))
    standin.expire_tokens()
    answer = await client.get("/me")
    assert answer["account_id"] == ROBIN.account_id
    assert asked_for_tokens(standin) == 1
    assert standin.calls_to(ME) == 2
    await client.get("/me")
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_many_calls_with_one_expired_token_cost_one_refresh(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    client = client_of(standin, make_provider(standin))
    standin.expire_tokens()
    answers = await asyncio.gather(*(client.get("/me") for _ in range(10)))
    assert {answer["account_id"] for answer in answers} == {ROBIN.account_id}
    assert asked_for_tokens(standin) == 1
    assert standin.calls_to(ME) == 20


@pytest.mark.gen_test
async def test_a_users_token_that_spotify_did_not_see_is_sent_again_and_not_refreshed(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    standin.answer_next(ME, MISSING)
    await client_of(standin, provider).get("/me")
    assert standin.calls_to(ME) == 2
    assert asked_for_tokens(standin) == 0
    assert await provider.access_token() == grant.access_token


@pytest.mark.parametrize(
    ("answers", "refreshes"),
    [([EXPIRED, EXPIRED], 1), ([MISSING, MISSING], 0), ([MISSING, EXPIRED], 0)],
)
@pytest.mark.gen_test
async def test_two_refusals_of_a_users_token_end_the_call(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
    answers: list[Answer],
    refreshes: int,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    client = client_of(standin, make_provider(standin))
    for answer in answers:
        standin.answer_next(ME, answer)
    with pytest.raises(TokenRejected):
        await client.get("/me")
    assert standin.calls_to(ME) == 2
    assert asked_for_tokens(standin) == refreshes
    assert await client.get("/me")


@pytest.mark.gen_test
async def test_a_token_refused_just_as_the_keeper_forgets_it_is_not_taken_up_again(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    provider = make_provider(standin)
    standin.expire_tokens()
    answered = asyncio.Event()
    standin.answer_next(ME, Answer(EXPIRED.status, EXPIRED.body, held=answered))
    asked = asyncio.create_task(client_of(standin, provider).get("/me"))
    await until(lambda: not standin.world.script.get(ME))
    provider.forget()
    answered.set()
    assert (await asked)["account_id"] == ROBIN.account_id
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_token_refused_while_it_is_read_from_the_database_is_not_used(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    with Session(elsewhere.engine) as holding, holding.begin():
        token_store.lock(holding, ROBIN.account_id)
        asked = asyncio.create_task(provider.access_token())
        await someone_waits(elsewhere)
        provider.reject(grant.access_token)
    token = await asked
    assert token != grant.access_token
    assert listener_of(standin, token) == ROBIN.account_id
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_user_whom_spotify_does_not_serve_is_given_up_and_the_app_asks(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    path = "/v1/browse/new-releases"
    standin = start_standin(albums(3), clock=clock)
    await log_in(standin)
    provider = make_provider(standin)
    client = client_of(standin, provider)
    standin.answer_next(path, NOT_REGISTERED)
    with capture_logs() as logs:
        assert (await client.get("/browse/new-releases"))["albums"]["total"] == 3
    assert standin.calls_to(path) == 2
    assert [line["account_id"] for line in events(logs, "consent_needed")] == [ROBIN.account_id]
    assert listener_of(standin, await provider.access_token()) is None
    row = await row_of(database)
    assert (row.state, row.refresh_token is None) == ("consent_needed", False)
    assert "not registered" in (row.reason or "")
    assert listener_of(standin, await make_provider(standin).access_token()) is None
    standin.answer_next(path, NOT_REGISTERED)
    with pytest.raises(UserRefused):
        await client.get("/browse/new-releases")


@pytest.mark.gen_test
async def test_two_calls_for_a_user_whom_spotify_does_not_serve_both_go_on_with_the_app(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    path = "/v1/browse/new-releases"
    standin = start_standin(albums(3), clock=clock)
    await log_in(standin)
    client = client_of(standin, make_provider(standin))
    standin.answer_next(path, NOT_REGISTERED)
    standin.answer_next(path, Answer(403, NOT_REGISTERED.body, delay=0.2))
    with capture_logs() as logs:
        answers = await asyncio.gather(*(client.get("/browse/new-releases") for _ in range(2)))
    assert [answer["albums"]["total"] for answer in answers] == [3, 3]
    assert len(events(logs, "consent_needed")) == 1


@pytest.mark.gen_test
async def test_a_login_made_anew_outlives_a_late_refusal_of_the_one_before(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    path = "/v1/browse/new-releases"
    standin = start_standin(albums(3), clock=clock)
    await log_in(standin)
    client = client_of(standin, make_provider(standin))
    answered = asyncio.Event()
    standin.answer_next(path, Answer(403, NOT_REGISTERED.body, held=answered))
    asked = asyncio.create_task(client.get("/browse/new-releases"))
    await until(lambda: not standin.world.script.get(path))
    clock.forward(seconds=1)
    await log_in(standin)  # the user is registered now; the keeper has not heard of it yet
    answered.set()
    await asked
    assert (await row_of(database)).state == "active"


@pytest.mark.gen_test
async def test_a_user_whom_spotify_does_not_serve_is_passed_over_without_a_database_too(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
    database_url: URL,
) -> None:
    path = "/v1/browse/new-releases"
    standin = start_standin(albums(3), clock=clock)
    await log_in(standin)
    moody = Database(database_url)
    moody.connect()
    client = client_of(standin, make_provider(standin, database=moody))
    await client.get("/browse/new-releases")
    moody.close()
    standin.answer_next(path, NOT_REGISTERED)
    assert (await client.get("/browse/new-releases"))["albums"]["total"] == 3


@pytest.mark.gen_test
async def test_a_clock_put_back_costs_no_token(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    await provider.access_token()
    clock.forward(days=-3)
    assert await provider.access_token() == grant.access_token
    assert await make_provider(standin).access_token() == grant.access_token
    assert asked_for_tokens(standin) == 0


@pytest.mark.gen_test
async def test_a_token_got_by_a_clock_far_ahead_is_replaced_once_spotify_refuses_it(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
) -> None:
    ahead = Clock(clock() + timedelta(days=100))
    standin = start_standin(clock=clock)
    await log_in(standin)
    assert await make_provider(standin, now=ahead).access_token()
    clock.forward(hours=2)
    standin.calls.clear()
    client = client_of(standin, make_provider(standin))
    assert (await client.get("/me"))["account_id"] == ROBIN.account_id
    assert asked_for_tokens(standin) == 1
    clock.forward(hours=2)
    await client.get("/me")
    assert asked_for_tokens(standin) == 2


@pytest.mark.gen_test
async def test_a_token_that_lives_a_second_is_used_once_and_nothing_spins(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    clock.forward(hours=2)
    answer = standin.world.tokens.refresh(grant.refresh_token or "") | {"expires_in": 1}
    standin.answer_next(TOKEN, Answer(200, answer, delay=0.05), times=3)
    provider = make_provider(standin)
    tokens = await asyncio.gather(*(provider.access_token() for _ in range(100)))
    assert set(tokens) == {answer["access_token"]}
    assert asked_for_tokens(standin) == 1
    await asyncio.sleep(0.05)
    assert asked_for_tokens(standin) == 1
    await provider.access_token()
    assert asked_for_tokens(standin) == 2


@pytest.mark.parametrize("logged_in", [True, False], ids=["a login", "the app"])
@pytest.mark.gen_test(timeout=90)
async def test_syncs_cost_at_most_a_token_an_hour_and_the_first(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    log_in: LogIn,
    clock: Clock,
    closing: Closing,
    logged_in: bool,
    long: bool,
) -> None:
    hours = 24 if long else 6
    standin = start_standin(albums(3), clock=clock)
    if logged_in:
        await log_in(standin)
    settings = make_settings(standin)
    upstream = Upstream(settings, database, clock)
    closing(upstream.stop)

    async def announce() -> None:
        pass

    syncer = make_syncer(settings, database, upstream, announce, clock)
    schedule = Schedule(settings.sync_interval, lambda: clock().timestamp())
    end, syncs = clock() + timedelta(hours=hours), 0
    while clock() < end:
        if schedule.is_due():
            report = await syncer.sync()
            assert report.outcome == "complete"
            schedule.plan(failed=False)
            syncs += 1
        clock.forward(seconds=5)
    assert 2 * hours - 2 <= syncs <= 2 * hours + 3
    assert hours * 5 / 8 <= asked_for_tokens(standin) <= hours + 1
    kind = "refresh_token" if logged_in else "client_credentials"
    assert upstream.refresher.renewals == {kind: asked_for_tokens(standin)}


@pytest.mark.gen_test
async def test_the_right_key_put_back_heals_a_login_that_could_not_be_read(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    before = await row_of(database)
    with capture_logs() as logs:
        astray = make_provider(standin, secret=OTHER_SECRET)
        assert listener_of(standin, await astray.access_token()) is None
    told = [line for line in events(logs, "token_unreadable") if line["log_level"] == "error"]
    assert [(line["account_id"], line["hint"]) for line in told] == [
        (ROBIN.account_id, token_store.SECRET_CHANGED)
    ]
    assert "SECRET=new,old" in token_store.SECRET_CHANGED
    row = await row_of(database)
    assert row.state == "active"
    assert (row.access_token, row.refresh_token) == (before.access_token, before.refresh_token)
    standin.calls.clear()
    for fixed in (SECRET, f"{OTHER_SECRET},{SECRET}"):
        provider = make_provider(standin, secret=fixed)
        assert await provider.access_token() == grant.access_token
    assert asked_for_tokens(standin) == 0


@pytest.mark.gen_test
async def test_an_old_key_can_be_dropped_after_a_start_with_both(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    both = Encryption(f"{OTHER_SECRET},{SECRET}", "tokens")
    await ConsentMonitor(database, both, (), clock).begin()
    provider = make_provider(standin, secret=OTHER_SECRET)
    with capture_logs() as logs:
        assert await provider.access_token() == grant.access_token
    assert logs == []
    assert asked_for_tokens(standin) == 0
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_nothing_of_a_login_is_shown_logged_or_stored_in_plain(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    client_of: ClientOf,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    with capture_logs() as logs:
        first = await log_in(standin)
        provider = make_provider(standin)
        await provider.access_token()
        clock.forward(hours=2)
        second = await provider.access_token()
        standin.expire_tokens()
        await client_of(standin, provider).get("/me")
        standin.revoke_refresh_tokens()
        standin.expire_tokens()
        with pytest.raises(TokenRejected):
            await client_of(standin, provider).get("/me")
        await ConsentMonitor(database, Encryption(SECRET, "tokens"), (), clock).tick()
    row = await row_of(database)
    ring = Encryption(SECRET, "tokens")
    secrets = {first.access_token, first.refresh_token, second, SECRET, "standin-secret"}
    secrets |= {ring.open(row.access_token or b""), ring.open(row.refresh_token or b"")}
    assert len(secrets) == 7
    token = AccessToken(second, ROBIN.account_id, clock())
    shown = [
        str(logs),
        await everything_in(database),
        *map(repr, (first, row, token, IssuedToken(first, token, first.refresh_token), ring)),
        *map(repr, (provider, provider._refresher, provider._token, provider._refreshing)),
    ]
    assert {"token_refreshed", "consent_needed"} <= {line["event"] for line in logs}
    for secret in secrets:
        for place in shown:
            assert str(secret) not in place


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.gen_test
async def test_whatever_happens_in_whatever_order_a_good_token_comes_of_it(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    elsewhere: Database,
    seed: int,
    long: bool,
) -> None:
    dice = random.Random(seed)
    standin = start_standin(clock=clock)
    await log_in(standin)
    keepers = [
        make_provider(standin),
        make_provider(standin, database=elsewhere),
        make_provider(standin),
    ]
    revoked, allowance = False, 0
    for _ in range(150 if long else 60):
        number = dice.randrange(len(keepers))
        provider = keepers[number]
        match dice.randrange(12):
            case 0 | 1:
                clock.forward(minutes=dice.choice([1, 58, 59, 61, 600]))
                allowance += 1
            case 2:
                standin.rotate_refresh_tokens = dice.random() < 0.5
            case 3:
                keepers[number] = make_provider(
                    standin, database=dice.choice([database, elsewhere])
                )
            case 4:
                provider.forget()
            case 5:
                provider.reject(await provider.access_token())
                allowance += 2
            case 6 if dice.random() < 0.3:
                standin.revoke_refresh_tokens()
                standin.expire_tokens()
                clock.forward(hours=2)
                revoked, allowance = True, allowance + 2
            case 7 if dice.random() < 0.3:
                asked = asked_for_tokens(standin)
                await log_in(standin)
                allowance -= asked
                for each in keepers:
                    each.forget()
                revoked = False
            case _:
                callers = [each for each in keepers for _ in range(5)]
                tokens = await asyncio.gather(*(each.access_token() for each in callers))
                whose = {listener_of(standin, token) for token in tokens}
                assert whose == {None if revoked else ROBIN.account_id}
        assert asked_for_tokens(standin) <= allowance
    row = await row_of(database)
    assert row.refresh_token is not None
