"""Each fix that `doctor` proposes is carried out by a test, or it says here why none does.

A new finding with a fix goes into CARRIED_OUT_BY with the test that carries the fix out to the
letter and sees the finding gone, or, where that is not possible, into NOT_CARRIED_OUT with the
reason.
"""

import ast
import asyncio
import os
import re
import subprocess
import sys
from asyncio import create_subprocess_shell
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL

from server.app.upstream import utc_now
from server.config import settings as config
from server.config.addresses import EmbeddedDatabase
from server.database.embedded.ownership import Ownership
from server.database.executor import Database
from server.doctor import Finding, examine
from server.doctor.database import of_database
from server.encryption import Encryption
from server.spotify.auth import token_store
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import hour_of
from server.spotify.profile import Profile
from server.spotify.types import Grant
from server.standin import Answer, AppKind, StandIn
from tests.support.clock import Clock
from tests.support.login_browser import SetStage
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.postgres_processes import wait_for
from tests.support.private_files import locked_by_nobody
from tests.support.rate_limiters import STORE
from tests.support.settings import SECRET, SETTING_NAMES
from tests.support.standins import StartStandIn

HERE = "tests/integration/doctor/test_fixes.py"
PREFLIGHT = "tests/integration/database/test_preflight.py"
SETTING = f"{HERE}::test_a_setting_that_is_corrected_as_doctor_says_is_right"
LOGIN = f"{HERE}::test_a_new_login_ends_what_is_wrong_with_the_old_one"
AGAIN = f"{HERE}::test_a_failure_of_spotifys_is_gone_at_the_next_try"
PACE = f"{HERE}::test_the_interval_that_doctor_proposes_can_be_kept"
PROXY = (
    "tests/integration/spotify/test_proxy.py"
    "::test_doctor_says_which_proxy_is_used_and_whether_it_answers"
)
POOLER = (
    "tests/integration/database/test_pooler.py"
    "::test_a_pooler_of_sessions_serves_locks_as_postgresql_itself_does"
)

