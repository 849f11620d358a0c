"""Access keys over HTTP: who may make, see and revoke which, and what attackers get."""

import asyncio
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from structlog.testing import capture_logs
from tornado.httpclient import HTTPResponse

from server.login.key_store import MOST_KEYS
from tests.support.client import Client
from tests.support.description import openapi
from tests.support.login_browser import Browser, SetStage, Stage

PATH = "/api/my/keys/"
NOWHERE = ("/api/my", "/api/my/", "/api/my/none", "/feeds/my/none", "/api/my/keys/x/")
WISH = {"name": "feed reader", "scopes": ["read"]}


async def logged_in(set_stage: SetStage, **overrides: Any) -> tuple[Stage, Browser, Client]:
    stage = await set_stage(**overrides)
    browser = stage.browser()
    assert (await browser.log_in()).code == 303
    return stage, browser, Client(stage.freshet)


async def make(browser: Browser, wish: Any = WISH, **headers: str) -> HTTPResponse:
    """Ask for a key as a script of a page of ours does."""
    named = {"Origin": browser.home, "Sec_Fetch_Site": "same-origin", **headers}
    body = wish if isinstance(wish, str) else orjson.dumps(wish).decode()
    return await browser.request("POST", PATH, body, Content_Type="application/json", **named)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def kind_of(response: HTTPResponse) -> tuple[int, str]:
    return response.code, orjson.loads(response.body)["type"].removeprefix("/problems/")


def is_described(body: bytes, schema: str) -> dict[str, Any]:
    described = {"$ref": f"#/components/schemas/{schema}", "components": openapi()["components"]}
    read: dict[str, Any] = orjson.loads(body)
    Draft202012Validator(described).validate(read)
    return read


