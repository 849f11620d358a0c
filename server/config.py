"""The settings, read once from the environment and `.env`; all faults are reported together."""

import math
import os
import re
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy import URL

from server import libpq
from server.addresses import ROOT, SPOTIFY_ACCOUNTS, check_public_url
from server.errors import SettingsError
from server.values import (
    A_YEAR,
    MENDS,
    AccountIds,
    Database,
    Markets,
    Networks,
    ServiceUrl,
    check_secret,
    check_sync_interval,
)

ENV_FILE = ROOT / ".env"
ENCODING = "utf-8-sig"  # editors on Windows put a mark at the front
NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # controls, and bytes that were no UTF-8


class DatabaseSettings(BaseModel):
    """What every command needs: the database and how to log."""

    model_config = ConfigDict(
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

    @field_validator("*", mode="before")
    @classmethod
    def _trimmed(cls, value: Any) -> Any:
        """Blanks around a value are never meant; a value of blanks alone is none."""
        value = value.strip() if isinstance(value, str) else value
        if value == "":
            raise ValueError("is blank: fill it in, or leave it out")
        if isinstance(value, str) and NOT_TEXT.search(value):
            raise ValueError("holds a line break, or a character that is no text")
        return value


class Settings(DatabaseSettings):
    """Everything the server needs; README.md says what each setting is for."""

    client_id: str
    client_secret: SecretStr
    secret: Annotated[SecretStr, AfterValidator(check_secret)]
    host: str = "127.0.0.1"
    port: int = Field(default=5000, ge=0, le=65535)
    processes: int = Field(default=1, ge=1, le=64)
    public_url: Annotated[str, AfterValidator(check_public_url)] = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data['port'] or 5000}"
    )
    allowed_users: AccountIds = ()
    trusted_proxies: Networks = ()
    sync_interval: Annotated[int, AfterValidator(check_sync_interval)] = 1800
    sync_source: Literal["auto", "new-releases", "search"] = "auto"
    sync_markets: Markets = ()
    sync_max_releases: int = Field(default=100, ge=10, le=1000)
    quota_per_day: int = Field(default=500, ge=12, le=1_000_000)
    retention_days: int = Field(default=90, ge=15, le=3660)
    cache_ttl: int = Field(default=300, ge=1, le=A_YEAR)
    cache_max_age: int = Field(default=15, ge=0, le=A_YEAR)
    access_log: Literal["all", "summary", "errors", "off"] = "summary"
    spotify_api_url: ServiceUrl = "https://api.spotify.com/v1"
    spotify_accounts_url: ServiceUrl = SPOTIFY_ACCOUNTS

    @field_validator("quota_per_day", mode="after")
    @classmethod
    def _fits_a_sync(cls, value: int, info: ValidationInfo) -> int:
        """A sync that never fits would never run; a tenth of the quota is kept for people."""
        chosen = info.data
        if not {"sync_source", "sync_markets", "sync_max_releases"} <= set(chosen):
            return value  # told already
        lists, limit = max(len(chosen["sync_markets"]), 1), 10
        if chosen["sync_source"] == "new-releases":
            lists, limit = 1, 50
        calls = lists * math.ceil(chosen["sync_max_releases"] / limit)
        if calls > value - value // 10:
            raise ValueError(
                f"of {value} is too little: one sync takes {calls} calls, and a tenth is kept for "
                "people; shorten SYNC_MARKETS, lower SYNC_MAX_RELEASES, or raise it (Spotify locks "
                "out new apps at about 600)"
            )
        return value

    @property
    def redirect_uri(self) -> str:
        """Where Spotify sends browsers back to; its dashboard has to know it to the letter."""
        return f"{self.public_url}/auth/callback/"


AnySettings = TypeVar("AnySettings", bound=DatabaseSettings)


def load(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read the settings of `kind`; `overrides` (command line, demo) win, None means not given.

    Raises SettingsError with every fault at once.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    environment = _environment()
    said = {
        field: environment[name]
        for field in kind.model_fields
        if (name := field.upper()) in environment
    }
    files, faults = _read_secret_files(set(kind.model_fields) - set(given), environment)
    try:
        settings = kind(**{**said, **files, **given})
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0]).upper() if detail["loc"] else "?"
            derived = detail["type"] == "default_factory_not_called"  # from one that is wrong
            if not derived and f"{name}_FILE" not in faults:
                faults[name] = _sentence(name, detail)
    if faults:
        raise SettingsError(faults)
    return settings


def _environment() -> dict[str, str]:
    """What `.env` and the environment say by upper-case name, empty values left out.

    Raises SettingsError if there is a `.env` that cannot be understood.
    """
    try:
        text = _text_of(ENV_FILE) if ENV_FILE.exists() else ""
    except ValueError as error:
        raise SettingsError({".env": str(error)}) from None
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            fault = f"has a mistake near line {line.original.line}: write NAME=value, close quotes"
            raise SettingsError({".env": fault})
    from_file = dotenv_values(stream=StringIO(text), interpolate=False)  # a ${ is a ${
    everything = [*from_file.items(), *os.environ.items()]
    return {name.upper(): value for name, value in everything if value}


def _read_secret_files(
    fields: set[str], environment: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Values of settings whose `NAME_FILE` names a file, and the faults of those that cannot be."""
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field in sorted(fields):
        name = field.upper()
        path = environment.get(f"{name}_FILE")
        try:
            if path and name in environment:
                faults[f"{name}_FILE"] = f"is set, and so is {name}: keep one of them"
            elif path:
                values[field] = _text_of(Path(path)).strip()
        except ValueError as error:
            faults[f"{name}_FILE"] = f"names {path}, which {error}"
    return values, faults


def _text_of(path: Path) -> str:
    """The text of a file; ValueError says why it cannot be had."""
    try:
        return path.read_text(ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ValueError(f"cannot be read: {reason}") from None


def _sentence(name: str, detail: Any) -> str:
    """One pydantic error in words that say what to do."""
    if detail["type"] == "missing":
        return f"is missing: {MENDS[name]}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return str(detail["msg"]).replace("Input should", "should")


def describe(settings: DatabaseSettings) -> dict[str, str]:
    """The effective settings by name, secrets and passwords masked."""
    shown = {}
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = "********"
        elif isinstance(value, URL):
            value = libpq.describe(value)
        elif isinstance(value, tuple):
            value = ",".join(str(each) for each in value)
        shown[field.upper()] = "" if value is None else str(value)
    return shown
