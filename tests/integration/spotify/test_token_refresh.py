"""Renewals that go wrong: refresh tokens that turn or die, databases that vanish in the middle."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL, event, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from server.app.application import RETRY_SECONDS, Application
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import (
    BadAnswer,
    CredentialsRejected,
    DatabaseUnavailable,
    SchemaMismatch,
    SpotifyError,
    SpotifyTimeout,
    SpotifyUnavailable,
)
from server.login.consent_monitor import ConsentMonitor
from server.spotify.auth import token_store
from server.spotify.auth.access_token import MAX_REQUEST_SECONDS
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.consent import end_of_consent
from server.spotify.transport import Transport
from server.standin import Answer, StandIn
from tests.support.clock import Clock
from tests.support.loops import Closing
from tests.support.settings import SECRET, MakeSettings
from tests.support.spotify_http import StartRaw
from tests.support.standins import StartStandIn
from tests.support.tokens import (
    IDLE,
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
    cut,
    events,
    listener_of,
    refresh_token_in,
    row_of,
    someone_waits,
)
from tests.support.waiting import until

REVOKED = {"error": "invalid_grant", "error_description": "Refresh token revoked"}


async def refuse_to_commit(database: Database, cause: str = "disk_full") -> None:
    """Let every commit of a change to a login fail, until `commit_again`."""
    await database.run(
        lambda session: session.execute(
            text(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{cause}'; END $$; "
                "CREATE CONSTRAINT TRIGGER refused AFTER UPDATE ON logins "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    )


async def commit_again(database: Database) -> None:
    await database.run(lambda session: session.execute(text("DROP TRIGGER refused ON logins")))


Lose = Callable[..., Awaitable["Loss"]]


class Loss:
    """A keeper that got a new refresh token and could not store it, for its database was cut."""

    def __init__(self, provider: TokenProvider, token: str) -> None:
        self.provider, self.token = provider, token


@pytest.fixture
def lose(
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    elsewhere: Database,
) -> Lose:
    async def go(standin: StandIn, **options: Any) -> Loss:
        standin.rotate_refresh_tokens = True
        await log_in(standin)
        clock.forward(hours=2)
        gate = await start_holding_proxy(standin)
        provider = make_provider(standin, url=gate.url, **options)
        asked = asyncio.create_task(provider.access_token())
        await gate.has_answer()
        await cut(elsewhere)
        gate.let_go()
        token = await asked
        assert listener_of(standin, token) == ROBIN.account_id
        return Loss(provider, token)

    return go


@pytest.mark.gen_test
async def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    provider = make_provider(standin)
    for number in range(1, 4):
        clock.forward(hours=2)
        assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
        assert await refresh_token_in(database) == grant.refresh_token
        assert asked_for_tokens(standin) == number


@pytest.mark.parametrize("empty", [{}, {"refresh_token": None}, {"refresh_token": ""}], ids=str)
@pytest.mark.gen_test
async def test_an_empty_refresh_token_is_none(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    empty: dict[str, Any],
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    clock.forward(hours=2)
    answer = standin.world.tokens.refresh(grant.refresh_token or "")
    standin.answer_next(TOKEN, Answer(200, answer | empty))
    assert await make_provider(standin).access_token() == answer["access_token"]
    assert await refresh_token_in(database) == grant.refresh_token


@pytest.mark.gen_test
async def test_a_new_refresh_token_is_stored_before_it_is_used(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    known = {(await log_in(standin)).refresh_token}
    for process in (
        make_provider(standin),
        make_provider(standin),
        make_provider(standin, database=elsewhere),
    ):
        clock.forward(hours=2)
        assert listener_of(standin, await process.access_token()) == ROBIN.account_id
        known.add(await refresh_token_in(database))
    assert len(known) == 4
    assert asked_for_tokens(standin) == 3


@pytest.mark.gen_test
async def test_consent_is_not_prolonged_by_a_refresh(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    agreed = clock()
    clock.forward(days=100)
    await make_provider(standin).access_token()
    assert (await row_of(database)).authorized_at == agreed


@pytest.mark.gen_test
async def test_a_database_cut_while_a_refresh_token_turns_loses_nothing(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    lose: Lose,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    with capture_logs() as logs:
        lost = await lose(standin)
        assert await lost.provider.access_token() == lost.token
    assert len(events(logs, "token_not_kept")) == 1
    assert asked_for_tokens(standin) == 1
    before = await refresh_token_in(database)
    clock.forward(hours=2)
    assert listener_of(standin, await lost.provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2
    assert await refresh_token_in(database) != before
    clock.forward(hours=2)
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_a_database_that_refuses_at_the_commit_loses_nothing(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    clock.forward(hours=2)
    standin.rotate_refresh_tokens = True
    provider = make_provider(standin)
    await refuse_to_commit(database)
    first = await provider.access_token()
    assert listener_of(standin, first) == ROBIN.account_id
    provider.reject(first)
    assert listener_of(standin, await provider.access_token()) is None
    assert await refresh_token_in(database) == grant.refresh_token
    await commit_again(database)
    provider.forget()
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert await refresh_token_in(database) != grant.refresh_token
    assert (await row_of(database)).state == "active"


@pytest.mark.parametrize("cause", ["disk_full", "raise_exception", "check_violation", "55000"])
@pytest.mark.gen_test
async def test_whatever_keeps_a_new_refresh_token_from_being_stored_it_is_not_lost(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
    clock: Clock,
    database: Database,
    cause: str,
) -> None:
    standin = await start_with_expired_login()
    standin.rotate_refresh_tokens = True
    provider = make_provider(standin)
    await refuse_to_commit(database, cause)
    with suppress(DBAPIError):
        await provider.access_token()
    await commit_again(database)
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert (await row_of(database)).state == "active"


@pytest.mark.gen_test
async def test_two_renewals_that_both_write_what_a_cut_database_missed_are_no_crash(
    start_standin: StartStandIn, lose: Lose, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    provider = (await lose(standin)).provider
    clock.forward(hours=2)
    asked = []
    for _ in range(4):
        provider.forget()
        asked.append(asyncio.create_task(provider.access_token()))
        await asyncio.sleep(0)
    tokens = set(await asyncio.gather(*asked))
    assert [listener_of(standin, token) for token in tokens] == [ROBIN.account_id]
    assert asked_for_tokens(standin) == 2


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_writes_what_a_cut_database_missed_without_waiting_for_the_next_renewal(
    start_standin: StartStandIn,
    start_holding_proxy: StartHoldingProxy,
    make_settings: MakeSettings,
    closing: Closing,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = start_standin([], clock=clock)
    standin.rotate_refresh_tokens = True
    grant = await log_in(standin)
    clock.forward(hours=2)
    gate = await start_holding_proxy(standin)
    freshet = Application(make_settings(standin, spotify_accounts_url=gate.url), clock)
    closing(freshet.stop)
    freshet.start()
    await gate.has_answer()
    await cut(elsewhere)
    gate.let_go()
    await until(lambda: standin.calls_to("/v1/"))
    assert await refresh_token_in(database) == grant.refresh_token
    async with asyncio.timeout(2 * RETRY_SECONDS):
        while await refresh_token_in(database) == grant.refresh_token:
            await asyncio.sleep(0.05)


@pytest.mark.gen_test
async def test_what_a_cut_database_missed_is_written_before_the_process_ends(
    start_standin: StartStandIn, make_provider: MakeProvider, lose: Lose, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    lost = await lose(standin)
    await lost.provider.stop(2)
    assert await make_provider(standin).access_token() == lost.token
    clock.forward(hours=2)
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_what_a_cut_database_missed_heals_a_login_that_another_process_took_for_dead(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    lose: Lose,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    lost = await lose(standin)
    other = make_provider(standin, database=elsewhere)
    assert listener_of(standin, await other.access_token()) is None
    assert (await row_of(database)).state == "consent_needed"
    clock.forward(hours=2)
    assert listener_of(standin, await lost.provider.access_token()) == ROBIN.account_id
    row = await row_of(database)
    assert (row.state, row.reason) == ("active", None)
    assert listener_of(standin, await other.access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_what_a_cut_database_missed_survives_a_second_renewal_that_found_the_login_dead(
    start_standin: StartStandIn,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    clock.forward(hours=2)
    gate = await start_holding_proxy(standin, held=2)
    provider = make_provider(standin, url=gate.url)
    first = asyncio.create_task(provider.access_token())
    await gate.has_answer(0)
    provider.forget()
    second = asyncio.create_task(provider.access_token())
    await someone_waits(elsewhere)
    await cut(elsewhere)
    await gate.has_answer(1)  # to a refresh token that has been turned
    gate.let_go(0)
    assert listener_of(standin, await first) == ROBIN.account_id
    gate.let_go(1)
    await second
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_what_a_cut_database_missed_survives_a_change_of_keys(
    start_standin: StartStandIn, lose: Lose, clock: Clock, database: Database, elsewhere: Database
) -> None:
    standin = start_standin(clock=clock)
    lost = await lose(standin, secret=f"{SECRET},{OTHER_SECRET}")
    changed = Encryption(f"{OTHER_SECRET},{SECRET}", "tokens")
    await ConsentMonitor(elsewhere, changed, (), clock).begin()
    clock.forward(hours=2)
    assert listener_of(standin, await lost.provider.access_token()) == ROBIN.account_id
    assert (await row_of(database)).state == "active"


@pytest.mark.gen_test
async def test_a_new_login_is_not_overwritten_by_what_a_cut_database_missed(
    start_standin: StartStandIn, lose: Lose, log_in: LogIn, clock: Clock, database: Database
) -> None:
    standin = start_standin(clock=clock)
    lost = await lose(standin)
    anew = await log_in(standin)
    lost.provider.forget()
    assert await lost.provider.access_token() == anew.access_token
    assert await refresh_token_in(database) == anew.refresh_token
    assert asked_for_tokens(standin) == 0


@pytest.mark.gen_test
async def test_a_deleted_login_is_not_brought_back_by_what_a_cut_database_missed(
    start_standin: StartStandIn, lose: Lose, clock: Clock, database: Database
) -> None:
    standin = start_standin(clock=clock)
    lost = await lose(standin)
    await database.run(token_store.delete_login, ROBIN.account_id)
    lost.provider.forget()
    assert listener_of(standin, await lost.provider.access_token()) is None
    assert await database.run(token_store.usable_accounts, ()) == []


def end_the_next_holder_of_a_row(database: Database) -> None:
    """Let its transaction not idle for long, as a server or a pooler of the operator's may.

    Later ones may, or they would end before their commit where the machine is busy.
    """
    holders: list[Any] = []

    def be_impatient(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FOR UPDATE" in statement and not holders:
            holders.append(cursor.connection)
            with cursor.connection.cursor() as another:
                another.execute("SET LOCAL idle_in_transaction_session_timeout TO '50ms'")

    event.listen(database.engine, "after_cursor_execute", be_impatient)


@pytest.mark.gen_test
async def test_a_database_that_ends_idle_transactions_costs_no_token(
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
    end_the_next_holder_of_a_row(database)
    gate, provider, asked = await hold_refresh(standin)
    async with asyncio.timeout(30):
        while await elsewhere.run(lambda session: session.scalar(text(IDLE))):
            await asyncio.sleep(0.01)
    gate.let_go()
    access = await asked
    assert listener_of(standin, access) == ROBIN.account_id
    provider.reject(access)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2


@pytest.mark.gen_test
async def test_a_database_away_before_the_refresh_costs_the_app_a_token_and_the_login_nothing(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
    database_url: URL,
) -> None:
    standin = await start_with_expired_login()
    moody = Database(database_url)
    provider = make_provider(standin, database=moody)  # not connected yet
    assert listener_of(standin, await provider.access_token()) is None
    moody.connect()
    provider.forget()
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    moody.close()
    assert asked_for_tokens(standin) == 2


@pytest.mark.gen_test
async def test_a_table_that_is_missing_for_a_while_loses_nothing(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
    database: Database,
) -> None:
    def rename(old: str, new: str) -> Any:
        return database.run(
            lambda session: session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        )

    standin = await start_with_expired_login()
    provider = make_provider(standin)
    await rename("logins", "logins_away")
    with pytest.raises(SchemaMismatch):
        await provider.access_token()
    await rename("logins_away", "logins")
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 1


@pytest.mark.gen_test
async def test_a_revoked_refresh_token_is_told_once_kept_and_never_tried_again(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    standin.revoke_refresh_tokens()
    clock.forward(hours=2)
    keepers = make_provider(standin), make_provider(standin, database=elsewhere)
    with capture_logs() as logs:
        tokens = await asyncio.gather(
            *(provider.access_token() for provider in keepers for _ in range(10))
        )
    assert [listener_of(standin, token) for token in set(tokens)] == [None]
    assert [line["log_level"] for line in events(logs, "consent_needed")] == ["warning"]
    told = events(logs, "consent_needed")[0]
    assert told["account_id"] == ROBIN.account_id
    assert told["reason"] == "Refresh token revoked"
    assert "/auth/login/" in told["hint"]
    row = await row_of(database)
    assert (row.state, row.reason) == ("consent_needed", "Refresh token revoked")
    assert await refresh_token_in(database) == grant.refresh_token
    assert asked_for_tokens(standin) == 2
    with capture_logs() as logs:
        for hours in range(1, 4):
            clock.forward(hours=2)
            for provider in (*keepers, make_provider(standin)):
                assert listener_of(standin, await provider.access_token()) is None
            assert asked_for_tokens(standin) == 2 + hours
    assert events(logs, "consent_needed") == []


@pytest.mark.gen_test
async def test_a_new_consent_heals_a_dead_login_at_once(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    standin.revoke_refresh_tokens()
    clock.forward(hours=2)
    provider = make_provider(standin)
    assert listener_of(standin, await provider.access_token()) is None
    grant = await log_in(standin)
    provider.forget()
    assert await provider.access_token() == grant.access_token
    row = await row_of(database)
    assert (row.state, row.reason, row.authorized_at) == ("active", None, clock())
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id


@pytest.mark.parametrize("late", [False, True], ids=["a second before", "at the end"])
@pytest.mark.gen_test
async def test_a_refresh_token_lives_for_six_months_to_the_second(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    late: bool,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    end = end_of_consent(clock())
    provider = make_provider(standin)
    while clock() < end - timedelta(days=31):
        clock.forward(days=30)
        assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    clock.moment = end if late else end - timedelta(seconds=1)
    with capture_logs() as logs:
        whose = listener_of(standin, await provider.access_token())
    row = await row_of(database)
    if late:
        assert (whose, row.state, row.reason) == (None, "consent_needed", "Refresh token expired")
    else:
        assert (whose, row.state, row.reason) == (ROBIN.account_id, "active", None)
    assert len(events(logs, "consent_needed")) == late


@pytest.mark.gen_test
async def test_the_end_of_one_login_is_not_the_end_of_another(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin, SAM)
    clock.forward(seconds=1)
    await log_in(standin)
    clock.forward(hours=2)
    standin.answer_next(TOKEN, Answer(400, REVOKED))
    assert listener_of(standin, await make_provider(standin).access_token()) == SAM.account_id
    assert (await row_of(database)).state == "consent_needed"
    assert (await row_of(database, SAM.account_id)).state == "active"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(500), SpotifyUnavailable),
        (Answer(503, b"<html>busy</html>"), SpotifyUnavailable),
        (Answer(400, {"error": "invalid_client"}), CredentialsRejected),
    ],
    ids=lambda value: f"{value.status}-{value.body!r}" if isinstance(value, Answer) else None,
)
@pytest.mark.gen_test
async def test_what_is_no_end_of_a_login_is_raised_and_forgotten(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    answer: Answer,
    expected: type[SpotifyError],
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    clock.forward(hours=2)
    provider = make_provider(standin)
    standin.answer_next(TOKEN, answer)
    with capture_logs() as logs, pytest.raises(expected):
        await provider.access_token()
    assert logs == []
    row = await row_of(database)
    assert (row.state, row.reason) == ("active", None)
    assert await refresh_token_in(database) == grant.refresh_token
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2


ODD_ANSWERS = [
    Answer(200, b"<html>Hello</html>"),
    Answer(200, b'{"access_token": "BQ'),
    Answer(200, {"expires_in": 3600, "refresh_token": "AQ-of-nothing"}),
    Answer(200, {"access_token": "BQ", "expires_in": 0}),
    Answer(200, b"\xff\xfe\x00"),
    Answer(204),
    Answer(302, b"", {"Location": "http://127.0.0.1:9/"}),
    Answer(400, b"Bad Request"),
    Answer(400, {"error": "temporarily_unavailable"}),
    Answer(400, {"error": {"error": "invalid_grant"}}),
    Answer(403, b"Forbidden"),
]


@pytest.mark.parametrize("answer", ODD_ANSWERS, ids=lambda each: f"{each.status}-{each.body!r}")
@pytest.mark.gen_test
async def test_a_refresh_that_is_answered_oddly_lets_the_app_stand_in_until_the_next_one(
    start_standin: StartStandIn,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    database: Database,
    answer: Answer,
) -> None:
    standin = start_standin(clock=clock)
    grant = await log_in(standin)
    clock.forward(hours=2)
    provider = make_provider(standin)
    standin.answer_next(TOKEN, answer)
    with capture_logs() as logs:
        assert listener_of(standin, await provider.access_token()) is None
    (failure,) = events(logs, "token_refresh_failed")
    assert (failure["account_id"], failure["log_level"]) == (ROBIN.account_id, "warning")
    assert "the accounts service" in failure["reason"]
    row = await row_of(database)
    assert (row.state, row.reason) == ("active", None)
    assert await refresh_token_in(database) == grant.refresh_token
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 3


@pytest.mark.gen_test
async def test_a_login_stands_in_for_one_whose_refreshes_are_answered_oddly(
    start_standin: StartStandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin, SAM)
    clock.forward(seconds=1)
    await log_in(standin)
    provider = make_provider(standin)
    for _ in range(3):
        clock.forward(hours=2)
        standin.answer_next(TOKEN, Answer(400, {"error": "invalid_request"}))
        assert listener_of(standin, await provider.access_token()) == SAM.account_id


@pytest.mark.gen_test
async def test_odd_answers_to_the_app_itself_as_well_are_raised(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
) -> None:
    standin = await start_with_expired_login()
    standin.answer_next(TOKEN, Answer(400, {"error": "invalid_request"}), times=2)
    with pytest.raises(BadAnswer, match="invalid_request"):
        await make_provider(standin).access_token()


@pytest.mark.gen_test
async def test_a_refresh_that_is_not_answered_in_time_is_raised_and_forgotten(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    database: Database,
) -> None:
    standin = await start_with_expired_login()
    gate = await start_holding_proxy(standin)
    hasty = Transport(seconds=0.1)
    with pytest.raises(SpotifyTimeout):
        await make_provider(standin, url=gate.url, transport=hasty).access_token()
    hasty.close()
    gate.let_go()
    assert (await row_of(database)).state == "active"
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", b"SSH-2.0-OpenSSH\r\n"]
)
@pytest.mark.gen_test
async def test_a_refresh_that_is_cut_short_is_raised_and_forgotten(
    start_with_expired_login: StartWithExpiredLogin,
    start_raw: StartRaw,
    make_provider: MakeProvider,
    database: Database,
    said: bytes,
) -> None:
    standin = await start_with_expired_login()
    server = await start_raw(said)
    with pytest.raises(SpotifyUnavailable):
        await make_provider(standin, url=server.url).access_token()
    assert server.connections == 1
    assert (await row_of(database)).state == "active"
    assert listener_of(standin, await make_provider(standin).access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_the_end_of_a_login_is_told_once_though_the_database_is_cut_as_it_is_noted(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    clock: Clock,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = await start_with_expired_login()
    standin.revoke_refresh_tokens()
    gate = await start_holding_proxy(standin)
    provider = make_provider(standin, url=gate.url)
    with capture_logs() as logs:
        asked = asyncio.create_task(provider.access_token())
        await gate.has_answer()
        await cut(elsewhere)
        gate.let_go()
        assert listener_of(standin, await asked) is None
        clock.forward(hours=2)
        assert listener_of(standin, await provider.access_token()) is None
    assert (await row_of(database)).state == "consent_needed"
    assert len(events(logs, "consent_needed")) == 1


@pytest.mark.gen_test
async def test_the_end_of_a_login_is_told_once_it_is_noted_and_not_before(
    start_with_expired_login: StartWithExpiredLogin,
    make_provider: MakeProvider,
    clock: Clock,
    database: Database,
) -> None:
    standin = await start_with_expired_login()
    standin.revoke_refresh_tokens()
    provider = make_provider(standin)
    await refuse_to_commit(database)
    with capture_logs() as logs:
        assert listener_of(standin, await provider.access_token()) is None
    assert (await row_of(database)).state == "active"
    assert events(logs, "consent_needed") == []
    await commit_again(database)
    clock.forward(hours=2)
    with capture_logs() as logs:
        assert listener_of(standin, await provider.access_token()) is None
    assert (await row_of(database)).state == "consent_needed"
    assert len(events(logs, "consent_needed")) == 1


@pytest.mark.gen_test
async def test_a_row_whose_holder_is_cut_goes_to_who_waits_for_it(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    elsewhere: Database,
) -> None:
    standin = await start_with_expired_login()
    gate = await start_holding_proxy(standin)
    slow = asyncio.create_task(make_provider(standin, url=gate.url).access_token())
    await gate.has_answer()
    quick = asyncio.create_task(make_provider(standin, database=elsewhere).access_token())
    await someone_waits(elsewhere)
    await cut(elsewhere)
    assert listener_of(standin, await quick) == ROBIN.account_id
    assert not slow.done()
    gate.let_go()
    assert listener_of(standin, await slow) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2


@pytest.mark.gen_test
async def test_a_row_held_by_a_frozen_process_is_let_go_before_others_give_up(
    database: Database,
) -> None:
    """The holder may wait for Spotify as long as it can take, and not longer."""
    named = "SELECT setting::int / 1000 FROM pg_settings WHERE name = '{}'"

    def limits(session: Any) -> list[int]:
        names = "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"
        return [session.scalar(text(named.format(name))) for name in names]

    held, *patience = await database.run(limits)
    assert MAX_REQUEST_SECONDS < held < min(patience)


@pytest.mark.gen_test
async def test_a_renewal_takes_no_more_than_one_of_the_databases_threads(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    make_provider: MakeProvider,
    database: Database,
) -> None:
    standin = await start_with_expired_login()
    gate = await start_holding_proxy(standin)
    provider = make_provider(standin, url=gate.url)
    asked = [asyncio.create_task(provider.access_token()) for _ in range(100)]
    await gate.has_answer()
    meeting = threading.Barrier(3)
    await asyncio.gather(*(database.compute(meeting.wait, 2) for _ in range(3)))
    gate.let_go()
    await asyncio.gather(*asked)


@pytest.mark.gen_test
async def test_a_login_can_be_made_anew_while_its_token_is_renewed(
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
    logging_in = asyncio.create_task(log_in(standin))
    await someone_waits(elsewhere)
    gate.let_go()
    anew = await logging_in
    await renewing
    provider.forget()
    assert await provider.access_token() == anew.access_token
    assert await refresh_token_in(database) == anew.refresh_token


@pytest.mark.gen_test
async def test_a_login_that_dies_as_it_is_made_anew_lives(
    start_with_expired_login: StartWithExpiredLogin,
    hold_refresh: HoldRefresh,
    log_in: LogIn,
    database: Database,
    elsewhere: Database,
) -> None:
    standin = await start_with_expired_login()
    standin.revoke_refresh_tokens()
    gate, provider, renewing = await hold_refresh(standin)
    logging_in = asyncio.create_task(log_in(standin))
    await someone_waits(elsewhere)
    gate.let_go()
    anew = await logging_in
    await renewing
    row = await row_of(database)
    assert (row.state, row.reason) == ("active", None)
    provider.forget()
    assert await provider.access_token() == anew.access_token


@pytest.mark.gen_test
async def test_the_end_waits_for_a_renewal_that_the_keeper_has_turned_away_from(
    start_standin: StartStandIn,
    hold_refresh: HoldRefresh,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    clock.forward(hours=2)
    gate, provider, renewing = await hold_refresh(standin)
    provider.forget()
    stopping = asyncio.create_task(provider.stop(5))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    gate.let_go()
    await stopping
    assert await make_provider(standin).access_token() == await renewing


@pytest.mark.gen_test
async def test_the_end_does_not_wait_for_a_renewal_for_ever(
    start_with_expired_login: StartWithExpiredLogin,
    hold_refresh: HoldRefresh,
) -> None:
    standin = await start_with_expired_login()
    gate, provider, renewing = await hold_refresh(standin)
    await provider.stop(0.1)
    assert not renewing.done()
    gate.let_go()
    await renewing


@pytest.mark.gen_test
async def test_a_server_stopped_in_the_middle_of_a_renewal_keeps_what_comes_of_it(
    start_standin: StartStandIn,
    start_holding_proxy: StartHoldingProxy,
    make_settings: MakeSettings,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    clock.forward(hours=2)
    gate = await start_holding_proxy(standin)
    freshet = Application(make_settings(standin, spotify_accounts_url=gate.url), clock)
    freshet.start()
    await gate.has_answer()
    stopping = asyncio.create_task(freshet.stop())
    await asyncio.sleep(0.05)
    gate.let_go()
    await stopping
    provider = make_provider(standin)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
    assert asked_for_tokens(standin) == 1
    clock.forward(hours=2)
    assert listener_of(standin, await provider.access_token()) == ROBIN.account_id


@pytest.mark.gen_test
async def test_a_closed_database_is_no_reason_to_fail(
    start_standin: StartStandIn, make_provider: MakeProvider, database_url: URL
) -> None:
    closed = Database(database_url)
    closed.connect()
    closed.close()
    with pytest.raises(DatabaseUnavailable):
        await closed.run(lambda session: None)
    standin = start_standin()
    assert (
        listener_of(standin, await make_provider(standin, database=closed).access_token()) is None
    )


@pytest.mark.gen_test
async def test_a_grant_refused_to_the_app_itself_buries_nobody(
    start_standin: StartStandIn, make_provider: MakeProvider, database: Database
) -> None:
    standin = start_standin()
    provider = make_provider(standin)
    standin.answer_next(TOKEN, Answer(400, REVOKED))
    with capture_logs() as logs, pytest.raises(SpotifyError):
        await provider.access_token()
    assert logs == []
    assert listener_of(standin, await provider.access_token()) is None
    row = await row_of(database, "app:standin-client")
    assert (row.state, row.refresh_token) == ("active", None)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.gen_test
async def test_however_often_commits_fail_the_login_lives_once_they_succeed(
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
    standin.rotate_refresh_tokens = True
    await log_in(standin)
    keepers = [make_provider(standin), make_provider(standin, database=elsewhere)]
    for _ in range(12 if long else 5):
        fails = dice.random() < 0.5
        if fails:
            await refuse_to_commit(database)
        for _ in range(5):
            clock.forward(minutes=dice.choice([1, 30, 61]))
            provider = dice.choice(keepers)
            if dice.random() < 0.3:
                provider.forget()
            listener_of(standin, await provider.access_token())
            if dice.random() < 0.2:
                provider.reject(await provider.access_token())
        if fails:
            await commit_again(database)
        for provider in keepers:
            await provider.stop(5)
            provider.forget()
        clock.forward(hours=2)
        for provider in keepers:
            assert listener_of(standin, await provider.access_token()) == ROBIN.account_id
        assert (await row_of(database)).state == "active"
