"""One state, one message: which condition pages show, for every combination of what is known."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handlers.pages.presenters.condition import NO_RETRY, RETRY, Condition, condition_of
from server.catalog.snapshot import Freshness
from server.standin import Answer
from server.storage.sync_runs import SyncHistory
from server.sync.status import Status
from server.sync.upstream_status import Bucket
from tests.support.examples import albums
from tests.support.login_browser import SetStage, read_page
from tests.support.outline import Outline
from tests.support.sync_rig import NEW_RELEASES, SEARCH
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=9)
BEFORE = {"unread": None, "empty": Freshness()}
AFTER = {
    f"{partial=} {stuck=}": Freshness(
        synced_at=NOW, complete_at=NOW, new_at=OLD if stuck else NOW, partial=partial
    )
    for partial, stuck in itertools.product((False, True), repeat=2)
}
LAST = {
    "none": SyncHistory({}),
    **{
        outcome: SyncHistory({}, finished_at=NOW, outcome=outcome)
        for outcome in ("complete", "partial", "failed")
    },
}
FLAGS = list(itertools.product((False, True), repeat=3))


def expected(
    freshness: Freshness | None, outcome: str, stale: bool, running: bool, scheduled: bool
) -> str:
    """Return the kind by the order of importance."""
    if freshness is None:
        return "unread"
    if freshness.synced_at is None:
        if outcome == "failed":
            return "first_failed"
        return "waiting" if running or scheduled else "idle"
    rules = {
        "stale": stale,
        "failed": outcome == "failed",
        "stuck": freshness.new_at == OLD,
        "partial": freshness.partial,
    }
    return next((kind for kind, holds in rules.items() if holds), "fine")


@pytest.mark.parametrize("outcome", LAST)
@pytest.mark.parametrize("known", [*BEFORE, *AFTER])
def test_every_combination_has_one_condition_and_one_message(known: str, outcome: str) -> None:
    freshness = {**BEFORE, **AFTER}[known]
    for stale, running, scheduled in FLAGS:
        status = Status(
            now=NOW,
            is_loaded=freshness is not None,
            freshness=freshness or Freshness(),
            history=LAST[outcome],
            is_stale=stale,
            is_syncing=running,
            interval=1800 if scheduled else 0,
        )
        found = condition_of(status)
        assert found.kind == expected(freshness, outcome, stale, running, scheduled)
        assert found.empty is (freshness is None or freshness.synced_at is None)
        assert bool(found.text) is (found.kind != "fine")
        assert bool(found.heading) is found.empty
        promised = RETRY in found.text or NO_RETRY in found.text
        assert promised is (found.kind in ("first_failed", "stale", "failed", "partial"))
        assert (RETRY in found.text) <= scheduled, "no retry is promised where none will come"
        assert ("Fetching" in found.heading) <= running


def test_old_data_names_the_moment_of_the_last_complete_sync() -> None:
    never = Freshness(synced_at=NOW, partial=True)
    for freshness, words in (
        (AFTER["partial=True stuck=False"], "since 20 November 2026, 05:00 UTC."),
        (never, "no sync has completed yet."),
    ):
        found = condition_of(
            Status(now=NOW, is_loaded=True, freshness=freshness, is_stale=True, interval=1800)
        )
        assert words in found.text


def test_a_pause_that_spotify_has_asked_for_is_told_with_its_end_and_nothing_has_to_be_done() -> (
    None
):
    fresh = replace(AFTER["partial=True stuck=False"], source="search")
    paused = Bucket("/search", 9, 0, 80, 9, NOW + timedelta(hours=2), "429")
    other = replace(paused, name="/artists/{id}/albums", paused_until=NOW + timedelta(hours=9))
    asked = "Calls to Spotify pause until 20 November 2026, 07:00 UTC"
    for interval, text in (
        (1800, f"{asked}; Freshet will continue automatically then."),
        (0, f"{asked}; scheduled syncs are off."),
    ):
        for history, stale in (
            (LAST["failed"], True),
            (LAST["failed"], False),
            (LAST["none"], False),
        ):
            status = Status(
                now=NOW,
                is_loaded=True,
                freshness=fresh,
                history=history,
                is_stale=stale,
                interval=interval,
                buckets=(paused, other),
            )
            assert condition_of(status).text.endswith(f". {text}")
            assert "doctor" in condition_of(replace(status, buckets=(other,))).text
    standing = replace(status, freshness=Freshness(), history=LAST["failed"])
    assert condition_of(standing).text.endswith(text), "before the first sync any source counts"


def messages(page: str) -> list[str | None]:
    """The kinds of the messages on a page, and notes that are none of them."""
    shown = [each for tag, each in Outline(page.replace("/>", ">")).seen if tag in ("p", "section")]
    return [
        each.get("data-condition")
        for each in shown
        if "data-condition" in each
        or (each.get("class") == "note" and each.get("aria-labelledby") != "waiting")
    ]


@pytest.mark.gen_test
async def test_both_pages_show_the_same_one_message_from_the_first_start_on(
    set_stage: SetStage, start_standin: object, clock: object
) -> None:
    standin = start_standin(albums(3), clock=clock)  # type: ignore[operator]
    standin.misbehave("502", times=None)
    stage = await set_stage(standin, sync_interval=1800)
    browser, syncer, upstream_status = (
        stage.browser(),
        stage.freshet.syncer,
        stage.freshet.upstream_status,
    )

    async def both() -> str | None:
        told = {(path, *messages(read_page(await browser.get(path)))) for path in ("/", "/status")}
        kinds = {each[1:] for each in told}
        assert len(kinds) == 1, told
        (kind,) = kinds
        assert len(kind) <= 1, told
        return kind[0] if kind else None

    await until(lambda: upstream_status.history.outcome == "failed")
    assert await both() == "first_failed"
    page = read_page(await browser.get("/"))
    for other in ("Nothing yet", "on their way", "Fetching", "out of date", "old"):
        assert other not in page.partition("<main")[2].partition('id="login"')[0]
    standin.behave()
    assert (await syncer.sync()).outcome == "complete"
    await upstream_status.load()
    assert await both() is None
    standin.misbehave("502", times=None)
    assert (await syncer.sync()).outcome == "failed"
    await upstream_status.load()
    assert await both() == "failed"
    standin.behave()
    for path in (NEW_RELEASES, SEARCH):
        standin.answer_next(path, Answer(429, b"Too many requests", {"Retry-After": "3600"}))
    assert (await syncer.sync()).outcome == "failed"
    await upstream_status.load()
    assert await both() == "failed"
    page = read_page(await browser.get("/"))
    assert re.search(r"Calls to Spotify pause until .+ UTC; Freshet will continue", page)
    stage.clock.forward(hours=3)
    assert await both() == "stale"


def test_a_condition_without_text_shows_nothing() -> None:
    assert Condition("fine") == ("fine", "", "")
