"""What the parts of a server do with a catalogue: each is measured by itself, without HTTP."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Change, FollowedArtist, Listing
from server.catalog.query import AlbumsQuery, ArtistsQuery, Portion, ReleaseQuery
from server.catalog.snapshot import Snapshot
from server.following import rotation
from server.spotify.list_parser import parse_items
from server.storage import (
    artist_checks,
    artists,
    changes,
    following,
    freshness,
    listings,
    lookups,
    my_releases,
    retention,
    snapshots,
    sweeps,
    sync_runs,
)
from server.storage.artist_checks import Check
from server.storage.lookups import LARGEST_ID
from server.storage.reading.pages import read_page
from tests.bench.catalogue import releases
from tests.bench.scale_data import ACCOUNT
from tests.bench.scale_work import PAGE, SAMPLES, Part, Prepare, Samples, Work, now, position
from tests.support.examples import sweep

DELETED = 50  # releases by a round of retention
ARTISTS = ArtistsQuery(limit=PAGE)
KEEP = timedelta(days=3000)  # longer than any catalogue goes back
ZONES = (  # in which a day begins when it does in UTC, so that each has a list of its own
    *("UTC", "Europe/London", "Europe/Lisbon", "Europe/Dublin", "Atlantic/Canary"),
    *("Atlantic/Faroe", "Atlantic/Madeira", "Atlantic/Reykjavik", "Atlantic/St_Helena"),
    *(f"Africa/{city}" for city in ("Abidjan", "Accra", "Bamako", "Banjul", "Dakar", "Lome")),
    "America/Danmarkshavn",
)


def listed(session: Session, count: int) -> list[dict[str, Any]]:
    """Return the newest releases of the open list as Spotify would list them."""
    fields = ("name", "album_type", "release_date", "release_date_precision", "total_tracks")
    common = ("uri", "href", "external_urls")
    is_open = select(Listing.album_id).where(Listing.until.is_(None))
    newest = select(Album).where(Album.id.in_(is_open)).order_by(Album.created_at.desc(), Album.id)
    rows = session.scalars(newest.limit(count)).all()
    credited: dict[int, list[dict[str, Any]]] = {}
    credit = select(AlbumArtist.album_id, Artist).join(Artist).order_by(AlbumArtist.position)
    theirs = credit.where(AlbumArtist.album_id.in_([row.id for row in rows]))
    for album, artist in session.execute(theirs):
        named = {name: getattr(artist, name) for name in ("name", *common)}
        credited.setdefault(album, []).append({"id": artist.spotify_id, **named})
    return [
        {
            "id": row.spotify_id,
            **{name: getattr(row, name) for name in (*fields, *common, "images")},
            "available_markets": row.available_markets,
            "artists": credited[row.id],
        }
        for row in rows
    ]


def sync(count: int) -> Prepare:
    """A sync that brings a tenth of new releases and a hundredth of changed ones."""

    def prepare(session: Session, chosen: Samples, number: int) -> Work:
        before = listed(session, count)[: count - count // 10]
        for item in before[:: max(count // 100, 1)][: count // 100]:
            item["total_tracks"] = (item["total_tracks"] or 0) + 1
        fresh = releases(count // 10, first=10_000 * (count + number))
        given = sweep([*fresh, *before])
        return lambda session: sweeps.record_sweep(session, given, now(), now)

    return prepare


def expire(session: Session, chosen: Samples, number: int) -> Work:
    """One batch of retention: DELETED releases are due, and a batch of the journal."""
    due = now() - KEEP - timedelta(days=1)
    albums = select(Album.id).order_by(Album.id).limit(DELETED)
    session.execute(update(Album).where(Album.id.in_(albums)).values(last_seen_at=due))
    entries = select(Change.seq).order_by(Change.seq).limit(retention.BATCH)
    session.execute(update(Change).where(Change.seq.in_(entries)).values(at=due))
    return lambda session: retention.delete_batch(session, now(), KEEP)


def check(session: Session, chosen: Samples, number: int) -> Work:
    """One check of a followed artist that finds a new release beside the known ones."""
    order = select(FollowedArtist.artist).order_by(FollowedArtist.position)
    artist = session.scalars(order.offset(number).limit(1)).one()
    theirs = select(AlbumArtist.album_id).join(Artist).where(Artist.spotify_id == artist)
    name = session.scalars(select(Artist.name).where(Artist.spotify_id == artist)).one()
    fresh, _ = releases(2, first=90_000_000 + 10 * number)
    fresh["artists"] = [{"id": artist, "name": name}]
    known = session.scalars(select(Album.spotify_id).where(Album.id.in_(theirs))).all()
    items = [fresh, *({"id": each, "name": "", "artists": [fresh["artists"][0]]} for each in known)]
    found = Check(artist, "albums", parse_items(items).releases, 2)
    before = artist_checks.read_schedules(session, [artist])[artist]
    return lambda session: artist_checks.record_check(
        session, found, before, now, rotation.after_check
    )


def close(session: Session, chosen: Samples, number: int) -> Work:
    wanted = list(following.wanted(session))
    return lambda session: artist_checks.close_listings(session, wanted, now())


def plans(session: Session) -> object:
    return artist_checks.plan_checks(session, list(following.wanted(session)), now())


def state(session: Session) -> object:
    """What a process reads every ten seconds to know what the others have done."""
    days = sync_runs.read_days(session, now())
    return sync_runs.load_history(session, ""), days, changes.read(session, LARGEST_ID, 100)


def always(work: Work) -> Prepare:
    return lambda _session, _chosen, _number: work


def of_artist(read: Callable[[Session, str], object]) -> Prepare:
    def prepare(session: Session, chosen: Samples, number: int) -> Work:
        return lambda session: read(session, chosen.artists[number % SAMPLES])

    return prepare


def at(session: Session, chosen: Samples, number: int) -> Work:
    portion = Portion(chosen.day, ZONES[number % len(ZONES)])
    return lambda session: snapshots.load_portion(session, portion, now().date())


def one_album(session: Session, chosen: Samples, number: int) -> Work:
    return lambda session: lookups.read_album(session, chosen.albums[number % SAMPLES])


def page(query: ReleaseQuery, *, deep: bool) -> Prepare:
    """A page of everything kept: the first one, or one from the middle."""

    def prepare(session: Session, chosen: Samples, number: int) -> Work:
        at = position(session, query, chosen.albums[number % SAMPLES]) if deep else None
        return lambda session: read_page(session, query, at, now().date(), PAGE)

    return prepare


def named(session: Session, chosen: Samples, number: int) -> Work:
    query = AlbumsQuery(q=chosen.names[number % SAMPLES], limit=PAGE)
    return page(query, deep=False)(session, chosen, number)


def journal(place: int) -> Prepare:
    def prepare(session: Session, chosen: Samples, number: int) -> Work:
        return lambda session: changes.read(session, chosen.journal[place], 100)

    return prepare


def states_of_mine(session: Session, chosen: Samples, number: int) -> Work:
    mine = list(following.read_mine(session, ACCOUNT).wanted)
    return lambda session: my_releases.check_states(session, mine)


def by_sort(sort: Any) -> AlbumsQuery:
    return AlbumsQuery(sort=sort, limit=PAGE)


def snapshot(session: Session) -> Snapshot:
    return snapshots.load(session, now().date())


READS: Sequence[Part] = (
    Part("snapshot", always(snapshot)),
    Part("snapshot, 1 000 releases of it", always(snapshot), each=True),
    Part("freshness", always(freshness.read)),
    Part("state of syncs, read every 10 s", always(state)),
    Part("at=, releases listed on a past day", at),
    Part("at=, 1 000 releases of them", at, each=True),
    Part(
        "artist=, 5 releases",
        of_artist(
            lambda session, artist: snapshots.load_portion(
                session, Portion(artists=(artist,)), now().date()
            )
        ),
    ),
    Part("one artist, 5 releases", of_artist(lookups.read_artist)),
    Part("one release with its history", one_album),
    *(
        Part(f"page of 100 releases, {where}, sort={sort}", page(by_sort(sort), deep=deep))
        for sort in ("-released", "-seen", "name")
        for where, deep in (("first", False), ("deep", True))
    ),
    Part("page of 100 EPs, deep", page(AlbumsQuery(kind=("ep",), limit=PAGE), deep=True)),
    *(
        Part(f"page of 100 artists, {where}{per}", page(ARTISTS, deep=where == "deep"), each)
        for where in ("first", "deep")
        for per, each in (("", False), (", 1 000 releases", True))
    ),
    Part("q= with the name of a release long past", named),
    Part("changes, from the beginning", journal(0)),
    Part("changes, from the middle", journal(1)),
    Part("changes, at the end", journal(2)),
    Part(
        "my releases, 100 artists followed",
        always(lambda session: my_releases.load(session, ACCOUNT, now().date())),
    ),
    Part("when my artists are checked", states_of_mine),
    Part("plans of the checks of all owners", always(plans)),
    Part("artists without details", always(lambda session: artists.due(session, now(), 50))),
    Part("releases to try the search with", always(lambda s: listings.newest_listed(s, now(), 5))),
)
WRITES: Sequence[Part] = (
    Part("sync of 1 000 releases", sync(1000)),
    Part("sync of 100 releases", sync(100)),
    Part("check of one artist", check),
    Part("closing the lists of checks", close),
    Part("retention, one batch", expire),
)
