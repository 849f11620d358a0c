"""Every kind of problem has a page, and every `type` leads to it."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

import handlers
import server
from server.app.application import Application
from server.errors import FreshetError, RateLimited
from server.openapi import problem_kinds
from server.request_errors import SyncPaused
from tests.support.client import Client
from tests.support.login_browser import SAFE_HEADERS
from tests.support.servers import LaunchFreshet
from tests.support.settings import MakeSettings
from tests.support.waiting import until

OF_NO_ERROR = {"method-not-allowed", "request-timeout", "request-head-too-large"}
PAGE = {"Accept": "text/html,*/*;q=0.8"}
ROOT = "https://example.org/music"


def everything_is_imported() -> None:
    for package in (server, handlers):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__") and "standin" not in found.name:
                importlib.import_module(found.name)


def family(error: type[FreshetError]) -> Iterator[type[FreshetError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_error_has_an_explanation_with_its_title_and_status() -> None:
    everything_is_imported()
    kinds = set()
    for error in family(FreshetError):
        explained = problem_kinds.find(error.kind)
        assert explained is not None, (
            f"server/openapi/problem_kinds.py does not explain {error.kind}"
        )
        kinds.add(error.kind)
        if not error.__subclasses__():
            assert explained.title == error.title, error
            assert error.status in explained.statuses, error
    assert kinds | OF_NO_ERROR == set(problem_kinds.BY_KIND), "no explanation is left over"
    assert len(problem_kinds.ALL) == len(problem_kinds.BY_KIND)


def test_a_refusal_with_the_kind_of_a_pause_has_that_explanation() -> None:
    refused = SyncPaused(RateLimited("", seconds=3), most=30)
    explained = problem_kinds.find(refused.kind)
    assert explained is not None
    assert refused.status in explained.statuses


def test_explanations_are_whole_sentences() -> None:
    for each in problem_kinds.ALL:
        for text in (each.meaning, each.advice):
            assert text[0].isupper(), each.kind
            assert text.endswith("."), each.kind
            assert text.count("`") % 2 == 0, each.kind
        assert each.statuses, each.kind


@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 413, 414, 416, 431, 500, 503, 599])
def test_whatever_tornado_refuses_has_an_explanation(status: int) -> None:
    assert problem_kinds.of_status(status) in problem_kinds.ALL


@pytest.mark.gen_test
async def test_each_kind_is_a_page_for_people_and_json_for_programs(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    client = await launched(make_settings(sync_interval=0, public_url=ROOT), launch_freshet)
    for each in problem_kinds.ALL:
        page = await client.fetch(f"/problems/{each.kind}", **PAGE)
        assert (page.code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        text = page.body.decode()
        assert f"<code>{each.kind}</code>" in text
        assert text.count("<h1>") == 1
        assert "What to do" in text
        assert 'href="/music/api/docs/"' in text
        answer = await client.fetch(f"/problems/{each.kind}")
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert orjson.loads(answer.body) == {
            "type": f"/music/problems/{each.kind}",
            "title": each.title,
            "statuses": list(each.statuses),
            "meaning": each.meaning,
            "advice": each.advice,
        }
    page = await client.fetch("/problems/not-found", **PAGE)
    assert {**SAFE_HEADERS, "Cache-Control": "public, max-age=3600"}.items() <= dict(
        page.headers
    ).items()
    client.http.close()


@pytest.mark.gen_test
async def test_a_page_and_json_have_each_their_etag_and_caches_tell_them_apart(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    client = await launched(make_settings(sync_interval=0), launch_freshet)
    page = await client.fetch("/problems/not-found", **PAGE)
    answer = await client.fetch("/problems/not-found")
    assert page.headers["ETag"] != answer.headers["ETag"]
    for each in (page, answer):
        assert each.headers["Vary"] == "Accept, Accept-Encoding"
    etag = answer.headers["ETag"]
    assert (await client.fetch("/problems/not-found", If_None_Match=etag)).code == 304
    assert (await client.fetch("/problems/not-found", If_None_Match=etag, **PAGE)).code == 200
    client.http.close()


@pytest.mark.gen_test
async def test_a_kind_that_does_not_exist_is_not_found(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    client = await launched(make_settings(sync_interval=0), launch_freshet)
    for path in ("/problems/none", "/problems/", "/problems", "/problems/not_found"):
        answer = await client.fetch(path)
        assert answer.code == 404, path
        problem = orjson.loads(answer.body)
        assert (problem["type"], problem["title"]) == ("/problems/not-found", "Not Found")
        page = await client.fetch(path, **PAGE)
        assert (page.code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    client.http.close()


@pytest.mark.gen_test
async def test_the_type_of_a_problem_leads_to_its_page_and_has_its_title(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    client = await launched(make_settings(sync_interval=0, public_url=ROOT), launch_freshet)
    for method, path, kind in (
        ("GET", "/api/none", "not-found"),
        ("GET", "/api/artists/?limit=x", "invalid-parameter"),
        ("GET", f"/api/albums/?x={'y' * 5000}", "uri-too-long"),
        ("GET", "/api/artists/", "nothing-yet"),
        ("DELETE", "/api/artists/", "method-not-allowed"),
        ("POST", "/api/sync/", "login-required"),
        ("GET", "/api/docs/?_operation=%ff", "bad-request"),
    ):
        problem = orjson.loads((await client.fetch(path, method)).body)
        assert problem["type"] == f"/music/problems/{kind}", path
        explained = await client.fetch(problem["type"].removeprefix("/music"))
        assert explained.code == 200, kind
        content = orjson.loads(explained.body)
        assert content["title"] == problem["title"], kind
        assert problem["status"] in content["statuses"], kind
    client.http.close()


async def launched(settings: Any, launch_freshet: Any) -> Client:
    freshet: Application = launch_freshet(settings)
    await until(lambda: freshet.timers.are_running)
    await freshet.cache.refresh()
    return Client(freshet)
