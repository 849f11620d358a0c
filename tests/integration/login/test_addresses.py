"""The login at other addresses than http://127.0.0.1: https, a path, localhost, a proxy."""

import pytest

from server.login.login_budget import PER_NETWORK
from tests.support.login_browser import SetStage, parameters, read_page

PUBLIC = "https://freshet.example.org"


@pytest.mark.gen_test
async def test_behind_https_every_cookie_is_secure_and_bound_to_the_host(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url=PUBLIC)
    browser = stage.browser()
    begun = await browser.get("/auth/login/")
    consent = begun.headers["Location"]
    assert parameters(consent)["redirect_uri"] == f"{PUBLIC}/auth/callback/"
    response = await browser.get(await browser.agree(consent))
    assert (response.code, response.headers["Location"]) == (303, f"{PUBLIC}/")
    sent = begun.headers.get_list("Set-Cookie") + response.headers.get_list("Set-Cookie")
    assert {line.partition("=")[0] for line in sent[1:]} == {
        "__Host-freshet_session",
        "__Host-freshet_known",
    }
    for line in sent:
        name, *attributes = line.split("; ")
        assert name.startswith("__Host-freshet_")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert "You are logged in as" in read_page(await browser.get("/"))


@pytest.mark.gen_test
async def test_behind_https_a_cookie_without_the_prefix_counts_for_nothing(
    set_stage: SetStage,
) -> None:
    """It is what a neighbouring host, or somebody on the wire, could have set."""
    stage = await set_stage(public_url=PUBLIC)
    browser = stage.browser()
    await browser.log_in()
    assert browser.session is not None
    bare = await stage.browser().get("/", Cookie=f"freshet_session={browser.session.value}")
    assert "You are logged in as" not in read_page(bare)
    back = await browser.agree(await browser.begin())
    renamed = browser.cookie_header(back).replace("__Host-", "")
    failed = await stage.browser().get(back, Cookie=renamed)
    assert "was not started in this browser" in read_page(failed, 400)


@pytest.mark.gen_test
async def test_behind_https_no_other_site_and_no_planted_cookie_gets_anywhere(
    set_stage: SetStage,
) -> None:
    """Not even the site's own address by http, another port of it, or a host beside it."""
    stage = await set_stage(public_url=PUBLIC)
    owner, attacker = stage.browser(), stage.browser()
    await owner.log_in()
    assert owner.session is not None
    before, fixed = await stage.counts(), "__Host-freshet_session=planted-by-somebody"
    for origin, site in (
        ("https://evil.example", "cross-site"),
        ("https://evil.example", None),
        ("http://freshet.example.org", "cross-site"),
        ("http://freshet.example.org", None),
        (f"{PUBLIC}:8443", "same-site"),
        ("https://www.freshet.example.org", "same-site"),
        ("null", None),
        (None, "same-site"),
        (None, None),
    ):
        for path in ("/auth/logout/", "/auth/disconnect/", "/api/sync/", "/status"):
            answer = await owner.post(path, origin=origin, site=site)
            assert answer.code == 403, (path, origin, site)
    assert await stage.counts() == before
    back = await attacker.agree(await attacker.begin())
    assert "was not started in this browser" in read_page(await owner.get(back), 400)
    session = owner.session.value
    cookies = f"{attacker.cookie_header(back)}; {fixed}"
    assert (await attacker.get(back, Cookie=cookies)).code == 303
    assert attacker.session is not None
    assert attacker.session.value not in ("planted-by-somebody", session)
    page = read_page(await stage.browser().get("/", Cookie=fixed))
    assert "You are logged in as" not in page


@pytest.mark.gen_test
async def test_behind_https_a_browser_is_known_by_no_cookie_without_the_prefix(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url=PUBLIC)
    owner, stranger = stage.browser(), stage.browser()
    await owner.log_in()
    (mark,) = [each for each in owner.cookies() if each.name == "__Host-freshet_known"]
    codes = {"freshet_known": 429, "__Host-freshet_known": 400}
    for name, last in codes.items():
        for _ in range(PER_NETWORK + 1):
            state = parameters(await stranger.begin())["state"]
            cookies = f"{stranger.cookie_header(stage.url)}; {name}={mark.value}"
            back = f"/auth/callback/?state={state}&code=AQmade-up"
            code = (await stranger.get(back, Cookie=cookies)).code
        assert code == last, name


