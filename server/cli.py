"""The commands of `manage.py`: each reads its settings, does its work, and sets the exit code.

A command imports what it needs when it runs: all of Freshet takes 0.6 s of CPU time to import.
"""

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from server import __version__
from server.commands import groups
from server.errors import FreshetError, SettingsError
from server.process import inherited_state

if TYPE_CHECKING:
    from collections.abc import Coroutine

WRONG_SETTINGS = 2
DEMO = (
    "Freshet: CLIENT_ID is not set, so this is the DEMO. Its artists and releases are invented.\n"
    "For real releases run `manage.py init`; /setup on this server shows the steps."
)


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
    from server.config import settings as config

    chosen = {"host": host, "port": port, "processes": processes}
    if demo is None and not config.is_for_spotify():
        click.echo(DEMO, err=True)
        demo = True
    settings = None if demo else config.load(config.Settings, **chosen)  # before the long import
    from server.process import main as server

    server.run(server.serve(settings) if settings else _demo(faults, chosen))


@main.command("create_db")
def create_db() -> None:
    """Create or migrate the database's tables.

    Nothing is dropped, and the command may be repeated.
    """
    from server.config import settings as config

    settings = config.load(config.DatabaseSettings)
    from server.database import schema
    from server.database.executor import open_engine

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
    from server.commands.sync import sync_once

    raise SystemExit(sync_once(source))


@main.command()
def doctor() -> None:
    """Check the installation and say how to fix it.

    Checks settings, database, credentials, sources and login, and changes nothing. Exits 1 if
    something must be fixed, else 0.
    """
    from server.commands.doctor import print_report

    raise SystemExit(print_report())


@main.command("config")
def show_config() -> None:
    """Print the effective settings, secrets masked.

    Also prints the proxies. Missing settings are empty.
    """
    from server.config import settings as config
    from server.spotify.proxy import Proxies

    missing = config.missing()
    settings = config.load(config.Settings, **dict.fromkeys(missing, "missing" * 5))
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


@main.command()
@click.option("--client-id", help="Client ID of the Spotify app.  [CLIENT_ID, or ask]")
@click.option(
    "--client-secret-file",
    type=click.File(encoding="utf-8-sig"),
    help="File with the client secret; - is standard input.  [CLIENT_SECRET, or ask]",
)
@click.option("-h", "--host", help="Address to listen on.  [127.0.0.1]")
@click.option("-p", "--port", help="Port.  [5000]")
@click.option("--public-url", help="Address by which people reach this server.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: use defaults, and change .env.")
def init(**given: Any) -> None:
    """Ask for the required settings, write .env, run doctor.

    Exits like `doctor`: 0 if all is well, else 1.
    """
    from server.commands.init import write_settings

    raise SystemExit(write_settings(**given))


@main.command()
def login() -> None:
    """Log in by copy and paste, without a reachable callback."""
    from server.commands.login import log_in

    log_in()


main.add_command(groups.watch)
main.add_command(groups.key)


@main.command(
    options_metavar="",
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
    },
)
@click.argument("program")
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...", required=False
)
def postgres(program: str, arguments: tuple[str, ...]) -> None:
    """Run a PostgreSQL program on the database.

    The program gets the address in DATABASE_URL and the arguments. An embedded server that is not
    running is started for it. Exits with the program's code.

    \b
    Examples:
      pg_dump -Fc -f FILE    write a backup of the whole database to a file
      pg_restore -e --clean --if-exists --create --no-owner -d postgres FILE
                             restore that backup
      psql                   open an SQL prompt
      psql --help            show psql's own help
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from server.commands.postgres import run_program

    raise SystemExit(run_program(program, arguments))


def _demo(faults: BinaryIO | None, chosen: dict[str, Any]) -> "Coroutine[Any, Any, None]":
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


def settings_message(error: SettingsError) -> str:
    """Return a message with all faults and how to fix them."""
    from server.config.settings import ENV_FILE

    count = len(error.faults)
    width = max(len(name) for name in error.faults)
    lines = [f"{count} setting{' is' if count == 1 else 's are'} missing or wrong:", ""]
    lines += [f"  {name:{width}}  {fault}" for name, fault in error.faults.items()]
    lines += [
        "",
        f"Settings come from the environment and from {ENV_FILE} (see .env.example).",
        "`python manage.py init` asks for the required ones and writes them there.",
        "No Spotify account yet? `python manage.py run --demo` needs no settings.",
    ]
    return "\n".join(lines)
