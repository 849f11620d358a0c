"""Headers that browsers obey: which answer has which, from handlers and from the lane alike."""

import re

import pytest

from handlers.pages.base import APART
from server.app.application import Application
from server.serving.negotiation import strict_transport
from server.standin import StandIn
from tests.support.client import Client
from tests.support.examples import albums
from tests.support.raw_http import VARYING, quiet
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

LIST = "/api/artists/?limit=1"
STRICT = "Strict-Transport-Security"
A_YEAR = "max-age=31536000"
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
PAGE = {
    **NO_SNIFFING,
    **APART,
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
OPEN = {**NO_SNIFFING, "Access-Control-Allow-Origin": "*"}
HTML = "text/html"
# Of each kind of answer: its address, what the client accepts, its status, and what it must have.
ANSWERS = [
    ("/", HTML, 200, PAGE),
    ("/status", HTML, 200, PAGE),
    ("/artists/1/", HTML, 200, PAGE),
    ("/nowhere", HTML, 404, PAGE),
    ("/auth/callback/", HTML, 400, PAGE),
    ("/auth/logout/", HTML, 405, PAGE),
    ("/problems/not-found", HTML, 200, PAGE),
    ("/api/docs/", HTML, 200, PAGE),
    (LIST, "*/*", 200, OPEN),
    ("/api/albums/?limit=x", "*/*", 400, OPEN),
    ("/api/artists/1/", "*/*", 200, OPEN),
    ("/api/changes/", "*/*", 200, OPEN),
    ("/api/status", "*/*", 200, OPEN),
    ("/api/openapi.json", "*/*", 200, OPEN),
    ("/api/nowhere", "*/*", 404, OPEN),
    ("/feeds/albums.atom", "*/*", 200, OPEN),
    ("/feeds/albums.ics", "*/*", 200, OPEN),
    ("/feeds/albums.csv", "*/*", 200, OPEN),
    ("/static/freshet.css", "*/*", 200, NO_SNIFFING),
    ("/robots.txt", "*/*", 200, NO_SNIFFING),
    ("/metrics", "*/*", 200, NO_SNIFFING),
    ("/healthz", "*/*", 200, NO_SNIFFING),
    ("/readyz", "*/*", 200, NO_SNIFFING),
]


@pytest.fixture
def standin(start_standin: StartStandIn) -> StandIn:
    started: StandIn = start_standin(albums(5))
    return started


@pytest.mark.gen_test
async def test_every_kind_of_answer_has_the_headers_of_its_kind(
    standin: StandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(standin, public_url="https://freshet.example.org")
    client = Client(freshet)
    for path, accept, status, wanted in ANSWERS:
        for _ in range(2):  # the lists are warm by then
            answer = await client.fetch(path, Accept=accept)
            assert answer.code == status, path
            for name, value in wanted.items():
                found = answer.headers.get_list(name)
                assert len(found) == 1, (path, name)
                assert value in found[0], (path, name)
            assert answer.headers.get_list(STRICT) == [A_YEAR], path


@pytest.mark.parametrize(
    "public_url",
    [
        "http://freshet.example.org",
        "https://freshet.example.org:8443",
        "https://example.org/freshet",
        "https://[::1]",
    ],
)
def test_only_a_host_of_its_own_is_bound_to_https(public_url: str) -> None:
    assert strict_transport(public_url) == {}
    assert strict_transport("https://freshet.example.org") == {STRICT: A_YEAR}


def ask(*headers: str) -> bytes:
    lines = [f"GET {LIST} HTTP/1.1", "Host: freshet.example.org", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


async def answers(freshet: Application, *headers: str) -> tuple[bytes, int]:
    """The answer over the wire, and how many of it the lane sent."""

    def sent() -> int:
        freshet.head_cache.tick()
        text = freshet.metrics.text().decode()
        return sum(int(float(count)) for count in re.findall(r'by="lane".* (.+)', text))

    before = sent()
    answer = await Client(freshet).raw(ask(*headers))
    return VARYING.sub(b"", answer), sent() - before


@pytest.mark.gen_test
async def test_the_lane_says_to_come_by_https_as_handlers_do_and_not_over_http(
    standin: StandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(
        standin, public_url="https://freshet.example.org", trusted_proxies="127.0.0.1"
    )
    await until(lambda: not freshet.syncer.is_running)
    await quiet(freshet)
    https, plain = "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"
    await answers(freshet, https)
    warm, by_lane = await answers(freshet, https)
    # The same from a handler: it is not plain, so not for the lane, that a header comes twice.
    handled, by_handler = await answers(freshet, https, "X-Odd: 1", "X-Odd: 2")
    assert (by_lane, by_handler) == (1, 0)
    assert warm == handled
    assert f"\r\n{STRICT}: {A_YEAR}\r\n".encode() in warm
    for headers in ([plain], ["X-Forwarded-Proto: https, HTTP", "X-Forwarded-For: 192.0.2.1"]):
        open_answer, by_lane = await answers(freshet, *headers)
        assert by_lane == 0
        assert open_answer == warm.replace(f"{STRICT}: {A_YEAR}\r\n".encode(), b"")
    assert await answers(freshet) == (warm, 1)


@pytest.mark.gen_test
async def test_an_unknown_proxy_does_not_take_the_header_away(
    standin: StandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(standin, public_url="https://freshet.example.org")
    for _ in range(2):
        answer, _ = await answers(freshet, "X-Forwarded-Proto: http")
        assert f"\r\n{STRICT}: {A_YEAR}\r\n".encode() in answer


@pytest.mark.gen_test
async def test_behind_a_proxy_with_plain_http_the_lane_answers(
    standin: StandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(standin, public_url="http://freshet.example.org")
    await answers(freshet)
    answer, by_lane = await answers(freshet, "X-Forwarded-Proto: http")
    assert by_lane == 1
    assert STRICT.encode() not in answer
