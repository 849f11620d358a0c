"""Settings from an environment and a .env file of the test."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import URL

from server.config import settings as config
from server.config.settings import Settings, load
from server.standin import StandIn
from tests.support.paths import ROOT

NEEDED = {
    "CLIENT_ID": "our-id",
    "CLIENT_SECRET": "hush-client",
    "SECRET": "k" * 16 + "-" + "s" * 16,
}
LoadWith = Callable[..., Settings]


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch) -> LoadWith:
    """Return a function that loads settings from the required variables and its arguments."""

    def load_them(**environment: str) -> Settings:
        for name, value in {**NEEDED, **environment}.items():
            monkeypatch.setenv(name, value)
        return load(Settings)

    return load_them


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path of this test's `.env`."""
    monkeypatch.setattr(config, "ENV_FILE", tmp_path / ".env")
    return tmp_path / ".env"


def lines(**values: str) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


SECRET = "a secret for tests that is long enough"
PUBLIC_URL = "http://127.0.0.1:5000"  # of a server on a free port that is given no other
SETTING_NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """Ignore the machine's environment and a developer's `.env`.

    Once, because tests change both only by `monkeypatch`, which restores what it found.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTING_NAMES:
            patch.delenv(name, raising=False)
            patch.delenv(f"{name}_FILE", raising=False)
        patch.setattr(config, "ENV_FILE", ROOT / "no.env")
        yield


def settings_for(
    url: URL, standin: StandIn | None = None, kind: type[Settings] = Settings, **overrides: Any
) -> Settings:
    """Return settings for a server on a free port, with the database at `url`."""
    addresses = {}
    if standin is not None:
        addresses = {
            "spotify_api_url": standin.api_url,
            "spotify_accounts_url": standin.accounts_url,
        }
    values = {
        "client_id": "standin-client",
        "client_secret": "standin-secret",
        "secret": SECRET,
        "database_url": url.render_as_string(hide_password=False),
        "port": 0,
        **addresses,
        **overrides,
    }
    return config.load(kind, **values)


class MakeSettings(Protocol):
    """Makes settings for a server on a free port, with the database of the test."""

    def __call__(
        self, standin: StandIn | None = None, kind: type[Settings] = Settings, **overrides: Any
    ) -> Settings: ...


@pytest.fixture
def make_settings(database_url: URL) -> MakeSettings:
    """Return `settings_for` with this test's database."""
    return partial(settings_for, database_url)
