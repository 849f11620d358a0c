"""Logins that strangers make up: they pause no renewal, and keep no known browser out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from server.config.addresses import client_network
from server.encryption import Encryption
from server.errors import RateLimited
from server.login.login_budget import KNOWN_LIFE, PER_NETWORK, STRANGERS, seal_known
from server.spotify.auth.oauth import ANY_GRANT
from server.standin import Answer, Listener
from tests.support.login_browser import Browser, SetStage, Stage, parameters, read_page
from tests.support.raw_http import pipelined
from tests.support.settings import SECRET

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
TOKEN, ME = "/api/token", "/v1/me"
LIMITED = Answer(429, {"error": "rate limited"}, {"Retry-After": "36000"})
OWNER = Listener("account-1", "listener-1", "One")
ANOTHER = Listener("account-2", "listener-2", "Two")


async def bogus(stage: Stage, browser: Browser, **headers: str) -> int:
    """Answer a login of the browser's own with a made-up code; the status of the page."""
    state = parameters(await browser.begin())["state"]
    callback = f"{stage.url}/auth/callback/?state={state}&code=AQmade-up"
    return (await browser.get(callback, **headers)).code


async def paused(stage: Stage) -> set[str]:
    """The buckets that are paused at the stage's time."""
    rows = await stage.all("SELECT bucket, until FROM cooldowns")
    return {bucket for bucket, until in rows if until > stage.clock()}


