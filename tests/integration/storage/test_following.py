"""Followed and chosen artists in the database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import FollowedArtist, Login
from server.database.executor import Database
from server.following import list_store
from server.spotify.auth import token_store
from server.storage import following

NOW = datetime(2026, 11, 20, 5, tzinfo=UTC)

Run = Callable[..., Any]


@pytest.fixture
def run(database: Database) -> Run:
    """Run a function of `following` in a transaction; the accounts `a` and `b` have logged in."""
    with Session(database.engine) as session, session.begin():
        for name in "ab":
            session.add(Login(account_id=name, scopes=[], state="active", authorized_at=NOW))

    def run(function: Callable[..., Any], *args: Any) -> Any:
        with Session(database.engine) as session, session.begin():
            return function(session, *args)

    return run


def test_a_list_is_stored_in_its_order_and_those_who_left_it_are_marked(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi"), ("y", "Yo"), ("z", "Zed")], NOW)
    later = NOW + timedelta(days=1)
    run(list_store.record_followed, "a", [("z", "Zed"), ("x", "Xi!")], later)
    assert run(following.read_mine, "a").followed == {"z": "Zed", "x": "Xi!"}
    assert list(run(following.read_mine, "a").followed) == ["z", "x"]
    left = run(lambda session: session.get(FollowedArtist, ("a", "y")).unfollowed_at)
    assert left == later
    run(list_store.record_followed, "a", [("y", "Yo")], later)
    first, again = run(
        lambda session: session.execute(
            select(FollowedArtist.followed_at, FollowedArtist.unfollowed_at).where(
                FollowedArtist.artist == "y"
            )
        ).one()
    )
    assert (first, again) == (NOW, None)


def test_an_empty_list_marks_everybody_as_unfollowed(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi")], NOW)
    run(list_store.record_followed, "a", [], NOW)
    assert run(following.read_mine, "a").followed == {}
    assert run(following.list_state, "a").read_at == NOW


def test_artists_that_were_unfollowed_long_ago_are_forgotten(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi"), ("y", "Yo")], NOW)
    assert run(list_store.record_followed, "a", [("x", "Xi")], NOW) == 1
    assert run(list_store.record_followed, "a", [("x", "Xi")], NOW + timedelta(days=89)) == 0
    stored = select(FollowedArtist.artist).order_by("artist")
    assert run(lambda session: session.scalars(stored).all()) == ["x", "y"]
    run(list_store.record_followed, "a", [("x", "Xi")], NOW + timedelta(days=91))
    assert run(lambda session: session.scalars(stored).all()) == ["x"]


def test_a_list_read_in_part_adds_artists_and_marks_nobody_as_unfollowed(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi"), ("y", "Yo")], NOW)
    run(list_store.record_failure, "a", "502", NOW + timedelta(hours=1), [("z", "Zed")])
    assert set(run(following.read_mine, "a").followed) == {"x", "y", "z"}
    assert run(following.list_state, "a").read_at == NOW


def test_nothing_is_stored_for_an_account_that_was_disconnected_meanwhile(run: Run) -> None:
    run(token_store.delete_login, "a")
    assert run(list_store.record_followed, "a", [("x", "Xi")], NOW) == 0
    run(list_store.record_failure, "a", "502", NOW, [("x", "Xi")])
    assert run(following.choose, "a", {"x": None}, "watched", NOW) == 0
    assert run(following.wanted) == {}


def test_lists_can_be_forgotten_while_choices_stay(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi")], NOW)
    run(following.choose, "a", {"y": "Yo"}, "watched", NOW)
    assert run(list_store.forget_followed)
    assert run(following.wanted) == {"y": "Yo"}
    assert run(following.list_state, "a").read_at is None
    assert not run(list_store.forget_followed)


def test_a_list_that_cannot_be_read_stays_as_it_was(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi")], NOW)
    run(list_store.record_failure, "a", "502", NOW + timedelta(hours=1))
    state = run(following.list_state, "a")
    assert (state.read_at, state.tried_at, state.error) == (NOW, NOW + timedelta(hours=1), "502")
    assert run(following.read_mine, "a").wanted == {"x": "Xi"}


def test_a_choice_replaces_the_other_and_can_be_taken_back(run: Run) -> None:
    assert run(following.choose, "a", {"x": "Xi", "y": None}, "watched", NOW) == 2
    assert run(following.choose, "a", {"x": None}, "watched", NOW) == 0
    assert run(following.choose, "a", {"x": None}, "ignored", NOW) == 1
    mine = run(following.read_mine, "a")
    assert (mine.watched, mine.ignored, mine.wanted) == ({"y": None}, {"x": "Xi"}, {"y": None})
    assert run(following.unchoose, "a", ["x", "y"], "ignored") == 1
    assert run(following.read_mine, "a").ignored == {}


def test_an_ignored_artist_is_not_wanted_though_the_account_follows_it(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi"), ("y", "Yo")], NOW)
    run(following.choose, "a", {"x": None}, "ignored", NOW)
    assert run(following.read_mine, "a").wanted == {"y": "Yo"}
    assert run(following.wanted) == {"y": "Yo"}


def test_the_servers_choices_count_for_every_account_but_an_accounts_own_win(run: Run) -> None:
    run(following.choose, None, {"x": "Xi", "y": "Yo"}, "watched", NOW)
    run(following.choose, "a", {"x": None}, "ignored", NOW - timedelta(days=1))
    assert set(run(following.read_mine, "a").wanted) == {"y"}
    assert set(run(following.read_mine, "b").wanted) == {"x", "y"}
    assert set(run(following.wanted)) == {"x", "y"}


def test_one_account_does_not_see_anothers_artists(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi")], NOW)
    run(following.choose, "b", {"y": "Yo"}, "watched", NOW)
    assert set(run(following.read_mine, "a").wanted) == {"x"}
    assert set(run(following.read_mine, "b").wanted) == {"y"}
    assert set(run(following.read_mine, None).wanted) == {"x", "y"}


def test_what_one_account_ignores_stays_wanted_by_another_that_follows_it(run: Run) -> None:
    for account in ("a", "b"):
        run(list_store.record_followed, account, [("x", "Xi"), ("y", "Yo")], NOW)
    run(following.choose, "a", {"x": None, "y": None}, "ignored", NOW)
    run(following.choose, "b", {"y": None}, "ignored", NOW)
    assert run(following.wanted) == {"x": "Xi"}
    everybodys = run(following.read_mine, None)
    assert (everybodys.wanted, set(everybodys.ignored)) == ({"x": "Xi"}, {"y"})


def test_what_the_server_ignores_is_wanted_by_an_account_that_watches_it(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi"), ("y", "Yo")], NOW)
    run(following.choose, None, {"x": None, "y": None}, "ignored", NOW)
    assert run(following.wanted) == {}
    run(following.choose, "a", {"x": None}, "watched", NOW - timedelta(days=1))
    assert run(following.wanted) == {"x": "Xi"}
    assert run(following.read_mine, "a").wanted == {"x": "Xi"}
    assert run(following.read_mine, following.SERVER_ALONE).ignored == {"x": None, "y": None}


def test_the_latest_choice_comes_first_whoever_made_it(run: Run) -> None:
    run(following.choose, "a", {"x": None}, "watched", NOW)
    run(following.choose, None, {"y": None}, "watched", NOW + timedelta(days=1))
    assert list(run(following.read_mine, "a").watched) == ["y", "x"]
    assert list(run(following.read_mine, None).watched) == ["y", "x"]


def test_after_a_disconnect_everything_of_the_account_is_gone_and_no_other(run: Run) -> None:
    for account in ("a", "b"):
        run(list_store.record_followed, account, [("x", "Xi")], NOW)
        run(following.choose, account, {"y": "Yo"}, "watched", NOW)
    run(following.choose, None, {"z": "Zed"}, "watched", NOW)
    run(token_store.delete_login, "a")
    assert set(run(following.read_mine, "a").wanted) == {"z"}
    assert set(run(following.read_mine, "b").wanted) == {"x", "y", "z"}
    assert run(following.list_state, "a").read_at is None


def test_what_an_account_wants_that_may_not_log_in_is_not_wanted_meanwhile(run: Run) -> None:
    for account, artist in (("a", "x"), ("b", "y")):
        run(list_store.record_followed, account, [(artist, artist.upper())], NOW)
        run(following.choose, account, {f"{artist}2": None}, "watched", NOW)
    run(following.choose, "a", {"y": None}, "ignored", NOW)
    run(following.choose, None, {"z": None}, "watched", NOW)
    assert set(run(following.wanted, ["b"])) == {"y", "y2", "z"}
    mine = run(following.read_mine, None, ["b"])
    assert (set(mine.wanted), mine.ignored) == ({"y", "y2", "z"}, {})
    assert set(run(following.wanted, ["a", "b"])) == {"x", "x2", "y", "y2", "z"}


def test_any_name_of_an_artist_is_better_than_none(run: Run) -> None:
    run(list_store.record_followed, "a", [("x", "Xi")], NOW)
    for account, name in (("a", None), ("b", "Xi of b"), (None, None)):
        run(following.choose, account, {"x": name}, "watched", NOW)
    mine, everybodys = run(following.read_mine, "a"), run(following.read_mine, None)
    assert (mine.wanted, mine.name_of("x"), mine.name_of("y")) == ({"x": "Xi"}, "Xi", None)
    assert everybodys.watched == {"x": "Xi of b"}


def test_without_any_account_the_servers_choices_are_wanted(run: Run) -> None:
    run(following.choose, None, {"z": "Zed"}, "watched", NOW)
    run(token_store.delete_login, "a")
    run(token_store.delete_login, "b")
    assert run(following.wanted) == {"z": "Zed"}


def test_ten_thousand_artists_are_stored_in_constantly_many_statements(run: Run) -> None:
    many = [(f"{number:022}", f"Artist {number}") for number in range(10_000)]
    run(list_store.record_followed, "a", many, NOW)
    assert list(run(following.read_mine, "a").followed.items()) == many
    run(list_store.record_followed, "a", many[1:], NOW)
    run(following.choose, "a", dict(many[:5]), "ignored", NOW)
    run(following.choose, None, {"watched": None}, "watched", NOW)
    assert run(following.wanted) == {**dict(many[5:]), "watched": None}
