"""Runs the stand-in alone: `python -m server.spotify.standin --port 9090`."""

import argparse
import asyncio

from server.spotify.standin import AppKind, StandIn


async def serve(arguments: argparse.Namespace) -> None:
    """Listen until interrupted."""
    standin = StandIn(
        kind=AppKind(arguments.kind),
        redirect_uris=arguments.redirect_uri or ("http://127.0.0.1:5000/auth/callback/",),
        publish_every=arguments.publish_every,
    )
    standin.start(arguments.port)
    print(f"Stand-in for Spotify on {standin.accounts_url}")  # noqa: T201 - for people
    await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--kind", choices=[kind.value for kind in AppKind], default="restricted")
    parser.add_argument("--redirect-uri", action="append", help="may be repeated")
    parser.add_argument("--publish-every", type=float, metavar="SECONDS")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
