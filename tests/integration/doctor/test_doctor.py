"""`manage.py doctor` finds what is wrong, names its fix, and changes nothing."""

import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text

from server.config.addresses import entry_of_app
from server.config.settings import Settings
from server.countries import CODES
from server.database.executor import Database
from server.doctor import Finding, examine
from server.encryption import Encryption
from server.spotify.auth import token_store
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import hour_of
from server.spotify.profile import Profile
from server.spotify.types import Grant
from server.standin import Answer, AppKind, StandIn
from tests.support.fork_server import ForkServer
from tests.support.ports import free_port
from tests.support.rate_limiters import STORE
from tests.support.server_processes import NOTHING
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn
from tests.support.waiting import until

PREMIUM = b"Active premium subscription required for the owner of the app."
NOTHING_THERE = "http://127.0.0.1:9"

Report = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, database_url: URL) -> Report:
    """The findings by what they are about, with these settings in the environment."""

    async def run(standin: StandIn | None = None, **settings: str) -> dict[str, Finding]:
        here = {
            "CLIENT_ID": "standin-client",
            "CLIENT_SECRET": "standin-secret",
            "SECRET": SECRET,
            "DATABASE_URL": database_url.render_as_string(hide_password=False),
            "SPOTIFY_API_URL": standin.api_url if standin else NOTHING_THERE,
            "SPOTIFY_ACCOUNTS_URL": standin.accounts_url if standin else NOTHING_THERE,
            **settings,
        }
        for name, value in here.items():
            monkeypatch.setenv(name, value)
        found = [finding async for finding in examine()]
        assert len({finding.about for finding in found}) == len(found)
        return {finding.about: finding for finding in found}

    return run


def levels(found: dict[str, Finding]) -> dict[str, str]:
    return {about: finding.level for about, finding in found.items()}


async def log_in(database: Database, when: datetime, *, secret: str = SECRET, **grant: Any) -> None:
    values = {"scopes": ("user-follow-read",), "refresh_token": "AQrefresh", **grant}
    await database.run(
        token_store.record_consent,
        Profile("account-1", "listener", "Robin"),
        Grant("BQaccess", 3600, **values),
        when,
        Encryption(secret, "tokens"),
    )


@pytest.mark.gen_test
async def test_all_is_well(report: Report, start_standin: StartStandIn) -> None:
    found = await report(start_standin())
    assert levels(found) == {
        "settings": "ok",
        "redirect URI": "ok",
        "database": "ok",
        "clock": "ok",
        "credentials": "ok",
        "new-releases": "ok",
        "search": "ok",
        "login": "ok",
        "owner": "note",
        "quota": "ok",
        "pace": "ok",
    }
    assert found["quota"].text == (
        "calls in the last 24 hours: "
        "/api/token/client_credentials 1, /browse/new-releases 1 of 450, /search 1 of 300"
    )
    assert found["pace"].text.startswith(
        "a sync from search takes up to 10 calls; the quota allows "
    )
    assert "http://127.0.0.1:5000/auth/callback/" in found["redirect URI"].text


@pytest.mark.gen_test
async def test_it_asks_spotify_four_times_and_changes_nothing(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    standin = start_standin()
    await report(standin)
    assert [call.path for call in standin.calls] == [
        "/",
        "/api/token",
        "/v1/browse/new-releases",
        "/v1/search",
    ]
    for table in ("logins", "sync_runs", "sources"):
        count = text(f"SELECT count(*) FROM {table}")
        assert await database.run(lambda session, count: session.scalar(count), count) == 0


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://localhost:5000", "write http://127.0.0.1:PORT"),
        ("http://raspberrypi.local:5000", "is plain http at raspberrypi.local"),
    ],
)
@pytest.mark.gen_test
async def test_an_address_that_no_login_comes_back_to_is_a_note_with_other_ways(
    report: Report, address: str, says: str
) -> None:
    found = await report(PUBLIC_URL=address)
    assert found["browser login"].level == "note"
    assert says in found["browser login"].text
    assert "manage.py login" in (found["browser login"].fix or "")
    assert found["redirect URI"].text.startswith("http://127.0.0.1:5000/auth/callback/ ")
    assert found["database"].level == "ok"


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("nosuch.invalid", "Cannot listen on nosuch.invalid: no such host. HOST takes addresses"),
        ("192.0.2.1", "Cannot listen on 192.0.2.1: not an address of this machine."),
    ],
)
@pytest.mark.gen_test
async def test_a_host_that_nothing_can_listen_on_is_a_fault(
    report: Report, host: str, says: str
) -> None:
    found = await report(HOST=host)
    assert found["HOST"].level == "fault"
    assert found["HOST"].text.startswith(says)


