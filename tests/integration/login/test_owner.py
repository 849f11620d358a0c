"""Who may log in: ALLOWED_USERS, or the first; and how they leave: log out, disconnect."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from tornado.httpclient import HTTPResponse

from server.errors import SpotifyError
from server.standin import Answer, Listener
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.login_browser import Browser, SetStage, Stage, read_page
from tests.support.standins import StartStandIn
from tests.support.tokens import someone_waits
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
ONE = Listener("account-1", "listener-1", "One")
TWO = Listener("account-2", "listener-2", "Two")
PEOPLE = "SELECT account_id FROM logins WHERE authorized_at IS NOT NULL ORDER BY account_id"


async def log_in(stage: Stage, listener: Listener, browser: Browser | None = None) -> HTTPResponse:
    stage.standin.listener = listener
    return await (browser or stage.browser()).log_in()


async def logged_in(stage: Stage, listener: Listener) -> Browser:
    browser = stage.browser()
    assert (await log_in(stage, listener, browser)).code == 303
    return browser


async def is_in(browser: Browser, cookie: str | None = None) -> bool:
    headers = {} if cookie is None else {"Cookie": f"freshet_session={cookie}"}
    return "You are logged in as" in read_page(await browser.get("/", **headers))


@pytest.mark.parametrize(
    "named",
    ["account-1", "account_id:account-1", "id:listener-1", "someone, account-1,id:other"],
)
@pytest.mark.gen_test
async def test_allowed_users_are_named_by_either_id(set_stage: SetStage, named: str) -> None:
    stage = await set_stage(allowed_users=named)
    page = read_page(await log_in(stage, TWO), 403)
    assert "This account may not log in here" in page
    assert await stage.all(PEOPLE) == []
    page = read_page(await (await logged_in(stage, ONE)).get("/"))
    assert "<strong>One</strong>" in page
    assert "You own this server" not in page


@pytest.mark.parametrize(
    ("named", "stranger"),
    [
        ("account-1", Listener("account-9", "account-1", "Nine")),
        ("account-1", Listener(None, "account-1", "Nine")),  # type: ignore[arg-type]
        ("account_id:account-1", Listener("account-9", "account-1", "Nine")),
        ("id:listener-1", Listener("listener-1", "listener-9", "Nine")),
        ("listener-1", Listener("account-9", "listener-1", "Nine")),
    ],
)
@pytest.mark.gen_test
async def test_an_id_is_not_taken_for_an_account_id_nor_an_account_id_for_an_id(
    set_stage: SetStage, lines: Lines, named: str, stranger: Listener
) -> None:
    stage = await set_stage(allowed_users=named)
    page = read_page(await log_in(stage, stranger), 403)
    assert "This account may not log in here" in page
    assert await stage.all(PEOPLE) == []
    (failed,) = [line for line in lines() if line["event"] == "login_failed"]
    assert f"id:{stranger.id}" in failed["reason"]
    if not named.endswith("listener-1") or ":" in named:
        assert (await log_in(stage, ONE)).code == 303


@pytest.mark.gen_test
async def test_an_owner_without_account_id_is_not_the_account_that_is_called_alike(
    set_stage: SetStage,
) -> None:
    """Nor does that account get its session, its tokens, or its row."""
    stage = await set_stage()
    unnamed = Listener(None, "account-1", "Unnamed")  # type: ignore[arg-type]
    owner = await logged_in(stage, unnamed)
    assert await stage.all(PEOPLE) == ["id:account-1"]
    before = await stage.all("SELECT * FROM logins")
    for stranger in (ONE, Listener("account-9", "id:account-1", "Nine")):
        read_page(await log_in(stage, stranger), 403)
    assert await stage.all("SELECT * FROM logins") == before
    assert "id:account-1" in read_page(await owner.get("/"))
    assert (await owner.post("/auth/disconnect/")).code == 303
    assert await stage.all(PEOPLE) == []


@pytest.mark.gen_test
async def test_all_allowed_users_may_be_in_at_once(set_stage: SetStage) -> None:
    stage = await set_stage(allowed_users="account-1,id:listener-2")
    one, two = await logged_in(stage, ONE), await logged_in(stage, TWO)
    assert await stage.all(PEOPLE) == ["account-1", "account-2"]
    assert await is_in(one)
    assert await is_in(two)


@pytest.mark.gen_test
async def test_without_allowed_users_the_first_owns_and_the_second_may_not(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    owner = await logged_in(stage, ONE)
    before = await stage.all("SELECT * FROM logins")
    counts = await stage.counts()
    stranger = stage.browser()
    page = read_page(await log_in(stage, TWO, stranger), 403)
    assert "account-2" not in page
    assert stranger.session is None
    assert await stage.counts() == counts
    assert await stage.all("SELECT * FROM logins") == before
    assert await is_in(owner)
    assert not await is_in(stranger)
    (failed,) = [line for line in lines() if line["event"] == "login_failed"]
    assert "account-2" in failed["reason"]  # whom ALLOWED_USERS would have to name
    (owned,) = [line for line in lines() if line["event"] == "server_owned"]
    assert (owned["account_id"], owned["level"]) == ("account-1", "warning")


@pytest.mark.gen_test
async def test_a_stranger_who_borrows_the_owners_names_is_a_stranger(set_stage: SetStage) -> None:
    """Only the account_id is immutable; names, and with them the older ids, change hands."""
    stage = await set_stage()
    await logged_in(stage, ONE)
    before = await stage.all("SELECT * FROM logins")
    for borrowed in ("listener-1", "account-1", "x"):
        read_page(await log_in(stage, Listener("account-2", borrowed, "One")), 403)
    assert await stage.all("SELECT * FROM logins") == before


@pytest.mark.gen_test
async def test_a_refused_account_keeps_the_session_it_had(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    read_page(await log_in(stage, TWO, browser), 403)
    assert await is_in(browser)


@pytest.mark.gen_test
async def test_the_owner_who_logs_in_again_renews_the_consent(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    first = await stage.all("SELECT refresh_token FROM logins")
    stage.clock.forward(days=170)
    assert (await stage.freshet.syncer.sync()).outcome == "complete"
    await stage.execute("UPDATE logins SET state = 'consent_needed', reason = 'expired'")
    assert (await log_in(stage, ONE, browser)).code == 303
    row = ("account-1", stage.clock(), "active", None)
    assert await stage.all("SELECT account_id, authorized_at, state, reason FROM logins") == [row]
    assert await stage.all("SELECT refresh_token FROM logins") != first
    login = orjson.loads((await browser.get("/api/status")).body)["login"]
    assert login["days_to_reconsent"] >= 180


@pytest.mark.gen_test
async def test_of_many_first_logins_at_the_very_same_time_one_owns(set_stage: SetStage) -> None:
    first = await set_stage()
    second = await set_stage(first.standin)
    ready = []
    for number in range(10):
        stage = (first, second)[number % 2]
        stage.standin.listener = Listener(f"account-{number}", f"listener-{number}", str(number))
        browser = stage.browser()
        ready.append((browser, await browser.agree(await browser.begin())))
    answers = await asyncio.gather(*(browser.get(back) for browser, back in ready))
    assert sorted(answer.code for answer in answers) == [303] + [403] * 9
    winner = [answer.code for answer in answers].index(303)
    assert await first.all(PEOPLE) == [f"account-{winner}"]
    assert await first.all("SELECT account_id FROM sessions") == [f"account-{winner}"]


@pytest.mark.gen_test
async def test_who_is_no_longer_named_can_but_take_the_data_along(set_stage: SetStage) -> None:
    stage = await set_stage(allowed_users="account-1,account-2")
    one, two = await logged_in(stage, ONE), await logged_in(stage, TWO)
    assert one.session is not None
    later = await set_stage(stage.standin, allowed_users="account-2")
    visitor = later.browser()
    assert not await is_in(visitor, one.session.value)
    page = read_page(await visitor.get("/", Cookie=f"freshet_session={one.session.value}"))
    assert "account-1" not in page
    read_page(await log_in(later, ONE), 403)
    assert await stage.all(PEOPLE) == ["account-1", "account-2"]
    visitor.jar = one.jar
    assert (await visitor.post("/auth/disconnect/")).code == 303
    assert await stage.all(PEOPLE) == ["account-2"]
    assert (await later.me())["account_id"] == "account-2"
    assert two.session is not None
    assert await is_in(later.browser(), two.session.value)


@pytest.mark.gen_test
async def test_logging_out_ends_the_session_on_the_server(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser, elsewhere = await logged_in(stage, ONE), await logged_in(stage, ONE)
    assert browser.session is not None
    stolen = browser.session.value
    response = await browser.post("/auth/logout/")
    assert (response.code, response.headers["Location"]) == (303, f"{stage.url}/")
    assert "You are logged out" in read_page(await browser.get(response.headers["Location"]))
    assert not await is_in(browser, stolen)
    assert await is_in(elsewhere)
    assert await stage.all(PEOPLE) == ["account-1"]
    assert (await stage.me())["account_id"] == "account-1"


@pytest.mark.parametrize("path", ["/auth/logout/", "/auth/disconnect/"])
@pytest.mark.gen_test
async def test_leaving_takes_the_cookie_from_the_browser(set_stage: SetStage, path: str) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    await browser.post(path)
    assert browser.session is None or browser.session.value in ("", '""')
    stage.clock.forward(seconds=1)
    assert browser.session is None


@pytest.mark.gen_test
async def test_logging_out_twice_or_without_a_session_is_no_error(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    for _ in range(2):
        assert (await browser.post("/auth/logout")).code == 303
    assert (await stage.browser().post("/auth/logout/")).code == 303


async def loses_the_login(stage: Stage) -> None:
    """Wait until this server no longer speaks to Spotify as a user."""
    async with asyncio.timeout(30):
        while True:
            try:
                await stage.me()
            except SpotifyError:
                return
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_disconnecting_deletes_all_of_the_account_and_nothing_else(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    first = await set_stage(start_standin(albums(3), clock=clock))
    await first.freshet.syncer.sync()  # with the app's own token, which is kept
    second = await set_stage(first.standin)
    browser, elsewhere = await logged_in(first, ONE), await logged_in(second, ONE)
    for stage in (first, second):
        assert (await stage.me())["account_id"] == "account-1"
    before = await first.counts()
    assert (before["albums"], before["logins"], before["sessions"]) == (3, 2, 2)
    response = await browser.post("/auth/disconnect/")
    assert response.code == 303
    assert response.headers["Location"] == f"{first.url}/"
    await asyncio.gather(loses_the_login(first), loses_the_login(second))
    after = await first.counts()
    assert after == {**before, "logins": 1, "sessions": 0}
    assert await first.all("SELECT account_id FROM logins") == ["app:standin-client"]
    assert not await is_in(elsewhere)
    for stage in (first, second):
        login = orjson.loads((await stage.browser().get("/api/status")).body)["login"]
        assert login["state"] == "none"
        assert "freshet_days_to_reconsent 1" not in (
            (await stage.browser().get("/metrics")).body.decode()
        )
        assert (await stage.freshet.syncer.sync()).outcome == "complete"


@pytest.mark.gen_test
async def test_disconnecting_leaves_the_others_alone(set_stage: SetStage) -> None:
    stage = await set_stage(allowed_users="account-1,account-2")
    one, two = await logged_in(stage, ONE), await logged_in(stage, TWO)
    assert (await one.post("/auth/disconnect/")).code == 303
    assert await stage.all(PEOPLE) == ["account-2"]
    assert await is_in(two)
    assert (await stage.me())["account_id"] == "account-2"


@pytest.mark.gen_test
async def test_after_a_disconnect_another_account_may_own_the_server(set_stage: SetStage) -> None:
    stage = await set_stage()
    one = await logged_in(stage, ONE)
    await one.post("/auth/disconnect/")
    two = await logged_in(stage, TWO)
    assert "You own this server" in read_page(await two.get("/"))
    read_page(await log_in(stage, ONE, one), 403)


@pytest.mark.gen_test
async def test_a_session_does_not_survive_a_disconnect_and_a_new_login(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    one, elsewhere = await logged_in(stage, ONE), await logged_in(stage, ONE)
    await one.post("/auth/disconnect/")
    page = read_page(await elsewhere.post("/auth/disconnect/"), 403)
    assert "You are not logged in" in page
    await logged_in(stage, ONE)
    assert not await is_in(elsewhere)


@pytest.mark.gen_test
async def test_a_token_on_its_way_does_not_bring_a_disconnected_login_back(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    stage.clock.forward(hours=2)
    late = {"access_token": "BQ-late", "expires_in": 3600, "refresh_token": "AQ-late"}
    answered = asyncio.Event()
    stage.standin.answer_next("/api/token", Answer(200, late, held=answered))
    asking = asyncio.create_task(stage.freshet.upstream.tokens.access_token())
    await until(lambda: not stage.standin.world.script["/api/token"])
    leaving = asyncio.create_task(browser.post("/auth/disconnect/"))
    await someone_waits(stage.freshet.database)
    answered.set()
    assert (await leaving).code == 303
    await asking
    await loses_the_login(stage)
    assert await stage.all(PEOPLE) == []
    assert await stage.all("SELECT * FROM logins WHERE refresh_token IS NOT NULL") == []


@pytest.mark.gen_test
async def test_disconnecting_without_a_session_deletes_nothing(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    for cookie in ("", '""', "made-up", "é", "x" * 10_000):
        headers = {"Origin": stage.url, "Cookie": f"freshet_session={cookie}"}
        page = read_page(
            await stage.browser().request("POST", "/auth/disconnect/", "", **headers), 403
        )
        assert "You are not logged in" in page
    assert await is_in(browser)


@pytest.mark.gen_test
async def test_a_session_ends_after_thirty_days(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    assert browser.session is not None
    token = browser.session.value
    stage.clock.forward(days=30, seconds=-1)
    assert await is_in(browser)
    stage.clock.forward(seconds=1)
    assert browser.session is None  # the browser has dropped it
    assert not await is_in(stage.browser(), token)  # and a thief gains nothing
    headers = {"Origin": stage.url, "Cookie": f"freshet_session={token}"}
    read_page(await browser.request("POST", "/auth/disconnect/", "", **headers), 403)
    await logged_in(stage, ONE)
    (kept,) = await stage.all("SELECT expires_at FROM sessions")
    assert kept == stage.clock() + timedelta(days=30)


@pytest.mark.gen_test
async def test_only_a_post_does_anything(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    for path in ("/auth/logout/", "/auth/disconnect/"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "BREW"):
            response = await browser.request(method, path)
            assert response.code == 405, method
            assert response.headers["Allow"] == "POST, OPTIONS"
    assert await is_in(browser)


FOREIGN: list[tuple[str | None, str | None]] = [
    ("https://evil.example", None),
    ("https://evil.example", "cross-site"),
    ("https://evil.example", "same-origin"),
    ("null", None),
    ("null", "cross-site"),
    ("http://127.0.0.1:1", "same-site"),
    ("http://127.0.0.1", None),
    ("http://localhost:PORT", None),
    ("https://127.0.0.1:PORT", None),
    ("OWN.evil.example", None),
    ("OWN/", None),
    ("OWN, https://evil.example", None),
    ("", None),
    ("OWN", "cross-site"),
    ("OWN", "same-site"),
    ("OWN", "none"),
    ("OWN", ""),
    (None, "cross-site"),
    (None, "same-site"),
    (None, "none"),
    (None, None),
]


@pytest.mark.gen_test
async def test_a_form_of_another_site_does_nothing(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = await logged_in(stage, ONE)
    before = await stage.counts()
    for origin, site in FOREIGN:
        if origin is not None:
            origin = origin.replace("OWN", stage.url).replace("PORT", str(stage.freshet.port))
        for path in ("/auth/logout/", "/auth/disconnect", "/auth/disconnect/?x"):
            response = await browser.post(path, origin=origin, site=site)
            assert response.code == 403, (origin, site)
            assert "This request did not come from this server" in read_page(response, 403)
    assert await stage.counts() == before
    assert await is_in(browser)


@pytest.mark.gen_test
async def test_a_form_of_our_own_page_works_in_old_and_new_browsers(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for origin, site in ((stage.url, "same-origin"), (stage.url, None), (None, "same-origin")):
        assert (await browser.post("/auth/logout/", origin=origin, site=site)).code == 303
