"""Runs one of PostgreSQL's programs on the database of DATABASE_URL, whichever that is.

`python -m server.postgres pg_dump -Fc -f FILE` keeps all there is in a file, and
`python -m server.postgres pg_restore -e --clean --if-exists --create --no-owner -d postgres FILE`
brings it back; `psql` looks into it. An embedded server is started for it if none runs. The
programs are the embedded PostgreSQL's, which also understand servers that are older.

Source: postgresql.org/docs/current/libpq-envars.html.
"""

import os
import subprocess
import sys
from typing import Any

import click

from server import config
from server.config import DatabaseSettings
from server.database import open_engine
from server.embedded.programs import binaries
from server.errors import EmbeddedPostgresError, FreshetError, SettingsError

ODD_NAMES = {"connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}


def run(program: str, *arguments: str) -> int:
    """Run it to its end, on our own streams; its exit code. Raises FreshetError."""
    path = binaries() / os.path.basename(program)
    if not path.exists():
        raise EmbeddedPostgresError(f"there is no program {program} in {path.parent}")
    settings = config.load(DatabaseSettings)
    with open_engine(settings.database_url) as engine:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            [str(path), *arguments], env=env | environment(engine.url), check=False
        ).returncode


def environment(url: Any) -> dict[str, str]:
    """An address as libpq's variables, so that no password stands among the arguments."""
    parts = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    for name, value in url.query.items():
        parts[ODD_NAMES.get(name, f"PG{name.replace('_', '').upper()}")] = value
    return {name: str(value) for name, value in parts.items() if value is not None}


def main() -> int:
    """What the command line says."""
    if len(sys.argv) < 2:
        click.echo(__doc__, err=True)
        return 2
    try:
        return run(*sys.argv[1:])
    except SettingsError as error:
        click.echo("; ".join(f"{name} {fault}" for name, fault in error.faults.items()), err=True)
        return 2
    except FreshetError as error:
        click.echo(f"Freshet stopped: {error}", err=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
