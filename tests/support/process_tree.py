"""The processes of a running server."""

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import brotli

from tests.support.server_processes import Server


def pids(server: Server) -> dict[int, int]:
    """Return the newest process id of each worker number."""
    return {line["process"]: line["pid"] for line in server.events("process_started")}


def warm(server: Server) -> set[int]:
    """Return the processes that have data to serve."""
    return {line["process"] for line in server.events("cache_invalidated") if line["releases"]}


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def descendants(pid: int) -> set[int]:
    """Return a process and its descendants."""
    found = {pid}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found |= descendants(int(entry.name))
    return found


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
    """Wait until the server serves a sync later than `after`; returns its time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        moment = server.get("/api/artists/")[1].get("x-last-sync", "")
        if moment > after:
            return moment
        time.sleep(0.05)
    raise AssertionError(f"nothing new after {after or 'the start'}")


def sent_alike(first: Server, second: Server) -> dict[str, str]:
    """Check that both servers send the same ETags in each coding; returns them."""
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
