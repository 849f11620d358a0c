"""The description says what the server does: routes, parameters and shapes held together."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from server.app.application import Application
from server.catalog import query
from server.catalog.journal import PLACE_SCHEMA
from server.catalog.query import ArtistsQuery
from server.catalog.schemas import ArtistsPage, Problem
from server.observability.http_metrics import readable_route
from server.openapi import problem_kinds
from server.openapi.change_schemas import Change
from server.request_errors import TooManyListeners, TooManyOfOneClient
from server.standin import StandIn
from tests.support.client import Client
from tests.support.description import openapi
from tests.support.servers import StartFreshet
from tests.support.settings import PUBLIC_URL, MakeSettings
from tests.support.standins import StartStandIn


def test_every_parameter_is_described() -> None:
    described = openapi()["paths"]["/api/artists/"]["get"]["parameters"]
    assert [each["name"] for each in described] == list(ArtistsQuery.model_fields)
    assert all(each["description"] and each["schema"] for each in described)


def test_bounds_are_described() -> None:
    described = {
        each["name"]: each["schema"]
        for each in openapi()["paths"]["/api/artists/"]["get"]["parameters"]
    }
    bounds = {name: (each.get("minimum"), each.get("maximum")) for name, each in described.items()}
    assert bounds["release_limit"] == (1, 200)
    assert bounds["limit"] == (1, 500)
    assert bounds["offset"] == (0, 1_000_000)
    assert "album" in described["type"]["items"]["enum"]
    assert described["exclude"]["items"]["enum"] == ["various_artists", "versions"]
    assert described["q"] == {"type": "string", "minLength": 1, "maxLength": 100}
    assert "-released" in described["sort"]["enum"]


def test_the_place_in_a_stream_has_its_bounds_too() -> None:
    described = openapi()["paths"]["/api/events"]["get"]["parameters"]
    assert [each["name"] for each in described] == ["after", "unnamed", "Last-Event-ID"]
    for each in described:
        bounds = {"type": "integer", "minimum": 0, "maximum": 1}
        wanted = bounds if each["name"] == "unnamed" else PLACE_SCHEMA
        assert wanted.items() <= each["schema"].items()


def test_every_api_route_is_described(make_settings: MakeSettings) -> None:
    freshet = Application(make_settings())
    routes = {readable_route(route[0]) for route in freshet.routes()}
    addresses = {each for each in routes if each.startswith(("/api/", "/feeds/"))}
    assert addresses - {"/api/", "/api/openapi.json", "/api/docs/"} == set(openapi()["paths"])
    freshet.upstream.transport.close()
    freshet.upstream.short_transport.close()
    freshet.database.close()


def test_every_reference_leads_somewhere() -> None:
    text = orjson.dumps(openapi()).decode()
    schemas = openapi()["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= set(schemas)


def examples() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body that is described: the operation, its status and what is told of it."""
    for path, item in openapi()["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    yield path, status, content


def test_every_body_has_an_example_that_its_schema_allows() -> None:
    components = {"components": openapi()["components"]}
    seen = 0
    for path, status, content in examples():
        schema = {**content["schema"], **components}
        check = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        wrong = [each.message for each in check.iter_errors(orjson_again(content["example"]))]
        assert wrong == [], (path, status)
        seen += 1
    assert seen > 30


def orjson_again(example: Any) -> Any:
    """The example as a client reads it."""
    return orjson.loads(orjson.dumps(example))


def test_examples_of_errors_carry_their_own_status_and_a_kind_that_is_explained() -> None:
    for path, status, content in examples():
        if "Problem" in str(content["schema"]) or "OutOfReach" in str(content["schema"]):
            example = content["example"]
            explained = problem_kinds.find(example["type"].removeprefix("/problems/"))
            assert explained is not None, (path, status)
            assert example["status"] == int(status)
            assert int(status) in explained.statuses, (path, status)
            assert example["title"] == explained.title


def test_the_examples_of_streams_are_of_errors_that_streams_have() -> None:
    kinds = {
        status: content["example"]["type"].removeprefix("/problems/")
        for path, status, content in examples()
        if path == "/api/events" and status in ("429", "503")
    }
    assert kinds == {"429": TooManyOfOneClient.kind, "503": TooManyListeners.kind}


def test_every_429_says_which_limit_was_reached_and_when_to_try_again() -> None:
    limited = {
        path: {name for name, header in response["headers"].items() if header.get("required")}
        for path, item in openapi()["paths"].items()
        for operation in item.values()
        for status, response in operation["responses"].items()
        if status == "429"
    }
    assert limited.keys() == {"/api/sync/", "/api/events"}
    wanted = {"Retry-After", "RateLimit", "RateLimit-Policy"}
    assert all(wanted <= headers for headers in limited.values())


def test_examples_are_what_the_feeds_and_the_stream_really_write() -> None:
    paths = openapi()["paths"]
    contents = {
        path: next(iter(paths[path]["get"]["responses"]["200"]["content"].values()))["example"]
        for path in paths
        if path.startswith("/feeds/") or path == "/api/events"
    }
    assert contents["/feeds/albums.atom"].startswith("<?xml")
    assert contents["/feeds/albums.ics"].startswith("BEGIN:VCALENDAR\r\n")
    assert contents["/feeds/albums.json"]["items"][0]["title"]
    assert "Feral Machines" in contents["/feeds/albums.csv"]
    event = contents["/api/events"]
    assert event.startswith("id: 1042-ff4f90f9\nevent: added\ndata: ")
    Change.model_validate_json(event.partition("data: ")[2])


def test_every_field_of_every_schema_is_described_and_names_are_plain() -> None:
    for name, schema in openapi()["components"]["schemas"].items():
        assert not name.endswith("Shape")
        assert schema["description"], name
        for field, each in schema["properties"].items():
            assert each.get("description"), (name, field)


@settings(max_examples=50)
@given(st.integers(1, 200), st.integers(1, 500), st.integers(0, 10**6))
def test_what_is_described_is_allowed(release_limit: int, limit: int, offset: int) -> None:
    read = query.parse(ArtistsQuery, f"release_limit={release_limit}&limit={limit}&offset={offset}")
    assert (read.release_limit, read.limit, read.start) == (release_limit, limit, offset)


@pytest.mark.gen_test
async def test_answers_have_the_described_shapes(
    start_freshet: StartFreshet, start_standin: StartStandIn
) -> None:
    standin: StandIn = start_standin()
    client = Client(await start_freshet(standin))
    page = await client.fetch("/api/artists/?release_limit=200")
    assert ArtistsPage.model_validate_json(page.body).count > 20
    for path in ("/api/artists/?limit=0", "/api/nothing", "/api/artists/?x=" + "y" * 5000):
        Problem.model_validate_json((await client.fetch(path)).body)
    described = await client.fetch("/api/openapi.json")
    assert orjson.loads(described.body) == orjson.loads(orjson.dumps(openapi(PUBLIC_URL)))
    client.http.close()
