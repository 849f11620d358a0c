"""Clients of a stand-in, and the scripts of answers that they get."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL

from server.database.executor import Database
from server.encryption import Encryption
from server.spotify.api.client import SpotifyClient
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.auth.token_refresh import TokenRefresher
from server.spotify.transport import Transport
from server.standin import StandIn
from tests.support.clock import Clock
from tests.support.rate_limiters import accounts_of, limiter_in_memory
from tests.support.settings import SECRET

ClientOf = Callable[..., SpotifyClient]


@pytest.fixture
def no_database() -> Iterator[Database]:
    """Return a database that cannot be reached, so that tokens stay in memory."""
    database = Database(URL.create("postgresql+psycopg2"))
    yield database
    database.close()


@pytest.fixture
def client_of(transport: Transport, no_database: Database, clock: Clock) -> ClientOf:
    """Return a function that makes a client of a stand-in, or of another address."""

    def make(standin: StandIn, url: str = "", database: Database = no_database) -> SpotifyClient:
        limiter = limiter_in_memory(clock)
        accounts = accounts_of(standin, transport, clock)
        encryption = Encryption(SECRET, "tokens")
        refresher = TokenRefresher(database, accounts, "standin-client", encryption, (), clock)
        provider = TokenProvider(refresher, clock)
        return SpotifyClient(transport, provider, limiter, url or standin.api_url)

    return make
