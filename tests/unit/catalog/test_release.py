"""How a release is described where there is no room for all of it, and what changes matter."""

from typing import Any

import orjson
import pytest

from server.catalog.release import MAX_CREDITS, MAX_NAME_LENGTH, kind_of, significant, summary

SIZES = [(640, "large"), (300, "medium"), (64, "small")]
ALBUM: dict[str, Any] = {
    "name": "Tides",
    "album_type": "single",
    "total_tracks": 1,
    "release_date": "2026-11-20",
    "external_urls": {"spotify": "https://open.spotify.com/album/x"},
    "images": [{"url": f"https://i.scdn.co/{name}", "width": size} for size, name in SIZES],
    "available_markets": ["DE"],
}


def pictures(*widths: int | None) -> list[dict[str, Any]]:
    return [{"url": f"https://i.scdn.co/{width}", "width": width} for width in widths]


@pytest.mark.parametrize(
    ("album_type", "name", "tracks", "kind"),
    [
        ("single", "Tides", 1, "single"),
        ("single", "Tides", 3, "single"),
        ("single", "Tides", None, "single"),
        ("single", "Tides", 4, "ep"),
        ("single", "Tides", 6, "ep"),
        ("single", "Tides", 7, "album"),
        ("single", "Tides EP", 2, "ep"),
        ("single", "Tides - EP", 8, "ep"),
        ("single", "EP2", None, "ep"),
        ("single", "EP 2 (Deluxe)", 1, "ep"),
        ("single", "The Three E.P.", 1, "ep"),
        ("single", "midnight ep", 1, "ep"),
        ("single", "Tides (Ep)", 1, "ep"),
        ("single", "Ep. 12: The Sea", 1, "single"),
        ("single", "KEEP", 1, "single"),
        ("single", "EPIC", 1, "single"),
        ("single", "E.P.I.C.", 1, "single"),
        ("single", "R.E.P.", 1, "single"),
        ("album", "Tides EP", 5, "album"),
        ("compilation", "Tides", 5, "compilation"),
        ("ep", "Tides", 12, "ep"),
        ("audiobook", "Tides", 12, "audiobook"),
        (None, "Tides EP", 5, None),
    ],
)
def test_a_single_is_the_kind_that_people_know_it_by(
    album_type: str | None, name: str, tracks: int | None, kind: str | None
) -> None:
    assert kind_of(album_type, name, tracks) == kind


def test_a_summary_has_what_a_notification_shows() -> None:
    assert summary(ALBUM, [("a1", "Mara"), ("a2", "Oskar")]) == {
        "name": "Tides",
        "artists": [{"spotify_id": "a1", "name": "Mara"}, {"spotify_id": "a2", "name": "Oskar"}],
        "kind": "single",
        "release_date": "2026-11-20",
        "url": "https://open.spotify.com/album/x",
        "image": "https://i.scdn.co/medium",
    }


@pytest.mark.parametrize(
    ("widths", "chosen"),
    [
        ((640, 300, 64), 300),
        ((640, 320, 250, 160), 250),
        ((640, 64), 640),
        ((64, 32), 64),
        ((None,), None),
        ((300, None), 300),
    ],
)
def test_the_cover_is_about_300_pixels_wide_or_else_the_widest(
    widths: tuple[int | None, ...], chosen: int | None
) -> None:
    told = summary({**ALBUM, "images": pictures(*widths)}, [])
    assert told["image"] == f"https://i.scdn.co/{chosen}"


def test_what_is_unknown_is_null() -> None:
    bare = {**ALBUM, "album_type": None, "release_date": None, "external_urls": {}, "images": []}
    assert summary(bare, []) == {
        "name": "Tides",
        "artists": [],
        "kind": None,
        "release_date": None,
        "url": None,
        "image": None,
    }


def test_a_summary_is_small_whatever_a_release_holds() -> None:
    address = "https://open.spotify.com/" + "x" * 100_000
    vast = {
        **ALBUM,
        "name": "夜" * 100_000,
        "external_urls": {"spotify": address},
        "images": [{"url": address, "width": 300}, *pictures(64)],
    }
    told = summary(vast, [(f"artist{number:016}", "♫" * 5000) for number in range(300)])
    assert len(told["artists"]) == MAX_CREDITS
    assert told["name"] == "夜" * (MAX_NAME_LENGTH - 1) + "…"
    assert {len(each["name"]) for each in told["artists"]} == {MAX_NAME_LENGTH}
    assert told["url"] is None, "half an address leads nowhere"
    assert told["image"] == "https://i.scdn.co/64"
    assert len(orjson.dumps(told)) < 16_000


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Tides (Deluxe)"},
        {"album_type": "ep"},
        {"total_tracks": 2},
        {"release_date": "2026-11-27"},
        {"external_urls": {"spotify": "https://open.spotify.com/album/y"}},
        {"images": pictures(640)},
    ],
)
def test_what_feeds_show_is_significant(change: dict[str, Any]) -> None:
    assert significant({**ALBUM, **change}, ["a1"]) != significant(ALBUM, ["a1"])


def test_the_credits_and_their_order_are_significant() -> None:
    assert significant(ALBUM, ["a1", "a2"]) != significant(ALBUM, ["a2", "a1"])
    assert significant(ALBUM, ["a1"]) != significant(ALBUM, [])
    assert significant(ALBUM, None) == significant(ALBUM, [])


@pytest.mark.parametrize(
    "change",
    [
        {"available_markets": ["DE", "SE"]},
        {"uri": "spotify:album:y"},
        {"href": "https://api.spotify.com/v1/albums/y"},
        {"external_urls": {**ALBUM["external_urls"], "other": "https://x.example/"}},
        {"images": ALBUM["images"][:1]},
    ],
)
def test_what_feeds_do_not_show_is_not(change: dict[str, Any]) -> None:
    assert significant({**ALBUM, **change}, ["a1"]) == significant(ALBUM, ["a1"])


@pytest.mark.parametrize(
    "odd",
    [
        {"images": None},
        {"images": {}},
        {"images": [1, None, {}, {"url": 2}, {"url": "https://x.example/", "width": "wide"}]},
        {"external_urls": None},
        {"external_urls": []},
        {"external_urls": {"spotify": 1}},
    ],
)
def test_a_row_of_any_json_is_described_without_what_cannot_be_used(odd: dict[str, Any]) -> None:
    told = summary({**ALBUM, **odd}, [])
    assert told["image" if "images" in odd else "url"] is None
    assert significant({**ALBUM, **odd}, []) != significant(ALBUM, [])
