"""Run the stand-in alone: `python -m server.standin --port 9090`."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from server.standin import AppKind, Fault, StandIn, read_faults
from server.standin.faults.definitions import ANSWERS, PAGES, TEXTS, WIRE


def _listed(title: str, names: tuple[str, ...]) -> str:
    return fill(
        " ".join(names),
        96,
        initial_indent=f"  {title:13}",
        subsequent_indent=" " * 15,
        break_on_hyphens=False,
    )


FAULTS_HELP = f"""
A faults file is a JSON list of objects: [{{"fault": "502", "path": "/v1/search", "times": 3}}].

fields:
  fault        the name of the fault, see below
  path         affects requests whose path starts with this, default "/v1/"
  times        number of requests affected, default 1; null means all
  after        number of requests that succeed first, default 0
  rate         probability for each request to be affected, default 1
  retry_after  Retry-After header of an error response: seconds or any text; default none
  seconds      duration of stall, drip and slow

faults:
{_listed("answers", ANSWERS)}
{_listed("connections", WIRE)}
{_listed("pages", PAGES)}
{_listed("texts", TEXTS)}

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


async def serve(arguments: argparse.Namespace) -> None:
    """Listen until SIGTERM or SIGINT, even if a parent process blocked or ignored them."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    standin = StandIn(
        kind=AppKind(arguments.kind),
        redirect_uris=arguments.redirect_uri or ("http://127.0.0.1:5000/auth/callback/",),
        publish_every=arguments.publish_every,
        faults=arguments.faults,
        quota=arguments.quota,
        rate_limit=arguments.rate_limit,
        unlaunched=arguments.unlaunched,
    )
    try:
        standin.start(arguments.port)
    except OSError as error:
        sys.exit(f"Cannot listen on port {arguments.port}: {os.strerror(error.errno or 0)}")
    print(greeting(standin), flush=True)  # noqa: T201 - for people
    await stop.wait()
    await standin.stop()


def faults_in(path: str) -> tuple[Fault, ...]:
    """Read a faults file; raise ArgumentTypeError if it is unreadable or invalid."""
    try:
        return read_faults(Path(path).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from None


def calls(text: str) -> int:
    """Parse a number of calls; raise ArgumentTypeError if it is not one."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m server.standin") -> None:
    """Parse `arguments`, by default the command line's, and run the stand-in.

    `prog` is the command that the help names.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Run the stand-in for Spotify alone, until it is stopped.",
        epilog=FAULTS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--kind", choices=[kind.value for kind in AppKind], default="restricted")
    parser.add_argument("--redirect-uri", action="append", help="may be repeated")
    parser.add_argument("--publish-every", type=float, metavar="SECONDS")
    parser.add_argument("--faults", type=faults_in, default=(), metavar="FILE", help="see below")
    parser.add_argument("--quota", type=calls, metavar="N", help="calls per endpoint in 24 hours")
    parser.add_argument("--rate-limit", type=calls, metavar="N", help="calls in 30 seconds")
    parser.add_argument(
        "--unlaunched",
        type=lambda text: tuple(text.upper().split(",")),
        default=(),
        metavar="MARKETS",
        help="comma-separated markets to refuse, such as RU,BY",
    )
    asyncio.run(serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