CARRIED_OUT_BY = {
    "doctor/database.py:_inspect the database {engine.url.database} does"
    " -> schema.CREATE if schema.can_create(engin": PREFLIGHT
    + "::test_a_database_that_does_not_exist_is_made_as_doctor_says",
    "doctor/database.py:of_database error.fault -> error.fix or ADVICE": SETTING,
    "doctor/database.py:require_place {folder} cannot be created, because {acc -> fix": PREFLIGHT
    + "::test_a_place_that_may_not_be_written_to_is_found_and_made_as_doctor_says",
    "doctor/database.py:of_search text -> fix": PREFLIGHT
    + "::test_a_role_that_may_not_make_indexes_for_searches_is_served_and_helped_as_doctor_says",
    "doctor/run.py:_addresses off: {settings.login_obstacle} -> fix": SETTING,
    "doctor/run.py:_addresses text -> fix": SETTING,
    "doctor/run.py:_reach text -> fix": SETTING,
    "doctor/login.py:of_consent Spotify no longer accepts its consent -> LOG_IN_AGAIN": LOGIN,
    "doctor/login.py:of_consent its tokens cannot be read -> SECRET_CHANGED": LOGIN,
    "doctor/login.py:of_consent lacks the scope {', '.join(missing)} -> RENEW_OR_OFF": LOGIN,
    "doctor/login.py:of_consent text -> RENEW": LOGIN,
    "doctor/login.py:who_may_in text -> fix": "tests/integration/doctor/test_doctor.py"
    "::test_an_older_id_in_allowed_users_is_found_with_what_to_write_instead",
    "doctor/login.py:who_may_in text -> set ALLOWED_USERS if others can reach th": SETTING,
    "doctor/spotify.py:_markets text -> fix": SETTING,
    "doctor/spotify.py:_markets text -> remove it from SYNC_MARKETS": SETTING,
    "doctor/spotify.py:_pace {text}, not every {duration(settings.syn -> fix": PACE,
    "doctor/spotify.py:_pace text -> fix": SETTING,
    "doctor/spotify.py:_source str(error) -> try again later": AGAIN,
    "doctor/spotify.py:_source text -> set SYNC_SOURCE=auto": SETTING,
    "doctor/spotify.py:_source text -> _more_calls(settings, upstream, source)": HERE
    + "::test_a_spent_quota_has_room_after_a_day_or_when_it_is_raised",
    "doctor/spotify.py:clock cannot be reached: {error} -> fix": SETTING,
    "doctor/spotify.py:clock text -> set it, or use NTP: timedatectl set-ntp": HERE
    + "::test_a_clock_that_is_set_is_right",
    "doctor/spotify.py:credentials str(error) -> try again later": AGAIN,
    "doctor/spotify.py:credentials text -> fix": SETTING,
    "doctor/spotify.py:limits text -> wait: further calls could prolong it": HERE
    + "::test_a_pause_that_is_waited_out_is_over",
    "doctor/spotify.py:proxy str(error) -> fix": PROXY,
    "database/embedded/ownership.py:lock_error {self._path} is locked by {holder}; {but"
    " -> end that process: kill {holder.pid}": HERE
    + "::test_a_lock_that_another_user_holds_is_free_after_the_command",
    "config/environment.py:remark_on_folder text -> fix": HERE
    + "::test_a_folder_that_others_can_write_to_is_closed_by_the_command",
    "config/environment.py:remarks text -> command": HERE
    + "::test_a_file_that_others_can_read_is_closed_by_the_command",
    "config/environment.py:remarks text -> fix": HERE
    + "::test_a_host_of_conda_is_settled_by_one_in_the_file",
    "database/preflight.py:require_encoding the database has the encoding {found}, w"
    " -> make one that can with `createdb -E UTF8": PREFLIGHT
    + "::test_an_encoding_that_cannot_hold_every_name_is_refused_until_the_data_has_moved",
    "database/preflight.py:require_rights the role {role} may not create tables in"
    " -> as the owner of the database or a superu": PREFLIGHT
    + "::test_a_role_without_rights_on_the_schema_is_granted_them_as_doctor_says",
    "database/preflight.py:require_rights the role {role} may not {'alter' if behi"
    " -> as a superuser, run in the database: {st": PREFLIGHT
    + "::test_tables_of_another_role_are_given_away_as_doctor_says",
    "database/preflight.py:require_sessions a pooler in front of the database change"
    " -> set pool_mode = session in it (PgBouncer": POOLER,
    "database/preflight.py:require_writable the database is read-only"
    " -> it is a standby: name the primary in DAT": PREFLIGHT
    + "::test_a_database_that_allows_only_reading_is_opened_as_doctor_says",
    "database/schema.py:require the schema is at revision {found or 'non -> CREATE": PREFLIGHT
    + "::test_a_role_without_rights_on_the_schema_is_granted_them_as_doctor_says",
}

