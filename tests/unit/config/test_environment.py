"""The environment and `.env`: what is read, who can read it, and what it says of the demo."""

import os
import stat
from pathlib import Path

import pytest

from server.commands.served import load_served
from server.config import settings
from server.config.addresses import EmbeddedDatabase
from server.config.settings import Settings, load
from server.errors import SettingsError
from tests.support.paths import ROOT
from tests.support.settings import NEEDED, LoadWith, lines

BYTE_ORDER_MARK = "\ufeff"


@pytest.mark.parametrize(
    "content",
    [
        "CLIENT_ID=our-id\n",
        BYTE_ORDER_MARK + "CLIENT_ID=our-id\r\n",
        "client_id=our-id\n",
        "  export CLIENT_ID = 'our-id' # ours\n",
        "CLIENT_ID_FILE=/run/secrets/id\n",
        "Client_Id_File=/run/secrets/id\n",
        "CLIENT_ID=\nCLIENT_SECRET=hush\n",
        "CLIENT_SECRET_FILE=/run/secrets/secret\n",
    ],
)
def test_credentials_in_any_form_mean_the_real_thing(dotenv: Path, content: str) -> None:
    dotenv.write_text(content, encoding="utf-8")
    assert settings.is_for_spotify()


@pytest.mark.parametrize(
    "content",
    ["", "# CLIENT_ID=our-id\n", "CLIENT_ID=\nCLIENT_SECRET=''\n", "MY_CLIENT_ID=x\nPORT=80\n"],
)
def test_without_credentials_it_is_the_demo(dotenv: Path, content: str) -> None:
    dotenv.write_text(content, encoding="utf-8")
    assert not settings.is_for_spotify()


def test_commands_are_about_the_demo_unless_credentials_or_a_database_are_set(
    dotenv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_served().database_url == EmbeddedDatabase(ROOT / "var" / "demo" / "postgres")
    assert "about the demo" in capsys.readouterr().err
    for content in ("CLIENT_ID=our-id\n", "DATABASE_URL=embedded:\n"):
        dotenv.write_text(content)
        assert load_served().database_url == EmbeddedDatabase(ROOT / "var" / "postgres")
    assert capsys.readouterr().err == ""


def test_the_example_as_it_is_means_the_demo(dotenv: Path) -> None:
    dotenv.write_bytes((ROOT / ".env.example").read_bytes())
    assert not settings.is_for_spotify()


def test_credentials_in_the_environment_mean_the_real_thing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLIENT_ID_FILE", "/run/secrets/id")
    assert settings.is_for_spotify()


def test_a_broken_dotenv_starts_no_demo(dotenv: Path) -> None:
    dotenv.write_text('CLIENT_ID="our"id"\n')
    with pytest.raises(SettingsError) as caught:
        settings.is_for_spotify()
    fault = caught.value.faults[".env, line 1:"]
    assert fault.startswith("expected NAME=value (unclosed quote?)")
    assert r"\"" in fault


def test_a_quote_inside_quotes_is_read_where_it_is_escaped(dotenv: Path) -> None:
    dotenv.write_text(lines(**{**NEEDED, "CLIENT_SECRET": r'"hush \" hush"'}))
    assert load(Settings).client_secret.get_secret_value() == 'hush " hush'


@pytest.mark.parametrize("name", ["CLIENT_ID", "PORT", "PUBLIC_URL", "DATABASE_URL"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_that_belong_to_no_value_are_told(
    load_with: LoadWith, name: str, quote: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_with(**{name: f"{quote}5000{quote}"})
    assert caught.value.faults[name].startswith("is in quotes: remove them")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_dotenv_that_others_can_read_is_told_with_its_fix(dotenv: Path, mode: int) -> None:
    dotenv.touch()
    dotenv.chmod(mode)
    (remark,) = settings.remarks()
    assert (remark.event, remark.about) == ("env_file_readable", ".env")
    assert f"(mode {mode:o})" in remark.text
    command, wanted, path = remark.fix.split()
    assert command == "chmod"
    Path(path).chmod(int(wanted, 8))
    assert settings.remarks() == []


def test_a_private_dotenv_and_none_at_all_are_in_order(dotenv: Path) -> None:
    assert settings.remarks() == []
    dotenv.touch()
    dotenv.chmod(0o600)
    assert settings.remarks() == []
    assert stat.S_IMODE(os.stat(dotenv).st_mode) == 0o600


@pytest.mark.parametrize(
    "platform",
    [
        "x86_64-conda-linux-gnu",
        "x86_64-conda_cos6-linux-gnu",
        "aarch64-conda-linux-gnu",
        "arm64-apple-darwin20.0.0",
        "arm-linux-gnueabihf",
        "x86_64-linux-musl",
    ],
)
def test_a_host_that_names_a_platform_is_ignored_and_told(
    load_with: LoadWith, dotenv: Path, platform: str
) -> None:
    assert load_with(HOST=platform).host == "127.0.0.1"
    (remark,) = settings.remarks()
    assert remark.event == "host_ignored"
    assert platform in remark.text
    dotenv.write_text("HOST=::1\n")
    dotenv.chmod(0o600)
    assert load_with(HOST=platform).host == "::1"


@pytest.mark.parametrize("host", ["my-linux-server", "web-1.example.org", "gnu", "0.0.0.0"])
def test_a_host_that_only_looks_a_bit_like_that_counts(load_with: LoadWith, host: str) -> None:
    assert load_with(HOST=host).host == host
    assert settings.remarks() == []
