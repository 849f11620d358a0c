"""Tokens are kept encrypted, renewed only when they have to be, and never shown."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from server.database import Database
from server.errors import CredentialsRejected, SpotifyUnavailable
from server.keyring import Keyring
from server.spotify.oauth import Accounts
from server.spotify.renewal import AccessToken, Renewer
from server.spotify.standin import Answer, StandIn
from server.spotify.tokens import TokenKeeper
from server.spotify.transport import Transport
from tests.conftest import SECRET, Clock
from tests.test_transport import free_port, transport

__all__ = ["transport"]

TOKEN = "/api/token"
OTHER_SECRET = "another secret, as long as it has to be"

KeeperOf = Callable[..., TokenKeeper]


@pytest.fixture
def keeper_of(transport: Transport, database: Database, clock: Clock) -> KeeperOf:
    """A keeper as a process that has just started would make it."""

    def make(standin: StandIn, **changes: Any) -> TokenKeeper:
        options: dict[str, Any] = {
            "database": database,
            "client_id": "standin-client",
            "allowed": (),
            "now": clock,
            **changes,
        }
        options["keyring"] = Keyring(options.pop("secret", SECRET), "tokens")
        accounts = Accounts(
            transport, standin.accounts_url, standin.world.client_id, standin.world.client_secret
        )
        return TokenKeeper(Renewer(accounts=accounts, **options), options["now"])

    return make


async def everything_in(database: Database) -> str:
    """Every column of every table, bytes as text too."""

    def read(session: Any) -> str:
        tables = session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).all()
        found = []
        for table in tables:
            for row in session.execute(text(f'SELECT * FROM "{table}"')):
                found += [
                    value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    for value in row
                ]
        return "\n".join(found)

    return await database.run(read)


@pytest.mark.gen_test
async def test_the_plain_token_is_in_no_column_of_the_database(
    start_standin: Any, keeper_of: KeeperOf, database: Database
) -> None:
    token = await keeper_of(start_standin()).access_token()
    content = await everything_in(database)
    assert "app:standin-client" in content
    assert token not in content
    assert token.encode().hex() not in content
    assert SECRET not in content


@pytest.mark.gen_test
async def test_a_restart_asks_for_no_token(
    start_standin: Any, keeper_of: KeeperOf, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    token = await keeper_of(standin).access_token()
    assert await keeper_of(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_hundred_concurrent_callers_cause_one_request(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    tokens = await asyncio.gather(*(keeper.access_token() for _ in range(100)))
    assert len(set(tokens)) == 1
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_hundred_callers_of_an_expired_token_cause_one_request(
    start_standin: Any, keeper_of: KeeperOf, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    keeper = keeper_of(standin)
    first = await keeper.access_token()
    clock.forward(hours=2)
    tokens = await asyncio.gather(*(keeper.access_token() for _ in range(100)))
    assert set(tokens) != {first}
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_caller_that_gives_up_does_not_stop_the_others(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    impatient = asyncio.create_task(keeper.access_token())
    patient = asyncio.create_task(keeper.access_token())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient


@pytest.mark.gen_test
async def test_a_token_is_renewed_a_minute_before_it_expires(
    start_standin: Any, keeper_of: KeeperOf, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    keeper = keeper_of(standin)
    first = await keeper.access_token()
    clock.forward(seconds=3600 - 61)
    assert await keeper.access_token() == first
    assert await keeper_of(standin).access_token() == first
    clock.forward(seconds=1)
    assert await keeper_of(standin).access_token() != first
    assert await keeper.access_token() != first
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_renewed_token_survives_a_restart_too(
    start_standin: Any, keeper_of: KeeperOf, clock: Clock
) -> None:
    standin = start_standin(clock=clock)
    keeper = keeper_of(standin)
    await keeper.access_token()
    clock.forward(hours=2)
    second = await keeper.access_token()
    assert await keeper_of(standin).access_token() == second
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_rotated_secret_still_reads_the_token(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    token = await keeper_of(standin).access_token()
    with capture_logs() as logs:
        rotated = keeper_of(standin, secret=f"{OTHER_SECRET}, {SECRET}")
        assert await rotated.access_token() == token
    assert standin.calls_to(TOKEN) == 1
    assert logs == []


@pytest.mark.gen_test
async def test_a_foreign_secret_is_warned_of_and_costs_a_new_token(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    token = await keeper_of(standin).access_token()
    with capture_logs() as logs:
        foreign = keeper_of(standin, secret=OTHER_SECRET)
        assert await foreign.access_token() != token
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("token_unreadable", "warning"),
        ("token_refreshed", "info"),
    ]
    assert standin.calls_to(TOKEN) == 2
    assert token not in str(logs)


@pytest.mark.gen_test
async def test_garbage_in_the_table_is_no_token(
    start_standin: Any, keeper_of: KeeperOf, database: Database
) -> None:
    standin = start_standin()
    await keeper_of(standin).access_token()
    for garbage in ("''", "'\\xff00'", "NULL"):
        await database.run(
            lambda session, value: session.execute(
                text(f"UPDATE logins SET access_token = {value}")
            ),
            garbage,
        )
        assert await keeper_of(standin).access_token()
    assert standin.calls_to(TOKEN) == 4


@pytest.mark.gen_test
async def test_without_a_database_a_token_works_in_memory(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    away = Database(make_url(f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing"))
    away.connect()
    keeper = keeper_of(standin, database=away)
    with capture_logs() as logs:
        token = await keeper.access_token()
        assert await keeper.access_token() == token
    assert standin.calls_to(TOKEN) == 1
    assert [log["event"] for log in logs] == ["token_not_kept", "token_refreshed"]
    keeper.reject(token)
    assert await keeper.access_token() != token
    away.close()


@pytest.mark.gen_test
async def test_a_database_that_goes_away_takes_no_token_with_it(
    start_standin: Any, keeper_of: KeeperOf, database: Database
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    token = await keeper.access_token()
    await database.run(
        lambda session: session.execute(text("ALTER TABLE logins RENAME TO logins_away"))
    )
    assert await keeper.access_token() == token


@pytest.mark.gen_test
async def test_another_client_id_does_not_use_this_ones_token(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    token = await keeper_of(standin).access_token()
    assert await keeper_of(standin, client_id="another-client").access_token() != token
    assert await keeper_of(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_a_rejected_token_is_not_taken_from_the_database_again(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    token = await keeper.access_token()
    keeper.reject(token)
    second = await keeper.access_token()
    assert second != token
    assert await keeper_of(standin).access_token() == second
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_rejecting_an_older_token_forgets_nothing(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    token = await keeper.access_token()
    keeper.reject("BQ-some-older-token")
    assert await keeper.access_token() == token
    assert await keeper_of(standin).access_token() == token
    assert standin.calls_to(TOKEN) == 1


@pytest.mark.gen_test
async def test_a_token_that_another_process_has_renewed_is_used_and_not_forgotten(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    here, there = keeper_of(standin), keeper_of(standin)
    old = await here.access_token()
    assert await there.access_token() == old
    here.reject(old)
    new = await here.access_token()
    there.reject(old)
    assert await there.access_token() == new
    assert standin.calls_to(TOKEN) == 2


@pytest.mark.gen_test
async def test_what_the_accounts_service_refuses_is_raised_and_asked_again_next_time(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    standin = start_standin()
    keeper = keeper_of(standin)
    standin.answer_next(TOKEN, Answer(400, {"error": "invalid_client"}))
    standin.answer_next(TOKEN, Answer(503))
    with pytest.raises(CredentialsRejected):
        await keeper.access_token()
    with pytest.raises(SpotifyUnavailable):
        await keeper.access_token()
    assert await keeper.access_token()


@pytest.mark.gen_test
async def test_nothing_that_is_logged_or_shown_holds_the_token(
    start_standin: Any, keeper_of: KeeperOf
) -> None:
    keeper = keeper_of(start_standin())
    with capture_logs() as logs:
        token = await keeper.access_token()
    assert logs[0]["event"] == "token_refreshed"
    for shown in (str(logs), repr(keeper), repr(keeper._token), str(keeper._token)):
        assert token not in shown
        assert SECRET not in shown


def test_a_token_is_fresh_until_a_minute_before_its_end() -> None:
    end = datetime(2026, 11, 20, 12, tzinfo=UTC)
    token = AccessToken("value", "app:client", end)
    assert token.is_fresh(end - timedelta(seconds=60, microseconds=1))
    assert not token.is_fresh(end - timedelta(seconds=60))