PASSED_ON = "passes on the fix of an error or remark that has an entry of its own"
PREMIUM = "takes a subscription at Spotify"
DASHBOARD = "takes a change of the app on Spotify's dashboard"
NEWER = (
    "takes a newer version, which there is not; "
    "tests/integration/database/test_backup.py restores backups"
)
CREATE_DB = (
    "create_db says it, doctor does not; tests/integration/database/test_schema.py makes it say so"
)
CLUSTER = (
    "takes seconds to start PostgreSQL; "
    "tests/integration/database/test_embedded.py does so in folders that are fit"
)
NOT_CARRIED_OUT = {
    "doctor/database.py:of_database error.fault -> error.fix": PASSED_ON,
    "doctor/database.py:of_search error.fault -> error.fix": PASSED_ON,
    "doctor/run.py:examine remark.text -> remark.fix": PASSED_ON,
    "doctor/spotify.py:_source OwnerWithoutPremium.title -> OwnerWithoutPremium.advice": PREMIUM,
    "doctor/spotify.py:_source not available to this app -> fix": DASHBOARD,
    "doctor/spotify.py:_source str(error) -> fix": DASHBOARD,
    "database/embedded/cluster.py:_not_started PostgreSQL did not start {where}: {reaso"
    " -> fix_of(reason)": CLUSTER,
    "database/embedded/cluster.py:_translated_errors {folder} cannot be used: {error}"
    " -> _fix(error)": CLUSTER,
    "database/embedded/data_folder.py:_check_version {folder} was created by PostgreSQL {foun"
    " -> dump it with the old version and restore": CLUSTER,
    "database/embedded/data_folder.py:make no database can be created in {folder.pa"
    " -> fix_of(reason)": CLUSTER,
    "database/embedded/data_folder.py:make the path {str(folder)!r} has a line brea"
    " -> use another folder: DATABASE_URL=embedde": CLUSTER,
    "database/embedded/data_folder.py:make {folder} is neither empty nor a PostgreS"
    " -> use another folder: DATABASE_URL=embedde": CLUSTER,
    "database/embedded/ownership.py:_users {self._folder} belongs to the user {priv"
    " -> run Freshet as that user, or use another": "takes another user with a session of its own",
    "database/embedded/socket_folder.py:choose the path of {folder} is too long for a s"
    " -> use a shorter one: DATABASE_URL=embedded": CLUSTER,
    "database/schema.py:_make_database the database {url.database} does not exi"
    " -> creation_hint(url)": CREATE_DB,
    "database/schema.py:_require_known the schema is at revision {found}, which"
    " -> run that version, or restore a backup fr": NEWER,
    "database/schema.py:migrate the tables cannot be created or upgraded"
    " -> set DATABASE_URL to a database that no o": CREATE_DB,
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of a plain name with the function that it is in."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    yield function.name, node


def start_of(source: str, expression: ast.expr) -> str:
    """Return at most 40 characters of an expression as it is written, but without quotes."""
    written = " ".join((ast.get_source_segment(source, expression) or "").split())
    return re.sub('^f?"|"$', "", written)[:40].rstrip()


FIXES_OF = {  # by name, how many arguments there are where one is a fix
    "Finding": 4,
    "Remark": 4,
    "DatabaseUnavailable": 2,
    "DatabaseUnsuitable": 2,
    "SchemaMismatch": 2,
    "EmbeddedPostgresError": 2,
}


def proposals() -> Counter[str]:
    """Every call in what `doctor` runs that makes a finding, a remark or an error with a fix."""
    server = ROOT / "server"
    names = ("config/environment", "database/preflight", "database/schema")
    alone = [server / f"{name}.py" for name in names]
    found: Counter[str] = Counter()
    for file in (*server.glob("doctor/*.py"), *server.glob("database/embedded/*.py"), *alone):
        source = file.read_text(encoding="utf-8")
        for function, call in calls(ast.parse(source)):
            name = call.func.id  # type: ignore[attr-defined]
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if len(given) >= FIXES_OF.get(name, 99):
                text, fix = (start_of(source, each) for each in given[-2:])
                found[f"{file.relative_to(server)}:{function} {text} -> {fix}"] += 1
    return found


def test_each_fix_of_doctor_is_carried_out_or_says_why_not() -> None:
    found = proposals()
    assert set(found.values()) == {1}, "two cannot be told apart"
    assert not CARRIED_OUT_BY.keys() & NOT_CARRIED_OUT.keys(), "a fix is in two tables"
    known = CARRIED_OUT_BY.keys() | NOT_CARRIED_OUT.keys()
    new = sorted(found.keys() - known)
    assert not new, f"carry it out in a test and name that in {HERE}, or say why not: {new}"
    gone = sorted(known - found.keys())
    assert not gone, f"these are no longer proposed, take them out of {HERE}: {gone}"


def test_the_tests_that_carry_fixes_out_exist() -> None:
    for name in set(CARRIED_OUT_BY.values()):
        file, _, function = name.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), name


