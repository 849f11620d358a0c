"""`manage.py standin`: run the stand-in for Spotify alone, for tests of other programs."""

import click


@click.command(
    options_metavar="[OPTIONS]",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run the stand-in for Spotify alone; see `standin --help`.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def standin(arguments: tuple[str, ...]) -> None:
    """Run the stand-in for Spotify alone; its own parser reads the options and prints the help."""
    from server.standin.__main__ import main  # only this command and the demo need the stand-in

    main(arguments, prog="manage.py standin")
