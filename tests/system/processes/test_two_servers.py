"""Two servers on one database are one to clients and caches: the same bytes, the same ETags."""

import gzip
import time
from collections.abc import Callable

import brotli
from sqlalchemy import URL

from tests.system.processes.conftest import Manage, Server, environment, standin_settings

DECODE: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "identity": bytes,
}
VARIANTS = (
    "/api/artists/",
    "/api/artists/?release_limit=200&sort=name",
    "/api/artists/?limit=5&offset=5&fields=name,spotify_id",
    "/api/artists/?q=a&exclude=versions,various_artists",
    "/api/albums/?type=single,ep&include=markets",
    "/api/changes/?limit=50",
    "/feeds/albums.atom",
    "/feeds/albums.json?limit=7",
    "/feeds/albums.ics?sort=-seen",
    "/feeds/albums.csv?release_limit=100",
    "/api/openapi.json",
    "/api/docs/",
)


def heard_of_the_sync(server: Server, after: str, seconds: float = 10) -> str:
    """Wait until it serves what came in after a moment; when that was."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        moment = server.get("/api/artists/")[1].get("x-last-sync", "")
        if moment > after:
            return moment
        time.sleep(0.05)
    raise AssertionError(f"nothing new after {after or 'the start'}")


def sent_alike(first: Server, second: Server) -> dict[str, str]:
    """The ETags of everything, in each coding, which either has to send as the other does."""
    etags = {}
    for path in VARIANTS:
        bodies = set()
        for coding, decode in DECODE.items():
            one = first.get(path, Accept_Encoding=coding)
            other = second.get(path, Accept_Encoding=coding)
            for answer in (one, other):
                answer[1].pop("date")
            assert one[0] == 200, path
            assert one[1].get("content-encoding", "identity") == coding, path
            assert one == other, f"{path} in {coding}"
            etag = one[1]["etag"]
            for server in (first, second):
                known = server.get(path, Accept_Encoding=coding, If_None_Match=etag)
                assert (known[0], known[1]["etag"], known[2]) == (304, etag, b""), path
            bodies.add(decode(one[2]))
            etags[f"{coding} {path}"] = etag
        assert len(bodies) == 1, path
        assert all(bodies), path
    return etags


def test_two_servers_on_one_database_send_the_same_bytes_and_etags(
    run: Callable[..., Server], manage: Manage, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    env |= {"SYNC_INTERVAL": "0", "PUBLIC_URL": "https://music.example"}
    servers = [run(env=env), run(env=env)]
    for server in servers:
        server.event("server_started")
    assert manage("sync", env=env).returncode == 0
    (moment,) = {heard_of_the_sync(server, "") for server in servers}
    before = sent_alike(*servers)
    time.sleep(1)  # the second in which the next one ends has to be another
    assert manage("sync", env=env).returncode == 0
    for server in servers:
        heard_of_the_sync(server, moment)
    after = sent_alike(*servers)
    same = {name for name in before if before[name] == after[name]}
    assert not [name for name in same if "/api/artists/?release" in name], "all were seen again"
    assert len(same) >= 2 * len(DECODE), "the description has not changed"