Examine = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def standin(start_standin: StartStandIn) -> StandIn:
    started: StandIn = start_standin()
    return started


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, database_url: URL, standin: StandIn) -> Examine:
    """The findings by what they are about, with these settings and no others."""

    async def run(ahead: timedelta = timedelta(0), **settings: str) -> dict[str, Finding]:
        here = {
            "CLIENT_ID": "standin-client",
            "CLIENT_SECRET": "standin-secret",
            "SECRET": SECRET,
            "DATABASE_URL": database_url.render_as_string(hide_password=False),
            "SPOTIFY_API_URL": standin.api_url,
            "SPOTIFY_ACCOUNTS_URL": standin.accounts_url,
            **settings,
        }
        for name in SETTING_NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in here.items():
            monkeypatch.setenv(name, value)
        return {each.about: each async for each in examine(lambda: utc_now() + ahead)}

    return run


def proposed(found: dict[str, Finding], about: str) -> str:
    """The fix of a finding, which is there and has one."""
    assert found[about].level != "ok"
    assert found[about].fix
    return str(found[about].fix)


def is_gone(found: dict[str, Finding], about: str) -> bool:
    assert found["settings"].level == "ok", found
    return about not in found or found[about].level == "ok"


# Each: what the finding is about, settings that make it, what its fix says, and settings by which
# that is followed.
SETTINGS = [
    (
        "browser login",
        {"PUBLIC_URL": "http://raspberrypi.local:5000"},
        "or use https",
        [{"PUBLIC_URL": "https://raspberrypi.local"}],
    ),
    (
        "PUBLIC_URL",
        {"HOST": "0.0.0.0"},
        "set PUBLIC_URL to .* such as http://raspberrypi.local:5000",
        [{"PUBLIC_URL": "http://raspberrypi.local:5000"}],
    ),
    (
        "PUBLIC_URL",
        {"PUBLIC_URL": "http://raspberrypi.local:5000"},
        "set HOST=0.0.0.0",
        [{"HOST": "0.0.0.0"}, {"PUBLIC_URL": "https://raspberrypi.local"}],
    ),
    (
        "port",
        {"PUBLIC_URL": "http://127.0.0.1:8080", "PORT": "5000"},
        "the same port in PUBLIC_URL and PORT",
        [{"PORT": "8080"}, {"PUBLIC_URL": "http://127.0.0.1:5000"}],
    ),
    ("owner", {}, "set ALLOWED_USERS", [{"ALLOWED_USERS": "standin-account-1"}]),
    (
        "credentials",
        {"CLIENT_SECRET": "not-the-secret"},
        "compare them",
        [{"CLIENT_SECRET": "standin-secret"}],
    ),
    ("market RU", {"SYNC_MARKETS": "DE,RU"}, "remove it", [{"SYNC_MARKETS": "DE"}]),
    (
        "markets",
        {"SYNC_MARKETS": "RU,KP"},
        "correct SYNC_MARKETS, or leave it empty",
        [{"SYNC_MARKETS": "DE"}, {"SYNC_MARKETS": ""}],
    ),
    (
        "pace",
        {"SYNC_MARKETS": "DE,US,SE,FR"},
        "shorten SYNC_MARKETS, lower SYNC_MAX_RELEASES",
        [{"SYNC_MARKETS": "DE"}, {"SYNC_MAX_RELEASES": "20"}],
    ),
    ("pace", {"SYNC_INTERVAL": "0"}, "set SYNC_INTERVAL=1800", [{"SYNC_INTERVAL": "1800"}]),
]


