"""The page of the API holds all that the description says, whatever that is, and only as text."""

import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from handlers.pages import reference_builder
from handlers.pages.base import STATIC, Pages
from handlers.session import PublicAddress
from server.openapi import reference
from server.openapi.form_fields import address
from server.openapi.reference import ApiReference
from server.openapi.schema_outline import SchemaOutline, Schemas
from tests.support.description import openapi
from tests.support.login_browser import SAFE_HEADERS, SetStage
from tests.support.outline import Outline as Tags

HOSTILE = "<script>alert('1')</script>\"&`"
TEXT = {"schema": {"type": "string"}}


def parameter(name: str, where: str = "query", **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "description": f"About {name}.", "schema": schema}


MADE_UP: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Made up", "version": "7", "description": "All `kinds`."},
    "paths": {
        "/things/{thing_id}/": {
            "parameters": [{**parameter("thing_id", "path", type="string"), "required": True}],
            "get": {
                "operationId": "getThing",
                "summary": "One thing",
                "description": "With a long story.",
                "deprecated": True,
                "parameters": [
                    parameter("whole", type="integer", minimum=-3, maximum=9, default=4),
                    parameter("broken", type=["number", "null"], exclusiveMinimum=0),
                    parameter("yes", type="boolean"),
                    parameter("one", enum=["red", "green"]),
                    parameter("several", type="array", items={"enum": ["x", "y"]}),
                    {**parameter("joined", type="array", items={"enum": ["p"]}), "explode": False},
                    {**parameter("free", type="array", items={}), "style": "pipeDelimited"},
                    parameter("day", type="string", format="date"),
                    parameter("word", type="string", pattern="a|b", maxLength=3),
                    {**parameter("X-Trace", "header", type="string"), "required": True},
                    parameter("crumb", "cookie", type="string"),
                    {"$ref": "#/components/parameters/shared"},
                    {"name": "filter", "in": "query", "content": {"application/json": TEXT}},
                    {"$ref": "#/components/parameters/nowhere"},
                ],
                "responses": {
                    "200": {"description": "It.", "content": {"application/json": TEXT}},
                    "4XX": {"$ref": "#/components/responses/Bad"},
                    "default": {"description": "Anything else."},
                },
            },
            "delete": {
                "responses": {"204": {"description": "Gone."}},
                "security": [{"crumb": [], "key": []}, {"nowhere": []}],
                "parameters": [
                    {**parameter("X-Sure", "header", type="string", const="yes"), "required": True}
                ],
            },
        },
        "/stream": {
            "get": {
                "operationId": "listen",
                "responses": {"200": {"description": "", "content": {"text/event-stream": TEXT}}},
            }
        },
        "/bare": {"get": {}},
        "/things/": {
            "post": {
                "operationId": "addThing",
                "summary": "Add a thing",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Tree"}},
                        "text/csv": TEXT,
                    }
                },
                "responses": {"201": {"description": "Added."}},
            }
        },
    },
    "components": {
        "securitySchemes": {
            "crumb": {"type": "apiKey", "in": "cookie", "name": "crumb"},
            "key": {"type": "http", "scheme": "bearer"},
        },
        "parameters": {"shared": parameter("shared", type="integer")},
        "responses": {
            "Bad": {
                "description": "No.",
                "headers": {"Retry-After": {"description": "Seconds."}},
                "content": {"application/problem+json": {"schema": {"type": "object"}}},
            }
        },
        "schemas": {
            "Tree": {
                "type": "object",
                "required": ["leaf"],
                "properties": {
                    "leaf": {"type": "string", "const": "green", "description": "A leaf."},
                    "branches": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
                    "either": {
                        "oneOf": [
                            {"type": "object", "properties": {"left": {"type": "integer"}}},
                            {"type": "object", "properties": {"right": {"type": "boolean"}}},
                            {"type": "null"},
                        ]
                    },
                    "both": {"allOf": [{"$ref": "#/components/schemas/Node"}]},
                    "named": {"type": "object", "additionalProperties": {"type": "number"}},
                    "any": {},
                    "none": False,
                    "lost": {"$ref": "https://example.org/other.json#/Lost"},
                    "bent": {"$ref": "#/components/schemas/Circle"},
                },
            },
            "Node": {
                "type": "object",
                "properties": {"up": {"$ref": "#/components/schemas/Tree"}},
            },
            "Circle": {"$ref": "#/components/schemas/Circle"},
            "Knot": {"anyOf": [{"$ref": "#/components/schemas/Knot"}, {"type": "integer"}]},
        },
    },
}