@pytest.mark.gen_test
async def test_a_key_is_made_shown_once_used_and_revoked(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    with capture_logs() as logs:
        response = await make(browser, {"name": " my  scripts ", "scopes": ["manage", "sync"]})
    assert response.code == 201
    made = is_described(response.body, "NewAccessKey")
    assert (made["name"], made["scopes"]) == ("my  scripts", ["sync", "manage"])
    key = made.pop("key")
    assert key.startswith(made["hint"])
    assert key not in str(logs)
    assert response.headers["Cache-Control"] == "private, no-store"

    listed = await browser.get(PATH)
    assert is_described(listed.body, "AccessKeys")["items"] == [made]
    assert key not in listed.body.decode()

    asked = await script.fetch(PATH, **bearer(key))
    assert (asked.code, asked.headers["Cache-Control"]) == (200, "private, no-store")
    (seen,) = orjson.loads(asked.body)["items"]
    assert seen["last_used_at"] == stage.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    head = await script.fetch(PATH, "HEAD", **bearer(key))
    assert (head.code, head.body, head.headers["Content-Length"]) == (
        200,
        b"",
        str(len(asked.body)),
    )

    revoked = await script.fetch(f"{PATH}{made['id']}", "DELETE", **bearer(key))
    assert (revoked.code, revoked.body) == (204, b"")
    assert kind_of(await script.fetch(PATH, **bearer(key))) == (401, "login-required")
    assert orjson.loads((await browser.get(PATH)).body) == {"items": []}
    script.http.close()


@pytest.mark.gen_test
async def test_a_revoked_key_is_invalid_in_every_process_at_once(set_stage: SetStage) -> None:
    stage, browser, first = await logged_in(set_stage)
    other = await set_stage(stage.standin, public_url=stage.url)
    second = Client(other.freshet)
    made = orjson.loads((await make(browser, {**WISH, "scopes": ["manage"]})).body)
    assert (await second.fetch(PATH, **bearer(made["key"]))).code == 200
    assert (await first.fetch(f"{PATH}{made['id']}/", "DELETE", **bearer(made["key"]))).code == 204
    assert (await second.fetch(PATH, **bearer(made["key"]))).code == 401
    first.http.close()
    second.http.close()


@pytest.mark.gen_test
async def test_a_key_does_what_its_scopes_say_and_makes_no_others(set_stage: SetStage) -> None:
    stage, _, script = await logged_in(set_stage)
    keys = stage.freshet.keys
    (account,) = await stage.all("SELECT account_id FROM logins WHERE refresh_token IS NOT NULL")
    reader = await keys.create(account, "reader", ["read", "sync"])
    refused = await script.fetch(PATH, **bearer(reader.key))
    assert kind_of(refused) == (403, "key-lacks-scope")
    challenge = 'Bearer realm="Freshet", error="insufficient_scope", scope="manage"'
    assert refused.headers.get_list("WWW-Authenticate") == [challenge]

    manager = await keys.create(account, "manager", ["manage"])
    body = orjson.dumps(WISH).decode()
    url = f"http://127.0.0.1:{stage.freshet.port}{PATH}"
    more = await script.http.fetch(
        url, method="POST", body=body, headers=bearer(manager.key), raise_error=False
    )
    assert kind_of(more) == (403, "session-required")

    servers = await keys.create(None, "server", ["manage"])
    shown = orjson.loads((await script.fetch(PATH, **bearer(servers.key))).body)["items"]
    assert [each["name"] for each in shown] == ["server"]
    for number, expected in ((manager.entry.id, 404), (servers.entry.id, 204)):
        answer = await script.fetch(f"{PATH}{number}/", "DELETE", **bearer(servers.key))
        assert answer.code == expected
    script.http.close()


@pytest.mark.gen_test
async def test_pages_of_other_origins_can_neither_make_nor_revoke_nor_read(
    set_stage: SetStage,
) -> None:
    stage, browser, script = await logged_in(set_stage)
    made = orjson.loads((await make(browser)).body)
    for origin, site in (("https://evil.example", "cross-site"), (stage.url + "0", "same-site")):
        foreign = {"Origin": origin, "Sec_Fetch_Site": site}
        assert kind_of(await make(browser, **foreign)) == (403, "foreign-origin")
        revoked = await browser.request("DELETE", f"{PATH}{made['id']}/", **foreign)
        assert kind_of(revoked) == (403, "foreign-origin")
        read = await browser.get(PATH, **foreign)
        assert "Access-Control-Allow-Origin" not in read.headers
        assert read.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        wish = {"Access_Control_Request_Method": "GET", "Origin": origin}
        asked = {**wish, "Access_Control_Request_Headers": "authorization"}
        for path in (PATH, f"{PATH}1/", "/api/my/none", "/api/sync/"):
            preflight = await browser.request("OPTIONS", path, **asked)
            allowed = preflight.headers.get("Access-Control-Allow-Headers")
            assert allowed is None, "no script of another origin can send a key"
    bare = await browser.request("DELETE", f"{PATH}{made['id']}/")
    assert kind_of(bare) == (403, "foreign-origin")
    key = await stage.freshet.keys.create(None, "x", ["manage"])
    odd = {**bearer(key.key), "Origin": "https://evil.example"}
    answer = await script.fetch(PATH, **odd)
    assert answer.code == 200, "a program may say what it likes"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert len(orjson.loads((await browser.get(PATH)).body)["items"]) == 1
    script.http.close()


@pytest.mark.gen_test
async def test_strangers_get_the_same_answer_at_every_private_address(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    key = (await stage.freshet.keys.create(None, "x", ["read"])).key
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    strange: list[dict[str, str]] = [
        {},
        {"Cookie": "freshet_session=made-up"},
        bearer(forged),
        bearer(""),
        bearer(f"{key}, Bearer {key}"),
        {"Authorization": f"Basic {key}"},
        {"X_Api_Key": key, "X_Forwarded_User": "owner"},
    ]
    answers = set()
    for path in (PATH, *NOWHERE):
        for headers in strange:
            answer = await script.fetch(path, **headers)
            assert kind_of(answer) == (401, "login-required"), (path, headers)
            problem = orjson.loads(answer.body)
            problem.pop("instance")
            shown = {name: value for name, value in answer.headers.get_all() if name != "Date"}
            answers.add(orjson.dumps([problem, shown], option=orjson.OPT_SORT_KEYS))
        assert (await script.fetch(f"{path}?key={key}")).code == (404 if "feeds" in path else 401)
    assert len(answers) == 1
    for path in (PATH, f"{PATH}1/", *NOWHERE):
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
            assert (await script.fetch(path, method)).code == 401, (path, method)
    for path in NOWHERE:
        assert kind_of(await script.fetch(path, **bearer(key))) == (404, "not-found")
        assert kind_of(await browser.get(path)) == (404, "not-found")
    script.http.close()


@pytest.mark.gen_test
async def test_a_key_wins_over_a_session(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    await make(browser)
    assert (await browser.get(PATH, **bearer("fr_" + "x" * 43))).code == 401
    servers = await stage.freshet.keys.create(None, "server", ["manage"])
    (shown,) = orjson.loads((await browser.get(PATH, **bearer(servers.key))).body)["items"]
    assert shown["name"] == "server"
    script.http.close()


@pytest.mark.gen_test
async def test_a_token_that_a_proxy_adds_for_its_own_login_is_no_key(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    key = (await stage.freshet.keys.create(None, "reader", ["read"])).key
    theirs = bearer("eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl")
    assert (await browser.get(PATH, **theirs)).code == 200, "the session counts"
    assert (await script.fetch(f"/feeds/my/albums.atom?key={key}", **theirs)).code != 401
    assert kind_of(await script.fetch(PATH, **theirs)) == (401, "login-required")
    foreign = {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
    posted = await browser.request("POST", "/api/sync/", "", **theirs, **foreign)
    assert kind_of(posted)[0] == 403, "a session is asked for more than a key"
    for path in ("/healthz", "/api/status", "/api/changes/", "/"):
        assert (await script.fetch(path, **theirs)).code == 200
    script.http.close()


@pytest.mark.gen_test
async def test_a_wrong_wish_makes_no_key_and_names_every_fault(set_stage: SetStage) -> None:
    _, browser, script = await logged_in(set_stage)
    for wish, members in (
        ("", ["body"]),
        ("{", ["body"]),
        ('{"name": "\\ud800", "scopes": ["read"]}', ["body"]),
        ([], ["body"]),
        ({}, ["name", "scopes"]),
        ({"name": "", "scopes": []}, ["name", "scopes"]),
        ({"name": "  ", "scopes": "read"}, ["name", "scopes"]),
        ({"name": "a\0", "scopes": ["all"]}, ["name", "scopes.0"]),
        ({"name": "a\x1b[2J", "scopes": [None]}, ["name", "scopes.0"]),
        ({"name": "a" * 101, "scopes": {"read": 1}}, ["name", "scopes"]),
        ({"name": 5, "scopes": ["read", "root"]}, ["name", "scopes.1"]),
    ):
        answer = await make(browser, wish)
        assert kind_of(answer) == (400, "invalid-body"), wish
        faults = orjson.loads(answer.body)["errors"]
        assert [each["parameter"] for each in faults] == members, wish
        assert all(len(each["value"] or "") <= 100 for each in faults)
    assert orjson.loads((await browser.get(PATH)).body) == {"items": []}
    script.http.close()


@pytest.mark.gen_test
async def test_many_requests_at_once_make_no_more_keys_than_allowed(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    (account,) = await stage.all("SELECT account_id FROM logins WHERE refresh_token IS NOT NULL")
    await stage.execute(
        "INSERT INTO access_keys (account_id, name, scopes, hint, key_hash, created_at) "
        f"SELECT '{account}', 'x', '{{read}}', 'fr_xxxx', int4send(n), now() "
        f"FROM generate_series(1, {MOST_KEYS - 2}) n"
    )
    answers = await asyncio.gather(*(make(browser) for _ in range(8)))
    assert sorted(each.code for each in answers) == [201, 201, *[409] * 6]
    assert await stage.all("SELECT count(*) FROM access_keys") == [MOST_KEYS]
    script.http.close()


@pytest.mark.gen_test
async def test_with_the_account_its_keys_are_gone(set_stage: SetStage) -> None:
    stage, browser, script = await logged_in(set_stage)
    made = orjson.loads((await make(browser, {**WISH, "scopes": ["manage"]})).body)
    assert (await script.fetch(PATH, **bearer(made["key"]))).code == 200
    assert (await browser.post("/auth/disconnect/")).code == 303
    assert (await script.fetch(PATH, **bearer(made["key"]))).code == 401
    assert await stage.all("SELECT id FROM access_keys") == []
    script.http.close()


@pytest.mark.gen_test
async def test_without_the_database_it_is_said_and_not_mistaken_for_a_wrong_key(
    set_stage: SetStage,
) -> None:
    stage, browser, script = await logged_in(set_stage)
    key = (await stage.freshet.keys.create(None, "x", ["manage"])).key
    engine, stage.freshet.database._engine = stage.freshet.database._engine, None
    for answer in (await script.fetch(PATH, **bearer(key)), await browser.get(PATH)):
        assert kind_of(answer) == (503, "database-unavailable")
        assert answer.headers["Retry-After"] == "10"
    assert (await script.fetch(PATH)).code == 401, "strangers need no database"
    stage.freshet.database._engine = engine
    script.http.close()
