"""`manage.py postgres`: run one of PostgreSQL's programs on the database of DATABASE_URL.

The programs are those of the embedded PostgreSQL, which also work with older servers.
"""

import os
import subprocess
from difflib import get_close_matches
from textwrap import fill

import click

from server.config import libpq
from server.config import settings as config
from server.config.settings import DatabaseSettings
from server.database.embedded.programs import binaries
from server.database.executor import open_engine

PRIVATE_UMASK = 0o077  # a dump holds everything, so only its owner may read it


def run_program(program: str, arguments: tuple[str, ...]) -> int:
    """Run a program by name, and return its exit code. Raises click.UsageError for a wrong name."""
    if program not in (known := programs()):
        raise click.UsageError(_unknown(program, known))
    return run(program, *arguments)


def programs() -> list[str]:
    """Return the names of all programs. Raises EmbeddedPostgresError if none are installed."""
    return sorted(each.name for each in binaries().iterdir() if each.is_file())


def run(program: str, *arguments: str) -> int:
    """Run a program on the standard streams of this process, and return its exit code.

    Raises SettingsError or DatabaseError.
    """
    settings = config.load(DatabaseSettings)
    with open_engine(settings.database_url) as engine:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            [str(binaries() / program), *arguments],
            env=env | libpq.variables(engine.url),
            umask=PRIVATE_UMASK,
            check=False,
        ).returncode


def _unknown(program: str, known: list[str]) -> str:
    likely = get_close_matches(program, known, 1)
    listed = fill(", ".join(known), 78, initial_indent="  ", subsequent_indent="  ")
    return (
        f"PostgreSQL has no program {program!r}{f'; is it {likely[0]}?' if likely else '.'}\n"
        f"Programs:\n{listed}"
    )