@pytest.mark.gen_test
async def test_links_that_no_other_device_can_follow_are_noted(report: Report) -> None:
    found = await report(HOST="0.0.0.0")
    assert found["PUBLIC_URL"].level == "note"
    assert "raspberrypi.local" in (found["PUBLIC_URL"].fix or "")
    for host, address in (
        ("127.0.0.1,::1", "http://127.0.0.1:5000"),
        ("localhost", "http://127.0.0.1:5000"),
        ("*", "http://raspberrypi.local:5000"),
    ):
        assert "PUBLIC_URL" not in await report(HOST=host, PUBLIC_URL=address)


@pytest.mark.gen_test
async def test_every_setting_that_is_wrong_is_a_fault(report: Report) -> None:
    found = await report(SECRET="short", PORT="http", DATABASE_URL="mysql://host/name")
    assert levels(found) == {"SECRET": "fault", "PORT": "fault", "DATABASE_URL": "fault"}


@pytest.mark.gen_test
async def test_another_port_than_browsers_come_to_is_noted(
    report: Report, start_standin: StartStandIn
) -> None:
    standin = start_standin()
    found = await report(standin, PUBLIC_URL="http://127.0.0.1:5000", PORT="8080")
    assert "port 5000, the server listens on 8080" in found["port"].text
    assert "port" not in await report(standin, PUBLIC_URL="https://freshet.example.org")


@pytest.mark.gen_test
async def test_wrong_credentials_are_told_with_their_fix(
    report: Report, start_standin: StartStandIn
) -> None:
    standin = start_standin()
    found = await report(standin, CLIENT_SECRET="not-the-secret")
    assert found["credentials"].level == "fault"
    fix = found["credentials"].fix or ""
    assert fix.startswith(f"compare them with your app's entry at {standin.accounts_url}")
    assert "developer.spotify.com" not in fix + found["redirect URI"].text
    assert standin.calls_to("/v1") == 0


def test_only_where_spotify_itself_is_asked_its_dashboard_is_named() -> None:
    assert entry_of_app(Settings.model_fields["spotify_accounts_url"].default) == (
        "your app's page at https://developer.spotify.com/dashboard"
    )
    assert "spotify.com" not in entry_of_app("http://127.0.0.1:9090")


@pytest.mark.gen_test
async def test_the_first_lines_of_the_stand_in_are_what_lets_it_be_asked(
    report: Report, fork_server: ForkServer, manage_py: Path, tmp_path: Path
) -> None:
    port, out, errors = free_port(), tmp_path / "out", tmp_path / "errors"
    words = ["standin", "--port", str(port)]
    process = fork_server.start(str(manage_py), words, NOTHING, out, errors)
    await until(lambda: out.exists() and out.read_text().count("\n") >= 5)
    lines = out.read_text().splitlines()
    assert lines[0].startswith(f"# A stand-in for Spotify listens at http://127.0.0.1:{port}")
    found = await report(**dict(line.split("=", 1) for line in lines[1:5]))
    assert found["credentials"].level == found["search"].level == "ok"
    refused, complaint = tmp_path / "refused", tmp_path / "complaint"
    second = fork_server.start(str(manage_py), words, NOTHING, refused, complaint)
    await until(lambda: second.poll() is not None)
    said = f"Cannot listen on port {port}: Address already in use\n"
    assert (second.returncode, refused.read_text(), complaint.read_text()) == (1, "", said)
    process.send_signal(signal.SIGINT)
    await until(lambda: process.poll() is not None)
    assert (out.read_text().splitlines(), errors.read_text()) == (lines, "")


@pytest.mark.gen_test
async def test_an_owner_without_premium_is_told_as_such(
    report: Report, start_standin: StartStandIn
) -> None:
    standin = start_standin()
    standin.answer_next("/v1/browse/new-releases", Answer(403, PREMIUM))
    found = await report(standin)
    assert found["new-releases"].level == "fault"
    assert "no Premium" in found["new-releases"].text
    assert "few hours" in (found["new-releases"].fix or "")


@pytest.mark.gen_test
async def test_a_restricted_app_is_no_fault(report: Report, start_standin: StartStandIn) -> None:
    found = await report(start_standin(kind=AppKind.RESTRICTED))
    assert (found["new-releases"].level, found["search"].level) == ("note", "ok")


