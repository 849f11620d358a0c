"""What comes from outside ends in no page, header, redirect or log line as it is not meant to."""

import asyncio
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.standin import Answer, Listener
from tests.support.login_browser import SetStage, landing, parameters, read_page
from tests.support.redirects import LEADS_ELSEWHERE, STAYS

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Lines = Callable[[], list[dict[str, Any]]]
SCRIPT = "<script>alert(1)</script>"
BREAKOUTS = [SCRIPT, '"><img src=x onerror=alert(1)>', "'-alert(1)-'", "{{ 1 }}", "</p><h1>Hacked"]
RAW_NEXTS = [  # as they stand in the address, encoded or not
    "%2F%2Fevil.example",
    "%252F%252Fevil.example",
    "%2F%5Cevil.example",
    "/%09/evil.example",
    "%2F%09%2Fevil.example",
    "%20//evil.example",
    "%00//evil.example",
    "%0d%0a//evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/%E2%80%A8/evil.example",
    "%EF%BC%8F%EF%BC%8Fevil.example",
    "https%3Aevil.example",
    "https%3A%2F%2Fevil.example",
    "/x&next=//evil.example",
    "//evil.example&next=/x",
    "%2Fauth%2Flogin%2F",
    "/%25%32%46evil.example",
    "/;@evil.example",
    "/" + "%C3%A9" * 600,
]


def batches(targets: list[str], size: int = 20) -> list[list[str]]:
    """No server takes more than thirty logins of one account a minute."""
    return [targets[first : first + size] for first in range(0, len(targets), size)]


ENCODED = [quote(target) for target in LEADS_ELSEWHERE if target.isprintable()]


@pytest.mark.parametrize("nexts", batches(RAW_NEXTS + ENCODED), ids=range(3))
@pytest.mark.gen_test
async def test_no_next_leads_away_from_this_server(set_stage: SetStage, nexts: list[str]) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for encoded in nexts:
        begun = await browser.get(f"/auth/login/?next={encoded}")
        assert begun.code == 302, encoded
        assert len(begun.headers.get_list("Location")) == 1
        consent = begun.headers["Location"]
        assert consent.startswith(f"{stage.standin.accounts_url}/authorize?"), encoded
        back = await browser.agree(consent)
        ended = await browser.get(back)
        assert ended.code == 303, (encoded, ended.body)
        (location,) = ended.headers.get_list("Location")
        landed = urlsplit(landing(back, location))
        assert f"{landed.scheme}://{landed.netloc}" == stage.url, encoded
        assert not landed.path.startswith("/auth/"), encoded


@pytest.mark.gen_test
async def test_a_path_of_ours_is_gone_to_over_http_too(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for target in STAYS:
        if target.isascii():
            response = await browser.log_in(target)
            assert response.headers["Location"] == stage.url + target


@pytest.mark.gen_test
async def test_no_text_at_all_bends_the_way_to_spotify(set_stage: SetStage) -> None:
    """Neither on the way there, nor on the way from localhost to the public address."""
    stage = await set_stage()
    browser, examples = stage.browser(), list[str]()

    @settings(max_examples=60)
    @given(st.text())
    def collect(text: str) -> None:
        examples.append(text)

    collect()
    for host, expected in (
        (urlsplit(stage.url).netloc, stage.standin.accounts_url),
        (f"localhost:{stage.freshet.port}", stage.url),
    ):
        for text in examples:
            url = "/auth/login/?" + urlencode({"next": text.encode()})
            response = await browser.get(url, Host=host)
            assert response.code in (302, 303)
            landed = urlsplit(landing(stage.url, response.headers["Location"]))
            assert f"{landed.scheme}://{landed.netloc}" == expected


@pytest.mark.gen_test
async def test_a_next_puts_no_header_into_the_answer(set_stage: SetStage) -> None:
    stage = await set_stage()
    attack = "/%0d%0aSet-Cookie:%20freshet_session=planted%0d%0a%0d%0a%3Cscript%3E"
    for host in ("localhost", "127.0.0.1"):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.freshet.port)
        request = f"GET /auth/login/?next={attack} HTTP/1.1\r\nHost: {host}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 30")
        assert b"Set-Cookie: freshet_session" not in answer
        assert b"<script>" not in answer


