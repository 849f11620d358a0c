"""Private addresses: what strangers can tell from them, and what is left of an account."""

import re
from typing import Any

import orjson
import pytest
from tornado.httpclient import HTTPResponse

from server.following import list_store
from server.login.access_keys import SCOPES
from server.standin import Listener
from tests.support.client import Client
from tests.support.examples import spotify_id
from tests.support.login_browser import SetStage
from tests.support.waiting import until

ARTIST = spotify_id("artist", 1)
PAGES = (
    *("/my", "/my/", "/my/keys/", "/my/keys/1/revoke/", "/my/keys/x/revoke/"),
    *(f"/my/artists/{ARTIST}/", "/my/artists/x/", "/my/none"),
)
ROUTES = (
    *("/api/my", "/api/my/albums/", "/api/my/following/", f"/api/my/watched/{ARTIST}"),
    *("/api/my/keys/1", "/api/my/none", "/feeds/my/albums.atom", "/feeds/my/none"),
)
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS BREW".split()
KEYS = "/api/my/keys/"
NOT_UTF_8 = "/feeds/my/albums.ics?key=%ff"


def shown(answer: HTTPResponse) -> str:
    """Return what a client can tell from an answer, without the id of its request."""
    body = re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"", answer.body or b"")
    headers = {name: said for name, said in answer.headers.get_all() if name != "Date"}
    return str([answer.code, sorted(headers.items()), body])


@pytest.mark.gen_test
async def test_strangers_cannot_tell_private_addresses_apart_by_any_method(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    script = Client(stage.freshet)
    foreign = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
    ours = {"Origin": stage.url, "Sec_Fetch_Site": "same-origin"}
    made_up: list[dict[str, str]] = [
        {},
        ours,
        foreign,
        {"Cookie": "freshet_session=made-up", **ours},
        {"Authorization": "Bearer fr_" + "x" * 43},
    ]
    for paths in (PAGES, ROUTES):
        for method in METHODS:
            for headers in made_up:
                answers = [await script.fetch(path, method, **headers) for path in paths]
                assert {each.code for each in answers} <= {401, 403}, (method, headers)
                assert len({shown(each) for each in answers}) == 1, (method, headers)
    script.http.close()


@pytest.mark.gen_test
async def test_a_key_in_a_query_counts_only_as_logs_mask_it(set_stage: SetStage) -> None:
    stage = await set_stage()
    script = Client(stage.freshet)
    key = (await stage.freshet.keys.create(None, "x", ["read"])).key
    nowhere = "/feeds/my/none"
    escaped = key.replace("_", "%5f")
    for query in (f"key={key}", f"a=1&key={key}", f"key=x&key={key}", f"key={escaped}"):
        assert (await script.fetch(f"{nowhere}?{query}")).code == 404, query
    for query in (f"%6bey={key}", f"KEY={key}", f"a=key={key}", f"key={key}&key=", "key=%ff"):
        assert (await script.fetch(f"{nowhere}?{query}")).code == 401, query
    assert (await script.fetch(NOT_UTF_8)).code == 401
    script.http.close()


@pytest.mark.gen_test
async def test_an_account_that_logs_in_again_after_it_disconnected_has_nothing_of_before(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    other = await set_stage(stage.standin, public_url=stage.url)
    await until(lambda: stage.freshet.cache.snapshot is not None)
    browser = stage.browser()
    assert (await browser.log_in()).code == 303
    (account,) = await stage.all("SELECT account_id FROM logins WHERE refresh_token IS NOT NULL")

    def follow(session: Any) -> None:
        list_store.record_followed(session, account, [(ARTIST, "Anna")], stage.clock())

    await stage.freshet.database.run(follow)
    servers = [each.freshet.own.my_releases for each in (stage, other)]
    await until(lambda: sum(map(len, servers)) == 0)
    for each in servers:
        assert list((await each.read(account)).artists.followed) == [ARTIST]
    assert (await browser.post("/auth/disconnect/")).code == 303
    assert len(servers[0]) == 0, "the process that was asked holds nothing of it"
    await until(lambda: len(servers[1]) == 0)
    assert (await browser.log_in()).code == 303
    listed = orjson.loads((await browser.get("/api/my/following/")).body)
    assert (listed["total"], listed["spotify_list"]["read_at"]) == (0, None)
    for each in servers:
        assert (await each.read(account)).artists.wanted == {}


@pytest.mark.gen_test
async def test_accounts_have_keys_and_artists_of_their_own_and_only_while_they_are_allowed(
    set_stage: SetStage,
) -> None:
    stage = await set_stage(allowed_users="account-1,account-2")
    for number in (1, 2):
        stage.standin.listener = Listener(f"account-{number}", f"listener-{number}", "")
        assert (await stage.browser().log_in()).code == 303
    keys, script = stage.freshet.keys, Client(stage.freshet)
    one = await keys.create("account-1", "one", SCOPES)
    two = await keys.create("account-2", "two", SCOPES)
    theirs, ours = ({"Authorization": f"Bearer {made.key}"} for made in (one, two))
    listed = orjson.loads((await script.fetch(KEYS, **ours)).body)["items"]
    assert [each["name"] for each in listed] == ["two"]
    revoked = await script.fetch(f"{KEYS}{one.entry.id}/", "DELETE", **ours)
    never = await script.fetch(f"{KEYS}999/", "DELETE", **ours)
    assert (revoked.code, shown(revoked)) == (404, shown(never)), "it does not say whose it is"
    assert (await script.fetch(f"/api/my/watched/{ARTIST}", "PUT", **theirs)).code == 204
    for headers, watched in ((theirs, 1), (ours, 0)):
        answer = await script.fetch("/api/my/following/", **headers)
        assert orjson.loads(answer.body)["watched"] == watched
    assert (await script.fetch(f"/api/my/watched/{ARTIST}", "DELETE", **ours)).code == 204
    assert await stage.all("SELECT account_id FROM chosen_artists") == ["account-1"]

    script.http.close()

    later = await set_stage(stage.standin, allowed_users="account-2")
    script = Client(later.freshet)
    for path, method in ((KEYS, "GET"), ("/api/sync/", "POST"), (f"{KEYS}1", "DELETE")):
        assert (await script.fetch(path, method, **theirs)).code == 401
    assert (await script.fetch(f"/feeds/my/none?key={one.key}")).code == 401
    assert (await script.fetch(f"/feeds/my/none?key={two.key}")).code == 404
    assert await stage.all("SELECT count(*) FROM access_keys") == [2]
    script.http.close()
    for allowed, checked in (("account-2", []), ("account-1,account-2", [ARTIST])):
        again = await set_stage(stage.standin, allowed_users=allowed)
        for job in (again.freshet.following.checker, again.freshet.following.search):
            await job.tick()
        assert await stage.all("SELECT artist FROM artist_schedules") == checked
        everybodys = await again.freshet.own.artist_list.state(None)
        held = await again.freshet.own.my_releases.read(None)
        assert everybodys.outlook.artists == len(held.artists.wanted) == len(checked)