@pytest.mark.parametrize(
    ("answer", "level", "word"),
    [
        (
            Answer(429, b"Too many requests", {"Retry-After": "86236"}),
            "note",
            "a pause of 23 h 57 min;",
        ),
        (Answer(403, b"Forbidden"), "fault", "not available to this app"),
        (Answer(502), "fault", "502"),
        (Answer(200, b"<html>"), "fault", "not JSON"),
    ],
)
@pytest.mark.gen_test
async def test_what_search_answers_is_told(
    report: Report, start_standin: StartStandIn, answer: Answer, level: str, word: str
) -> None:
    standin = start_standin()
    standin.answer_next("/v1/search", answer)
    found = await report(standin)
    assert found["search"].level == level
    assert word in found["search"].text


@pytest.mark.gen_test
async def test_a_spotify_that_cannot_be_reached_is_one_fault(report: Report) -> None:
    found = await report()
    assert [about for about, level in levels(found).items() if level == "fault"] == ["Spotify"]


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (0, "ok", "s"),
        (25, "ok", "s behind"),
        (95, "fault", "s behind"),
        (-95, "fault", "s ahead of"),
    ],
)
@pytest.mark.gen_test
async def test_the_clock_is_compared_with_spotifys(
    report: Report, start_standin: StartStandIn, seconds: int, level: str, words: str
) -> None:
    standin = start_standin()
    theirs = datetime.now(UTC) + timedelta(seconds=seconds)
    date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
    standin.answer_next("/", Answer(200, b"", {"Date": date}))
    found = await report(standin)
    assert found["clock"].level == level
    assert words in found["clock"].text


@pytest.mark.gen_test
async def test_no_date_is_no_fault(report: Report, start_standin: StartStandIn) -> None:
    standin = start_standin()
    standin.answer_next("/", Answer(200, b"", {"Date": "yesterday"}))
    assert (await report(standin))["clock"].level == "note"


@pytest.mark.gen_test
async def test_a_database_that_is_away_is_a_fault_and_the_rest_is_told(
    report: Report, start_standin: StartStandIn
) -> None:
    away = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    found = await report(start_standin(), DATABASE_URL=away)
    assert (found["database"].level, found["search"].level) == ("fault", "ok")
    assert "login" not in found


@pytest.mark.gen_test
async def test_a_schema_that_is_behind_names_the_command(
    report: Report, start_standin: StartStandIn, empty_database_url: URL
) -> None:
    url = empty_database_url.render_as_string(hide_password=False)
    found = await report(start_standin(), DATABASE_URL=url)
    assert found["database"].level == "fault"
    assert found["database"].fix == "run python manage.py create_db"


@pytest.mark.gen_test
async def test_a_database_of_our_own_that_is_not_there_yet_is_not_made(
    report: Report, start_standin: StartStandIn, tmp_path: Path
) -> None:
    found = await report(start_standin(), DATABASE_URL=f"embedded:{tmp_path / 'data'}")
    assert found["database"].level == "note"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (0, "ok", "more days"),
        (165, "note", "more days"),
        (200, "note", "no longer accepts"),
    ],
)
@pytest.mark.gen_test
async def test_the_age_of_a_login_is_told(
    report: Report,
    start_standin: StartStandIn,
    database: Database,
    days: int,
    level: str,
    words: str,
) -> None:
    await log_in(database, datetime.now(UTC) - timedelta(days=days))
    found = await report(start_standin())
    assert (found["login"].level, found["owner"].level) == (level, "ok")
    assert words in found["login"].text
    assert "account-1" in found["owner"].text


