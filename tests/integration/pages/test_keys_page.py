"""The page of access keys: what its forms do, and for whom."""

import re
from html import unescape

import pytest
from tornado.httpclient import HTTPResponse

from tests.support.client import Client
from tests.support.login_browser import Browser, SetStage, Stage, read_page

PATH = "/my/keys/"
WISH = "name=feed+reader&scope=read&scope=sync"


async def logged_in(set_stage: SetStage) -> tuple[Stage, Browser]:
    stage = await set_stage()
    browser = stage.browser()
    assert (await browser.log_in()).code == 303
    return stage, browser


async def submit(browser: Browser, form: str, path: str = PATH, **headers: str) -> HTTPResponse:
    sent = {"Origin": browser.home, "Content_Type": "application/x-www-form-urlencoded", **headers}
    return await browser.request("POST", path, form, **sent)


@pytest.mark.gen_test
async def test_a_key_is_shown_once_and_works_until_it_is_revoked(set_stage: SetStage) -> None:
    stage, browser = await logged_in(set_stage)
    assert f'href="{PATH}"' in read_page(await browser.get("/"))
    assert "You have no keys yet" in read_page(await browser.get(PATH))
    page = read_page(await submit(browser, WISH))
    key, *in_addresses = re.findall(r"fr_[\w-]{43}", page)
    assert in_addresses == [key, key]
    assert f'<code class="key">{stage.url}/feeds/my/albums.ics?key={key}</code>' in page
    for again in (read_page(await browser.get(PATH)), read_page(await browser.get("/"))):
        assert key not in again
    listed = read_page(await browser.get(PATH))
    assert f"{key[:7]}…</code> · read, sync" in listed
    assert "Never used." in listed

    script = Client(stage.freshet)
    assert (await script.fetch("/feeds/my/none", Authorization=f"Bearer {key}")).code == 404
    await stage.freshet.syncer.sync()
    feed = await script.fetch(f"/feeds/my/albums.ics?key={key}")
    assert (feed.code, key in feed.body.decode()) == (200, False)
    assert "Last used on" in read_page(await browser.get(PATH))
    (revoke,) = re.findall(r'action="(/my/keys/\d+/revoke/)"', listed)
    response = await browser.post(revoke)
    assert (response.code, response.headers["Location"]) == (303, f"{stage.url}{PATH}")
    assert "The key is revoked." in read_page(await browser.get(PATH))
    assert "The key is revoked." not in read_page(await browser.get(PATH)), "it is told once"
    assert (await script.fetch("/feeds/my/none", Authorization=f"Bearer {key}")).code == 401
    read_page(await browser.post(revoke), 404)
    script.http.close()


@pytest.mark.gen_test
async def test_names_are_shown_as_text(set_stage: SetStage) -> None:
    _, browser = await logged_in(set_stage)
    page = read_page(await submit(browser, "name=%3Cscript%3Ex%3C%2Fscript%3E&scope=read"))
    assert "<script" not in page
    assert "<h3><script>x</script></h3>" in unescape(page)


@pytest.mark.gen_test
async def test_a_wrong_form_makes_nothing_and_says_what_is_wrong(set_stage: SetStage) -> None:
    stage, browser = await logged_in(set_stage)
    for form, told in (
        ("", "<code>name</code> should have at least 1 character"),
        ("name=x", "<code>scopes</code> should have at least 1 item"),
        ("name=x&scope=root", "<code>scopes.0</code> should be"),
        (f"name={'a' * 101}&scope=read", "<code>name</code> should have at most 100"),
    ):
        assert told in unescape(read_page(await submit(browser, form), 400)), form
    assert (await submit(browser, "name=%ff&scope=read")).code == 400
    assert await stage.all("SELECT id FROM access_keys") == []


@pytest.mark.gen_test
async def test_strangers_and_pages_of_other_sites_get_no_further(set_stage: SetStage) -> None:
    stage, browser = await logged_in(set_stage)
    stranger = stage.browser()
    for path in (PATH, "/my", "/my/", "/my/none", "/my/keys/x/"):
        response = await stranger.get(path)
        page = read_page(response, 401)
        assert "You are not logged in" in page
        assert 'href="/auth/login/?next=/my/"' in page
        assert response.headers["WWW-Authenticate"].startswith("Cookie ")
        assert read_page(await browser.get("/my/none"), 404)
    for path in (PATH, "/my/keys/1/revoke/", "/my/none"):
        for who in (browser, stranger):
            foreign = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
            read_page(await submit(who, WISH, path, **foreign), 403)
        read_page(await submit(stranger, WISH, path), 401)
    key = (await stage.freshet.keys.create(None, "x", ["read", "manage"])).key
    read_page(await stranger.get(PATH, Authorization=f"Bearer {key}"), 401)
    assert await stage.all("SELECT name FROM access_keys") == ["x"], "pages take no keys"


@pytest.mark.gen_test
async def test_with_the_most_keys_there_is_no_form(set_stage: SetStage) -> None:
    stage, browser = await logged_in(set_stage)
    (account,) = await stage.all("SELECT account_id FROM logins WHERE refresh_token IS NOT NULL")
    await stage.execute(
        "INSERT INTO access_keys (account_id, name, scopes, hint, key_hash, created_at) "
        f"SELECT '{account}', 'x', '{{read}}', 'fr_xxxx', int4send(n), now() "
        "FROM generate_series(1, 50) n"
    )
    page = read_page(await browser.get(PATH))
    assert "You have 50 keys" in page
    assert 'name="scope"' not in page
    assert "There are too many keys" in read_page(await submit(browser, WISH), 409)
