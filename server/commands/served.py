"""The settings of commands that change what a server shows."""

import click

from server.config.addresses import demo_database
from server.config.settings import DatabaseSettings, is_for_spotify, load

FOR_DEMO = "Without CLIENT_ID and DATABASE_URL, this is about the demo, whose data are apart."


def load_served() -> DatabaseSettings:
    """Read the settings, and say so if they are those of the demo.

    As `run` is the demo without credentials, so are these commands, unless DATABASE_URL is set.
    Raises SettingsError.
    """
    settings = load(DatabaseSettings)
    if is_for_spotify() or "database_url" in settings.model_fields_set:
        return settings
    click.echo(FOR_DEMO, err=True)
    return settings.model_copy(update={"database_url": demo_database()})
