"""Access keys: made, found, used and revoked, on real PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import Login
from server.database.executor import Database
from server.login.access_keys import KEY_LENGTH, AccessKeys
from server.login.key_store import MOST_KEYS, KeyOwner
from server.request_errors import TooManyKeys
from server.spotify.auth import token_store
from tests.support.clock import Clock


@pytest.fixture
def keys(database: Database, clock: Clock) -> AccessKeys:
    with Session(database.engine) as session, session.begin():
        for name in "ab":
            session.add(Login(account_id=name, scopes=[], state="active", authorized_at=clock()))
    return AccessKeys(database, (), clock)


@pytest.mark.gen_test
async def test_a_key_is_known_until_it_is_revoked(keys: AccessKeys) -> None:
    made = await keys.create("a", "my feed reader", ["manage", "read"])
    assert len(made.key) == KEY_LENGTH
    assert made.entry.scopes == ("read", "manage")
    assert made.key.startswith(made.entry.hint)
    assert await keys.find(made.key) == KeyOwner("a", frozenset({"read", "manage"}))
    assert await keys.revoke("a", made.entry.id)
    assert await keys.find(made.key) is None
    assert not await keys.revoke("a", made.entry.id)


@pytest.mark.gen_test
async def test_the_database_holds_nothing_that_grants_access(
    keys: AccessKeys, database: Database
) -> None:
    made = await keys.create("a", "x", ["read"])
    with database.engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM access_keys")).all())
    assert made.key not in stored
    assert made.key not in repr(made)


@pytest.mark.gen_test
async def test_an_account_neither_sees_nor_revokes_anothers_keys(keys: AccessKeys) -> None:
    mine = await keys.create("a", "mine", ["read"])
    servers = await keys.create(None, "servers", ["read"])
    for identity in (mine.entry.id, servers.entry.id):
        assert not await keys.revoke("b", identity)
    assert await keys.entries("b") == []
    assert [each.name for each in await keys.entries("a")] == ["mine"]
    assert [each.name for each in await keys.entries(None)] == ["servers"]


@pytest.mark.gen_test
async def test_the_last_use_is_stored_once_a_minute(keys: AccessKeys, clock: Clock) -> None:
    made = await keys.create("a", "x", ["read"])
    used = []
    for seconds in (0, 30, 31, 3600):
        clock.forward(seconds=seconds)
        await keys.find(made.key)
        used.append((await keys.entries("a"))[0].last_used_at)
    start = used[0]
    assert start is not None
    assert used == [start, start, start + timedelta(seconds=61), start + timedelta(seconds=3661)]


@pytest.mark.gen_test
async def test_a_database_that_can_only_be_read_still_lets_a_key_in(
    keys: AccessKeys, database: Database
) -> None:
    made = await keys.create("a", "x", ["read"])
    sql = 'ALTER DATABASE "{}" {} default_transaction_read_only {}'
    name = database.engine.url.database
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(sql.format(name, "SET", "= on")))
        try:
            database.engine.dispose()
            assert await keys.find(made.key) == KeyOwner("a", frozenset({"read"}))
            assert (await keys.entries("a"))[0].last_used_at is None
        finally:
            connection.execute(text(sql.format(name, "RESET", "")))


@pytest.mark.gen_test
async def test_keys_end_with_their_account_and_with_its_permission_to_log_in(
    keys: AccessKeys, database: Database, clock: Clock
) -> None:
    mine, others = await keys.create("a", "x", ["read"]), await keys.create("b", "x", ["read"])
    servers = await keys.create(None, "x", ["sync"])
    restricted = AccessKeys(database, ("b",), clock)
    assert await restricted.find(mine.key) is None
    assert await restricted.find(others.key) is not None
    await database.run(token_store.delete_login, "b")
    assert await keys.find(others.key) is None
    assert await restricted.find(servers.key) == KeyOwner(None, frozenset({"sync"}))


@pytest.mark.parametrize("text", ["", "fr_", "fr_" + "x" * 43, "fr_" + "é" * 43, "x" * 5000, "\0"])
@pytest.mark.gen_test
async def test_what_is_no_key_is_nobodys(keys: AccessKeys, text: str) -> None:
    await keys.create("a", "x", ["read"])
    assert await keys.find(text) is None


@pytest.mark.gen_test
async def test_one_owner_cannot_fill_the_table(keys: AccessKeys) -> None:
    for number in range(MOST_KEYS):
        await keys.create("a", str(number), ["read"])
    with pytest.raises(TooManyKeys, match="can have 50 keys"):
        await keys.create("a", "one more", ["read"])
    await keys.create("b", "another's", ["read"])
