"""A browser's own requests are answered by the fast lane, as by the handlers."""

import json
import re
from typing import Any

from playwright.sync_api import Page

from tests.support.browser_fixtures import Place

ASK = """async (path) => {
  const answer = await fetch(path, {cache: 'no-store'});
  return [answer.status, answer.headers.get('etag'), await answer.text()];
}"""


def hits(place: Place) -> int:
    """How many answers the lane has sent; it counts them once a second."""
    text = place.server.get("/metrics")[2].decode()
    return sum(int(float(count)) for count in re.findall(r'by="lane".* (.+)', text))


def test_chromium_reads_warm_answers_and_everything_else_on_its_connections(
    page: Page, place: Place
) -> None:
    page.goto(place.url)
    before = hits(place)
    answers: list[Any] = []
    for _ in range(5):  # artists' details may come meanwhile, for which all is made anew
        answers = [page.evaluate(ASK, "/api/artists/") for _ in range(20)]
        if all(answer == answers[0] for answer in answers):
            break
    cold = page.evaluate(ASK, "/api/artists/?limit=1")
    answers.append(page.evaluate(ASK, "/api/artists/"))
    assert all(answer == answers[0] for answer in answers)
    status, etag, content = answers[0]
    assert status == 200
    assert etag.startswith('"')
    assert json.loads(cold[2])["items"] == json.loads(content)["items"][:1]
    page.wait_for_timeout(1100)
    assert hits(place) - before >= 20
