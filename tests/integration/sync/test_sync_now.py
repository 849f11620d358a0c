"""A sync at the owner's wish: who may have one, when, and what it does to everything else."""

import asyncio
import re
import shlex
import shutil
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from server.catalog.schemas import Problem, SyncStarted
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import hour_of
from server.standin import Answer
from tests.support.clock import Clock
from tests.support.description import openapi
from tests.support.examples import albums
from tests.support.login_browser import Browser, SetStage, Stage
from tests.support.rate_limiters import STORE
from tests.support.standins import StartStandIn
from tests.support.waiting import until

PATH = "/api/sync/"
RELEASES = "/browse/new-releases"
ENDED = ("sync_finished", "sync_failed")


@pytest.fixture
def owned(set_stage: SetStage, start_standin: StartStandIn, clock: Clock) -> Callable[..., Any]:
    """A server whose owner sits at a browser, and which makes no syncs itself."""

    async def make(items: int = 5, **overrides: Any) -> tuple[Stage, Browser]:
        settings = {"sync_source": "new-releases", **overrides}
        stage = await set_stage(start_standin(albums(items), clock=clock), **settings)
        browser = stage.browser()
        assert (await browser.log_in()).code == 303
        return stage, browser

    return make


async def refused(response: Any, status: int, kind: str, root: str = "") -> dict[str, Any]:
    assert response.code == status, response.body
    assert response.headers["Content-Type"] == "application/problem+json"
    Problem.model_validate_json(response.body)
    problem: dict[str, Any] = orjson.loads(response.body)
    assert problem["type"] == f"{root}/problems/{kind}"
    return problem


async def must_log_in(response: Any, root: str = "", cookie: str = "freshet_session") -> None:
    await refused(response, 401, "login-required", root)
    assert response.headers.get_list("WWW-Authenticate") == [
        'Bearer realm="Freshet"',
        f'Cookie realm="Freshet", form-action="{root}/auth/login/", cookie-name="{cookie}"',
    ]


async def spend(stage: Stage, calls: int) -> None:
    hour = hour_of(stage.clock())
    await stage.freshet.database.run(STORE.count, {(RELEASES, hour): calls})


@pytest.mark.gen_test
async def test_the_owner_starts_a_sync_that_goes_on_after_the_answer(owned: Any) -> None:
    stage, browser = await owned()
    with capture_logs() as logs:
        response = await browser.post(PATH)
        assert response.code == 202
        SyncStarted.model_validate_json(response.body)
        assert response.headers["Cache-Control"] == "private, no-store"
        await until(lambda: not stage.freshet.syncer.is_running)
    assert [line["outcome"] for line in logs if line["event"] in ENDED] == ["complete"]
    assert len(await stage.all("SELECT id FROM albums")) == 5
    assert stage.freshet.syncer.next_at() is None, "who makes no syncs is not made to by one"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.gen_test
async def test_the_call_that_the_docs_show_works_with_a_key(owned: Any) -> None:
    stage, browser = await owned()
    page = unescape((await browser.get("/api/docs/")).body.decode())
    (shown,) = re.findall(r"<code>(curl -X POST [^\n]*/api/sync/')</code>", page)
    assert "Authorization: Bearer …" in shown

    async def call(command: str) -> str:
        words = shlex.split(command)
        options = ["-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}"]
        process = await asyncio.create_subprocess_exec(
            words[0], *options, *words[1:], stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0].decode()

    assert await call(shown) == "401", "until it has a real key"
    reader = await stage.freshet.keys.create(None, "feeds", ["read", "manage"])
    assert await call(shown.replace("…", reader.key)) == "403", "as it lacks the scope"
    made = await stage.freshet.keys.create(None, "cron", ["sync"])
    assert await call(shown.replace("…", made.key)) == "202"
    await until(lambda: not stage.freshet.syncer.is_running)


@pytest.mark.gen_test
async def test_a_second_one_is_refused_while_one_runs(owned: Any) -> None:
    stage, browser = await owned()
    answered = asyncio.Event()
    empty = Answer(200, {"albums": {"items": []}}, held=answered)
    stage.standin.answer_next(f"/v1{RELEASES}", empty)
    answers = await asyncio.gather(*(browser.post(path) for path in (PATH, "/api/sync", PATH)))
    assert sorted(answer.code for answer in answers) == [202, 409, 409]
    await refused(next(each for each in answers if each.code == 409), 409, "sync-running")
    answered.set()
    await until(lambda: not stage.freshet.syncer.is_running)
    assert stage.standin.calls_to(f"/v1{RELEASES}") == 1
    assert (await browser.post(PATH)).code == 202
    await until(lambda: not stage.freshet.syncer.is_running)


