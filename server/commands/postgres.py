"""Runs one of PostgreSQL's programs on the database of DATABASE_URL, whichever that is.

The programs are the embedded PostgreSQL's, which also understand servers that are older.
"""

import os
import subprocess
import sys
from difflib import get_close_matches
from textwrap import fill

import click

from server.config import libpq
from server.config import settings as config
from server.config.settings import DatabaseSettings
from server.database.embedded.programs import binaries
from server.database.executor import open_engine
from server.errors import FreshetError, SettingsError
from server.process import startup

USAGE = """\
Usage: python -m server.commands.postgres PROGRAM [ARGUMENT]...

  Runs one of PostgreSQL's programs on the database that DATABASE_URL names, with
  these arguments. An embedded server is started for it if none runs.

Examples:
  pg_dump -Fc -f FILE    keeps all there is in a file
  pg_restore -e --clean --if-exists --create --no-owner -d postgres FILE
                         brings it back
  psql                   looks into it
  psql --help            says what psql can do
"""
HELP = ("-h", "--help")
WRONG_USAGE = 2
PRIVATE_UMASK = 0o077  # a dump holds everything, so only its owner may read it


def programs() -> list[str]:
    """The names of all programs there are. Raises EmbeddedPostgresError if there are none."""
    return sorted(each.name for each in binaries().iterdir() if each.is_file())


def run(program: str, *arguments: str) -> int:
    """Run it to its end, on our own streams; its exit code. Raises FreshetError."""
    settings = config.load(DatabaseSettings)
    with open_engine(settings.database_url) as engine:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            [str(binaries() / program), *arguments],
            env=env | libpq.variables(engine.url),
            umask=PRIVATE_UMASK,
            check=False,
        ).returncode


def main() -> int:
    """What the command line says; the exit code, 2 if it cannot be understood."""
    startup.prepare()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in HELP:
        click.echo(USAGE, err=not arguments, nl=False)
        return 0 if arguments else WRONG_USAGE
    try:
        if arguments[0] not in (known := programs()):
            click.echo(_unknown(arguments[0], known), err=True)
            return WRONG_USAGE
        return run(*arguments)
    except SettingsError as error:
        click.echo("; ".join(f"{name} {fault}" for name, fault in error.faults.items()), err=True)
        return WRONG_USAGE
    except FreshetError as error:
        click.echo(f"Freshet stopped: {error}", err=True)
        return 1


def _unknown(program: str, known: list[str]) -> str:
    likely = get_close_matches(program, known, 1)
    there = fill(", ".join(known), 78, initial_indent="  ", subsequent_indent="  ")
    return (
        f"PostgreSQL has no program {program!r}{f'; is it {likely[0]}?' if likely else '.'}\n"
        f"There are:\n{there}\n`python -m server.commands.postgres --help` says more."
    )


if __name__ == "__main__":
    sys.exit(main())
