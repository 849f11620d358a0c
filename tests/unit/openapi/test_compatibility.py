"""Nothing that clients rely on changes between the last release and now."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from server import __version__
from tests.support.compatibility import breaks
from tests.support.description import openapi
from tests.support.paths import ROOT

FOLDER = ROOT / "tests" / "descriptions"
RELEASED: dict[str, Any] = json.loads((FOLDER / f"openapi-{__version__}.json").read_text("utf-8"))
Edit = Callable[[dict[str, Any]], object]


def test_nothing_breaks_clients_of_the_last_release_but_what_was_decided() -> None:
    decided = tomllib.loads((FOLDER / "exceptions.toml").read_text("utf-8"))
    found = breaks(RELEASED, json.loads(json.dumps(openapi())))
    assert set(found) - set(decided) == set(), "described in docs/api-stability.md as breaking"
    assert set(decided) - set(found) == set(), "exceptions that are no longer needed"
    assert all(each["reason"] for each in decided.values())


def test_the_description_of_a_release_is_printed_as_it_is_kept() -> None:
    command = [sys.executable, "-m", "tests.support.description"]
    printed = subprocess.check_output(command, cwd=ROOT, text=True)
    assert json.loads(printed) == json.loads(json.dumps(openapi()))
    kept = (FOLDER / f"openapi-{__version__}.json").read_text("utf-8")
    assert kept == json.dumps(RELEASED, indent=1, ensure_ascii=False) + "\n"
    assert printed.startswith(kept[:20])


def lists(document: dict[str, Any]) -> Any:
    return document["paths"]["/api/albums/"]["get"]


def parameter(document: dict[str, Any], name: str) -> Any:
    (found,) = [each for each in lists(document)["parameters"] if each["name"] == name]
    return found


def schema(document: dict[str, Any], name: str, field: str) -> Any:
    return document["components"]["schemas"][name]["properties"][field]


def renamed(things: Any, old: str, new: str) -> Any:
    things[new] = things.pop(old)
    return things


def lost(things: list[Any], name: str) -> None:
    things[:] = [each for each in things if each["name"] != name]


BROKEN: dict[str, Edit] = {
    "GET /api/status: is gone": lambda to: to["paths"].pop("/api/status"),
    "POST /api/sync/: is gone": lambda to: renamed(to["paths"]["/api/sync/"], "post", "put"),
    "GET /api/albums/: operationId listAlbums is now albums": lambda to: lists(to).update(
        operationId="albums"
    ),
    "GET /api/albums/: query parameter `q` is gone": lambda to: lost(lists(to)["parameters"], "q"),
    "GET /api/albums/: query parameter `market` is now required": lambda to: parameter(
        to, "market"
    ).update(required=True),
    "GET /api/albums/: query parameter `new` is now required": lambda to: lists(to)[
        "parameters"
    ].append({"name": "new", "in": "query", "required": True, "schema": {"type": "string"}}),
    "GET /api/albums/: query parameter `type`: explode is now True": lambda to: parameter(
        to, "type"
    ).update(explode=True),
    "GET /api/albums/: query parameter `limit`: maximum 500 is now 100": lambda to: parameter(
        to, "limit"
    )["schema"].update(maximum=100),
    "GET /api/albums/: query parameter `offset`: minimum 0 is now 1": lambda to: parameter(
        to, "offset"
    )["schema"].update(minimum=1),
    "GET /api/albums/: query parameter `limit`: no longer integer": lambda to: parameter(
        to, "limit"
    ).update(schema={"type": "boolean"}),
    "GET /api/albums/: query parameter `q`: pattern None is now ^a": lambda to: parameter(to, "q")[
        "schema"
    ].update(pattern="^a"),
    "GET /api/albums/: query parameter `sort`: default -released is now name": (
        lambda to: parameter(to, "sort")["schema"].update(default="name")
    ),
    "GET /api/albums/: query parameter `sort`: no longer accepts seen": lambda to: parameter(
        to, "sort"
    )["schema"]["enum"].remove("seen"),
    "GET /api/albums/: query parameter `type`[]: no longer accepts ep": lambda to: parameter(
        to, "type"
    )["schema"]["items"]["enum"].remove("ep"),
    "GET /api/albums/: status 304 is gone": lambda to: lists(to)["responses"].pop("304"),
    "GET /api/albums/ 200: application/json is gone": lambda to: renamed(
        lists(to)["responses"]["200"]["content"], "application/json", "application/hal+json"
    ),
    "GET /api/albums/ 200: header ETag is gone": lambda to: lists(to)["responses"]["200"][
        "headers"
    ].pop("ETag"),
    "GET /api/albums/ 503: header Retry-After is no longer always there": lambda to: lists(to)[
        "responses"
    ]["503"]["headers"]["Retry-After"].pop("required"),
    "GET /api/albums/: a body is now required": lambda to: lists(to).update(
        requestBody={"required": True, "content": {}}
    ),
    "GET /api/albums/: no authentication no longer suffices": lambda to: lists(to).update(
        security=[{"session": []}]
    ),
    "POST /api/sync/: session no longer suffices": lambda to: to["paths"]["/api/sync/"]["post"][
        "security"
    ][0]["session"].append("sync"),
    "authentication by `session`: name freshet_session is now sid": lambda to: to["components"][
        "securitySchemes"
    ]["session"].update(name="sid"),
    "Album.name: is gone": lambda to: renamed(
        to["components"]["schemas"]["Album"]["properties"], "name", "title"
    ),
    "Album.name: is no longer always there": lambda to: to["components"]["schemas"]["Album"][
        "required"
    ].remove("name"),
    "Album.id: now string": lambda to: schema(to, "Album", "id").update(type="string"),
    "Album.name: now null": lambda to: schema(to, "Album", "name").update(
        anyOf=[{"type": "string"}, {"type": "null"}]
    ),
    "Album.created_at: format date-time is now date": lambda to: schema(
        to, "Album", "created_at"
    ).update(format="date"),
    "Artist.albums: minItems 1 is now None": lambda to: schema(to, "Artist", "albums").pop(
        "minItems"
    ),
    "Album.type: may now be release": lambda to: renamed(
        schema(to, "Album", "type"), "const", "enum"
    ).update(enum=["album", "release"]),
    "AlbumsPage.items[]: now string": lambda to: schema(to, "AlbumsPage", "items").update(
        items={"type": "string"}
    ),
}
HARMLESS: dict[str, Edit] = {
    "a route": lambda to: to["paths"].update({"/api/new/": to["paths"]["/api/status"]}),
    "a parameter": lambda to: lists(to)["parameters"].append(
        {"name": "new", "in": "query", "schema": {"type": "string"}}
    ),
    "a wider parameter": lambda to: parameter(to, "limit")["schema"].update(maximum=1000),
    "a value that is accepted": lambda to: parameter(to, "sort")["schema"]["enum"].append("tracks"),
    "a status": lambda to: lists(to)["responses"].update({"410": {"description": "New."}}),
    "a header": lambda to: lists(to)["responses"]["200"]["headers"].update({"New": {}}),
    "a field": lambda to: to["components"]["schemas"]["Album"]["properties"].update(
        {"new": {"type": "string"}}
    ),
    "never null any more": lambda to: schema(to, "Album", "total_tracks").update(
        anyOf=[{"type": "integer"}]
    ),
    "a way to authenticate": lambda to: to["paths"]["/api/sync/"]["post"]["security"].append(
        {"key": ["sync"]}
    ),
    "words": lambda to: schema(to, "Album", "name").update(description="The name."),
}


BROKEN_BODIES: dict[str, Edit] = {  # version 0.2.0 has none
    "POST /api/my/import/: a body of text/csv is no longer accepted": lambda to: to["paths"][
        "/api/my/import/"
    ]["post"]["requestBody"]["content"].pop("text/csv"),
    "KeyWish.name: is gone": lambda to: to["components"]["schemas"]["KeyWish"]["properties"].pop(
        "name"
    ),
    "KeyWish.days: is now required": lambda to: to["components"]["schemas"]["KeyWish"][
        "required"
    ].append("days"),
    "KeyWish.name: maxLength 100 is now 50": lambda to: schema(to, "KeyWish", "name").update(
        maxLength=50
    ),
    "KeyWish.scopes[]: no longer accepts sync": lambda to: schema(to, "KeyWish", "scopes")["items"][
        "enum"
    ].remove("sync"),
}


def edited(edit: Edit, base: dict[str, Any] = RELEASED) -> dict[str, Any]:
    document = deepcopy(base)
    edit(document)
    return document


def test_each_kind_of_break_is_found_by_its_name() -> None:
    present = json.loads(json.dumps(openapi()))
    for base, broken in ((RELEASED, BROKEN), (present, BROKEN_BODIES)):
        found = {name: breaks(base, edited(edit, base)) for name, edit in broken.items()}
        assert found == {name: [name] for name in broken}


def test_what_is_added_or_widened_breaks_nothing() -> None:
    assert {name: breaks(RELEASED, edited(edit)) for name, edit in HARMLESS.items()} == {
        key: [] for key in HARMLESS
    }


def test_values_may_be_added_only_where_the_description_said_so() -> None:
    before = edited(
        lambda to: schema(to, "Listing", "source").update(description="Others may be added.")
    )
    after = deepcopy(before)
    schema(after, "Listing", "source")["enum"].append("followed")
    assert breaks(before, after) == []
    assert breaks(RELEASED, after) == ["Listing.source: may now be followed"]
