"""`manage.py watch`: the artists that the server itself watches or ignores, for every account."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import click

from server.app.upstream import utc_now
from server.commands.served import load_served
from server.database import schema
from server.database.executor import Database
from server.errors import FreshetError
from server.following import import_parser
from server.following.import_parser import MOST_BYTES
from server.request_errors import ImportRefused
from server.storage import following
from server.storage.following import SERVER_ALONE, Choice

NOT_ALL = 3  # exit code: some lines of a file were not understood
MOST_FAULTS = 20  # that are listed


def import_file(file: BinaryIO) -> int:
    """Watch the artists of a text or CSV file; return the exit code. Raises FreshetError."""
    try:
        found = import_parser.parse(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise FreshetError(f"{file.name} cannot be read: {error.strerror}") from error
    except ImportRefused as refused:
        raise FreshetError(f"nothing was imported: {refused}") from refused
    for fault in found.faults[:MOST_FAULTS]:
        click.echo(f"line {fault.line} {fault.reason}: {fault.text}", err=True)
    if len(found.faults) > MOST_FAULTS:
        click.echo(f"… and {len(found.faults) - MOST_FAULTS} more lines", err=True)
    if not found.artists:
        raise FreshetError("the file names no artist")
    new = _run(following.choose, None, found.artists, "watched", utc_now())
    click.echo(f"{_counted(len(found.artists))} in the file, {new} newly watched.")
    return NOT_ALL if found.faults else 0


def show(choice: Choice) -> None:
    """Print the artists that are watched or ignored: id, tab, name; `import` reads this.

    Names come from Spotify or from files; characters that terminals obey become spaces.
    """
    mine = _run(following.read_mine, SERVER_ALONE)
    for artist, name in (mine.watched if choice == "watched" else mine.ignored).items():
        shown = "".join(c if c.isprintable() else " " for c in name or "").strip()
        click.echo(f"{artist}\t{shown}" if shown else artist)


def choose(artists: Sequence[str], choice: Choice) -> None:
    """Watch or ignore artists. Raises click.UsageError for what is none, before any change."""
    ids = _ids(artists)
    changed = _run(following.choose, None, dict.fromkeys(ids), choice, utc_now())
    already = f"; {len(ids) - changed} already" if changed < len(ids) else ""
    click.echo(f"{_counted(changed)} newly {choice}{already}.")


def remove(artists: Sequence[str]) -> None:
    """Neither watch nor ignore artists any longer. Raises click.UsageError as `choose` does."""
    ids = _ids(artists)
    removed = sum(_run(following.unchoose, None, ids, each) for each in ("watched", "ignored"))
    missing = f"; {len(ids) - removed} not in the list" if removed < len(ids) else ""
    click.echo(f"{_counted(removed)} removed{missing}.")


def _ids(artists: Sequence[str]) -> list[str]:
    found = {text: import_parser.artist_of(text) for text in artists}
    wrong = [text for text, artist in found.items() if artist is None]
    if wrong:
        raise click.UsageError(
            f"not an artist: {', '.join(wrong)}. Give an id of 22 letters and digits, a URI "
            "(spotify:artist:…) or an address (https://open.spotify.com/artist/…)."
        )
    return list(dict.fromkeys(filter(None, found.values())))


def _counted(number: int) -> str:
    return f"{number} artist{'' if number == 1 else 's'}"


def _run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a transaction on the migrated database. Raises DatabaseError."""
    database = Database(load_served().database_url)

    async def run() -> Any:
        database.connect()
        schema.create(database.engine)
        return await database.run(function, *arguments)

    try:
        return asyncio.run(run())
    finally:
        database.close()