@pytest.mark.gen_test
async def test_a_setting_that_is_corrected_as_doctor_says_is_right(
    report: Examine, standin: StandIn
) -> None:
    """Of `localhost` the text itself says what to write."""
    for about, wrong, says, fixes in SETTINGS:
        assert re.search(says, proposed(await report(**wrong), about)), about
        for right in fixes:
            assert is_gone(await report(**{**wrong, **right}), about), (about, right)
    localhost = (await report(PUBLIC_URL="http://localhost:5000"))["browser login"].text
    told = localhost.rpartition("write ")[2].replace("PORT", "5000")
    assert is_gone(await report(PUBLIC_URL=told), "browser login")
    away = f"http://127.0.0.1:{free_port()}"
    fix = proposed(await report(SPOTIFY_ACCOUNTS_URL=away), "Spotify")
    assert "SPOTIFY_ACCOUNTS_URL should be empty" in fix
    assert is_gone(await report(), "Spotify")
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    assert "check DATABASE_URL" in proposed(await report(DATABASE_URL=away), "database")
    assert is_gone(await report(), "database")
    standin.world.kind = AppKind.RESTRICTED
    alone = await report(SYNC_SOURCE="new-releases")
    name, _, value = proposed(alone, "new-releases").removeprefix("set ").partition("=")
    found = await report(**{name: value})
    assert (found["new-releases"].fix, found["search"].level) == (None, "ok")


@pytest.mark.parametrize("wrong", [{"SYNC_INTERVAL": "60"}, {"SYNC_MARKETS": "DE,US,SE,FR"}])
@pytest.mark.gen_test
async def test_the_interval_that_doctor_proposes_can_be_kept(
    report: Examine, wrong: dict[str, str]
) -> None:
    seconds = proposed(await report(**wrong), "pace").rpartition("SYNC_INTERVAL=")[2]
    assert is_gone(await report(**{**wrong, "SYNC_INTERVAL": seconds}), "pace")


@pytest.mark.parametrize("off", [timedelta(seconds=95), timedelta(hours=-2)])
@pytest.mark.gen_test
async def test_a_clock_that_is_set_is_right(report: Examine, off: timedelta) -> None:
    assert proposed(await report(off), "clock").startswith("set it")
    assert is_gone(await report(), "clock")


@pytest.mark.parametrize(
    ("path", "about"), [("/api/token", "credentials"), ("/v1/search", "search")]
)
@pytest.mark.gen_test
async def test_a_failure_of_spotifys_is_gone_at_the_next_try(
    report: Examine, standin: StandIn, path: str, about: str
) -> None:
    standin.answer_next(path, Answer(502))
    assert proposed(await report(), about) == "try again later"
    assert is_gone(await report(), about)


@pytest.mark.gen_test
async def test_a_spent_quota_has_room_after_a_day_or_when_it_is_raised(
    report: Examine, database: Database
) -> None:
    await database.run(STORE.count, {("/search", hour_of(utc_now())): 299})
    fix = proposed(await report(QUOTA_PER_DAY="100"), "search")
    (more,) = re.findall(r"wait, or raise QUOTA_PER_DAY \(for example to (\d+);", fix)
    assert is_gone(await report(QUOTA_PER_DAY=more), "search")
    assert proposed(await report(), "search").startswith("wait: its ceiling rises by a tenth")
    assert is_gone(await report(timedelta(hours=25)), "search")


@pytest.mark.gen_test
async def test_a_pause_that_is_waited_out_is_over(report: Examine, database: Database) -> None:
    now = utc_now()
    cooldown = Cooldown(now, now + timedelta(hours=3), "429 Too many requests")
    await database.run(STORE.store_cooldown, "/search", cooldown)
    assert proposed(await report(), "pause /search").startswith("wait")
    found = await report(timedelta(hours=3, minutes=1))
    assert is_gone(found, "pause /search")
    assert is_gone(found, "search")


async def log_in(database: Database, when: datetime, secret: str, *scopes: str) -> None:
    """Store a login of the stand-in's listener."""
    await database.run(
        token_store.record_consent,
        Profile("standin-account-1", "standin-listener", "Robin"),
        Grant("BQaccess", 3600, scopes=scopes, refresh_token="AQrefresh"),
        when,
        Encryption(secret, "tokens"),
    )


OLD_SECRET = "the secret of before that is as long as it has to be"


