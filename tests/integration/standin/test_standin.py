"""The stand-in for Spotify answers as Spotify does, and looks like something."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import orjson
import pytest
from tornado.platform.asyncio import AsyncIOLoop

from server.standin import Answer, AppKind, Catalogue, Listener, StandIn
from server.standin.accounts.tokens import months_later
from tests.support.http_client import new_client
from tests.support.standin_app import CALLBACK, SCOPES, App, authorize
from tests.support.standin_schema import REMOVED, Description, fields_of

TODAY = date(2026, 11, 22)
VARIOUS_ARTISTS = "0LyfQWJT6nXafLPZqxe9Of"


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = datetime(2026, 11, 22, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def plain(size: int = 60) -> Catalogue:
    return Catalogue.generate(today=TODAY, size=size, quirks=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(io_loop: AsyncIOLoop, clock: Clock) -> Iterator[Any]:
    """Opens stand-ins, each with a program that uses it, and closes them after the test."""
    apps: list[App] = []

    def open_standin(**options: Any) -> App:
        standin = StandIn(**{"clock": clock} | options)
        standin.start()
        apps.append(App(standin, new_client()))
        return apps[-1]

    yield open_standin
    for app in apps:
        app.http.close()
        io_loop.run_sync(app.standin.stop)


@pytest.fixture
def app(opened: Callable[..., App]) -> App:
    return opened()


@pytest.fixture(scope="module")
def description() -> Description:
    return Description()


# The accounts service


@pytest.mark.gen_test
async def test_the_consent_page_says_what_it_is_and_names_the_scopes_in_words(app: App) -> None:
    page = await app.fetch(authorize())
    text = page.body.decode()
    assert page.code == 200
    assert "This is not Spotify." in text
    assert "See which artists you follow" in text
    assert "user-follow-read" not in re.sub(r"<form[^>]*>", "", text)
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text


@pytest.mark.gen_test
async def test_agreeing_leads_back_with_a_code_and_the_state(app: App) -> None:
    answer = await app.consent()
    assert set(answer) == {"code", "state"}
    assert answer["state"] == ["s-1"]


@pytest.mark.gen_test
async def test_cancelling_leads_back_with_access_denied(app: App) -> None:
    assert await app.consent("cancel") == {"error": ["access_denied"], "state": ["s-1"]}


@pytest.mark.gen_test
async def test_the_form_of_the_page_leads_to_where_the_answer_is_taken(app: App) -> None:
    text = (await app.fetch(authorize(state='"><i>&amp;'))).body.decode()
    (form,) = re.findall(r"<form.*?</form>", text, re.S)
    action = ElementTree.fromstring(form).get("action")
    assert action is not None
    assert "<i>" not in text
    back = await app.fetch(action, method="POST", body="answer=agree")
    assert parse_qs(urlsplit(back.headers["Location"]).query)["state"] == ['"><i>&amp;']


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": "somebody"}, "INVALID_CLIENT: Invalid client"),
        ({"redirect_uri": CALLBACK.rstrip("/")}, "INVALID_CLIENT: Invalid redirect URI"),
        ({"redirect_uri": "http://localhost:5000/x"}, "INVALID_CLIENT: Insecure redirect URI"),
        ({"redirect_uri": "http://example.org/x"}, "INVALID_CLIENT: Insecure redirect URI"),
        ({"redirect_uri": "https://example.org/x"}, "INVALID_CLIENT: Invalid redirect URI"),
        ({"scope": "<b>everything</b>"}, "INVALID_SCOPE: Invalid scope"),
        ({"response_type": "token"}, "response_type must be code"),
        ({"code_challenge_method": "plain"}, "code_challenge_method must be S256"),
    ],
)
@pytest.mark.gen_test
async def test_a_wrong_request_gets_a_page_and_no_redirect(
    app: App, changes: dict[str, str], reason: str
) -> None:
    for options in ({}, {"method": "POST", "body": "answer=agree"}):
        page = await app.fetch(authorize(**changes), **options)
        assert page.code == 400
        assert reason in page.body.decode()
        assert "Location" not in page.headers


@pytest.mark.gen_test
async def test_a_code_brings_an_hours_token_and_a_refresh_token(app: App) -> None:
    answer = await app.login()
    assert set(answer) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    assert answer["scope"] == SCOPES


@pytest.mark.gen_test
async def test_a_code_can_be_used_only_once(app: App) -> None:
    form = await app.code()
    assert (await app.grant(**form))[0] == 200
    assert await app.refused(**form) == "Invalid authorization code"


@pytest.mark.gen_test
async def test_a_code_is_good_for_ten_minutes(app: App, clock: Clock) -> None:
    form = await app.code()
    clock.now += timedelta(minutes=10)
    assert await app.refused(**form) == "Authorization code expired"


@pytest.mark.gen_test
async def test_a_code_belongs_to_its_redirect_uri(app: App) -> None:
    form = await app.code() | {"redirect_uri": "https://example.org/"}
    assert await app.refused(**form) == "Invalid redirect URI"


@pytest.mark.gen_test
async def test_a_wrong_code_verifier_is_refused(app: App) -> None:
    form = await app.code() | {"code_verifier": "another"}
    assert await app.refused(**form) == "code_verifier was incorrect"


@pytest.mark.parametrize("basic", ["", "!", b64encode(b"standin-client:guess").decode()])
@pytest.mark.gen_test
async def test_a_wrong_secret_is_an_invalid_client(app: App, basic: str) -> None:
    app.basic = basic
    answer = await app.grant(grant_type="client_credentials")
    assert answer == (400, {"error": "invalid_client", "error_description": "Invalid client"})


@pytest.mark.gen_test
async def test_an_unknown_grant_is_refused(app: App) -> None:
    status, answer = await app.grant(grant_type="password")
    assert (status, answer["error"]) == (400, "unsupported_grant_type")


@pytest.mark.gen_test
async def test_a_refresh_brings_no_new_refresh_token(app: App) -> None:
    kept = (await app.login())["refresh_token"]
    for _ in range(2):
        status, answer = await app.grant(grant_type="refresh_token", refresh_token=kept)
        assert status == 200
        assert set(answer) == {"access_token", "expires_in", "scope", "token_type"}
    app.token = answer["access_token"]
    assert (await app.json("/me"))["id"] == "standin-listener"


@pytest.mark.gen_test
async def test_refresh_tokens_can_be_told_to_rotate(app: App) -> None:
    app.standin.rotate_refresh_tokens = True
    old = (await app.login())["refresh_token"]
    _, answer = await app.grant(grant_type="refresh_token", refresh_token=old)
    refused = await app.refused(grant_type="refresh_token", refresh_token=old)
    assert refused == "Refresh token revoked"
    new = answer["refresh_token"]
    assert (await app.grant(grant_type="refresh_token", refresh_token=new))[0] == 200


@pytest.mark.gen_test
async def test_refresh_tokens_die_six_months_after_consent_used_or_not(
    app: App, clock: Clock
) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": (await app.login())["refresh_token"]}
    clock.now = datetime(2027, 5, 22, 8, 59, tzinfo=UTC)
    assert (await app.grant(**form))[0] == 200
    clock.now = datetime(2027, 5, 22, 9, 0, tzinfo=UTC)
    assert await app.refused(**form) == "Refresh token expired"


def test_six_months_after_the_last_of_august_is_the_last_of_february() -> None:
    assert months_later(datetime(2026, 8, 31), 6) == datetime(2027, 2, 28)
    assert months_later(datetime(2026, 12, 1), 6) == datetime(2027, 6, 1)


@pytest.mark.gen_test
async def test_refresh_tokens_can_be_revoked(app: App) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": (await app.login())["refresh_token"]}
    app.standin.revoke_refresh_tokens()
    assert await app.refused(**form) == "Refresh token revoked"
    assert await app.refused(**form | {"refresh_token": "x"}) == "Invalid refresh token"


@pytest.mark.gen_test
async def test_tokens_outlive_a_restart(app: App, opened: Any) -> None:
    kept = (await app.login())["refresh_token"]
    restarted = opened()
    restarted.token = app.token
    assert (await restarted.json("/me"))["display_name"] == "Robin of the Stand-in"
    assert (await restarted.grant(grant_type="refresh_token", refresh_token=kept))[0] == 200


@pytest.mark.gen_test
async def test_another_listener_can_sit_before_the_consent_page(app: App) -> None:
    app.standin.listener = Listener("account-2", "second", "Sam")
    await app.login()
    assert (await app.json("/me"))["account_id"] == "account-2"


# The Web API's door


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ({}, (401, "No token provided")),
        ({"Authorization": "Bearer nonsense"}, (401, "Invalid access token")),
        ({"Authorization": "Basic eDp5"}, (400, "Only valid bearer authentication supported")),
    ],
)
@pytest.mark.gen_test
async def test_whoever_brings_no_good_token_is_refused(
    app: App, authorization: dict[str, str], error: tuple[int, str]
) -> None:
    assert await app.error("/search?q=tag:new&type=album", **authorization) == error


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.gen_test
async def test_an_expired_token_is_told_apart(app: App, clock: Clock, by_hand: bool) -> None:
    await app.login()
    if by_hand:
        app.standin.expire_tokens()
    else:
        clock.now += timedelta(hours=1)
    response = await app.get("/me")
    assert orjson.loads(response.body)["error"]["message"] == "The access token expired"
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    await app.login()
    assert (await app.get("/me")).code == 200


@pytest.mark.gen_test
async def test_what_is_not_there_is_not_found_in_json(app: App) -> None:
    await app.use_own_token()
    unknown = "7" * 22
    for path in (f"/artists/{unknown}", f"/albums/{unknown}", f"/artists/{unknown}/albums"):
        assert await app.error(path) == (404, "Resource not found")
    assert await app.error("/nowhere") == (404, "Service not found")


@pytest.mark.gen_test
async def test_an_answer_that_has_not_changed_costs_no_bytes(app: App) -> None:
    await app.use_own_token()
    path = "/search?q=tag:new&type=album"
    tag = (await app.get(path)).headers["Etag"]
    again = await app.get(path, **{"If-None-Match": tag})
    assert (again.code, again.body) == (304, b"")


# New releases and search


@pytest.mark.gen_test
async def test_a_restricted_app_is_kept_from_what_is_gone(app: App) -> None:
    await app.use_own_token()
    some = next(iter(app.standin.catalogue.artists()))
    for path in ("/browse/new-releases", f"/artists?ids={some}", "/albums?ids=x"):
        assert await app.error(path) == (403, "Forbidden")


@pytest.mark.gen_test
async def test_a_restricted_app_does_not_get_the_removed_fields(app: App) -> None:
    await app.use_own_token()
    album = next(album for album in app.standin.catalogue.albums if album)
    artist = album["artists"][0]["id"]
    for path in (f"/artists/{artist}", f"/artists/{artist}/albums", "/search?q=tag:new&type=album"):
        assert not fields_of(await app.json(path)) & REMOVED
    whole = await app.json(f"/albums/{album['id']}")
    assert fields_of(whole) & REMOVED == {"genres"}
    assert set(await app.json(f"/artists/{artist}")) == {
        "external_urls",
        "href",
        "id",
        "images",
        "name",
        "type",
        "uri",
    }


@pytest.mark.parametrize(
    ("kind", "default", "most"), [(AppKind.RESTRICTED, 5, 10), (AppKind.EXTENDED, 20, 50)]
)
@pytest.mark.gen_test
async def test_the_kind_of_app_bounds_a_page_of_search(
    opened: Any, kind: AppKind, default: int, most: int
) -> None:
    app = await opened(kind=kind, catalogue=plain()).use_own_token()
    path = "/search?q=tag:new&type=album"
    assert len((await app.json(path))["albums"]["items"]) == default
    assert len((await app.json(f"{path}&limit={most}"))["albums"]["items"]) == most
    for limit in (0, most + 1, -1, "x", "", "1e1"):
        assert await app.error(f"{path}&limit={limit}") == (400, "Invalid limit")
    assert await app.error(f"{path}&offset=-1") == (400, "Invalid offset")
    beyond = f"{path}&limit={most}&offset={1001 - most}"
    assert await app.error(beyond) == (400, "Limit + Offset exceeds maximum of 1000")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (AppKind.RESTRICTED, "/search?q=tag:new&type=album&limit=7"),
        (AppKind.EXTENDED, "/search?q=tag:new&type=album&limit=50"),
        (AppKind.EXTENDED, "/browse/new-releases?limit=13"),
    ],
)
@pytest.mark.gen_test
async def test_paging_through_everything_gives_every_album_once(
    opened: Any, kind: AppKind, path: str
) -> None:
    app = await opened(kind=kind).use_own_token()
    catalogue = app.standin.catalogue
    found, lengths, totals = [], [], set()
    async for page in app.pages(path, "albums"):
        found += [item["id"] for item in page["items"] if item]
        lengths.append(len(page["items"]))
        totals.add(page["total"])
    expected = catalogue.new(TODAY) if "search" in path else catalogue.listing()
    wanted = [item["id"] for item in expected if item and item["id"] not in catalogue.withheld]
    assert found == wanted
    assert totals == {100}
    limit = int(path.rpartition("=")[2])
    assert max(lengths) <= limit
    assert min(lengths[:-1]) < limit, "a page in the middle should be short"


@pytest.mark.gen_test
async def test_links_are_rewritten_as_spotify_rewrites_them(opened: Any) -> None:
    app = await opened(catalogue=plain()).use_own_token()
    path = "/search?type=album&market=SE&q=tag%3Anew&limit=4&offset=4"
    answer = await app.get(path, **{"Accept-Language": "en-US,en;q=0.5"})
    page = orjson.loads(answer.body)["albums"]
    assert page["next"] == (
        f"{app.standin.api_url}/search?offset=8&limit=4&query=tag%3Anew&type=album&market=SE"
        "&locale=en-US,en%3Bq%3D0.5"
    )
    assert dict(parse_qsl(urlsplit(page["previous"]).query))["offset"] == "0"
    assert (await app.json(page["href"]))["albums"]["items"] == page["items"]


@pytest.mark.gen_test
async def test_a_market_turns_available_markets_into_is_playable(opened: Any) -> None:
    app = await opened(kind=AppKind.EXTENDED, catalogue=plain()).use_own_token()
    album = app.standin.catalogue.albums[0]
    album["available_markets"] = ["JP"]
    for market, here in (("JP", True), ("SE", False)):
        path = f"/search?q=tag:new&type=album&limit=50&market={market}"
        items = (await app.json(path))["albums"]["items"]
        assert (album["id"] in [item["id"] for item in items]) is here
        assert all(item["is_playable"] and "available_markets" not in item for item in items)
    error = await app.error("/search?q=tag:new&type=album&market=ZZ")
    assert error == (400, "Invalid market code")


@pytest.mark.gen_test
async def test_a_market_can_be_refused_though_it_is_one_and_launched_again(opened: Any) -> None:
    app = await opened(unlaunched=("SE",)).use_own_token()
    path = "/search?q=tag:new&type=album&market="
    assert await app.error(f"{path}SE") == (400, "Unlaunched market")
    assert (await app.get(f"{path}DE")).code == 200
    app.standin.unlaunched = ("DE",)
    assert (await app.get(f"{path}SE")).code == 200
    assert await app.error(f"{path}DE") == (400, "Unlaunched market")


@pytest.mark.gen_test
async def test_search_finds_albums_and_artists_by_name(opened: Any) -> None:
    catalogue = plain()
    catalogue.albums[7]["name"] = "Überfähre"
    artist = catalogue.albums[7]["artists"][0]
    artist["name"] = "Zwölf Ñandús"
    app = await opened(catalogue=catalogue).use_own_token()
    for text in ("überfähre", "album:Überfähre tag:new", 'artist:"Zwölf Ñandús" year:2026'):
        query = urlencode({"q": text, "type": "album"})
        found = (await app.json(f"/search?{query}"))["albums"]["items"]
        assert [item["id"] for item in found] == [catalogue.albums[7]["id"]]
    query = urlencode({"q": "ñandús", "type": "album,artist"})
    both = await app.json(f"/search?{query}")
    assert both["albums"]["total"] == 1
    assert [item["id"] for item in both["artists"]["items"]] == [artist["id"]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("type=album", "No search query"),
        ("q=x", "Missing parameter type"),
        ("q=x&type=song", "Bad search type field song"),
    ],
)
@pytest.mark.gen_test
async def test_an_incomplete_search_is_told_what_it_lacks(
    app: App, query: str, message: str
) -> None:
    await app.use_own_token()
    assert await app.error(f"/search?{query}") == (400, message)


@pytest.mark.gen_test
async def test_tag_new_means_the_last_two_weeks_and_what_has_no_clear_date(opened: Any) -> None:
    template = plain(1).albums[0]
    dates = ["2026-11-08", "2026-11-07", "2026-11", "2026-10", "2026", "2025", "0000", None]
    albums = [template | {"id": str(day), "release_date": day} for day in dates]
    app = await opened(catalogue=Catalogue(albums)).use_own_token()
    found = (await app.json("/search?q=tag:new&type=album&limit=10"))["albums"]["items"]
    assert [item["id"] for item in found] == ["2026-11-08", "2026-11", "2026", "0000", "None"]
    app.standin.catalogue = Catalogue(albums, recent_days=None)
    page = (await app.json("/search?q=tag:new&type=album&limit=10"))["albums"]
    assert page["total"] == len(dates)


@pytest.mark.gen_test
async def test_broken_items_are_served_as_they_are(opened: Any) -> None:
    broken: list[Any] = [None, 17, "album", [], {}, {"id": 3, "artists": [None, "x", {"id": None}]}]
    app = await opened(kind=AppKind.EXTENDED, catalogue=Catalogue(broken)).use_own_token()
    for path in ("/browse/new-releases", "/search?q=tag:new&type=album"):
        assert (await app.json(path))["albums"]["items"] == broken
    assert (await app.json("/search?q=x&type=artist"))["artists"]["items"] == []


@pytest.mark.gen_test
async def test_several_artists_come_in_the_order_asked_for_with_null_for_the_unknown(
    opened: Any,
) -> None:
    app = await opened(kind=AppKind.EXTENDED).use_own_token()
    first, second = list(app.standin.catalogue.artists())[:2]
    found = (await app.json(f"/artists?ids={second},{'7' * 22},{first}"))["artists"]
    assert [artist and artist["id"] for artist in found] == [second, None, first]
    ids = ",".join([first] * 51)
    assert await app.error(f"/artists?ids={ids}") == (400, "Too many ids requested")
    assert (await app.error("/artists"))[0] == 400


@pytest.mark.gen_test
async def test_an_artists_albums_tell_own_from_guest_appearances(opened: Any) -> None:
    catalogue = plain()
    guest = catalogue.albums[0]["artists"][0]
    catalogue.albums[1]["artists"] = [*catalogue.albums[1]["artists"], guest]
    app = await opened(kind=AppKind.EXTENDED, catalogue=catalogue).use_own_token()
    path = f"/artists/{guest['id']}/albums"
    groups = {item["id"]: item["album_group"] for item in (await app.json(path))["items"]}
    assert groups[catalogue.albums[0]["id"]] == catalogue.albums[0]["album_type"]
    assert groups[catalogue.albums[1]["id"]] == "appears_on"
    only = await app.json(f"{path}?include_groups=appears_on")
    assert {item["album_group"] for item in only["items"]} == {"appears_on"}


# The listener


@pytest.mark.gen_test
async def test_the_profile_needs_a_user_and_following_its_scope(app: App) -> None:
    await app.use_own_token()
    assert (await app.error("/me"))[0] == 401
    assert await app.error("/me/following?type=artist") == (403, "Insufficient client scope")
    await app.login(scope="")
    assert (await app.json("/me"))["account_id"] == "standin-account-1"
    assert await app.error("/me/following?type=artist") == (403, "Insufficient client scope")


@pytest.mark.gen_test
async def test_following_the_cursor_gives_every_followed_artist_once(app: App) -> None:
    await app.login()
    pages = [page async for page in app.pages("/me/following?type=artist&limit=7", "artists")]
    ids = [artist["id"] for page in pages for artist in page["items"]]
    assert len(pages) > 2
    assert ids == [artist["id"] for artist in app.standin.catalogue.followed()]
    assert {page["total"] for page in pages} == {len(ids)}
    assert pages[-1]["cursors"] == {"after": None}


# Spotify's own description of its answers


@pytest.mark.parametrize("kind", list(AppKind))
@pytest.mark.gen_test
async def test_answers_are_as_spotify_describes_them(
    opened: Any, description: Description, kind: AppKind
) -> None:
    app = opened(kind=kind, catalogue=plain())
    await app.login()
    album = app.standin.catalogue.albums[0]
    artist = album["artists"][0]["id"]
    answers = {
        "/search": await app.json("/search?q=tag:new&type=album"),
        "/artists/{id}": await app.json(f"/artists/{artist}"),
        "/artists/{id}/albums": await app.json(f"/artists/{artist}/albums"),
        "/albums/{id}": await app.json(f"/albums/{album['id']}"),
        "/me": await app.json("/me"),
        "/me/following": await app.json("/me/following?type=artist&limit=50"),
    }
    found = await app.json("/search?q=artist:e&type=artist,album")
    assert found["artists"]["items"]
    faults = description.faults("/search", found)
    if kind is AppKind.EXTENDED:
        answers["/browse/new-releases"] = await app.json("/browse/new-releases")
        answers["/artists"] = await app.json(f"/artists?ids={artist}")
        answers["/albums"] = await app.json(f"/albums?ids={album['id']}")
    for path, body in answers.items():
        faults += description.faults(path, body)
    # The description forgets that the last page of a cursor has null in these two places.
    last_page = {("$.artists.cursors.after", "null"), ("$.artists.next", "null")}
    assert last_page <= set(faults)
    messages = {message for place, message in faults if (place, message) not in last_page}
    removed = {"album_group", "available_markets", "label", "popularity"}
    expected = {f"missing {name}" for name in removed} if kind is AppKind.RESTRICTED else set()
    assert messages == expected


# Covers and pages


@pytest.mark.gen_test
async def test_covers_are_small_sound_svg_that_any_page_may_show(app: App) -> None:
    await app.use_own_token()
    bodies = []
    async for page in app.pages("/search?q=tag:new&type=album&limit=10", "albums"):
        images = [item["images"] for item in page["items"] if item and item["images"]]
        for image in sorted(images[0], key=lambda image: image["width"]):
            answer = await app.fetch(image["url"])
            svg = ElementTree.fromstring(answer.body)
            assert svg.tag == "{http://www.w3.org/2000/svg}svg"
            assert svg.get("width") == svg.get("height") == str(image["width"])
            assert len(answer.body) < 4096
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "max-age=31536000" in answer.headers["Cache-Control"]
        bodies.append(answer.body)
    assert len(set(bodies)) == len(bodies)
    assert (await app.fetch("/image/nothing")).code == 404


@pytest.mark.gen_test
async def test_links_to_spotify_lead_to_pages_of_the_stand_in(app: App) -> None:
    await app.use_own_token()
    page = (await app.json("/search?q=tag:new&type=album"))["albums"]
    album = page["items"][0]
    for item in (album, *album["artists"]):
        address = item["external_urls"]["spotify"]
        assert address.startswith(app.standin.accounts_url)
        answer = await app.fetch(address)
        assert answer.code == 200
        assert "This is not Spotify." in answer.body.decode()
    assert (await app.fetch("/open/album/unknown")).code == 404
    start_page = (await app.fetch("/")).body.decode()
    assert start_page.count("<img") > 80
    assert "<Roll>" not in start_page


# The script, the record and time


@pytest.mark.gen_test
async def test_scripted_answers_come_as_often_as_told_and_then_no_more(app: App) -> None:
    await app.use_own_token()
    limited = Answer(429, b"Too many requests", {"Retry-After": "11", "Content-Type": "text/plain"})
    app.standin.answer_next("/v1/search", limited, times=2)
    app.standin.answer_next("/v1/search", Answer(502, {"error": {"status": 502}}))
    path = "/search?q=tag:new&type=album"
    answers = [await app.get(path) for _ in range(4)]
    assert [answer.code for answer in answers] == [429, 429, 502, 200]
    assert answers[0].body == b"Too many requests"
    assert answers[0].headers["Retry-After"] == "11"
    assert answers[2].headers["Content-Type"].startswith("application/json")
    app.standin.answer_next("/api/token", Answer(400, {"error": "invalid_client"}))
    assert await app.grant(grant_type="client_credentials") == (400, {"error": "invalid_client"})


@pytest.mark.gen_test
async def test_every_request_is_on_record(app: App) -> None:
    await app.use_own_token()
    await app.get("/search?q=tag%3Anew&type=album&limit=99")
    call = app.standin.calls[-1]
    assert (call.method, call.path, call.status) == ("GET", "/v1/search", 400)
    assert call.query == {"q": "tag:new", "type": "album", "limit": "99"}
    assert (app.standin.calls_to("/v1/"), app.standin.calls_to("/api/token")) == (1, 1)


@pytest.mark.gen_test
async def test_a_published_release_stands_at_the_top_dated_today(app: App, clock: Clock) -> None:
    await app.use_own_token()
    clock.now = datetime(2026, 11, 23, 0, 1, tzinfo=UTC)
    album = app.standin.publish()
    await app.use_own_token()
    page = (await app.json("/search?q=tag:new&type=album&limit=1"))["albums"]
    assert page["items"][0]["id"] == album["id"]
    assert page["items"][0]["release_date"] == "2026-11-23"


@pytest.mark.gen_test
async def test_releases_are_published_as_time_goes_by(opened: Any) -> None:
    app = opened(publish_every=0.01, catalogue=Catalogue())
    while len(app.standin.catalogue.albums) < 2:
        await app.fetch("/")
    await app.standin.stop()


@pytest.mark.gen_test
async def test_a_busy_port_is_an_error(app: App) -> None:
    with pytest.raises(OSError, match="in use"):
        StandIn(catalogue=Catalogue()).start(app.standin.port)


# The catalogue


def ids(catalogue: Catalogue) -> list[str]:
    return [album["id"] for album in catalogue.albums if album]


def test_a_restart_on_the_same_day_gives_the_same_catalogue() -> None:
    again = Catalogue.generate(today=TODAY)
    assert Catalogue.generate(today=TODAY).albums == again.albums
    assert len(ids(again)) == len(set(ids(again))) == 121
    assert all(re.fullmatch(r"[0-7][0-9A-Za-z]{21}", identifier) for identifier in ids(again))
    assert not set(ids(again)) & set(ids(Catalogue.generate(today=TODAY, seed=2)))


def test_tomorrows_catalogue_is_todays_with_new_releases_on_top() -> None:
    today = {album["id"]: album for album in plain().albums}
    tomorrow = Catalogue.generate(today=TODAY + timedelta(1), size=60, quirks=False).albums
    fresh = [album["id"] not in today for album in tomorrow]
    assert 4 <= sum(fresh) <= 28
    assert fresh == sorted(fresh, reverse=True)
    assert all(today.get(album["id"], album) == album for album in tomorrow)


def test_publishing_never_gives_an_id_to_another_album() -> None:
    moment = datetime(2026, 11, 22, 9, tzinfo=UTC)
    one, other = plain(), Catalogue([])
    published = [one.publish(moment + timedelta(seconds=second // 2)) for second in range(200)]
    assert [other.publish(moment) for _ in range(2)] == published[:2]
    assert len(set(ids(one))) == len(one.albums) == 260
    known = set(plain().artists())
    newcomers = [a for a in one.artists() if a not in known]
    assert newcomers
    assert any(len(album["artists"]) > 1 for album in published)


def test_the_catalogue_is_bounded() -> None:
    catalogue = plain(10)
    for _ in range(1010):
        newest = catalogue.publish(datetime(2026, 11, 22, tzinfo=UTC))
    assert len(catalogue.albums) == 1000
    assert catalogue.albums[0] == newest


@pytest.mark.parametrize("day", [TODAY + timedelta(days) for days in range(7)])
def test_a_generated_catalogue_shows_every_oddity_seen_on_spotify(day: date) -> None:
    catalogue = Catalogue.generate(today=day)
    albums = [album for album in catalogue.albums if album]
    names = [album["name"] for album in albums]
    assert None in catalogue.listing()
    assert catalogue.withheld
    assert {album["album_type"] for album in albums} == {"album", "single", "ep", "compilation"}
    assert {album["release_date_precision"] for album in albums} == {"day", "month", "year"}
    assert any(album["release_date"] > day.isoformat() for album in albums)
    assert any(album["release_date"] < (day - timedelta(30)).isoformat() for album in albums[:10])
    assert {len(album["artists"]) for album in albums} >= {1, 2, 3, 5}
    assert any(album["artists"][0]["id"] == VARIOUS_ARTISTS for album in albums)
    assert any(not album["images"] for album in albums)
    assert any(album["images"] and album["images"][0]["width"] == 64 for album in albums)
    assert any("available_markets" not in album for album in albums)
    assert any(album.get("available_markets") == [] for album in albums)
    assert min(map(len, names)) == 1
    assert max(map(len, names)) > 70
    assert len(names) > len(set(names))


def test_a_plain_catalogue_has_no_oddities() -> None:
    catalogue = plain(200)
    assert not catalogue.withheld
    for album in catalogue.albums:
        assert album["release_date_precision"] == "day"
        assert album["album_type"] in ("album", "single", "compilation")
        assert album["images"]
        assert album["available_markets"]
