"""Settings are read once, faults are told all at once, and secrets are never shown."""

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from server.config import libpq
from server.config import settings as config
from server.config.addresses import EmbeddedDatabase
from server.config.settings import STARTING, DatabaseSettings, Settings, describe, load
from server.errors import SettingsError
from server.spotify.limits import ceiling
from server.spotify.types import ENDPOINTS, SOURCE_ORDER, SourceName
from tests.support.paths import ROOT
from tests.support.server_processes import Manage
from tests.support.settings import NEEDED, LoadWith, lines

SECRET = NEEDED["SECRET"]


def faults_of(run: Callable[[], Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        run()
    return caught.value.faults


# Each setting

DEFAULTS = {
    "DATABASE_URL": EmbeddedDatabase(ROOT / "var" / "postgres"),
    "LOG_FORMAT": None,
    "LOG_LEVEL": "info",
    "HOST": "127.0.0.1",
    "PORT": 5000,
    "PUBLIC_URL": "http://127.0.0.1:5000",
    "ALLOWED_USERS": (),
    "TRUSTED_PROXIES": (),
    "METRICS_KEY": None,
    "SYNC_INTERVAL": 1800,
    "SYNC_SOURCE": "auto",
    "SYNC_MARKETS": (),
    "PROCESSES": 1,
    "MEMORY_MB": 200,
    "SYNC_MAX_RELEASES": 100,
    "QUOTA_PER_DAY": 500,
    "RETENTION_DAYS": 90,
    "CACHE_TTL": 300,
    "CACHE_MAX_AGE": 15,
    "EVENTS_PER_CLIENT": 100,
    "ACCESS_LOG": "summary",
    "FOLLOWING": "on",
    "SPOTIFY_API_URL": "https://api.spotify.com/v1",
    "SPOTIFY_ACCOUNTS_URL": "https://accounts.spotify.com",
}
GOOD: dict[str, list[Any]] = {
    "CLIENT_ID": [("abc", "abc"), (" abc ", "abc")],
    "CLIENT_SECRET": [("s3cret", "s3cret"), (" s3cret\n", "s3cret")],
    "SECRET": [("x" * 32, "x" * 32), (f"{'x' * 32},{'y' * 40}", f"{'x' * 32},{'y' * 40}")],
    "DATABASE_URL": [("embedded:data", EmbeddedDatabase(ROOT / "data"))],
    "LOG_FORMAT": [("json", "json"), ("console", "console"), ("", None)],
    "LOG_LEVEL": [("debug", "debug"), ("INFO", "info"), ("Warning", "warning"), ("error", "error")],
    "HOST": [(each, each) for each in ("0.0.0.0", "::1", "*", "127.0.0.1, ::1", "localhost")],
    "PORT": [("0", 0), ("80", 80), ("65535", 65535), (" 8080 ", 8080)],
    "PUBLIC_URL": [
        ("https://freshet.example.org", "https://freshet.example.org"),
        ("https://example.org/freshet/", "https://example.org/freshet"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://raspberrypi.local:5000/", "http://raspberrypi.local:5000"),
        ("http://192.168.1.5:5000", "http://192.168.1.5:5000"),
        ("http://localhost:5000", "http://localhost:5000"),
    ],
    "ALLOWED_USERS": [
        ("aB3dE5fG7h", ("aB3dE5fG7h",)),
        (" one, two.2_x ,three", ("one", "two.2_x", "three")),
        ("one,,", ("one",)),
        ("account_id:one, id:two,one", ("one", "id:two")),
    ],
    "TRUSTED_PROXIES": [
        ("10.0.0.0/8, ::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
        ("127.0.0.1,,127.0.0.1", (ip_network("127.0.0.1"),)),
        ("fd00::/8", (ip_network("fd00::/8"),)),
    ],
    "METRICS_KEY": [("aB3-._~+/" * 2 + "==", "aB3-._~+/" * 2 + "==")],
    "SYNC_INTERVAL": [("0", 0), ("5", 5), ("86400", 86400)],
    "SYNC_SOURCE": [("auto", "auto"), ("new-releases", "new-releases"), ("search", "search")],
    "SYNC_MARKETS": [("DE", ("DE",)), (" de, US ,de,", ("DE", "US")), ("GB,xk", ("GB", "XK"))],
    "PROCESSES": [("1", 1), ("64", 64)],
    "MEMORY_MB": [("150", 150), ("200", 200), ("1000000", 1_000_000)],
    "SYNC_MAX_RELEASES": [("10", 10), ("1000", 1000)],
    "QUOTA_PER_DAY": [("12", 12), ("600", 600), ("1000000", 1_000_000)],
    "RETENTION_DAYS": [("15", 15), ("3660", 3660)],
    "CACHE_TTL": [("1", 1), ("86400", 86400)],
    "CACHE_MAX_AGE": [("0", 0), ("60", 60)],
    "EVENTS_PER_CLIENT": [("1", 1), ("1000", 1000)],
    "FOLLOWING": [("on", "on"), ("off", "off"), ("OFF", "off")],
    "ACCESS_LOG": [(mode, mode) for mode in ("all", "summary", "errors", "off")],
    "SPOTIFY_API_URL": [("http://127.0.0.1:5001/v1/", "http://127.0.0.1:5001/v1")],
    "SPOTIFY_ACCOUNTS_URL": [("https://proxy.example/spotify", "https://proxy.example/spotify")],
}
BAD_URLS = [
    "example.org",
    "ftp://example.org",
    "https://",
    "https://example.org:port",
    "https://example.org:99999",
    "http://[::1",
    "https://user:hush@example.org",
    "https://example.org?x=y",
    "https://example.org/#here",
    "https://exam ple.org",
]
BAD = {
    "CLIENT_ID": [" ", "\t", "two\nlines"],
    "CLIENT_SECRET": ["  "],
    "SECRET": [
        "hush",
        " " * 40,
        f"{SECRET},hush",
        f"{SECRET},",
        f",{SECRET}",
    ],
    "DATABASE_URL": [
        "mysql://u:hush@host/name",
        "sqlite:///file",
        "postgresql+psycopg://u:hush@host/name",
        "postgresql://u:hush@host:port/name",
        "postgresql://u:hush@host",
        "postgresql://u:hush@twice@host/name",
        "postgresql://u:hu/sh@twice@host/name",
        "postgresql://u:hush@host:0/name",
        "postgresql://u:hush@h1,h2:1,h3/name?port=1,2",
        "postgresql://u:hush@host/name?nothing=hush",
        "postgresql://u:hush@/name?service=mine",
        "service=mine",
        "host=h dbname=d hush",
        "host/name",
        "embedded",
    ],
    "LOG_FORMAT": ["xml", "JSON "],
    "LOG_LEVEL": ["loud", "10"],
    "HOST": [" ", ",", "127.0.0.1,", "http://127.0.0.1", "127.0.0.1 ::1"],
    "PORT": ["-1", "65536", "http", "1.5"],
    "PUBLIC_URL": BAD_URLS,
    "ALLOWED_USERS": [
        "https://open.spotify.com/user/x",
        "spotify:user:x",
        "me@example.org",
        "a b",
        "id:",
        ":x",
    ],
    "TRUSTED_PROXIES": ["nginx", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "*", "::1 10.0.0.1"],
    "METRICS_KEY": ["short-one", "a" * 15, "with a blank in it", "with,comma,in,it", "=" * 20],
    "SYNC_INTERVAL": ["-1", "1", "4", "soon", "9" * 30],
    "SYNC_SOURCE": ["both", "Search"],
    "SYNC_MARKETS": ["Germany", "D", "DE;US", "49", "ÄÖ", "ß", "UK", "DE,ZZ", "EU", "XX"],
    "PROCESSES": ["0", "65", "all"],
    "MEMORY_MB": ["0", "149", "1000001", "200 MB", "all"],
    "SYNC_MAX_RELEASES": ["9", "1001", "all"],
    "QUOTA_PER_DAY": ["0", "-5", "11", "1000001", "many"],
    "RETENTION_DAYS": ["0", "14", "-90", "for ever"],
    "CACHE_TTL": ["0", "-5", "9" * 30],
    "CACHE_MAX_AGE": ["-1", "9" * 400],
    "EVENTS_PER_CLIENT": ["0", "-1", "many"],
    "ACCESS_LOG": ["none", "ALL"],
    "FOLLOWING": ["yes", "true", "0"],
    "SPOTIFY_API_URL": BAD_URLS,
    "SPOTIFY_ACCOUNTS_URL": BAD_URLS,
}


def plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, case) for name, values in table.items() for case in values]


def test_every_setting_is_tested() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert set(GOOD) == set(BAD) == names
    assert set(DEFAULTS) == names - set(NEEDED)


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_not_set_has_its_default(load_with: LoadWith, name: str) -> None:
    assert getattr(load_with(), name.lower()) == DEFAULTS[name]


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_empty_has_its_default(load_with: LoadWith, name: str) -> None:
    assert getattr(load_with(**{name: ""}), name.lower()) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "case"), cases(GOOD))
