"""Run the stand-in alone: `python -m server.standin --port 9090`."""

import asyncio
import math
import os
import signal
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any, BinaryIO

import click

from server.standin import AppKind, ArtistSearch, Fault, StandIn, read_faults
from server.standin.faults.definitions import ANSWERS, PAGES, TEXTS, WIRE
from server.standin.faults.quotas import BUCKETS, OTHERS, PAUSE_MODELS


def _listed(title: str, names: tuple[str, ...]) -> str:
    return fill(
        " ".join(names),
        96,
        initial_indent=f"  {title:13}",
        subsequent_indent=" " * 15,
        break_on_hyphens=False,
    )


# Each \b keeps click from wrapping the paragraph that follows.
FAULTS_HELP = f"""
\b
A faults file is a JSON list of objects: [{{"fault": "502", "path": "/v1/search", "times": 3}}].

\b
fields:
  fault        the name of the fault, see below
  path         affects requests whose path starts with this, default "/v1/"
  times        number of requests affected, default 1; null means all
  after        number of requests that succeed first, default 0
  rate         probability for each request to be affected, default 1
  retry_after  Retry-After header of an error response: seconds or any text; default none
  seconds      duration of stall, drip and slow

\b
faults:
{_listed("answers", ANSWERS)}
{_listed("connections", WIRE)}
{_listed("pages", PAGES)}
{_listed("texts", TEXTS)}

\b
A request is affected by the first fault of the list that matches it, and by no other.
"""


def greeting(standin: StandIn) -> str:
    """Return the address and the lines for `.env` that make Freshet use this stand-in."""
    return "\n".join(
        (
            f"# A stand-in for Spotify listens at {standin.accounts_url}. Add these lines to .env:",
            f"CLIENT_ID={standin.world.client_id}",
            f"CLIENT_SECRET={standin.world.client_secret}",
            f"SPOTIFY_API_URL={standin.api_url}",
            f"SPOTIFY_ACCOUNTS_URL={standin.accounts_url}",
        )
    )


async def serve(port: int, **options: Any) -> None:
    """Listen until SIGTERM or SIGINT, even if a parent process blocked or ignored them.

    `options` are those of StandIn. Exits with a message if the port is not available.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    standin = StandIn(**options)
    try:
        standin.start(port)
    except OSError as error:
        sys.exit(f"Cannot listen on port {port}: {os.strerror(error.errno or 0)}")
    click.echo(greeting(standin))
    await stop.wait()
    await standin.stop()


def faults_in(file: BinaryIO | None) -> tuple[Fault, ...]:
    """Read a faults file; raise click.UsageError if it is unreadable or invalid."""
    if file is None:
        return ()
    try:
        return read_faults(file.read())
    except OSError as error:
        raise click.UsageError(f"{file.name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise click.UsageError(f"{file.name}: {error}") from None


def calls(text: str) -> int:
    """Parse a number of calls; raise click.BadParameter if it is not one."""
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text!r} is not a number")
    return int(text)


def quotas(texts: Sequence[str]) -> dict[str, int]:
    """Read numbers of calls, each for one BUCKET=N or for all other buckets.

    Raises click.BadParameter for an invalid number or a bucket that does not exist.
    """
    read = {}
    for text in texts:
        bucket, sign, number = text.rpartition("=")
        if sign and bucket not in BUCKETS:
            raise click.BadParameter(f"no bucket {bucket!r}; known are {', '.join(BUCKETS)}")
        read[bucket or OTHERS] = calls(number)
    return read


def seconds(text: str) -> float:
    """Read a number of seconds, zero or more; click shows the error of any other text."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise click.BadParameter(f"{text!r} is not a number of seconds")
    return number


@click.command(epilog=FAULTS_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9090, help="Port on 127.0.0.1.  [9090]"
)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in AppKind]),
    default="restricted",
    help="Access of the app to the Web API.  [restricted]",
)
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    default=("http://127.0.0.1:5000/auth/callback/",),
    help="Redirect URI of the app; may be repeated.  [http://127.0.0.1:5000/auth/callback/]",
)
@click.option(
    "--publish-every",
    type=seconds,
    metavar="SECONDS",
    help="Time between new releases.  [none]",
)
@click.option(
    "--follow-every",
    type=seconds,
    metavar="SECONDS",
    help="Time between changes of the followed artists.  [none]",
)
@click.option(
    "--artist-search",
    type=click.Choice([each.value for each in ArtistSearch]),
    default="works",
    help='What a search for tag:new artist:"NAME" finds.  [works]',
)
@click.option("--faults", type=click.File("rb"), metavar="FILE", help="Faults file, see below.")
@click.option(
    "--quota",
    multiple=True,
    metavar="[BUCKET=]N",
    callback=lambda _, __, texts: quotas(texts) or None,
    help="Calls in 24 hours to one endpoint, such as /search=450, or to each; may be repeated.",
)
@click.option(
    "--pause-model",
    type=click.Choice(PAUSE_MODELS),
    default="fixed",
    help="End of the pause after a quota: 24 hours after the first call, or moved by each "
    "further call.  [fixed]",
)
@click.option("--rate-limit", type=calls, metavar="N", help="Calls in 30 seconds.")
@click.option(
    "--burst",
    type=calls,
    metavar="N",
    help="Calls in 5 minutes, after which connections are reset for 10 minutes.",
)
@click.option(
    "--unlaunched",
    default="",
    metavar="MARKETS",
    help="Comma-separated markets to refuse, such as RU,BY.",
)
def command(
    kind: str, artist_search: str, faults: BinaryIO | None, unlaunched: str, **options: Any
) -> None:
    """Run the stand-in for Spotify alone, until it is stopped."""
    options["kind"] = AppKind(kind)
    options["artist_search"] = ArtistSearch(artist_search)
    options["faults"] = faults_in(faults)
    options["unlaunched"] = tuple(unlaunched.upper().split(",")) if unlaunched else ()
    asyncio.run(serve(**options))


def main(arguments: Sequence[str] | None = None, prog: str = "python -m server.standin") -> None:
    """Parse `arguments`, by default the command line's, and run the stand-in.

    `prog` is the command that the help names.
    """
    command.main(arguments, prog_name=prog)


if __name__ == "__main__":
    main()
