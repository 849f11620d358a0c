"""The settings, read once from the environment and `.env`; all faults are reported together."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from server.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = ROOT / ".env"

DASHBOARD = "https://developer.spotify.com/dashboard"
MENDS = {
    "CLIENT_ID": f"copy it from your app's page at {DASHBOARD}",
    "CLIENT_SECRET": f"copy it from your app's page at {DASHBOARD}",
    "SECRET": 'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"',
}


@dataclass(frozen=True)
class EmbeddedDatabase:
    """A PostgreSQL of our own whose data lives in `directory`."""

    directory: Path

    def __str__(self) -> str:
        return f"embedded:{self.directory}"


def parse_database_url(value: object) -> URL | EmbeddedDatabase:
    """Read `postgresql://…` or `embedded:[DIR]`; a relative DIR is relative to the project.

    SQLAlchemy 2.1 takes `postgresql://` for psycopg 3 and refuses `postgres://`, so the driver is
    always written out.
    """
    if not isinstance(value, str):
        raise ValueError("must be postgresql://… or embedded:[DIR]")
    if value.startswith("embedded:"):
        return EmbeddedDatabase(ROOT / (value.removeprefix("embedded:") or "var/postgres"))
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise ValueError(
            "must be postgresql://USER:PASSWORD@HOST/NAME or embedded:[DIR] (is % & / @ in the "
            "password written as %25 %26 %2F %40?)"
        )
    if not url.database:
        raise ValueError("names no database: write postgresql://…/NAME")
    return url.set(drivername="postgresql+psycopg2")


def check_public_url(value: str) -> str:
    """Accept `https`, or `http` with a loopback literal, as Spotify does for redirect URIs.

    Source: developer.spotify.com/documentation/web-api/concepts/redirect_uri.
    """
    parts = urlsplit(value)
    host = parts.hostname or ""
    if host == "localhost":
        raise ValueError("uses localhost, which Spotify refuses: write http://127.0.0.1:PORT")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an address such as https://freshet.example.org")
    if parts.scheme == "http":
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError("must be https unless its host is 127.0.0.1 or [::1]")
    return value.rstrip("/")


def check_secret(value: SecretStr) -> SecretStr:
    """Every key of the comma list needs at least 32 characters."""
    shortest = min(len(key.strip()) for key in value.get_secret_value().split(","))
    if shortest < 32:
        raise ValueError(f"has {shortest} characters and needs at least 32: {MENDS['SECRET']}")
    return value


def check_service_url(value: str) -> str:
    """Accept an absolute http(s) address."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    return value.rstrip("/")


def check_sync_interval(value: int) -> int:
    """0 turns syncing off; an interval shorter than 5 s would only burn the quota."""
    if 0 < value < 5:
        raise ValueError("must be 0 (never) or at least 5 seconds")
    return value


Database = Annotated[URL | EmbeddedDatabase, BeforeValidator(parse_database_url)]
ServiceUrl = Annotated[str, AfterValidator(check_service_url)]


class DatabaseSettings(BaseSettings):
    """What every command needs: the database and how to log."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    database_url: Database = Field(default="embedded:")  # type: ignore[assignment]
    log_format: Literal["json", "console"] | None = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(lambda v: str(v).lower())
    ] = "info"


class Settings(DatabaseSettings):
    """Everything the server needs; README.md says what each setting is for."""

    client_id: str
    client_secret: SecretStr
    secret: Annotated[SecretStr, AfterValidator(check_secret)]
    host: str = "127.0.0.1"
    port: int = Field(default=5000, ge=0, le=65535)
    public_url: Annotated[str, AfterValidator(check_public_url)] = "http://127.0.0.1:5000"
    sync_interval: Annotated[int, AfterValidator(check_sync_interval)] = Field(default=1800, ge=0)
    sync_source: Literal["auto", "new-releases", "search"] = "auto"
    sync_max_releases: int = Field(default=100, ge=10, le=1000)
    cache_ttl: int = Field(default=300, ge=1)
    cache_max_age: int = Field(default=15, ge=0)
    access_log: Literal["all", "summary", "errors", "off"] = "summary"
    spotify_api_url: ServiceUrl = "https://api.spotify.com/v1"
    spotify_accounts_url: ServiceUrl = "https://accounts.spotify.com"


AnySettings = TypeVar("AnySettings", bound=DatabaseSettings)


def load(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read the settings of `kind`; `overrides` (command line, demo) win, None means not given.

    Raises SettingsError with every fault at once.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    from_files, faults = _read_secret_files(kind)
    try:
        settings = kind(**{**from_files, **given})
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0]).upper() if detail["loc"] else "?"
            faults.setdefault(name, _sentence(name, detail))
    if faults:
        raise SettingsError(faults)
    return settings


def _read_secret_files(kind: type[DatabaseSettings]) -> tuple[dict[str, str], dict[str, str]]:
    """Values of settings whose `NAME_FILE` names a file, and the faults of those that cannot be."""
    environment: Mapping[str, str | None] = {**dotenv_values(ENV_FILE), **os.environ}
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for field in kind.model_fields:
        path = environment.get(f"{field.upper()}_FILE")
        if path:
            try:
                values[field] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults[f"{field.upper()}_FILE"] = f"names a file that cannot be read: {error}"
    return values, faults


def _sentence(name: str, detail: Any) -> str:
    """One pydantic error in words that say what to do."""
    if detail["type"] == "missing":
        return f"is missing: {MENDS.get(name, 'set it')}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    message: str = detail["msg"]
    return message[0].lower() + message[1:].replace("Input should", "should")


def describe(settings: DatabaseSettings) -> dict[str, str]:
    """The effective settings by name, secrets and passwords masked."""
    shown = {}
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = "********"
        elif isinstance(value, URL):
            value = value.set(drivername="postgresql").render_as_string(hide_password=True)
        shown[field.upper()] = "" if value is None else str(value)
    return shown
