"""The commands of `manage.py`: each reads its settings, does its work, and sets the exit code."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, BinaryIO

import click

from server import __version__
from server.app.upstream import announce_nothing, make_syncer, one_off
from server.commands.init import init
from server.commands.login import login
from server.commands.postgres import postgres
from server.config import settings as config
from server.config.settings import DatabaseSettings, Settings
from server.database import schema
from server.database.executor import open_engine
from server.doctor import examine
from server.doctor.report import report
from server.errors import FreshetError, SettingsError
from server.observability import log
from server.process import inherited_state
from server.process import main as serve
from server.request_errors import SyncRunning
from server.spotify.proxy import Proxies
from server.sync.report import Report

WRONG_SETTINGS = 2
DEMO = (
    "Freshet: CLIENT_ID is not set, so this is the DEMO. Its artists and releases are invented.\n"
    "For real releases run `manage.py init`; /setup on this server shows the steps."
)
SYNC_EXIT = {"complete": 0, "partial": 3, "failed": 1}


class Commands(click.Group):
    """Turns Freshet's errors into a message and an exit code, without a traceback."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Repair what the process inherited, then run the program."""
        inherited_state.repair()
        return super().main(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; on a FreshetError print it to stderr, exit 1, or 2 for settings."""
        try:
            return super().invoke(context)
        except SettingsError as error:
            click.echo(settings_message(error), err=True)
            context.exit(WRONG_SETTINGS)
        except FreshetError as error:
            click.echo(f"Freshet stopped: {error}", err=True)
            context.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="freshet")
def main() -> None:
    """Freshet: a fast local copy of Spotify's new releases and their artists."""


@main.command()
@click.option("-h", "--host", help="Address to listen on.  [setting HOST, 127.0.0.1]")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port.  [setting PORT, 5000]")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Number of processes that share the port.  [setting PROCESSES, 1]",
)
@click.option(
    "--demo/--no-demo",
    default=None,
    help="Use the bundled stand-in for Spotify, without an account.  [demo without a CLIENT_ID]",
)
@click.option(
    "--faults",
    type=click.File("rb"),
    help='With --demo: faults of the stand-in, from a JSON file such as [{"fault": "502"}];'
    " `manage.py standin --help` lists faults and fields.",
)
def run(
    host: str | None,
    port: int | None,
    processes: int | None,
    demo: bool | None,
    faults: BinaryIO | None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    It migrates the database, serves, and syncs new releases. While neither CLIENT_ID nor
    CLIENT_SECRET is set, this is the demo.
    """
    if faults and not demo:
        raise click.UsageError("--faults needs --demo: only the stand-in has faults.")
    chosen = {"host": host, "port": port, "processes": processes}
    if demo is None and not config.is_for_spotify():
        click.echo(DEMO, err=True)
        demo = True
    serve.run(_demo(faults, chosen) if demo else serve.serve(config.load(Settings, **chosen)))


@main.command("create_db")
def create_db() -> None:
    """Create or migrate the database's tables.

    Nothing is dropped, and the command may be repeated.
    """
    settings = config.load(DatabaseSettings)
    with open_engine(settings.database_url) as engine:
        revision = schema.create(engine)
    click.echo(f"The database is at revision {revision}, the newest.")


@main.command()
@click.option(
    "--source",
    type=click.Choice(["auto", "new-releases", "search"]),
    help="Where to look for releases.  [setting SYNC_SOURCE, auto]",
)
def sync(source: str | None) -> None:
    """Sync once; exits 0 complete, 3 partial, 1 failed.

    On a terminal it shows a progress bar.
    """
    settings = config.load(Settings, sync_source=source)
    log.configure(settings.log_format, "critical", sys.stderr)
    try:
        report = asyncio.run(_sync_once(settings))
    except SyncRunning as running:
        raise FreshetError(f"another process is syncing. {running}") from running
    click.echo(describe(report))
    raise SystemExit(SYNC_EXIT[report.outcome])


@main.command()
def doctor() -> None:
    """Check the installation and say how to fix it.

    Checks settings, database, credentials, sources and login, and changes nothing. Exits 1 if
    something must be fixed, else 0.
    """
    log.configure(None, "critical", sys.stderr)
    raise SystemExit(asyncio.run(report(examine())))


@main.command("config")
def show_config() -> None:
    """Print the effective settings, secrets masked.

    Also prints the proxies. Missing settings are empty.
    """
    missing = config.missing()
    settings = config.load(Settings, **dict.fromkeys(missing, "missing" * 5))
    shown = config.describe(settings) | {name.upper(): "" for name in missing}
    for name, value in (shown | Proxies().describe()).items():
        click.echo(f"{name}={value}")


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def standin(arguments: tuple[str, ...]) -> None:
    """Run the stand-in for Spotify alone."""
    from server.standin.__main__ import main as run_standin  # which also prints the help

    run_standin(arguments, "manage.py standin")


main.add_command(init)
main.add_command(login)
main.add_command(postgres)


def _demo(faults: BinaryIO | None, chosen: dict[str, Any]) -> Coroutine[Any, Any, None]:
    """Return the demo, with the faults of a file if there is one.

    Raises click.UsageError for a wrong file.
    """
    from server.commands.demo import serve_demo  # only the demo needs the stand-in
    from server.standin import read_faults

    if faults is None:
        return serve_demo(**chosen)
    try:
        return serve_demo(read_faults(faults.read()), **chosen)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{faults.name}: {error}") from error


async def _sync_once(settings: Settings) -> Report:
    async with one_off(settings) as (database, upstream):
        syncer = make_syncer(settings, database, upstream, announce_nothing)
        with click.progressbar(
            length=settings.sync_max_releases,
            label="Syncing",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            return await syncer.sync(_progress(bar), "interactive")


def _progress(bar: Any) -> Callable[[int, int | None], None]:
    def show(seen: int, total: int | None) -> None:
        bar.length = min(bar.length, total) if total else bar.length
        bar.update(min(seen, bar.length) - bar.pos)

    return show


def describe(report: Report) -> str:
    """Return a report in words."""
    calls = f"{report.calls} call{'' if report.calls == 1 else 's'}, {report.duration_ms} ms"
    if report.outcome == "failed":
        return f"The sync failed: {report.error} ({calls})."
    text = (
        f"The sync from {report.source} is {report.outcome}: {report.seen} releases seen, "
        f"{report.added} added, {report.updated} updated, {report.gone} gone, "
        f"{report.skipped} skipped ({calls})."
    )
    return f"{text}\nMissing: {report.error}" if report.error else text


def settings_message(error: SettingsError) -> str:
    """Return a message with all faults and how to fix them."""
    count = len(error.faults)
    width = max(len(name) for name in error.faults)
    lines = [f"{count} setting{' is' if count == 1 else 's are'} missing or wrong:", ""]
    lines += [f"  {name:{width}}  {fault}" for name, fault in error.faults.items()]
    lines += [
        "",
        f"Settings come from the environment and from {config.ENV_FILE} (see .env.example).",
        "`python manage.py init` asks for the required ones and writes them there.",
        "No Spotify account yet? `python manage.py run --demo` needs no settings.",
    ]
    return "\n".join(lines)
