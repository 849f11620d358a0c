"""Every way a login fails over HTTP: a page that helps, nothing echoed, nothing stored."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from server.login import errors
from server.standin import Answer
from server.standin.accounts.tokens import Consent
from tests.support.clock import Clock
from tests.support.login_browser import Browser, SetStage, Stage, parameters, read_page
from tests.support.standins import StartStandIn

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
TOKEN, ME = "/api/token", "/v1/me"
PLAIN = {"Content-Type": "text/plain"}
GRANT = {"access_token": "BQ-access", "expires_in": 3600, "refresh_token": "AQ-refresh"}


async def failed(
    stage: Stage, browser: Browser, url: str, status: int, title: str, retry: bool = False
) -> str:
    """What the page says that answers this callback, by which nothing may have changed."""
    before, session = await stage.counts(), browser.session
    response = await browser.get(url)
    page = read_page(response, status)
    assert f"<h1>{title}" in unescape(page)
    assert 'href="/auth/login/">Try again</a>' in page
    assert ("Retry-After" in response.headers) is retry
    said = parameters(url) if "?" in url else {}
    for value in (*said.values(), "AQ-refresh", "BQ-access", "Traceback"):
        assert value not in page
    assert await stage.counts() == before
    assert browser.session == session
    return page


@pytest.mark.gen_test
async def test_cancelling_is_not_an_error_of_anybodys(set_stage: SetStage, lines: Lines) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin(), answer="cancel")
    assert parameters(back)["error"] == "access_denied"
    await failed(stage, browser, back, 403, "You cancelled the login")
    (line,) = [each for each in lines() if each["event"] == "login_failed"]
    assert (line["cause"], line["level"]) == ("login-denied", "info")
    assert stage.token_calls() == 0


@pytest.mark.gen_test
async def test_another_try_returns_to_where_the_first_one_began(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for begun, again in (
        ("/my/?q=a b&sort=name", "?next=%2Fmy%2F%3Fq%3Da%2520b%26sort%3Dname"),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
    ):
        back = await browser.agree(await browser.begin(begun), answer="cancel")
        page = read_page(await browser.get(back), 403)
        assert f'href="/auth/login/{again}">Try again</a>' in page
    back = await browser.agree(await browser.begin("/my/"), answer="cancel")
    stranger = read_page(await stage.browser().get(back), 400)
    assert 'href="/auth/login/">Try again</a>' in stranger, "it is another browser's login"


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        ("server_error", 503, "Spotify cannot be reached"),
        ("temporarily_unavailable", 503, "Spotify cannot be reached"),
        ("invalid_scope", 502, "Spotify sent an unexpected response"),
        ("unheard-of", 502, "Spotify sent an unexpected response"),
    ],
)
@pytest.mark.gen_test
async def test_other_errors_that_come_back_are_spotifys(
    set_stage: SetStage, error: str, status: int, title: str
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    state = parameters(await browser.begin())["state"]
    url = f"/auth/callback/?error={error}&state={state}"
    await failed(stage, browser, url, status, title, retry=status == 503)
    assert stage.token_calls() == 0


NO_ANSWERS = [
    ("", "This login did not start here"),
    ("?code=AQcode", "This login did not start here"),
    ("?error=access_denied", "This login did not start here"),
    ("?state=STATE", "Spotify did not accept the code"),
    ("?state=STATE&code=", "Spotify did not accept the code"),
    ("?state=&code=AQcode", "This login was not started in this browser"),
    ("?state=foreign-state&code=AQcode", "This login was not started in this browser"),
    ("?state=STATEx&code=AQcode", "This login was not started in this browser"),
    ("?state=%F0%9F%8E%B5&code=AQcode", "This login was not started in this browser"),
]


@pytest.mark.gen_test
async def test_what_is_no_answer_of_spotifys_is_a_bad_request(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    before = await stage.counts()
    for query, title in NO_ANSWERS:
        state = parameters(await browser.begin())["state"]
        url = "/auth/callback/" + query.replace("STATE", state)
        page = read_page(await browser.get(url), 400)
        assert f"<h1>{title}" in page, query
        assert "AQcode" not in page
        assert state not in page
        assert browser.session is None
    assert await stage.counts() == before
    assert stage.token_calls() == 0


@pytest.mark.parametrize("name", ["state", "code"])
@pytest.mark.gen_test
async def test_a_parameter_that_is_repeated_is_none(set_stage: SetStage, name: str) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    for other in ("", "other", parameters(back)[name]):
        page = read_page(await browser.get(f"{back}&{name}={other}"), 400)
        assert "<h1>" in page
    assert browser.session is None
    assert stage.token_calls() == 0


@pytest.mark.gen_test
async def test_bytes_that_are_no_text_are_a_bad_request_too(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for query in ("state=%ff&code=a", "state=%ed%a0%80&code=a", "state=a&code=%ff"):
        read_page(await browser.get(f"/auth/callback/?{query}"), 400)
    read_page(await browser.get("/auth/login/?next=%ff"), 400)


@pytest.mark.gen_test
async def test_ten_minutes_are_too_long_and_a_second_less_is_not(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.world.tokens._clock = Clock(stage.clock())  # Spotify's own is not the matter
    early, late = stage.browser(), stage.browser()
    backs = [await each.agree(await each.begin()) for each in (early, late)]
    stage.clock.forward(seconds=599)
    assert (await early.get(backs[0])).code == 303
    stage.clock.forward(seconds=1)
    await failed(stage, late, backs[1], 400, "This login took too long")
    assert stage.token_calls() == 1


@pytest.mark.gen_test
async def test_after_an_hour_the_browser_has_forgotten_the_login(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    stage.clock.forward(hours=1)
    await failed(stage, browser, back, 400, "This login was not started in this browser")


@pytest.mark.gen_test
async def test_a_login_works_once_and_reloading_harms_nothing(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    await browser.get(back)
    page = await failed(stage, browser, back, 400, "This login link has already been used")
    assert "If you only reloaded the page, nothing is lost" in page
    assert stage.token_calls() == 1
    assert "You are logged in as" in read_page(await browser.get("/"))


@pytest.mark.gen_test
async def test_a_state_stays_spent_in_another_process_and_after_minutes(
    set_stage: SetStage,
) -> None:
    first = await set_stage()
    second = await set_stage(first.standin, public_url=first.url)
    browser = first.browser()
    back = await browser.agree(await browser.begin())
    await browser.get(back)
    first.clock.forward(minutes=9)
    url = back.replace(first.url, f"http://127.0.0.1:{second.freshet.port}")
    page = read_page(await browser.get(url), 400)
    assert "This login link has already been used" in page
    assert first.token_calls() == 1


@pytest.mark.gen_test
async def test_a_code_works_once(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    await browser.get(back)
    state = parameters(await browser.begin())["state"]
    url = f"/auth/callback/?state={state}&code={parameters(back)['code']}"
    await failed(stage, browser, url, 400, "Spotify did not accept the code")


@pytest.mark.gen_test
async def test_a_code_of_another_login_is_refused_by_its_challenge(set_stage: SetStage) -> None:
    """RFC 9700 section 4.5: an injected code is of no use without its verifier."""
    stage = await set_stage()
    attacker, victim = stage.browser(), stage.browser()
    code = parameters(await attacker.agree(await attacker.begin()))["code"]
    state = parameters(await victim.begin())["state"]
    url = f"/auth/callback/?state={state}&code={code}"
    await failed(stage, victim, url, 400, "Spotify did not accept the code")
    assert stage.token_calls() == 1


@pytest.mark.gen_test
async def test_a_code_that_has_expired_at_spotify(
    set_stage: SetStage, start_standin: StartStandIn
) -> None:
    theirs = Clock(datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC))
    stage = await set_stage(start_standin([], clock=theirs))
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    theirs.forward(minutes=10)
    await failed(stage, browser, back, 400, "Spotify did not accept the code")


@pytest.mark.gen_test
async def test_another_redirect_uri_is_the_operators_to_fix(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    consent = await browser.begin()
    ours = parameters(consent)["redirect_uri"].replace(":", "%3A").replace("/", "%2F")
    other = "http%3A%2F%2F127.0.0.1%3A5000%2Fauth%2Fcallback%2F"
    back = await browser.agree(consent.replace(ours, other))
    url = "/auth/callback/?" + back.partition("?")[2]
    page = await failed(stage, browser, url, 502, "Spotify does not accept this server’s redirect")
    assert "https://developer.spotify.com/dashboard" in page


@pytest.mark.gen_test
async def test_a_wrong_client_secret_is_the_operators_to_fix(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage(client_secret="a-wrong-client-secret")
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    page = await failed(stage, browser, back, 502, "Spotify rejected this server’s CLIENT_ID")
    assert "a-wrong-client-secret" not in page + str(lines())


@pytest.mark.gen_test
async def test_spotify_that_refuses_connections_is_away(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    await stage.standin.stop()
    await failed(stage, browser, back, 503, "Spotify cannot be reached", retry=True)


NOT_REGISTERED = (403, "This account is not registered")
NO_PREMIUM = (502, "The owner of this Spotify app has no Premium")
AWAY = (503, "Spotify cannot be reached")
ODD = (502, "Spotify sent an unexpected response")
OWNER = b"Active premium subscription required for the owner of the app."
DASHBOARD = b"Check settings on developer.spotify.com/dashboard, the user may not be registered."


ANSWERS: list[tuple[str, Answer, tuple[int, str]]] = [
    (ME, Answer(403, b"User not registered in the Developer Dashboard", PLAIN), NOT_REGISTERED),
    (ME, Answer(403, DASHBOARD, PLAIN), NOT_REGISTERED),
    (ME, Answer(403, OWNER, PLAIN), NO_PREMIUM),
    (ME, Answer(403, {"error": {"status": 403, "message": "Forbidden"}}), ODD),
    (ME, Answer(403, b"<script>alert(1)</script>"), ODD),
    (ME, Answer(401, {"error": {"status": 401, "message": "Invalid access token"}}), ODD),
    (ME, Answer(404, b""), ODD),
    (ME, Answer(500), AWAY),
    (ME, Answer(502, {"error": {"status": 502, "message": "Bad gateway."}}), AWAY),
    (ME, Answer(429, b"Too many requests", {"Retry-After": "19056", **PLAIN}), AWAY),
    (ME, Answer(429, {"error": {"status": 429, "message": "API rate limit exceeded"}}), AWAY),
    (ME, Answer(200, b"<html><script>alert(1)</script>"), ODD),
    (ME, Answer(200, b"[]"), ODD),
    (ME, Answer(204), ODD),
    (ME, Answer(302, b"", {"Location": "http://evil.example/"}), ODD),
    (ME, Answer(200, {"display_name": "Nobody"}), ODD),
    (ME, Answer(200, {"account_id": None, "id": ""}), ODD),
    (ME, Answer(200, {"account_id": 5, "id": ["a"]}), ODD),
    (ME, Answer(200, {"account_id": "app:standin-client", "id": "app:x"}), ODD),
    (ME, Answer(200, {"account_id": "x" * 201, "id": "a\x00b"}), ODD),
    (TOKEN, Answer(500), AWAY),
    (TOKEN, Answer(503, b"<html>"), AWAY),
    (TOKEN, Answer(429, b"Too many requests"), AWAY),
    (TOKEN, Answer(200, b"<html>AQ-refresh"), ODD),
    (TOKEN, Answer(200, {**GRANT, "access_token": "BQ\r\nX-Evil: yes"}), ODD),
    (TOKEN, Answer(200, {**GRANT, "expires_in": 0}), ODD),
    (TOKEN, Answer(302, b"", {"Location": "http://evil.example/"}), ODD),
    (TOKEN, Answer(400, {"error": "invalid_request"}), ODD),
    (
        TOKEN,
        Answer(400, {"error": "invalid_grant", "error_description": "<b>AQ-refresh</b>"}),
        (400, "Spotify did not accept the code"),
    ),
    (
        TOKEN,
        Answer(400, {"error": "invalid_client"}),
        (502, "Spotify rejected this server’s CLIENT_ID"),
    ),
]


@pytest.mark.parametrize("path", [TOKEN, ME])
@pytest.mark.gen_test
async def test_whatever_spotify_answers_is_a_page_and_stores_nothing(
    set_stage: SetStage, lines: Lines, path: str
) -> None:
    stage = await set_stage(trusted_proxies="127.0.0.1")
    cases = [case[1:] for case in ANSWERS if case[0] == path]
    for number, (answer, expected) in enumerate(cases):
        stage.standin.world.script = {path: [answer] * 2}  # a call may be repeated once
        browser = stage.browser(address=f"192.0.2.{number}")
        back = await browser.agree(await browser.begin())
        page = await failed(stage, browser, back, *expected, retry=expected[0] == 503)
        for foreign in ("<script", "<b>", "19056"):
            assert foreign not in page
        assert parameters(back)["code"] not in str(lines())
        if answer.status == 429:
            stage.clock.forward(days=1)  # until that pause is over
    causes = [line["cause"] for line in lines() if line["event"] == "login_failed"]
    assert len(causes) == len(cases)
    assert [line for line in lines() if line["level"] == "error"] == []


@pytest.mark.gen_test
async def test_a_grant_without_a_refresh_token_is_no_login(set_stage: SetStage) -> None:
    """However good its access token is: in an hour the server would have nothing left."""
    stage = await set_stage()
    user = {"account_id": "account-1", "id": "listener-1", "display_name": "One"}
    consent = Consent(user, frozenset(), stage.clock())
    for refresh in ({}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": 5}):
        grant = stage.standin.world.tokens.issue_access(consent) | refresh
        stage.standin.answer_next(TOKEN, Answer(200, grant))
        browser = stage.browser()
        back = await browser.agree(await browser.begin())
        await failed(stage, browser, back, *ODD)


@pytest.mark.gen_test
async def test_what_postgresql_cannot_keep_does_not_crash_a_login(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    genuine = stage.standin.world.tokens.issue_access()
    odd = {**genuine, "refresh_token": "AQ\x00refresh", "scope": "user-follow-read\x00 \ufffe"}
    stage.standin.answer_next(TOKEN, Answer(200, odd))
    me = {"account_id": "account-1", "id": "listener", "display_name": "A\x00B\u202eC"}
    stage.standin.answer_next(ME, Answer(200, me))
    response = await stage.browser().log_in()
    assert response.code in (303, 502)
    assert [each for each in lines() if each["event"] == "request_crashed"] == []


@pytest.mark.gen_test
async def test_a_token_that_spotify_misses_once_is_shown_again(set_stage: SetStage) -> None:
    stage = await set_stage()
    missing = {"error": {"status": 401, "message": "Access token missing"}}
    stage.standin.answer_next(ME, Answer(401, missing))
    assert (await stage.browser().log_in()).code == 303


async def away(stage: Stage, name: str = "nowhere") -> Callable[[], None]:
    """Take the database away; what comes back brings it back."""
    url = stage.freshet.database.engine.url
    stage.freshet.database._replace_engine(url.set(database=name))
    return lambda: stage.freshet.database._replace_engine(url)


def database_page(response: HTTPResponse) -> None:
    page = read_page(response, 503)
    assert "The database is unavailable" in page
    assert "nowhere" not in page
    assert response.headers["Retry-After"] == "10"


@pytest.mark.gen_test
async def test_a_database_that_is_away_is_a_503_and_begins_no_less(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    await away(stage)
    await browser.begin()
    database_page(await browser.get(back))
    assert browser.session is None
    assert stage.token_calls() == 0
    assert (await browser.post("/auth/logout/")).code == 303  # there is no session to end


@pytest.mark.gen_test
async def test_when_the_database_is_back_reloading_the_page_is_enough(
    set_stage: SetStage,
) -> None:
    """That page says so: nothing has been spent yet."""
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    bring_back = await away(stage)
    database_page(await browser.get(back))
    bring_back()
    assert (await browser.get(back)).code == 303


@pytest.mark.gen_test
async def test_a_database_that_goes_away_meanwhile_leaves_nobody_half_in(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    back = await browser.agree(await browser.begin())
    me = {"account_id": "account-1", "id": "listener", "display_name": "A"}
    answered = asyncio.Event()
    stage.standin.answer_next(ME, Answer(200, me, held=answered))
    callback = asyncio.create_task(browser.get(back))
    while not stage.token_calls():
        await asyncio.sleep(0.01)
    bring_back = await away(stage)
    answered.set()
    database_page(await callback)
    assert browser.session is None
    bring_back()
    assert (await stage.counts())["logins"] == 0
    assert (await browser.log_in()).code == 303


def test_the_log_warns_of_every_failed_login_but_those_that_happen_to_everyone() -> None:
    everyone = {each for each in errors.LoginFailed.__subclasses__() if each.usual}
    assert everyone == {
        errors.LoginDenied,
        errors.StateMissing,
        errors.StateExpired,
        errors.AddressUnusable,
    }


@pytest.mark.gen_test
async def test_a_login_that_is_refused_is_worth_an_alarm(set_stage: SetStage, lines: Lines) -> None:
    stage = await set_stage()
    back = await stage.browser().agree(await stage.browser().begin())
    await stage.browser().get(back)  # of a browser that has not begun it
    (line,) = [each for each in lines() if each["event"] == "login_failed"]
    assert (line["cause"], line["level"]) == ("state-foreign", "warning")
