"""What owners are shown of their artists is counted and sorted by the database alone."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy.orm import Session

from models import ArtistSchedule, Login
from server.database.executor import Database
from server.following import list_store, overview_store, rotation
from server.following.rotation import DAY
from server.storage import artist_checks, following
from server.storage.following import MyArtists

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNTS = ("a", "b", "c")
ARTISTS = [f"artist{number:03}" for number in range(60)]

Run = Callable[..., Any]


@pytest.fixture
def run(database: Database) -> Run:
    """Run a function in a transaction; three accounts have logged in."""

    def run(function: Callable[..., Any], *given: Any) -> Any:
        with Session(database.engine) as session, session.begin():
            return function(session, *given)

    def log_in(session: Session) -> None:
        for name in ACCOUNTS:
            session.add(Login(account_id=name, scopes=[], state="active", authorized_at=NOW))

    run(log_in)
    return run


def fill(run: Run, random: Random) -> None:
    """Let accounts and the server follow, watch and ignore artists, with names known or not."""
    for account in ACCOUNTS:
        listed = [(artist, f"{artist} of {account}") for artist in random.sample(ARTISTS, 20)]
        run(list_store.record_followed, account, listed, NOW)
        run(list_store.record_followed, account, listed[2:], NOW)
    for minute, owner in enumerate((*ACCOUNTS, None) * 2):
        for choice in ("watched", "ignored"):
            names = dict.fromkeys(random.sample(ARTISTS, 8))
            run(following.choose, owner, names, choice, NOW + timedelta(minutes=minute))


def plan(random: Random, artist: str) -> ArtistSchedule:
    """Plan a check in any of the situations between which the rotation decides."""
    failures = random.choice([0, 0, 0, 1, 3, 4, 9])
    return ArtistSchedule(
        artist=artist,
        added_at=NOW - random.uniform(1, 60) * DAY,
        next_check_at=NOW
        + random.choice([-20, -3, -0.1, 0.1, 3, 7.5, 9, 40, 400]) * DAY
        - random.uniform(0, 60) * timedelta(minutes=1),
        checked_at=random.choice([None, NOW - random.uniform(0, 14) * DAY]),
        interval_days=random.choice([0, 1, 2, 4, 7]),
        newest_release=random.choice([None, "2019", "2026-11-06", "2026-08-01", "2027-01"]),
        etags={},
        failures=failures,
        error="Unavailable" if failures else None,
    )


def listed(mine: MyArtists) -> dict[str | None, list[str]]:
    """The artists of an owner by state, each in the order of a list; of all for None."""
    found: dict[str | None, list[str]] = {
        None: list(dict.fromkeys((*mine.followed, *mine.watched, *mine.ignored))),
        "wanted": list(mine.wanted),
        "followed": list(mine.followed),
        "watched": list(mine.watched),
        "ignored": list(mine.ignored),
    }
    return found


@pytest.mark.parametrize("allowed", [(), ("a", "c")])
def test_pages_of_artists_are_those_of_the_whole_list(run: Run, allowed: tuple[str, ...]) -> None:
    fill(run, Random(len(allowed)))
    for owner in ("a", None):
        mine = run(following.read_mine, owner, allowed)
        counts = asdict(run(overview_store.count, owner, allowed))
        counts["wanted"] = run(overview_store.queue, owner, allowed, NOW).mine
        for state, whole in listed(mine).items():
            pages = [
                run(overview_store.page, owner, allowed, state, 7, offset)
                for offset in range(0, len(whole) + 7, 7)
            ]
            found = [each for page in pages for each in page]
            assert counts[state or "every"] == len(whole)
            assert {each.artist for each in found} == set(whole), (owner, state)
            assert len(found) == len(whole)
            followed = [artist for artist in whole if artist in mine.followed]
            if state in (None, "wanted", "followed"):
                assert [each.artist for each in found][: len(followed)] == followed
            for each in found:
                assert each.followed is (each.artist in mine.followed)
                why = [
                    kind for kind in ("watched", "ignored") if each.artist in getattr(mine, kind)
                ]
                assert each.choice == next(iter(why), None)
                if owner is not None:
                    assert each.name == mine.name_of(each.artist)


@pytest.mark.parametrize("seed", range(2))
def test_the_database_finds_the_order_of_the_rotation(run: Run, seed: int) -> None:
    random = Random(seed)
    fill(run, random)
    run(lambda session: session.add_all(plan(random, artist) for artist in ARTISTS[5:]))
    known = run(artist_checks.read_schedules, run(following.wanted))
    waiting, order = dict(known), []
    while (found := rotation.most_urgent(waiting.values(), NOW)) is not None:
        order.append(found.artist)
        del waiting[found.artist]
    due = len(order)
    order += sorted(waiting, key=lambda each: waiting[each].next_check_at)
    shares = sum(1 / max(each.interval_days, 1) for each in known.values())
    for owner in (*ACCOUNTS, None):
        mine = run(following.read_mine, owner).wanted
        theirs = run(overview_store.queue, owner, (), NOW)
        assert (theirs.planned, theirs.due) == (len(known), due)
        assert theirs.due_a_day == pytest.approx(shares)
        assert theirs.last == max(each.checked_at for each in known.values() if each.checked_at)
        expected = [(each, place) for place, each in enumerate(order) if each in mine]
        assert [(each.artist, each.place) for each in theirs.next] == expected[: rotation.NEXT]
        for turn in theirs.next:
            planned = known[turn.artist]
            assert (turn.checked_at, turn.failures) == (planned.checked_at, planned.failures)
        plans = [known[each] for each in mine if each in known]
        times = [each.checked_at for each in plans if each.checked_at is not None]
        assert (theirs.mine, theirs.checked) == (len(mine), len(times))
        assert theirs.recently == sum(at >= NOW - 7 * DAY for at in times)
        assert theirs.failing == sum(each.error is not None for each in plans)
    assert 10 < due < len(known)
