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
    """An embedded PostgreSQL whose data is in `directory`."""

    directory: Path

    def __str__(self) -> str:
        return f"embedded:{self.directory}"


def state_folder() -> Path:
    """Return the default folder for data: `var` of the project.

    Under systemd it is the first folder of `StateDirectory=`, because most services cannot write to
    their program's folder. Source: systemd.exec(5), "StateDirectory=".
    """
    first = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return ROOT / (first or "var")


def demo_folder() -> Path:
    """Return the folder of the demo's data."""
    return state_folder() / "demo"


def demo_database() -> EmbeddedDatabase:
    """Return the demo's database, which is apart from any other."""
    return EmbeddedDatabase(demo_folder() / "postgres")


def parse_database_url(value: object) -> URL | EmbeddedDatabase:
    """Parse a connection string of libpq or `embedded:[DIR]`. Raises ValueError.

    A relative DIR is relative to the project; the default is `postgres` in `state_folder()`.
    """
    value = str(value)
    if value.startswith("embedded:"):
        folder = value.removeprefix("embedded:")
        return EmbeddedDatabase(ROOT / folder if folder else state_folder() / "postgres")
    return libpq.parse(value)


def check_address(value: str) -> str:
    """Return an absolute http(s) address, to which paths can be appended, with its host in ASCII.

    Links, redirects, policies and Spotify's redirect URI then name the host as browsers do. Raises
    ValueError.
    """
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").rstrip(".")
        sound = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:  # brackets or port
        sound = False
    if not sound or set(value) & set(" ?#@"):
        raise ValueError("must be an address such as https://freshet.example.org, nothing more")
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{ascii_host(host)}{port}{parts.path.rstrip('/')}"


def login_obstacle(public_url: str) -> str | None:
    """Return why Spotify would not redirect browsers to an address; None if it would.

    Spotify accepts https, and http with a loopback IP address, but not localhost. Source:
    developer.spotify.com/documentation/web-api/concepts/redirect_uri.
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    if host == "localhost":
        return "PUBLIC_URL uses localhost, which Spotify refuses: write http://127.0.0.1:PORT"
    if parts.scheme == "http" and not is_loopback(host):
        return (
            f"PUBLIC_URL is plain http at {host}, and Spotify redirects browsers only to https "
            "or to http://127.0.0.1"
        )
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is an IP address that only its own machine can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def client_network(address: str) -> str:
    """Return the network of a client, by which limits are counted.

    For IPv4, also mapped into IPv6, it is the address; for IPv6 the first 64 bits, which belong to
    one subscriber (RFC 6177), without zone id. For anything else, such as a Unix socket, it is
    "unknown".
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
    """Return a host as browsers write it: lower case, IPv6 short and in brackets, names by UTS 46.

    A final dot is removed, because it names the same host. Raises ValueError for a name without an
    ASCII form. Source: URL standard, section 3.3; Python's own `idna` codec implements IDNA 2003.
    """
    host = host.lower().removesuffix(".")
    if ":" in host:
        return f"[{ipaddress.ip_address(host).compressed}]"
    if host.isascii():
        return host
    import idna  # its tables are large, and few need them

    try:
        return idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
    except idna.IDNAError:
        raise ValueError(
            f"has a host that cannot be looked up: write {host} in its ASCII form, xn--…"
        ) from None


def origin_of(address: str) -> str:
    """Return the origin of an http(s) address as in `Origin` (RFC 6454 section 6.2)."""
    parts = urlsplit(address)
    host = ascii_host(parts.hostname or "")
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def entry_of_app(accounts_url: str) -> str:
    """Return in words where the app's credentials are: at Spotify or at the stand-in."""
    if accounts_url == SPOTIFY_ACCOUNTS:
        return f"your app's page at {DASHBOARD}"
    return f"your app's entry at {accounts_url}, which SPOTIFY_ACCOUNTS_URL names"


def forget_other_servers() -> None:
    """Delete libpq's variables from the environment, because they concern other servers.

    An embedded server's address is complete: PGHOSTADDR would lead to another server, PGSERVICE and
    PGSSLMODE would make connections fail.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
