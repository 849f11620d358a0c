"""Database addresses as libpq, PostgreSQL's client library, reads them.

Source: postgresql.org/docs/current/libpq-connect.html, section "Connection Strings".
"""

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from sqlalchemy import URL

DRIVER = "postgresql+psycopg2"  # SQLAlchemy 2.1 takes `postgresql` for psycopg 3
SCHEMES = ("postgresql", "postgres", DRIVER)
PORT = "5432"
MASK = "***"
FORM = "must be postgresql://USER:PASSWORD@HOST/NAME or embedded:[DIR]"
PASSWORD = f"{FORM} (is % & / @ in the password written as %25 %26 %2F %40?)"
UNKNOWN = re.compile(r'invalid (?:URI query parameter: |connection option )"(\w+)"')
PLAIN_PASSWORD = re.compile(r"([^:/@?]*):([^@]*)@(.*)", re.DOTALL)
ODD_NAMES = {"connect_timeout": "PGCONNECT_TIMEOUT", "application_name": "PGAPPNAME"}


def parse(text: str) -> URL:
    """Parse a connection string: `postgresql://…` or `host=… dbname=…`.

    A single host and port become `host` and `port` of the URL; several, and folders of sockets,
    are libpq's parameters in its query. Raises ValueError, whose text never contains a secret.
    """
    parts = _parse(text)
    if "service" in parts:
        raise ValueError("names a service, which is not supported: write host, user and database")
    hosts, ports = parts.pop("host", "").split(","), parts.pop("port", "").split(",")
    if not all(each == "" or (each.isdecimal() and 0 < int(each) < 65536) for each in ports):
        raise ValueError("has a port that is not a number from 1 to 65535")
    if len(ports) not in (1, len(hosts)):
        raise ValueError(f"has {len(hosts)} hosts and {len(ports)} ports: write a port for each")
    if not parts.get("dbname"):
        raise ValueError("names no database: write postgresql://…/NAME")
    user, password, name = (parts.pop(each, None) for each in ("user", "password", "dbname"))
    if len(hosts) == 1 and not hosts[0].startswith(("/", "@")):
        port = int(ports[0]) if ports[0] else None
        return URL.create(DRIVER, user, password, hosts[0] or None, port, name, parts)
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = {"host": ",".join(hosts), "port": ",".join(each or PORT for each in ports)}
    return URL.create(DRIVER, user, password, database=name, query={**parts, **places})


def _parse(text: str) -> dict[str, str]:
    """Return the parameters by name, with all values of `host`."""
    scheme, mark, rest = text.partition("://")
    if (mark and scheme not in SCHEMES) or not (mark or "=" in text):
        raise ValueError(FORM)
    if not mark:
        return _read(text)
    parts = _read_uri(rest)
    several = [value for name, value in parse_qsl(urlsplit(rest).query) if name == "host"]
    if len(several) > 1:  # libpq uses the last, SQLAlchemy's form means all
        places = [each.rpartition(":") if ":" in each else (each, "", "") for each in several]
        parts["host"] = ",".join(host for host, _, _ in places)
        parts["port"] = ",".join(port for _, _, port in places)
    return parts


def _read_uri(rest: str) -> dict[str, str]:
    """Parse what follows `://`; a password may contain `%`, `/` and `?` unescaped, but not `@`."""
    attempts = [rest]
    if plain := PLAIN_PASSWORD.fullmatch(rest):
        attempts.append(f"{plain[1]}:{quote(unquote(plain[2]), '')}@{plain[3]}")
    fault = ValueError(PASSWORD)
    for attempt in attempts:
        try:
            parts = _read(f"postgresql://{attempt}")
        except ValueError as error:
            fault = error
            continue
        if "%40" in rest or "@" not in parts.get("host", "") + parts.get("dbname", ""):
            return parts
    raise fault


def _read(text: str) -> dict[str, str]:
    try:
        parts: dict[str, str] = parse_dsn(text)
    except psycopg2.Error as error:
        if unknown := UNKNOWN.search(str(error)):
            raise ValueError(f"has {unknown[1]}, which is not a parameter of libpq") from None
        raise ValueError(PASSWORD if "@" in text else FORM) from None
    return parts


def variables(url: URL) -> dict[str, str]:
    """Return an address as libpq's variables, which keep the password out of process arguments.

    Source: postgresql.org/docs/current/libpq-envars.html.
    """
    parts = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    for name, value in url.query.items():
        parts[ODD_NAMES.get(name, f"PG{name.replace('_', '').upper()}")] = str(value)
    return {name: str(value) for name, value in parts.items() if value is not None}


def describe(url: URL) -> str:
    """Return an address with its secrets masked."""
    secret = [name for name in url.query if name.endswith(("password", "secret"))]
    shown = url.set(drivername="postgresql").update_query_dict(dict.fromkeys(secret, MASK))
    return shown.render_as_string(hide_password=True).replace(quote(MASK), MASK)
