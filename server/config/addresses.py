"""Addresses in settings (the database, this server, Spotify's services), and those of clients.

A wrong address in a setting raises ValueError with a message that says how to fix it.
"""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL

from server.config import libpq

ROOT = Path(__file__).resolve().parents[2]
SPOTIFY_ACCOUNTS = "https://accounts.spotify.com"
DASHBOARD = "https://developer.spotify.com/dashboard"


@dataclass(frozen=True)
class EmbeddedDatabase:
    """A PostgreSQL of our own whose data lives in `directory`."""

    directory: Path

    def __str__(self) -> str:
        return f"embedded:{self.directory}"


def state_folder() -> Path:
    """Return where data is kept unless a setting says otherwise: `var` of the project.

    Under systemd it is the first folder of `StateDirectory=`, because a service can usually not
    write to its program's folder. Source: systemd.exec(5), "StateDirectory=".
    """
    first = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return ROOT / (first or "var")


def parse_database_url(value: object) -> URL | EmbeddedDatabase:
    """Read an address of libpq or `embedded:[DIR]`; a relative DIR is relative to the project.

    Without DIR the data is in `postgres` under `state_folder()`.
    """
    value = str(value)
    if value.startswith("embedded:"):
        folder = value.removeprefix("embedded:")
        return EmbeddedDatabase(ROOT / folder if folder else state_folder() / "postgres")
    return libpq.parse(value)


def check_address(value: str) -> str:
    """Accept an absolute http(s) address that paths can be put behind; its host comes out as ASCII.

    So links, redirects, policies and Spotify's redirect URI name the host as browsers do.
    """
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").rstrip(".")
        sound = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:  # brackets or port
        sound = False
    if not sound or set(value) & set(" ?#@"):
        raise ValueError("must be an address such as https://freshet.example.org, and no more")
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{ascii_host(host)}{port}{parts.path.rstrip('/')}"


def login_obstacle(public_url: str) -> str | None:
    """Say why Spotify would send no browser back to an address; None where it does.

    It takes https, or http with a loopback literal, and refuses localhost. Source:
    developer.spotify.com/documentation/web-api/concepts/redirect_uri.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    if host == "localhost":
        return "PUBLIC_URL uses localhost, which Spotify refuses: write http://127.0.0.1:PORT"
    if parts.scheme == "http" and not is_loopback(host):
        return (
            f"PUBLIC_URL is plain http at {host}, and Spotify sends browsers back only to https "
            "or to http://127.0.0.1"
        )
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is an address that only its own machine reaches."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def client_network(address: str) -> str:
    """Return the network that limits by client are counted for; it is short whatever is given.

    It is an IPv4 address, also of one that is mapped into IPv6, or the first 64 bits of an IPv6
    address, which belong to one subscriber (RFC 6177). Zone ids do not count. Everything that
    is no address, such as a Unix socket, is "unknown".
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    start = int(parsed) >> 64 << 64
    return f"{ipaddress.IPv6Address(start)}/64"


def ascii_host(host: str) -> str:
    """Write a host as browsers do: lower case, IPv6 short and in brackets, other names by UTS 46.

    A dot at the end, which names the same host, is left out. Raises ValueError for a name that has
    no ASCII form. Source: URL standard, section 3.3; Python's own `idna` codec is that of 2003.
    """
    host = host.lower().removesuffix(".")
    if ":" in host:
        return f"[{ipaddress.ip_address(host).compressed}]"
    if host.isascii():
        return host
    import idna  # with large tables, which few need

    try:
        return idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
    except idna.IDNAError:
        raise ValueError(
            f"has a host that cannot be looked up: write {host} in its ASCII form, xn--…"
        ) from None


def origin_of(address: str) -> str:
    """The origin of an http(s) address as browsers write it in `Origin` (RFC 6454 section 6.2)."""
    parts = urlsplit(address)
    host = ascii_host(parts.hostname or "")
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def entry_of_app(accounts_url: str) -> str:
    """Where the app's credentials stand, in words: on Spotify's dashboard, or at what plays it."""
    if accounts_url == SPOTIFY_ACCOUNTS:
        return f"the app's page at {DASHBOARD}"
    return f"the app's entry at {accounts_url}, which SPOTIFY_ACCOUNTS_URL names"


def forget_other_servers() -> None:
    """Drop libpq's variables: an embedded server's address is complete, they are about others.

    PGHOSTADDR would lead elsewhere, PGSERVICE and PGSSLMODE to a refusal.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
