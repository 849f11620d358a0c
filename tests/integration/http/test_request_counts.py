"""Requests are counted by route: every one, under few names."""

import pytest

from server.observability.http_metrics import readable_route
from tests.support.client import Client
from tests.support.examples import albums
from tests.support.metrics import samples_of
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

UNKNOWN = "0" * 22
COUNTED = "freshet_http_requests_total"


@pytest.mark.parametrize(
    ("pattern", "route"),
    [
        (r"/", "/"),
        (r"/api/artists/?", "/api/artists/"),
        (r"/api/artists/([0-9A-Za-z]{22}|[1-9][0-9]{0,18})/?", "/api/artists/{id}/"),
        (r"/api/albums/([0-9A-Za-z]{22})/?", "/api/albums/{spotify_id}/"),
        (r"/api/openapi\.json", "/api/openapi.json"),
        (r"/problems/([a-z-]+)", "/problems/{kind}"),
        (r"/static/(freshet\.(?:css|svg)|docs\.(?:css|js))", "/static/{file}"),
    ],
)
def test_a_route_is_told_as_people_write_it(pattern: str, route: str) -> None:
    assert readable_route(pattern) == route


@pytest.mark.gen_test
async def test_every_request_counts_once_under_the_name_of_its_route(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)), access_log="off")
    client = Client(freshet)
    assert freshet.head_cache is not None
    for path in ("/api/artists/", "/api/artists"):  # warm
        assert (await client.fetch(path)).code == 200
    asked = {
        "/api/artists/?limit=1": ("/api/artists/", "GET", 200),
        "/api/artists/?limit=x": ("/api/artists/", "GET", 400),
        f"/api/artists/{UNKNOWN}": ("/api/artists/{id}/", "GET", 404),
        f"/api/artists/{UNKNOWN}/": ("/api/artists/{id}/", "GET", 404),
        "/api/artists/987654321/": ("/api/artists/{id}/", "GET", 404),
        f"/api/albums/{UNKNOWN}/": ("/api/albums/{spotify_id}/", "GET", 404),
        "/static/freshet.css": ("/static/{file}", "GET", 200),
        "/problems/not-found": ("/problems/{kind}", "GET", 200),
        "/problems/problems": ("/problems/{kind}", "GET", 404),
        "/": ("/", "GET", 200),
        "//": ("other", "GET", 404),
        "/api/artists/*/": ("other", "GET", 404),
        "/made/up": ("other", "GET", 404),
    }
    for path, (_, method, status) in asked.items():
        assert (await client.fetch(path, method)).code == status, path
    assert (await client.fetch("/api/artists/", "HEAD")).code == 200
    assert (await client.fetch("/api/artists/", "BREW")).code == 405
    freshet.head_cache.tick()
    counted = {
        name: value
        for name, value in (await samples_of(freshet)).items()
        if name.startswith(COUNTED)
    }
    expected: dict[str, int] = {
        f"{COUNTED}[lane][GET][/api/artists/][200]": 2,
        f"{COUNTED}[lane][HEAD][/api/artists/][200]": 1,
        f"{COUNTED}[handler][other][/api/artists/][405]": 1,
    }
    for route, method, status in asked.values():
        name = f"{COUNTED}[handler][{method}][{route}][{status}]"
        expected[name] = expected.get(name, 0) + 1
    assert counted == expected


@pytest.mark.gen_test
async def test_what_is_answered_without_a_handler_is_counted_in_bulk(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    freshet.instruments.requests.add("/api/artists/", "GET", 200, "lane", 1000)
    freshet.instruments.requests.add("/api/artists/", "GET", 200, "lane", 500)
    samples = await samples_of(freshet)
    assert samples[f"{COUNTED}[lane][GET][/api/artists/][200]"] == 1500


@pytest.mark.gen_test
async def test_the_cache_tells_hits_misses_and_what_it_makes(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)), sync_interval=3600)
    client = Client(freshet)
    before = await samples_of(freshet)
    for path in ("/api/artists/", "/api/artists/?limit=7", "/api/artists/?limit=7"):
        assert (await client.fetch(path)).code == 200
    assert freshet.head_cache is not None
    freshet.head_cache.tick()
    after = await samples_of(freshet)
    grown = {
        name: after[f"freshet_cache_{name}_total"] - before[f"freshet_cache_{name}_total"]
        for name in ("hits", "misses", "builds")
    }
    assert grown == {"hits": 2, "misses": 1, "builds": 1}