def test_a_good_value_is_taken(load_with: LoadWith, name: str, case: tuple[str, Any]) -> None:
    given, read = case
    assert plain(getattr(load_with(**{name: given}), name.lower())) == read


@pytest.mark.parametrize(("name", "given"), cases(BAD))
def test_a_bad_value_is_the_one_fault_that_is_told(
    load_with: LoadWith, name: str, given: str
) -> None:
    faults = faults_of(lambda: load_with(**{name: given}))
    assert list(faults) == [name]
    assert faults[name]
    assert "hush" not in faults[name]
    assert "\n" not in faults[name]


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("PORT", "abc", "must be a whole number"),
        ("PORT", "5000.5", "must be a whole number"),
        ("PORT", "65536", "must be at most 65535"),
        ("RETENTION_DAYS", "1", "must be at least 15"),
        ("ACCESS_LOG", "loud", "must be 'all', 'summary', 'errors' or 'off'"),
        ("CLIENT_ID", " ", "is empty: copy it from your app's page at"),
        ("PUBLIC_URL", " ", "is empty: give it a value, or remove the line"),
    ],
)
def test_a_fault_says_what_the_value_must_be(
    load_with: LoadWith, name: str, value: str, fault: str
) -> None:
    assert faults_of(lambda: load_with(**{name: value}))[name].startswith(fault)


