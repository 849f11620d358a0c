"""The settings: read once from the environment and `.env`; all faults are reported together."""

import math
import re
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

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
from pydantic.fields import FieldInfo
from sqlalchemy import URL

from server.config import environment, libpq, memory_budget
from server.config.addresses import ROOT, SPOTIFY_ACCOUNTS, EmbeddedDatabase, login_obstacle
from server.config.env_file import MASK
from server.config.environment import Remark
from server.config.validators import (
    A_YEAR,
    FIXES,
    AccountIds,
    Database,
    Markets,
    Networks,
    ServiceUrl,
    check_host,
    check_metrics_key,
    check_secret,
    check_sync_interval,
)
from server.errors import SettingsError

ENV_FILE = ROOT / ".env"
FOLLOW_READ = "user-follow-read"  # the scope of GET /me/following
# The calls a day that each source starts with, and the QUOTA_PER_DAY beyond which it starts with
# that; a test compares them with `spotify/limits`, which this chapter may not import.
STARTING = {"search": 300, "new-releases": 450}
DEVELOPMENT = 3000
EXTENDED = f"raise it above {DEVELOPMENT} if the app is in extended quota mode"
CREDENTIALS = ("CLIENT_ID", "CLIENT_SECRET")
NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # controls, bytes that are not UTF-8


class DatabaseSettings(BaseModel):
    """The settings that every command needs: the database and the log."""

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
    def _trimmed(cls, value: Any, info: ValidationInfo) -> Any:
        """Strip a value. Raises ValueError if it is empty or holds what no setting may hold."""
        value = value.strip() if isinstance(value, str) else value
        if value == "":
            fix = FIXES.get((info.field_name or "").upper(), "give it a value, or remove the line")
            raise ValueError(f"is empty: {fix}")
        if isinstance(value, str) and NOT_TEXT.search(value):
            raise ValueError("contains a line break or a control character")
        if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] in "\"'":
            raise ValueError("is in quotes: remove them (`docker run --env-file` keeps them)")
        return value


