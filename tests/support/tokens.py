"""Token scenarios: a login, an expired token, a second process, an answer that is held back."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing as closed_after
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import URL, select, text

from models import Login
from server.config.settings import FOLLOW_READ
from server.database.executor import Database
from server.encryption import Encryption
from server.spotify.auth import token_store
from server.spotify.auth.oauth import Accounts
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.auth.token_refresh import TokenRefresher
from server.spotify.profile import Profile, read_profile
from server.spotify.transport import Transport
from server.spotify.types import Grant
from server.standin import Listener, StandIn
from server.standin.accounts.tokens import challenge_of
from tests.support.clock import Clock
from tests.support.http_client import new_client
from tests.support.loops import Closing
from tests.support.rate_limiters import accounts_of, limiter_in_memory
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn

TOKEN = "/api/token"
OTHER_SECRET = "another secret, as long as it has to be"
REDIRECT_URI = "http://127.0.0.1:5000/auth/callback/"
ROBIN = Listener()
SAM = Listener("standin-account-2", "sam", "Sam of the Stand-in")
BYTES = bytes | memoryview  # the driver's name for what SQLAlchemy has not been told the type of
IN_A_TRANSACTION = (
    "FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
)
IDLE = f"SELECT count(*) {IN_A_TRANSACTION}"
HELD_ROW = f"{IN_A_TRANSACTION} AND query LIKE '%FOR UPDATE%'"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'"
)
MakeProvider = Callable[..., TokenProvider]
LogIn = Callable[..., Coroutine[Any, Any, Grant]]
StartWithExpiredLogin = Callable[[], Coroutine[Any, Any, StandIn]]


@pytest.fixture
def make_provider(transport: Transport, database: Database, clock: Clock) -> MakeProvider:
    """Return a function that makes a provider, as a newly started process would."""

    def make(standin: StandIn, **changes: Any) -> TokenProvider:
        options: dict[str, Any] = {
            "database": database,
            "client_id": "standin-client",
            "allowed": (),
            "now": clock,
            **changes,
        }
        options["encryption"] = Encryption(options.pop("secret", SECRET), "tokens")
        accounts = Accounts(
            options.pop("transport", transport),
            limiter_in_memory(clock),
            options.pop("url", standin.accounts_url),
            standin.world.client_id,
            standin.world.client_secret,
        )
        return TokenProvider(TokenRefresher(accounts=accounts, **options), options["now"])

    return make


@pytest.fixture
def elsewhere(database_url: URL) -> Iterator[Database]:
    """Open the same database with a second engine, as another process would."""
    database = Database(database_url)
    database.connect()
    yield database
    database.close()


@pytest.fixture
def log_in(transport: Transport, database: Database, clock: Clock) -> LogIn:
    """Return a function that logs a listener in, then clears the recorded calls."""

    async def go(standin: StandIn, listener: Listener = ROBIN, secret: str = SECRET) -> Grant:
        profile, grant = await consent_to(standin, transport, listener)
        encryption = Encryption(secret, "tokens")
        await database.run(token_store.record_consent, profile, grant, clock(), encryption)
        standin.calls.clear()
        return grant

    return go


@pytest.fixture
def start_with_expired_login(
    start_standin: StartStandIn, log_in: LogIn, clock: Clock
) -> StartWithExpiredLogin:
    """Return a function that starts a stand-in with a login whose access token has expired."""

    async def start() -> StandIn:
        standin = start_standin(clock=clock)
        await log_in(standin)
        clock.forward(hours=2)
        return standin

    return start


class HoldingProxy:
    """A proxy in front of the accounts service that holds its first answers until released."""

    def __init__(self, port: int, held: int) -> None:
        self._port = port
        self._passing: list[asyncio.Task[Any]] = []
        self._in_hand = [asyncio.Event() for _ in range(held)]
        self._let_go = [asyncio.Event() for _ in range(held)]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for each in self._let_go:
            each.set()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def has_answer(self, number: int = 0) -> None:
        """Wait until Spotify has answered and the answer is held."""
        async with asyncio.timeout(30):
            await self._in_hand[number].wait()

    def let_go(self, number: int = 0) -> None:
        self._let_go[number].set()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        number = len(self._passing)
        self._passing.append(task)
        with closed_after(writer):
            answer = await self._answer_to(await read_request(reader))
            if number < len(self._in_hand):
                self._in_hand[number].set()
                await self._let_go[number].wait()
            writer.write(answer)

    async def _answer_to(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        with closed_after(writer):
            writer.write(request)
            return await reader.read()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.splitlines() if line.startswith(b"Content-Length: "))
    return head + await reader.readexactly(int(length.split()[1]))


StartHoldingProxy = Callable[..., Awaitable[HoldingProxy]]


@pytest.fixture
def start_holding_proxy(closing: Closing) -> StartHoldingProxy:
    async def start(standin: StandIn, held: int = 1) -> HoldingProxy:
        gate = HoldingProxy(standin.port, held)
        await gate.start()
        closing(gate.stop)
        return gate

    return start


HoldRefresh = Callable[[StandIn], Awaitable[tuple[HoldingProxy, TokenProvider, asyncio.Task[str]]]]


@pytest.fixture
def hold_refresh(
    start_holding_proxy: StartHoldingProxy, make_provider: MakeProvider
) -> HoldRefresh:
    """Return a function that lets a provider ask for a token, and holds Spotify's answer."""

    async def hold(
        standin: StandIn,
    ) -> tuple[HoldingProxy, TokenProvider, asyncio.Task[str]]:
        gate = await start_holding_proxy(standin)
        provider = make_provider(standin, url=gate.url)
        asked = asyncio.create_task(provider.access_token())
        await gate.has_answer()
        return gate, provider, asked

    return hold


