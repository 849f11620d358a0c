"""The desk that logs people in, without HTTP in front: patience, the brake, who is told, repr."""

import asyncio
import secrets
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cachetools import TTLCache
from sqlalchemy import event, text
from structlog.testing import capture_logs

from server.config.addresses import client_network
from server.config.settings import FOLLOW_READ
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import (
    AppRefused,
    BadAnswer,
    CredentialsRejected,
    EndpointRestricted,
    InvalidGrant,
    RateLimited,
    SpotifyError,
    SpotifyTimeout,
    SpotifyUnavailable,
    TokenRejected,
    UserRefused,
)
from server.login import error_mapping, errors
from server.login.callback import Callback
from server.login.errors import LoginFailed
from server.login.login_budget import (
    KNOWN,
    MOST_BYTES,
    PER_ACCOUNT,
    PER_NETWORK,
    STRANGERS,
    LoginBudget,
    LoginLimit,
)
from server.login.service import CompletedLogin, LoginService, StartedLogin
from server.spotify.api.client import SpotifyClient
from server.spotify.transport import Transport
from server.standin import Answer, Listener, StandIn
from server.standin.accounts.tokens import Code, Consent
from tests.support.clock import Clock
from tests.support.login_browser import parameters
from tests.support.loops import Closing
from tests.support.rate_limiters import accounts_of, limiter_in_memory
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn

REDIRECT_URI = "http://127.0.0.1:5000/auth/callback/"
TOKEN, ME = "/api/token", "/v1/me"
AT_SIGHT = (
    errors.StateMissing,
    errors.StateForeign,
    errors.CodeRefused,
    errors.LoginDenied,
)


