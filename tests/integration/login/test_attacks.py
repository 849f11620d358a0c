"""The login under attack: states of others, replays, planted cookies, floods."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import event

from server.encryption import Encryption
from server.standin import Listener
from tests.support.login_browser import Browser, SetStage, Stage, parameters, read_page
from tests.support.raw_http import pipelined
from tests.support.settings import SECRET

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
FOREIGN = "This login was not started in this browser"
MOST = 10  # logins a minute of unknown browsers at one address that may reach Spotify


async def ready(stage: Stage, browser: Browser | None = None) -> tuple[Browser, str]:
    """A browser that has agreed, and the callback it has not yet followed."""
    browser = browser or stage.browser()
    return browser, await browser.agree(await browser.begin())


@pytest.mark.gen_test
async def test_an_attackers_callback_logs_no_victim_in(set_stage: SetStage) -> None:
    stage = await set_stage()
    attacker, back = await ready(stage)
    victim = stage.browser()
    await victim.begin()  # with a login of its own under way, too
    page = read_page(await victim.get(back), 400)
    assert FOREIGN in page
    assert victim.session is None
    assert stage.token_calls() == 0
    assert await stage.all("SELECT * FROM spent_states") == []
    assert (await attacker.get(back)).code == 303  # nobody can spend it for another either


@pytest.mark.gen_test
async def test_a_victims_callback_is_of_no_use_to_a_thief(set_stage: SetStage) -> None:
    stage = await set_stage()
    victim, back = await ready(stage)
    thief = stage.browser()
    state = parameters(await thief.begin())["state"]
    assert FOREIGN in read_page(await thief.get(back), 400)
    code = parameters(back)["code"]
    page = read_page(await thief.get(f"/auth/callback/?state={state}&code={code}"), 400)
    assert "Spotify did not accept the code" in page
    assert thief.session is None
    assert victim.session is None


@pytest.mark.gen_test
async def test_twenty_parallel_callbacks_with_one_state_are_one_login(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser, back = await ready(stage)
    cookie = browser.cookie_header(back)
    thieves = [stage.browser() for _ in range(20)]
    answers = await asyncio.gather(*(thief.get(back, Cookie=cookie) for thief in thieves))
    assert sorted(answer.code for answer in answers) == [303] + [400] * 19
    assert stage.token_calls() == 1
    assert (await stage.counts())["sessions"] == 1


@pytest.mark.gen_test
async def test_parallel_callbacks_to_two_processes_are_one_login(set_stage: SetStage) -> None:
    first = await set_stage()
    second = await set_stage(first.standin, public_url=first.url)
    browser, back = await ready(first)
    cookie = browser.cookie_header(back)
    ports = [first.freshet.port, second.freshet.port] * 5
    backs = [back.replace(first.url, f"http://127.0.0.1:{port}") for port in ports]
    thieves = [first.browser(f"http://127.0.0.1:{port}") for port in ports]
    answers = await asyncio.gather(
        *(thief.get(each, Cookie=cookie) for thief, each in zip(thieves, backs, strict=True))
    )
    assert sorted(answer.code for answer in answers) == [303] + [400] * 9
    assert first.token_calls() == 1


@pytest.mark.gen_test
async def test_nobody_chooses_the_state_of_a_login(set_stage: SetStage) -> None:
    stage = await set_stage()
    chosen = "state=chosen&code_challenge=chosen&redirect_uri=http://evil.example&scope=streaming"
    response = await stage.browser().get(f"/auth/login/?{chosen}&client_id=evil&show_dialog=false")
    asked = parameters(response.headers["Location"])
    assert "chosen" not in asked.values()
    assert asked["redirect_uri"] == f"{stage.url}/auth/callback/"
    assert asked["scope"] == "user-follow-read"
    assert asked["client_id"] == "standin-client"
    assert asked["show_dialog"] == "true"


@pytest.mark.gen_test
async def test_a_planted_cookie_of_another_login_is_not_taken_for_this_one(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    attacker, _ = await ready(stage)
    victim, back = await ready(stage)
    planted = f"{victim.attempts[0].name}={attacker.attempts[0].value}"
    genuine = victim.cookie_header(back)
    for cookies in (planted, f"{genuine}; {planted}"):
        page = read_page(await stage.browser().get(back, Cookie=cookies), 400)
        assert FOREIGN in page
    assert stage.token_calls() == 0
    assert (await victim.get(back)).code == 303


@pytest.mark.gen_test
async def test_a_session_is_new_with_each_login_and_never_one_that_was_brought(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser, back = await ready(stage)
    planted = "freshet_session=planted-by-somebody"
    await browser.get(back, Cookie=f"{browser.cookie_header(back)}; {planted}")
    assert browser.session is not None
    first = browser.session.value
    assert first != "planted-by-somebody"
    page = read_page(await stage.browser().get("/", Cookie=planted))
    assert "You are logged in as" not in page
    await browser.log_in()
    assert browser.session.value != first
    page = read_page(await stage.browser().get("/", Cookie=f"freshet_session={first}"))
    assert "You are logged in as" not in page
    assert (await stage.counts())["sessions"] == 1


@pytest.mark.gen_test
async def test_a_cookie_that_was_tampered_with_is_none(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser, back = await ready(stage)
    (cookie,) = browser.attempts
    sealed = cookie.value.strip('"')
    flips = [
        sealed[:at] + chr(ord(sealed[at]) ^ 1) + sealed[at + 1 :]
        for at in range(0, len(sealed.rstrip("=")) - 4, 16)
    ]
    content = Encryption(SECRET, "cookies").open(sealed.encode())
    others = [
        Encryption(SECRET, "tokens").seal(content).decode(),
        Encryption("x" * 32, "cookies").seal(content).decode(),
        content,
        sealed[: len(sealed) // 2],
        sealed[:-8],
        "",
        '""',
        "é" * 40,
        "x" * 12_000,
    ]
    stranger = stage.browser()
    for value in flips + others:
        response = await stranger.get(back, Cookie=f"{cookie.name}={value}")
        assert FOREIGN in read_page(response, 400), value[:80]
    assert stage.token_calls() == 0
    assert (await browser.get(back)).code == 303


@pytest.mark.gen_test
async def test_the_seal_of_a_token_is_no_cookie_and_a_cookies_no_session(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    await browser.log_in()
    (sealed,) = await stage.all("SELECT refresh_token FROM logins")
    for value in (bytes(sealed).decode(), browser.attempts[0].value):
        page = read_page(await stage.browser().get("/", Cookie=f"freshet_session={value}"))
        assert "You are logged in as" not in page


@pytest.mark.gen_test
async def test_two_tabs_can_log_in_at_once_in_any_order(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    backs = [(await ready(stage, browser))[1] for _ in range(2)]
    assert len(browser.attempts) == 2
    for back in reversed(backs):
        assert (await browser.get(back)).code == 303
    assert "You are logged in as" in read_page(await browser.get("/"))


@pytest.mark.gen_test
async def test_many_logins_begun_do_not_make_the_browser_send_more_and_more(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    backs = [(await ready(stage, browser))[1] for _ in range(20)]
    assert len(browser.attempts) <= 5
    assert len(browser.cookie_header(stage.url)) < 4096
    assert FOREIGN in read_page(await browser.get(backs[0]), 400)
    assert (await browser.get(backs[-1])).code == 303


@pytest.mark.gen_test
async def test_planted_cookies_do_not_break_the_login(set_stage: SetStage) -> None:
    stage = await set_stage()
    names = ["", "x", "é", "a b", '"', "<script>", "x" * 2000, *map(str, range(200))]
    planted = "; ".join(f"freshet_login_{name}=planted" for name in names)
    response = await stage.browser().get("/auth/login/", Cookie=planted)
    assert response.code == 302
    assert len(response.headers.get_list("Set-Cookie")) <= 21
    for line in response.headers.get_list("Set-Cookie"):
        assert "planted" not in line
        assert "<script>" not in line


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
@pytest.mark.gen_test
async def test_only_a_get_of_the_callback_spends_the_state(
    set_stage: SetStage, method: str
) -> None:
    """Mail scanners and chat previews ask with HEAD first."""
    stage = await set_stage()
    browser, back = await ready(stage)
    response = await browser.request(method, back, Origin=stage.url)
    assert response.code == (204 if method == "OPTIONS" else 405)
    assert response.headers["Allow"] == "GET, OPTIONS"
    assert stage.token_calls() == 0
    assert (await browser.get(back)).code == 303


@pytest.mark.gen_test(timeout=60)
async def test_a_flood_of_made_up_callbacks_reaches_neither_spotify_nor_the_database(
    set_stage: SetStage, lines: Lines, long: bool
) -> None:
    stage = await set_stage(access_log="off")
    many = 500 if long else 100
    before, statements = await stage.counts(), []
    engine = stage.freshet.database.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    floods = [
        [f"/auth/callback/?state=made-up-{batch}-{n}&code=AQ{n}" for n in range(many)]
        for batch in range(4)
    ]
    answers = await asyncio.gather(*(pipelined(stage.freshet.port, each) for each in floods))
    assert sum(answer.count(b"HTTP/1.1 400 ") for answer in answers) == 4 * many
    # On a busy machine this takes longer than 10 s, after which the server looks around by itself.
    of_logins = [each for each in statements if re.search("logins|sessions|spent_states", each)]
    assert of_logins == []
    assert list(stage.standin.calls) == []
    assert await stage.counts() == before
    assert [each["event"] for each in lines()].count("login_failed") == MOST
    assert (await stage.browser().log_in()).code == 303  # and the brake is not on


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.gen_test
async def test_of_twenty_codes_in_a_minute_of_one_address_ten_reach_spotify(
    set_stage: SetStage, at_once: bool
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    callbacks = []
    for number in range(20):
        state = parameters(await browser.begin())["state"]
        cookie = f"{browser.attempts[-1].name}={browser.attempts[-1].value}"
        callbacks.append((f"/auth/callback/?state={state}&code=AQbogus{number}", cookie))
    if at_once:
        asked = (browser.get(url, Cookie=cookie) for url, cookie in callbacks)
        answers = await asyncio.gather(*asked)
    else:
        answers = [await browser.get(url, Cookie=cookie) for url, cookie in callbacks]
    assert stage.token_calls() == MOST
    assert sorted(answer.code for answer in answers) == [400] * MOST + [429] * 10
    late = next(answer for answer in answers if answer.code == 429)
    assert "Too many logins at once" in read_page(late, 429)
    assert late.headers["Retry-After"] == "60"
    assert late.headers["RateLimit-Policy"] == f'"logins";q={MOST};w=60'
    assert late.headers["RateLimit"] == '"logins";r=0;t=60'


@pytest.mark.parametrize("query", ["error=access_denied", "code=", "x=y"])
@pytest.mark.gen_test
async def test_callbacks_without_a_code_cannot_fill_the_database(
    set_stage: SetStage, query: str
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for _ in range(40):
        state = parameters(await browser.begin())["state"]
        await browser.get(f"/auth/callback/?state={state}&{query}")
    assert await stage.all("SELECT * FROM spent_states") == []
    assert stage.token_calls() == 0


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"X_Forwarded_Host": "evil.example"},
        {"X_Forwarded_Proto": "https"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"Referer": "https://evil.example/"},
    ],
    ids=lambda header: next(iter(header)),
)
@pytest.mark.gen_test
async def test_no_header_bends_an_address(set_stage: SetStage, header: dict[str, str]) -> None:
    stage = await set_stage()
    for path in ("/auth/login/", "/auth/login/?moved=1", "/"):
        response = await stage.browser().get(path, **header)
        assert "evil" not in response.body.decode()
        if response.code != 200:
            target = urlsplit(response.headers["Location"])
            assert f"{target.scheme}://{target.netloc}" in (stage.url, stage.standin.accounts_url)
            assert "evil.example" not in response.headers["Location"]


@pytest.mark.gen_test
async def test_a_target_in_absolute_form_bends_no_address_either(set_stage: SetStage) -> None:
    stage = await set_stage()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.freshet.port)
    writer.write(
        b"GET http://evil.example/auth/login/?next=/x HTTP/1.1\r\n"
        b"Host: evil.example\r\nConnection: close\r\n\r\n"
    )
    answer = (await reader.read()).decode()
    writer.close()
    assert f"\r\nLocation: {stage.url}/auth/login/?next=%2Fx&moved=1\r\n" in answer
    assert "evil" not in answer


@pytest.mark.gen_test
async def test_a_second_login_in_the_same_browser_swaps_the_account_cleanly(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage(allowed_users="account-1,account-2")
    browser = stage.browser()
    for number in (1, 2):
        stage.standin.listener = Listener(f"account-{number}", f"listener-{number}", f"N{number}")
        assert (await browser.log_in()).code == 303
    assert "<strong>N2</strong>" in read_page(await browser.get("/"))
    assert await stage.all("SELECT account_id FROM sessions") == ["account-2"]
    assert [each["event"] for each in lines()].count("server_owned") == 0