@pytest.mark.gen_test
async def test_made_up_codes_answered_by_429_pause_no_renewal_and_no_known_browser(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    owner, stranger = stage.browser(), stage.browser()
    assert (await owner.log_in()).code == 303
    stage.standin.answer_next(TOKEN, LIMITED)
    assert await bogus(stage, stranger) == 503
    stage.clock.forward(hours=2)  # the access token has run out
    assert (await stage.me())["account_id"] == "account-1"
    calls = stage.token_calls()
    assert await bogus(stage, stranger) == 503
    assert stage.token_calls() == calls  # the pause of made-up codes is kept
    assert (await owner.log_in()).code == 303
    assert await paused(stage) == {"/api/token/authorization_code/unknown-browsers"}


@pytest.mark.gen_test
async def test_a_429_to_a_renewal_pauses_renewals_and_no_login(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    assert (await stage.browser().log_in()).code == 303
    stage.clock.forward(hours=2)
    stage.standin.answer_next(TOKEN, LIMITED)
    for _ in range(3):
        with pytest.raises(RateLimited, match="429"):
            await stage.me()
    assert await paused(stage) == {"/api/token/refresh_token"}
    assert stage.token_calls() == 2
    assert (await stage.browser().log_in()).code == 303


@pytest.mark.gen_test
async def test_a_pause_that_an_older_version_has_stored_for_all_grants_holds_for_renewals(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    assert (await stage.browser().log_in()).code == 303
    stage.clock.forward(hours=2)
    now = stage.clock()
    await stage.execute(
        "INSERT INTO cooldowns (bucket, since, until, reason, unnamed) "
        f"VALUES ('{ANY_GRANT}', '{now}', '{now + timedelta(hours=1)}', '429', 0)"
    )
    with pytest.raises(RateLimited, match="not asked again before"):
        await stage.me()
    with pytest.raises(RateLimited, match="not asked again before"):
        await stage.freshet.upstream.accounts.client_credentials()
    assert stage.token_calls() == 1
    assert (await stage.browser().log_in()).code == 303
    stage.clock.forward(hours=2)
    assert (await stage.me())["account_id"] == "account-1"


@pytest.mark.gen_test
async def test_bogus_callbacks_of_one_address_keep_nobody_else_out(set_stage: SetStage) -> None:
    stage = await set_stage(trusted_proxies="127.0.0.1", allowed_users="account-1,account-2")
    stage.standin.listener = OWNER
    owner = stage.browser(address="192.0.2.1")
    assert (await owner.log_in()).code == 303
    stranger = stage.browser(address="192.0.2.66")
    answers = [await bogus(stage, stranger) for _ in range(30)]
    assert answers == [400] * PER_NETWORK + [429] * (30 - PER_NETWORK)
    neighbour = stage.browser(address="192.0.2.66")  # behind the attacker's own address
    neighbour.jar = dict(owner.jar)
    assert (await neighbour.log_in()).code == 303
    stage.standin.listener = ANOTHER
    assert (await stage.browser(address="192.0.2.2").log_in()).code == 303


@pytest.mark.gen_test(timeout=120)
async def test_the_owner_gets_in_at_once_while_thousands_of_made_up_callbacks_come(
    set_stage: SetStage, long: bool
) -> None:
    stage = await set_stage(trusted_proxies="127.0.0.1", access_log="off")
    stage.standin.listener = OWNER
    owner = stage.browser(address="192.0.2.1")
    assert (await owner.log_in()).code == 303
    made_up = [f"/auth/callback/?state=made-up-{n}&code=AQ{n}" for n in range(200)]
    addresses, over = count(), asyncio.Event()

    async def flood() -> None:
        while not over.is_set():
            await pipelined(stage.freshet.port, made_up)

    async def with_attempts() -> None:
        while not over.is_set():
            number = next(addresses)
            stranger = Browser(
                stage.url, stage.clock, {}, f"2001:db8:{number >> 16:x}:{number % 65536:x}::1"
            )
            await bogus(stage, stranger)
            stranger.close()

    attackers = [asyncio.create_task(each()) for each in (flood, flood, with_attempts)]
    slowest = 0.0
    for _ in range(25 if long else 3):
        begun = time.monotonic()
        assert (await owner.log_in()).code == 303
        slowest = max(slowest, time.monotonic() - begun)
    assert not any(each.done() for each in attackers)
    over.set()
    await asyncio.gather(*attackers)
    assert slowest < 10  # seconds, of which the tests of a busy machine leave many


@pytest.mark.parametrize("block", ["2001:db8:0:{:x}::1", "198.51.100.{}"])
@pytest.mark.gen_test
async def test_strangers_with_many_addresses_use_up_their_own_share_alone(
    set_stage: SetStage, lines: Lines, block: str
) -> None:
    stage = await set_stage(trusted_proxies="127.0.0.1")
    stage.standin.listener = OWNER
    owner = stage.browser(address="192.0.2.1")
    assert (await owner.log_in()).code == 303
    assert (await owner.post("/auth/logout/")).code == 303
    strangers = [stage.browser(address=block.format(n)) for n in range(STRANGERS + 3)]
    answers = [await bogus(stage, each) for each in strangers]
    assert answers == [400] * STRANGERS + [429] * 3
    assert (await owner.log_in()).code == 303
    newcomer = stage.browser(address="192.0.2.3")
    assert "Too many logins at once" in read_page(await newcomer.log_in(), 429)
    told = [line for line in lines() if line["event"] == "login_failed"]
    assert {line["known"] for line in told} == {False}
    assert client_network(block.format(0)) in {line["client"] for line in told}


@pytest.mark.gen_test
async def test_addresses_of_one_ipv6_network_are_one_stranger(set_stage: SetStage) -> None:
    stage = await set_stage(trusted_proxies="127.0.0.1")
    strangers = [stage.browser(address=f"2001:db8::{n:x}%zone{n}") for n in range(20)]
    answers = [await bogus(stage, each) for each in strangers]
    assert answers.count(400) == PER_NETWORK
    assert (await stage.browser(address="2001:db8:0:1::1").log_in()).code == 303


@pytest.mark.gen_test
async def test_no_made_up_cookie_makes_a_browser_known(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    owner = stage.browser()
    assert (await owner.log_in()).code == 303
    (mark,) = [each for each in owner.cookies() if each.name == "freshet_known"]
    assert (mark.path, mark.http_only, mark.same_site) == ("/", True, "Lax")
    session = owner.session
    assert session is not None
    others = [Encryption(secret, "browsers") for secret in ("x" * 32, SECRET)]
    stale, foreign = (
        seal_known("account-1", stage.clock() - KNOWN_LIFE, others[1]),
        seal_known("account-1", stage.clock(), others[0]),
    )
    attempt = owner.attempts[0].value
    made_up = ["", '""', "x", "é", mark.value[:-4], session.value, attempt, stale, foreign]
    stranger = stage.browser()
    for value in [*made_up, *made_up]:
        stranger.jar[("127.0.0.1", "freshet_known")] = replace(mark, value=value)
        await bogus(stage, stranger)
    assert await bogus(stage, stranger) == 429
    stranger.jar[("127.0.0.1", "freshet_known")] = mark
    assert await bogus(stage, stranger) == 400


@pytest.mark.gen_test
async def test_a_known_browser_is_known_after_leaving_and_is_logged_in_by_nothing_else(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    owner = stage.browser()
    assert (await owner.log_in()).code == 303
    (mark,) = [each for each in owner.cookies() if each.name == "freshet_known"]
    for secret in ("account-1", "listener-1"):
        assert secret not in mark.value
    for path in ("/auth/logout/", "/auth/disconnect/"):
        assert (await owner.log_in()).code == 303
        assert (await owner.post(path)).code == 303
        stage.clock.forward(seconds=2)
        assert [each.name for each in owner.cookies() if "session" in each.name] == []
        assert [each for each in owner.cookies() if each.name == mark.name]
        assert "You are logged in as" not in read_page(await owner.get("/"))
    post = {"Origin": stage.url, "Sec-Fetch-Site": "same-origin"}
    assert (await owner.request("POST", "/api/sync/", "", **post)).code == 401


@pytest.mark.gen_test
async def test_a_session_of_an_older_version_makes_its_browser_known(set_stage: SetStage) -> None:
    stage = await set_stage()
    stage.standin.listener = OWNER
    owner = stage.browser()
    assert (await owner.log_in()).code == 303
    del owner.jar[("127.0.0.1", "freshet_known")]
    read_page(await owner.get("/"))
    for _ in range(PER_NETWORK + 1):
        await bogus(stage, stage.browser())
    assert (await owner.log_in()).code == 303


@pytest.mark.gen_test
async def test_strangers_logins_leave_half_of_the_calls_of_a_day_to_known_browsers(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(quota_per_day=12)
    stage.standin.listener = OWNER
    owner = stage.browser()
    assert (await owner.log_in()).code == 303
    stage.standin.listener = ANOTHER  # who has an account, but may not in
    answers = [(await stage.browser().log_in()).code for _ in range(7)]
    assert answers == [403] * 5 + [503] * 2
    assert stage.standin.calls_to(ME) == 6
    stage.standin.listener = OWNER
    assert (await owner.log_in()).code == 303
    stage.standin.answer_next(ME, LIMITED)
    stage.standin.listener = ANOTHER
    stage.clock.forward(days=2)
    assert (await stage.browser().log_in()).code == 503
    stage.standin.listener = OWNER
    assert (await owner.log_in()).code == 303