class NeverAsked:
    """In the place of what no login may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a login has asked for {name}")


@dataclass
class Front:
    """A desk, and what stands around it."""

    login_service: LoginService
    standin: StandIn
    changes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def agree(self, started: StartedLogin, listener: Listener | None = None) -> Callback:
        """What comes back when the listener has agreed, without a consent page."""
        asked, world = parameters(started.url), self.standin.world
        someone = listener or world.listener
        user = {
            "account_id": someone.account_id,
            "id": someone.id,
            "display_name": someone.display_name,
        }
        consent = Consent(user, frozenset({"user-follow-read"}), world.clock())
        code = world.tokens.issue_code(
            Code(consent, asked["redirect_uri"], asked["code_challenge"])
        )
        return Callback(started.state, code, None)

    async def log_in(self, listener: Listener | None = None) -> CompletedLogin:
        started = self.login_service.begin("/")
        return await self.login_service.finish(self.agree(started, listener), started.cookie)

    async def fails(self, kind: type[LoginFailed]) -> LoginFailed:
        """The failure of a login that should fail so."""
        started = self.login_service.begin("/")
        with pytest.raises(kind) as caught:
            await self.login_service.finish(self.agree(started), started.cookie)
        assert type(caught.value) is kind
        return caught.value


@pytest.fixture
def front_of(
    database: Database, start_standin: StartStandIn, clock: Clock, closing: Closing
) -> Callable[..., Front]:
    """A desk at a stand-in, which waits `patience` seconds for each of its answers."""

    def make(patience: float = 5.0, allowed: tuple[str, ...] = ()) -> Front:
        standin = start_standin([], clock=clock)
        transport = Transport(patience)

        async def close() -> None:
            transport.close()

        closing(close)
        never: Any = NeverAsked()

        async def changed() -> None:
            front.changes.append("changed")

        login_service = LoginService(
            database,
            accounts_of(standin, transport, clock),
            SpotifyClient(transport, never, limiter_in_memory(clock), standin.api_url),
            tokens=Encryption(SECRET, "tokens"),
            cookies=Encryption(SECRET, "cookies"),
            browsers=Encryption(SECRET, "browsers"),
            redirect_uri=REDIRECT_URI,
            allowed=allowed,
            scopes=[FOLLOW_READ],
            on_change=changed,
            now=clock,
            timer=lambda: front.seconds,
        )
        front = Front(login_service, standin)
        return front

    return make


async def count(database: Database, table: str) -> int:
    return await database.run(
        lambda session: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    )


@pytest.mark.gen_test
async def test_a_login_goes_through_with_the_codes_token_and_no_other(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    admitted = await front.log_in()
    visitor = await front.login_service.visitor(admitted.session)
    assert visitor is not None
    assert (visitor.account_id, visitor.display_name) == (
        "standin-account-1",
        "Robin of the Stand-in",
    )
    assert front.changes == ["changed"]
    assert [call.path for call in front.standin.calls] == [TOKEN, ME]


@pytest.mark.parametrize("path", [TOKEN, ME])
@pytest.mark.gen_test
async def test_spotify_that_is_slow_is_a_504_and_stores_nothing(
    front_of: Callable[..., Front], database: Database, path: str
) -> None:
    front = front_of(patience=0.2)
    front.standin.answer_next(path, Answer(200, held=asyncio.Event()))
    failure = await front.fails(errors.SpotifySlow)
    assert (failure.status, failure.retry_after) == (504, 60)
    assert await count(database, "logins") == 0
    assert front.changes == []


@pytest.mark.gen_test
async def test_to_begin_touches_neither_spotify_nor_the_database(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for _ in range(100):
        front.login_service.begin("/next")
    for nobody in (None, ""):
        assert await front.login_service.visitor(nobody) is None
        await front.login_service.log_out(nobody)
    assert statements == []
    assert list(front.standin.calls) == []


@pytest.mark.gen_test
async def test_the_brake_lets_go_after_a_minute(front_of: Callable[..., Front]) -> None:
    front = front_of()
    for _ in range(PER_NETWORK):
        started = front.login_service.begin("/")
        with pytest.raises(errors.CodeRefused):
            await front.login_service.finish(Callback(started.state, "bogus", None), started.cookie)
    failure = await front.fails(errors.TooManyLogins)
    assert (failure.status, failure.retry_after) == (429, 60)
    front.seconds = 59.9
    await front.fails(errors.TooManyLogins)
    assert front.standin.calls_to(TOKEN) == PER_NETWORK
    front.seconds = 60.1
    assert (await front.log_in()).next == "/"


@pytest.mark.gen_test
async def test_who_was_told_to_wait_can_go_on_with_the_same_login(
    front_of: Callable[..., Front], database: Database
) -> None:
    """Nothing was spent: the page says to wait a minute."""
    front = front_of()
    for _ in range(PER_NETWORK):
        started = front.login_service.begin("/")
        with pytest.raises(errors.CodeRefused):
            await front.login_service.finish(Callback(started.state, "bogus", None), started.cookie)
    started = front.login_service.begin("/")
    callback = front.agree(started)
    with pytest.raises(errors.TooManyLogins):
        await front.login_service.finish(callback, started.cookie)
    front.seconds = 61.0
    assert await front.login_service.finish(callback, started.cookie)


@pytest.mark.gen_test
async def test_what_is_refused_at_sight_costs_nothing_and_does_not_wear_the_brake(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    started, other = front.login_service.begin("/"), front.login_service.begin("/")
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for _ in range(100):
        for callback, cookie in (
            (Callback(None, "code", None), started.cookie),
            (Callback(started.state, "code", None), None),
            (Callback(started.state, "code", None), other.cookie),
            (Callback("x", "code", None), started.cookie),
            (Callback("\ud800", "code", None), started.cookie),
            (Callback(started.state, None, None), started.cookie),
            (Callback(started.state, "x" * 2001, None), started.cookie),
            (Callback(started.state, "code", "access_denied"), started.cookie),
        ):
            with pytest.raises(AT_SIGHT):
                await front.login_service.finish(callback, cookie)
    assert statements == []
    assert await front.log_in()


def test_what_counts_logins_is_bounded_however_many_try() -> None:
    seconds = 0.0
    budget = LoginBudget(lambda: seconds)
    taken = sum(budget.take(f"2001:db8:0:{n:x}::/64", None) for n in range(2000))
    assert (taken, len(budget.strangers)) == (STRANGERS, STRANGERS)
    assert sum(budget.take("192.0.2.1", f"account-{n // 100}") for n in range(2000)) == KNOWN
    assert len(budget.known) == KNOWN
    seconds = 59.9
    assert not budget.take("192.0.2.1", None)
    seconds = 60.0
    assert (len(budget.strangers), len(budget.known)) == (0, 0)
    assert sum(budget.take("192.0.2.1", None) for _ in range(100)) == PER_NETWORK
    for _ in range(PER_NETWORK):  # as many again if those were let in, and no more
        budget.give_back("192.0.2.1", None)
        budget.give_back("192.0.2.2", None)
        budget.give_back("192.0.2.1", "account-1")
    assert len(budget.strangers) == 0
    assert sum(budget.take("192.0.2.1", None) for _ in range(100)) == PER_NETWORK
    seconds = 120.0
    taken = sum(budget.take("192.0.2.1", "account-1") for _ in range(100))
    assert taken == PER_ACCOUNT + PER_NETWORK  # what is left over are a stranger's


def test_what_logins_of_a_minute_take_of_memory_is_bounded() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = LoginBudget(lambda: 0.0), LoginLimit(STRANGERS, PER_NETWORK, lambda: 0.0)
        answered: TTLCache[str, None] = TTLCache(STRANGERS + KNOWN, 60, lambda: 0.0)
        for number in range(2000):
            network = client_network(f"2001:db8:{number:x}:ffff:ffff:ffff:ffff:ffff")
            if kept[0].take(network, f"{number // PER_ACCOUNT:064x}"):
                answered[secrets.token_urlsafe(32)] = None
            kept[1].take(network)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(answered) == STRANGERS + KNOWN
    assert MOST_BYTES / 4 < taken < MOST_BYTES


@pytest.mark.gen_test
async def test_reloading_the_callback_over_and_over_costs_nothing(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    started = front.login_service.begin("/")
    callback = front.agree(started)
    await front.login_service.finish(callback, started.cookie)
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for _ in range(100):
        with pytest.raises(errors.StateReplayed):
            await front.login_service.finish(callback, started.cookie)
    assert statements == []
    assert front.standin.calls_to(TOKEN) == 1
    assert await front.log_in()  # nor does it wear the brake


@pytest.mark.gen_test
async def test_states_that_were_spent_are_forgotten_once_they_are_too_old_anyway(
    front_of: Callable[..., Front], database: Database, clock: Clock
) -> None:
    front = front_of()
    started = front.login_service.begin("/")
    callback = front.agree(started)
    clock.forward(minutes=9, seconds=59)
    await front.login_service.finish(callback, started.cookie)
    front.seconds = 3600.0  # what this process remembers by itself is gone
    with pytest.raises(errors.StateReplayed):
        await front.login_service.finish(callback, started.cookie)
    for _ in range(15):
        clock.forward(minutes=1)
        with pytest.raises((errors.StateReplayed, errors.StateExpired)):
            await front.login_service.finish(callback, started.cookie)
    assert front.standin.calls_to(TOKEN) == 1
    await front.log_in()
    assert await count(database, "spent_states") == 1


@pytest.mark.gen_test
async def test_a_clock_that_is_a_little_behind_in_another_process_is_no_matter(
    front_of: Callable[..., Front], clock: Clock
) -> None:
    front = front_of()
    started = front.login_service.begin("/")
    clock.forward(seconds=-59)
    assert await front.login_service.finish(front.agree(started), started.cookie)
    started = front.login_service.begin("/")
    clock.forward(seconds=-61)
    with pytest.raises(errors.StateExpired):
        await front.login_service.finish(front.agree(started), started.cookie)


@pytest.mark.gen_test
async def test_two_first_logins_at_the_very_same_time_have_one_owner(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    people = [Listener(f"account-{n}", f"listener-{n}", str(n)) for n in range(8)]
    answers = await asyncio.gather(*map(front.log_in, people), return_exceptions=True)
    assert sum(isinstance(answer, CompletedLogin) for answer in answers) == 1
    assert sum(isinstance(answer, errors.NotAllowed) for answer in answers) == 7
    assert await count(database, "logins") == 1
    assert front.changes == ["changed"]


@pytest.mark.gen_test
async def test_one_person_in_eight_tabs_at_once_has_one_login_and_eight_sessions(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    answers = await asyncio.gather(*(front.log_in() for _ in range(8)))
    assert len({answer.session for answer in answers}) == 8
    assert (await count(database, "logins"), await count(database, "sessions")) == (1, 8)


@pytest.mark.gen_test
async def test_sessions_that_have_ended_are_swept_away(
    front_of: Callable[..., Front], database: Database, clock: Clock
) -> None:
    front = front_of()
    for _ in range(3):
        await front.log_in()
    clock.forward(days=30)
    await front.log_in()
    assert await count(database, "sessions") == 1


@pytest.mark.gen_test
async def test_a_failure_tells_nobody_of_a_change_and_the_log_of_its_cause(
    front_of: Callable[..., Front],
) -> None:
    front = front_of(allowed=("somebody-else",))
    with capture_logs() as logs:
        await front.fails(errors.NotAllowed)
    assert front.changes == []
    assert [(each["event"], each["cause"]) for each in logs] == [("login_failed", "not-allowed")]
    assert "standin-account-1" in logs[0]["reason"]


@pytest.mark.gen_test
async def test_disconnecting_needs_a_session_and_tells_of_the_change(
    front_of: Callable[..., Front], database: Database
) -> None:
    front = front_of()
    session = (await front.log_in()).session
    for wrong in (None, "", "made-up", session[:-1], session.swapcase(), "\ud800"):
        with pytest.raises(errors.NotLoggedIn):
            await front.login_service.disconnect(wrong)
    assert await count(database, "logins") == 1
    front.changes.clear()
    await front.login_service.disconnect(session)
    assert await count(database, "logins") == 0
    assert front.changes == ["changed"]
    with pytest.raises(errors.NotLoggedIn):
        await front.login_service.disconnect(session)


@pytest.mark.gen_test
async def test_nothing_that_is_shown_or_logged_holds_a_secret(
    front_of: Callable[..., Front],
) -> None:
    front = front_of()
    with capture_logs() as logs:
        started = front.login_service.begin("/")
        callback = front.agree(started)
        admitted = await front.login_service.finish(callback, started.cookie)
    assert callback.code is not None
    shown = repr((started, callback, admitted, front.login_service)) + str(logs)
    for secret in (started.state, started.cookie, callback.code, admitted.session):
        assert secret not in shown
    assert started.state not in repr(errors.StateForeign())


CASES: list[tuple[SpotifyError, type[LoginFailed], int]] = [
    (InvalidGrant("Invalid redirect URI"), errors.RedirectUriRefused, 502),
    (InvalidGrant("Invalid authorization code"), errors.CodeRefused, 400),
    (InvalidGrant("Authorization code expired"), errors.CodeRefused, 400),
    (InvalidGrant("code_verifier was incorrect"), errors.CodeRefused, 400),
    (CredentialsRejected("invalid"), errors.ClientRefused, 502),
    (
        UserRefused("403 User not registered in the Developer Dashboard"),
        errors.NotRegistered,
        403,
    ),
    (AppRefused("403 Active premium subscription"), errors.OwnerWithoutPremium, 502),
    (AppRefused("403 Insufficient client scope"), errors.SpotifyFailed, 502),
    (SpotifyTimeout("8 s"), errors.SpotifySlow, 504),
    (SpotifyUnavailable("503"), errors.SpotifyAway, 503),
    (RateLimited("429", seconds=5), errors.SpotifyAway, 503),
    (TokenRejected("401", expired=True), errors.SpotifyFailed, 502),
    (EndpointRestricted("403 Forbidden"), errors.SpotifyFailed, 502),
    (BadAnswer("not JSON"), errors.SpotifyFailed, 502),
    (SpotifyError("?"), errors.SpotifyFailed, 502),
]


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    CASES,
    ids=[f"{type(case[0]).__name__} {case[0]}" for case in CASES],
)
def test_each_error_of_spotifys_has_its_failure(
    error: SpotifyError, kind: type[LoginFailed], status: int
) -> None:
    failure = error_mapping.of_spotify_error(error)
    assert type(failure) is kind
    assert failure.status == status
    assert str(failure) == str(error)  # for the log


def kinds() -> list[type[LoginFailed]]:
    """Every failure that there is."""
    named = (each for each in vars(errors).values() if isinstance(each, type))
    return [each for each in named if issubclass(each, LoginFailed) and each is not LoginFailed]


@pytest.mark.parametrize("kind", kinds())
def test_each_failure_says_what_happened_and_what_to_do(kind: type[LoginFailed]) -> None:
    assert 400 <= kind.status <= 504
    assert kind.kind != LoginFailed.kind
    assert kind.title != LoginFailed.title
    assert not kind.title.endswith(".")
    assert kind.advice.endswith(".")
    assert (kind.retry_after is None) is (kind.status not in (429, 503, 504))
