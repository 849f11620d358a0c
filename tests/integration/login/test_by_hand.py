"""The login where Spotify sends no browser back: by copy and paste, by a tunnel, by a command."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tornado.httpclient import HTTPResponse

from server.login.callback import read_address
from server.login.errors import AddressUnusable
from tests.support.login_browser import Browser, SetStage, read_page
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


LAN = "http://raspberrypi.local:5000"


def consent_of(page: str) -> str:
    (link,) = re.findall(r'href="(http[^"]*/authorize[^"]*)"', page)
    return unescape(link)


async def begin(browser: Browser, path: str = "/auth/login/?next=/status") -> str:
    """Open the page of the login; the address of the consent page that it links to."""
    return consent_of(read_page(await browser.get(path)))


async def paste(browser: Browser, address: str, **form: Any) -> HTTPResponse:
    return await browser.post("/auth/pasted/", {"address": address}, **form)


@pytest.mark.gen_test
async def test_in_a_home_network_all_but_the_click_to_log_in_works(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url=LAN)
    browser = stage.browser()
    page = read_page(await browser.get("/"))
    assert "is plain http at raspberrypi.local" in page
    assert 'href="/auth/login/">How to log in</a>' in page
    answer = await browser.get("/api/openapi.json")
    assert f'"url":"{LAN}"' in answer.body.decode()
    page = read_page(await browser.get("/auth/login/"))
    loopback = f"http://127.0.0.1:{stage.freshet.port}"
    assert f"<code>{loopback}/auth/callback/</code>" in page
    assert f"ssh -L {stage.freshet.port}:127.0.0.1:{stage.freshet.port} raspberrypi.local" in page
    assert "manage.py login" in page
    assert "plain http" in page


@pytest.mark.gen_test
async def test_an_address_that_is_pasted_ends_the_login(
    set_stage: SetStage, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    stage = await set_stage(public_url=LAN)
    browser = stage.browser()
    consent = await begin(browser)
    asked = parse_qs(urlsplit(consent).query)
    assert asked["redirect_uri"] == [stage.freshet.settings.redirect_uri]
    ended_at = await browser.agree(consent)
    assert ended_at.startswith(f"http://127.0.0.1:{stage.freshet.port}/auth/callback/?")
    wrapped = f"  <{ended_at[:60]}\n{ended_at[60:]}>\n"
    response = await paste(browser, wrapped)
    assert (response.code, response.headers["Location"]) == (303, f"{LAN}/status")
    assert browser.session is not None
    assert not browser.session.secure
    assert (browser.session.http_only, browser.session.same_site) == (True, "Lax")
    assert "You are logged in as" in read_page(await browser.get("/"))
    assert (await browser.post("/auth/logout/")).headers["Location"] == f"{LAN}/"
    code = parse_qs(urlsplit(ended_at).query)["code"][0]
    assert code not in str(lines())


@pytest.mark.gen_test
async def test_an_address_is_good_for_the_browser_that_began_and_once(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url=LAN)
    owner, other = stage.browser(), stage.browser()
    ended_at = await owner.agree(await begin(owner))
    await begin(other)
    refused = await paste(other, ended_at)
    assert "was not started in this browser" in read_page(refused, 400)
    assert other.session is None
    assert (await paste(owner, ended_at)).code == 303
    assert "already been used" in read_page(await paste(owner, ended_at), 400)
    assert await stage.all("SELECT count(*) FROM logins") == [1]


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://evil.example", None),
        ("http://127.0.0.1:PORT", None),
        ("null", None),
        ("own", "cross-site"),
        (None, None),
    ],
)
@pytest.mark.gen_test
async def test_no_other_site_can_paste(
    set_stage: SetStage, origin: str | None, site: str | None
) -> None:
    stage = await set_stage(public_url=LAN)
    browser = stage.browser()
    ended_at = await browser.agree(await begin(browser))
    origin = origin and origin.replace("PORT", str(stage.freshet.port))
    refused = await paste(browser, ended_at, origin=origin, site=site)
    assert "did not come from this server" in read_page(refused, 403)
    assert stage.token_calls() == 0


@pytest.mark.parametrize(
    "pasted", ["", "hello", "CONSENT", "http://[", "?code=1", "?state=1", "\x00"]
)
@pytest.mark.gen_test
async def test_what_is_no_callback_is_told_with_what_to_copy(
    set_stage: SetStage, pasted: str
) -> None:
    stage = await set_stage(public_url=LAN)
    browser = stage.browser()
    consent = await begin(browser)
    page = read_page(await paste(browser, consent if pasted == "CONSENT" else pasted), 400)
    assert "not the address where the login ended" in page
    assert "/auth/callback/?code=" in page


@pytest.mark.gen_test
async def test_a_refusal_of_the_user_can_be_pasted_too(set_stage: SetStage) -> None:
    stage = await set_stage(public_url=LAN)
    browser = stage.browser()
    ended_at = await browser.agree(await begin(browser), "cancel")
    assert "You cancelled the login" in read_page(await paste(browser, ended_at), 403)


@pytest.mark.gen_test
async def test_through_a_tunnel_the_login_is_a_click_and_stays_there(set_stage: SetStage) -> None:
    port = free_port()
    stage = await set_stage(public_url=LAN, port=port)
    tunnel = f"http://127.0.0.1:{port}"
    browser = stage.browser(tunnel)
    assert "Log in with Spotify" in read_page(await browser.get("/"))
    response = await browser.log_in("/status")
    assert (response.code, response.headers["Location"]) == (303, f"{tunnel}/status")
    assert "You are logged in as" in read_page(await browser.get("/"))
    response = await browser.post("/auth/logout/")
    assert (response.code, response.headers["Location"]) == (303, f"{tunnel}/")


@pytest.mark.gen_test
async def test_localhost_is_told_where_to_go_instead(set_stage: SetStage) -> None:
    port = free_port()
    stage = await set_stage(public_url=f"http://localhost:{port}", port=port)
    page = read_page(await stage.browser().get("/auth/login/"))
    assert "write http://127.0.0.1:PORT" in page
    assert f"<code>http://127.0.0.1:{port}/auth/login/</code>" in page


@pytest.mark.gen_test
async def test_where_the_login_works_nothing_is_to_be_pasted(set_stage: SetStage) -> None:
    stage = await set_stage()
    assert (await paste(stage.browser(), "?code=1&state=2")).code == 404


@pytest.mark.parametrize(
    "pasted",
    [
        "http://127.0.0.1:5000/auth/callback/?code=a%2Bb&state=c",
        '"http://127.0.0.1:5000/auth/callback/?code=a%2Bb&state=c#_=_"',
        "https://music.example/auth/callback?state=c&code=a%2Bb&error=x&error=y",
        "?code=a%2B\r\n b&state=c\n",
        "code=a%2Bb&state=c",
    ],
)
def test_an_address_is_read_as_people_paste_it(pasted: str) -> None:
    callback = read_address(pasted)
    assert (callback.code, callback.state, callback.error) == ("a+b", "c", None)
    assert "a+b" not in repr(callback)


@pytest.mark.parametrize("pasted", ["?state=1&state=2&code=3", "?" + "a=1&" * 30, "?state=1&x=y"])
def test_an_address_with_anything_twice_or_missing_is_unusable(pasted: str) -> None:
    with pytest.raises(AddressUnusable):
        read_address(pasted)