class Settings(DatabaseSettings):
    """Everything the server needs; docs/settings.md explains each setting."""

    demo: ClassVar[bool] = False
    client_id: str
    client_secret: SecretStr
    secret: Annotated[SecretStr, AfterValidator(check_secret)]
    host: Annotated[str, AfterValidator(check_host)] = "127.0.0.1"
    port: int = Field(default=5000, ge=0, le=65535)
    processes: int = Field(default=1, ge=1, le=64)
    memory_mb: int = Field(
        default=memory_budget.DEFAULT_MB, ge=memory_budget.LEAST_MB, le=memory_budget.MOST_MB
    )
    public_url: ServiceUrl = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data['port'] or 5000}"
    )
    allowed_users: AccountIds = ()
    trusted_proxies: Networks = ()
    metrics_key: Annotated[SecretStr, AfterValidator(check_metrics_key)] | None = None
    following: Annotated[
        Literal["on", "off"], BeforeValidator(lambda value: str(value).lower())
    ] = "on"
    sync_interval: Annotated[int, AfterValidator(check_sync_interval)] = 1800
    sync_source: Literal["auto", "new-releases", "search"] = "auto"
    sync_markets: Markets = ()
    sync_max_releases: int = Field(default=100, ge=10, le=1000)
    quota_per_day: int = Field(default=500, ge=12, le=1_000_000)
    retention_days: int = Field(default=90, ge=15, le=3660)
    cache_ttl: int = Field(default=300, ge=1, le=A_YEAR)
    cache_max_age: int = Field(default=15, ge=0, le=A_YEAR)
    events_per_client: int = Field(default=100, ge=1, le=1_000_000)
    access_log: Literal["all", "summary", "errors", "off"] = "summary"
    spotify_api_url: ServiceUrl = "https://api.spotify.com/v1"
    spotify_accounts_url: ServiceUrl = SPOTIFY_ACCOUNTS

    @field_validator("quota_per_day", mode="after")
    @classmethod
    def _fits_a_sync(cls, value: int, info: ValidationInfo) -> int:
        """Raise ValueError if one sync needs over nine tenths of what a source starts with.

        Such a sync would never run as a whole, because a tenth is reserved for requests of people.
        """
        chosen = info.data
        if not {"sync_source", "sync_markets", "sync_max_releases"} <= set(chosen):
            return value  # reported already
        lists, limit, source = max(len(chosen["sync_markets"]), 1), 10, "search"
        if chosen["sync_source"] == "new-releases":
            lists, limit, source = 1, 50, "new-releases"
        calls = lists * math.ceil(chosen["sync_max_releases"] / limit)
        allowed = value if value > DEVELOPMENT else min(value, STARTING[source])
        if calls <= allowed - allowed // 10:
            return value
        more = "raise it" if calls <= STARTING[source] - STARTING[source] // 10 else EXTENDED
        raise ValueError(
            f"of {value} allows {allowed} calls to {source} at first, but one sync takes {calls} "
            "calls, and a tenth is reserved for people; shorten SYNC_MARKETS, lower "
            f"SYNC_MAX_RELEASES, or {more}"
        )

    @property
    def budget(self) -> memory_budget.MemoryBudget:
        """The most memory that each part may use, by MEMORY_MB."""
        return memory_budget.divide(self.memory_mb)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that a login asks for: what FOLLOWING needs, and else none."""
        return (FOLLOW_READ,) if self.following == "on" else ()

    @property
    def login_obstacle(self) -> str | None:
        """Why a browser cannot log in at PUBLIC_URL; None if it can."""
        return login_obstacle(self.public_url)

    @property
    def loopback(self) -> str:
        """The address of this server for browsers of its own machine or behind an ssh tunnel."""
        return f"http://127.0.0.1:{self.port or 5000}"

    @property
    def redirect_uri(self) -> str:
        """The address to which Spotify redirects browsers, exactly as entered on its dashboard."""
        base = self.loopback if self.login_obstacle else self.public_url
        return f"{base}/auth/callback/"


class DemoSettings(Settings):
    """The settings of the demo, which uses the stand-in for Spotify."""

    demo: ClassVar[bool] = True


AnySettings = TypeVar("AnySettings", bound=DatabaseSettings)


def load(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read the settings of `kind`.

    `overrides`, from the command line or the demo, win; None means not given. Raises SettingsError
    with all faults.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    text = environment.read(ENV_FILE)
    written = {field: text[name] for field in kind.model_fields if (name := field.upper()) in text}
    files, faults = environment.read_secret_files(set(kind.model_fields) - set(given), text)
    try:
        settings = kind(**{**written, **files, **given})
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0]).upper() if detail["loc"] else "?"
            derived = detail["type"] == "default_factory_not_called"  # from a wrong one
            if not derived and f"{name}_FILE" not in faults:
                faults[name] = _describe_fault(name, detail)
    if faults:
        raise SettingsError(faults)
    return settings


def is_for_spotify() -> bool:
    """Return whether CLIENT_ID or CLIENT_SECRET is set. Raises SettingsError."""
    text = environment.read(ENV_FILE)
    return any(text.get(f"{name}{kind}") for name in CREDENTIALS for kind in ("", "_FILE"))


def missing() -> list[str]:
    """Return the fields of required settings that are not set. Raises SettingsError."""
    text = environment.read(ENV_FILE)
    needed = (name for name, field in Settings.model_fields.items() if field.is_required())
    return [each for each in needed if not {each.upper(), f"{each.upper()}_FILE"} & set(text)]


def secret_names() -> list[str]:
    """Return the names of settings whose values are secret or may contain a password."""
    fields = Settings.model_fields.items()
    return ["DATABASE_URL", *(name.upper() for name, each in fields if is_secret(each))]


def is_secret(field: FieldInfo) -> bool:
    """Return whether a field is masked wherever it is shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def remarks(database: URL | EmbeddedDatabase | None = None) -> list[Remark]:
    """Return problems of the settings that prevent nothing; `database` is DATABASE_URL."""
    found = environment.remarks(ENV_FILE, secret_names())
    if isinstance(database, EmbeddedDatabase):
        found += environment.remark_on_folder(database.directory.parent)
    return found


def _describe_fault(name: str, detail: Any) -> str:
    """Return one error of pydantic as a phrase that follows the setting's name."""
    match detail["type"]:
        case "missing":
            return f"is missing: {FIXES[name]}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float":
            return "must be a whole number"
        case "greater_than_equal":
            return f"must be at least {detail['ctx']['ge']}"
        case "less_than_equal":
            return f"must be at most {detail['ctx']['le']}"
    return str(detail["msg"]).replace("Input should", "must")


def describe(settings: DatabaseSettings) -> dict[str, str]:
    """Return the effective settings by name, with secrets and passwords masked."""
    shown = {}
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = MASK
        elif isinstance(value, URL):
            value = libpq.describe(value)
        elif isinstance(value, tuple):
            value = ",".join(str(each) for each in value)
        shown[field.upper()] = "" if value is None else str(value)
    return shown
