"""The stand-in has followed artists and their records, as a new app meets them."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from tornado.httpclient import AsyncHTTPClient

from server.standin import AppKind, ArtistSearch, Catalogue, Listener, StandIn
from server.standin.catalogue.spotify_objects import simplified_album, simplified_artist
from tests.support.clock import Clock
from tests.support.http_client import new_client
from tests.support.server_processes import standin_process
from tests.support.standin_app import App
from tests.support.standins import StartStandIn
from tests.support.waiting import until

TODAY = date(2026, 11, 20)
READ = "user-follow-read"
MODIFY = "user-follow-read user-follow-modify"

OpenApp = Callable[..., Awaitable[App]]


@pytest.fixture
def open_app(start_standin: StartStandIn, clock: Clock) -> Iterator[OpenApp]:
    """Open a stand-in with 60 invented artists, all followed, whose listener has logged in."""
    clients: list[AsyncHTTPClient] = []

    async def open_app(artists: int = 60, scope: str = READ, **options: Any) -> App:
        catalogue = Catalogue.generate(today=TODAY, size=20, quirks=False)
        catalogue.following.follow_only(catalogue.discographies.invent(artists, TODAY))
        given = {"kind": AppKind.RESTRICTED, "catalogue": catalogue, "clock": clock} | options
        clients.append(new_client())
        app = App(start_standin(None, **given), clients[-1])
        await app.login(scope)
        return app

    yield open_app
    for client in clients:
        client.close()


async def followed(app: App, limit: int = 50) -> list[str]:
    path = f"/me/following?type=artist&limit={limit}"
    return [item["id"] async for page in app.pages(path, "artists") for item in page["items"]]


async def change(app: App, method: str, path: str) -> int:
    headers = {"Authorization": f"Bearer {app.token}"}
    body = "" if method == "PUT" else None
    url = app.standin.api_url + path
    return (await app.fetch(url, method=method, body=body, headers=headers)).code


def prolific(app: App) -> tuple[str, list[dict[str, Any]]]:
    """The followed artist with the most records, and its records as they are kept."""
    known = app.standin.catalogue.discographies
    most = max(known.artists, key=lambda each: len(known.of(each)))
    return most, known.of(most)


def without_group(albums: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: album[name] for name in album if name != "album_group"} for album in albums]


# Whom somebody follows


@pytest.mark.gen_test
async def test_the_list_has_as_many_pages_as_it_takes_and_each_artist_once(
    open_app: OpenApp,
) -> None:
    app = await open_app(130)
    found = await followed(app)
    assert len(found) == len(set(found)) == 130
    assert app.standin.calls_to("/v1/me/following") == 3
    assert await followed(app, limit=7) == found
    assert await app.error("/me/following?type=artist&limit=51") == (400, "Invalid limit")


@pytest.mark.gen_test
async def test_unfollowing_between_two_pages_hides_no_other_artist(open_app: OpenApp) -> None:
    app = await open_app()
    everybody = await followed(app)
    seen = []
    async for page in app.pages("/me/following?type=artist&limit=20", "artists"):
        seen += [artist["id"] for artist in page["items"]]
        app.standin.catalogue.following.unfollow(seen[-1])
    assert seen == everybody
    assert len(await followed(app)) == 57


@pytest.mark.gen_test
async def test_each_account_follows_whom_it_will(open_app: OpenApp) -> None:
    app = await open_app()
    following = app.standin.catalogue.following
    both = await followed(app)
    following.follow_only(both[:3], account_id="account-2")
    following.unfollow(both[0], account_id="standin-account-1")
    assert await followed(app) == both[1:]
    app.standin.listener = Listener("account-2", "second", "Sam")
    await app.login(READ)
    assert await followed(app) == both[:3]
    following.follow(both[5], account_id="account-2")
    following.unfollow(both[0], account_id="account-2")
    assert await followed(app) == [*both[1:3], both[5]]


@pytest.mark.gen_test
async def test_at_first_a_third_of_the_listings_artists_is_followed(open_app: OpenApp) -> None:
    app = await open_app(catalogue=Catalogue.generate(today=TODAY, size=60))
    listed = app.standin.catalogue.artists()
    found = await followed(app)
    assert set(found) < set(listed)
    assert 0.15 < len(found) / len(listed) < 0.5
    other = next(artist for artist in listed if artist not in found)
    app.standin.catalogue.following.follow(other)
    assert set(await followed(app)) == {*found, other}


@pytest.mark.gen_test
async def test_people_follow_and_unfollow_as_time_goes_by(open_app: OpenApp) -> None:
    app = await open_app(follow_every=0.01)
    first = await followed(app)
    await until(lambda: len(app.standin.catalogue.followed()) != len(first))
    changes = [app.standin.catalogue.reconsider() for _ in range(30)]
    assert len(set(changes)) > 20
    left = {artist["id"] for artist in app.standin.catalogue.followed()}
    assert left - set(first)
    assert set(first) - left


@pytest.mark.gen_test
async def test_a_new_app_follows_through_the_library_alone(open_app: OpenApp) -> None:
    app = await open_app(scope=MODIFY)
    everybody = await followed(app)
    first, second = everybody[:2]
    uris = f"/me/library?uris=spotify:artist:{first},spotify:artist:{second}"
    assert await change(app, "DELETE", uris) == 200
    assert await followed(app) == everybody[2:]
    contains = uris.replace("library?", "library/contains?")
    assert await app.json(f"{contains},spotify:artist:{everybody[2]}") == [False, False, True]
    assert await change(app, "PUT", uris) == 200
    assert await followed(app) == everybody
    assert (await app.get("/me/library")).code == 405
    many = ",".join([f"spotify:artist:{first}"] * 41)
    assert await app.error(f"/me/library/contains?uris={many}") == (400, "Too many uris requested")
    for method in ("PUT", "DELETE"):
        assert await change(app, method, f"/me/following?type=artist&ids={first}") == 403


@pytest.mark.gen_test
async def test_an_old_app_follows_by_ids(open_app: OpenApp) -> None:
    app = await open_app(kind=AppKind.EXTENDED, scope=MODIFY)
    everybody = await followed(app)
    ids = f"type=artist&ids={everybody[0]}"
    assert await change(app, "DELETE", f"/me/following?{ids}") == 204
    assert await app.json(f"/me/following/contains?{ids},{everybody[1]}") == [False, True]
    assert await change(app, "PUT", f"/me/following?{ids}") == 204
    assert await followed(app) == everybody


@pytest.mark.gen_test
async def test_whoever_may_only_read_the_list_cannot_change_it(open_app: OpenApp) -> None:
    app = await open_app()
    everybody = await followed(app)
    path = f"/me/library?uris=spotify:artist:{everybody[0]}"
    assert [await change(app, method, path) for method in ("PUT", "DELETE")] == [403, 403]
    await app.login("")
    contains = await app.error(path.replace("library?", "library/contains?"))
    assert contains == (403, "Insufficient client scope")
    await app.use_own_token()
    assert (await app.error("/me/following?type=artist"))[0] == 403


@pytest.mark.gen_test
async def test_a_restricted_app_may_not_ask_for_several_at_once(open_app: OpenApp) -> None:
    app = await open_app()
    some = (await followed(app))[0]
    paths = ("/artists", "/albums", "/tracks", "/me/following/contains")
    for path in paths:
        assert await app.error(f"{path}?type=artist&ids={some}") == (403, "Forbidden")
    app.standin.kind = AppKind.EXTENDED
    for path in paths:
        assert (await app.get(f"{path}?type=artist&ids={some}")).code == 200


# An artist's records


@pytest.mark.gen_test
async def test_albums_come_group_after_group_and_newest_first(open_app: OpenApp) -> None:
    app = await open_app(kind=AppKind.EXTENDED)
    artist, records = prolific(app)
    guest = simplified_album(
        "g" * 22, "Guest", [simplified_artist("x" * 22, "Host")], date(2026, 11, 19)
    )
    app.standin.catalogue.discographies.add(simplified_artist(artist, "A"), [guest])
    found, following = [], f"/artists/{artist}/albums?limit=50"
    while following:
        page = await app.json(following)
        found += page["items"]
        following = page["next"]
    groups = [item["album_group"] for item in found]
    order = ["album", "single", "compilation", "appears_on"]
    assert groups == sorted(groups, key=order.index)
    assert set(groups) >= {"album", "single", "appears_on"}
    assert page["total"] == len(records) + 1
    for group in ("album", "single", "compilation"):
        days = [item["release_date"] for item in found if item["album_group"] == group]
        assert days == sorted(days, reverse=True)


@pytest.mark.gen_test
async def test_the_first_page_of_all_groups_hides_a_new_single_that_its_own_call_shows(
    open_app: OpenApp,
) -> None:
    app = await open_app()
    artist, _ = prolific(app)
    for _ in range(11):
        app.standin.catalogue.release(artist, date(2026, 1, 1), album_type="album")
    new = app.standin.catalogue.release(artist, TODAY, album_type="single")
    path = f"/artists/{artist}/albums?limit=10"
    both = await app.json(f"{path}&include_groups=album,single")
    assert new["id"] not in [item["id"] for item in both["items"]]
    singles = await app.json(f"{path}&include_groups=single")
    assert singles["items"][0]["id"] == new["id"]


@pytest.mark.gen_test
async def test_a_restricted_app_gets_ten_albums_a_page_and_no_group(open_app: OpenApp) -> None:
    app = await open_app()
    artist, records = prolific(app)
    path = f"/artists/{artist}/albums"
    assert len(records) > 20
    assert len((await app.json(path))["items"]) == 5
    assert await app.error(f"{path}?limit=11") == (400, "Invalid limit")
    found, following = [], f"{path}?limit=10"
    while following:
        page = await app.json(following)
        found += page["items"]
        following = page["next"]
    assert {item["id"] for item in found} == {record["id"] for record in records}
    assert len(found) == len(records)
    assert not any("album_group" in item for item in found)


@pytest.mark.gen_test
async def test_albums_that_have_not_changed_cost_no_bytes_until_there_is_a_new_one(
    open_app: OpenApp,
) -> None:
    app = await open_app()
    artist, _ = prolific(app)
    path = f"/artists/{artist}/albums?include_groups=single&limit=10"
    first = (await app.get(path)).headers["Etag"]
    assert (await app.get(path, **{"If-None-Match": first})).code == 304
    await app.login(READ)
    assert (await app.get(path, **{"If-None-Match": first})).code == 304
    app.standin.etags_by_token = True
    second = (await app.get(path)).headers["Etag"]
    assert (await app.get(path, **{"If-None-Match": second})).code == 304
    await app.login(READ)
    assert (await app.get(path, **{"If-None-Match": second})).code == 200
    app.standin.etags_by_token = False
    app.standin.catalogue.release(artist, TODAY, album_type="single")
    assert (await app.get(path, **{"If-None-Match": first})).code == 200


@pytest.mark.gen_test
async def test_a_release_stands_in_the_listing_only_if_it_is_told_to(open_app: OpenApp) -> None:
    app = await open_app()
    catalogue = app.standin.catalogue
    artist = (await followed(app))[0]
    hidden = catalogue.release(artist, TODAY, album_type="single")
    shown = catalogue.release(artist, TODAY, listed=True, album_type="single")
    page = (await app.json("/search?q=tag:new&type=album&limit=10"))["albums"]["items"]
    listed = [item["id"] for item in page]
    assert listed[0] == shown["id"]
    assert hidden["id"] not in listed
    own = await app.json(f"/artists/{artist}/albums?include_groups=single&limit=10")
    assert {hidden["id"], shown["id"]} <= {item["id"] for item in own["items"]}
    assert len({item["id"] for item in own["items"]}) == len(own["items"])
    for album in (hidden, shown):
        assert (await app.json(f"/albums/{album['id']}"))["name"] == album["name"]
        assert (await app.fetch(f"/open/album/{album['id']}")).code == 200


def test_invented_artists_and_their_records_are_the_same_after_a_restart() -> None:
    made = []
    for _ in range(2):
        known = Catalogue(seed=3).discographies
        made.append([known.of(artist) for artist in known.invent(20, TODAY)])
    assert made[0] == made[1]
    days = [record["release_date"] for records in made[0] for record in records]
    assert max(days) <= TODAY.isoformat()
    assert min(days) < "2020"


@pytest.mark.gen_test
async def test_the_listings_artists_have_records_that_the_listing_lacks(open_app: OpenApp) -> None:
    catalogue = Catalogue.generate(today=TODAY)
    listed = {album["id"] for album in catalogue.albums if album}
    app = await open_app(catalogue=catalogue)
    artist = (await followed(app))[0]
    path = f"/artists/{artist}/albums?limit=10"
    assert {item["id"] for item in (await app.json(path))["items"]} <= listed
    catalogue.invent_records(TODAY)
    assert {item["id"] for item in (await app.json(path))["items"]} - listed
    for each in await followed(app):
        await app.json(f"/artists/{each}/albums?limit=10")
    known = [album for each in catalogue.artists() for album in catalogue.discography(each)]
    lacking = [album for album in known if album["id"] not in listed]
    assert any(album["release_date"] > "2026-11-01" for album in lacking)
    restarted = Catalogue.generate(today=TODAY + timedelta(days=1))
    restarted.invent_records(TODAY + timedelta(days=1))
    again = {album["id"]: restarted.album(album["id"]) for album in lacking}
    assert all(catalogue.album(album["id"]) for album in lacking)
    assert all(again[album["id"]] in (album, None) for album in without_group(lacking))
    assert sum(each is not None for each in again.values()) > len(lacking) / 2


# Search for what is new of one artist


async def new_of(app: App, name: str) -> list[str]:
    query = quote(f'tag:new artist:"{name}"')
    page = await app.json(f"/search?q={query}&type=album&limit=10")
    return [item["id"] for item in page["albums"]["items"]]


@pytest.mark.gen_test
async def test_a_search_may_find_what_is_new_of_one_artist_or_nothing_or_everything(
    open_app: OpenApp, clock: Clock
) -> None:
    app = await open_app()
    catalogue = app.standin.catalogue
    catalogue.discographies.add(simplified_artist("n" * 22, "Nightjar Nine"))
    new = catalogue.release("n" * 22, TODAY)["id"]
    assert await new_of(app, "Nightjar Nine") == [new]
    app.standin.artist_search = ArtistSearch.EMPTY
    assert await new_of(app, "Nightjar Nine") == []
    app.standin.artist_search = ArtistSearch.IGNORED
    found = await new_of(app, "Nightjar Nine")
    assert found == [item["id"] for item in catalogue.new(TODAY)][:10]
    assert new not in found
    app.standin.artist_search = ArtistSearch.WORKS
    clock.moment = datetime(2026, 12, 5, tzinfo=UTC)
    await app.login(READ)
    assert await new_of(app, "Nightjar Nine") == []


@pytest.mark.gen_test
async def test_a_search_finds_artists_of_a_similar_name_too(open_app: OpenApp) -> None:
    app = await open_app()
    catalogue = app.standin.catalogue
    for identifier, name in (("n" * 22, "Nightjar"), ("m" * 22, "Nightjar Nine")):
        catalogue.discographies.add(simplified_artist(identifier, name))
    new = {catalogue.release(each, TODAY)["id"] for each in ("n" * 22, "m" * 22)}
    assert set(await new_of(app, "nightjar")) == new


@pytest.mark.gen_test
async def test_a_query_has_at_most_250_characters(open_app: OpenApp) -> None:
    app = await open_app()
    for length, status in ((250, 200), (251, 400)):
        answer = await app.get(f"/search?q={quote('é' * length)}&type=album")
        assert answer.code == status
    message = orjson.loads(answer.body)["error"]["message"]
    assert message == "Query exceeds maximum length"


@pytest.mark.gen_test
async def test_the_stand_in_alone_takes_what_a_search_finds_and_how_lists_change() -> None:
    http = new_client()
    with standin_process("--artist-search", "empty", "--follow-every", "0.01") as address:
        app = App(StandIn(), http)
        app.standin.world.base_url = address
        await app.login(READ)
        everything = await app.json("/search?q=tag:new&type=album&limit=10")
        names = [item["artists"][0]["name"] for item in everything["albums"]["items"] if item]
        assert await new_of(app, names[0]) == []
        first = await followed(app)
        while await followed(app) == first:
            pass
    http.close()