@pytest.mark.parametrize(
    ("days", "secret", "scope"),
    [
        (0, OLD_SECRET, "user-follow-read"),
        (200, SECRET, "user-follow-read"),
        (165, SECRET, "user-follow-read"),
        (0, SECRET, "user-read-email"),
    ],
)
@pytest.mark.gen_test
async def test_a_new_login_ends_what_is_wrong_with_the_old_one(
    report: Examine,
    standin: StandIn,
    set_stage: SetStage,
    database: Database,
    clock: Clock,
    days: int,
    secret: str,
    scope: str,
) -> None:
    """So does the old key behind the new one where SECRET has changed."""
    clock.moment = utc_now()
    await log_in(database, utc_now() - timedelta(days=days), secret, scope)
    fix = proposed(await report(), "login")
    assert "log in again" in fix
    if secret == OLD_SECRET:
        assert "SECRET=new,old" in fix
        assert is_gone(await report(SECRET=f"{SECRET},{OLD_SECRET}"), "login")
    stage = await set_stage(standin)
    await stage.browser().log_in()
    assert is_gone(await report(), "login")


@pytest.fixture
def env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of settings in a folder whose name a shell would split."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    file = folder / ".env"
    file.touch(mode=0o600)
    monkeypatch.setattr(config, "ENV_FILE", file)
    return file


@pytest.mark.gen_test
async def test_a_file_that_others_can_read_is_closed_by_the_command(
    report: Examine, env_file: Path
) -> None:
    env_file.chmod(0o644)
    command = await create_subprocess_shell(proposed(await report(), ".env"))
    assert await command.wait() == 0
    assert is_gone(await report(), ".env")


@pytest.mark.gen_test
async def test_a_host_of_conda_is_settled_by_one_in_the_file(
    report: Examine, env_file: Path
) -> None:
    platform = "x86_64-conda-linux-gnu"
    assert "set HOST in .env" in proposed(await report(HOST=platform), "HOST")
    env_file.write_text("HOST=::1\n", encoding="utf-8")
    assert is_gone(await report(HOST=platform), "HOST")


@pytest.mark.gen_test
async def test_a_file_with_a_secret_is_closed_by_the_command(
    report: Examine, env_file: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("standin-secret", encoding="utf-8")
    secret.chmod(0o644)
    env_file.write_text(f"CLIENT_SECRET_FILE={secret}\n", encoding="utf-8")
    command = await create_subprocess_shell(
        proposed(await report(CLIENT_SECRET=""), "CLIENT_SECRET_FILE")
    )
    assert await command.wait() == 0
    assert is_gone(await report(CLIENT_SECRET=""), "CLIENT_SECRET_FILE")


@pytest.mark.gen_test
async def test_a_folder_that_others_can_write_to_is_closed_by_the_command(
    report: Examine, tmp_path: Path
) -> None:
    folder = tmp_path / "our data"
    folder.mkdir()
    here = {"DATABASE_URL": f"embedded:{folder / 'postgres'}"}
    for harmless in (0o1777, 0o775):
        folder.chmod(harmless)
        assert is_gone(await report(**here), "folder")
    folder.chmod(0o777)
    command = await create_subprocess_shell(proposed(await report(**here), "folder"))
    assert await command.wait() == 0
    assert is_gone(await report(**here), "folder")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="takes another user")
def test_a_lock_that_another_user_holds_is_free_after_the_command(reachable: Path) -> None:
    folder = reachable / "data"
    folder.mkdir(mode=0o700)
    lock = reachable / "data.lock"
    lock.touch(mode=0o644)
    database = Database(EmbeddedDatabase(folder))
    with locked_by_nobody(lock, "--no-fork"):
        found = asyncio.run(of_database(database))
        assert (found.level, found.about) == ("fault", "database")
        assert f"{lock} is locked by process" in found.text
        subprocess.run(str(found.fix).partition(": ")[2], shell=True, check=True)
        ownership = Ownership(folder)
        wait_for(ownership.acquire)
        ownership.release()
    database.close()
