"""Stand-ins for Spotify inside the process of a test."""

import pickle
from datetime import UTC, date
from functools import cache
from typing import Any, Protocol

import pytest

from server.app.upstream import utc_now
from server.standin import AppKind, Catalogue, StandIn
from tests.support.loops import Closing


@cache
def pickled_catalogue(today: date) -> bytes:
    """Return the default catalogue, pickled: generating it takes longer than many tests."""
    return pickle.dumps(Catalogue.generate(today=today))


class StartStandIn(Protocol):
    """Starts a stand-in with these albums, or the usual ones; the options are StandIn's."""

    def __call__(self, items: list[Any] | None = None, **options: Any) -> StandIn: ...


@pytest.fixture
def start_standin(closing: Closing) -> StartStandIn:
    """Start a stand-in from inside a test's coroutine; it is stopped afterwards."""

    def start(items: list[Any] | None = None, **options: Any) -> StandIn:
        if items is not None:
            options["catalogue"] = Catalogue(items, recent_days=None)
        elif "catalogue" not in options:
            now = options.get("clock", utc_now)()
            options["catalogue"] = pickle.loads(pickled_catalogue(now.astimezone(UTC).date()))
        standin = StandIn(kind=options.pop("kind", AppKind.EXTENDED), **options)
        standin.start()
        closing(standin.stop)
        return standin

    return start