@pytest.mark.gen_test
async def test_what_the_callback_brings_is_in_no_page(set_stage: SetStage, lines: Lines) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for attack in BREAKOUTS:
        for foul in ("error", "error_description", "state", "code", "next"):
            state = parameters(await browser.begin())["state"]
            query = {"state": state, "error": "unheard-of", "code": "AQbogus", foul: attack}
            response = await browser.get(f"/auth/callback/?{urlencode(query)}")
            assert response.code >= 400
            page = read_page(response, response.code)
            for foreign in (attack, "alert(1)", "Hacked", "unheard-of", state):
                assert foreign not in page
            assert state not in str(lines())
    assert len([line for line in lines() if line["event"] == "login_failed"]) == 10
    assert "AQbogus" not in str(lines())


@pytest.mark.gen_test
async def test_no_address_is_echoed(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    query = f"next={quote(SCRIPT)}&x={SCRIPT}"
    for path in ("/", "/auth/login/", "/auth/callback/", "/auth/logout/", "/nowhere"):
        assert b"alert(1)" not in (await browser.get(f"{path}?{query}")).body


@pytest.mark.gen_test
async def test_a_name_at_spotify_is_text_and_no_html(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for attack in BREAKOUTS:
        stage.standin.listener = Listener(f"id-{attack}", f"user-{attack}", attack)
        await browser.log_in()
        page = read_page(await browser.get("/"))
        assert f"<strong>{attack}</strong>" in unescape(page)
        for tag in ("<script>", "<img src=x", "<h1>Hacked"):
            assert tag not in page
        assert (await browser.post("/auth/disconnect/")).code == 303


@pytest.mark.gen_test
async def test_a_name_at_spotify_cannot_steer_a_terminal_or_turn_the_text(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    name = "A\x1b[2J\r\nB\u202eC\u2066D\x00" + "x" * 10_000
    me = {"account_id": "account-1", "id": "listener-1", "display_name": name}
    stage.standin.answer_next("/v1/me", Answer(200, me))
    browser = stage.browser()
    await browser.log_in()
    page = read_page(await browser.get("/"))
    assert "<strong>A [2J B C D xxx" in page
    assert len(page) < 8000
    for control in ("\x1b", "\u202e", "\u2066", "\x00"):
        assert control not in page


ASKED = [
    "/auth/callback/?code=AQsecret-code&state=STATE",
    "/auth/callback?state=STATE&code=AQsecret-code&x=1",
    "/auth/callback/?x=1&error=denied&state=STATE&code=AQsecret-code",
    "/auth/callback/?code=AQsecret-code&code=AQsecret-code&state=STATE&state=STATE",
    "/auth/callback/?code=AQsecret-code%20AQsecret-code&state=STATE",
    "/auth/login/?next=/auth/callback/%3Fcode%3DAQsecret-code%26state%3DSTATE",
    "/nowhere?code=AQsecret-code&state=STATE",
    "/auth/logout/?code=AQsecret-code&state=STATE",
    "/?code=AQsecret-code&state=STATE",
    "/api/status?code=AQsecret-code&state=STATE",
]


@pytest.mark.gen_test
async def test_no_code_and_no_state_is_in_the_log_whatever_was_asked(
    set_stage: SetStage, lines: Lines
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    for url in ASKED:
        state = parameters(await browser.begin())["state"]
        await browser.get(url.replace("STATE", state))
        assert "AQsecret" not in str(lines()), url
        assert state not in str(lines()), url
    asked = [line for line in lines() if line["event"] == "http_request"]
    assert len(asked) == 2 * len(ASKED)


@pytest.mark.gen_test
async def test_very_long_parameters_are_refused_without_a_call(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    state = parameters(await browser.begin())["state"]
    for long, statuses, login in (("x" * 7_000, (400, 502), 302), ("x" * 100_000, (414,), 414)):
        for query in (f"state={long}&code=a", f"state={state}&error={long}", f"next={long}"):
            assert (await browser.get(f"/auth/callback/?{query}")).code in statuses
        assert (await browser.get(f"/auth/login/?next=/{long}")).code == login
    state = parameters(await browser.begin())["state"]
    response = await browser.get(f"/auth/callback/?state={state}&code={'A' * 2001}")
    assert "Spotify did not accept the code" in read_page(response, 400)
    assert stage.token_calls() == 0
