"""The lists of followed artists as they are read from Spotify, whatever it answers."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from server.app.upstream import Upstream
from server.config.settings import FOLLOW_READ
from server.database.executor import Database
from server.following.list_reader import FollowedListReader, is_due
from server.spotify.api.followed import PATH
from server.spotify.auth import token_store
from server.standin import Answer, StandIn
from server.storage import following
from server.storage.following import ListState
from tests.support.clock import Clock
from tests.support.examples import album, artist, spotify_id
from tests.support.loops import Closing
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.tokens import ROBIN, SAM, LogIn

FOLLOWING = f"/v1{PATH}"


def ids(numbers: Iterable[int]) -> list[str]:
    return [spotify_id("artist", number) for number in numbers]


class Rig:
    """A reader on the stand-in and a real database; Robin, who has logged in, follows artists."""

    def __init__(self, standin: StandIn, database: Database, settings: Any, clock: Clock) -> None:
        self.standin, self.database, self.clock = standin, database, clock
        self.upstream = Upstream(settings, database, clock)
        self.reader = self.reader_of(settings.scopes)

    def reader_of(self, scopes: tuple[str, ...]) -> FollowedListReader:
        client, tokens = self.upstream.client("background"), self.upstream.tokens
        parts = client, tokens, self.database, scopes, (), self.clock
        return FollowedListReader(*parts, pace=0)

    def follow(self, numbers: Iterable[int], account_id: str = ROBIN.account_id) -> None:
        self.standin.catalogue.following.follow_only(ids(numbers), account_id)

    async def read(self, **later: float) -> list[Any]:
        """Let the time pass, a day if none is given, and the job run."""
        self.clock.forward(**(later or {"days": 1}))
        with capture_logs() as logs:
            await self.reader.tick()
        return logs

    async def listed(self, account_id: str = ROBIN.account_id) -> list[str]:
        return list((await self.database.run(following.read_mine, account_id)).followed)

    async def state(self, account_id: str = ROBIN.account_id) -> ListState:
        state: ListState = await self.database.run(following.list_state, account_id)
        return state

    def calls(self) -> int:
        return self.standin.calls_to(FOLLOWING)


MakeRig = Callable[..., Any]


@pytest.fixture
def make_rig(
    start_standin: StartStandIn,
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    closing: Closing,
    log_in: LogIn,
) -> MakeRig:
    async def make(follows: int = 120, known: int = 200) -> Rig:
        hundreds = [range(first, min(first + 100, known)) for first in range(0, known, 100)]
        items = [
            album(number, artists=[artist(each) for each in hundred])
            for number, hundred in enumerate(hundreds)
        ]
        standin = start_standin(items, clock=clock)
        rig = Rig(standin, database, make_settings(standin), clock)
        closing(rig.upstream.stop)
        rig.follow(range(follows))
        await log_in(standin)
        return rig

    return make


def page(numbers: Iterable[int], **fields: Any) -> Answer:
    """Return the last page of a list, with fields as they should not be."""
    items = [artist(number) for number in numbers]
    whole = {"items": items, "total": len(items), "next": None, "cursors": {"after": None}}
    return Answer(200, orjson.dumps({"artists": whole | fields}))


@pytest.mark.gen_test
async def test_all_pages_of_a_list_are_read_and_those_who_left_it_are_marked(
    make_rig: MakeRig,
) -> None:
    rig = await make_rig(120)
    (event,) = [each for each in await rig.read() if each["event"] == "followed_list_read"]
    assert (event["artists"], event["calls"], event["unfollowed"]) == (120, 3, 0)
    assert await rig.listed() == ids(range(120))
    rig.follow(range(5, 130))
    (event,) = [each for each in await rig.read() if each["event"] == "followed_list_read"]
    assert event["unfollowed"] == 5
    assert await rig.listed() == ids(range(5, 130))


@pytest.mark.gen_test
async def test_a_list_is_read_once_a_day_and_at_once_after_a_login(
    make_rig: MakeRig, log_in: LogIn
) -> None:
    rig = await make_rig(3)
    await rig.read(seconds=0)
    assert rig.calls() == 1
    await rig.read(hours=23)
    assert rig.calls() == 1
    await rig.read(hours=1)
    assert rig.calls() == 2
    rig.clock.forward(minutes=1)
    await log_in(rig.standin)  # which forgets the calls so far
    rig.reader.wake()
    await rig.read(seconds=1)
    assert rig.calls() == 1
    await rig.read(minutes=2)
    assert rig.calls() == 1


@pytest.mark.gen_test
async def test_a_list_is_read_when_somebody_asks_but_not_twice_in_a_minute(
    make_rig: MakeRig,
) -> None:
    rig = await make_rig(3)
    await rig.read(seconds=0)
    assert not await rig.reader.refresh(ROBIN.account_id)
    rig.clock.forward(minutes=1)
    assert await rig.reader.refresh(ROBIN.account_id)
    assert rig.calls() == 1, "the request waits for no call"
    await rig.reader.serve()
    assert rig.calls() == 2
    assert rig.reader.states[ROBIN.account_id].read_at == rig.clock()
    await rig.reader.serve()
    assert rig.calls() == 2
    assert not await rig.reader.refresh("a stranger")


@pytest.mark.gen_test
async def test_each_account_is_asked_for_with_its_own_token(
    make_rig: MakeRig, log_in: LogIn
) -> None:
    rig = await make_rig(3)
    await log_in(rig.standin, SAM)
    rig.follow([7], SAM.account_id)
    await rig.read()
    assert await rig.listed() == ids(range(3))
    assert await rig.listed(SAM.account_id) == ids([7])


@pytest.mark.gen_test
async def test_without_following_no_list_is_read_and_those_that_were_are_deleted(
    make_rig: MakeRig,
) -> None:
    rig = await make_rig(3)
    await rig.read()
    off = rig.reader_of(())
    await off.tick()
    assert not await off.refresh(ROBIN.account_id)
    assert rig.calls() == 1
    assert await rig.listed() == []


@pytest.mark.gen_test
async def test_a_login_without_the_scope_is_not_used(make_rig: MakeRig) -> None:
    rig = await make_rig(3)
    await rig.database.run(lambda session: setattr(the_login(session), "scopes", ["streaming"]))
    assert await rig.read() == []
    assert not await rig.reader.refresh(ROBIN.account_id)
    assert rig.calls() == 0


def the_login(session: Any) -> Any:
    return token_store.newest(session, ())


UNREADABLE = {
    "forbidden": "EndpointRestricted",
    "scope": "AppRefused",
    "unregistered": "UserRefused",
    "not-found": "EndpointRestricted",
    "502": "SpotifyUnavailable",
    "not-json": "BadAnswer",
    "token-expired": "TokenRejected",
    "too-many-requests": "RateLimited",
}


@pytest.mark.gen_test
async def test_a_page_that_cannot_be_read_unfollows_nobody(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    for fault, kind in UNREADABLE.items():
        rig.follow(range(120))
        await rig.read()
        await fail_and_recover(rig, fault, kind)


async def fail_and_recover(rig: Rig, fault: str, kind: str) -> None:
    read_at = rig.clock()
    rig.follow(range(60, 180))
    rig.standin.misbehave(fault, FOLLOWING, times=None, after=1)
    (event,) = [each for each in await rig.read() if each["event"] == "followed_list_failed"]
    assert event["reason"].startswith(f"{kind}:"), fault
    assert event["artists"] == 50
    assert await rig.listed() != ids(range(120)), "those that were read are added"
    assert set(await rig.listed()) == set(ids(range(120)))
    assert (await rig.state()).read_at == read_at
    assert (await rig.state()).tried_at == rig.clock()
    rig.standin.behave()
    await rig.read()
    assert await rig.listed() == ids(range(60, 180))
    assert (await rig.state()).error is None


@pytest.mark.gen_test
async def test_a_page_that_fails_once_is_asked_for_again(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    for number, fault in enumerate(("502", "not-json", "token-expired", "token-missing", "empty")):
        rig.follow(range(number, 120 + number))
        calls = rig.calls()
        rig.standin.misbehave(fault, FOLLOWING, times=1, after=1)
        await rig.read()
        assert await rig.listed() == ids(range(number, 120 + number)), fault
        assert rig.calls() - calls == 4, fault


@pytest.mark.gen_test
async def test_the_job_tries_again_after_an_hour_and_what_is_refused_after_a_day(
    make_rig: MakeRig,
) -> None:
    rig = await make_rig(3)
    rig.standin.misbehave("bad-limit", FOLLOWING, times=3)
    await rig.read()
    failed = rig.calls()
    await rig.read(minutes=59)
    assert rig.calls() == failed
    rig.standin.behave()
    rig.standin.misbehave("forbidden", FOLLOWING)
    await rig.read(minutes=1)
    assert rig.calls() == failed + 1
    await rig.read(hours=23)
    assert rig.calls() == failed + 1
    await rig.read(hours=1)
    assert rig.calls() == failed + 2
    assert (await rig.state()).error is None


DOUBTFUL = [
    (page(range(50, 120), total=130), "70 artists of 130"),
    (page(range(50, 120), items=[None, *map(artist, range(50, 120)), {}]), "2 artists unreadable"),
    (page(range(50, 120), next=f"https://192.0.2.1{FOLLOWING}?after="), "pages do not end"),
    (page([]), "0 artists instead of 120"),
]


@pytest.mark.gen_test
async def test_a_list_that_may_not_be_whole_is_believed_when_it_has_been_read_twice(
    make_rig: MakeRig,
) -> None:
    rig = await make_rig(120)
    for answer, doubt in DOUBTFUL:
        await rig.read()
        assert set(await rig.listed()) == set(ids(range(120)))
        await doubt_and_believe(rig, answer, doubt)


async def doubt_and_believe(rig: Rig, answer: Answer, doubt: str) -> None:
    rig.standin.answer_next(FOLLOWING, answer, times=3)
    (event,) = [each for each in await rig.read() if each["event"] == "followed_list_failed"]
    assert event["reason"].startswith("Incomplete: ")
    assert doubt in event["reason"]
    assert set(await rig.listed()) == set(ids(range(120)))
    await rig.read(hours=1)
    expected = [] if "instead" in doubt else ids(range(50, 120))
    assert await rig.listed() == expected, doubt
    assert (await rig.state()).error is None
    await rig.read()
    assert (await rig.state()).error is None, "the same list is not doubted again"


@pytest.mark.gen_test
async def test_one_wrong_empty_answer_does_no_harm(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    await rig.read()
    rig.standin.answer_next(FOLLOWING, page([]))
    await rig.read()
    await rig.read(hours=1)
    assert await rig.listed() == ids(range(120))
    assert (await rig.state()).error is None


@pytest.mark.gen_test
async def test_somebody_who_follows_nobody_has_an_empty_list(make_rig: MakeRig) -> None:
    rig = await make_rig(0)
    await rig.read()
    assert await rig.listed() == []
    assert (await rig.state()).read_at == rig.clock()


@pytest.mark.gen_test
async def test_odd_pages_neither_lead_astray_nor_unfollow(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    for fault in ("circular-next", "foreign-next", "lying-total", "null-items"):
        await rig.read()
        calls = rig.calls()
        rig.standin.misbehave(fault, FOLLOWING, times=None)
        await rig.read()
        assert set(await rig.listed()) == set(ids(range(120))), fault
        assert rig.calls() - calls <= 5, fault
        rig.standin.behave()
    assert not [call for call in rig.standin.calls if call.status >= 400]


@pytest.mark.gen_test
async def test_cursors_in_a_circle_end(make_rig: MakeRig) -> None:
    rig = await make_rig(3)
    link = f"https://api.spotify.com{FOLLOWING}?type=artist&after="
    for after in ("x", "y", "x"):
        rig.standin.answer_next(FOLLOWING, page([1], next=link + after, cursors={"after": after}))
    await rig.read()
    assert rig.calls() == 3
    assert "its pages do not end" in ((await rig.state()).error or "")


@pytest.mark.gen_test
async def test_the_address_of_the_next_page_has_the_cursor_too(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    after = ids([49])[0]
    link = f"https://192.0.2.1{FOLLOWING}?type=artist&after={after}&limit=50"
    cursors: Any
    for cursors in (None, [], {"after": 7}, {"after": None}):
        calls = rig.calls()
        rig.standin.answer_next(FOLLOWING, page(range(50), next=link, cursors=cursors, total=120))
        await rig.read()
        assert await rig.listed() == ids(range(120)), cursors
        assert (await rig.state()).error is None, cursors
        assert rig.calls() - calls == 3, cursors


@pytest.mark.gen_test
async def test_an_unusable_address_of_the_next_page_unfollows_nobody(make_rig: MakeRig) -> None:
    rig = await make_rig(120)
    link: Any
    for link in (7, {}, "http://[", "x" * 5000 + "?after=" + "y" * 5000):
        await rig.read()
        assert (await rig.state()).error is None
        rig.standin.answer_next(FOLLOWING, page(range(5), next=link), times=3)
        await rig.read()
        assert set(await rig.listed()) == set(ids(range(120))), link
        assert (await rig.state()).error is not None, link
        rig.standin.world.script.clear()


@pytest.mark.gen_test
async def test_an_answer_of_another_shape_is_a_failure(make_rig: MakeRig) -> None:
    rig = await make_rig(3)
    for answer in (b"{}", b'{"artists": null}', b'{"artists": {"items": {}}}', b"null"):
        await rig.read()
        assert (await rig.state()).error is None
        rig.standin.answer_next(FOLLOWING, Answer(200, answer), times=3)
        await rig.read()
        assert ((await rig.state()).error or "").startswith("BadAnswer:"), answer
        rig.standin.world.script.clear()


@pytest.mark.gen_test
async def test_two_thousand_artists_take_forty_calls(make_rig: MakeRig) -> None:
    rig = await make_rig(2000, known=2000)
    await rig.read()
    assert await rig.listed() == ids(range(2000))
    assert rig.calls() == 40


@pytest.mark.gen_test
async def test_an_account_that_disconnects_meanwhile_leaves_nothing(make_rig: MakeRig) -> None:
    rig = await make_rig(3)
    await rig.read()
    rig.clock.forward(days=1)
    await rig.database.run(token_store.delete_login, ROBIN.account_id)
    await rig.reader._read(ROBIN.account_id)
    assert await rig.listed() == []
    assert await rig.state() == ListState()


def test_a_list_is_due_whatever_the_clock_did(clock: Clock) -> None:
    now, hour = clock(), timedelta(hours=1)
    read = ListState(now, now)
    assert is_due(ListState(), now, now)
    assert not is_due(read, now - hour, now + 23 * hour)
    assert is_due(read, now - hour, now + 24 * hour)
    assert is_due(read, now - hour, now - 2 * hour), "the clock has been put back"
    assert is_due(read, now + hour, now + 2 * hour), "a login since"
    assert not is_due(read, now + 9 * hour, now + hour), "a login by a clock that was ahead"
    assert is_due(ListState(now, now, "SpotifyUnavailable: 502"), now - hour, now + hour)
    assert not is_due(ListState(now, now, "AppRefused: 403 scope"), now - hour, now + hour)


def test_the_scope_is_what_the_setting_asks_for(make_settings: MakeSettings) -> None:
    assert make_settings().scopes == (FOLLOW_READ,)
    assert make_settings(following="off").scopes == ()