async def someone_waits(database: Database) -> None:
    """Wait until a transaction waits for another to let go of a row."""
    async with asyncio.timeout(30):
        while not await database.run(lambda session: session.scalar(text(WAITING))):
            await asyncio.sleep(0.01)


async def cut(database: Database) -> None:
    """End the connection that holds a row lock during a call to Spotify."""
    assert await database.run(
        lambda session: session.scalars(
            text(f"SELECT pg_terminate_backend(pid, 5000) {HELD_ROW}")
        ).all()
    ) == [True]


async def consent_to(
    standin: StandIn, transport: Transport, listener: Listener = ROBIN
) -> tuple[Profile, Grant]:
    """Log in; returns the account and its tokens."""
    standin.listener = listener
    accounts = accounts_of(standin, transport)
    verifier = "v" * 43
    asked = accounts.consent_url(REDIRECT_URI, [FOLLOW_READ], "state", challenge_of(verifier))
    browser = new_client()
    back = await browser.fetch(
        asked, method="POST", body="answer=agree", follow_redirects=False, raise_error=False
    )
    browser.close()
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    grant = await accounts.exchange(code, verifier, REDIRECT_URI)
    whose = {"Authorization": f"Bearer {grant.access_token}"}
    profile = read_profile((await transport.send("GET", f"{standin.api_url}/me", whose)).json())
    return profile, grant


def listener_of(standin: StandIn, token: str) -> str | None:
    """Return the account of a valid access token; None for the app's."""
    found = standin.world.tokens.access(token)
    assert found is not None
    assert not found.expired
    return found.user["account_id"] if found.user else None


def asked_for_tokens(standin: StandIn) -> int:
    return standin.calls_to(TOKEN)


async def row_of(database: Database, account_id: str = ROBIN.account_id) -> Login:
    return await database.run(
        lambda session: session.scalars(select(Login).where(Login.account_id == account_id)).one()
    )


def events(logs: list[Any], name: str) -> list[Any]:
    return [line for line in logs if line["event"] == name]


async def everything_in(database: Database) -> str:
    """Return all columns of all tables as text."""

    def shown(value: Any) -> str:
        return bytes(value).decode("latin-1") if isinstance(value, BYTES) else str(value)

    def read(session: Any) -> str:
        tables = session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).all()
        rows = [row for each in tables for row in session.execute(text(f'SELECT * FROM "{each}"'))]
        return "\n".join(shown(value) for row in rows for value in row)

    return await database.run(read)


async def expired(
    standin: StandIn, make_provider: MakeProvider, log_in: LogIn, clock: Clock, logged_in: bool
) -> dict[str, Any]:
    """Let the user's or the app's token expire; returns Spotify's answer to a refresh."""
    desk = standin.world.tokens
    if logged_in:
        grant = await log_in(standin)
        clock.forward(hours=2)
        return desk.refresh(grant.refresh_token or "")
    await make_provider(standin).access_token()
    standin.calls.clear()
    clock.forward(hours=2)
    return desk.issue_access()


async def refresh_token_in(database: Database, account_id: str = ROBIN.account_id) -> str:
    sealed = (await row_of(database, account_id)).refresh_token
    return Encryption(SECRET, "tokens").open(sealed or b"")