def page_of(document: dict[str, Any], url: str = "http://127.0.0.1:5000") -> str:
    return reference_builder.render(Pages(PublicAddress(url)), reference.read(document)).decode()


def names(outline: SchemaOutline) -> set[str]:
    """The names of all fields, at any depth."""
    inner = {name for field in outline.fields for name in names(field)}
    return inner | {field.name for field in outline.fields}


def made_up() -> ApiReference:
    return reference.read(MADE_UP)


def tried(name: str) -> Any:
    (found,) = [each for each in made_up().operations[0].fields if each.name == name]
    return found


@pytest.mark.parametrize("kind", ["real", "made-up"])
def test_all_that_is_described_stands_on_the_page(kind: str) -> None:
    document = openapi() if kind == "real" else MADE_UP
    page, schemas = page_of(document), Schemas(document)
    tags = Tags(page)
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    fields = {attributes.get("data-name") for _, attributes in tags.seen}
    for path, item in document["paths"].items():
        for method in {*item} - {"parameters"}:
            operation = item[method]
            assert operation.get("operationId") in (None, *ids)
            assert f'<span class="method {method}">{method.upper()}</span>' in page
            assert f"<code>{path}</code>" in page
            described = map(schemas.resolve, operation.get("parameters", []))
            assert {each["name"] for each in described if each} <= fields
            for status, response in operation.get("responses", {}).items():
                assert f">{status}</code>" in page
                for media_type in schemas.resolve(response).get("content", {}):
                    assert f"<code>{media_type}</code>" in page
    for name, schema in document["components"]["schemas"].items():
        assert f"schema-{name}" in ids
        for field in schema.get("properties", {}):
            assert f'<code class="name">{field}</code>' in page
    targets = [link for link in tags.all("a", "href") if link and link.startswith("#")]
    assert {link.removeprefix("#") for link in targets} <= set(ids)


def test_every_call_by_get_has_a_form_and_no_other() -> None:
    for document in (openapi(), MADE_UP):
        tags = Tags(page_of(document))
        gets = [each for each in reference.read(document).operations if each.method == "GET"]
        assert len(tags.all("form", "action")) == len(gets)
        assert set(tags.all("form", "method")) == {"get"}
    actions = Tags(page_of(openapi())).all("form", "action")
    assert {"/api/artists/", "/api/albums/", "/api/status", "/feeds/albums.ics"} <= {*actions}


def test_controls_fit_what_they_take() -> None:
    controls = {each.name: each.control for each in made_up().operations[0].fields}
    assert controls == {
        "thing_id": "text",
        "whole": "number",
        "broken": "number",
        "yes": "choice",
        "one": "choice",
        "several": "choices",
        "joined": "choices",
        "free": "list",
        "day": "date",
        "word": "text",
        "X-Trace": "text",
        "crumb": "text",
        "shared": "number",
        "filter": "text",
    }
    whole, word = tried("whole"), tried("word")
    assert (whole.minimum, whole.maximum, whole.step, whole.default) == ("-3", "9", "1", "4")
    assert (word.pattern, word.longest) == (".*(?:a|b).*", "3")
    assert tried("broken").step == "any"
    assert tried("broken").outline.facts == ("more than 0",)
    assert tried("X-Trace").required


