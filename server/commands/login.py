"""`manage.py login`: log in by copy and paste, if no browser can reach the callback."""

import asyncio
import sys

import click

from server.app.upstream import announce_nothing, make_login_service, one_off, utc_now
from server.config import settings as config
from server.config.settings import Settings
from server.errors import FreshetError
from server.login.callback import read_address
from server.login.errors import LoginFailed
from server.login.session_store import Visitor
from server.observability import log
from server.spotify.consent import end_of_consent

STEPS = """\
1. Check that your Spotify app lists this redirect URI: {redirect_uri}
2. Open this address in a browser on any computer, and agree{permission}:

{consent_url}

3. The browser then shows an address that begins with {redirect_uri}?code=
   An error there is expected. Copy the whole address from the address bar.
"""
PERMISSION = (
    " that Freshet may see\n   which artists you follow (the only scope is user-follow-read)"
)


def log_in() -> None:
    """Show the steps of a login, take the address that was copied, and store the login.

    Raises FreshetError.
    """
    settings = config.load(Settings)
    log.configure(settings.log_format, "critical", sys.stderr)
    try:
        visitor = asyncio.run(_log_in(settings))
    except LoginFailed as failure:
        raise FreshetError(f"{failure.title}. {failure.advice}") from failure
    name = visitor.display_name or visitor.account_id
    ends = end_of_consent(utc_now()).date()
    click.echo(f"Logged in as {name} (account id {visitor.account_id}), until {ends}.")


async def _log_in(settings: Settings) -> Visitor:
    """Log in like a browser, but without a session. Raises LoginFailed."""
    async with one_off(settings) as (database, upstream):
        login_service = make_login_service(settings, database, upstream, announce_nothing)
        started = login_service.begin("/")
        click.echo(
            STEPS.format(
                redirect_uri=login_service.redirect_uri,
                consent_url=started.url,
                permission=PERMISSION if settings.scopes else "",
            )
        )
        address = click.prompt("Address", prompt_suffix=": ")
        admitted = await login_service.finish(read_address(address), started.cookie)
        visitor = await login_service.visitor(admitted.session)
        await login_service.log_out(admitted.session)
    if visitor is None:
        raise FreshetError("the account was deleted during the login")
    return visitor