@pytest.mark.gen_test
async def test_a_missing_scope_is_noted(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    await log_in(database, datetime.now(UTC), scopes=("user-read-email",))
    found = await report(start_standin())
    assert found["login"].level == "note"
    assert "user-follow-read" in found["login"].text


@pytest.mark.gen_test
async def test_tokens_under_another_secret_are_a_fault_with_both_fixes(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    await log_in(database, datetime.now(UTC), secret="another secret, as long as it has to be")
    found = await report(start_standin())
    assert found["login"].level == "fault"
    assert "SECRET=new,old" in (found["login"].fix or "")
    assert "log in again" in (found["login"].fix or "")


@pytest.mark.gen_test
async def test_the_accounts_that_may_log_in_are_told(
    report: Report, start_standin: StartStandIn
) -> None:
    found = await report(start_standin(), ALLOWED_USERS="one, two")
    assert found["owner"] == Finding("ok", "owner", "ALLOWED_USERS admits one, two")


@pytest.mark.gen_test
async def test_an_older_id_in_allowed_users_is_found_with_what_to_write_instead(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    await log_in(database, datetime.now(UTC))
    standin = start_standin()
    found = (await report(standin, ALLOWED_USERS="listener,other"))["owner"]
    text = "ALLOWED_USERS lists listener, an older user id, which admits no account"
    assert found == Finding("note", "owner", text, "write account-1 for listener")
    for right in ("account-1,other", "id:listener"):
        assert (await report(standin, ALLOWED_USERS=right))["owner"].level == "ok"


@pytest.mark.gen_test
async def test_what_is_paused_is_told_and_not_asked(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    standin = start_standin()
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(second=30)  # amid a minute
    cooldown = Cooldown(datetime.now(UTC), until, "429 Too many requests")
    await database.run(STORE.store_cooldown, "/search", cooldown)
    found = await report(standin)
    assert found["search"].level == "note"
    assert "asks for a pause" in found["search"].text
    told = found["pause /search"]
    assert (told.level, told.text) == (
        "note",
        f"/search until {until:%Y-%m-%d %H:%M} UTC: 429 Too many requests",
    )
    assert standin.calls_to("/v1/search") == 0


@pytest.mark.gen_test
async def test_a_spent_quota_is_told_with_when_there_is_room_again(
    report: Report, start_standin: StartStandIn, database: Database
) -> None:
    standin = start_standin()
    hour = hour_of(datetime.now(UTC))
    await database.run(STORE.count, {("/search", hour): 500})
    found = await report(standin)
    assert found["search"].level == "note"
    assert "500 calls of 300 in 24 hours are used up; calls are allowed again in" in (
        found["search"].text
    )
    assert standin.calls_to("/v1/search") == 0


@pytest.mark.gen_test
async def test_each_market_is_asked_for_and_a_refused_one_is_named(
    report: Report, start_standin: StartStandIn
) -> None:
    standin = start_standin(unlaunched={"SE"})
    found = await report(standin, SYNC_MARKETS="DE,SE,RU,US")
    asked = [call.query for call in standin.calls if call.path == "/v1/search"]
    assert [query.get("market") for query in asked] == [None, "DE", "SE", "RU", "US"]
    assert {query["limit"] for query in asked} == {"1"}
    assert found["markets"] == Finding("ok", "markets", "Spotify serves DE, US")
    for market, words in (("SE", "400 Unlaunched market"), ("RU", "400 Invalid market code")):
        refused = found[f"market {market}"]
        assert (refused.level, refused.fix) == ("note", "remove it from SYNC_MARKETS")
        assert refused.text == (
            f"Spotify refuses it ({words}); syncs skip it, and try it again daily"
        )


@pytest.mark.gen_test
async def test_a_setting_of_refused_markets_alone_is_a_fault(
    report: Report, start_standin: StartStandIn
) -> None:
    found = await report(start_standin(), SYNC_MARKETS="RU,KP")
    assert found["markets"].level == "fault"
    assert found["markets"].text == (
        "Spotify serves none of SYNC_MARKETS (RU, KP), so search cannot be used"
    )
    assert "leave it empty" in str(found["markets"].fix)
    assert "market DE" not in found


@pytest.mark.gen_test
async def test_markets_are_not_asked_for_where_search_is_not_used_or_pauses(
    report: Report, start_standin: StartStandIn
) -> None:
    standin = start_standin()
    found = await report(standin, SYNC_MARKETS="DE,RU", SYNC_SOURCE="new-releases")
    assert not [about for about in found if about.startswith("market")]
    assert standin.calls_to("/v1/search") == 1
    standin.answer_next("/v1/search", Answer(200, {}))
    standin.answer_next("/v1/search", Answer(429, b"", {"Retry-After": "600"}))
    found = await report(standin, SYNC_MARKETS="DE,RU,US", SYNC_SOURCE="search")
    assert [about for about in found if about.startswith("market")] == ["market DE"]
    assert found["market DE"].text.endswith("; further markets were not checked")


@pytest.mark.gen_test
async def test_many_markets_make_syncs_rare_and_that_is_told(
    report: Report, start_standin: StartStandIn
) -> None:
    found = await report(start_standin(), SYNC_MARKETS="DE,US,SE,FR")
    assert found["pace"].level == "note"
    assert "takes up to 40 calls" in found["pace"].text
    assert found["pace"].text.endswith("the quota allows one every 4 h 10 min, not every 30 min")
    by_hand = (await report(start_standin(), SYNC_INTERVAL="0"))["pace"]
    assert by_hand.level == "note"
    assert "leaves to others what is done by the clock" in by_hand.text
    assert "SYNC_INTERVAL=1800" in (by_hand.fix or "")


@pytest.mark.gen_test
async def test_a_sync_that_would_never_fit_is_a_fault_of_the_settings(report: Report) -> None:
    markets = ",".join(sorted(CODES)[:50])
    found = await report(SYNC_MARKETS=markets)
    assert found["QUOTA_PER_DAY"].level == "fault"
    assert "one sync takes 500 calls" in found["QUOTA_PER_DAY"].text