@pytest.mark.gen_test
async def test_in_a_pause_nothing_is_asked_and_the_seconds_are_told(owned: Any) -> None:
    stage, browser = await owned()
    now = stage.clock()
    cooldown = Cooldown(now, now + timedelta(seconds=777), "429 Too many requests")
    await stage.freshet.database.run(STORE.store_cooldown, RELEASES, cooldown)
    calls = stage.standin.calls_to(f"/v1{RELEASES}")
    response = await browser.post(PATH)
    problem = await refused(response, 429, "rate-limited")
    assert response.headers["Retry-After"] == "777"
    assert response.headers["RateLimit-Policy"] == '"syncs";q=225;w=86400', "two calls each"
    assert response.headers["RateLimit"] == '"syncs";r=0;t=777'
    assert "429" not in str(problem["detail"]), "Spotify's words are not for everybody"
    assert stage.standin.calls_to(f"/v1{RELEASES}") == calls
    stage.clock.forward(seconds=777)
    assert (await browser.post(PATH)).code == 202
    await until(lambda: not stage.freshet.syncer.is_running)


@pytest.mark.gen_test
async def test_it_may_use_what_is_kept_for_people_and_no_more(owned: Any) -> None:
    stage, browser = await owned(quota_per_day=100)
    await spend(stage, 95)
    background = await stage.freshet.syncer.sync()
    assert background.outcome == "failed"
    started = await browser.post(PATH)
    assert started.code == 202
    assert started.headers["RateLimit-Policy"] == '"syncs";q=50;w=86400', "of two calls each"
    assert started.headers["RateLimit"] == '"syncs";r=1'
    await until(lambda: not stage.freshet.syncer.is_running)
    assert await stage.all("SELECT outcome FROM sync_runs ORDER BY id DESC LIMIT 1") == ["complete"]
    await spend(stage, 10)
    response = await browser.post(PATH)
    await refused(response, 429, "quota-spent")
    wait = int(response.headers["Retry-After"])
    assert 23 * 3600 < wait <= 25 * 3600
    assert response.headers["RateLimit-Policy"] == '"syncs";q=100;w=86400'
    assert response.headers["RateLimit"] == f'"syncs";r=0;t={wait}'


@pytest.mark.gen_test
async def test_a_sync_that_would_not_fit_whole_is_refused(owned: Any) -> None:
    """In the middle of it the calls would be used up, and it would be partial."""
    stage, browser = await owned(120, quota_per_day=100, sync_max_releases=150)
    assert (await browser.post(PATH)).code == 202
    await until(lambda: not stage.freshet.syncer.is_running)
    assert stage.standin.calls_to(f"/v1{RELEASES}") == 2
    await spend(stage, 97)
    await refused(await browser.post(PATH), 429, "quota-spent")


@pytest.mark.gen_test
async def test_only_a_post_of_a_page_of_ours_with_a_session_starts_anything(owned: Any) -> None:
    stage, browser = await owned()
    stranger = stage.browser()
    await must_log_in(await stranger.post(PATH))
    forged = {"Origin": stage.url, "Cookie": "freshet_session=made-up"}
    await must_log_in(await stranger.request("POST", PATH, "", **forged))
    for origin, site in (
        ("https://evil.example", "cross-site"),
        ("http://127.0.0.1:1", "same-site"),
        ("null", None),
        (None, None),
    ):
        response = await browser.post(PATH, origin=origin, site=site)
        await refused(response, 403, "foreign-origin")
        assert "WWW-Authenticate" not in response.headers
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        response = await browser.request(method, PATH)
        assert (response.code, response.headers["Allow"]) == (405, "POST, OPTIONS")
    options = await browser.request("OPTIONS", PATH)
    assert options.code == 204
    assert "Access-Control-Allow-Origin" not in options.headers, "no other origin may"
    assert (await browser.post("/auth/logout/")).code == 303
    await must_log_in(await browser.post(PATH))
    assert stage.standin.calls_to(f"/v1{RELEASES}") == 0