@pytest.mark.gen_test
async def test_a_public_url_in_capitals_is_https_too(set_stage: SetStage) -> None:
    stage = await set_stage(public_url=PUBLIC.replace("https", "HTTPS"))
    response = await stage.browser(PUBLIC).get(
        f"http://127.0.0.1:{stage.freshet.port}/auth/login/", Host="freshet.example.org"
    )
    (line,) = response.headers.get_list("Set-Cookie")
    assert line.startswith("__Host-freshet_login_")
    assert "Secure" in line


@pytest.mark.gen_test
async def test_a_next_in_any_script_is_sent_as_an_address_of_ascii(set_stage: SetStage) -> None:
    """RFC 9110 section 10.2.2: a Location is a URI reference."""
    stage = await set_stage()
    response = await stage.browser().log_in("/Océano de Sal")
    assert response.code == 303
    assert response.headers["Location"] == f"{stage.url}/Oc%C3%A9ano%20de%20Sal"


@pytest.mark.gen_test
async def test_under_a_path_every_link_and_redirect_stays_under_it(set_stage: SetStage) -> None:
    stage = await set_stage(public_url=f"{PUBLIC}/freshet")
    browser = stage.browser()
    page = read_page(await browser.get(f"{stage.url}/"))
    for link in ("/freshet/", "/freshet/auth/login/", "/freshet/static/freshet.css"):
        assert f'href="{link}"' in page
    consent = await browser.begin("/api/status")
    assert parameters(consent)["redirect_uri"] == f"{PUBLIC}/freshet/auth/callback/"
    response = await browser.get(await browser.agree(consent))
    assert response.headers["Location"] == f"{PUBLIC}/freshet/api/status"
    page = read_page(await browser.get(f"{stage.url}/"))
    assert 'action="/freshet/auth/logout/"' in page
    response = await browser.post(f"{stage.url}/auth/logout/")
    assert response.headers["Location"] == f"{PUBLIC}/freshet/"


@pytest.mark.gen_test
async def test_whoever_says_localhost_is_sent_to_the_public_address_once(
    set_stage: SetStage,
) -> None:
    """Its cookies would not come back to 127.0.0.1, where Spotify sends the browser."""
    stage = await set_stage()
    port = stage.freshet.port
    browser = stage.browser(f"http://localhost:{port}")
    response = await browser.get("/auth/login?next=/a?b=c%26d")
    assert response.code == 303
    assert browser.jar == {}
    moved = response.headers["Location"]
    assert moved.startswith(f"{stage.url}/auth/login/?")
    assert parameters(moved)["next"] == "/a?b=c&d"
    consent = (await browser.get(moved)).headers["Location"]
    response = await browser.get(await browser.agree(consent))
    assert (response.code, response.headers["Location"]) == (303, f"{stage.url}/a?b=c&d")


@pytest.mark.gen_test
async def test_a_proxy_that_hides_the_host_makes_no_loop(set_stage: SetStage) -> None:
    stage = await set_stage(public_url=PUBLIC)
    browser = stage.browser()
    first = await browser.get("/auth/login/", Host="backend:5000")
    assert first.code == 303
    second = await browser.get(first.headers["Location"], Host="backend:5000")
    assert second.code == 302
    assert second.headers["Location"].startswith(stage.standin.accounts_url)
    back = await browser.agree(second.headers["Location"])
    assert (await browser.get(back, Host="backend:5000")).code == 303
    assert browser.session is not None


@pytest.mark.gen_test
async def test_an_address_of_ipv6_is_known_in_its_brackets(set_stage: SetStage) -> None:
    stage = await set_stage(public_url="http://[::1]:5000")
    browser = stage.browser()
    for host in ("[::1]:5000", "[::1]"):
        response = await browser.get("/auth/login/", Host=host)
        assert response.code == 302
    consent = response.headers["Location"]
    assert parameters(consent)["redirect_uri"] == "http://[::1]:5000/auth/callback/"
    assert (await browser.get(await browser.agree(consent))).code == 303
    assert (await browser.post("/auth/logout/")).code == 303


@pytest.mark.gen_test
async def test_at_a_host_in_any_script_login_logout_and_links_name_it_as_browsers_do(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(public_url="https://Straße.example")
    ours = "https://xn--strae-oqa.example"
    browser = stage.browser(ours)
    consent = await browser.begin()
    assert parameters(consent)["redirect_uri"] == f"{ours}/auth/callback/"
    landed = await browser.get(await browser.agree(consent))
    assert landed.headers["Location"] == f"{ours}/"
    synced = await browser.post("/api/sync/", origin=ours)
    assert synced.code in (202, 409)
    ended = await browser.post("/auth/logout/", origin=ours)
    assert (ended.code, ended.headers["Location"]) == (303, f"{ours}/")
