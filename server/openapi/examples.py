"""Example responses for the description of the API; a test validates them. Pure.

Feeds and events are built by the same code as the real ones.
"""

from datetime import datetime
from typing import Any

import orjson

from server import __version__, errors, request_errors
from server.catalog.journal import JournalEntry, JournalReach
from server.catalog.release import Release, summary
from server.login.errors import ForeignOrigin
from server.serving.feeds import FORMATS, Channel

PROBLEM = "application/problem+json"
EVENTS = "/api/events"
KEYS = "/api/my/keys/"
CHOOSING = ("/api/my/import/", "/api/my/watched/{id}/", "/api/my/ignored/{id}/")
ROOT = "http://127.0.0.1:5000"
AT = "2026-11-20T05:00:12Z"
CREDIT = {"spotify_id": "7dGJo4pcD2V6oG8kP0tJRR", "name": "Northern Harbour"}
ALBUM: dict[str, Any] = {
    "id": 91,
    "spotify_id": "1Xyo4u8uXC1ZmMpatF05PJ",
    "type": "album",
    "name": "Feral Machines",
    "uri": "spotify:album:1Xyo4u8uXC1ZmMpatF05PJ",
    "href": "https://api.spotify.com/v1/albums/1Xyo4u8uXC1ZmMpatF05PJ",
    "album_type": "single",
    "kind": "single",
    "total_tracks": 3,
    "images": [
        {"url": "https://i.scdn.co/image/ab67616d0000b273", "height": 640, "width": 640},
        {"url": "https://i.scdn.co/image/ab67616d00001e02", "height": 300, "width": 300},
    ],
    "external_urls": {"spotify": "https://open.spotify.com/album/1Xyo4u8uXC1ZmMpatF05PJ"},
    "release_date": "2026-11-20",
    "release_date_precision": "day",
    "released_on": "2026-11-20",
    "created_at": AT,
    "updated_at": AT,
    "last_seen_at": "2026-11-20T09:30:08Z",
    "various_artists": False,
    "artists": [CREDIT],
}
ARTIST: dict[str, Any] = {
    "id": 17,
    **CREDIT,
    "type": "artist",
    "uri": "spotify:artist:7dGJo4pcD2V6oG8kP0tJRR",
    "href": "https://api.spotify.com/v1/artists/7dGJo4pcD2V6oG8kP0tJRR",
    "external_urls": {"spotify": "https://open.spotify.com/artist/7dGJo4pcD2V6oG8kP0tJRR"},
    "images": [],
    "genres": None,
    "popularity": None,
    "followers": None,
    "created_at": AT,
    "updated_at": AT,
    "latest_album": ALBUM,
    "albums": [ALBUM],
}
LISTED = {"source": "search", "market": None, "position": 4, "since": AT, "until": None}
CHANGE: dict[str, Any] = {
    "seq": 1042,
    "kind": "added",
    "at": AT,
    "album": ALBUM["spotify_id"],
    "release": summary(ALBUM, [(CREDIT["spotify_id"], CREDIT["name"])]),
    "detail": {},
}
ENTRY = JournalEntry.of({**CHANGE, "at": datetime.fromisoformat(AT)})
STATUS: dict[str, Any] = {
    "version": __version__,
    "as_of": AT,
    "last_sync_at": "2026-11-20T09:30:08Z",
    "last_complete_sync_at": "2026-11-20T09:30:08Z",
    "source": "search",
    "stale": False,
    "partial": False,
    "why": "the newest release is on its first page",
    "last_sync": {"at": "2026-11-20T09:30:08Z", "outcome": "complete", "error": None},
    "running": False,
    "next_sync_at": "2026-11-20T10:00:05Z",
    "sync_interval": 3333,
    "newest_release": "2026-11-20",
    "watched_since": "2026-11-01",
    "new_at": AT,
    "stuck": False,
    "sources": [
        {
            "name": "search",
            "verdict": "allowed",
            "reason": None,
            "probed_at": AT,
            "newest": "2026-11-20",
        }
    ],
    "markets": [],
    "quota": [
        {
            "bucket": "/search",
            "used": 190,
            "left": 110,
            "per_day": 300,
            "forecast": 260,
            "refused_at": None,
            "refused_calls": None,
        }
    ],
    "cooldowns": [],
    "login": {
        "state": "none",
        "authorized_at": None,
        "reconsent_by": None,
        "days_to_reconsent": None,
    },
    "following": {"state": "login_missing", "read_at": None, "tried_at": None, "error": None},
}
IMPORT = """\
# My artists
7dGJo4pcD2V6oG8kP0tJRR
spotify:artist:1vCWHaC5f2uS3yhpwWbIA6
https://open.spotify.com/artist/4tZwfgrHOc3mvqYlEYSvVi?si=0a1b2c
Northern Harbour
"""
IMPORTED: dict[str, Any] = {
    "artists": 3,
    "newly_watched": 2,
    "lines_not_understood": 1,
    "not_understood": [
        {"line": 5, "text": "Northern Harbour", "reason": "names no artist by id or address"}
    ],
}
FOLLOWING: dict[str, Any] = {
    "items": [
        {
            **CREDIT,
            "followed": True,
            "choice": None,
            "checked_at": AT,
            "next_check_at": "2026-11-22T05:00:12Z",
            "newest_release": "2026-11-20",
            "error": None,
        }
    ],
    "count": 1,
    "total": 160,
    "limit": 1,
    "offset": 0,
    "href": f"{ROOT}/api/my/following/?limit=1",
    "next": f"{ROOT}/api/my/following/?limit=1&offset=1",
    "previous": None,
    "followed": 158,
    "watched": 2,
    "ignored": 3,
    "wanted": 157,
    "checked": 157,
    "checked_within_a_week": 157,
    "failing": 0,
    "calls_a_day": 80,
    "days_between_checks": 3.9,
    "next_check_at": "2026-11-20T10:03:40Z",
    "spotify_list": {"read_at": AT, "tried_at": AT, "error": None},
}
ERRORS: dict[int, type[errors.FreshetError]] = {
    400: errors.InvalidParameters,
    401: request_errors.LoginRequired,
    403: ForeignOrigin,
    404: errors.NotFound,
    409: request_errors.SyncRunning,
    410: request_errors.JournalOutOfReach,
    414: request_errors.UriTooLong,
    429: request_errors.SyncPaused,
    503: errors.DatabaseUnavailable,
}
ERRORS_OF_KEYS = ERRORS | {
    400: request_errors.InvalidBody,
    409: request_errors.TooManyKeys,
    413: errors.RequestError,
}
ERRORS_OF_ARTISTS = ERRORS | {
    400: request_errors.ImportRefused,
    409: request_errors.TooManyArtists,
}
ERRORS_OF_EVENTS = ERRORS | {
    429: request_errors.TooManyOfOneClient,
    503: request_errors.TooManyListeners,
}
FAULT = {"parameter": "limit", "value": "0", "reason": "must be greater than or equal to 1"}