def test_a_filled_form_means_one_address() -> None:
    operation = made_up().operations[0]
    given = {
        "thing_id": ["a/b ?"],
        "whole": [""],
        "several": ["x", "y"],
        "joined": ["p", "q"],
        "free": ["1,,2"],
        "word": ["ü&a"],
        "X-Trace": ["secret"],
        "crumb": ["secret"],
        "unknown": ["1"],
    }
    assert address(operation.path, operation.fields, given) == (
        "/things/a%2Fb%20%3F/?several=x&several=y&joined=p,q&free=1%7C2&word=%C3%BC%26a"
    )
    assert address(operation.path, operation.fields, {"thing_id": [""]}) is None
    assert address("/bare", (), {}) == "/bare"


def test_schemas_that_lead_back_to_themselves_end() -> None:
    shapes = {each.name: each for each in made_up().schemas}
    tree = {each.name: each for each in shapes["Tree"].fields}
    assert tree["branches"].type == "list of Tree"
    assert tree["branches"].fields == ()
    assert [each.type for each in tree["both"].fields] == ["Tree"]
    assert names(tree["either"]) == {"", "left", "right"}
    assert tree["either"].type == "object or null"
    assert (tree["leaf"].choices, tree["leaf"].required) == (("green",), True)
    assert not tree["named"].required
    types = {name: tree[name].type for name in ("named", "any", "none", "lost")}
    assert types == {"named": "map of number", "any": "anything", "none": "nothing", "lost": "Lost"}
    assert shapes["Circle"].fields == ()
    assert shapes["Knot"].type == "Knot or integer"
    assert Schemas(MADE_UP).value({"$ref": "#/components/schemas/Knot"}) is not None


def test_references_are_followed_to_the_last_field() -> None:
    (page,) = [each for each in reference.read(openapi()).schemas if each.name == "ArtistsPage"]
    assert {"items", "albums", "release_date", "width", "next"} <= names(page)
    (items,) = [each for each in page.fields if each.name == "items"]
    assert items.type == "list of Artist"


def test_operations_that_change_something_are_only_told() -> None:
    remove, add = made_up().operations[1], made_up().operations[-1]
    assert remove.anchor == "delete-things-thing_id"
    assert remove.command("http://x") == (
        "curl -X DELETE -H 'X-Sure: yes' -H 'Authorization: Bearer …' -b 'crumb=…' 'http://x/things/{thing_id}/'"
    )
    assert [each.media_type for each in add.bodies] == ["application/json", "text/csv"]
    assert "Request body" in page_of(MADE_UP)
    assert made_up().operations[2].command("http://x") == "curl -N 'http://x/stream'"


def test_streams_are_linked_and_not_fetched() -> None:
    page = page_of(MADE_UP, "https://example.org/music")
    card = page.split('id="listen"', 1)[1].split("</section>", 1)[0]
    assert "data-stream" in card
    assert "Open the stream" in card
    assert '<a href="/music/stream">' in card


def test_anchors_are_never_the_same() -> None:
    paths: dict[str, Any] = {
        path: {"get": {"responses": {}}} for path in ("/a-b", "/a/b", "/a_b", "/ä", "/ö")
    }
    anchors = [each.anchor for each in reference.read({"paths": paths}).operations]
    assert anchors == ["get-a-b", "get-a-b-2", "get-a_b", "get", "get-2"]


def hostile(thing: Any) -> Any:
    """The same document with every text of its own replaced."""
    if isinstance(thing, dict):
        named = ("description", "summary", "title", "version", "default", "pattern", "example")
        return {key: HOSTILE if key in named else hostile(each) for key, each in thing.items()}
    if isinstance(thing, list):
        return [hostile(each) for each in thing]
    return HOSTILE if thing in ("red", "x", "whole", "X-Trace") else thing


def test_hostile_text_stays_text() -> None:
    document = hostile(MADE_UP)
    document["paths"][f"/{HOSTILE}"] = {"get": {"operationId": HOSTILE, "responses": {HOSTILE: {}}}}
    document["components"]["schemas"][HOSTILE.replace("/", "")] = {"properties": {HOSTILE: {}}}
    page = page_of(document)
    assert "<script>" not in page
    assert "alert(&#x27;1&#x27;)" in page
    tags = Tags(page)
    assert [attributes for name, attributes in tags.seen if name == "script"] == [
        {"src": "/static/docs.js", "defer": None}
    ]


