"""The pages for people: the start page in every state, the headers of all, the style sheet."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from server.standin import Listener
from tests.support.clock import Clock
from tests.support.examples import albums
from tests.support.login_browser import SAFE_HEADERS, Browser, SetStage, Stage, read_page
from tests.support.outline import Outline
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
OTHER_SECRET = "another secret that is as long as it has to be"


async def home(browser: Browser, query: str = "") -> str:
    page = read_page(await browser.get(f"/{query}"))
    outline = Outline(page)
    assert not {"style", "iframe", "object", "base"} & {tag for tag, _ in outline.seen}
    assert outline.all("script", "src") == ["/static/freshet.js"]
    assert page.count("<script") == page.count("defer></script>"), "none of it stands in the page"
    return page


def owner_at(stage: Stage, browser: Browser) -> Browser:
    """The browser of an owner at another server of the same database, with its cookies."""
    moved = stage.browser()
    moved.jar = browser.jar
    return moved


def posts(page: str) -> list[str | None]:
    """Where the buttons lead that change something."""
    forms = [attributes for tag, attributes in Outline(page).seen if tag == "form"]
    return [each["action"] for each in forms if each["method"] == "post"]


async def logged_in(stage: Stage) -> Browser:
    browser = stage.browser()
    assert (await browser.log_in()).code == 303
    return browser


@pytest.mark.gen_test
async def test_a_stranger_at_a_new_server_may_log_in_and_is_told_what_that_means(
    set_stage: SetStage,
) -> None:
    page = await home((await set_stage()).browser())
    assert "No one is logged in" in page
    assert "The first account to log in will own this server" in page
    outline = Outline(page)
    assert "/auth/login/" in outline.all("a", "href")
    assert posts(page) == []
    assert outline.all("link", "href") == [
        "/static/freshet.svg",
        "/static/freshet.css",
        "/feeds/albums.atom",
        "/feeds/albums.json",
        "/feeds/albums.ics",
        "/feeds/albums.csv",
        "/",
    ]


@pytest.mark.gen_test
async def test_a_stranger_at_a_server_with_allowed_users_cannot_own_it(
    set_stage: SetStage,
) -> None:
    page = await home((await set_stage(allowed_users="account-1")).browser())
    assert "own this server" not in page
    assert "ALLOWED_USERS" in page
    assert "account-1" not in page


@pytest.mark.gen_test
async def test_the_owner_can_renew_log_out_and_disconnect_by_post(set_stage: SetStage) -> None:
    page = await home(await logged_in(await set_stage()))
    assert "You own this server" in page
    assert "181 days left" in page
    assert posts(page) == ["/auth/logout/", "/auth/disconnect/"]
    assert "Renew consent" in page
    assert "Renew it soon" not in page


@pytest.mark.gen_test
async def test_an_account_without_a_name_is_shown_by_its_id(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.listener = Listener("account-1", "listener-1", "")
    assert "<strong>account-1</strong>" in await home(await logged_in(stage))


@pytest.mark.parametrize(
    ("days", "shown", "soon"),
    [(150, "31 days left", False), (151, "30 days left", True), (180, "1 day left", True)],
)
@pytest.mark.gen_test
async def test_in_the_last_thirty_days_it_asks_for_a_new_consent(
    set_stage: SetStage, days: int, shown: str, soon: bool
) -> None:
    stage = await set_stage()
    owner = await logged_in(stage)
    assert owner.session is not None
    owner.session.expires_at = None
    stage.clock.forward(days=days)
    page = await home(stage.browser())
    assert "days left" not in page, "which is the owner's to know"
    assert ("it ends soon" in page) is soon
    last_log_in = "UPDATE sessions SET expires_at = expires_at + interval '1 year'"
    await stage.execute(last_log_in)
    page = await home(owner)
    assert shown in page
    assert ("Renew it soon" in page) is soon


@pytest.mark.gen_test
async def test_a_consent_that_is_no_longer_honoured_asks_for_a_new_login(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = await logged_in(stage)
    stage.standin.revoke_refresh_tokens()
    stage.clock.forward(hours=2)
    assert (await stage.freshet.syncer.sync()).outcome == "complete"
    await until(lambda: stage.freshet.consent_monitor.consent.state == "consent_needed")  # type: ignore[union-attr]
    for each, told in (
        (browser, "The consent has ended"),
        (stage.browser(), "it is no longer valid"),
    ):
        page = await home(each)
        assert told in page
        assert "days left" not in page
    await browser.log_in()
    assert "181 days left" in await home(browser)


@pytest.mark.gen_test
async def test_a_consent_six_months_old_is_shown_as_ended_even_before_spotify_says_so(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    await logged_in(stage)
    stage.clock.forward(days=190)
    page = await home(stage.browser())
    assert "This server’s login has to be renewed" in page
    assert "days left" not in page


@pytest.mark.gen_test
async def test_a_login_that_secret_does_not_open_says_how_to_fix_it(set_stage: SetStage) -> None:
    stage = await set_stage()
    owner = await logged_in(stage)
    later = await set_stage(stage.standin, secret=OTHER_SECRET)
    assert "it is no longer valid" in await home(later.browser())
    page = await home(owner_at(later, owner))
    assert "The stored tokens cannot be read" in page
    assert "SECRET=new,old" in page
    assert SECRET not in page
    fixed = await set_stage(stage.standin, secret=f"{OTHER_SECRET},{SECRET}")
    assert "181 days left" in await home(owner_at(fixed, owner))


@pytest.mark.gen_test
async def test_what_is_served_is_told_once_there_is_something(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    stage = await set_stage(start_standin(albums(3), clock=clock))
    browser = stage.browser()
    assert "No releases yet" in await home(browser)
    await stage.freshet.syncer.sync()
    page = await home(browser)
    assert "No releases yet" not in page
    assert page.count("20 November 2026, 05:00 UTC") == 2  # last sync, last change
    assert "list of new releases" in page


@pytest.mark.gen_test
async def test_a_stranger_costs_no_statement_and_a_session_one(
    set_stage: SetStage,
) -> None:
    first = await set_stage()
    browser = await logged_in(first)
    stage = await set_stage(first.standin)  # to which no notice of the login is on its way
    statements: list[str] = []
    engine = stage.freshet.database.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    visitor = stage.browser()
    await home(visitor)
    assert statements == []
    visitor.jar = browser.jar
    assert "You are logged in as" in await home(visitor)
    statements.clear()  # the first page of an owner has read its artists
    assert "You are logged in as" in await home(visitor)
    assert len(statements) == 1


@pytest.mark.gen_test
async def test_a_login_that_changes_while_the_session_is_read_is_shown_as_it_is_then(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = await logged_in(stage)
    freshet = stage.freshet
    with freshet.database.engine.begin() as other:
        other.execute(text("LOCK TABLE sessions"))
        page = asyncio.create_task(home(browser))
        await until(lambda: freshet.web_server.in_flight)  # it has a session, which is locked
        await stage.execute("UPDATE logins SET state = 'consent_needed'")
        await freshet.consent_monitor.load()
    assert "The consent has ended or was withdrawn" in await page


@pytest.mark.gen_test
async def test_without_a_database_the_page_is_still_served(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    browser = await logged_in(stage)
    database = stage.freshet.database
    url = database.engine.url
    database._replace_engine(url.set(database="nowhere"))
    for each in (browser, stage.browser()):
        page = await home(each)
        assert "This server belongs to another account" in page
        assert "You are logged in as" not in page
    database._replace_engine(url)
    assert "You are logged in as" in await home(browser)
    assert [line for line in lines() if line["level"] == "error"] == []


@pytest.mark.gen_test
async def test_done_says_only_what_it_knows(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for path, told in (
        ("/auth/logout/", "You are logged out."),
        ("/auth/disconnect/", "your tokens and your account’s data have been deleted"),
    ):
        await browser.log_in()
        response = await browser.post(path)
        assert response.headers["Location"] == f"{browser.home}/", "an address that can be kept"
        assert told in await home(browser)
        assert 'role="status"' not in await home(browser), "it is said once"
    assert 'role="status"' not in await home(browser, "?done=disconnected"), "no link can say it"
    for unknown in ("anything", "Logged-Out", "<b>logged-out</b>", "Call-0900-EVIL"):
        browser.keep(browser.home, f"freshet_done={unknown}; Path=/")
        page = await home(browser)
        assert 'role="status"' not in page
        assert unknown not in page
    await browser.post("/auth/logout/")
    await browser.log_in()
    assert 'role="status"' not in await home(browser)


@pytest.mark.gen_test
async def test_head_is_get_without_a_body(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    got, head = await browser.get("/"), await browser.request("HEAD", "/")
    assert head.body == b""
    for each in (got, head):
        each.headers.pop("Date")
    assert dict(head.headers) == dict(got.headers)


@pytest.mark.gen_test
async def test_other_methods_are_a_page_too(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for method in ("POST", "PUT", "DELETE", "BREW"):
        response = await browser.request(method, "/")
        assert "Method Not Allowed" in read_page(response, 405)
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.gen_test
async def test_no_page_may_be_read_by_another_origin(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for path in ("/", "/auth/login/", "/auth/callback/", "/auth/logout/", "/auth/disconnect/"):
        for method in ("GET", "OPTIONS", "POST"):
            response = await browser.request(
                method,
                path,
                Origin="https://evil.example",
                Access_Control_Request_Method="POST",
                Access_Control_Request_Headers="X-Any",
            )
            assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.gen_test
async def test_every_page_has_the_headers_that_keep_it_to_itself(set_stage: SetStage) -> None:
    stage = await set_stage()
    stranger, owner = stage.browser(), await logged_in(stage)
    for path, status in (
        ("/", 200),
        ("/auth/callback/", 400),
        ("/auth/callback/?state=x&code=y", 400),
        ("/auth/logout/", 405),
    ):
        response = await stranger.get(path)
        Outline(read_page(response, status))
        policy = dict(
            rule.strip().split(" ", 1)
            for rule in response.headers["Content-Security-Policy"].split(";")
        )
        images = policy.pop("img-src", "")
        if status == 200:
            spotify = "'self' https://i.scdn.co https://*.spotifycdn.com"
            assert images == f"{spotify} {stage.standin.api_url.removesuffix('/v1')}"
        assert policy == {
            "default-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "object-src": "'none'",
            "script-src": "'self'" if status == 200 else "'none'",
        }
    Outline(read_page(await owner.get("/")))


@pytest.mark.gen_test
async def test_the_redirects_of_the_login_are_kept_by_no_cache_and_name_no_program(
    set_stage: SetStage,
) -> None:
    browser = (await set_stage()).browser()
    consent = await browser.get("/auth/login/")
    back = await browser.get(await browser.agree(consent.headers["Location"]))
    out = await browser.post("/auth/logout/")
    for response in (consent, back, out):
        assert response.code in (302, 303)
        for name in ("Server", "Cache-Control"):
            assert response.headers[name] == SAFE_HEADERS[name]
        assert response.body == b""


@pytest.mark.gen_test
async def test_an_error_page_says_where_in_the_log_to_look(
    set_stage: SetStage, lines: Lines
) -> None:
    browser = (await set_stage()).browser()
    page = read_page(await browser.get("/auth/callback/"), 400)
    (request,) = [line for line in lines() if line["event"] == "http_request"]
    (failed,) = [line for line in lines() if line["event"] == "login_failed"]
    assert f"<code>{request['request_id']}</code>" in page
    assert failed["request_id"] == request["request_id"]


@pytest.mark.gen_test
async def test_the_style_sheet_may_be_cached_and_is_nothing_else(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    response = await browser.get("/static/freshet.css")
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("text/css")
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "Freshet"
    assert b"url(" not in response.body
    assert b"@import" not in response.body
    again = await browser.get("/static/freshet.css", If_None_Match=response.headers["ETag"])
    assert (again.code, again.body) == (304, b"")
    head = await browser.request("HEAD", "/static/freshet.css")
    assert (head.code, head.body) == (200, b"")


NO_FILES = [
    "/static/",
    "/static",
    "/static/no.css",
    "/static/../pages.py",
    "/static/..%2fpages.py",
    "/static/%2e%2e/templates/home.html",
    "/static/freshet.css/",
    "/static/freshet.css%00",
    "/static/freshet.cssx",
    "/static/freshetxcss",
    "/templates/home.html",
]


@pytest.mark.gen_test
async def test_no_other_file_is_served(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for path in NO_FILES:
        response = await browser.get(path)
        assert response.code == 404, path
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert b"import" not in response.body


@pytest.mark.gen_test
async def test_a_failed_sync_and_old_data_are_told_in_words(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    stage = await set_stage(start_standin(albums(3), clock=clock), sync_interval=1800)
    await until(lambda: stage.freshet.syncer.seconds_left() > 0)  # the first sync is over
    page = await home(stage.browser())
    assert "failed" not in page
    assert "out of date" not in page
    stage.standin.misbehave("502", times=None)
    stage.clock.forward(hours=3)
    assert (await stage.freshet.syncer.sync()).outcome == "failed"
    await stage.freshet.upstream_status.load()
    page = await home(stage.browser())
    assert "This list may be out of date: no sync has completed since 20 November" in page
    assert "The last sync failed" not in page, "one message is enough"
    assert "Bad gateway" not in page, "Spotify's words are for operators"


@pytest.mark.gen_test
async def test_a_feed_that_is_stuck_is_told_in_words(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    stage = await set_stage(start_standin(albums(3), clock=clock))
    await stage.freshet.syncer.sync()
    stage.clock.forward(hours=73)
    await stage.freshet.syncer.sync()
    page = await home(stage.browser())
    assert "Spotify has listed nothing new since 20 November 2026, 05:00 UTC" in page
