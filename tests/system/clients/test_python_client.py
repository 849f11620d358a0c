"""A client that a generator makes from the description alone reads every answer."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from icalendar import Calendar

from server.catalog.query import AtomQuery, CalendarQuery, ReleaseQuery, TableQuery
from tests.support.server_processes import Server

PACKAGE = "generated_freshet"
BIN = Path(sys.executable).parent


@pytest.fixture
def generated(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Any]]:
    """Imports modules of a client made from what the running server says of itself."""
    command = [str(BIN / "openapi-python-client"), "generate", "--meta=none"]
    command += [f"--url=http://127.0.0.1:{server.port}/api/openapi.json"]
    command += [f"--output-path={tmp_path / PACKAGE}"]
    made = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": str(BIN)}, timeout=60, check=False
    )
    told = re.findall(r"^WARNING parsing (.*) within", made.stdout + made.stderr, re.MULTILINE)
    assert made.returncode == 0, made.stdout + made.stderr
    left = ["GET /feeds/albums.atom", "GET /feeds/my/albums.atom", "POST /api/my/import/"]
    assert {*told} == {*left}, "XML is left to its bytes, and texts are sent as files"
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    for name in [each for each in sys.modules if each.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def module_of(operation: dict[str, Any]) -> str:
    """As the generator names it: listArtists is in list_artists."""
    name = re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", operation["operationId"])
    return f"api.default.{name}"


def same(read: Any, told: Any) -> bool:
    """Whether a model, as a dict, has all that was sent; times may be written otherwise."""
    written = re.sub(r'(\d\d:\d\d:\d\d)\+00:00"', r'\1Z"', json.dumps(read, sort_keys=True))
    return written == json.dumps(told, sort_keys=True)


def read_csv_feed(text: str) -> int:
    return len(text.splitlines()) - 1


def read_ics_feed(text: str) -> int:
    return len(Calendar.from_ical(text).walk("VEVENT"))


def read_atom_feed(content: bytes) -> int:
    return len(Xml.fromstring(content).findall("{http://www.w3.org/2005/Atom}entry"))


def read_events(client: Any, asked: dict[str, Any]) -> str:
    """The first event of a stream that has no end."""
    with client.get_httpx_client().stream(**asked) as stream:
        assert stream.status_code == 200
        text = ""
        for piece in stream.iter_text():
            text += str(piece)
            if "data: " in text and text.endswith("\n\n"):
                return text
    raise AssertionError(f"the stream ended after {text!r}")


def read_everything(server: Server, generated: Callable[[str], Any], client: Any) -> set[str]:
    """Each GET operation of the description; their ids."""
    document = json.loads(server.get("/api/openapi.json")[2])
    artist = json.loads(server.get("/api/artists/?limit=1")[2])["items"][0]
    arguments = {
        "getArtist": {"id": artist["spotify_id"]},
        "getAlbum": {"spotify_id": artist["latest_album"]["spotify_id"]},
        "streamChanges": {"after": 0},
    }
    watch = generated("api.default.watch_artist")
    assert watch.sync_detailed(artist["spotify_id"], client=client).status_code == 204
    read = set()
    for path, item in document["paths"].items():
        if "get" in item:
            operation = item["get"]
            name, module = operation["operationId"], generated(module_of(operation))
            (kind,) = operation["responses"]["200"]["content"]
            read_one(client, module, path, kind, arguments.get(name, {}))
            read.add(name)
    return read


def read_one(client: Any, module: Any, path: str, kind: str, given: dict[str, Any]) -> None:
    if kind == "text/event-stream":
        event = read_events(client, module._get_kwargs(**given))
        assert json.loads(event.partition("data: ")[2].partition("\n")[0])["seq"] > 0
        return
    answer = module.sync_detailed(client=client, **given)
    assert answer.status_code == 200, path
    assert answer.headers["Content-Type"].partition(";")[0] == kind, path
    if kind.endswith("json"):
        raw = json.loads(answer.content)
        assert same(answer.parsed.to_dict(), raw), path
        assert raw.get("items") != [], path
    elif kind == "application/atom+xml":
        assert is_whole(read_atom_feed(answer.content), path, AtomQuery), path
    elif kind == "text/calendar":
        assert 0 < read_ics_feed(answer.parsed) <= CalendarQuery.usual
    else:
        assert kind == "text/csv"
        assert is_whole(read_csv_feed(answer.parsed), path, TableQuery), path


def is_whole(count: int, path: str, query: type[ReleaseQuery]) -> bool:
    """Whether a feed has as many releases as usual; that of one artist has fewer."""
    return 0 < count <= query.usual if "/my/" in path else count == query.usual


def use_its_types(generated: Callable[[str], Any], client: Any) -> None:
    models = generated("models")
    artists = generated("api.default.list_artists").sync(client=client, limit=3)
    assert isinstance(artists, models.ArtistsPage)
    assert (artists.count, artists.limit, len(artists.items)) == (3, 3, 3)
    assert artists.as_of.utcoffset() == timedelta(0)
    for artist in artists.items:
        assert isinstance(artist.latest_album, models.Album)
        assert artist.latest_album == artist.albums[0]
    status = generated("api.default.get_status").sync(client=client)
    assert {source.name.value for source in status.sources} == {"new-releases", "search"}


def use_its_arguments(server: Server, generated: Callable[[str], Any], client: Any) -> None:
    models = generated("models")
    albums = generated("api.default.list_albums").sync(
        client=client,
        type_=[models.ListAlbumsTypeItem.SINGLE],
        include=["markets"],
        sort=models.ListAlbumsSort.NAME,
    )
    root = f"http://127.0.0.1:{server.port}"
    assert albums.href == f"{root}/api/albums/?type=single&sort=name&include=markets"
    assert {album.album_type for album in albums.items} == {"single"}
    assert "available_markets" in albums.items[0].to_dict()
    one, kind = albums.items[0].artists[0].spotify_id, albums.items[0].kind
    theirs = generated("api.default.list_albums").sync(
        client=client,
        artist=[one],
        kind=[models.ListAlbumsKindItem(kind)],
        days=90,
        tz="Europe/Berlin",
    )
    wanted = f"kind={kind}&artist={one}&days=90&tz=Europe/Berlin"
    assert theirs.href == f"{root}/api/albums/?{wanted}"
    assert {album.kind for album in theirs.items} == {kind}
    refused = generated("api.default.list_changes").sync(client=client, limit=0)
    assert isinstance(refused, models.Problem)
    assert [fault.parameter for fault in refused.errors] == ["limit"]
    unknown = generated("api.default.get_album").sync("x" * 22, client=client)
    assert (unknown.status, unknown.type_) == (404, "/problems/not-found")
    file = generated("types").File(payload=BytesIO(one.encode()), mime_type="text/plain")
    imported = generated("api.default.import_artists").sync(client=client, body=file)
    assert imported.artists == 1
    with generated("client").Client(base_url=root) as stranger:
        refused = generated("api.default.list_keys").sync(client=stranger)
    assert isinstance(refused, models.Problem)
    assert (refused.status, refused.title) == (401, "You are not logged in")


@pytest.mark.slow
def test_a_client_made_from_the_description_reads_every_operation(
    server: Server, key: str, generated: Callable[[str], Any]
) -> None:
    document = json.loads(server.get("/api/openapi.json")[2])
    gets = {item["get"]["operationId"] for item in document["paths"].values() if "get" in item}
    root = f"http://127.0.0.1:{server.port}"
    with generated("client").AuthenticatedClient(base_url=root, token=key) as client:
        assert read_everything(server, generated, client) == gets
        use_its_types(generated, client)
        use_its_arguments(server, generated, client)
    assert len(gets) >= 18