@pytest.mark.parametrize("name", NEEDED)
def test_a_setting_that_is_needed_is_told_with_its_fix(load_with: LoadWith, name: str) -> None:
    faults = faults_of(lambda: load_with(**{name: ""}))
    assert list(faults) == [name]
    assert "is missing" in faults[name]
    assert "token_urlsafe" in faults[name] or "developer.spotify.com/dashboard" in faults[name]


@pytest.mark.parametrize(
    "address", ["http://localhost:5000", "https://localhost", "http://LOCALHOST/music"]
)
def test_localhost_turns_the_login_off_and_says_what_to_write_instead(
    load_with: LoadWith, address: str
) -> None:
    settings = load_with(PUBLIC_URL=address, PORT="8080")
    assert "write http://127.0.0.1:PORT" in (settings.login_obstacle or "")
    assert settings.redirect_uri == "http://127.0.0.1:8080/auth/callback/"


@pytest.mark.parametrize(
    "address",
    ["http://raspberrypi.local:5000", "http://192.168.1.5", "http://[fd00::1]:5000", "http://pi/x"],
)
def test_plain_http_in_a_network_turns_the_login_off_and_nothing_else(
    load_with: LoadWith, address: str
) -> None:
    settings = load_with(PUBLIC_URL=address)
    assert settings.public_url == address
    assert "is plain http at" in (settings.login_obstacle or "")
    assert settings.redirect_uri == "http://127.0.0.1:5000/auth/callback/"


@pytest.mark.parametrize(
    "address", ["https://music.example.org/x", "http://127.0.0.1:8080", "http://[::1]:5000"]
)
def test_where_spotify_sends_browsers_back_the_login_is_on(
    load_with: LoadWith, address: str
) -> None:
    settings = load_with(PUBLIC_URL=address)
    assert settings.login_obstacle is None
    assert settings.redirect_uri == f"{address}/auth/callback/"