@pytest.mark.gen_test
async def test_under_a_path_and_https_the_challenge_names_what_is_there(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url="https://example.org/music")
    stranger = stage.browser("https://example.org")
    await must_log_in(await stranger.post(PATH), "/music", "__Host-freshet_session")
    described = openapi()["paths"][PATH]["post"]["responses"]["401"]["headers"]
    assert "WWW-Authenticate" in described


@pytest.mark.gen_test
async def test_a_sync_that_fails_ends_in_its_own_event(owned: Any) -> None:
    stage, browser = await owned()
    stage.standin.answer_next(f"/v1{RELEASES}", Answer(200, b"<html>maintenance</html>"))
    with capture_logs() as logs:
        assert (await browser.post(PATH)).code == 202
        await until(lambda: not stage.freshet.syncer.is_running)
    assert [line["event"] for line in logs if line["event"] in ENDED] == ["sync_failed"]
    assert not [line for line in logs if line["event"].endswith("crashed")]


@pytest.mark.gen_test
async def test_the_next_one_is_due_an_interval_after_a_wished_one(owned: Any) -> None:
    stage, browser = await owned(sync_interval=3600)
    syncer = stage.freshet.syncer
    await until(lambda: syncer.seconds_left() > 3000 and not syncer.is_running)
    syncer.schedule.resume(3500, failed=False)
    assert syncer.seconds_left() < 200
    assert (await browser.post(PATH)).code == 202
    await until(lambda: not syncer.is_running)
    assert syncer.seconds_left() > 3000


@pytest.mark.gen_test
async def test_a_stop_gives_up_the_sync_that_was_wished(owned: Any) -> None:
    stage, browser = await owned()
    stage.standin.answer_next(f"/v1{RELEASES}", Answer(200, held=asyncio.Event()))
    assert (await browser.post(PATH)).code == 202
    async with asyncio.timeout(30):
        await stage.freshet.stop()
    assert not stage.freshet.syncer.is_running


@pytest.mark.gen_test
async def test_while_another_process_syncs_it_answers_409(set_stage: SetStage, owned: Any) -> None:
    first, browser = await owned()
    second = await set_stage(first.standin, public_url=first.url, sync_source="new-releases")
    other = second.browser()
    other.jar = browser.jar
    answered = asyncio.Event()
    slow = Answer(200, {"albums": {"items": [], "total": 0, "next": None}}, held=answered)
    first.standin.answer_next(f"/v1{RELEASES}", slow)
    assert (await browser.post(PATH)).code == 202
    await refused(await other.post(PATH), 409, "sync-running")
    assert not second.freshet.syncer.is_running
    answered.set()
    await until(lambda: not first.freshet.syncer.is_running)
    assert (await other.post(PATH)).code == 202
    await until(lambda: not second.freshet.syncer.is_running)
    assert await first.all("SELECT outcome FROM sync_runs ORDER BY id DESC LIMIT 1") == ["complete"]


@pytest.mark.gen_test
async def test_a_sync_that_meets_one_of_another_process_leaves_no_trace(
    set_stage: SetStage, owned: Any
) -> None:
    first, browser = await owned()
    second = await set_stage(first.standin, public_url=first.url, sync_source="new-releases")
    answered = asyncio.Event()
    slow = Answer(200, {"albums": {"items": [], "total": 0, "next": None}}, held=answered)
    first.standin.answer_next(f"/v1{RELEASES}", slow)
    assert (await browser.post(PATH)).code == 202
    calls = len(first.standin.calls)
    with capture_logs() as logs:
        await second.freshet.syncer.tick()
    assert not [line for line in logs if line["event"] in ENDED]
    assert 0 < second.freshet.syncer.schedule.seconds_left() <= 5, "it is tried again soon"
    assert second.freshet.syncer.schedule.failures == 0
    assert len(first.standin.calls) - calls <= 1
    answered.set()
    await until(lambda: not first.freshet.syncer.is_running)
    assert await first.all("SELECT count(*) FROM sync_runs") == [1]


@pytest.mark.gen_test
async def test_a_server_whose_database_is_of_a_newer_version_makes_no_sync(owned: Any) -> None:
    stage, browser = await owned()
    await stage.execute("UPDATE alembic_version SET version_num = '9999'")
    with capture_logs() as logs:
        await refused(await browser.post(PATH), 503, "server-outdated")
    assert [line for line in logs if line["event"] in ENDED] == []
    assert await stage.all("SELECT id FROM sync_runs") == []
