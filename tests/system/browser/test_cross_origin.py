"""A script of another origin in a real browser: what it may send and read, and what it may not."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import AccessKey
from tests.support.browser_actions import log_in
from tests.support.browser_fixtures import Place

SENT = {
    "Authorization": "Bearer of-somebody",
    "Cache-Control": "no-cache",
    "Content-Type": "application/json",
    "If-None-Match": '"x"',
    "Last-Event-ID": "0",
    "X-Requested-With": "XMLHttpRequest",
    "X-Whatever": "1",
}
ASK = """async ([address, options]) => {
  try {
    const answer = await fetch(address, options);
    await answer.text();
    return [answer.status, Object.fromEntries(answer.headers)];
  } catch (error) {
    return [0, {refused: error.name}];
  }
}"""
FIRST_EVENT = """address => new Promise((done, fail) => {
  const stream = new EventSource(address);
  stream.addEventListener("added", event => { stream.close(); done(JSON.parse(event.data)); });
  setTimeout(() => { stream.close(); fail(new Error("no event")); }, 30000);
})"""


def test_a_script_of_another_origin_may_send_any_header_and_read_every_header(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str]
) -> None:
    page.goto(foreign_page("<p>Elsewhere"))
    answered: dict[str, Any] = {}
    for path in ("api/artists/", "api/changes/", "api/status", "api/openapi.json"):
        status, headers = page.evaluate(ASK, [f"{place.url}{path}", {"headers": SENT}])
        assert status == 200, path
        answered[path] = headers
    for name in ("etag", "last-modified", "x-last-sync", "link", "vary", "date"):
        assert answered["api/artists/"][name]
    known = {"If-None-Match": answered["api/artists/"]["etag"], "Cache-Control": "max-age=0"}
    status, headers = page.evaluate(ASK, [f"{place.url}api/artists/", {"headers": known}])
    assert (status, headers["etag"]) == (304, known["If-None-Match"])
    expected.append("Failed to load resource")
    status, headers = page.evaluate(ASK, [f"{place.url}api/none", {"headers": SENT}])
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    event = page.evaluate(FIRST_EVENT, f"{place.url}api/events?after=0")
    assert (event["seq"], event["kind"]) == (1, "added")


def test_a_script_of_another_origin_reads_no_page_and_starts_no_sync(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str]
) -> None:
    page.goto(foreign_page("<p>Elsewhere"))
    expected += ["blocked by CORS policy", "Failed to load resource"]
    refused = [0, {"refused": "TypeError"}]
    for path in ("", "status", "api/docs/", "metrics"):
        assert page.evaluate(ASK, [f"{place.url}{path}", {}]) == refused, path
    asked = {"method": "POST", "headers": {"Authorization": "Bearer of-somebody"}}
    assert page.evaluate(ASK, [f"{place.url}api/sync/", asked]) == refused
    simple = {"method": "POST", "credentials": "include"}
    assert page.evaluate(ASK, [f"{place.url}api/sync/", simple]) == refused


def test_a_script_of_another_origin_reads_nothing_private_and_makes_no_key(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str]
) -> None:
    log_in(page, place)
    keys = f"{place.url}api/my/keys/"
    known = page.evaluate(ASK, [keys, {}])
    assert known[0] == 200, "a page of ours reads it"
    page.goto(foreign_page("<p>Elsewhere"))
    expected += ["blocked by CORS policy", "Failed to load resource"]
    refused = [0, {"refused": "TypeError"}]
    body = '{"name": "theirs", "scopes": ["manage"]}'
    for options in (
        {"credentials": "include"},
        {"headers": {"Authorization": f"Bearer fr_{'x' * 43}"}},
        {"method": "POST", "credentials": "include", "body": body},
        {"method": "DELETE", "credentials": "include"},
    ):
        assert page.evaluate(ASK, [keys, options]) == refused, options
    blind = {"method": "POST", "mode": "no-cors", "credentials": "include", "body": body}
    page.evaluate(ASK, [keys, blind])
    with Session(place.engine) as session:
        assert session.scalar(select(func.count()).select_from(AccessKey)) == 0
