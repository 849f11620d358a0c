"""Groups of commands of `manage.py`: each command imports what it needs when it runs."""

from typing import BinaryIO

import click


@click.group()
def watch() -> None:
    """Watch artists, or ignore them, for every account of this server.

    No login is needed. An ARTIST is an id, a URI (spotify:artist:...) or an address
    (https://open.spotify.com/artist/...).
    """


@watch.command("import")
@click.argument("file", type=click.File("rb"))
def import_artists(file: BinaryIO) -> None:
    """Watch the artists of a text or CSV file; - is standard input.

    The file has an artist on each line, in any column; a header and comments (#) are passed over.
    Lines that are not understood are listed. Exits 0 if all were, 3 if some were not, 1 if the file
    names no artist.
    """
    from server.commands.watch import import_file

    raise SystemExit(import_file(file))


@watch.command("list")
@click.option("--ignored", is_flag=True, help="List the ignored artists instead.")
def list_artists(ignored: bool) -> None:
    """List the watched artists, each with its name once it is known."""
    from server.commands.watch import show

    show("ignored" if ignored else "watched")


@watch.command("add")
@click.argument("artists", nargs=-1, required=True, metavar="ARTIST...")
def add_artists(artists: tuple[str, ...]) -> None:
    """Watch artists."""
    from server.commands.watch import choose

    choose(artists, "watched")


@watch.command("remove")
@click.argument("artists", nargs=-1, required=True, metavar="ARTIST...")
def remove_artists(artists: tuple[str, ...]) -> None:
    """Neither watch nor ignore artists any longer."""
    from server.commands.watch import remove

    remove(artists)


@watch.command("ignore")
@click.argument("artists", nargs=-1, required=True, metavar="ARTIST...")
def ignore_artists(artists: tuple[str, ...]) -> None:
    """Ignore artists, also those that an account follows."""
    from server.commands.watch import choose

    choose(artists, "ignored")


@click.group()
def key() -> None:
    """Make, list and revoke access keys of the server.

    They act for the server itself, so they need no login.
    """


@key.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["read", "sync", "manage"]),
    multiple=True,
    required=True,
    help="What the key allows; may be repeated. `manage` includes `read`.",
)
def create_key(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, this once."""
    from server.commands.key import make

    make(name, scopes)


@key.command("list")
def list_keys() -> None:
    """List the keys: names, scopes, last use."""
    from server.commands.key import print_all

    print_all()


@key.command("revoke")
@click.argument("identity", metavar="ID", type=click.IntRange(1, 2**63 - 1))
def revoke_key(identity: int) -> None:
    """Revoke a key at once, on all servers."""
    from server.commands.key import revoke

    revoke(identity)
