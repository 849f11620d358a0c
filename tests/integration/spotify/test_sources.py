"""Where new releases come from: choosing by what Spotify answers, and walking its pages."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.errors import (
    AppRefused,
    BadAnswer,
    EndpointRestricted,
    RateLimited,
    SpotifyError,
    SpotifyUnavailable,
)
from server.spotify.api.client import SpotifyClient
from server.spotify.api.markets import Markets
from server.spotify.api.paging import Page, Walk, read_page
from server.spotify.api.sources import Choice, SourceProbe
from server.spotify.transport import MAX_BODY_BYTES
from server.spotify.types import SourceName, SourceSetting, Verdict
from server.standin import Answer, AppKind
from tests.support.clock import Clock
from tests.support.examples import album, albums
from tests.support.spotify_client import ClientOf
from tests.support.spotify_http import StartRaw, http
from tests.support.spotify_scripts import NEW, NOW, SEARCH, answer, next_to, script
from tests.support.standins import StartStandIn

FORBIDDEN = Answer(403, {"error": {"status": 403, "message": "Forbidden"}})
PREMIUM = Answer(403, b"Active premium subscription required for the owner of the app.")
UNREGISTERED = Answer(403, b"Check settings on the dashboard, the user may not be registered.")
LIMITED = Answer(429, b"Too many requests", {"Retry-After": "86236"})
AN_HOUR_AGO = NOW - timedelta(hours=1)
A_DAY_AGO = NOW - timedelta(days=1)

Verdicts = dict[SourceName, Verdict]


async def choose(
    client: SpotifyClient,
    setting: SourceSetting,
    known: Verdicts,
    now: datetime,
    *,
    markets: Markets | None = None,
    failures: int = 0,
) -> Choice:
    return await SourceProbe(client, known, now, markets).choose(setting, failures)


def pages(client: SpotifyClient, choice: Choice, most: int) -> AsyncIterator[Page]:
    return Walk(client, choice.source, "", most).pages(choice.first)


async def names(client: SpotifyClient, choice: Choice, most: int = 100) -> list[str]:
    found = [page async for page in pages(client, choice, most)]
    return [item["name"] for page in found for item in page.items]


async def swept(client: SpotifyClient, source: Any = "search", most: int = 100) -> list[str]:
    return await names(client, await choose(client, source, {}, NOW), most)


def named(count: int, first: int = 0) -> list[str]:
    return [item["name"] for item in albums(count, first)]


# Choosing


@pytest.mark.gen_test
async def test_an_app_that_may_takes_new_releases(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(60))
    probe = SourceProbe(client_of(standin), {}, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "new-releases"
    assert probe.learnt == {
        "new-releases": Verdict(True, None, NOW, "2026-11-20"),
        "search": Verdict(True, None, NOW, "2026-11-20"),
    }
    assert choice.why == "search is no fresher"
    assert len(choice.first.items) == 50
    assert standin.calls_to("/v1") == 2


@pytest.mark.gen_test
async def test_a_restricted_app_takes_search_and_both_verdicts_are_learnt(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(60), kind=AppKind.RESTRICTED)
    probe = SourceProbe(client_of(standin), {}, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "search"
    assert probe.learnt == {
        "new-releases": Verdict(False, "403 Forbidden", NOW),
        "search": Verdict(True, None, NOW, "2026-11-20"),
    }
    assert choice.why == "new-releases is refused: 403 Forbidden"
    assert len(choice.first.items) == 10


@pytest.mark.parametrize(
    "refusal",
    [Answer(403), Answer(403, b"Forbidden"), Answer(404), Answer(410, b"Gone"), FORBIDDEN],
)
@pytest.mark.gen_test
async def test_any_refusal_of_the_endpoint_alone_leads_to_search(
    start_standin: StartStandIn, client_of: ClientOf, refusal: Answer
) -> None:
    standin = start_standin(albums(3))
    script(standin, refusal, path=NEW)
    probe = SourceProbe(client_of(standin), {}, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "search"
    assert not probe.learnt["new-releases"].allowed


@pytest.mark.gen_test
async def test_a_restriction_is_remembered_for_a_day(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    known: Verdicts = {
        "new-releases": Verdict(False, "403 Forbidden", A_DAY_AGO + timedelta(seconds=1))
    }
    probe = SourceProbe(client_of(standin), known, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "search"
    assert probe.learnt == {"search": Verdict(True, None, NOW, "2026-11-20")}
    assert standin.calls_to(NEW) == 0


@pytest.mark.gen_test
async def test_a_day_later_it_is_probed_again(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    known: Verdicts = {"new-releases": Verdict(False, "403 Forbidden", A_DAY_AGO)}
    probe = SourceProbe(client_of(standin), known, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "new-releases"
    assert probe.learnt["new-releases"] == Verdict(True, None, NOW, "2026-11-20")


@pytest.mark.gen_test
async def test_an_app_that_was_allowed_and_no_longer_is_goes_on_with_search(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3), kind=AppKind.RESTRICTED)
    known: Verdicts = {"new-releases": Verdict(True, None, AN_HOUR_AGO, "2026-11-20")}
    probe = SourceProbe(client_of(standin), known, NOW)
    choice = await probe.choose("auto")
    assert (choice.source, choice.substitute) == ("search", False)
    assert not probe.learnt["new-releases"].allowed


@pytest.mark.parametrize("refusal", [PREMIUM, UNREGISTERED], ids=["premium", "registration"])
@pytest.mark.gen_test
async def test_a_refusal_of_the_whole_app_is_no_restriction(
    start_standin: StartStandIn, client_of: ClientOf, refusal: Answer
) -> None:
    standin = start_standin(albums(3))
    script(standin, refusal, path=NEW)
    with pytest.raises(AppRefused, match=r"premium|registered"):
        await choose(client_of(standin), "auto", {}, NOW)
    assert standin.calls_to(SEARCH) == 0


@pytest.mark.parametrize("refusal", [FORBIDDEN, PREMIUM, Answer(503)])
@pytest.mark.gen_test
async def test_when_search_does_not_answer_either_no_verdict_is_reached(
    start_standin: StartStandIn, client_of: ClientOf, refusal: Answer
) -> None:
    standin = start_standin(albums(3))
    script(standin, FORBIDDEN, path=NEW)
    script(standin, refusal)
    probe = SourceProbe(client_of(standin), {}, NOW)
    with pytest.raises(SpotifyError, match=str(refusal.status)):
        await probe.choose("auto")
    assert probe.learnt == {}


@pytest.mark.gen_test
async def test_a_refusal_is_remembered_though_the_other_source_pauses(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3), kind=AppKind.RESTRICTED)
    script(standin, LIMITED)
    client = client_of(standin)
    known: Verdicts = {}
    for _ in range(3):
        probe = SourceProbe(client, known, NOW)
        with pytest.raises(RateLimited) as caught:
            await probe.choose("auto")
        known |= probe.learnt
        assert caught.value.seconds == 86236
    assert known == {"new-releases": Verdict(False, "403 Forbidden", NOW)}
    assert (standin.calls_to(NEW), standin.calls_to(SEARCH)) == (1, 1)


@pytest.mark.gen_test
async def test_what_a_source_has_answered_is_learnt_though_the_one_in_use_fails(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    script(standin, Answer(502))
    known: Verdicts = {
        "search": Verdict(True, None, AN_HOUR_AGO, "2026-11-21"),
        "new-releases": Verdict(True, None, A_DAY_AGO, "2026-11-19"),
    }
    probe = SourceProbe(client_of(standin), known, NOW)
    with pytest.raises(SpotifyUnavailable):
        await probe.choose("auto")
    assert probe.learnt == {"new-releases": Verdict(True, None, NOW, "2026-11-20")}


@pytest.mark.gen_test
async def test_a_pause_of_one_endpoint_does_not_stop_the_other_and_is_no_restriction(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    script(standin, LIMITED, path=NEW)
    probe = SourceProbe(client_of(standin), {}, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "search"
    assert probe.learnt == {"search": Verdict(True, None, NOW, "2026-11-20")}


@pytest.mark.gen_test
async def test_a_pause_of_both_endpoints_is_raised(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    script(standin, LIMITED, path=NEW)
    script(standin, LIMITED)
    with pytest.raises(RateLimited) as caught:
        await choose(client_of(standin), "auto", {}, NOW)
    assert caught.value.seconds == 86236


@pytest.mark.gen_test
async def test_a_passing_failure_does_not_change_the_source(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    script(standin, Answer(502), path=NEW)
    with pytest.raises(SpotifyUnavailable):
        await choose(client_of(standin), "auto", {}, NOW)
    assert standin.calls_to(SEARCH) == 0


@pytest.mark.parametrize("source", ["new-releases", "search"])
@pytest.mark.gen_test
async def test_a_forced_source_is_asked_whatever_is_remembered(
    start_standin: StartStandIn, client_of: ClientOf, source: Any
) -> None:
    standin = start_standin(albums(3))
    known = {source: Verdict(False, "403 Forbidden", AN_HOUR_AGO)}
    probe = SourceProbe(client_of(standin), known, NOW)
    choice = await probe.choose(source)
    assert (choice.source, probe.learnt) == (source, {})
    assert standin.calls_to(NEW if source == "new-releases" else SEARCH) == 1


@pytest.mark.gen_test
async def test_a_forced_source_that_is_refused_is_not_replaced(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3), kind=AppKind.RESTRICTED)
    with pytest.raises(EndpointRestricted):
        await choose(client_of(standin), "new-releases", {}, NOW)
    assert standin.calls_to(SEARCH) == 0


# Pages


@pytest.mark.parametrize(("source", "calls"), [("new-releases", 2), ("search", 10)])
@pytest.mark.gen_test
async def test_a_sweep_brings_everything_in_order(
    start_standin: StartStandIn, client_of: ClientOf, source: Any, calls: int
) -> None:
    standin = start_standin(albums(120))
    client = client_of(standin)
    assert await swept(client, source) == named(100)
    assert client.calls == calls


@pytest.mark.gen_test
async def test_a_sweep_asks_for_no_more_than_every_kind_of_app_may_have(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(60), kind=AppKind.RESTRICTED)
    await swept(client_of(standin), "auto")
    asked = [call.query for call in standin.calls if call.path == SEARCH]
    assert {query["limit"] for query in asked} == {"10"}
    assert [query["offset"] for query in asked] == ["0", "10", "20", "30", "40", "50"]
    assert {(query["q"], query["type"]) for query in asked} == {("tag:new", "album")}


@pytest.mark.gen_test
async def test_short_pages_in_the_middle_do_not_end_a_sweep(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(
        standin,
        answer(albums(2), next_to(10)),
        answer(albums(10, first=10), next_to(20)),
        answer(albums(1, first=20)),
    )
    assert await swept(client_of(standin)) == named(2) + named(10, 10) + named(1, 20)


@pytest.mark.gen_test
async def test_two_empty_pages_end_a_sweep_though_they_name_a_next(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), next_to(10)))
    script(standin, answer([], next_to(20)), answer([], next_to(30)))
    client = client_of(standin)
    assert await swept(client) == named(10)
    assert client.calls == 3


@pytest.mark.gen_test
async def test_an_empty_page_in_the_middle_hides_nothing_that_follows(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), next_to(10)), answer([], next_to(20)))
    script(standin, answer(albums(10, 20)))
    assert await swept(client_of(standin)) == named(10) + named(10, 20)


@pytest.mark.gen_test
async def test_an_empty_listing_is_an_empty_sweep(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    assert await swept(client_of(start_standin([])), "auto") == []


@pytest.mark.parametrize("totals", [(100, 3, 1000), (0, 0, 0), (None, "many", -1)])
@pytest.mark.gen_test
async def test_totals_that_differ_or_lie_decide_nothing(
    start_standin: StartStandIn, client_of: ClientOf, totals: tuple[Any, Any, Any]
) -> None:
    standin = start_standin()
    script(
        standin,
        answer(albums(10), next_to(10), totals[0]),
        answer(albums(10, 10), next_to(20), totals[1]),
        answer(albums(10, 20), None, totals[2]),
    )
    assert await swept(client_of(standin)) == named(30)


@pytest.mark.parametrize(
    "following",
    [
        "https://api.spotify.com/v1/search?offset=10&limit=10&query=tag%3Anew&type=album&locale=*",
        "https://api.spotify.com/v1/search?locale=de-DE%2Cde%3Bq%3D0.9&type=album&offset=10",
        "http://127.0.0.1:1/elsewhere?offset=10",
        "?offset=10#fragment",
        "search?OFFSET=99&offset=10&offset=70",
    ],
)
@pytest.mark.gen_test
async def test_only_the_offset_is_taken_from_a_next_address(
    start_standin: StartStandIn, client_of: ClientOf, following: str
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), following), answer(albums(5, 10)))
    assert await swept(client_of(standin)) == named(15)
    query = {"q": "tag:new", "type": "album", "limit": "10", "offset": "10"}
    assert standin.calls[-1].query == query


@pytest.mark.gen_test
async def test_a_next_on_a_foreign_host_gets_neither_a_request_nor_our_token(
    start_standin: StartStandIn, client_of: ClientOf, start_raw: StartRaw
) -> None:
    foreign = await start_raw(http(b"{}"))
    standin = start_standin()
    script(standin, answer(albums(10), f"{foreign.url}/v1/search?offset=10"), answer(albums(1, 10)))
    assert await swept(client_of(standin)) == named(11)
    assert foreign.connections == 0


@pytest.mark.parametrize(
    "following",
    [
        next_to(0),
        next_to(-10),
        "https://api.spotify.com/v1/search?limit=10",
        "https://api.spotify.com/v1/search?offset=",
        "https://api.spotify.com/v1/search?offset=ten",
        f"https://api.spotify.com/v1/search?offset={'9' * 5000}",
        "http://[::1",
        "garbage",
        17,
        True,
        ["?offset=10"],
        {"offset": 10},
    ],
)
@pytest.mark.gen_test
async def test_a_next_that_leads_nowhere_fails_after_what_came_was_given(
    start_standin: StartStandIn, client_of: ClientOf, following: Any
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), following))
    client = client_of(standin)
    choice = await choose(client, "search", {}, NOW)
    found: list[Any] = []
    with pytest.raises(BadAnswer, match="next page"):
        async for page in pages(client, choice, 100):
            found += page.items
    assert found == albums(10)
    assert client.calls == 1


@pytest.mark.gen_test
async def test_a_next_that_goes_back_later_fails_as_well(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), next_to(20)), answer(albums(10), next_to(20)))
    with pytest.raises(BadAnswer, match="further on"):
        await swept(client_of(standin))


@pytest.mark.parametrize("following", [None, "", False])
@pytest.mark.gen_test
async def test_no_next_is_the_end(
    start_standin: StartStandIn, client_of: ClientOf, following: Any
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), following))
    assert await swept(client_of(standin)) == named(10)


@pytest.mark.gen_test
async def test_an_endless_next_is_bounded(start_standin: StartStandIn, client_of: ClientOf) -> None:
    standin = start_standin()
    script(standin, *(answer([album(number)], next_to(number + 1)) for number in range(200)))
    client = client_of(standin)
    with pytest.raises(BadAnswer, match="without end"):
        await swept(client)
    assert client.calls < 50


@pytest.mark.parametrize(("most", "calls"), [(10, 1), (11, 2), (25, 3)])
@pytest.mark.gen_test
async def test_a_sweep_stops_when_enough_has_come(
    start_standin: StartStandIn, client_of: ClientOf, most: int, calls: int
) -> None:
    client = client_of(start_standin(albums(100)))
    await swept(client, "search", most)
    assert client.calls == calls


def deep_pages(step: int) -> Iterator[Answer]:
    """Pages a little short, whose `next` would lead beyond what search allows."""
    for offset in range(0, 2000, step):
        yield answer(albums(5, offset), next_to(offset + step), total=2000)


@pytest.mark.parametrize("step", [10, 7])
@pytest.mark.gen_test
async def test_search_is_never_asked_beyond_its_thousand(
    start_standin: StartStandIn, client_of: ClientOf, step: int
) -> None:
    standin = start_standin()
    script(standin, *deep_pages(step))
    await swept(client_of(standin), "search", 1000)
    deepest = [int(c.query["offset"]) + int(c.query["limit"]) for c in standin.calls if c.query]
    assert max(deepest) <= 1000
    assert max(deepest) > 990


@pytest.mark.gen_test
async def test_a_page_that_fails_ends_the_sweep_with_its_error(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), next_to(10)), LIMITED)
    client = client_of(standin)
    choice = await choose(client, "search", {}, NOW)
    found: list[Any] = []
    with pytest.raises(RateLimited):
        async for page in pages(client, choice, 100):
            found += page.items
    assert found == albums(10)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"albums": None},
        {"albums": []},
        {"albums": {}},
        {"albums": {"items": None}},
        {"albums": {"items": {"0": {}}}},
        {"artists": {"items": []}},
        {"items": []},
    ],
)
def test_an_answer_without_albums_is_a_bad_answer(content: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="albums"):
        read_page(content)


@pytest.mark.parametrize(
    ("total", "read"),
    [(7, 7), (0, 0), (-1, None), (None, None), ("7", None), (True, None), (7.5, None)],
)
def test_a_total_is_a_number_or_unknown(total: Any, read: int | None) -> None:
    assert read_page({"albums": {"items": [], "total": total}}) == Page([], None, read)


# Which is fresher


def dated(count: int, day: str, first: int = 0) -> list[dict[str, Any]]:
    return [album(number, release_date=day) for number in range(first, first + count)]


@pytest.mark.gen_test
async def test_where_both_are_allowed_the_fresher_one_is_taken(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(dated(10, "2026-08-01")), path=NEW)
    script(standin, answer(dated(10, "2026-11-20", 50)))
    probe = SourceProbe(client_of(standin), {}, NOW)
    choice = await probe.choose("auto")
    assert choice.source == "search"
    assert choice.why == "new-releases is less fresh: its newest is of 2026-08-01"
    assert probe.learnt["new-releases"] == Verdict(True, None, NOW, "2026-08-01")
    assert not choice.substitute


@pytest.mark.gen_test
async def test_an_announcement_makes_no_list_fresh(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    stale = [*dated(9, "2026-08-01"), album(9, release_date="2026-12-24")]
    script(standin, answer(stale), path=NEW)
    script(standin, answer(dated(10, "2026-11-19", 50)))
    assert (await choose(client_of(standin), "auto", {}, NOW)).source == "search"


@pytest.mark.gen_test
async def test_an_empty_list_is_less_fresh_than_any(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer([]), path=NEW)
    script(standin, answer(dated(3, "2020-01-01")))
    assert (await choose(client_of(standin), "auto", {}, NOW)).source == "search"


@pytest.mark.gen_test
async def test_within_a_day_what_was_learnt_decides_and_the_other_is_not_asked(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    known: Verdicts = {
        "new-releases": Verdict(True, None, AN_HOUR_AGO, "2026-08-01"),
        "search": Verdict(True, None, AN_HOUR_AGO, "2026-11-20"),
    }
    choice = await choose(client_of(standin), "auto", known, NOW)
    assert choice.source == "search"
    assert (standin.calls_to(NEW), standin.calls_to(SEARCH)) == (0, 1)


@pytest.mark.gen_test
async def test_a_verdict_from_the_future_is_probed_again(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    ahead = Verdict(False, "403 Forbidden", NOW + timedelta(days=400))
    choice = await choose(client_of(standin), "auto", {"new-releases": ahead}, NOW)
    assert choice.source == "new-releases"


# When a source does not answer


BOTH: Verdicts = {
    "new-releases": Verdict(True, None, AN_HOUR_AGO, "2026-11-20"),
    "search": Verdict(True, None, AN_HOUR_AGO, "2026-11-19"),
}


@pytest.mark.gen_test
async def test_while_the_better_one_pauses_the_other_stands_in_for_it(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    script(standin, LIMITED, path=NEW)
    choice = await choose(client_of(standin), "auto", BOTH, NOW)
    assert (choice.source, choice.substitute) == ("search", True)
    assert choice.why == "new-releases does not answer: 429 Too many requests"


@pytest.mark.parametrize("failure", [Answer(502), Answer(200, b"<html>")])
@pytest.mark.gen_test
async def test_a_source_that_is_out_of_order_is_passed_over_after_three_failed_syncs(
    start_standin: StartStandIn, client_of: ClientOf, failure: Answer
) -> None:
    standin = start_standin(albums(3))
    client = client_of(standin)
    for failures in range(3):
        script(standin, failure, path=NEW)
        with pytest.raises(SpotifyError):
            await choose(client, "auto", BOTH, NOW, failures=failures)
    assert standin.calls_to(SEARCH) == 0
    script(standin, failure, path=NEW)
    choice = await choose(client, "auto", BOTH, NOW, failures=3)
    assert (choice.source, choice.substitute) == ("search", True)


@pytest.mark.gen_test
async def test_a_probe_of_the_other_source_that_fails_changes_nothing(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    known: Verdicts = BOTH | {"search": Verdict(True, None, A_DAY_AGO, "2026-11-19")}
    script(standin, Answer(502))
    probe = SourceProbe(client_of(standin), known, NOW)
    choice = await probe.choose("auto")
    assert (choice.source, choice.substitute) == ("new-releases", False)
    assert "search" not in probe.learnt


@pytest.mark.gen_test
async def test_a_refused_source_that_is_broken_when_probed_again_stops_nothing(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    known: Verdicts = {"new-releases": Verdict(False, "403 Forbidden", A_DAY_AGO)}
    script(standin, Answer(502), path=NEW)
    choice = await choose(client_of(standin), "auto", known, NOW)
    assert (choice.source, choice.substitute) == ("search", False)


@pytest.mark.gen_test
async def test_an_endpoint_that_answers_429_to_every_first_call_costs_few_calls_a_day(
    start_standin: StartStandIn, client_of: ClientOf, clock: Clock, long: bool
) -> None:
    days = 7 if long else 3
    standin = start_standin(albums(3))
    script(standin, *[Answer(429, b"Too many requests")] * 500, path=NEW)
    client = client_of(standin)
    known: Verdicts = {}
    for _ in range(days * 48):
        probe = SourceProbe(client, known, clock())
        choice = await probe.choose("auto")
        assert choice.source == "search"
        known |= probe.learnt
        clock.forward(minutes=30)
    assert standin.calls_to(NEW) <= (12 if long else 9)


# Markets


@pytest.mark.gen_test
async def test_search_is_asked_for_a_market_and_new_releases_is_not(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(3))
    choice = await choose(client_of(standin), "auto", {}, NOW, markets=Markets(["DE"], {}, NOW))
    assert (choice.source, choice.market) == ("new-releases", "")
    asked = {call.path: call.query.get("market") for call in standin.calls}
    assert (asked[SEARCH], asked[NEW]) == ("DE", None)


# Trying again


@pytest.mark.parametrize("failure", [Answer(502), Answer(200, b'{"albums": {"items": [')])
@pytest.mark.gen_test
async def test_a_page_that_fails_is_asked_for_once_more(
    start_standin: StartStandIn, client_of: ClientOf, failure: Answer
) -> None:
    standin = start_standin(albums(30))
    script(standin, answer(albums(10), next_to(10)), failure)
    assert await swept(client_of(standin)) == named(30)


UNREADABLE = {
    "502": Answer(502),
    "HTML": Answer(200, b"<html>busy</html>"),
    "cut JSON": Answer(200, b'{"albums": {"items": ['),
    "no albums": Answer(200, {"unexpected": True}),
    "over 2 MiB": Answer(200, b" " * (MAX_BODY_BYTES + 1)),
}


@pytest.mark.parametrize("failure", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.gen_test
async def test_a_page_that_cannot_be_read_is_skipped_and_the_next_ones_are_fetched(
    start_standin: StartStandIn, client_of: ClientOf, failure: Answer
) -> None:
    standin = start_standin(albums(35))
    client = client_of(standin)
    script(standin, answer(albums(10), next_to(10), 35), failure, failure)
    walk = Walk(client, "search", "", 100)
    assert await names_of(walk) == named(10) + named(15, 20)
    (gap,) = walk.gaps
    assert gap.offset == 10
    assert str(gap).startswith(f"{type(gap.error).__name__}: the page at offset 10 was skipped: ")
    assert (walk.ended, walk.even) == (True, False)
    assert client.calls == 5


async def names_of(walk: Walk, first: Page | None = None) -> list[str]:
    return [item["name"] async for page in walk.pages(first) for item in page.items]


@pytest.mark.gen_test
async def test_only_one_page_of_a_walk_is_asked_for_again(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(40))
    script(standin, answer(albums(10), next_to(10), 40), Answer(502))
    script(standin, answer(albums(10, 10), next_to(20), 40), Answer(502))
    walk = Walk(client_of(standin), "search", "", 100)
    assert await names_of(walk) == named(20) + named(10, 30)
    assert [gap.offset for gap in walk.gaps] == [20]


@pytest.mark.gen_test
async def test_a_first_page_that_cannot_be_read_is_skipped_like_any_other(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(30))
    script(standin, Answer(502), Answer(502))
    walk = Walk(client_of(standin), "search", "DE", 100)
    assert await names_of(walk) == named(20, 10)
    (gap,) = walk.gaps
    assert str(gap) == "SpotifyUnavailable: the page at offset 0 in DE was skipped: 502"


@pytest.mark.gen_test
async def test_three_pages_in_a_row_that_cannot_be_read_end_a_walk(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(100))
    script(standin, answer(albums(10), next_to(10)), *[Answer(502)] * 3)
    script(standin, answer(albums(10, 30), next_to(40)), *[Answer(502)] * 3)
    client = client_of(standin)
    walk = Walk(client, "search", "", 100)
    assert await names_of(walk) == named(10) + named(10, 30)
    assert [gap.offset for gap in walk.gaps] == [10, 20, 40, 50, 60]
    assert (walk.ended, client.calls) == (False, 8)


@pytest.mark.gen_test
async def test_nothing_is_asked_for_behind_the_last_page_by_the_total(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(20))
    script(standin, answer(albums(10), next_to(10), 20), Answer(502), Answer(502))
    client = client_of(standin)
    walk = Walk(client, "search", "", 100)
    assert await names_of(walk) == named(10)
    assert (walk.ended, client.calls, len(walk.gaps)) == (False, 3, 1)


@pytest.mark.gen_test
async def test_a_skipped_page_counts_towards_how_deep_a_list_is_read(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(100))
    script(standin, answer(albums(10), next_to(10)), Answer(502), Answer(502))
    client = client_of(standin)
    assert await names_of(Walk(client, "search", "", 30)) == named(10) + named(10, 20)
    assert client.calls == 4


@pytest.mark.gen_test
async def test_a_pause_behind_a_skipped_page_ends_the_walk(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin(albums(100))
    script(standin, answer(albums(10), next_to(10)), Answer(502), Answer(502), LIMITED)
    walk = Walk(client_of(standin), "search", "", 100)
    with pytest.raises(RateLimited):
        await names_of(walk)
    assert [gap.offset for gap in walk.gaps] == [10]


@pytest.mark.parametrize("source", ["auto", "new-releases"])
@pytest.mark.gen_test
async def test_a_list_whose_first_page_stays_unreadable_is_taken_from_its_second_on(
    start_standin: StartStandIn, client_of: ClientOf, source: Any
) -> None:
    standin = start_standin(albums(95))
    script(standin, *[Answer(200, b"<html>")] * 2, path=NEW)
    client = client_of(standin)
    known: dict[SourceName, Verdict] = {"search": Verdict(True, None, AN_HOUR_AGO, "2026-01-01")}
    with pytest.raises(BadAnswer):
        await choose(client, source, known, NOW)
    choice = await choose(client, source, known, NOW, failures=1)
    assert (choice.source, choice.first.offset, len(choice.first.items)) == ("new-releases", 50, 45)
    assert choice.gap is not None
    assert str(choice.gap).startswith("BadAnswer: the page at offset 0 was skipped: not JSON")
    assert standin.calls_to("/v1") == 3


@pytest.mark.parametrize("second", [Answer(502), LIMITED, answer([])])
@pytest.mark.gen_test
async def test_a_list_of_which_neither_page_can_be_read_is_not_taken(
    start_standin: StartStandIn, client_of: ClientOf, second: Answer
) -> None:
    standin = start_standin(albums(95))
    script(standin, Answer(200, b"<html>"), second)
    with pytest.raises(BadAnswer, match="not JSON"):
        await choose(client_of(standin), "search", {}, NOW, failures=1)
    assert standin.calls_to("/v1") == 2


@pytest.mark.parametrize("refusal", [LIMITED, PREMIUM, FORBIDDEN])
@pytest.mark.gen_test
async def test_a_refusal_is_no_reason_to_ask_for_the_second_page(
    start_standin: StartStandIn, client_of: ClientOf, refusal: Answer
) -> None:
    standin = start_standin(albums(95))
    script(standin, refusal)
    with pytest.raises(SpotifyError):
        await choose(client_of(standin), "search", {}, NOW, failures=1)
    assert standin.calls_to("/v1") == 1


# What a list proves


async def walked(client: SpotifyClient, most: int = 100) -> Walk:
    walk = Walk(client, "search", "", most)
    assert [page async for page in walk.pages()]
    return walk


@pytest.mark.gen_test
async def test_a_list_read_to_its_end_in_full_pages_is_even_and_ended(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    walk = await walked(client_of(start_standin(albums(35))))
    assert (walk.ended, walk.even) == (True, True)


@pytest.mark.gen_test
async def test_a_list_cut_by_our_own_bound_has_not_ended(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    walk = await walked(client_of(start_standin(albums(35))), 20)
    assert not walk.ended


@pytest.mark.parametrize(
    "totals", [(20, 19), (20, 21), (20, None), (None, None), (21, 21), (19, 19)]
)
@pytest.mark.gen_test
async def test_totals_that_differ_or_are_not_met_make_a_list_uneven(
    start_standin: StartStandIn, client_of: ClientOf, totals: Any
) -> None:
    standin = start_standin()
    script(standin, answer(albums(10), next_to(10), totals[0]))
    script(standin, answer(albums(10, 10), None, totals[1]))
    walk = await walked(client_of(standin))
    assert (walk.ended, walk.even) == (True, False)


@pytest.mark.gen_test
async def test_a_short_page_in_the_middle_makes_a_list_uneven(
    start_standin: StartStandIn, client_of: ClientOf
) -> None:
    standin = start_standin()
    script(standin, answer(albums(9), next_to(10), 12), answer(albums(3, 10), None, 12))
    walk = await walked(client_of(standin))
    assert (walk.ended, walk.even) == (True, False)