def test_every_malformed_proxy_is_told_and_what_was_meant(load_with: LoadWith) -> None:
    given = "nginx, ::1, 10.1.2.3/8, 10.0.0.0/99"
    fault = faults_of(lambda: load_with(TRUSTED_PROXIES=given))["TRUSTED_PROXIES"]
    assert fault.endswith("not nginx, 10.1.2.3/8 (10.0.0.0/8 is the network), 10.0.0.0/99")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://straße.example/musik", "https://xn--strae-oqa.example/musik"),
        ("https://STRASSE.Example.", "https://strasse.example"),
        ("https://XN--strae-oqa.example", "https://xn--strae-oqa.example"),
        ("https://bücher。example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://my_host.example/", "https://my_host.example"),
        ("https://[2001:DB8:0:0::1]:8443/x/", "https://[2001:db8::1]:8443/x"),
        ("HTTP://127.0.0.1:5000/", "http://127.0.0.1:5000"),
    ],
)
def test_hosts_are_written_as_browsers_write_them(
    load_with: LoadWith, given: str, meant: str
) -> None:
    settings = load_with(PUBLIC_URL=given, SPOTIFY_API_URL=given)
    assert (settings.public_url, settings.spotify_api_url) == (meant, meant)


@pytest.mark.parametrize("host", ["a\u2615.example", "\u0301.example", "ü" * 64, "x..ü"])
def test_a_host_that_has_no_ascii_form_is_a_fault(load_with: LoadWith, host: str) -> None:
    faults = faults_of(lambda: load_with(PUBLIC_URL=f"https://{host}"))
    assert "xn--" in faults["PUBLIC_URL"]


@pytest.mark.parametrize("host", [".", "..."])
def test_a_host_of_dots_is_no_host(load_with: LoadWith, host: str) -> None:
    faults = faults_of(lambda: load_with(PUBLIC_URL=f"https://{host}"))
    assert "must be an address" in faults["PUBLIC_URL"]


def test_all_faults_are_told_together() -> None:
    bad = {"port": "http", "sync_interval": "1", "public_url": "localhost"}
    faults = faults_of(lambda: load(Settings, **bad))
    assert set(faults) == {*NEEDED, "PORT", "SYNC_INTERVAL", "PUBLIC_URL"}


def test_a_command_that_needs_only_the_database_asks_for_nothing_else() -> None:
    assert load(DatabaseSettings).database_url == DEFAULTS["DATABASE_URL"]


def test_names_nobody_knows_are_ignored(load_with: LoadWith, dotenv: Path) -> None:
    dotenv.write_text("NO_SUCH_SETTING=1\nDATABASE=postgres\n")
    assert load_with(SYNC_EVERYTHING="yes", PROCESS="9").port == 5000


def test_bytes_that_are_no_text_are_a_fault(load_with: LoadWith) -> None:
    if os.supports_bytes_environ:
        faults = faults_of(lambda: load_with(SECRET=os.fsdecode(b"\xff" * 40)))
        assert list(faults) == ["SECRET"]


def test_what_the_command_line_gives_wins_and_none_is_not_given(load_with: LoadWith) -> None:
    load_with(PORT="80", HOST="::1")
    settings = load(Settings, port=81, host=None)
    assert (settings.port, settings.host) == (81, "::1")


def test_settings_cannot_be_changed(load_with: LoadWith) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_with().port = 1  # type: ignore[misc]  # what is tested


# The database's address


def database_url(text: str) -> Any:
    return load(DatabaseSettings, database_url=text).database_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_name_of_postgresql_means_our_driver(scheme: str) -> None:
    url = database_url(f"{scheme}://user:pass@host:5433/name?sslmode=require")
    assert isinstance(url, URL)
    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.host, url.port) == ("user", "pass", "host", 5433)
    assert (url.database, url.query) == ("name", {"sslmode": "require"})


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p%40ss%2Fw%25rd%26%3A%23", "p@ss/w%rd&:#"),
        ("a:b", "a:b"),
        ("a#b", "a#b"),
        ("a/b?c", "a/b?c"),
        ("50%off", "50%off"),
        ("a+b", "a+b"),
        ("%C3%A9", "é"),
        ("", ""),
    ],
)
def test_passwords_with_special_characters(written: str, password: str) -> None:
    url = database_url(f"postgresql://user:{written}@host/name")
    assert (url.password or "", url.host, url.database) == (password, "host", "name")


