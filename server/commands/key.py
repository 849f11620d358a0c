"""`manage.py key`: access keys of the server itself, which need no login."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click
from pydantic import ValidationError

from server.app.upstream import utc_now
from server.commands.served import load_served
from server.database import schema
from server.database.executor import Database
from server.errors import FreshetError
from server.login.access_keys import AccessKeys
from server.login.key_store import KeyEntry
from server.observability import log
from server.openapi.private.key_schemas import KeyWish

T = TypeVar("T")

HEADINGS = ("ID", "NAME", "SCOPES", "KEY", "MADE", "LAST USED")
SHOWN_ONCE = (
    "This is the only time that the key is shown. It acts for the server, not for an account."
)


def make(name: str, scopes: Sequence[str]) -> None:
    """Make a key and print it alone on stdout. Raises FreshetError or click.UsageError."""
    try:
        wish = KeyWish.model_validate({"name": name, "scopes": list(scopes)})
    except ValidationError:
        raise click.UsageError(
            "NAME needs 1 to 100 characters, of which at least one is visible and none a control "
            "character."
        ) from None
    made = _run(lambda keys: keys.create(None, wish.name, wish.scopes))
    click.echo(SHOWN_ONCE, err=True)
    click.echo(made.key)


def print_all() -> None:
    """Print a table of the server's keys, without their secrets. Raises FreshetError."""
    entries = _run(lambda keys: keys.entries(None))
    if not entries:
        click.echo(
            "There are no keys. `manage.py key create NAME --scope read` makes one.", err=True
        )
        return
    rows = [HEADINGS, *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def revoke(identity: int) -> None:
    """Revoke a key of the server. Raises FreshetError if it has no such key."""
    if not _run(lambda keys: keys.revoke(None, identity)):
        raise FreshetError(f"no key of the server has the id {identity}: see `manage.py key list`")
    click.echo(f"Key {identity} is revoked, on all servers.", err=True)


def _run(use: Callable[[AccessKeys], Awaitable[T]]) -> T:
    """Call `use` with the keys of a migrated database. Raises FreshetError."""
    settings = load_served()
    log.configure("console", "critical", sys.stderr)
    database = Database(settings.database_url)

    async def run() -> T:
        return await use(AccessKeys(database, (), utc_now))

    try:
        database.connect()
        schema.create(database.engine)
        return asyncio.run(run())
    finally:
        database.close()


def _row(entry: KeyEntry) -> tuple[str, ...]:
    used = f"{entry.last_used_at:%Y-%m-%d %H:%M}" if entry.last_used_at else "never"
    made = f"{entry.created_at:%Y-%m-%d %H:%M}"
    return str(entry.id), entry.name, ",".join(entry.scopes), f"{entry.hint}…", made, used
