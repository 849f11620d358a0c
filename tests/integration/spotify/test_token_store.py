"""The table `logins`: whose row is whose, what a new login changes, and what it must not touch."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import URL, select, text
from sqlalchemy.orm import Session

from models import BrowserSession, Login
from server.database.executor import Database
from server.encryption import Encryption
from server.login import key_store, session_store
from server.spotify.auth import token_store
from server.spotify.profile import Profile
from server.spotify.transport import Transport
from server.spotify.types import Grant
from server.standin import Answer
from server.storage import following
from tests.support.grants import GRANT, ROBIN
from tests.support.rate_limiters import accounts_of
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn
from tests.support.tokens import OTHER_SECRET, everything_in, someone_waits

RING = Encryption(SECRET, "tokens")
NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=10)
ANEW = Grant("BQ-anew", 3600, "AQ-anew", ("user-follow-read", "user-top-read"))
SAM = Profile("account-sam", "sam", "Sam")
APP = "app:standin-client"

Table = Callable[[], list[Login]]


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with Session(database.engine) as session, session.begin():
        yield session


@pytest.fixture
def table(session: Session) -> Table:
    """All rows, as the database has them."""

    def read() -> list[Login]:
        session.flush()
        session.expire_all()
        return list(session.scalars(select(Login).order_by(Login.account_id)))

    return read


def record(session: Session, profile: Profile, grant: Grant = GRANT, at: datetime = NOW) -> None:
    token_store.record_consent(session, profile, grant, at, RING)


def ids(rows: list[Login]) -> list[tuple[str, str | None]]:
    return [(row.account_id, row.user_id) for row in rows]


def add_app(session: Session) -> None:
    row = token_store.lock_app(session, APP)
    token_store.store_grant(row, Grant("BQ-of-the-app", 3600), NOW + timedelta(hours=1), RING)
    session.flush()


def test_choices_and_keys_of_an_older_name_stay_when_its_row_is_replaced(
    session: Session, table: Table
) -> None:
    record(session, Profile("account-robin", None, "Robin"))
    record(session, Profile(None, "robin", "Robin"), at=LATER)
    assert ids(table()) == [("account-robin", None), ("id:robin", "robin")]
    following.choose(session, "account-robin", {"x": None}, "watched", NOW)
    following.choose(session, "id:robin", {"x": None, "y": None}, "ignored", NOW)
    key_store.insert(session, "id:robin", "script", ["read"], "fr_key", "fr_k", NOW)
    record(session, ROBIN, at=LATER)
    assert ids(table()) == [("account-robin", "robin")]
    mine = following.read_mine(session, "account-robin")
    assert (set(mine.watched), set(mine.ignored)) == ({"x"}, {"y"})
    assert [key.name for key in key_store.entries(session, "account-robin")] == ["script"]


def test_a_first_login_is_kept_whole(session: Session, table: Table) -> None:
    record(session, ROBIN)
    [row] = table()
    assert (row.account_id, row.user_id, row.display_name) == ("account-robin", "robin", "Robin")
    assert (row.state, row.reason, row.reminded_at) == ("active", None, None)
    assert row.scopes == ["user-follow-read"]
    assert row.authorized_at == NOW
    assert row.expires_at == NOW + timedelta(hours=1)
    assert RING.open(row.access_token or b"") == "BQ-access"
    assert RING.open(row.refresh_token or b"") == "AQ-refresh"


def test_a_new_login_takes_the_place_of_the_older_one(session: Session, table: Table) -> None:
    record(session, ROBIN)
    token_store.mark_consent_needed(session, ROBIN.key, "Refresh token revoked", LATER)
    token_store.claim_reminder(session, ROBIN.key, NOW)
    record(session, Profile("account-robin", "robin-renamed", None), ANEW, LATER)
    [row] = table()
    assert (row.account_id, row.user_id, row.display_name) == (
        "account-robin",
        "robin-renamed",
        None,
    )
    assert (row.state, row.reason, row.reminded_at) == ("active", None, None)
    assert row.scopes == ["user-follow-read", "user-top-read"]
    assert (row.authorized_at, row.expires_at) == (LATER, LATER + timedelta(hours=1))
    assert RING.open(row.access_token or b"") == "BQ-anew"
    assert RING.open(row.refresh_token or b"") == "AQ-anew"


def test_an_account_known_by_its_user_id_gets_its_account_id(
    session: Session, table: Table
) -> None:
    admission = session_store.admit(session, Profile(None, "robin", None), GRANT, (), RING, NOW)
    assert admission is not None
    record(session, ROBIN, ANEW, LATER)
    assert ids(table()) == [("account-robin", "robin")]
    visitor = session_store.visitor(session, admission.session, (), LATER)
    assert visitor is not None
    assert visitor.account_id == "account-robin"


def test_a_profile_without_account_id_is_known_by_its_user_id(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    unnamed = Profile(None, "robin", "Robin")
    assert not token_store.is_taken_by_others(session, unnamed)
    record(session, unnamed, ANEW, LATER)
    assert len(table()) == 1
    record(session, ROBIN, GRANT, LATER)
    assert ids(table()) == [("account-robin", "robin")]


def test_an_account_id_once_known_is_not_lost_to_a_profile_without_it(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    record(session, Profile(None, "robin", "Robin"), ANEW, LATER)
    stranger = Profile("account-stranger", "robin", "Another Robin")
    assert token_store.is_taken_by_others(session, stranger)
    assert ids(table()) == [("account-robin", "robin")]


def test_the_same_user_id_under_another_account_id_is_somebody_else(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    stranger = Profile("account-stranger", "robin", "Another Robin")
    assert token_store.is_taken_by_others(session, stranger)
    assert session_store.admit(session, stranger, ANEW, (), RING, LATER) is None
    record(session, stranger, ANEW, LATER)
    assert ids(table()) == [("account-robin", "robin"), ("account-stranger", "robin")]
    assert RING.open(table()[0].refresh_token or b"") == "AQ-refresh"


def test_a_user_id_that_is_somebody_elses_account_id_is_no_key_to_it(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    stranger = Profile("account-stranger", ROBIN.key, None)
    assert token_store.is_taken_by_others(session, stranger)
    record(session, stranger, ANEW, LATER)
    assert RING.open(table()[0].refresh_token or b"") == "AQ-refresh"
    assert len(table()) == 2


NAMELESS = Profile(None, ROBIN.key, "No account_id, and Robin's for an id")


def test_an_account_without_account_id_is_not_the_one_whose_account_id_is_its_id(
    session: Session, table: Table
) -> None:
    for first, second in ((ROBIN, NAMELESS), (NAMELESS, ROBIN)):
        record(session, first)
        assert token_store.is_taken_by_others(session, second)
        assert session_store.admit(session, second, ANEW, (), RING, LATER) is None
        record(session, second, ANEW, LATER)
        assert ids(table()) == [("account-robin", "robin"), ("id:account-robin", "account-robin")]
        for each in (ROBIN, NAMELESS):
            token_store.delete_login(session, each.key)
        assert table() == []


def test_a_login_that_an_older_version_kept_under_its_bare_id_becomes_no_other_accounts(
    session: Session, table: Table
) -> None:
    """It keeps its session and its tokens, and the account of that account_id gets neither."""
    admission = session_store.admit(session, NAMELESS, GRANT, (), RING, NOW)
    assert admission is not None
    session.execute(text("UPDATE logins SET account_id = user_id"))
    assert token_store.usable_accounts(session, ["account-robin"]) == []
    assert session_store.admit(session, ROBIN, ANEW, (), RING, LATER) is None
    record(session, ROBIN, ANEW, LATER)
    assert ids(table()) == [("account-robin", "robin"), ("id:account-robin", "account-robin")]
    assert RING.open(table()[1].refresh_token or b"") == "AQ-refresh"
    visitor = session_store.visitor(session, admission.session, (), LATER)
    assert visitor is not None
    assert visitor.account_id == "id:account-robin"
    assert session_store.visitor(session, admission.session, ["account-robin"], LATER) is None


def test_an_account_whose_two_ids_are_alike_is_known_by_its_account_id(
    session: Session, table: Table
) -> None:
    alike = Profile("robin", "robin", "Robin")
    record(session, Profile(None, "robin", "Robin"))
    for _ in range(2):
        assert not token_store.is_taken_by_others(session, alike)
        admission = session_store.admit(session, alike, ANEW, ["robin"], RING, LATER)
        assert admission is not None
        assert session_store.visitor(session, admission.session, ["robin"], LATER) is not None
        assert ids(table()) == [("robin", None)]


def test_an_entry_that_was_an_older_id_is_found_with_what_to_write_instead(
    session: Session,
) -> None:
    record(session, ROBIN)
    record(session, Profile(None, "sam", "Sam"))
    allowed = ["robin", "sam", "nobody", "account-other"]
    assert token_store.mistaken_entries(session, allowed) == [
        ("robin", "account-robin"),
        ("sam", "id:sam"),
    ]
    assert token_store.mistaken_entries(session, [*allowed, "account-robin", "id:sam"]) == []
    assert token_store.mistaken_entries(session, ()) == []


def test_nobody_is_of_another_while_nobody_is_here(session: Session) -> None:
    assert not token_store.is_taken_by_others(session, ROBIN)
    add_app(session)
    assert not token_store.is_taken_by_others(session, ROBIN)
    record(session, ROBIN)
    assert not token_store.is_taken_by_others(session, ROBIN)
    assert token_store.is_taken_by_others(session, SAM)
    record(session, SAM)
    assert not token_store.is_taken_by_others(session, SAM)


def test_a_dead_login_still_owns_the_server(session: Session) -> None:
    record(session, ROBIN)
    token_store.mark_consent_needed(session, ROBIN.key, "Refresh token expired", LATER)
    assert token_store.is_taken_by_others(session, SAM)
    assert session_store.admit(session, SAM, GRANT, (), RING, LATER) is None
    assert session_store.admit(session, ROBIN, ANEW, (), RING, LATER) is not None


def test_two_rows_of_one_account_become_one(session: Session, table: Table) -> None:
    """As when the user id was not known at first, and the account id not the next time."""
    record(session, Profile("account-robin", None, None))
    record(session, Profile(None, "robin", None))
    record(session, ROBIN, ANEW, LATER)
    assert ids(table()) == [("account-robin", "robin")]


def test_a_user_id_that_two_have_had_makes_nobody_of_them_vanish(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    record(session, Profile("account-stranger", "robin", "Another Robin"), GRANT, NOW)
    record(session, Profile(None, "robin", None), ANEW, LATER)
    assert [row.account_id for row in table()][:2] == ["account-robin", "account-stranger"]


def test_of_two_rows_of_one_account_the_account_id_stays(session: Session, table: Table) -> None:
    record(session, Profile("account-robin", None, None))
    record(session, Profile(None, "robin", None))
    row = token_store.lock(session, "account-robin")
    assert row is not None
    row.user_id = "robin"
    session.flush()
    record(session, Profile(None, "robin", None), ANEW, LATER)
    assert ids(table()) == [("account-robin", "robin")]


def test_only_one_account_is_forgotten_with_its_sessions(session: Session, table: Table) -> None:
    add_app(session)
    allowed = ["account-robin", "account-sam"]
    mine = session_store.admit(session, ROBIN, GRANT, allowed, RING, NOW)
    mine_too = session_store.admit(session, ROBIN, GRANT, allowed, RING, NOW)
    yours = session_store.admit(session, SAM, GRANT, allowed, RING, NOW)
    assert mine is not None
    assert mine_too is not None
    assert yours is not None
    token_store.delete_login(session, ROBIN.key)
    assert [row.account_id for row in table()] == ["account-sam", APP]
    assert session_store.visitor(session, mine.session, allowed, NOW) is None
    assert session_store.visitor(session, mine_too.session, allowed, NOW) is None
    assert session_store.visitor(session, yours.session, allowed, NOW) is not None
    assert len(session.scalars(select(BrowserSession)).all()) == 1


def test_an_account_is_forgotten_by_its_own_id_only(session: Session, table: Table) -> None:
    record(session, ROBIN)
    for other in ("robin", "ACCOUNT-ROBIN", "account-%", "", "' OR 1=1 --"):
        token_store.delete_login(session, other)
    assert len(table()) == 1


def test_the_apps_row_is_nobodys(session: Session, table: Table) -> None:
    add_app(session)
    [row] = table()
    before = (row.access_token, row.expires_at, row.state, row.reason, row.reminded_at)
    token_store.delete_login(session, APP)
    assert not token_store.mark_consent_needed(session, APP, "Refresh token revoked", LATER)
    assert token_store.usable_accounts(session, ()) == []
    assert token_store.usable_accounts(session, [APP]) == []
    assert token_store.newest(session, ()) is None
    assert token_store.newest(session, [APP]) is None
    for hostile in (Profile(APP, APP, None), Profile(None, APP, None), Profile("a", APP, None)):
        assert not token_store.is_taken_by_others(session, hostile)
    assert session_store.visitor(session, "no session", (), NOW) is None
    [row] = table()
    assert (row.access_token, row.expires_at, row.state, row.reason, row.reminded_at) == before


def test_no_person_takes_the_apps_row(session: Session, table: Table) -> None:
    add_app(session)
    record(session, Profile("account-robin", APP, None))
    rows = {row.account_id: row for row in table()}
    assert set(rows) == {APP, "account-robin"}
    assert rows[APP].authorized_at is None
    assert RING.open(rows[APP].access_token or b"") == "BQ-of-the-app"


def test_the_apps_row_is_made_once_and_kept(session: Session, table: Table) -> None:
    add_app(session)
    row = token_store.lock_app(session, APP)
    assert RING.open(row.access_token or b"") == "BQ-of-the-app"
    assert len(table()) == 1


def test_a_login_dies_once(session: Session, table: Table) -> None:
    record(session, ROBIN)
    assert token_store.mark_consent_needed(session, ROBIN.key, "Refresh token revoked", LATER)
    assert not token_store.mark_consent_needed(session, ROBIN.key, "Refresh token expired", LATER)
    assert not token_store.mark_consent_needed(session, "nobody", "Refresh token revoked", LATER)
    [row] = table()
    assert (row.state, row.reason) == ("consent_needed", "Refresh token revoked")
    assert RING.open(row.refresh_token or b"") == "AQ-refresh"


@pytest.mark.gen_test
async def test_a_login_that_many_find_dead_at_once_dies_once(
    database: Database, elsewhere: Database
) -> None:
    await database.run(record, ROBIN)
    died = await asyncio.gather(
        *(
            each.run(token_store.mark_consent_needed, ROBIN.key, "Refresh token revoked", LATER)
            for each in (database, elsewhere) * 10
        )
    )
    assert sorted(died) == [False] * 19 + [True]


@pytest.mark.gen_test
async def test_two_strangers_who_come_at_once_do_not_both_own_the_server(
    database: Database, elsewhere: Database
) -> None:
    admitted = await asyncio.gather(
        *(
            each.run(
                session_store.admit, Profile(f"account-{number}", None, None), GRANT, (), RING, NOW
            )
            for number, each in enumerate((database, elsewhere) * 5)
        )
    )
    assert sum(each is not None for each in admitted) == 1


@pytest.mark.gen_test
async def test_one_person_who_comes_many_times_at_once_has_one_row(
    database: Database, elsewhere: Database
) -> None:
    profiles = [ROBIN, Profile(None, "robin", None), Profile("account-robin", None, None)]
    for profile in profiles[:2]:
        await database.run(record, profile)
    admitted = await asyncio.gather(
        *(
            each.run(session_store.admit, profile, GRANT, (), RING, NOW)
            for each in (database, elsewhere)
            for profile in profiles[:1] * 5
        )
    )
    assert all(admitted)
    rows = await database.run(lambda session: session.scalars(select(Login)).all())
    assert ids(list(rows)) == [("account-robin", "robin")]


def test_usable_logins_come_newest_first_and_dead_or_foreign_ones_not_at_all(
    session: Session,
) -> None:
    add_app(session)
    record(session, ROBIN, GRANT, NOW)
    record(session, SAM, GRANT, LATER)
    dead = Profile("account-dead", "dead", None)
    record(session, dead, GRANT, LATER)
    token_store.mark_consent_needed(session, dead.key, "Refresh token expired", LATER)
    record(session, Profile("account-empty", None, None), Grant("BQ", 3600), LATER)
    assert token_store.usable_accounts(session, ()) == ["account-sam", "account-robin"]
    assert token_store.usable_accounts(session, ["id:robin"]) == ["account-robin"]
    assert token_store.usable_accounts(session, ["robin"]) == []
    assert token_store.usable_accounts(session, ["id:account-robin"]) == []
    assert token_store.usable_accounts(session, ["account-robin", "id:dead"]) == ["account-robin"]
    assert token_store.usable_accounts(session, ["somebody"]) == []


def test_the_login_that_counts_is_a_usable_one_before_a_newer_dead_one(session: Session) -> None:
    record(session, ROBIN, GRANT, NOW)
    record(session, SAM, GRANT, LATER)
    newest = token_store.newest(session, ())
    assert newest is not None
    assert newest.account_id == "account-sam"
    token_store.mark_consent_needed(session, SAM.key, "Refresh token expired", LATER)
    newest = token_store.newest(session, ())
    assert newest is not None
    assert newest.account_id == "account-robin"
    newest = token_store.newest(session, ["account-sam"])
    assert newest is not None
    assert newest.account_id == "account-sam"


@pytest.mark.parametrize("scope", ["a\x00b", "x" * 10_000, '{","}', "\\", "NULL", "'; --"])
@pytest.mark.gen_test
async def test_whatever_scope_is_granted_a_login_can_be_kept(
    start_standin: StartStandIn, transport: Transport, database: Database, scope: str
) -> None:
    standin = start_standin()
    granted = {"access_token": "BQ", "expires_in": 3600, "scope": f"user-follow-read {scope}"}
    standin.answer_next("/api/token", Answer(200, granted))
    accounts = accounts_of(standin, transport)
    await database.run(record, ROBIN, await accounts.exchange("code", "verifier", "uri"))
    rows = await database.run(lambda session: session.scalars(select(Login)).all())
    assert rows[0].scopes[0] == "user-follow-read"


@pytest.mark.gen_test
async def test_the_database_holds_no_token_in_plain_and_no_session_either(
    database: Database,
) -> None:
    admission = await database.run(session_store.admit, ROBIN, GRANT, (), RING, NOW)
    assert admission is not None
    content = await everything_in(database)
    assert "account-robin" in content
    as_text = await database.run(
        lambda session: session.scalars(
            text("SELECT CAST(t AS text) FROM (SELECT * FROM logins) AS t")
        ).all()
    )
    for secret in (GRANT.access_token, GRANT.refresh_token or "", admission.session, SECRET):
        assert secret not in content
        assert secret.encode().hex() not in str(as_text)
    assert admission.session not in repr(admission)


def test_every_process_hears_of_a_login_that_comes_dies_or_goes_and_of_nothing_else(
    database: Database, database_url: URL
) -> None:
    parts: dict[str, Any] = database_url.translate_connect_args(username="user", database="dbname")
    connection: Any = psycopg2.connect(**parts | dict(database_url.query))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {token_store.CHANNEL}; LISTEN the_end")

    def heard(function: Callable[..., Any], *arguments: Any) -> int:
        with Session(database.engine) as session, session.begin():
            function(session, *arguments)
        with connection.cursor() as cursor:
            cursor.execute("NOTIFY the_end")  # behind all that has been told before
        channels = [notice.channel for notice in connection.notifies]
        connection.notifies.clear()
        assert channels[-1] == "the_end"
        return len(channels) - 1

    try:
        assert heard(record, ROBIN) == 1
        assert heard(record, ROBIN) == 1
        assert (
            heard(token_store.mark_consent_needed, ROBIN.key, "Refresh token expired", LATER) == 1
        )
        assert (
            heard(token_store.mark_consent_needed, ROBIN.key, "Refresh token expired", LATER) == 0
        )
        assert heard(add_app) == 0
        assert heard(token_store.claim_reminder, ROBIN.key, NOW) == 0
        assert heard(token_store.delete_login, ROBIN.key) == 1
    finally:
        connection.close()


def test_what_another_key_has_sealed_is_sealed_anew_and_the_rest_left_alone(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    other = Encryption(OTHER_SECRET, "tokens")
    token_store.record_consent(session, SAM, GRANT, NOW, other)
    add_app(session)
    before = {row.account_id: row.refresh_token for row in table()}
    both = Encryption(f"{OTHER_SECRET},{SECRET}", "tokens")
    assert token_store.reencrypt(session, both) == (2, [])
    rows = {row.account_id: row for row in table()}
    assert rows["account-sam"].refresh_token == before["account-sam"]
    for row in rows.values():
        assert other.is_current(row.access_token or b"")
        assert row.refresh_token is None or other.is_current(row.refresh_token)
    assert other.open(rows["account-robin"].refresh_token or b"") == "AQ-refresh"
    assert token_store.reencrypt(session, both) == (0, [])


def test_what_no_key_opens_stays_as_it_is(session: Session, table: Table) -> None:
    record(session, ROBIN)
    add_app(session)
    before = [(row.access_token, row.refresh_token) for row in table()]
    for _ in range(2):
        assert token_store.reencrypt(session, Encryption(OTHER_SECRET, "tokens")) == (
            0,
            ["account-robin"],
        )
    assert [(row.access_token, row.refresh_token) for row in table()] == before


def test_an_access_token_that_no_key_opens_does_not_keep_the_refresh_token_from_its_new_key(
    session: Session, table: Table
) -> None:
    record(session, ROBIN)
    session.execute(text("UPDATE logins SET access_token = 'garbage'"))
    both = Encryption(f"{OTHER_SECRET},{SECRET}", "tokens")
    assert token_store.reencrypt(session, both) == (1, [])
    assert Encryption(OTHER_SECRET, "tokens").open(table()[0].refresh_token or b"") == "AQ-refresh"


@pytest.mark.gen_test
async def test_a_login_deleted_while_it_is_sealed_anew_is_no_crash(
    database: Database, elsewhere: Database
) -> None:
    await database.run(record, ROBIN)
    await database.run(record, SAM)
    both = Encryption(f"{OTHER_SECRET},{SECRET}", "tokens")
    with Session(elsewhere.engine) as deleting, deleting.begin():
        token_store.delete_login(deleting, ROBIN.key)
        resealing = asyncio.create_task(database.run(token_store.reencrypt, both))
        await someone_waits(elsewhere)
    assert await resealing == (1, [])