def test_servers_load_it_when_it_is_first_asked_for() -> None:
    script = "import sys, server.app.routes; print('server.openapi.spec' in sys.modules)"
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, cwd=STATIC.parents[1], text=True) == "False\n"


def test_the_script_is_small_and_asks_nobody_else() -> None:
    script = (STATIC / "docs.js").read_bytes()
    assert len(script) <= 8500
    for banned in (b"http://", b"https://", b"innerHTML", b"eval(", b"import", b"insertAdjacent"):
        assert banned not in script
    styles = (STATIC / "docs.css").read_bytes()
    assert b"url(" not in styles
    assert b"@import" not in styles


@pytest.mark.gen_test
async def test_the_page_is_safe_and_kept_an_hour(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for path in ("/api/docs", "/api/docs/"):
        response = await browser.get(path)
        assert response.code == 200
        wanted = SAFE_HEADERS | {"Cache-Control": "public, max-age=3600"}
        assert {name: response.headers[name] for name in wanted} == wanted
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        head = await browser.request("HEAD", path)
        assert (head.code, head.body) == (200, b"")
        assert head.headers["Etag"] == response.headers["Etag"]
        again = await browser.get(path, If_None_Match=response.headers["Etag"])
        assert (again.code, again.body) == (304, b"")
        refused = (await browser.get("/auth/callback/")).headers["Content-Security-Policy"]
        assert "script-src 'none'" in refused
    for name, kind in (("docs.css", "text/css"), ("docs.js", "javascript")):
        assert kind in (await browser.get(f"/static/{name}")).headers["Content-Type"]


@pytest.mark.gen_test
async def test_the_description_has_an_etag_too(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    first = await browser.get("/api/openapi.json")
    again = await browser.get("/api/openapi.json", If_None_Match=first.headers["Etag"])
    assert (first.code, again.code, again.body) == (200, 304, b"")


@pytest.mark.gen_test
async def test_other_methods_are_a_problem(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for method in ("POST", "PUT", "DELETE"):
        response = await browser.request(method, "/api/docs/")
        assert response.code == 405
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.gen_test
async def test_a_form_without_scripts_comes_to_the_api(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    filled = "limit=5&offset=&type=single&type=album&q=&sort=&exclude=&at="
    response = await browser.get(f"/api/docs/?{filled}&_operation=listArtists")
    assert (response.code, response.headers["Location"]) == (
        303,
        "/api/artists/?limit=5&type=single,album",
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert "Etag" not in response.headers
    one = await browser.get("/api/docs?id=..%2F%2Fevil.example&_operation=getArtist")
    assert one.headers["Location"] == "/api/artists/..%2F%2Fevil.example/"


@pytest.mark.gen_test
async def test_a_form_that_is_none_of_ours_leads_nowhere(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for operation in ("", "no", "getArtist"):
        response = await browser.get(f"/api/docs/?_operation={operation}")
        assert response.code == 400, operation
        assert orjson.loads(response.body)["errors"], operation
        assert "Location" not in response.headers, operation


@pytest.mark.gen_test
async def test_under_a_path_of_its_own_all_links_stay_there(set_stage: SetStage) -> None:
    tags = Tags(page_of(openapi(), "https://example.org/music"))
    links = [*tags.all("a", "href"), *tags.all("link", "href"), *tags.all("form", "action")]
    elsewhere = {link for link in links if not (link and link.startswith(("#", "/music/")))}
    assert elsewhere == {"https://open.spotify.com/"}, "where covers and names come from"
    stage = await set_stage(public_url="https://example.org/music")
    browser = stage.browser("https://example.org")
    response = await browser.get("/api/docs/?_operation=getStatus")
    assert response.headers["Location"] == "/music/api/status"


@pytest.mark.gen_test
async def test_the_start_page_leads_to_it(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    links = Tags((await browser.get("/")).body.decode()).all("a", "href")
    (link,) = {each for each in links if each and urlsplit(each).path == "/api/docs/"}
    assert (await browser.get(link)).code == 200
