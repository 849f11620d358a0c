"""`manage.py init`: ask for the required settings and write `.env`."""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import click

from server.config import env_file, environment
from server.config import settings as config
from server.config.addresses import ROOT
from server.config.getting_started import steps
from server.config.settings import Settings
from server.errors import FreshetError, SettingsError
from server.http.connections.sockets import is_local, split

EXAMPLE = ROOT / ".env.example"
HIDDEN = frozenset(
    name.upper() for name, field in Settings.model_fields.items() if config.is_secret(field)
)
PLAUSIBLE = {"client_id": "x", "client_secret": "x", "secret": "x" * 32}
SAME = ".env is already up to date."
DEFAULTS = {"HOST": "127.0.0.1", "PORT": "5000"}


def write_settings(
    client_id: str | None,
    client_secret_file: TextIO | None,
    host: str | None,
    port: str | None,
    public_url: str | None,
    yes: bool,
) -> int:
    """Ask for what is not given, write `.env`, and return the exit code of `doctor`.

    Raises FreshetError.
    """
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        click.get_current_context().color = False
    try:
        existing = environment.read_file(config.ENV_FILE)
    except SettingsError as error:
        raise FreshetError(f"{error}. Fix or remove {config.ENV_FILE} first") from error
    secret = client_secret_file.read().strip() if client_secret_file else None
    given = {
        "CLIENT_ID": client_id or os.environ.get("CLIENT_ID"),
        "CLIENT_SECRET": secret or os.environ.get("CLIENT_SECRET"),
        "HOST": host,
        "PORT": port,
        "PUBLIC_URL": public_url,
    }
    values = _answers({name: value for name, value in given.items() if value}, existing, yes)
    _write(values, existing, yes)
    _show_next_steps()
    from server.commands.doctor import print_report  # whose imports would delay the first question

    return print_report()


def _answers(given: Mapping[str, str], existing: Mapping[str, str], yes: bool) -> dict[str, str]:
    """Return the values to write, by name: given, answered, or generated."""
    if not yes and not {"CLIENT_ID", "CLIENT_SECRET"} <= set(given):
        app = steps("")[0]
        click.echo(f"{app.title} at {app.copy}, if you have none. {app.text}\n")
    ask = _Questions(given, existing, yes)
    values = ask.needed("CLIENT_ID", "Client ID") | ask.needed("CLIENT_SECRET", "Client secret")
    values |= ask.optional("HOST", "Address to listen on (0.0.0.0: all addresses of this machine)")
    values |= ask.optional("PORT", "Port")
    is_public = not all(map(is_local, split(values["HOST"])))
    if "PUBLIC_URL" in given or (is_public and not yes):
        name = socket.gethostname()
        usual = f"http://{name if '.' in name else f'{name}.local'}:{values['PORT']}"
        values |= ask.optional("PUBLIC_URL", "Address by which people reach it", usual)
    if not any(existing.get(name) or os.environ.get(name) for name in ("SECRET", "SECRET_FILE")):
        values["SECRET"] = secrets.token_urlsafe(48)
    for name in list(values):
        if existing.get(f"{name}_FILE") and values[name]:
            values[f"{name}_FILE"] = ""  # only one of the two may be set
        elif values[name] == DEFAULTS.get(name) and name not in existing:
            del values[name]
    return values


class _Questions:
    """Returns each value as given, or asks until the answer is valid."""

    def __init__(self, given: Mapping[str, str], existing: Mapping[str, str], yes: bool) -> None:
        self._given, self._existing, self._yes = given, existing, yes

    def needed(self, name: str, label: str) -> dict[str, str]:
        """Return a value without default; empty if the current one stays."""
        is_set = bool(self._existing.get(name) or self._existing.get(f"{name}_FILE"))
        shown = None if name in HIDDEN else self._existing.get(name)
        if name in self._given or not (is_set and self._yes):
            answer = self._ask(name, label, shown or ("" if is_set else None))
            return {name: answer} if answer else {}
        return {}

    def optional(self, name: str, label: str, usual: str = "") -> dict[str, str]:
        """Return a value with a default."""
        return {name: self._ask(name, label, self._existing.get(name) or usual or DEFAULTS[name])}

    def _ask(self, name: str, label: str, default: str | None) -> str:
        if name in self._given or self._yes:
            value = self._given.get(name, default)
            if value is None:
                raise FreshetError(f"{name} is missing: set it by an option or in the environment")
            if fault := _fault_of(name, value):
                raise FreshetError(f"{name} {fault}")
            return value
        while True:
            value = self._prompt(name, label, default)
            if not value or (fault := _fault_of(name, value)) is None:
                return value
            click.echo(f"{name} {fault}", err=True)

    def _prompt(self, name: str, label: str, default: str | None) -> str:
        hidden = name in HIDDEN
        if hidden:
            label += " (not shown; empty keeps it)" if default is not None else " (not shown)"
        answer: Any = click.prompt(
            label,
            default=default,
            show_default=not hidden,
            hide_input=hidden and sys.stdin.isatty(),
        )
        return str(answer).strip()


def _fault_of(name: str, value: str) -> str | None:
    """Return the fault of a setting's value; None if it is valid."""
    try:
        config.load(Settings, **{**PLAUSIBLE, name.lower(): value})
    except SettingsError as error:
        return error.faults.get(name)
    return None


def _write(values: Mapping[str, str], existing: Mapping[str, str], yes: bool) -> None:
    """Write `.env`; ask before changing an existing one. Raises FreshetError."""
    path = config.ENV_FILE
    changes = env_file.difference(existing, values, HIDDEN)
    if path.exists() and changes:
        _confirm(changes, yes)
    template = next((each for each in (path, EXAMPLE) if each.exists()), None)
    try:
        before = environment.text_of(template) if template else ""
        env_file.write(path, env_file.compose(before, values))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FreshetError(f"{path} cannot be written: {reason}") from error
    click.echo(f"\nWrote {path}. Only its owner can read it." if changes else f"\n{SAME}")
    for name, value in values.items():
        if os.environ.get(name, value) != value:
            click.echo(f"The environment sets another {name}, which overrides .env.")


def _confirm(changes: list[str], yes: bool) -> None:
    """Show the changes of an existing `.env` and ask. Raises FreshetError if the answer is no."""
    click.echo(f"\n{config.ENV_FILE} exists. These lines will change:\n")
    for line in changes:
        click.secho(f"  {line}", fg="green" if line.startswith("+") else "red")
    if not yes and not click.confirm("\nApply these changes?"):
        raise FreshetError("nothing changed")


def _show_next_steps() -> None:
    """Print the redirect URI, on a line of its own, and the next command."""
    try:
        settings = config.load(Settings)
    except SettingsError:
        return  # doctor reports it
    _, redirect, _, _, start = steps(settings.redirect_uri)
    click.echo(f"\n{redirect.title} on the page of your Spotify app. {redirect.text}\n")
    click.secho(f"  {redirect.copy}\n", bold=True)
    click.echo(f"Then run `{start.copy}`. Now `manage.py doctor` checks all this:\n")
