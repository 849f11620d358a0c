"""All that clients can make a process keep, at its bound at the same time, fits into MEMORY_MB."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from server.config.memory_budget import DEFAULT, DEFAULT_MB
from server.database.engine import make_engine
from server.login import key_store
from server.serving.streams.broadcast import LISTENER_BYTES
from server.spotify.list_parser import parse_items
from server.standin import Catalogue
from server.storage import following, sweeps
from server.storage.releases import write_releases
from tests.bench.http.process import resident
from tests.support.examples import album, artist, spotify_id, sweep
from tests.support.server_processes import Server, environment
from tests.system.faults.fill import Filler

RELEASES = 500
PROLIFIC, EACH = 60, 40  # artists, and releases of each: more than lists of 50 artists may read
KINDS = "album", "single", "compilation"
WATCHED = 10_000  # artists, most of which have no release here
KEY = "fr_" + 43 * "k"
AFTERWARDS = 1.1  # of what it takes with full caches, which are meant to be kept


def most_resident(pid: int) -> float:
    """Megabytes of memory at the most so far, however short that was (Linux, proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


@pytest.fixture
def filled(database_url: URL) -> URL:
    """A database with a catalogue that has been listed for two months."""
    engine = make_engine(database_url)
    now = datetime.now(UTC)
    albums = Catalogue.generate(today=date.today(), size=RELEASES, quirks=False).albums
    theirs = [
        album(number, artists=[artist(number % PROLIFIC)], album_type=KINDS[number % len(KINDS)])
        for number in range(PROLIFIC * EACH)
    ]
    with Session(engine) as session, session.begin():
        write_releases(session, parse_items(theirs).releases, now)
        sweeps.record_sweep(session, sweep(albums), now, lambda: now)
        session.execute(text("UPDATE listings SET since = now() - interval '60 days'"))
        key_store.insert(session, None, "reader", ["read"], KEY, KEY[:7], now)
        watched = [spotify_id("artist", number) for number in range(WATCHED)]
        following.choose(session, None, dict.fromkeys(watched), "watched", now)
    engine.dispose()
    return database_url


@pytest.mark.slow
@pytest.mark.usefixtures("descriptors")
def test_every_owner_of_memory_is_filled_to_its_bound_and_the_process_stays_within_its_setting(
    run: Callable[..., Server], filled: URL, long: bool
) -> None:
    env = environment(filled, SYNC_INTERVAL="0", ACCESS_LOG="off", CACHE_TTL="3600")
    server = run(env=env, fresh=True)
    server.event("server_started")
    pid, filler = server.process.pid, Filler(server.port)
    assert server.get("/api/docs/")[0] == 200
    figures: dict[str, float] = {}
    began = time.monotonic()

    def note(what: str) -> None:
        figures[what] = resident(pid)
        print(f"{what}: {figures[what]:.1f} MB, {time.monotonic() - began:.1f} s", flush=True)

    note("before")
    filler.queries(60)
    note("queries")
    if long:
        filler.small_queries(12_000)
        note("small queries")
    filler.spellings()
    note("spellings")
    filler.past_days(10, date.today())
    note("past days")
    filler.artists(60 if long else 10, 3000 if long else 10, PROLIFIC)
    note("lists of artists")
    filler.mine(KEY)
    note("an owner")
    filler.heads()
    note("heads")
    streams = filler.listeners()
    note(f"{streams} streams")
    filler.unread(
        200,
        lambda number: (
            f"/api/artists/?limit=500&offset=1&released_before=2100-01-{1 + number % 28:02}"
        ),
    )
    note("unread")
    filler.bodies(500)
    time.sleep(3)
    note("bodies")
    engine = make_engine(filled)
    with engine.connect() as other:
        other.execute(text("LOCK TABLE changes"))
        refused = filler.waiting()
        note(f"waiting, and {refused} refused")
        filler.idle(12_000 if long else 3000)
        note("idle")
    filler.leave()
    for _ in range(2):  # what was asked for most is made again once
        with engine.begin() as other:
            other.execute(text("NOTIFY freshet_synced, 'another'"))
        time.sleep(1)
    engine.dispose()
    deadline = time.monotonic() + 12  # memory is given back every five seconds
    most_after = AFTERWARDS * figures["an owner"]  # when all caches were full
    while resident(pid) > most_after and time.monotonic() < deadline:
        time.sleep(0.2)
    note("after")
    peak = most_resident(pid)
    print(f"at most {peak:.1f} MB")
    assert streams == DEFAULT.listeners // LISTENER_BYTES
    assert refused == 10
    assert peak <= DEFAULT_MB
    assert figures["after"] <= most_after
    assert server.get("/api/artists/")[0] == 200