CURSOR = "eAovqOwWBrIuK9VGjTiCo-MB0ZyoHFsiMjAyNi0xMS0yMCIsMzQsMCwwXQ"


def _page(path: str, item: dict[str, Any]) -> dict[str, Any]:
    about = {"as_of": AT, "source": "search", "stale": False, "partial": False}
    about["place"] = str(ENTRY.place)
    following = f"{ROOT}{path}?limit=1&cursor={CURSOR}"
    links = {"href": f"{ROOT}{path}?limit=1", "next": following, "previous": None}
    return {"items": [item], "count": 1, "total": 34, "limit": 1, "offset": 0, **links, **about}


KEY: dict[str, Any] = {
    "id": 12,
    "name": "feed reader",
    "scopes": ["read"],
    "hint": "fr_4n8X",
    "created_at": AT,
    "last_used_at": None,
}
JSON: dict[str, dict[str, Any]] = {
    "ArtistsPage": _page("/api/artists/", ARTIST),
    "AlbumsPage": _page("/api/albums/", ALBUM),
    "Artist": ARTIST,
    "AlbumWithHistory": {**ALBUM, "available_markets": None, "history": [LISTED]},
    "ChangesPage": {
        "items": [CHANGE],
        "place": str(ENTRY.place),
        "next_after": ENTRY.seq,
        "up_to_date": True,
    },
    "SyncStarted": {"status": "started"},
    "Status": STATUS,
    "KeyWish": {"name": KEY["name"], "scopes": KEY["scopes"]},
    "NewAccessKey": {**KEY, "key": f"{KEY['hint']}{'…' * 39}"},
    "AccessKeys": {"items": [{**KEY, "last_used_at": "2026-11-20T09:30:00Z"}]},
    "Following": FOLLOWING,
    "ImportResult": IMPORTED,
}


def feed(path: str) -> Any:
    """Return a feed with one release: an object for the JSON feed, else text."""
    channel = Channel(f"{ROOT}{path}", f"{ROOT}/", None)
    body = FORMATS[path].write(channel, [Release.of(ALBUM)])
    return orjson.loads(body) if path.endswith(".json") else body.decode().lstrip("\ufeff")


def event() -> str:
    """Return one event of the stream."""
    return ENTRY.event.decode()


def add_problems(paths: dict[str, Any]) -> None:
    """Add an example to every error response in the `paths` of an OpenAPI document."""
    others = {EVENTS: ERRORS_OF_EVENTS, KEYS: ERRORS_OF_KEYS}
    others |= dict.fromkeys(CHOOSING, ERRORS_OF_ARTISTS)
    for path, item in paths.items():
        errors_by_status = others.get(path, ERRORS)
        for status, response in (each for of in item.values() for each in of["responses"].items()):
            if PROBLEM in response.get("content", {}):
                error = errors_by_status[int(status)]
                example = problem(error, int(status), response["description"])
                response["content"][PROBLEM]["example"] = example


def problem(error: type[errors.FreshetError], status: int, detail: str) -> dict[str, Any]:
    """Return the example of an error with this status."""
    members = JournalReach(812, 1042, 811).members if status == 410 else {}
    return {
        "type": f"/problems/{error.kind}",
        "title": error.title,
        "status": status,
        "detail": detail,
        "instance": "urn:request:4a78843f-8271-4dd7-8d40-c1feb5ad826e",
        **({"errors": [FAULT]} if status == 400 else {}),
        **members,
    }
