"""Every link leads somewhere, also where a proxy takes the path of PUBLIC_URL away."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import orjson
import pytest
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.web import RequestHandler

from server.app.application import Application
from tests.support.examples import albums
from tests.support.http_client import new_client
from tests.support.loops import Closing
from tests.support.ports import free_port
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

PATH = "/music/fresh"
HTML_LINKS = ("href", "src", "action", "formaction", "data-live", "data-path", "data-waiting")
JSON_LINKS = ("href", "next", "previous", "next_url", "feed_url", "home_page_url", "type")
MOST_ALIKE = 4  # queries of one path that are followed
STREAM = "/api/events"
BY_FORM = (
    "/auth/",
    "/api/sync/",
    "/api/my/",
    "/feeds/my/",
)  # which lead away, answer buttons, or need a login


class Proxy(RequestHandler):
    """Takes the path away, as nginx does with `proxy_pass` to an address that ends in a slash."""

    def initialize(self, server: Callable[[], Application], http: AsyncHTTPClient) -> None:
        self._server, self._http = server, http

    async def get(self, rest: str) -> None:
        query = f"?{self.request.query}" if self.request.query else ""
        answer = await self._http.fetch(
            f"http://127.0.0.1:{self._server().port}{rest}{query}",
            method=self.request.method or "",
            headers={"Accept": self.request.headers.get("Accept", "")},
            raise_error=False,
            follow_redirects=False,
        )
        self.set_status(answer.code)
        for name, value in answer.headers.get_all():
            if name in ("Content-Type", "Link", "Location"):
                self.set_header(name, value)
        self.write(answer.body)

    head = get


class Links(HTMLParser):
    """The addresses in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in HTML_LINKS and value]


def in_json(content: Any) -> Iterator[str]:
    if isinstance(content, list):
        for each in content:
            yield from in_json(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name in JSON_LINKS and isinstance(value, str) and re.match("https?:|/", value):
                yield value
            yield from in_json(value)


def in_description(document: Any) -> Iterator[str]:
    """The addresses that a client makes from an OpenAPI document."""
    (server,) = document["servers"]
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path:
            yield server["url"] + path


def links_of(answer: HTTPResponse) -> Iterator[str]:
    """The addresses in the headers and in the body of an answer."""
    yield from re.findall(r"<(.*?)>", answer.headers.get("Link", ""))
    kind = answer.headers["Content-Type"].partition(";")[0]
    text = answer.body.decode()
    if kind == "text/html":
        yield from Links(text).found
        yield from re.findall(r"<code>curl .*'(http.*?)'</code>", unescape(text))
    elif kind == "application/atom+xml":
        yield from (each.get("href", "") for each in ElementTree.fromstring(text).iter())
    elif kind.endswith("json"):
        content = orjson.loads(answer.body)
        yield from in_description(content) if "openapi" in content else in_json(content)


class Walk:
    """Follows links from page to page, under one address."""

    def __init__(self, root: str, http: AsyncHTTPClient) -> None:
        self.root = root
        self.visited: set[str] = set()
        self._alike: Counter[str] = Counter()
        self._http = http

    async def fetch(self, address: str, method: str = "GET") -> HTTPResponse:
        headers = {"Accept": "text/html,*/*;q=0.8"}
        return await self._http.fetch(address, method=method, headers=headers, raise_error=False)

    async def follow(self, address: str) -> None:
        waiting = [address]
        while waiting:
            address = waiting.pop()
            method = "HEAD" if urlsplit(address).path.endswith(STREAM) else "GET"
            answer = await self.fetch(address, method)
            assert answer.code == 200, address
            waiting += self.new(address, answer)

    def new(self, address: str, answer: HTTPResponse) -> list[str]:
        """The links of an answer that are ours and were not followed yet."""
        found = []
        for link in links_of(answer):
            target = urldefrag(urljoin(address, link)).url
            if origin(target) != origin(self.root) or "{" in target:
                continue
            path = urlsplit(target).path
            assert target.startswith(f"{self.root}/"), f"{link} in {address} has lost {PATH}"
            self._alike[path] += 1
            by_form = path.removeprefix(PATH).startswith(BY_FORM)
            if target not in self.visited and self._alike[path] <= MOST_ALIKE and not by_form:
                self.visited.add(target)
                found.append(target)
        return found


def origin(address: str) -> tuple[str, str]:
    return urlsplit(address)[:2]


@pytest.fixture
def walk(
    start_standin: StartStandIn, start_freshet: StartFreshet, closing: Closing
) -> Callable[[], Any]:
    async def start() -> Walk:
        port = free_port()
        root = f"http://127.0.0.1:{port}{PATH}"
        freshet = await start_freshet(start_standin(albums(30)), public_url=root)
        await until(lambda: freshet.timers.are_running)
        http = new_client()
        options = {"server": lambda: freshet, "http": http}
        proxy = HTTPServer(web.Application([(rf"{PATH}(/.*)", Proxy, options)]))
        proxy.listen(port, "127.0.0.1")

        async def stop() -> None:
            http.close()
            proxy.stop()
            await proxy.close_all_connections()

        closing(stop)
        return Walk(root, http)

    return start


@pytest.mark.gen_test
async def test_every_link_of_a_server_behind_a_path_leads_somewhere(walk: Any) -> None:
    walked: Walk = await walk()
    for start in ("/api/artists/?limit=3&offset=3", "/api/albums/?limit=3", "/api/changes/", "/"):
        await walked.follow(walked.root + start)
    paths = {urlsplit(each).path.removeprefix(PATH) for each in walked.visited}
    for path in ("/status", "/api/docs/", "/api/openapi.json", "/api/artists/", "/api/albums/"):
        assert path in paths
    assert {path for path in paths if path.startswith("/feeds/")} == {
        f"/feeds/albums.{ending}" for ending in ("atom", "json", "ics", "csv")
    }
    assert [path for path in paths if re.fullmatch(r"/artists/\w{22}/", path)]
    assert [path for path in paths if re.fullmatch(r"/api/artists/\w{22}/", path)]
    assert any("offset=6" in each for each in walked.visited), "the next page of a list"


@pytest.mark.gen_test
async def test_the_type_of_a_problem_leads_to_what_explains_it(walk: Any) -> None:
    walked: Walk = await walk()
    for path in (
        "/api/none",
        "/api/artists/?limit=x",
        f"/api/albums/{'x' * 22}/",
        "/api/events?after=x",
    ):
        answer = await walked.fetch(walked.root + path)
        assert answer.headers["Content-Type"] == "application/problem+json"
        explained = urljoin(walked.root + path, orjson.loads(answer.body)["type"])
        page = await walked.fetch(explained)
        assert page.code == 200, explained
        assert f"{walked.root}/api/docs/" in walked.new(explained, page) + list(walked.visited)


@pytest.mark.gen_test
async def test_pages_of_a_list_are_followed_as_they_are_given(walk: Any) -> None:
    walked: Walk = await walk()
    names, address = [], f"{walked.root}/api/albums/?release_limit=30&limit=7"
    while address:
        page = orjson.loads((await walked.fetch(address)).body)
        names += [each["name"] for each in page["items"]]
        address = page["next"]
    assert len(names) == len(set(names)) == 30