HINT = "is % & / @ in the password written as"
LIBPQ: dict[
    str, dict[str, Any]
] = {  # the examples of libpq's manual that name a database, and what others write
    "postgresql://localhost/mydb": {"host": "localhost", "dbname": "mydb"},
    "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp": {
        "user": "other",
        "host": "localhost",
        "dbname": "otherdb",
        "connect_timeout": "10",
        "application_name": "myapp",
    },
    "postgresql://host1:123,host2:456/somedb?target_session_attrs=any": {
        "host": "host1,host2",
        "port": "123,456",
        "dbname": "somedb",
        "target_session_attrs": "any",
    },
    "postgresql:///mydb?host=localhost&port=5433": {
        "host": "localhost",
        "port": 5433,
        "dbname": "mydb",
    },
    "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff": {
        "user": "user",
        "host": "localhost",
        "port": 5433,
        "dbname": "mydb",
        "options": "-c synchronous_commit=off",
    },
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname": {
        "host": "/var/lib/postgresql",
        "port": "5432",
        "dbname": "dbname",
    },
    "postgresql:///dbname?host=/var/lib/postgresql": {
        "host": "/var/lib/postgresql",
        "port": "5432",
        "dbname": "dbname",
    },
    "postgresql://[2001:db8::1234]/database": {"host": "2001:db8::1234", "dbname": "database"},
    "host=localhost port=5432 dbname=mydb connect_timeout=10": {
        "host": "localhost",
        "port": 5432,
        "dbname": "mydb",
        "connect_timeout": "10",
    },
    "postgresql://u:p@h1,h2:6543,[::1]/db?target_session_attrs=read-write": {
        "user": "u",
        "password": "p",
        "host": "h1,h2,::1",
        "port": "5432,6543,5432",
        "dbname": "db",
        "target_session_attrs": "read-write",
    },
    "postgresql://u@/db?host=a:1&host=b:2": {
        "user": "u",
        "host": "a,b",
        "port": "1,2",
        "dbname": "db",
    },
    "postgresql://u@host/d%40b?password=p": {
        "user": "u",
        "password": "p",
        "host": "host",
        "dbname": "d@b",
    },
    "postgresql://host/db?ssl=true": {"host": "host", "dbname": "db", "sslmode": "require"},
}


@pytest.mark.parametrize("text", LIBPQ)
def test_an_address_means_to_the_driver_and_to_programs_what_it_means_to_libpq(text: str) -> None:
    url = database_url(text)
    dialect: Any = PGDialect_psycopg2
    _, parameters = dialect().create_connect_args(url)
    assert parameters == LIBPQ[text]
    told = libpq.variables(url)
    for name, variable in (("host", "PGHOST"), ("port", "PGPORT"), ("dbname", "PGDATABASE")):
        assert told.get(variable) == (str(LIBPQ[text][name]) if name in LIBPQ[text] else None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("postgresql://", "names no database"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://user:secret@localhost", "names no database"),
        ("postgresql://u@h:abc/db", "has a port that is not a number"),
        ("postgresql://u:p@h/db?nonsense=1", "has nonsense, which is not a parameter of libpq"),
        ("host=h dbname=d nonsense=1", "has nonsense, which is not a parameter of libpq"),
        ("postgresql://?service=mine", "names a service"),
        ("postgresql://a:1,b:2,c:3/db?port=1,2", "has 3 hosts and 2 ports"),
        ("mysql://h/d", "must be postgresql://"),
        ("postgresql://u:p@ss@h/db", HINT),
        ("postgresql://u:p/s?s@x@h/db", HINT),
    ],
)
def test_an_address_that_cannot_be_used_has_a_reason_and_a_hint_only_where_it_fits(
    text: str, fault: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        database_url(text)
    assert fault in str(caught.value)
    assert (HINT in str(caught.value)) == (fault == HINT)


def test_no_secret_of_an_address_is_shown() -> None:
    text = "postgresql://u@h/db?password=hush&sslpassword=hush&sslmode=require"
    shown = describe(load(DatabaseSettings, database_url=text))["DATABASE_URL"]
    assert shown == "postgresql://u:***@h/db?sslmode=require&sslpassword=***"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("embedded:", ROOT / "var" / "postgres"),
        ("embedded:data/here", ROOT / "data" / "here"),
        ("embedded:/data", Path("/data")),
    ],
)
def test_an_embedded_database_has_its_folder(text: str, folder: Path) -> None:
    assert database_url(text) == EmbeddedDatabase(folder)


