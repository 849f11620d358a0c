"""What is declared deprecated is announced by the routes concerned, and by the description."""

import re
from dataclasses import replace
from datetime import date
from functools import partial

import pytest

from handlers.pages import reference_builder
from handlers.pages.base import Pages
from handlers.session import PublicAddress
from server.app.application import Application
from server.openapi import reference
from server.openapi.spec import openapi
from server.serving.deprecations import Deprecation, Deprecations
from tests.support.client import Client
from tests.support.examples import albums
from tests.support.loops import Closing
from tests.support.settings import PUBLIC_URL, MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

deprecation = partial(Deprecation, since=date(2027, 1, 1), sunset=date(2027, 7, 1))
FIELD = deprecation(
    ("/api/artists/", "/api/artists/{id}/"),
    field="Artist.genres",
    instead="Spotify no longer has any.",
    link="/api/docs/#schema-Artist",
)
PARAMETER = Deprecation(
    ("/api/artists/",),
    since=date(2027, 2, 1),
    sunset=date(2027, 8, 1),
    parameter="sort",
    instead="Sort the items yourself.",
    link="https://example.org/sort",
)
ROUTES = deprecation(
    ("/api/events", "/api/status", "/api/my/keys/"),
    instead="Use `/api/changes/`.",
    link="/api/docs/#listChanges",
)
DECLARED = (FIELD, PARAMETER, ROUTES)
DATES = {"Deprecation": "@1798761600", "Sunset": "Thu, 01 Jul 2027 00:00:00 GMT"}


@pytest.mark.gen_test
async def test_responses_announce_what_is_deprecated_warm_and_cold(
    make_settings: MakeSettings, start_standin: StartStandIn, closing: Closing
) -> None:
    freshet = Application(make_settings(start_standin(albums(3))), deprecated=DECLARED)
    freshet.start()
    closing(freshet.stop)
    await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at)
    client = Client(freshet)
    by_field = f'<{PUBLIC_URL}/api/docs/#schema-Artist>; rel="deprecation"'
    by_both = f'{by_field}, <https://example.org/sort>; rel="deprecation"'
    by_route = f'<{PUBLIC_URL}/api/docs/#listChanges>; rel="deprecation"'
    for path, links in {
        "/api/artists/?limit=1": by_field,
        "/api/artists": by_field,
        "/api/artists/?sort=-released": by_both,  # the same answer as without it
        "/api/artists/1/": by_field,
        "/api/albums/?sort=name": None,
        "/api/artists/?sort=nothing": by_both,
        "/api/status": by_route,
        "/api/my/keys/": by_route,
        "/api/changes/": None,
    }.items():
        answers = [await client.fetch(path, each) for each in ("HEAD", "GET", "GET")]
        answers.append(await client.fetch(path, If_None_Match=answers[-1].headers.get("Etag", "-")))
        for answer in answers:
            said = {name: answer.headers[name] for name in DATES if name in answer.headers}
            announced = [each for each in answer.headers.get_list("Link") if "deprecation" in each]
            assert (said, announced) == ((DATES, [links]) if links else ({}, [])), path
    stream = await client.fetch("/api/events", "HEAD")
    assert {name: stream.headers[name] for name in DATES} == DATES
    freshet.head_cache.tick()
    warm = re.findall(r'by="lane".* (.+)', freshet.metrics.text().decode())
    assert sum(map(float, warm)) >= 10, "three of each list and of the artist"
    client.http.close()


def test_the_description_and_its_page_mark_what_is_deprecated() -> None:
    document = openapi(declared=DECLARED)
    artists = document["paths"]["/api/artists/"]["get"]
    (sort,) = [each for each in artists["parameters"] if each["name"] == "sort"]
    genres = document["components"]["schemas"]["Artist"]["properties"]["genres"]
    status = document["paths"]["/api/status"]["get"]
    for thing in (sort, genres, status, *document["paths"]["/api/my/keys/"].values()):
        assert thing["deprecated"]
    assert "deprecated" not in artists
    said = "Deprecated since 2027-01-01; may be removed from 2027-07-01 on. Use `/api/changes/`."
    assert status["description"] == said
    for responses in (artists["responses"], status["responses"]):
        assert all(
            {"Deprecation", "Sunset"} <= each["headers"].keys() for each in responses.values()
        )
    pages = Pages(PublicAddress("http://127.0.0.1:5000"))
    page = reference_builder.render(pages, reference.read(document)).decode()
    plain = reference_builder.render(pages, reference.read(openapi())).decode()
    assert page.count("Deprecated: do not use it in new programs.") == 4
    assert page.count('<span class="fact">deprecated</span>') > 2
    assert "may be removed from 2027-08-01 on" in page
    assert "eprecat" not in plain


def test_a_wrong_declaration_is_refused() -> None:
    with pytest.raises(ValueError, match="sunset"):
        Deprecation(("/api/status",), date(2027, 7, 1), date(2027, 1, 1), "", "")
    nowhere = deprecation(("/api/albums/",), instead="", link="")
    for wrong in (replace(nowhere, parameter="nothing"), replace(nowhere, field="Album.nothing")):
        with pytest.raises(KeyError):
            openapi(declared=[wrong])
    assert Deprecations().headers("/api/albums/", "") == ()
