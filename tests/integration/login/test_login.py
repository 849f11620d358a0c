"""The login as it should go, over HTTP: to Spotify and back, stored, used, shown and logged."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from tornado.httpclient import HTTPResponse

from server.standin import Answer, Listener
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.login_browser import Browser, SetStage, Stage, parameters, read_page
from tests.support.standins import StartStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]


@pytest.mark.gen_test
async def test_the_login_sends_the_browser_to_spotify(set_stage: SetStage) -> None:
    stage = await set_stage()
    for path in ("/auth/login/", "/auth/login", "/auth/authorize/", "/auth/authorize"):
        leads_to_spotify(stage, await stage.browser().get(path))


def leads_to_spotify(stage: Stage, response: HTTPResponse) -> None:
    assert response.code == 302
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    address = urlsplit(response.headers["Location"])
    assert f"{address.scheme}://{address.netloc}" == stage.standin.accounts_url
    assert address.path == "/authorize"
    asked = parameters(response.headers["Location"])
    state, challenge = asked.pop("state"), asked.pop("code_challenge")
    assert len(state) == len(challenge) == 43  # 256 bits
    assert asked == {
        "client_id": "standin-client",
        "response_type": "code",
        "redirect_uri": f"{stage.url}/auth/callback/",
        "scope": "user-follow-read",
        "code_challenge_method": "S256",
        "show_dialog": "true",
    }


@pytest.mark.gen_test
async def test_without_following_no_scope_is_asked_for_and_the_page_says_so(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(following="off")
    browser = stage.browser()
    assert "scope" not in parameters(await browser.begin())
    assert "no permission beyond your account’s name" in read_page(await browser.get("/"))
    assert (await browser.log_in()).code == 303
    page = read_page(await browser.get("/"))
    assert "You are logged in as" in page
    assert "does not allow" not in page


@pytest.mark.gen_test
async def test_a_login_of_a_time_without_following_is_told_to_log_in_again(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    assert "<code>user-follow-read</code>" in read_page(await browser.get("/"))
    await browser.log_in()
    page = read_page(await browser.get("/"))
    assert "user-follow-read" not in page, "they have allowed it"
    await stage.execute("UPDATE logins SET scopes = '{}' WHERE authorized_at IS NOT NULL")
    await stage.freshet.consent_monitor.load()
    page = read_page(await browser.get("/"))
    assert "does not allow Freshet to see which artists you follow" in page
    assert "Log in again</a>" in page
    await browser.log_in()
    assert "does not allow" not in read_page(await browser.get("/"))


@pytest.mark.gen_test
async def test_a_grant_that_names_no_scope_has_those_that_were_asked_for(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    grant = b'{"access_token": "BQa", "expires_in": 3600, "refresh_token": "AQb"}'
    stage.standin.answer_next("/api/token", Answer(200, grant))
    stage.standin.answer_next("/v1/me", Answer(200, b'{"id": "robin", "account_id": "account-1"}'))
    assert (await stage.browser().log_in()).code == 303
    await until(lambda: stage.freshet.consent_monitor.consent)
    consent = stage.freshet.consent_monitor.consent
    assert consent is not None
    assert consent.scopes == ("user-follow-read",)


async def following_of(browser: Browser) -> dict[str, Any]:
    status = orjson.loads((await browser.get("/api/status")).body)
    found: dict[str, Any] = status["following"]
    return found


async def known_to_memory(stage: Stage) -> list[str]:
    """Return the artists of the account by which its releases are selected."""
    mine = await stage.freshet.own.my_releases.read(Listener().account_id)
    return list(mine.artists.followed)


@pytest.mark.gen_test
async def test_after_a_login_the_followed_artists_are_read_and_the_status_says_so(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    standin = start_standin(albums(30), clock=clock)
    stage = await set_stage(standin, sync_interval=3600)
    browser = stage.browser()
    nothing = {"read_at": None, "tried_at": None, "error": None}
    assert await following_of(browser) == {"state": "login_missing", **nothing}
    assert "read once somebody has logged in" in (await browser.get("/status")).body.decode()
    await browser.log_in()
    await until(lambda: stage.freshet.status.read().list_condition == "current")
    expected = [each["id"] for each in standin.catalogue.followed()]
    assert expected
    rows = await stage.all("SELECT artist FROM followed_artists ORDER BY position")
    assert rows == expected
    while await known_to_memory(stage) != expected:
        await asyncio.sleep(0.05)
    standin.catalogue.following.unfollow(expected[0])
    clock.forward(minutes=2)
    assert await stage.freshet.following.lists.refresh(Listener().account_id)
    while await known_to_memory(stage) != expected[1:]:
        await asyncio.sleep(0.05)
    assert (await following_of(browser))["error"] is None
    assert "<dd>read " in (await browser.get("/status")).body.decode()
    await browser.post("/auth/disconnect/")
    assert await stage.all("SELECT artist FROM followed_artists") == []
    await until(lambda: stage.freshet.status.read().list_condition == "login_missing")
    assert await following_of(browser) == {"state": "login_missing", **nothing}


@pytest.mark.gen_test
async def test_a_list_that_cannot_be_read_is_told_without_spotifys_words(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(sync_interval=3600)
    stage.standin.misbehave("forbidden", "/v1/me/following", times=None)
    browser = stage.browser()
    await browser.log_in()
    await until(lambda: stage.freshet.status.read().list_condition == "failed")
    told = await following_of(browser)
    assert (told["state"], told["error"], told["read_at"]) == ("failed", "EndpointRestricted", None)
    page = (await browser.get("/status")).body.decode()
    assert "could not be read" in page
    assert "Forbidden" not in page


@pytest.mark.parametrize(
    ("scopes", "following", "state", "words"),
    [
        ("'{}'", "on", "scope_missing", "does not allow to read them"),
        ("'{user-follow-read}'", "off", "off", "<code>FOLLOWING</code> is off"),
    ],
)
@pytest.mark.gen_test
async def test_the_status_says_why_no_list_is_read(
    set_stage: SetStage, scopes: str, following: str, state: str, words: str
) -> None:
    stage = await set_stage(following=following)
    browser = stage.browser()
    await browser.log_in()
    await stage.execute(f"UPDATE logins SET scopes = {scopes} WHERE authorized_at IS NOT NULL")
    await stage.freshet.consent_monitor.load()
    assert (await following_of(browser))["state"] == state
    assert words in (await browser.get("/status")).body.decode()
    assert stage.standin.calls_to("/v1/me/following") == 0


@pytest.mark.gen_test
async def test_each_login_has_a_state_and_a_challenge_of_its_own(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    asked = [parameters(await browser.begin()) for _ in range(3)]
    assert len({each["state"] for each in asked}) == 3
    assert len({each["code_challenge"] for each in asked}) == 3


@pytest.mark.gen_test
async def test_the_verifier_is_the_challenges_and_goes_to_the_token_endpoint_alone(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    consent = await browser.begin()
    back = await browser.agree(consent)
    code = stage.standin.world.tokens._codes[parameters(back)["code"]]
    attempt = stage.freshet.login_service._cookies.open(browser.attempts[0].value.encode())
    verifier = orjson.loads(attempt)[1]
    digest = sha256(verifier.encode()).digest()
    assert code.challenge == urlsafe_b64encode(digest).decode().rstrip("=")
    assert verifier not in consent + back + str(browser.jar)
    assert (await browser.get(back)).code == 303
    assert verifier not in str(lines())


@pytest.mark.gen_test
async def test_the_cookie_of_a_begun_login_is_for_this_site_alone(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    response = await browser.get("/auth/login/")
    (line,) = response.headers.get_list("Set-Cookie")
    name, *attributes = line.split("; ")
    assert name.startswith("freshet_login_")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=3600", "Path=/", "SameSite=Lax"]


@pytest.mark.gen_test
async def test_the_cookie_of_a_session_is_for_this_site_alone_and_lasts_thirty_days(
    set_stage: SetStage,
) -> None:
    response = await (await set_stage()).browser().log_in()
    (line,) = [
        each for each in response.headers.get_list("Set-Cookie") if "freshet_session" in each
    ]
    value, *attributes = line.split("; ")
    assert len(value.removeprefix("freshet_session=")) == 43  # 256 bits
    assert sorted(attributes) == ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax"]


@pytest.mark.gen_test
async def test_the_callback_logs_in_with_and_without_its_slash(set_stage: SetStage) -> None:
    stage = await set_stage()
    for path in ("/auth/callback/", "/auth/callback"):
        browser = stage.browser()
        back = await browser.agree(await browser.begin())
        response = await browser.get(back.replace("/auth/callback/", path))
        assert (response.code, response.headers["Location"]) == (303, f"{stage.url}/")
        assert response.headers["Cache-Control"] == "no-store"
        assert browser.session is not None


@pytest.mark.gen_test
async def test_the_login_ends_where_it_was_to_end(set_stage: SetStage) -> None:
    stage = await set_stage()
    for wanted, end in (
        (None, "/"),
        ("/", "/"),
        ("/api/artists/?limit=1&type=album", "/api/artists/?limit=1&type=album"),
        ("//evil.example", "/"),
    ):
        response = await stage.browser().log_in(wanted)
        assert response.headers["Location"] == stage.url + end


@pytest.mark.gen_test
async def test_the_login_is_stored_encrypted_with_the_time_of_the_consent(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    await stage.browser().log_in()
    (row,) = await stage.all(
        "SELECT account_id, user_id, display_name, scopes, state, authorized_at, expires_at,"
        " access_token, refresh_token FROM logins"
    )
    assert row[:5] == (
        "standin-account-1",
        "standin-listener",
        "Robin of the Stand-in",
        ["user-follow-read"],
        "active",
    )
    assert row[5] == stage.clock()
    assert row[6] == stage.clock() + timedelta(hours=1)
    access, refresh = (bytes(sealed) for sealed in row[7:])
    opened = [stage.freshet.upstream.encryption.open(sealed) for sealed in (access, refresh)]
    assert stage.standin.world.tokens.access(opened[0]) is not None
    assert stage.standin.world.tokens.refresh(opened[1])
    for token in opened:
        assert token.encode() not in access + refresh


@pytest.mark.gen_test
async def test_neither_state_nor_session_can_be_read_from_the_database(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    state = parameters(await browser.begin())["state"]
    assert await stage.all("SELECT * FROM spent_states") == []
    await browser.log_in()
    assert browser.session is not None
    (kept,) = await stage.all("SELECT token_hash FROM sessions")
    assert bytes(kept) == sha256(browser.session.value.encode()).digest()
    (spent,) = await stage.all("SELECT state_hash FROM spent_states")
    assert len(bytes(spent)) == 32
    assert state.encode() not in bytes(spent)


async def grants(stage: Stage) -> dict[str, int]:
    """The tokens got so far, by kind of grant, as /metrics counts them."""
    response = await stage.browser().get("/metrics")
    return {
        grant: int(float(line.split()[-1]))
        for line in response.body.decode().splitlines()
        for grant in ("refresh_token", "client_credentials")
        if line.startswith(f'freshet_token_renewals_total{{grant="{grant}"}}')
    }


@pytest.mark.gen_test
async def test_the_sync_uses_the_logins_token_and_renews_it(set_stage: SetStage) -> None:
    stage = await set_stage()
    await stage.browser().log_in()
    assert (await stage.freshet.syncer.sync()).outcome == "complete"
    assert stage.token_calls() == 1  # the code's
    assert (await stage.me())["id"] == "standin-listener"
    stage.clock.forward(hours=2)
    assert (await stage.freshet.syncer.sync()).outcome == "complete"
    assert await grants(stage) == {"refresh_token": 1, "client_credentials": 0}


@pytest.mark.gen_test
async def test_a_login_takes_the_place_of_the_apps_own_token_at_once(set_stage: SetStage) -> None:
    stage = await set_stage()
    await stage.freshet.syncer.sync()
    assert await grants(stage) == {"refresh_token": 0, "client_credentials": 1}
    await stage.browser().log_in()
    assert (await stage.me())["id"] == "standin-listener"


@pytest.mark.gen_test
async def test_the_start_page_tells_who_is_logged_in_and_owns_the_server(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    await browser.log_in()
    page = read_page(await browser.get("/"))
    for shown in (
        "Robin of the Stand-in",
        "standin-account-1",
        "You own this server",
        "20 May 2027",
    ):
        assert shown in page
    stranger = read_page(await stage.browser().get("/"))
    for hidden in (
        "Robin of the Stand-in",
        "standin-account-1",
        "You own this server",
        "Log out",
        "days left",
        "20 May 2027",
    ):
        assert hidden not in stranger
    assert "This server belongs to another account" in stranger


@pytest.mark.gen_test
async def test_status_and_metrics_tell_the_days_to_the_next_consent(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    before = orjson.loads((await browser.get("/api/status")).body)["login"]
    assert before == {
        "state": "none",
        "authorized_at": None,
        "reconsent_by": None,
        "days_to_reconsent": None,
    }
    await browser.log_in()
    after = orjson.loads((await browser.get("/api/status")).body)["login"]
    assert after["state"] == "active"
    assert 180 <= after["days_to_reconsent"] <= 184
    assert after["authorized_at"] == "2026-11-20T05:00:12Z"
    assert after["reconsent_by"] == "2027-05-20T05:00:12Z"
    metrics = (await browser.get("/metrics")).body.decode()
    assert f"\nfreshet_days_to_reconsent {after['days_to_reconsent']}.0\n" in metrics


@pytest.mark.gen_test
async def test_the_log_tells_of_a_login_and_shows_no_code_state_or_token(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    consent = await browser.begin("/healthz")
    back = await browser.agree(consent)
    cookies = [each.value for each in browser.attempts]
    callback = await browser.get(back)
    await browser.post("/auth/logout/")
    encryption = stage.freshet.upstream.encryption
    sealed = await stage.all(
        "SELECT access_token FROM logins UNION SELECT refresh_token FROM logins"
    )
    logged = lines()
    (succeeded,) = [line for line in logged if line["event"] == "login_succeeded"]
    assert succeeded["account_id"] == "standin-account-1"
    assert succeeded["ends_at"].startswith("2027-05-20")
    requests = [line for line in logged if line["event"] == "http_request"]
    assert [line["path"].partition("?")[0] for line in requests] == [
        "/auth/login/",
        "/auth/callback/",
        "/auth/logout/",
    ]
    assert requests[1]["path"] == "/auth/callback/?code=********&state=********"
    assert succeeded["request_id"] == requests[1]["request_id"]
    hidden = [
        parameters(back)["code"],
        parameters(back)["state"],
        parameters(consent)["code_challenge"],
        callback.headers["Set-Cookie"].split(";")[0].partition("=")[2],
        *cookies,
        *(encryption.open(bytes(each)) for each in sealed),
    ]
    assert len(hidden) == 7
    told = "\n".join(map(str, logged))
    for secret in hidden:
        assert secret not in told


@pytest.mark.gen_test
async def test_who_logs_in_is_whoever_agreed_at_spotify(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.listener = Listener("account-2", "listener-2", "Océano de Sal")
    browser = stage.browser()
    await browser.log_in()
    assert "<strong>Océano de Sal</strong>" in read_page(await browser.get("/"))
    assert parse_qs(urlsplit(await browser.begin()).query)["show_dialog"] == ["true"]