@pytest.mark.parametrize("said", ["/var/lib/freshet", "/var/lib/freshet:/var/lib/other"])
def test_under_systemd_the_embedded_database_is_in_the_state_directory(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", said)
    folder = EmbeddedDatabase(Path("/var/lib/freshet/postgres"))
    assert load(DatabaseSettings).database_url == folder
    monkeypatch.setenv("DATABASE_URL", "")
    assert load(DatabaseSettings).database_url == folder
    assert database_url("embedded:") == folder
    assert database_url("embedded:data") == EmbeddedDatabase(ROOT / "data")
    monkeypatch.setenv("STATE_DIRECTORY", "")
    assert load(DatabaseSettings).database_url == DEFAULTS["DATABASE_URL"]


# Secrets in files


def test_a_secret_can_come_from_a_file(load_with: LoadWith, tmp_path: Path) -> None:
    file = tmp_path / "client-secret"
    file.write_text("\ufefffrom-a-file\n", encoding="utf-8")
    settings = load_with(CLIENT_SECRET="", CLIENT_SECRET_FILE=str(file))
    assert settings.client_secret.get_secret_value() == "from-a-file"


@pytest.mark.parametrize("name", GOOD)
def test_any_setting_can_come_from_a_file(load_with: LoadWith, tmp_path: Path, name: str) -> None:
    given, read = GOOD[name][0]
    file = tmp_path / "file"
    file.write_text(given + "\n")
    settings = load_with(**{name: "", f"{name}_FILE": str(file)})
    assert plain(getattr(settings, name.lower())) == read


def test_a_bad_value_in_a_file_is_told_as_any_other(load_with: LoadWith, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush")
    faults = faults_of(lambda: load_with(SECRET="", SECRET_FILE=str(file)))
    assert list(faults) == ["SECRET"]
    assert "32" in faults["SECRET"]
    assert "hush" not in faults["SECRET"]


@pytest.mark.parametrize("content", ["", "  \n"])
def test_an_empty_file_is_no_secret(load_with: LoadWith, tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    faults = faults_of(lambda: load_with(CLIENT_SECRET="", CLIENT_SECRET_FILE=str(file)))
    assert "is empty: copy it from" in faults["CLIENT_SECRET"]


@pytest.mark.parametrize("place", ["missing", "directory", "binary"])
def test_a_file_that_cannot_be_read_is_one_fault_that_names_it(
    load_with: LoadWith, tmp_path: Path, place: str
) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfehush")
    path = str(tmp_path / place)
    faults = faults_of(lambda: load_with(CLIENT_SECRET="", CLIENT_SECRET_FILE=path))
    assert list(faults) == ["CLIENT_SECRET_FILE"]
    assert path in faults["CLIENT_SECRET_FILE"]
    assert "cannot be read" in faults["CLIENT_SECRET_FILE"]
    assert "hush" not in faults["CLIENT_SECRET_FILE"]


def test_a_setting_and_its_file_together_are_a_fault(load_with: LoadWith, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file")
    faults = faults_of(lambda: load_with(CLIENT_SECRET_FILE=str(file)))
    assert list(faults) == ["CLIENT_SECRET_FILE"]
    assert "remove one" in faults["CLIENT_SECRET_FILE"]


def test_a_file_is_not_read_for_what_the_command_line_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**NEEDED, "CLIENT_SECRET": "", "CLIENT_SECRET_FILE": "/no/such"}.items():
        monkeypatch.setenv(name, value)
    assert load(Settings, client_secret="given").client_secret.get_secret_value() == "given"


def test_a_file_can_be_named_in_dotenv(dotenv: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file")
    needed = {**NEEDED, "CLIENT_SECRET": ""}
    dotenv.write_text(lines(**needed, CLIENT_SECRET_FILE=str(tmp_path / "secret")))
    assert load(Settings).client_secret.get_secret_value() == "from-a-file"


# .env


def test_dotenv_is_read_and_the_environment_wins(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv.write_text(lines(**NEEDED, PORT="1111", HOST="::1"))
    monkeypatch.setenv("PORT", "2222")
    monkeypatch.setenv("HOST", "")
    settings = load(Settings)
    assert (settings.client_id, settings.port, settings.host) == ("our-id", 2222, "::1")


def test_empty_values_in_dotenv_count_as_unset(dotenv: Path) -> None:
    dotenv.write_text(lines(**NEEDED, PORT="", PUBLIC_URL="''", SYNC_INTERVAL='""', LOG_FORMAT=" "))
    settings = load(Settings)
    assert (settings.port, settings.public_url) == (5000, DEFAULTS["PUBLIC_URL"])
    assert (settings.sync_interval, settings.log_format) == (1800, None)


def test_dotenv_may_come_from_windows(dotenv: Path) -> None:
    text = lines(**NEEDED, PORT="1234").replace("\n", "\r\n")
    dotenv.write_bytes(b"\xef\xbb\xbf" + text.encode())
    settings = load(Settings)
    assert (settings.client_id, settings.port) == ("our-id", 1234)


def test_quotes_comments_and_export_are_understood(dotenv: Path) -> None:
    dotenv.write_text(
        "# our settings\n\nexport CLIENT_ID='our id'\n"
        f'CLIENT_SECRET="hush # not a comment"  # a comment\nSECRET={SECRET} # another\n'
    )
    settings = load(Settings)
    assert settings.client_id == "our id"
    assert settings.client_secret.get_secret_value() == "hush # not a comment"
    assert settings.secret.get_secret_value() == SECRET


def test_a_directory_called_dotenv_is_told(dotenv: Path) -> None:
    dotenv.mkdir()
    assert "directory" in faults_of(lambda: load(Settings))[".env"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'CLIENT_ID="our-id\nPORT=80\n', "line 1"),
        (b"CLIENT_ID=our-id\nCLIENT_SECRET='hush\n", "line 2"),
        (b"CLIENT_ID: our-id\n", "line 1"),
        (b"CLIENT_ID=our-id\n# a comment\nPORT\n", "line 3"),
        (b'CLIENT_ID="our-id" hush\n', "line 1"),
        (b"CLIENT_ID our-id\n", "line 1"),
        (b"\x00\x01\x02\x03hush\n", "line 1"),
        (b"\x89PNG\r\n\x1a\nhush", "UTF-8"),
        ("CLIENT_SECRET=hush-é\n".encode("latin-1"), "UTF-8"),
        ("CLIENT_ID=our-id\n".encode("utf-16"), "UTF-8"),
    ],
)
@pytest.mark.parametrize("kind", [Settings, DatabaseSettings])
def test_a_broken_dotenv_is_told_and_not_quoted(
    dotenv: Path, capfd: pytest.CaptureFixture[str], content: bytes, says: str, kind: Any
) -> None:
    dotenv.write_bytes(content)
    faults = faults_of(lambda: load(kind))
    ((name, fault),) = faults.items()
    assert name.startswith(".env")
    assert says in f"{name} {fault}"
    assert "hush" not in fault
    assert capfd.readouterr() == ("", "")


def test_control_characters_in_dotenv_are_a_fault_of_their_setting(dotenv: Path) -> None:
    dotenv.write_text(lines(**{**NEEDED, "CLIENT_ID": "our\x00id"}))
    assert list(faults_of(lambda: load(Settings))) == ["CLIENT_ID"]


def test_the_example_names_every_setting_and_only_those() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^#? ?([A-Z][A-Z_]*)=", text, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)
    assert "NAME_FILE" in text


def test_the_example_filled_in_is_a_sound_dotenv(dotenv: Path) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, value in NEEDED.items():
        text = re.sub(f"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    dotenv.write_text(text, encoding="utf-8")
    settings = load(Settings)
    for name, default in DEFAULTS.items():
        assert getattr(settings, name.lower()) == default, name


# Secrets are not shown


def test_secrets_are_in_no_repr_and_no_description(load_with: LoadWith) -> None:
    settings = load_with(DATABASE_URL="postgresql://user:hush-database@host/name")
    shown = describe(settings)
    for text in (repr(settings), str(settings), str(shown)):
        assert "hush" not in text
        assert SECRET not in text
    assert shown["DATABASE_URL"] == "postgresql://user:***@host/name"
    assert shown["CLIENT_SECRET"] == shown["SECRET"] == "********"
    assert (shown["CLIENT_ID"], shown["PORT"], shown["LOG_FORMAT"]) == ("our-id", "5000", "")
    assert list(shown) == [name.upper() for name in Settings.model_fields]


def test_the_embedded_database_is_described_by_its_folder(load_with: LoadWith) -> None:
    assert describe(load_with())["DATABASE_URL"] == f"embedded:{ROOT / 'var' / 'postgres'}"


# The commands


def test_run_with_an_empty_environment_is_one_message(manage: Manage, manage_py: Path) -> None:
    done = manage("run", "--no-demo", env={})
    assert (done.returncode, done.stdout) == (2, "")
    message = done.stderr
    assert "Traceback" not in message
    assert message.startswith("3 settings are missing or wrong:")
    for name in NEEDED:
        assert message.count(f"  {name} ") == 1
    assert "https://developer.spotify.com/dashboard" in message
    assert "token_urlsafe" in message
    assert "run --demo" in message
    assert str(manage_py.with_name(".env")) in message


def test_run_tells_every_fault_and_shows_no_secret(manage: Manage) -> None:
    wrong = {
        "CLIENT_SECRET": "hush",
        "SECRET": "hush",
        "DATABASE_URL": "postgresql://user:hush@host:port/name",
        "PUBLIC_URL": "localhost:5000",
        "SYNC_INTERVAL": "1",
    }
    done = manage("run", env=wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("5 settings are missing or wrong:")
    told = set(re.findall(r"^  ([A-Z_]+) ", done.stderr, re.MULTILINE))
    assert told == {"CLIENT_ID", "SECRET", "DATABASE_URL", "PUBLIC_URL", "SYNC_INTERVAL"}
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr


def test_config_prints_the_settings_and_no_secret(manage: Manage) -> None:
    done = manage("config", env=NEEDED | {"DATABASE_URL": "postgres://user:hush@host/name"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "CLIENT_ID=our-id\n" in done.stdout
    assert "DATABASE_URL=postgresql://user:***@host/name\n" in done.stdout
    assert "hush" not in done.stdout
    assert SECRET not in done.stdout


def test_config_needs_no_client_id_and_shows_what_is_missing_as_empty(manage: Manage) -> None:
    done = manage("config", env={"CLIENT_SECRET": "hush", "PORT": "8080"})
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert (shown["CLIENT_ID"], shown["SECRET"], shown["CLIENT_SECRET"]) == ("", "", "********")
    assert (shown["PORT"], shown["PUBLIC_URL"]) == ("8080", "http://127.0.0.1:8080")


def test_a_dollar_and_a_brace_are_characters_like_others(dotenv: Path) -> None:
    secret = "${HOME}" + SECRET
    dotenv.write_text(lines(**{**NEEDED, "SECRET": secret}))
    assert load(Settings).secret.get_secret_value() == secret


def test_every_wrong_market_is_named_with_the_right_code_where_that_is_known() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, sync_markets="DE, uk, ZZ, us, el, Germany")
    assert caught.value.faults["SYNC_MARKETS"] == (
        "must be comma-separated country codes of ISO 3166-1 alpha-2 (DE,US), "
        "not uk (use GB), ZZ, el (use GR), Germany"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SYNC_MARKETS": "DE,US,SE", "SYNC_MAX_RELEASES": "900"}, None),
        ({"SYNC_MARKETS": "DE,US,SE", "SYNC_MAX_RELEASES": "910"}, "allows 300 calls to search"),
        ({"SYNC_MAX_RELEASES": "910", "QUOTA_PER_DAY": "100"}, "or raise it"),
        ({"SYNC_MARKETS": "DE,US,SE", "SYNC_MAX_RELEASES": "1000"}, "raise it above 3000"),
        (
            {"SYNC_MARKETS": "DE,US,SE,FR", "SYNC_MAX_RELEASES": "1000", "QUOTA_PER_DAY": "3001"},
            None,
        ),
        ({"SYNC_SOURCE": "new-releases", "SYNC_MAX_RELEASES": "1000"}, None),
        (
            {"SYNC_SOURCE": "new-releases", "SYNC_MAX_RELEASES": "1000", "QUOTA_PER_DAY": "20"},
            "allows 20 calls to new-releases at first, but one sync takes 20 calls",
        ),
    ],
)
def test_a_sync_that_never_fits_the_calls_of_its_source_is_a_wrong_setting(
    load_with: LoadWith, settings: dict[str, str], words: str | None
) -> None:
    if words is None:
        load_with(**settings)
        return
    faults = faults_of(lambda: load_with(**settings))
    assert words in faults["QUOTA_PER_DAY"]


@pytest.mark.parametrize("source", SOURCE_ORDER)
def test_the_settings_know_the_ceilings_that_sources_start_with(source: SourceName) -> None:
    assert STARTING[source] == ceiling.starting(ENDPOINTS[source].path, config.DEVELOPMENT)
    more = config.DEVELOPMENT + 1
    assert ceiling.starting(ENDPOINTS[source].path, more) == more
