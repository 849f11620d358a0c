"""The demo: everything for real, but Spotify is the bundled stand-in and the data is its own."""

import fcntl
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from server.addresses import ROOT
from server.config import DemoSettings, load
from server.errors import FreshetError
from server.serve import serve
from server.spotify.standin import AppKind, Fault, StandIn

FOLDER = ROOT / "var" / "demo"
PUBLISH_SECONDS = 20.0
SYNC_SECONDS = 20
CLIENT_ID = "freshet-demo"
CLIENT_SECRET = "freshet-demo"  # noqa: S105 - the stand-in is told the same
STANDIN_PORT = 5001  # a fixed one keeps the addresses of covers the same after a restart


async def serve_demo(faults: Sequence[Fault] = (), **overrides: Any) -> None:
    """Serve until SIGTERM or SIGINT; the stand-in misbehaves as `faults` say.

    Raises FreshetError if a demo runs already, SettingsError or AddressUnavailable.
    """
    with only_one():
        standin = start_standin(faults)
        try:
            await serve(settings(standin, **overrides), standin.accounts_url)
        finally:
            await standin.stop()


def start_standin(faults: Sequence[Fault] = ()) -> StandIn:
    """A stand-in that is restricted, as nearly every new app is, and publishes as time goes by.

    It misbehaves as `faults` say.
    """
    standin = StandIn(
        kind=AppKind.RESTRICTED,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        publish_every=PUBLISH_SECONDS,
        faults=faults,
    )
    try:
        standin.start(STANDIN_PORT)
    except OSError:
        standin.start(0)
    return standin


def settings(standin: StandIn, **overrides: Any) -> DemoSettings:
    """The demo's settings: the stand-in's addresses, a database of its own, short intervals.

    The stand-in is told where browsers come back to, as a dashboard would be.
    """
    chosen = load(
        DemoSettings,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        secret=_secret(),
        database_url=f"embedded:{FOLDER / 'postgres'}",
        spotify_api_url=standin.api_url,
        spotify_accounts_url=standin.accounts_url,
        sync_source="auto",
        sync_interval=SYNC_SECONDS,
        quota_per_day=1_000_000,
        allowed_users=(),
        **overrides,
    )
    chosen = chosen.model_copy(update={"public_url": f"http://127.0.0.1:{chosen.port}"})
    standin.world.redirect_uris = (chosen.redirect_uri,)
    return chosen


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the demo's folder: two would fight over its data. Raises FreshetError if one runs."""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        lock = (FOLDER / "lock").open("a", encoding="ascii")
    except OSError as error:
        raise FreshetError(f"the demo cannot keep its data: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FreshetError("the demo runs already; stop that one first") from None
        yield


def _secret() -> str:
    """A secret of the demo's own, kept so that a restart can read its token again."""
    file, fresh = FOLDER / "secret", FOLDER / "secret.new"
    if not file.exists() or not file.read_bytes():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48), encoding="ascii")
        fresh.replace(file)
    return file.read_text(encoding="ascii")
